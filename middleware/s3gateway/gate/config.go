package gate

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// Config is an identity as the operator writes it.
type Config struct {
	// The access key that clients sign with. Empty: all keys that keys_file or the callable knows.
	AccessKey string `toml:"access_key"`
	// Secret that belongs to the access key.
	Secret string `toml:"secret" secret:"true"`
	// File with the secret alone. It is read again when it changes.
	SecretFile string `toml:"secret_file"`
	// Name of the environment's variable that holds the secret.
	SecretEnv string `toml:"secret_env"`
	// Program, with its arguments, that prints the secret. It is run at the start and again every secret_refresh.
	SecretCommand []string `toml:"secret_command"`
	// How long what a command printed is used. If it fails later, the secret that was known is kept.
	SecretRefresh config.Duration `toml:"secret_refresh"`
	// File with many access keys of this identity, one in a line: the key, a blank, its secret. # begins a comment. It is read
	// again when it changes, so that keys come and go without a restart.
	KeysFile string `toml:"keys_file"`
	// Name of the operator's functions that are asked for the secret (if nothing above has it) and whether a request is allowed.
	Callable string `toml:"callable"`
	// Requests without a signature are this identity's.
	Anonymous bool `toml:"anonymous"`
	// What it may do: read, write (delete is part of it), list.
	Rights config.List `toml:"rights"`
	// Buckets that it may use: names or globs. Empty: all.
	Buckets config.List `toml:"buckets"`
	// What keys must begin with. Empty: anything. With prefixes, the buckets' configuration is out of reach.
	Prefixes []string `toml:"prefixes"`
	// When it ends, as 2027-01-01T00:00:00Z. Empty: never.
	Expires string `toml:"expires"`
}

// SetDefaults sets what the operator need not write.
func (c *Config) SetDefaults() { c.SecretRefresh = config.Seconds(300) }

// String names the identity's key, and no secret.
func (c Config) String() string { return "identity of access key " + c.AccessKey }

// GoString is String, so that no verb prints the secret.
func (c Config) GoString() string { return c.String() }

// Validate finds values that cannot be meant.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, problem string, args ...any) { errs = append(errs, config.Invalid(key, problem, args...)) }
	c.validateKeys(bad)
	if c.SecretRefresh.Duration <= 0 && len(c.SecretCommand) > 0 {
		bad("secret_refresh", "must be above 0")
	}
	if len(c.Rights) == 0 {
		bad("rights", `gives none; want some of ["read", "write", "list"]`)
	}
	for _, right := range c.Rights {
		if _, ok := rights[right]; !ok {
			bad("rights", "there is no right %q; want read, write or list", right)
		}
	}
	for _, pattern := range c.Buckets {
		if _, err := route.CompileGlob(pattern); err != nil {
			bad("buckets", "%v", err)
		}
	}
	for _, prefix := range c.Prefixes {
		if prefix == "" || route.Dots(prefix) || strings.HasPrefix(prefix, "/") {
			bad("prefixes", "have %q; want what keys begin with, without a leading slash and segments of dots", prefix)
		}
	}
	if _, err := c.expires(); err != nil {
		bad("expires", "have %q; want a time such as 2027-01-01T00:00:00Z", c.Expires)
	}
	return errors.Join(errs...)
}

// validateKeys finds out whether it is clear where the secret comes from.
func (c *Config) validateKeys(bad func(key, problem string, args ...any)) {
	given := c.sources()
	if c.Anonymous {
		if len(given) > 0 || c.AccessKey != "" || c.KeysFile != "" {
			bad("anonymous", "an anonymous identity has no access key and no secret")
		}
		return
	}
	if c.AccessKey != strings.TrimSpace(c.AccessKey) || strings.ContainsAny(c.AccessKey, " ,\t\r\n") {
		bad("access_key", "must hold no blanks and commas")
	}
	if len(given) > 1 {
		bad(given[1], "there is %s already; want one of them", given[0])
	}
	if len(c.SecretCommand) == 1 && strings.ContainsAny(c.SecretCommand[0], " \t") {
		bad("secret_command", `want the program and its arguments as an array, such as ["vault-read", "alice"]`)
	}
	switch {
	case c.KeysFile != "" && (c.AccessKey != "" || len(given) > 0):
		bad("keys_file", "has access keys of its own, so there must be no access_key and no other secret")
	case c.KeysFile != "":
	case c.AccessKey == "" && len(given) > 0:
		bad("access_key", "is missing; %s belongs to one", given[0])
	case len(given) == 0 && c.Callable == "":
		bad("secret_file", "there is no secret; want one of secret, secret_file, secret_env, secret_command, keys_file and callable")
	}
}

// sources are the keys of the configuration that have the secret of the access key.
func (c *Config) sources() []string {
	given := map[string]bool{
		"secret": c.Secret != "", "secret_file": c.SecretFile != "", "secret_env": c.SecretEnv != "", "secret_command": len(c.SecretCommand) > 0,
	}
	return slices.DeleteFunc([]string{"secret", "secret_file", "secret_env", "secret_command"}, func(key string) bool { return !given[key] })
}

func (c *Config) expires() (time.Time, error) {
	if c.Expires == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, c.Expires)
}
