package nodes

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// A Copier is a body that can be copied to a writer in the manner that costs least: those of [TCP] whose length is
// known go from socket to socket within the kernel, if w lets them. It is an optimisation.
type Copier interface {
	// CopyTo copies all that is left. Patience bounds each wait for the node, not the time that w takes; running out of it
	// is os.ErrDeadlineExceeded. An error of w is a *[DestinationError]; others are the node's.
	CopyTo(w io.Writer, patience time.Duration) (int64, error)
}

// A DestinationError says that it is not the node that failed.
type DestinationError struct{ Err error }

// Error is the cause's.
func (e *DestinationError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DestinationError) Unwrap() error { return e.Err }

// attach gives the response a body that gives the connection back at its end. Waiting says that the node has not asked for
// the request's body and will not get it.
func (c *conn) attach(resp *http.Response, r *http.Request, waiting bool) {
	keep := !resp.Close && !waiting && resp.StatusCode != http.StatusSwitchingProtocols
	if waiting {
		r.Body.Close()
	}
	switch n := resp.ContentLength; {
	case r.Method == http.MethodHead || n == 0 || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified:
		resp.Body = http.NoBody
		c.release(keep)
	case n > 0 && len(resp.TransferEncoding) == 0:
		resp.Body = &sizedBody{c: c, left: n, keep: keep}
	default:
		// In chunks, or up to the end of the connection: net/http takes that apart.
		resp.Body = &framedBody{c: c, r: resp.Body, keep: keep && len(resp.TransferEncoding) > 0}
	}
}

// framedBody is a body of a length that only its framing tells.
type framedBody struct {
	c    *conn // nil once it has been let go
	r    io.Reader
	keep bool
	err  error // what a Read says then
}

// Read reads from the node.
func (b *framedBody) Read(p []byte) (int, error) {
	if b.c == nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if err == io.EOF {
		b.c.release(b.keep && b.c.r.Buffered() == 0)
		b.c, b.err = nil, io.EOF
	}
	return n, err
}

// Close lets the connection go.
func (b *framedBody) Close() error {
	if b.c != nil {
		b.c.close()
		b.c = nil
	}
	b.err = http.ErrBodyReadAfterClose
	return nil
}

// sizedBody is a body of known length.
type sizedBody struct {
	c      *conn // nil once it has been let go
	left   int64
	keep   bool
	closed bool
}

// Read reads from the node.
func (b *sizedBody) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case b.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.r.Read(p)
	return n, b.took(int64(n), err)
}

// took counts what has been read, and lets the connection go when that is all.
func (b *sizedBody) took(n int64, err error) error {
	b.left -= n
	if b.left == 0 {
		b.c.release(b.keep && b.c.r.Buffered() == 0)
		b.c = nil
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close lets the connection go. What little is left of a body that has already arrived is passed over.
func (b *sizedBody) Close() error {
	b.closed = true
	if b.c == nil {
		return nil
	}
	if int64(b.c.r.Buffered()) >= b.left {
		n, _ := b.c.r.Discard(int(b.left))
		b.took(int64(n), nil)
		return nil
	}
	b.c.close()
	b.c = nil
	return nil
}

// WriteTo copies what is left to w.
func (b *sizedBody) WriteTo(w io.Writer) (int64, error) { return b.CopyTo(w, 0) }

// spliceFrom is from how many bytes on that wait in a socket the kernel moves them to another: below, copying costs less.
const spliceFrom = 32 << 10

// CopyTo implements Copier; no patience means no bound.
func (b *sizedBody) CopyTo(w io.Writer, patience time.Duration) (total int64, err error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	rf, _ := w.(io.ReaderFrom)
	defer func() {
		if b.c != nil {
			b.c.dropReadDeadline()
		}
	}()
	for b.left > 0 {
		c := b.c
		waits := c.r.Buffered() == 0
		if waits && patience > 0 {
			c.setReadDeadline(time.Now().Add(patience))
		}
		ready := 0
		if waits && rf != nil && b.left >= spliceFrom {
			if ready, err = c.wait(); err != nil {
				return total, b.took(0, err)
			}
		}
		var n int64
		if ready >= spliceFrom {
			n, err = b.splice(rf, min(int64(ready), b.left))
		} else {
			n, err = b.copy(w)
		}
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// splice has w take n bytes that are there from the socket.
func (b *sizedBody) splice(w io.ReaderFrom, n int64) (int64, error) {
	src := io.LimitedReader{R: b.c.tcp, N: n}
	m, err := w.ReadFrom(&src)
	taken := n - src.N
	switch {
	case err == nil && m == taken && m == n:
		return m, b.took(m, nil)
	case err == nil && m == taken:
		return m, b.took(m, io.EOF)
	case err == nil:
		err = io.ErrShortWrite
	}
	// Taken from the node and not written are two things now: nobody can go on from here.
	b.took(taken, nil)
	return m, &DestinationError{err}
}

var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// copy copies what one read brings.
func (b *sizedBody) copy(w io.Writer) (int64, error) {
	c := b.c
	if n := int64(c.r.Buffered()); n > 0 {
		p, _ := c.r.Peek(int(min(n, b.left)))
		m, err := w.Write(p)
		c.r.Discard(m)
		if err == nil && m < len(p) {
			err = io.ErrShortWrite
		}
		if err != nil {
			b.took(int64(m), nil)
			return int64(m), &DestinationError{err}
		}
		return int64(m), b.took(int64(m), nil)
	}
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := b.c.tcp.Read(buf[:min(int64(len(buf)), b.left)])
	if n == 0 {
		return 0, b.took(0, err)
	}
	m, err := w.Write(buf[:n])
	if err == nil && m < n {
		err = io.ErrShortWrite
	}
	if err != nil {
		b.took(int64(n), nil)
		return int64(m), &DestinationError{err}
	}
	return int64(m), b.took(int64(n), nil)
}
