package upstream

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// whole reads a body of a known length and gives its last byte only after the body below has ended well, right there. So
// a body that turns out wrong at its end, or longer or shorter than was said, leaves an incomplete request.
type whole struct {
	body io.Reader
	left int64
	err  error
}

func (w *whole) Read(p []byte) (int, error) {
	if w.err != nil || len(p) == 0 {
		return 0, w.err
	}
	if w.left > 1 {
		n, err := w.body.Read(p[:min(int64(len(p)), w.left-1)])
		w.left -= int64(n)
		if err == io.EOF {
			err = errLength
		}
		w.err = err
		return n, err
	}
	last, err := w.end()
	if w.err = err; err != nil {
		return 0, err
	}
	w.err = io.EOF
	p[0] = last
	return 1, io.EOF
}

// end reads the last byte and what should be the end.
func (w *whole) end() (last byte, err error) {
	var two [2]byte
	have := 0
	for range maxEmptyReads {
		n, err := w.body.Read(two[have:])
		switch have += n; {
		case have == 2, err == io.EOF && have != 1:
			return 0, errLength
		case err == io.EOF:
			return two[0], nil
		case err != nil:
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

const maxEmptyReads = 100

// sending is the body of a request on its way. The transport reads it in a goroutine of its own, perhaps for longer than it
// takes to get an answer. Once it is detached the body below is not touched any more.
//
// A body that is announced is not begun if the store answers without asking for it: net/http would send it all the same, to
// keep the connection. It is held up instead, until the answer has been read and the connection can go.
type sending struct {
	body  io.Reader
	state atomic.Int32
	stall *stall
	over  chan struct{} // closed when the answer has been read, or there will be none
	once  sync.Once

	announced bool
	patience  time.Duration // of the transport's
	asked     atomic.Bool   // the store wants it
	waiting   time.Time     // since when it has been announced; the transport's writer's own

	mu  sync.Mutex // guards err
	err error      // what the body below said, if that was not io.EOF
}

const (
	fresh    = iota
	started  // a byte has been asked for
	detached // nobody will
)

// detach ends reading before it begins. It says whether it had begun.
func (s *sending) detach() bool {
	return !s.state.CompareAndSwap(fresh, detached) && s.state.Load() == started
}

// end lets go of a reader that is held up.
func (s *sending) end() {
	s.detach()
	s.stall.end()
	s.once.Do(func() { close(s.over) })
}

func (s *sending) Read(p []byte) (int, error) {
	if s.announced && !s.asked.Load() && time.Since(s.waiting) < s.patience {
		s.detach() // there was no time to wait in vain, so there is an answer
	}
	if !s.state.CompareAndSwap(fresh, started) && s.state.Load() == detached {
		<-s.over
		return 0, errDetached
	}
	s.stall.stop() // a slow client is not the store's fault
	n, err := s.body.Read(p)
	s.stall.start()
	if err != nil && err != io.EOF {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

// Close is called by the transport, also before it tries another connection.
func (s *sending) Close() error { return nil }

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

// stall cancels a request when it is not stopped in time.
type stall struct {
	after  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	done  bool
}

func (s *stall) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
	case s.timer == nil:
		s.timer = time.AfterFunc(s.after, func() { s.cancel(errStall) })
	default:
		s.timer.Reset(s.after)
	}
}

func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// end stops it for good.
func (s *stall) end() {
	s.stop()
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
}

// receiving is the body of an answer. It never ends cleanly short of its length.
type receiving struct {
	body   io.ReadCloser
	stall  stall
	ctx    context.Context // the request's own, for its cause
	asker  context.Context // that of who asked
	name   string
	finish func(broken bool)
	once   sync.Once
}

func (r *receiving) Read(p []byte) (int, error) {
	r.stall.start()
	n, err := r.body.Read(p)
	r.stall.stop()
	switch {
	case err == nil:
	case err == io.EOF:
		r.end(false)
	default:
		if cause := context.Cause(r.ctx); cause != nil {
			err = cause
		}
		kind := kindOf(r.asker, err)
		r.end(kind != Canceled)
		err = &Error{Upstream: r.name, Kind: kind, Sent: true, Started: true, Err: err}
	}
	return n, err
}

func (r *receiving) end(broken bool) {
	r.once.Do(func() {
		r.stall.end()
		r.finish(broken)
	})
}

func (r *receiving) Close() error {
	err := r.body.Close()
	r.end(false)
	return err
}
