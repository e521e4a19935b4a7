package subreq

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// A Stream is the body of an answer on its way into another request, as whoever serves that reads it. It breaks off when
// the client has gone: a node that writes without end to one that reads without end would not notice. And it lets one
// goroutine in at a time, since whoever stores it may still be reading when that request has been answered and the body
// is closed.
type Stream struct {
	ctx    context.Context // of the transfer, which the body is a part of
	cancel context.CancelFunc
	mu     sync.Mutex // guards body and err
	body   io.ReadCloser
	err    error
}

// NewStream makes a stream of a body that was opened under ctx. Closing it calls cancel.
func NewStream(ctx context.Context, cancel context.CancelFunc, body io.ReadCloser) *Stream {
	return &Stream{ctx: ctx, cancel: cancel, body: body}
}

// Read reads from the body.
func (s *Stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read what is transferred: %w", err)
	}
	n, err := s.body.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Err is why the body has broken off, should it have.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the body, and a Read that waits for it.
func (s *Stream) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body.Close()
}
