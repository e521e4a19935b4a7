package serve

import (
	"bytes"
	"io"
	"sync"
)

// joiner sends head and body of a small answer in one piece. net/http writes when its 4 KiB are full, which are so by an
// object of 4 KiB and its head: two system calls here, and often as many for whoever reads it.
type joiner struct {
	tcpConn

	mu   sync.Mutex // guards held: a connection may be closed by others than its writer
	held *[]byte    // written by net/http and not yet sent; nil for nothing
}

const (
	// httpBuffer is how much net/http gathers.
	httpBuffer = 4 << 10
	// joinUpTo is up to what length a body is small.
	joinUpTo = 16 << 10
)

var joined = sync.Pool{New: func() any {
	b := make([]byte, 0, httpBuffer+joinUpTo)
	return &b
}}

// Write sends p, or keeps it if more must come at once: it begins an answer whose body is small and longer than what p has.
func (g *joiner) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.held != nil:
		return g.sendWith(p)
	case !goesOn(p):
		return g.tcpConn.Write(p)
	}
	g.held = joined.Get().(*[]byte)
	*g.held = append((*g.held)[:0], p...)
	return len(p), nil
}

// sendWith sends what is held and p.
func (g *joiner) sendWith(p []byte) (int, error) {
	buf, before := g.held, len(*g.held)
	g.held = nil
	whole := append(*buf, p...)
	n, err := g.tcpConn.Write(whole)
	if cap(whole) == cap(*buf) {
		joined.Put(buf)
	}
	return max(n-before, 0), err
}

// ReadFrom sends what is held, and then all of r.
func (g *joiner) ReadFrom(r io.Reader) (int64, error) {
	if err := g.flush(); err != nil {
		return 0, err
	}
	return g.tcpConn.ReadFrom(r)
}

// CloseWrite sends what is held, and that there is no more. Close does not: an answer that breaks off need not have begun.
func (g *joiner) CloseWrite() error {
	if err := g.flush(); err != nil {
		return err
	}
	return g.tcpConn.CloseWrite()
}

func (g *joiner) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return nil
	}
	_, err := g.sendWith(nil)
	return err
}

var (
	headBegin = []byte("HTTP/1.1 ")
	headEnd   = []byte("\r\n\r\n")
	lengthIs  = []byte("\r\nContent-Length: ")
)

// goesOn says whether p is a full buffer that begins an answer of which a little is still to come.
func goesOn(p []byte) bool {
	if len(p) != httpBuffer || !bytes.HasPrefix(p, headBegin) {
		return false
	}
	end := bytes.Index(p, headEnd)
	if end < 0 || end+len(headEnd) == len(p) {
		return false // to HEAD, or 304, it is all there is
	}
	at := bytes.Index(p[:end+2], lengthIs)
	if at < 0 {
		return false
	}
	length := 0
	for _, c := range p[at+len(lengthIs) : end+2] {
		if c < '0' || c > '9' {
			break
		}
		if length = length*10 + int(c-'0'); length > joinUpTo {
			return false
		}
	}
	return end+len(headEnd)+length > len(p)
}
