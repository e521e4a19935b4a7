package serve

import (
	"net"
	"net/http"

	"github.com/apus-storage/apus/internal/headname"
)

// named is a listener whose connections carry hosts that are not ASCII and header names that are no tokens; see package
// headname. Behind a line of the PROXY protocol net/http's 400 stays, unless there is TLS within.
type named struct{ net.Listener }

// Accept waits for the next connection.
func (l named) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(tcpConn); ok {
		return &namedConn{&joiner{tcpConn: tcp}, headname.NewConn(c.RemoteAddr().String())}, nil
	}
	return c, nil
}

// namedConn keeps ReadFrom: heads are written, what is sent from files and sockets is never one.
type namedConn struct {
	tcpConn
	names *headname.Conn
}

// Read reads from the client.
func (c *namedConn) Read(p []byte) (int, error) {
	n, err := c.tcpConn.Read(p)
	c.names.Received(p[:n])
	return n, err
}

// Write writes to the client.
func (c *namedConn) Write(p []byte) (int, error) { return c.names.Write(c.tcpConn, p) }

// onState tells a connection when net/http waits for a request, and when it has the head.
func onState(c net.Conn, state http.ConnState) {
	if n := names(c); n != nil {
		n.State(state)
	}
}

// names finds the state of a connection's names, nil if it has none.
func names(c net.Conn) *headname.Conn {
	if s, ok := c.(*secureConn); ok {
		return s.names
	}
	if p, ok := c.(*patientConn); ok {
		c = p.tcpConn
	}
	if n, ok := c.(*namedConn); ok {
		return n.names
	}
	return nil
}
