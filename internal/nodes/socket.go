package nodes

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// cut ends what is under way on the connection. It is the watch over a request's context.
func (c *conn) cut() {
	c.cancelled.Store(true)
	c.tcp.SetDeadline(past)
}

// setReadDeadline moves the deadline, but not away from a request that has been cancelled.
func (c *conn) setReadDeadline(t time.Time) {
	c.deadline = !t.IsZero()
	c.tcp.SetReadDeadline(t)
	if c.cancelled.Load() {
		c.tcp.SetReadDeadline(past)
	}
}

// dropReadDeadline lets reads take as long as they like again.
func (c *conn) dropReadDeadline() {
	if c.deadline {
		c.setReadDeadline(time.Time{})
	}
}

// quiet says whether an idle connection is still open. Anything that can be read is the end of it, or nonsense.
func (c *conn) quiet() bool {
	err := c.raw.Control(c.poll)
	return err == nil && c.ready == 0 && c.r.Buffered() == 0
}

// pollNow looks whether there is anything to be read, the end included.
func (c *conn) pollNow(fd uintptr) {
	c.pollFd[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}
	n, err := unix.Poll(c.pollFd[:], 0)
	if err != nil {
		n = 1
	}
	c.ready = n
}

// wait waits until something can be read, and returns how many bytes that are. The end is an error.
func (c *conn) wait() (n int, err error) {
	failed := c.raw.Read(func(fd uintptr) bool {
		if n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ); err != nil || n > 0 {
			return true
		}
		var b [1]byte
		switch _, _, e := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); e {
		case unix.EAGAIN, unix.EINTR:
			return false
		case nil: // the end, or what has come in this moment
			if n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ); err == nil && n == 0 {
				err = io.EOF
			}
		default:
			err = e
		}
		return true
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}
