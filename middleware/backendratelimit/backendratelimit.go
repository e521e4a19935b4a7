// Package backendratelimit is the filter of storage nodes that keeps a device from being asked for more than it can do:
//
//	[filter.backend_ratelimit]
//	requests_per_device_per_second = 500
//	put_requests_per_device_per_second = 100
//
// What is over a device's rate, or over its rate for the method, is answered at once with 529, and the proxy asks another
// node. A device that was idle may serve requests for requests_per_device_rate_buffer seconds at once. Only requests whose
// path begins with a device and a partition count.
//
// The rates can be changed while the server runs, in backend-ratelimit.conf beside the cluster's files, which has Swift's
// form:
//
//	[backend_ratelimit]
//	requests_per_device_per_second = 300
//
// An option that is taken out of the file gets the filter's value back. A file with a fault changes nothing, and keeps a server
// from starting.
//
// It belongs on storage nodes, to the right of healthcheck and recon and to the left of the server. Rates are those of one
// process.
package backendratelimit

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("backend_ratelimit", defaults(), build).Alias("backend-ratelimit").After("healthcheck", "recon")

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	if host.Server == "proxy" {
		return middleware.Instance{}, errors.New("backend_ratelimit is for storage nodes; for proxies there is ratelimit")
	}
	n := &node{
		config: c, path: c.ConfPath, expected: c.ConfPath != "", clock: host.Clock, log: host.Log, stats: host.Stats,
		limiters: map[limited]*limiter{},
	}
	if n.path == "" {
		n.path = filepath.Join(host.Dir, "backend-ratelimit.conf")
	}
	n.rates.Store(newRates(c))
	if err := n.load(); err != nil {
		return middleware.Instance{}, err
	}
	n.reloadAt.Store(n.next())
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return &filter{n, next} }}, nil
}

// statusTooMany is what Swift's proxies take for a node that is busy.
const statusTooMany = 529

type filter struct {
	*node
	next http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.maybeReload()
	if rates := f.rates.Load(); rates.any && !f.allows(rates, r) {
		f.stats.Increment("backend.ratelimit")
		reply.Write(w, r, reply.Text(statusTooMany, "Too Many Backend Requests"))
		return
	}
	f.next.ServeHTTP(w, r)
}

// rates are what a configuration means. They do not change.
type rates struct {
	perSecond map[string]float64 // by method; "" is all methods
	buffer    time.Duration
	any       bool // there is a rate
}

func newRates(c Config) *rates {
	r := &rates{buffer: seconds(c.RateBuffer), perSecond: map[string]float64{
		"": c.Requests, "GET": c.GetRequests, "HEAD": c.HeadRequests, "PUT": c.PutRequests, "POST": c.PostRequests,
		"DELETE": c.DeleteRequests, "UPDATE": c.UpdateRequests, "REPLICATE": c.ReplicateRequests,
	}}
	for _, v := range r.perSecond {
		r.any = r.any || v > 0
	}
	return r
}

// limited is what is limited: a method on a device, or all methods, which is "".
type limited struct{ device, method string }

// node is the state of the filter.
type node struct {
	config Config // the filter's section
	path   string // of the file
	clock  clock.Clock
	log    *slog.Logger
	stats  *statsd.Client

	rates    atomic.Pointer[rates]
	reloadAt atomic.Int64 // Unix nanoseconds; whoever moves it on reads the file
	expected bool         // the file should be there; used while loading

	// mu guards limiters.
	mu       sync.RWMutex
	limiters map[limited]*limiter
}

// maxLimiters bounds the memory that requests for devices which do not exist can take. It is far above the devices of a node.
const maxLimiters = 1 << 14

// allows counts a request.
func (n *node) allows(r *rates, req *http.Request) bool {
	var names [3]string
	segments, err := apipath.SplitRest(names[:0], req.URL.Path, 2, 3)
	if err != nil || !number(segments[1]) {
		return true
	}
	now := n.clock.Now()
	return n.counts(r, limited{segments[0], ""}, now) && n.counts(r, limited{segments[0], req.Method}, now)
}

func number(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func (n *node) counts(r *rates, what limited, now time.Time) bool {
	rate := r.perSecond[what.method]
	if rate <= 0 {
		return true
	}
	n.mu.RLock()
	l := n.limiters[what]
	n.mu.RUnlock()
	if l == nil {
		l = n.limiter(what)
	}
	return l.allows(rate, r.buffer, now)
}

func (n *node) limiter(what limited) *limiter {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.limiters[what]; l != nil {
		return l
	}
	if len(n.limiters) >= maxLimiters {
		clear(n.limiters)
	}
	l := &limiter{}
	n.limiters[what] = l
	return l
}

// A limiter lets so many requests in each second.
type limiter struct {
	// mu guards next.
	mu   sync.Mutex
	next time.Time // when the next request may come, in the past as far as there is a burst to use up
}

func (l *limiter) allows(rate float64, buffer time.Duration, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.next) > buffer {
		l.next = now.Add(-buffer)
	}
	if now.Before(l.next) {
		return false
	}
	l.next = l.next.Add(seconds(1 / rate))
	return true
}

// seconds makes a duration of at most some thirty years: nothing that is configured needs more, and more could not be held.
func seconds(s float64) time.Duration { return time.Duration(min(s*float64(time.Second), 1<<60)) }

// next is when the file is to be read again.
func (n *node) next() int64 {
	return n.clock.Now().Add(n.config.ConfigReloadInterval.Duration).UnixNano()
}

// maybeReload reads the file again if it is time. Requests that come meanwhile go by the old rates.
func (n *node) maybeReload() {
	at := n.reloadAt.Load()
	if n.config.ConfigReloadInterval.Duration == 0 || n.clock.Now().UnixNano() < at || !n.reloadAt.CompareAndSwap(at, reloading) {
		return
	}
	if err := n.load(); err != nil {
		n.log.Error("rates are not changed", "err", err)
	}
	n.reloadAt.Store(n.next())
}

// reloading is a time that does not come, while somebody reads the file.
const reloading = 1<<63 - 1

// load reads the file and puts its rates into force. That the file is missing is worth a warning at most.
func (n *node) load() error {
	c, err := n.config.withFile(n.path)
	if errors.Is(err, fs.ErrNotExist) {
		if n.expected {
			n.log.Warn("the file with the rates is missing, they are not changed", "path", n.path)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("rates of %s: %w", n.path, err)
	}
	n.expected = true
	n.rates.Store(newRates(c))
	return nil
}
