package callable

import (
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// Config is a table [filter.s3gateway.callable.NAME]: where functions come from, and how long their answers are used. Package
// catalog makes functions of it.
type Config struct {
	// One of these three says where the functions are: a file in Starlark, ...
	Starlark string `toml:"starlark"`
	// ... a URL that is asked by POST, ...
	Webhook string `toml:"webhook"`
	// ... or the name under which the program that embeds the gateway has given them.
	Go string `toml:"go"`

	// How long a secret, credentials and a yes are used without asking again; 0: not at all. It is also how long
	// somebody whose rights were taken away still gets in.
	TTL config.Duration `toml:"ttl"`
	// The same for a no, and for an access key that nobody knows.
	NegativeTTL config.Duration `toml:"negative_ttl"`
	// How long a failure is repeated without another try.
	ErrorTTL config.Duration `toml:"error_ttl"`
	// How many answers are kept at most.
	MaxEntries int `toml:"max_entries"`
	// Ask authorize about folders: the path that it is given is cut after so many slashes, and its answer is used for all
	// that is in there. 0: it is asked about each path.
	PathDepth int `toml:"path_depth"`
	// How long a call may take.
	Timeout config.Duration `toml:"timeout"`
	// How many calls run at once at most; more wait, within timeout.
	MaxCalls int `toml:"max_calls"`

	// Starlark: steps that a call may take (a line has about ten), at most 10 million. 0: 1 million.
	MaxSteps int `toml:"max_steps"`
	// Starlark: bytes of values that a call may make. 0: 32 MiB.
	MaxMemory config.Size `toml:"max_memory"`

	// Webhook: which functions are there. By default all: secret, credentials, authorize.
	Functions config.List `toml:"functions"`
	// Webhook: a file, or a variable of the environment, whose content is sent as "Authorization: Bearer".
	BearerFile string `toml:"bearer_file"`
	BearerEnv  string `toml:"bearer_env"`
	// Webhook: certificates to check the other side's with, in PEM, instead of the system's.
	CAFile string `toml:"ca_file"`
}

// names of the functions.
var names = []string{"secret", "credentials", "authorize"}

// SetDefaults fills in what a table does not say.
func (c *Config) SetDefaults() {
	*c = Config{
		TTL: config.Seconds(60), NegativeTTL: config.Seconds(5), ErrorTTL: config.Seconds(1), Timeout: config.Seconds(5),
		MaxEntries: DefaultMaxEntries, MaxCalls: DefaultMaxCalls,
	}
}

// Validate checks the options against each other.
func (c *Config) Validate() error {
	var errs []error
	wrong := func(bad bool, key, problem string, args ...any) {
		if bad {
			errs = append(errs, config.Invalid(key, problem, args...))
		}
	}
	sources := 0
	for _, s := range []string{c.Starlark, c.Webhook, c.Go} {
		if s != "" {
			sources++
		}
	}
	wrong(sources != 1, "", "want exactly one of starlark, webhook and go")
	wrong(c.Starlark != "" && !filepath.IsAbs(c.Starlark), "starlark", "want a path from the root, have %q", c.Starlark)
	if c.Webhook != "" {
		err := CheckURL(c.Webhook)
		wrong(err != nil, "webhook", "%v", err)
	}
	for _, d := range []struct {
		key string
		of  config.Duration
	}{{"ttl", c.TTL}, {"negative_ttl", c.NegativeTTL}, {"error_ttl", c.ErrorTTL}} {
		wrong(d.of.Duration < 0 || d.of.Duration > 30*24*time.Hour, d.key, "want from 0 seconds to 30 days, have %v", d.of)
	}
	wrong(c.Timeout.Duration <= 0 || c.Timeout.Duration > 5*time.Minute, "timeout", "want more than 0 and at most 300 seconds, have %v", c.Timeout)
	wrong(c.MaxEntries < 1, "max_entries", "want 1 or more, have %d", c.MaxEntries)
	wrong(c.MaxCalls < 1, "max_calls", "want 1 or more, have %d", c.MaxCalls)
	wrong(c.PathDepth < 0 || c.PathDepth > maxFolders, "path_depth", "want from 0 to %d, have %d", maxFolders, c.PathDepth)
	wrong(c.MaxSteps < 0 || c.MaxSteps > 10_000_000, "max_steps", "want from 0 to 10000000, have %d", c.MaxSteps)
	wrong(c.MaxMemory < 0, "max_memory", "want 0 or more, have %d", c.MaxMemory)
	wrong(c.Starlark == "" && c.MaxSteps != 0, "max_steps", "goes with starlark only")
	wrong(c.Starlark == "" && c.MaxMemory != 0, "max_memory", "goes with starlark only")
	wrong(c.Webhook == "" && c.Functions != nil, "functions", "goes with webhook only")
	wrong(c.Webhook == "" && c.BearerFile != "", "bearer_file", "goes with webhook only")
	wrong(c.Webhook == "" && c.BearerEnv != "", "bearer_env", "goes with webhook only")
	wrong(c.Webhook == "" && c.CAFile != "", "ca_file", "goes with webhook only")
	wrong(c.BearerFile != "" && c.BearerEnv != "", "bearer_file", "want only one of bearer_file and bearer_env")
	for _, f := range c.Functions {
		wrong(!slices.Contains(names, f), "functions", "want some of secret, credentials, authorize; have %q", f)
	}
	wrong(c.Functions != nil && len(c.Functions) == 0, "functions", "want some of secret, credentials, authorize; have none")
	return errors.Join(errs...)
}

// Cache is how the answers are kept.
func (c *Config) Cache() CacheConfig {
	return CacheConfig{
		TTL: c.TTL.Duration, NegativeTTL: c.NegativeTTL.Duration, ErrorTTL: c.ErrorTTL.Duration, MaxEntries: c.MaxEntries,
		PathDepth: c.PathDepth, CallTimeout: c.Timeout.Duration, MaxCalls: c.MaxCalls,
	}
}
