// Package dlo is the filter for dynamic large objects: an object that stands for all objects whose names begin alike.
//
//	[filter.dlo]
//	rate_limit_after_segment = 10
//	rate_limit_segments_per_sec = 1
//	max_get_time = 86400
//
// A client uploads segments under a common prefix, and a manifest:
//
//	PUT /v1/AUTH_test/videos/film     X-Object-Manifest: segments/film/
//
// A GET of the manifest then gives the segments in the order of their names, as the container's listing has them at that
// time; what the manifest itself contains is not shown. With ?multipart-manifest=get the manifest is an object like any
// other. The ETag is the MD5 of the segments' ETags, and conditions are judged by it.
//
// Invariants:
//   - The listing and every segment are asked for as the client: the access lists of the segments' container apply.
//   - Length and ETag are told only if one page of the listing has all segments, and only then are ranges honoured that
//     do not lie within that page. More pages are read as they are needed, one at a time.
//   - A segment that is a manifest itself is sent as it is stored.
//   - A body that comes out shorter or longer than was announced ends in a cut connection.
//
// It must stand to the right of the auth filter, staticweb and copy, and to the left of versioned_writes. A proxy adds it
// where it is missing.
//
// Non-goals: options in the section of the proxy's app, where they stood before there was this filter.
package dlo

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("dlo", Config{RateLimitAfterSegment: 10, RateLimitSegmentsPerSec: 1, MaxGetTime: config.Seconds(86400)}, build).
	After("gatekeeper", "tempauth", "keystoneauth", "staticweb", "copy").
	Before("versioned_writes", "symlink", "keymaster", "encryption")

// Config is the section of the filter.
type Config struct {
	// How many segments of one download are read as fast as the client takes them.
	RateLimitAfterSegment int `toml:"rate_limit_after_segment"`
	// How many segments a second are read after that. 0 does not limit them.
	RateLimitSegmentsPerSec int `toml:"rate_limit_segments_per_sec"`
	// How long one download may take.
	MaxGetTime config.Duration `toml:"max_get_time"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	switch {
	case c.RateLimitAfterSegment < 0:
		return config.Invalid("rate_limit_after_segment", "must not be negative")
	case c.RateLimitSegmentsPerSec < 0:
		return config.Invalid("rate_limit_segments_per_sec", "must not be negative; 0 does not limit")
	case c.MaxGetTime.Duration <= 0:
		return config.Invalid("max_get_time", "must be above 0")
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return &filter{
			log:  host.Log,
			page: host.Cluster.Limits.ContainerListingLimit,
			pace: segments.Pace{After: c.RateLimitAfterSegment, PerSecond: c.RateLimitSegmentsPerSec},
			source: segments.Source{
				Next: next, Code: "DLO", Agent: "DLO MultipartGET", MaxTime: c.MaxGetTime.Duration,
			},
			next: next,
		}
	}}, nil
}

const headerManifest = "X-Object-Manifest"

type filter struct {
	log    *slog.Logger
	page   int // the greatest number of entries in one answer to a listing request
	pace   segments.Pace
	source segments.Source
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if p, ok := objectPath(r); ok && !wantsManifest(r) {
			f.get(w, r, p)
			return
		}
	case http.MethodPut:
		if _, ok := r.Header[headerManifest]; ok && !validManifest(meta.Value(r.Header, headerManifest)) {
			if _, ok := objectPath(r); ok {
				reply.Write(w, r, reply.Raw(http.StatusBadRequest, "X-Object-Manifest must be in the format container/prefix"))
				return
			}
		}
	}
	f.next.ServeHTTP(w, r)
}

// objectPath takes the path of an object apart.
func objectPath(r *http.Request) (apipath.Path, bool) {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 4, 4)
	if err != nil {
		return apipath.Path{}, false
	}
	return apipath.Path{Version: s[0], Account: s[1], Container: s[2], Object: s[3]}, true
}

// wantsManifest says that the client asks for the manifest itself.
func wantsManifest(r *http.Request) bool {
	if r.URL.RawQuery == "" {
		return false
	}
	v, _ := listing.Param(r.URL.RawQuery, "multipart-manifest")
	return v == "get"
}

// validManifest judges the header of an upload, as the client has written it.
func validManifest(value string) bool {
	container, prefix, ok := strings.Cut(value, "/")
	return ok && container != "" && prefix != "" && prefix[0] != '/' && !strings.ContainsAny(value, "?&")
}

// parseManifest reads the header of a stored manifest. A POST may have written what a PUT may not.
func parseManifest(value string) (container, prefix string, ok bool) {
	container, prefix, ok = strings.Cut(apipath.Unquote(value), "/")
	return container, prefix, ok && container != ""
}
