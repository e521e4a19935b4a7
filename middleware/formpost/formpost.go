// Package formpost is the filter that takes files from HTML forms, from people without an account:
//
//	[filter.formpost]
//	allowed_digests = ["sha256", "sha512"]
//
// Who owns an account or container sets a secret key there, X-Account-Meta-Temp-URL-Key or X-Container-Meta-Temp-URL-Key
// (and a second one with -2 at the end), and signs with it
//
//	/v1/AUTH_a/photos/from-\nhttps://site/thanks\n1048576\n10\n1700000000
//
// a path, a redirect or nothing, the largest size of a file, how many files, and a time of expiry. These are fields of a
// form that is posted to the path as multipart/form-data; their names are redirect, max_file_size, max_file_count, expires
// and signature. Each file becomes an object whose name is the path with the file's name behind it. Further fields,
// x_delete_at, x_delete_after, content-type and content-encoding, are for all files after them. What comes after a file
// does not matter for it: nothing is kept in memory. At the end the browser is sent to redirect, with status and message in
// the query, or is told the status of the last upload.
//
// Invariants:
//   - No file is stored before a signature for exactly this path has been checked, for each of them. Signatures are
//     compared in constant time.
//   - The uploads get a path and the few headers named here; whatever else a form has is dropped. So no form can set
//     system metadata or other internal headers, nor make an object refer to others.
//   - A file that is too large, or whose sender goes away, leaves nothing behind.
//
// It must stand to the right of cache, and to the left of the auth filter. An auth filter with allow_overrides = false undoes
// it.
//
// Non-goals: forms of other encodings, and signing anything else than Swift does. So the redirect of an upload that is
// refused, and one that comes after the files, are not signed.
package formpost

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/digest"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/formpost/internal/parts"
)

// Filter is the definition.
var Filter = middleware.Define("formpost", Config{AllowedDigests: config.List{"sha1", "sha256", "sha512"}}, build).
	After("gatekeeper", "memcache").Before("tempauth", "keystoneauth")

// Config is the section of the filter.
type Config struct {
	// Digests that a signature may be made with: sha1 (deprecated), sha256, sha512.
	AllowedDigests config.List `toml:"allowed_digests"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if _, _, err := digest.NewSet(c.AllowedDigests.Words()); err != nil {
		return config.Invalid("allowed_digests", "%v", err)
	}
	return nil
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	digests, unknown, err := digest.NewSet(c.AllowedDigests.Words())
	if err != nil {
		return middleware.Instance{}, err
	}
	if len(unknown) > 0 {
		host.Log.Warn("digests are not known and left out", "digests", unknown)
	}
	info := map[string]any{"allowed_digests": digests}
	if old := digests.Deprecated(); len(old) > 0 {
		host.Log.Warn("digests are deprecated", "digests", []digest.Algorithm(old))
		info["deprecated_digests"] = old
	}
	f := filter{digests: digests, versions: host.Cluster.Limits.ValidAPIVersions, clock: host.Clock, log: host.Log, stats: host.Stats}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { g := f; g.next = next; return &g },
		Info: map[string]any{"formpost": info},
	}, nil
}

// logSource is the filter's code in the log.
const logSource = "FP"

type filter struct {
	digests  digest.Set
	versions []string
	clock    clock.Clock
	log      *slog.Logger
	stats    *statsd.Client
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	boundary, ok := boundary(r)
	if !ok {
		f.next.ServeHTTP(w, r)
		return
	}
	r.Header["User-Agent"] = []string{strings.TrimSpace(r.Header.Get("User-Agent") + " FormPost")}
	form := form{filter: f, request: r, keys: f.keys(r), fields: map[string]string{}}
	reply.Write(w, r, form.answer(boundary))
}

// boundary returns what stands between the fields of a form, if the request is one.
func boundary(r *http.Request) (string, bool) {
	if r.Method != http.MethodPost {
		return "", false
	}
	kind, params := parts.Parameters(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return "", false
	}
	b, ok := params["boundary"]
	return b, ok
}

// keys returns the keys that forms for the request's path are signed with. A path without a container has none.
func (f *filter) keys(r *http.Request) []string {
	var names [4]string
	path, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	if err != nil || !apipath.ValidVersion(path[0], f.versions) {
		return nil
	}
	sub := lookup.Subrequest{Next: f.next, Source: logSource}
	account := lookup.GetAccount(r, sub, path[1])
	container := lookup.GetContainer(r, sub, path[1], path[2])
	return append(lookup.SigningKeys(account.Meta), lookup.SigningKeys(container.Meta)...)
}
