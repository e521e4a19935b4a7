package s3gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are the gateway's metrics.
type counts struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	cacheCounts
}

func newCounts(r prometheus.Registerer) *counts {
	labels := []string{"route", "identity", "upstream"}
	c := &counts{
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
	route, identity, method := "", "", x.r.Method
	if x.way != nil {
		route = x.way.route.Name
	}
	if x.caller != nil {
		identity = x.caller.Identity.Name
	}
	if !methods[method] {
		method = "other"
	}
	x.counts.requests.WithLabelValues(route, identity, x.asked, method, strconv.Itoa(x.status)).Inc()
	x.counts.seconds.WithLabelValues(route, identity, x.asked).Observe(x.clock.Now().Sub(x.started).Seconds())
	if identity != "" {
		x.state.Log.AddInfo("s3gateway:identity=" + identity)
	}
	if x.asked != "" {
		x.state.Log.AddInfo("s3gateway:upstream=" + x.asked)
	}
}
