package proxyserver_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/apus-storage/apus/backend/account"
	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/backend/container"
	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/proxyserver"
	"github.com/apus-storage/apus/ring"
)

// fixedRings are rings without files.
type fixedRings struct {
	account, container *ring.Live
	objects            []*ring.Live
}

func (r fixedRings) Account() *ring.Live   { return r.account }
func (r fixedRings) Container() *ring.Live { return r.container }
func (r fixedRings) Object(i policy.Index) (*ring.Live, error) {
	if int(i) >= len(r.objects) {
		return nil, fmt.Errorf("no ring of policy %d", i)
	}
	return r.objects[i], nil
}

// addresses of the three servers of a chain.
const (
	accountAddr   = "127.0.0.1:6202"
	containerAddr = "127.0.0.1:6201"
	objectAddr    = "127.0.0.1:6200"
)

// makeRing makes a ring of devices d0, d1, ... in which partition p has the replicas p, p+1, ...;
// if there are no more devices than replicas they are always in order
func makeRing(t testing.TB, port, devices, replicas int) *ring.Live {
	t.Helper()
	p := ring.Parts{PartPower: 4, NextPartPower: -1}
	for i := range devices {
		name := fmt.Sprintf("sdb%d", i+1)
		p.Devices = append(p.Devices, &ring.Device{
			ID: i, Region: 1, Zone: i, IP: "127.0.0.1", Port: port, ReplicationIP: "127.0.0.1", ReplicationPort: port, Name: name, Weight: 1,
		})
	}
	for r := range replicas {
		row := make([]uint32, 1<<p.PartPower)
		for part := range row {
			row[part] = uint32(r)
			if devices > replicas {
				row[part] = uint32((part + r) % devices)
			}
		}
		p.Assignments = append(p.Assignments, row)
	}
	made, err := ring.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return ring.Fixed(made)
}

func testCluster(t testing.TB) *swiftconf.Cluster {
	t.Helper()
	c, err := swiftconf.ParseTOML("swift.toml", []byte(`
[swift-hash]
swift_hash_path_prefix = "changeme"
swift_hash_path_suffix = "changeme"
[storage-policy.0]
name = "gold"
default = true
[storage-policy.1]
name = "silver"
`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// chain is a proxy in front of real storage servers in this process.
type chain struct {
	*httptest.Server
	direct *nodes.Direct
	t      testing.TB
}

func newChain(t testing.TB, devices, replicas int, change func(*proxyserver.Config)) *chain {
	t.Helper()
	cluster, dir := testCluster(t), t.TempDir()
	for i := range devices {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("sdb%d", i+1)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := &chain{direct: nodes.NewDirect(nil), t: t}
	log := quiet()
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	pool := broker.NewPool(broker.Options{Logger: log, Clock: clock.System})
	deps := dbserver.Deps{
		Logger: log, Clock: clock.System, Hasher: cluster.Hasher, Policies: cluster.Policies, Limits: cluster.Limits,
		Brokers: pool, Transport: c.direct,
	}
	ac, cc, oc := account.DefaultConfig(), container.DefaultConfig(), object.DefaultConfig()
	ac.Devices, ac.MountCheck, ac.LogRequests = dir, false, false
	cc.Devices, cc.MountCheck, cc.LogRequests = dir, false, false
	oc.Devices, oc.MountCheck, oc.LogRequests = dir, false, false
	as, err := account.New(ac, deps)
	fatal(t, err)
	cs, err := container.New(cc, container.Deps{Deps: deps})
	fatal(t, err)
	os, err := object.New(oc, object.Deps{Cluster: cluster, Logger: log, Clock: clock.System, FS: disk.OS{}, Transport: c.direct})
	fatal(t, err)
	c.direct.Handle(accountAddr, as)
	c.direct.Handle(containerAddr, cs)
	c.direct.Handle(objectAddr, os)
	config := proxyserver.DefaultConfig()
	config.AccountAutocreate = true
	if change != nil {
		change(&config)
	}
	in, err := proxyserver.New(testHost(t, cluster, log), config, proxyserver.Deps{
		Transport: c.direct, Version: "test", Rings: fixedRings{
			makeRing(t, 6202, devices, replicas), makeRing(t, 6201, devices, replicas),
			[]*ring.Live{makeRing(t, 6200, devices, replicas), makeRing(t, 6200, devices, replicas)},
		},
	})
	fatal(t, err)
	c.Server = httptest.NewServer(in.App)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		c.Server.Close()
		in.Close()
		os.Close()
		cs.Close()
		as.Close()
		pool.Close()
	})
	return c
}

func testHost(t testing.TB, cluster *swiftconf.Cluster, log *slog.Logger) middleware.Host {
	return middleware.Host{
		Section: "proxy-server", Server: "proxy", Log: log, Clock: clock.System, Dir: t.TempDir(), Cluster: cluster,
		Metrics: prometheus.NewRegistry(), Info: func() middleware.Infos { return middleware.Infos{} },
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// do sends a request with headers given as "Name: value".
func (c *chain) do(method, path, body string, headers ...string) (*http.Response, string) {
	c.t.Helper()
	var rd io.Reader
	if body != "" || method == http.MethodPut {
		rd = bytes.NewReader([]byte(body))
	}
	r, err := http.NewRequest(method, c.URL+path, rd)
	fatal(c.t, err)
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Add(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	fatal(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	fatal(c.t, err)
	return resp, string(b)
}

func TestChain(t *testing.T) {
	for _, replicas := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d replicas", replicas), func(t *testing.T) { chainRoundTrip(t, newChain(t, 4, replicas, nil)) })
	}
}

func chainRoundTrip(t *testing.T, c *chain) {
	big := strings.Repeat("0123456789abcdef", 20000)
	for _, step := range []struct {
		method, path, body string
		headers            []string
		status             int
		want               string
	}{
		{"GET", "/v1/AUTH_a?format=json", "", nil, 200, "[]"},
		{"PUT", "/v1/AUTH_a/c", "", nil, 201, ""},
		{"PUT", "/v1/AUTH_a/c", "", nil, 202, "<html><h1>Accepted</h1><p>The request is accepted for processing.</p></html>"},
		{"PUT", "/v1/AUTH_a/c/o", "hello", []string{"X-Object-Meta-A: b"}, 201, ""},
		{"GET", "/v1/AUTH_a/c/o", "", nil, 200, "hello"},
		{"GET", "/v1/AUTH_a/c/o", "", []string{"Range: bytes=1-2"}, 206, "el"},
		{"GET", "/v1/AUTH_a/c/o", "", []string{"If-None-Match: 5d41402abc4b2a76b9719d911017c592"}, 304, ""},
		{"GET", "/v1/AUTH_a/c/o", "", []string{"Range: bytes=10-"}, 416, "<html><h1>Requested Range Not Satisfiable</h1><p>The Range requested is not available.</p></html>"},
		{"HEAD", "/v1/AUTH_a/c/o", "", nil, 200, ""},
		{"PUT", "/v1/AUTH_a/c/big", big, nil, 201, ""},
		{"GET", "/v1/AUTH_a/c/big", "", nil, 200, big},
		{"PUT", "/v1/AUTH_a/c/empty", "", []string{"Content-Length: 0"}, 201, ""},
		{"GET", "/v1/AUTH_a/c/empty", "", nil, 200, ""},
		{"PUT", "/v1/AUTH_a/c/new", "hello", []string{"If-None-Match: *"}, 201, ""},
		{"PUT", "/v1/AUTH_a/c/new", "", []string{"X-Backend-If-Match: 5d41402abc4b2a76b9719d911017c592"}, 201, ""},
		{"PUT", "/v1/AUTH_a/c/new", "again", []string{"X-Backend-If-Match: 5d41402abc4b2a76b9719d911017c592"}, 412, "<html><h1>Precondition Failed</h1><p>A precondition for this request was not met.</p></html>"},
		{"DELETE", "/v1/AUTH_a/c/new", "", []string{"X-Backend-If-Data-Timestamp: 1.00000"}, 412, "<html><h1>Precondition Failed</h1><p>A precondition for this request was not met.</p></html>"},
		{"DELETE", "/v1/AUTH_a/c/new", "", []string{"X-Backend-If-Match: d41d8cd98f00b204e9800998ecf8427e"}, 204, ""},
		{"DELETE", "/v1/AUTH_a/c/new", "", []string{"X-Backend-If-Match: *"}, 412, "<html><h1>Precondition Failed</h1><p>A precondition for this request was not met.</p></html>"},
		{"PUT", "/v1/AUTH_a/c/new", "", []string{"If-None-Match: *"}, 201, ""},
		{"DELETE", "/v1/AUTH_a/c/new", "", []string{"If-Match: nothing"}, 204, ""},
		{"PUT", "/v1/AUTH_a/c/o", "hello", []string{"If-None-Match: *"}, 412, "<html><h1>Precondition Failed</h1><p>A precondition for this request was not met.</p></html>"},
		{"PUT", "/v1/AUTH_a/c/o2", "hello", []string{"Etag: 5d41402abc4b2a76b9719d911017c593"}, 422, "<html><h1>Unprocessable Entity</h1><p>Unable to process the contained instructions</p></html>"},
		{"POST", "/v1/AUTH_a/c/o", "", []string{"X-Object-Meta-A: c"}, 202, "<html><h1>Accepted</h1><p>The request is accepted for processing.</p></html>"},
		{"DELETE", "/v1/AUTH_a/c", "", nil, 409, "<html><h1>Conflict</h1><p>There was a conflict when trying to complete your request.</p></html>"},
		{"DELETE", "/v1/AUTH_a/c/o", "", nil, 204, ""},
		{"GET", "/v1/AUTH_a/c/o", "", nil, 404, "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"},
		{"DELETE", "/v1/AUTH_a/c/o", "", nil, 404, "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"},
		{"PUT", "/v1/AUTH_a/nope/o", "hello", nil, 404, "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"},
		{"DELETE", "/v1/AUTH_a/c/big", "", nil, 204, ""},
		{"DELETE", "/v1/AUTH_a/c/empty", "", nil, 204, ""},
		{"DELETE", "/v1/AUTH_a/c", "", nil, 204, ""},
		{"HEAD", "/v1/AUTH_a/c", "", nil, 404, ""},
	} {
		resp, body := c.do(step.method, step.path, step.body, step.headers...)
		if resp.StatusCode != step.status || body != step.want {
			t.Errorf("%s %s %v: got %d %.200q, want %d %.200q", step.method, step.path, step.headers, resp.StatusCode, body, step.status, step.want)
		}
	}
}

// fileWriter is a client that notes whether it is given a file to send.
type fileWriter struct {
	discard
	files int
}

func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	src := r
	if l, ok := r.(*io.LimitedReader); ok {
		src = l.R
	}
	if _, ok := src.(*os.File); ok {
		w.files++
	}
	return io.Copy(w.discard, r)
}

// The body of an object in this process, unless it is small, goes from the file to the connection without being read.
func TestFilesReachTheConnection(t *testing.T) {
	c := newChain(t, 1, 1, nil)
	c.do("PUT", "/v1/AUTH_a/c", "")
	c.do("PUT", "/v1/AUTH_a/c/o", strings.Repeat("x", 1<<20))
	for _, rng := range []string{"", "bytes=5-500000"} {
		w := &fileWriter{discard: discard{http.Header{}}}
		r := httptest.NewRequest("GET", "/v1/AUTH_a/c/o", nil)
		if rng != "" {
			r.Header.Set("Range", rng)
		}
		c.Config.Handler.ServeHTTP(w, r)
		if w.files == 0 {
			t.Errorf("range %q: the client was not given the file", rng)
		}
	}
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}
