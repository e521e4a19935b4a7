// Package ratelimit is the filter that slows down who writes too fast:
//
//	[filter.ratelimit]
//	account_ratelimit = 20
//	container_ratelimit_0 = 100
//	container_ratelimit_1000000 = 10
//	container_listing_ratelimit_1000000 = 5
//
// Container databases are what suffers first, the larger the more. So container PUTs and DELETEs are limited by account, object writes and
// listings by container, at rates that depend on the container's size. A request that comes too soon is held up; one that
// would be held up for too long gets 498. An account's system metadata X-Account-Sysmeta-Global-Write-Ratelimit, which
// only operators can set, limits all its writes together, or is WHITELIST, for no limits, or BLACKLIST, for 497.
//
// The proxies of a cluster count together, in the shared cache: a counter holds the time of the latest request that was
// let in, in units of clock_accuracy, and each request moves it on by its share of a second. Keys and values are Swift's. A
// cache that fails limits nobody.
//
// It must stand to the right of cache, and normally stands to the left of the auth filter. It may stand twice, with another to
// the right of s3api, and counts a request once.
package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("ratelimit", defaults(), build).After("gatekeeper", "memcache")

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	containers, err1 := newCurve(c.ContainerRatelimit)
	listings, err2 := newCurve(c.ContainerListingRatelimit)
	if err := errors.Join(err1, err2); err != nil {
		return middleware.Instance{}, err
	}
	for option, list := range map[string][]string{"account_whitelist": c.AccountWhitelist, "account_blacklist": c.AccountBlacklist} {
		if len(list) > 0 {
			host.Log.Warn("option is deprecated, set X-Account-Sysmeta-Global-Write-Ratelimit of the accounts", "option", option)
		}
	}
	f := filter{
		config: c, containers: containers, listings: listings,
		versions: host.Cluster.Limits.ValidAPIVersions, clock: host.Clock, log: host.Log,
		noCache: sync.OnceFunc(func() { host.Log.Warn("there is no cache to count in: nothing is limited") }),
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { g := f; g.next = next; return &g },
		Info: map[string]any{"ratelimit": map[string]any{
			"account_ratelimit":            cache.Float(c.AccountRatelimit),
			"max_sleep_time_seconds":       cache.Float(c.MaxSleepTimeSeconds.Seconds()),
			"container_ratelimits":         containers.info(),
			"container_listing_ratelimits": listings.info(),
		}},
	}, nil
}

// info is the curve as /info shows it.
func (c curve) info() [][2]any {
	out := [][2]any{}
	for _, p := range c {
		out = append(out, [2]any{p.size, cache.Float(p.rate)})
	}
	return out
}

const (
	// logSource is the filter's code in the log.
	logSource = "RL"

	statusBlacklisted = 497
	statusLimited     = 498

	// blacklistSleep keeps who is refused from trying again at once.
	blacklistSleep = time.Second
)

type filter struct {
	config     Config
	containers curve
	listings   curve
	versions   []string // of the API
	clock      clock.Clock
	log        *slog.Logger
	noCache    func() // says once that there is none
	next       http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := request.From(r.Context())
	if state.Cache == nil {
		f.noCache()
		f.next.ServeHTTP(w, r)
		return
	}
	path, err := apipath.Parse(r.URL.Path)
	if err == nil && path.Account != "" && apipath.ValidVersion(path.Version, f.versions) && !state.Ratelimited {
		state.Ratelimited = true
		if err := f.limit(r, state, path); err != nil {
			reply.Write(w, r, err)
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

// limit holds the request up as long as need be. Its error is the answer to a request that is not let in.
func (f *filter) limit(r *http.Request, state *request.State, path apipath.Path) error {
	account := lookup.GetAccount(r, lookup.Subrequest{Next: f.next, Source: logSource}, path.Account)
	global := account.Sysmeta["global-write-ratelimit"]
	switch {
	case global == "WHITELIST" || slices.Contains(f.config.AccountWhitelist, path.Account):
		return nil
	case global == "BLACKLIST" || slices.Contains(f.config.AccountBlacklist, path.Account):
		f.log.Error("refused: the account is blacklisted", "txn", state.TransID, "account", path.Account)
		if err := sleep(r.Context(), blacklistSleep); err != nil {
			return reply.Status(reply.StatusClientDisconnect).Because(err)
		}
		return reply.Raw(statusBlacklisted, "Your account has been blacklisted")
	}
	for _, c := range f.counters(r, path, global) {
		wait, ok := f.count(r.Context(), state.Cache, c)
		if !ok {
			f.log.Error("refused: requests come too fast", "txn", state.TransID, "method", r.Method, "path", r.URL.Path, "took", wait)
			return reply.Raw(statusLimited, "Slow down")
		}
		if limit := f.config.LogSleepTimeSeconds.Duration; limit > 0 && wait > limit {
			f.log.Warn("request is held up", "txn", state.TransID, "method", r.Method, "path", r.URL.Path, "took", wait)
		}
		if err := sleep(r.Context(), wait); err != nil {
			return reply.Status(reply.StatusClientDisconnect).Because(err)
		}
	}
	return nil
}

// A counter is a key in the cache and the requests that it lets in each second.
type counter struct {
	key  string
	rate float64
}

// counters returns the counters that the request is counted in, in the order in which they are asked.
func (f *filter) counters(r *http.Request, path apipath.Path, global string) []counter {
	var all []counter
	add := func(key string, rate float64) {
		if rate > 0 {
			all = append(all, counter{key, rate})
		}
	}
	writes := r.Method == http.MethodPut || r.Method == http.MethodDelete || r.Method == http.MethodPost || r.Method == "COPY"
	switch level := path.Level(); {
	case level == apipath.LevelContainer && (r.Method == http.MethodPut || r.Method == http.MethodDelete):
		add("ratelimit/"+path.Account, f.config.AccountRatelimit)
	case level == apipath.LevelContainer && r.Method == http.MethodGet && len(f.listings) > 0:
		add("ratelimit_listing/"+path.Account+"/"+path.Container, f.listings.at(f.size(r, path)))
	case level == apipath.LevelObject && writes && len(f.containers) > 0:
		add("ratelimit/"+path.Account+"/"+path.Container, f.containers.at(f.size(r, path)))
	}
	if writes && global != "" {
		// What is not a number limits nothing.
		if rate, err := strconv.ParseFloat(strings.TrimSpace(global), 64); err == nil && !math.IsInf(rate, 0) {
			add("ratelimit/global-write/"+path.Account, rate)
		}
	}
	return all
}

// size returns the number of objects in the container, 0 if it is not known.
func (f *filter) size(r *http.Request, path apipath.Path) int64 {
	return lookup.GetContainer(r, lookup.Subrequest{Next: f.next, Source: logSource}, path.Account, path.Container).Objects.Int()
}

// count enters a request into a counter. It returns how long the request has to wait, and false if that is too long: then
// it does not count.
func (f *filter) count(ctx context.Context, shared cache.Cache, c counter) (wait time.Duration, ok bool) {
	unit := float64(f.config.ClockAccuracy)
	now := int64(math.RoundToEven(float64(f.clock.Now().UnixMicro()) / 1e6 * unit))
	share := int64(math.RoundToEven(unit / c.rate))
	latest, err := shared.Incr(ctx, c.key, share, 0)
	if err != nil {
		return 0, true
	}
	var early int64
	if now-int64(latest) > int64(f.config.RateBufferSeconds)*int64(f.config.ClockAccuracy) {
		// The counter has fallen behind further than may be caught up, or is new. If it cannot be set, the next request
		// is let in as well.
		_ = shared.Set(ctx, c.key, cache.Text(strconv.FormatInt(now+share, 10)), 0)
	} else {
		early = max(int64(latest)-now-share, 0)
	}
	wait = time.Duration(float64(early) / unit * float64(time.Second))
	if f.config.MaxSleepTimeSeconds.Seconds()*unit-float64(early) <= unit*0.01 {
		_, _ = shared.Incr(ctx, c.key, -share, 0) // at worst the others wait for it
		return wait, false
	}
	return wait, true
}

// sleep waits, unless the client goes away before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
