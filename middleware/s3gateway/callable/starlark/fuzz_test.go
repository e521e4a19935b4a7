package starlark

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzScript runs whatever is a script: nothing panics, and each call ends.
func FuzzScript(f *testing.F) {
	for _, s := range []string{
		"def secret(k):\n    return k * 2", "def authorize(t, b, m, p):\n    return {'allow': True, 'prefix': p[:1]}",
		"def credentials(t, b):\n    return dict(bearer=t, expires=time.now())", "load('a.star', 'x')\nx = 1", "def secret(k):\n    x = {}\n    x['a'] |= 1; x[0], (y) = 1, 2\n    return x",
		"def authorize(*a, **k):\n    return [i + 1 for i in range(3) if i << 2][0] == 4", "def secret(k, *, z=1 + 1):\n    return '%s' % (lambda *a: a)(*[k], **{})",
		"def secret(k):\n    return json.encode(json.decode('[1, {\"a\": null}]'))[::-1].replace('', k).format(k, a=1)",
	} {
		f.Add(s)
	}
	log := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "a.star")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s, err := Load(path, Limits{Steps: 10_000, Memory: 1 << 20, Time: time.Second}, log, nil)
		if err != nil {
			if s != nil || err.Error() == "" {
				t.Errorf("%v, %q", s, err)
			}
			return
		}
		fs := s.Functions()
		if fs.Secret != nil {
			if secret, err := fs.Secret(t.Context(), "AK"); err == nil && secret == "" {
				t.Error("an empty secret without an error")
			}
		}
		if fs.Credentials != nil {
			if c, err := fs.Credentials(t.Context(), "AK", "b"); err == nil && c.Check() != nil {
				t.Error(c.Check())
			}
		}
		if fs.Authorize != nil {
			if yes, err := fs.Authorize(t.Context(), "AK", "b", "GET", "a/b"); yes && err != nil {
				t.Error("a yes with an error")
			}
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
