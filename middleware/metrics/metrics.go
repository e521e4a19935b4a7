// Package metrics is the filter that counts requests and serves what the whole process has counted, for Prometheus:
//
//	[filter.metrics]
//	path = "/metrics"
//	allow = ["loopback", "192.168.7.0/24"]
//
// It counts requests (apus_http_requests_total), times them until their handler is done
// (apus_http_request_duration_seconds) and says how many are running (apus_http_requests_in_flight). Labels are the kind
// of server, the method, the class of the status ("2xx"; "aborted" when the connection was cut) and, where objects are
// concerned, the storage policy's name. All have few values: what clients make up does not become a label.
//
// What the process has counted is nobody else's business, and a proxy faces the world: only the networks listed may ask,
// by default the machine itself; see package allowlist.
//
// It must stand to the right of gatekeeper, which hides policies from those to its left, and to the left of filters that
// ask for credentials.
package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/apus-storage/apus/internal/allowlist"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("metrics", Config{Path: "/metrics", Allow: config.List{"loopback"}}, build).
	After("catch_errors", "gatekeeper").Before("authtoken", "tempauth", "keystoneauth")

// Config is the section of the filter.
type Config struct {
	// The path that is answered with all metrics of the process.
	Path string `toml:"path"`
	// Who may ask: networks (10.1.0.0/16), addresses, "loopback" for the machine itself, "private" for the networks that
	// are not routed on the internet, "any" for everybody.
	Allow config.List `toml:"allow"`

	networks allowlist.Networks
}

// Validate reads the networks.
func (c *Config) Validate() error {
	if !strings.HasPrefix(c.Path, "/") || strings.HasPrefix(c.Path, "/v1") || len(c.Path) < 2 {
		return config.Invalid("path", `must be a path outside of the Swift API, such as "/metrics"`)
	}
	var err error
	if c.networks, err = allowlist.Parse(c.Allow); err != nil {
		return config.Invalid("allow", "%v", err)
	}
	return nil
}

func build(h middleware.Host, c Config) (middleware.Instance, error) {
	counts, err := newCounts(h)
	if err != nil {
		return middleware.Instance{}, err
	}
	page := promhttp.HandlerFor(h.Gather, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelError), EnableOpenMetrics: true,
	})
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return &filter{config: c, clock: h.Clock, counts: counts, page: page, next: next}
	}}, nil
}

type filter struct {
	config Config
	clock  clock.Clock
	counts *counts
	page   http.Handler
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == f.config.Path {
		f.serve(w, r)
		return
	}
	c := &count{filter: f, request: r, start: f.clock.Now()}
	f.counts.running.Inc()
	defer c.done()
	c.out.Begin(w, c)
	f.next.ServeHTTP(&c.out, r)
	c.out.Finish()
	c.complete = true
}

// serve answers with the metrics, if the client may have them.
func (f *filter) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case !f.config.networks.Allow(r):
		reply.Write(w, r, reply.Status(http.StatusForbidden))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		reply.Write(w, r, reply.Status(http.StatusMethodNotAllowed).With("Allow", "GET, HEAD"))
	default:
		f.page.ServeHTTP(w, r)
	}
}

// A count is one request on its way.
type count struct {
	out      respw.HeaderWriter
	filter   *filter
	request  *http.Request
	start    time.Time
	code     int
	policy   int // position in counts.policies
	complete bool
}

// EditHead notes status and policy.
func (c *count) EditHead(code int, h http.Header) int {
	c.code = code
	c.policy = c.filter.counts.policyOf(h, c.request.Header)
	return code
}

// done counts. It runs deferred: a request that is cut off by a panic counts too.
func (c *count) done() {
	n := c.filter.counts
	n.running.Dec()
	class := c.code/100 - 1
	if !c.complete || class < 0 || class >= len(classes) {
		class = len(classes) - 1
	}
	s := n.series(methodOf(c.request.Method), class, c.policy)
	s.requests.Inc()
	s.seconds.Observe(c.filter.clock.Now().Sub(c.start).Seconds())
}

// The values of the labels. Of each, the last one stands for the rest.
var (
	methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "COPY", "OPTIONS", "REPLICATE", "SSYNC", "UPDATE", "other"}
	classes = []string{"1xx", "2xx", "3xx", "4xx", "5xx", "aborted"}
)

func methodOf(method string) int {
	i := slices.Index(methods, method)
	if i < 0 {
		return len(methods) - 1
	}
	return i
}

// buckets reach from a cached answer to a slow upload, in seconds.
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// counts are the metrics of one filter. A pipeline that replaces another goes on counting where that was.
type counts struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	running  prometheus.Gauge
	// policies are the names, none first; positions maps what the header says.
	policies  []string
	positions map[string]int
	table     []atomic.Pointer[series] // by method, class and policy; filled when used
}

type series struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
}

func newCounts(h middleware.Host) (*counts, error) {
	server := prometheus.Labels{"server": h.Server}
	labels := []string{"method", "class", "policy"}
	c := &counts{policies: []string{""}, positions: map[string]int{}}
	var errs [3]error
	c.requests, errs[0] = register(h.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apus_http_requests_total", Help: "Requests that have been answered.", ConstLabels: server,
	}, labels))
	c.seconds, errs[1] = register(h.Metrics, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "apus_http_request_duration_seconds", Help: "Time from a request's head until its answer is complete.",
		ConstLabels: server, Buckets: buckets,
	}, labels))
	c.running, errs[2] = register(h.Metrics, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "apus_http_requests_in_flight", Help: "Requests that are being answered.", ConstLabels: server,
	}))
	for _, p := range h.Cluster.Policies.All() {
		c.positions[strconv.Itoa(int(p.Index))] = len(c.policies)
		c.policies = append(c.policies, p.Name)
	}
	c.table = make([]atomic.Pointer[series], len(methods)*len(classes)*len(c.policies))
	return c, errors.Join(errs[:]...)
}

// register registers a collector, or returns the one of an earlier pipeline.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	err := r.Register(c)
	if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := are.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	return c, err
}

// policyOf finds the policy: a proxy learns it from the answer, a node from the request.
func (c *counts) policyOf(response, request http.Header) int {
	v := response["X-Backend-Storage-Policy-Index"]
	if v == nil {
		v = request["X-Backend-Storage-Policy-Index"]
	}
	if len(v) != 1 {
		return 0
	}
	return c.positions[v[0]]
}

func (c *counts) series(method, class, policy int) *series {
	p := &c.table[(method*len(classes)+class)*len(c.policies)+policy]
	s := p.Load()
	if s == nil {
		labels := []string{methods[method], classes[class], c.policies[policy]}
		// Two that come at once find the same series.
		s = &series{c.requests.WithLabelValues(labels...), c.seconds.WithLabelValues(labels...)}
		p.Store(s)
	}
	return s
}
