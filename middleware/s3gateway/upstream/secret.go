package upstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/secret"
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

// open returns a function that gives the secret, which may change with its file.
func (s secretConfig) open(deps Deps) (func() (string, error), error) {
	value := s.value
	switch {
	case s.file != "":
		f := &secret.File[string]{Path: s.file, Parse: secret.Line, Clock: deps.Clock, Keep: true, Log: deps.Log}
		_, err := f.Get()
		return f.Get, err
	case s.env != "":
		var err error
		if value, err = secret.Line([]byte(deps.Getenv(s.env))); err != nil {
			return nil, fmt.Errorf("%s_env %s: %w", s.key, s.env, err)
		}
	case len(s.command) > 0:
		var err error
		if value, err = secret.Run(context.Background(), s.command); err != nil {
			return nil, fmt.Errorf("%s_command: %w", s.key, err)
		}
	}
	return func() (string, error) { return value, nil }, nil
}
