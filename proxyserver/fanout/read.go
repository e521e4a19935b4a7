package fanout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/ring"
)

// Read asks nodes for the target with GET or HEAD until one has a good answer. With newest it asks all and takes the
// newest. The answer's body must be closed. h is not changed, and must not be until then.
func (d *Dispatcher) Read(ctx context.Context, t Target, method string, h http.Header, newest bool) *Answer {
	r := &reading{
		d: d, t: t, method: method, header: h, newest: newest, nodes: d.nodes(t, forRead),
		timeout: t.Options.NodeTimeout,
	}
	r.replicas = len(r.nodes.queue)
	r.missing = min(t.Options.RebalanceMissing, r.replicas-1)
	if t.Kind == "Object" && !newest {
		r.timeout = t.Options.RecoverableNodeTimeout
	}
	r.run(ctx)
	if s := r.winner(); s != nil {
		return &Answer{Status: s.resp.StatusCode, Header: s.resp.Header, Body: r.body(ctx, s), Good: true}
	}
	r.nodes.close()
	return d.best(ctx, t, method, r.verdicts, Quorum(len(r.verdicts)), nil)
}

// reading is one Read under way.
type reading struct {
	d       *Dispatcher
	t       Target
	method  string
	header  http.Header
	newest  bool
	nodes   *nodeIter
	timeout time.Duration

	replicas int
	missing  int // 404s still to be ignored

	sources   []*source
	verdicts  []verdict
	latest404 timestamp.Timestamp
}

// source is a node's good answer.
type source struct {
	node ring.Node
	resp *http.Response
	time timestamp.Timestamp
	// changed is the time of the newest metadata.
	changed timestamp.Timestamp
	cancel  context.CancelFunc
}

func (s *source) close() {
	s.cancel()
	s.resp.Body.Close()
}

// attempt is the outcome of asking one node.
type attempt struct {
	node   ring.Node
	resp   *http.Response
	cancel context.CancelFunc
	err    error
}

var errNodeTimeout = errors.New("node did not answer in time")

// ask starts asking a node; the outcome comes through out, which has room for it.
func (r *reading) ask(ctx context.Context, n ring.Node, h http.Header, out chan<- attempt) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() { cancel(nil) }
	// A node in this process cannot be interrupted, so the timer answers in its stead; whoever comes first counts.
	var answered atomic.Bool
	timer := time.AfterFunc(r.timeout, func() {
		cancel(errNodeTimeout)
		if answered.CompareAndSwap(false, true) {
			out <- attempt{node: n, cancel: stop, err: errNodeTimeout}
		}
	})
	r.d.strays.Go(func() {
		start := r.d.clock.Now()
		resp, err := r.d.transport.RoundTrip(r.t.request(ctx, n, r.method, h))
		timer.Stop()
		if err == nil && r.t.Options.Sorting == SortTiming {
			r.d.timings.set(n.IP, r.d.clock.Now().Sub(start), r.t.Options.TimingExpiry, start)
		}
		if answered.CompareAndSwap(false, true) {
			out <- attempt{n, resp, stop, err}
		} else if err == nil {
			resp.Body.Close()
		}
	})
}

// askNow asks a node and waits for the outcome.
func (r *reading) askNow(ctx context.Context, n ring.Node, h http.Header) attempt {
	if !r.d.interruptible {
		out := make(chan attempt, 1)
		r.ask(ctx, n, h, out)
		return <-out
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := func() { cancel(nil) }
	timer := time.AfterFunc(r.timeout, func() { cancel(errNodeTimeout) })
	start := r.d.clock.Now()
	resp, err := r.d.transport.RoundTrip(r.t.request(ctx, n, r.method, h))
	switch {
	case timer.Stop():
	case err == nil: // just too late: its body will not come
		resp.Body.Close()
		fallthrough
	default:
		return attempt{node: n, cancel: stop, err: errNodeTimeout}
	}
	if err == nil && r.t.Options.Sorting == SortTiming {
		r.d.timings.set(n.IP, r.d.clock.Now().Sub(start), r.t.Options.TimingExpiry, start)
	}
	return attempt{n, resp, stop, err}
}

// oneByOne asks one node after another.
func (r *reading) oneByOne(ctx context.Context) {
	for ctx.Err() == nil {
		n, ok := r.nodes.take()
		if !ok || r.consider(ctx, r.askNow(ctx, n, r.header)) {
			return
		}
	}
}

// run asks nodes until there is a good answer or no node left.
func (r *reading) run(ctx context.Context) {
	if r.d.interruptible && !r.newest && !r.t.Options.ConcurrentGets {
		r.oneByOne(ctx)
		return
	}
	// Whoever is late finds room, and somebody to close its answer.
	out := make(chan attempt, r.nodes.left)
	inFlight := 0
	more := func() bool {
		n, ok := r.nodes.take()
		if ok {
			inFlight++
			r.ask(ctx, n, r.header, out)
		}
		return ok
	}
	defer func() { r.abandon(out, inFlight) }()
	var stagger <-chan time.Time
	for more() {
		if !r.newest {
			break
		}
	}
	if r.t.Options.ConcurrentGets && !r.newest {
		tick := time.NewTicker(max(r.t.Options.ConcurrencyTimeout, time.Millisecond))
		defer tick.Stop()
		stagger = tick.C
	}
	for inFlight > 0 {
		select {
		case a := <-out:
			inFlight--
			if r.consider(ctx, a) && !r.newest {
				return
			}
			if !r.newest && inFlight == 0 {
				more()
			}
		case <-stagger:
			if inFlight < r.replicas {
				more()
			}
		case <-ctx.Done():
			return
		}
	}
}

// abandon closes the answers of those that were too late.
func (r *reading) abandon(out <-chan attempt, n int) {
	if n == 0 {
		return
	}
	r.d.strays.Go(func() {
		for range n {
			a := <-out
			a.cancel()
			if a.err == nil {
				a.resp.Body.Close()
			}
		}
	})
}

// consider takes in one outcome and says whether it is good.
func (r *reading) consider(ctx context.Context, a attempt) bool {
	if a.err != nil {
		a.cancel()
		if ctx.Err() == nil {
			r.d.fault(a.node, r.t, r.method, "reading the answer's head", a.err)
		}
		return false
	}
	status, h := a.resp.StatusCode, a.resp.Header
	if status < 400 || r.t.Kind == "Object" && status == http.StatusRequestedRangeNotSatisfiable {
		// A container or account that was never put exists only because something was reported to it.
		if v := h.Get(headerPutTime); v != "" && r.t.Kind != "Object" {
			if ts, err := timestamp.Parse(v); err == nil && ts.IsZero() {
				r.drop(a)
				r.verdicts = append(r.verdicts, verdict{status: http.StatusNotFound})
				return false
			}
		}
		ts := dataTime(h)
		if ts.Before(r.latest404) {
			r.drop(a) // deleted since, as another node knows
			return false
		}
		changed, _ := timestamp.Parse(h.Get(headerBackendTime)) // or long ago
		r.sources = append(r.sources, &source{a.node, a.resp, ts, changed, a.cancel})
		return true
	}
	r.refuse(a)
	return false
}

// dataTime is the time of what a node has, by the best of its headers.
func dataTime(h http.Header) timestamp.Timestamp {
	for _, k := range []string{conditional.HeaderData, headerBackendTime, headerPutTime, headerTimestamp} {
		if v := h.Get(k); v != "" {
			ts, _ := timestamp.Parse(v)
			return ts
		}
	}
	return timestamp.Timestamp{}
}

// refuse takes in an answer that is not good.
func (r *reading) refuse(a attempt) {
	status, h := a.resp.StatusCode, a.resp.Header
	timer := time.AfterFunc(r.timeout, a.cancel) // the text may never come
	body, _ := io.ReadAll(io.LimitReader(a.resp.Body, 4096))
	timer.Stop()
	r.drop(a)
	ts, err := timestamp.Parse(h.Get(headerBackendTime))
	knows := err == nil && !ts.IsZero()
	if status >= 500 {
		r.d.reject(a.node, r.t, r.method, status)
	}
	if a.node.Handoff && (status == http.StatusNotFound || status >= 500) && !knows {
		return // a handoff that never had it says nothing
	}
	if status == http.StatusNotFound && !knows && r.missing > 0 {
		r.missing--
		return
	}
	r.verdicts = append(r.verdicts, verdict{status, h, string(body)})
	// Only objects have tombstones: a container's time says when it was made.
	if status == http.StatusNotFound && knows && r.t.Kind == "Object" && ts.After(r.latest404) {
		r.latest404 = ts
		r.sources = slices.DeleteFunc(r.sources, func(s *source) bool {
			if s.time.Before(ts) {
				s.close()
				return true
			}
			return false
		})
	}
}

func (r *reading) drop(a attempt) {
	a.cancel()
	a.resp.Body.Close()
}

// winner returns the newest good answer and closes the others.
func (r *reading) winner() *source {
	if len(r.sources) == 0 {
		return nil
	}
	slices.SortStableFunc(r.sources, func(a, b *source) int {
		// Of one body, the node with the newest metadata: a POST that one has missed is not to be hidden by it.
		return cmp.Or(b.time.Compare(a.time), b.changed.Compare(a.changed))
	})
	for _, s := range r.sources[1:] {
		s.close()
	}
	return r.sources[0]
}

// another finds a node that has the same object, and an answer that fits, to go on from where the last one broke off.
func (r *reading) another(ctx context.Context, etag string, h http.Header, fits func(http.Header) bool) (*source, error) {
	for {
		n, ok := r.nodes.take()
		if !ok {
			return nil, fmt.Errorf("%s %s: no node left to go on with", r.method, r.t.Path)
		}
		a := r.askNow(ctx, n, h)
		if a.err != nil {
			a.cancel()
			r.d.fault(n, r.t, r.method, "taking over a body", a.err)
			continue
		}
		want := http.StatusOK
		if h.Get("Range") != "" {
			want = http.StatusPartialContent
		}
		if a.resp.StatusCode != want || !sameETag(a.resp.Header.Get("Etag"), etag) || !fits(a.resp.Header) {
			r.drop(a)
			continue
		}
		return &source{node: n, resp: a.resp, time: dataTime(a.resp.Header), cancel: a.cancel}, nil
	}
}

// sameETag compares entity tags; not all nodes quote them.
func sameETag(a, b string) bool { return strings.Trim(a, `"`) == strings.Trim(b, `"`) }

// body wraps the source's body so that it goes on elsewhere when it breaks off.
func (r *reading) body(ctx context.Context, s *source) Body {
	if r.method == http.MethodHead || s.resp.StatusCode != http.StatusOK && s.resp.StatusCode != http.StatusPartialContent {
		r.nodes.close()
		return &plainBody{s}
	}
	// The header goes to the caller, who may change it: what is needed of it later is taken now.
	b := &resuming{r: r, ctx: ctx, s: s, etag: s.resp.Header.Get("Etag"), timeout: cmp.Or(r.timeout, time.Hour)}
	if s.resp.StatusCode == http.StatusPartialContent && s.resp.Header.Get("Content-Range") == "" {
		b.boundary, _ = ranges.BoundaryOf(s.resp.Header.Get("Content-Type"))
		b.length = s.resp.Header.Get("Content-Length")
	}
	return b
}

// plainBody is a body of which nothing needs to be saved.
type plainBody struct{ s *source }

// Read reads from the node.
func (b *plainBody) Read(p []byte) (int, error) { return b.s.resp.Body.Read(p) }

// WriteTo copies from the node.
func (b *plainBody) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, b.s.resp.Body) }

// Close lets the node go.
func (b *plainBody) Close() error {
	b.s.close()
	return nil
}
