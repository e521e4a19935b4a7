// Package accountquotas is the filter that bounds what an account may hold:
//
//	[filter.account-quotas]
//
// It has no options. Resellers set an account's quotas with headers of an account PUT or POST, and everybody who may see
// the account sees them:
//
//	X-Account-Quota-Bytes: 1000000000        X-Account-Quota-Bytes-Policy-gold: 500000000
//	X-Account-Quota-Count: 100000            X-Account-Quota-Count-Policy-gold: 50000
//
// A header X-Remove-Account-Quota-..., or an empty value, removes one. The older X-Account-Meta-Quota-Bytes still sets
// the quota of bytes. An object PUT that would exceed a quota is refused with 413, once it is clear that the user may
// write there: others get their 401 or 403 and learn nothing. Resellers are not bounded.
//
// Invariants:
//   - Nobody but a reseller changes a quota, under whatever spelling of the header.
//   - A quota is kept in the account's system metadata, a policy's under its index, so renaming a policy keeps it.
//
// The usage of an account is known with a delay, so a quota can be exceeded by what is written meanwhile, and by
// bodies that do not say how long they are. POST and DELETE are not bounded.
//
// It must stand to the right of the auth filter and of copy.
package accountquotas

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("account_quotas", Config{}, build).Alias("account-quotas").
	After("gatekeeper", "tempauth", "keystoneauth", "copy")

// Config is the section of the filter, which has no options.
type Config struct{}

func build(host middleware.Host, _ Config) (middleware.Instance, error) {
	quotas := quotasOf(host.Cluster.Policies.All())
	versions := host.Cluster.Limits.ValidAPIVersions
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{quotas, versions, next} },
		Info: map[string]any{"account_quotas": map[string]any{}},
	}, nil
}

// logSource is the filter's code in the log.
const logSource = "AQ"

// The quota that Swift once kept in user metadata.
const (
	legacySet    = "X-Account-Meta-Quota-Bytes"
	legacyRemove = "X-Remove-Account-Meta-Quota-Bytes"
)

// A quota is one kind of quota and its headers.
type quota struct {
	client  string // X-Account-Quota-Bytes-Policy-Gold
	remove  string // X-Remove-Account-Quota-Bytes-Policy-Gold
	sysmeta string // X-Account-Sysmeta-Quota-Bytes-Policy-0
	legacy  bool   // also set by the older headers
}

func quotasOf(policies []policy.Policy) []quota {
	var all []quota
	for _, what := range []string{"Bytes", "Count"} {
		add := func(client, stored string) {
			all = append(all, quota{
				client:  http.CanonicalHeaderKey("X-Account-Quota-" + client),
				remove:  http.CanonicalHeaderKey("X-Remove-Account-Quota-" + client),
				sysmeta: http.CanonicalHeaderKey("X-Account-Sysmeta-Quota-" + stored),
				legacy:  client == "Bytes",
			})
		}
		add(what, what)
		for _, p := range policies {
			add(what+"-Policy-"+p.Name, what+"-Policy-"+p.Index.String())
		}
	}
	return all
}

type filter struct {
	quotas   []quota
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
		f.account(w, r)
		return
	case path.Object != "" && r.Method == http.MethodPut:
		if refusal := f.over(r, path); refusal != nil {
			f.refuse(w, r, refusal)
			return
		}
	}
	f.next.ServeHTTP(w, r)
}

// account lets resellers set quotas and shows them.
func (f *filter) account(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut || r.Method == http.MethodPost {
		if err := f.set(r); err != nil {
			reply.Write(w, r, err)
			return
		}
	}
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		for _, q := range f.quotas {
			if v := h.Get(q.sysmeta); v != "" {
				h.Set(q.client, v)
			}
		}
		return code
	})
	f.next.ServeHTTP(out, r)
	out.Finish()
}

// set turns a reseller's headers into system metadata, and refuses those of others.
func (f *filter) set(r *http.Request) error {
	h, reseller := r.Header, request.From(r.Context()).Reseller
	// An empty one removes the metadata as well, so presence is what counts.
	if _, removes := sent(h, legacyRemove); removes && !reseller {
		return reply.Status(http.StatusForbidden)
	}
	values := map[string]string{}
	for _, q := range f.quotas {
		value, ok := q.wanted(h)
		switch {
		case !ok:
			continue
		case !reseller:
			return reply.Status(http.StatusForbidden)
		case value != "" && !digits(value):
			return reply.Status(http.StatusBadRequest)
		}
		values[q.sysmeta] = value
	}
	for name, value := range values {
		h.Set(name, value)
	}
	return nil
}

// wanted returns the value that a client's headers give the quota; "" removes it.
func (q quota) wanted(h http.Header) (value string, ok bool) {
	value, ok = sent(h, q.client)
	remove, _ := sent(h, q.remove)
	if q.legacy && value == "" {
		if older, has := sent(h, legacySet); has {
			value, ok = older, true
		}
	}
	if q.legacy && remove == "" {
		remove, _ = sent(h, legacyRemove)
	}
	if remove != "" {
		return "", true // removing wins over setting
	}
	return value, ok
}

// sent returns the value of a client's header. Underscores count as hyphens, because they become hyphens before the
// account is written.
func sent(h http.Header, name string) (value string, ok bool) {
	if _, ok := h[name]; ok {
		return meta.Value(h, name), true
	}
	for key := range h {
		if strings.IndexByte(key, '_') >= 0 && strings.EqualFold(strings.ReplaceAll(key, "_", "-"), name) {
			return meta.Value(h, key), true
		}
	}
	return "", false
}

// over returns the refusal of an object PUT that would exceed a quota, else nil.
func (f *filter) over(r *http.Request, path apipath.Path) error {
	if request.From(r.Context()).Reseller {
		return nil
	}
	sub := lookup.Subrequest{Next: f.next, Source: logSource}
	account := lookup.GetAccount(r, sub, path.Account)
	length := max(r.ContentLength, 0)
	bytes, ok := account.Sysmeta["quota-bytes"]
	if !ok {
		bytes = account.Meta["quota-bytes"]
	}
	if exceeds(account.Bytes.Int(), length, bytes) || exceeds(account.Objects.Int(), 1, account.Sysmeta["quota-count"]) {
		return reply.Raw(http.StatusRequestEntityTooLarge, "Upload exceeds quota.")
	}
	if !anyPolicy(account.Sysmeta) {
		return nil // the container need not be looked up
	}
	index := string(lookup.GetContainer(r, sub, path.Account, path.Container).Policy)
	used := account.Policies[index]
	if exceeds(used.Bytes, length, account.Sysmeta["quota-bytes-policy-"+index]) ||
		exceeds(used.Objects, 1, account.Sysmeta["quota-count-policy-"+index]) {
		return reply.Raw(http.StatusRequestEntityTooLarge, "Upload exceeds policy quota.")
	}
	return nil
}

func anyPolicy(sysmeta map[string]string) bool {
	for name := range sysmeta {
		if strings.HasPrefix(name, "quota-bytes-policy-") || strings.HasPrefix(name, "quota-count-policy-") {
			return true
		}
	}
	return false
}

// refuse answers with the refusal as soon as the user's right to write has been confirmed, at once if nobody asks for it.
func (f *filter) refuse(w http.ResponseWriter, r *http.Request, refusal error) {
	state := request.From(r.Context())
	authorize := state.Authorize
	if authorize == nil {
		reply.Write(w, r, refusal)
		return
	}
	state.Authorize = func(r *http.Request) error {
		if err := authorize(r); err != nil {
			return err
		}
		return refusal
	}
	f.next.ServeHTTP(w, r)
}

// exceeds says whether used and more together are over the quota. What is not a number bounds nothing.
func exceeds(used, more int64, quota string) bool {
	quota = strings.TrimSpace(quota)
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
