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
