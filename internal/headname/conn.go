package headname

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// Conn is what a server's connection does to the heads that pass through it. One goroutine at a time reads, and one writes,
// as net/http has it.
type Conn struct {
	in, out Swapper
	remote  string

	begins atomic.Bool // a request is next
	// seen is what is restored in the request that has been read last; nil for nothing.
	seen atomic.Pointer[carried]
	// sends are such names of the answer that is next; nil if it has none.
	sends atomic.Pointer[[]string]
}

// carried is what of a request has been changed.
type carried struct {
	names []original
	host  string
}

// NewConn makes one for a connection from remote, as it is in http.Request.RemoteAddr.
func NewConn(remote string) *Conn { return &Conn{remote: remote} }

// State is told of what http.Server.ConnState is. What is read while net/http waits for a request is of its head, from where
// that begins or from where net/http has read ahead to; when it has the head, nothing is changed that is read from there on.
func (c *Conn) State(state http.ConnState) {
	switch state {
	case http.StateNew, http.StateIdle:
		c.seen.Store(nil)
		c.begins.Store(true)
	case http.StateActive:
		c.begins.Store(false)
		c.in.at = outside
	}
}

// Received changes what has been read of the connection.
func (c *Conn) Received(p []byte) {
	if len(p) > 0 && c.begins.CompareAndSwap(true, false) {
		c.in.BeginRead(false)
	}
	if c.in.at == outside {
		return
	}
	c.in.Swap(p)
	if c.in.swapped && c.in.at == outside {
		c.seen.Store(&carried{c.in.seen, c.in.host})
	}
}

// Write writes to w what net/http writes to the connection.
func (c *Conn) Write(w io.Writer, p []byte) (int, error) {
	if names := c.sends.Swap(nil); names != nil {
		c.out.BeginWrite(*names)
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

// Received gives a request's Host and the names of its headers back what they were, if its connection has changed them.
func Received(r *http.Request) {
	c := of(r)
	if c == nil {
		return
	}
	if seen := c.seen.Load(); seen != nil {
		restore(r.Header, seen.names, 0)
		if seen.host != "" {
			restoreHost(r, seen.host)
		}
	}
}

// Send lets the answer to r have h's names as they are. It is called when they are known, before they are written, and
// changes h if the connection will change it back.
func Send(r *http.Request, h http.Header) {
	for key := range h {
		if !Odd(key) {
			continue
		}
		if c := of(r); c != nil {
			names := bars(h)
			c.sends.Store(&names)
		}
		return
	}
}
