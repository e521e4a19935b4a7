// Package etagquoter is the filter that puts ETags of objects into double quotes, as RFC 9110 wants them and some CDNs
// insist on:
//
//	[filter.etag-quoter]
//	enable_by_default = false
//
// Who owns an account or container decides for it with X-Account-Rfc-Compliant-Etags or X-Container-Rfc-Compliant-Etags,
// true or false, on a PUT or POST; empty, or with X-Remove- before it, it is undone. The container's word counts before the
// account's, and that before the option. It is kept in system metadata and shown in answers.
//
// Only answers about objects change, and no ETag that is quoted already. It stands directly to the right of cache: each
// request for an object asks for its container and account.
package etagquoter

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("etag_quoter", Config{}, build).Alias("etag-quoter").After("gatekeeper", "memcache")

// Config is the section of the filter.
type Config struct {
	// Quote where neither container nor account says anything.
	EnableByDefault bool `toml:"enable_by_default"`
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	versions := host.Cluster.Limits.ValidAPIVersions
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{c, versions, next} },
		Info: map[string]any{"etag_quoter": map[string]any{"enable_by_default": c.EnableByDefault}},
	}, nil
}

// logSource is the filter's code in the log.
const logSource = "EQ"

// names are the headers of one kind of resource.
type names struct{ client, remove, sysmeta string }

var (
	accountNames = names{
		"X-Account-Rfc-Compliant-Etags", "X-Remove-Account-Rfc-Compliant-Etags", "X-Account-Sysmeta-Rfc-Compliant-Etags"}
	containerNames = names{
		"X-Container-Rfc-Compliant-Etags", "X-Remove-Container-Rfc-Compliant-Etags", "X-Container-Sysmeta-Rfc-Compliant-Etags"}
)

// flag is the name of the sysmeta in infos.
const flag = "rfc-compliant-etags"

type filter struct {
	config   Config
	versions []string // of the API
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, err := apipath.Parse(r.URL.Path)
	if err != nil || path.Account == "" || !apipath.ValidVersion(path.Version, f.versions) {
		f.next.ServeHTTP(w, r)
		return
	}
	switch {
	case path.Container == "":
		f.translate(w, r, accountNames)
	case path.Object == "":
		f.translate(w, r, containerNames)
	case f.wanted(r, path):
		out := respw.OnHeader(w, func(code int, h http.Header) int {
			quote(h["Etag"])
			return code
		})
		f.next.ServeHTTP(out, r)
		out.Finish()
	default:
		f.next.ServeHTTP(w, r)
	}
}

// translate turns the client's header into system metadata, and back in the answer.
func (f *filter) translate(w http.ResponseWriter, r *http.Request, n names) {
	if _, ok := r.Header[n.client]; ok {
		stored := ""
		if v := meta.Value(r.Header, n.client); v != "" {
			stored = "False"
			if meta.Truthy(v) {
				stored = "True"
			}
		}
		r.Header.Set(n.sysmeta, stored)
	}
	if r.Header.Get(n.remove) != "" {
		r.Header.Set(n.sysmeta, "")
	}
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		if v, ok := h[n.sysmeta]; ok {
			delete(h, n.sysmeta)
			h[n.client] = v
		}
		return code
	})
	f.next.ServeHTTP(out, r)
	out.Finish()
}

// wanted says whether ETags in the container are to be quoted.
func (f *filter) wanted(r *http.Request, path apipath.Path) bool {
	sub := lookup.Subrequest{Next: f.next, Source: logSource}
	container := lookup.GetContainer(r, sub, path.Account, path.Container)
	if !container.Exists() {
		return false
	}
	if v, ok := container.Sysmeta[flag]; ok {
		return meta.Truthy(v)
	}
	account := lookup.GetAccount(r, sub, path.Account)
	if !account.Exists() {
		return false
	}
	if v, ok := account.Sysmeta[flag]; ok {
		return meta.Truthy(v)
	}
	return f.config.EnableByDefault
}

// quote puts quotes around the values that have none.
func quote(etags []string) {
	for i, v := range etags {
		if (strings.HasPrefix(v, `"`) || strings.HasPrefix(v, `W/"`)) && strings.HasSuffix(v, `"`) {
			continue
		}
		etags[i] = `"` + v + `"`
	}
}
