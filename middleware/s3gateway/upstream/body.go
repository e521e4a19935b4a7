package upstream

import (
	"context"
	"io"
	"net/http"
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

// stall cancels a request when it is not stopped in time.
type stall struct {
	after  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	timer *time.Timer
	done  bool
}

func (s *stall) start() { s.startFor(s.after) }

func (s *stall) startFor(patience time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
	case s.timer == nil:
		s.timer = time.AfterFunc(patience, func() { s.cancel(errStall) })
	default:
		s.timer.Reset(patience)
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

	stalled atomic.Bool // it was cut because nothing came
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
		if r.stalled.Load() {
			err = errStall
		}
		if cause := context.Cause(r.ctx); cause != nil {
			err = cause
		}
		r.body.Close() // the store need not go on until whoever reads comes to it
		kind := kindOf(r.asker, err)
		r.end(kind != Canceled)
		err = &Error{Upstream: r.name, Kind: kind, Sent: true, Started: true, Err: err}
	}
	return n, err
}

// cut ends a Read that waits.
func (r *receiving) cut(error) {
	r.stalled.Store(true)
	r.body.Close() // whoever waits hears of it
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

// exclusive is a body that is for one goroutine at a time, made such that it can be closed while another one waits for it, as net/http's can:
// the source of a copy is, when the copy is refused.
type exclusive struct {
	mu   sync.Mutex // guards body
	body io.ReadCloser
	cut  context.CancelCauseFunc // ends a Read that waits
}

func (e *exclusive) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.body.Read(p)
}

func (e *exclusive) Close() error {
	if !e.mu.TryLock() {
		e.cut(http.ErrBodyReadAfterClose)
		e.mu.Lock()
	}
	defer e.mu.Unlock()
	return e.body.Close()
}
