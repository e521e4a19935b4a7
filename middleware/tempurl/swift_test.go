package tempurl_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/swiftconf"
	servercopy "github.com/apus-storage/apus/middleware/copy"
	"github.com/apus-storage/apus/middleware/gatekeeper"
	"github.com/apus-storage/apus/middleware/listingformats"
	"github.com/apus-storage/apus/middleware/memcache"
	"github.com/apus-storage/apus/middleware/middlewaretest"
	"github.com/apus-storage/apus/middleware/pipeline"
	"github.com/apus-storage/apus/middleware/tempauth"
	"github.com/apus-storage/apus/middleware/tempurl"
	"github.com/apus-storage/apus/proxyserver"
)

const serverFile = `
[pipeline.main]
pipeline = ["gatekeeper", "cache", "listing_formats", "tempurl", "tempauth", "copy", "proxy-server"]
[filter.gatekeeper]
[filter.listing_formats]
[filter.cache]
backend = "memory"
[filter.tempauth]
user_admin_admin = "admin .admin .reseller_admin"
user_test_tester = "testing .admin"
user_test_tester3 = "testing3"
user_test2_tester2 = "testing2 .admin"
[app.proxy-server]
account_autocreate = true
allow_account_management = true
[filter.tempurl]
[filter.copy]`

var keys = map[string]string{"admin:admin": "admin", "test:tester": "testing", "test:tester3": "testing3", "test2:tester2": "testing2"}

// cluster is a proxy with tempauth and the filter over storage nodes in this process.
func cluster(t *testing.T) http.Handler {
	t.Helper()
	dir := t.TempDir()
	outer := filepath.Join(dir, "proxy.toml")
	if err := os.WriteFile(outer, []byte("[DEFAULT]\nbind_port = 8080\n[pipeline.main]\npipeline = [\"proxy-server\"]\n[app.proxy-server]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	log := slog.New(slog.DiscardHandler)
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{Data: data, Config: outer, Log: log, Clock: clock.System, FS: disk.OS{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	host := middlewaretest.Host(t)
	host.Log, host.Dir = log, filepath.Join(data, "etc")
	if host.Cluster, err = swiftconf.Load(host.Dir); err != nil {
		t.Fatal(err)
	}
	rings, err := assembly.LoadRings(host.Dir, host.Cluster.Policies, log, clock.System)
	if err != nil {
		t.Fatal(err)
	}
	file, err := config.Parse("proxy.toml", []byte(serverFile))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pipeline.Read(file, pipeline.Spec{Server: "proxy", Registry: pipeline.NewRegistry(
		gatekeeper.Filter, memcache.Filter, listingformats.Filter, tempauth.Filter, tempurl.Filter, servercopy.Filter,
		proxyserver.Define(proxyserver.Deps{Rings: rings, Transport: e.Direct, Version: "test"}),
	)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestAnswersAreThoseOfSwift replays, in order, what testdata/record.py recorded of OpenStack Swift.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Name, User, Method, Path, Body, Text string
			Header, Answer                       map[string]string
			Status                               int
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) < 20 {
		t.Fatalf("only %d requests were recorded", len(golden.Rows))
	}
	h := cluster(t)
	tokens := map[string]string{}
	for user, key := range keys {
		login := middlewaretest.Get(t, h, "/auth/v1.0", middlewaretest.Header("X-Auth-User", user), middlewaretest.Header("X-Auth-Key", key))
		tokens[user] = login.Header.Get("X-Auth-Token")
	}
	for _, row := range golden.Rows {
		r := httptest.NewRequest(row.Method, row.Path, strings.NewReader(row.Body))
		for k, v := range row.Header {
			if http.CanonicalHeaderKey(k) == "Transfer-Encoding" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(row.Body)), -1
				continue
			}
			r.Header.Set(k, raw(v))
		}
		r.RemoteAddr = "127.0.0.1:1234"
		if row.User != "" {
			r.Header.Set("X-Auth-Token", tokens[row.User])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != row.Status || rec.Body.String() != row.Text {
			t.Errorf("%s: %s %s %v as %q: got %d %q, want %d %q",
				row.Name, row.Method, row.Path, row.Header, row.User, rec.Code, rec.Body, row.Status, row.Text)
		}
		got := map[string]string{}
		for name := range rec.Result().Header {
			if compared(name) {
				got[name] = rec.Result().Header.Get(name)
			}
		}
		maps.DeleteFunc(row.Answer, func(name, _ string) bool { return !compared(name) })
		if diff := cmp.Diff(row.Answer, got); diff != "" {
			t.Errorf("%s: %s %s: headers, -want +got\n%s", row.Name, row.Method, row.Path, diff)
		}
	}
}

// compared says whether a header of an answer is looked at.
func compared(name string) bool {
	switch name {
	case "Content-Type", "Www-Authenticate", "Content-Disposition", "Expires", "Etag":
		return true
	}
	return strings.HasPrefix(name, "X-Object-Meta-")
}

// raw turns text of one character per byte, as it was recorded, into bytes.
func raw(text string) string {
	var b []byte
	for _, c := range text {
		b = append(b, byte(c))
	}
	return string(b)
}
