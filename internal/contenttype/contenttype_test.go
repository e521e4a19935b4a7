package contenttype

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mime.types")
	if err := os.WriteFile(file, []byte("# ours\ntext/x-ours ours own # both\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/v1/a/c/page.html": "text/html", "/v1/a/c/PAGE.HTML": "text/html", "/v1/a/c/x.own": "text/x-ours",
		"/v1/a/c/none": "application/octet-stream", "/v1/a/c/.html": "application/octet-stream", "/v1/a/c/x.tgz": "application/x-tar",
	} {
		if got := table.Of(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Errorf("a file that is missing: %v", err)
	}
}

func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mime.types")
	if err := os.WriteFile(path, []byte("# comment\napplication/x-own own OWN2 # more\ntext/other css\nempty/one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	types, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/v1/a/c/o.txt": "text/plain", "/v1/a/c/o.TXT": "text/plain", "/v1/a/c/o.tar.gz": "application/x-tar", "/v1/a/c/o.tgz": "application/x-tar",
		"/v1/a/c/o.gz": "application/octet-stream", "/v1/a/c/o": "application/octet-stream", "/v1/a.txt/c/o": "application/octet-stream",
		"/v1/a/c/.txt": "application/octet-stream", "/v1/a/c/..txt": "application/octet-stream", "/v1/a/c/a.own": "application/x-own",
		"/v1/a/c/a.css": "text/other", "/v1/a/c/a.jpg": "image/jpeg", "/v1/a/c/x.html/": "application/octet-stream", "/v1/a/c/x.svgz": "image/svg+xml",
	} {
		if got := types.Of(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}
