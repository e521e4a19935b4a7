package assembly

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/serve"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/all"
	"github.com/apus-storage/apus/middleware/pipeline"
	"github.com/apus-storage/apus/proxyserver"
)

// What the sample's pipeline costs a GET of an object by a known user, over the app alone. Allocations are the same on
// every machine and so are bounded; processor time is reported only (docs/performance.md).

// maxAllocs is what the whole pipeline may add to a GET that is none of its filters' business.
const maxAllocs = 25

// grantedToken is one that the cache knows.
const grantedToken = "AUTH_tk0123456789abcdef0123456789abcdef"

// seedPath makes the app put the token into the cache that it is given.
const seedPath = "/seed"

// fixedApp answers as the proxy does that has found an object of 4 KiB.
func fixedApp(w http.ResponseWriter, r *http.Request) {
	state := request.From(r.Context())
	if r.URL.Path == seedPath {
		if state.Cache == nil {
			return
		}
		grant := []any{float64(time.Now().Add(time.Hour).Unix()), "test,test:tester,AUTH_test"}
		if err := cache.SetJSON(r.Context(), state.Cache, "AUTH_/token/"+grantedToken, grant, time.Hour); err != nil {
			panic(err)
		}
		// What the proxy keeps whenever a HEAD passes.
		lookup.StoreAccount(r.Context(), lookup.Lifetimes{Account: time.Hour}, "AUTH_test", &lookup.Account{Status: http.StatusNoContent})
		return
	}
	if state.Authorize != nil {
		if err := state.Authorize(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
	}
	h := w.Header()
	for k, v := range fixedHeader {
		h[k] = v
	}
	w.WriteHeader(http.StatusOK)
	w.Write(fixedBody)
}

var (
	fixedBody   = make([]byte, 4<<10)
	fixedHeader = http.Header{
		"Accept-Ranges": {"bytes"}, "Content-Length": {"4096"}, "Content-Type": {"application/octet-stream"},
		"Etag": {"620f0b67a91f7f74151bc5be745b7110"}, "Last-Modified": {"Sun, 01 Feb 2026 10:00:00 GMT"},
		"X-Timestamp": {"1769940000.00000"}, "X-Object-Meta-Mtime": {"1769940000"}, "X-Backend-Storage-Policy-Index": {"0"},
		"X-Backend-Timestamp": {"1769940000.00000"}, "X-Backend-Data-Timestamp": {"1769940000.00000"}, "X-Backend-Durable-Timestamp": {"1769940000.00000"},
	}
)

// A drain is the client's end.
type drain struct {
	header http.Header
	code   int
	bytes  int
}

func (d *drain) Header() http.Header  { return d.header }
func (d *drain) WriteHeader(code int) { d.code = code }
func (d *drain) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

// get sends one GET through h, made anew as net/http does, and checks that it got through.
func get(t testing.TB, h http.Handler, path string) {
	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, RequestURI: path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Host: "127.0.0.1:8080", RemoteAddr: "127.0.0.1:50000", Body: http.NoBody,
		Header: http.Header{"X-Auth-Token": {grantedToken}, "User-Agent": {"python-swiftclient-4.5.0"}, "Accept-Encoding": {"gzip"}},
	}).WithContext(t.Context())
	if path == seedPath {
		r.Header.Del("X-Auth-Token")
	}
	w := drain{header: http.Header{}}
	h.ServeHTTP(&w, r)
	if path != seedPath && (w.code != http.StatusOK || w.bytes != len(fixedBody)) {
		t.Fatalf("GET %s: %d, %d bytes", path, w.code, w.bytes)
	}
}

const objectPath = "/v1/AUTH_test/photos/2026/summer/dsc_0001.jpg"

// A sample is etc/proxy-server.toml.
type sample struct {
	text  string
	names []string // of its pipeline, app last
}

var pipelineLine = regexp.MustCompile(`(?ms)^pipeline = \[.*?\]$`)

func readSample(t testing.TB) *sample {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, "proxy-server.toml"))
	if err != nil {
		t.Fatal(err)
	}
	// As it is, but for a cache that needs no other process.
	s := &sample{text: strings.Replace(string(text), "\n# backend = \"memcached\"\n", "\nbackend = \"memory\"\n", 1)}
	file, err := config.Parse("proxy-server.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	var main struct {
		Pipeline config.List `toml:"pipeline"`
	}
	section, _ := file.Section("pipeline", "main")
	if _, err := section.Decode(&main, config.Section{}); err != nil {
		t.Fatal(err)
	}
	s.names = main.Pipeline
	return s
}

// build makes the pipeline of the sample's last filters, from the given one on, in front of an app that has next to
// nothing to do.
func (s *sample) build(t testing.TB, from int) http.Handler {
	t.Helper()
	text := pipelineLine.ReplaceAllLiteralString(s.text, `pipeline = ["`+strings.Join(s.names[from:], `", "`)+`"]`)
	file, err := config.Parse("proxy-server.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	app := middleware.DefineApp(proxyserver.Kind, proxyserver.DefaultConfig(), func(middleware.Host, proxyserver.Config) (middleware.Instance, error) {
		return middleware.Instance{App: http.HandlerFunc(fixedApp)}, nil
	}).Alias(proxyserver.Alias)
	plan, err := pipeline.Read(file, pipeline.Spec{
		Server: Proxy, Registry: pipeline.NewRegistry(append(all.Filters(), app)...), Default: &Default{serve.Defaults(), statsd.Defaults()}, Insert: from == 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := swiftconf.ParseTOML("swift.toml", []byte("[swift-hash]\nswift_hash_path_suffix = \"changeme\"\n[storage-policy.0]\nname = \"gold\"\ndefault = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	server := serve.Defaults()
	log, flush := server.Logger(io.Discard)
	t.Cleanup(flush)
	p, err := plan.Build(middleware.Host{
		Version: "test", Log: log, Clock: clock.System, Dir: t.TempDir(),
		Cluster: cluster, Metrics: registry, Gather: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	get(t, p, seedPath)
	return p
}

// since is build for comparisons: what filters further left would have put into the state is there.
func (s *sample) since(t testing.TB, from int) http.Handler {
	shared := cache.NewMemo(memory.New(memory.Options{MaxBytes: 1 << 20, Clock: clock.System}))
	logged := false
	for i := range from {
		logged = logged || s.names[i] == "proxy-logging"
	}
	before := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, request.With(r, &request.State{Infos: &request.Infos{}, Cache: shared, Log: request.Log{Done: logged}}))
		})
	}
	h := before(s.build(t, from))
	get(t, h, seedPath)
	return h
}

// allocs counts the allocations of a GET.
func allocs(t testing.TB, h http.Handler) float64 {
	return testing.AllocsPerRun(500, func() { get(t, h, objectPath) })
}

func TestThePipelineAddsFewAllocations(t *testing.T) {
	s := readSample(t)
	app := len(s.names) - 1
	bare := allocs(t, http.HandlerFunc(fixedApp))
	added := allocs(t, s.build(t, 0)) - bare
	t.Logf("the pipeline adds %.0f allocations to a GET", added)
	for i := app - 1; i >= 0; i-- {
		t.Logf("%3.0f %s", allocs(t, s.since(t, i))-allocs(t, s.since(t, i+1)), s.names[i])
	}
	if added > maxAllocs {
		t.Errorf("the sample's pipeline adds %.0f allocations to a GET, allowed are %d", added, maxAllocs)
	}
}

// cpu runs f n times and returns the processor time that the process has spent on each, collecting its garbage included.
func cpu(n int, f func()) time.Duration {
	spent := func() time.Duration {
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := spent()
	for range n {
		f()
	}
	return (spent() - start) / time.Duration(n)
}

// BenchmarkPipeline reports what the whole pipeline adds, and the share of each filter: the difference that it makes in
// front of those to its right.
func BenchmarkPipeline(b *testing.B) {
	s := readSample(b)
	compare := func(name string, with, without http.Handler) {
		b.Run(name, func(b *testing.B) {
			// By turns, in short pieces: what else the machine does then falls on both.
			const piece = 200
			var a, z time.Duration
			for n := 0; n < b.N; n += piece {
				z += cpu(piece, func() { get(b, without, objectPath) }) * piece
				a += cpu(piece, func() { get(b, with, objectPath) }) * piece
			}
			n := float64((b.N + piece - 1) / piece * piece)
			b.ReportMetric(float64(a-z)/n, "own-cpu-ns/op")
			b.ReportMetric(allocs(b, with)-allocs(b, without), "own-allocs/op")
			b.ReportMetric(0, "ns/op")
		})
	}
	compare("all", s.build(b, 0), http.HandlerFunc(fixedApp))
	for i := range len(s.names) - 1 {
		compare(fmt.Sprintf("%02d_%s", i, s.names[i]), s.since(b, i), s.since(b, i+1))
	}
}
