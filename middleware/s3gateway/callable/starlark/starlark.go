// Package starlark makes callable.Functions of a file in Starlark, a dialect of Python that is safe to embed:
//
//	# /etc/apus/tokens.star
//	KEYS = json.decode(read_file("keys.json"))
//
//	def secret(access_key):
//	    return KEYS.get(access_key)          # None: there is no such key
//
//	def credentials(token, bucket):
//	    if bucket.startswith("ibm-"):
//	        return {"api_key": env("IBM_API_KEY")}
//	    return {"access_key": "AKSTORE", "secret_key": env("STORE_SECRET")}
//
//	def authorize(token, bucket, method, path):
//	    if path.startswith("public/"):
//	        return {"allow": method in ("GET", "HEAD"), "prefix": "public/"}   # for all that is in there
//	    return token == "AKALICE"
//
// Any of the three may be missing. They return:
//
//	secret       a string, or None for an unknown key
//	credentials  a dictionary with access_key and secret_key (and session_token), or api_key, or bearer, and maybe expires (a time,
//	             seconds since 1970, or text as of RFC 3339); or None
//	authorize    True or False, or a dictionary with allow and the prefix of paths that it holds for (see callable.HoldsFor)
//
// Besides Starlark's own built-ins a script has json.encode and json.decode, the module time, env(name, default=None),
// read_file(path, default=None) for files of up to 1 MiB in its folder and below, and load("other.star", "name") from there.
// There is no network: a script that waits for another host would need all that an HTTP client needs. That is what
// package callable/webhook is for.
//
// Invariants:
//
//   - A call ends in bounded time and memory: [Limits]. The memory counted is what the values that a call makes take,
//     not what they leave free again; a step of the interpreter takes about 100 bytes at most besides. Not counted, and not stopped before
//     it is through, is one built-in operation's own time: comparing or hashing values that hold each other many times over.
//   - Calls run at once and share nothing that can change: a script's globals are frozen once it is loaded.
//   - A file that has changed is loaded again, at the first call or Version at least a second after the last look. What
//     it loads, and what it reads while it is loaded, counts too. Looking (stat) works where notifications do not, on network file
//     systems and for links that are swapped, and needs no goroutine. A version that is broken, or that has other functions than the
//     first (so that nothing that was checked goes unchecked), is logged with file and line, and the old one goes on.
//   - Errors name file and line. They may quote values of the script; they are for the log.
//
// print writes to the log, at level debug.
package starlark

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	startime "go.starlark.net/lib/time"
	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// Limits of a call, and of loading a script. Zero fields take their defaults.
type Limits struct {
	// Time that a call may take.
	Time time.Duration
	// Steps of the interpreter: a line has about ten.
	Steps uint64
	// Memory is how many bytes of values a call may make.
	Memory int64
}

// Defaults of Limits.
const (
	DefaultTime   = 2 * time.Second
	DefaultSteps  = 1_000_000
	DefaultMemory = 32 << 20
)

// MaxSteps is the most that Limits.Steps may be: so many steps make no value so deep that the stack would not do for it.
const MaxSteps = 10_000_000

// lookEvery is how often a script's files are looked at.
const lookEvery = time.Second

// A Script is a loaded file. Create one with Load.
type Script struct {
	path   string
	limits Limits
	log    *slog.Logger
	clock  clock.Clock
	names  starlark.StringDict // what every file finds

	current atomic.Pointer[program]
	version atomic.Uint64
	looked  atomic.Int64 // when, in Unix nanoseconds

	mu     sync.Mutex // held by the one who looks
	stamps map[string]stamp
}

// Load loads the script at path. An error names file and line. A nil clock is the machine's.
func Load(path string, limits Limits, log *slog.Logger, clk clock.Clock) (*Script, error) {
	if clk == nil {
		clk = clock.System
	}
	limits.Time = cmp.Or(limits.Time, DefaultTime)
	limits.Steps = min(cmp.Or(limits.Steps, DefaultSteps), MaxSteps)
	limits.Memory = cmp.Or(limits.Memory, DefaultMemory)
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	s := &Script{path: path, limits: limits, log: log, clock: clk, names: predeclared()}
	s.looked.Store(clk.Now().UnixNano())
	p, stamps, err := s.load(context.Background())
	if err != nil {
		return nil, err
	}
	s.stamps = stamps
	s.current.Store(p)
	return s, nil
}

// Functions returns those that the script has.
func (s *Script) Functions() callable.Functions {
	f := callable.Functions{Version: s.Version}
	has := s.current.Load().functions
	if has["secret"] != nil {
		f.Secret = s.secret
	}
	if has["credentials"] != nil {
		f.Credentials = s.credentials
	}
	if has["authorize"] != nil {
		f.Authorize = s.authorize
	}
	return f
}

// Version counts the versions of the script that were loaded. It loads a new one, if there is one.
func (s *Script) Version() uint64 {
	now := s.clock.Now().UnixNano()
	if last := s.looked.Load(); now-last >= int64(lookEvery) && s.looked.CompareAndSwap(last, now) && s.mu.TryLock() {
		defer s.mu.Unlock()
		s.look()
	}
	return s.version.Load()
}

// look loads the script again if a file of it has changed. The caller holds mu.
func (s *Script) look() {
	changed := false
	for path, old := range s.stamps {
		if stampOf(path) != old {
			changed = true
		}
	}
	if !changed {
		return
	}
	p, stamps, err := s.load(context.Background())
	if err == nil {
		if had, has := names(s.current.Load()), names(p); had != has {
			err = fmt.Errorf("%s: has the functions %s, where it had %s when the server started: restart it to change them", s.path, has, had)
		}
	}
	if err != nil {
		// What it has read before it broke is to be looked at, and what the running version has read.
		for path := range s.stamps {
			if _, ok := stamps[path]; !ok {
				stamps[path] = stampOf(path)
			}
		}
		s.stamps = stamps
		s.log.Error("the new version of the script is broken; the old one goes on", "script", s.path, "err", err)
		return
	}
	s.stamps = stamps
	s.current.Store(p)
	s.version.Add(1)
	s.log.Info("script loaded again", "script", s.path)
}

// names lists a version's functions.
func names(p *program) string {
	var list []string
	for name := range p.functions {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// thread makes what a call runs on.
func (s *Script) thread(ctx context.Context, l *loader) (thread *starlark.Thread, stop func()) {
	thread = &starlark.Thread{
		Name: s.path,
		Print: func(t *starlark.Thread, msg string) {
			s.log.Debug("script prints", "at", t.CallFrame(1).Pos.String(), "text", clip(msg))
		},
		Load: func(t *starlark.Thread, name string) (starlark.StringDict, error) { return l.require(t, name) },
	}
	thread.SetLocal(loaderKey, l)
	thread.SetLocal(meterKey, &meter{s.limits.Memory, s.limits.Memory})
	thread.SetMaxExecutionSteps(s.limits.Steps)
	startime.SetNow(thread, func() (time.Time, error) { return s.clock.Now(), nil })
	timer := time.AfterFunc(s.limits.Time, func() { thread.Cancel(outOfTime) })
	unhook := context.AfterFunc(ctx, func() { thread.Cancel(abandoned) })
	return thread, func() {
		timer.Stop()
		unhook()
	}
}

const (
	outOfTime = "the script takes too long"
	abandoned = "nobody waits for the script any more"
)

// call calls one of the functions.
func (s *Script) call(ctx context.Context, name string, args ...string) (starlark.Value, *starlark.Function, error) {
	s.Version()
	p := s.current.Load()
	thread, stop := s.thread(ctx, p.loader)
	defer stop()
	values := make(starlark.Tuple, len(args))
	for i, a := range args {
		values[i] = starlark.String(a)
	}
	f := p.functions[name]
	v, err := starlark.Call(thread, f, values, nil)
	if err != nil {
		return nil, f, s.explain(ctx, err)
	}
	return v, f, nil
}

// explain puts file and line before an error, and says whether it is one of time.
func (s *Script) explain(ctx context.Context, err error) error {
	e, ok := errors.AsType[*starlark.EvalError](err)
	if !ok {
		if list, ok := errors.AsType[resolve.ErrorList](err); ok {
			all := make([]error, len(list))
			for i, one := range list {
				all[i] = one
			}
			return errors.Join(all...)
		}
		if _, ok := errors.AsType[syntax.Error](err); ok {
			return err
		}
		return fmt.Errorf("%s: %w", s.path, err)
	}
	for { // a file that is loaded fails before the one that loads it
		inner, ok := errors.AsType[*starlark.EvalError](e.Unwrap())
		if !ok {
			break
		}
		e = inner
	}
	where := ""
	for i := range e.CallStack {
		f := e.CallStack.At(i)
		if f.Pos.Line == 0 {
			continue // a built-in
		}
		if where == "" {
			where = fmt.Sprintf("%v: in %s: %s", f.Pos, f.Name, clip(e.Msg))
			continue
		}
		where += fmt.Sprintf(", called at %v", f.Pos)
	}
	switch {
	case strings.Contains(e.Msg, outOfTime):
		return fmt.Errorf("%s: %w", where, callable.ErrTimeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", where, ctx.Err())
	}
	return errors.New(where)
}

// clip keeps a text from filling the log.
func clip(s string) string {
	const most = 1024
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
