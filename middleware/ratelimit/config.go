package ratelimit

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/apus-storage/apus/internal/config"
)

// Config is the section of the filter.
type Config struct {
	// Container PUTs and DELETEs that an account may make in a second; 0 is any number.
	AccountRatelimit float64 `toml:"account_ratelimit"`
	// Writes of objects in a second, in a container of the given number of objects. Between two given numbers the rate is
	// in between; beyond the last it stays; below the first, and in empty containers, there is no limit.
	ContainerRatelimit map[string]string `toml:"container_ratelimit_*"`
	// Listings in a second, given likewise.
	ContainerListingRatelimit map[string]string `toml:"container_listing_ratelimit_*"`
	// The longest time that a request is held up. One that would take longer is refused with 498.
	MaxSleepTimeSeconds config.Duration `toml:"max_sleep_time_seconds"`
	// Log requests that are held up for longer; 0 logs none.
	LogSleepTimeSeconds config.Duration `toml:"log_sleep_time_seconds"`
	// Units of a second in which proxies count. All proxies of a cluster must have the same.
	ClockAccuracy int `toml:"clock_accuracy"`
	// How long a client that has been quiet may catch up.
	RateBufferSeconds int `toml:"rate_buffer_seconds"`
	// Accounts without limits. Deprecated: set their X-Account-Sysmeta-Global-Write-Ratelimit to WHITELIST.
	AccountWhitelist config.List `toml:"account_whitelist"`
	// Accounts that are refused with 497. Deprecated: set their X-Account-Sysmeta-Global-Write-Ratelimit to BLACKLIST.
	AccountBlacklist config.List `toml:"account_blacklist"`
}

func defaults() Config {
	return Config{MaxSleepTimeSeconds: config.Seconds(60), ClockAccuracy: 1000, RateBufferSeconds: 5}
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	if !(c.AccountRatelimit >= 0) || math.IsInf(c.AccountRatelimit, 0) {
		errs = append(errs, config.Invalid("account_ratelimit", "must not be negative"))
	}
	if c.MaxSleepTimeSeconds.Duration < 0 {
		errs = append(errs, config.Invalid("max_sleep_time_seconds", "must not be negative"))
	}
	if c.LogSleepTimeSeconds.Duration < 0 {
		errs = append(errs, config.Invalid("log_sleep_time_seconds", "must not be negative"))
	}
	if c.ClockAccuracy < 1 {
		errs = append(errs, config.Invalid("clock_accuracy", "must be above 0"))
	}
	if c.RateBufferSeconds < 0 {
		errs = append(errs, config.Invalid("rate_buffer_seconds", "must not be negative"))
	}
	for prefix, m := range map[string]map[string]string{
		"container_ratelimit_": c.ContainerRatelimit, "container_listing_ratelimit_": c.ContainerListingRatelimit,
	} {
		sound := true
		for size, rate := range m {
			if _, err := parsePoint(size, rate); err != nil {
				errs, sound = append(errs, config.Invalid(prefix+size, "%v", err)), false
			}
		}
		if _, err := newCurve(m); sound && err != nil {
			errs = append(errs, config.Invalid(prefix+slices.Max(slices.Collect(maps.Keys(m))), "%v", err))
		}
	}
	return errors.Join(errs...)
}

// A point is a rate for containers of a size.
type point struct {
	size int64
	rate float64
}

func parsePoint(size, rate string) (point, error) {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 {
		return point{}, errors.New("must end in a number of objects")
	}
	r, err := strconv.ParseFloat(rate, 64)
	if err != nil || !(r >= 0) || math.IsInf(r, 0) {
		return point{}, errors.New("must be a number of requests in a second, not negative")
	}
	return point{n, r}, nil
}

// A curve gives a rate for every size of container: straight between its points, which are sorted by size.
type curve []point

func newCurve(m map[string]string) (curve, error) {
	var c curve
	for size, rate := range m {
		p, err := parsePoint(size, rate)
		if err != nil {
			return nil, err
		}
		c = append(c, p)
	}
	slices.SortFunc(c, func(a, b point) int { return cmp.Compare(a.size, b.size) })
	for i, p := range c {
		if i > 0 && c[i-1].size == p.size {
			return nil, fmt.Errorf("two rates for containers of %d objects", p.size)
		}
	}
	return c, nil
}

// at returns the rate for a container of the size; 0 is no limit.
func (c curve) at(size int64) float64 {
	i, found := slices.BinarySearchFunc(c, size, func(p point, size int64) int { return cmp.Compare(p.size, size) })
	switch {
	case size == 0, !found && i == 0:
		return 0
	case !found:
		i--
	}
	p := c[i]
	if i == len(c)-1 {
		return p.rate
	}
	next := c[i+1]
	return float64(size-p.size)*(next.rate-p.rate)/float64(next.size-p.size) + p.rate
}
