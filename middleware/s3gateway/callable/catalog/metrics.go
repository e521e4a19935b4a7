package catalog

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// metrics are those of all functions. Their labels are the names of tables, of the three functions, and of outcomes.
type metrics struct {
	calls      *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	remembered *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apus_s3gateway_callable_calls_total",
			Help: "Calls of the operator's functions. The outcome is answered, no, unknown, failed, timeout, or busy (not called).",
		}, []string{"callable", "function", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apus_s3gateway_callable_seconds", Help: "Time that calls of the operator's functions took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"callable", "function"}),
		remembered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apus_s3gateway_callable_cached_total", Help: "Answers of the operator's functions that were remembered, so that no call was made.",
		}, []string{"callable", "function"}),
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.calls), r.Register(m.seconds), r.Register(m.remembered))
}

// of is the observer of a table's functions.
func (m *metrics) of(name string) callable.Observer {
	return callable.Observer{
		Called: func(function string, o callable.Outcome, took time.Duration) {
			m.calls.WithLabelValues(name, function, string(o)).Inc()
			if o != callable.Busy {
				m.seconds.WithLabelValues(name, function).Observe(took.Seconds())
			}
		},
		Remembered: func(function string) { m.remembered.WithLabelValues(name, function).Inc() },
	}
}
