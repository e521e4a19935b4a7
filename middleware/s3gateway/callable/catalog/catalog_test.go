package catalog

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func conf(set func(*callable.Config)) callable.Config {
	var c callable.Config
	c.SetDefaults()
	set(&c)
	return c
}

func TestTheThreeKinds(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `"of the webhook"`) }))
	defer s.Close()
	path := filepath.Join(t.TempDir(), "a.star")
	script := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("def secret(access_key):\n    return "+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script(`"of the script"`)
	given := map[string]callable.Functions{"mine": {Secret: func(context.Context, string) (string, error) { return "of the program", nil }}}
	now := time.Unix(1e9, 0)
	c, err := Open(map[string]callable.Config{
		"s": conf(func(c *callable.Config) { c.Starlark = path }),
		"w": conf(func(c *callable.Config) { c.Webhook, c.Functions = s.URL, []string{"secret"} }),
		"g": conf(func(c *callable.Config) { c.Go = "mine" }),
	}, given, Deps{Log: slog.New(slog.DiscardHandler), Clock: clock.Func(func() time.Time { return now })})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	secret := func(name, want string) {
		t.Helper()
		f := c.Functions[name]
		if f.Authorize != nil {
			t.Errorf("%s has an authorize that nobody gave", name)
		}
		if got, err := f.Secret(t.Context(), "k"); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	secret("s", "of the script")
	secret("w", "of the webhook")
	secret("g", "of the program")
	// A script that has changed counts at once, whatever was remembered.
	script(`"of the script, second version"`)
	secret("s", "of the script")
	now = now.Add(time.Second)
	secret("s", "of the script, second version")
}

func TestAllThatIsWrongIsReported(t *testing.T) {
	var log strings.Builder
	_, err := Open(map[string]callable.Config{
		"s": conf(func(c *callable.Config) { c.Starlark = "/nowhere/a.star" }),
		"w": conf(func(c *callable.Config) { c.Webhook, c.CAFile = "http://h/", "/nowhere/ca" }),
		"g": conf(func(c *callable.Config) { c.Go = "nobody" }),
		"e": conf(func(c *callable.Config) { c.Go = "empty" }),
		"p": conf(func(c *callable.Config) { c.Webhook = "http://store.example/?hush" }),
	}, map[string]callable.Functions{"empty": {}}, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, want := range []string{`callable s: `, "/nowhere/a.star", "callable w: webhook: open /nowhere/ca", `callable g: the program has no functions named "nobody"`, `"empty" has no function`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s in\n%v", want, err)
		}
	}
	if !strings.Contains(log.String(), "without TLS") || strings.Contains(log.String(), "hush") {
		t.Errorf("logged %s", &log)
	}
}
