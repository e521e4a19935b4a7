package recon_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/replay"
)

const swiftConf = `[swift-hash]
swift_hash_path_suffix = changeme
[storage-policy:0]
name = gold
default = yes
[storage-policy:1]
name = silver
`

// TestNodesAnswerAsSwifts asks a storage server of each kind, over what testdata/node_files.json puts on its disk, what
// testdata/node_record.py asked Swift's over the same.
func TestNodesAnswerAsSwifts(t *testing.T) {
	data, err := os.ReadFile("testdata/node_files.json")
	if err != nil {
		t.Fatal(err)
	}
	var trees map[string]struct {
		Dirs  []string
		Files map[string]string
	}
	if err := json.Unmarshal(data, &trees); err != nil {
		t.Fatal(err)
	}
	if len(trees) < 2 {
		t.Fatalf("%d sets of files, want 2", len(trees))
	}
	for name, tree := range trees {
		for _, kind := range []string{assembly.Account, assembly.Container, assembly.Object} {
			t.Run(kind+" "+name, func(t *testing.T) {
				root := t.TempDir()
				for _, d := range append(tree.Dirs, "etc", "cache") {
					if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				for name, text := range tree.Files {
					if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				replay.Run(t, replay.Conversation{
					File: "testdata/node_" + kind + "_" + name + ".json", Addr: startNode(t, kind, root), AtLeast: 100, Reduce: reduce(root),
				})
			})
		}
	}
}

// startNode runs a storage server over the files in root and returns where it listens.
func startNode(t *testing.T, kind, root string) string {
	t.Helper()
	dir := filepath.Join(root, "etc")
	if err := os.WriteFile(filepath.Join(dir, "swift.conf"), []byte(swiftConf), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "server.toml")
	text := fmt.Sprintf(`[DEFAULT]
bind_port = 1
swift_dir = %q
[pipeline.main]
pipeline = ["healthcheck", "recon", "%s-server"]
[filter.healthcheck]
[filter.recon]
recon_cache_path = %q
devices = %q
[app.%[2]s-server]
devices = %[4]q
mount_check = false
`, dir, kind, filepath.Join(root, "cache"), filepath.Join(root, "dev"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	setup, err := assembly.Read(path, kind)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	cluster, _, err := setup.Cluster(false, log, clock.System)
	if err != nil {
		t.Fatal(err)
	}
	server, err := setup.Build(assembly.Around{
		Log: log, Clock: clock.System, FS: disk.OS{}, Transport: http.DefaultTransport, Dir: dir, Cluster: cluster, Metrics: prometheus.NewRegistry(), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	return listener.Listener.Addr().String()
}

// reduce returns what makes answers comparable: names stand for the paths in root, what a machine has to report is reduced
// to its shape, and lists that are in no order are sorted. All other values stay.
func reduce(root string) func(header map[string]string, text string) string {
	sum := md5.Sum([]byte(swiftConf))
	ours := strings.NewReplacer(filepath.Join(root, "etc", "swift.conf"), "{conf}", hex.EncodeToString(sum[:]), "{confsum}", root, "{root}")
	return func(header map[string]string, text string) string {
		if header["Content-Type"] != "application/json" {
			return text
		}
		delete(header, "Content-Length") // net/http has checked it; paths are of other lengths
		if text == "" {
			return text // of a HEAD
		}
		if fraction.MatchString(text) {
			return "{epoch}" // the time
		}
		d := json.NewDecoder(strings.NewReader(ours.Replace(text)))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return fmt.Sprintf("%v: %s", err, text)
		}
		if _, err := d.Token(); err != io.EOF {
			return "more than one value: " + text
		}
		return written(steady(v))
	}
}

// written is a value as text.
func written(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// steady is a value without what differs from machine to machine.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, of := range []string{"1m", "tcp_in_use", "version"} {
			if _, ok := v[of]; ok {
				return shape(v)
			}
		}
		if _, ok := v["MemTotal"]; ok {
			// Kernels have more to say or less.
			return shape(map[string]any{"MemTotal": v["MemTotal"], "MemFree": v["MemFree"], "Active(anon)": v["Active(anon)"], "HugePages_Total": v["HugePages_Total"]})
		}
		if names, ok := v["{root}/dev"].([]any); ok {
			slices.SortFunc(names, func(a, b any) int { return strings.Compare(written(a), written(b)) })
		}
	case []any:
		for i, one := range v {
			d, ok := one.(map[string]any)
			if _, mount := d["path"]; mount {
				return shape(v)
			}
			if ok && d["mounted"] == true {
				v[i] = shape(d) // how full a disk is
			}
		}
		slices.SortFunc(v, func(a, b any) int { return strings.Compare(written(a), written(b)) })
	}
	return v
}
