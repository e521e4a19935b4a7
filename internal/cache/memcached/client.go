package memcached

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/clock"
)

// Flags of an item, as OpenStack Swift sets them.
const (
	flagPickle = 1 << 0
	flagJSON   = 1 << 1
)

// longestRelative is the longest time to live that memcached does not take for an absolute time.
const longestRelative = 30 * 24 * time.Hour

var errBadAnswer = errors.New("unexpected answer")

// Options are what the owner of a Client hands in. Zero fields take their defaults.
type Options struct {
	// Logger hears of failing servers and large items. The default discards.
	Logger *slog.Logger
	// Clock decides how long servers are skipped. The default is the machine's.
	Clock clock.Clock
}

// A Client is the cache kept by a group of memcached servers. Create one with New.
type Client struct {
	ring    *ring
	servers []*server // in the order of Config.Servers
	logger  *slog.Logger
	clock   clock.Clock
	warnAt  int // bytes; -1 for never
}

var (
	_ cache.Cache     = (*Client)(nil)
	_ cache.Companion = (*Client)(nil)
)

// New returns a Client of cfg, which must hold all options: those of the filter over those of memcache.conf over
// Defaults. It makes no connection.
func New(cfg Config, o Options) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tlsConf, err := cfg.tlsConfig()
	if err != nil {
		return nil, err
	}
	c := &Client{
		ring:   newRing(cfg.Servers, cfg.Tries),
		logger: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		clock:  o.Clock,
		warnAt: cfg.ItemSizeWarningThreshold,
	}
	if c.clock == nil {
		c.clock = clock.System
	}
	for _, name := range cfg.Servers {
		s, err := newServer(name, &cfg, tlsConf)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, s)
	}
	return c, nil
}

// Close closes the idle connections. The Client can still be used.
func (c *Client) Close() error {
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.client.Close())
	}
	return errors.Join(errs...)
}

// Get asks the key's server.
func (c *Client) Get(ctx context.Context, key string) (cache.Value, error) {
	sum := sumKey(key)
	wire := sum.wire()
	var item *memcache.Item
	err := c.try(ctx, call{"get", sum, false}, func(mc *memcache.Client) (err error) {
		item, err = mc.Get(wire)
		return err
	})
	switch {
	case errors.Is(err, memcache.ErrCacheMiss):
		return cache.Value{}, cache.ErrMiss
	case err != nil:
		return cache.Value{}, fmt.Errorf("%w: %w", cache.ErrMiss, err)
	}
	v, ok := value(item)
	if !ok {
		return cache.Value{}, cache.ErrMiss
	}
	return v, nil
}

// value reads an item. ok is false for one in a form that is not read.
func value(item *memcache.Item) (v cache.Value, ok bool) {
	if item.Flags&flagPickle != 0 {
		return cache.Value{}, false
	}
	return cache.Value{Data: item.Value, JSON: item.Flags&flagJSON != 0}, true
}

// GetMulti asks serverKey's server for all keys at once.
func (c *Client) GetMulti(ctx context.Context, serverKey string, keys []string) (map[string]cache.Value, error) {
	wires := make([]string, len(keys))
	for i, key := range keys {
		wires[i] = sumKey(key).wire()
	}
	var items map[string]*memcache.Item
	err := c.try(ctx, call{"get_multi", sumKey(serverKey), false}, func(mc *memcache.Client) (err error) {
		items, err = mc.GetMulti(wires)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cache.ErrMiss, err)
	}
	found := make(map[string]cache.Value, len(items))
	for i, key := range keys {
		if item := items[wires[i]]; item != nil {
			if v, ok := value(item); ok {
				found[key] = v
			}
		}
	}
	return found, nil
}

// GetWith asks key's server for key and those of the others that it keeps as well.
func (c *Client) GetWith(ctx context.Context, key string, others []string) (cache.Value, []cache.Answer, error) {
	at := sumKey(key)
	home := c.ring.first(at)
	wires := append(make([]string, 0, len(others)+1), at.wire())
	answers := make([]cache.Answer, 0, len(others))
	for _, other := range others {
		if sum := sumKey(other); c.ring.first(sum) == home {
			wires = append(wires, sum.wire())
			answers = append(answers, cache.Answer{Key: other})
		}
	}
	var items map[string]*memcache.Item
	err := c.try(ctx, call{"get_multi", at, false}, func(mc *memcache.Client) (err error) {
		items, err = mc.GetMulti(wires)
		return err
	})
	if err != nil {
		return cache.Value{}, nil, fmt.Errorf("%w: %w", cache.ErrMiss, err)
	}
	for i := range answers {
		if item := items[wires[i+1]]; item != nil {
			answers[i].Value, answers[i].Found = value(item)
		}
	}
	if item := items[wires[0]]; item != nil {
		if v, ok := value(item); ok {
			return v, answers, nil
		}
	}
	return cache.Value{}, answers, cache.ErrMiss
}

// item is what is sent to store v. It warns of large ones.
func (c *Client) item(sum keySum, v cache.Value, expiry int32) *memcache.Item {
	if c.warnAt >= 0 && len(v.Data) >= c.warnAt {
		c.logger.Warn("large item for memcached", "bytes", len(v.Data), "threshold", c.warnAt)
	}
	item := &memcache.Item{Key: sum.wire(), Value: v.Data, Expiration: expiry}
	if v.JSON {
		item.Flags = flagJSON
	}
	return item
}

// expiry is ttl as memcached takes it: seconds from now or, beyond 30 days, a Unix time.
func (c *Client) expiry(ttl time.Duration) int32 {
	s := cache.Seconds(ttl)
	if ttl > longestRelative {
		s = c.clock.Now().Add(ttl).Unix()
	}
	return int32(min(s, math.MaxInt32))
}

// Set stores v on the key's server.
func (c *Client) Set(ctx context.Context, key string, v cache.Value, ttl time.Duration) error {
	sum := sumKey(key)
	item := c.item(sum, v, c.expiry(ttl))
	return c.try(ctx, call{"set", sum, true}, func(mc *memcache.Client) error { return mc.Set(item) })
}

// SetMulti stores items on serverKey's server. If that fails half-way, all are sent to the next.
func (c *Client) SetMulti(ctx context.Context, serverKey string, items []cache.Item, ttl time.Duration) error {
	expiry := c.expiry(ttl)
	wire := make([]*memcache.Item, len(items))
	for i, it := range items {
		wire[i] = c.item(sumKey(it.Key), it.Value, expiry)
	}
	return c.try(ctx, call{"set_multi", sumKey(serverKey), true}, func(mc *memcache.Client) error {
		var refused error
		for _, item := range wire {
			if err := mc.Set(item); err != nil {
				if !answered(err) {
					return err
				}
				refused = err
			}
		}
		return refused
	})
}

// Incr counts on the key's server.
func (c *Client) Incr(ctx context.Context, key string, delta int64, ttl time.Duration) (uint64, error) {
	sum := sumKey(key)
	wire, expiry := sum.wire(), c.expiry(ttl)
	var n uint64
	err := c.try(ctx, call{"incr", sum, true}, func(mc *memcache.Client) (err error) {
		if n, err = count(mc, wire, delta); !errors.Is(err, memcache.ErrCacheMiss) {
			return err
		}
		n = uint64(max(0, delta))
		err = mc.Add(&memcache.Item{Key: wire, Value: fmt.Append(nil, n), Expiration: expiry})
		if errors.Is(err, memcache.ErrNotStored) {
			// Somebody else began the counter in between.
			n, err = count(mc, wire, delta)
		}
		return err
	})
	if errors.Is(err, memcache.ErrCacheMiss) {
		// The counter was absent, then there, then absent again: it is being deleted as fast as it is made.
		return 0, unavailable(call{op: "incr"}, err)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

func count(mc *memcache.Client, wire string, delta int64) (uint64, error) {
	if delta < 0 {
		// Negated in unsigned arithmetic, where the lowest number has an opposite too.
		return mc.Decrement(wire, -uint64(delta))
	}
	return mc.Increment(wire, uint64(delta))
}

// Delete removes key from its server.
func (c *Client) Delete(ctx context.Context, key string) error {
	return c.DeleteMulti(ctx, key, []string{key})
}

// DeleteMulti removes keys from serverKey's server.
func (c *Client) DeleteMulti(ctx context.Context, serverKey string, keys []string) error {
	return c.try(ctx, call{"delete", sumKey(serverKey), false}, func(mc *memcache.Client) error {
		for _, key := range keys {
			if err := mc.Delete(sumKey(key).wire()); err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
				return err
			}
		}
		return nil
	})
}

// A call is what is being asked of the servers.
type call struct {
	op string
	at keySum // the place on the circle
	// refusable tells that an unexpected answer means no to this item, not a fault of the server.
	refusable bool
}

// try calls do for the servers in turn until one of them answers. The error is memcache.ErrCacheMiss,
// cache.ErrRefused, or cache.ErrUnavailable.
func (c *Client) try(ctx context.Context, what call, do func(*memcache.Client) error) error {
	var last error
	for i := range c.ring.walk(what.at) {
		if err := ctx.Err(); err != nil {
			return unavailable(what, err)
		}
		s := c.servers[i]
		if s.limiter.limited(c.clock.Now()) {
			continue
		}
		err := s.do(ctx, do)
		switch {
		case err == nil, errors.Is(err, memcache.ErrCacheMiss):
			return err
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return unavailable(what, err)
		case answered(err) && what.refusable:
			return fmt.Errorf("%s on %s: %w: %w", what.op, s.name, cache.ErrRefused, err)
		case answered(err):
			// What came instead may be part of an item, which no log or error may show.
			err = errBadAnswer
		}
		c.blame(s, what.op, err)
		last = fmt.Errorf("%s: %w", s.name, err)
	}
	return unavailable(what, last)
}

// unavailable is the error when no server answered. cause is nil if all are skipped.
func unavailable(what call, cause error) error {
	if cause == nil {
		return fmt.Errorf("%s: %w: all have failed too often", what.op, cache.ErrUnavailable)
	}
	return fmt.Errorf("%s: %w: %w", what.op, cache.ErrUnavailable, cause)
}

// blame counts an error against s.
func (c *Client) blame(s *server, op string, err error) {
	c.logger.Warn("memcached request failed", "server", s.name, "op", op, "err", err)
	if s.limiter.failed(c.clock.Now()) {
		c.logger.Error("memcached server is skipped after too many errors", "server", s.name,
			"for", s.limiter.interval)
	}
}
