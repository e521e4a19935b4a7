package statsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

const (
	// queued is how many packets may wait: more than a second's worth on a busy proxy.
	queued = 8192
	// lookUpEvery is how often a server's name is looked up again, so that it can move.
	lookUpEvery = time.Minute
	// lookUpAgain is how long a failed look-up is not repeated.
	lookUpAgain   = 5 * time.Second
	lookUpTimeout = 5 * time.Second
	// complainEvery is how often the log may say that metrics get lost.
	complainEvery = time.Minute
)

var errNotLookedUp = errors.New("the server's name could not be looked up lately")

// A sender is the transport to a StatsD server. Its goroutine runs until close.
type sender struct {
	host   string
	port   uint16
	logger *slog.Logger
	clock  clock.Clock
	lookUp func(ctx context.Context, network, host string) ([]netip.Addr, error)

	queue   chan *[]byte
	buffers sync.Pool
	dropped atomic.Uint64 // since the last complaint
	quit    chan struct{}
	stop    sync.Once
	done    chan struct{} // closed when the goroutine has ended

	// The goroutine's own.
	addr       netip.AddrPort
	nextLookUp time.Time
	conn       *net.UDPConn
	connIs4    bool
	complained time.Time
}

func startSender(host string, port uint16, o Options) *sender {
	s := newSender(host, port, o)
	go s.run()
	return s
}

func newSender(host string, port uint16, o Options) *sender {
	return &sender{
		host:    host,
		port:    port,
		logger:  o.Logger,
		clock:   o.Clock,
		lookUp:  net.DefaultResolver.LookupNetIP,
		queue:   make(chan *[]byte, queued),
		buffers: sync.Pool{New: func() any { b := make([]byte, 0, 128); return &b }},
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
	}
}

func (s *sender) buffer() *[]byte { return s.buffers.Get().(*[]byte) }

func (s *sender) send(packet *[]byte) {
	select {
	case s.queue <- packet:
	default:
		s.dropped.Add(1)
		s.buffers.Put(packet)
	}
}

func (s *sender) close() error {
	s.stop.Do(func() { close(s.quit) })
	<-s.done
	return nil
}

func (s *sender) run() {
	defer close(s.done)
	defer func() {
		if s.conn != nil {
			s.conn.Close()
		}
	}()
	for {
		select {
		case p := <-s.queue:
			s.transmit(p)
		case <-s.quit:
			for range len(s.queue) {
				s.transmit(<-s.queue)
			}
			return
		}
	}
}

func (s *sender) transmit(packet *[]byte) {
	err := s.connect()
	if err == nil {
		_, err = s.conn.WriteToUDPAddrPort(*packet, s.addr)
	}
	s.buffers.Put(packet)
	if err != nil {
		s.dropped.Add(1)
	}
	s.complain(err)
}

// connect finds out where to send, when that is due, and opens a socket that can.
func (s *sender) connect() error {
	now := s.clock.Now()
	if now.Before(s.nextLookUp) {
		if s.conn == nil {
			return errNotLookedUp
		}
		return nil
	}
	addr, err := s.resolve()
	if err != nil {
		s.nextLookUp = now.Add(lookUpAgain)
		if s.conn != nil {
			// Where it was is the best guess of where it is.
			return nil
		}
		return err
	}
	s.nextLookUp = now.Add(lookUpEvery)
	s.addr = netip.AddrPortFrom(addr, s.port)
	if s.conn != nil && s.connIs4 == addr.Is4() {
		return nil
	}
	network := "udp6"
	if addr.Is4() {
		network = "udp4"
	}
	// Not connected to the server: an absent one would then make every other packet fail.
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		s.nextLookUp = now.Add(lookUpAgain)
		return err
	}
	if s.conn != nil {
		s.conn.Close()
	}
	s.conn, s.connIs4 = conn, addr.Is4()
	return nil
}

// resolve prefers IPv4, as Swift does.
func (s *sender) resolve() (netip.Addr, error) {
	if addr, err := netip.ParseAddr(s.host); err == nil {
		return addr.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookUpTimeout)
	defer cancel()
	var errs []error
	for _, network := range []string{"ip4", "ip6"} {
		addrs, err := s.lookUp(ctx, network, s.host)
		if err == nil && len(addrs) > 0 {
			return addrs[0].Unmap(), nil
		}
		errs = append(errs, err)
	}
	return netip.Addr{}, fmt.Errorf("look up %s: %w", s.host, errors.Join(errs...))
}

// complain logs lost packets, now and then.
func (s *sender) complain(err error) {
	if s.dropped.Load() == 0 {
		return
	}
	now := s.clock.Now()
	if !s.complained.IsZero() && now.Before(s.complained.Add(complainEvery)) {
		return
	}
	s.complained = now
	s.logger.Warn("metrics lost on the way to statsd", "host", s.host, "port", s.port,
		"packets", s.dropped.Swap(0), "err", err)
}
