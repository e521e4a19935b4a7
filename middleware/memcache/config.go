package memcache

import (
	"encoding"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/cache/memcached"
	"github.com/apus-storage/apus/internal/config"
)

// The values of Config.Backend.
const (
	backendMemcached = "memcached"
	backendMemory    = "memory"
)

// Config is the section of the filter. All options but the first two belong to the backend "memcached"; those that are
// not set here are looked for in memcache.toml or memcache.conf.
type Config struct {
	// Where items are kept: "memcached", on servers that all proxies share, or "memory", in this process.
	Backend string `toml:"backend"`
	// Memory that the backend "memory" may use at most. Default: 64 MiB.
	MemoryLimit setting[config.Size] `toml:"memory_limit"`

	// Servers as host, host:port or [IPv6]:port; without a port 11211. Write them exactly alike on every proxy: the
	// spelling, not the address, decides where items live. Default: 127.0.0.1:11211.
	Servers config.List `toml:"memcache_servers"`
	// Connections kept to each server, for every processor that this process may use. Default: 8.
	MaxConnections setting[int] `toml:"memcache_max_connections"`
	// The old name of memcache_max_connections, which wins where both are set.
	OldMaxConnections setting[int] `toml:"max_connections"`
	// How long connecting to a server may take. Default: 0.3 seconds.
	ConnectTimeout setting[config.Duration] `toml:"connect_timeout"`
	// How long a request waits for a free connection. Default: 1 second.
	PoolTimeout setting[config.Duration] `toml:"pool_timeout"`
	// How many servers are tried for one request, at most all. Default: 3.
	Tries setting[int] `toml:"tries"`
	// How long a server may take to answer. Default: 2 seconds.
	IOTimeout setting[config.Duration] `toml:"io_timeout"`
	// How long errors of a server are remembered, and how long it is then skipped; 0: no server is ever skipped.
	// Default: 60 seconds.
	ErrorSuppressionInterval setting[config.Duration] `toml:"error_suppression_interval"`
	// How many errors within the interval are put up with; one more, and the server is skipped. Default: 10.
	ErrorSuppressionLimit setting[float64] `toml:"error_suppression_limit"`
	// Encrypt the connections, and check the names of the servers. Default: false.
	TLSEnabled setting[bool] `toml:"tls_enabled"`
	// File of the certificates that servers are checked against. Default: those of the system.
	TLSCAFile setting[string] `toml:"tls_cafile"`
	// File of the certificate shown to servers that ask for one. Default: none.
	TLSCertFile setting[string] `toml:"tls_certfile"`
	// File of the private key for tls_certfile. Default: it is in the same file.
	TLSKeyFile setting[string] `toml:"tls_keyfile"`
	// Size in bytes from which on storing an item logs a warning; 0: always, -1: never. Default: -1.
	ItemSizeWarningThreshold setting[int] `toml:"item_size_warning_threshold"`
}

// Validate names options that cannot be used, or that the chosen backend has no use for.
func (c *Config) Validate() error {
	switch c.Backend {
	case backendMemcached:
		if c.MemoryLimit.set {
			return config.Invalid("memory_limit", `is for backend = "memory"; this one is %q`, c.Backend)
		}
		return c.validateMemcached()
	case backendMemory:
		var errs []error
		for _, key := range c.ownKeys() {
			errs = append(errs, config.Invalid(key, `is for backend = "memcached"; this one is %q`, c.Backend))
		}
		if c.MemoryLimit.set && c.MemoryLimit.value < minMemory {
			errs = append(errs, config.Invalid("memory_limit", "must be at least 1 MiB"))
		}
		return errors.Join(errs...)
	}
	return config.Invalid("backend", "want %q or %q, have %q", backendMemcached, backendMemory, c.Backend)
}

// minMemory is the least memory in bytes with which a cache is of use.
const minMemory = 1 << 20

func (c *Config) validateMemcached() error {
	if c.Servers != nil && len(c.Servers) == 0 {
		return config.Invalid("memcache_servers", "needs at least one server")
	}
	effective := memcached.Defaults()
	c.overlay(&effective)
	if !c.TLSCertFile.set {
		effective.TLSKeyFile = "" // its certificate may be named in the other file
	}
	return effective.Validate()
}

// effective returns the options that count, and what each is and where it was set.
func (c *Config) effective(dir string) (memcached.Config, []config.Option, error) {
	effective := memcached.Defaults()
	base, err := readBase(dir)
	if err != nil {
		return effective, nil, err
	}
	report, err := base.own.Decode(&effective, base.shared)
	if err != nil {
		return effective, nil, err
	}
	for key, value := range c.overlay(&effective) {
		for i := range report.Options {
			if report.Options[i].Key == key {
				report.Options[i].Value, report.Options[i].Source = value, "filter"
			}
		}
	}
	return effective, report.Options, effective.Validate()
}

// overlay puts what the section sets over dst, and returns it, by key.
func (c *Config) overlay(dst *memcached.Config) map[string]string {
	own := map[string]string{}
	if len(c.Servers) > 0 {
		dst.Servers = c.Servers
		own["memcache_servers"] = strings.Join(c.Servers, ", ")
	}
	c.OldMaxConnections.over(&dst.MaxConnections, "memcache_max_connections", own)
	c.MaxConnections.over(&dst.MaxConnections, "memcache_max_connections", own)
	c.ConnectTimeout.over(&dst.ConnectTimeout, "connect_timeout", own)
	c.PoolTimeout.over(&dst.PoolTimeout, "pool_timeout", own)
	c.Tries.over(&dst.Tries, "tries", own)
	c.IOTimeout.over(&dst.IOTimeout, "io_timeout", own)
	c.ErrorSuppressionInterval.over(&dst.ErrorSuppressionInterval, "error_suppression_interval", own)
	c.ErrorSuppressionLimit.over(&dst.ErrorSuppressionLimit, "error_suppression_limit", own)
	c.TLSEnabled.over(&dst.TLSEnabled, "tls_enabled", own)
	c.TLSCAFile.over(&dst.TLSCAFile, "tls_cafile", own)
	c.TLSCertFile.over(&dst.TLSCertFile, "tls_certfile", own)
	c.TLSKeyFile.over(&dst.TLSKeyFile, "tls_keyfile", own)
	c.ItemSizeWarningThreshold.over(&dst.ItemSizeWarningThreshold, "item_size_warning_threshold", own)
	return own
}

// ownKeys lists the options for memcached that the section sets.
func (c *Config) ownKeys() []string {
	var keys []string
	for key := range c.overlay(new(memcached.Config)) {
		if key == "memcache_max_connections" && !c.MaxConnections.set {
			key = "max_connections"
		}
		keys = append(keys, key)
	}
	return keys
}

// A setting is an option that may be left to another file, which a plain value with a default could not show.
type setting[T any] struct {
	value T
	set   bool
}

// UnmarshalText reads the option.
func (s *setting[T]) UnmarshalText(text []byte) error {
	var err error
	word := strings.TrimSpace(string(text))
	switch v := any(&s.value).(type) {
	case encoding.TextUnmarshaler:
		err = v.UnmarshalText(text)
	case *string:
		*v = string(text)
	case *bool:
		*v, err = config.ParseBool(word)
	case *int:
		if *v, err = strconv.Atoi(word); err != nil {
			err = fmt.Errorf("want a whole number, have %q", text)
		}
	case *float64:
		if *v, err = strconv.ParseFloat(word, 64); err != nil {
			err = fmt.Errorf("want a number, have %q", text)
		}
	default:
		panic(fmt.Sprintf("memcache: no option can be a %T", s.value))
	}
	s.set = err == nil
	return err
}

// String shows the option to who asks for the configuration in effect.
func (s setting[T]) String() string {
	if !s.set {
		return ""
	}
	return fmt.Sprint(s.value)
}

func (s setting[T]) or(fallback T) T {
	if s.set {
		return s.value
	}
	return fallback
}

func (s setting[T]) over(dst *T, key string, own map[string]string) {
	if s.set {
		*dst, own[key] = s.value, s.String()
	}
}
