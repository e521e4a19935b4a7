package memcached

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var errPoolTimeout = errors.New("timeout waiting for a free connection")

// A server is one memcached: its connections and its record of errors.
type server struct {
	name        string // as configured
	dialer      dialer
	slots       chan struct{} // one is put in for each connection in use
	poolTimeout time.Duration
	ioTimeout   time.Duration
	limiter     limiter

	mu   sync.Mutex // guards idle
	idle []*conn    // the last used one is last
}

func newServer(name string, cfg *Config, tlsConf *tls.Config) (*server, error) {
	addr, err := parseServer(name)
	if err != nil {
		return nil, err
	}
	conns := cfg.MaxConnections * runtime.GOMAXPROCS(0)
	d := dialer{addr: addr, connect: cfg.ConnectTimeout.Duration, handshake: cfg.PoolTimeout.Duration}
	if tlsConf != nil {
		d.tls = tlsConf.Clone()
		d.tls.ServerName = addr.host
	}
	return &server{
		name:        name,
		dialer:      d,
		slots:       make(chan struct{}, conns),
		poolTimeout: cfg.PoolTimeout.Duration,
		ioTimeout:   cfg.IOTimeout.Duration,
		limiter:     limiter{interval: cfg.ErrorSuppressionInterval.Duration, limit: cfg.ErrorSuppressionLimit},
	}, nil
}

// A dialer opens connections to one server.
type dialer struct {
	addr               hostPort
	connect, handshake time.Duration
	tls                *tls.Config // nil for plain connections
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	plain := net.Dialer{Timeout: d.connect}
	conn, err := plain.DialContext(ctx, d.addr.Network(), d.addr.String())
	if err != nil {
		return nil, err
	}
	if d.tls == nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.handshake)
	defer cancel()
	secure := tls.Client(conn, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("tls handshake: %w", err)
	}
	return secure, nil
}

// do calls fn with a connection when one may be used. The error is errPoolTimeout, of ctx, of dialing, or fn's.
func (s *server) do(ctx context.Context, fn func(*conn) error) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-s.slots }()
	if c := s.takeIdle(); c != nil {
		err := fn(c)
		s.release(c, err)
		if !closedByPeer(err) {
			return err
		}
		// Very likely the server was restarted, and every idle connection is as dead as this one.
		s.closeIdle()
	}
	fresh, err := s.dialer.dial(ctx)
	if err != nil {
		return err
	}
	c := newConn(fresh, s.ioTimeout)
	err = fn(c)
	s.release(c, err)
	return err
}

// takeIdle returns a connection that is not in use, nil if there is none.
func (s *server) takeIdle() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	c := s.idle[last]
	s.idle[last], s.idle = nil, s.idle[:last]
	return c
}

// release keeps c for the next command, unless the last one, which ended with err, has left it in an unknown state.
func (s *server) release(c *conn, err error) {
	if !c.reusable(err) {
		c.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, c)
}

func (s *server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.idle {
		c.Close()
	}
	s.idle = nil
}

func (s *server) acquire(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(s.poolTimeout)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errPoolTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

func closedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// answered tells whether err is something the server said, rather than trouble in reaching or hearing it.
func answered(err error) bool {
	_, ok := errors.AsType[answer](err)
	return ok
}

// A limiter decides when a server has failed too often to be asked.
type limiter struct {
	interval time.Duration // 0 for no limit
	limit    float64

	until atomic.Int64 // Unix time in nanoseconds; the server is skipped before it

	mu     sync.Mutex  // guards errors
	errors []time.Time // the recent ones, oldest first
}

// limited tells whether the server is to be skipped at now.
func (l *limiter) limited(now time.Time) bool { return l.until.Load() > now.UnixNano() }

// failed counts an error and tells whether the server is skipped from now on.
func (l *limiter) failed(now time.Time) bool {
	if l.interval <= 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := 0
	for old < len(l.errors) && !l.errors[old].After(now.Add(-l.interval)) {
		old++
	}
	l.errors = append(l.errors[old:], now)
	if float64(len(l.errors)) <= l.limit {
		return false
	}
	fresh := !l.limited(now)
	l.until.Store(now.Add(l.interval).UnixNano())
	return fresh
}
