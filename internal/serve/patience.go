package serve

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// patience is a listener whose connections give up on a client that does not take what is written to it: within the
// limit something must get across, or the write fails. Without it, whoever asks for a large object and reads nothing of
// it holds a connection, a file and a goroutine for as long as it likes.
//
// It stands below TLS, and its connections keep ReadFrom: files still go from the page cache to the socket.
type patience struct {
	net.Listener
	limit time.Duration
}

// Accept waits for the next connection.
func (l patience) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(tcpConn); ok {
		return &patientConn{tcpConn: tcp, limit: l.limit}, nil
	}
	return c, nil
}

// tcpConn is what net/http makes use of in a *net.TCPConn.
type tcpConn interface {
	net.Conn
	io.ReaderFrom
	CloseWrite() error
}

type patientConn struct {
	tcpConn
	limit time.Duration
	armed atomic.Int64 // when the deadline was last moved, in nanoseconds since 1970
}

// arm moves the deadline. Moving it costs more than looking at the clock, so it stays where it is for an eighth of the
// limit.
func (c *patientConn) arm() error {
	now := time.Now()
	if last := c.armed.Load(); last != 0 && now.UnixNano()-last < int64(c.limit/8) {
		return nil
	}
	c.armed.Store(now.UnixNano())
	return c.SetWriteDeadline(now.Add(c.limit))
}

// again says whether a write is to go on: it ran into the deadline, but got something across.
func (c *patientConn) again(n int64, err error) bool {
	if n <= 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.armed.Store(0)
	return true
}

// Write writes all of p while the client takes it.
func (c *patientConn) Write(p []byte) (n int, err error) {
	for {
		if err := c.arm(); err != nil {
			return n, err
		}
		m, err := c.tcpConn.Write(p[n:])
		n += m
		if !c.again(int64(m), err) {
			return n, err
		}
	}
}

// piece is how much of another socket's bytes is passed on by one call of the kernel's. What has been taken from there and not
// been sent when the deadline comes is lost, so it must be little enough for a slow client.
const piece = 128 << 10

// ReadFrom sends all of r while the client takes it. Files and sockets go to the connection's own ReadFrom, and so through the
// kernel.
func (c *patientConn) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	switch limited.R.(type) {
	case *net.TCPConn:
		return c.splice(limited)
	case syscall.Conn:
		return c.sendFile(limited)
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}

// sendFile goes on after a deadline by which something has been sent: what has not been sent is still in the file.
func (c *patientConn) sendFile(r *io.LimitedReader) (n int64, err error) {
	for {
		if err := c.arm(); err != nil {
			return n, err
		}
		before := r.N
		m, err := c.tcpConn.ReadFrom(r)
		n += m
		if before-r.N != m || !c.again(m, err) {
			return n, err
		}
	}
}

// splice sends piece by piece, each with time of its own, and copies for a client that needs much of that.
func (c *patientConn) splice(r *io.LimitedReader) (n int64, err error) {
	for r.N > 0 {
		c.armed.Store(0)
		if err := c.arm(); err != nil {
			return n, err
		}
		start := time.Now()
		part := io.LimitedReader{R: r.R, N: min(piece, r.N)}
		asked := part.N
		m, err := c.tcpConn.ReadFrom(&part)
		n += m
		r.N -= asked - part.N
		if err != nil || m < asked {
			return n, err
		}
		if time.Since(start) > c.limit/8 {
			m, err := io.Copy(struct{ io.Writer }{c}, r)
			return n + m, err
		}
	}
	return n, nil
}
