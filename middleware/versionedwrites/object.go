package versionedwrites

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/contenttype"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/middleware"
)

const (
	headerEnabled        = "X-Versions-Enabled"
	headerVersion        = "X-Object-Version-Id"
	headerCurrent        = "X-Object-Current-Version-Id"
	headerBackendType    = "X-Backend-Content-Type"
	headerTarget         = "X-Symlink-Target"
	headerTargetETag     = "X-Symlink-Target-Etag"
	headerTargetBytes    = "X-Symlink-Target-Bytes"
	sysEnabled           = "X-Container-Sysmeta-Versions-Enabled"
	sysHidden            = "X-Container-Sysmeta-Versions-Container"
	sysLink              = "X-Object-Sysmeta-Versions-Symlink"
	paramVersion         = "version-id"
	paramVersions        = "versions"
	nullVersion          = "null"
	textNoHidden         = "The versions container does not exist. You may want to re-enable object versioning."
	headerContentLocated = "Content-Location"
)

// objects is object versioning: versions in a hidden container.
type objects struct {
	archive
	policies policy.Set
	types    contenttype.Table
	log      *slog.Logger
	api      []string // valid versions of the API
	maxList  map[listing.Kind]int
	last     atomic.Int64 // time of the latest write, in raw units
}

func newObjects(host middleware.Host, types contenttype.Table, next http.Handler) *objects {
	limits := host.Cluster.Limits
	return &objects{
		policies: host.Cluster.Policies, types: types, log: host.Log, api: limits.ValidAPIVersions,
		maxList: map[listing.Kind]int{listing.Account: limits.AccountListingLimit, listing.Container: limits.ContainerListingLimit},
		archive: archive{
			next: next, source: "OV", maxSize: limits.MaxFileSize, clock: host.Clock, reserved: true, refusal: refuseVersion,
			missing: &reply.Error{Code: http.StatusInternalServerError, Type: "text/plain", Body: textNoHidden},
		},
	}
}

// refuseVersion is the client's answer when a version cannot be kept or looked at. What is wrong with the client's request
// it is told.
func refuseVersion(res *subreq.Response) error {
	switch {
	case res.Code == http.StatusNotFound:
		return reply.Status(http.StatusPreconditionFailed)
	case res.Code >= 400 && res.Code < 500:
		return res.Reply()
	}
	return reply.Status(http.StatusServiceUnavailable)
}

// now is the time of a write. It names a version, so no two in this process are the same. A clock that has been put back
// by more than a second is believed.
func (o *objects) now() timestamp.Timestamp {
	for {
		last, t := o.last.Load(), o.archive.now()
		if raw := t.Raw(); raw <= last && raw > last-timestamp.UnitsPerSecond {
			t = timestamp.FromRaw(last+1, 0)
		}
		if o.last.CompareAndSwap(last, t.Raw()) {
			return t
		}
	}
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 2, 4)
	state := request.From(r.Context())
	if err != nil || state.ObjectVersioning || !apipath.ValidVersion(s[0], o.api) {
		o.next.ServeHTTP(w, r)
		return
	}
	p := apipath.Path{Version: s[0], Account: s[1]}
	if len(s) > 2 {
		p.Container = s[2]
	}
	if len(s) > 3 {
		p.Object = s[3]
	}
	// It holds for this request, but not for the next one that somebody makes of the same state.
	state.ObjectVersioning = true
	defer func() { state.ObjectVersioning = false }()
	switch p.Level() {
	case apipath.LevelObject:
		err = o.serveObject(w, r, p)
	case apipath.LevelContainer:
		err = o.serveContainer(w, r, p)
	case apipath.LevelAccount:
		err = o.serveAccount(w, r, p)
	default:
		o.next.ServeHTTP(w, r)
	}
	if err != nil {
		reply.Write(w, r, err)
	}
}

// param returns a parameter of the query.
func param(r *http.Request, name string) (string, bool) {
	if r.URL.RawQuery == "" {
		return "", false
	}
	return listing.Param(r.URL.RawQuery, name)
}

// An objectCall is a request for an object in a container that has versions, or for a version.
type objectCall struct {
	*objects
	w       http.ResponseWriter
	r       *http.Request
	path    apipath.Path
	hidden  string // the container with the versions; "" if there has never been one
	enabled bool
	info    *lookup.Container
}

// serveObject answers a request for an object. The error is the client's answer.
func (o *objects) serveObject(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	info := o.container(r, p)
	hidden, _, _ := strings.Cut(apipath.Unquote(info.Sysmeta["versions-container"]), "/")
	version, _ := param(r, paramVersion)
	c := objectCall{objects: o, w: w, r: r, path: p, hidden: hidden, enabled: meta.Truthy(info.Sysmeta["versions-enabled"]), info: info}
	switch {
	case version != "":
		return c.serveVersion(version)
	case hidden == "":
		o.next.ServeHTTP(w, r)
		return nil
	}
	switch r.Method {
	case http.MethodPut, http.MethodDelete:
		switch put := r.Method == http.MethodPut; {
		case c.enabled && put:
			return c.put()
		case c.enabled:
			return c.delete()
		case !nulls(r): // it is about the null version, which the name itself stands for
		case put:
			return c.putNull()
		default:
			return c.deleteNull()
		}
	case http.MethodPost:
		return c.post()
	default:
		if nulls(r) {
			return c.readCurrent()
		}
		c.serve(r, func(_ int, h http.Header) { c.show(h) })
		return nil
	}
	o.next.ServeHTTP(w, r)
	return nil
}

// serve lets the client have the answer to r, with an edited head.
func (c *objectCall) serve(r *http.Request, edit func(code int, h http.Header)) {
	out := respw.OnHeader(c.w, func(code int, h http.Header) int {
		edit(code, h)
		return code
	})
	c.next.ServeHTTP(out, r)
	out.Finish()
}

// show puts the version into the head of an answer, and the names that clients know in place of hidden ones.
func (c *objectCall) show(h http.Header) {
	id := nullVersion
	if account, container, name, ok := splitLocation(meta.Value(h, headerContentLocated)); ok && account == c.path.Account && container == c.hidden {
		if _, t, ok := splitVersion(name); ok {
			id = t.Internal()
			if nulls(c.r) && copied(h, t) {
				id = nullVersion
			}
			h[headerContentLocated] = []string{c.path.Quoted() + "?version-id=" + id}
		}
	}
	if container, name, ok := splitTarget(apipath.Unquote(meta.Value(h, headerTarget))); ok && container == c.hidden {
		if _, t, ok := splitVersion(name); ok {
			id = t.Internal()
			h[headerTarget] = []string{apipath.Quote(c.path.Container+"/"+c.path.Object) + "?version-id=" + id}
		}
	}
	h[headerVersion] = []string{id}
}

// inHidden is the path of something in the hidden container.
func (c *objectCall) inHidden(name string) apipath.Path {
	return apipath.Path{Version: c.path.Version, Account: c.path.Account, Container: c.hidden, Object: name}
}

// post changes the metadata of the current version. The link gets it too, since nobody knew, and refers to the version.
func (c *objectCall) post() error {
	h := withoutExpiry(c.r.Header)
	res, err := segments.Intercept(c.next, c.w, c.r, func(code int, h http.Header) (int, bool) {
		if code != http.StatusTemporaryRedirect || !meta.Truthy(meta.Value(h, sysLink)) {
			return 0, false
		}
		account, container, _, ok := splitLocation(meta.Value(h, "Location"))
		return maxAnswer, ok && account == c.path.Account && container == c.hidden
	})
	if res == nil || err != nil {
		return err
	}
	_, _, name, _ := splitLocation(meta.Value(res.Header, "Location"))
	request.From(c.r.Context()).RelativeLocation = false
	c.next.ServeHTTP(c.w, c.request(c.r, http.MethodPost, c.inHidden(name), nil, h))
	return nil
}

// withoutExpiry copies a client's headers for a version. Expiry is the link's: versions stay.
func withoutExpiry(h http.Header) http.Header {
	h = h.Clone()
	delete(h, "X-Delete-At")
	delete(h, "X-Delete-After")
	return h
}
