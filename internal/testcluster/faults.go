package testcluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What names a fault.
type What int

// The faults of one request to one node.
const (
	None     What = iota
	Refuse        // the connection is refused
	Hang          // nothing comes back, and nothing is done
	Answer        // Fault.Status comes back, and nothing is done
	Lose          // it is done, and the connection breaks before the answer
	LateHang      // it is done, and nothing comes back
	Instead       // it is done, and Fault.Status comes back
	Truncate      // the answer's body breaks off after Fault.N bytes
	Stall         // the answer's body stops after Fault.N bytes
	Deaf          // the request's body is not read beyond Fault.N bytes
	Drop          // the connection breaks after Fault.N bytes of the request's body
	Delay         // it takes Fault.Wait longer
	LieETag       // the answer's Etag is another
	LieSize       // the answer's Content-Length is Fault.N more, so that its body ends too early
)

var whatNames = [...]string{"none", "refuse", "hang", "answer", "lose", "late-hang", "instead", "truncate", "stall", "deaf", "drop", "delay", "lie-etag", "lie-size"}

// String returns the fault's name.
func (w What) String() string { return whatNames[w] }

// A Fault is what happens to a request to a node. The zero value is nothing.
type Fault struct {
	What   What
	Status int
	N      int64
	Wait   time.Duration
}

// SetFaults makes f decide what happens to each request to a node; nil lets all through. f is called by many goroutines.
func (c *Cluster) SetFaults(f func(*Node, *http.Request) Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// Transport is how anything in the cluster reaches the nodes, faults included.
func (c *Cluster) Transport() http.RoundTripper { return transport{c} }

type transport struct{ c *Cluster }

var (
	errRefused = &net.OpError{Op: "dial", Net: "test", Err: syscall.ECONNREFUSED}
	errReset   = &net.OpError{Op: "read", Net: "test", Err: syscall.ECONNRESET}
)

// RoundTrip reaches a node, or not.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	n := t.c.byHost[r.URL.Host]
	if n == nil {
		return nil, fmt.Errorf("no node at %s", r.URL.Host)
	}
	t.c.mu.Lock()
	decide := t.c.fault
	t.c.mu.Unlock()
	var f Fault
	if decide != nil {
		f = decide(n, r)
	}
	l := n.alive()
	if l == nil || f.What == Refuse {
		return nil, errRefused
	}
	x := &crossing{n: n, l: l, f: f, r: r}
	if err := x.before(); err != nil {
		return nil, err
	}
	if f.What == Answer {
		return answer(r, f.Status), nil
	}
	resp, err := x.do()
	if err != nil {
		return nil, err
	}
	return x.after(resp)
}

// crossing is one request on its way to a node and back.
type crossing struct {
	n *Node
	l *life
	f Fault
	r *http.Request
}

// pause waits until the request is given up, the node is gone, or the time is over.
func (x *crossing) pause(wait time.Duration) error {
	var over <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return nil
	case <-x.r.Context().Done():
		return x.r.Context().Err()
	case <-x.l.dead:
		return errReset
	}
}

func (x *crossing) before() error {
	switch x.f.What {
	case Hang:
		return x.pause(time.Hour)
	case Delay:
		return x.pause(x.f.Wait)
	}
	return nil
}

func (x *crossing) do() (*http.Response, error) {
	r := x.r
	if r.Body != nil && r.Body != http.NoBody {
		r = r.Clone(r.Context())
		r.Body = &sending{ReadCloser: x.r.Body, x: x, left: -1}
		if x.f.What == Deaf || x.f.What == Drop {
			r.Body.(*sending).left = x.f.N
		}
	}
	rt := http.RoundTripper(x.l.direct)
	if x.n.tcp {
		rt = x.n.c.tcp
	}
	resp, err := rt.RoundTrip(r)
	if body, ok := r.Body.(*sending); ok && err == nil && body.broken.Load() {
		// What a node in this process says of its broken connection could not be heard over one.
		resp.Body.Close()
		return nil, errReset
	}
	return resp, err
}

// dead says whether the node has gone since.
func (x *crossing) dead() bool {
	select {
	case <-x.l.dead:
		return true
	default:
		return x.n.Disk.Crashed()
	}
}

func (x *crossing) after(resp *http.Response) (*http.Response, error) {
	if x.dead() {
		resp.Body.Close()
		return nil, errReset
	}
	body := &receiving{ReadCloser: resp.Body, x: x, left: -1}
	resp.Body = body
	switch x.f.What {
	case Lose, LateHang, Instead:
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		switch x.f.What {
		case Instead:
			return answer(x.r, x.f.Status), nil
		case LateHang:
			return nil, errors.Join(errReset, x.pause(time.Hour))
		}
		return nil, errReset
	case Truncate, Stall:
		body.left = x.f.N
	case LieETag:
		if resp.Header.Get("Etag") != "" {
			resp.Header.Set("Etag", `"00000000000000000000000000000000"`)
		}
	case LieSize:
		if size, err := strconv.ParseInt(resp.Header.Get("Content-Length"), 10, 64); err == nil && size > 0 {
			resp.Header.Set("Content-Length", strconv.FormatInt(size+x.f.N, 10))
			resp.ContentLength = size + x.f.N
			body.short = x.r.Method != http.MethodHead
		}
	case None, Delay:
		if wt, ok := body.ReadCloser.(io.WriterTo); ok {
			resp.Body = whole{body, wt}
		}
	}
	return resp, nil
}

func answer(r *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Length": {"0"}}, Body: http.NoBody, Request: r, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// sending is a request's body with a fault.
type sending struct {
	io.ReadCloser
	x      *crossing
	left   int64 // before the fault; -1 for none
	broken atomic.Bool
}

// Read reads on until the fault.
func (s *sending) Read(p []byte) (int, error) {
	if s.x.dead() || s.left == 0 {
		s.broken.Store(true)
	}
	if s.x.dead() {
		return 0, errReset
	}
	if s.left == 0 {
		if s.x.f.What == Drop {
			return 0, errReset
		}
		return 0, errors.Join(errReset, s.x.pause(time.Hour))
	}
	if s.left > 0 {
		p = p[:min(int64(len(p)), s.left)]
	}
	n, err := s.ReadCloser.Read(p)
	if s.left > 0 {
		s.left -= int64(n)
	}
	return n, err
}

// receiving is an answer's body with a fault.
type receiving struct {
	io.ReadCloser
	x     *crossing
	left  int64 // before the fault; -1 for none
	short bool  // its end is not the one that was announced
}

// Read reads on until the fault.
func (b *receiving) Read(p []byte) (int, error) {
	if b.x.dead() {
		return 0, errReset
	}
	if b.left == 0 {
		if b.x.f.What == Stall {
			return 0, errors.Join(errReset, b.x.pause(time.Hour))
		}
		return 0, errReset
	}
	if b.left > 0 {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if err == io.EOF && b.short {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// whole is an answer's body without a fault that can be handed on as a whole, as healthy transports in this process do.
type whole struct {
	*receiving
	io.WriterTo
}

// A Schedule chooses faults by a seed. What happens to a request depends on the seed, the node, the method, the path and
// how many requests there were with these, not on what else goes on.
type Schedule struct {
	Seed uint64
	// Rate is how many requests of a thousand have a fault.
	Rate int
	// Harmless leaves out what makes a node lie.
	Harmless bool

	mu    sync.Mutex // guards count
	count map[string]uint64
}

// Fault is for SetFaults.
func (s *Schedule) Fault(n *Node, r *http.Request) Fault {
	key := n.Device + " " + r.Method + " " + r.URL.Path
	s.mu.Lock()
	if s.count == nil {
		s.count = map[string]uint64{}
	}
	s.count[key]++
	rng := newRand(s.Seed, s.count[key], key)
	s.mu.Unlock()
	if rng.IntN(1000) >= s.Rate {
		return Fault{}
	}
	f := Fault{What: What(1 + rng.IntN(len(whatNames)-1)), N: int64(rng.IntN(100_000) >> rng.IntN(17)), Wait: time.Duration(rng.IntN(15_000)) * time.Millisecond}
	f.Status = []int{500, 503, 507}[rng.IntN(3)]
	// The head of a GET and the body of its answer cannot both be checked by a client: a lie is only told where the proxy
	// has to notice.
	if f.What == LieETag && (s.Harmless || r.Method != http.MethodPut) || f.What == LieSize && s.Harmless {
		f.What = Lose
	}
	return f
}
