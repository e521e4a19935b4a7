package s3gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/serve"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The user of a store, who is not known at the gateway, and the gateway's clients.
const (
	storeKey, storeSecret = "test:tester", "testing"
	alice, bob            = "AKALICE", "AKBOB"
)

var secrets = map[string]string{storeKey: storeSecret, alice: "alice's secret", bob: "bob's secret"}

// A store is a whole Apus in this process, behind a handler that a test may change.
type store struct {
	*s3
	mu     sync.Mutex // guards what follows
	before func(w http.ResponseWriter, r *http.Request) bool
	seen   []string // method, path and query of all requests but health checks
	server *httptest.Server
}

func newStore(t *testing.T) *store {
	t.Helper()
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{
		Data: t.TempDir(), Config: "../../etc/functional-test.toml", Policies: []string{"gold", "silver"},
		Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := new(store)
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if r.Method != http.MethodHead || r.URL.Path != "/" {
			s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
		}
		before := s.before
		s.mu.Unlock()
		if before == nil || !before(w, r) {
			e.Proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		s.server.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s.s3 = &s3{t: t, url: s.server.URL, key: storeKey}
	return s
}

// meet has a function see each request before the store does, and answer it if it says so.
func (s *store) meet(before func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

// requests returns what the store has been asked since the last time.
func (s *store) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

// upstream is the table of the store.
func (s *store) upstream(name string, more ...string) string {
	return fmt.Sprintf("[filter.s3gateway.upstream.%s]\nendpoint = %q\naccess_key = %q\nsecret = %q\n%s\n",
		name, s.server.URL, storeKey, storeSecret, strings.Join(more, "\n"))
}

// clients are the identities of alice, who may do everything, and bob, who may read.
const clients = `
[filter.s3gateway.identity.alice]
access_key = "AKALICE"
secret = "alice's secret"
rights = ["read", "write", "list"]
[filter.s3gateway.identity.bob]
access_key = "AKBOB"
secret = "bob's secret"
rights = ["read", "list"]
`

// A gateway is one that listens.
type gateway struct {
	*s3
	log     *lockedBuffer
	metrics *prometheus.Registry
	server  *assembly.Server
	http    *httptest.Server
	busy    atomic.Int64 // requests under way
}

// whole is a file with tables for stores, identities and routes.
func whole(tables ...string) string {
	text := "[DEFAULT]\nbind_port = 1\n[pipeline.main]\npipeline = [\"catch_errors\", \"metrics\", \"proxy-logging\", \"s3gateway\", \"end\"]\n" +
		"[app.end]\nuse = \"s3gateway_end\"\n[filter.catch_errors]\n[filter.metrics]\n[filter.proxy-logging]\n" + strings.Join(tables, "\n")
	if !strings.Contains(text, "[filter.s3gateway]") {
		text += "\n[filter.s3gateway]\n"
	}
	return text
}

// newGateway starts a gateway with tables for stores, identities and routes.
func newGateway(t *testing.T, tables ...string) *gateway {
	t.Helper()
	return startGateway(t, whole(tables...), nil)
}

// newGatewayWith starts a gateway of a program that has functions of its own.
func newGatewayWith(t *testing.T, functions map[string]callable.Functions, tables ...string) *gateway {
	t.Helper()
	return startGateway(t, whole(tables...), functions)
}

// tryGateway builds a gateway of a whole file, whose program has functions of its own.
func tryGateway(log *slog.Logger, functions map[string]callable.Functions, registry *prometheus.Registry, text string) (*assembly.Server, error) {
	file, err := config.Parse("s3-gateway.toml", []byte(text))
	if err != nil {
		return nil, err
	}
	setup, err := assembly.ReadFile(file, assembly.Gateway, s3gateway.With(functions))
	if err != nil {
		return nil, err
	}
	cluster, _, err := setup.Cluster(false, log, clock.System)
	if err != nil {
		return nil, err
	}
	return setup.Build(assembly.Around{
		Log: log, Clock: clock.System, FS: disk.OS{}, Cluster: cluster, Metrics: registry, Version: "test",
	})
}

// startGateway starts a gateway of a whole file.
func startGateway(t *testing.T, text string, functions map[string]callable.Functions) *gateway {
	t.Helper()
	g := &gateway{log: new(lockedBuffer), metrics: prometheus.NewRegistry()}
	log := slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if g.server, err = tryGateway(log, functions, g.metrics, text); err != nil {
		t.Fatal(err)
	}
	options := serve.Defaults()
	g.http = httptest.NewUnstartedServer(nil)
	g.http.Config = options.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.busy.Add(1)
		defer g.busy.Add(-1)
		g.server.ServeHTTP(w, r)
	}), log)
	g.http.Start()
	t.Cleanup(func() {
		g.http.Close()
		if err := g.server.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log("the gateway's log:\n" + g.log.String())
		}
	})
	g.s3 = &s3{t: t, url: g.http.URL, key: alice}
	return g
}

// settle waits until the gateway has no request any more.
func (g *gateway) settle() {
	g.t.Helper()
	g.await(0)
}

// await waits until the gateway has so many requests under way.
func (g *gateway) await(n int64) {
	g.t.Helper()
	for range 1000 {
		if g.busy.Load() == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	g.t.Fatalf("the gateway has %d requests, and not %d", g.busy.Load(), n)
}

// An s3 is an end point, and who asks it.
type s3 struct {
	t        *testing.T
	url, key string
	over     http.RoundTripper // nil for plain HTTP
}

// as asks as somebody else.
func (s *s3) as(key string) *s3 { return &s3{s.t, s.url, key, s.over} }

// An answer is an S3 answer, with the code of an error.
type answer struct {
	status int
	code   string
	header http.Header
	body   string
	proto  string
}

func (a answer) String() string { return fmt.Sprintf("%d %v %s", a.status, a.header, a.body) }

var errorCode = regexp.MustCompile(`<Error><Code>(\w+)</Code>`)

// do sends a signed request. Headers are pairs.
func (s *s3) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r := s.request(method, path, body, headers...)
	payload := sigv4.UnsignedPayload
	if r.Header["Sha256"] != nil { // of something else
		payload = sigv4.EmptyPayload
		r.Header.Del("Sha256")
	}
	s.signAs(r, payload)
	return s.sent(r)
}

// request makes a request without a signature. Headers are pairs.
func (s *s3) request(method, path, body string, headers ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// sent sends a request as it is.
func (s *s3) sent(r *http.Request) answer {
	s.t.Helper()
	a, err := sendOver(s.over, r)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *s3) sign(r *http.Request) {
	s.t.Helper()
	s.signAs(r, sigv4.UnsignedPayload)
}

func (s *s3) signAs(r *http.Request, payload string) {
	s.t.Helper()
	if _, err := sigv4.NewSigner(s.key, secrets[s.key], "", "us-east-1").Sign(r, payload, time.Now()); err != nil {
		s.t.Fatal(err)
	}
}

// want sends a request and compares what it comes to: a status, or the code of an error.
func (s *s3) want(want any, method, path, body string, headers ...string) answer {
	s.t.Helper()
	a := s.do(method, path, body, headers...)
	if fmt.Sprint(want) != fmt.Sprint(a.status) && want != a.code {
		s.t.Errorf("%s %s %s: got %v, want %v", s.key, method, path, a, want)
	}
	return a
}

// has says whether an object is there, with these bytes.
func (s *s3) has(path, body string) {
	s.t.Helper()
	if a := s.want(200, "GET", path, ""); a.body != body {
		s.t.Errorf("GET %s: got %.100q, want %.100q", path, a.body, body)
	}
}

// send sends a request over a connection of its own.
func send(r *http.Request) (answer, error) { return sendOver(nil, r) }

// sendOver is send by way of a transport.
func sendOver(over http.RoundTripper, r *http.Request) (answer, error) {
	r.Close = true
	client := &http.Client{Transport: over, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	a := answer{resp.StatusCode, "", resp.Header, string(b), resp.Proto}
	if m := errorCode.FindStringSubmatch(a.body); m != nil {
		a.code = m[1]
	}
	return a, err
}

// A lockedBuffer takes a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
