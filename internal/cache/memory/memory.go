// Package memory is a cache.Cache inside the process, for a server that runs alone and for tests.
//
// Invariants:
//
//   - It never holds more than Options.MaxBytes or Options.MaxItems; the items least likely to be asked for go first.
//   - It starts no goroutine: expired items are dropped when they are met and while others are written.
//   - Counting is atomic.
//
// Non-goals: sharing between processes. Two proxies with a memory cache each do not see each other's tokens.
//
//	c := memory.New(memory.Options{MaxBytes: 64 << 20})
package memory

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/clock"
)

// Defaults of Options.
const (
	DefaultMaxBytes = 64 << 20
	DefaultMaxItems = 200_000
	DefaultMaxItem  = 1 << 20
)

// overhead is about what an item costs besides its key and value: the table slot, the policy's node, two headers.
const overhead = 200

// Options of a Cache. Zero fields take their defaults.
type Options struct {
	// MaxBytes bounds the memory: keys, values and an allowance per item.
	MaxBytes int64
	// MaxItems bounds the number of items.
	MaxItems int64
	// MaxItem is the size in bytes of the largest item that is accepted, key included. As with memcached the default
	// is 1 MiB.
	MaxItem int
	// Clock decides when items expire. The default is the machine's.
	Clock clock.Clock
}

// A Cache keeps items in the memory of this process. Create one with New.
type Cache struct {
	clock   clock.Clock
	maxItem int
	items   *otter.Cache[string, item]
}

var _ cache.Cache = (*Cache)(nil)

type item struct {
	value    cache.Value
	deadline int64 // Unix time in nanoseconds, 0 for never.
}

// New returns an empty Cache.
func New(o Options) *Cache {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxItems <= 0 {
		o.MaxItems = DefaultMaxItems
	}
	if o.MaxItem <= 0 {
		o.MaxItem = DefaultMaxItem
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	// An item weighs at least its share of the memory, so that one maximum bounds both bytes and number.
	share := uint32(min(max(o.MaxBytes/o.MaxItems, 1), math.MaxUint32))
	c := &Cache{clock: o.Clock, maxItem: o.MaxItem}
	c.items = otter.Must(&otter.Options[string, item]{
		MaximumWeight: uint64(o.MaxBytes),
		Weigher: func(key string, it item) uint32 {
			size := min(len(key)+len(it.value.Data)+overhead, math.MaxUint32)
			return max(share, uint32(size))
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(c.lifetime),
		Clock:            ticklessClock{o.Clock},
		// Housekeeping in the caller's goroutine keeps the bounds exact and leaves nothing running.
		Executor: func(fn func()) { fn() },
	})
	return c
}

// lifetime is how long an item that is being written is to be kept.
func (c *Cache) lifetime(e otter.Entry[string, item]) time.Duration {
	if e.Value.deadline == 0 {
		return math.MaxInt64
	}
	return max(0, time.Duration(e.Value.deadline-c.clock.Now().UnixNano()))
}

// ticklessClock is a clock for otter that causes no periodic clean-ups.
type ticklessClock struct{ clock.Clock }

func (c ticklessClock) NowNano() int64                      { return c.Now().UnixNano() }
func (c ticklessClock) Tick(time.Duration) <-chan time.Time { return nil }

// deadline is when something written now expires.
func (c *Cache) deadline(ttl time.Duration) int64 {
	now, s := c.clock.Now().UnixNano(), cache.Seconds(ttl)
	if s == 0 || s > (math.MaxInt64-now)/int64(time.Second) {
		return 0
	}
	return now + s*int64(time.Second)
}

// Get returns the value of key. Its bytes are shared with other readers.
func (c *Cache) Get(_ context.Context, key string) (cache.Value, error) {
	it, ok := c.items.GetIfPresent(key)
	if !ok {
		return cache.Value{}, cache.ErrMiss
	}
	return it.value, nil
}

// GetMulti returns the values found of keys. All items are in one place here, so serverKey plays no part.
func (c *Cache) GetMulti(ctx context.Context, _ string, keys []string) (map[string]cache.Value, error) {
	found := make(map[string]cache.Value, len(keys))
	for _, key := range keys {
		if v, err := c.Get(ctx, key); err == nil {
			found[key] = v
		}
	}
	return found, nil
}

// Set stores a copy of v.
func (c *Cache) Set(_ context.Context, key string, v cache.Value, ttl time.Duration) error {
	if size := len(key) + len(v.Data); size > c.maxItem {
		// What was stored is out of date now.
		c.items.Invalidate(key)
		return fmt.Errorf("store %d bytes: %w: more than %d", size, cache.ErrRefused, c.maxItem)
	}
	if ttl < 0 {
		c.items.Invalidate(key)
		return nil
	}
	v.Data = slices.Clone(v.Data)
	c.items.Set(key, item{v, c.deadline(ttl)})
	return nil
}

// SetMulti stores copies of items.
func (c *Cache) SetMulti(ctx context.Context, _ string, items []cache.Item, ttl time.Duration) error {
	var refused error
	for _, it := range items {
		if err := c.Set(ctx, it.Key, it.Value, ttl); err != nil {
			refused = err
		}
	}
	return refused
}

// Incr counts.
func (c *Cache) Incr(_ context.Context, key string, delta int64, ttl time.Duration) (uint64, error) {
	var n uint64
	var err error
	c.items.Compute(key, func(old item, found bool) (item, otter.ComputeOp) {
		if !found {
			n = uint64(max(0, delta))
			if ttl < 0 {
				return old, otter.CancelOp
			}
			return item{cache.Value{Data: strconv.AppendUint(nil, n, 10)}, c.deadline(ttl)}, otter.WriteOp
		}
		count, ok := old.value.Count()
		if !ok {
			err = fmt.Errorf("count: %w: the item is not a number", cache.ErrRefused)
			return old, otter.CancelOp
		}
		if delta >= 0 {
			n = count + uint64(delta)
		} else {
			// Negated in unsigned arithmetic, where the lowest number has an opposite too.
			n = count - min(count, -uint64(delta))
		}
		return item{cache.Value{Data: strconv.AppendUint(nil, n, 10)}, old.deadline}, otter.WriteOp
	})
	return n, err
}

// Delete removes key.
func (c *Cache) Delete(_ context.Context, key string) error {
	c.items.Invalidate(key)
	return nil
}

// DeleteMulti removes keys.
func (c *Cache) DeleteMulti(ctx context.Context, _ string, keys []string) error {
	for _, key := range keys {
		if err := c.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
