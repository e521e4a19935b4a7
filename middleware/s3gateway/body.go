package s3gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/s3err"
)

// A clientBody is what a client sends. Each piece must come within client_timeout: while it is waited for, a connection to the
// store is held.
//
// Whoever sends the body on is another goroutine, and may still be at it when the request has been answered. The body is not
// touched any more once leave has returned: it is the server's then, and of the filters to the left.
type clientBody struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration

	reading sync.Mutex // held by who reads; taken before mu

	mu   sync.Mutex // guards what follows, and the deadline
	busy bool       // somebody reads
	over bool       // nobody may begin to
}

var errAbandoned = errors.New("the request has been answered")

// bounded returns the request with a body that does not wait for ever. What is never read counts too: the server reads it
// before it answers.
func (f *filter) bounded(w http.ResponseWriter, r *http.Request) (*http.Request, *clientBody) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, nil
	}
	b := &clientBody{ReadCloser: r.Body, control: http.NewResponseController(w), timeout: f.config.ClientTimeout.Duration}
	b.arm()
	ours := *r
	ours.Body = b
	return &ours, b
}

// arm moves the deadline.
func (b *clientBody) arm() {
	_ = b.control.SetReadDeadline(time.Now().Add(b.timeout)) // what is no connection has none
}

// begin says whether somebody may read.
func (b *clientBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.busy = true
		b.arm()
	}
	return !b.over
}

// end is for who has read. Once all is read, the server reads only to learn whether the client has gone, which must not time out.
func (b *clientBody) end(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = false
	if all && !b.over {
		_ = b.control.SetReadDeadline(time.Time{})
	}
}

func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if !b.begin() {
		return 0, errAbandoned
	}
	n, err := b.ReadCloser.Read(p)
	b.end(err == io.EOF)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = s3err.RequestTimeout.With().Because(err)
	}
	return n, err
}

// abandon ends reading, also by those who are at it. The connection cannot be used again.
func (b *clientBody) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	_ = b.control.SetReadDeadline(time.Now())
}

// leave waits until nobody reads, and lets nobody begin.
func (b *clientBody) leave() {
	b.mu.Lock()
	b.over = true
	wait := b.busy && b.control.SetReadDeadline(time.Now()) == nil // what has no deadline ends when it likes
	b.mu.Unlock()
	if wait {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
}

// release leaves the body to who is asked next.
func (b *clientBody) release() { _ = b.control.SetReadDeadline(time.Time{}) }
