package cache

import (
	"context"
	"sync"
	"time"
)

// An Answer is what a cache says of a key that was asked for along with another.
type Answer struct {
	Key   string
	Value Value
	Found bool
}

// A Companion is a Cache that can be asked for several keys in one round trip. It is an optimisation.
type Companion interface {
	// GetWith is Get of key. The same question asks for those of the other keys that are kept on the same server; only of
	// these there are answers.
	GetWith(ctx context.Context, key string, others []string) (Value, []Answer, error)
}

// An Ahead is one request's view of a cache: the first question that it asks takes along what is known to be asked for
// later. Each answer that came along serves one reader. It is forgotten when the request itself writes to the key, and never
// older than the request.
type Ahead struct {
	Cache
	memo      *Memo
	companion Companion

	mu     sync.Mutex // guards what follows: subrequests may run in parallel
	wanted []string
	have   []Answer
}

var _ Decoder = (*Ahead)(nil)

// LooksAhead says whether Ahead does: whether the cache can be asked for several keys in one round trip.
func (m *Memo) LooksAhead() bool {
	_, ok := m.Cache.(Companion)
	return ok
}

// Ahead returns a view of m for a request that will ask for the keys, or m itself if the cache cannot be asked for several.
func (m *Memo) Ahead(keys ...string) Cache {
	c, ok := m.Cache.(Companion)
	if !ok || len(keys) == 0 {
		return m
	}
	return &Ahead{Cache: m.Cache, memo: m, companion: c, wanted: keys}
}

// Get answers with what came along, or asks.
func (a *Ahead) Get(ctx context.Context, key string) (Value, error) {
	a.mu.Lock()
	if v, known := a.take(key); known {
		a.mu.Unlock()
		if !v.Found {
			return Value{}, ErrMiss
		}
		return v.Value, nil
	}
	others := a.others(key)
	a.mu.Unlock()
	if len(others) == 0 {
		return a.Cache.Get(ctx, key)
	}
	v, more, err := a.companion.GetWith(ctx, key, others)
	a.mu.Lock()
	a.have = append(a.have, more...)
	a.mu.Unlock()
	return v, err
}

// others returns, once, the keys to be asked for along with key.
func (a *Ahead) others(key string) []string {
	var others []string
	for _, k := range a.wanted {
		if k != key {
			others = append(others, k)
		}
	}
	a.wanted = nil
	return others
}

// take returns what came along for key, and forgets it.
func (a *Ahead) take(key string) (Answer, bool) {
	for i, v := range a.have {
		if v.Key == key {
			a.have = append(a.have[:i], a.have[i+1:]...)
			return v, true
		}
	}
	return Answer{}, false
}

// Decoded is Memo's.
func (a *Ahead) Decoded(ctx context.Context, key string, decode func(Value) (any, error)) (any, error) {
	v, err := a.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return a.memo.decoded(key, v, decode)
}

// forget drops what came along, and is not to come along any more, for a key that is being written to.
func (a *Ahead) forget(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take(key)
	a.wanted = a.others(key)
}

// Set stores v.
func (a *Ahead) Set(ctx context.Context, key string, v Value, ttl time.Duration) error {
	a.forget(key)
	return a.Cache.Set(ctx, key, v, ttl)
}

// Incr counts.
func (a *Ahead) Incr(ctx context.Context, key string, delta int64, ttl time.Duration) (uint64, error) {
	a.forget(key)
	return a.Cache.Incr(ctx, key, delta, ttl)
}

// Delete removes key.
func (a *Ahead) Delete(ctx context.Context, key string) error {
	a.forget(key)
	return a.Cache.Delete(ctx, key)
}
