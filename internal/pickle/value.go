// Package pickle reads and writes the few shapes of Python pickles that Swift keeps on disk and sends between nodes:
// metadata in extended attributes, suffix hashes, pending rows, delayed container updates and ring builder files.
//
// A pickle is a program for a small stack machine that can call anything its reader can import. This package runs it
// without calling anything: a global outside the short list that Swift's own restricted reader allows (plus the arrays of
// builder files) is a [*GlobalError]. Whatever the input, decoding does not panic, uses memory in proportion to the
// input, and returns a tree whose size, counted with shared parts as often as they appear, is in proportion as well.
//
// [Decode] gives these Go values, and [Encode] takes them (it writes protocol 2, which every release of Swift reads):
//
//	None          nil
//	bool          bool
//	int           int64; an integer of more than 64 bits is an error
//	float         float64
//	str           string, bytes that are no UTF-8 standing for Python's surrogate escapes
//	bytes         Bytes, as is the str of Python 2
//	list          []any
//	tuple         Tuple
//	dict          *Dict, in the order of the pickle; also a header dictionary object
//	array.array   Array
//
// What every request does has its own code without the tree: [AppendMetadata] and [DecodeMetadata] for extended
// attributes, [ObjectRecord] and [ContainerRecord] for pending rows. These take any pickle of the same value, but are
// fast for the form that Python 3 writes, and write exactly that form.
//
//	v, err := pickle.Decode(body)
//	hashes, ok := v.(*pickle.Dict)
//	for suffix, hash := range hashes.All() { ... }
package pickle

import (
	"errors"
	"fmt"
	"iter"
)

const (
	// MaxSize is the greatest length of a pickle that Decode takes, in bytes. The greatest legitimate ones are builder
	// files.
	MaxSize = 1 << 30
	// MaxDepth is how deep lists, tuples and dictionaries may be nested, for reading and for writing.
	MaxDepth = 64
)

// ErrInvalid is what errors.Is finds in every decoding error, a [*GlobalError] included.
var ErrInvalid = errors.New("invalid pickle")

// A GlobalError says that a pickle names a class or function that it has no business with.
type GlobalError struct {
	// Module and Name are Python's, such as "os" and "system".
	Module, Name string
}

func (e *GlobalError) Error() string {
	return fmt.Sprintf("global %q %q is not allowed in a pickle", e.Module, e.Name)
}

// Is makes a GlobalError match [ErrInvalid].
func (e *GlobalError) Is(target error) bool { return target == ErrInvalid }

// Bytes is Python's bytes.
type Bytes string

// A Tuple is Python's tuple.
type Tuple []any

// An Array is Python's array.array of unsigned integers.
type Array struct {
	// Typecode is 'B' for one byte an item, 'H' for two, 'I' or 'L' for four.
	Typecode byte
	// Values are the items, each small enough for the typecode.
	Values []uint32
}

// An Item is one entry of a dictionary.
type Item struct {
	Key, Value any
}

// Items is a dictionary to be encoded, in this order. The caller sees to it that no key comes twice.
type Items []Item

// A Dict is a dictionary that remembers the order of its keys. Keys are nil, bool, int64, float64, string, [Bytes] or a
// flat [Tuple] of these. The zero value is empty and ready to use. It is not safe for concurrent changes.
type Dict struct {
	items []Item
	index map[any]int
}

// Len returns the number of entries.
func (d *Dict) Len() int { return len(d.items) }

// All iterates over the entries in the order in which their keys were first set.
func (d *Dict) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		for _, item := range d.items {
			if !yield(item.Key, item.Value) {
				return
			}
		}
	}
}

// Get returns the value of a key. A string finds a [Bytes] key too if there is no text key, since Python 2 wrote those.
func (d *Dict) Get(key any) (value any, ok bool) {
	indexed, err := indexKey(key)
	if err != nil {
		return nil, false
	}
	i, ok := d.index[indexed]
	if text, isText := key.(string); !ok && isText {
		i, ok = d.index[Bytes(text)]
	}
	if !ok {
		return nil, false
	}
	return d.items[i].Value, true
}

// Set sets the value of a key, at the end if the key is new. It fails for types that cannot be keys.
func (d *Dict) Set(key, value any) error {
	indexed, err := indexKey(key)
	if err != nil {
		return err
	}
	if i, ok := d.index[indexed]; ok {
		d.items[i].Value = value
		return nil
	}
	if d.index == nil {
		d.index = make(map[any]int)
	}
	d.index[indexed] = len(d.items)
	d.items = append(d.items, Item{key, value})
	return nil
}

// maxTupleKey bounds what a tuple is indexed by, in bytes. Those of builders hold four short items.
const maxTupleKey = 4096

// tupleKey is what a tuple is indexed by: Go's slices cannot be map keys.
type tupleKey string

// indexKey returns a comparable stand-in for a key.
func indexKey(key any) (any, error) {
	switch key := key.(type) {
	case nil, bool, int64, float64, string, Bytes:
		return key, nil
	case int:
		return int64(key), nil
	case Tuple:
		var text []byte
		for _, element := range key {
			s, _ := Text(element)
			if len(text)+len(s) > maxTupleKey {
				return nil, fmt.Errorf("%w: a tuple of more than %d bytes as a dictionary key", ErrInvalid, maxTupleKey)
			}
			switch element.(type) {
			case nil, bool, int64, float64, string, Bytes:
				text = fmt.Appendf(text, "%T %#v,", element, element)
			default:
				return nil, fmt.Errorf("%w: a tuple holding %T as a dictionary key", ErrInvalid, element)
			}
		}
		return tupleKey(text), nil
	default:
		return nil, fmt.Errorf("%w: %T as a dictionary key", ErrInvalid, key)
	}
}

// Text returns the text of a string or [Bytes] value; readers that must take what Python 2 wrote use it.
func Text(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Bytes:
		return string(v), true
	default:
		return "", false
	}
}
