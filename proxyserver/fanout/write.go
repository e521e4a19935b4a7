package fanout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/apus-storage/apus/ring"
)

// A Write is a request without a body of the client's that every replica is to carry out.
type Write struct {
	Method string
	// Headers has one set for each replica: they name different nodes to be updated. Their number is the number of
	// requests made.
	Headers []http.Header
	// Body is sent to each; nil for none.
	Body []byte

	sum []byte // MD5 of the body, for nodes in this process
	// Overrides replace statuses where there is no quorum otherwise: a 404 to a DELETE is as good as a 204.
	Overrides map[int]int
	// Extra is asked, once the answers are in, how many more nodes (handoffs) are to get the request too.
	Extra func(statuses []int) int
}

// Write sends the request to all replicas at once, each to a handoff if its primary fails, and makes one answer of
// theirs when a quorum has answered and the others have had a little time to.
func (d *Dispatcher) Write(ctx context.Context, t Target, w Write) *Answer {
	vs := d.spread(ctx, t, w)
	return d.best(ctx, t, w.Method, vs, max(Quorum(len(w.Headers)), Quorum(len(vs))), w.Overrides)
}

// orders are those of nodes for the methods of a Write; others are for primaries.
var orders = map[string]order{http.MethodDelete: forDelete, http.MethodPut: forPut}

// spread sends the request and returns the answers, at least as many as there are headers.
func (d *Dispatcher) spread(ctx context.Context, t Target, w Write) []verdict {
	order, ok := orders[w.Method]
	if !ok {
		order = forPost
	}
	nodes := d.nodes(t, order)
	// The nodes go on when the client has gone: half a write is worse than one that nobody waits for. NodeTimeout
	// bounds each.
	unbound := context.WithoutCancel(ctx)
	n := len(w.Headers)
	out := make(chan verdict, n)
	running := atomic.Int32{}
	running.Store(int32(n) + 1)
	release := func() {
		if running.Add(-1) == 0 {
			nodes.close()
		}
	}
	defer release()
	for _, h := range w.Headers {
		d.strays.Go(func() {
			defer release()
			out <- d.writeOne(unbound, t, w, h, nodes)
		})
	}
	vs := collect(out, n, nil, Quorum(n), t.Options.PostQuorumTimeout)
	if w.Extra != nil {
		vs = append(vs, d.extra(unbound, t, w, nodes, vs)...)
	}
	for len(vs) < n {
		vs = append(vs, unavailable)
	}
	return vs
}

// extra sends the request to further nodes.
func (d *Dispatcher) extra(ctx context.Context, t Target, w Write, nodes *nodeIter, vs []verdict) []verdict {
	statuses := make([]int, len(vs))
	for i, v := range vs {
		statuses[i] = v.status
	}
	var more []verdict
	for i := range w.Extra(statuses) {
		v := d.writeOne(ctx, t, w, w.Headers[i%len(w.Headers)], nodes)
		if v.status == http.StatusServiceUnavailable && v.header == nil {
			break
		}
		more = append(more, v)
	}
	return more
}

// writeOne sends the request to one node after another until one can be reached and has no error of its own.
func (d *Dispatcher) writeOne(ctx context.Context, t Target, w Write, h http.Header, nodes *nodeIter) verdict {
	for {
		n, ok := nodes.take()
		if !ok {
			return unavailable
		}
		v, err := d.writeTo(ctx, t, w, h, n)
		switch {
		case err != nil:
			d.fault(n, t, w.Method, "writing", err)
		case v.status >= 500:
			d.reject(n, t, w.Method, v.status)
		default:
			return v
		}
	}
}

// writeTo sends the request to one node.
func (d *Dispatcher) writeTo(ctx context.Context, t Target, w Write, h http.Header, n ring.Node) (verdict, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.Options.NodeTimeout, errNodeTimeout)
	if d.interruptible {
		defer cancel()
		v, err := d.exchange(w, t.request(ctx, n, w.Method, h))
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return v, err
	}
	type outcome struct {
		v   verdict
		err error
	}
	done := make(chan outcome, 1)
	d.strays.Go(func() {
		defer cancel()
		v, err := d.exchange(w, t.request(ctx, n, w.Method, h))
		done <- outcome{v, err}
	})
	select {
	case o := <-done:
		return o.v, o.err
	case <-ctx.Done():
		// It may have answered in the same moment.
		select {
		case o := <-done:
			return o.v, o.err
		default:
			return verdict{}, context.Cause(ctx)
		}
	}
}

// exchange sends the request and reads all of the answer.
func (d *Dispatcher) exchange(w Write, req *http.Request) (verdict, error) {
	if w.Body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(w.Body)), int64(len(w.Body))
		switch {
		case len(w.Body) == 0:
			req.Body = http.NoBody
		case w.sum != nil:
			req.Body = hashedBytes{bytes.NewReader(w.Body), w.sum}
		}
	}
	resp, err := d.transport.RoundTrip(req)
	if err != nil {
		return verdict{}, err
	}
	defer resp.Body.Close()
	if resp.ContentLength == 0 {
		return verdict{status: resp.StatusCode, header: resp.Header}, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		err = fmt.Errorf("read the answer: %w", err)
	}
	return verdict{resp.StatusCode, resp.Header, string(body)}, err
}
