// Package nodes is how a process reaches storage nodes: by an http.RoundTripper, over TCP or, for nodes that live in the
// same process, by calling them.
//
// Both keep to the same rules, which callers rely on:
//
//   - The URL's host is the node's ip:port from the ring; the path is /device/partition/...
//   - A request body is first read when the node wants it: after its 100-continue over TCP, if the request has
//     "Expect: 100-continue". A node that refuses early answers without the body having been touched.
//   - The response's body must be closed. A body that broke off ends in an error, not in io.EOF.
//   - Redirects are answers like others, nothing is decompressed, no proxy of the environment is asked.
//
// [TCP] is a client of its own and not net/http's, because a proxy spends most of its time here:
// docs/decisions/node-transport.md has the figures. It speaks HTTP/1.1 (RFC 9112) without pipelining; what arrives is read by
// net/http's parser.
//
// One suite, nodestest, runs against both.
package nodes

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/apus-storage/apus/internal/pull"
)

// Direct reaches nodes in this process. The zero value has none. It is safe for concurrent use.
//
// A node that hangs hangs its caller: whoever needs a time-out runs RoundTrip in a goroutine of its own, as package
// fanout does.
type Direct struct {
	mu    sync.RWMutex
	nodes map[string]http.Handler
	next  http.RoundTripper
}

// NewDirect returns a transport without nodes; requests to hosts that it does not have go to next, or fail as if the
// connection had been refused if next is nil.
func NewDirect(next http.RoundTripper) *Direct {
	return &Direct{nodes: map[string]http.Handler{}, next: next}
}

// Handle makes h the node at addr (ip:port); a nil h takes the node away.
func (d *Direct) Handle(addr string, h http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h == nil {
		delete(d.nodes, addr)
		return
	}
	d.nodes[addr] = h
}

// RoundTrip calls the node's handler up to its head; the handler goes on as the body is read.
func (d *Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.RLock()
	h, ok := d.nodes[r.URL.Host]
	d.mu.RUnlock()
	if !ok {
		if d.next != nil {
			return d.next.RoundTrip(r)
		}
		return nil, &net.OpError{Op: "dial", Net: "direct", Err: fmt.Errorf("node %s: %w", r.URL.Host, syscall.ECONNREFUSED)}
	}
	// The handler sees what a server would have made of the request.
	in := *r
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "direct"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.ContentLength == 0 && in.Body != http.NoBody {
		in.ContentLength = -1
	}
	resp, err := pull.Do(h, &in)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Host, err)
	}
	resp.Request = r
	return resp, nil
}
