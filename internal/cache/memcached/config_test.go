package memcached

import (
	"math"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/config"
	"github.com/google/go-cmp/cmp"
)

func TestParseServer(t *testing.T) {
	tests := []struct{ in, host, port string }{
		{"10.0.0.1:11212", "10.0.0.1", "11212"},
		{"10.0.0.9", "10.0.0.9", "11211"},
		{"mc-a:1", "mc-a", "1"},
		{"[::1]:11213", "::1", "11213"},
		{"[fe80::1%eth0]", "fe80::1%eth0", "11211"},
	}
	for _, tt := range tests {
		if got, err := parseServer(tt.in); err != nil || got.host != tt.host || got.port != tt.port {
			t.Errorf("parseServer(%q): got %+v, %v, want %s and %s", tt.in, got, err, tt.host, tt.port)
		}
	}
	for _, in := range []string{"", ":11211", "::1", "::1:11211", "[::1", "[]:1", "[::1]11211", "[::1]:", "h:", "h:0",
		"h:65536", "h:x", "h:-1", "a b", "/run/memcached.sock", "h]"} {
		if got, err := parseServer(in); err == nil {
			t.Errorf("parseServer(%q): got %+v, want an error", in, got)
		}
	}
}

func FuzzParseServer(f *testing.F) {
	f.Add("[::1]:11211")
	f.Add("mc:11211")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseServer(s)
		if err != nil {
			return
		}
		if again, err := parseServer(a.String()); err != nil || again != a {
			t.Errorf("parseServer(%q) gave %q, which gives %+v, %v", s, a, again, err)
		}
	})
}

func TestValidate(t *testing.T) {
	tests := []struct {
		option string
		change func(*Config)
	}{
		{"memcache_servers", func(c *Config) { c.Servers = nil }},
		{"memcache_servers", func(c *Config) { c.Servers = []string{"a", "b", "a"} }},
		{"memcache_servers", func(c *Config) { c.Servers = []string{"a:b"} }},
		{"memcache_max_connections", func(c *Config) { c.MaxConnections = 0 }},
		{"connect_timeout", func(c *Config) { c.ConnectTimeout = config.Duration{} }},
		{"pool_timeout", func(c *Config) { c.PoolTimeout = config.Seconds(-1) }},
		{"tries", func(c *Config) { c.Tries = 0 }},
		{"io_timeout", func(c *Config) { c.IOTimeout = config.Duration{} }},
		{"error_suppression_interval", func(c *Config) { c.ErrorSuppressionInterval = config.Seconds(-1) }},
		{"error_suppression_limit", func(c *Config) { c.ErrorSuppressionLimit = -1 }},
		{"error_suppression_limit", func(c *Config) { c.ErrorSuppressionLimit = math.NaN() }},
		{"item_size_warning_threshold", func(c *Config) { c.ItemSizeWarningThreshold = -2 }},
		{"tls_keyfile", func(c *Config) { c.TLSKeyFile = "key.pem" }},
		{"tls_cafile", func(c *Config) { c.TLSEnabled, c.TLSCAFile = true, "testdata/absent" }},
		{"tls_cafile", func(c *Config) { c.TLSEnabled, c.TLSCAFile = true, "testdata/memcache.json" }},
		{"tls_certfile", func(c *Config) { c.TLSEnabled, c.TLSCertFile = true, "testdata/absent" }},
	}
	for _, tt := range tests {
		cfg := Defaults()
		tt.change(&cfg)
		if _, err := New(cfg, Options{}); err == nil || !strings.Contains(err.Error(), tt.option) {
			t.Errorf("New with a bad %s: got %v, want an error that names it", tt.option, err)
		}
	}
	if _, err := New(Defaults(), Options{}); err != nil {
		t.Errorf("New with the defaults: %v", err)
	}
}

func TestConfigIsReadFromTOML(t *testing.T) {
	file, err := config.Parse("proxy-server.toml", []byte(`
[filter.cache]
memcache_servers = "10.0.0.1:11211, [::1]:11211"
memcache_max_connections = 4
connect_timeout = 0.5
pool_timeout = 2
tries = 2
io_timeout = "1.5"
error_suppression_interval = 0
error_suppression_limit = 2.5
tls_enabled = true
tls_cafile = "ca.pem"
tls_certfile = "cert.pem"
tls_keyfile = "key.pem"
item_size_warning_threshold = 1000
`))
	if err != nil {
		t.Fatal(err)
	}
	section, _ := file.Section("filter", "cache")
	got := Defaults()
	if _, err := section.Decode(&got, config.Section{}); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Servers:                  config.List{"10.0.0.1:11211", "[::1]:11211"},
		MaxConnections:           4,
		ConnectTimeout:           config.Seconds(0.5),
		PoolTimeout:              config.Seconds(2),
		Tries:                    2,
		IOTimeout:                config.Seconds(1.5),
		ErrorSuppressionInterval: config.Duration{},
		ErrorSuppressionLimit:    2.5,
		TLSEnabled:               true,
		TLSCAFile:                "ca.pem",
		TLSCertFile:              "cert.pem",
		TLSKeyFile:               "key.pem",
		ItemSizeWarningThreshold: 1000,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded configuration (-want +got):\n%s", diff)
	}
}
