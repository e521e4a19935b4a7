package callable

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"github.com/apus-storage/apus/internal/clock"
)

// CacheConfig says how long answers are used, and how hard functions are driven. Fields that are zero take their defaults,
// but for the times to live: zero means not kept.
type CacheConfig struct {
	// TTL is how long a secret, credentials and a yes are used. Credentials that end earlier are asked for again a minute
	// before they do.
	TTL time.Duration
	// NegativeTTL is how long a no and an [ErrUnknown] are used.
	NegativeTTL time.Duration
	// ErrorTTL is how long a failure is repeated without another try.
	ErrorTTL time.Duration
	// MaxEntries bounds the answers kept. One larger than 1 KiB, question included, counts for several.
	MaxEntries int
	// PathDepth, if not 0, is how many folders deep Authorize is asked: the path that it is given is cut after so many
	// slashes, so that "2026/07/01/a.jpg" is asked about as "2026/07/" with a depth of 2, and its answer goes for all in there.
	PathDepth int
	// CallTimeout is how long callers wait for a function. Its context ends then, and what it answers later is dropped.
	CallTimeout time.Duration
	// MaxCalls bounds how many calls run at once. More wait for their turn, within CallTimeout.
	MaxCalls int
	// Observer is told of what is asked.
	Observer Observer
}

// Defaults of CacheConfig.
const (
	DefaultMaxEntries  = 10_000
	DefaultCallTimeout = 10 * time.Second
	DefaultMaxCalls    = 64
)

// Errors of calls that gave no answer.
var (
	ErrTimeout = errors.New("gave no answer in time")
	ErrBusy    = errors.New("not called: too many calls are under way")
)

const (
	// renewBefore is how long before their end credentials are not given out from the cache any more.
	renewBefore = time.Minute
	// grace is how long after its context has ended a function may still say something.
	grace = 50 * time.Millisecond
	// maxFolders is how deep answers for folders are looked for.
	maxFolders = 32
)

// Cached returns functions that remember f's answers. What an answer is kept under is exactly what the function was asked:
//
//	Secret       access key
//	Credentials  token, bucket
//	Authorize    token, bucket, method, path (cut at PathDepth, as the function was given it)
//
// An answer is used for other paths only if the function has said so, by [HoldsFor]. Paths with segments that are empty, "." or
// ".." are neither cut nor found by folder: a store might take them for another place. All answers are dropped when
// f.Version changes.
//
// Concurrent calls with the same question are one call. It belongs to none of its callers: when one goes away the others still
// get their answer, and when all do it is still kept for the next, so it ends with CallTimeout only. A function that panics has failed.
// An empty secret and credentials that do not pass [Credentials.Check] are failures too.
//
// A nil clock is the machine's.
func Cached(f Functions, c CacheConfig, clk clock.Clock) Functions {
	m := remember(f, c, clk)
	out := Functions{Version: f.Version}
	if f.Secret != nil {
		out.Secret = m.secret
	}
	if f.Credentials != nil {
		out.Credentials = m.credentials
	}
	if f.Authorize != nil {
		out.Authorize = m.authorize
	}
	return out
}

// memory is what Cached functions share.
type memory struct {
	CacheConfig
	f       Functions
	clock   clock.Clock
	answers *otter.Cache[question, answer]
	flights singleflight.Group
	slots   chan struct{}
	folders atomic.Bool // an answer has been kept for a folder
}

func remember(f Functions, c CacheConfig, clk clock.Clock) *memory {
	if clk == nil {
		clk = clock.System
	}
	c.MaxEntries = cmp.Or(c.MaxEntries, DefaultMaxEntries)
	c.CallTimeout = cmp.Or(c.CallTimeout, DefaultCallTimeout)
	c.MaxCalls = cmp.Or(c.MaxCalls, DefaultMaxCalls)
	m := &memory{f: f, CacheConfig: c, clock: clk, slots: make(chan struct{}, c.MaxCalls)}
	m.answers = otter.Must(&otter.Options[question, answer]{
		MaximumWeight:    uint64(c.MaxEntries),
		Weigher:          weigh,
		ExpiryCalculator: otter.ExpiryWritingFunc(m.lifetime),
		Clock:            ticklessClock{clk},
		// Housekeeping in the caller's goroutine keeps the bounds exact and leaves nothing running.
		Executor: func(fn func()) { fn() },
	})
	return m
}

// question is what an answer is kept under.
type question struct {
	what                        kind
	token, bucket, method, path string
}

type kind string

const (
	secretOf      kind = "secret"
	credentialsOf kind = "credentials"
	allowed       kind = "authorize" // for exactly this path
	folderAllowed kind = "folder"    // for all that begins with this path
)

// key gives the question as text. No two questions have the same.
func (q question) key(version uint64) string {
	b := make([]byte, 0, 64+len(q.token)+len(q.bucket)+len(q.method)+len(q.path))
	b = strconv.AppendUint(append(append(b, q.what...), ' '), version, 36)
	for _, s := range []string{q.token, q.bucket, q.method, q.path} {
		b = strconv.AppendInt(append(b, ' '), int64(len(s)), 36)
		b = append(append(b, ' '), s...)
	}
	return string(b)
}

type answer struct {
	text        string
	credentials Credentials
	yes         bool
	err         error
	scope       *scope // where a yes or no holds, while it is on its way
	version     uint64
	deadline    int64 // Unix time in nanoseconds
}

func weigh(q question, a answer) uint32 {
	c := &a.credentials
	size := len(q.token) + len(q.bucket) + len(q.method) + len(q.path) + len(a.text) +
		len(c.AccessKey) + len(c.Secret) + len(c.SessionToken) + len(c.APIKey) + len(c.Bearer)
	if a.err != nil && !errors.Is(a.err, ErrUnknown) {
		size += len(a.err.Error())
	}
	return uint32(min(1+size/1024, math.MaxUint32))
}

// ticklessClock is a clock for otter that causes no periodic clean-ups.
type ticklessClock struct{ clock.Clock }

func (c ticklessClock) NowNano() int64                      { return c.Now().UnixNano() }
func (c ticklessClock) Tick(time.Duration) <-chan time.Time { return nil }

func (m *memory) lifetime(e otter.Entry[question, answer]) time.Duration {
	return max(0, time.Duration(e.Value.deadline-m.clock.Now().UnixNano()))
}

func (m *memory) version() uint64 {
	if m.f.Version == nil {
		return 0
	}
	return m.f.Version()
}

// find returns a kept answer that still holds.
func (m *memory) find(q question, version uint64) (answer, bool) {
	a, ok := m.answers.GetIfPresent(q)
	return a, ok && a.version == version && a.deadline > m.clock.Now().UnixNano()
}

// keep stores an answer for as long as its kind is used.
func (m *memory) keep(q question, a answer) {
	ttl := m.TTL
	switch {
	case errors.Is(a.err, ErrUnknown):
		ttl = m.NegativeTTL
	case a.err != nil:
		ttl = m.ErrorTTL
		if _, ok := m.find(q, a.version); ok {
			return // a call that was given up has ended at last, after another has brought an answer
		}
	case (q.what == allowed || q.what == folderAllowed) && !a.yes:
		ttl = m.NegativeTTL
	}
	now := m.clock.Now()
	if end := a.credentials.Expires; !end.IsZero() {
		ttl = min(ttl, end.Sub(now)-renewBefore)
	}
	if ttl <= 0 {
		return
	}
	a.deadline, a.scope = now.Add(ttl).UnixNano(), nil
	// Copies: what a request's strings were cut out of is not to be held.
	q.token, q.bucket, q.method, q.path = strings.Clone(q.token), strings.Clone(q.bucket), strings.Clone(q.method), strings.Clone(q.path)
	m.answers.Set(q, a)
}

// ask calls fn, unless such a call is under way: then it waits for that one.
func (m *memory) ask(ctx context.Context, q question, version uint64, fn func(context.Context) answer) answer {
	key := q.key(version)
	ch := m.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.CallTimeout)
		defer cancel()
		select {
		case m.slots <- struct{}{}:
			defer func() { <-m.slots }()
		case <-ctx.Done():
			m.Observer.called(q.what, Busy, 0)
			return answer{err: fmt.Errorf("%s: %w", q.what, ErrBusy)}, nil
		}
		tell := m.watch(q.what)
		a := guarded(ctx, fn)
		if a.err == nil && ctx.Err() != nil {
			a.err = errors.New("answered too late")
		}
		if ctx.Err() != nil {
			a.err = fmt.Errorf("%s: %w: %w", q.what, ErrTimeout, a.err)
		}
		tell(a)
		a.version = version
		m.keep(q, a)
		if s := a.scope; s != nil && s.said && a.err == nil && foldable(s.path) && strings.Count(s.prefix, "/") <= maxFolders {
			m.folders.Store(true)
			q.what, q.path = folderAllowed, s.prefix
			m.keep(q, a)
		}
		return a, nil
	})
	// The function may not heed its context. One that does is given the moment to say where it was.
	patience := time.NewTimer(m.CallTimeout + grace)
	defer patience.Stop()
	select {
	case r := <-ch:
		return r.Val.(answer)
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	case <-patience.C:
		// The next to ask is not to wait for it again. The slot that it keeps bounds how often this can happen.
		m.flights.Forget(key)
		return answer{err: fmt.Errorf("%s: %w", q.what, ErrTimeout)}
	}
}

// guarded calls fn and makes a failure of a panic.
func guarded(ctx context.Context, fn func(context.Context) answer) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return fn(ctx)
}

func (m *memory) secret(ctx context.Context, accessKey string) (string, error) {
	q, version := question{what: secretOf, token: accessKey}, m.version()
	a, ok := m.find(q, version)
	if ok {
		m.Observer.remembered(q.what)
	} else {
		a = m.ask(ctx, q, version, func(ctx context.Context) answer {
			s, err := m.f.Secret(ctx, accessKey)
			if err == nil && s == "" {
				err = errors.New("secret is empty")
			}
			return answer{text: s, err: failure(secretOf, err)}
		})
	}
	if a.err != nil {
		return "", a.err
	}
	return a.text, nil
}

func (m *memory) credentials(ctx context.Context, token, bucket string) (Credentials, error) {
	q, version := question{what: credentialsOf, token: token, bucket: bucket}, m.version()
	a, ok := m.find(q, version)
	if ok {
		m.Observer.remembered(q.what)
	} else {
		a = m.ask(ctx, q, version, func(ctx context.Context) answer {
			c, err := m.f.Credentials(ctx, token, bucket)
			if err == nil {
				err = c.Check()
			}
			return answer{credentials: c, err: failure(credentialsOf, err)}
		})
	}
	if a.err != nil {
		return Credentials{}, a.err
	}
	return a.credentials, nil
}

func (m *memory) authorize(ctx context.Context, token, bucket, method, path string) (bool, error) {
	q, version := question{what: allowed, token: token, bucket: bucket, method: method, path: path}, m.version()
	plain := foldable(path)
	if plain && m.PathDepth > 0 {
		q.path = cut(path, m.PathDepth)
	}
	a, ok := m.find(q, version)
	if !ok && plain && m.folders.Load() {
		a, ok = m.findFolder(q, version)
	}
	if ok {
		m.Observer.remembered(q.what)
	} else {
		a = m.ask(ctx, q, version, func(ctx context.Context) answer {
			s := &scope{path: q.path}
			yes, err := m.f.Authorize(context.WithValue(ctx, scopeKey{}, s), token, bucket, method, q.path)
			return answer{yes: yes && err == nil, err: failure(allowed, err), scope: s}
		})
	}
	if a.err != nil && !errors.Is(a.err, ErrUnknown) {
		return false, a.err
	}
	return a.yes && a.err == nil, nil
}

// findFolder looks for an answer that holds for the folders that the path is in, the innermost first.
func (m *memory) findFolder(q question, version uint64) (answer, bool) {
	q.what = folderAllowed
	path, left := q.path, maxFolders
	for depth := strings.Count(path, "/"); ; depth-- {
		i := strings.LastIndexByte(path, '/') + 1
		if depth <= left {
			q.path = path[:i]
			if a, ok := m.find(q, version); ok {
				return a, true
			}
		}
		if i == 0 {
			return answer{}, false
		}
		path = path[:i-1]
	}
}

// foldable says whether a path's folders mean to every store what they look like.
func foldable(path string) bool {
	for segment := range strings.SplitSeq(strings.TrimSuffix(path, "/"), "/") {
		if segment == "." || segment == ".." || segment == "" && path != "" {
			return false
		}
	}
	return true
}

// cut returns the path up to its depth-th slash, or whole if it has fewer.
func cut(path string, depth int) string {
	for i := range len(path) {
		if path[i] == '/' {
			if depth--; depth == 0 {
				return path[:i+1]
			}
		}
	}
	return path
}

func failure(of kind, err error) error {
	if err == nil || errors.Is(err, ErrUnknown) {
		return err
	}
	return fmt.Errorf("%s: %w", of, err)
}
