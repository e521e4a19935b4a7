package memcache

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) {
	middlewaretest.ConformWith(t, middlewaretest.Host(t), Filter, `backend = "memory"`, nil, middlewaretest.MaxAllocs(0))
}

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, `backend = "memory"`, nil) }

// start builds a pipeline of the section's text and app, and returns what was logged too.
func start(t *testing.T, dir, section string, app http.Handler) (http.Handler, *middlewaretest.Log, error) {
	t.Helper()
	host := middlewaretest.Host(t)
	host.Dir = dir
	log := middlewaretest.Capture(&host)
	p, err := middlewaretest.TryBuild(host, Filter, section, app)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { p.Close() })
	return p, log, nil
}

func TestMemoryBackendIsSharedByRequests(t *testing.T) {
	p, _, err := start(t, "", "backend = \"memory\"\nmemory_limit = \"2 MiB\"", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := request.From(r.Context()).Cache
		n, err := c.Incr(context.Background(), "visits", 1, time.Minute)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Visits", string(rune('0'+n)))
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1", "2"} {
		if got := middlewaretest.Get(t, p, "/").Header.Get("X-Visits"); got != want {
			t.Errorf("visits: got %s, want %s", got, want)
		}
	}
}

func TestAFailingCacheFailsNoRequest(t *testing.T) {
	p, _, err := start(t, "", "memcache_servers = \"127.0.0.1:1\"\nconnect_timeout = 0.05", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := request.From(r.Context()).Cache.Get(r.Context(), "k"); err == nil {
			t.Error("a server that is not there gave a value")
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := middlewaretest.Get(t, p, "/").Code; got != http.StatusTeapot {
		t.Errorf("status: got %d, want %d", got, http.StatusTeapot)
	}
}

func TestEffectiveOptions(t *testing.T) {
	const conf = "# servers\n[memcache]\nmemcache_servers = 10.0.0.1:11211, 10.0.0.2\nTries = 1\nmemcache_max_connections: 5\n"
	tests := []struct {
		name, file, text, section string
		want                      []string // in the log line of the options in effect
		wantErr                   string
	}{
		{name: "defaults without any file", want: []string{`memcache_servers="[\"127.0.0.1:11211\"] (default)"`, `memcache_max_connections="8 (default)"`}},
		{
			name: "memcache.conf is the base and the section wins", file: iniName, text: conf, section: "tries = 2\nconnect_timeout = 0.5",
			want: []string{`10.0.0.2\"] (DIR/memcache.conf:3)`, `tries="2 (filter)"`, `memcache_max_connections="5 (DIR/memcache.conf:5)"`, `connect_timeout="0.5 (filter)"`},
		},
		{
			name: "memcache.toml", file: tomlName, text: "[memcache]\ntries = 2\nmemcache_servers = [\"h:1\", \"[::1]:2\"]\n",
			want: []string{`tries="2 (DIR/memcache.toml:2)"`, `[::1]:2`},
		},
		{name: "old name of max connections", section: "max_connections = 7", want: []string{`memcache_max_connections="7 (filter)"`}},
		{name: "new name of max connections wins", section: "max_connections = 7\nmemcache_max_connections = 8", want: []string{`memcache_max_connections="8 (filter)"`}},
		{name: "DEFAULT of an INI stands behind its section", file: iniName, text: "[DEFAULT]\ntries = 1\nio_timeout = 4\n[memcache]\ntries = 2\n", want: []string{`tries="2 (DIR/memcache.conf:5)"`, `io_timeout="4 (`}},
		{name: "a hash sign is part of an INI value", file: iniName, text: "[memcache]\ntls_cafile = /etc/ca#1.pem\n", want: []string{`tls_cafile="\"/etc/ca#1.pem\" (DIR/memcache.conf:2)"`}},
		{name: "unknown key of memcache.conf", file: iniName, text: conf + "trys = 4\n", wantErr: "memcache.conf:6: memcache.trys: unknown key; did you mean tries?"},
		{name: "bad value in memcache.conf", file: iniName, text: "[memcache]\n\ntries = none\n", wantErr: "memcache.conf:3: memcache.tries: want a whole number"},
		{name: "value out of range in memcache.conf", file: iniName, text: "[memcache]\ntries = 0\n", wantErr: "tries: must be at least 1"},
		{name: "another section in memcache.conf", file: iniName, text: "[memcached]\ntries = 4\n", wantErr: "unknown section; want [memcache]"},
		{name: "INI value on several lines", file: iniName, text: "[memcache]\nmemcache_servers =\n  a:1,\n  # not this\n  b%%25eth0:2\ntries = 2\n", want: []string{`[\"a:1\", \"b%25eth0:2\"] (DIR/memcache.conf:2)`, `tries="2 (DIR/memcache.conf:6)"`}},
		{name: "reference in an INI value", file: iniName, text: "[DEFAULT]\nhere = /etc\n[memcache]\ntls_cafile = %(here)s/ca\n", want: []string{`/etc/ca`, `DIR/memcache.conf:4)`}},
		{name: "DEFAULT in two places", file: iniName, text: "[DEFAULT]\ntries = 1\n[memcache]\nio_timeout = 3\n[DEFAULT]\nconnect_timeout = 2\n", want: []string{`connect_timeout="2 (`, `tries="1 (DIR/memcache.conf:2)"`, `io_timeout="3 (`}},
		{name: "key given twice", file: iniName, text: "[memcache]\ntries = 1\nTries = 2\n", wantErr: "memcache.conf:3: memcache.tries: it is set already"},
		{name: "no INI at all", file: iniName, text: "tries\n", wantErr: `memcache.conf:1: "tries" stands before any`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.file != "" {
				if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, log, err := start(t, dir, test.section, middlewaretest.NewApp())
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("%s: got error %v, want one with %q", test.text, err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(log.String(), dir, "DIR")
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("options in effect: got %s\nwant part %s", got, want)
				}
			}
		})
	}
}

func TestRefusedOptions(t *testing.T) {
	for section, want := range map[string]string{
		`backend = "redis"`:                                             `test.toml:6: filter.memcache.backend: want "memcached" or "memory"`,
		`memory_limit = "1 GiB"`:                                        `filter.memcache.memory_limit: is for backend = "memory"`,
		"backend = \"memory\"\ntries = 3":                               `test.toml:7: filter.memcache.tries: is for backend = "memcached"`,
		"backend = \"memory\"\nmax_connections = 3":                     `filter.memcache.max_connections: is for backend = "memcached"`,
		"backend = \"memory\"\nmemory_limit = 0":                        `filter.memcache.memory_limit: must be at least 1 MiB`,
		"tries = 0":                                                     `filter.memcache.tries: must be at least 1`,
		"tries = \"many\"":                                              `filter.memcache.tries: want a whole number`,
		"memcache_servers = []":                                         `filter.memcache.memcache_servers: needs at least one server`,
		"memcache_servers = \"::1:2:3\"":                                `filter.memcache.memcache_servers: server "::1:2:3"`,
		"io_timeout = \"soon\"":                                         `filter.memcache.io_timeout: want seconds`,
		"memcache_serialization_support = 2":                            `filter.memcache.memcache_serialization_support: unknown key`,
		"tls_enabled = \"perhaps\"":                                     `filter.memcache.tls_enabled: want true or false`,
		"tls_enabled = true\ntls_cafile = \"/does/not/exist/anywhere\"": `tls_cafile`,
	} {
		if _, _, err := start(t, t.TempDir(), section, middlewaretest.NewApp()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", section, err, want)
		}
	}
}

func FuzzParseINI(f *testing.F) {
	f.Add("[memcache]\nmemcache_servers = a, b\n  , c\n")
	f.Add("[DEFAULT]\na: 1\n[memcache]\n\"a\" = %(b)s\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parseINI("memcache.conf", []byte(text))
		if err == nil {
			_, _ = sections(file)
		}
	})
}
