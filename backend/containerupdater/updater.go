// Package containerupdater tells accounts what their containers hold: it walks the container databases on all devices of
// a node and reports those whose times or counts have changed since the last report.
//
// A report goes to all account servers of the account, at their replication addresses. Once a majority has taken it the
// database remembers what was reported. If they fail, the account is left alone for a while: its other containers would
// fail as well. If every account server says that there is no such account, the container belongs to nobody and its
// database is quarantined.
//
// # Invariants
//
//   - What a database remembers as reported has been taken by a majority of the account's replicas.
//
//   - A shard reports no objects of its own: they are counted by its root.
//
//   - A database that was made by a request for something else (put time 0) is not reported: it knows nothing.
//
//   - Nothing is quarantined unless every primary has answered 404 to this very report.
//
//     [container-updater]
//     interval = 300
//     concurrency = 4
//     containers_per_second = 50
package containerupdater

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"time"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/daemon/direct"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/ring"
)

// Name is the daemon's name and that of its section.
const Name = "container-updater"

// Config is the section [container-updater] of a container server's file.
type Config struct {
	daemon.Config
	daemon.Disks
	// Databases that are looked at at a time.
	Concurrency int `toml:"concurrency"`
	// Databases looked at a second, by all together. 0: any number.
	ContainersPerSecond float64 `toml:"containers_per_second"`
	// Seconds that an account server may take to answer.
	NodeTimeout config.Duration `toml:"node_timeout"`
	// Seconds that a connection to an account server may take.
	ConnTimeout config.Duration `toml:"conn_timeout"`
	// Seconds that an account is left alone after its servers failed to take a report.
	AccountSuppressionTime config.Duration `toml:"account_suppression_time"`
}

// Defaults are Swift's.
func Defaults() Config {
	return Config{
		Config: daemon.Defaults(), Disks: daemon.DefaultDisks(), Concurrency: 4, ContainersPerSecond: 50,
		NodeTimeout: config.Seconds(3), ConnTimeout: config.Seconds(0.5), AccountSuppressionTime: config.Seconds(60),
	}
}

// Validate checks the options.
func (c *Config) Validate() error {
	errs := []error{c.Config.Validate()}
	if c.Concurrency < 1 {
		errs = append(errs, config.Invalid("concurrency", "want 1 or more, have %d", c.Concurrency))
	}
	if rate := c.ContainersPerSecond; !(rate >= 0) || math.IsInf(rate, 0) {
		errs = append(errs, config.Invalid("containers_per_second", "want 0 or more, have %v", rate))
	}
	for key, d := range map[string]config.Duration{"node_timeout": c.NodeTimeout, "conn_timeout": c.ConnTimeout} {
		if d.Duration <= 0 {
			errs = append(errs, config.Invalid(key, "want more than 0 seconds, have %v", d))
		}
	}
	if c.AccountSuppressionTime.Duration < 0 {
		errs = append(errs, config.Invalid("account_suppression_time", "want 0 or more seconds, have %v", c.AccountSuppressionTime))
	}
	return errors.Join(errs...)
}

// Deps are what the updater needs from its process.
type Deps struct {
	// Databases are where containers are. In a process that also serves them it must be the server's: SQLite's locks do
	// not keep two pools of one process apart. Required.
	Databases *broker.Pool
	// Accounts is the account ring. Required.
	Accounts *ring.Live
	// Hasher finds accounts in the ring. Required.
	Hasher hashpath.Hasher
	// Transport reaches account servers and bounds connecting. Default: TCP with Config.ConnTimeout.
	Transport http.RoundTripper
	// Clock tells when an account has been left alone for long enough. Default: the machine's.
	Clock clock.Clock
}

// An Updater is the task of reporting containers. It is made to run in a daemon.Daemon.
type Updater struct {
	cfg        Config
	deps       Deps
	client     direct.Client
	suppressed suppressions
	idle       func() // gives up idle connections of the updater's own
}

var _ daemon.Task = (*Updater)(nil)

// New returns an updater.
func New(cfg Config, deps Deps) (*Updater, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Databases == nil || deps.Accounts == nil {
		return nil, fmt.Errorf("%s: no databases or no account ring", Name)
	}
	deps.Clock = cmp.Or(deps.Clock, clock.System)
	u := &Updater{cfg: cfg, idle: func() {}, suppressed: suppressions{until: map[string]time.Time{}}}
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

// The figures of a sweep, with Swift's names.
const (
	successes    = "successes"
	failures     = "failures"
	noChanges    = "no_changes"
	quarantines  = "quarantines"
	suppressed   = "suppressed"
	errorsFigure = "errors"
)

// Pass looks at all databases once.
func (u *Updater) Pass(ctx context.Context, p *daemon.Progress) error {
	defer u.idle()
	devices, skipped, err := u.cfg.List(disk.OS{})
	if err != nil {
		return err
	}
	for _, err := range skipped {
		p.Log().Warn("device skipped", slog.Any("err", err))
	}
	u.suppressed.forget(u.deps.Clock.Now())
	w := walk{p: p, root: u.cfg.Devices}
	limits := daemon.Limits{Workers: u.cfg.Concurrency, PerSecond: u.cfg.ContainersPerSecond}
	err = daemon.Each(ctx, p, w.databases(devices), limits, func(ctx context.Context, at broker.Place) {
		if err := u.report(ctx, p, at); err != nil {
			p.Count(errorsFigure, 1)
			p.Log().Error("container not looked at", slog.String("device", at.Device), slog.String("partition", at.Partition),
				slog.String("hash", at.Hash), slog.Any("err", err))
		}
	})
	if err == nil {
		p.Recon(ctx, map[string]any{"container_updater_sweep": p.Elapsed().Seconds()})
	}
	return err
}
