// Package middlewaretest is what tests of filters are made of: a fake app that answers as told and keeps what it was
// asked, a host, a pipeline of one filter, calls of one line, and the suite that every filter passes.
//
//	func TestConform(t *testing.T) { middlewaretest.Conform(t, Filter) }
//
//	func TestQuotesEtags(t *testing.T) {
//		app := middlewaretest.NewApp().On("GET /v1/a/c/o", middlewaretest.Answer{Header: map[string]string{"Etag": "x"}})
//		h := middlewaretest.Build(t, Filter, `enable_by_default = true`, app)
//		if got := middlewaretest.Get(t, h, "/v1/a/c/o").Header.Get("Etag"); got != `"x"` {
//			t.Errorf("Etag %s", got)
//		}
//	}
//
// A configuration is the text of the filter's own section, or, when it holds a [pipeline.main], a whole file. It goes
// through package pipeline like an operator's.
//
// Non-goals: a fake cluster. What the app answers is for the test to say.
package middlewaretest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/pipeline"
)

const clusterFile = `
[swift-hash]
swift_hash_path_suffix = "changeme"
[storage-policy.0]
name = "gold"
default = true
[storage-policy.1]
name = "silver"
`

// Host returns a host with everything set: a log that goes to the test's output, the machine's clock, a cluster with the
// policies gold (0, the default) and silver (1) and Swift's limits, fresh metrics, and an empty directory.
func Host(t testing.TB) middleware.Host {
	t.Helper()
	cluster, err := swiftconf.ParseTOML("swift.toml", []byte(clusterFile))
	if err != nil {
		t.Fatalf("parse the test's cluster: %v", err)
	}
	metrics := prometheus.NewRegistry()
	return middleware.Host{
		Version: "test",
		Server:  "proxy",
		Log:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clock:   clock.System,
		Dir:     t.TempDir(),
		Cluster: cluster,
		Metrics: metrics,
		Gather:  metrics,
	}
}

// A Log keeps what is logged. It is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps p.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all lines so far, in slog's text form without times.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the lines so far.
func (l *Log) Lines() []string {
	s := strings.TrimSuffix(l.String(), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// Capture makes the host log into the Log that it returns.
func Capture(h *middleware.Host) *Log {
	l := &Log{}
	h.Log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	return l
}

// Build makes a pipeline of the filter and the app on a host of its own, and closes it when the test ends. Any fault
// ends the test.
func Build(t testing.TB, filter *middleware.Definition, toml string, app http.Handler) http.Handler {
	t.Helper()
	return BuildOn(t, Host(t), filter, toml, app)
}

// BuildOn is Build on the given host.
func BuildOn(t testing.TB, host middleware.Host, filter *middleware.Definition, toml string, app http.Handler) *pipeline.Pipeline {
	t.Helper()
	p, err := TryBuild(host, filter, toml, app)
	if err != nil {
		t.Fatalf("build %s from\n%s\n%v", filter.Kind(), toml, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close %s: %v", filter.Kind(), err)
		}
	})
	return p
}

// TryBuild is BuildOn for tests of what is refused. The file is called test.toml; the section's text begins in its sixth
// line. The caller closes the pipeline.
func TryBuild(host middleware.Host, filter *middleware.Definition, toml string, app http.Handler) (*pipeline.Pipeline, error) {
	plan, err := plan(host.Server, filter, toml, app)
	if err != nil {
		return nil, err
	}
	return plan.Build(host)
}

func plan(server string, filter *middleware.Definition, toml string, app http.Handler) (*pipeline.Plan, error) {
	if !strings.Contains(toml, "[pipeline.main]") {
		kind := filter.Kind()
		toml = "[pipeline.main]\npipeline = [\"" + kind + "\", \"app\"]\n[app.app]\n\n[filter." + kind + "]\n" + toml + "\n"
	}
	file, err := config.Parse("test.toml", []byte(toml))
	if err != nil {
		return nil, err
	}
	end := middleware.DefineApp("app", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{App: app}, nil
	})
	return pipeline.Read(file, pipeline.Spec{Server: server, Registry: pipeline.NewRegistry(filter, end)})
}

// A Response is a whole answer.
type Response struct {
	Code   int
	Header http.Header
	Body   string
}

// An Option changes a request of Do.
type Option func(*http.Request)

// Header sets a header of the request.
func Header(key, value string) Option { return func(r *http.Request) { r.Header.Set(key, value) } }

// Body gives the request a body with a Content-Length.
func Body(body string) Option {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
}

// From sets the client's address, "ip:port".
func From(addr string) Option { return func(r *http.Request) { r.RemoteAddr = addr } }

// Do sends a request, without a network, and returns the answer. Target is the path, quoted, and the query.
func Do(t testing.TB, h http.Handler, method, target string, options ...Option) Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for _, o := range options {
		o(r)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	res := rec.Result()
	return Response{Code: res.StatusCode, Header: res.Header, Body: rec.Body.String()}
}

// Get is Do with GET.
func Get(t testing.TB, h http.Handler, target string, options ...Option) Response {
	t.Helper()
	return Do(t, h, http.MethodGet, target, options...)
}
