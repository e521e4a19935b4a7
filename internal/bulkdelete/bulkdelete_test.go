package bulkdelete_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/bulkdelete"
	"github.com/apus-storage/apus/internal/reply"
)

// pool makes one whose Send answers as codes says, by name; 204 if it says nothing.
func pool(o bulkdelete.Options, codes map[string]int) *bulkdelete.Pool {
	o.Concurrency, o.MaxFailed = max(o.Concurrency, 1), max(o.MaxFailed, 1)
	o.Log = slog.New(slog.DiscardHandler)
	if o.Send == nil {
		o.Send = func(_ context.Context, t bulkdelete.Target) int {
			if code := codes[t.Name]; code != 0 {
				return code
			}
			return http.StatusNoContent
		}
	}
	return bulkdelete.New(o)
}

func TestReport(t *testing.T) {
	for _, test := range []struct {
		name    string
		max     int
		targets []string
		codes   map[string]int
		refused *reply.Error
		want    string
	}{
		{"all", 9, []string{"a", "b"}, nil, nil, text(2, 0, "", "200 OK", "")},
		{"nothing", 9, nil, nil, nil, text(0, 0, "Invalid bulk delete.", "400 Bad Request", "")},
		{"missing", 9, []string{"a"}, map[string]int{"a": 404}, nil, text(0, 1, "", "200 OK", "")},
		{"a failure", 9, []string{"a b", "b"}, map[string]int{"a b": 403}, nil, text(1, 0, "", "400 Bad Request", "a%20b, 403 Forbidden\n")},
		{"a server's failure", 9, []string{"a", "b"}, map[string]int{"a": 507}, nil, text(1, 0, "", "502 Bad Gateway", "a, 507 Insufficient Storage\n")},
		{"too many failures", 1, []string{"a", "b"}, map[string]int{"a": 403}, nil, text(0, 0, "Max delete failures exceeded", "400 Bad Request", "a, 403 Forbidden\n")},
		{"too many at the end", 1, []string{"b", "a"}, map[string]int{"a": 403}, nil, text(1, 0, "Max delete failures exceeded", "400 Bad Request", "a, 403 Forbidden\n")},
		{"another reason", 9, []string{"a"}, nil, reply.Raw(413, "why"), text(1, 0, "why", "413 Request Entity Too Large", "")},
	} {
		p := pool(bulkdelete.Options{MaxFailed: test.max}, test.codes)
		var err error
		for _, name := range test.targets {
			err = p.Delete(t.Context(), bulkdelete.Target{Name: name})
		}
		r := p.Report(test.refused)
		if got := r.Format("", ""); got != test.want {
			t.Errorf("%s: %s\nwant %s", test.name, got, test.want)
		}
		if stopped := errors.Is(err, bulkdelete.ErrExhausted); stopped != (test.name == "too many failures") {
			t.Errorf("%s: the last one: %v", test.name, err)
		}
	}
}

func text(deleted, missing int, body, status, errs string) string {
	return fmt.Sprintf("Number Deleted: %d\nNumber Not Found: %d\nResponse Body: %s\nResponse Status: %s\nErrors:\n%s", deleted, missing, body, status, errs)
}

func TestKnownBeforehand(t *testing.T) {
	p := pool(bulkdelete.Options{MaxFailed: 1}, nil)
	p.Missing()
	p.Deleted()
	p.Fail("a b", "412 Precondition Failed")
	// Only what was asked for and failed ends the work.
	if err := p.Delete(t.Context(), bulkdelete.Target{Name: "c"}); err != nil {
		t.Error(err)
	}
	r := p.Report(nil)
	want := text(2, 1, "Max delete failures exceeded", "400 Bad Request", "a%20b, 412 Precondition Failed\n")
	if got := r.Format("", ""); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestPanicsAreFailures(t *testing.T) {
	p := pool(bulkdelete.Options{MaxFailed: 9, Send: func(_ context.Context, t bulkdelete.Target) int {
		if t.Name == "abort" {
			panic(http.ErrAbortHandler)
		}
		panic("no")
	}}, nil)
	for _, name := range []string{"abort", "b"} {
		if err := p.Delete(t.Context(), bulkdelete.Target{Name: name}); err != nil {
			t.Error(err)
		}
	}
	r := p.Report(nil)
	want := text(0, 0, "", "502 Bad Gateway", "abort, 500 Internal Error\nb, 500 Internal Error\n")
	if got := r.Format("", ""); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		var mu sync.Mutex
		p := pool(bulkdelete.Options{Concurrency: 3, Send: func(context.Context, bulkdelete.Target) int {
			n := now.Add(1)
			mu.Lock()
			most.Store(max(most.Load(), n))
			mu.Unlock()
			time.Sleep(time.Second)
			now.Add(-1)
			return 204
		}}, nil)
		start := time.Now()
		for range 9 {
			if err := p.Delete(t.Context(), bulkdelete.Target{}); err != nil {
				t.Error(err)
			}
		}
		p.Wait()
		if took := time.Since(start); took != 3*time.Second || most.Load() != 3 {
			t.Errorf("took %v, at most %d at the same time", took, most.Load())
		}
	})
}

func TestEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n := 0
		p := pool(bulkdelete.Options{Retries: 9, Send: func(context.Context, bulkdelete.Target) int { n++; return 409 }}, nil)
		start := time.Now()
		if err := p.Delete(ctx, bulkdelete.Target{}); err != nil {
			t.Error(err)
		}
		if err := p.Delete(ctx, bulkdelete.Target{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the second one: %v", err)
		}
		p.Wait()
		if took := time.Since(start); took != time.Second || n != 1 {
			t.Errorf("took %v, %d were sent", took, n)
		}
	})
}
