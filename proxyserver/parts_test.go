package proxyserver

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContentTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mime.types")
	if err := os.WriteFile(path, []byte("# comment\napplication/x-own own OWN2 # more\ntext/other css\nempty/one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	types, err := loadContentTypes(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/v1/a/c/o.txt": "text/plain", "/v1/a/c/o.TXT": "text/plain", "/v1/a/c/o.tar.gz": "application/x-tar", "/v1/a/c/o.tgz": "application/x-tar",
		"/v1/a/c/o.gz": "application/octet-stream", "/v1/a/c/o": "application/octet-stream", "/v1/a.txt/c/o": "application/octet-stream",
		"/v1/a/c/.txt": "application/octet-stream", "/v1/a/c/..txt": "application/octet-stream", "/v1/a/c/a.own": "application/x-own",
		"/v1/a/c/a.css": "text/other", "/v1/a/c/a.jpg": "image/jpeg", "/v1/a/c/x.html/": "application/octet-stream", "/v1/a/c/x.svgz": "image/svg+xml",
	} {
		if got := types.of(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if _, err := loadContentTypes(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}

func TestQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"": "format=json", "prefix=a%2Fb+c": "prefix=a%2Fb+c&format=json", "format=xml&limit=5": "format=json&limit=5", "a=1&a=2": "a=2&format=json",
		"a": "a=&format=json", "x=%zz": "x=%25zz&format=json", "&&b=%00": "b=%00&format=json",
	} {
		if got := parseQuery(raw).with("format", "json").encode(); got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("prefix=a%2Fb+c&x=%zz&limit=99999999999999999999")
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw)
		if err := q.checkListing(10000); err != nil {
			_ = err.Error()
		}
		if again := parseQuery(q.encode()).encode(); again != q.encode() {
			t.Errorf("%q: written %q, read and written again %q", raw, q.encode(), again)
		}
	})
}

func TestWithoutSwiftParams(t *testing.T) {
	for in, want := range map[string]string{
		"a/b; charset=x": "a/b; charset=x", "a/b;swift_bytes=5": "a/b", "a/b; charset=x ; swift_bytes=5": "a/b; charset=x", "a/b;swift_bytes=5;c=d": "a/b;swift_bytes=5;c=d",
	} {
		if got := withoutSwiftParams(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
