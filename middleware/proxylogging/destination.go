package proxylogging

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware"
)

// nowhere drops lines before they are made.
type nowhere struct{}

// Wants says no.
func (nowhere) Wants(context.Context) bool { return false }

// Send does nothing.
func (nowhere) Send(context.Context, []byte) {}

// Close does nothing.
func (nowhere) Close() error { return nil }

// serverLog makes each line a message of the server's log.
type serverLog struct{ log *slog.Logger }

// Wants asks the log.
func (s serverLog) Wants(ctx context.Context) bool { return s.log.Enabled(ctx, slog.LevelInfo) }

// Send logs the line, past the logger, which would find out where this is called.
func (s serverLog) Send(ctx context.Context, line []byte) {
	_ = s.log.Handler().Handle(ctx, slog.NewRecord(time.Now(), slog.LevelInfo, string(line), 0)) // as a logger drops it
}

// Close does nothing: the log is the server's.
func (serverLog) Close() error { return nil }

const (
	// syslogTimeout bounds how long a request waits for a syslog that does not take its line.
	syslogTimeout = time.Second
	// syslogAgain is how long after a failure lines are dropped without trying, and how often that is logged.
	syslogAgain = 5 * time.Second
)

// A syslog sends each line as one datagram: "<priority>name: line", without time and host, as Swift does. log/syslog
// writes a time and a process id in between, which parsers of Swift's logs do not expect.
type syslog struct {
	network, address string
	prefix           string
	log              *slog.Logger
	clock            clock.Clock

	mu      sync.Mutex // guards what follows; not held while sending
	conn    net.Conn
	closed  bool
	again   time.Time // no sooner than this is there another try
	dropped int       // since it was last logged
}

func newSyslog(network, address string, facility int, name string, h middleware.Host) *syslog {
	const info = 6
	return &syslog{
		network: network, address: address, log: h.Log, clock: h.Clock,
		prefix: "<" + strconv.Itoa(facility<<3|info) + ">" + name + ": ",
	}
}

// Wants says yes.
func (*syslog) Wants(context.Context) bool { return true }

// Send sends the line. One that cannot be sent is lost, and counted: requests do not wait for a log.
func (s *syslog) Send(_ context.Context, line []byte) {
	conn, err := s.dial()
	if conn == nil && err == nil {
		return
	}
	if err == nil {
		buf := lines.Get().(*[]byte)
		*buf = append(append((*buf)[:0], s.prefix...), line...)
		conn.SetWriteDeadline(time.Now().Add(syslogTimeout)) // the kernel's clock, not the host's
		_, err = conn.Write(*buf)
		lines.Put(buf)
	}
	if err != nil {
		s.failed(conn, err)
	}
}

// dial returns the connection; none and no error when it is not time to try.
func (s *syslog) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil || s.closed {
		return s.conn, nil
	}
	if s.clock.Now().Before(s.again) {
		s.dropped++
		return nil, nil
	}
	conn, err := net.DialTimeout(s.network, s.address, syslogTimeout)
	if err != nil {
		return nil, err
	}
	s.conn = conn
	return conn, nil
}

// failed drops the connection, so that a syslog that has been restarted is found again.
func (s *syslog) failed(conn net.Conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped++
	if conn != nil && s.conn == conn {
		conn.Close()
		s.conn = nil
	}
	if now := s.clock.Now(); !now.Before(s.again) {
		s.log.Error("access log lines are lost on the way to syslog", "address", s.address, "lines", s.dropped, "err", err)
		s.again, s.dropped = now.Add(syslogAgain), 0
	}
}

// Close closes the connection.
func (s *syslog) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// facilities are syslog's, in the order of their numbers from 0.
var facilities = strings.Fields("KERN USER MAIL DAEMON AUTH SYSLOG LPR NEWS UUCP CRON AUTHPRIV FTP . . . . " +
	"LOCAL0 LOCAL1 LOCAL2 LOCAL3 LOCAL4 LOCAL5 LOCAL6 LOCAL7")

// facility returns the number of a facility; LOG_LOCAL0's for none.
func facility(name string) (int, error) {
	if name == "" {
		name = "LOG_LOCAL0"
	}
	bare, ok := strings.CutPrefix(strings.ToUpper(name), "LOG_")
	for i, f := range facilities {
		if ok && f == bare && f != "." {
			return i, nil
		}
	}
	return 0, errors.New("want LOG_LOCAL0 to LOG_LOCAL7, LOG_USER, LOG_DAEMON or another of syslog's facilities")
}
