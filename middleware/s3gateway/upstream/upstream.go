// Package upstream is one S3 store behind the gateway, and a group of them behind one route.
//
//	[filter.s3gateway.upstream.cos]
//	endpoint = "https://s3.eu-de.cloud-object-storage.appdomain.cloud"
//	region = "eu-de"
//	credentials = "api_key"
//	api_key_file = "/etc/apus/cos.key"
//
// An Upstream addresses, signs and sends a [Call], once:
//
//	u, err := upstream.New("cos", config, upstream.Deps{Clock: h.Clock, Log: h.Log, Metrics: h.Metrics, Functions: functions})
//	resp, err := u.Send(ctx, upstream.Call{Method: "GET", Bucket: "photos", Key: "a//b", Header: r.Header, Token: caller.Token})
//
// A [Group] picks upstreams by policy and health, and asks another one where that is safe.
//
// Invariants:
//
//   - The store gets the bytes of key and query as the client meant them. What is signed is what is sent.
//   - Nothing of the client's signature, connection and way here reaches the store.
//   - A body that is wrong, or does not have its length, leaves the store with an incomplete request, over a connection that is
//     closed. So does a client that goes away.
//   - An answer's body ends with io.EOF only if it is whole, as far as the store has said how long it is.
//   - No redirect is followed by itself, and credentials go to no host but the store's own and its redirect domains.
//   - Memory does not grow with bodies. Nothing waits without a bound.
//   - Nothing is sent twice that may have been acted upon, but GET, HEAD, OPTIONS and DELETE.
//   - Secrets are in no error, log or metric.
//
// It is not the place for the client's signature (package gate), for which route a request takes (route), for copies from one store
// to another, and for what answers look like to the client.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// Deps are what an upstream needs beside its configuration. All may be left out.
type Deps struct {
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Functions are the callables by name, with the caching that they are to have.
	Functions map[string]callable.Functions
	// Getenv reads the environment.
	Getenv func(name string) string
	// Dial makes connections.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// An Upstream is one store. It is for many goroutines.
type Upstream struct {
	name     string
	config   *Config
	endpoint *url.URL
	tls      bool
	virtual  bool
	health   string
	clock    clock.Clock
	log      *slog.Logger
	metrics  *metrics

	source    source
	asks      bool // the source asks somebody, and may have to wait
	signers   signers
	bearers   bearers
	transport *http.Transport
	plain     *nodes.TCP // nil where transport is for all
	tokens    *http.Transport
	slots     chan struct{}

	breaker   *breaker
	watch     watch
	restUntil atomic.Int64 // Unix nanoseconds

	ctx   context.Context // ends with Close; for what no request waits for
	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// New opens a store. Its credentials are looked for, but the store is not asked. Close must be called.
func New(name string, c Config, deps Deps) (*Upstream, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if deps.Clock == nil {
		deps.Clock = clock.System
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Getenv == nil {
		deps.Getenv = os.Getenv
	}
	deps.Log = deps.Log.With("upstream", name)
	u := &Upstream{name: name, config: &c, clock: deps.Clock, log: deps.Log, virtual: c.Addressing == addressVirtual}
	u.ctx, u.stop = context.WithCancel(context.Background())
	if err := u.open(deps); err != nil {
		u.Close()
		return nil, fmt.Errorf("upstream %s: %w", name, err)
	}
	u.warn()
	u.metrics.health(name, true)
	u.metrics.breaker(name, false)
	if c.HealthPath != "" {
		u.tasks.Go(u.check)
	}
	return u, nil
}

func (u *Upstream) open(deps Deps) error {
	c := u.config
	var err error
	if u.endpoint, err = parseEndpoint(c.Endpoint); err != nil {
		return err
	}
	u.tls = u.endpoint.Scheme == "https"
	u.health = u.endpoint.Scheme + "://" + u.endpoint.Host + c.HealthPath
	trusted, err := trust(c)
	if err != nil {
		return err
	}
	own, err := present(c, deps, trusted)
	if err != nil {
		return err
	}
	u.transport = newTransport(c, deps, own)
	u.plain = newPlain(c, deps)
	// Whoever takes API keys must be who it should be, also where the store need not.
	u.tokens = newTransport(c, deps, trusted)
	if c.MaxRequests > 0 {
		u.slots = make(chan struct{}, c.MaxRequests)
	}
	if u.metrics, err = newMetrics(deps.Metrics); err != nil {
		return err
	}
	u.breaker = &breaker{failures: c.BreakerFailures, cooldown: c.BreakerCooldown.Duration, clock: u.clock, changed: u.tripped}
	u.watch.up, u.watch.down = c.HealthUp, c.HealthDown
	u.source, err = u.openSource(deps)
	return err
}

// warn says what is dangerous about the configuration.
func (u *Upstream) warn() {
	if u.tls && u.config.InsecureSkipVerify {
		u.log.Warn("insecure_skip_verify: THE STORE'S CERTIFICATE IS NOT CHECKED. Whoever is on the way can read and change everything")
	}
	if !u.tls && u.config.Payload == payloadUnsigned {
		u.log.Warn("bodies go to the store without TLS and without a signature: whoever is on the way can change them")
	}
	if e, _ := url.Parse(u.config.TokenEndpoint); e != nil && e.Scheme == "http" && u.config.Credentials == fromAPIKey {
		u.log.Warn("API keys go to the token endpoint without TLS: whoever is on the way can read them")
	}
}

func (u *Upstream) tripped(open bool) {
	u.metrics.breaker(u.name, open)
	if open {
		u.log.Warn("too many requests to the store have failed in a row; none is sent for a while", "while", u.config.BreakerCooldown.Duration)
	} else {
		u.log.Info("the store answers again")
	}
}

// Name returns the store's name in the configuration.
func (u *Upstream) Name() string { return u.name }

// Endpoint returns where the store is.
func (u *Upstream) Endpoint() *url.URL { e := *u.endpoint; return &e }

// LocationConstraint is where the store is to make buckets, as the document calls it that makes one; "" for what says nothing of it.
func (u *Upstream) LocationConstraint() string {
	switch name := cmp.Or(u.config.LocationConstraint, u.config.Region); name {
	case noConstraint, "us-east-1": // which AWS takes for no name
		return ""
	default:
		return name
	}
}

// Close ends checks and exchanges, and connections without a request. Requests on their way go on.
func (u *Upstream) Close() error {
	u.stop()
	u.tasks.Wait()
	u.bearers.wait.Wait()
	for _, t := range []*http.Transport{u.transport, u.tokens} {
		if t != nil {
			t.CloseIdleConnections()
		}
	}
	if u.plain != nil {
		u.plain.CloseIdleConnections()
	}
	return nil
}

var errStatusBad = errors.New("the health check is answered with a failure")

func errStatus(status int) error { return fmt.Errorf("%w: %d", errStatusBad, status) }
