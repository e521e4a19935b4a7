package daemon

import (
	"context"
	"iter"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound how fast [Each] works. The zero value works on one item after the other without delay.
type Limits struct {
	// Workers is how many items are worked on at a time; less than 1 means 1.
	Workers int
	// PerSecond is how many items are begun in a second; 0 or less means any number.
	PerSecond float64
}

// burst is how many items may follow each other at once after a delay: what a tenth of a second would have allowed.
func (l Limits) burst() int { return max(1, int(l.PerSecond/10)) }

// Each works on all items, in their order, on several goroutines, and returns when all that was begun is finished:
// ErrStopped if the daemon was to stop before the last item was begun, the cause if ctx was done, else nil. Items are
// drawn on the caller's goroutine, and only as the limits allow. A panic in work is logged and counted as "errors".
func Each[T any](ctx context.Context, p *Progress, items iter.Seq[T], l Limits, work func(context.Context, T)) error {
	pace := NewPace(l)
	slots := make(chan struct{}, max(l.Workers, 1))
	var workers sync.WaitGroup
	// No worker outlives the pass, not even when drawing the items panics.
	defer workers.Wait()
	for item := range items {
		if err := pace.Wait(ctx, p); err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-p.stop:
			return ErrStopped
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		workers.Go(func() {
			defer func() { <-slots }()
			defer func() {
				if v := recover(); v != nil {
					_ = p.panicked(v) // logged; the other items go on
					p.Count("errors", 1)
				}
			}()
			work(ctx, item)
		})
	}
	// The items may have ended early because drawing them saw the stop.
	if p.Stopped() {
		return ErrStopped
	}
	return nil
}

// A Pace spreads the starts of items evenly over time.
type Pace struct{ limiter *rate.Limiter }

// NewPace returns a Pace of l.PerSecond items a second.
func NewPace(l Limits) *Pace {
	if l.PerSecond <= 0 {
		return &Pace{}
	}
	return &Pace{rate.NewLimiter(rate.Limit(l.PerSecond), l.burst())}
}

// Wait returns when the next item may begin: ErrStopped if the daemon is to stop before that, the cause if ctx is done.
func (c *Pace) Wait(ctx context.Context, p *Progress) error {
	var wait time.Duration
	if c.limiter != nil {
		wait = c.limiter.Reserve().Delay()
	}
	switch {
	case wait > 0 && p.Sleep(ctx, wait), wait <= 0 && ctx.Err() == nil && !p.Stopped():
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return ErrStopped
}
