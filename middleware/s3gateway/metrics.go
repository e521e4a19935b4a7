package s3gateway

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are the gateway's metrics.
type counts struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	cacheCounts

	mu     sync.RWMutex // guards places
	places map[place]*counted
}

// A place is where requests have gone: what labels say of them. There are as many as there are series in the metrics.
type place struct {
	route, identity, upstream, method string
	status                            int
}

// counted is what is kept of a place.
type counted struct {
	requests prometheus.Counter
	seconds  prometheus.Observer
	info     []string // for the access log
}

// of returns what is kept of a place: looking its series up costs more than counting.
func (c *counts) of(p place) *counted {
	c.mu.RLock()
	found := c.places[p]
	c.mu.RUnlock()
	if found != nil {
		return found
	}
	made := &counted{
		requests: c.requests.WithLabelValues(p.route, p.identity, p.upstream, p.method, strconv.Itoa(p.status)),
		seconds:  c.seconds.WithLabelValues(p.route, p.identity, p.upstream),
	}
	if p.identity != "" {
		made.info = append(made.info, "s3gateway:identity="+p.identity)
	}
	if p.upstream != "" {
		made.info = append(made.info, "s3gateway:upstream="+p.upstream)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places[p] = made
	return made
}

func newCounts(r prometheus.Registerer) *counts {
	labels := []string{"route", "identity", "upstream"}
	c := &counts{
		places: make(map[place]*counted),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apus_s3gateway_requests_total", Help: "Requests that the gateway has answered, by route, identity, store, method and status.",
		}, append(labels, "method", "status")),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apus_s3gateway_request_duration_seconds", Help: "Time from the head of a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, labels),
	}
	r.MustRegister(c.requests, c.seconds)
	return c
}

// methods are those that have a metric of their own; clients can send anything.
var methods = map[string]bool{"GET": true, "HEAD": true, "PUT": true, "POST": true, "DELETE": true, "OPTIONS": true}

// note counts the request and says in the access log where it went. It is called once, at the end.
func (x *exchange) note() {
	p := place{upstream: x.asked, method: x.r.Method, status: x.status}
	if x.way != nil {
		p.route = x.way.route.Name
	}
	if x.caller != nil {
		p.identity = x.caller.Identity.Name
	}
	if !methods[p.method] {
		p.method = "other"
	}
	c := x.counts.of(p)
	c.requests.Inc()
	c.seconds.Observe(x.clock.Now().Sub(x.started).Seconds())
	for _, fact := range c.info {
		x.state.Log.AddInfo(fact)
	}
}
