package starlark

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A meter holds what a call may still take of memory. What has been taken is not given back, since nobody knows when it
// is free: it bounds all that a call makes.
type meter struct {
	left, all int64
}

const meterKey = "apus.meter"

var (
	errMemory = errors.New("too much memory")
	errNumber = errors.New("a number of more than 65536 bits")
)

const (
	maxBits   = 1 << 16
	maxDigits = 4096
	maxRange  = 1 << 20
	maxDepth  = 1000 // of values within values, where they are written out
)

// What a value takes besides its bytes, about.
const (
	perElement = 16
	perPart    = 32 // a string of its own in a list
	perEntry   = 64
)

func (m *meter) take(n int64) error {
	if n > m.left {
		return fmt.Errorf("%w: the script may make %d bytes of values in one call (max_memory)", errMemory, m.all)
	}
	m.left -= n
	return nil
}

func meterOf(thread *starlark.Thread) *meter { return thread.Local(meterKey).(*meter) }

// size is what a copy of v takes, without what it refers to.
func size(v starlark.Value) int64 {
	switch v := v.(type) {
	case starlark.String:
		return int64(len(v))
	case starlark.Bytes:
		return int64(len(v))
	case *starlark.List:
		return perElement * int64(v.Len())
	case starlark.Tuple:
		return perElement * int64(len(v))
	case *starlark.Dict:
		return perEntry * int64(v.Len())
	case *starlark.Set:
		return perEntry * int64(v.Len())
	case starlark.Int:
		if _, small := v.Int64(); !small {
			return int64(bits(v)) / 8
		}
	}
	return 0
}

func bits(i starlark.Int) int {
	if _, small := i.Int64(); small {
		return 63
	}
	return i.BigInt().BitLen()
}

// count is how many elements an iteration over v gives, or any number above most.
func count(v starlark.Value, most int64) int64 {
	if n := starlark.Len(v); n >= 0 {
		return int64(n)
	}
	it, ok := v.(starlark.Iterable)
	if !ok {
		return 0
	}
	// What has no length are a string's code points.
	n := int64(0)
	i := it.Iterate()
	defer i.Done()
	for x := starlark.Value(nil); n <= most && i.Next(&x); {
		n++
	}
	return n
}

// written is how long v is as text; once that is more than most, any number that is more.
func written(v starlark.Value, most int64, depth int) int64 {
	n := int64(2)
	elements := func(it starlark.Iterable) {
		i := it.Iterate()
		defer i.Done()
		for x := starlark.Value(nil); n <= most && i.Next(&x); {
			n += 2 + written(x, most-n, depth+1)
		}
	}
	if depth > maxDepth {
		return math.MaxInt32 + most
	}
	switch v := v.(type) {
	case starlark.String:
		if depth > 0 {
			return n + 4*int64(len(v)) // quoted, at worst as \x00
		}
		return n + int64(len(v))
	case starlark.Bytes:
		return n + 4*int64(len(v))
	case starlark.Int:
		return n + int64(bits(v))/3
	case *starlark.Dict:
		for _, kv := range v.Items() {
			if n += 2 + written(kv, most-n, depth+1); n > most {
				break
			}
		}
	case *starlark.List:
		elements(v)
	case starlark.Tuple:
		elements(v)
	case *starlark.Set:
		elements(v)
	default:
		n += 64
	}
	return n
}

// cost is what x op y makes.
func cost(op syntax.Token, x, y starlark.Value, left int64) (int64, error) {
	switch op {
	case syntax.STAR:
		if _, ok := x.(starlark.Int); ok {
			x, y = y, x
		}
		n, ok := y.(starlark.Int)
		if !ok {
			return 0, nil // there is no such operation, or it is one of floats
		}
		if i, ok := x.(starlark.Int); ok {
			return size(i) + size(n), bounded(bits(i) + bits(n))
		}
		times, small := n.Int64()
		if s := size(x); s > 0 && (!small && n.Sign() > 0 || times > (left+1)/s) {
			return math.MaxInt64, nil
		} else if times > 0 {
			return s * times, nil
		}
		return 0, nil
	case syntax.PERCENT:
		if s, ok := x.(starlark.String); ok {
			return int64(len(s)) + written(y, left, 0), nil
		}
	case syntax.LTLT:
		if i, ok := x.(starlark.Int); ok {
			n, err := starlark.AsInt32(y)
			return size(i), errors.Join(err, bounded(bits(i)+max(n, 0)))
		}
	}
	return size(x) + size(y), nil
}

func bounded(bits int) error {
	if bits > maxBits {
		return errNumber
	}
	return nil
}

func operate(thread *starlark.Thread, op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	m := meterOf(thread)
	n, err := cost(op, x, y, m.left)
	if err == nil {
		err = m.take(n)
	}
	if err != nil {
		return nil, err
	}
	return starlark.Binary(op, x, y)
}

// operateInPlace is x op= y, which changes lists and dictionaries.
func operateInPlace(thread *starlark.Thread, op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	method := ""
	if _, ok := x.(*starlark.List); ok && op == syntax.PLUS {
		if _, ok := y.(starlark.Iterable); ok {
			method = "extend"
		}
	}
	if _, ok := x.(*starlark.Dict); ok && op == syntax.PIPE {
		if _, ok := y.(*starlark.Dict); ok {
			method = "update"
		}
	}
	if method == "" {
		return operate(thread, op, x, y)
	}
	m := meterOf(thread)
	if err := m.take(perEntry * count(y, m.left/perEntry)); err != nil {
		return nil, err
	}
	fn, err := x.(starlark.HasAttrs).Attr(method)
	if err == nil {
		_, err = fn.(*starlark.Builtin).CallInternal(thread, starlark.Tuple{y}, nil)
	}
	return x, err
}

// operateAt is x[i] op= y.
func operateAt(thread *starlark.Thread, op syntax.Token, x, i, y starlark.Value) (starlark.Value, error) {
	switch c := x.(type) {
	case starlark.HasSetKey:
		old, found, err := c.Get(i)
		if err == nil && !found {
			err = fmt.Errorf("key %s not in %s", brief(i), x.Type())
		}
		if err != nil {
			return nil, err
		}
		v, err := operateInPlace(thread, op, old, y)
		if err != nil {
			return nil, err
		}
		return starlark.None, c.SetKey(i, v)
	case starlark.HasSetIndex:
		n, err := starlark.AsInt32(i)
		if err != nil {
			return nil, err
		}
		length := c.Len()
		if n < 0 {
			n += length
		}
		if n < 0 || n >= length {
			return nil, fmt.Errorf("%s index %v out of range [%d:%d]", x.Type(), i, -length, length-1)
		}
		v, err := operateInPlace(thread, op, c.Index(n), y)
		if err != nil {
			return nil, err
		}
		return starlark.None, c.SetIndex(n, v)
	}
	return nil, fmt.Errorf("%s value does not support item assignment", x.Type())
}

// method returns a bound method that counts what it makes.
func method(receiver starlark.Value, b *starlark.Builtin) *starlark.Builtin {
	return starlark.NewBuiltin(b.Name(), func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		m := meterOf(thread)
		before := int64(0)
		switch s := receiver.(type) {
		case starlark.String:
			before = stringMethod(string(s), b.Name(), args, kwargs, m.left)
		case *starlark.List, *starlark.Dict, *starlark.Set:
			switch b.Name() {
			case "get", "append":
			case "items":
				before = perEntry * count(receiver, 0)
			default:
				for _, a := range args {
					if _, text := a.(starlark.String); !text {
						before += perEntry * count(a, m.left/perEntry)
					}
				}
			}
		}
		if err := m.take(before); err != nil {
			return nil, err
		}
		v, err := b.CallInternal(thread, args, kwargs)
		if err != nil || v == receiver {
			return v, err
		}
		switch b.Name() {
		case "get", "pop", "setdefault":
			return v, nil // it was there before
		}
		return v, m.take(size(v))
	})
}

// stringMethod is what a method of a string makes more than its result.
func stringMethod(s, name string, args starlark.Tuple, kwargs []starlark.Tuple, left int64) int64 {
	switch name {
	case "replace":
		if len(args) >= 2 {
			from, _ := starlark.AsString(args[0])
			to, _ := starlark.AsString(args[1])
			if len(to) > len(from) {
				return int64(strings.Count(s, from)) * int64(len(to)-len(from))
			}
		}
	case "join":
		n := int64(0)
		if len(args) == 1 {
			if it, ok := args[0].(starlark.Iterable); ok {
				i := it.Iterate()
				defer i.Done()
				for x := starlark.Value(nil); n <= left && i.Next(&x); {
					n += size(x) + int64(len(s))
				}
			}
		}
		return n
	case "format":
		n := int64(0)
		for _, a := range args {
			n += written(a, left, 1)
		}
		for _, a := range kwargs {
			n += written(a[1], left, 1)
		}
		if fields := int64(strings.Count(s, "{")); fields > 0 && n > left/fields {
			return left + 1
		} else {
			return n * fields
		}
	case "split", "rsplit", "splitlines":
		sep := ""
		if len(args) > 0 {
			sep, _ = starlark.AsString(args[0])
		}
		if sep == "" {
			n := int64(1)
			for i := range len(s) {
				if s[i] <= ' ' || s[i] >= 0x80 {
					n++
				}
			}
			return perPart * n
		}
		return perPart * int64(1+strings.Count(s, sep))
	}
	return 0
}
