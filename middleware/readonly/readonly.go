// Package readonly is the filter that refuses writes, to the whole cluster or to single accounts:
//
//	[filter.read_only]
//	read_only = true
//	allow_deletes = true
//
// PUT, POST, COPY and, unless allow_deletes says otherwise, DELETE are answered with 405. An account's system metadata
// X-Account-Sysmeta-Read-Only, which only operators can set, decides for that account whatever the option says: true or
// false. What a COPY writes to counts: the account in Destination-Account, if there is one.
//
// It stands to the right of ratelimit and to the left of copy, so that nobody is excepted. What s3api makes of S3 requests
// passes to the right of s3api only: a cluster that has it needs the filter there. It asks for the account at every write,
// a cached answer as a rule.
package readonly

import (
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("read_only", Config{}, build).Alias("read-only").After("gatekeeper").Before("copy")

// Config is the section of the filter.
type Config struct {
	// Refuse writes to all accounts that are not excepted by their metadata.
	ReadOnly bool `toml:"read_only"`
	// Let DELETE through all the same.
	AllowDeletes bool `toml:"allow_deletes"`
}

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	versions := host.Cluster.Limits.ValidAPIVersions
	in := middleware.Instance{Wrap: func(next http.Handler) http.Handler { return &filter{c, versions, next} }}
	if c.ReadOnly {
		in.Info = map[string]any{"read_only": map[string]any{}}
	}
	return in, nil
}

// logSource is the filter's code in the log.
const logSource = "RO"

type filter struct {
	config   Config
	versions []string // of the API
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.writes(r.Method) {
		if err := f.check(r); err != nil {
			reply.Write(w, r, err)
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

func (f *filter) writes(method string) bool {
	switch method {
	case "COPY", http.MethodPost, http.MethodPut:
		return true
	case http.MethodDelete:
		return !f.config.AllowDeletes
	}
	return false
}

// check returns what is to be answered to a write instead of going on.
func (f *filter) check(r *http.Request) error {
	var names [4]string
	segments, err := apipath.SplitRest(names[:0], r.URL.Path, 2, 4)
	if err != nil || !apipath.ValidVersion(segments[0], f.versions) {
		return nil
	}
	account := segments[1]
	if to, ok := r.Header["Destination-Account"]; ok && r.Method == "COPY" {
		// Copy unquotes it: what is checked must be what is written to.
		account = apipath.Unquote(to[0])
		switch {
		case account == "":
			return reply.Raw(http.StatusPreconditionFailed, "Account name cannot be empty")
		case strings.Contains(account, "/"):
			return reply.Raw(http.StatusPreconditionFailed, "Account name cannot contain slashes")
		}
	}
	info := lookup.GetAccount(r, lookup.Subrequest{Next: f.next, Source: logSource}, account)
	readOnly := f.config.ReadOnly
	if v := info.Sysmeta["read-only"]; v != "" {
		readOnly = meta.Truthy(v)
	}
	if readOnly {
		return reply.Raw(http.StatusMethodNotAllowed, "Writes are disabled for this account.")
	}
	return nil
}
