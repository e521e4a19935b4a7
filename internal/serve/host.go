package serve

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// A Host header may hold any byte for Swift, and domain_remap finds containers of any name by it. net/http refuses what is not
// ASCII before a handler is asked. So a connection escapes such bytes in the heads that it reads, %C3 for one, and Bound puts
// them back.
//
// Only what begins where a request can begin is looked at: behind a pipelined request, or with a Host line that came in two pieces,
// net/http's 400 stays. HTTP/2 has no such bytes.

// hostReader escapes the Host line of heads as they are read.
type hostReader struct {
	inHead  atomic.Bool // what comes next is, or goes on with, a head
	escaped atomic.Bool // for good, once it was necessary
	rest    []byte      // what did not fit into the reader's buffer
}

// onState tells a connection that its next request is about to be read.
func onState(c net.Conn, state http.ConnState) {
	if state != http.StateNew && state != http.StateIdle {
		return
	}
	if h := hosts(c); h != nil {
		h.inHead.Store(true)
	}
	if n := names(c); n != nil {
		n.Begin()
	}
}

// hosts finds the reader of a connection's hosts, nil if it has none.
func hosts(c net.Conn) *hostReader {
	switch c := c.(type) {
	case *patientConn:
		return &c.host
	case *secureConn:
		return &c.host
	}
	return nil
}

// Read reads from the client.
func (c *patientConn) Read(p []byte) (int, error) { return c.host.read(p, c.tcpConn.Read) }

func (h *hostReader) read(p []byte, from func([]byte) (int, error)) (int, error) {
	if len(h.rest) > 0 {
		n := copy(p, h.rest)
		h.rest = h.rest[n:]
		return n, nil
	}
	n, err := from(p)
	if n > 1 && h.inHead.Load() { // one byte is net/http's look whether the client is still there
		n = h.look(p, n)
	}
	return n, err
}

// look escapes the Host line in p[:n], if it is there and has to be, and returns how much of p is filled.
func (h *hostReader) look(p []byte, n int) int {
	head := p[:n]
	if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
		head = head[:end+2]
		h.inHead.Store(false)
	}
	if isASCII(head) {
		return n
	}
	start := hostValue(head)
	if start < 0 {
		return n
	}
	length := bytes.Index(head[start:], []byte("\r\n"))
	if length < 0 || isASCII(head[start:start+length]) {
		return n
	}
	out := append([]byte(nil), p[:start]...)
	out = appendEscaped(out, head[start:start+length])
	out = append(out, p[start+length:n]...)
	h.escaped.Store(true)
	n = copy(p, out)
	h.rest = out[n:]
	return n
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// hostValue finds where the value of the Host header begins; -1 if there is none.
func hostValue(head []byte) int {
	const name = "\nhost:"
	for i := 0; i+len(name) <= len(head); i++ {
		if head[i] == '\n' && strings.EqualFold(string(head[i:i+len(name)]), name) {
			return i + len(name)
		}
	}
	return -1
}

const upperHex = "0123456789ABCDEF"

func appendEscaped(b, host []byte) []byte {
	for _, c := range host {
		if c < 0x80 {
			b = append(b, c)
			continue
		}
		b = append(b, '%', upperHex[c>>4], upperHex[c&15])
	}
	return b
}

// unescapeHost puts the bytes back that appendEscaped has escaped; what the client itself has escaped as ASCII stays.
func unescapeHost(host string) string {
	if strings.IndexByte(host, '%') < 0 {
		return host
	}
	b := make([]byte, 0, len(host))
	for i := 0; i < len(host); i++ {
		if host[i] == '%' && i+2 < len(host) {
			high, low := strings.IndexByte(upperHex, host[i+1]), strings.IndexByte(upperHex, host[i+2])
			if high >= 8 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, host[i])
	}
	return string(b)
}
