// Package containerquotas is the filter that bounds what a container may hold, as its owner has said:
//
//	[filter.container-quotas]
//
// It has no options. Quotas are the container's user metadata, set by a container PUT or POST:
//
//	X-Container-Meta-Quota-Bytes: 1000000
//	X-Container-Meta-Quota-Count: 100
//
// Values other than digits are refused; an empty one removes the quota. An object PUT that would exceed a quota gets 413,
// provided that the user may write to the container: others get their 401 or 403, so that the answer does not tell them
// that the container exists.
//
// The usage of a container is cached for a while, so a quota can be exceeded by what is written meanwhile, and by
// bodies that do not say how long they are. POST and DELETE are not bounded.
//
// It must stand to the right of the auth filter and of copy.
package containerquotas

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("container_quotas", Config{}, build).Alias("container-quotas").
	After("gatekeeper", "tempauth", "keystoneauth", "copy")

// Config is the section of the filter, which has no options.
type Config struct{}

func build(middleware.Host, Config) (middleware.Instance, error) {
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{next} },
		Info: map[string]any{"container_quotas": map[string]any{}},
	}, nil
}

// logSource is the filter's code in the log.
const logSource = "CQ"

type filter struct{ next http.Handler }

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		if err := f.check(r); err != nil {
			reply.Write(w, r, err)
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

// check returns what is to be answered instead of going on.
func (f *filter) check(r *http.Request) error {
	path, err := apipath.Parse(r.URL.Path)
	switch {
	case err != nil:
		return nil
	case path.Level() == apipath.LevelContainer:
		return valid(r.Header)
	case path.Level() == apipath.LevelObject && r.Method == http.MethodPut:
		return f.room(r, path)
	}
	return nil
}

// valid checks the quotas that a client sets.
func valid(h http.Header) error {
	if v := sent(h, "X-Container-Meta-Quota-Bytes"); v != "" && !digits(v) {
		return reply.Raw(http.StatusBadRequest, "Invalid bytes quota.")
	}
	if v := sent(h, "X-Container-Meta-Quota-Count"); v != "" && !digits(v) {
		return reply.Raw(http.StatusBadRequest, "Invalid count quota.")
	}
	return nil
}

// sent returns the value of a client's header. Underscores count as hyphens, because they become hyphens before the
// container is written.
func sent(h http.Header, name string) string {
	if _, ok := h[name]; ok {
		return meta.Value(h, name)
	}
	for key := range h {
		if strings.IndexByte(key, '_') >= 0 && strings.EqualFold(strings.ReplaceAll(key, "_", "-"), name) {
			return meta.Value(h, key)
		}
	}
	return ""
}

// room refuses an object for which the container has none.
func (f *filter) room(r *http.Request, path apipath.Path) error {
	sub := lookup.Subrequest{Next: f.next, Source: logSource}
	info := lookup.GetContainer(r, sub, path.Account, path.Container)
	if !info.Exists() {
		return nil // the rest of the pipeline will say so
	}
	used := int64(0)
	if info.Meta["quota-bytes"] != "" {
		used = lookup.UsedBytes(r, sub, path.Account, info)
	}
	if !exceeds(used, max(r.ContentLength, 0), info.Meta["quota-bytes"]) &&
		!exceeds(info.Objects.Int(), 1, info.Meta["quota-count"]) {
		return nil
	}
	state := request.From(r.Context())
	if state.Authorize != nil {
		state.ACL = string(info.WriteACL)
		if err := state.Authorize(r); err != nil {
			return err
		}
	}
	return reply.Raw(http.StatusRequestEntityTooLarge, "Upload exceeds quota.")
}

// exceeds says whether used and more together are over the quota. What is not a number bounds nothing.
func exceeds(used, more int64, quota string) bool {
	if !digits(quota) {
		return false
	}
	bound, err := strconv.ParseInt(quota, 10, 64)
	if err != nil {
		bound = math.MaxInt64 // of digits only, so it is too large
	}
	return more > bound-used
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
