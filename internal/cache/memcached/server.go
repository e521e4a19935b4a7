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

	"github.com/bradfitz/gomemcache/memcache"
)

var errPoolTimeout = errors.New("timeout waiting for a free connection")

// A server is one memcached: its connections and its record of errors.
type server struct {
	name        string // as configured
	client      *memcache.Client
	slots       chan struct{} // one is put in for each connection in use
	poolTimeout time.Duration
	limiter     limiter
}

func newServer(name string, cfg *Config, tlsConf *tls.Config) (*server, error) {
	addr, err := parseServer(name)
	if err != nil {
		return nil, err
	}
	conns := cfg.MaxConnections * runtime.GOMAXPROCS(0)
	client := memcache.NewFromSelector(only{addr})
	client.Timeout = cfg.IOTimeout.Duration
	client.MaxIdleConns = conns
	d := dialer{addr: addr, connect: cfg.ConnectTimeout.Duration, handshake: cfg.PoolTimeout.Duration}
	if tlsConf != nil {
		d.tls = tlsConf.Clone()
		d.tls.ServerName = addr.host
	}
	client.DialContext = d.dial
	return &server{
		name:        name,
		client:      client,
		slots:       make(chan struct{}, conns),
		poolTimeout: cfg.PoolTimeout.Duration,
		limiter:     limiter{interval: cfg.ErrorSuppressionInterval.Duration, limit: cfg.ErrorSuppressionLimit},
	}, nil
}

// only is a selector of a single server: which one is tried is decided by the ring, not by the library.
type only struct{ addr hostPort }

func (o only) PickServer(string) (net.Addr, error)   { return o.addr, nil }
func (o only) Each(visit func(net.Addr) error) error { return visit(o.addr) }

// A dialer opens connections to one server.
type dialer struct {
	addr               hostPort
	connect, handshake time.Duration
	tls                *tls.Config // nil for plain connections
}

// A dialError is one of opening a connection. Its type tells it from an answer of the server.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

func (d *dialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	// The library limits ctx to io_timeout, which is not what connecting may take.
	ctx = context.WithoutCancel(ctx)
	plain := net.Dialer{Timeout: d.connect}
	conn, err := plain.DialContext(ctx, d.addr.Network(), d.addr.String())
	if err != nil {
		return nil, dialError{err}
	}
	if d.tls == nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.handshake)
	defer cancel()
	secure := tls.Client(conn, d.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, dialError{fmt.Errorf("tls handshake: %w", err)}
	}
	return secure, nil
}

// do calls fn when a connection may be used. The error is errPoolTimeout, of ctx, or fn's.
func (s *server) do(ctx context.Context, fn func(*memcache.Client) error) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-s.slots }()
	err := fn(s.client)
	if closedByPeer(err) {
		// Very likely the server was restarted, and every idle connection is as dead as this one.
		s.client.Close()
		err = fn(s.client)
	}
	return err
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
	if _, ok := errors.AsType[net.Error](err); ok {
		return false
	}
	if _, ok := errors.AsType[dialError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*memcache.ConnectTimeoutError](err); ok {
		return false
	}
	return !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, errPoolTimeout)
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
