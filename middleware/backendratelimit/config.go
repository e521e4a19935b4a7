package backendratelimit

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/ini"
)

// Config is the section of the filter.
type Config struct {
	// Requests of all kinds that one device serves in a second; 0 is any number. The other rates likewise, for a method.
	Requests          float64 `toml:"requests_per_device_per_second"`
	GetRequests       float64 `toml:"get_requests_per_device_per_second"`
	HeadRequests      float64 `toml:"head_requests_per_device_per_second"`
	PutRequests       float64 `toml:"put_requests_per_device_per_second"`
	PostRequests      float64 `toml:"post_requests_per_device_per_second"`
	DeleteRequests    float64 `toml:"delete_requests_per_device_per_second"`
	UpdateRequests    float64 `toml:"update_requests_per_device_per_second"`
	ReplicateRequests float64 `toml:"replicate_requests_per_device_per_second"`
	// Seconds for which a device that was idle may serve requests all at once.
	RateBuffer float64 `toml:"requests_per_device_rate_buffer"`
	// A file with a section [backend_ratelimit] of these options but the last two, which go before those here and are
	// read again while the server runs. Empty: backend-ratelimit.conf in the directory of the cluster's files, if it is
	// there.
	ConfPath string `toml:"backend_ratelimit_conf_path"`
	// How often the file is read again; 0 is never.
	ConfigReloadInterval config.Duration `toml:"config_reload_interval"`
}

func defaults() Config { return Config{RateBuffer: 1, ConfigReloadInterval: config.Seconds(60)} }

// options are the options that the file may have too.
func (c *Config) options() map[string]*float64 {
	return map[string]*float64{
		"requests_per_device_per_second":           &c.Requests,
		"get_requests_per_device_per_second":       &c.GetRequests,
		"head_requests_per_device_per_second":      &c.HeadRequests,
		"put_requests_per_device_per_second":       &c.PutRequests,
		"post_requests_per_device_per_second":      &c.PostRequests,
		"delete_requests_per_device_per_second":    &c.DeleteRequests,
		"update_requests_per_device_per_second":    &c.UpdateRequests,
		"replicate_requests_per_device_per_second": &c.ReplicateRequests,
		"requests_per_device_rate_buffer":          &c.RateBuffer,
	}
}

const wantRate = "must be a number, not negative"

func usable(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	for key, v := range c.options() {
		if !usable(*v) {
			errs = append(errs, config.Invalid(key, wantRate))
		}
	}
	if c.ConfigReloadInterval.Duration < 0 {
		errs = append(errs, config.Invalid("config_reload_interval", "must not be negative"))
	}
	return errors.Join(errs...)
}

const fileSection = "backend_ratelimit"

// withFile returns the configuration with what the file says in place of its own. A fault is a *config.Error.
func (c Config) withFile(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the rates: %w", err)
	}
	file, err := ini.Parse(path, data, ini.Rules{Lenient: true})
	if err != nil {
		return c, err
	}
	section := file.Section(fileSection)
	if section == nil {
		return c, &config.Error{File: path, Problem: "has no section [" + fileSection + "]"}
	}
	known := c.options()
	var errs []error
	for _, o := range section.Options {
		fault := &config.Error{File: path, Line: o.Line, Key: fileSection + "." + o.Key}
		into, ok := known[o.Key]
		if !ok {
			fault.Problem = "unknown option"
			errs = append(errs, fault)
			continue
		}
		v, err := strconv.ParseFloat(o.Value, 64)
		if err != nil || !usable(v) {
			fault.Problem = wantRate
			errs = append(errs, fault)
			continue
		}
		*into = v
	}
	return c, errors.Join(errs...)
}
