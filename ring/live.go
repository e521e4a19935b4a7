package ring

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/clock"
)

// DefaultReloadInterval is how often a ring file is looked at unless [FollowOptions] say otherwise.
const DefaultReloadInterval = 15 * time.Second

// FollowOptions say how a [Live] follows its file. The zero value is usable.
type FollowOptions struct {
	// Interval is the least time between two looks at the file; 0 means [DefaultReloadInterval].
	Interval time.Duration
	// Check refuses a ring that does not fit its user, such as one with the wrong number of replicas for its
	// erasure code. nil accepts every ring.
	Check func(*Ring) error
	// Logger is told about rings that were loaded or refused; nil means [slog.Default].
	Logger *slog.Logger
	// Clock tells when the interval is over; nil means [clock.System].
	Clock clock.Clock
}

// A Live gives the current ring of a file that may be replaced while the process runs. It has no goroutine of its own:
// whoever asks for the ring after the interval looks at the file. It is safe for concurrent use.
type Live struct {
	path    string // "" when fixed
	options FollowOptions

	current atomic.Pointer[Ring]
	due     atomic.Int64 // when to look at the file again, in nanoseconds of Unix time

	mu      sync.Mutex // guards mtime and serialises loading
	mtime   time.Time
	refused time.Time // mtime of the file that was refused last, to report it once
}

// Follow loads the ring at path and follows the file from then on. The first load must succeed.
func Follow(path string, options FollowOptions) (*Live, error) {
	if options.Interval <= 0 {
		options.Interval = DefaultReloadInterval
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Clock == nil {
		options.Clock = clock.System
	}
	l := &Live{path: path, options: options}
	if err := l.Reload(); err != nil {
		return nil, err
	}
	l.due.Store(options.Clock.Now().Add(options.Interval).UnixNano())
	return l, nil
}

// Fixed returns a Live that always gives r, for a ring that has no file.
func Fixed(r *Ring) *Live {
	l := &Live{}
	l.current.Store(r)
	return l
}

// Path returns the file that is followed, "" when there is none.
func (l *Live) Path() string { return l.path }

// Ring returns the current ring. When the interval is over it first looks whether the file has changed and loads it; a
// file that cannot be loaded is reported to the logger and the old ring stays. It does not allocate between checks.
func (l *Live) Ring() *Ring {
	if l.path == "" {
		return l.current.Load()
	}
	now, due := l.options.Clock.Now(), l.due.Load()
	// One caller takes the turn; the others go on with the ring there is.
	if now.UnixNano() < due || !l.due.CompareAndSwap(due, now.Add(l.options.Interval).UnixNano()) {
		return l.current.Load()
	}
	if err := l.reload(false); err != nil {
		l.options.Logger.Error("ring not reloaded, the old one stays", "path", l.path, "err", err)
	}
	return l.current.Load()
}

// Reload loads the file now, whether it has changed or not. When it fails the old ring stays.
func (l *Live) Reload() error {
	if l.path == "" {
		return nil
	}
	return l.reload(true)
}

func (l *Live) reload(force bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !force {
		info, err := os.Stat(l.path)
		if err != nil {
			return err
		}
		// Any difference counts: an older file that was put back is a change too.
		if info.ModTime().Equal(l.mtime) || info.ModTime().Equal(l.refused) {
			return nil
		}
	}
	r, info, err := load(l.path)
	if err != nil {
		return err
	}
	if l.options.Check != nil {
		if err := l.options.Check(r); err != nil {
			l.refused = info.ModTime()
			return fmt.Errorf("ring %s refused: %w", l.path, err)
		}
	}
	if l.current.Swap(r) != nil {
		l.options.Logger.Info("ring reloaded", "path", l.path, "version", r.Version(), "md5", r.MD5())
	}
	l.mtime, l.refused = info.ModTime(), time.Time{}
	return nil
}
