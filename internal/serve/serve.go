// Package serve runs an http.Handler as a server: it listens, bounds what a client may send before anybody looks at it,
// logs, and stops without breaking requests.
//
// [Config] is the part of a configuration file's [DEFAULT] that is the server's own. It is shared by proxies and storage
// nodes.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
)

// Config is the server's own part of [DEFAULT].
type Config struct {
	// Address to listen on.
	BindIP string `toml:"bind_ip"`
	// Port to listen on. Required.
	BindPort int `toml:"bind_port"`
	// How many processors the server computes on at once: a number, or "auto" for all. Waiting for disks and clients does
	// not count. Of several servers on few processors, those that do little for each request (account, container) are cheaper with 1.
	Workers Workers `toml:"workers"`
	// How long to keep trying when the address is in use.
	BindTimeout config.Duration `toml:"bind_timeout"`
	// Idle time after which TCP asks whether the client is still there.
	KeepIdle config.Duration `toml:"keep_idle"`
	// How long a client may take to send a request's head, and to take or send the next piece of a body.
	ClientTimeout config.Duration `toml:"client_timeout"`
	// How long a connection may wait for its next request; 0 closes it after each. Default: client_timeout.
	KeepaliveTimeout config.Duration `toml:"keepalive_timeout"`
	// TLS certificate, with what leads to its issuer, and key, in PEM. Both or none. bind_port then is for TLS, unless there is
	// an https_port. They are read again when they change.
	CertFile string `toml:"cert_file"`
	KeyFile  string `toml:"key_file"`
	// A port for TLS besides bind_port, which then is without. 0: none.
	HTTPSPort int `toml:"https_port"`
	// Offer HTTP/2 to clients of TLS.
	HTTP2 bool `toml:"http2"`
	// Expect a PROXY protocol line from a load balancer on each connection, and refuse those without.
	RequireProxyProtocol bool `toml:"require_proxy_protocol"`
	// Directory of the cluster's files: rings, swift.toml or swift.conf.
	SwiftDir string `toml:"swift_dir"`
	// Least important messages to log: DEBUG, INFO, WARNING or ERROR.
	LogLevel string `toml:"log_level"`
	// Form of the log: text, or json.
	LogFormat string `toml:"log_style"`
	// How long messages may wait for others, to be written with them: each by itself costs small requests a twentieth of
	// their processor time. Warnings and errors do not wait. 0: none does.
	LogDelay config.Duration `toml:"log_delay"`
	// How long to wait for requests under way when stopping.
	StopTimeout config.Duration `toml:"stop_timeout"`

	// CutStalled ends connections whose client takes nothing for ClientTimeout, or at most twice that. A proxy needs it,
	// since its clients may be anybody; a storage node leaves it to the proxy how long clients may take.
	CutStalled bool `toml:"-"`
}

// Defaults are Swift's, where Swift has the option.
func Defaults() Config {
	return Config{
		BindIP: "0.0.0.0", BindTimeout: config.Seconds(30), KeepIdle: config.Seconds(600), ClientTimeout: config.Seconds(60),
		KeepaliveTimeout: config.Seconds(-1), SwiftDir: "/etc/apus", LogLevel: "INFO", LogFormat: "text",
		LogDelay: config.Seconds(0.1), StopTimeout: config.Seconds(60), HTTP2: true,
	}
}

// Validate checks the options against each other.
func (c *Config) Validate() error {
	var errs []error
	if c.BindPort < 1 || c.BindPort > 65535 {
		errs = append(errs, config.Invalid("bind_port", "want a port from 1 to 65535, have %d", c.BindPort))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, config.Invalid("cert_file", "cert_file and key_file go together"))
	}
	if c.HTTPSPort < 0 || c.HTTPSPort > 65535 || c.HTTPSPort > 0 && c.HTTPSPort == c.BindPort {
		errs = append(errs, config.Invalid("https_port", "want a port from 1 to 65535 that is not bind_port, have %d", c.HTTPSPort))
	}
	if c.HTTPSPort > 0 && c.CertFile == "" {
		errs = append(errs, config.Invalid("https_port", "needs cert_file and key_file"))
	}
	if _, err := c.level(); err != nil {
		errs = append(errs, config.Invalid("log_level", "%v", err))
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, config.Invalid("log_style", "want text or json, have %q", c.LogFormat))
	}
	if c.LogDelay.Duration < 0 {
		errs = append(errs, config.Invalid("log_delay", "want 0 or more seconds, have %v", c.LogDelay))
	}
	if k := c.KeepIdle.Duration; k <= 0 || k >= 1<<15*time.Second {
		errs = append(errs, config.Invalid("keep_idle", "want more than 0 and less than 32768 seconds, have %v", c.KeepIdle))
	}
	if c.ClientTimeout.Duration <= 0 {
		errs = append(errs, config.Invalid("client_timeout", "want more than 0 seconds, have %v", c.ClientTimeout))
	}
	return errors.Join(errs...)
}

func (c *Config) level() (slog.Level, error) {
	switch c.LogLevel {
	case "DEBUG", "debug":
		return slog.LevelDebug, nil
	case "INFO", "info", "NOTICE", "notice":
		return slog.LevelInfo, nil
	case "WARNING", "warning", "WARN", "warn":
		return slog.LevelWarn, nil
	case "ERROR", "error", "CRITICAL", "critical":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("want DEBUG, INFO, WARNING or ERROR, have %q", c.LogLevel)
}

// Address returns the address to listen on.
func (c *Config) Address() string { return net.JoinHostPort(c.BindIP, strconv.Itoa(c.BindPort)) }

// TLS says whether bind_port is for TLS.
func (c *Config) TLS() bool { return c.CertFile != "" && c.HTTPSPort == 0 }

// Listen opens the server's addresses, trying again while they are in use. What it returns has the address of bind_port.
func (c *Config) Listen(ctx context.Context) (net.Listener, error) {
	l, err := c.listen(ctx, c.Address())
	if err != nil || c.HTTPSPort == 0 {
		return c.wrapped(l, err)
	}
	secure, err := c.listen(ctx, net.JoinHostPort(c.BindIP, strconv.Itoa(c.HTTPSPort)))
	if err != nil {
		l.Close()
		return nil, err
	}
	return c.gather(l, secure)
}

func (c *Config) wrapped(l net.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return c.Wrap(l)
}

func (c *Config) listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: c.KeepIdle.Duration}}
	deadline := time.Now().Add(c.BindTimeout.Duration)
	for {
		l, err := lc.Listen(ctx, "tcp", address)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// Wrap gives the connections of l what a server of this configuration needs of them at its bind_port.
func (c *Config) Wrap(l net.Listener) (net.Listener, error) {
	if c.TLS() {
		return c.gather(nil, l)
	}
	return c.clients(named{l}), nil
}

// clients makes connections bear with what clients do, below TLS.
func (c *Config) clients(l net.Listener) net.Listener {
	if c.CutStalled {
		l = patience{l, c.ClientTimeout.Duration}
	}
	if c.RequireProxyProtocol {
		l = &proxyproto.Listener{Listener: l, ReadHeaderTimeout: c.ClientTimeout.Duration,
			ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }}
	}
	return l
}

// gather makes one listener of one without TLS, which may be nil, and one with.
func (c *Config) gather(plain, secure net.Listener) (net.Listener, error) {
	cert, err := loadCertificate(c.CertFile, c.KeyFile)
	if err != nil {
		secure.Close()
		if plain != nil {
			plain.Close()
		}
		return nil, err
	}
	if plain != nil {
		plain = c.clients(named{plain})
	}
	return gather(plain, c.clients(secure), cert, c), nil
}

// Server makes the http.Server for h. Errors of connections are logged at debug: they are the clients'.
func (c *Config) Server(h http.Handler, log *slog.Logger) *http.Server {
	idle := c.KeepaliveTimeout.Duration
	if idle < 0 {
		idle = c.ClientTimeout.Duration
	}
	h = lingering(h)
	if c.CutStalled {
		h = impatient(c.ClientTimeout.Duration, h)
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: c.ClientTimeout.Duration, IdleTimeout: idle, MaxHeaderBytes: 1 << 20,
		DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnState: onState,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if n := names(c); n != nil {
				ctx = headname.NewContext(ctx, n)
			}
			return ctx
		},
	}
	if idle == 0 {
		s.SetKeepAlivesEnabled(false)
	}
	return s
}

// Run serves l until ctx is done, then lets the requests under way finish, for no longer than StopTimeout.
func (c *Config) Run(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	if g, ok := l.(*gathered); ok {
		g.logTo(log)
	}
	s := c.Server(h, log)
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	log.Info("stopping; waiting for requests under way", "timeout", c.StopTimeout.Duration)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.StopTimeout.Duration)
	defer cancel()
	if err := s.Shutdown(stop); err != nil {
		log.Warn("some requests did not finish in time and are cut off", "err", err)
		s.Close()
	}
	return nil
}

// Bound refuses requests whose head is larger than the cluster's limits, before anybody looks at them. What it lets pass
// has each header on one line: a header that came on several is joined with commas, as RFC 9110 5.3 allows and Swift does,
// so that no two readers further on can take different lines for the header (a second X-Auth-Token, Range or Origin).
// Underscores in header names are hyphens. A request without Host, which HTTP/1.0 allows, gets the address where it arrived.
func Bound(limits constraint.Limits, next http.Handler) http.Handler {
	count := limits.MaxHeaderCount()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for k, vs := range r.Header {
			n += len(vs)
			for _, v := range vs {
				// The line also holds ": " and its end. The limit itself is refused, as in Swift.
				if len(k)+len(v)+4 >= limits.MaxHeaderSize {
					refuse(w, r, reply.Text(http.StatusBadRequest, "Header Line Too Long"))
					return
				}
			}
		}
		switch {
		case n > count:
			refuse(w, r, reply.Text(http.StatusBadRequest, "Too many headers"))
		case len(r.Method)+len(r.RequestURI)+len(" HTTP/1.1\r\n")+1 >= limits.MaxRequestLine:
			refuse(w, r, reply.Text(http.StatusRequestURITooLong, ""))
		default:
			// Clients of HTTP/1.0 manners are told that they get what they asked for, as Swift tells them.
			if c := r.Header["Connection"]; len(c) == 1 && strings.EqualFold(c[0], "keep-alive") {
				w.Header()["Connection"] = c
			}
			headname.Received(r)
			hyphens(r.Header)
			if n > len(r.Header) {
				join(r.Header)
			}
			if r.Host == "" {
				if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
					r.Host = a.String()
				}
			}
			next.ServeHTTP(w, r)
		}
	})
}

// hyphens spells header names without underscores: to Swift both are one name, so what a filter further on removes or
// checks must not be there under the other spelling as well. What would pretend to frame the message is dropped. Metadata of
// S3 stays: there the names differ, they are signed, and nobody but s3api reads them.
func hyphens(h http.Header) {
	for k, vs := range h {
		if strings.IndexByte(k, '_') < 0 || strings.HasPrefix(k, "X-Amz-Meta-") {
			continue
		}
		delete(h, k)
		name := http.CanonicalHeaderKey(meta.FromClient(k))
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Host", "Expect", "Te", "Trailer", "Upgrade":
			continue
		}
		if _, taken := h[name]; !taken {
			h[name] = vs
		}
	}
}

// join leaves each header one line. Of several Content-Types the first counts, as in Swift: joined they would be none.
func join(h http.Header) {
	for k, vs := range h {
		switch {
		case len(vs) < 2:
		case k == "Content-Type":
			h[k] = vs[:1]
		default:
			h[k] = []string{strings.Join(vs, ",")}
		}
	}
}

// refuse also closes the connection: what follows on it is not to be trusted.
func refuse(w http.ResponseWriter, r *http.Request, err *reply.Error) {
	w.Header().Set("Connection", "close")
	reply.Write(w, r, err)
}
