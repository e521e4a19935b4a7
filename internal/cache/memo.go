package cache

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"sync/atomic"
)

// A Decoder is a Cache that remembers what it has made of values. It is an optimisation: [GetShared] does without.
type Decoder interface {
	// Decoded returns what decode makes of the value of key, or has made of the same bytes before. An error of the cache
	// is ErrMiss; those of decode are returned as they are.
	Decoded(ctx context.Context, key string, decode func(Value) (any, error)) (any, error)
}

// GetShared reads the JSON document of key into a T that other readers may be given too: do not change it. Errors are those
// of [GetJSON].
func GetShared[T any](ctx context.Context, c Cache, key string) (*T, error) {
	if d, ok := c.(Decoder); ok {
		v, err := d.Decoded(ctx, key, decodeAs[T])
		if t, ok := v.(*T); ok && err == nil {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMiss, err)
		}
		// Somebody else reads it as something else.
	}
	t := new(T)
	return t, GetJSON(ctx, c, key, t)
}

func decodeAs[T any](v Value) (any, error) {
	t := new(T)
	return t, v.Decode(t)
}

// slots is how many values a Memo remembers at most.
const slots = 2048

// A Memo is a Cache that decodes a value again only when its bytes have changed: each request looks at the same few
// containers and tokens, and taking their JSON apart costs as much as the rest of a filter. What is behind it is asked every
// time, so nothing is older than it would be without.
type Memo struct {
	Cache
	seed  maphash.Seed
	table [slots]atomic.Pointer[decoded] // by the key's hash; the newest wins
}

var _ Decoder = (*Memo)(nil)

type decoded struct {
	key   string
	data  []byte
	value any
}

// NewMemo returns a Memo over c.
func NewMemo(c Cache) *Memo { return &Memo{Cache: c, seed: maphash.MakeSeed()} }

// Decoded asks the cache, and decode if need be.
func (m *Memo) Decoded(ctx context.Context, key string, decode func(Value) (any, error)) (any, error) {
	v, err := m.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return m.decoded(key, v, decode)
}

// decoded returns what decode makes of v, the value of key, or has made of it before.
func (m *Memo) decoded(key string, v Value, decode func(Value) (any, error)) (any, error) {
	slot := &m.table[maphash.String(m.seed, key)%slots]
	if d := slot.Load(); v.JSON && d != nil && d.key == key && bytes.Equal(d.data, v.Data) {
		return d.value, nil
	}
	value, err := decode(v)
	if err != nil {
		return nil, err
	}
	slot.Store(&decoded{key, v.Data, value})
	return value, nil
}
