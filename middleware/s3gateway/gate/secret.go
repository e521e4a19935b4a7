package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
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
		f := &secretFile{watched{path: c.SecretFile, clock: d.Clock}}
		return f, opened("secret_file", &f.watched, parseSecret, d.Log)
	case c.KeysFile != "":
		f := &keysFile{watched{path: c.KeysFile, clock: d.Clock}}
		return f, opened("keys_file", &f.watched, parseKeys, d.Log)
	case len(c.SecretCommand) > 0:
		s := &command{args: c.SecretCommand, refresh: c.SecretRefresh.Duration, clock: d.Clock, log: d.Log}
		if s.refresh <= 0 {
			s.refresh = 5 * time.Minute
		}
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
func opened(key string, w *watched, parse func(string) (map[string]string, error), log *slog.Logger) error {
	if _, err := w.read(parse); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if info, err := os.Stat(w.path); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.Warn("a file of secrets can be read by everybody on this machine", "path", w.path)
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
type secretFile struct{ watched }

func (f *secretFile) secret(context.Context, string) (string, error) {
	keys, err := f.read(parseSecret)
	return keys[""], err
}

func parseSecret(text string) (map[string]string, error) {
	s := strings.TrimSpace(text)
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("must hold one line, the secret")
	}
	return map[string]string{"": s}, nil
}

// keysFile holds access keys and their secrets.
type keysFile struct{ watched }

func (f *keysFile) secret(_ context.Context, accessKey string) (string, error) {
	keys, err := f.read(parseKeys)
	if err != nil {
		return "", err
	}
	if s, ok := keys[accessKey]; ok {
		return s, nil
	}
	return "", callable.ErrUnknown
}

func parseKeys(text string) (map[string]string, error) {
	keys := make(map[string]string)
	number := 0
	for line := range strings.Lines(text) {
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

const (
	lookAgain = time.Second     // how often a file is looked at
	settled   = 2 * time.Second // how old a change must be, so that another cannot have the same time
	maxFile   = 1 << 20
)

// A watched file is read again when it changes. One that is gone or unreadable is an error, not what it was: taking a key away
// must take effect.
type watched struct {
	path  string
	clock clock.Clock

	mu     sync.Mutex // guards what follows
	looked time.Time
	info   os.FileInfo
	sure   bool // the file had not been changed just before it was read
	keys   map[string]string
	err    error
}

func (w *watched) read(parse func(string) (map[string]string, error)) (map[string]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	if since := now.Sub(w.looked); !w.looked.IsZero() && since >= 0 && since < lookAgain {
		return w.keys, w.err
	}
	w.looked = now
	info, err := os.Stat(w.path)
	if err == nil && w.err == nil && w.sure && os.SameFile(info, w.info) && info.ModTime().Equal(w.info.ModTime()) && info.Size() == w.info.Size() {
		return w.keys, nil
	}
	if err == nil {
		w.info, w.sure = info, now.Sub(info.ModTime()) > settled
		w.keys, err = load(w.path, parse)
	}
	if w.err = err; err != nil {
		w.keys = nil
	}
	return w.keys, w.err
}

func load(path string, parse func(string) (map[string]string, error)) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, maxFile)
	}
	keys, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

const (
	commandTime  = 10 * time.Second
	commandRetry = 10 * time.Second // after it failed
)

// A command prints a secret.
type command struct {
	args    []string
	refresh time.Duration
	clock   clock.Clock
	log     *slog.Logger

	mu    sync.Mutex // guards what follows, and has one run at a time
	value string
	until time.Time
}

func (c *command) secret(ctx context.Context, _ string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.value != "" && c.clock.Now().Before(c.until) {
		return c.value, nil
	}
	// Others want the secret too, whatever becomes of this client.
	value, err := c.run(context.WithoutCancel(ctx))
	switch {
	case err == nil:
		c.value, c.until = value, c.clock.Now().Add(c.refresh)
	case c.value == "":
		return "", err
	default:
		c.log.Warn("a command that prints a secret failed; the one that it printed before is kept", "command", c.args[0], "err", err)
		c.until = c.clock.Now().Add(commandRetry)
	}
	return c.value, nil
}

func (c *command) run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.WaitDelay = time.Second
	out := &bounded{}
	cmd.Stdout = out
	// What it complains of may hold what it knows, so only its status is told.
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s: %w", c.args[0], err)
	}
	keys, err := parseSecret(string(out.text))
	if err != nil {
		return "", fmt.Errorf("what %s prints: %w", c.args[0], err)
	}
	return keys[""], nil
}

// bounded keeps the beginning of what is written.
type bounded struct{ text []byte }

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.text)+len(p) > 64<<10 {
		return 0, errors.New("prints too much")
	}
	b.text = append(b.text, p...)
	return len(p), nil
}
