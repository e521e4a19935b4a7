// Package embed is the S3 gateway for a program in Go: what `apus gateway -c FILE` serves, as an http.Handler, with functions of the
// program's own that decide about secrets, credentials and rights:
//
//	g, err := embed.Open("s3-gateway.toml", map[string]callable.Functions{"vault": {Secret: vault.Secret}}, slog.Default())
//	if err != nil {
//		return err
//	}
//	defer g.Close()
//	return http.ListenAndServe(":9000", g)
//
// In the file a table says which functions are meant, and who is asked about with them:
//
//	[filter.s3gateway.callable.members]
//	go = "vault"
//
//	[filter.s3gateway.identity.members]
//	callable = "members"
//	rights = ["read", "list"]
//
// Invariants:
//
//   - The file means what it means to `apus gateway`, but for where and how to listen, how many processors to use and where to log:
//     that is the program's own matter, so those options of [DEFAULT] do nothing, and bind_port may be missing.
//   - Functions are asked through the cache and the limits of their table (see package callable); a panic in one is a failed answer.
//   - Several gateways may be open in one program. They share nothing, but a directory of the read cache is used by one at a time.
//
// Non-goals: whole clusters, and filters of the program's own.
package embed

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/middleware/s3gateway"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// A Gateway answers requests. It is for many goroutines.
type Gateway struct {
	server *assembly.Server
}

// Open makes the gateway of the file at path. The functions are those that the file names with go; nil for none. A nil log is for
// nobody. Nothing listens; Close must be called.
func Open(path string, functions map[string]callable.Functions, log *slog.Logger) (*Gateway, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	setup, err := assembly.Read(path, assembly.Gateway, s3gateway.With(functions))
	if err != nil {
		return nil, err
	}
	cluster, _, err := setup.Cluster(false, log, clock.System)
	if err != nil {
		return nil, err
	}
	server, err := setup.Build(assembly.Around{
		Log: log, Clock: clock.System, FS: disk.OS{}, Dir: setup.Server.SwiftDir, Cluster: cluster, Metrics: prometheus.NewRegistry(), Version: "embedded",
	})
	if err != nil {
		return nil, err
	}
	return &Gateway{server}, nil
}

// ServeHTTP answers a request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.server.ServeHTTP(w, r) }

// Close ends what goes on in the background. It is called when there is no request any more.
func (g *Gateway) Close() error { return g.server.Close() }
