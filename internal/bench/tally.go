package bench

import (
	"cmp"
	"maps"
	"slices"
)

// A Fault is a kind of error with how often it came and the first case of it.
type Fault struct {
	// Kind is the status code ("503") or one of: timeout, refused, reset, cut off, connection, wrong length, wrong content,
	// wrong etag.
	Kind string `json:"kind"`
	// Count is how often it came.
	Count uint64 `json:"count"`
	// Example is one case in full: method, path, what came, transaction id.
	Example string `json:"example"`
}

// tally is what came of one kind of operation.
type tally struct {
	latency Histogram
	bytes   int64
	errors  uint64
	faults  map[string]Fault
}

// fail counts an error; the example is made only for the first of its kind.
func (t *tally) fail(kind string, example func() string) {
	t.errors++
	f, seen := t.faults[kind]
	if !seen {
		f = Fault{Kind: kind, Example: example()}
	}
	f.Count++
	if t.faults == nil {
		t.faults = make(map[string]Fault)
	}
	t.faults[kind] = f
}

func (t *tally) merge(o *tally) {
	t.latency.Merge(&o.latency)
	t.bytes += o.bytes
	t.errors += o.errors
	for kind, f := range o.faults {
		if mine, seen := t.faults[kind]; seen {
			f.Count += mine.Count
			f.Example = mine.Example
		}
		if t.faults == nil {
			t.faults = make(map[string]Fault)
		}
		t.faults[kind] = f
	}
}

// sorted are the faults, the most frequent first.
func (t *tally) sorted() []Fault {
	return slices.SortedFunc(maps.Values(t.faults), func(a, b Fault) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
}
