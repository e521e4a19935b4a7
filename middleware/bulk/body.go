package bulk

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/apus-storage/apus/internal/reply"
)

// A body is what the client sends. It counts, and waits for each piece no longer than it may.
type body struct {
	io.Reader
	control *http.ResponseController
	timeout time.Duration
	timed   bool
	n       int64
	err     error // the first that is not the end
}

func (f *filter) body(w http.ResponseWriter, r *http.Request) *body {
	return &body{Reader: r.Body, control: http.NewResponseController(w), timeout: f.config.ClientTimeout.Duration, timed: true}
}

// Read reads the next piece.
func (b *body) Read(p []byte) (int, error) {
	if b.timed && b.control.SetReadDeadline(time.Now().Add(b.timeout)) != nil {
		b.timed = false // not a connection
	}
	n, err := b.Reader.Read(p)
	b.n += int64(n)
	if err == io.EOF && b.timed {
		// From now on the server reads only to learn whether the client has gone, which must not time out.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	if err != nil && err != io.EOF && b.err == nil {
		b.err = err
	}
	return n, err
}

// refusal is the answer to a client whose body has broken off; nil if it has not.
func (b *body) refusal() *reply.Error {
	switch {
	case b.err == nil:
		return nil
	case errors.Is(b.err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout).Because(b.err)
	}
	return refuse(reply.StatusClientDisconnect).Because(b.err)
}
