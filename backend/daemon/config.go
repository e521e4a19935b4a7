package daemon

import (
	"errors"
	"path/filepath"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/recon"
)

// Config holds the options that every daemon has. It is embedded in the daemons' own.
type Config struct {
	// Seconds from the start of one pass to the start of the next.
	Interval config.Duration `toml:"interval"`
	// Seconds between two lines in the log about a pass under way.
	ReportInterval config.Duration `toml:"report_interval"`
	// Directory of the recon files.
	ReconCachePath string `toml:"recon_cache_path"`
}

// Defaults are Swift's.
func Defaults() Config {
	return Config{Interval: config.Seconds(300), ReportInterval: config.Seconds(300), ReconCachePath: recon.DefaultDir}
}

// Validate checks the options.
func (c *Config) Validate() error {
	var errs []error
	if c.Interval.Duration < 0 {
		errs = append(errs, config.Invalid("interval", "want 0 or more seconds, have %v", c.Interval))
	}
	if c.ReportInterval.Duration <= 0 {
		errs = append(errs, config.Invalid("report_interval", "want more than 0 seconds, have %v", c.ReportInterval))
	}
	return errors.Join(errs...)
}

// Options returns what the configuration says of the frame, for the owner to complete. The name is that of the recon
// file, such as recon.ObjectFile.
func (c *Config) Options(reconFile string) Options {
	o := Options{Interval: c.Interval.Duration, ReportInterval: c.ReportInterval.Duration}
	if c.ReconCachePath != "" {
		o.Recon = recon.File(filepath.Join(c.ReconCachePath, reconFile))
	}
	return o
}
