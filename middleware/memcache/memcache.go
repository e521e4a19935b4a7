// Package memcache is the filter that gives the pipeline its cache: tokens, account and container info, rate-limit
// counters live there.
//
//	[filter.cache]
//	memcache_servers = ["10.0.0.1:11211", "10.0.0.2:11211"]
//
// Options that the section leaves out come from memcache.toml in the directory of the cluster's files, or where there is
// none from memcache.conf as Swift has it, section [memcache] of either; what is not there either has Swift's default.
// Proxies that name the same servers, in the same spelling, share all items, those of OpenStack Swift too.
//
// A server that runs alone needs no memcached:
//
//	[filter.cache]
//	backend = "memory"
//	memory_limit = "256 MiB"
//
// The cache is then in the process: no other sees its items, and they are gone when it restarts or reloads its
// configuration, tokens included.
//
// The filter puts the cache into State.Cache, a view of it for each request that asks memcached for what belongs together in one
// round trip. It makes no connection at start, and no request fails
// because a cache does. It must stand to the left of whatever uses the cache; where there are two, the inner one counts.
package memcache

import (
	"log/slog"
	"net/http"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memcached"
	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("memcache", Config{Backend: backendMemcached}, build).
	Alias("cache").Before("tempauth", "ratelimit")

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	if c.Backend == backendMemory {
		m := memory.New(memory.Options{MaxBytes: int64(c.MemoryLimit.or(memory.DefaultMaxBytes)), Clock: host.Clock})
		return instance(m, nil), nil
	}
	effective, report, err := c.effective(host.Dir)
	if err != nil {
		return middleware.Instance{}, err
	}
	client, err := memcached.New(effective, memcached.Options{Logger: host.Log, Clock: host.Clock})
	if err != nil {
		return middleware.Instance{}, err
	}
	attrs := make([]any, len(report))
	for i, o := range report {
		attrs[i] = slog.String(o.Key, o.Value+" ("+o.Source+")")
	}
	host.Log.Info("cache options in effect", attrs...)
	return instance(client, client.Close), nil
}

func instance(inner cache.Cache, closeCache func() error) middleware.Instance {
	c := cache.NewMemo(inner)
	return middleware.Instance{
		Wrap:  func(next http.Handler) http.Handler { return &filter{c, next} },
		Close: closeCache,
	}
}

type filter struct {
	cache *cache.Memo
	next  http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request.From(r.Context()).Cache = f.view(r.URL.Path)
	f.next.ServeHTTP(w, r)
}

// view is the cache for a request: whoever asks first, as a rule for the token, is also told of what the proxy is going to ask
// for, in one round trip. For objects that is their container, for containers their account.
func (f *filter) view(path string) cache.Cache {
	if !f.cache.LooksAhead() {
		return f.cache
	}
	p, err := apipath.Parse(path)
	switch {
	case err != nil:
	case p.Object != "":
		return f.cache.Ahead(lookup.ContainerKey(p.Account, p.Container))
	case p.Container != "":
		return f.cache.Ahead(lookup.AccountKey(p.Account))
	}
	return f.cache
}
