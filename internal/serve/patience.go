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

// ReadFrom sends all of r while the client takes it. Only files go to the connection's own ReadFrom: of other readers it
// could have read more than it has sent when the deadline comes.
func (c *patientConn) ReadFrom(r io.Reader) (n int64, err error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	if _, file := limited.R.(syscall.Conn); !file {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	for {
		if err := c.arm(); err != nil {
			return n, err
		}
		before := limited.N
		m, err := c.tcpConn.ReadFrom(limited)
		n += m
		if before-limited.N != m || !c.again(m, err) {
			return n, err
		}
	}
}
