package testcluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

// Kind says how the proxy reaches the nodes, and clients the proxy.
type Kind string

// The kinds.
const (
	Direct Kind = "direct" // all in this process
	TCP    Kind = "tcp"    // all by connections on the loopback interface
	Mixed  Kind = "mixed"  // clients by connections, every other node too
)

// Options say what cluster is wanted. Zero values mean the defaults.
type Options struct {
	// Seed decides what a crash keeps, and which faults a [Schedule] without a seed of its own injects.
	Seed uint64
	// Devices (4) and Replicas (3). Each device has its own node servers.
	Devices, Replicas int
	// Kind is Direct by default.
	Kind Kind
	// Proxies (1) is how many proxies there are, with the same configuration and nothing in common but the nodes.
	Proxies int
	// Memory keeps objects in memory, so that a crash loses what has not been synced. Databases are always on disk.
	Memory bool
	// Filters are kinds that stand before the proxy's app in the pipeline, with their defaults.
	Filters []string
	// Proxy is added to the proxy's table, as lines of TOML.
	Proxy string
	// S3 has proxies speak the S3 API too, and ask who their clients are: test:tester, with the key testing, owns AUTH_test.
	S3 bool
	// NodeTimeout is how long anybody waits for a node: 10 seconds by default, which in a bubble of synctest cost nothing.
	NodeTimeout time.Duration
	// Log is told everything; by default nobody is.
	Log *slog.Logger
}

func (o *Options) complete() {
	if o.Devices == 0 {
		o.Devices = 4
	}
	if o.Replicas == 0 {
		o.Replicas = min(3, o.Devices)
	}
	if o.Proxies == 0 {
		o.Proxies = 1
	}
	if o.Kind == "" {
		o.Kind = Direct
	}
	if o.NodeTimeout == 0 {
		o.NodeTimeout = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// A Cluster is a running cluster.
type Cluster struct {
	// Nodes are the storage nodes, one for each device.
	Nodes []*Node
	// Clock is what all servers go by.
	Clock *Clock
	// Proxy is the handler for clients, the first one if there are several.
	Proxy *assembly.Server
	// Rings are those of the cluster.
	Rings *assembly.Rings
	// Conf is what all servers agree on.
	Conf *swiftconf.Cluster

	t       testing.TB
	options Options
	dir     string
	tcp     *nodes.TCP
	byHost  map[string]*Node // read only once the cluster runs
	fronts  []front
	closers []func()

	mu    sync.Mutex // guards fault
	fault func(*Node, *http.Request) Fault
}

// A front is a proxy as clients find it.
type front struct {
	client http.RoundTripper
	url    string
}

// New starts a cluster and stops it at the end of the test. In a bubble of synctest close it with [Cluster.Close] before
// the bubble ends.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	o.complete()
	c := &Cluster{t: t, options: o, dir: t.TempDir(), Clock: newClock(), byHost: map[string]*Node{}}
	t.Cleanup(c.Close)
	c.tcp = nodes.NewTCP(nodes.TCPOptions{})
	c.closers = append(c.closers, c.tcp.CloseIdleConnections)
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Cluster) start() error {
	for i := range c.options.Devices {
		n, err := c.newNode(i)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, n)
		for _, addr := range n.addr {
			c.byHost[addr] = n
		}
	}
	etc := filepath.Join(c.dir, "etc")
	if err := c.writeFiles(etc); err != nil {
		return err
	}
	var err error
	if c.Conf, err = swiftconf.Load(etc); err != nil {
		return err
	}
	if c.Rings, err = assembly.LoadRings(etc, c.Conf.Policies, c.options.Log, c.Clock); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	for range c.options.Proxies {
		f, err := c.startProxy(filepath.Join(etc, "proxy-server.toml"))
		if err != nil {
			return err
		}
		c.fronts = append(c.fronts, f)
	}
	return nil
}

// startProxy builds the proxy and the way to it.
func (c *Cluster) startProxy(path string) (front, error) {
	setup, err := assembly.Read(path, assembly.Proxy)
	if err != nil {
		return front{}, err
	}
	proxy, err := setup.Build(assembly.Around{
		Log: c.options.Log, Clock: c.Clock, Transport: c.Transport(), Dir: filepath.Dir(path), Cluster: c.Conf, Rings: c.Rings,
		Metrics: prometheus.NewRegistry(), Version: "test",
	})
	if err != nil {
		return front{}, err
	}
	if c.Proxy == nil {
		c.Proxy = proxy
	}
	c.closers = append(c.closers, func() {
		if err := proxy.Close(); err != nil {
			c.t.Errorf("close the proxy: %v", err)
		}
	})
	if c.options.Kind == Direct {
		d := nodes.NewDirect(nil)
		d.Handle("proxy:80", proxy)
		return front{d, "http://proxy:80"}, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return front{}, err
	}
	if l, err = setup.Server.Wrap(l); err != nil {
		return front{}, err
	}
	s := setup.Server.Server(proxy, c.options.Log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with Close
	}()
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16, ExpectContinueTimeout: time.Minute}
	c.closers = append(c.closers, func() {
		tr.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
		<-done
	})
	return front{tr, "http://" + l.Addr().String()}, nil
}

// Close stops everything. All clients' bodies must have been closed.
func (c *Cluster) Close() {
	c.SetFaults(nil)
	for i := len(c.closers) - 1; i > 0; i-- { // the node transport's is last
		c.closers[i]()
	}
	for _, n := range c.Nodes {
		if err := n.Stop(); err != nil {
			c.t.Errorf("stop node %s: %v", n.Device, err)
		}
		n.unlisten()
	}
	if len(c.closers) > 0 {
		c.closers[0]()
	}
	c.closers, c.Nodes = nil, nil
}

// URL is where clients find the proxy; use it with [Cluster.Client].
func (c *Cluster) URL() string { return c.fronts[0].url }

// Client is the transport of clients.
func (c *Cluster) Client() http.RoundTripper { return c.fronts[0].client }

// Addr is where clients with connections of their own find the proxy; empty for a cluster of kind Direct.
func (c *Cluster) Addr() string {
	if c.options.Kind == Direct {
		return ""
	}
	return c.URL()[len("http://"):]
}

// writeFiles writes what would be /etc/swift.
func (c *Cluster) writeFiles(etc string) error {
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	for i, name := range []string{"account", "container", "object"} {
		if err := c.writeRing(filepath.Join(etc, name+".ring.gz"), i); err != nil {
			return fmt.Errorf("make the %s ring: %w", name, err)
		}
	}
	swift := "[swift-hash]\nswift_hash_path_suffix = \"testcluster\"\n[storage-policy.0]\nname = \"Policy-0\"\ndefault = true\n"
	if err := os.WriteFile(filepath.Join(etc, "swift.toml"), []byte(swift), 0o644); err != nil {
		return err
	}
	filters := slices.Clone(c.options.Filters)
	if c.options.S3 {
		filters = append(filters, "s3api", "tempauth", "slo")
	}
	kinds := slices.Concat([]string{"catch_errors", "gatekeeper", "healthcheck", "cache", "listing_formats"}, filters, []string{"proxy-server"})
	proxy := fmt.Sprintf(`[DEFAULT]
bind_port = 8080
[pipeline.main]
pipeline = ["%s"]
[filter.catch_errors]
[filter.gatekeeper]
[filter.healthcheck]
[filter.listing_formats]
[filter.cache]
backend = "memory"
[app.proxy-server]
account_autocreate = true
node_timeout = %g
post_quorum_timeout = %g
%s
`, strings.Join(kinds, `", "`), c.options.NodeTimeout.Seconds(), min(0.5, c.options.NodeTimeout.Seconds()), c.options.Proxy)
	for _, kind := range filters {
		proxy += "[filter." + kind + "]\n"
		if kind == "tempauth" && c.options.S3 {
			proxy += "user_test_tester = \"testing .admin\"\n"
		}
	}
	return os.WriteFile(filepath.Join(etc, "proxy-server.toml"), []byte(proxy), 0o644)
}

// writeRing writes a ring in which every device is a zone of its own.
func (c *Cluster) writeRing(path string, service int) error {
	b, err := builder.New(5, float64(c.options.Replicas), 1)
	if err != nil {
		return err
	}
	for _, n := range c.Nodes {
		host, port, err := splitAddr(n.addr[service])
		if err != nil {
			return err
		}
		if _, err := b.Add(ring.Device{
			ID: -1, Region: 1, Zone: n.Index + 1, IP: host, Port: port, ReplicationIP: host, ReplicationPort: port, Name: n.Device, Weight: 100,
		}); err != nil {
			return err
		}
	}
	if _, err := b.Rebalance(builder.RebalanceOptions{}); err != nil {
		return err
	}
	r, err := b.Ring()
	if err != nil {
		return err
	}
	return ring.Save(path, r, ring.Format1)
}
