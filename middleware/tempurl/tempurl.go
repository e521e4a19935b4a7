// Package tempurl is the filter that serves signed, expiring URLs to people without an account:
//
//	[filter.tempurl]
//	methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
//	allowed_digests = ["sha256", "sha512"]
//
// Who owns an account or container sets a secret key there, X-Account-Meta-Temp-URL-Key or X-Container-Meta-Temp-URL-Key (and
// a second one with -2 at the end), and signs with it
//
//	GET\n1700000000\n/v1/AUTH_a/photos/a.jpg
//
// a method, a time of expiry and an object. Whoever has the URL with temp_url_sig and temp_url_expires in its query may
// then do that, and nothing else. With temp_url_prefix, "prefix:" stands before the path and the signature is good for all
// objects whose names begin so; the empty prefix also for the container itself, as far as staticweb makes a page of it. With
// temp_url_ip_range, a line "ip=..." comes first and the client's address must be in
// the range. A signature for GET, PUT or POST is good for HEAD too.
//
// Invariants:
//   - A signature gives no more rights than its key: subrequests, such as those for the segments of a large object, are
//     allowed in the key's container or account only. Uploads that would make an object refer to others are refused.
//   - The rest of the query is dropped: it is not signed.
//   - Signatures are compared in constant time, and all that is not valid gets the same 401.
//
// It must stand to the right of cache, and to the left of the auth filter, staticweb, dlo and slo. An auth filter with
// allow_overrides = false undoes it.
//
// Non-goals: signed URLs for accounts, and for the listings of containers that are no sites.
package tempurl

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/digest"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("tempurl", defaults(), build).
	After("gatekeeper", "memcache").Before("tempauth", "keystoneauth", "staticweb", "slo", "dlo")

func build(host middleware.Host, c Config) (middleware.Instance, error) {
	digests, unknown, err := digest.NewSet(c.AllowedDigests.Words())
	if err != nil {
		return middleware.Instance{}, err
	}
	if len(unknown) > 0 {
		host.Log.Warn("digests are not known and left out", "digests", unknown)
	}
	if old := digests.Deprecated(); len(old) > 0 {
		host.Log.Warn("digests are deprecated", "digests", []digest.Algorithm(old))
	}
	info := map[string]any{
		"methods":                 c.Methods.Words(),
		"incoming_remove_headers": c.IncomingRemoveHeaders.Words(), "incoming_allow_headers": c.IncomingAllowHeaders.Words(),
		"outgoing_remove_headers": c.OutgoingRemoveHeaders.Words(), "outgoing_allow_headers": c.OutgoingAllowHeaders.Words(),
		"allowed_digests": digests,
	}
	if old := digests.Deprecated(); len(old) > 0 {
		info["deprecated_digests"] = old
	}
	f := filter{
		methods: c.Methods.Words(), digests: digests,
		incoming: headers{newNames(c.IncomingRemoveHeaders), newNames(c.IncomingAllowHeaders)},
		outgoing: headers{newNames(c.OutgoingRemoveHeaders), newNames(c.OutgoingAllowHeaders)},
		clock:    host.Clock, log: host.Log, stats: host.Stats,
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { g := f; g.next = next; return &g },
		Info: map[string]any{"tempurl": info},
	}, nil
}

// logSource is the filter's code in the log.
const logSource = "TU"

type filter struct {
	methods  []string
	digests  digest.Set
	incoming headers
	outgoing headers
	clock    clock.Clock
	log      *slog.Logger
	stats    *statsd.Client
	next     http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions || !strings.Contains(r.URL.RawQuery, "temp") && !strings.Contains(r.URL.RawQuery, "%") {
		f.next.ServeHTTP(w, r)
		return
	}
	p := parse(r.URL.RawQuery, f.clock.Now())
	if !p.signed {
		f.next.ServeHTTP(w, r)
		return
	}
	path, scope := f.check(r, p)
	if scope == noScope {
		reply.Write(w, r, invalid(r.Method))
		return
	}
	f.stats.Increment("tempurl.digests." + string(p.signature.Algorithm))
	if name := disallowed(r); name != "" {
		reply.Write(w, r, reply.Raw(http.StatusBadRequest, "The header '"+name+"' is not allowed in this tempurl"))
		return
	}
	f.incoming.clean(r.Header)
	state := request.From(r.Context())
	state.Authorize, state.AuthOverride, state.User = scope.authorize(path), true, request.TempURL
	u := *r.URL
	u.RawQuery = p.query()
	inner := *r
	inner.URL, inner.RequestURI = &u, u.RequestURI()
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	edit := func(code int, h http.Header) int {
		f.outgoing.clean(h)
		if reads && code >= 200 && code < 300 {
			p.describe(h, path)
		}
		return code
	}
	if path.Object == "" {
		f.servePage(w, &inner, edit)
		return
	}
	out := respw.OnHeader(w, edit)
	f.next.ServeHTTP(out, &inner)
	out.Finish()
}

// servePage lets a request for a container through. Nothing but a page of staticweb may be the answer, or an error.
func (f *filter) servePage(w http.ResponseWriter, r *http.Request, edit func(int, http.Header) int) {
	refused := false
	out := respw.Divert(w, func(code int, h http.Header) http.ResponseWriter {
		if refused = code >= 200 && code < 300 && !isPage(h); refused {
			return nil
		}
		return respw.OnHeader(w, edit)
	})
	f.next.ServeHTTP(out, r)
	out.Finish()
	if refused {
		reply.Write(w, r, invalid(r.Method))
	}
}

// isPage says whether an answer is a page of staticweb, or one that it has chosen, rather than what was asked for.
func isPage(h http.Header) bool { return h.Get("X-Backend-Content-Generator") == "staticweb" }

// invalid is the answer to all that is not signed as it should be. Swift does not name the account here, and to HEAD it does
// not give the length of what a GET would get.
func invalid(method string) error {
	text := "401 Unauthorized: Temp URL invalid\n"
	if method == http.MethodHead {
		text = ""
	}
	return reply.Raw(http.StatusUnauthorized, text).With("Www-Authenticate", reply.Challenge(""))
}

// A scope is how far a key's word goes.
type scope int

const (
	noScope scope = iota
	containerScope
	accountScope
)

// check finds the key that the signature was made with; noScope is that there is none, or that the request is not what was
// signed.
func (f *filter) check(r *http.Request, p params) (apipath.Path, scope) {
	var path apipath.Path
	if !p.valid || !f.digests.Allows(p.signature.Algorithm) || !slices.Contains(f.methods, r.Method) || !p.allows(r.RemoteAddr) {
		return path, noScope
	}
	var names [4]string
	segments, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	if err != nil || segments[0] != "v1" {
		return path, noScope
	}
	path = apipath.Path{Version: segments[0], Account: segments[1], Container: segments[2]}
	if len(segments) > 3 {
		path.Object = segments[3]
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if all := reads && p.hasPrefix && p.prefix == ""; strings.Trim(path.Object, "/") == "" && !all {
		return path, noScope
	}
	signed := path.String()
	if p.hasPrefix {
		if !strings.HasPrefix(path.Object, p.prefix) {
			return path, noScope
		}
		signed = "prefix:/v1/" + path.Account + "/" + path.Container + "/" + p.prefix
	}
	methods := []string{r.Method}
	if r.Method == http.MethodHead {
		methods = []string{http.MethodHead, http.MethodGet, http.MethodPost, http.MethodPut}
	}
	sub := lookup.Subrequest{Next: f.next, Source: logSource}
	account := lookup.GetAccount(r, sub, path.Account)
	container := lookup.GetContainer(r, sub, path.Account, path.Container)
	switch {
	case p.signedWith(account.Meta, methods, signed):
		return path, accountScope
	case p.signedWith(container.Meta, methods, signed):
		return path, containerScope
	}
	return path, noScope
}

// signedWith says whether one of the keys in the metadata has made the signature for one of the methods.
func (p params) signedWith(meta map[string]string, methods []string, path string) bool {
	for _, key := range lookup.SigningKeys(meta) {
		for _, method := range methods {
			if p.signature.Is(digest.HMAC(p.signature.Algorithm, key, p.text(method, path))) {
				return true
			}
		}
	}
	return false
}

// authorize returns a State.Authorize that keeps to the scope.
func (s scope) authorize(signed apipath.Path) func(*http.Request) error {
	return func(r *http.Request) error {
		var names [4]string
		segments, err := apipath.SplitRest(names[:0], r.URL.Path, 2, 4)
		if err == nil && segments[1] == signed.Account &&
			(s == accountScope || s == containerScope && len(segments) > 2 && segments[2] == signed.Container) {
			return nil
		}
		return reply.Status(http.StatusUnauthorized)
	}
}

// disallowed returns the header by which a write would make an object of others, which the signature says nothing about.
func disallowed(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ""
	}
	for name := range r.Header {
		switch name := http.CanonicalHeaderKey(plain(name)); name {
		case "X-Object-Manifest", "X-Symlink-Target", "X-Copy-From":
			return name
		}
	}
	return ""
}

// allows says whether the client's address is in the signed range, if there is one.
func (p params) allows(remote string) bool {
	if p.ipRange == "" {
		return true
	}
	network, ok := parseRange(p.ipRange)
	if !ok {
		return false
	}
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && network.Contains(addr.Addr().Unmap().WithZone(""))
}
