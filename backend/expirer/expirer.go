// Package expirer deletes objects whose time is over. It reads the queue that the object servers keep as a hidden
// account: a container for each day or so, in it a row "<time>-<account>/<container>/<object>" for each object.
//
// An object is deleted through a proxy pipeline in this process, on condition that it still expires at that very time
// (X-If-Delete-At). Rows of type application/async-deleted are jobs of bulk deletes; their objects are deleted
// unconditionally. When an object is dealt with, its row is deleted directly on the container servers, because it is a
// row without an object.
//
// # Invariants
//
//   - A row goes only when its object was deleted, or was found to be newer (409), or has for reclaim_age been missing
//     (404) or not to expire at that time (412).
//   - Of several expirers that divide the queue among them (processes, process) exactly one takes each row.
//   - Objects of an account or container with a delay stay for that much longer; asynchronous deletes do not wait.
//
// # Non-goals
//
// The pipeline is made by the owner, without auth filters; it must let X-Backend headers in. Filling the queue is the
// object servers' and the proxy's.
//
//	[object-expirer]
//	interval = 300
//	dequeue_from_legacy = true
//	tasks_per_second = 50
//	delay_reaping_AUTH_test = 86400
//	"delay_reaping_AUTH_test/important%20things" = 604800
package expirer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/daemon/direct"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/ring"
)

// Name is the daemon's name and that of its section.
const Name = "object-expirer"

// rowTimeout is how long a container server may take to delete a row, as in Swift.
const rowTimeout = 15 * time.Second

// Config is the section [object-expirer] of an object server's file or of a file of its own.
type Config struct {
	daemon.Config
	// Take tasks from the queue. At least one expirer of the cluster must.
	DequeueFromLegacy bool `toml:"dequeue_from_legacy"`
	// Objects that are being deleted at a time.
	Concurrency int `toml:"concurrency"`
	// Objects deleted a second. 0: any number.
	TasksPerSecond float64 `toml:"tasks_per_second"`
	// How often a request is tried if the cluster has trouble.
	RequestTries int `toml:"request_tries"`
	// How many expirers divide the queue among them; 0: this one takes all of it.
	Processes int `toml:"processes"`
	// Which of them this one is, counting from 0.
	Process int `toml:"process"`
	// Seconds after which a task whose object cannot be found is given up.
	ReclaimAge config.Duration `toml:"reclaim_age"`
	// Tasks that are held in memory to take containers in turn.
	RoundRobinTaskCacheSize int `toml:"round_robin_task_cache_size"`
	// Seconds that expired objects of an account, or of "account/container", are kept on. Names are percent-quoted.
	DelayReaping map[string]config.Duration `toml:"delay_reaping_*"`
	// The queue's account without its prefix.
	AccountName string `toml:"expiring_objects_account_name"`
}

// Defaults are Swift's.
func Defaults() Config {
	return Config{
		Config: daemon.Defaults(), Concurrency: 1, TasksPerSecond: 50, RequestTries: 3, ReclaimAge: config.Seconds(604800),
		RoundRobinTaskCacheSize: 100000, AccountName: "expiring_objects",
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
	least("request_tries", c.RequestTries, 1)
	least("processes", c.Processes, 0)
	least("process", c.Process, 0)
	least("round_robin_task_cache_size", c.RoundRobinTaskCacheSize, 1)
	if c.Processes > 0 && c.Process >= c.Processes {
		errs = append(errs, config.Invalid("process", "must be less than processes, which is %d; have %d", c.Processes, c.Process))
	}
	if rate := c.TasksPerSecond; !(rate >= 0) || math.IsInf(rate, 0) {
		errs = append(errs, config.Invalid("tasks_per_second", "want 0 or more, have %v", rate))
	}
	if c.ReclaimAge.Duration < 0 {
		errs = append(errs, config.Invalid("reclaim_age", "want 0 or more seconds, have %v", c.ReclaimAge))
	}
	if c.AccountName == "" || strings.Contains(c.AccountName, "/") {
		errs = append(errs, config.Invalid("expiring_objects_account_name", "want the name of an account, have %q", c.AccountName))
	}
	for name, d := range c.DelayReaping {
		account, container, slash := strings.Cut(name, "/")
		if account == "" || (slash && container == "") || strings.Contains(container, "/") {
			errs = append(errs, config.Invalid("delay_reaping_"+name, "want an account or account/container after delay_reaping_, have %q", name))
		}
		if d.Duration < 0 {
			errs = append(errs, config.Invalid("delay_reaping_"+name, "want 0 or more seconds, have %v", d))
		}
	}
	return errors.Join(errs...)
}

// Deps are what the expirer needs from its process.
type Deps struct {
	// Pipeline is a proxy without auth: it serves listings and deletes objects. Required.
	Pipeline http.Handler
	// Containers is the container ring. Required.
	Containers *ring.Live
	// Hasher finds containers in the ring. Required.
	Hasher hashpath.Hasher
	// AccountPrefix starts the names of hidden accounts: the cluster's auto_create_account_prefix. Default: ".".
	AccountPrefix string
	// Transport reaches container servers. Default: TCP.
	Transport http.RoundTripper
	// Clock tells what is over. Default: the machine's.
	Clock clock.Clock
}

// An Expirer is the task of working off the queue. It is made to run in a daemon.Daemon.
type Expirer struct {
	cfg     Config
	deps    Deps
	account string // the queue's
	client  client
	nodes   direct.Client
	delays  map[string]time.Duration // by decoded "account" or "account/container"
	idle    func()                   // gives up idle connections of the expirer's own
}

var _ daemon.Task = (*Expirer)(nil)

// New returns an expirer.
func New(cfg Config, deps Deps) (*Expirer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Pipeline == nil || deps.Containers == nil {
		return nil, fmt.Errorf("%s: no pipeline or no container ring", Name)
	}
	deps.Clock = cmp.Or(deps.Clock, clock.System)
	agent := Name + " " + strconv.Itoa(os.Getpid())
	e := &Expirer{
		cfg: cfg, account: cmp.Or(deps.AccountPrefix, ".") + cfg.AccountName, idle: func() {},
		client: client{pipeline: deps.Pipeline, agent: agent, tries: cfg.RequestTries},
		delays: make(map[string]time.Duration, len(cfg.DelayReaping)),
	}
	for name, d := range cfg.DelayReaping {
		account, container, slash := strings.Cut(name, "/")
		name = apipath.Unquote(account)
		if slash {
			name += "/" + apipath.Unquote(container)
		}
		e.delays[name] = d.Duration
	}
	if deps.Transport == nil {
		tcp := nodes.NewTCP(nodes.TCPOptions{ConnTimeout: 5 * time.Second})
		deps.Transport, e.idle = tcp, tcp.CloseIdleConnections
	}
	e.deps = deps
	e.nodes = direct.Client{Transport: deps.Transport, Timeout: rowTimeout, UserAgent: agent}
	return e, nil
}

// Options returns what the configuration says of the frame.
func (c *Config) Options(reconFile string) daemon.Options {
	o := c.Config.Options(reconFile)
	o.ScatterWaits = true // as Swift: expirers must not all list the queue at once
	return o
}

// Name returns the daemon's name.
func (e *Expirer) Name() string { return Name }

// The figures of a pass, with Swift's names.
const (
	objects      = "objects"
	errorsFigure = "errors"
)

// Pass works off everything in the queue that is due.
func (e *Expirer) Pass(ctx context.Context, p *daemon.Progress) error {
	defer e.idle()
	if !e.cfg.DequeueFromLegacy {
		p.Log().Info("no tasks are taken from the queue: dequeue_from_legacy is false; at least one expirer of the cluster needs it")
		return nil
	}
	containers, err := e.containers(ctx, p)
	if err != nil {
		return err
	}
	q := &queue{e: e, p: p, containers: containers}
	limits := daemon.Limits{Workers: e.cfg.Concurrency, PerSecond: e.cfg.TasksPerSecond}
	err = daemon.Each(ctx, p, roundRobin(q.tasks(ctx), e.cfg.RoundRobinTaskCacheSize), limits, func(ctx context.Context, t task) {
		if err := e.expire(ctx, p, t); errors.Is(err, errLater) {
			p.Log().Debug("object not found, or not to be expired any more; looking again in the next pass",
				slog.String("account", t.account), slog.String("container", t.container), slog.String("object", t.object))
			return
		} else if err != nil {
			p.Count(errorsFigure, 1)
			p.Log().Error("object not expired", slog.String("account", t.account), slog.String("container", t.container),
				slog.String("object", t.object), slog.Any("err", err))
			return
		}
		p.Count(objects, 1)
	})
	if err = cmp.Or(err, q.err); err != nil {
		return err
	}
	p.Recon(ctx, map[string]any{"object_expiration_pass": p.Elapsed().Seconds(), "expired_last_pass": p.Counted(objects)})
	return nil
}
