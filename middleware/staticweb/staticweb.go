// Package staticweb is the filter that serves containers as web sites:
//
//	[filter.staticweb]
//	url_base = "https://www.example.com"
//
// What a container is to look like is in its metadata, which its owner sets:
//
//	X-Container-Meta-Web-Index: index.html            what is shown for a directory
//	X-Container-Meta-Web-Error: error.html            404error.html, 401error.html: what is shown for an error
//	X-Container-Meta-Web-Listings: true               show directories without an index as a listing
//	X-Container-Meta-Web-Listings-CSS: listing.css    how listings look
//	X-Container-Meta-Web-Listings-Label: Downloads    what listings say instead of the path
//	X-Container-Meta-Web-Directory-Type: text/directory    content type of objects that only stand for a directory
//
// Sites are for people without an account: a request with a token is served so only if it says X-Web-Mode: true. Requests
// that a signed URL allows are served too, and the links of a listing then carry the signature, if it is one for a prefix.
// Who may see what is decided by the container's read ACL, as ever: .r:* opens the objects, .rlistings the listings.
//
// A directory is asked for with a slash at its end; without one the client is redirected, to url_base if that is set. An
// object is served as it is, and what is not there is tried as a directory: its index, then whether anything is in it.
//
// Invariants:
//   - Everything is asked for in the client's name, error pages too. What the client may not read it does not see.
//   - All that goes into a page is escaped, and a link to a name stays in the container, whatever the name.
//   - The memory that a listing takes is bounded by the size of one page of it, whatever the container holds. As in Swift
//     there is no second page.
//
// It must stand to the right of the auth filter and of tempurl, and to the left of copy, dlo and slo.
package staticweb

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("staticweb", Config{}, build).
	After("gatekeeper", "domain_remap", "listing_formats", "tempurl", "formpost", "tempauth", "keystoneauth").
	Before("copy", "slo", "dlo", "versioned_writes", "symlink")

// Config is the section of the filter.
type Config struct {
	// Scheme and host of redirects, where the server does not know them: "https://www.example.com", or only one of them,
	// "https:" or "//www.example.com". Empty: those of the request.
	URLBase string `toml:"url_base"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if _, _, ok := c.base(); !ok {
		return config.Invalid("url_base", `must be like "https://www.example.com", "https:" or "//www.example.com"; a path is not supported`)
	}
	return nil
}

// base returns the scheme and host of redirects; empty is that of the request.
func (c *Config) base() (scheme, host string, ok bool) {
	if c.URLBase == "" {
		return "", "", true
	}
	u, err := url.Parse(c.URLBase)
	if err != nil || u.Opaque != "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", "", false
	}
	return u.Scheme, u.Host, u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "" && u.Host != ""
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	scheme, name, _ := c.base()
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler {
			return &filter{
				scheme: scheme, host: name, log: host.Log, next: next,
				versions: host.Cluster.Limits.ValidAPIVersions, page: host.Cluster.Limits.ContainerListingLimit,
			}
		},
		Info: map[string]any{"staticweb": map[string]any{}},
	}, nil
}

const (
	// logSource is the filter's code in the log.
	logSource = "SW"
	// agent is added to the User-Agent of subrequests.
	agent = " StaticWeb"
	// headerGenerator tells tempurl which answers are pages of a site rather than what is stored. Clients do not see it.
	headerGenerator = "X-Backend-Content-Generator"
)

type filter struct {
	scheme, host string   // of redirects; empty: the request's
	versions     []string // of the API
	page         int      // the greatest number of entries in one answer to a listing request
	log          *slog.Logger
	warn         sync.Once
	next         http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := f.site(r)
	if !ok {
		f.next.ServeHTTP(w, r)
		return
	}
	v := &visit{filter: f, w: w, r: r, path: p, rights: segments.Keep(r), header: maps.Clone(r.Header)}
	var err error
	if p.Object == "" {
		err = v.container()
	} else {
		err = v.object()
	}
	if err != nil {
		reply.Write(w, r, err)
	}
}

// site says whether the request is one for a page of a site, and which.
func (f *filter) site(r *http.Request) (apipath.Path, bool) {
	var p apipath.Path
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return p, false
	}
	state := request.From(r.Context())
	if state.User != "" && state.User != request.TempURL && !webMode(r) {
		return p, false
	}
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	if err != nil || !apipath.ValidVersion(s[0], f.versions) {
		return p, false
	}
	if state.Authorize == nil {
		f.warn.Do(func() {
			f.log.Warn("no auth filter to the left has taken charge of a request: such are not served as sites")
		})
		return p, false
	}
	p = apipath.Path{Version: s[0], Account: s[1], Container: s[2]}
	if len(s) > 3 {
		p.Object = s[3]
	}
	return p, true
}

// webMode says that a user wants to see what others see.
func webMode(r *http.Request) bool { return meta.Truthy(meta.Value(r.Header, "X-Web-Mode")) }
