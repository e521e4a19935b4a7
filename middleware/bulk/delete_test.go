package bulk

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func deleted(n, missing int, status, body string, errs ...string) string {
	s := fmt.Sprintf("Number Deleted: %d\nNumber Not Found: %d\nResponse Body: %s\nResponse Status: %s\nErrors:\n", n, missing, body, status)
	for _, e := range errs {
		s += e + "\n"
	}
	return s
}

func TestDelete(t *testing.T) {
	gone := func() *mt.App { return mt.NewApp().Otherwise(mt.Answer{Code: 204}) }
	for _, test := range []struct {
		name, body, toml string
		app              *mt.App
		want             string
		calls            []string
	}{
		{"objects before containers", "c\n/c/a\nd/\nc/b%20c\r\n  c/d  \n", "", gone(), deleted(5, 0, "200 OK", ""),
			[]string{"DELETE /v1/AUTH_t/c/a", "DELETE /v1/AUTH_t/c/b c", "DELETE /v1/AUTH_t/c/d", "DELETE /v1/AUTH_t/c", "DELETE /v1/AUTH_t/d/"}},
		{"what is missing", "c/a\nc/b", "", gone().On("DELETE /v1/AUTH_t/c/a", mt.Answer{Code: 404}), deleted(1, 1, "200 OK", ""),
			[]string{"DELETE /v1/AUTH_t/c/a", "DELETE /v1/AUTH_t/c/b"}},
		{"not all", "c/%E2%98%83\nc/b\nc", "", gone().On("DELETE /v1/AUTH_t/c", mt.Answer{Code: 409}).On("DELETE /v1/AUTH_t/c/\u2603", mt.Answer{Code: 403}),
			deleted(1, 0, "400 Bad Request", "", "c/%E2%98%83, 403 Forbidden", "c, 409 Conflict"), []string{"DELETE /v1/AUTH_t/c/\u2603", "DELETE /v1/AUTH_t/c/b", "DELETE /v1/AUTH_t/c"}},
		{"nobody is let in, twice", "c/a\nc/b", "", mt.NewApp().Otherwise(mt.Answer{Code: 401}), deleted(0, 0, "400 Bad Request", "", "c/a, 401 Unauthorized", "c/b, 401 Unauthorized"),
			[]string{"DELETE /v1/AUTH_t/c/a", "DELETE /v1/AUTH_t/c/b"}},
		{"a server fails", "c/a\nc/b", "", gone().On("DELETE /v1/AUTH_t/c/b", mt.Answer{Code: 503}), deleted(1, 0, "502 Bad Gateway", "", "c/b, 503 Service Unavailable"),
			[]string{"DELETE /v1/AUTH_t/c/a", "DELETE /v1/AUTH_t/c/b"}},
		{"too many failures", "c/a\nc/b\nc/c\nc", "max_failed_deletes = 2", mt.NewApp().Otherwise(mt.Answer{Code: 403}), deleted(0, 0, "400 Bad Request", "Max delete failures exceeded", "c/a, 403 Forbidden", "c/b, 403 Forbidden"),
			[]string{"DELETE /v1/AUTH_t/c/a", "DELETE /v1/AUTH_t/c/b"}},
		{"names that are none", "%FF/x\nc/%00\n", "", gone(), deleted(0, 0, "400 Bad Request", "", "%FF/x, 412 Precondition Failed", "c/%00, 412 Precondition Failed"), nil},
		{"not the account", "/\n//\nc//\n", "", gone(), deleted(1, 0, "400 Bad Request", "", "/, 403 Forbidden", "//, 403 Forbidden"), []string{"DELETE /v1/AUTH_t/c//"}},
		{"dots are names", "../AUTH_other/c/o", "", gone(), deleted(1, 0, "200 OK", ""), []string{"DELETE /v1/AUTH_t/../AUTH_other/c/o"}},
		{"a query is a part of the name", "c/o%3Fmultipart-manifest=delete", "", gone(), deleted(1, 0, "200 OK", ""), []string{"DELETE /v1/AUTH_t/c/o?multipart-manifest=delete"}},
		{"empty lines", "\n\n \n", "", gone(), deleted(0, 0, "400 Bad Request", "Invalid bulk delete."), nil},
		{"as many names as may be", "c/a\nc/b\n", "max_deletes_per_request = 2", gone(), deleted(2, 0, "200 OK", ""), []string{"DELETE /v1/AUTH_t/c/a", "DELETE /v1/AUTH_t/c/b"}},
		{"one more", "c/a\nc/b\nc/c", "max_deletes_per_request = 2", gone(), deleted(0, 0, "413 Request Entity Too Large", "Maximum Bulk Deletes: 2 per request"), nil},
		{"one more, empty", "c/a\nc/b\n\n", "max_deletes_per_request = 2", gone(), deleted(0, 0, "413 Request Entity Too Large", "Maximum Bulk Deletes: 2 per request"), nil},
		{"a line too long", "c/a\nc/" + strings.Repeat("b", 3000), "", gone(), deleted(0, 0, "400 Bad Request", "Invalid File Name"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, method := range []string{"POST", "DELETE"} {
				test.app.Forget()
				toml := test.toml + "\ndelete_concurrency = 1"
				res := mt.Do(t, mt.Build(t, Filter, toml, test.app), method, "/v1/AUTH_t?bulk-delete=x", mt.Body(test.body))
				if res.Code != 200 || res.Body != test.want {
					t.Errorf("%d %s\nwant %s", res.Code, res.Body, test.want)
				}
				if diff := cmp.Diff(test.calls, test.app.URIs()); diff != "" {
					t.Errorf("subrequests, -want +got\n%s", diff)
				}
			}
		})
	}
}

func TestDeleteRequests(t *testing.T) {
	app := mt.NewApp().Otherwise(mt.Answer{Code: 204})
	h := mt.Build(t, Filter, "", app)
	do := func(target, body string, options ...mt.Option) string {
		return mt.Do(t, h, "POST", target, append(options, mt.Body(body))...).Body
	}
	all := deleted(1, 0, "200 OK", "")
	if got := do("/v1/AUTH_t/c/ignored?bulk-delete", "d/o", mt.Header("Content-Type", "text/plain; charset=x"), mt.Header("X-Auth-Token", "tok"),
		mt.Header("X-Object-Meta-A", "b"), mt.Header("User-Agent", "me")); got != all {
		t.Error(got)
	}
	call := app.Last()
	want := http.Header{"X-Auth-Token": {"tok"}, "User-Agent": {"me BulkDelete"}}
	if diff := cmp.Diff(want, call.Header); diff != "" || call.URI != "/v1/AUTH_t/d/o" || call.Body != "" || call.State.Log.Source != "BD" {
		t.Errorf("%s asked with, -want +got\n%s, body %q, state %+v", call.URI, diff, call.Body, call.State)
	}
	app.Forget()
	if got := do("/v1/AUTH_t?bulk-delete", "", mt.Header("Content-Length", "0")); got != deleted(0, 0, "400 Bad Request", "Invalid bulk delete.") {
		t.Error(got)
	}
	if got := do("/v1/AUTH_t?bulk-delete", ""); got != deleted(0, 0, "411 Length Required", "") {
		t.Error(got)
	}
	if got := do("/v1?bulk-delete", "c/o"); got != deleted(0, 0, "404 Not Found", "") {
		t.Error(got)
	}
	if got := do("/v1/AUTH_t?bulk-delete", "c/o", mt.Header("Content-Type", "application/json")); got != deleted(0, 0, "406 Not Acceptable", "") {
		t.Error(got)
	}
	if got := do("/v1/AUTH_t?bulk-delete", "c/o", mt.Header("Accept", "image/png")); got != deleted(0, 0, "406 Not Acceptable", "") {
		t.Error(got)
	}
	if calls := app.URIs(); len(calls) > 0 {
		t.Errorf("%q", calls)
	}
}

func TestConflictsAreTriedAgain(t *testing.T) {
	const body = "c/o\nc\n"
	conflict := mt.Answer{Code: 409}
	for _, test := range []struct {
		retries string
		took    time.Duration
		want    string
	}{
		{"0", 0, deleted(1, 0, "400 Bad Request", "", "c, 409 Conflict")},
		{"1", 1500 * time.Millisecond, deleted(1, 0, "400 Bad Request", "", "c, 409 Conflict")},
		{"4", 3750 * time.Millisecond, deleted(2, 0, "200 OK", "")},
	} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 204}).On("DELETE /v1/AUTH_t/c", conflict, conflict, mt.Answer{Code: 204})
		h := mt.Build(t, Filter, "delete_container_retry_count = "+test.retries, app)
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			res := mt.Do(t, h, "POST", "/v1/AUTH_t?bulk-delete", mt.Body(body))
			if took := time.Since(start); res.Body != test.want || took != test.took {
				t.Errorf("%s retries: %s after %v, want %s after %v", test.retries, res.Body, took, test.want, test.took)
			}
		})
	}
}

func TestDeletesSoManyAtTheSameTime(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	var order []string
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		now--
		order = append(order, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	})
	h := mt.Build(t, Filter, "delete_concurrency = 5", app)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		mt.Do(t, h, "POST", "/v1/AUTH_t?bulk-delete", mt.Body("c\nc/1\nc/2\nc/3\nc/4\nc/5\nc/6\nc/7\n"))
		if took := time.Since(start); took != 3*time.Second || most != 5 || order[len(order)-1] != "/v1/AUTH_t/c" {
			t.Errorf("took %v, at most %d at the same time, in the order %q", took, most, order)
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"", "c/o\n", "c/o", "\n\n", "%zz\n%41%", "c/\xff\r\n c ", strings.Repeat("x", 40), "a\nb\nc\nd\ne\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		const limit, longest = 4, 30
		names, err := readNames(io.MultiReader(strings.NewReader(body)), limit, longest)
		lines := strings.Split(body, "\n")
		if len(lines) > 0 && strings.Trim(lines[len(lines)-1], " \t\r\v\f") == "" {
			lines = lines[:len(lines)-1]
		}
		tooLong := slices.ContainsFunc(strings.Split(body, "\n"), func(l string) bool { return len(l) > longest })
		if err != nil {
			if len(lines) <= limit && !tooLong {
				t.Fatalf("%q is refused: %v", body, err)
			}
			return
		}
		if len(lines) > limit {
			t.Fatalf("%q has %d lines", body, len(lines))
		}
		for _, name := range names {
			if name == "" || len(name) > longest {
				t.Fatalf("%q has the name %q", body, name)
			}
		}
	})
}
