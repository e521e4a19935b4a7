package starlark

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a loaded script with a clock that stands still.
type fixture struct {
	*Script
	callable.Functions
	dir string
	log *strings.Builder
	now time.Time
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, text string, limits Limits) (*fixture, error) {
	t.Helper()
	return loadIn(t, t.TempDir(), text, limits)
}

func loadIn(t *testing.T, dir, text string, limits Limits) (*fixture, error) {
	t.Helper()
	f := &fixture{dir: dir, log: &strings.Builder{}, now: time.Unix(1e9, 0)}
	write(t, filepath.Join(dir, "a.star"), text)
	log := slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := Load(filepath.Join(dir, "a.star"), limits, log, clock.Func(func() time.Time { return f.now }))
	if err != nil {
		return nil, err
	}
	f.Script, f.Functions = s, s.Functions()
	return f, nil
}

func must(t *testing.T, text string) *fixture {
	t.Helper()
	f, err := load(t, text, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheExampleOfTheDoc(t *testing.T) {
	t.Setenv("IBM_API_KEY", "ibm")
	t.Setenv("STORE_SECRET", "stored")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "keys.json"), `{"AKALICE": "s3cr3t"}`)
	f, err := loadIn(t, dir, `
KEYS = json.decode(read_file("keys.json"))

def secret(access_key):
    return KEYS.get(access_key)          # None: there is no such key

def credentials(token, bucket):
    if bucket.startswith("ibm-"):
        return {"api_key": env("IBM_API_KEY")}
    return {"access_key": "AKSTORE", "secret_key": env("STORE_SECRET")}

def authorize(token, bucket, method, path):
    if path.startswith("public/"):
        return {"allow": method in ("GET", "HEAD"), "prefix": "public/"}   # for all that is in there
    return token == "AKALICE"
`, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if s, err := f.Secret(ctx, "AKALICE"); s != "s3cr3t" || err != nil {
		t.Errorf("secret: %q, %v", s, err)
	}
	if s, err := f.Secret(ctx, "AKBOB"); err != callable.ErrUnknown {
		t.Errorf("secret of nobody: %q, %v", s, err)
	}
	if c, err := f.Credentials(ctx, "AKALICE", "ibm-1"); c != (callable.Credentials{APIKey: "ibm"}) || err != nil {
		t.Errorf("credentials: %q, %v", c.APIKey, err)
	}
	if c, err := f.Credentials(ctx, "AKALICE", "b"); c != (callable.Credentials{AccessKey: "AKSTORE", Secret: "stored"}) || err != nil {
		t.Errorf("credentials: %q, %q, %v", c.AccessKey, c.Secret, err)
	}
	for _, c := range []struct {
		token, method, path string
		want                bool
	}{{"AKALICE", "PUT", "x", true}, {"AKBOB", "GET", "x", false}, {"AKBOB", "GET", "public/x", true}, {"AKALICE", "PUT", "public/x", false}} {
		if got, err := f.Authorize(ctx, c.token, "b", c.method, c.path); got != c.want || err != nil {
			t.Errorf("authorize %v: %v, %v", c, got, err)
		}
	}
}

func TestCachedBelievesThePrefix(t *testing.T) {
	f := must(t, `
def authorize(token, bucket, method, path):
    print("asked", path)
    return {"allow": True, "prefix": "a/"} if path.startswith("a/") else path == "b"
`)
	c := callable.Cached(f.Functions, callable.CacheConfig{TTL: time.Minute, NegativeTTL: time.Minute}, f.Script.clock)
	for path, want := range map[string]bool{"a/1": true, "a/2": true, "a/b/3": true, "b": true, "c": false, "a": false} {
		for range 2 {
			if got, err := c.Authorize(t.Context(), "t", "b", "GET", path); got != want || err != nil {
				t.Errorf("%s: %v, %v", path, got, err)
			}
		}
	}
	if n := strings.Count(f.log.String(), "asked"); n != 4 {
		t.Errorf("asked %d times, want 4:\n%s", n, f.log)
	}
}

// TestErrorsNameThePlace holds what an operator reads of each mistake.
func TestErrorsNameThePlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"syntax", "x = 1\ndef secret(access_key:\n    pass", "a.star:2:23: got ':', want ')'"},
		{"name", "def secret(access_key):\n    return nowhere", "a.star:2:12: undefined: nowhere"},
		{"runtime at loading", "x = [1]\ny = x[3]", "a.star:2:6: in <toplevel>: list index 3 out of range"},
		{"nothing", "x = 1", "defines none of secret(access_key)"},
		{"a slip", "def secret(access_key):\n    pass\ndef authorise(token, bucket, method, path):\n    return False", "a.star:3:1: function authorise: did you mean authorize?"},
		{"too few parameters", "def authorize(token, bucket, method):\n    pass", "a.star:1:1: authorize is to take token, bucket, method, path"},
		{"too many parameters", "def secret(access_key, other):\n    pass", "secret is to take access_key"},
		{"named parameters only", "def secret(*, access_key):\n    pass", "secret is to take access_key"},
		{"not a function", "secret = 'x'", "secret is of type string, want a function"},
		{"endless", "while True:\n    pass\n", "too many steps"},
		{"missing file", "x = read_file('nowhere')", "a.star:1:14: in <toplevel>: openat nowhere: no such file"},
		{"file outside", "x = read_file('../a.star')", "path escapes from parent"},
		{"absolute file", "x = read_file('/etc/hostname')", "path escapes from parent"},
		{"a folder", "x = read_file('.')", "not a regular file"},
		{"load of what is not there", "load('b.star', 'x')", "a.star:1:1: in <toplevel>: cannot load b.star"},
		{"load of itself", "load('a.star', 'x')", "circle"},
		{"recursion", "def f(n):\n    return f(n)\ndef secret(access_key):\n    pass\nf(1)", "f called recursively"},
		{"attribute", "x = {}.keyz", "a.star:1:7: in <toplevel>: dict has no .keyz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.text, Limits{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestParametersThatDo(t *testing.T) {
	for _, params := range []string{"access_key", "k, more=1", "*args", "k, *, x=1", "**kwargs", "k, **kwargs", "*args, k=1"} {
		f, err := load(t, "def secret("+params+"):\n    return 's'", Limits{})
		if (err == nil) == (params == "**kwargs") {
			t.Errorf("%s: %v", params, err)
		}
		if err == nil {
			if s, err := f.Secret(t.Context(), "k"); s != "s" || err != nil {
				t.Errorf("%s: %q, %v", params, s, err)
			}
		}
	}
}

// TestWrongAnswers holds what is said of what a function returns.
func TestWrongAnswers(t *testing.T) {
	for _, c := range []struct{ function, result, want string }{
		{"secret", "1", "a.star:1:1: secret returned a value of type int, want a string or None"},
		{"secret", "''", "returned an empty string"},
		{"secret", "[][0]", "a.star:2:14: in secret: index 0 out of range: empty list"},
		{"credentials", "'x'", "credentials returned a value of type string, want a dictionary or None"},
		{"credentials", "{}", "want access_key and secret_key, or api_key, or bearer; have none"},
		{"credentials", "{'access_key': 'a'}", "access_key and secret_key go together"},
		{"credentials", "{'secret_kee': 'a'}", `unknown key "secret_kee"; did you mean secret_key?`},
		{"credentials", "{'bearer': 'a', 'api_key': 'b'}", "want only one"},
		{"credentials", "{'bearer': 1}", "returned bearer of type int, want a string"},
		{"credentials", "{1: 1}", "returned a key of type int"},
		{"credentials", "{'bearer': 'a', 'expires': 'soon'}", `returned expires "soon", want text as of RFC 3339`},
		{"credentials", "{'bearer': 'a', 'expires': -1}", "not a time in seconds"},
		{"credentials", "{'bearer': 'a', 'expires': float('nan')}", "not a time in seconds"},
		{"credentials", "{'bearer': 'a', 'expires': []}", "expires of type list"},
		{"authorize", "None", "authorize returned a value of type NoneType, want True, False"},
		{"authorize", "'yes'", "returned a value of type string"},
		{"authorize", "1", "returned a value of type int"},
		{"authorize", "{}", "without allow"},
		{"authorize", "{'allow': 1}", "returned allow of type int"},
		{"authorize", "{'allow': True, 'prefix': 1}", "returned prefix of type int"},
		{"authorize", "{'allow': True, 'prefix': 'other/'}", "prefix that is not a folder of the path"},
		{"authorize", "{'allow': True, 'prefix': 'a/b'}", "prefix that is not a folder of the path"},
		{"authorize", "fail('no such', 1)", "a.star:2:16: in authorize: fail: no such 1"},
	} {
		t.Run(c.function+" "+c.result, func(t *testing.T) {
			f := must(t, fmt.Sprintf("def %s(%s):\n    return %s", c.function, strings.Join(parameters[c.function], ", "), c.result))
			err := ask(t.Context(), f.Functions)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// ask asks the one function there is. A yes with an error is a failure of its own.
func ask(ctx context.Context, f callable.Functions) error {
	switch {
	case f.Secret != nil:
		_, err := f.Secret(ctx, "AKALICE")
		return err
	case f.Credentials != nil:
		_, err := f.Credentials(ctx, "AKALICE", "b")
		return err
	}
	yes, err := f.Authorize(ctx, "AKALICE", "b", "GET", "a/b")
	if yes && err != nil {
		return errors.New("yes with an error")
	}
	return err
}

func TestExpires(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1700000000": time.Unix(17e8, 0), "1700000000.5": time.Unix(17e8, 5e8), "'2027-01-01T00:00:00Z'": time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		"time.now() + time.hour": time.Unix(1e9+3600, 0), "None": {},
	} {
		f := must(t, "def credentials(token, bucket):\n    return {'bearer': 'b', 'expires': "+text+"}")
		if c, err := f.Credentials(t.Context(), "t", "b"); !c.Expires.Equal(want) || err != nil {
			t.Errorf("%s: %v, %v, want %v", text, c.Expires, err, want)
		}
	}
}

func TestCallsEnd(t *testing.T) {
	f, err := load(t, "def secret(access_key):\n    while True:\n        pass", Limits{Time: 20 * time.Millisecond, Steps: MaxSteps * 10})
	if err != nil {
		t.Fatal(err)
	}
	f.Script.limits.Steps = 1 << 62
	if _, err := f.Secret(t.Context(), "k"); !errors.Is(err, callable.ErrTimeout) || !strings.Contains(err.Error(), "a.star:1:1: in secret") {
		t.Errorf("after its time: %v", err)
	}
	f.Script.limits.Time = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Secret(ctx, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("when nobody waits: %v", err)
	}
}

func TestANewVersionIsLoaded(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "lib.star"), "def of(k):\n    return 'lib of ' + k")
	write(t, filepath.Join(dir, "data"), "1")
	version := func(n string) string {
		return "load('lib.star', 'of')\nD = read_file('data')\ndef secret(access_key):\n    return of(access_key) + ' " + n + " ' + D"
	}
	f, err := loadIn(t, dir, version("one"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	look := func(want, logged string) {
		t.Helper()
		f.log.Reset()
		for range 2 {
			f.now = f.now.Add(time.Second)
			if s, err := f.Secret(t.Context(), "k"); s != want || err != nil {
				t.Errorf("got %q, %v, want %q", s, err, want)
			}
		}
		if n := strings.Count(f.log.String(), "\n"); logged == "" && n != 0 || logged != "" && (n != 1 || !strings.Contains(f.log.String(), logged)) {
			t.Errorf("logged %swant %q, once", f.log, logged)
		}
	}
	main := filepath.Join(dir, "a.star")
	look("lib of k one 1", "")
	write(t, main, version("second"))
	if s, _ := f.Secret(t.Context(), "k"); s != "lib of k one 1" {
		t.Errorf("looked again within a second: %q", s)
	}
	before := f.Script.Version()
	look("lib of k second 1", "loaded again")
	if f.Script.Version() == before {
		t.Error("the version is the same")
	}
	write(t, filepath.Join(dir, "lib.star"), "def of(k):\n    return 'new lib of ' + k")
	look("new lib of k second 1", "loaded again")
	write(t, filepath.Join(dir, "data"), "22")
	look("new lib of k second 22", "loaded again")
	before = f.Script.Version()
	write(t, main, "def secret(access_key):\n    return oops")
	look("new lib of k second 22", "a.star:2:12: undefined: oops")
	write(t, main, version("x")+"\ndef authorize(token, bucket, method, path):\n    return True")
	look("new lib of k second 22", "has the functions authorize, secret, where it had secret")
	if err := os.Remove(main); err != nil {
		t.Fatal(err)
	}
	look("new lib of k second 22", "no such file")
	if f.Script.Version() != before {
		t.Error("the version has changed")
	}
	write(t, main, version("whole again"))
	look("new lib of k whole again 22", "loaded again")
	// As Kubernetes swaps files: a link to another folder.
	write(t, filepath.Join(dir, "..v2", "a.star"), "def secret(access_key):\n    return 'linked'")
	if err := os.Symlink("..v2/a.star", filepath.Join(dir, "tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "tmp"), main); err != nil {
		t.Fatal(err)
	}
	look("linked", "loaded again")
}

func TestCallsAtOnce(t *testing.T) {
	f := must(t, `
SEEN = {}
def secret(access_key):
    l = []
    for i in range(100):
        l.append(access_key + str(i))
    return l[-1]
def authorize(token, bucket, method, path):
    SEEN[token] = True
    return True
`)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				key := fmt.Sprint(g, "-", i, "-")
				if s, err := f.Secret(t.Context(), key); s != key+"99" || err != nil {
					t.Errorf("%q, %v", s, err)
				}
			}
		})
	}
	wg.Wait()
	if yes, err := f.Authorize(t.Context(), "t", "b", "GET", "p"); yes || err == nil || !strings.Contains(err.Error(), "frozen") {
		t.Errorf("a global that is changed: %v, %v", yes, err)
	}
}

func TestWhatAScriptMayRead(t *testing.T) {
	t.Setenv("APUS_THERE", "x")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sub", "f"), "in sub")
	write(t, filepath.Join(dir, "big"), strings.Repeat("x", maxFile+1))
	outside := filepath.Join(t.TempDir(), "f")
	write(t, outside, "outside")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f, err := loadIn(t, dir, "def secret(access_key):\n    return str(eval_(access_key))\ndef eval_(k):\n    return {\n"+`
"sub": lambda: read_file("sub/f"), "default": lambda: read_file("nowhere", "d"), "link": lambda: read_file("link", "d"),
"big": lambda: read_file("big"), "env": lambda: env("APUS_THERE"), "noenv": lambda: env("APUS_NOT_THERE"), "envd": lambda: env("APUS_NOT_THERE", default="e"),
}[k]()`, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"sub": "in sub", "default": "d", "link": "!escapes", "big": "!larger than 1048576 bytes", "env": "x", "noenv": "None", "envd": "e",
	} {
		s, err := f.Secret(t.Context(), k)
		if text, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q, %v, want %s", k, s, err, text)
			}
		} else if s != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", k, s, err, want)
		}
	}
}
