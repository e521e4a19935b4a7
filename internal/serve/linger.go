package serve

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// lingering sees to it that an answer reaches a client that is still sending its request. What arrives at a closed connection makes the
// kernel reset it, and the answer is lost with what else was on its way. So net/http waits half a second before it closes a
// connection whose request has not been read, but not if it was the client who wanted it closed, as those of HTTP/1.0 do, nor
// if it has asked by Expect whether to send, as most do with large bodies.
func lingering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.Close && r.Header["Expect"] == nil || r.ContentLength == 0 || r.ProtoMajor != 1 {
			next.ServeHTTP(w, r)
			return
		}
		body := &ending{ReadCloser: r.Body}
		inner := *r // net/http looks at the body of its own
		inner.Body = body
		next.ServeHTTP(w, &inner)
		if !body.ended.Load() {
			// A body that is over its limit is how net/http is told that there is more to come than anybody will read.
			_, _ = io.ReadFull(http.MaxBytesReader(w, io.NopCloser(strings.NewReader("more")), 0), make([]byte, 1))
		}
	})
}

// ending is a body that knows whether it has been read to its end.
type ending struct {
	io.ReadCloser
	ended atomic.Bool // whoever reads need not be the handler's goroutine
}

func (b *ending) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}
