package daemon

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of all daemons that share a registry, labelled with their names.
type metrics struct {
	items  *prometheus.CounterVec
	passes *prometheus.CounterVec
	took   *prometheus.GaugeVec
	ended  *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	label := "daemon"
	m := &metrics{
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apus_daemon_items_total", Help: "Items that background passes dealt with, by what became of them.",
		}, []string{label, "figure"}),
		passes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apus_daemon_passes_total", Help: "Background passes, by how they ended.",
		}, []string{label, "outcome"}),
		took: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apus_daemon_pass_seconds", Help: "How long the last completed pass took.",
		}, []string{label}),
		ended: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "apus_daemon_pass_end_timestamp_seconds", Help: "When the last completed pass ended.",
		}, []string{label}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(share(reg, &m.items), share(reg, &m.passes), share(reg, &m.took), share(reg, &m.ended))
}

// share registers a collector, or takes the one that another daemon has registered.
func share[C prometheus.Collector](reg prometheus.Registerer, c *C) error {
	err := reg.Register(*c)
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := there.ExistingCollector.(C); ok {
			*c = same
			return nil
		}
	}
	return err
}

func (m *metrics) pass(name string, p *Progress, now time.Time, err error) {
	switch {
	case err == nil:
		m.passes.WithLabelValues(name, "completed").Inc()
		m.took.WithLabelValues(name).Set(p.Elapsed().Seconds())
		m.ended.WithLabelValues(name).Set(float64(now.UnixNano()) / 1e9)
	case errors.Is(err, ErrStopped):
		m.passes.WithLabelValues(name, "stopped").Inc()
	default:
		m.passes.WithLabelValues(name, "failed").Inc()
	}
}
