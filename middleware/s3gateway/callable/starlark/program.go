package starlark

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/apus-storage/apus/internal/config"
)

// parameters of the functions that the gateway asks.
var parameters = map[string][]string{
	"secret":      {"access_key"},
	"credentials": {"token", "bucket"},
	"authorize":   {"token", "bucket", "method", "path"},
}

var asked = []string{"secret", "credentials", "authorize"}

// program is one version of a script. It does not change.
type program struct {
	functions map[string]*starlark.Function // those of parameters that it has
	loader    *loader
}

// loader reads a script's files.
type loader struct {
	script *Script
	dir    string
	// While the script is being loaded; nil afterwards, when many calls run at once.
	loading *loading
}

type loading struct {
	stamps  map[string]stamp
	modules map[string]*module
}

type module struct {
	globals starlark.StringDict // nil while it is being loaded
	err     error
}

const loaderKey = "apus.loader"

// stamp is what tells that a file has changed.
type stamp struct {
	size, modified int64
	inode          any
	there          bool
}

func stampOf(path string) stamp {
	st, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{st.Size(), st.ModTime().UnixNano(), inode(st), true}
}

// read reads a file that the script names, relative to its folder.
func (l *loader) read(path string) ([]byte, error) {
	if l.loading != nil {
		// Before it is read: a change in between is then found.
		name := filepath.Join(l.dir, path)
		l.loading.stamps[name] = stampOf(name)
	}
	return readBelow(l.dir, path)
}

// load runs the script's file. The stamps of what it has read are there on errors too.
func (s *Script) load(ctx context.Context) (*program, map[string]stamp, error) {
	l := &loader{s, filepath.Dir(s.path), &loading{map[string]stamp{}, map[string]*module{}}}
	stamps := l.loading.stamps
	stamps[s.path] = stampOf(s.path) // also if it is a link to elsewhere
	data, err := readScript(s.path)
	if err != nil {
		return nil, stamps, fmt.Errorf("load %s: %w", s.path, err)
	}
	thread, stop := s.thread(ctx, l)
	defer stop()
	globals, err := l.run(thread, s.path, data)
	if err != nil {
		return nil, stamps, s.explain(ctx, err)
	}
	l.loading = nil
	p := &program{map[string]*starlark.Function{}, l}
	return p, stamps, p.collect(s.path, globals)
}

func readScript(path string) ([]byte, error) {
	// The script itself may be a link that leads out of its folder.
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	return readBelow(filepath.Dir(real), filepath.Base(real))
}

// run runs one file and freezes what it has defined.
func (l *loader) run(thread *starlark.Thread, name string, data []byte) (starlark.StringDict, error) {
	options := &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true}
	file, err := options.Parse(name, data, 0)
	if err != nil {
		return nil, err
	}
	meterStmts(file.Stmts)
	names := l.script.names
	compiled, err := starlark.FileProgram(file, names.Has)
	if err != nil {
		return nil, err
	}
	globals, err := compiled.Init(thread, names)
	globals.Freeze()
	return globals, err
}

// require is load("other.star", ...).
func (l *loader) require(thread *starlark.Thread, name string) (starlark.StringDict, error) {
	name = filepath.Clean(name)
	if m, ok := l.loading.modules[name]; ok {
		if m.globals == nil && m.err == nil {
			return nil, errors.New("files load each other in a circle")
		}
		return m.globals, m.err
	}
	m := &module{}
	l.loading.modules[name] = m
	data, err := l.read(name)
	if err == nil {
		// On the thread that waits for it: the limits are for both.
		m.globals, err = l.run(thread, filepath.Join(l.dir, name), data)
		if err == nil && m.globals == nil {
			m.globals = starlark.StringDict{}
		}
	}
	m.err = err
	return m.globals, err
}

// collect takes the functions that the gateway asks from the script's globals.
func (p *program) collect(path string, globals starlark.StringDict) error {
	for _, name := range asked {
		params := parameters[name]
		v, ok := globals[name]
		if !ok {
			continue
		}
		f, ok := v.(*starlark.Function)
		if !ok {
			return fmt.Errorf("%s: %s is of type %s, want a function", path, name, v.Type())
		}
		if !takes(f, len(params)) {
			return fmt.Errorf("%v: %s is to take %s", f.Position(), name, strings.Join(params, ", "))
		}
		p.functions[name] = f
	}
	// A function that nobody finds, for a slip in its name, would let everybody pass who it is to stop.
	for _, name := range globals.Keys() {
		if f, ok := globals[name].(*starlark.Function); ok && parameters[name] == nil {
			if n := config.Nearest(name, asked); n != "" && p.functions[n] == nil {
				return fmt.Errorf("%v: function %s: did you mean %s? If not, give it a name that is less like it", f.Position(), name, n)
			}
		}
	}
	if len(p.functions) == 0 {
		return fmt.Errorf("%s: defines none of secret(access_key), credentials(token, bucket), authorize(token, bucket, method, path)", path)
	}
	return nil
}

// takes says whether f can be called with n arguments.
func takes(f *starlark.Function, n int) bool {
	// Last of all come *args and **kwargs, before them what has to be named.
	named := f.NumKwonlyParams()
	positional := f.NumParams() - named
	if f.HasVarargs() {
		positional--
	}
	if f.HasKwargs() {
		positional--
	}
	for i := range positional + named {
		if (i >= n || i >= positional) && f.ParamDefault(i) == nil {
			return false
		}
	}
	return positional >= n || f.HasVarargs()
}
