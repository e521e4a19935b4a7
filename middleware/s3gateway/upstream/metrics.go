package upstream

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are shared by all upstreams that are registered in one place.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	up       *prometheus.GaugeVec
	breakers *prometheus.GaugeVec
}

var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{}
	var errs [4]error
	m.requests, errs[0] = register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "apus_s3gateway_upstream_requests_total", Help: "Requests to stores. The class is that of the status, or the kind of failure.",
	}, []string{"upstream", "method", "class"}))
	m.seconds, errs[1] = register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "apus_s3gateway_upstream_seconds", Help: "Time until the head of a store's answer.", Buckets: buckets,
	}, []string{"upstream", "method"}))
	m.up, errs[2] = register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apus_s3gateway_upstream_healthy", Help: "Whether the store's health checks are answered.",
	}, []string{"upstream"}))
	m.breakers, errs[3] = register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apus_s3gateway_upstream_breaker_open", Help: "Whether requests are kept from the store because too many have failed.",
	}, []string{"upstream"}))
	return m, errors.Join(errs[:]...)
}

// register registers a collector, or returns the one of another upstream.
func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	if r == nil {
		return c, nil
	}
	err := r.Register(c)
	if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := are.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	return c, err
}

var classes = []string{"1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"}

var methods = []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"}

// observe counts a request. What clients make up does not become a label.
func (m *metrics) observe(name, method string, resp *http.Response, err error, took time.Duration) {
	if !slices.Contains(methods, method) {
		method = "other"
	}
	class := "refused" // by the gateway
	if resp != nil {
		class = classes[min(max(resp.StatusCode/100, 1), len(classes))-1]
	} else if e, ok := errors.AsType[*Error](err); ok {
		class = string(e.Kind)
	}
	m.requests.WithLabelValues(name, method, class).Inc()
	m.seconds.WithLabelValues(name, method).Observe(took.Seconds())
}

func (m *metrics) health(name string, up bool) { m.up.WithLabelValues(name).Set(number(up)) }

func (m *metrics) breaker(name string, open bool) { m.breakers.WithLabelValues(name).Set(number(open)) }

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
