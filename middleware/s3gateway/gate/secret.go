package gate

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/secret"
)

// secrets are where the secrets of an identity's access keys come from. The error is callable.ErrUnknown if there is no such
// key. They are for many goroutines.
type secrets interface {
	secret(ctx context.Context, accessKey string) (string, error)
}

// newSecrets opens where an identity's secrets are, and finds out whether they are there.
func newSecrets(c Config, functions map[string]callable.Functions, d Deps) (secrets, error) {
	switch {
	case c.Secret != "":
		return fixed(c.Secret), nil
	case c.SecretEnv != "":
		s := strings.TrimSpace(os.Getenv(c.SecretEnv))
		if s == "" {
			return nil, fmt.Errorf("secret_env: the environment has no variable %s, or it is empty", c.SecretEnv)
		}
		return fixed(s), nil
	case c.SecretFile != "":
		f := secretFile{&secret.File[string]{Path: c.SecretFile, Parse: secret.Line, Clock: d.Clock}}
		return f, opened("secret_file", f.File, d.Log)
	case c.KeysFile != "":
		f := keysFile{&secret.File[map[string]string]{Path: c.KeysFile, Parse: parseKeys, Clock: d.Clock}}
		return f, opened("keys_file", f.File, d.Log)
	case len(c.SecretCommand) > 0:
		s := &command{args: c.SecretCommand, refresh: c.SecretRefresh.Duration, clock: d.Clock, log: d.Log}
		if _, err := s.secret(context.Background(), c.AccessKey); err != nil {
			return nil, fmt.Errorf("secret_command: %w", err)
		}
		return s, nil
	}
	f := functions[c.Callable]
	if f.Secret == nil {
		return nil, fmt.Errorf("callable: %q has no function for secrets, so there must be one of secret, secret_file, secret_env, secret_command and keys_file", c.Callable)
	}
	return asked(f.Secret), nil
}

// opened reads a file for the first time.
func opened[T any](key string, f *secret.File[T], log *slog.Logger) error {
	if _, err := f.Get(); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if info, err := os.Stat(f.Path); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.Warn("a file of secrets can be read by everybody on this machine", "path", f.Path)
	}
	return nil
}

// fixed is a secret that stays as long as the process.
type fixed string

func (f fixed) secret(context.Context, string) (string, error) { return string(f), nil }

// String hides the secret.
func (fixed) String() string { return "(secret)" }

// GoString hides the secret.
func (fixed) GoString() string { return "(secret)" }

// asked is an operator's function.
type asked func(ctx context.Context, accessKey string) (string, error)

func (f asked) secret(ctx context.Context, accessKey string) (string, error) {
	secret, err := f(ctx, accessKey)
	if err == nil && secret == "" {
		// Anybody can sign with the empty secret.
		return "", callable.ErrUnknown
	}
	return secret, err
}

// secretFile holds one secret.
type secretFile struct{ *secret.File[string] }

func (f secretFile) secret(context.Context, string) (string, error) { return f.Get() }

// keysFile holds access keys and their secrets.
type keysFile struct {
	*secret.File[map[string]string]
}

func (f keysFile) secret(_ context.Context, accessKey string) (string, error) {
	keys, err := f.Get()
	if err != nil {
		return "", err
	}
	if s, ok := keys[accessKey]; ok {
		return s, nil
	}
	return "", callable.ErrUnknown
}

func parseKeys(text []byte) (map[string]string, error) {
	keys := make(map[string]string)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: want an access key and its secret", number)
		}
		if _, twice := keys[fields[0]]; twice {
			return nil, fmt.Errorf("line %d: the access key stands in an earlier line too", number)
		}
		keys[fields[0]] = fields[1]
	}
	return keys, nil
}

const commandRetry = 10 * time.Second // after it failed

// A command prints a secret.
type command struct {
	args    []string
	refresh time.Duration
	clock   clock.Clock
	log     *slog.Logger

	mu    sync.Mutex // guards what follows; held by the first run, since without it there is no secret
	value string
	until time.Time
}

func (c *command) secret(ctx context.Context, _ string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Others want the secret too, whatever becomes of this client.
	ctx = context.WithoutCancel(ctx)
	if c.value == "" {
		value, err := secret.Run(ctx, c.args)
		if err == nil {
			c.value, c.until = value, c.clock.Now().Add(c.refresh)
		}
		return value, err
	}
	if c.clock.Now().Before(c.until) {
		return c.value, nil
	}
	// One runs it, and the others go on with what is known.
	c.until = c.clock.Now().Add(commandRetry)
	c.mu.Unlock()
	value, err := secret.Run(ctx, c.args)
	c.mu.Lock()
	if err != nil {
		c.log.Warn("a command that prints a secret failed; the one that it printed before is kept", "command", c.args[0], "err", err)
		return c.value, nil
	}
	c.value, c.until = value, c.clock.Now().Add(c.refresh)
	return c.value, nil
}
