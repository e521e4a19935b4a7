package upstream

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
	"github.com/apus-storage/apus/internal/config"
)

// KeyPair is an access key, with its secret or where that is to be found.
type KeyPair struct {
	// The access key.
	AccessKey string `toml:"access_key"`
	// Its secret, in one of four ways: as it is, in a file, in a variable of the environment, or printed by a command.
	Secret        string   `toml:"secret" secret:"true"`
	SecretFile    string   `toml:"secret_file"`
	SecretEnv     string   `toml:"secret_env"`
	SecretCommand []string `toml:"secret_command"`
	// The token of temporary credentials.
	SessionToken string `toml:"session_token" secret:"true"`
	// In place of all that: ask the store without a signature, for what it lets everybody do.
	Unsigned bool `toml:"unsigned"`
}

func (k KeyPair) secret() secretConfig {
	return secretConfig{"secret", k.Secret, k.SecretFile, k.SecretEnv, k.SecretCommand}
}

func (k KeyPair) empty() bool {
	return k.keyless() && !k.Unsigned
}

func (k KeyPair) keyless() bool {
	return k.AccessKey == "" && k.secret().ways() == 0 && k.SessionToken == ""
}

// String names the access key, and no secret.
func (k KeyPair) String() string { return "key pair of access key " + k.AccessKey }

// GoString is String, so that no verb prints the secret.
func (k KeyPair) GoString() string { return k.String() }

// validate is not Validate: the table of a store has a key pair embedded, which need not be there.
func (k KeyPair) validate(within string) error {
	if k.Unsigned && k.keyless() {
		return nil
	}
	if k.Unsigned {
		return config.Invalid(within+"unsigned", "requests with an access key are signed")
	}
	if k.AccessKey == "" {
		return config.Invalid(within+"access_key", "is missing")
	}
	if strings.ContainsAny(k.AccessKey, "/, \t\r\n=") {
		return config.Invalid(within+"access_key", "has characters that no access key has")
	}
	return k.secret().validate(within)
}

// secretConfig is a secret, or where it is to be found.
type secretConfig struct {
	key              string
	value, file, env string
	command          []string
}

func (s secretConfig) ways() int {
	n := 0
	for _, there := range []bool{s.value != "", s.file != "", s.env != "", len(s.command) > 0} {
		if there {
			n++
		}
	}
	return n
}

func (s secretConfig) validate(within string) error {
	if s.ways() != 1 {
		return config.Invalid(within+s.key, "give one of %s, %[1]s_file, %[1]s_env and %[1]s_command", s.key)
	}
	return nil
}

const (
	commandTime = 10 * time.Second
	maxSecret   = 64 << 10
)

var errEmpty = errors.New("it is empty")

// open returns a function that gives the secret, which may change with its file.
func (s secretConfig) open(deps Deps) (func() (string, error), error) {
	value := s.value
	switch {
	case s.file != "":
		w := &watched[string]{path: s.file, limit: maxSecret, clock: deps.Clock, log: deps.Log, parse: func(b []byte) (string, error) {
			return trimSecret(string(b))
		}}
		_, err := w.get()
		return w.get, err
	case s.env != "":
		var err error
		if value, err = trimSecret(deps.Getenv(s.env)); err != nil {
			return nil, fmt.Errorf("%s_env %s: %w", s.key, s.env, err)
		}
	case len(s.command) > 0:
		var err error
		if value, err = runCommand(s.command); err != nil {
			return nil, fmt.Errorf("%s_command: %w", s.key, err)
		}
	}
	return func() (string, error) { return value, nil }, nil
}

func trimSecret(s string) (string, error) {
	if s = strings.TrimRight(s, "\r\n"); s == "" {
		return "", errEmpty
	}
	if strings.ContainsAny(s, "\r\n\x00") {
		return "", errors.New("it has more than one line")
	}
	return s, nil
}

// runCommand returns the line that a command prints. What it says in case of failure goes nowhere: it may be the secret.
func runCommand(command []string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), commandTime)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	out := &limitedBuffer{limit: maxSecret}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("run %s: %w", command[0], err)
	}
	return trimSecret(string(out.got))
}

type limitedBuffer struct {
	got   []byte
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.got)+len(p) > b.limit {
		return 0, errors.New("it prints too much")
	}
	b.got = append(b.got, p...)
	return len(p), nil
}

// watched is a file that is read again when it has changed, looked at once a second at most.
type watched[T any] struct {
	path  string
	limit int64
	parse func([]byte) (T, error)
	clock clock.Clock
	log   *slog.Logger

	mu     sync.Mutex // guards what follows
	looked time.Time
	state  fileState
	value  T
	have   bool
}

// fileState is what tells a changed file.
type fileState struct {
	modified time.Time
	size     int64
	inode    os.FileInfo
}

func (s fileState) same(o fileState) bool {
	return s.inode != nil && o.inode != nil && s.modified.Equal(o.modified) && s.size == o.size && os.SameFile(s.inode, o.inode)
}

// get returns what the file says. A file that has become bad leaves what it said before, and is looked at again.
func (w *watched[T]) get() (T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	if w.have && now.Sub(w.looked) < time.Second && !now.Before(w.looked) {
		return w.value, nil
	}
	w.looked = now
	value, state, err := w.read()
	switch {
	case err == nil:
		w.value, w.state, w.have = value, state, true
	case w.have:
		w.log.Warn("a file with credentials cannot be read; what it said before is used", "file", w.path, "err", err)
	}
	if !w.have {
		return value, err
	}
	return w.value, nil
}

func (w *watched[T]) read() (value T, state fileState, err error) {
	f, err := os.Open(w.path)
	if err != nil {
		return value, state, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return value, state, err
	}
	state = fileState{info.ModTime(), info.Size(), info}
	if w.have && state.same(w.state) {
		return w.value, state, nil
	}
	b, err := io.ReadAll(io.LimitReader(f, w.limit+1))
	if err == nil && int64(len(b)) > w.limit {
		err = errors.New("it is too large")
	}
	if err == nil {
		value, err = w.parse(b)
	}
	if err != nil {
		return value, state, fmt.Errorf("read %s: %w", w.path, err)
	}
	return value, state, nil
}
