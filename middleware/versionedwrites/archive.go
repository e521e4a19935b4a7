package versionedwrites

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// markerType is the type of objects that stand for a deletion. Clients cannot set it: parameters like this are refused.
const markerType = "application/x-deleted;swift_versions_deleted=1"

const (
	headerAllowReserved = "X-Backend-Allow-Reserved-Names"
	headerOverridden    = "X-Backend-Content-Type-Overridden"
	headerTimestamp     = "X-Timestamp"
	sloSize             = "X-Object-Sysmeta-Slo-Size"
	// maxAnswer bounds what is kept of an answer that has no body but a short text, in bytes.
	maxAnswer = 64 << 10
)

// An archive is the rest of the pipeline as either way of versioning uses it: in its own right.
type archive struct {
	next    http.Handler
	source  string // code in the log
	maxSize int64  // of an object, in bytes
	clock   clock.Clock
	// reserved lets requests for reserved names pass. The names must not be a client's.
	reserved bool
	// refusal makes the client's answer of one that is no success. missing replaces it, if set, where it means that the
	// container to keep things in is gone.
	refusal func(*subreq.Response) error
	missing error
}

func success(code int) bool { return code >= 200 && code < 300 }

// request makes a subrequest in the filter's own right. It counts as versioned: another versioned_writes passes it on.
func (a *archive) request(r *http.Request, method string, p apipath.Path, query url.Values, h http.Header) *http.Request {
	if h == nil {
		h = http.Header{}
	}
	if a.reserved && apipath.IsReserved(p.Container) {
		h[headerAllowReserved] = []string{"true"}
	}
	return a.mark(r, subreq.New(r, subreq.Options{
		Method: method, Path: p.String(), Query: query, Header: h, Source: a.source, PreAuthed: true,
	}))
}

// mark makes what is already known of r's versioning known of sub.
func (a *archive) mark(r, sub *http.Request) *http.Request {
	from, to := request.From(r.Context()), request.From(sub.Context())
	to.LegacyVersioning, to.ObjectVersioning = from.LegacyVersioning, from.ObjectVersioning
	return sub
}

// send makes a subrequest whose answer is short.
func (a *archive) send(sub *http.Request) *subreq.Response {
	res, _ := subreq.Small(a.next, sub, maxAnswer) // of a longer one, the head is enough
	return res
}

// check turns an answer that is no success into the client's.
func (a *archive) check(res *subreq.Response) error {
	if res.OK() {
		return nil
	}
	return a.refusal(res)
}

// checkStored is check for what was to be kept.
func (a *archive) checkStored(res *subreq.Response) error {
	if res.Code == http.StatusNotFound && a.missing != nil {
		return a.missing
	}
	return a.check(res)
}

// container looks a container up.
func (a *archive) container(r *http.Request, p apipath.Path) *lookup.Container {
	return lookup.GetContainer(r, lookup.Subrequest{Next: a.next, Source: a.source}, p.Account, p.Container)
}

// now is the time of a write.
func (a *archive) now() timestamp.Timestamp { return timestamp.FromTime(a.clock.Now()) }

// query of a subrequest for an object itself, not what it links to.
var itself = url.Values{"symlink": {"get"}}

// copy copies the object at from, not what it links to, to where place says. place gets the object's headers, and returns
// false if the object is to stay where it is. found says whether there is such an object. The error is the client's
// answer.
func (a *archive) copy(r *http.Request, from apipath.Path, place func(http.Header) (to apipath.Path, ok bool)) (found bool, err error) {
	return a.copyAs(r, from, func(h http.Header) (apipath.Path, http.Header, bool) {
		to, ok := place(h)
		return to, nil, ok
	})
}

// copyAs is copy, where place also says which headers of the copy are others than the object's.
func (a *archive) copyAs(
	r *http.Request, from apipath.Path, place func(http.Header) (to apipath.Path, other http.Header, ok bool),
) (found bool, err error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	get := a.request(r.WithContext(ctx), http.MethodGet, from, itself, http.Header{"X-Newest": {"True"}})
	source, err := subreq.Open(a.next, get)
	if err != nil {
		return false, reply.Status(http.StatusServiceUnavailable).Because(err)
	}
	body := subreq.NewStream(ctx, cancel, source.Body)
	defer body.Close()
	switch {
	case source.StatusCode == http.StatusNotFound:
		return false, nil
	case !success(source.StatusCode):
		return false, a.refusal(&subreq.Response{Code: source.StatusCode, Header: source.Header})
	case source.ContentLength < 0 || source.ContentLength > a.maxSize:
		e := reply.Status(http.StatusRequestEntityTooLarge)
		return false, a.refusal(&subreq.Response{Code: e.Code, Header: http.Header{"Content-Type": {e.Type}}, Body: []byte(e.Body)})
	}
	to, other, ok := place(source.Header)
	if !ok {
		return true, nil
	}
	h := copiedHeader(source.Header)
	maps.Copy(h, other)
	put := a.request(r.WithContext(ctx), http.MethodPut, to, nil, h)
	put.Body, put.ContentLength = body, source.ContentLength
	res := a.send(put)
	if err := body.Err(); err != nil {
		return true, reply.Status(http.StatusServiceUnavailable).Because(err)
	}
	return true, a.checkStored(res)
}

// ofTransfer are the headers of an answer that are not the object's.
var ofTransfer = map[string]bool{
	headerTimestamp: true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Trailer": true, "Date": true,
	"Accept-Ranges": true, "Last-Modified": true, "X-Trans-Id": true, "X-Openstack-Request-Id": true,
}

// copiedHeader is what the copy of an object is stored with: all that the object has.
func copiedHeader(source http.Header) http.Header {
	h := http.Header{}
	for name, v := range source {
		// It need not be spelled as Go does; see package meta. How nodes steer the reading must not steer the writing.
		if name = http.CanonicalHeaderKey(name); !ofTransfer[name] && !strings.HasPrefix(name, "X-Backend-") {
			h[name] = v
		}
	}
	if size := h.Get(sloSize); size != "" {
		// A manifest is listed with the size of what it stands for.
		h["Content-Type"] = []string{h.Get("Content-Type") + "; swift_bytes=" + size}
		h[headerOverridden] = []string{"true"}
	}
	return h
}

// sourceTime is when the object with these headers was written, as its X-Timestamp or else its Last-Modified says.
func sourceTime(h http.Header) (timestamp.Timestamp, bool) {
	if t, err := timestamp.Parse(h.Get(headerTimestamp)); err == nil {
		return t, true
	}
	t, err := http.ParseTime(h.Get("Last-Modified"))
	return timestamp.FromTime(t), err == nil
}

// putMarker stores an object that says that another was deleted at this time.
func (a *archive) putMarker(r *http.Request, at apipath.Path, t timestamp.Timestamp) error {
	put := a.request(r, http.MethodPut, at, nil, http.Header{
		"Content-Type": {markerType}, headerOverridden: {"true"}, "Content-Length": {"0"}, headerTimestamp: {t.Internal()},
	})
	return a.check(a.send(put))
}
