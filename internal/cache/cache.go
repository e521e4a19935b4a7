// Package cache is the contract of the shared cache in which Swift keeps tokens, account and container info, shard
// maps and rate-limit counters.
//
// Two implementations exist: memcached (servers shared with other proxies, OpenStack Swift's among them) and memory
// (inside the process, for a server that runs alone). Both pass cachetest.
//
// Invariants:
//
//   - A cache may forget anything at any time. No answer may depend on an item being there.
//   - To a reader an absent item and a broken cache are the same: the error is ErrMiss. Whoever wants to count the
//     two apart asks for ErrUnavailable too.
//   - A writer is told what became of a Set, since a token that nobody will find again must not be handed out.
//   - JSON items are what OpenStack Swift would have written for the same value, byte for byte (see EncodeJSON).
//
// Non-goals: iteration, compare-and-swap, eviction callbacks, storing objects.
//
//	err := cache.SetJSON(ctx, c, "account/AUTH_test", info, time.Minute)
//	...
//	var info AccountInfo
//	if err := cache.GetJSON(ctx, c, "account/AUTH_test", &info); err != nil {
//		// Ask the account servers.
//	}
package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrMiss says that there is nothing to read under a key, for whatever reason. Every error of Get, GetJSON and
	// GetMulti is one.
	ErrMiss = errors.New("not in the cache")
	// ErrUnavailable says that no server could be asked: unreachable, too slow, or skipped after too many errors.
	ErrUnavailable = errors.New("no cache server available")
	// ErrRefused says that the cache was asked and declined: the value is larger than it stores, or the item to be
	// counted is not a number. Trying again is pointless.
	ErrRefused = errors.New("refused by the cache")
)

// A Value is what is stored under a key: JSON or raw text. Which of the two is stored with it, so that other programs
// know how to read it.
type Value struct {
	// Data is the JSON document or the raw text. It belongs to the cache: do not change the bytes that Get returned.
	Data []byte
	// JSON tells whether Data is a JSON document.
	JSON bool
}

// Text is a raw Value.
func Text(s string) Value { return Value{Data: []byte(s)} }

// Count reads a raw Value as the counter that Incr keeps. ok is false when it is none. Memcached pads a counter that
// lost a digit with spaces; they are ignored.
func (v Value) Count() (n uint64, ok bool) {
	if v.JSON {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(v.Data)), 10, 64)
	return n, err == nil
}

// An Item is a Value with its key.
type Item struct {
	Key   string
	Value Value
}

// A Cache stores small values under text keys for a limited time. Keys may hold any bytes. It is safe for concurrent
// use.
//
// A time to live of 0 means for ever, a negative one that the item has expired already. Fractions of a second are cut
// off, but anything above 0 lasts at least a second.
//
// The Multi methods keep a group of items on the server that serverKey belongs to, which makes one round trip of
// several. Items of a group are reached with the Multi methods and the same serverKey only.
type Cache interface {
	// Get returns the value of key or an error that is ErrMiss.
	Get(ctx context.Context, key string) (Value, error)
	// GetMulti returns the values found of keys, without the absent ones. Its error is ErrMiss and ErrUnavailable:
	// finding none is no error.
	GetMulti(ctx context.Context, serverKey string, keys []string) (map[string]Value, error)
	// Set stores v until ttl has passed. The error is ErrUnavailable or ErrRefused; what was stored before may then
	// be gone or not. The cache does not keep v.Data.
	Set(ctx context.Context, key string, v Value, ttl time.Duration) error
	// SetMulti stores items. An error of ErrRefused means that at least one of them was not stored.
	SetMulti(ctx context.Context, serverKey string, items []Item, ttl time.Duration) error
	// Incr adds delta to the counter and returns the new count. A negative delta subtracts and stops at 0. An absent
	// counter becomes delta, or 0 if delta is negative, and lasts for ttl; a present one keeps the time that it has
	// left. Adding beyond 64 bits wraps around. The error is ErrUnavailable or ErrRefused.
	Incr(ctx context.Context, key string, delta int64, ttl time.Duration) (uint64, error)
	// Delete removes key. Deleting what is absent is no error; ErrUnavailable means that it may still be there.
	Delete(ctx context.Context, key string) error
	// DeleteMulti removes keys that were set with serverKey.
	DeleteMulti(ctx context.Context, serverKey string, keys []string) error
}

// GetJSON reads the JSON document of key into dst, a pointer as for json.Unmarshal. The error is ErrMiss, also when the
// item is no JSON or does not fit dst: whoever cannot read an item replaces it.
func GetJSON(ctx context.Context, c Cache, key string, dst any) error {
	v, err := c.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := v.Decode(dst); err != nil {
		return fmt.Errorf("%w: %w", ErrMiss, err)
	}
	return nil
}

// SetJSON stores v as EncodeJSON writes it. An error of encoding is neither ErrUnavailable nor ErrRefused.
func SetJSON(ctx context.Context, c Cache, key string, v any, ttl time.Duration) error {
	data, err := EncodeJSON(v)
	if err != nil {
		return err
	}
	return c.Set(ctx, key, Value{Data: data, JSON: true}, ttl)
}

// Seconds returns ttl in whole seconds as the caches keep it: cut, not rounded, but a time to live above 0 never
// becomes 0, which would mean for ever.
func Seconds(ttl time.Duration) int64 {
	switch {
	case ttl > 0:
		return max(1, int64(ttl/time.Second))
	case ttl < 0:
		return -1
	}
	return 0
}
