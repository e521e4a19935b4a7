// Package s3gateway is the filter that puts one endpoint and one set of keys in front of many S3 stores: AWS, IBM COS, Ceph,
// MinIO, another Apus.
//
//	[filter.s3gateway]
//	region = "us-east-1"
//
//	[filter.s3gateway.upstream.cos]
//	endpoint = "https://s3.eu-de.cloud-object-storage.appdomain.cloud"
//	region = "eu-de"
//	access_key = "..."
//	secret_file = "/etc/apus/cos.secret"
//
//	[filter.s3gateway.identity.alice]
//	access_key = "AKALICE"
//	secret_file = "/etc/apus/alice.secret"
//	rights = ["read", "list"]
//
//	[[filter.s3gateway.route]]
//	bucket = ["photos-*"]
//	upstreams = ["cos"]
//
// A request is checked with the client's key, authorised, signed again with the store's key, and streamed. Buckets that no
// route names go on down the pipeline, so that local and remote buckets share one endpoint; the app [App] ends a pipeline that has
// none of its own. docs/s3-gateway.md has worked examples.
//
// # How a request goes
//
// exchange.serve finds out what the request is about (package route), who asks and whether the signature is right (package
// gate), whether the identity's rights and the operator's function (package callable) allow it, and which route it takes. Then
// forward makes a call of it (call.go), which a store of the route's group gets (package upstream), and the answer goes to the
// client (answer.go) with the store's names changed into those that the client knows (names.go). Some requests are
// more than one call: listing buckets (buckets.go), copying from another store (copy.go), what a mirror is asked for (mirror.go), what
// is read from the cache (cached.go, package readcache). A browser's form is signed within, and is signed anew there (form.go).
//
// Invariants:
//   - Nothing is sent to a store before the signature was found right and the request is allowed, but for a browser's question whether a
//     page may send one (OPTIONS), which is sent on without any signature: what the store says to it, it says to everybody.
//   - No body is held: what was found wrong at its end leaves the store with a part of a request, which it does not keep.
//   - An answer that breaks off at the store breaks off at the client.
//   - Secrets are in no log, error, metric, or /info. A presigned URL's signature is cut short in the access log.
//   - A client that is slow holds nothing for long: client_timeout here for each piece of a body, client_timeout of [DEFAULT] for a
//     head, between requests (keepalive_timeout), and for an answer that it does not take. With it goes the request at the
//     store, which is bounded by connect_timeout, response_timeout and stall_timeout of its own.
//   - What a client sends is read by nobody any more once its request has been answered.
//
// # Metrics
//
// All are of /metrics. Labels are names of the configuration, methods and statuses; nothing that clients make up.
//
//	apus_s3gateway_requests_total              route, identity, upstream, method, status
//	apus_s3gateway_request_duration_seconds    route, identity, upstream
//	apus_s3gateway_upstream_*                  requests to stores, and their health (package upstream)
//	apus_s3gateway_callable_calls_total        callable, function, outcome: calls of the operator's functions
//	apus_s3gateway_callable_seconds            callable, function
//	apus_s3gateway_callable_cached_total       callable, function: answers that needed no call
//	apus_s3gateway_cache_hits_total            reads that the read cache answered; _misses_total those that it might have
//	apus_s3gateway_cache_served_bytes_total    bytes that came from it
//	apus_s3gateway_cache_fills_total           bodies kept; _aborts_total, _evictions_total, _stale_total, _damaged_total
//	apus_s3gateway_cache_bytes, _entries       what is on disk
//
// It must stand to the left of s3api and of what knows users.
package s3gateway

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/postform"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/callable/catalog"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/readcache"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// Filter is the definition, for operators who write no functions in Go.
var Filter = With(nil)

// With is the definition for a program that has functions of its own in Go: a callable with go = "NAME" means those of that
// name. Programs outside of this module have it by package embed.
func With(functions map[string]callable.Functions) *middleware.Definition {
	return middleware.Define("s3gateway", Config{
		Region: "us-east-1", ClockSkew: config.Seconds(900), ClientTimeout: config.Seconds(60), HealthPath: "/healthz", UnhealthyStatus: 450,
	}, func(host middleware.Host, c Config) (middleware.Instance, error) { return build(host, c, functions) }).
		After("gatekeeper", "proxy_logging").
		Before("s3api", "s3token", "authtoken", "tempauth", "keystoneauth", "copy", "slo", "dlo", "versioned_writes", "symlink", "formpost")
}

// Config is the section of the filter.
type Config struct {
	// The region that clients sign for, and that they are told when they ask.
	Region string `toml:"region"`
	// Domains whose subdomains are buckets: with "s3.example.net", photos.s3.example.net is the bucket photos.
	StorageDomain config.List `toml:"storage_domain"`
	// How far the clock of a client may be off.
	ClockSkew config.Duration `toml:"allowable_clock_skew"`
	// How long a client may send nothing of a body that it has announced. Its request at the store is given up then. How long
	// it may take nothing of an answer, and how long it may take for the head of a request, is client_timeout of [DEFAULT].
	ClientTimeout config.Duration `toml:"client_timeout"`
	// Where load balancers ask how the stores are. Empty for nowhere.
	HealthPath string `toml:"health_path"`
	// What they are answered when a route has no store that is healthy.
	UnhealthyStatus int `toml:"unhealthy_status"`
	// The stores, by name.
	Upstreams map[string]upstream.Config `toml:"upstream"`
	// Who may ask, by name.
	Identities map[string]gate.Config `toml:"identity"`
	// Functions of the operator's, by name.
	Callables map[string]callable.Config `toml:"callable"`
	// Bodies that are kept on a disk here, so that they are not fetched again. Without a path there are none.
	Cache readcache.Config `toml:"cache"`
	// Which buckets are where. The first route that fits a request counts.
	Routes []route.Config `toml:"route"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	for _, check := range []struct {
		ok        bool
		key, want string
	}{
		{c.Region != "", "region", "must be a name"},
		{c.ClockSkew.Duration > 0, "allowable_clock_skew", "must be above 0"},
		{c.ClientTimeout.Duration > 0, "client_timeout", "must be above 0"},
		{c.HealthPath == "" || c.HealthPath[0] == '/' && len(c.HealthPath) > 1, "health_path", "must be a path such as /healthz"},
		{c.UnhealthyStatus >= 400 && c.UnhealthyStatus < 600, "unhealthy_status", "must be from 400 to 599"},
		{len(c.Routes) > 0, "route", "there is none, so the gateway would lead nowhere; write [[filter.s3gateway.route]]"},
		{len(c.Identities) > 0, "identity", "there is none, so nobody could ask"},
	} {
		if !check.ok {
			errs = append(errs, config.Invalid(check.key, "%s", check.want))
		}
	}
	return errors.Join(append(errs, c.crossed())...)
}

// App ends the pipeline of a gateway that has nothing of its own: what no route names does not exist.
var App = middleware.DefineApp("s3gateway_end", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
	return middleware.Instance{App: http.HandlerFunc(nowhere)}, nil
})

func nowhere(w http.ResponseWriter, r *http.Request) {
	e := s3err.NoSuchBucket.With()
	if r.Header.Get("Authorization") == "" && !r.URL.Query().Has("X-Amz-Signature") && !r.URL.Query().Has("Signature") {
		e = s3err.AccessDenied.With()
	}
	writeDocument(w, r, e.Status, e.Document(r.URL.Path, request.From(r.Context()).TransID))
}

// filter is the filter. It does not change.
type filter struct {
	config   Config
	domains  route.Domains
	routes   *route.Table
	gate     *gate.Gate
	ways     map[*route.Route]*way
	stores   map[string]*upstream.Upstream
	cache    *readcache.Cache // nil if there is none
	copies   *copies
	alone    bool     // there is no app but the gateway's own
	versions []string // of the Swift API
	clock    clock.Clock
	log      *slog.Logger
	counts   *counts
	next     http.Handler
}

// A way is a route, and the stores that it leads to.
type way struct {
	route *route.Route
	group *upstream.Group
	// byTag are the stores one by one, by their tags; nil if there is only one.
	byTag map[string]*upstream.Group
}

func build(host middleware.Host, c Config, functions map[string]callable.Functions) (middleware.Instance, error) {
	f := &filter{
		config: c, domains: route.NewDomains(c.StorageDomain), clock: host.Clock, log: host.Log,
		alone: host.Pipeline[len(host.Pipeline)-1] == App.Kind(), counts: newCounts(host.Metrics), copies: newCopies(),
		versions: host.Cluster.Limits.ValidAPIVersions,
	}
	var closers []func() error
	closeAll := func() error {
		var errs []error
		for _, c := range slices.Backward(closers) {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	if err := f.assemble(host, functions, &closers); err != nil {
		return middleware.Instance{}, errors.Join(err, closeAll())
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler {
			w := *f
			w.next = next
			return &w
		},
		Info:  map[string]any{"s3gateway": map[string]any{"region": c.Region}},
		Close: closeAll,
	}, nil
}

// assemble makes the parts of the gateway.
func (f *filter) assemble(host middleware.Host, functions map[string]callable.Functions, closers *[]func() error) error {
	c, err := catalog.Open(f.config.Callables, functions, catalog.Deps{Log: host.Log, Clock: host.Clock, Metrics: host.Metrics})
	if err != nil {
		return err
	}
	*closers = append(*closers, func() error { c.Close(); return nil })
	called := c.Functions
	f.stores = make(map[string]*upstream.Upstream, len(f.config.Upstreams))
	for _, name := range slices.Sorted(maps.Keys(f.config.Upstreams)) {
		u, err := upstream.New(name, f.config.Upstreams[name], upstream.Deps{Clock: host.Clock, Log: host.Log, Metrics: host.Metrics, Functions: called})
		if err != nil {
			return err
		}
		*closers = append(*closers, u.Close)
		f.stores[name] = u
	}
	if f.gate, err = gate.New(f.config.Identities, called, gate.Deps{Region: f.config.Region, Skew: f.config.ClockSkew.Duration, Clock: host.Clock, Log: host.Log}); err != nil {
		return err
	}
	if f.routes, err = route.New(f.config.Routes, host.Log); err != nil {
		return err
	}
	if f.config.Cache.Path != "" {
		if f.cache, err = readcache.New(f.config.Cache, readcache.Deps{Log: host.Log, Clock: host.Clock}); err != nil {
			return err
		}
		*closers = append(*closers, f.cache.Close)
		f.counts.cacheCounts = newCacheCounts(host.Metrics, f.cache)
	}
	f.ways = make(map[*route.Route]*way)
	for _, r := range f.routes.Routes() {
		f.ways[r] = f.newWay(r)
	}
	return nil
}

func (f *filter) newWay(r *route.Route) *way {
	w := &way{route: r}
	var stores []*upstream.Upstream
	for _, name := range r.Upstreams {
		stores = append(stores, f.stores[name])
	}
	w.group = upstream.NewGroup(r.Policy, stores)
	if len(stores) == 1 {
		return w
	}
	w.byTag = make(map[string]*upstream.Group)
	for _, u := range stores {
		w.byTag[tagOf(u.Name())] = upstream.Only(u)
	}
	return w
}

// named returns the store that a query's identifiers are of, nil if they do not say, and the query as it is to be sent.
func (w *way) named(query string) (*upstream.Group, string) {
	if w.byTag == nil {
		return nil, query
	}
	tag, plain := named(query, func(tag string) bool { return w.byTag[tag] != nil })
	return w.byTag[tag], plain
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.config.HealthPath != "" && r.URL.Path == f.config.HealthPath && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		f.health(w, r)
	case !f.handle(w, r):
		f.next.ServeHTTP(w, r)
	}
}

// meant says whether a request is one for S3. Before something else, a request without a signature is for that, unless somebody
// anonymous is let in here, and its path and headers are none of Swift's; a browser's question whether it may send one is for us, as
// is its form, which is signed within.
func (f *filter) meant(r *http.Request) bool {
	if f.alone {
		return true
	}
	if lines, ok := r.Header["Authorization"]; ok {
		return strings.HasPrefix(lines[0], "AWS")
	}
	if sigv4.Recognise(r) || sigv2.Recognise(r) {
		return true
	}
	return (f.gate.Anonymous() || r.Method == http.MethodOptions || postform.Is(r)) && !f.forSwift(r)
}

// forSwift says whether an unsigned request is one of the Swift API.
func (f *filter) forSwift(r *http.Request) bool {
	for _, name := range []string{"X-Auth-Token", "X-Storage-Token", "X-Service-Token"} {
		if r.Header[name] != nil {
			return true
		}
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return slices.Contains([]string{"", "auth", "info", "endpoints", "healthcheck", "crossdomain.xml", "metrics", "recon"}, first) ||
		apipath.ValidVersion(first, f.versions)
}
