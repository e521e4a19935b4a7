package gate_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/internal/attacks"
)

// TestSecrets finds secrets in all places that there are for them.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("# laptops\n\nAKONE secret-one\n AKTWO\tsecret-two \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("APUS_TEST_SECRET", "from the environment")
	functions := map[string]callable.Functions{"f": {Secret: func(_ context.Context, key string) (string, error) {
		switch key {
		case "AKASKED", "AKNAMED":
			return "asked " + key, nil
		case "AKEMPTY":
			return "", nil
		case "AKBROKEN":
			return "", errors.New("no answer")
		}
		return "", callable.ErrUnknown
	}}}
	g := open(t, `
[s3gateway.identity.place]
access_key = "AKPLACE"
secret = "in place"
rights = ["read"]
[s3gateway.identity.file]
access_key = "AKFILE"
secret_file = "`+file+`"
rights = ["read"]
[s3gateway.identity.environment]
access_key = "AKENV"
secret_env = "APUS_TEST_SECRET"
rights = ["read"]
[s3gateway.identity.command]
access_key = "AKCOMMAND"
secret_command = ["echo", "from a command"]
rights = ["read"]
[s3gateway.identity.keys]
keys_file = "`+keys+`"
rights = ["read"]
[s3gateway.identity.asked]
callable = "f"
rights = ["read"]
[s3gateway.identity.named]
access_key = "AKNAMED"
callable = "f"
rights = ["read"]
`, functions)
	for _, test := range []struct{ access, secret, code string }{
		{"AKPLACE", "in place", "none"},
		{"AKFILE", "from a file", "none"},
		{"AKENV", "from the environment", "none"},
		{"AKCOMMAND", "from a command", "none"},
		{"AKONE", "secret-one", "none"},
		{"AKTWO", "secret-two", "none"},
		{"AKONE", "secret-two", "SignatureDoesNotMatch"},
		{"AKASKED", "asked AKASKED", "none"},
		{"AKNAMED", "asked AKNAMED", "none"},
		{"AKASKED", "asked", "SignatureDoesNotMatch"},
		{"AKEMPTY", "", "InvalidAccessKeyId"},
		{"AKBROKEN", "x", "ServiceUnavailable"},
		{"AKOTHER", "x", "InvalidAccessKeyId"},
		{"#", "laptops", "InvalidAccessKeyId"},
	} {
		if err := get(t, g, attacks.Key{Access: test.access, Secret: test.secret}); code(err) != test.code {
			t.Errorf("%s with %q: got %v, want %s", test.access, test.secret, err, test.code)
		}
	}
}

// TestFilesAreReadAgain changes secrets while the gate is open.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	file, keys := filepath.Join(dir, "secret"), filepath.Join(dir, "keys")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "old")
	write(keys, "AKONE one\n")
	moving := now
	toml := "[s3gateway.identity.a]\naccess_key = \"AKFILE\"\nsecret_file = \"" + file + "\"\n" + anyRights +
		"[s3gateway.identity.b]\nkeys_file = \"" + keys + "\"\n" + anyRights
	g, err := gate.New(identities(t, toml), nil, gate.Deps{Region: "us-east-1", Clock: clock.Func(func() time.Time { return moving })})
	if err != nil {
		t.Fatal(err)
	}
	is := func(access, secret, want string) {
		t.Helper()
		moving = moving.Add(2 * time.Second)
		_, err := admit(t, g, signed(t, "GET", "/photos-1/a", "", attacks.Key{Access: access, Secret: secret}, moving), gate.Options{})
		if code(err) != want {
			t.Errorf("%s with %s: got %v, want %s", access, secret, err, want)
		}
	}
	is("AKFILE", "old", "none")
	write(file, "new")
	is("AKFILE", "old", "SignatureDoesNotMatch")
	is("AKFILE", "new", "none")
	write(keys, "AKTWO two\n")
	is("AKONE", "one", "InvalidAccessKeyId")
	is("AKTWO", "two", "none")
	write(keys, "AKTWO two three\n")
	is("AKTWO", "two", "ServiceUnavailable")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	is("AKFILE", "new", "ServiceUnavailable")
	write(file, "newest")
	is("AKFILE", "newest", "none")
}

// TestCommandsAreRunAgain has a command print another secret, and then fail.
func TestCommandsAreRunAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	moving := now
	toml := "[s3gateway.identity.a]\naccess_key = \"AK\"\nsecret_command = [\"cat\", \"" + file + "\"]\nsecret_refresh = 60\n" + anyRights
	g, err := gate.New(identities(t, toml), nil, gate.Deps{Region: "us-east-1", Clock: clock.Func(func() time.Time { return moving })})
	if err != nil {
		t.Fatal(err)
	}
	is := func(secret string, after time.Duration, want string) {
		t.Helper()
		moving = moving.Add(after)
		_, err := admit(t, g, signed(t, "GET", "/photos-1/a", "", attacks.Key{Access: "AK", Secret: secret}, moving), gate.Options{})
		if code(err) != want {
			t.Errorf("%s: got %v, want %s", secret, err, want)
		}
	}
	write("second")
	is("first", time.Second, "none")
	is("second", 60*time.Second, "none")
	is("first", time.Second, "SignatureDoesNotMatch")
	write("two\nlines")
	is("second", 60*time.Second, "none")
	write("third")
	is("third", 11*time.Second, "none")
}
