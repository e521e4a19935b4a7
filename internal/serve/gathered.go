package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/headname"
)

// gathered is one listener of several, some with TLS. It shakes hands itself, before net/http sees a connection: what speaks
// HTTP/1.1 within TLS gets the same treatment of its heads as without, and what speaks HTTP/2 goes to net/http as the
// *tls.Conn that it wants.
type gathered struct {
	listeners []net.Listener
	cert      *certificate
	timeout   time.Duration

	ctx   context.Context // done when the listener is closed
	close context.CancelFunc
	conns chan net.Conn
	errs  chan error
	busy  sync.WaitGroup
}

// gather listens on plain, if it is there, and with TLS on secure.
func gather(plain, secure net.Listener, cert *certificate, c *Config) *gathered {
	ctx, cancel := context.WithCancel(context.Background())
	g := &gathered{cert: cert, timeout: c.ClientTimeout.Duration, ctx: ctx, close: cancel, conns: make(chan net.Conn), errs: make(chan error)}
	conf := &tls.Config{GetCertificate: cert.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.HTTP2 {
		conf.NextProtos = []string{"h2", "http/1.1"}
	}
	if plain != nil {
		g.accept(plain, g.give)
	}
	g.accept(secure, func(conn net.Conn) { g.shakeHands(tls.Server(conn, conf)) })
	return g
}

func (g *gathered) accept(l net.Listener, then func(net.Conn)) {
	g.listeners = append(g.listeners, l)
	g.busy.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				// Accept's caller waits before it asks again, and so does this, if it is for want of files.
				select {
				case g.errs <- err:
				case <-g.ctx.Done():
					return
				}
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			g.busy.Go(func() { then(conn) })
		}
	})
}

// give hands a connection to Accept.
func (g *gathered) give(conn net.Conn) {
	select {
	case g.conns <- conn:
	case <-g.ctx.Done():
		conn.Close()
	}
}

func (g *gathered) shakeHands(conn *tls.Conn) {
	ctx, cancel := context.WithTimeout(g.ctx, g.timeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		// As net/http does: it is the mistake that people make most.
		if h, ok := errors.AsType[tls.RecordHeaderError](err); ok && h.Conn != nil && looksLikeHTTP(h.RecordHeader) {
			io.WriteString(h.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		conn.NetConn().Close() // there is nobody to say goodbye to
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		g.give(conn)
		return
	}
	g.give(&secureConn{Conn: conn, names: headname.NewConn(conn.RemoteAddr().String())})
}

func looksLikeHTTP(head [5]byte) bool {
	switch string(head[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET":
		return true
	}
	return false
}

// Accept waits for the next connection.
func (g *gathered) Accept() (net.Conn, error) {
	select {
	case conn := <-g.conns:
		return conn, nil
	case err := <-g.errs:
		return nil, err
	case <-g.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops listening, and the handshakes under way.
func (g *gathered) Close() error {
	g.close()
	var errs []error
	for _, l := range g.listeners {
		errs = append(errs, l.Close())
	}
	g.busy.Wait()
	return errors.Join(errs...)
}

// Addr is where the first listens.
func (g *gathered) Addr() net.Addr { return g.listeners[0].Addr() }

// logTo says where news of the certificate go.
func (g *gathered) logTo(log *slog.Logger) { g.cert.log.Store(log) }

// secureConn is HTTP/1.1 within TLS. net/http finds its ConnectionState.
type secureConn struct {
	*tls.Conn
	names *headname.Conn
}

// Read reads from the client.
func (c *secureConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.names.Received(p[:n])
	return n, err
}

// Write writes to the client.
func (c *secureConn) Write(p []byte) (int, error) { return c.names.Write(c.Conn, p) }
