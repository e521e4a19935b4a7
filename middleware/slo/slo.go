// Package slo is the filter for static large objects: a stored list of segments that is read as one object.
//
//	[filter.slo]
//	max_manifest_segments = 1000
//	max_manifest_size = "8 MiB"
//
// A client uploads segments, anywhere in its account, and then a manifest that names them in order:
//
//	PUT /v1/AUTH_test/videos/film?multipart-manifest=put
//	[{"path": "/segments/1", "etag": "...", "size_bytes": 1048576}, {"path": "/segments/2", "range": "0-99"}, {"data": "YmFzZTY0"}]
//
// The filter asks for each segment, checks what the client says of it, and stores the list with what it has found out. A
// GET then gives the segments one after the other, in ranges too. With ?multipart-manifest=get it gives the list, with
// &format=raw in the form of an upload, and with ?part-number=n one segment. DELETE with ?multipart-manifest=delete
// removes the segments with the list.
//
// What is stored, and the metadata with it, is as Swift stores it, so that either serves what the other has written.
//
// Invariants:
//   - Every segment is asked for as the client, when the list is stored and when it is read, so that the access list of
//     its container applies each time.
//   - A segment is sent only if it still has the size and the ETag that it had when the list was stored; a later one
//     that does not cuts the connection.
//   - Segments that are large objects themselves are followed to a depth of ten lists, whatever the lists say.
//   - Lists are bounded in size when they are stored and when they are read; bodies are streamed.
//
// It must stand to the right of the auth filter, staticweb, copy and quotas, and to the left of versioned_writes and symlink.
package slo

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/contenttype"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("slo", Config{
	MaxManifestSegments: 1000, MaxManifestSize: 8 << 20, RateLimitUnderSize: 1 << 20, RateLimitAfterSegment: 10,
	RateLimitSegmentsPerSec: 1, MaxGetTime: config.Seconds(86400), Concurrency: 2, YieldFrequency: config.Seconds(10),
	AllowAsyncDelete: true, ExpiringAccount: "expiring_objects", ExpiringDivisor: 86400,
}, build).
	After("gatekeeper", "tempauth", "keystoneauth", "staticweb", "copy", "container_quotas", "account_quotas").
	Before("versioned_writes", "symlink", "keymaster", "encryption")

// Config is the section of the filter.
type Config struct {
	// How many segments that are objects a new manifest may have.
	MaxManifestSegments int `toml:"max_manifest_segments"`
	// How long a manifest may be as it is uploaded.
	MaxManifestSize config.Size `toml:"max_manifest_size"`
	// Only segments that are smaller than this are read at a limited rate.
	RateLimitUnderSize config.Size `toml:"rate_limit_under_size"`
	// How many such segments of one download are read as fast as the client takes them.
	RateLimitAfterSegment int `toml:"rate_limit_after_segment"`
	// How many such segments a second are read after that. 0 does not limit them.
	RateLimitSegmentsPerSec int `toml:"rate_limit_segments_per_sec"`
	// How long one download may take.
	MaxGetTime config.Duration `toml:"max_get_time"`
	// How many segments are looked at at the same time when a manifest is stored.
	Concurrency int `toml:"concurrency"`
	// How many segments are deleted at the same time. 0 means as many as concurrency.
	DeleteConcurrency int `toml:"delete_concurrency"`
	// How often a client that asked for a heartbeat, or for a deletion, hears that work goes on.
	YieldFrequency config.Duration `toml:"yield_frequency"`
	// Let clients leave the deletion of segments to the object expirer.
	AllowAsyncDelete bool `toml:"allow_async_delete"`
	// Name of the expirer's account, without the cluster's prefix.
	ExpiringAccount string `toml:"expiring_objects_account_name"`
	// Seconds of expiry times that share a container of the expirer. The whole cluster must agree.
	ExpiringDivisor int64 `toml:"expiring_objects_container_divisor"`
}

// maxConcurrency bounds the two options; Swift's bound.
const maxConcurrency = 1000

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	for _, check := range []struct {
		ok        bool
		key, want string
	}{
		{c.MaxManifestSegments > 0, "max_manifest_segments", "must be above 0"},
		{c.MaxManifestSize > 0 && c.MaxManifestSize <= 1<<30, "max_manifest_size", "must be above 0 and at most 1 GiB"},
		{c.RateLimitUnderSize >= 0, "rate_limit_under_size", "must not be negative"},
		{c.RateLimitAfterSegment >= 0, "rate_limit_after_segment", "must not be negative"},
		{c.RateLimitSegmentsPerSec >= 0, "rate_limit_segments_per_sec", "must not be negative; 0 does not limit"},
		{c.MaxGetTime.Duration > 0, "max_get_time", "must be above 0"},
		{c.Concurrency > 0 && c.Concurrency <= maxConcurrency, "concurrency", "must be from 1 to 1000"},
		{c.DeleteConcurrency >= 0 && c.DeleteConcurrency <= maxConcurrency, "delete_concurrency", "must be from 0 to 1000"},
		{c.YieldFrequency.Duration > 0, "yield_frequency", "must be above 0"},
		{c.ExpiringAccount != "", "expiring_objects_account_name", "must not be empty"},
		{c.ExpiringDivisor > 100, "expiring_objects_container_divisor", "must be above 100"},
	} {
		if !check.ok {
			return config.Invalid(check.key, "%s", check.want)
		}
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	types, err := contenttype.Load(filepath.Join(host.Dir, "mime.types"))
	if err != nil {
		return middleware.Instance{}, err
	}
	if c.DeleteConcurrency == 0 {
		c.DeleteConcurrency = c.Concurrency
	}
	c.ExpiringAccount = host.Cluster.Limits.AutoCreateAccountPrefix + c.ExpiringAccount
	info := map[string]any{
		"max_manifest_segments": c.MaxManifestSegments, "max_manifest_size": int64(c.MaxManifestSize),
		"yield_frequency": int64(c.YieldFrequency.Duration / time.Second), "min_segment_size": 1,
		"allow_async_delete": c.AllowAsyncDelete,
	}
	return middleware.Instance{
		Info: map[string]any{"slo": info},
		Wrap: func(next http.Handler) http.Handler {
			f := &filter{
				config: c, log: host.Log, clock: host.Clock, types: types, hasher: host.Cluster.Hasher, next: next,
				source: segments.Source{Next: next, Code: logSource, Agent: "SLO MultipartGET", MaxTime: c.MaxGetTime.Duration},
			}
			f.isManifest = f.claims
			return f
		},
	}, nil
}

const (
	logSource = "SLO"

	headerLarge        = "X-Static-Large-Object"
	headerETag         = "X-Object-Sysmeta-Slo-Etag"
	headerSize         = "X-Object-Sysmeta-Slo-Size"
	headerManifestETag = "X-Manifest-Etag"
	paramManifest      = "multipart-manifest"
)

type filter struct {
	config Config
	log    *slog.Logger
	clock  clock.Clock
	types  contenttype.Table
	hasher hashpath.Hasher
	source segments.Source
	next   http.Handler

	isManifest func(code int, h http.Header) (limit int, ok bool) // claims: made once, since each GET takes it
}

// maxStored is how long a stored manifest may be in bytes: it says more of each segment than the client has said.
func (f *filter) maxStored() int {
	return 4*int(f.config.MaxManifestSize) + f.config.MaxManifestSegments*(16<<10)
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	switch {
	case err != nil, request.From(r.Context()).AsStored:
		f.next.ServeHTTP(w, r)
		return
	case len(s) < 4 || s[3] == "":
		if r.Method == http.MethodGet {
			f.list(w, r)
			return
		}
		f.next.ServeHTTP(w, r)
		return
	}
	p := apipath.Path{Version: s[0], Account: s[1], Container: s[2], Object: s[3]}
	switch manifest := param(r, paramManifest); {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		err = f.get(w, r, p, manifest == "get")
	case r.Method == http.MethodPut && manifest == "put":
		err = f.put(w, r, p)
	case r.Method == http.MethodDelete && manifest == "delete":
		err = f.delete(w, r, p)
	case len(r.Header[headerLarge]) > 0:
		err = reply.Raw(http.StatusBadRequest,
			"X-Static-Large-Object is a reserved header. To create a static large object add query param multipart-manifest=put.")
	default:
		f.next.ServeHTTP(w, r)
	}
	if err != nil {
		reply.Write(w, r, err)
	}
}

// param returns a parameter of the query, "" if it is not there.
func param(r *http.Request, name string) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	v, _ := listing.Param(r.URL.RawQuery, name)
	return v
}
