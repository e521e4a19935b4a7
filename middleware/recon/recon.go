// Package recon is the filter of storage nodes that tells operators how the node and its daemons are doing:
//
//	[filter.recon]
//	recon_cache_path = "/var/cache/swift"
//
// GET /recon/{check}, or /recon/{check}/{account|container|object}, is answered with JSON, as swift-recon and monitoring
// systems expect it: what the daemons left in the recon files, the kernel's figures, which devices are there and mounted,
// the sums of ring files. A check that does not exist is 404, one that fails is 500.
//
// Nobody is asked for credentials. The filter belongs on storage nodes, whose network is the cluster's own, to the right
// of healthcheck and to the left of the server.
//
// Values that nobody has measured are null: a file that does not exist, or cannot be read, is not an error.
package recon

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/clock"
	files "github.com/apus-storage/apus/internal/recon"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("recon", Config{Devices: "/srv/node", ReconCachePath: files.DefaultDir}, build)

// Config is the section of the filter.
type Config struct {
	// Where daemons leave their figures.
	ReconCachePath string `toml:"recon_cache_path"`
	// The directory that holds the devices.
	Devices string `toml:"devices"`
	// Where the rings are. Empty: where the server has them from.
	SwiftDir string `toml:"swift_dir"`
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	if c.SwiftDir == "" {
		c.SwiftDir = host.Dir
	}
	n := node{config: c, version: host.Version, proc: "/proc", clusterFile: host.Cluster.Path, clock: host.Clock, log: host.Log}
	for _, name := range []string{"account", "container"} {
		n.rings = append(n.rings, filepath.Join(c.SwiftDir, name+".ring.gz"))
	}
	for _, p := range host.Cluster.Policies.All() {
		n.rings = append(n.rings, filepath.Join(c.SwiftDir, p.Index.RingName()+".ring.gz"))
	}
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return &filter{n, next} }}, nil
}

type filter struct {
	node
	next http.Handler
}

const prefix = "/recon/"

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok {
		f.next.ServeHTTP(w, r)
		return
	}
	name, kind, typed := strings.Cut(rest, "/")
	check := f.check(name, kind, typed)
	if check == nil {
		reply.Write(w, r, &reply.Error{Code: http.StatusNotFound, Type: "text/plain", Body: "Invalid path: " + apipath.Quote(r.URL.Path)})
		return
	}
	value, err := check()
	var body []byte
	if err == nil {
		body, err = cache.EncodeJSON(value) // as Python writes it
	}
	if err != nil {
		f.log.Error("check failed", "txn", request.From(r.Context()).TransID, "path", r.URL.Path, "err", err)
		reply.Write(w, r, &reply.Error{Code: http.StatusInternalServerError, Type: "text/plain", Body: "Internal server error."})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
}

// node is what is looked at.
type node struct {
	version     string
	config      Config
	proc        string   // /proc
	clusterFile string   // swift.toml or swift.conf
	rings       []string // files
	clock       clock.Clock
	log         *slog.Logger
}

// A check finds something out. Its value is shown as JSON.
type check func() (any, error)

// check returns the check of a name, nil if there is none. Most do not look at the type.
func (n *node) check(name, kind string, typed bool) check {
	switch name {
	case "mem":
		return n.mem
	case "load":
		return n.load
	case "mounted":
		return n.mounted
	case "sockstat":
		return n.sockets
	case "time":
		return func() (any, error) { return cache.Float(float64(n.clock.Now().UnixMicro()) / 1e6), nil }
	case "version":
		return func() (any, error) { return map[string]any{"version": n.version}, nil }
	case "devices":
		return n.devices
	case "unmounted":
		return n.unmounted
	case "diskusage":
		return n.diskUsage
	case "ringmd5":
		return n.ringSums
	case "swiftconfmd5":
		return n.clusterSum
	case "quarantined":
		return n.quarantined
	}
	return n.reported(name, kind, typed)
}

// reported returns the check of what a daemon has left in a recon file.
func (n *node) reported(name, kind string, typed bool) check {
	replication := []string{"replication_time", "replication_stats", "replication_last"}
	switch name + "/" + kind {
	case "replication/account":
		return n.from(files.AccountFile, replication...)
	case "replication/container":
		return n.from(files.ContainerFile, replication...)
	case "replication/", "replication/object":
		if typed && kind == "" {
			return nil
		}
		return n.from(files.ObjectFile, append(replication, "object_replication_time", "object_replication_last")...)
	case "reconstruction/object":
		return n.from(files.ObjectFile, "object_reconstruction_last", "object_reconstruction_time")
	case "updater/container":
		return n.from(files.ContainerFile, "container_updater_sweep")
	case "updater/object":
		return n.from(files.ObjectFile, "object_updater_sweep", "object_updater_stats", "object_updater_last")
	case "auditor/account", "auditor/container":
		return n.from(kind+".recon", kind+"_audits_passed", kind+"_auditor_pass_completed", kind+"_audits_since", kind+"_audits_failed")
	case "auditor/object":
		return n.from(files.ObjectFile, "object_auditor_stats_ALL", "object_auditor_stats_ZBF")
	case "expirer/object":
		return n.from(files.ObjectFile, "object_expiration_pass", "expired_last_pass")
	}
	switch name {
	case "async":
		return n.from(files.ObjectFile, "async_pending", "async_pending_last")
	case "sharding":
		return n.from(files.ContainerFile, "sharding_stats", "sharding_time", "sharding_last")
	case "relinker":
		return n.from(files.RelinkerFile, "devices", "workers")
	case "driveaudit":
		return n.from(files.DriveFile, "drive_audit_errors")
	}
	return nil
}

// from shows some keys of a recon file; what is not there, or cannot be read, is null.
func (n *node) from(file string, keys ...string) check {
	return func() (any, error) {
		all, err := files.File(filepath.Join(n.config.ReconCachePath, file)).Load()
		if err != nil {
			n.log.Error("recon file cannot be read, its figures are shown as unknown", "file", file, "err", err)
		}
		shown := map[string]any{}
		for _, k := range keys {
			shown[k] = all[k]
		}
		return shown, nil
	}
}

// read reads a file of the kernel's.
func (n *node) read(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(n.proc, name))
	return string(data), err
}
