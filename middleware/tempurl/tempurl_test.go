package tempurl

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/digest"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/internal/subreq"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

const key, object, expires = "secret", "/v1/a/c/o", 4102444800

// keys is an app whose account or container has the key.
func keys(level string) *mt.App {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 204})
	switch level {
	case "account":
		app.On("HEAD /v1/a", mt.Answer{Code: 204, Header: map[string]string{"X-Account-Meta-Temp-Url-Key": key}})
	case "container":
		app.On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{"X-Container-Meta-Temp-Url-Key-2": key}})
	}
	return app
}

func sign(method, path, key string) string {
	sum := digest.HMAC(digest.SHA256, key, fmt.Sprintf("%s\n%d\n%s", method, expires, path))
	return fmt.Sprintf("?temp_url_sig=%s&temp_url_expires=%d", hex.EncodeToString(sum), expires)
}

// TestWhatAKeyIsGoodFor checks the rights of the request itself and of subrequests that other filters make of it.
func TestWhatAKeyIsGoodFor(t *testing.T) {
	for _, tc := range []struct {
		path               string
		account, container int // status for a key of the account, of the container
	}{
		{"/v1/a/c/o", 0, 0}, {"/v1/a/c/other", 0, 0}, {"/v1/a/c", 0, 0}, {"/v1/a/c/", 0, 0},
		{"/v1/a/d/o", 0, 401}, {"/v1/a/d", 0, 401}, {"/v1/a", 0, 401}, {"/v1/a/", 0, 401}, {"/v1/a/c2/o", 0, 401},
		{"/v1/b/c/o", 401, 401}, {"/v1/b", 401, 401}, {"/v1/A/c/o", 401, 401}, {"/v1/", 401, 401}, {"/info", 401, 401}, {"/v1//c/o", 401, 401},
		{"/v1/b/../a/c/o", 401, 401}, {"/v1/aa/c/o", 401, 401}, {"/v1/a/cc/o", 0, 401},
	} {
		for level, want := range map[string]int{"account": tc.account, "container": tc.container} {
			app := keys(level)
			h := mt.Build(t, Filter, "", app)
			asked := false
			app.On("GET "+object, mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				asked = true
				sub := subreq.New(r, subreq.Options{Path: tc.path, Source: "SLO"})
				state := request.From(sub.Context())
				if err := state.Authorize(r); err != nil {
					t.Errorf("%s key: the request itself is refused: %v", level, err)
				}
				err := state.Authorize(sub)
				if got := reply.As(err); err == nil && want != 0 || err != nil && got.Code != want {
					t.Errorf("%s key: subrequest for %s: got %v, want %d", level, tc.path, err, want)
				}
				if !state.AuthOverride || state.User != request.TempURL || state.Owner || state.Reseller {
					t.Errorf("%s key: state of the subrequest: %+v", level, state)
				}
			}})
			if mt.Get(t, h, object+sign("GET", object, key)); !asked {
				t.Fatalf("%s key: the app was not asked", level)
			}
		}
	}
}

func TestTheAccountsKeyCountsFirst(t *testing.T) {
	app := keys("container").On("HEAD /v1/a", mt.Answer{Code: 204, Header: map[string]string{"X-Account-Meta-Temp-Url-Key": key}})
	app.On("GET "+object, mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		if err := request.From(r.Context()).Authorize(subreq.New(r, subreq.Options{Path: "/v1/a/d/o", Source: "X"})); err != nil {
			t.Errorf("another container of the account: %v", err)
		}
	}})
	mt.Get(t, mt.Build(t, Filter, "", app), object+sign("GET", object, key))
}

func TestAnEmptyKeySignsNothing(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 204, Header: map[string]string{"X-Account-Meta-Temp-Url-Key": "", "X-Container-Meta-Temp-Url-Key": ""}})
	if got := mt.Get(t, mt.Build(t, Filter, "", app), object+sign("GET", object, "")); got.Code != 401 {
		t.Errorf("got %d, want 401", got.Code)
	}
}

func TestOtherMetadataIsNoKey(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 204, Header: map[string]string{"X-Account-Meta-Temp-Url-Key-3": key, "X-Account-Sysmeta-Temp-Url-Key": key}})
	if got := mt.Get(t, mt.Build(t, Filter, "", app), object+sign("GET", object, key)); got.Code != 401 {
		t.Errorf("got %d, want 401", got.Code)
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct {
		name, config, method, target string
		code                         int
		body                         string
	}{
		{"a method that is not listed", `methods = "GET PUT"`, "DELETE", object + sign("DELETE", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"a method that is", `methods = "GET PUT"`, "PUT", object + sign("PUT", object, key), 204, ""},
		{"HEAD where only GET is listed", `methods = "GET"`, "HEAD", object + sign("GET", object, key), 401, ""},
		{"a digest that is not allowed", `allowed_digests = "sha1 sha512"`, "GET", object + sign("GET", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"an encoded slash is a slash", "", "GET", "/v1/a/c%2Fo" + sign("GET", object, key), 204, ""},
		{"a name in escapes", "", "GET", "/v1/a/c/%6F" + sign("GET", object, key), 204, ""},
		{"dots are a name", "", "GET", "/v1/a/c/x/../o" + sign("GET", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"two slashes are a name", "", "GET", "/v1/a/c//o" + sign("GET", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"a slash at the end is a name", "", "GET", "/v1/a/c/o/" + sign("GET", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"a path escaped twice", "", "GET", "/v1/a/c/%256F" + sign("GET", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"an empty prefix for a container", "", "GET", "/v1/a/c" + sign("GET", "prefix:/v1/a/c/", key) + "&temp_url_prefix=", 401, "401 Unauthorized: Temp URL invalid\n"},
		{"a line end in the method's place", "", "GET", object + sign("GET\n1", object, key), 401, "401 Unauthorized: Temp URL invalid\n"},
		{"a time beyond all dates", "", "GET", object + "?temp_url_sig=" + strings.Repeat("0", 64) + "&temp_url_expires=99999999999999999999", 401, "401 Unauthorized: Temp URL invalid\n"},
		{"nothing that means to be signed", "", "GET", object + "?temp_url_prefix=x", 204, ""},
	} {
		got := mt.Do(t, mt.Build(t, Filter, tc.config, keys("account")), tc.method, tc.target)
		if got.Code != tc.code || got.Body != tc.body {
			t.Errorf("%s: %s %s: got %d %q, want %d %q", tc.name, tc.method, tc.target, got.Code, got.Body, tc.code, tc.body)
		}
	}
}

func TestTheMomentOfExpiry(t *testing.T) {
	for after, want := range map[time.Duration]int{-time.Second: 204, 0: 204, time.Nanosecond: 401, time.Hour: 401} {
		host := mt.Host(t)
		host.Clock = fixed(time.Unix(expires, 0).Add(after))
		if got := mt.Get(t, mt.BuildOn(t, host, Filter, "", keys("account")), object+sign("GET", object, key)); got.Code != want {
			t.Errorf("%v after expiry: got %d, want %d", after, got.Code, want)
		}
	}
}

type fixed time.Time

func (f fixed) Now() time.Time { return time.Time(f) }

func TestHeadersOfRequests(t *testing.T) {
	for _, tc := range []struct {
		config      string
		gone, there []string
	}{
		{"", []string{"X-Timestamp", "X-Open-Expired", "X_timestamp"}, []string{"X-Object-Meta-A", "X-Delete-At", "Content-Type"}},
		{`incoming_remove_headers = "x-object-* x-delete-at"`, []string{"X-Object-Meta-A", "X-Object_meta-B", "X-Delete-At"}, []string{"X-Timestamp", "Content-Type"}},
		{"incoming_remove_headers = [\"x-*\"]\nincoming_allow_headers = [\"x-object-meta-*\", \"X-Timestamp\"]", []string{"X-Delete-At"}, []string{"X-Object-Meta-A", "X-Timestamp", "Content-Type"}},
		{`incoming_remove_headers = "*"`, []string{"X-Delete-At", "X-Timestamp", "If-None-Match"}, []string{"Content-Type"}},
		{`incoming_remove_headers = "content-type"`, []string{"Content-Type"}, []string{"X-Timestamp"}},
		{`incoming_remove_headers = ""`, nil, []string{"X-Timestamp", "X-Open-Expired"}},
	} {
		app := keys("account")
		mt.Do(t, mt.Build(t, Filter, tc.config, app), "PUT", object+sign("PUT", object, key), func(r *http.Request) {
			for _, name := range append(tc.gone, tc.there...) {
				r.Header[name] = []string{"x"}
			}
		})
		seen := app.Last().Header
		for _, name := range tc.gone {
			if _, ok := seen[name]; ok {
				t.Errorf("%s: %s reached the app", tc.config, name)
			}
		}
		for _, name := range tc.there {
			if _, ok := seen[name]; !ok || app.Last().Method != "PUT" {
				t.Errorf("%s: %s did not reach the app", tc.config, name)
			}
		}
	}
}

func TestHeadersOfAnswers(t *testing.T) {
	for _, tc := range []struct {
		config      string
		code        int
		gone, there []string
	}{
		{"", 200, []string{"X-Object-Meta-A"}, []string{"X-Object-Meta-Public-A", "Etag", "Expires", "Content-Disposition"}},
		{"", 404, []string{"X-Object-Meta-A", "Expires", "Content-Disposition"}, []string{"X-Object-Meta-Public-A"}},
		{`outgoing_remove_headers = "etag"`, 200, []string{"Etag"}, []string{"X-Object-Meta-A"}},
		{"outgoing_allow_headers = \"x-object-meta-a\"", 200, []string{"X-Object-Meta-Public-A"}, []string{"X-Object-Meta-A"}},
	} {
		app := keys("account").On("GET "+object, mt.Answer{Code: tc.code, Header: map[string]string{"X-Object-Meta-A": "a", "X-Object-Meta-Public-A": "b", "Etag": "e"}})
		got := mt.Get(t, mt.Build(t, Filter, tc.config, app), object+sign("GET", object, key))
		for _, name := range tc.gone {
			if _, ok := got.Header[name]; ok {
				t.Errorf("%s %d: %s reached the client", tc.config, tc.code, name)
			}
		}
		for _, name := range tc.there {
			if _, ok := got.Header[name]; !ok {
				t.Errorf("%s %d: %s did not reach the client", tc.config, tc.code, name)
			}
		}
	}
}

func TestTheQueryIsOnlyWhatIsSigned(t *testing.T) {
	app := keys("account")
	target := object + sign("GET", object, key) + "&multipart-manifest=get&symlink=get&format=json&filename=a%26b&inline&X-Amz-Signature=x"
	mt.Get(t, mt.Build(t, Filter, "", app), target)
	_, query, _ := strings.Cut(app.Last().URI, "?")
	got, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"multipart-manifest", "symlink", "format", "X-Amz-Signature"} {
		if got.Has(name) {
			t.Errorf("%s reached the app", name)
		}
	}
	if got.Get("filename") != "a&b" || !got.Has("inline") || got.Get("temp_url_expires") != "4102444800" || len(got.Get("temp_url_sig")) != 64 || len(got) != 4 {
		t.Errorf("query at the app: %s", query)
	}
}

func TestAWriteThatRefersToOthersIsRefused(t *testing.T) {
	for _, name := range []string{"X-Object-Manifest", "X-Symlink-Target", "X-Copy-From", "X_symlink-Target"} {
		for _, method := range []string{"PUT", "POST"} {
			app := keys("account")
			got := mt.Do(t, mt.Build(t, Filter, "", app), method, object+sign(method, object, key), func(r *http.Request) { r.Header[name] = []string{""} })
			want := "The header '" + strings.ReplaceAll(strings.ReplaceAll(name, "_s", "-S"), "_", "-") + "' is not allowed in this tempurl"
			if got.Code != 400 || got.Body != want || app.Last().Method == method {
				t.Errorf("%s with %s: got %d %q, want 400 %q", method, name, got.Code, got.Body, want)
			}
		}
	}
}

func TestLookupsAndCounters(t *testing.T) {
	host := mt.Host(t)
	var sent []string
	host.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) { sent = append(sent, packet) })
	app := keys("container")
	mt.Get(t, mt.BuildOn(t, host, Filter, "", app), object+sign("GET", object, key))
	for _, c := range app.Calls() {
		if c.Method == "HEAD" && c.State.Log.Source != "TU" {
			t.Errorf("lookup with source %q, want TU", c.State.Log.Source)
		}
	}
	if len(sent) != 1 || !strings.Contains(sent[0], "tempurl.digests.sha256:1|c") {
		t.Errorf("metrics %q", sent)
	}
}

func TestRanges(t *testing.T) {
	for _, tc := range []struct {
		text, remote string
		want         bool
	}{
		{"", "anything", true},
		{"192.0.2.1", "192.0.2.1:1", true},
		{"192.0.2.1", "192.0.2.2:1", false},
		{"192.0.2.0/24", "192.0.2.77:1", true},
		{"192.0.2.0/24", "[::ffff:192.0.2.77]:1", true},
		{"192.0.2.7/24", "192.0.2.77:1", false},
		{"192.0.2.0/255.255.255.0", "192.0.2.77:1", true},
		{"192.0.2.0/0.0.0.255", "192.0.2.77:1", true},
		{"192.0.2.77/255.255.255.255", "192.0.2.78:1", false},
		{"0.0.0.0/255.255.255.255", "192.0.2.78:1", false},
		{"0.0.0.0/0.0.0.0", "192.0.2.78:1", true},
		{"2001:db8::/32", "[2001:db8::1]:1", true},
		{"2001:db8::/32", "[2001:db9::1]:1", false},
		{"fe80::/10", "[fe80::1%eth0]:1", true},
		{"fe80::1%eth0", "[fe80::1%eth0]:1", false},
		{"2001:db8::/255.0.0.0", "[2001:db8::1]:1", false},
		{"192.0.2.0/24", "", false},
		{"192.0.2.0/24", "@", false},
		{"192.0.2.0/-1", "192.0.2.1:1", false},
		{"192.0.2.0/24/", "192.0.2.1:1", false},
		{"0300.0.2.1", "192.0.2.1:1", false},
	} {
		if got := (params{ipRange: tc.text}).allows(tc.remote); got != tc.want {
			t.Errorf("range %q, client %q: got %v, want %v", tc.text, tc.remote, got, tc.want)
		}
	}
}

func TestInfo(t *testing.T) {
	p := mt.BuildOn(t, mt.Host(t), Filter, `allowed_digests = "sha512 sha1 md5"`, mt.NewApp())
	got, err := json.Marshal(p.Info().Public["tempurl"])
	const want = `{"allowed_digests":["sha1","sha512"],"deprecated_digests":["sha1"],"incoming_allow_headers":[],"incoming_remove_headers":["x-timestamp","x-open-expired"],` +
		`"methods":["GET","HEAD","PUT","POST","DELETE"],"outgoing_allow_headers":["x-object-meta-public-*"],"outgoing_remove_headers":["x-object-meta-*"]}`
	if err != nil || string(got) != want {
		t.Errorf("/info: got %s, %v; want %s", got, err, want)
	}
}

func TestNoDigestsAreRefused(t *testing.T) {
	p, err := mt.TryBuild(mt.Host(t), Filter, `allowed_digests = "md5"`, mt.NewApp())
	if err == nil {
		p.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "test.toml:6") {
		t.Errorf("got %v, want an error of line 6", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, q := range []string{"temp_url_sig=x&temp_url_expires=1", "temp_url_expires=2100-01-01T00:00:00Z&temp_url_sig=sha1:AAAA", "%74emp_url_sig=&filename=%ff%0a\"&inline"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		p := parse(query, time.Unix(1000000000, 0))
		again := parse(p.query(), time.Unix(1000000000, 0))
		if p.valid && (again.prefix != p.prefix || again.hasPrefix != p.hasPrefix || again.expires != p.expires || again.filename != p.filename || again.ipRange != p.ipRange) {
			t.Errorf("%q: passed on as %q", query, p.query())
		}
		h := http.Header{}
		p.describe(h, apipath.Path{Version: "v1", Account: "a", Container: "c", Object: "o"})
		if v := h.Get("Content-Disposition"); strings.ContainsAny(v, "\r\n") || strings.Count(v, `"`)%2 != 0 {
			t.Errorf("%q: disposition %q", query, v)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "127.0.0.0/8", "::/0", "10.0.0.0/255.0.0.0", "/", "1.2.3.4/0.0.0.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parseRange(text)
		if !ok {
			return
		}
		address, _, _ := strings.Cut(text, "/")
		if a, err := netip.ParseAddr(address); err != nil || !p.Contains(a) || p.Addr() != a {
			t.Errorf("%q: %v", text, p)
		}
	})
}
