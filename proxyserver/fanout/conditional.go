package fanout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/ring"
)

// ErrUnpromised says that too few nodes know conditional writes.
var ErrUnpromised = errors.New("too few storage nodes promise conditional writes")

// Majority is how many of n nodes any two such sets have one of in common.
func Majority(n int) int { return n/2 + 1 }

// PutIf is Put on a condition, which the headers have: of several at once, through whatever dispatchers, at most one
// succeeds. docs/conditional-writes.md has the protocol. ErrPrecondition, ErrConflict and ErrUnpromised mean that nothing
// has been stored; the last also that nothing of the body has been read.
func (d *Dispatcher) PutIf(ctx context.Context, t Target, p Put) (*Answer, error) {
	p = d.hashed(p)
	if p.Footers != nil {
		p = withFooters(p)
	}
	return d.writeIf(ctx, t, http.MethodPut, p)
}

// DeleteIf deletes on a condition, likewise. The end of the request's empty body is what nodes wait for. Those that know no
// conditions would not wait, so the time is not where they look for it, and they refuse what has none.
func (d *Dispatcher) DeleteIf(ctx context.Context, t Target, headers []http.Header) (*Answer, error) {
	timed := make([]http.Header, len(headers))
	for i, h := range headers {
		timed[i] = maps.Clone(h)
		timed[i][conditional.HeaderTime] = h[headerTimestamp]
		delete(timed[i], headerTimestamp)
	}
	return d.writeIf(ctx, t, http.MethodDelete, Put{Headers: timed, Body: http.NoBody, Length: 0})
}

func (d *Dispatcher) writeIf(ctx context.Context, t Target, method string, p Put) (*Answer, error) {
	primaries := t.Ring.AppendPrimaries(nil, t.Part)
	u := &upload{d: d, t: t, method: method, put: p, quorum: Majority(len(primaries))}
	x := &election{upload: u, ctx: context.WithoutCancel(ctx)}
	x.ask(primaries)
	x.askAgain()
	settled, err := x.outcome(ctx)
	if err != nil || settled != nil {
		u.abort(errNotElected)
		return settled, err
	}
	if err := u.transfer(); err != nil {
		return nil, err
	}
	return x.result(ctx)
}

var errNotElected = errors.New("too few nodes have reserved the object")

// An election decides whether a conditional write goes on.
type election struct {
	*upload
	ctx        context.Context // outlives the client's
	unpromised int             // nodes that want the body, but know no conditions
	unmet      []ballot        // of nodes of whose version the condition does not hold
}

// ballot is one node's answer: a feed that waits for the body, a refusal, neither, or, if unpromised, a promise that was not
// given.
type ballot struct {
	node       ring.Node
	header     http.Header
	f          *feed
	v          *verdict
	unpromised bool
}

// ask asks the primaries: the first of the ring that answers alone, so that writers meet at one node, of which only one goes
// on to the others. No handoffs: another writer may not know that they have reserved anything.
func (x *election) ask(primaries []ring.Node) {
	next := 0
	for next < len(primaries) && next < len(x.put.Headers) {
		b := x.askOne(primaries[next], x.put.Headers[next])
		next++
		x.count(b)
		if b.v != nil && b.v.status == http.StatusConflict {
			return
		}
		if b.f != nil || b.v != nil {
			break
		}
	}
	rest := min(len(primaries), len(x.put.Headers)) - next
	out := make(chan ballot, max(rest, 0))
	for i := range rest {
		n, h := primaries[next+i], x.put.Headers[next+i]
		x.d.strays.Go(func() { out <- x.askOne(n, h) })
	}
	for range rest {
		x.count(<-out)
	}
}

func (x *election) count(b ballot) {
	if b.f != nil {
		x.feeds = append(x.feeds, b.f)
	}
	switch {
	case b.v == nil:
	case b.v.status == http.StatusPreconditionFailed:
		x.unmet = append(x.unmet, b)
	default:
		x.early = append(x.early, *b.v)
	}
	if b.unpromised {
		x.unpromised++
	}
}

// askAgain asks the nodes again of whose version the condition does not hold, if another has a newer one of which it does: what
// they have has been replaced, by a write that not all know of. Its writer may have been told that it is in doubt, but as
// long as it is there, whoever has seen it can go on from there.
func (x *election) askAgain() {
	newest := x.newest()
	unmet := x.unmet
	x.unmet = nil
	out := make(chan ballot, len(unmet))
	asked := 0
	for _, b := range unmet {
		if !refusedAt(b.v).Before(newest) || len(x.feeds) == 0 {
			x.early = append(x.early, *b.v)
			continue
		}
		asked++
		h := b.header.Clone()
		h[conditional.HeaderBehind] = []string{newest.Internal()}
		x.d.strays.Go(func() { out <- x.askOne(b.node, h) })
	}
	for range asked {
		x.count(<-out)
	}
	for _, b := range x.unmet {
		x.early = append(x.early, *b.v)
	}
}

// newest is the time of the newest version that a node has which has reserved the object.
func (x *election) newest() (t timestamp.Timestamp) {
	for _, f := range x.feeds {
		if f.vow.stored.After(t) {
			t = f.vow.stored
		}
	}
	return t
}

// refusedAt is the time of the version that a refusal is about.
func refusedAt(v *verdict) timestamp.Timestamp {
	at, err := timestamp.Parse(v.header.Get("X-Backend-Timestamp"))
	if err != nil {
		return timestamp.FromRaw(1<<62, 0) // it does not say how old that is
	}
	return at
}

// askOne asks one node.
func (x *election) askOne(n ring.Node, h http.Header) ballot {
	b := x.ballot(n, h)
	b.node, b.header = n, h
	return b
}

// ballot is the node's answer.
func (x *election) ballot(n ring.Node, h http.Header) ballot {
	d, t := x.d, x.t
	if d.limiter.Limited(n) {
		return ballot{}
	}
	f := newFeed(n, x.method, x.put.Length)
	f.sum = x.put.sum
	f.vow = &vow{}
	f.start(x.ctx, d, t, h)
	timer := time.NewTimer(t.Options.NodeTimeout)
	defer timer.Stop()
	select {
	case <-f.wanted:
		return ballot{f: f}
	case <-f.done:
	case <-timer.C:
		f.abort(errNodeTimeout)
		d.fault(n, t, x.method, "waiting for the node to reserve the object", errNodeTimeout)
		return ballot{}
	}
	switch {
	case f.vow.missed.Load():
		return ballot{unpromised: true}
	case f.err != nil:
		d.fault(n, t, x.method, "connecting", f.err)
	case f.v.status >= 500:
		d.reject(n, t, x.method, f.v.status)
	case f.v.status == http.StatusBadRequest && x.method == http.MethodDelete:
		return ballot{unpromised: true} // it found no time
	case f.v.status < 300:
		// It says that it has stored what it has not been sent.
		return ballot{unpromised: true}
	default:
		return ballot{v: &f.v}
	}
	return ballot{}
}

// outcome says whether the write goes on: both results are nil then.
func (x *election) outcome(ctx context.Context) (*Answer, error) {
	newest, refused := x.newest(), timestamp.Timestamp{}
	unmet, conflicts, newer := 0, 0, false
	for _, v := range x.early {
		switch v.status {
		case http.StatusPreconditionFailed:
			unmet++
			if at := refusedAt(&v); at.After(refused) {
				refused = at
			}
		case http.StatusConflict:
			conflicts++
			// A version that is newer than this write would replace it. A reservation that a minority has given says nothing.
			newer = newer || v.header.Get("X-Backend-Timestamp") != ""
		}
	}
	elected := len(x.feeds) >= x.quorum
	switch {
	case unmet >= x.quorum:
		return nil, ErrPrecondition
	case elected && !newer && !refused.After(newest):
		return nil, nil
	case conflicts > 0, unmet > 0 && len(x.feeds)+unmet >= x.quorum:
		// What only a minority has may be in doubt. That there is something else is said of what has been carried out alone.
		return nil, ErrConflict
	case unmet > 0 && x.unpromised > 0:
		return nil, ErrPrecondition // among nodes of OpenStack Swift there is no such certainty
	case len(x.feeds)+x.unpromised >= x.quorum:
		return nil, ErrUnpromised
	case inClass(x.early, 400) >= x.quorum:
		return x.d.best(ctx, x.t, x.method, x.early, x.quorum, nil), nil
	}
	return nil, fmt.Errorf("%w: %d of the %d needed have reserved the object", ErrNoQuorum, len(x.feeds), x.quorum)
}

// result waits for the answers. Where some node has, or may have, carried the write out, a refusal by others is not the
// answer.
func (x *election) result(ctx context.Context) (*Answer, error) {
	out := make(chan verdict, len(x.feeds))
	for _, f := range x.feeds {
		x.d.strays.Go(func() { out <- f.answer(x.d, x.t) })
	}
	vs := collect(out, len(x.feeds), nil, x.quorum, x.t.Options.PostQuorumTimeout)
	done, refused := inClass(vs, 200), inClass(vs, 400)
	switch {
	case done >= x.quorum:
		return x.d.agreed(ctx, x.t, vs, x.quorum)
	case refused < len(x.feeds):
		return nil, fmt.Errorf("%w: %d of the %d needed have carried the write out", ErrNoQuorum, done, x.quorum)
	}
	is := func(code int) func(verdict) bool { return func(v verdict) bool { return v.status == code } }
	switch {
	case slices.ContainsFunc(vs, is(http.StatusPreconditionFailed)):
		return nil, ErrPrecondition
	case slices.ContainsFunc(vs, is(http.StatusConflict)):
		return nil, ErrConflict
	}
	return x.d.best(ctx, x.t, x.method, vs, 1, nil), nil
}

// vow is a node's promise to keep an object for a conditional write.
type vow struct {
	given  bool                // both are set before the node asks for the body
	stored timestamp.Timestamp // of what the node has
	missed atomic.Bool         // it has asked without promising
}

// await notes the promise, which comes with the node's 100 Continue.
func (v *vow) await(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			value := strings.TrimSpace(h.Get(conditional.HeaderReserved))
			if code != http.StatusContinue || value == "" || v.given {
				return nil
			}
			at, err := timestamp.Parse(value)
			v.given, v.stored = err == nil, at
			return nil
		},
	})
}
