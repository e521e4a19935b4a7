package daemon

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Progress is what a pass tells the frame, and asks of it. It is safe for concurrent use.
type Progress struct {
	daemon  *Daemon
	started time.Time
	stop    <-chan struct{}

	mu     sync.Mutex // guards counts
	counts map[string]int64
}

// Count adds n to one of the pass's figures: "successes", "failures". They make up the line in the log and the metric
// apus_daemon_items_total.
func (p *Progress) Count(figure string, n int) {
	p.mu.Lock()
	p.counts[figure] += int64(n)
	p.mu.Unlock()
	p.daemon.metrics.items.WithLabelValues(p.daemon.Name(), figure).Add(float64(n))
}

// Counted returns a figure of this pass.
func (p *Progress) Counted(figure string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[figure]
}

// Started returns when the pass began.
func (p *Progress) Started() time.Time { return p.started }

// Elapsed returns how long the pass has taken so far.
func (p *Progress) Elapsed() time.Duration { return p.daemon.o.Clock.Now().Sub(p.started) }

// Stopping is closed when the daemon is to stop: what is under way should be finished and nothing new be begun.
func (p *Progress) Stopping() <-chan struct{} { return p.stop }

// Stopped reports whether Stopping is closed.
func (p *Progress) Stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// Recon merges values into the daemon's recon file, if it has one. Nobody's data depends on it, so a fault is logged and
// the pass goes on.
func (p *Progress) Recon(ctx context.Context, values map[string]any) {
	if p.daemon.o.Recon == "" {
		return
	}
	if err := p.daemon.o.Recon.Merge(ctx, values); err != nil {
		p.daemon.o.Log.Warn("recon file not updated", slog.Any("err", err))
	}
}

// Log returns the daemon's logger.
func (p *Progress) Log() *slog.Logger { return p.daemon.o.Log }

// Sleep waits and returns false if the daemon is to stop, or ctx is done, before the time is up.
func (p *Progress) Sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil && !p.Stopped()
	case <-p.stop:
		return false
	case <-ctx.Done():
		return false
	}
}

func (p *Progress) attrs() []any {
	p.mu.Lock()
	defer p.mu.Unlock()
	attrs := []any{slog.Duration("took", p.Elapsed().Round(time.Millisecond))}
	for _, figure := range slices.Sorted(maps.Keys(p.counts)) {
		attrs = append(attrs, slog.Int64(figure, p.counts[figure]))
	}
	return attrs
}

// reportUntil writes a line each ReportInterval.
func (p *Progress) reportUntil(ended <-chan struct{}) {
	ticker := time.NewTicker(p.daemon.o.ReportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.daemon.o.Log.Info("pass under way", p.attrs()...)
		case <-ended:
			return
		}
	}
}
