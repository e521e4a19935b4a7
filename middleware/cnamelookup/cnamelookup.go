// Package cnamelookup is the filter that lets accounts have domains of their own:
//
//	[filter.cname_lookup]
//	storage_domain = "storage.example.com"
//	lookup_depth = 1
//
// A request for a host outside of the storage domain is one for what that host's name is an alias of. Who owns
// photos.example.org makes it a CNAME of photos.AUTH-bob.storage.example.com; the filter asks the DNS, puts that name into the
// request's Host, and domain_remap to the right of it reads container and account from there. Location and Content-Location
// in answers are turned back. A host that is not in the end an alias of one in the storage domain is refused with 400.
// Addresses are left alone.
//
// What the DNS says is kept in the cache for as long as it says, and that there is no alias for a minute, under Swift's keys.
//
// It stands to the left of domain_remap, and best to the right of cache.
package cnamelookup

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("cname_lookup", Config{StorageDomain: config.List{"example.com"}, LookupDepth: 1}, build).
	Alias("cname-lookup").Before("domain_remap")

// Config is the section of the filter.
type Config struct {
	// Domains whose hosts are served as they are, and that others must be aliases of. None: the filter does nothing.
	StorageDomain config.List `toml:"storage_domain"`
	// How many aliases are followed, one to the next.
	LookupDepth int `toml:"lookup_depth"`
	// Name servers to ask: addresses, with ports if they are not 53; those of IPv6 in brackets. None: those in
	// /etc/resolv.conf.
	Nameservers config.List `toml:"nameservers"`
}

// maxDepth bounds lookup_depth: each step may take seconds.
const maxDepth = 16

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if c.LookupDepth < 1 || c.LookupDepth > maxDepth {
		return config.Invalid("lookup_depth", "must be from 1 to %d", maxDepth)
	}
	for _, s := range c.Nameservers {
		if _, err := parseServer(s); err != nil {
			return config.Invalid("nameservers", "must be addresses of IPv4, or of IPv6 in brackets, each with an optional :port, have %q", s)
		}
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	rs, err := newResolver(c.Nameservers)
	if err != nil {
		return middleware.Instance{}, err
	}
	f := filter{depth: c.LookupDepth, resolver: rs, log: host.Log}
	for _, d := range c.StorageDomain {
		f.domains = append(f.domains, "."+strings.TrimPrefix(d, "."))
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { g := f; g.next = next; return &g },
		Info: map[string]any{"cname_lookup": map[string]any{"lookup_depth": c.LookupDepth}},
	}, nil
}

type filter struct {
	domains  []string // each with a dot before it
	depth    int
	resolver *resolver
	log      *slog.Logger
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	domain, port := split(r.Host)
	if len(f.domains) == 0 || r.Host == "" || f.ours(domain) || isAddress(domain) {
		f.next.ServeHTTP(w, r)
		return
	}
	found, err := f.follow(r.Context(), domain)
	if err != nil {
		reply.Write(w, r, err)
		return
	}
	f.log.LogAttrs(r.Context(), slog.LevelDebug, "host is an alias", slog.String("txn", request.From(r.Context()).TransID),
		slog.String("host", r.Host), slog.String("of", found))
	inner := *r
	if inner.Host = found; port != ":" {
		inner.Host += port
	}
	asked := r.Host
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		rewrite(h["Location"], inner.Host, asked)
		rewrite(h["Content-Location"], inner.Host, asked)
		return code
	})
	f.next.ServeHTTP(out, &inner)
	out.Finish()
}

// split takes the port, with its colon, from a host.
func split(host string) (domain, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:i], host[i:]
}

func isAddress(domain string) bool {
	if inner, ok := strings.CutPrefix(domain, "["); ok {
		domain = strings.TrimSuffix(inner, "]")
	}
	_, err := netip.ParseAddr(domain)
	return err == nil
}

// ours says whether a name is in the storage domain.
func (f *filter) ours(domain string) bool {
	for _, d := range f.domains {
		if domain == d[1:] || strings.HasSuffix(domain, d) {
			return true
		}
	}
	return false
}

// failure is Swift's answer to a host that is not to be served.
func failure(text string) *reply.Error {
	return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: text}
}

// follow returns the name in the storage domain that a domain is an alias of. The error is the client's answer.
func (f *filter) follow(ctx context.Context, domain string) (string, error) {
	for range f.depth {
		found, err := f.alias(ctx, domain)
		switch {
		case err != nil:
			return "", failure("CNAME lookup failed to resolve to a valid domain").Because(err)
		case found == domain:
			return "", failure("CNAME lookup failed to resolve to a valid domain")
		case f.ours(found):
			return found, nil
		}
		domain = found
	}
	return "", failure("CNAME lookup failed after " + strconv.Itoa(f.depth) + " tries")
}

// noAlias is how long it is remembered that a domain is no alias.
const noAlias = 60 * time.Second

// alias returns what a domain is an alias of, by the cache or by the DNS.
func (f *filter) alias(ctx context.Context, domain string) (string, error) {
	shared := request.From(ctx).Cache
	key := "cname-" + domain
	if shared != nil {
		var known any
		if cache.GetJSON(ctx, shared, key, &known) == nil {
			switch known := known.(type) {
			case string:
				return known, nil
			case bool:
				return "", errNoAlias
			}
		}
	}
	found, ttl, err := f.resolver.cname(ctx, domain)
	var remember any = found
	switch {
	case errors.Is(err, errNoAlias):
		remember, ttl = false, noAlias
	case err != nil:
		return "", err // it says nothing about the next time
	}
	if shared != nil && ttl > 0 {
		// A cache that fails costs a lookup later, no more.
		_ = cache.SetJSON(ctx, shared, key, remember, ttl)
	}
	return found, err
}

// rewrite turns one host into another where absolute URLs begin with it.
func rewrite(urls []string, from, to string) {
	for i, u := range urls {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok || scheme != "http" && scheme != "https" {
			continue
		}
		if tail, ok := strings.CutPrefix(rest, from); ok && (tail == "" || tail[0] == '/') {
			urls[i] = scheme + "://" + to + tail
		}
	}
}
