package serve

import (
	"net"

	"github.com/apus-storage/apus/internal/headname"
)

// named is a listener whose connections carry header names that are no tokens; see package headname. Behind a line of
// the PROXY protocol net/http's 400 stays, unless there is TLS within.
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
