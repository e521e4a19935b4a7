// Package objectupdater delivers the container updates that object servers could not: the files that package updates
// keeps (Swift's async_pending), on all devices of a node.
//
// A sweep reads the files of each device, sends each update to all container servers that do not have it yet, at their
// replication addresses, and removes the file once all have it. If only some took it, the file is rewritten with their
// ids. A server that answers with a redirect sends the update on to a shard: the newest redirect is followed once at
// once, else in the next sweep; a redirect to where the update has been before sends it to the root again.
//
// # Invariants
//
//   - A file is removed only when every primary has answered with success, when a newer file of the same object says
//     all that it says, or when it cannot be read; then it is moved to quarantined/objects.
//   - What was sent twice does no harm: rows carry their times.
//   - Files of other programs' making are left alone if their names are none that an update has.
//
// # Non-goals
//
// Updates are not sent to handoffs, and not merged into batches. Of Swift's figures object_updater_sweep is reported; the
// per-device trackers of the oldest updates are not kept.
//
//	[object-updater]
//	interval = 300
//	concurrency = 8
//	objects_per_second = 50
package objectupdater

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/daemon/direct"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/ring"
)

// Name is the daemon's name and that of its section.
const Name = "object-updater"

// Config is the section [object-updater] of an object server's file.
type Config struct {
	daemon.Config
	daemon.Disks
	// Updates that are under way at a time on one device.
	Concurrency int `toml:"concurrency"`
	// Devices that are swept at a time.
	UpdaterWorkers int `toml:"updater_workers"`
	// Updates sent a second from one device. 0: any number.
	ObjectsPerSecond float64 `toml:"objects_per_second"`
	// Updates sent a second to one container from one device; those above are put off to the end of the sweep, or to
	// the next. 0: any number.
	MaxObjectsPerContainerPerSecond float64 `toml:"max_objects_per_container_per_second"`
	// Containers are told apart by this many buckets; those in one bucket share its rate.
	PerContainerRatelimitBuckets int `toml:"per_container_ratelimit_buckets"`
	// Updates that may be put off to the end of a sweep. Those above are left to the next.
	MaxDeferredUpdates int `toml:"max_deferred_updates"`
	// Seconds that a container server may take to answer.
	NodeTimeout config.Duration `toml:"node_timeout"`
	// Seconds that a connection to a container server may take.
	ConnTimeout config.Duration `toml:"conn_timeout"`
}

// Defaults are Swift's.
func Defaults() Config {
	return Config{
		Config: daemon.Defaults(), Disks: daemon.DefaultDisks(), Concurrency: 8, UpdaterWorkers: 1, ObjectsPerSecond: 50,
		PerContainerRatelimitBuckets: 1000, MaxDeferredUpdates: 10000,
		NodeTimeout: config.Seconds(10), ConnTimeout: config.Seconds(0.5),
	}
}

// Validate checks the options.
func (c *Config) Validate() error {
	errs := []error{c.Config.Validate()}
	least := func(key string, have, want int) {
		if have < want {
			errs = append(errs, config.Invalid(key, "want %d or more, have %d", want, have))
		}
	}
	least("concurrency", c.Concurrency, 1)
	least("updater_workers", c.UpdaterWorkers, 1)
	least("per_container_ratelimit_buckets", c.PerContainerRatelimitBuckets, 1)
	least("max_deferred_updates", c.MaxDeferredUpdates, 0)
	for key, rate := range map[string]float64{
		"objects_per_second": c.ObjectsPerSecond, "max_objects_per_container_per_second": c.MaxObjectsPerContainerPerSecond,
	} {
		if !(rate >= 0) || math.IsInf(rate, 0) {
			errs = append(errs, config.Invalid(key, "want 0 or more, have %v", rate))
		}
	}
	for key, d := range map[string]config.Duration{"node_timeout": c.NodeTimeout, "conn_timeout": c.ConnTimeout} {
		if d.Duration <= 0 {
			errs = append(errs, config.Invalid(key, "want more than 0 seconds, have %v", d))
		}
	}
	return errors.Join(errs...)
}

// Deps are what the updater needs from its process.
type Deps struct {
	// FS is where the devices are. Default: the kernel's.
	FS disk.FS
	// Containers is the container ring. Required.
	Containers *ring.Live
	// Hasher finds containers in the ring. Required.
	Hasher hashpath.Hasher
	// Policies are the cluster's; files of others are left alone. Required.
	Policies policy.Set
	// Transport reaches container servers and bounds connecting. Default: TCP with Config.ConnTimeout.
	Transport http.RoundTripper
	// Clock tells how much of the interval is left for updates that were put off. Default: the machine's.
	Clock clock.Clock
}

// An Updater is the task of delivering updates. It is made to run in a daemon.Daemon.
type Updater struct {
	cfg    Config
	deps   Deps
	client direct.Client
	idle   func() // gives up idle connections of the updater's own
}

var _ daemon.Task = (*Updater)(nil)

// New returns an updater.
func New(cfg Config, deps Deps) (*Updater, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Containers == nil {
		return nil, fmt.Errorf("%s: no container ring", Name)
	}
	if deps.FS == nil {
		deps.FS = disk.OS{}
	}
	deps.Clock = cmp.Or(deps.Clock, clock.System)
	u := &Updater{cfg: cfg, idle: func() {}}
	if deps.Transport == nil {
		tcp := nodes.NewTCP(nodes.TCPOptions{ConnTimeout: cfg.ConnTimeout.Duration})
		deps.Transport, u.idle = tcp, tcp.CloseIdleConnections
	}
	u.deps = deps
	u.client = direct.Client{Transport: deps.Transport, Timeout: cfg.NodeTimeout.Duration, UserAgent: fmt.Sprintf("%s %d", Name, os.Getpid())}
	return u, nil
}

// Name returns the daemon's name.
func (u *Updater) Name() string { return Name }

// Pass sweeps all devices once.
func (u *Updater) Pass(ctx context.Context, p *daemon.Progress) error {
	defer u.idle()
	devices, skipped, err := u.cfg.List(u.deps.FS)
	if err != nil {
		return err
	}
	for _, err := range skipped {
		// A disk that is out is part of a cluster's days, not an error.
		p.Log().Warn("device skipped", slog.Any("err", err))
	}
	err = daemon.Each(ctx, p, slices.Values(devices), daemon.Limits{Workers: u.cfg.UpdaterWorkers}, func(ctx context.Context, device string) {
		s := &sweep{u: u, p: p, device: device, root: u.cfg.Devices + "/" + device}
		if err := s.run(ctx); err != nil && !errors.Is(err, daemon.ErrStopped) {
			p.Count(errorsFigure, 1)
			p.Log().Error("sweep failed", slog.String("device", device), slog.Any("err", err))
		}
	})
	if err == nil && p.Stopped() {
		err = daemon.ErrStopped
	}
	if err == nil {
		p.Recon(ctx, map[string]any{"object_updater_sweep": p.Elapsed().Seconds()})
	}
	return err
}

// deadline is until when updates that were put off may be sent: a sweep is not to last longer than the interval.
func (u *Updater) deadline(p *daemon.Progress) time.Time {
	return p.Started().Add(u.cfg.Interval.Duration)
}

// The figures of a sweep, with Swift's names.
const (
	successes    = "successes"
	failures     = "failures"
	quarantines  = "quarantines"
	unlinks      = "unlinks"
	errorsFigure = "errors"
	redirects    = "redirects"
	skips        = "skips"
	deferrals    = "deferrals"
	drains       = "drains"
)
