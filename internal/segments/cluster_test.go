package segments_test

import (
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/serve"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/all"
	"github.com/apus-storage/apus/middleware/dlo"
	"github.com/apus-storage/apus/middleware/pipeline"
	"github.com/apus-storage/apus/middleware/slo"
	"github.com/apus-storage/apus/middleware/symlink"
	"github.com/apus-storage/apus/proxyserver"
)

const proxyFile = `
[DEFAULT]
bind_port = 8080
[pipeline.main]
pipeline = ["catch_errors", "gatekeeper", "healthcheck", "cache", "listing_formats", "tempauth", "copy", "slo", "dlo", "symlink", "proxy-server"]
[filter.catch_errors]
[filter.gatekeeper]
[filter.healthcheck]
[filter.listing_formats]
[filter.copy]
[filter.slo]
[filter.dlo]
[filter.symlink]
[filter.cache]
backend = "memory"
[filter.tempauth]
user_test6_tester6 = "testing6 .admin"
user_test2_tester2 = "testing2 .admin"
[app.proxy-server]
account_autocreate = true
`

// filters are those under test, whether they are in package all by now or not.
var filters = []*middleware.Definition{slo.Filter, dlo.Filter, symlink.Filter}

// newCluster runs a cluster whose proxy has the filters under test, and returns its address. Options are further lines for
// the section of each.
func newCluster(t testing.TB, options string) string {
	t.Helper()
	data := t.TempDir()
	bare := filepath.Join(t.TempDir(), "bare.toml")
	text := "[DEFAULT]\nbind_port = 8080\n[pipeline.main]\npipeline = [\"proxy-server\"]\n[app.proxy-server]\naccount_autocreate = true\n"
	if err := os.WriteFile(bare, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{Data: data, Config: bare, Log: quiet, Clock: clock.System, FS: disk.OS{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	etc := filepath.Join(data, "etc")
	cluster, err := swiftconf.Load(etc)
	if err != nil {
		t.Fatal(err)
	}
	rings, err := assembly.LoadRings(etc, cluster.Policies, quiet, clock.System)
	if err != nil {
		t.Fatal(err)
	}
	app := middleware.DefineApp(proxyserver.Kind, proxyserver.DefaultConfig(), func(h middleware.Host, c proxyserver.Config) (middleware.Instance, error) {
		return proxyserver.New(h, c, proxyserver.Deps{Rings: rings, Transport: e.Direct, Version: "test"})
	}).Alias(proxyserver.Alias)
	conf := proxyFile
	known := append(all.Filters(), app)
	for _, kind := range []string{"slo", "dlo", "symlink"} {
		i := slices.IndexFunc(filters, func(f *middleware.Definition) bool { return f.Kind() == kind })
		if i >= 0 {
			known = append(known, filters[i])
		}
		if i < 0 {
			conf = strings.ReplaceAll(strings.ReplaceAll(conf, `"`+kind+`", `, ""), "[filter."+kind+"]\n", "")
		} else {
			conf = strings.ReplaceAll(conf, "[filter."+kind+"]\n", "[filter."+kind+"]\n"+options)
		}
	}
	file, err := config.Parse("proxy.toml", []byte(conf))
	if err != nil {
		t.Fatal(err)
	}
	server := assembly.Default{ServeConfig: serve.Defaults(), StatsConfig: statsd.Defaults()}
	plan, err := pipeline.Read(file, pipeline.Spec{Server: "proxy", Registry: pipeline.NewRegistry(known...), Default: &server})
	if err != nil {
		t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	p, err := plan.Build(middleware.Host{
		Log: quiet, Clock: clock.System, Dir: etc, Cluster: cluster, Metrics: metrics, Gather: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	srv := httptest.NewUnstartedServer(serve.Bound(cluster.Limits, p))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}
