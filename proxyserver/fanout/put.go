package fanout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/ring"
)

// A Put is an upload that every replica is to store.
type Put struct {
	// Headers has one set for each replica. "Expect: 100-continue" should be among them, so that a node can refuse
	// before anything is sent.
	Headers []http.Header
	Body    io.Reader
	Length  int64 // -1 if unknown
	// IfNoneMatch says that a node's 412 is the answer.
	IfNoneMatch bool
	// Whole allows a small body to be read to its end before any node is asked: nobody waits for their consent.
	Whole bool
	// Footers, if set, is called when the body has been read and returns further headers to be stored; see footers.go.
	Footers func() http.Header

	sum *summed // the body, if it is hashed on its way; see hashed.go
}

// Errors of a Put that are about the client's side of it. The body's own errors are returned as they are.
var (
	// ErrNoQuorum: too few nodes took part, or too few were left.
	ErrNoQuorum = errors.New("too few storage nodes")
	// ErrPrecondition: a node has the object that must not exist.
	ErrPrecondition = errors.New("object exists")
	// ErrConflict: a node has a newer object already.
	ErrConflict = errors.New("newer object exists")
	// ErrEtags: the nodes stored different bytes.
	ErrEtags = errors.New("storage nodes returned different ETags")
)

// Put streams the body to a node for each replica. It needs a quorum of nodes that want the body, of nodes that take
// all of it, and of nodes that say so; then a little time is given to the others. When the body fails, no node keeps
// anything.
func (d *Dispatcher) Put(ctx context.Context, t Target, p Put) (*Answer, error) {
	if p.small() {
		return d.putSmall(ctx, t, p)
	}
	p = d.hashed(p)
	u := &upload{d: d, t: t, method: http.MethodPut, put: p, nodes: d.nodes(t, forPut), quorum: Quorum(len(p.Headers))}
	if p.Footers != nil {
		u.put = withFooters(p)
	}
	defer u.nodes.close()
	// The nodes must not see the client go: once its body is there, it is stored. Each feed ends its own request.
	u.connect(context.WithoutCancel(ctx))
	settled, err := u.begin(ctx)
	if err == nil && settled == nil {
		err = u.transfer()
	}
	if err != nil || settled != nil {
		return settled, err
	}
	return u.result(ctx)
}

type upload struct {
	d      *Dispatcher
	t      Target
	method string
	put    Put
	nodes  *nodeIter
	quorum int
	feeds  []*feed // those that want the body
	early  []verdict
}

// connect finds a node for each replica.
func (u *upload) connect(ctx context.Context) {
	type outcome struct {
		f *feed
		v *verdict
	}
	out := make(chan outcome, len(u.put.Headers))
	for _, h := range u.put.Headers {
		if len(u.put.Headers) == 1 { // the common case of a store in one process
			f, v := u.connectOne(ctx, h)
			out <- outcome{f, v}
			break
		}
		u.d.strays.Go(func() {
			f, v := u.connectOne(ctx, h)
			out <- outcome{f, v}
		})
	}
	for range u.put.Headers {
		o := <-out
		if o.f != nil {
			u.feeds = append(u.feeds, o.f)
		}
		if o.v != nil {
			u.early = append(u.early, *o.v)
		}
	}
}

// connectOne tries nodes until one wants the body, or has an answer that holds without it.
func (u *upload) connectOne(ctx context.Context, h http.Header) (*feed, *verdict) {
	for {
		n, ok := u.nodes.take()
		if !ok {
			return nil, nil
		}
		f := newFeed(n, u.method, u.put.Length)
		f.sum = u.put.sum
		start := u.d.clock.Now()
		f.start(ctx, u.d, u.t, h)
		timer := time.NewTimer(u.t.Options.NodeTimeout)
		select {
		case <-f.wanted:
			timer.Stop()
			if u.t.Options.Sorting == SortTiming {
				u.d.timings.set(n.IP, u.d.clock.Now().Sub(start), u.t.Options.TimingExpiry, start)
			}
			return f, nil
		case <-f.done:
			timer.Stop()
		case <-timer.C:
			f.abort(errNodeTimeout)
			u.d.fault(n, u.t, http.MethodPut, "waiting for the node to want the body", errNodeTimeout)
			continue
		}
		switch {
		case f.err != nil:
			u.d.fault(n, u.t, http.MethodPut, "connecting", f.err)
		case f.v.status >= 500:
			u.d.reject(n, u.t, http.MethodPut, f.v.status)
		case f.v.status < 300, f.v.status == http.StatusConflict, f.v.status == http.StatusUnprocessableEntity,
			f.v.status == http.StatusPreconditionFailed && u.put.IfNoneMatch:
			return nil, &f.v
		default:
			u.d.log.Warn("storage node refused an upload", "node", n.HostPort(), "device", n.Name, "path", u.t.Path,
				"status", f.v.status)
			return nil, &f.v
		}
	}
}

// begin checks that enough nodes want the body. If they agree on a refusal, that is the answer, and the body is not
// even read.
func (u *upload) begin(ctx context.Context) (*Answer, error) {
	var err error
	for _, v := range u.early {
		switch {
		case v.status == http.StatusPreconditionFailed && u.put.IfNoneMatch:
			err = ErrPrecondition
		case v.status == http.StatusConflict && err == nil:
			err = ErrConflict
		}
	}
	if err == nil && inClass(u.early, 400) >= u.quorum {
		err = errRefused
	}
	if err == nil && len(u.feeds)+inClass(u.early, 200) < u.quorum {
		err = fmt.Errorf("%w: %d of the %d needed want the body", ErrNoQuorum, len(u.feeds), u.quorum)
	}
	if err == nil {
		return nil, nil
	}
	u.abort(err)
	if err == errRefused {
		return u.d.best(ctx, u.t, http.MethodPut, u.early, u.quorum, nil), nil
	}
	return nil, err
}

var errRefused = errors.New("nodes have refused the upload")

func (u *upload) abort(err error) {
	for _, f := range u.feeds {
		f.abort(err)
	}
}

// transfer sends the body to all.
func (u *upload) transfer() error {
	for {
		c := newChunk(len(u.feeds) + 1) // one is this function's
		err := c.fill(u.put.Body)
		if err != nil && err != io.EOF {
			u.abort(err)
			return err
		}
		if c.n > 0 {
			if err := u.spread(c); err != nil {
				return err
			}
		} else {
			c.drop(len(u.feeds))
		}
		c.drop(1)
		if err == io.EOF {
			break
		}
	}
	for _, f := range u.feeds {
		f.finish()
	}
	return nil
}

// spread hands a chunk to every feed that is still there. All of them together get one time-out.
func (u *upload) spread(c *chunk) error {
	alive := inClass(u.early, 200)
	var timeout chan struct{}
	for _, f := range u.feeds {
		if f.offer(c) {
			alive++
			continue
		}
		if timeout == nil {
			timeout = make(chan struct{})
			defer time.AfterFunc(u.t.Options.NodeTimeout, func() { close(timeout) }).Stop()
		}
		if f.wait(c, timeout) {
			alive++
			continue
		}
		c.drop(1)
		u.lost(f)
	}
	if alive < u.quorum {
		err := fmt.Errorf("%w: %d of the %d needed are left", ErrNoQuorum, alive, u.quorum)
		u.abort(err)
		return err
	}
	return nil
}

// lost gives up a feed that takes no more of the body.
func (u *upload) lost(f *feed) {
	if f.givenUp {
		return
	}
	f.givenUp = true
	if f.over() && f.err == nil {
		if f.v.status >= 500 {
			u.d.reject(f.node, u.t, u.method, f.v.status)
		}
		return
	}
	err := errNodeTimeout
	if f.over() {
		err = f.err
	} else if f.isGone() {
		err = f.reason
	}
	u.d.fault(f.node, u.t, u.method, "sending the body", err)
	f.abort(err)
}

// result waits for a quorum of answers and makes one of them.
func (u *upload) result(ctx context.Context) (*Answer, error) {
	out := make(chan verdict, len(u.feeds))
	for _, f := range u.feeds {
		if len(u.feeds) == 1 {
			out <- f.answer(u.d, u.t)
			break
		}
		u.d.strays.Go(func() { out <- f.answer(u.d, u.t) })
	}
	vs := collect(out, len(u.feeds), slices.Clone(u.early), u.quorum, u.t.Options.PostQuorumTimeout)
	for len(vs) < len(u.put.Headers) {
		vs = append(vs, unavailable)
	}
	return u.d.agreed(ctx, u.t, vs, u.quorum)
}

// A chunk is a piece of the body on its way to several feeds; the last one to let it go gives it back.
type chunk struct {
	data [64 << 10]byte
	n    int
	refs atomic.Int32
}

// fill reads until the chunk is full, the body ends, or data has waited for a second already. Unlike io.ReadFull it
// keeps apart the body's end, io.EOF, and a body that was cut short, io.ErrUnexpectedEOF.
func (c *chunk) fill(r io.Reader) (err error) {
	var first time.Time
	for c.n = 0; c.n < len(c.data) && err == nil; {
		var m int
		m, err = r.Read(c.data[c.n:])
		if c.n == 0 {
			first = time.Now()
		} else if time.Since(first) > time.Second {
			c.n += m
			break
		}
		c.n += m
	}
	return err
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

func newChunk(refs int) *chunk {
	c := chunks.Get().(*chunk)
	c.refs.Store(int32(refs))
	return c
}

func (c *chunk) drop(n int) {
	if c.refs.Add(int32(-n)) == 0 {
		chunks.Put(c)
	}
}

// A feed is one node's share of an upload: the request's body, which the node pulls.
type feed struct {
	node   ring.Node
	method string
	length int64

	wanted chan struct{} // closed when the node asks for the body
	in     chan *chunk
	gone   chan struct{} // closed by abort
	done   chan struct{} // closed when the node has answered or failed

	wantOnce, goneOnce, endOnce sync.Once

	reason  error         // of gone, once it is closed
	givenUp bool          // by the upload
	vow     *vow          // that the node must have made before it gets anything; nil if it need not
	promise chan struct{} // closed when a node in another process has said that it takes footers; nil if it need not
	sum     *summed       // hashes the body, if it is hashed on its way
	cancel  context.CancelFunc
	current *chunk
	offset  int

	v   verdict // after done
	err error   // after done
}

// feedDepth is how far a node may lag behind the quickest one before the client has to wait for it.
const feedDepth = 4

func newFeed(n ring.Node, method string, length int64) *feed {
	return &feed{
		node: n, method: method, length: length, wanted: make(chan struct{}), in: make(chan *chunk, feedDepth), gone: make(chan struct{}),
		done: make(chan struct{}),
	}
}

// start sends the request; it goes on until the node has answered.
func (f *feed) start(ctx context.Context, d *Dispatcher, t Target, h http.Header) {
	ctx, f.cancel = context.WithCancel(ctx)
	if len(h[headerFooter]) > 0 {
		ctx = f.requireFooters(ctx)
	}
	if f.vow != nil {
		ctx = f.vow.await(ctx)
	}
	req := t.request(ctx, f.node, f.method, h)
	req.Body, req.ContentLength = f, f.length
	if f.length == 0 {
		// 100-continue without a body is not allowed, so an empty one goes in chunks: none.
		req.ContentLength = -1
	}
	d.strays.Go(func() {
		defer f.cancel()
		defer close(f.done)
		resp, err := d.transport.RoundTrip(req)
		if err != nil {
			f.err = err
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		f.v, f.err = verdict{resp.StatusCode, resp.Header, string(body)}, err
	})
}

func (f *feed) isGone() bool {
	select {
	case <-f.gone:
		return true
	default:
		return false
	}
}

func (f *feed) over() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// offer queues a chunk if there is room.
func (f *feed) offer(c *chunk) bool {
	select {
	case <-f.done:
		return false
	case <-f.gone:
		return false
	default:
	}
	select {
	case f.in <- c:
		return true
	default:
		return false
	}
}

// wait queues a chunk when there is room; false means that the node is not taking it.
func (f *feed) wait(c *chunk, timeout <-chan struct{}) bool {
	select {
	case <-f.done:
		return false
	case <-f.gone:
		return false
	default:
	}
	select {
	case <-f.done:
		return false
	case <-f.gone:
		return false
	case f.in <- c:
		return true
	case <-timeout:
		return false
	}
}

// finish ends the body well.
func (f *feed) finish() { f.endOnce.Do(func() { close(f.in) }) }

// abort breaks the body off, so that the node keeps nothing, and ends the request.
func (f *feed) abort(err error) {
	f.leave(err)
	f.cancel()
}

// leave makes further reads of the body fail.
func (f *feed) leave(err error) {
	f.goneOnce.Do(func() {
		f.reason = err
		close(f.gone)
	})
}

// Read is the node's pull.
func (f *feed) Read(p []byte) (int, error) {
	if f.promise != nil {
		select {
		case <-f.promise:
		case <-f.gone:
			return 0, fmt.Errorf("upload broken off: %w", f.reason)
		}
	}
	if f.vow != nil && !f.vow.given {
		f.vow.missed.Store(true)
		return 0, ErrUnpromised
	}
	f.wantOnce.Do(func() { close(f.wanted) })
	for f.current == nil {
		select {
		case <-f.gone:
			return 0, fmt.Errorf("upload broken off: %w", f.reason)
		default:
		}
		select {
		case c, ok := <-f.in:
			if !ok {
				return 0, io.EOF
			}
			f.current, f.offset = c, 0
		case <-f.gone:
			return 0, fmt.Errorf("upload broken off: %w", f.reason)
		}
	}
	n := copy(p, f.current.data[f.offset:f.current.n])
	f.offset += n
	if f.offset == f.current.n {
		f.current.drop(1)
		f.current = nil
	}
	return n, nil
}

// Close is called by the transport when it needs no more of the body.
func (f *feed) Close() error {
	f.leave(io.ErrClosedPipe)
	return nil
}

// answer waits for the node's answer.
func (f *feed) answer(d *Dispatcher, t Target) verdict {
	if f.givenUp {
		return unavailable
	}
	timer := time.NewTimer(t.Options.NodeTimeout)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
		d.fault(f.node, t, f.method, "waiting for the final answer", errNodeTimeout)
		f.abort(errNodeTimeout)
		return unavailable
	}
	switch {
	case f.err != nil:
		d.fault(f.node, t, f.method, "waiting for the final answer", f.err)
		return unavailable
	case f.v.status >= 500:
		d.reject(f.node, t, f.method, f.v.status)
	}
	return f.v
}
