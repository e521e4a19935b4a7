package containerquotas

import (
	"net/http"
	"testing"

	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// The suite does not know the lookup that comes before an object PUT, so it is run on a container.
func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0), mt.Path("/v1/AUTH_test/c")) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

const tooLarge = "Upload exceeds quota."

func TestUploads(t *testing.T) {
	for _, tc := range []struct {
		name                       string
		bytes, count               string // quotas
		used, objects              string
		method, path, body, length string
		code                       int
	}{
		{"fills the container", "10", "", "4", "1", "PUT", "/v1/a/c/o", "123456", "", 201},
		{"is a byte too long", "10", "", "4", "1", "PUT", "/v1/a/c/o", "1234567", "", 413},
		{"is the last that may come", "", "2", "4", "1", "PUT", "/v1/a/c/o", "1", "", 201},
		{"is one too many", "", "1", "4", "1", "PUT", "/v1/a/c/o", "", "", 413},
		{"finds a quota of nothing", "0", "", "0", "0", "PUT", "/v1/a/c/o", "1", "", 413},
		{"is empty and finds a quota of no bytes", "0", "", "0", "0", "PUT", "/v1/a/c/o", "", "", 201},
		{"is of unknown length and finds room", "10", "", "10", "1", "PUT", "/v1/a/c/o", "1234567", "-1", 201},
		{"is of unknown length and finds none", "10", "", "11", "1", "PUT", "/v1/a/c/o", "1234567", "-1", 413},
		{"finds a quota that is no number", "ten", "-1", "4", "1", "PUT", "/v1/a/c/o", "1234567", "", 201},
		{"finds a quota that no machine can count", "99999999999999999999", "99999999999999999999", "4", "1", "PUT", "/v1/a/c/o", "1", "", 201},
		{"finds no numbers in the container", "10", "10", "", "", "PUT", "/v1/a/c/o", "1234567", "", 201},
		{"is of an odd name", "10", "", "10", "1", "PUT", "/v1/a/c//../x/", "1", "", 413},
		{"is a POST", "0", "0", "4", "1", "POST", "/v1/a/c/o", "1", "", 202},
		{"is a DELETE", "0", "0", "4", "1", "DELETE", "/v1/a/c/o", "", "", 204},
	} {
		app := mt.NewApp().
			On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{
				"X-Container-Meta-Quota-Bytes": tc.bytes, "X-Container-Meta-Quota-Count": tc.count,
				"X-Container-Bytes-Used": tc.used, "X-Container-Object-Count": tc.objects,
			}}).
			On("POST /v1/a/c/o", mt.Answer{Code: 202}).On("DELETE /v1/a/c/o", mt.Answer{Code: 204}).Otherwise(mt.Answer{Code: 201})
		res := mt.Do(t, mt.Build(t, Filter, "", app), tc.method, tc.path, mt.Body(tc.body), func(r *http.Request) {
			if tc.length != "" {
				r.ContentLength = -1
			}
		})
		if res.Code != tc.code || tc.code == 413 && (res.Body != tooLarge || app.Last().Method == "PUT") {
			t.Errorf("an upload that %s: %s %s of %q with quotas %q, %q: got %d %q after %v, want %d",
				tc.name, tc.method, tc.path, tc.body, tc.bytes, tc.count, res.Code, res.Body, app.URIs(), tc.code)
		}
	}
}

func TestVersionsCount(t *testing.T) {
	for body, want := range map[string]int{"123": 201, "1234": 413} {
		app := mt.NewApp().
			On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{
				"X-Container-Meta-Quota-Bytes": "10", "X-Container-Bytes-Used": "2", "X-Container-Sysmeta-Versions-Container": "%00versions%00c",
			}}).
			On("HEAD /v1/a/\x00versions\x00c", mt.Answer{Code: 204, Header: map[string]string{"X-Container-Bytes-Used": "5"}}).
			Otherwise(mt.Answer{Code: 201})
		if res := mt.Do(t, mt.Build(t, Filter, "", app), "PUT", "/v1/a/c/o", mt.Body(body)); res.Code != want {
			t.Errorf("%d bytes where 7 of 10 are used with the versions: got %d after %q, want %d", len(body), res.Code, app.URIs(), want)
		}
	}
}

func TestLookups(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
	}{{"a container that is missing", 404}, {"a container that cannot be asked for", 503}} {
		app := mt.NewApp().On("HEAD /v1/a/c", mt.Answer{Code: tc.code, Header: map[string]string{"X-Container-Meta-Quota-Count": "0"}}).
			On("PUT /v1/a/c/o", mt.Answer{Code: 201})
		res := mt.Do(t, mt.Build(t, Filter, "", app), "PUT", "/v1/a/c/o")
		if res.Code != 201 || app.Calls()[0].State.Log.Source != "CQ" {
			t.Errorf("%s: got %d, want the app's 201 after a lookup by CQ; %v", tc.name, res.Code, app.URIs())
		}
	}
}

// TestTheRefusalIsTheUsers checks that the access list decides before the quota does.
func TestTheRefusalIsTheUsers(t *testing.T) {
	for _, tc := range []struct {
		name      string
		authorize func(*http.Request) error
		want      int
	}{
		{"nobody guards the pipeline", nil, 413},
		{"the user may write", func(r *http.Request) error {
			if got := request.From(r.Context()).ACL; got != "writers" {
				t.Errorf("asked with the list %q, want the write list", got)
			}
			return nil
		}, 413},
		{"the user may not write", func(*http.Request) error { return reply.Status(403) }, 403},
	} {
		app := mt.NewApp().On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{
			"X-Container-Meta-Quota-Count": "0", "X-Container-Read": "readers", "X-Container-Write": "writers",
		}})
		h := mt.Build(t, Filter, "", app)
		res := mt.Do(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, request.With(r, &request.State{Infos: &request.Infos{}, Authorize: tc.authorize}))
		}), "PUT", "/v1/a/c/o")
		if res.Code != tc.want {
			t.Errorf("%s: got %d %q, want %d", tc.name, res.Code, res.Body, tc.want)
		}
	}
}

func FuzzExceeds(f *testing.F) {
	for _, q := range []string{"", "0", "10", "-1", "9223372036854775807", "9223372036854775808", " 1", "1e3"} {
		f.Add(int64(5), int64(3), q)
	}
	f.Fuzz(func(t *testing.T, used, more int64, quota string) {
		used, more = max(used, 0), max(more, 0)
		if exceeds(used, more, quota) && (!digits(quota) || len(quota) > 19 && quota[0] != '0') {
			t.Errorf("used %d, more %d, quota %q: refused", used, more, quota)
		}
		if digits(quota) && exceeds(used, more, quota+"0") && !exceeds(used, more, quota) {
			t.Errorf("used %d, more %d: more is allowed by %q than by ten times as much", used, more, quota)
		}
	})
}
