// Package proxyserver is the app at the end of a proxy's pipeline. It turns requests for accounts, containers and
// objects into requests to storage nodes, and their answers into one:
//
//	[pipeline.main]
//	pipeline = ["catch_errors", "gatekeeper", "cache", "tempauth", "proxy-server"]
//
//	[app.proxy-server]
//	account_autocreate = true
//	[app.proxy-server.policy.1]
//	sorting_method = "timing"
//
// There is one file for each noun of the API: account.go, container.go, object.go (and objectput.go for uploads),
// info.go. Which nodes are asked, how many must agree and what happens when one fails is package fanout's business.
//
// A handler looks at everything that can refuse a request before it reads the body, so that a client that sent
// "Expect: 100-continue" is refused before it has sent anything. Once the head of an answer is out, the only way to
// report a failure is to cut the connection.
//
// Not served, and refused rather than served wrongly: listings of sharded containers and writes to their objects (501),
// policies with erasure coding (an error at start).
package proxyserver

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/contenttype"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/proxyserver/fanout"
	"github.com/apus-storage/apus/ring"
)

// Rings are the cluster's tables of where things are.
type Rings interface {
	Account() *ring.Live
	Container() *ring.Live
	// Object returns the ring of a policy.
	Object(policy.Index) (*ring.Live, error)
}

// Deps are what the app cannot make of its configuration.
type Deps struct {
	Rings Rings
	// Transport is the way to the storage nodes. Whoever makes it goes by [Config.ConnTimeout].
	Transport http.RoundTripper
	// Rand returns a random number; nil means the runtime's source. It is used concurrently.
	Rand func() uint64
	// Version is what /info shows.
	Version string
}

// Kind and Alias are the names of the app.
const (
	Kind  = "proxy"
	Alias = "proxy-server"
)

// Define makes the definition of the app.
func Define(d Deps) *middleware.Definition {
	return middleware.DefineApp(Kind, DefaultConfig(), func(h middleware.Host, c Config) (middleware.Instance, error) {
		return New(h, c, d)
	}).Alias(Alias)
}

// New makes an app. Close waits for requests to nodes that were left behind.
func New(h middleware.Host, c Config, d Deps) (middleware.Instance, error) {
	a, err := newApp(h, c, d)
	if err != nil {
		return middleware.Instance{}, err
	}
	return middleware.Instance{App: a, Info: map[string]any{"swift": a.swiftInfo()}, Close: a.close}, nil
}

// App serves requests.
type App struct {
	config    Config
	cluster   *swiftconf.Cluster
	rings     Rings
	nodes     *fanout.Dispatcher
	options   *fanout.Options // of accounts, containers, and policies without a table
	policies  map[policy.Index]*fanout.Options
	owners    map[string]bool // canonical names of owners' headers
	lifetimes lookup.Lifetimes
	info      func() middleware.Infos
	log       *slog.Logger
	clock     clock.Clock
	rand      func() uint64
	types     contenttype.Table
	agent     string
	version   string
}

func newApp(h middleware.Host, c Config, d Deps) (*App, error) {
	if d.Rand == nil {
		d.Rand = rand.Uint64
	}
	options, err := c.NodeOptions.build(&c)
	if err != nil {
		return nil, err
	}
	policies, err := c.policyOptions()
	if err != nil {
		return nil, err
	}
	if err := h.Cluster.Policies.Supported(); err != nil {
		return nil, err
	}
	for i := range policies {
		if _, ok := h.Cluster.Policies.ByIndex(i); !ok {
			return nil, fmt.Errorf("policy.%d: the cluster has no such policy", i)
		}
	}
	for _, p := range h.Cluster.Policies.All() {
		if _, err := d.Rings.Object(p.Index); err != nil {
			return nil, fmt.Errorf("open ring of policy %s: %w", p.Name, err)
		}
	}
	types, err := contenttype.Load(filepath.Join(h.Dir, "mime.types"))
	if err != nil {
		return nil, err
	}
	a := &App{
		types: types, config: c, cluster: h.Cluster, rings: d.Rings, options: options,
		policies: policies, owners: map[string]bool{}, info: h.Info, log: h.Log, clock: h.Clock, rand: d.Rand,
		lifetimes: lookup.Lifetimes{Account: c.RecheckAccountExistence.Duration, Container: c.RecheckContainerExistence.Duration},
		agent:     "proxy-server " + strconv.Itoa(os.Getpid()), version: d.Version,
	}
	for _, name := range c.SwiftOwnerHeaders {
		a.owners[http.CanonicalHeaderKey(name)] = true
	}
	a.warn(options, policies)
	_, overTCP := d.Transport.(*nodes.TCP)
	_, inProcess := d.Transport.(*nodes.Direct)
	a.nodes = fanout.New(fanout.Config{
		Interruptible: overTCP, InProcess: inProcess,
		Transport: d.Transport, Log: h.Log, Clock: h.Clock, LogHandoffs: c.LogHandoffs, Shuffle: a.shuffle,
		Limiter: fanout.NewLimiter(c.ErrorSuppressionInterval.Duration, c.ErrorSuppressionLimit, h.Clock),
	})
	return a, nil
}

// warn says what is configured without having an effect.
func (a *App) warn(options *fanout.Options, policies map[policy.Index]*fanout.Options) {
	all := append([]*fanout.Options{options}, slices.Collect(mapValues(policies))...)
	for _, o := range all {
		if len(o.ReadAffinity) > 0 && o.Sorting != fanout.SortAffinity {
			a.log.Warn(`read_affinity has no effect without sorting_method = "affinity"`)
			return
		}
	}
}

func mapValues(m map[policy.Index]*fanout.Options) func(func(*fanout.Options) bool) {
	return func(yield func(*fanout.Options) bool) {
		for _, o := range m {
			if !yield(o) {
				return
			}
		}
	}
}

func (a *App) shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(a.rand()%uint64(i+1)))
	}
}

// close waits for requests to nodes that were left behind.
func (a *App) close() error {
	a.nodes.Wait()
	return nil
}

// ServeHTTP serves a request.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !request.Has(r.Context()) {
		r = request.With(r, &request.State{Infos: &request.Infos{}})
	}
	// No router: names may hold anything, methods may be new, and what counts is the path without its quoting.
	if r.URL.Path == "/info" {
		a.serveInfo(w, r)
		return
	}
	a.servePath(w, r)
}

func (a *App) now() timestamp.Timestamp { return timestamp.FromTime(a.clock.Now()) }

// nodeOptions are those of a policy.
func (a *App) nodeOptions(i policy.Index) *fanout.Options {
	if o, ok := a.policies[i]; ok {
		return o
	}
	return a.options
}

func (a *App) accountTarget(account, query string) fanout.Target {
	r := a.rings.Account().Ring()
	return fanout.Target{
		Kind: "Account", Ring: r, Part: r.Partition(a.cluster.Hasher.Sum(account)), Path: "/" + account, Query: query,
		Options: a.options,
	}
}

func (a *App) containerTarget(account, container, query string) fanout.Target {
	r := a.rings.Container().Ring()
	return fanout.Target{
		Kind: "Container", Ring: r, Part: r.Partition(a.cluster.Hasher.Sum(account, container)),
		Path: "/" + account + "/" + container, Query: query, Options: a.options,
	}
}

// skipCache says by chance whether a lookup is to ignore the shared cache.
func (a *App) skipCache(percent float64) bool {
	return percent > 0 && float64(a.rand()>>11)/(1<<53) < percent/100
}

// transID makes a transaction id for a request that has none: normally catch_errors has set it.
func (a *App) transID() string {
	return fmt.Sprintf("tx%016x%05x-%010x", a.rand(), a.rand()&0xfffff, a.clock.Now().Unix())
}

// hostDenied says whether the configuration refuses a request's host.
func (a *App) hostDenied(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	return slices.Contains(a.config.DenyHostHeaders, name)
}

var errSharded = errors.New("container is sharded")
