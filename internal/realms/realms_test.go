package realms

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
)

const sample = `# comment
[DEFAULT]
mtime_check_interval = 5
domain = example.com
cluster_all = http://all.%(domain)s/v1/

[us]
Key = secret
key2 = next%%
cluster_dfw = https://dfw.%(domain)s/v1/

[keyless]
cluster_x = http://x/v1/
`

// file writes a realms file and returns its path.
func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	write(t, path, text, time.Unix(1000, 0))
	return path
}

func write(t testing.TB, path, text string, mtime time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, mtime, mtime); err != nil {
		t.Fatal(err)
	}
}

func follow(t testing.TB, path string, c clock.Clock) *Realms {
	t.Helper()
	r, err := Follow(path, FollowOptions{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFileIsReadAsSwiftReadsIt(t *testing.T) {
	want := map[string]Realm{
		"US": {Name: "US", Key: "secret", Key2: "next%", Clusters: map[string]string{
			"DFW": "https://dfw.example.com/v1/", "ALL": "http://all.example.com/v1/"}},
		"KEYLESS": {Name: "KEYLESS", Clusters: map[string]string{"X": "http://x/v1/", "ALL": "http://all.example.com/v1/"}},
	}
	r := follow(t, file(t, sample), nil)
	if diff := cmp.Diff(want, r.All()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, name := range []string{"us", "US", "uS"} {
		if got, ok := r.Realm(name); !ok || got.Key != "secret" {
			t.Errorf("Realm(%q): %+v, %v", name, got, ok)
		}
	}
	if got, ok := r.Realm("eu"); ok {
		t.Errorf("Realm(eu): %+v", got)
	}
}

func TestFaultsAreNamed(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a misspelt cluster", "[us]\nkey = k\ncluser_x = y\n", ":3: us.cluser_x: unknown option"},
		{"an interval that is none", "[DEFAULT]\nmtime_check_interval = often\n", ":2: DEFAULT.mtime_check_interval: must be a number of seconds"},
		{"a negative interval", "[DEFAULT]\nmtime_check_interval = -1\n", "not negative"},
		{"not a number", "[DEFAULT]\nmtime_check_interval = nan\n", "must be a number"},
		{"a realm twice", "[us]\n[us]\n", ":2: us: the section is there already"},
		{"a single percent sign", "[us]\nkey = 5%\n", ":2: key"},
		{"no section", "key = k\n", ":1:"},
	} {
		_, err := Follow(file(t, tc.text), FollowOptions{})
		if _, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	if _, err := Follow(t.TempDir(), FollowOptions{}); err == nil {
		t.Error("a directory was taken for a file")
	}
}

func TestMissingFileIsNoRealm(t *testing.T) {
	r := follow(t, filepath.Join(t.TempDir(), FileName), nil)
	if all := r.All(); len(all) != 0 {
		t.Errorf("got %v", all)
	}
	var none *Realms
	if _, ok := none.Realm("us"); ok {
		t.Error("nil has a realm")
	}
}

func TestChangesAreSeenAfterTheInterval(t *testing.T) {
	now := time.Unix(10_000, 0)
	path := filepath.Join(t.TempDir(), FileName)
	r := follow(t, path, clock.Func(func() time.Time { return now }))
	for i, step := range []struct {
		after      time.Duration
		text       string // "" is no change, "-" no file
		mtime      int64
		want, name string
	}{
		{0, "[us]\nkey = one\n", 1, "", "not yet"},
		{299 * time.Second, "", 0, "", "not yet, by the default interval"},
		{time.Second, "", 0, "one", "a file that came"},
		{300 * time.Second, "[DEFAULT]\nmtime_check_interval = 5\n[us]\nkey = two\n", 2, "two", "another one"},
		{4 * time.Second, "[us]\nkey = three\n", 3, "two", "not yet, by its own interval"},
		{time.Second, "", 0, "three", "another interval"},
		{300 * time.Second, "[us]\nkey = four\n", 3, "three", "the same time of change"},
		{300 * time.Second, "[us]\nkey = old\n", 1, "old", "an older file that was put back"},
		{300 * time.Second, "[us\n", 4, "old", "a file with a fault"},
		{300 * time.Second, "-", 0, "old", "no file"},
		{300 * time.Second, "[us]\nkey = back\n", 4, "back", "a file that is back"},
	} {
		now = now.Add(step.after)
		switch step.text {
		case "":
		case "-":
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		default:
			write(t, path, step.text, time.Unix(step.mtime, 0))
		}
		if us, _ := r.Realm("us"); us.Key != step.want {
			t.Errorf("step %d, %s: got key %q, want %q", i, step.name, us.Key, step.want)
		}
	}
}

func TestSignatureIsSwifts(t *testing.T) {
	// From Swift's own signing, of a PUT.
	got := hex.EncodeToString(Signature("realmkey", "userkey", "GET", "/v1/AUTH_filtersc-sync/c/o", "0", "6d4a2a4e-5a0f-4a3e-9e5b-0f4b4c1d2e3f"))
	if want := "691749d87313e796bf661a91731315e3e5711ce1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDestination(t *testing.T) {
	r := follow(t, file(t, sample), nil)
	hosts := []string{"127.0.0.1", "far.example.com"}
	for value, want := range map[string]Destination{
		"": {}, "/": {}, "///": {},
		"//us/dfw/AUTH_a/c":                  {"https://dfw.example.com/v1/AUTH_a/c", "US", "secret"},
		"//US/DFW/AUTH_a/c/":                 {"https://dfw.example.com/v1/AUTH_a/c", "US", "secret"},
		"http://127.0.0.1:8080/v1/AUTH_a/c/": {URL: "http://127.0.0.1:8080/v1/AUTH_a/c"},
		"https://FAR.example.com/v1/a/c":     {URL: "https://FAR.example.com/v1/a/c"},
	} {
		if got, err := r.Destination(value, hosts); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", value, got, err, want)
		}
	}
	for value, want := range map[string]string{
		"//us/dfw/a":          "Invalid X-Container-Sync-To format '//us/dfw/a'",
		"//us/dfw/a/c/o":      "Invalid X-Container-Sync-To format '//us/dfw/a/c/o'",
		"//us/dfw//c":         "Invalid X-Container-Sync-To format '//us/dfw//c'",
		"//eu/dfw/a/c":        "No realm key for 'eu'",
		"//keyless/x/a/c":     "No realm key for 'keyless'",
		"//us/ord/a/c":        "No cluster endpoint for 'us' 'ord'",
		"http://other/v1":     "Invalid host 'other' in X-Container-Sync-To",
		"http:///v1/a/c":      "Invalid host '' in X-Container-Sync-To",
		"http://127.0.0.1":    "Path required in X-Container-Sync-To",
		"http://127.0.0.1/a?": "Params, queries, and fragments not allowed in X-Container-Sync-To",
		"http://[::1/a":       "Invalid X-Container-Sync-To format 'http://[::1/a'",
		"file:///etc/passwd":  `Invalid scheme 'file' in X-Container-Sync-To, must be "//", "http", or "https".`,
	} {
		if got, err := r.Destination(value, hosts); err == nil || err.Error() != want {
			t.Errorf("%q: got %+v, %v, want %q", value, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("[a]\nkey = %(key)s\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(FileName, []byte(text))
		if err == nil && c.interval < 0 {
			t.Errorf("%q: interval %s", text, c.interval)
		}
		if err != nil && errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func FuzzDestination(f *testing.F) {
	r := follow(f, file(f, sample), nil)
	for _, s := range []string{"//us/dfw/a/c", "http://127.0.0.1/v1/a/c;x", "//", "http://[::1]:x/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, err := r.Destination(value, []string{"127.0.0.1"})
		if err == nil && d.Realm == "" && d.URL != "" && !strings.Contains(d.URL, "127.0.0.1") {
			t.Errorf("%q is accepted as %+v", value, d)
		}
	})
}
