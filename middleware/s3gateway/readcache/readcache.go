// Package readcache keeps bodies of objects that were read from S3 stores on a disk of the gateway's, so that they are not fetched
// again.
//
// A body is kept whole, under store, bucket, key and version, with its ETag. Whoever asks for it is first authorised as for any request;
// then the store is asked by HEAD, with the headers and credentials that a GET would have had, and only if it answers 200 with the
// same ETag and length the body comes from here, below the headers of that answer. So permissions, conditions, encryption and freshness
// are the store's own, for one round trip without a body:
//
//	key := readcache.Key{Upstream: "cos", Bucket: "photos", Object: "a.jpg"}
//	if readcache.Cacheable(r) && cache.Has(key) {
//		head := ...                                    // 200 from the store
//		if e, ok := cache.Open(ctx, key, readcache.Validator{Scope: credentials, ETag: ..., Length: ...}); ok {
//			defer e.Close()
//			io.Copy(w, e.Body(offset, length))
//			return
//		}
//	}
//	mark := cache.Mark(key)
//	get := ...                                             // 200 from the store
//	fill, _ := cache.Fill(key, credentials, get.Header)    // nil if this body is not kept: its methods do nothing then
//	defer fill.Abort()
//	if cache.Mark(key) != mark {
//		fill.Abort()                                   // it was written while the store answered
//	}
//	if _, err := io.Copy(w, io.TeeReader(get.Body, fill)); err == nil {
//		fill.Commit()
//	}
//
// An operator who says trust_for lets the HEAD be left out for so long after the store has last confirmed a body to the same scope: the
// credentials that it was asked with (Trusted). Who writes through the gateway says so (Forget, Distrust).
//
// Invariants:
//
//   - A body is seen by readers only when it is whole: of the length that the store had promised and, where the ETag is an MD5, with that
//     MD5. It is written to a file without a name first.
//   - The files take no more than max_size, bodies being written included; the least recently used go first. Memory is bounded by
//     max_entries, about 300 bytes for each.
//   - Nothing is fsynced: after a restart each body is compared with its checksum before its first use, so what a crash or the
//     disk has damaged is dropped and fetched again.
//   - A fault of the disk never reaches a client: it is a miss, or the end of a fill.
//   - One cache uses a directory at a time: a second, as while a server loads a new configuration, keeps nothing until the first is
//     closed. None but the server's user can read it.
//
// Non-goals: objects encrypted with keys of the client's, parts of multipart uploads, and listings.
package readcache

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
)

// Config is the table [filter.s3gateway.cache].
type Config struct {
	// Directory for the cache alone. It is made if its parent is there. Empty: there is no cache.
	Path string `toml:"path"`
	// How much the files may take.
	MaxSize config.Size `toml:"max_size"`
	// The largest object that is kept.
	MaxObjectSize config.Size `toml:"max_object_size"`
	// How many objects are kept at most. Each takes about 300 bytes of memory.
	MaxEntries int `toml:"max_entries"`
	// How long a body may be used without asking the store whether it is still the same and may still be read; 0: always ask.
	TrustFor config.Duration `toml:"trust_for"`
}

// SetDefaults fills in what a table does not say.
func (c *Config) SetDefaults() {
	*c = Config{MaxSize: 10 << 30, MaxObjectSize: 256 << 20, MaxEntries: 100_000}
}

// Validate checks the options against each other.
func (c *Config) Validate() error {
	if c.Path == "" {
		return nil
	}
	var errs []error
	if !path.IsAbs(c.Path) {
		errs = append(errs, config.Invalid("path", "want a path from the root, have %q", c.Path))
	}
	if c.MaxSize < 1<<20 {
		errs = append(errs, config.Invalid("max_size", "want 1 MiB or more, have %d", c.MaxSize))
	}
	if c.MaxObjectSize < 1 || c.MaxObjectSize > c.MaxSize {
		errs = append(errs, config.Invalid("max_object_size", "want from 1 to max_size, have %d", c.MaxObjectSize))
	}
	if c.MaxEntries < 1 {
		errs = append(errs, config.Invalid("max_entries", "want 1 or more, have %d", c.MaxEntries))
	}
	if c.TrustFor.Duration < 0 {
		errs = append(errs, config.Invalid("trust_for", "want 0 or more seconds, have %v", c.TrustFor))
	}
	return errors.Join(errs...)
}

// Deps is what a cache needs besides its configuration.
type Deps struct {
	Log   *slog.Logger
	Clock clock.Clock // nil: the machine's
	FS    disk.FS     // nil: the kernel's
}

// A Key names an object of a store.
type Key struct {
	Upstream, Bucket, Object, Version string
}

// Stats counts since the start, but for Entries and Bytes.
type Stats struct {
	Entries, Bytes                                 int64
	Hits, Stale, Filled, Aborted, Evicted, Damaged int64
}

// A Cache keeps bodies in a directory. Create one with New.
type Cache struct {
	Config
	fs    disk.FS
	log   *slog.Logger
	clock clock.Clock
	lock  disk.File

	stop context.CancelFunc
	done chan struct{} // closed when all that was there at the start is known, or nobody wants to know

	mu      sync.Mutex
	ready   bool // all that was there at the start is known
	closed  bool
	entries map[id]*list.Element // of *node
	recent  *list.List           // most recently used first
	filling map[id]*Writer
	used    int64 // bytes of entries and of what is being written
	serial  uint64
	marks   [1024]uint64 // how often keys were forgotten, by the beginning of their ids
	// Confirmations up to then do not count.
	distrusted time.Time

	hits, stale, filled, aborted, evicted, damaged atomic.Int64
}

// node is what is known of a body without looking at its file.
type node struct {
	key      id
	etag     string
	length   int64 // of the body
	size     int64 // of the file
	verified bool  // the body was compared with its checksum, or written by this process
	// When the store has confirmed the body, by scope; few are kept.
	confirmed map[string]time.Time
}

const maxScopes = 16

// New opens the cache in c.Path. What is there is looked up in the background; nothing is kept until that is done.
func New(c Config, d Deps) (*Cache, error) {
	x := &Cache{
		Config: c, fs: d.FS, log: d.Log, clock: d.Clock, done: make(chan struct{}),
		entries: map[id]*list.Element{}, recent: list.New(), filling: map[id]*Writer{},
	}
	if x.clock == nil {
		x.clock = clock.System
	}
	if x.fs == nil {
		x.fs = disk.OS{}
		if err := private(c.Path); err != nil {
			return nil, fmt.Errorf("read cache: %w", err)
		}
	}
	lock, err := x.fs.Open(path.Join(c.Path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("read cache: %w", err)
	}
	x.lock = lock
	ctx, stop := context.WithCancel(context.Background())
	x.stop = stop
	go x.start(ctx)
	return x, nil
}

// private makes sure of a directory that nobody else can read.
func private(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by other users: chmod 700", dir)
	}
	return nil
}

// Close ends the cache's work. Entries that are open stay so; fills end.
func (c *Cache) Close() error {
	c.stop()
	<-c.done
	c.mu.Lock()
	c.closed = true
	for _, w := range c.filling {
		c.revoke(w)
	}
	c.mu.Unlock()
	return c.lock.Close()
}

// Stats returns the cache's counts.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	entries, used := int64(len(c.entries)), c.used
	c.mu.Unlock()
	return Stats{entries, used, c.hits.Load(), c.stale.Load(), c.filled.Load(), c.aborted.Load(), c.evicted.Load(), c.damaged.Load()}
}

// Has says whether there is a body for the key, so that it is worth asking the store whether it is still the same.
func (c *Cache) Has(k Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[k.id()] != nil
}

// A Validator is what the store has just said of an object, to somebody who may read it.
type Validator struct {
	// Scope names the credentials that the store was asked with.
	Scope string
	ETag  string
	// Length of the whole body.
	Length int64
}

// Open returns the body if it is the one that the store has confirmed. Another one is dropped.
func (c *Cache) Open(ctx context.Context, k Key, v Validator) (*Entry, bool) {
	h := k.id()
	c.mu.Lock()
	e := c.entries[h]
	if e == nil {
		c.mu.Unlock()
		return nil, false
	}
	n := e.Value.(*node)
	if n.etag != v.ETag || n.length != v.Length {
		c.drop(e)
		c.mu.Unlock()
		c.stale.Add(1)
		return nil, false
	}
	if c.TrustFor.Duration > 0 {
		n.confirm(v.Scope, c.clock.Now())
	}
	c.mu.Unlock()
	return c.open(ctx, k, n)
}

// Trusted returns the body if the store has confirmed it to the same scope not longer than trust_for ago. The caller has authorised
// this very request; the store is not asked.
func (c *Cache) Trusted(ctx context.Context, k Key, scope string) (*Entry, bool) {
	c.mu.Lock()
	e := c.entries[k.id()]
	if e == nil || c.TrustFor.Duration <= 0 {
		c.mu.Unlock()
		return nil, false
	}
	n := e.Value.(*node)
	at, ok := n.confirmed[scope]
	ok = ok && at.After(c.distrusted) && c.clock.Now().Sub(at) < c.TrustFor.Duration
	c.mu.Unlock()
	if !ok {
		return nil, false
	}
	return c.open(ctx, k, n)
}

// Forget drops the body of an object that is written or deleted, and what is being fetched of it. The latest version of an object
// is another key than its versions by id.
func (c *Cache) Forget(k Key) {
	h := k.id()
	c.mu.Lock()
	c.marks[h.stripe()]++
	if e := c.entries[h]; e != nil {
		c.drop(e)
	}
	if w := c.filling[h]; w != nil {
		c.revoke(w)
	}
	c.mu.Unlock()
}

// Mark changes whenever the key is forgotten. A body that the store was asked for before that, and that is filled after it, may be an
// old one: whoever fills compares the mark of before the request with that of after Fill.
func (c *Cache) Mark(k Key) uint64 {
	h := k.id()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marks[h.stripe()]
}

// Distrust has the store asked about every body again: something was done that may have changed what may be read.
func (c *Cache) Distrust() {
	c.mu.Lock()
	c.distrusted = c.clock.Now()
	c.mu.Unlock()
}

// confirm notes that the store has confirmed the body. The caller holds mu.
func (n *node) confirm(scope string, now time.Time) {
	if n.confirmed == nil {
		n.confirmed = map[string]time.Time{}
	}
	if _, there := n.confirmed[scope]; !there && len(n.confirmed) >= maxScopes {
		oldest, first := "", true
		for s, at := range n.confirmed {
			if first || at.Before(n.confirmed[oldest]) {
				oldest, first = s, false
			}
		}
		delete(n.confirmed, oldest)
	}
	n.confirmed[scope] = now
}

// drop forgets an entry and removes its file. The caller holds mu, so that no new file of that name comes in between.
func (c *Cache) drop(e *list.Element) {
	n := e.Value.(*node)
	c.recent.Remove(e)
	delete(c.entries, n.key)
	c.used -= n.size
	if err := c.fs.Unlink(c.file(n.key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("cannot remove a file of the read cache", "err", err)
	}
}

// room drops what was not used for longest until size more bytes fit. The caller holds mu.
func (c *Cache) room(size int64) bool {
	for c.used+size > int64(c.MaxSize) || len(c.entries)+len(c.filling) >= c.MaxEntries {
		e := c.recent.Back()
		if e == nil {
			return false
		}
		c.drop(e)
		c.evicted.Add(1)
	}
	return true
}

// add makes a body known. The caller holds mu and has counted its size.
func (c *Cache) add(n *node) {
	if old := c.entries[n.key]; old != nil {
		o := old.Value.(*node)
		c.recent.Remove(old)
		c.used -= o.size
	}
	c.entries[n.key] = c.recent.PushFront(n)
}
