// Package assembly puts features together into servers. It is the one place that knows them all: which filters and apps there
// are, which tables a server's file may have, what each is given.
//
// [Read] checks a file; [Setup.Build] makes the server of it. [Embedded] is a whole cluster in one process.
package assembly

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/backend/account"
	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/backend/container"
	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/realms"
	"github.com/apus-storage/apus/internal/serve"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/all"
	"github.com/apus-storage/apus/middleware/pipeline"
	"github.com/apus-storage/apus/middleware/s3gateway"
	"github.com/apus-storage/apus/proxyserver"
)

// Kinds of servers.
const (
	Proxy     = "proxy"
	Account   = "account"
	Container = "container"
	Object    = "object"
	// Gateway is a proxy without a cluster: the S3 gateway alone.
	Gateway = "gateway"
	// Expirer is a file of the object expirer's own: its table, and the pipeline for its requests.
	Expirer = "object-expirer"
)

// Around is what a server is given besides its file.
type Around struct {
	Log       *slog.Logger
	Clock     clock.Clock
	FS        disk.FS
	Transport http.RoundTripper // to storage nodes
	Dir       string            // of the cluster's files
	Cluster   *swiftconf.Cluster
	Rings     *Rings
	Metrics   *prometheus.Registry
	Version   string
}

// A Setup is a server's checked file.
type Setup struct {
	Kind    string
	Plan    *pipeline.Plan
	Server  Default
	Daemons Daemons
	around  *Around // filled in by Build, before any definition is built
}

// Default is what a server reads of [DEFAULT].
type Default struct {
	ServeConfig
	StatsConfig
}

// ServeConfig and StatsConfig give the two parts of Default names of their own.
type (
	ServeConfig = serve.Config
	StatsConfig = statsd.Config
)

// Validate checks both parts.
func (d *Default) Validate() error {
	return errors.Join(d.ServeConfig.Validate(), d.StatsConfig.Validate())
}

// Read checks the file at path. With want, its server must be of that kind. The definitions of a program that embeds the server
// take the place of those of the same kind.
func Read(path, want string, own ...*middleware.Definition) (*Setup, error) {
	file, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	return ReadFile(file, want, own...)
}

// ReadFile is Read for a file that has been parsed.
func ReadFile(file *config.File, want string, own ...*middleware.Definition) (*Setup, error) {
	kind, err := kindOf(file)
	if err != nil {
		return nil, err
	}
	if want != "" && kind != want {
		return nil, file.Errorf([]string{"pipeline", "main"}, "is the pipeline of a server of kind %s, not %s", kind, want)
	}
	return readFile(file, kind, kind == Proxy, own...)
}

func readFile(file *config.File, kind string, insert bool, own ...*middleware.Definition) (*Setup, error) {
	s := &Setup{Kind: kind, around: &Around{}, Server: Default{serve.Defaults(), statsd.Defaults()}, Daemons: defaultDaemons()}
	s.Server.CutStalled = kind == Proxy || kind == Gateway
	server := kind
	if kind == Expirer {
		server = Proxy
		s.Server.BindPort = 1 // nobody listens
	}
	if len(own) > 0 {
		s.Server.BindPort = 1 // where to listen is for the program to say
	}
	var err error
	s.Plan, err = pipeline.Read(file, pipeline.Spec{
		Server: server, Insert: insert, Registry: s.registry(own), Default: &s.Server, Tables: s.tables(),
	})
	if err == nil && kind == Expirer && slices.Contains(s.Plan.Kinds(), "gatekeeper") {
		err = file.Errorf([]string{"pipeline", "main", "pipeline"}, "gatekeeper would strip the expirer's own headers; take it out")
	}
	return s, err
}

// kindOf finds out what kind of server a file is for: that of its app.
func kindOf(file *config.File) (string, error) {
	s, _ := file.Section("pipeline", "main")
	var c struct {
		Pipeline config.List `toml:"pipeline"`
	}
	s.Decode(&c, config.Section{}) // its faults are reported by pipeline.Read
	names := []string(c.Pipeline)
	if len(names) == 1 {
		names = strings.Fields(names[0])
	}
	if len(names) == 0 {
		return Proxy, nil
	}
	app := names[len(names)-1]
	if s, ok := file.Section("app", app); ok {
		if use, ok := s.String("use"); ok {
			app = use
		}
	}
	kind := strings.TrimSuffix(strings.ReplaceAll(app, "_", "-"), "-server")
	switch kind {
	case Account, Container, Object:
		return kind, nil
	case strings.ReplaceAll(s3gateway.App.Kind(), "_", "-"):
		return Gateway, nil
	}
	if _, ok := file.Section(Expirer); ok {
		return Expirer, nil
	}
	return Proxy, nil
}

// registry lists what the server's file may use.
func (s *Setup) registry(own []*middleware.Definition) pipeline.Registry {
	known := slices.DeleteFunc(append(all.Filters(), apps(s.around)...), func(d *middleware.Definition) bool {
		return slices.ContainsFunc(own, func(o *middleware.Definition) bool { return o.Kind() == d.Kind() })
	})
	return pipeline.NewRegistry(append(known, own...)...)
}

// apps are the apps, built with what around holds at that time.
func apps(around *Around) []*middleware.Definition {
	return []*middleware.Definition{
		middleware.DefineApp(proxyserver.Kind, proxyserver.DefaultConfig(), func(h middleware.Host, c proxyserver.Config) (middleware.Instance, error) {
			return proxyserver.New(h, c, proxyserver.Deps{Rings: around.Rings, Transport: around.Transport, Version: around.Version})
		}).Alias(proxyserver.Alias),
		s3gateway.App,
		middleware.DefineApp(Account, account.DefaultConfig(), func(h middleware.Host, c account.Config) (middleware.Instance, error) {
			deps, closePool := around.database(h)
			srv, err := account.New(c, deps)
			return node(srv, err, closePool)
		}).Alias("account-server"),
		middleware.DefineApp(Container, container.DefaultConfig(), func(h middleware.Host, c container.Config) (middleware.Instance, error) {
			rs, err := around.realms(h.Dir)
			if err != nil {
				return middleware.Instance{}, err
			}
			deps, closePool := around.database(h)
			srv, err := container.New(c, container.Deps{Deps: deps, Realms: rs})
			return node(srv, err, closePool)
		}).Alias("container-server"),
		middleware.DefineApp(Object, object.DefaultConfig(), func(h middleware.Host, c object.Config) (middleware.Instance, error) {
			srv, err := object.New(c, object.Deps{
				Cluster: h.Cluster, Logger: h.Log, Clock: h.Clock,
				FS: around.FS, Transport: around.Transport, Version: around.Version,
			})
			return node(srv, err, nil)
		}).Alias("object-server"),
	}
}

// server is what storage nodes have in common.
type server interface {
	http.Handler
	Close() error
}

func node[S server](s S, err error, after func() error) (middleware.Instance, error) {
	if err != nil {
		return middleware.Instance{}, err
	}
	return middleware.Instance{App: s, Close: func() error {
		err := s.Close()
		if after != nil {
			err = errors.Join(err, after())
		}
		return err
	}}, nil
}

// database is what account and container servers are given, and how to close it.
func (a *Around) database(h middleware.Host) (dbserver.Deps, func() error) {
	pool := broker.NewPool(broker.Options{Logger: h.Log, Clock: h.Clock})
	return dbserver.Deps{
		Logger: h.Log, Clock: h.Clock, Hasher: h.Cluster.Hasher, Policies: h.Cluster.Policies, Limits: h.Cluster.Limits,
		Brokers: pool, Transport: a.Transport,
	}, pool.Close
}

// realms follows the realms of container sync that the cluster's files have.
func (a *Around) realms(dir string) (*realms.Realms, error) {
	return realms.Follow(filepath.Join(dir, realms.FileName), realms.FollowOptions{Log: a.Log, Clock: a.Clock})
}

// Cluster loads what all servers of the cluster agree on from the server's swift_dir, and with rings its rings: proxies
// and daemons use them, storage nodes are told where to go.
func (s *Setup) Cluster(rings bool, log *slog.Logger, c clock.Clock) (*swiftconf.Cluster, *Rings, error) {
	cluster, err := swiftconf.Load(s.Server.SwiftDir)
	if s.Kind == Gateway && errors.Is(err, fs.ErrNotExist) {
		return swiftconf.Default(), nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := cluster.Policies.Supported(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", cluster.Path, err)
	}
	if !rings {
		return cluster, nil, nil
	}
	r, err := LoadRings(filepath.Clean(s.Server.SwiftDir), cluster.Policies, log, c)
	return cluster, r, err
}

// ConnTimeout is the conn_timeout of the server's app, 0 if it has none.
func (s *Setup) ConnTimeout() time.Duration {
	app := s.Plan.Entries[len(s.Plan.Entries)-1]
	for _, o := range app.Report.Options {
		if o.Key == "conn_timeout" {
			var d config.Duration
			if d.UnmarshalText([]byte(o.Value)) == nil {
				return d.Duration
			}
		}
	}
	return 0
}

// Build makes the server: its pipeline, behind the bounds on a request's head.
func (s *Setup) Build(a Around) (*Server, error) {
	*s.around = a
	stats, err := statsd.New(s.Server.StatsConfig, statsd.Options{Logger: a.Log})
	if err != nil {
		return nil, err
	}
	p, err := s.Plan.Build(middleware.Host{
		Version: a.Version, Log: a.Log, Clock: a.Clock, Dir: a.Dir, Cluster: a.Cluster, Metrics: a.Metrics, Gather: a.Metrics, Stats: stats,
	})
	if err != nil {
		return nil, errors.Join(err, stats.Close())
	}
	return &Server{Handler: serve.Bound(a.Cluster.Limits, p), pipeline: p, stats: stats}, nil
}

// A Server is a built server. Close it when it has no request any more.
type Server struct {
	http.Handler
	pipeline *pipeline.Pipeline
	stats    *statsd.Client
}

// Info is what /info shows.
func (s *Server) Info() middleware.Infos { return s.pipeline.Info() }

// Close closes the pipeline's members.
func (s *Server) Close() error { return errors.Join(s.pipeline.Close(), s.stats.Close()) }
