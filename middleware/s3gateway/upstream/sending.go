package upstream

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// sending is the body of a request on its way.
//
// The transport reads it in a goroutine of its own, and waits for that before it says that a request has failed. A client
// that sends nothing would hold up the news for ever, so the body below is read in yet another one, which is left alone when
// the request is canceled or its connection closed. Once detached, the body below is not touched any more.
//
// A body that is announced is not begun if the store answers without asking for it: net/http would send it all the same, to
// keep the connection. It is held up instead, until the answer has been read and the connection can go.
type sending struct {
	body  io.Reader
	size  int64 // of the body as it is sent
	state atomic.Int32
	stall *stall
	ctx   context.Context // the request's own
	conn  atomic.Pointer[conn]

	quit     chan struct{} // closed when nobody needs the body any more
	quitOnce sync.Once
	over     chan struct{} // closed when the answer has been read, or there will be none
	overOnce sync.Once

	announced bool
	patience  time.Duration // of the transport's
	asked     atomic.Bool   // the store wants it
	waiting   time.Time     // since when it has been announced; the transport's writer's own

	// The reader's own, as long as no piece is on its way.
	buf    []byte
	ready  []byte
	end    error
	wanted chan struct{}
	pieces chan piece

	mu  sync.Mutex // guards err
	err error      // what the body below said, if that was not io.EOF
}

type piece struct {
	n   int
	err error
}

const (
	fresh    = iota
	started  // a byte has been asked for
	detached // nobody will
)

// pieceSize is what is read from a body at once.
const pieceSize = 32 << 10

func newSending(body io.Reader, size int64) *sending {
	return &sending{body: body, size: size, quit: make(chan struct{}), over: make(chan struct{})}
}

// detach ends reading before it begins. It says whether it had begun.
func (s *sending) detach() bool {
	return !s.state.CompareAndSwap(fresh, detached) && s.state.Load() == started
}

// finish lets go of a reader that waits, for the client or because it is held up.
func (s *sending) finish() {
	s.detach()
	s.stall.end()
	s.overOnce.Do(func() { close(s.over) })
	s.quitOnce.Do(func() { close(s.quit) })
}

func (s *sending) Read(p []byte) (int, error) {
	if s.announced && !s.asked.Load() && time.Since(s.waiting) < s.patience {
		s.detach() // there was no time to wait in vain, so there is an answer
	}
	if !s.state.CompareAndSwap(fresh, started) && s.state.Load() == detached {
		<-s.over
		return 0, errDetached
	}
	if len(p) == 0 {
		return 0, nil
	}
	if len(s.ready) == 0 && s.end == nil {
		s.stall.stop() // a slow client is not the store's fault
		if err := s.next(); err != nil {
			s.end = err // the piece may come yet
			return 0, err
		}
		s.stall.start()
	}
	n := copy(p, s.ready)
	if s.ready = s.ready[n:]; len(s.ready) == 0 && s.end != nil {
		return n, s.end
	}
	return n, nil
}

// next waits for a piece of the body.
func (s *sending) next() error {
	if s.buf == nil {
		s.buf = make([]byte, min(s.size, pieceSize))
		s.wanted, s.pieces = make(chan struct{}, 1), make(chan piece, 1)
		go s.read()
	}
	var closed chan struct{}
	if c := s.conn.Load(); c != nil {
		closed = c.closed
	}
	s.wanted <- struct{}{}
	select {
	case got := <-s.pieces:
		s.ready, s.end = s.buf[:got.n], got.err
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-s.quit:
		return errDetached
	case <-closed:
		return net.ErrClosed
	}
}

// read reads the body below, piece by piece, as they are wanted. It ends with the request, or with the client's next byte or its end after that.
func (s *sending) read() {
	for {
		select {
		case <-s.wanted:
		case <-s.quit:
			return
		}
		n, err := s.body.Read(s.buf)
		if err != nil && err != io.EOF {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
		}
		s.pieces <- piece{n, err}
		if err != nil {
			return
		}
	}
}

// Close is called by the transport when it has no use for the body any more, and before it tries another connection.
func (s *sending) Close() error {
	if s.state.Load() == started {
		s.quitOnce.Do(func() { close(s.quit) })
	}
	return nil
}

// again is for the transport, when the first connection took nothing of the request.
func (s *sending) again() (io.ReadCloser, error) {
	if s.state.Load() != fresh {
		return nil, errDetached
	}
	return s, nil
}

func (s *sending) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// conn is a connection that tells when it is closed.
type conn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// use notes the connection that a body is sent over.
func (s *sending) use(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if own, ok := c.(*conn); ok {
		s.conn.Store(own)
	}
}
