package assembly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/backend/account"
	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/container"
	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/s3api"
)

// EmbeddedOptions say what cluster is run in one process.
type EmbeddedOptions struct {
	// Data is the directory that holds everything: etc (what would be /etc/swift) and devices.
	Data string
	// Devices and Replicas are for a new data directory; 0 means one. An existing one keeps what it was made with, and
	// other numbers are an error.
	Devices, Replicas int
	// Policies names the storage policies of a new data directory, all replicated, the first the default; none means one,
	// Policy-0. An existing one keeps its own, and others are an error.
	Policies []string
	// Config is the proxy's file; empty means the data directory's own etc/proxy-server.toml.
	Config string
	// NoDaemons leaves out the background work: nothing happens but what is asked for.
	NoDaemons bool

	Log     *slog.Logger
	Clock   clock.Clock
	FS      disk.FS
	Version string
}

// Embedded is a whole cluster in one process: proxy, nodes and daemons on one data directory, with the nodes reached
// directly.
type Embedded struct {
	// Setup is the proxy's file, for its own options.
	Setup *Setup
	// Proxy is the handler for clients.
	Proxy *Server
	// Direct is the transport by which the proxy reaches the nodes; tests put faults there.
	Direct *nodes.Direct

	data    string
	lock    *os.File
	closers []func() error
	log     *slog.Logger
}

// OpenEmbedded makes the data directory if need be and starts the cluster on it. The directory is locked: a second process
// is refused.
func OpenEmbedded(o EmbeddedOptions) (_ *Embedded, err error) {
	e := &Embedded{data: o.Data, log: o.Log, Direct: nodes.NewDirect(nil)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.lock, err = lockData(o.Data); err != nil {
		return nil, err
	}
	e.closers = append(e.closers, e.lock.Close)
	if err := initData(o); err != nil {
		return nil, fmt.Errorf("prepare data directory %s: %w", o.Data, err)
	}
	if err := os.MkdirAll(filepath.Join(o.Data, "recon"), 0o755); err != nil {
		return nil, err
	}
	etc := filepath.Join(o.Data, "etc")
	path := o.Config
	if path == "" {
		path = filepath.Join(etc, "proxy-server.toml")
	}
	if e.Setup, err = Read(path, Proxy); err != nil {
		return nil, err
	}
	// The cluster is the data directory's: another one in the file would be read and not used.
	for _, opt := range e.Setup.Plan.Default.Options {
		if opt.Key == "swift_dir" && opt.Source != "default" {
			return nil, e.Setup.Plan.File.Errorf([]string{"DEFAULT", "swift_dir"},
				"the cluster's files are those in %s when everything runs in one process; take the key out", etc)
		}
	}
	cluster, err := swiftconf.Load(etc)
	if err != nil {
		return nil, err
	}
	rings, err := LoadRings(etc, cluster.Policies, o.Log, o.Clock)
	if err != nil {
		return nil, err
	}
	around := Around{
		Log: o.Log, Clock: o.Clock, FS: o.FS, Transport: e.Direct, Dir: etc, Cluster: cluster, Rings: rings,
		Metrics: prometheus.NewRegistry(), Version: o.Version,
	}
	if err := e.startNodes(around, o.NoDaemons); err != nil {
		return nil, err
	}
	if e.Proxy, err = e.Setup.Build(around); err != nil {
		return nil, err
	}
	e.closers = append(e.closers, e.Proxy.Close)
	return e, nil
}

// startNodes makes the three storage servers, each for all devices, with their daemons, and puts them where the rings say
// they are.
func (e *Embedded) startNodes(a Around, noDaemons bool) error {
	devices := filepath.Join(e.data, "devices")
	host := middleware.Host{Log: a.Log, Clock: a.Clock, Cluster: a.Cluster}
	deps, closePool := a.database(host)
	e.closers = append(e.closers, closePool)

	ac := account.DefaultConfig()
	ac.Devices, ac.MountCheck, ac.LogRequests = devices, false, false
	accounts, err := account.New(ac, deps)
	if err != nil {
		return err
	}
	e.closers = append(e.closers, accounts.Close)
	cc := container.DefaultConfig()
	cc.Devices, cc.MountCheck, cc.LogRequests = devices, false, false
	rs, err := a.realms(a.Dir)
	if err != nil {
		return err
	}
	containers, err := container.New(cc, container.Deps{Deps: deps, Realms: rs})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, containers.Close)
	oc := object.DefaultConfig()
	oc.Devices, oc.MountCheck, oc.LogRequests = devices, false, false
	// Nearly all objects are read with a token here. On a node of a large cluster those would only push others out of the
	// system's memory; here they are what is asked for again.
	oc.KeepCachePrivate = true
	objects, err := object.New(oc, object.Deps{
		Cluster: a.Cluster, Logger: a.Log, Clock: a.Clock,
		FS: a.FS, Transport: a.Transport, Version: a.Version,
	})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, objects.Close)
	if !noDaemons {
		if err := e.startDaemons(a, deps.Brokers); err != nil {
			return err
		}
	}
	for port, h := range map[string]http.Handler{accountPort: accounts, containerPort: containers, objectPort: objects} {
		e.Direct.Handle(net.JoinHostPort(nodeIP, port), h)
	}
	return nil
}

// embeddedInterval is how often daemons look for something to do. What they walk is small and close.
var embeddedInterval = config.Seconds(5)

// startDaemons starts the background work.
func (e *Embedded) startDaemons(a Around, pool *broker.Pool) error {
	c := defaultDaemons()
	devices := filepath.Join(e.data, "devices")
	for _, d := range []*daemon.Disks{&c.ContainerUpdater.Disks, &c.ObjectUpdater.Disks} {
		d.Devices, d.MountCheck = devices, false
	}
	c.ObjectExpirer.DequeueFromLegacy = true
	for _, d := range []*daemon.Config{&c.ContainerUpdater.Config, &c.ObjectUpdater.Config, &c.ObjectExpirer.Config} {
		d.Interval, d.ReconCachePath = embeddedInterval, filepath.Join(e.data, "recon")
	}
	a.Log = quiet(a.Log) // a line each time nothing was done would be all that the log says
	inner, err := e.Setup.internal(a)
	if err != nil {
		return err
	}
	e.closers = append(e.closers, inner.Close)
	cu, err1 := containerUpdater(c.ContainerUpdater, a, pool)
	ou, err2 := objectUpdater(c.ObjectUpdater, a)
	ex, err3 := objectExpirer(c.ObjectExpirer, a, inner)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, d := range []*daemon.Daemon{cu, ou, ex} {
		all.Go(func() { d.Run(ctx) })
	}
	e.closers = append(e.closers, func() error {
		stop()
		all.Wait()
		return nil
	})
	return nil
}

// Close stops everything, last started first.
func (e *Embedded) Close() error {
	var errs []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	e.closers = nil
	return errors.Join(errs...)
}

// Serve serves clients on l until ctx is done.
func (e *Embedded) Serve(ctx context.Context, l net.Listener) error {
	return e.Setup.Server.Run(ctx, l, e.Proxy, e.log)
}

// lockData makes the data directory and takes its lock, which ends with the process.
func lockData(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data directory %s is in use by another process", dir)
	}
	return f, nil
}

// Users returns the tempauth users of the proxy's file, for whoever wants to tell an operator how to log in.
func (e *Embedded) Users() map[string]string {
	var c struct {
		Users map[string]string `toml:"user_*"`
	}
	s, _ := e.Setup.Plan.File.Section("filter", "tempauth")
	s.Decode(&c, config.Section{}, s.Keys()...) // only the users are wanted; pipeline.Read has checked the rest
	return c.Users
}

// S3 tells whether the S3 API is served, and which region requests must be signed for.
func (e *Embedded) S3() (region string, served bool) {
	for _, entry := range e.Setup.Plan.Entries {
		if entry.Definition != s3api.Filter {
			continue
		}
		c, ok := entry.Definition.Defaults().(s3api.Config)
		s, _ := e.Setup.Plan.File.Section("filter", entry.Section)
		shared, _ := e.Setup.Plan.File.Section("DEFAULT")
		_, err := s.Decode(&c, shared, "use")
		return c.Location, ok && err == nil
	}
	return "", false
}
