package upstream

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

// A verdict is what one request tells of a store's health.
type verdict int

const (
	none verdict = iota // nothing: who asked has gone
	good
	bad
)

// A breaker keeps requests from a store after too many have failed in a row. When it has been open for a while it lets one
// request through: if that is answered it closes, if not it stays open for as long again.
type breaker struct {
	failures int // 0 for never
	cooldown time.Duration
	clock    clock.Clock
	changed  func(open bool)

	mu      sync.Mutex // guards what follows
	row     int
	open    bool
	until   time.Time // while it is open
	probing bool
	epoch   int // of answers: those to requests from before it opened say nothing about now
}

// A ticket is a request that was let through.
type ticket struct {
	b     *breaker
	epoch int
	probe bool
}

func (b *breaker) admit() (ticket, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := ticket{b: b, epoch: b.epoch}
	if !b.open {
		return t, true
	}
	if b.probing || b.clock.Now().Before(b.until) {
		return ticket{}, false
	}
	b.probing, t.probe = true, true
	return t, true
}

// blocked says whether a request would not be let through now.
func (b *breaker) blocked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && (b.probing || b.clock.Now().Before(b.until))
}

func (t ticket) done(v verdict) {
	b := t.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.epoch != b.epoch {
		return
	}
	if t.probe {
		b.probing = false
	}
	switch {
	case v == none:
	case v == good && t.probe:
		b.open, b.row = false, 0
		b.epoch++
		b.changed(false)
	case v == good:
		b.row = 0
	case t.probe:
		b.until = b.clock.Now().Add(b.cooldown)
	default:
		if b.row++; b.failures > 0 && b.row >= b.failures {
			b.open, b.until = true, b.clock.Now().Add(b.cooldown)
			b.epoch++
			b.changed(true)
		}
	}
}

// A watch is what the checks of a store have found.
type watch struct {
	up, down int

	mu   sync.Mutex // guards what follows
	sick bool
	row  int // answers in a row that say otherwise
}

// note adds what a check has found, and says whether that changed anything.
func (w *watch) note(ok bool) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ok != w.sick {
		w.row = 0
		return false
	}
	w.row++
	if w.sick && w.row < w.up || !w.sick && w.row < w.down {
		return false
	}
	w.sick, w.row = !w.sick, 0
	return true
}

func (w *watch) healthy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.sick
}

// Healthy says whether requests should be sent to the store: its checks are answered, and the breaker would let one through.
func (u *Upstream) Healthy() bool { return u.watch.healthy() && !u.breaker.blocked() }

// resting says whether the store has asked for fewer requests.
func (u *Upstream) resting() bool { return u.clock.Now().UnixNano() < u.restUntil.Load() }

// check asks the store in intervals whether it is there, until the upstream is closed.
func (u *Upstream) check() {
	ticker := time.NewTicker(u.config.HealthInterval.Duration)
	defer ticker.Stop()
	for {
		err := u.ask()
		if u.ctx.Err() != nil {
			return
		}
		if u.watch.note(err == nil) {
			u.metrics.health(u.name, err == nil)
			if err == nil {
				u.log.Info("the store is healthy again")
			} else {
				u.log.Warn("the store is not healthy", "err", err)
			}
		}
		select {
		case <-ticker.C:
		case <-u.ctx.Done():
			return
		}
	}
}

// ask sends a request without a signature: an answer that refuses it is an answer.
func (u *Upstream) ask() error {
	ctx, stop := context.WithTimeout(u.ctx, u.config.HealthTimeout.Duration)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, u.health, nil)
	if err != nil {
		return err
	}
	resp, err := u.transport.RoundTrip(r)
	if err != nil {
		return &Error{Upstream: u.name, Kind: kindOf(u.ctx, err), Err: err}
	}
	resp.Body.Close()
	if resp.StatusCode >= http.StatusInternalServerError {
		return &Error{Upstream: u.name, Kind: Broken, Err: errStatus(resp.StatusCode)}
	}
	return nil
}
