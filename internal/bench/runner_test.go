package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/bench/benchtest"
	"github.com/apus-storage/apus/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTestRunner makes a runner for a fake account.
func newTestRunner(t *testing.T, fake *benchtest.Swift, cfg Config, o Options) *Runner {
	t.Helper()
	srv := httptest.NewServer(fake)
	t.Cleanup(srv.Close)
	if o.Transport == nil {
		tr := NewTransport(cfg.Concurrency)
		t.Cleanup(tr.CloseIdleConnections)
		o.Transport = tr
	}
	cred := Credentials{URL: srv.URL + "/auth/v1.0", User: benchtest.User, Key: benchtest.Key}
	target, err := Authenticate(t.Context(), o.Transport, cred)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(cfg, target, o)
	if err != nil {
		t.Fatal(err)
	}
	r.retry = 0
	return r
}

// runAll runs the plan once and returns the side's report.
func runAll(t *testing.T, ctx context.Context, r *Runner) SideReport {
	t.Helper()
	rep, err := Run(ctx, []*Side{{Name: "A", Runner: r}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return rep.Sides[0]
}

// counts lists "operation count/errors" of each row.
func counts(rows []Row) string {
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%s %d/%d", r.Operation, r.Count, r.Errors))
	}
	return strings.Join(out, " ")
}

func TestEveryOperationGoesThrough(t *testing.T) {
	fake := benchtest.New()
	r := newTestRunner(t, fake, testConfig(t, "put,get,head,post,list,put,delete"), Options{})
	s := runAll(t, t.Context(), r)
	const want = "put 21/0 get 21/0 head 21/0 post 21/0 list 21/0 put#2 21/0 delete 21/0"
	if got := counts(s.Rows); got != want || len(s.Notes) > 0 {
		t.Errorf("rows %s, notes %q; want %s", got, s.Notes, want)
	}
	if n := fake.Objects(); n != 0 {
		t.Errorf("%d objects are left", n)
	}
	before := len(fake.Requests())
	if err := r.Clean(t.Context()); err != nil || fake.Containers() != 0 {
		t.Errorf("Clean: %v, %d containers left", err, fake.Containers())
	}
	if n := len(fake.Requests()) - before; n != 2 {
		t.Errorf("Clean of what is surely gone took %d requests, want 2, one per container", n)
	}
}

func TestSameSeedSendsTheSameRequests(t *testing.T) {
	requests := func(seed uint64) []string {
		fake := benchtest.New()
		cfg := testConfig(t, "put,get=5,put=2,delete=3,list=1")
		cfg.Count, cfg.Seed = 100, seed
		runAll(t, t.Context(), newTestRunner(t, fake, cfg, Options{}))
		return fake.Requests()
	}
	first := requests(7)
	if again := requests(7); !slices.Equal(first, again) {
		t.Error("two runs under seed 7 differ")
	}
	if other := requests(8); slices.Equal(first, other) {
		t.Error("seeds 7 and 8 send the same")
	}
}

func TestMixedPhaseIsSummedUp(t *testing.T) {
	proc := fstest.MapFS{"10/stat": process(1, 100, 0, 0, 0, 5)}
	cpu, err := NewCPU(proc, []int{10}, false)
	if err != nil {
		t.Fatal(err)
	}
	fake := benchtest.New()
	var gets atomic.Int64
	fake.Spoil = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		if r.Method == http.MethodGet && gets.Add(1) == 1 {
			proc["10/stat"] = process(1, 200, 0, 0, 0, 5) // the server has worked for a second
		}
		return false
	}
	cfg := testConfig(t, "get=60,put=20,delete=20")
	cfg.Prepare, cfg.Count = true, 200
	s := runAll(t, t.Context(), newTestRunner(t, fake, cfg, Options{Servers: cpu}))
	rows := s.Rows
	if len(rows) != 4 || rows[3].Operation != "mix" || rows[3].Count != 200 || rows[3].Errors != 0 {
		t.Fatalf("rows %s, want three operations and a mix of 200", counts(rows))
	}
	if rows[0].OpsPerCPUSecond != nil || rows[3].OpsPerCPUSecond == nil || *rows[3].OpsPerCPUSecond != 200 {
		t.Errorf("processor time is charged to %+v and %+v; want only to the mix, 200/s", rows[0], rows[3])
	}
}

func TestPrepareRefillsBetweenRounds(t *testing.T) {
	fake := benchtest.New()
	cfg := testConfig(t, "get,delete")
	cfg.Prepare = true
	r := newTestRunner(t, fake, cfg, Options{})
	rep, err := Run(t.Context(), []*Side{{Name: "A", Runner: r}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := counts(rep.Sides[0].Rows), "get 63/0 delete 63/0"; got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
}

func TestFaultsAreCountedByKind(t *testing.T) {
	for _, tc := range []struct {
		name, ops string
		spoil     func(w http.ResponseWriter, r *http.Request, body []byte) bool
		kind      string
		example   string
	}{
		{"status", "put", func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if !strings.Contains(r.URL.Path, "/o-") {
				return false
			}
			w.Header().Set("X-Trans-Id", "tx77")
			http.Error(w, "try\nlater", http.StatusServiceUnavailable)
			return true
		}, "503", "503 Service Unavailable (transaction tx77) try later"},
		{"bit flip", "get", func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
			if r.Method == http.MethodGet && len(body) > 50 {
				body[50] ^= 1
			}
			return false
		}, faultContent, "byte 50 differs"},
		{"short object", "get", func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			if r.Method != http.MethodGet || len(body) == 0 {
				return false
			}
			w.Write(body[:len(body)-1])
			return true
		}, faultLength, "bytes, want"},
		{"connection cut in the body", "get", func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			if r.Method != http.MethodGet || len(body) == 0 {
				return false
			}
			w.Header().Set("Content-Length", "100")
			w.Write(body[:10])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, faultCutOff, "unexpected EOF"},
		{"wrong etag", "put", func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if !strings.Contains(r.URL.Path, "/o-") {
				return false
			}
			w.Header().Set("Etag", "d41d")
			w.WriteHeader(http.StatusCreated)
			return true
		}, faultEtag, `Etag "d41d"`},
		{"wrong length of a HEAD", "head", func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.Method != http.MethodHead {
				return false
			}
			w.Header().Set("Content-Length", "5")
			return true
		}, faultLength, "Content-Length 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := benchtest.New()
			fake.Spoil = tc.spoil
			cfg := testConfig(t, tc.ops)
			cfg.Prepare = tc.ops != "put"
			s := runAll(t, t.Context(), newTestRunner(t, fake, cfg, Options{}))
			row := s.Rows[0]
			if row.Errors == 0 || row.Count+row.Errors != 21 || len(row.Faults) != 1 {
				t.Fatalf("row %+v, want 21 in all with one kind of fault", row)
			}
			if f := row.Faults[0]; f.Kind != tc.kind || !strings.Contains(f.Example, tc.example) || f.Count != row.Errors {
				t.Errorf("fault %+v, want %s with %q", f, tc.kind, tc.example)
			}
		})
	}
}

func TestTimeoutIsItsOwnKind(t *testing.T) {
	fake := benchtest.New()
	cfg := testConfig(t, "head")
	cfg.Prepare, cfg.Count = true, 4
	r := newTestRunner(t, fake, cfg, Options{})
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.rt = roundTripper(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	r.cfg.Timeout = time.Millisecond
	res, err := r.RunPhase(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if row := res.rows()[0]; row.Errors != 4 || row.Faults[0].Kind != faultTimeout {
		t.Errorf("row %+v, want 4 timeouts", row)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestServerThatOnlyFailsIsGivenUp(t *testing.T) {
	fake := benchtest.New()
	fake.Spoil = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !strings.Contains(r.URL.Path, "/o-") {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	cfg := testConfig(t, "put")
	cfg.Count = 100_000
	s := runAll(t, t.Context(), newTestRunner(t, fake, cfg, Options{}))
	if n := s.Rows[0].Errors; n != 4*giveUpAfter || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "gave up") {
		t.Errorf("%d errors, notes %q; want %d and a note", n, s.Notes, 4*giveUpAfter)
	}
}

func TestPhaseEndsWithItsTimeOrItsObjects(t *testing.T) {
	// Each look at the clock is a millisecond later, so 100 ms are over after a few dozen requests.
	var ticks atomic.Int64
	moving := clock.Func(func() time.Time { return time.Unix(1000, 0).Add(time.Duration(ticks.Add(1)) * time.Millisecond) })
	fake := benchtest.New()
	cfg := testConfig(t, "put,delete")
	cfg.Count, cfg.Duration = 0, 100*time.Millisecond
	s := runAll(t, t.Context(), newTestRunner(t, fake, cfg, Options{Clock: moving}))
	if n := s.Rows[0].Count; n < 20 || n > 100 {
		t.Errorf("%d PUTs in 100 ms of a clock that moves 3 ms for each, want about 33", n)
	}
	var put []string
	for _, request := range fake.Requests() {
		if strings.HasPrefix(request, "PUT ") && strings.Contains(request, "/o-") {
			put = append(put, request)
		}
	}
	want := uint64(len(slices.Compact(put)))
	if n := s.Rows[1].Count; n != want || !slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, "ran out of objects") }) {
		t.Errorf("%d DELETEs, notes %q; want each of %d objects once, and a note", n, s.Notes, want)
	}
}

func TestInterruptKeepsWhatWasDone(t *testing.T) {
	fake := benchtest.New()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var n atomic.Int64
	fake.Spoil = func(http.ResponseWriter, *http.Request, []byte) bool {
		if n.Add(1) == 12 {
			cancel()
		}
		return false
	}
	r := newTestRunner(t, fake, testConfig(t, "put,get"), Options{})
	rep, err := Run(ctx, []*Side{{Name: "A", Runner: r}}, 3)
	if err != nil || !rep.Interrupted {
		t.Fatalf("error %v, interrupted %v", err, rep.Interrupted)
	}
	rows := rep.Sides[0].Rows
	if len(rows) != 1 || rows[0].Count == 0 || rows[0].Count > 15 || rep.Errors() != 0 {
		t.Errorf("rows %s, want some PUTs without errors and nothing else", counts(rows))
	}
	if err := r.Clean(t.Context()); err != nil || fake.Objects() != 0 {
		t.Errorf("Clean: %v, %d objects left", err, fake.Objects())
	}
}

func TestSidesTakeTurns(t *testing.T) {
	var mu sync.Mutex
	var order []string
	var sides []*Side
	for _, name := range []string{"A", "B"} {
		fake := benchtest.New()
		fake.Spoil = func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			if turn := name + " " + r.Method; strings.Contains(r.URL.Path, "/o-") && (len(order) == 0 || order[len(order)-1] != turn) {
				order = append(order, turn)
			}
			return false
		}
		cfg := testConfig(t, "put,get")
		sides = append(sides, &Side{Name: name, Runner: newTestRunner(t, fake, cfg, Options{})})
	}
	rep, err := Run(t.Context(), sides, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := "A PUT,B PUT,A GET,B GET,A PUT,B PUT,A GET,B GET"
	if got := strings.Join(order, ","); got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	if len(rep.Ratios) == 0 || rep.Plan.Rounds != 2 {
		t.Errorf("%d ratios of %d rounds", len(rep.Ratios), rep.Plan.Rounds)
	}
}

func TestCleanLeavesWhatIsNotOurs(t *testing.T) {
	fake := benchtest.New()
	cfg := testConfig(t, "put")
	r := newTestRunner(t, fake, cfg, Options{})
	runAll(t, t.Context(), r)
	if status, err := r.container(t.Context(), http.MethodPut, 0); err != nil || status != 201 {
		t.Fatal(status, err)
	}
	req, err := r.api.container(http.MethodPut, 0)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Path += "/precious"
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("x")), 1
	resp, err := r.rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := r.Clean(t.Context()); err == nil || !strings.Contains(err.Error(), "bench-0: other objects") || fake.Objects() != 1 {
		t.Errorf("Clean: %v with %d objects left, want an error about bench-0 and the one object", err, fake.Objects())
	}
}

func TestAuthenticateRefused(t *testing.T) {
	srv := httptest.NewServer(benchtest.New())
	defer srv.Close()
	tr := NewTransport(1)
	defer tr.CloseIdleConnections()
	_, err := Authenticate(t.Context(), tr, Credentials{URL: srv.URL + "/auth/v1.0", User: benchtest.User, Key: "secret"})
	if !errors.Is(err, ErrAuth) || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want ErrAuth without the key", err)
	}
}

func TestNewRefusesTargets(t *testing.T) {
	for _, url := range []string{"", "http://", "ftp://h/v1/a", "http://h", "http://h/v1/a?x=y", "://"} {
		if _, err := New(testConfig(t, "put"), Target{StorageURL: url}, Options{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("New with storage URL %q: %v, want ErrInvalid", url, err)
		}
	}
}

func TestObjectNamesSort(t *testing.T) {
	n := newNames(testConfig(t, "put"))
	for id, want := range map[int32]string{0: "o-7-00000000", 9: "o-7-00000009", 10: "o-7-00000010", 9_999_999: "o-7-09999999"} {
		if got := n.object(id); got != want {
			t.Errorf("object(%d) = %q, want %q", id, got, want)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	fake := benchtest.New()
	srv := httptest.NewServer(fake)
	defer srv.Close()
	cfg := Config{Container: "c", Containers: 1, Objects: 1, Concurrency: 1, Count: 1, Timeout: time.Minute, Page: Page{Limit: 1}, Prepare: true}
	cfg.Phases, _ = ParseOps("get")
	cfg.Sizes, _ = ParseSizes("4KiB")
	r, err := New(cfg, Target{StorageURL: srv.URL + "/v1/AUTH_test", Token: benchtest.Token}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Prepare(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := r.workers[0].do(b.Context(), Get, 0); !ok {
			b.Fatal("GET failed")
		}
	}
}
