// Package memcached is the cache.Cache of a group of memcached servers, shared with other proxies of the cluster and
// with those of OpenStack Swift: both find each other's items, on the same server, in the same form.
//
// Invariants, all of them part of that agreement:
//
//   - A key is sent as the MD5 of its text, in hex.
//   - Where an item lives follows from the key and the configured server names alone (see ring).
//   - Flag 2 marks JSON, no flag raw text. An item with flag 1 was pickled by an old Swift and is a miss.
//   - Times to live beyond 30 days are sent as absolute times; memcached would take them for such.
//
// The protocol is spoken by github.com/bradfitz/gomemcache, one client per server. It asks with "gets" where Swift asks
// with "get"; the answer is the same but for an item number that nobody looks at. What it lacks is added here: choosing
// and changing the server, waiting for a connection, skipping servers that fail.
//
// A server that cannot be talked to is one error, and the next server of the ring is tried, up to tries. Connections
// that the server closed while they were idle are no error: the request is made again on a new one, so a restart of
// memcached does not get the server skipped. A server that answers, but declines to store an item, is not to blame
// either: that is ErrRefused, and no other server is tried, since no reader would look there.
//
// Non-goals: finding servers by DNS at run time, compression, the binary and meta protocols.
//
//	cfg := memcached.Defaults()
//	cfg.Servers = []string{"10.0.0.1:11211", "10.0.0.2:11211"}
//	c, err := memcached.New(cfg, memcached.Options{Logger: logger})
package memcached

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/config"
)

// DefaultPort is the port of a server that is named without one.
const DefaultPort = "11211"

// Config is what an operator can set, in the cache filter or in memcache.conf.
type Config struct {
	// Servers as host, host:port or [IPv6]:port; without a port 11211. Write them exactly alike on every proxy: the
	// spelling, not the address, decides where items live.
	Servers config.List `toml:"memcache_servers"`
	// MaxConnections is the number of connections kept to each server, for every processor that this process may use
	// (OpenStack Swift counts per worker and runs one worker per processor).
	MaxConnections int `toml:"memcache_max_connections"`
	// ConnectTimeout is how long connecting to a server may take.
	ConnectTimeout config.Duration `toml:"connect_timeout"`
	// PoolTimeout is how long a request waits for a free connection. A TLS handshake has as long again.
	PoolTimeout config.Duration `toml:"pool_timeout"`
	// Tries is how many servers are tried for one request, at most all.
	Tries int `toml:"tries"`
	// IOTimeout is how long a server may take to answer.
	IOTimeout config.Duration `toml:"io_timeout"`
	// ErrorSuppressionInterval is how long errors of a server are remembered, and how long the server is then
	// skipped. 0 means that a server is never skipped.
	ErrorSuppressionInterval config.Duration `toml:"error_suppression_interval"`
	// ErrorSuppressionLimit is the number of errors within the interval that are put up with; one more, and the
	// server is skipped.
	ErrorSuppressionLimit float64 `toml:"error_suppression_limit"`
	// TLSEnabled encrypts the connections and checks the names of the servers.
	TLSEnabled bool `toml:"tls_enabled"`
	// TLSCAFile holds the certificates that servers are checked against. Empty means those of the system.
	TLSCAFile string `toml:"tls_cafile"`
	// TLSCertFile is the certificate that is shown to servers that ask for one.
	TLSCertFile string `toml:"tls_certfile"`
	// TLSKeyFile is the private key of TLSCertFile. Empty means that it is in the same file.
	TLSKeyFile string `toml:"tls_keyfile"`
	// ItemSizeWarningThreshold is the size in bytes from which on storing an item logs a warning. 0 warns always, -1
	// never.
	ItemSizeWarningThreshold int `toml:"item_size_warning_threshold"`
}

// Defaults returns the configuration that OpenStack Swift has by default, but for more connections: a request that waits for
// one costs more than the connection.
func Defaults() Config {
	return Config{
		Servers:                  config.List{"127.0.0.1:" + DefaultPort},
		MaxConnections:           8,
		ConnectTimeout:           config.Seconds(0.3),
		PoolTimeout:              config.Seconds(1),
		Tries:                    3,
		IOTimeout:                config.Seconds(2),
		ErrorSuppressionInterval: config.Seconds(60),
		ErrorSuppressionLimit:    10,
		ItemSizeWarningThreshold: -1,
	}
}

// Validate names the options that cannot be used and what is accepted.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateServers(),
		check(c.MaxConnections >= 1, "memcache_max_connections", "must be at least 1"),
		check(c.ConnectTimeout.Duration > 0, "connect_timeout", "must be above 0"),
		check(c.PoolTimeout.Duration > 0, "pool_timeout", "must be above 0"),
		check(c.Tries >= 1, "tries", "must be at least 1"),
		check(c.IOTimeout.Duration > 0, "io_timeout", "must be above 0"),
		check(c.ErrorSuppressionInterval.Duration >= 0, "error_suppression_interval", "must be 0, for never, or more"),
		check(c.ErrorSuppressionLimit >= 0, "error_suppression_limit", "must be 0 or more"),
		check(c.ItemSizeWarningThreshold >= -1, "item_size_warning_threshold", "must be -1, for never, or more"),
		check(c.TLSKeyFile == "" || c.TLSCertFile != "", "tls_keyfile", "needs tls_certfile as well"),
	)
}

func check(ok bool, key, problem string) error {
	if ok {
		return nil
	}
	return config.Invalid(key, "%s", problem)
}

func (c *Config) validateServers() error {
	const key = "memcache_servers"
	if len(c.Servers) == 0 {
		return config.Invalid(key, "needs at least one server")
	}
	seen := make(map[string]bool, len(c.Servers))
	for _, s := range c.Servers {
		if _, err := parseServer(s); err != nil {
			return config.Invalid(key, "%v", err)
		}
		if seen[s] {
			return config.Invalid(key, "lists %q twice", s)
		}
		seen[s] = true
	}
	return nil
}

// A hostPort is where to connect to. It is a net.Addr whose host has not been looked up.
type hostPort struct{ host, port string }

func (a hostPort) Network() string { return "tcp" }
func (a hostPort) String() string  { return net.JoinHostPort(a.host, a.port) }

// parseServer splits a configured server name.
func parseServer(s string) (hostPort, error) {
	bad := func(why string) (hostPort, error) { return hostPort{}, fmt.Errorf("server %q: %s", s, why) }
	var a hostPort
	rest, hasPort := "", false
	if inner, ok := strings.CutPrefix(s, "["); ok {
		var closed bool
		if a.host, rest, closed = strings.Cut(inner, "]"); !closed {
			return bad("no closing bracket")
		}
		if rest != "" {
			if a.port, hasPort = strings.CutPrefix(rest, ":"); !hasPort {
				return bad("nothing but :port may follow the bracket")
			}
		}
	} else {
		a.host, a.port, hasPort = strings.Cut(s, ":")
		if strings.Contains(a.port, ":") {
			return bad("write an IPv6 address in brackets")
		}
	}
	if a.host == "" || strings.ContainsAny(a.host, " \t\r\n/[]") {
		return bad("want host, host:port or [IPv6]:port")
	}
	if !hasPort {
		a.port = DefaultPort
	} else if n, err := strconv.ParseUint(a.port, 10, 16); err != nil || n == 0 {
		return bad("the port is not a number from 1 to 65535")
	}
	return a, nil
}

// tlsConfig reads the certificates. It returns nil when TLS is off.
func (c *Config) tlsConfig() (*tls.Config, error) {
	if !c.TLSEnabled {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLSCAFile != "" {
		pem, err := os.ReadFile(c.TLSCAFile)
		if err != nil {
			return nil, config.Invalid("tls_cafile", "%v", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, config.Invalid("tls_cafile", "%s holds no certificate", c.TLSCAFile)
		}
	}
	if c.TLSCertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCertFile, cmp.Or(c.TLSKeyFile, c.TLSCertFile))
		if err != nil {
			return nil, config.Invalid("tls_certfile", "%v", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}
