package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ErrLockTimeout says that somebody else held a lock for too long.
var ErrLockTimeout = errors.New("lock timeout")

// Locks takes the flocks by which the processes of a node, Swift's among them, keep out of each other's way. Goroutines of
// this process queue for a path on a mutex first, so that only one of them polls the kernel. The zero value is not
// usable; one Locks serves one process.
type Locks struct {
	fs Opener

	mu    sync.Mutex // guards gates
	gates map[string]*gate
}

// gate is the queue of this process for one path; a full channel is a held lock.
type gate struct {
	held  chan struct{}
	users int // guarded by Locks.mu
}

// NewLocks returns a Locks over a file system.
func NewLocks(fsys Opener) *Locks { return &Locks{fs: fsys, gates: make(map[string]*gate)} }

// Lock takes the exclusive flock of file name, which is made if it is missing and never removed, and returns its release.
// It waits at most timeout (ErrLockTimeout) or until ctx ends. The directory must exist.
func (l *Locks) Lock(ctx context.Context, name string, timeout time.Duration) (release func(), err error) {
	g := l.enter(name)
	select {
	case g.held <- struct{}{}: // free: needs no timer
	default:
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case g.held <- struct{}{}:
		case <-timer.C:
			l.leave(name, g)
			return nil, fmt.Errorf("lock %s: %w", name, ErrLockTimeout)
		case <-ctx.Done():
			l.leave(name, g)
			return nil, fmt.Errorf("lock %s: %w", name, context.Cause(ctx))
		}
	}
	f, err := l.flock(ctx, name, timeout)
	if err != nil {
		<-g.held
		l.leave(name, g)
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() {
		// Closing the file releases the flock; nothing was written, so the error says nothing.
		_ = f.Close()
		<-g.held
		l.leave(name, g)
	}, nil
}

func (l *Locks) enter(name string) *gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gates[name]
	if g == nil {
		g = &gate{held: make(chan struct{}, 1)}
		l.gates[name] = g
	}
	g.users++
	return g
}

func (l *Locks) leave(name string, g *gate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(l.gates, name)
	}
}

// flock polls, since a blocking flock cannot be given up. Another process holds these locks for less than a
// millisecond as a rule, so the first pauses are short.
func (l *Locks) flock(ctx context.Context, name string, timeout time.Duration) (File, error) {
	f, err := l.fs.Open(name, os.O_WRONLY|os.O_CREATE, 0o777)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(timeout)
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		ok, err := f.TryLock()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if ok {
			return f, nil
		}
		if !time.Now().Before(deadline) {
			return nil, errors.Join(ErrLockTimeout, f.Close())
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}
