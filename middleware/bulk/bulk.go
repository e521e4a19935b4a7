// Package bulk is the filter for many objects in one request: it unpacks archives and deletes lists of names.
//
//	[filter.bulk]
//	max_failed_extractions = 1000
//	max_deletes_per_request = 10000
//
// An upload with ?extract-archive=tar (or tar.gz, tar.bz2) becomes an upload of each file in the archive:
//
//	PUT /v1/AUTH_test?extract-archive=tar            photos/1.jpg is object 1.jpg in the container photos
//	PUT /v1/AUTH_test/photos/2024?extract-archive=tar.gz   1.jpg is object 2024/1.jpg in the container photos
//
// Containers that are missing are made. X-Object-Meta-*, X-Delete-At and X-Delete-After of the request go to every object. Of
// a file's own attributes in pax archives, user.mime_type is its content type and user.meta.COLOR its X-Object-Meta-Color.
// Directories, links and devices are left out.
//
// A POST or DELETE of an account with ?bulk-delete deletes what its body names, one quoted name a line:
//
//	photos/2024/a%20b.jpg
//	photos
//
// Objects go first and containers last, so that the list may be in any order. The answer is always 200; what became of it
// all is in its body, as text, JSON or XML (package bulkreport).
//
// Invariants:
//   - Each object and container is a request of its own to the rest of the pipeline, as the client: rights, quotas, rates and
//     limits are as if the client had made it. Nothing but the headers named above is passed on, and none of a file's
//     attributes can become another header.
//   - Bodies are streamed. Memory does not grow with the archive, nor with what it claims to hold.
//   - What is unpacked without being stored, which costs a client next to nothing, is bounded.
//   - A client that is not let in is found out at the first request, which ends the extraction. One that goes away ends
//     either operation.
//
// Non-goals: making archives; other formats of them.
//
// It must stand to the right of cache and to the left of ratelimit and the auth filters.
package bulk

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("bulk", Config{
	MaxContainers: 10000, MaxFailedExtractions: 1000, MaxDeletes: 10000, MaxFailedDeletes: 1000,
	YieldFrequency: config.Seconds(10), DeleteConcurrency: 2, ClientTimeout: config.Seconds(60),
}, build).
	After("gatekeeper", "memcache").
	Before("ratelimit", "authtoken", "tempauth", "keystoneauth", "copy", "container_quotas", "account_quotas", "slo", "dlo", "versioned_writes")

// Config is the section of the filter.
type Config struct {
	// How many containers one archive may make.
	MaxContainers int `toml:"max_containers_per_extraction"`
	// After how many files that could not be stored an extraction ends.
	MaxFailedExtractions int `toml:"max_failed_extractions"`
	// How many names one request may delete.
	MaxDeletes int `toml:"max_deletes_per_request"`
	// After how many names that could not be deleted a deletion ends.
	MaxFailedDeletes int `toml:"max_failed_deletes"`
	// How often a client hears that work goes on.
	YieldFrequency config.Duration `toml:"yield_frequency"`
	// How often a deletion that meets a conflict, such as a container that does not know yet that it is empty, is tried
	// again: after 1.5 seconds, then 1.5 times as long, and so on.
	DeleteRetries int `toml:"delete_container_retry_count"`
	// How many names of one request are deleted at the same time.
	DeleteConcurrency int `toml:"delete_concurrency"`
	// How long a client may take to send the next piece of an archive or list. Usually in [DEFAULT].
	ClientTimeout config.Duration `toml:"client_timeout"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	for _, check := range []struct {
		ok        bool
		key, want string
	}{
		{c.MaxContainers >= 0, "max_containers_per_extraction", "must not be negative"},
		{c.MaxFailedExtractions > 0, "max_failed_extractions", "must be above 0"},
		{c.MaxDeletes > 0, "max_deletes_per_request", "must be above 0"},
		{c.MaxFailedDeletes > 0, "max_failed_deletes", "must be above 0"},
		{c.YieldFrequency.Duration > 0, "yield_frequency", "must be above 0"},
		{c.DeleteRetries >= 0 && c.DeleteRetries <= 15, "delete_container_retry_count", "must be from 0 to 15, which waits for 20 minutes"},
		{c.DeleteConcurrency > 0 && c.DeleteConcurrency <= 1000, "delete_concurrency", "must be from 1 to 1000"},
		{c.ClientTimeout.Duration > 0, "client_timeout", "must be above 0"},
	} {
		if !check.ok {
			return config.Invalid(check.key, "%s", check.want)
		}
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	return middleware.Instance{
		Info: map[string]any{
			"bulk_upload": map[string]any{
				"max_containers_per_extraction": c.MaxContainers, "max_failed_extractions": c.MaxFailedExtractions,
			},
			"bulk_delete": map[string]any{
				"max_deletes_per_request": c.MaxDeletes, "max_failed_deletes": c.MaxFailedDeletes,
			},
		},
		Wrap: func(next http.Handler) http.Handler {
			return &filter{config: c, log: host.Log, limits: host.Cluster.Limits, next: next}
		},
	}, nil
}

type filter struct {
	config Config
	log    *slog.Logger
	limits constraint.Limits
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.RawQuery == "":
	case r.Method == http.MethodPut:
		if format, ok := listing.Param(r.URL.RawQuery, "extract-archive"); ok {
			f.serveExtract(w, r, format)
			return
		}
	case r.Method == http.MethodPost || r.Method == http.MethodDelete:
		if _, ok := listing.Param(r.URL.RawQuery, "bulk-delete"); ok {
			f.serveDelete(w, r)
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

// longestPath is how much of a name in an archive is reported, and half of what a line that names something may have.
func (f *filter) longestPath() int {
	return f.limits.MaxObjectNameLength + f.limits.MaxContainerNameLength + 2
}

// subrequest makes a request of one object or container in the client's name.
func (f *filter) subrequest(r *http.Request, agent string, o subreq.Options) *http.Request {
	h := o.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h["User-Agent"] = []string{strings.TrimSpace(r.Header.Get("User-Agent") + " " + agent)}
	o.Header = h
	sub := subreq.New(r, o)
	state := request.From(sub.Context())
	// What is known of accounts and containers grows old while an archive is unpacked, and memory with it. A request of
	// the client's own would ask the cache.
	state.Infos = &request.Infos{}
	// What a filter to the left has allowed, such as container_sync, is the path that was asked for, not what is named in
	// the body.
	state.AuthOverride = false
	return sub
}

// send sends a subrequest and returns the status of the answer.
func (f *filter) send(sub *http.Request) int {
	// Whatever else it says is not shown, so that it does not matter whether the body is whole.
	res, _ := subreq.Small(f.next, sub, 0)
	return res.Code
}

// refuse is an answer of which only the status is shown.
func refuse(code int) *reply.Error { return reply.Raw(code, "") }

// noLength says that the client has said nothing about its body's length. To net/http such a request has none.
func noLength(r *http.Request) bool {
	_, said := r.Header["Content-Length"]
	return r.ContentLength == 0 && !said && r.ProtoMajor == 1
}
