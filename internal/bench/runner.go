package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

// Options are what a Runner works with. The zero value is for real use without processor times.
type Options struct {
	// Transport sends the requests; nil is a NewTransport with as many connections as there are workers.
	Transport http.RoundTripper
	// Clock tells the time; nil is the system's.
	Clock clock.Clock
	// Servers reads the servers' processor time; nil leaves it unknown.
	Servers *CPU
	// Self reads the load generator's own processor time; nil leaves it unknown.
	Self *CPU
	// Pool is the material of contents, to share between runners; nil makes one.
	Pool *Pool
}

// A Runner drives one endpoint. Its methods must not be called at the same time, except for Progress.
type Runner struct {
	cfg     Config
	target  Target
	api     api
	rt      http.RoundTripper
	clock   clock.Clock
	servers *CPU
	self    *CPU
	pool    *Pool
	names   names
	workers []*worker
	retry   time.Duration // between attempts to delete a container

	containersMade bool
	current        atomic.Pointer[current]
}

// current is the phase that runs.
type current struct {
	label string
	start time.Time
	// What the workers' counters stood at when it began.
	done, errors, bytes int64
}

// New checks the plan and makes a runner that has sent nothing yet. Without Config.Prepare, the population is taken to
// be there if no phase writes it, and to be absent otherwise. Errors wrap [ErrInvalid].
func New(cfg Config, t Target, o Options) (*Runner, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Runner{
		cfg: cfg, target: t, rt: o.Transport, clock: o.Clock, servers: o.Servers, self: o.Self, pool: o.Pool,
		names: newNames(cfg), retry: time.Second,
	}
	if r.rt == nil {
		r.rt = NewTransport(cfg.Concurrency)
	}
	if r.clock == nil {
		r.clock = clock.System
	}
	if r.pool == nil {
		r.pool = NewPool()
	}
	var err error
	if r.api, err = t.api(r); err != nil {
		return nil, err
	}
	present := !cfg.Prepare && !cfg.puts()
	for id := range cfg.Concurrency {
		r.workers = append(r.workers, &worker{r: r, id: id, share: newShare(cfg, id, present), buf: make([]byte, readSize)})
	}
	return r, nil
}

// Prepare makes the containers if the plan writes objects, and under Config.Prepare PUTs every object that is not known
// to be there. The first error ends it.
func (r *Runner) Prepare(ctx context.Context) error {
	if (r.cfg.Prepare || r.cfg.puts()) && !r.containersMade {
		for i := range r.cfg.Containers {
			status, err := r.container(ctx, http.MethodPut, i)
			if err != nil {
				return fmt.Errorf("create container %s: %w", r.names.container(i), err)
			}
			// One of our own that is there already is a conflict in S3.
			if status/100 != 2 && (status != http.StatusConflict || r.target.S3 == nil) {
				return fmt.Errorf("create container %s: status %d", r.names.container(i), status)
			}
		}
		r.containersMade = true
	}
	if !r.cfg.Prepare {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.everyone("prepare", func(w *worker) error {
		for range len(w.share.absent) {
			id, _ := w.share.claim(Put, w.rng)
			if err := w.must(ctx, Put, id); err != nil {
				cancel(fmt.Errorf("fill population: %w", err))
				break
			}
		}
		return nil
	})
	return context.Cause(ctx)
}

// Clean deletes the population, as far as it is not surely gone, and the containers. A container that holds other objects
// is left and reported in the error.
func (r *Runner) Clean(ctx context.Context) error {
	err := r.everyone("clean", func(w *worker) error {
		var errs []error
		for _, id := range w.share.remaining() {
			ex := w.exchange(ctx, Delete, id)
			if ctx.Err() != nil {
				return errors.Join(append(errs, ctx.Err())...)
			}
			gone := ex.fault == "" || ex.fault == "404"
			if gone {
				w.done.Add(1)
			} else if len(errs) < 3 {
				errs = append(errs, errors.New(ex.detail()))
			}
		}
		return errors.Join(errs...)
	})
	for _, w := range r.workers {
		w.share = newShare(r.cfg, w.id, false)
	}
	if err != nil {
		return fmt.Errorf("clean population: %w", err)
	}
	r.containersMade = false
	for i := range r.cfg.Containers {
		if err := r.deleteContainer(ctx, i); err != nil {
			return fmt.Errorf("delete container %s: %w", r.names.container(i), err)
		}
	}
	return nil
}

// deleteContainer tries a few times, as the deletion of an object may reach its container's listing a little later.
func (r *Runner) deleteContainer(ctx context.Context, i int) error {
	for attempt := 1; ; attempt++ {
		status, err := r.container(ctx, http.MethodDelete, i)
		switch {
		case err != nil:
			return err
		case status/100 == 2, status == http.StatusNotFound:
			return nil
		case status == http.StatusConflict && attempt < 4:
			pause(ctx, r.retry)
		case status == http.StatusConflict:
			return errors.New("other objects are in it, so it stays")
		default:
			return fmt.Errorf("status %d", status)
		}
	}
}

func (r *Runner) container(ctx context.Context, method string, i int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	req, err := r.api.container(method, i)
	if err != nil {
		return 0, err
	}
	resp, err := r.rt.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// must sends a request of which no failure is acceptable.
func (w *worker) must(ctx context.Context, op Op, id int32) error {
	ex := w.exchange(ctx, op, id)
	w.share.settle(op, id, ex.fault == "")
	if err := ctx.Err(); err != nil {
		return err
	}
	if ex.fault != "" {
		w.errors.Add(1)
		return errors.New(ex.detail())
	}
	w.done.Add(1)
	w.bytes.Add(ex.bytes)
	return nil
}

// everyone runs f in all workers and joins their errors.
func (r *Runner) everyone(label string, f func(*worker) error) error {
	r.announce(label)
	defer r.current.Store(nil)
	errs := make([]error, len(r.workers))
	var wg sync.WaitGroup
	for i, w := range r.workers {
		w.begin(-1, 0)
		wg.Go(func() { errs[i] = f(w) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Progress is where a runner stands in the phase that runs.
type Progress struct {
	// Phase is its label, "prepare" or "clean"; empty between phases.
	Phase string
	// Elapsed is since the phase began.
	Elapsed time.Duration
	// Count is the operations done, Errors the failed ones, Bytes those of objects sent and received.
	Count, Errors, Bytes int64
}

// Progress tells where the runner stands. It is safe to call at any time.
func (r *Runner) Progress() Progress {
	c := r.current.Load()
	if c == nil {
		return Progress{}
	}
	done, errs, bytes := r.totals()
	return Progress{
		Phase: c.label, Elapsed: r.clock.Now().Sub(c.start), Count: done - c.done, Errors: errs - c.errors, Bytes: bytes - c.bytes,
	}
}

// announce notes for Progress that a phase begins.
func (r *Runner) announce(label string) {
	done, errs, bytes := r.totals()
	r.current.Store(&current{label: label, start: r.clock.Now(), done: done, errors: errs, bytes: bytes})
}

func (r *Runner) totals() (done, errs, bytes int64) {
	for _, w := range r.workers {
		done += w.done.Load()
		errs += w.errors.Load()
		bytes += w.bytes.Load()
	}
	return done, errs, bytes
}
