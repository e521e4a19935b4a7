package recon

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// tree makes the node that testdata/record.py made, and a filter that looks at it.
func tree(t *testing.T, names map[string]string, dirs []string, next http.Handler) (root string, f *filter) {
	t.Helper()
	root = t.TempDir()
	for _, d := range dirs {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range names {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := mt.Host(t)
	i, err := build(host, Config{ReconCachePath: root + "/cache", Devices: root + "/dev", SwiftDir: root + "/etc"})
	if err != nil {
		t.Fatal(err)
	}
	f = i.Wrap(next).(*filter)
	f.proc = "testdata/proc"
	return root, f
}

// TestAnswersAreThoseOfSwift replays what testdata/record.py recorded.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Files map[string]string
		Dirs  []string
		Rows  []struct {
			Method, Path, Type, Body string
			Status                   int
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 20 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	root, f := tree(t, golden.Files, golden.Dirs, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(418)
		io.WriteString(w, "app")
	}))
	for _, row := range golden.Rows {
		got := mt.Do(t, f, row.Method, row.Path)
		body := strings.ReplaceAll(got.Body, root, "@")
		if got.Code != row.Status || row.Status != 418 && got.Header.Get("Content-Type") != row.Type {
			t.Errorf("%s %s: got %d %s %q, want %d %s", row.Method, row.Path, got.Code, got.Header.Get("Content-Type"), body, row.Status, row.Type)
			continue
		}
		if row.Type != "application/json" || row.Method == "HEAD" {
			if body != row.Body {
				t.Errorf("%s %s: got %q, want %q", row.Method, row.Path, body, row.Body)
			}
			continue
		}
		var g, w any
		if err := json.Unmarshal([]byte(body), &g); err != nil {
			t.Errorf("%s: %q: %v", row.Path, body, err)
		}
		if err := json.Unmarshal([]byte(row.Body), &w); err != nil {
			t.Fatal(err)
		}
		if newer, ok := g.(map[string]any); ok && row.Path == "/recon/updater/object" {
			// Keys that are newer than what was recorded.
			delete(newer, "object_updater_stats")
			delete(newer, "object_updater_last")
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Errorf("%s: -want +got\n%s", row.Path, diff)
		}
	}
}

func TestNewerKeysOfTheUpdater(t *testing.T) {
	_, f := tree(t, map[string]string{"cache/object.recon": `{"object_updater_sweep": 1, "object_updater_stats": {"a": 2}, "object_updater_last": 3.5}`}, nil, nil)
	const want = `{"object_updater_last": 3.5, "object_updater_stats": {"a": 2}, "object_updater_sweep": 1}`
	if got := mt.Get(t, f, "/recon/updater/object"); got.Body != want {
		t.Errorf("got %s, want %s", got.Body, want)
	}
}

func TestDiskUsage(t *testing.T) {
	_, f := tree(t, map[string]string{"dev/marked/.ismount": ""}, []string{"dev/plain"}, nil)
	var got []struct {
		Device            string
		Mounted           any
		Size, Used, Avail any
	}
	res := mt.Get(t, f, "/recon/diskusage")
	if err := json.Unmarshal([]byte(res.Body), &got); err != nil || len(got) != 2 {
		t.Fatalf("%s: %v", res.Body, err)
	}
	size, ok := got[0].Size.(float64)
	used, avail := got[0].Used, got[0].Avail
	if got[0].Device != "marked" || got[0].Mounted != true || !ok || size <= 0 || used.(float64) > size || avail.(float64) > size {
		t.Errorf("a mounted device: %+v", got[0])
	}
	if got[1].Mounted != false || got[1].Size != "" || got[1].Used != "" || got[1].Avail != "" {
		t.Errorf("one that is not: %+v", got[1])
	}
}

func TestTimeAndVersion(t *testing.T) {
	_, f := tree(t, nil, nil, nil)
	f.clock = clock.Func(func() time.Time { return time.UnixMicro(1700000000123456) })
	if got := mt.Get(t, f, "/recon/time").Body; got != "1700000000.123456" {
		t.Errorf("time %s", got)
	}
	var v map[string]string
	if body := mt.Get(t, f, "/recon/version").Body; json.Unmarshal([]byte(body), &v) != nil || v["version"] == "" {
		t.Errorf("version %s", body)
	}
}

func TestTheClustersFile(t *testing.T) {
	root, f := tree(t, map[string]string{"etc/swift.conf": "x"}, nil, nil)
	f.clusterFile = root + "/etc/swift.conf"
	want := `{"` + f.clusterFile + `": "9dd4e461268c8034f5c8564e155c67a6"}`
	if got := mt.Get(t, f, "/recon/swiftconfmd5").Body; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.clusterFile = "/nonexistent/swift.conf"
	if got := mt.Get(t, f, "/recon/swiftconfmd5").Body; got != `{"/nonexistent/swift.conf": null}` {
		t.Errorf("of a missing file: %s", got)
	}
}

func TestChecksThatFail(t *testing.T) {
	_, f := tree(t, nil, nil, nil)
	f.proc = t.TempDir()
	for _, name := range []string{"mem", "load", "mounted", "unmounted", "diskusage", "quarantined"} {
		got := mt.Get(t, f, "/recon/"+name)
		if got.Code != 500 || got.Body != "Internal server error." || got.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: got %d %q, want 500", name, got.Code, got.Body)
		}
	}
	if got := mt.Get(t, f, "/recon/devices"); got.Code != 200 || !strings.Contains(got.Body, "null") {
		t.Errorf("devices without their directory: %d %s, want null", got.Code, got.Body)
	}
	if got := mt.Get(t, f, "/recon/sockstat"); got.Body != "{}" {
		t.Errorf("a kernel without figures of sockets: %s", got.Body)
	}
	for name, text := range map[string]string{"loadavg": "1 2 3\n", "net/sockstat": "TCP: inuse x\n"} {
		os.MkdirAll(filepath.Join(f.proc, "net"), 0o755)
		os.WriteFile(filepath.Join(f.proc, name), []byte(text), 0o600)
	}
	for _, name := range []string{"load", "sockstat"} {
		if got := mt.Get(t, f, "/recon/"+name); got.Code != 500 {
			t.Errorf("%s of nonsense: got %d %q, want 500", name, got.Code, got.Body)
		}
	}
}

func TestRingsAreThoseOfAllPolicies(t *testing.T) {
	host := mt.Host(t)
	i, err := build(host, Config{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range i.Wrap(nil).(*filter).rings {
		got = append(got, strings.TrimPrefix(r, host.Dir+"/"))
	}
	if want := []string{"account.ring.gz", "container.ring.gz", "object.ring.gz", "object-1.ring.gz"}; !cmp.Equal(got, want) {
		t.Errorf("rings %v, want %v", got, want)
	}
}

func TestAMountIsAMount(t *testing.T) {
	if ok, err := isMount("/proc"); err != nil || !ok {
		t.Errorf("/proc: %v, %v", ok, err)
	}
	if _, err := disk.IsMount(disk.OS{}, "/nonexistent"); err == nil {
		t.Error("what is not there is no error")
	}
}
