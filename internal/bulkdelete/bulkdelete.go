// Package bulkdelete deletes many objects, a few at a time, and reports what became of each.
//
// A [Pool] is for one request. Its owner names targets with Delete, which blocks while enough of them are under way, and
// asks for the Report in the end. How a target is deleted is the owner's: Send. What is missing already is counted, not
// complained about.
//
// Invariants:
//   - After too many failures nothing new is begun; what is under way is waited for.
//   - A panic of Send is that target's failure: it happens on a goroutine of the pool's own, where it would end the process.
//
// Non-goals: subrequests, and finding out what there is to delete.
//
//	pool := bulkdelete.New(bulkdelete.Options{Concurrency: 2, MaxFailed: 1000, Log: log, Send: send})
//	for _, name := range names {
//		if err := pool.Delete(ctx, bulkdelete.Target{Name: name}); err != nil {
//			break
//		}
//	}
//	report := pool.Report(nil)
package bulkdelete

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/reply"
)

// ErrExhausted says that too many deletions have failed to go on.
var ErrExhausted = errors.New("too many deletions have failed")

// Options say how a pool works.
type Options struct {
	// Concurrency is how many targets are deleted at the same time; at least 1.
	Concurrency int
	// MaxFailed is after how many failures the pool gives up.
	MaxFailed int
	// Retries is how often a target in conflict, such as a container whose last objects are still being taken off its
	// list, is tried again, after a second and a half, then 1.5 times as long, and so on.
	Retries int
	// Log is told of panics.
	Log *slog.Logger
	// Send deletes a target and returns the status of the answer. It is called on several goroutines.
	Send func(ctx context.Context, t Target) int
}

// A Target is what is to be deleted.
type Target struct {
	// Name is how the report calls it, not quoted.
	Name string
	// Version, if not empty, is which of an object's versions is meant.
	Version string
}

// A Pool deletes what it is told to. Delete, Wait and Report are for one goroutine.
type Pool struct {
	options Options
	slots   chan struct{}
	all     sync.WaitGroup

	mu        sync.Mutex // guards what follows
	deleted   int
	missing   int
	broken    bool // a server failed
	exhausted bool
	report    bulkreport.Report // the failures so far
}

// New makes a pool.
func New(o Options) *Pool { return &Pool{options: o, slots: make(chan struct{}, o.Concurrency)} }

// Delete has a target deleted. It waits until that has begun, not until it is done. An error says that nothing more is to
// be deleted.
func (p *Pool) Delete(ctx context.Context, t Target) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.isExhausted() {
		<-p.slots
		return ErrExhausted
	}
	p.all.Go(func() {
		defer func() { <-p.slots }()
		p.one(ctx, t)
	})
	return nil
}

// Wait waits until everything that has begun is done.
func (p *Pool) Wait() { p.all.Wait() }

// Deleted counts a target that its owner has deleted otherwise.
func (p *Pool) Deleted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deleted++
}

// Missing counts a target that is known not to be there.
func (p *Pool) Missing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.missing++
}

// Fail lists a target that is known not to be deletable.
func (p *Pool) Fail(name, status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Fail(apipath.Quote(name), status)
}

func (p *Pool) isExhausted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exhausted
}

// one deletes one target and notes what came of it.
func (p *Pool) one(ctx context.Context, t Target) {
	code := p.send(ctx, t)
	for n := 1; code == http.StatusConflict && n <= p.options.Retries && !p.isExhausted(); n++ {
		select {
		case <-time.After(time.Duration(math.Pow(1.5, float64(n)) * float64(time.Second))):
		case <-ctx.Done():
			return
		}
		code = p.send(ctx, t)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case code >= 200 && code < 300:
		p.deleted++
	case code == http.StatusNotFound:
		p.missing++
	default:
		p.broken = p.broken || code >= 500
		p.report.Fail(apipath.Quote(t.Name), bulkreport.StatusLine(code))
	}
	p.exhausted = p.exhausted || p.report.Failures() >= p.options.MaxFailed
}

func (p *Pool) send(ctx context.Context, t Target) (code int) {
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				p.options.Log.LogAttrs(ctx, slog.LevelError, "panic in a subrequest", slog.String("name", t.Name),
					slog.Any("err", v), slog.String("stack", string(debug.Stack())))
			}
			code = http.StatusInternalServerError
		}
	}()
	return p.options.Send(ctx, t)
}

// Report waits for what is under way and tells what came of it all. Refused, if not nil, is why it ended early.
func (p *Pool) Report(refused *reply.Error) bulkreport.Report {
	p.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exhausted && refused == nil {
		refused = reply.Raw(http.StatusBadRequest, "Max delete failures exceeded")
	}
	code, text := http.StatusOK, ""
	switch {
	case refused != nil:
		code, text = refused.Code, refused.Body
	case p.broken:
		code = http.StatusBadGateway
	case p.report.Failures() > 0:
		code = http.StatusBadRequest
	case p.deleted+p.missing == 0:
		code, text = http.StatusBadRequest, "Invalid bulk delete."
	}
	r := p.report
	r.Add("Response Status", bulkreport.StatusLine(code))
	r.Add("Response Body", text)
	r.Count("Number Deleted", p.deleted)
	r.Count("Number Not Found", p.missing)
	return r
}
