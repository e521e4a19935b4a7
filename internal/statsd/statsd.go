// Package statsd sends metrics to a StatsD server, byte for byte as OpenStack Swift does, so that existing dashboards
// and alarms keep working.
//
// Invariants:
//
//   - A metric never holds a request up: it is put into a queue, and dropped when that is full. One goroutine looks up
//     the server's name and sends.
//   - One metric is one UDP packet. Names are sent as they are.
//   - A nil *Client discards everything; that is what New returns when no server is configured. Callers need no check.
//
// Metrics whose names have dots are what Swift has always sent. Beside them, or in their place, there are metrics with
// labels, written in the form that the server at hand understands:
//
//	dogstatsd   name:1|c|#account:AUTH_a,method:GET
//	graphite    name;account=AUTH_a;method=GET:1|c
//	influxdb    name,account=AUTH_a,method=GET:1|c
//	librato     name#account=AUTH_a,method=GET:1|c
//
// Bytes of a label's value that could mean something to one of them are percent-encoded.
//
// Non-goals: aggregation, metrics to be scraped.
//
// Modules for this exist, but none sends these bytes. Of those to be had, DataDog/datadog-go rounds timings to six
// digits, appends what it finds out about the container, keeps that in a global and looks the server up once and for
// all; cactus/go-statsd-client rounds rates to six digits, writes whole timings without a fraction, and sends from the
// caller's goroutine or several metrics in one packet.
//
//	stats, err := statsd.New(cfg, statsd.Options{Logger: logger})
//	defer stats.Close()
//	stats = stats.WithPrefix("proxy-server")
//	stats.Timing("object.GET.200.timing", took) // proxy-server.object.GET.200.timing:12.5|ms
//	stats.Labelled(statsd.Label{"method", "GET"}).Timing("request_timing", took) // request_timing;method=GET:12.5|ms
package statsd

import (
	"cmp"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
)

// Config is what an operator can set.
type Config struct {
	// Host is the name or address of the StatsD server. Empty means that no metrics are sent.
	Host string `toml:"log_statsd_host"`
	// Port is the UDP port of the StatsD server.
	Port int `toml:"log_statsd_port"`
	// DefaultSampleRate is the share of metrics that is sent, from 0 to 1, of those that have no rate of their own.
	DefaultSampleRate float64 `toml:"log_statsd_default_sample_rate"`
	// SampleRateFactor multiplies all sample rates, to lower the load by metrics as a whole.
	SampleRateFactor float64 `toml:"log_statsd_sample_rate_factor"`
	// MetricPrefix stands before the names of all metrics, followed by a dot.
	MetricPrefix string `toml:"log_statsd_metric_prefix"`
	// EmitLegacy says whether the metrics without labels are sent, whose names have dots.
	EmitLegacy bool `toml:"statsd_emit_legacy"`

	// LabelMode is the form of metrics with labels: "dogstatsd", "graphite", "influxdb" or "librato". "disabled" sends none.
	// Who has such metrics has this as the option statsd_label_mode; a server that has none does not.
	LabelMode string
	// UserLabels are further labels of all metrics that have any: statsd_user_label_*. "user_" goes before their names.
	UserLabels map[string]string
}

// Defaults returns the configuration without a server.
func Defaults() Config {
	return Config{Port: 8125, DefaultSampleRate: 1, SampleRateFactor: 1, LabelMode: labelsDisabled, EmitLegacy: true}
}

// Validate names an option that cannot be used and what is accepted.
func (c *Config) Validate() error {
	switch {
	case c.Port < 1 || c.Port > math.MaxUint16:
		return config.Invalid("log_statsd_port", "must be from 1 to 65535")
	case !(c.DefaultSampleRate >= 0 && c.DefaultSampleRate <= 1):
		return config.Invalid("log_statsd_default_sample_rate", "must be from 0 to 1")
	case !(c.SampleRateFactor >= 0 && c.SampleRateFactor <= math.MaxFloat64):
		return config.Invalid("log_statsd_sample_rate_factor", "must be 0 or more")
	}
	return CheckLabels(c.LabelMode, c.UserLabels)
}

// Options are what the owner of a Client hands in. Zero fields take their defaults.
type Options struct {
	// Logger hears, at most once a minute, that metrics get lost. The default discards.
	Logger *slog.Logger
	// Clock decides when the server's name is looked up again. The default is the machine's.
	Clock clock.Clock
	// Random returns numbers from 0 up to 1 for sampling. The default is math/rand's.
	Random func() float64
}

// A Client sends metrics, with a prefix and at a sample rate. It is safe for concurrent use. A nil Client discards.
type Client struct {
	send   transport
	random func() float64
	base   string  // the configured prefix, with its dot
	prefix string  // base and that of WithPrefix, with their dots
	factor float64 // of all rates
	rate   float64 // after the factor
	suffix string  // the rate as it is sent

	legacy     bool       // metrics without labels are sent
	labelMode  *labelMode // nil: none with labels are
	userLabels []Label
}

// A transport takes packets that are built in its own buffers. It never blocks.
type transport interface {
	buffer() *[]byte
	send(packet *[]byte)
	close() error
}

// New returns a Client that sends to the configured server, or nil when there is none. It does no look-up yet.
func New(cfg Config, o Options) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Host == "" {
		return nil, nil
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Clock == nil {
		o.Clock = clock.System
	}
	return newClient(cfg, o.Random, startSender(cfg.Host, uint16(cfg.Port), o)), nil
}

// ToFunc returns a Client that hands each packet to fn, in the caller's goroutine, instead of sending it. It is for
// tests of what sends metrics. cfg is not checked, and its Host and Port play no part.
func ToFunc(cfg Config, fn func(packet string)) *Client { return newClient(cfg, nil, toFunc(fn)) }

type toFunc func(string)

func (toFunc) buffer() *[]byte       { return new([]byte) }
func (f toFunc) send(packet *[]byte) { f(string(*packet)) }
func (toFunc) close() error          { return nil }

func newClient(cfg Config, random func() float64, send transport) *Client {
	if random == nil {
		random = rand.Float64
	}
	c := &Client{send: send, random: random, factor: cfg.SampleRateFactor, legacy: cfg.EmitLegacy}
	c.setLabels(cfg)
	if cfg.MetricPrefix != "" {
		c.base = cfg.MetricPrefix + "."
	}
	c.prefix = c.base
	c.setRate(cfg.DefaultSampleRate)
	return c
}

func (c *Client) setRate(rate float64) {
	c.rate = rate * c.factor
	c.suffix = ""
	if c.rate < 1 {
		c.suffix = string(appendFloat([]byte("|@"), c.rate))
	}
}

// WithPrefix returns a Client whose names begin with the configured prefix and then prefix, in place of what an
// earlier WithPrefix asked for. It shares everything else with c.
func (c *Client) WithPrefix(prefix string) *Client {
	if c == nil {
		return nil
	}
	d := *c
	d.prefix = d.base
	if prefix != "" {
		d.prefix += prefix + "."
	}
	return &d
}

// WithRate returns a Client that sends a share of rate, from 0 to 1, in place of the configured default. The
// configured factor still applies. It shares everything else with c. Make one per kind of metric, not per request.
func (c *Client) WithRate(rate float64) *Client {
	if c == nil {
		return nil
	}
	d := *c
	d.setRate(rate)
	return &d
}

// Close sends what is queued and ends the Client and all that share with it. What they are told later is lost.
func (c *Client) Close() error {
	if c == nil {
		return nil
	}
	return c.send.close()
}

// Increment counts one.
func (c *Client) Increment(name string) { c.Count(name, 1) }

// Decrement counts one down.
func (c *Client) Decrement(name string) { c.Count(name, -1) }

// Count adds delta to a counter.
func (c *Client) Count(name string, delta int64) {
	if b := c.begin(name); b != nil {
		*b = strconv.AppendInt(*b, delta, 10)
		c.end(b, "|c")
	}
}

// Timing reports how long something took, in milliseconds with their fractions.
func (c *Client) Timing(name string, took time.Duration) {
	c.milliseconds(name, float64(took)/float64(time.Millisecond))
}

// TransferRate reports as a timing how many milliseconds each 1000 bytes took. Without bytes it reports nothing.
func (c *Client) TransferRate(name string, took time.Duration, bytes int64) {
	if bytes != 0 {
		c.milliseconds(name, took.Seconds()*1000/float64(bytes)*1000)
	}
}

func (c *Client) milliseconds(name string, ms float64) {
	if b := c.begin(name); b != nil {
		*b = appendFloat(*b, ms)
		c.end(b, "|ms")
	}
}

// Set reports a member of a set, whose different members the server counts.
func (c *Client) Set(name, member string) {
	if b := c.begin(name); b != nil {
		*b = append(*b, member...)
		c.end(b, "|s")
	}
}

// begin returns a packet that awaits its value, or nil when the metric is not to be sent.
func (c *Client) begin(name string) *[]byte {
	if c == nil || !c.legacy || !c.sampled() {
		return nil
	}
	b := c.send.buffer()
	*b = append(append(append((*b)[:0], c.prefix...), name...), ':')
	return b
}

// sampled draws whether a metric is sent.
func (c *Client) sampled() bool { return c.rate >= 1 || c.random() < c.rate }

func (c *Client) end(b *[]byte, kind string) {
	*b = append(append(*b, kind...), c.suffix...)
	c.send.send(b)
}

// appendFloat appends x as Python's str writes it, which is what Swift sends.
func appendFloat(b []byte, x float64) []byte {
	if abs := math.Abs(x); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(b, x, 'e', -1, 64)
	}
	start := len(b)
	b = strconv.AppendFloat(b, x, 'f', -1, 64)
	if !strings.Contains(string(b[start:]), ".") {
		b = append(b, ".0"...)
	}
	return b
}
