package accountquotas

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// The suite does not know the lookup that comes before an object PUT, so it is run on a container.
func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0), mt.Path("/v1/AUTH_test/c")) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// in gives requests a state.
func in(s request.State, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := s
		state.Infos = &request.Infos{}
		h.ServeHTTP(w, request.With(r, &state))
	})
}

func TestSettingQuotas(t *testing.T) {
	const sysmeta = "X-Account-Sysmeta-Quota-"
	for _, tc := range []struct {
		name, header, value string
		owner, reseller     int    // status for an owner, for a reseller
		stored, as          string // header at the app and its value: only for a reseller
	}{
		{"bytes", "X-Account-Quota-Bytes", "10", 403, 204, "Bytes", "10"},
		{"count", "X-Account-Quota-Count", "10", 403, 204, "Count", "10"},
		{"bytes of a policy", "X-Account-Quota-Bytes-Policy-Silver", "10", 403, 204, "Bytes-Policy-1", "10"},
		{"count of a policy", "x-account-quota-count-policy-GOLD", "10", 403, 204, "Count-Policy-0", "10"},
		{"an unknown policy", "X-Account-Quota-Bytes-Policy-Lead", "10", 204, 204, "", ""},
		{"a number that no machine can count", "X-Account-Quota-Bytes", "99999999999999999999", 403, 204, "Bytes", "99999999999999999999"},
		{"an empty value", "X-Account-Quota-Bytes", "", 403, 204, "Bytes", ""},
		{"a word", "X-Account-Quota-Bytes", "ten", 403, 400, "", ""},
		{"a negative number", "X-Account-Quota-Count", "-1", 403, 400, "", ""},
		{"a superscript", "X-Account-Quota-Count", "\u00b2", 403, 400, "", ""},
		{"a word for a policy", "X-Account-Quota-Count-Policy-Gold", "ten", 403, 400, "", ""},
		{"removing", "X-Remove-Account-Quota-Bytes", "x", 403, 204, "Bytes", ""},
		{"removing a policy's", "X-Remove-Account-Quota-Count-Policy-Silver", "x", 403, 204, "Count-Policy-1", ""},
		{"removing with no value", "X-Remove-Account-Quota-Bytes", "", 204, 204, "", ""},
		{"the older name", "X-Account-Meta-Quota-Bytes", "10", 403, 204, "Bytes", "10"},
		{"the older name, empty", "X-Account-Meta-Quota-Bytes", "", 403, 204, "Bytes", ""},
		{"removing by the older name", "X-Remove-Account-Meta-Quota-Bytes", "x", 403, 204, "Bytes", ""},
		{"removing by the older name with no value", "X-Remove-Account-Meta-Quota-Bytes", "", 403, 204, "", ""},
		{"underscores", "X_Account_Quota_Bytes", "10", 403, 204, "Bytes", "10"},
		{"the older name with underscores", "X_Account-Meta_Quota-Bytes", "10", 403, 204, "Bytes", "10"},
		{"removing with underscores", "X_Remove_Account_Meta_Quota_Bytes", "", 403, 204, "", ""},
		{"another header", "X-Account-Meta-Quota", "ten", 204, 204, "", ""},
	} {
		for _, method := range []string{"PUT", "POST"} {
			for _, reseller := range []bool{false, true} {
				app := mt.NewApp().Otherwise(mt.Answer{Code: 204})
				h := in(request.State{Reseller: reseller}, mt.Build(t, Filter, "", app))
				got := mt.Do(t, h, method, "/v1/AUTH_test", func(r *http.Request) { r.Header[http.CanonicalHeaderKey(tc.header)] = []string{tc.value} })
				want := tc.owner
				if reseller {
					want = tc.reseller
				}
				if got.Code != want {
					t.Errorf("%s: %s with %s: %q, reseller %v: got %d %q, want %d", tc.name, method, tc.header, tc.value, reseller, got.Code, got.Body, want)
				}
				sent := map[string][]string{}
				for k, v := range app.Last().Header {
					if strings.HasPrefix(k, sysmeta) {
						sent[k] = v
					}
				}
				if !reseller || tc.stored == "" {
					if len(sent) > 0 {
						t.Errorf("%s: reseller %v: sysmeta %v reached the app, want none", tc.name, reseller, sent)
					}
					continue
				}
				if v := sent[sysmeta+tc.stored]; len(sent) != 1 || len(v) != 1 || v[0] != tc.as {
					t.Errorf("%s: sysmeta at the app %v, want %s: %q", tc.name, sent, tc.stored, tc.as)
				}
			}
		}
	}
}

func TestRemovingWinsOverSetting(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 204})
	h := in(request.State{Reseller: true}, mt.Build(t, Filter, "", app))
	mt.Do(t, h, "POST", "/v1/a", mt.Header("X-Account-Quota-Count", "5"), mt.Header("X-Remove-Account-Quota-Count", "x"),
		mt.Header("X-Account-Quota-Bytes", "7"), mt.Header("X-Account-Meta-Quota-Bytes", "8"))
	header := app.Last().Header
	if count, ok := header["X-Account-Sysmeta-Quota-Count"]; !ok || count[0] != "" || header.Get("X-Account-Sysmeta-Quota-Bytes") != "7" {
		t.Errorf("sysmeta at the app: %v, want an empty count and 7 bytes", header)
	}
}

func TestRepeatedHeadersAreOneValue(t *testing.T) {
	h := in(request.State{Reseller: true}, mt.Build(t, Filter, "", mt.NewApp()))
	got := mt.Do(t, h, "POST", "/v1/a", func(r *http.Request) { r.Header["X-Account-Quota-Bytes"] = []string{"1", "x"} })
	if got.Code != 400 {
		t.Errorf("two values, one of them no number: %d, want 400", got.Code)
	}
}

func TestQuotasAreShown(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 204, Header: map[string]string{
			"X-Account-Sysmeta-Quota-Bytes": "1", "X-Account-Sysmeta-Quota-Count": "2",
			"X-Account-Sysmeta-Quota-Bytes-Policy-0": "3", "X-Account-Sysmeta-Quota-Count-Policy-1": "4",
			"X-Account-Sysmeta-Quota-Count-Policy-7": "5",
		}})
		got := mt.Do(t, mt.Build(t, Filter, "", app), method, "/v1/a").Header
		for name, want := range map[string]string{
			"X-Account-Quota-Bytes": "1", "X-Account-Quota-Count": "2", "X-Account-Quota-Bytes-Policy-Gold": "3",
			"X-Account-Quota-Count-Policy-Silver": "4", "X-Account-Quota-Bytes-Policy-Silver": "",
		} {
			if got.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", method, name, got.Get(name), want)
			}
		}
	}
}

func TestUploads(t *testing.T) {
	const over, overPolicy = "Upload exceeds quota.", "Upload exceeds policy quota."
	sys := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for _, tc := range []struct {
		name    string
		sysmeta map[string]string
		meta    map[string]string
		body    string
		length  int64
		want    string // "" is 201
	}{
		{"without quotas", nil, nil, "12345", 5, ""},
		{"that fills the account", sys("quota-bytes", "105"), nil, "12345", 5, ""},
		{"that is a byte too long", sys("quota-bytes", "104"), nil, "12345", 5, over},
		{"of unknown length", sys("quota-bytes", "104"), nil, "12345", -1, ""},
		{"of unknown length when there is no room", sys("quota-bytes", "99"), nil, "12345", -1, over},
		{"that is the last", sys("quota-count", "11"), nil, "", 0, ""},
		{"that is one too many", sys("quota-count", "10"), nil, "", 0, over},
		{"that is a byte too long for its policy", sys("quota-bytes-policy-1", "44"), nil, "12345", 5, overPolicy},
		{"that fills its policy", sys("quota-bytes-policy-1", "45"), nil, "12345", 5, ""},
		{"that is one too many for its policy", sys("quota-count-policy-1", "4"), nil, "", 0, overPolicy},
		{"that another policy has no room for", sys("quota-count-policy-0", "0", "quota-bytes-policy-0", "0"), nil, "12345", 5, ""},
		{"with too little room everywhere", sys("quota-bytes", "0", "quota-bytes-policy-1", "0"), nil, "12345", 5, over},
		{"with the older quota", nil, sys("quota-bytes", "104"), "12345", 5, over},
		{"with both, of which the newer counts", sys("quota-bytes", "105"), sys("quota-bytes", "0"), "12345", 5, ""},
		{"with a quota that is no number", sys("quota-bytes", "ten", "quota-count", "-1"), nil, "12345", 5, ""},
	} {
		account := &lookup.Account{Status: 204, Bytes: "100", Objects: "10", Sysmeta: tc.sysmeta, Meta: tc.meta,
			Policies: map[string]lookup.Usage{"0": {Bytes: 60, Objects: 6}, "1": {Bytes: 40, Objects: 4}}}
		app := mt.NewApp().On("PUT /v1/a/c/o", mt.Answer{Code: 201}).On("POST /v1/a/c/o", mt.Answer{Code: 202}).On("DELETE /v1/a/c/o", mt.Answer{Code: 204}).
			On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{"X-Backend-Storage-Policy-Index": "1"}})
		h := mt.Build(t, Filter, "", app)
		call := func(s request.State, method string) mt.Response {
			s.Infos = &request.Infos{}
			s.Infos.Put(lookup.AccountKey("a"), account)
			return mt.Do(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.ContentLength = tc.length
				h.ServeHTTP(w, request.With(r, &s))
			}), method, "/v1/a/c/o", mt.Body(tc.body))
		}
		got := call(request.State{}, "PUT")
		if want := map[bool]int{true: 201, false: 413}[tc.want == ""]; got.Code != want || want == 413 && got.Body != tc.want {
			t.Errorf("an upload %s: got %d %q, want %d %q", tc.name, got.Code, got.Body, want, tc.want)
		}
		for state, want := range map[*request.State]int{{Reseller: true}: 201} {
			if got := call(*state, "PUT"); got.Code != want {
				t.Errorf("an upload %s by a reseller: got %d, want %d", tc.name, got.Code, want)
			}
		}
		if p, d := call(request.State{}, "POST").Code, call(request.State{}, "DELETE").Code; p != 202 || d != 204 {
			t.Errorf("an object %s: POST %d, DELETE %d; want 202, 204", tc.name, p, d)
		}
	}
}

// TestTheRefusalIsTheUsers checks that the app's decision comes before the quota's, and that the app is asked for it.
func TestTheRefusalIsTheUsers(t *testing.T) {
	for _, tc := range []struct {
		name      string
		authorize func(*http.Request) error
		want      int
		asked     bool
	}{
		{"nobody guards the pipeline", nil, 413, false},
		{"the user may write", func(*http.Request) error { return nil }, 413, true},
		{"the user may not write", func(*http.Request) error { return reply.Status(403) }, 403, true},
	} {
		asked := false
		app := mt.NewApp().On("HEAD /v1/a", mt.Answer{Code: 204, Header: map[string]string{"X-Account-Sysmeta-Quota-Count": "0"}}).
			On("PUT /v1/a/c/o", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				asked = true
				if err := request.From(r.Context()).Authorize(r); err != nil {
					reply.Write(w, r, err)
				}
			}})
		got := mt.Do(t, in(request.State{Authorize: tc.authorize}, mt.Build(t, Filter, "", app)), "PUT", "/v1/a/c/o")
		if got.Code != tc.want || asked != tc.asked {
			t.Errorf("%s: got %d, app asked %v; want %d, %v", tc.name, got.Code, asked, tc.want, tc.asked)
		}
		if source := app.Calls()[0].State.Log.Source; source != "AQ" {
			t.Errorf("%s: the lookup's source is %q, want AQ", tc.name, source)
		}
	}
}

func TestOtherPathsPass(t *testing.T) {
	for _, path := range []string{"/info", "/v2/a", "/v1", "/v1/a/c", "/auth/v1.0"} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 204})
		got := mt.Do(t, mt.Build(t, Filter, "", app), "POST", path, mt.Header("X-Account-Quota-Bytes", "10"))
		if got.Code != 204 || len(app.Calls()) != 1 {
			t.Errorf("POST %s: %d after %v, want the app's 204", path, got.Code, app.URIs())
		}
	}
}

func FuzzExceeds(f *testing.F) {
	for _, q := range []string{"", "0", "10", "-1", "9223372036854775807", "9223372036854775808", " 1", "1e3"} {
		f.Add(int64(5), int64(3), q)
	}
	f.Fuzz(func(t *testing.T, used, more int64, quota string) {
		used, more = max(used, 0), max(more, 0)
		if digits(quota) && exceeds(used, more, quota+"0") && !exceeds(used, more, quota) {
			t.Errorf("used %d, more %d: more is allowed by %q than by ten times as much", used, more, quota)
		}
		if exceeds(0, 0, quota) {
			t.Errorf("nothing exceeds %q", quota)
		}
	})
}
