package fanout

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/ring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fakeNode is one storage node that does what the test says.
type fakeNode struct {
	t      testing.TB
	device ring.Node
	serve  http.HandlerFunc
	quit   chan struct{} // closed at the end of the test

	mu    sync.Mutex
	seen  []*http.Request
	bodys []string
}

// ServeHTTP notes the request and does what the test says.
func (n *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.seen = append(n.seen, r)
	n.mu.Unlock()
	n.serve(w, r.WithContext(context.WithValue(r.Context(), quitKey{}, n.quit)))
}

func (n *fakeNode) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.seen)
}

func (n *fakeNode) bodies() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.bodys...)
}

// store reads the body as an object server does and keeps it if it is whole.
func (n *fakeNode) store(code int, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(499)
			return
		}
		n.mu.Lock()
		n.bodys = append(n.bodys, string(b))
		n.mu.Unlock()
		w.Header().Set("Etag", `"`+etag+`"`)
		w.WriteHeader(code)
	}
}

// answer is a node that answers without looking. Headers are "Name: value".
func answer(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, h := range headers {
			k, v, _ := strings.Cut(h, ": ")
			w.Header().Set(k, v)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(code)
		if r.Method != http.MethodHead {
			io.WriteString(w, body)
		}
	}
}

type quitKey struct{}

// hang is a node that never answers. A server does not notice that its client has gone while the body is unread, so the
// end of the test releases it too.
func hang(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-r.Context().Value(quitKey{}).(chan struct{}):
	}
	panic(http.ErrAbortHandler)
}

// die is a node that breaks off.
func die(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// fake is a cluster of fake nodes: partition 0 has the first nodes as primaries, the others are handoffs.
type fake struct {
	t       testing.TB
	d       *Dispatcher
	nodes   []*fakeNode
	ring    *ring.Ring
	options Options
	limiter *Limiter
	now     time.Time
}

// kinds of transports that everything is tested with.
var kinds = []string{"direct", "tcp", "interruptible"}

func both(t *testing.T, devices, replicas int, test func(t *testing.T, f *fake)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, newFake(t, kind, devices, replicas))
		})
	}
}

func newFake(t testing.TB, kind string, devices, replicas int) *fake {
	f := &fake{t: t, now: time.Unix(1700000000, 0)}
	tcp := kind != "direct"
	direct := nodes.NewDirect(nil)
	var rt http.RoundTripper = direct
	parts := ring.Parts{PartPower: 3, NextPartPower: -1}
	quit := make(chan struct{})
	for i := range devices {
		n := &fakeNode{t: t, serve: answer(404, ""), quit: quit}
		f.nodes = append(f.nodes, n)
		addr := fmt.Sprintf("127.0.0.1:%d", 6000+i)
		if tcp {
			s := httptest.NewUnstartedServer(n)
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			s.Start()
			t.Cleanup(s.Close)
			addr = s.Listener.Addr().String()
		} else {
			direct.Handle(addr, n)
		}
		ip, port, _ := net.SplitHostPort(addr)
		p, _ := strconv.Atoi(port)
		n.device = ring.Node{Device: &ring.Device{
			ID: i, Region: 1, Zone: i, IP: ip, Port: p, ReplicationIP: ip, ReplicationPort: p, Name: fmt.Sprintf("sd%d", i), Weight: 1,
		}}
		parts.Devices = append(parts.Devices, n.device.Device)
	}
	if tcp {
		tr := nodes.NewTCP(nodes.TCPOptions{ConnTimeout: 10 * time.Second})
		t.Cleanup(tr.CloseIdleConnections)
		rt = tr
	}
	for r := range replicas {
		// Only devices that have some partition are handoffs of others.
		row := make([]uint32, 8)
		for part := range row {
			row[part] = uint32((part + r) % devices)
		}
		parts.Assignments = append(parts.Assignments, row)
	}
	var err error
	if f.ring, err = ring.New(parts); err != nil {
		t.Fatal(err)
	}
	f.limiter = NewLimiter(time.Minute, 10, clock.Func(func() time.Time { return f.now }))
	f.d = New(Config{
		Transport: rt, Limiter: f.limiter, Log: slog.New(slog.DiscardHandler), Clock: clock.System,
		Interruptible: kind == "interruptible", Shuffle: func(int, func(i, j int)) {},
	})
	t.Cleanup(f.d.Wait)
	t.Cleanup(func() { close(quit) })
	f.options = Options{
		NodeTimeout: 5 * time.Second, RecoverableNodeTimeout: 5 * time.Second, PostQuorumTimeout: 5 * time.Second,
		ConcurrencyTimeout: 5 * time.Millisecond, RequestNodeCount: func(n int) int { return 2 * n }, RebalanceMissing: 1,
		Sorting: SortShuffle, WriteLocalCount: func(n int) int { return 2 * n }, DeleteHandoffs: -1, TimingExpiry: time.Minute,
	}
	return f
}

// impatient shortens the time-outs, for tests with nodes that hang.
func (f *fake) impatient() {
	f.options.NodeTimeout, f.options.RecoverableNodeTimeout = time.Second, 200*time.Millisecond
	f.options.PostQuorumTimeout = 100 * time.Millisecond
}

func (f *fake) target() Target {
	return Target{Kind: "Object", Ring: f.ring, Path: "/a/c/o", Options: &f.options}
}

// all makes the given nodes do the same.
func (f *fake) all(h http.HandlerFunc, from, to int) {
	for _, n := range f.nodes[from:to] {
		n.serve = h
	}
}

// stored makes all nodes take uploads.
func (f *fake) stored(etag string) {
	for _, n := range f.nodes {
		n.serve = n.store(201, etag)
	}
}

func (f *fake) headers(n int) []http.Header {
	hs := make([]http.Header, n)
	for i := range hs {
		hs[i] = http.Header{"X-Timestamp": {"1700000000.00000"}, "Expect": {"100-continue"}}
	}
	return hs
}

func (f *fake) asked() (counts []int) {
	for _, n := range f.nodes {
		counts = append(counts, n.requests())
	}
	return counts
}

// text reads an answer's body and closes it.
func text(t testing.TB, a *Answer) (string, error) {
	t.Helper()
	var b strings.Builder
	_, err := io.Copy(&b, a.Body)
	if c := a.Body.Close(); c != nil {
		t.Error("close:", c)
	}
	return b.String(), err
}
