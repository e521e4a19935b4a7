// Package xprofile is the filter that profiles the server and shows what it has found, for development:
//
//	[filter.xprofile]
//	log_filename_prefix = "/var/log/apus/profile/proxy."
//	allow = ["loopback", "192.168.7.0/24"]
//
// In OpenStack Swift it runs Python's profiler around each request; here it runs Go's own, with the same addresses, the
// same parameters and the same columns:
//
//	/__profile__                               a page with tables and plots
//	/__profile__/                              {"profile_ids": [...]}
//	/__profile__/{current|all|ID}?format=...   default (for go tool pprof), json, csv or text
//	/__profile__/{current|all|ID}/FUNCTION     only that function
//
// A profile is of the whole process: of every server in it, and of what runs beside requests. What takes time is sampled
// a hundred times a second, so that there are numbers of samples where Swift has numbers of calls. Beside processor time
// (kind=cpu) there are memory in use (heap), all that has been allocated (allocs), goroutines, and waiting for channels and
// locks (block, mutex).
//
// As long as requests come, processor time is profiled in stretches of dump_interval, which add up. After each, profiles are
// written to files, whose names begin with log_filename_prefix and the process's number, the ID. "current" is this process,
// "all" the newest profile of each process that has one there. Go has one such profiler in a process: while another instance or
// another program's code uses it, this one waits and says so.
//
// Nobody is asked for credentials, so only those in the list allow may look, by default the machine itself, see package
// allowlist. Files are only ever read and written within the directory of log_filename_prefix, no more than keep profiles
// are kept, and none grows beyond 16 MiB.
package xprofile

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/allowlist"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("xprofile", defaults(), build).
	After("catch_errors", "gatekeeper").Before("authtoken", "tempauth", "keystoneauth")

// Config is the section of the filter.
type Config struct {
	// The first part of the path under which the profiles are.
	Path string `toml:"path"`
	// Who may ask: networks (10.1.0.0/16), addresses, "loopback" for the machine itself, "private" for the networks that
	// are not routed on the internet, "any" for everybody.
	Allow config.List `toml:"allow"`
	// What the names of profiles' files begin with. The directory is made if it is missing.
	Prefix string `toml:"log_filename_prefix"`
	// How long processor time is profiled before what has been found is written.
	Interval config.Duration `toml:"dump_interval"`
	// Write each time to files of their own, named by the time, instead of writing over the last ones.
	Timestamp bool `toml:"dump_timestamp"`
	// How many profiles to keep in the directory; the oldest ones are removed.
	Keep int `toml:"keep"`
	// Remove the profiles of this process when it stops.
	Flush bool `toml:"flush_at_shutdown"`
	// Whether sending an answer's body is part of the profile.
	Unwind bool `toml:"unwind"`
	// Record about one wait for a channel or lock in so many nanoseconds of waiting, for kind=block. 0 records none. What
	// one instance sets counts for the process until it ends.
	BlockRate int `toml:"block_profile_rate"`
	// Record one wait for a lock in so many, for kind=mutex. 0 records none. Likewise.
	MutexFraction int `toml:"mutex_profile_fraction"`
	// There is one profiler, Go's own: no value is accepted.
	Module string `toml:"profile_module" refused:"true"`

	networks allowlist.Networks
	segment  string
}

func defaults() Config {
	return Config{
		Path: "/__profile__", Allow: config.List{"loopback"}, Prefix: "/tmp/log/swift/profile/default.profile",
		Interval: config.Seconds(5), Keep: 100, BlockRate: 10_000, MutexFraction: 100,
	}
}

// Validate checks the options and reads the networks.
func (c *Config) Validate() error {
	c.segment = strings.Trim(c.Path, "/")
	switch {
	case c.segment == "" || strings.ContainsAny(c.segment, "/?#%") || strings.HasPrefix(c.segment, "v1"):
		return config.Invalid("path", `must be one part of a path outside of the Swift API, such as "/__profile__"`)
	case !filepath.IsAbs(c.Prefix) || strings.ContainsRune(c.Prefix, 0):
		return config.Invalid("log_filename_prefix", "must be an absolute path")
	case strings.HasSuffix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/.") || strings.HasSuffix(c.Prefix, "/.."):
		return config.Invalid("log_filename_prefix", `must end in the beginning of a file's name, such as "%s"`, filepath.Join(c.Prefix, "proxy."))
	case c.Interval.Duration < minInterval:
		return config.Invalid("dump_interval", "must be %v or more: it takes that long to stop the profiler", minInterval)
	case c.Keep < 1 || c.Keep > maxKeep:
		return config.Invalid("keep", "must be from 1 to %d", maxKeep)
	case c.BlockRate < 0:
		return config.Invalid("block_profile_rate", "must be 0 or more")
	case c.MutexFraction < 0:
		return config.Invalid("mutex_profile_fraction", "must be 0 or more")
	case c.Module != "":
		return config.Invalid("profile_module", "take it out: %s is one of Python's; there is one profiler here, Go's own, whose kinds are chosen on the page", c.Module)
	}
	var err error
	if c.networks, err = allowlist.Parse(c.Allow); err != nil {
		return config.Invalid("allow", "%v", err)
	}
	return nil
}

const (
	minInterval = 250 * time.Millisecond
	maxKeep     = 10_000
)

func build(h middleware.Host, c Config) (middleware.Instance, error) {
	return buildWith(h, c, goProfiler{})
}

// buildWith is build with a profiler.
func buildWith(h middleware.Host, c Config, p profiler) (middleware.Instance, error) {
	pid := os.Getpid()
	d, err := openDumps(c.Prefix, c.Keep)
	if err != nil {
		return middleware.Instance{}, config.Invalid("log_filename_prefix", "%v", err)
	}
	p.Rates(c.BlockRate, c.MutexFraction)
	col := newCollector(collectorConfig{
		profiler: p, dumps: d, log: h.Log, clock: h.Clock, pid: pid,
		interval: c.Interval.Duration, timestamp: c.Timestamp, flush: c.Flush, unwind: c.Unwind,
	})
	f := &filter{
		config: c, clock: h.Clock, server: h.Server, version: h.Version, pid: pid, started: h.Clock.Now(),
		collector: col, dumps: d, one: make(chan struct{}, 1), sending: context.Background(),
	}
	if !c.Unwind {
		f.sending = pprof.WithLabels(f.sending, pprof.Labels(phaseLabel, phaseBody))
	}
	return middleware.Instance{
		Wrap:  func(next http.Handler) http.Handler { return &handler{filter: f, next: next} },
		Close: col.close,
	}, nil
}

// A filter is what the parts of one instance share.
type filter struct {
	config    Config
	clock     clock.Clock
	server    string
	version   string
	pid       int
	started   time.Time
	collector *collector
	dumps     *dumps
	// one is held by who makes a report, which costs processor time and memory.
	one chan struct{}
	// sending has the labels of a goroutine that sends a body.
	sending context.Context
}

type handler struct {
	*filter
	next http.Handler
}

// ServeHTTP shows profiles, or profiles what the rest of the pipeline does.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, rest, deep := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/favicon.ico":
		// Browsers ask for it beside the page. What the app thinks of it is not to be in the profile.
		w.Header()["Content-Type"] = nil
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return
	case first == h.config.segment:
		h.show(w, r, rest, deep)
		return
	}
	h.collector.touch()
	if h.config.Unwind {
		h.next.ServeHTTP(w, r)
		return
	}
	defer pprof.SetGoroutineLabels(r.Context())
	out := respw.OnHeader(w, func(code int, _ http.Header) int {
		pprof.SetGoroutineLabels(h.sending)
		return code
	})
	h.next.ServeHTTP(out, r)
	out.Finish()
}
