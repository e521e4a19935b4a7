package xprofile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func dumpsIn(t testing.TB, dir string, keep int) *dumps {
	t.Helper()
	d, err := openDumps(filepath.Join(dir, "p."), keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close() })
	return d
}

// TestOnlyProfilesAreTouched has a directory with other things in it.
func TestOnlyProfilesAreTouched(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.pb.gz")
	dir := t.TempDir()
	d := dumpsIn(t, dir, 1)
	good := encoded(t, everyRequest())
	for name, data := range map[string][]byte{
		outside: good, "p.1.cpu.pb.gz": good, "p.2-1700000000.25.heap.pb.gz": good, "p.1.cpu.txt": nil, "other": nil, "p.1.secret.pb.gz": nil,
		"p.x.cpu.pb.gz": nil, "p.3.cpu.pb.gz.ABC.tmp": nil, "p.4.cpu.pb.gz.ABC.tmp": nil, "q.tmp": nil,
	} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "p.9.cpu.pb.gz")); err != nil {
		t.Fatal(err)
	}
	found, err := d.list()
	if err != nil || len(found) != 2 {
		t.Fatalf("found %v, %v", found, err)
	}
	for _, id := range []string{"9", "..", "../x", "1/../1", "", "1-", "01234567890123", "1\x00", "x", "3.cpu.pb.gz.ABC"} {
		if p, err := d.read(id, profileCPU); err == nil {
			t.Errorf("read %q: %v", id, p)
		}
	}
	if _, err := d.read("1", profileCPU); err != nil {
		t.Error(err)
	}
	now := time.Now()
	if err := os.Chtimes(filepath.Join(dir, "p.3.cpu.pb.gz.ABC.tmp"), now, now.Add(-2*staleAfter)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "p.1.cpu.pb.gz"), now, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := d.prune(now); err != nil {
		t.Fatal(err)
	}
	if err := d.removeIf(func(dump) bool { return true }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := []string{"other", "p.1.cpu.txt", "p.1.secret.pb.gz", "p.4.cpu.pb.gz.ABC.tmp", "p.9.cpu.pb.gz", "p.x.cpu.pb.gz", "q.tmp"}
	if !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

func TestProfilesThatAreTooLarge(t *testing.T) {
	d := dumpsIn(t, t.TempDir(), 10)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range maxPlain>>20 + 1 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"1": {make([]byte, maxFile+1), "is larger than 16777216 bytes"},
		"2": {bomb.Bytes(), "is larger than 67108864 bytes when uncompressed"},
		"3": {[]byte("nonsense"), "read profile p.3.cpu.pb.gz: "},
	} {
		if err := d.write(name, profileCPU, tc.data); err != nil {
			t.Fatal(err)
		}
		if _, err := d.read(name, profileCPU); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	if _, err := d.read("4", profileCPU); !errors.Is(err, errNone) {
		t.Errorf("what is not there: %v", err)
	}
}

// TestABadFileIsNoAnswer has one in the directory.
func TestABadFileIsNoAnswer(t *testing.T) {
	filter, _ := faked(t, everyRequest)
	section := options(t)
	h := mt.Build(t, filter, section, mt.NewApp())
	_, quoted, _ := strings.Cut(section, `"`)
	prefix, _, _ := strings.Cut(quoted, `"`)
	if err := os.WriteFile(prefix+"77.cpu.pb.gz", []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/__profile__/77", "/__profile__/all?format=json", "/__profile__?profile=77"} {
		if got := mt.Get(t, h, target, local); got.Code != 500 || !strings.HasPrefix(got.Body, "Profiling Error: ") {
			t.Errorf("%s: %d %s", target, got.Code, got.Body)
		}
	}
}
