package broker

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"modernc.org/sqlite"
)

// Options are what a [Pool] needs. The zero value of each field means its default.
type Options struct {
	// Logger gets warnings about rows that cannot be read and databases that are set aside. Default: slog.Default().
	Logger *slog.Logger
	// Clock is where created_at and the like come from. Default: the machine's.
	Clock clock.Clock
	// MaxIdle is the greatest number of unused SQLite handles kept open. Default: 64.
	MaxIdle int
	// IdleTime is how long an unused handle stays open. Default: 30 s.
	IdleTime time.Duration
	// BusyTimeout is how long an operation waits for another process's lock on a database. Default: 25 s, as Swift.
	BusyTimeout time.Duration
	// LockTimeout is how long an operation waits for the lock of the directory. Default: 10 s, as Swift.
	LockTimeout time.Duration
}

// A Pool makes brokers and keeps their SQLite handles. It is safe for concurrent use.
type Pool struct {
	o      Options
	driver *sqlite.Driver
	dirs   *keyedLock // serialises this process's waits for a directory's flock
	files  *keyedLock // serialises this process's writing transactions on one file

	// step is called between the steps of writing, by tests that kill the process there.
	step func(name string)

	accounts, containers *kind // read only

	mu     sync.Mutex // guards idle, closed
	idle   []*handle  // least recently used first
	closed bool

	stop context.CancelFunc
	done chan struct{}
}

// NewPool returns a Pool. Its Close must be called.
func NewPool(o Options) *Pool {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	o.MaxIdle = orDefault(o.MaxIdle, 64)
	o.IdleTime = orDefault(o.IdleTime, 30*time.Second)
	o.BusyTimeout = orDefault(o.BusyTimeout, 25*time.Second)
	o.LockTimeout = orDefault(o.LockTimeout, 10*time.Second)
	p := &Pool{
		o: o, driver: &sqlite.Driver{}, dirs: newKeyedLock(), files: newKeyedLock(), step: func(string) {}, done: make(chan struct{}),
		accounts: accountKind(), containers: containerKind(),
	}
	// VolatileArgs: without it the driver cuts texts at the first NUL byte, and reserved names start with one.
	p.driver.MustRegisterFunction("chexor", &sqlite.FunctionImpl{
		NArgs: 3, Deterministic: true, VolatileArgs: true,
		Scalar: func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) { return chexorSQL(args) },
	})
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.expire(ctx)
	return p
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Close closes the idle handles; those in use are closed when their operation ends.
func (p *Pool) Close() error {
	p.stop()
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, h := range p.idle {
		h.close()
	}
	p.idle = nil
	return nil
}

// expire closes handles that nobody used for a while: an open handle keeps a device from being unmounted and a removed
// database from giving its room back.
func (p *Pool) expire(ctx context.Context) {
	defer close(p.done)
	t := time.NewTicker(p.o.IdleTime)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.closeUnused(time.Now().Add(-p.o.IdleTime))
		}
	}
}

func (p *Pool) closeUnused(before time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].used.Before(before) {
		n++
	}
	old := append([]*handle(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.mu.Unlock()
	for _, h := range old {
		h.close()
	}
}

// fileID tells one file from another that has the same name later.
type fileID struct{ dev, ino uint64 }

func statID(file string) (fileID, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(file, &st); err != nil {
		err = &fs.PathError{Op: "stat", Path: file, Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			return fileID{}, fmt.Errorf("%w: %w", ErrNotExist, err)
		}
		return fileID{}, err
	}
	return fileID{uint64(st.Dev), st.Ino}, nil
}

// acquire returns a handle on the database that file names now.
func (p *Pool) acquire(file string) (*handle, error) {
	id, err := statID(file)
	if err != nil {
		return nil, err
	}
	if h := p.take(file, id); h != nil {
		return h, nil
	}
	return openHandle(p.driver, file, id, p.o.BusyTimeout, false)
}

// take removes a matching handle from the idle list. Handles on a former file of that name are closed.
func (p *Pool) take(file string, id fileID) (found *handle) {
	var stale []*handle
	p.mu.Lock()
	keep := p.idle[:0]
	for _, h := range p.idle {
		switch {
		case h.file != file:
			keep = append(keep, h)
		case h.id != id:
			stale = append(stale, h)
		case found == nil:
			found = h
		default:
			keep = append(keep, h)
		}
	}
	clear(p.idle[len(keep):])
	p.idle = keep
	p.mu.Unlock()
	for _, h := range stale {
		h.close()
	}
	return found
}

func (p *Pool) release(h *handle) {
	h.used = time.Now()
	var drop *handle
	p.mu.Lock()
	switch {
	case p.closed || h.broken:
		drop = h
	case len(p.idle) >= p.o.MaxIdle:
		drop = p.idle[0]
		p.idle = append(p.idle[:0], p.idle[1:]...)
		fallthrough
	default:
		p.idle = append(p.idle, h)
	}
	p.mu.Unlock()
	if drop != nil {
		drop.close()
	}
}

// read runs fn with a handle on file. A damaged database is reported, not repaired.
func (p *Pool) read(file string, fn func(*handle) error) error {
	h, err := p.acquire(file)
	if err != nil {
		return err
	}
	defer p.release(h)
	return fn(h)
}

// write runs fn in a transaction that other writers, in this process and others, wait for. It waits for them for at
// most the given time. The transaction is committed if fn returns nil.
func (p *Pool) write(file string, wait time.Duration, fn func(*handle) error) error {
	unlock, err := p.files.lock(file, wait)
	if err != nil {
		return err
	}
	defer unlock()
	h, err := p.acquire(file)
	if err != nil {
		return err
	}
	defer p.release(h)
	if err := h.begin(wait); err != nil {
		// It may have begun in the same moment in which its time was up. A handle with an open transaction would keep all
		// writers from the database, itself included.
		h.broken = true
		return fmt.Errorf("write %s: %w", file, err)
	}
	h.broken = true // should fn panic, the handle must not be used again with its transaction open
	err = fn(h)
	h.broken = false
	p.step("before commit")
	if err == nil {
		err = h.commit()
	}
	if err != nil {
		h.rollback()
		return fmt.Errorf("write %s: %w", file, err)
	}
	p.step("after commit")
	return nil
}

// removeIfExists deletes a file of our own making that may be gone already.
func removeIfExists(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
