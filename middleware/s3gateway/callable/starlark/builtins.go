package starlark

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	starjson "go.starlark.net/lib/json"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// maxFile is the largest file that a script may be, load or read.
const maxFile = 1 << 20

// predeclared is what every script finds: Starlark's own built-ins, those that make values counted; json, time, env and
// read_file; and what operations have been made calls of.
func predeclared() starlark.StringDict {
	names := starlark.StringDict{
		"env":       starlark.NewBuiltin("env", env),
		"read_file": starlark.NewBuiltin("read_file", readFile),
		"time":      startime.Module,
		// Without indent and encode_indent, whose result nobody can foresee.
		"json": &starlarkstruct.Module{Name: "json", Members: starlark.StringDict{
			"encode": counted(starjson.Module.Members["encode"], text),
			"decode": counted(starjson.Module.Members["decode"], parsed),
		}},
		attribute: starlark.NewBuiltin("attribute", attr),
		"getattr": starlark.NewBuiltin("getattr", attr),
		measured:  starlark.NewBuiltin(measured, measure),
	}
	for _, name := range []string{"list", "tuple", "reversed", "sorted", "set", "dict", "zip", "enumerate", "bytes"} {
		names[name] = counted(starlark.Universe[name], elements)
	}
	for _, name := range []string{"str", "repr", "print", "fail"} {
		names[name] = counted(starlark.Universe[name], text)
	}
	names["int"] = counted(starlark.Universe["int"], digits)
	names["range"] = starlark.NewBuiltin("range", boundedRange)
	for _, op := range meteredOperators {
		names[op.String()] = starlark.NewBuiltin("operator "+op.String(), func(thread *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return operate(thread, op, a[0], a[1])
		})
		names[op.String()+"="] = starlark.NewBuiltin("operator "+op.String()+"=", func(thread *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return operateInPlace(thread, op, a[0], a[1])
		})
		names["[]"+op.String()+"="] = starlark.NewBuiltin("operator "+op.String()+"=", func(thread *starlark.Thread, _ *starlark.Builtin, a starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return operateAt(thread, op, a[0], a[1], a[2])
		})
	}
	return names
}

// counted puts a price before a built-in.
func counted(v starlark.Value, price func(left int64, args starlark.Tuple) (int64, error)) *starlark.Builtin {
	b := v.(*starlark.Builtin)
	return starlark.NewBuiltin(b.Name(), func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		m := meterOf(thread)
		n, err := price(m.left, args)
		if err == nil {
			err = m.take(n)
		}
		if err != nil {
			return nil, err
		}
		return b.CallInternal(thread, args, kwargs)
	})
}

func elements(left int64, args starlark.Tuple) (n int64, err error) {
	for _, a := range args {
		n += perEntry * count(a, left/perEntry)
	}
	return n, nil
}

func text(left int64, args starlark.Tuple) (n int64, err error) {
	for _, a := range args {
		if n += written(a, left, 1); n > left {
			break
		}
	}
	return n, nil
}

// parsed is what decoding a JSON document makes, at worst; nor may it be deep.
func parsed(_ int64, args starlark.Tuple) (int64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	s, _ := starlark.AsString(args[0])
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return 0, fmt.Errorf("more than %d values within each other", maxDepth)
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return perPart * int64(len(s)), nil
}

func digits(_ int64, args starlark.Tuple) (int64, error) {
	if len(args) > 0 {
		if s, ok := starlark.AsString(args[0]); ok && len(s) > maxDigits {
			return 0, fmt.Errorf("want a number of at most %d digits", maxDigits)
		}
	}
	return 0, nil
}

// boundedRange is range, for lengths that any, max and the like go through in no time.
func boundedRange(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	v, err := starlark.Universe["range"].(*starlark.Builtin).CallInternal(thread, args, kwargs)
	if err == nil && starlark.Len(v) > maxRange {
		return nil, fmt.Errorf("a range of more than %d numbers", maxRange)
	}
	return v, err
}

// measure counts a copy: of a slice, or of what a call spreads into arguments, which is copied twice.
func measure(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	return args[0], meterOf(thread).take(2 * size(args[0]))
}

// attr is x.name, and getattr.
func attr(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var x, missing starlark.Value
	var name string
	if err := starlark.UnpackPositionalArgs(b.Name(), args, kwargs, 2, &x, &name, &missing); err != nil {
		return nil, err
	}
	if has, ok := x.(starlark.HasAttrs); ok {
		v, err := has.Attr(name)
		if _, none := errors.AsType[starlark.NoSuchAttrError](err); err != nil && !none {
			return nil, err
		}
		if m, ok := v.(*starlark.Builtin); ok && m.Receiver() != nil {
			return method(x, m), nil
		}
		if v != nil && err == nil {
			return v, nil
		}
	}
	if missing != nil {
		return missing, nil
	}
	problem := fmt.Sprintf("%s has no .%s", x.Type(), name)
	if _, ok := x.(*starlark.Dict); ok {
		problem += fmt.Sprintf("; want [%q]?", name)
	}
	return nil, errors.New(problem)
}

// env gives a variable of the environment: env(name, default=None).
func env(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name string
	var missing starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "default?", &missing); err != nil {
		return nil, err
	}
	if v, ok := os.LookupEnv(name); ok {
		return starlark.String(v), nil
	}
	return missing, nil
}

// readFile gives a file from the script's folder or below: read_file(path, default=None). Without a default the file
// has to be there.
func readFile(thread *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var path string
	var missing starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "path", &path, "default?", &missing); err != nil {
		return nil, err
	}
	l := thread.Local(loaderKey).(*loader)
	data, err := l.read(path)
	if errors.Is(err, fs.ErrNotExist) && missing != nil {
		return missing, nil
	}
	if err != nil {
		return nil, err
	}
	return starlark.String(data), meterOf(thread).take(int64(len(data)))
}

// readBelow reads a regular file below dir. What leads out of it, symbolic links too, is refused.
func readBelow(dir, path string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Without waiting: it may be a pipe.
	f, err := root.OpenFile(filepath.Clean(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("read %s: larger than %d bytes", path, maxFile)
	}
	return data, err
}

// brief shows a value in an error.
func brief(v starlark.Value) string {
	if s, ok := v.(starlark.String); ok && len(s) <= 64 {
		return strconv.Quote(string(s))
	}
	return "of type " + v.Type()
}
