// Package daemon is the frame of every background pass: updaters, auditors, replicators, the expirer.
//
// A [Task] knows how to make one pass over its work. The frame, a [Daemon], does what is the same for all: it makes
// passes at an interval ([Daemon.Run]) or a single one ([Daemon.Once]), keeps the figures of a pass as metrics and in one
// line of the log for each period, writes the recon file, and stops cleanly. [Each] gives a pass workers and a rate.
//
// # Invariants
//
//   - A daemon is stopped between items: when Run's context is done no new item is begun, those under way may finish
//     for StopTimeout, and only then their context is cancelled.
//   - A pass that fails or panics ends that pass, not the daemon.
//   - A pass that was stopped before its end reports nothing to the recon file unless the task does so itself.
//
// # Non-goals
//
// The frame forks no processes and drops no privileges; what Swift does with processes is done with goroutines. Which
// daemons a process runs is decided by its owner.
//
// # Example
//
//	type sweeper struct{ ... }
//
//	func (s *sweeper) Name() string { return "object-updater" }
//
//	func (s *sweeper) Pass(ctx context.Context, p *daemon.Progress) error {
//		err := daemon.Each(ctx, p, s.items(), daemon.Limits{Workers: 8, PerSecond: 50}, func(ctx context.Context, i item) {
//			s.deliver(ctx, i)
//			p.Count("successes", 1)
//		})
//		p.Recon(ctx, map[string]any{"object_updater_sweep": p.Elapsed().Seconds()})
//		return err
//	}
//
//	d, err := daemon.New(&sweeper{}, daemon.Options{Interval: 5 * time.Minute, Metrics: registry})
//	err = d.Run(ctx)
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/recon"
)

// retryWait is the least time between a pass that failed and the next.
const retryWait = time.Second

// ErrStopped is what a pass returns that was stopped before its end.
var ErrStopped = errors.New("stopped before the end of the pass")

// A Task is the work of one daemon.
type Task interface {
	// Name is the daemon's, as in the configuration: "object-updater".
	Name() string
	// Pass does everything that is to be done now. It returns ErrStopped, wrapped or not, if it left something undone
	// because p.Stopping was closed. ctx is done only when the time for stopping is up as well.
	Pass(ctx context.Context, p *Progress) error
}

// Options are what a Daemon needs. The zero value of a field means its default.
type Options struct {
	// Interval is the time from the start of one pass to the start of the next. A pass that takes longer is followed
	// at once by the next, or after a second if it failed.
	Interval time.Duration
	// ScatterWaits makes the wait after a pass a random part of what is left of Interval. The wait before the first
	// pass is always a random part of it.
	ScatterWaits bool
	// ReportInterval is the time between two lines about a pass under way. Default: 5 minutes.
	ReportInterval time.Duration
	// StopTimeout is how long items under way may take to finish when the daemon stops. Default: 30 seconds.
	StopTimeout time.Duration
	// Recon is where Progress.Recon writes; none if empty.
	Recon recon.File
	// Log is for what the operator should know. Default: slog.Default().
	Log *slog.Logger
	// Clock tells the time of passes. Waiting is done by the runtime's timers. Default: the machine's.
	Clock clock.Clock
	// Metrics is where the figures are registered; several daemons may share it. Default: nowhere.
	Metrics prometheus.Registerer
	// Random returns numbers from 0 up to 1. Default: math/rand's.
	Random func() float64
}

// A Daemon makes the passes of a task.
type Daemon struct {
	task    Task
	o       Options
	metrics *metrics
}

// New returns the daemon for a task. It fails if the metrics cannot be registered.
func New(task Task, o Options) (*Daemon, error) {
	if o.ReportInterval <= 0 {
		o.ReportInterval = 5 * time.Minute
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	o.Log = o.Log.With(slog.String("daemon", task.Name()))
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("daemon %s: %w", task.Name(), err)
	}
	return &Daemon{task: task, o: o, metrics: m}, nil
}

// Name returns the task's name.
func (d *Daemon) Name() string { return d.task.Name() }

// Run makes passes until ctx is done. The first one comes after a random part of the interval, so that the nodes of a
// cluster that was started at once do not work in step. It returns nil; what passes fail with is logged.
func (d *Daemon) Run(ctx context.Context) error {
	if !sleep(ctx, d.scatter(d.o.Interval)) {
		return nil
	}
	for ctx.Err() == nil {
		begin := d.o.Clock.Now()
		err := d.pass(ctx) // pass has logged it; the next one may do better
		left := d.o.Interval - d.o.Clock.Now().Sub(begin)
		if d.o.ScatterWaits {
			left = d.scatter(left)
		}
		if err != nil {
			// What fails at once, without an interval, must not fill the log and a processor.
			left = max(left, retryWait)
		}
		sleep(ctx, left)
	}
	return nil
}

// Once makes one pass, at once, and returns its error.
func (d *Daemon) Once(ctx context.Context) error { return d.pass(ctx) }

func (d *Daemon) scatter(wait time.Duration) time.Duration {
	return time.Duration(d.o.Random() * float64(max(wait, 0)))
}

// pass makes one pass and tells of it.
func (d *Daemon) pass(stop context.Context) error {
	ctx, release := d.outlive(stop)
	defer release()
	p := &Progress{daemon: d, started: d.o.Clock.Now(), stop: stop.Done(), counts: map[string]int64{}}
	d.o.Log.Info("pass begins")
	ended, reported := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(reported)
		p.reportUntil(ended)
	}()
	err := d.guarded(ctx, p)
	close(ended)
	<-reported
	d.metrics.pass(d.Name(), p, d.o.Clock.Now(), err)
	switch {
	case err == nil:
		d.o.Log.Info("pass completed", p.attrs()...)
	case errors.Is(err, ErrStopped) && stop.Err() != nil:
		d.o.Log.Info("pass stopped", p.attrs()...)
	default:
		d.o.Log.Error("pass failed", append(p.attrs(), slog.Any("err", err))...)
	}
	return err
}

// outlive returns a context that is done StopTimeout after stop is.
func (d *Daemon) outlive(stop context.Context) (context.Context, func()) {
	// Items under way are to finish, so they must not see the end of stop itself.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stop))
	forget := context.AfterFunc(stop, func() {
		timer := time.NewTimer(d.o.StopTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(fmt.Errorf("%w: the time for stopping is up", ErrStopped))
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		forget()
		cancel(nil)
	}
}

// guarded turns a panic of the task into an error: one daemon's mistake must not end the servers in its process.
func (d *Daemon) guarded(ctx context.Context, p *Progress) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = p.panicked(v)
		}
	}()
	return d.task.Pass(ctx, p)
}

// panicked logs a panic with its stack and makes an error of it.
func (p *Progress) panicked(v any) error {
	p.daemon.o.Log.Error("panic", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	return fmt.Errorf("panic: %v", v)
}

// sleep waits and returns false if ctx was done before the time was up.
func sleep(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
