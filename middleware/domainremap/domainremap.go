// Package domainremap is the filter that reads account and container from the host name:
//
//	[filter.domain_remap]
//	storage_domain = "storage.example.com"
//	default_reseller_prefix = "AUTH"
//
//	http://AUTH-bob.storage.example.com/photos/a.jpg      is    /v1/AUTH_bob/photos/a.jpg
//	http://photos.AUTH-bob.storage.example.com/a.jpg      is    /v1/AUTH_bob/photos/a.jpg
//
// The first label before the domain is the account, one before that the container; more are refused with 400. Since host
// names know no underscore and no case, the account's first hyphen becomes an underscore and its prefix is spelt as in
// reseller_prefixes. Accounts of other prefixes are left alone, unless default_reseller_prefix says what to put before
// them. Location and Content-Location in answers are turned back. The Host header stays as it is.
//
// It stands to the left of all that look at paths: listing_formats, s3api, tempurl and the auth filter; and to the right
// of cname_lookup.
package domainremap

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("domain_remap", Config{
	StorageDomain: config.List{"example.com"}, PathRoot: "v1", ResellerPrefixes: config.List{"AUTH"},
}, build).Alias("domain-remap").After("cname_lookup").Before("listing_formats", "s3api", "tempurl", "tempauth", "keystoneauth")

// Config is the section of the filter.
type Config struct {
	// Domains whose subdomains are accounts. None: the filter does nothing.
	StorageDomain config.List `toml:"storage_domain"`
	// The API's version, put before the account.
	PathRoot string `toml:"path_root"`
	// What accounts' names begin with, without the underscore. None: any name is an account.
	ResellerPrefixes config.List `toml:"reseller_prefixes"`
	// What is put before accounts that begin with none of reseller_prefixes. Empty: they are not remapped.
	DefaultResellerPrefix string `toml:"default_reseller_prefix"`
	// Take path_root at the beginning of a client's path for the version, not for part of a name.
	MangleClientPaths bool `toml:"mangle_client_paths"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if strings.Trim(c.PathRoot, "/") == "" {
		return config.Invalid("path_root", "must be a version of the API, such as v1")
	}
	return nil
}

func build(_ middleware.Host, c Config) (middleware.Instance, error) {
	f := filter{config: c, root: strings.Trim(c.PathRoot, "/")}
	// Domains without a dot go first, as in Swift; it matters when one is the end of another.
	for _, dotted := range []bool{false, true} {
		for _, d := range c.StorageDomain {
			if strings.HasPrefix(d, ".") == dotted {
				f.domains = append(f.domains, "."+strings.TrimPrefix(d, "."))
			}
		}
	}
	var shown any // null if not set
	if c.DefaultResellerPrefix != "" {
		shown = c.DefaultResellerPrefix
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { g := f; g.next = next; return &g },
		Info: map[string]any{"domain_remap": map[string]any{"default_reseller_prefix": shown}},
	}, nil
}

type filter struct {
	config  Config
	root    string   // path_root without slashes
	domains []string // each with a dot before it
	next    http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	labels, ok := f.labels(r.Host)
	if !ok {
		f.next.ServeHTTP(w, r)
		return
	}
	container, account, two := strings.Cut(labels, ".")
	switch {
	case !two:
		container, account = "", labels
	case strings.Contains(account, "."):
		reply.Write(w, r, &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: "Bad domain in host header"})
		return
	}
	if account, ok = f.account(account); !ok {
		f.next.ServeHTTP(w, r)
		return
	}
	path := f.path(account, container, r.URL.Path)
	back := remapped{from: apipath.Quote(path), to: apipath.Quote(r.URL.Path)}
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		back.rewrite(h["Location"])
		back.rewrite(h["Content-Location"])
		return code
	})
	u := *r.URL
	u.Path, u.RawPath = path, ""
	inner := *r
	inner.URL, inner.RequestURI = &u, u.RequestURI()
	f.next.ServeHTTP(out, &inner)
	out.Finish()
}

// labels returns what stands before the storage domain in a host.
func (f *filter) labels(host string) (labels string, ok bool) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	for _, d := range f.domains {
		if rest, ok := strings.CutSuffix(host, d); ok {
			return strings.Trim(rest, "."), true
		}
	}
	return "", false
}

// account returns the name of the account that a label means; ok is false when it is none of ours.
func (f *filter) account(label string) (name string, ok bool) {
	if len(f.config.ResellerPrefixes) == 0 {
		return label, true
	}
	if !strings.Contains(label, "_") {
		label = strings.Replace(label, "-", "_", 1)
	}
	prefix, _, _ := strings.Cut(label, "_")
	for _, p := range f.config.ResellerPrefixes {
		if strings.EqualFold(p, prefix) {
			return p + label[len(prefix):], true
		}
	}
	if f.config.DefaultResellerPrefix != "" {
		return f.config.DefaultResellerPrefix + "_" + label, true
	}
	return "", false
}

// path puts the names before a client's path.
func (f *filter) path(account, container, path string) string {
	if path != "" {
		path = path[1:]
	}
	if f.config.MangleClientPaths && strings.HasPrefix(path+"/", f.root+"/") {
		path = path[min(len(f.root)+1, len(path)):]
	}
	if container != "" {
		account += "/" + container
	}
	return "/" + f.root + "/" + account + "/" + path
}

// remapped is what one path became, both quoted.
type remapped struct{ from, to string }

// rewrite turns the new path back into the old one where absolute URLs begin with it.
func (m remapped) rewrite(urls []string) {
	for i, u := range urls {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok || scheme != "http" && scheme != "https" {
			continue
		}
		host, _, _ := strings.Cut(rest, "/")
		if tail, ok := strings.CutPrefix(rest[len(host):], m.from); ok && host != "" {
			urls[i] = scheme + "://" + host + m.to + tail
		}
	}
}
