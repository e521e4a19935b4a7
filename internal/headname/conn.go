package headname

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// Conn is what a server's connection does to the heads that pass through it. One goroutine at a time reads, and one writes,
// as net/http has it.
type Conn struct {
	in, out Swapper
	remote  string

	begins  atomic.Bool // a request is next
	swapped atomic.Bool // in the last request's names
	sends   atomic.Bool // the answer that is next has such names
}

// NewConn makes one for a connection from remote, as it is in http.Request.RemoteAddr.
func NewConn(remote string) *Conn { return &Conn{remote: remote} }

// Begin says that the next byte that is read is the first of a request.
func (c *Conn) Begin() { c.begins.Store(true) }

// Received changes what has been read of the connection.
func (c *Conn) Received(p []byte) {
	if len(p) > 0 && c.begins.CompareAndSwap(true, false) {
		c.swapped.Store(false)
		c.in.BeginRead(false)
	}
	c.in.Swap(p)
	if c.in.swapped {
		c.swapped.Store(true)
	}
}

// Write writes to w what net/http writes to the connection.
func (c *Conn) Write(w io.Writer, p []byte) (int, error) {
	if c.sends.CompareAndSwap(true, false) {
		c.out.BeginWrite()
	}
	if c.out.at == outside {
		return w.Write(p)
	}
	before, changed := c.out, append([]byte(nil), p...)
	c.out.Swap(changed)
	n, err := w.Write(changed)
	if n < len(p) {
		// The rest may be tried again.
		c.out = before
		c.out.Swap(append([]byte(nil), p[:n]...))
	}
	return n, err
}

type connKey struct{}

// NewContext returns a context for the requests of c.
func NewContext(ctx context.Context, c *Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// of returns the connection that a request came on, nil if it has none of this package: that of a caller in this process
// has the context of the request that it serves.
func of(r *http.Request) *Conn {
	if c, ok := r.Context().Value(connKey{}).(*Conn); ok && c.remote == r.RemoteAddr {
		return c
	}
	return nil
}

// Received gives the names of a request's headers their equals signs back, if its connection has taken them away.
func Received(r *http.Request) {
	if c := of(r); c != nil && c.swapped.Load() {
		Restore(r.Header)
	}
}

// Send lets the answer to r have h's names as they are. It is called when they are known, before they are written, and
// changes h if the connection will change it back.
func Send(r *http.Request, h http.Header) {
	var c *Conn
	for key, values := range h {
		if strings.IndexByte(key, sign) < 0 {
			continue
		}
		if c == nil {
			if c = of(r); c == nil {
				return
			}
		}
		delete(h, key)
		h[strings.ReplaceAll(key, string(sign), string(bar))] = values
	}
	if c != nil {
		c.sends.Store(true)
	}
}
