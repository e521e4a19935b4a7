// Package container is the container server of a storage node: it answers what proxies, object servers and daemons of
// OpenStack Swift 2.38 ask a container server, from databases in Swift's format.
//
// It is stateless but for the open databases, and any number of them, and of Swift's own, may work on the same devices.
// Requests come from inside the cluster only: there is no authentication, as in Swift, so it must not be reachable from
// outside.
//
// It does not replicate yet (REPLICATE is answered 501) and does not shard, but it serves containers that are being or
// have been sharded by Swift's sharder.
//
//	server, err := container.New(container.DefaultConfig(), container.Deps{Deps: deps})
//	http.ListenAndServe(":6201", server)
//
// Configuration, in the section of the server:
//
//	[app.container-server]
//	devices = "/srv/node"
//	node_timeout = 3
package container

import (
	"strings"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/realms"
)

// Config is the configuration of a container server.
type Config struct {
	dbserver.Config
	// Seconds that an account server may take to answer an update.
	NodeTimeout config.Duration `toml:"node_timeout"`
	// Store X-Versions-Location, for the deprecated versioned_writes.
	AllowVersions bool `toml:"allow_versions"`
	// Hosts that X-Container-Sync-To may name in a full URL.
	AllowedSyncHosts config.List `toml:"allowed_sync_hosts"`
}

// DefaultConfig returns Swift's defaults.
func DefaultConfig() Config {
	return Config{Config: dbserver.Default(), NodeTimeout: config.Seconds(3), AllowedSyncHosts: config.List{"127.0.0.1"}}
}

// Validate refuses values that cannot work.
func (c *Config) Validate() error {
	if c.NodeTimeout.Duration <= 0 {
		return config.Invalid("node_timeout", "must be more than 0 seconds, have %s", c.NodeTimeout)
	}
	return nil
}

// Deps is what a container server is given by the owner of the process.
type Deps struct {
	dbserver.Deps
	// Realms are the clusters that containers may be synchronised with; nil means none.
	Realms *realms.Realms
}

// Server is a container server. It is an http.Handler, safe for concurrent use.
type Server struct {
	dbserver.Frame
	config Config
	deps   Deps
}

// New makes a container server.
func New(c Config, d Deps) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	s := &Server{config: c, deps: d}
	s.Frame = dbserver.Frame{Config: c.Config, Deps: d.Deps, Least: apipath.LevelContainer}
	s.Verbs = map[string]dbserver.Verb{
		"PUT":    {Serve: s.put, Most: apipath.LevelObject, Timed: true, Writing: true},
		"POST":   {Serve: s.post, Most: apipath.LevelContainer, Timed: true, Writing: true},
		"DELETE": {Serve: s.delete, Most: apipath.LevelObject, Timed: true},
		"UPDATE": {Serve: s.update, Most: apipath.LevelContainer, Timed: true, Writing: true},
		"GET":    {Serve: s.get, Most: apipath.LevelContainer},
		"HEAD":   {Serve: s.head, Most: apipath.LevelContainer},
	}
	s.AddCommon()
	return s, nil
}

// Close releases what the server holds. It does no work of its own in the background, so there is nothing to wait for;
// requests in progress are the HTTP server's to drain.
func (s *Server) Close() error { return nil }

// broker returns the broker of the container that a request is about.
func (s *Server) broker(c *dbserver.Call) *broker.Container {
	sum := s.deps.Hasher.Sum(c.Path.Account, c.Path.Container)
	return s.deps.Brokers.Container(s.Place(c, sum), c.Path.Account, c.Path.Container)
}

// shardsPrefix starts the accounts that shards live in. Unlike other accounts of the cluster's own they are never
// created by the way: a shard that is not there must not swallow rows.
const shardsPrefix = ".shards_"

// autoCreates reports whether a missing container is to be made for a row.
func (s *Server) autoCreates(c *dbserver.Call) bool {
	if c.Header.Get("X-Backend-Auto-Create") != "" {
		return c.Flag("X-Backend-Auto-Create")
	}
	a := c.Path.Account
	return strings.HasPrefix(a, s.deps.Limits.AutoCreateAccountPrefix) && !strings.HasPrefix(a, shardsPrefix)
}
