package proxylogging

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
)

// statsd merges the options for metrics; own says that any was given.
func (c *Config) statsd() (merged statsd.Config, own bool, errs []error) {
	merged = statsd.Defaults()
	number := func(key string, s setting, set func(float64)) {
		if !s.given {
			return
		}
		own = true
		n, err := strconv.ParseFloat(s.value, 64)
		if err != nil {
			errs = append(errs, config.Invalid(key, "want a number, have %q", s.value))
			return
		}
		set(n)
	}
	pick := func(access, inherited setting, name string) (string, setting) {
		if access.given {
			return "access_" + name, access
		}
		return name, inherited
	}
	if s := c.StatsdHost.or(c.DefaultStatsdHost); s.given {
		merged.Host, own = s.value, true
	}
	if s := c.StatsdMetricPrefix.or(c.DefaultStatsdMetricPrefix); s.given {
		merged.MetricPrefix, own = s.value, true
	}
	key, s := pick(c.StatsdPort, c.DefaultStatsdPort, "log_statsd_port")
	number(key, s, func(n float64) {
		if n < 1 || n > math.MaxUint16 || n != math.Trunc(n) {
			errs = append(errs, config.Invalid(key, "must be from 1 to 65535"))
			return
		}
		merged.Port = int(n)
	})
	key, s = pick(c.StatsdDefaultSampleRate, c.DefaultStatsdDefaultSampleRate, "log_statsd_default_sample_rate")
	number(key, s, func(n float64) {
		if !(n >= 0 && n <= 1) {
			errs = append(errs, config.Invalid(key, "must be from 0 to 1"))
			return
		}
		merged.DefaultSampleRate = n
	})
	key, s = pick(c.StatsdSampleRateFactor, c.DefaultStatsdSampleRateFactor, "log_statsd_sample_rate_factor")
	number(key, s, func(n float64) {
		if !(n >= 0 && n <= math.MaxFloat64) {
			errs = append(errs, config.Invalid(key, "must be 0 or more"))
			return
		}
		merged.SampleRateFactor = n
	})
	labels, err := c.labels(&merged)
	if err != nil {
		errs = append(errs, err)
	}
	return merged, own || labels, errs
}

// labels merges the options on labels; own says that any was given.
func (c *Config) labels(merged *statsd.Config) (own bool, err error) {
	merged.LabelMode, merged.UserLabels = c.LabelMode, c.UserLabels
	own = merged.LabelMode != statsd.Defaults().LabelMode
	if c.EmitLegacy.given {
		if merged.EmitLegacy, err = config.ParseBool(c.EmitLegacy.value); err != nil {
			return true, config.Invalid("statsd_emit_legacy", "%v", err)
		}
		own = true
	}
	return own, statsd.CheckLabels(merged.LabelMode, merged.UserLabels)
}

// stats makes the sender of metrics: the server's, unless this log has one of its own.
func (c *Config) stats(h middleware.Host) (stats, error) {
	s := stats{
		client: h.Stats, clock: h.Clock, policies: h.Cluster.Policies, versions: h.Cluster.Limits.ValidAPIVersions,
		valid: map[string]bool{}, streamEvery: time.Duration(c.StreamEvery * float64(time.Second)),
		s3: slices.Contains(h.Pipeline, "s3api"),
	}
	for _, d := range c.StorageDomain {
		s.domains = append(s.domains, "."+strings.ToLower(strings.TrimPrefix(d, ".")))
	}
	methods := c.ValidMethods
	if len(c.AccessValidMethods) > 0 {
		methods = c.AccessValidMethods
	}
	for _, m := range methods {
		s.valid[strings.ToUpper(m)] = true
	}
	merged, own, errs := c.statsd()
	if len(errs) > 0 {
		return s, errors.Join(errs...)
	}
	if own {
		client, err := statsd.New(merged, statsd.Options{Logger: h.Log, Clock: h.Clock})
		if err != nil {
			return s, err
		}
		s.client, s.own = client, client
	}
	s.client = s.client.WithPrefix("proxy-server")
	return s, nil
}
