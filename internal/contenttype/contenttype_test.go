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
