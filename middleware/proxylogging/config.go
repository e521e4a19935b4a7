package proxylogging

import (
	"cmp"
	"errors"
	"log/slog"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
)

// Config is the section of the filter. Options of the server's log that it does not have itself, such as log_level, it
// inherits from [DEFAULT].
type Config struct {
	// The fields of a line: text with names in braces, such as {client_ip} {method} {path.anonymized} {end_time.iso8601}.
	MsgTemplate string `toml:"log_msg_template"`
	// The hash for fields that end in .anonymized: md5, sha1, sha224, sha256, sha384, sha512, sha3_224, sha3_256,
	// sha3_384 or sha3_512.
	AnonymizationMethod string `toml:"log_anonymization_method"`
	// Hashed in front of each value, so that values cannot be found by trying.
	AnonymizationSalt string `toml:"log_anonymization_salt" secret:"true"`
	// How many characters of tokens, signatures and keys are shown. 0 shows none.
	RevealSensitivePrefix int `toml:"reveal_sensitive_prefix"`

	// Whether the field {headers} has the request's headers. Inherited from log_headers.
	Headers        setting `toml:"access_log_headers"`
	DefaultHeaders setting `toml:"log_headers"`
	// Only these headers.
	HeadersOnly config.List `toml:"access_log_headers_only"`

	// The name of the lines in the server's log.
	Route string `toml:"access_log_route"`
	// The program's name in syslog; in the server's log it stands in place of access_log_route.
	Name string `toml:"access_log_name"`
	// Lines are information: a level above INFO, such as WARNING, switches them off. Inherited from log_level.
	Level        string `toml:"access_log_level"`
	DefaultLevel string `toml:"log_level"`
	// Send lines to syslog, not to the server's log, under this facility: LOG_LOCAL0 (which the others below imply) to
	// LOG_LOCAL7, or another one by its usual name.
	Facility string `toml:"access_log_facility"`
	// Send lines to this socket of syslog, not to the server's log. /dev/log if only the facility is given.
	Address string `toml:"access_log_address"`
	// Send lines to syslog on this host by UDP, not to the server's log.
	UDPHost string `toml:"access_log_udp_host"`
	// The port of syslog on that host.
	UDPPort int `toml:"access_log_udp_port"`

	// Methods that have metrics of their own; others are BAD_METHOD. access_log_statsd_valid_http_methods goes before.
	ValidMethods       config.List `toml:"log_statsd_valid_http_methods"`
	AccessValidMethods config.List `toml:"access_log_statsd_valid_http_methods"`
	// Where this log's metrics go, if not where the server's do: inherited one by one from log_statsd_*.
	StatsdHost              setting `toml:"access_log_statsd_host"`
	StatsdPort              setting `toml:"access_log_statsd_port"`
	StatsdDefaultSampleRate setting `toml:"access_log_statsd_default_sample_rate"`
	StatsdSampleRateFactor  setting `toml:"access_log_statsd_sample_rate_factor"`
	StatsdMetricPrefix      setting `toml:"access_log_statsd_metric_prefix"`

	// Whether the metrics are sent whose names have dots. Inherited from [DEFAULT].
	EmitLegacy setting `toml:"statsd_emit_legacy"`
	// The form of metrics with labels: "dogstatsd", "graphite", "influxdb" or "librato". "disabled" sends none.
	LabelMode string `toml:"statsd_label_mode"`
	// Further labels of all metrics that have any. "user_" goes before their names.
	UserLabels map[string]string `toml:"statsd_user_label_*"`
	// Count the bytes of bodies while they pass, in metrics with labels, once in so many seconds at most. 0 counts each
	// piece by itself; below that, which is the default, only whole bodies are counted.
	StreamEvery float64 `toml:"statsd_emit_buffer_xfer_bytes_seconds"`
	// Domains in front of which the Host of an S3 request may name a bucket, for the label "container".
	StorageDomain config.List `toml:"storage_domain"`

	DefaultStatsdHost              setting `toml:"log_statsd_host"`
	DefaultStatsdPort              setting `toml:"log_statsd_port"`
	DefaultStatsdDefaultSampleRate setting `toml:"log_statsd_default_sample_rate"`
	DefaultStatsdSampleRateFactor  setting `toml:"log_statsd_sample_rate_factor"`
	DefaultStatsdMetricPrefix      setting `toml:"log_statsd_metric_prefix"`
}

func defaults() Config {
	return Config{
		MsgTemplate:           defaultTemplate,
		AnonymizationMethod:   "MD5",
		RevealSensitivePrefix: 16,
		Route:                 "proxy-access",
		UDPPort:               514,
		LabelMode:             statsd.Defaults().LabelMode,
		StreamEvery:           -1,
		ValidMethods:          config.List{"GET", "HEAD", "POST", "PUT", "DELETE", "COPY", "OPTIONS", "UPDATE"},
	}
}

// A setting is a value that may be absent, so that another one can stand in for it.
type setting struct {
	value string
	given bool
}

// UnmarshalText takes the value as it is; Validate reads it.
func (s *setting) UnmarshalText(text []byte) error {
	*s = setting{strings.TrimSpace(string(text)), true}
	return nil
}

// String gives the value as the file would have it.
func (s setting) String() string { return s.value }

// or returns the first setting that was given.
func (s setting) or(others ...setting) setting {
	for _, o := range append([]setting{s}, others...) {
		if o.given {
			return o
		}
	}
	return setting{}
}

// Validate names every option that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	fault := func(key string, err error) {
		if err != nil {
			errs = append(errs, config.Invalid(key, "%v", err))
		}
	}
	_, err := parseTemplate(c.MsgTemplate)
	fault("log_msg_template", err)
	_, err = c.anonymizer()
	fault("log_anonymization_method", err)
	if c.RevealSensitivePrefix < 0 {
		errs = append(errs, config.Invalid("reveal_sensitive_prefix", "must be 0 or more"))
	}
	for key, s := range map[string]setting{"access_log_headers": c.Headers, "log_headers": c.DefaultHeaders} {
		_, err := config.ParseBool(s.value)
		fault(key, err)
	}
	for key, level := range map[string]string{"access_log_level": c.Level, "log_level": c.DefaultLevel} {
		_, err := parseLevel(level)
		fault(key, err)
	}
	_, err = facility(c.Facility)
	fault("access_log_facility", err)
	if c.UDPPort < 1 || c.UDPPort > math.MaxUint16 {
		errs = append(errs, config.Invalid("access_log_udp_port", "must be from 1 to 65535"))
	}
	if c.UDPHost != "" && c.Address != "" {
		errs = append(errs, config.Invalid("access_log_address", "cannot stand beside access_log_udp_host; syslog is in one place"))
	}
	if math.IsNaN(c.StreamEvery) || c.StreamEvery > math.MaxInt32 {
		errs = append(errs, config.Invalid("statsd_emit_buffer_xfer_bytes_seconds", "must be a number of seconds, or -1"))
	}
	_, _, statsErrs := c.statsd()
	return errors.Join(append(errs, statsErrs...)...)
}

// headerChoice says which of a request's headers are logged.
type headerChoice struct {
	on   bool
	only map[string]bool // spelled as meta.Title does; nil for all
}

func (c *Config) headers() headerChoice {
	h := headerChoice{on: config.Truthy(c.Headers.or(c.DefaultHeaders).value)}
	for _, name := range c.HeadersOnly {
		if h.only == nil {
			h.only = map[string]bool{}
		}
		h.only[meta.Title(name)] = true
	}
	return h
}

// parseLevel reads the names of levels that Swift's configurations use, and slog's.
func parseLevel(s string) (slog.Level, error) {
	switch strings.ToUpper(s) {
	case "":
		return slog.LevelInfo, nil
	case "NOTICE":
		return slog.LevelInfo + 1, nil
	case "WARNING":
		return slog.LevelWarn, nil
	case "CRITICAL", "FATAL":
		return slog.LevelError + 4, nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return 0, errors.New("want DEBUG, INFO, NOTICE, WARNING, ERROR or CRITICAL")
	}
	return l, nil
}

// destination opens where the lines go.
func (c *Config) destination(h middleware.Host) (destination, error) {
	level, err := parseLevel(cmp.Or(c.Level, c.DefaultLevel))
	if err != nil {
		return nil, err
	}
	if level > slog.LevelInfo {
		return nowhere{}, nil
	}
	code, err := facility(c.Facility)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(c.Name, "swift")
	switch {
	case c.UDPHost != "":
		return newSyslog("udp", net.JoinHostPort(c.UDPHost, strconv.Itoa(c.UDPPort)), code, name, h), nil
	case c.Facility != "" || c.Address != "":
		return newSyslog("unixgram", cmp.Or(c.Address, "/dev/log"), code, name, h), nil
	}
	return serverLog{h.Log.With(slog.String("name", cmp.Or(c.Name, c.Route)))}, nil
}
