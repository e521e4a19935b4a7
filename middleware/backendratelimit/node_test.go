package backendratelimit_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// file writes a storage server's file with a pipeline and returns its path.
func file(t *testing.T, kind string, filters ...string) string {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("[DEFAULT]\nbind_port = 1\nswift_dir = %q\n[pipeline.main]\npipeline = [\"%s\", \"%s-server\"]\n"+
		"[filter.healthcheck]\n[filter.recon]\n[filter.backend_ratelimit]\nrequests_per_device_per_second = 1e-9\nrequests_per_device_rate_buffer = 0\n"+
		"[app.%[3]s-server]\ndevices = %[1]q\nmount_check = false\n", dir, strings.Join(filters, `", "`), kind)
	for name, text := range map[string]string{"server.toml": text, "swift.conf": "[swift-hash]\nswift_hash_path_suffix = x\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, device := range []string{"sdb1", "sdb2"} {
		if err := os.Mkdir(filepath.Join(dir, device), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "server.toml")
}

// TestServersOfEachKind shows the filter where it belongs: what is no request to a device passes however many there are.
func TestServersOfEachKind(t *testing.T) {
	for _, kind := range []string{assembly.Account, assembly.Container, assembly.Object} {
		setup, err := assembly.Read(file(t, kind, "healthcheck", "recon", "backend_ratelimit"), kind)
		if err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		cluster, _, err := setup.Cluster(false, log, clock.System)
		if err != nil {
			t.Fatal(err)
		}
		server, err := setup.Build(assembly.Around{
			Log: log, Clock: clock.System, FS: disk.OS{}, Transport: http.DefaultTransport, Dir: setup.Server.SwiftDir, Cluster: cluster,
			Metrics: prometheus.NewRegistry(), Version: "test",
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []struct {
			path string
			want []int // of requests one after the other
		}{
			{"/healthcheck", []int{200, 200, 200}}, {"/recon/version", []int{200, 200, 200}}, {"/recon/1", []int{404, 404}}, {"/sdb1/x/a/c/o", []int{404, 404}},
			{"/sdb1/1/a/c/o", []int{404, 529, 529}}, {"/sdb2/1/a/c/o", []int{404, 529}}, {"/sdb1/2/b/c/o", []int{529}}, {"/recon/version", []int{200}},
		} {
			path := s.path
			switch kind { // what there is to ask for is shorter
			case assembly.Account:
				path = strings.TrimSuffix(path, "/c/o")
			case assembly.Container:
				path = strings.TrimSuffix(path, "/o")
			}
			for i, want := range s.want {
				got := mt.Get(t, server, path)
				if got.Code != want {
					t.Errorf("%s server: request %d for %s: got %d %q, want %d", kind, i, path, got.Code, got.Body, want)
				}
				if want == 529 && (got.Body != "Too Many Backend Requests" || got.Header.Get("Content-Length") != "25") {
					t.Errorf("%s server: a refusal is %q, %v", kind, got.Body, got.Header)
				}
			}
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestItStandsAfterWhatIsNoRequestToADevice(t *testing.T) {
	for _, filters := range [][]string{{"backend_ratelimit", "healthcheck", "recon"}, {"healthcheck", "backend_ratelimit", "recon"}} {
		path := file(t, assembly.Object, filters...)
		if _, err := assembly.Read(path, assembly.Object); err == nil || !strings.Contains(err.Error(), "must stand after") {
			t.Errorf("%v: %v, want an error about the order", filters, err)
		}
	}
}
