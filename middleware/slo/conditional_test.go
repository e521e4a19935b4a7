package slo

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// TestDeletionsOnCondition has the manifest decide: before it has gone, none of its segments goes, and none is given to the
// expirer.
func TestDeletionsOnCondition(t *testing.T) {
	const at, later = "1700000000.00000", "1700000001.00000"
	for _, test := range []struct {
		name      string
		condition []string
		stored    string
		denied    int
		code      int
		gone      bool
	}{
		{"it holds", []string{"X-Backend-If-Data-Timestamp", at}, at, 0, 204, true},
		{"the manifest is another", []string{"X-Backend-If-Data-Timestamp", later}, at, 0, 412, false},
		{"replaced meanwhile", []string{"X-Backend-If-Data-Timestamp", at}, at, 412, 412, false},
		{"somebody else writes", []string{"X-Backend-If-Data-Timestamp", at}, at, 409, 409, false},
		{"in doubt", []string{"X-Backend-If-Data-Timestamp", at}, at, 503, 503, false},
		{"nobody promises", []string{"X-Backend-If-Match", "*"}, at, 501, 501, false},
		{"nodes do not say", []string{"X-Backend-If-Match", "*"}, "", 0, 501, false},
		{"any", []string{"X-Backend-If-Match", "*"}, at, 0, 204, true},
		{"no time", []string{"X-Backend-If-Data-Timestamp", "x"}, at, 0, 400, false},
	} {
		for _, query := range []string{"&async=on", ""} {
			s := newStore().set("/v1/AUTH_test/s/a", "a").set("/v1/AUTH_test/s/b", "b").
				manifest(film, "["+seg("a", "a")+", "+seg("b", "b")+"]", "X-Backend-Data-Timestamp", test.stored)
			if test.denied != 0 {
				s.denied["DELETE "+film] = test.denied
			}
			var queued atomic.Bool
			app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "UPDATE" || r.Method == "DELETE" && r.URL.Path != film {
					if s.has(film) {
						t.Errorf("%s%s: %s %s while the manifest is there", test.name, query, r.Method, r.URL.Path)
					}
					for name := range r.Header {
						if strings.HasPrefix(name, "X-Backend-If-") {
							t.Errorf("%s%s: %s %s has %s", test.name, query, r.Method, r.URL.Path, name)
						}
					}
				}
				if r.Method == "UPDATE" {
					queued.Store(true)
				}
				s.ServeHTTP(w, r)
			})
			res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "", app), "DELETE", film+"?multipart-manifest=delete"+query,
				middlewaretest.Header(test.condition[0], test.condition[1]))
			want := test.code
			if query == "" && want == 204 {
				want = 200 // a report
			}
			if res.Code != want {
				t.Errorf("%s%s: %d %q, want %d", test.name, query, res.Code, res.Body, want)
			}
			if got := s.headers["DELETE "+film].Get("X-Backend-If-Data-Timestamp"); test.gone && got != at {
				t.Errorf("%s%s: the manifest was deleted if its time was %q", test.name, query, got)
			}
			manifest, segment := s.has(film), s.has("/v1/AUTH_test/s/b")
			if manifest == test.gone || queued.Load() != (test.gone && query != "") || segment == (test.gone && query == "") {
				t.Errorf("%s%s: there are the manifest: %v, a segment: %v, jobs: %v", test.name, query, manifest, segment, queued.Load())
			}
		}
	}
}

// TestReportsOnDeletionsOnCondition is about the answer: once the manifest has gone, no answer says that nothing happened, and where
// nothing did, the manifest is there.
func TestReportsOnDeletionsOnCondition(t *testing.T) {
	const a, b = "/v1/AUTH_test/s/a", "/v1/AUTH_test/s/b"
	for _, test := range []struct {
		name   string
		toml   string
		parts  string
		denied map[string]int
		accept string
		code   int
		want   string
		gone   bool
	}{
		{"all", "", seg("a", "a") + ", " + seg("b", "b"), nil, "", 200,
			"Number Deleted: 3\nNumber Not Found: 0\nResponse Body: \nResponse Status: 200 OK\nErrors:\n", true},
		{"segments that are not there", "", seg("x", "x"), nil, "", 200,
			"Number Deleted: 1\nNumber Not Found: 1\nResponse Body: \nResponse Status: 200 OK\nErrors:\n", true},
		{"no segment but data", "", `{"data": "YQ=="}`, nil, "", 200,
			"Number Deleted: 1\nNumber Not Found: 0\nResponse Body: \nResponse Status: 200 OK\nErrors:\n", true},
		{"segments that may not be deleted", "", seg("a", "a") + ", " + seg("b", "b"), map[string]int{"DELETE " + a: 403, "DELETE " + b: 403}, "", 200,
			"Number Deleted: 1\nNumber Not Found: 0\nResponse Body: \nResponse Status: 400 Bad Request\nErrors:\n/s/a, 403 Forbidden\n/s/b, 403 Forbidden\n", true},
		{"a server that fails", "", seg("a", "a"), map[string]int{"DELETE " + a: 503}, "", 200,
			"Number Deleted: 1\nNumber Not Found: 0\nResponse Body: \nResponse Status: 502 Bad Gateway\nErrors:\n/s/a, 503 Service Unavailable\n", true},
		{"too many inside", "max_manifest_segments = 2", sub("inner", 1), nil, "", 200,
			"Number Deleted: 1\nNumber Not Found: 0\nResponse Body: Too many buffered slo segments to delete.\nResponse Status: 400 Bad Request\nErrors:\n", true},
		{"too many", "max_manifest_segments = 2", strings.Repeat(seg("a", "a")+", ", 20) + seg("a", "a"), nil, "", 400, "Too many buffered slo segments to delete.", false},
		{"a report that nobody can read", "", seg("a", "a"), nil, "image/png", 406, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore().set(a, "a").set(b, "b").manifest(film, "["+test.parts+"]", "X-Backend-Data-Timestamp", "1700000000.00000").
				manifest("/v1/AUTH_test/c/inner", "["+strings.Repeat(seg("a", "a")+", ", 20)+seg("a", "a")+"]")
			s.denied = test.denied
			options := []middlewaretest.Option{middlewaretest.Header("X-Backend-If-Data-Timestamp", "1700000000.00000"), middlewaretest.Header("Accept", test.accept)}
			res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, test.toml+"\ndelete_concurrency = 1", s), "DELETE", film+"?multipart-manifest=delete", options...)
			if res.Code != test.code || res.Body != test.want {
				t.Errorf("%d\n%s\nwant %d\n%s", res.Code, res.Body, test.code, test.want)
			}
			if gone := !s.has(film); gone != test.gone {
				t.Errorf("the manifest has gone: %v, want %v", gone, test.gone)
			}
		})
	}
}
