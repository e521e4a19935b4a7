package versionedwrites_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/all"
	"github.com/apus-storage/apus/middleware/middlewaretest"
	"github.com/apus-storage/apus/middleware/pipeline"
	"github.com/apus-storage/apus/proxyserver"
)

const sections = `
[filter.catch_errors]
[filter.gatekeeper]
[filter.listing_formats]
[filter.copy]
[filter.slo]
[filter.dlo]
[filter.symlink]
[filter.cache]
backend = "memory"
[filter.versioned_writes]
allow_versioned_writes = true
allow_object_versioning = true
[filter.as_s3]
[filter.meddle]
[filter.again]
use = "versioned_writes"
allow_versioned_writes = true
allow_object_versioning = true
[filter.tempauth]
user_test_tester = "testing .admin"
user_test_tester3 = "testing3"
[app.proxy-server]
account_autocreate = true
`

// pipelines are two proxies over the same nodes, in this process: one with these filters, and one without any. More filters
// than there are may be among them.
func pipelines(t testing.TB, filters string, more ...*middleware.Definition) (proxy, bare http.Handler) {
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
	build := func(list string) http.Handler {
		host := middlewaretest.Host(t)
		host.Log, host.Dir = log, filepath.Join(data, "etc")
		if host.Cluster, err = swiftconf.Load(host.Dir); err != nil {
			t.Fatal(err)
		}
		rings, err := assembly.LoadRings(host.Dir, host.Cluster.Policies, log, clock.System)
		if err != nil {
			t.Fatal(err)
		}
		text := "[pipeline.main]\npipeline = [" + list + "\"proxy-server\"]\n"
		for section := range strings.SplitSeq(strings.TrimPrefix(sections, "\n"), "\n[") {
			section = "[" + strings.TrimPrefix(section, "[")
			name, _, _ := strings.Cut(strings.TrimPrefix(section, "[filter."), "]")
			if strings.HasPrefix(section, "[app") || strings.Contains(list, `"`+name+`"`) {
				text += section + "\n"
			}
		}
		file, err := config.Parse("proxy.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		app := proxyserver.Define(proxyserver.Deps{Rings: rings, Transport: e.Direct, Version: "test"})
		plan, err := pipeline.Read(file, pipeline.Spec{Server: "proxy", Registry: pipeline.NewRegistry(append(append(all.Filters(), app), more...)...)})
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
	return build(filters), build("")
}

// full is a pipeline with all that versions have to do with.
const full = `"catch_errors", "gatekeeper", "cache", "listing_formats", "tempauth", "copy", "slo", "dlo", "versioned_writes", "symlink", `

// twice is full with two of the filter.
const twice = `"catch_errors", "gatekeeper", "cache", "listing_formats", "tempauth", "copy", "slo", "dlo", "versioned_writes", "again", "symlink", `

// A user asks a pipeline.
type user struct {
	t     testing.TB
	h     http.Handler
	token string
}

func login(t testing.TB, h http.Handler, name, key string) user {
	res := middlewaretest.Get(t, h, "/auth/v1.0", middlewaretest.Header("X-Auth-User", name), middlewaretest.Header("X-Auth-Key", key))
	return user{t, h, res.Header.Get("X-Auth-Token")}
}

// do asks, and fails the test unless the status is the wanted one; 0 takes any.
func (u user) do(want int, method, target string, header map[string]string, body string) middlewaretest.Response {
	u.t.Helper()
	r := httptest.NewRequestWithContext(u.t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", u.token)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	u.h.ServeHTTP(rec, r)
	res := middlewaretest.Response{Code: rec.Code, Header: rec.Result().Header, Body: rec.Body.String()}
	if want != 0 && res.Code != want {
		u.t.Errorf("%s %s %v: %d %q, want %d", method, target, header, res.Code, res.Body, want)
	}
	return res
}

// entries lists a container.
func (u user) entries(target string) (list []map[string]any) {
	u.t.Helper()
	return decode(u.t, u.do(200, "GET", target, nil, "").Body)
}

// decode reads a listing.
func decode(t testing.TB, body string) (list []map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return list
}
