package versionedwrites

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// put stores an upload as a version, and links the object's name to it. The error is the client's answer.
func (c *objectCall) put() error {
	if err := request.Authorize(c.r, string(c.info.WriteACL)); err != nil {
		return err
	}
	t, err := c.stamp()
	if err != nil {
		return err
	}
	if err := c.checkUpload(t); err != nil {
		return err
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	if _, err := c.keepCurrent(cond); err != nil {
		return err
	}
	l, err := c.putVersion(t)
	if err != nil {
		return err
	}
	l.cond = cond
	if cond.set && len(c.r.Header[headerTimestamp]) == 0 {
		// Now is when it is decided; nodes refuse a time from before others asked them.
		l.time = c.now()
	}
	if code := c.putLink(l); cond.refusedBy(code) {
		c.remove(l.name)
	}
	return nil
}

// stamp is the time of the write, which is the version's id as well.
func (c *objectCall) stamp() (timestamp.Timestamp, error) {
	given := c.r.Header.Get(headerTimestamp)
	if given == "" {
		return c.now(), nil
	}
	t, err := timestamp.Parse(given)
	if err != nil {
		return t, &reply.Error{
			Code: http.StatusBadRequest, Type: "text/plain", Body: "X-Timestamp should be a UNIX timestamp float value; was '" + given + "'", Err: err,
		}
	}
	return t, nil
}

// checkUpload refuses what would be refused only when the version has been stored, and what nobody would notice later.
func (c *objectCall) checkUpload(t timestamp.Timestamp) error {
	if _, said := c.r.Header["Content-Length"]; c.r.ContentLength == 0 && !said && c.r.ProtoMajor == 1 &&
		(c.r.Body == nil || c.r.Body == http.NoBody) && request.From(c.r.Context()).Log.Source == "" {
		return &reply.Error{Code: http.StatusLengthRequired, Type: "text/plain", Body: "Missing Content-Length header."}
	}
	err := meta.ResolveDelete(c.r.Header.Clone(), t.Time())
	if e, ok := err.(interface{ Text() string }); ok {
		return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: e.Text(), Err: err}
	}
	return err
}

// keepCurrent makes a version of what stands under the object's name, unless it is a link to one: that is what the
// container had before it was versioned. It returns the head of what stands there, nil if nothing does, and refuses a write that
// would be in vain.
func (c *objectCall) keepCurrent(cond condition) (seen http.Header, err error) {
	var failed error
	var kept *span
	found, err := c.copy(c.r, c.path, func(h http.Header) (apipath.Path, bool) {
		seen = h
		if failed = cond.unmet(h); failed != nil || cond.Absent || meta.Value(h, sysLink) == "true" {
			return apipath.Path{}, false
		}
		t, ok := sourceTime(h)
		if !ok {
			t = c.now()
		}
		name, err := versionName(c.path.Object, t)
		if err != nil {
			failed = reply.Status(http.StatusBadRequest).Because(err)
		}
		if s, ok := spanOf(h); ok {
			kept = &s
		}
		return c.inHidden(name), err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, cond.unmet(nil)
	case failed == nil && kept != nil && nulls(c.r):
		c.dropEarlier(*kept)
	}
	return seen, failed
}

// A link is one to a version.
type link struct {
	name string              // of the version
	id   timestamp.Timestamp // of the version
	time timestamp.Timestamp // of the client's write
	etag string
	size string
	kind string // content type
	cond condition
	// listed are further headers, which say how the link is listed.
	listed http.Header
}

var errSameTime = errors.New("another version has the same id")

// putVersion stores the client's upload.
func (c *objectCall) putVersion(t timestamp.Timestamp) (l link, err error) {
	l.id, l.time = t, t
	if l.name, err = versionName(c.path.Object, t); err != nil {
		return l, reply.Status(http.StatusBadRequest).Because(err)
	}
	h := withoutExpiry(c.r.Header)
	for _, name := range []string{"X-Auth-Token", "X-Storage-Token", "X-Service-Token"} {
		delete(h, name) // it is the filter that asks
	}
	unconditional(h)
	h[headerTimestamp] = []string{t.Internal()}
	l.kind = c.chooseType(h)
	put := c.request(c.r, http.MethodPut, c.inHidden(l.name), nil, h)
	body := &counted{ReadCloser: c.r.Body}
	put.Body, put.ContentLength, put.TransferEncoding = body, c.r.ContentLength, c.r.TransferEncoding
	state, inner := request.From(c.r.Context()), request.From(put.Context())
	// What is learned of the body belongs to the body.
	inner.Footers, state.Footers = state.Footers, nil
	// By the client's writer, whose connection has the deadlines of the upload.
	res, _ := segments.Intercept(c.next, c.w, put, func(int, http.Header) (int, bool) { return maxAnswer, true })
	if err := c.checkStored(res); err != nil {
		return l, err
	}
	if res.Code == http.StatusAccepted && len(c.r.Header[headerTimestamp]) == 0 {
		// There is one of that time already, from another proxy, and it stays.
		return l, reply.Status(http.StatusServiceUnavailable).Because(errSameTime)
	}
	l.etag = meta.Value(res.Header, "Etag")
	if l.size = h.Get(sloSize); l.size == "" {
		l.size = strconv.FormatInt(body.n.Load(), 10)
	}
	return l, nil
}

// chooseType sees to it that a version has a type, and returns the one of the link to it: without parameters, and empty
// if symlink is to find out.
func (c *objectCall) chooseType(h http.Header) string {
	given := meta.Value(h, "Content-Type")
	detect := meta.Truthy(meta.Value(h, headerDetect))
	_, isLink := h[headerTarget]
	switch {
	case isLink && given == "" && meta.Value(h, headerTargetETag) != "":
		return ""
	case isLink && given == "":
		return "application/symlink"
	case given == "" || detect:
		// By the client's name: the version's own says nothing.
		given = c.types.Of(c.path.String())
		h["Content-Type"] = []string{given}
		delete(h, headerDetect)
	}
	kind, _, _ := strings.Cut(given, ";")
	return strings.TrimSpace(kind)
}

// counted counts what is read of a body. Whoever stores it may read on another goroutine.
type counted struct {
	io.ReadCloser
	n atomic.Int64
}

// Read reads and counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// notOfLink are the headers of an upload that are about its body.
var notOfLink = []string{
	"Etag", "X-If-Delete-At", "X-Symlink-Target-Account", "X-Object-Manifest", "X-Static-Large-Object", "X-Object-Sysmeta-Slo-Etag", sloSize,
	headerOverridden, headerDetect, "Expect", "Transfer-Encoding",
}

// headerDetect is how a client says that it does not vouch for the type it gives.
const headerDetect = "X-Detect-Content-Type"

// linkTo is the client's own request, made to link the object's name to the version.
func (c *objectCall) linkTo(l link) *http.Request {
	h := c.r.Header.Clone()
	for _, name := range notOfLink {
		delete(h, name)
	}
	for name, value := range map[string]string{
		// A little later than the version, should that be as old as what is replaced.
		headerTimestamp:                        l.time.WithOffset(l.time.Offset() + 1).Internal(),
		"X-Object-Sysmeta-Symlink-Target-Etag": l.etag, "X-Object-Sysmeta-Symlink-Target-Bytes": l.size,
		"Content-Type": l.kind, "Content-Length": "0",
		headerTarget: apipath.Quote(c.hidden + "/" + l.name),
		// What makes the link one of ours: following it is no hop, and takes no rights in the hidden container.
		sysLink: "true", "X-Object-Sysmeta-Symloop-Extend": "true", "X-Object-Sysmeta-Allow-Reserved-Names": "true",
		headerAllowReserved: "true",
	} {
		h[name] = []string{value}
	}
	if l.kind == "" {
		delete(h, "Content-Type")
	}
	maps.Copy(h, l.listed)
	put := *c.r
	put.Header, put.Body, put.ContentLength, put.TransferEncoding = h, http.NoBody, 0, nil
	return &put
}

// putLink links the object's name to the version and answers the client. It returns the status.
func (c *objectCall) putLink(l link) (status int) {
	request.From(c.r.Context()).Log.Source = c.source
	c.serve(c.linkTo(l), func(code int, h http.Header) {
		status = code
		if l.cond.refusedBy(code) {
			return // there is going to be no such version
		}
		h["Etag"] = []string{l.etag}
		h[headerVersion] = []string{l.id.Internal()}
	})
	return status
}

// delete leaves a version that marks the deletion, and removes the link. The error is the client's answer.
func (c *objectCall) delete() error {
	if err := request.Authorize(c.r, string(c.info.WriteACL)); err != nil {
		return err
	}
	t, err := c.stamp()
	if err != nil {
		return err
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	if _, err := c.keepCurrent(cond); err != nil {
		return err
	}
	_, err = c.mark(cond, t, t)
	return err
}

// mark leaves a marker that is named after one time and stored with another, and removes what stands under the object's name.
// It says whether that is so; if it is not, the client knows.
func (c *objectCall) mark(cond condition, at, stored timestamp.Timestamp) (bool, error) {
	id := at.Internal()
	if stored != at {
		id = nullVersion
	}
	name, err := versionName(c.path.Object, at)
	if err != nil {
		return false, reply.Status(http.StatusBadRequest).Because(err)
	}
	if err := c.putMarker(c.r, c.inHidden(name), stored); err != nil {
		return false, err
	}
	status := 0
	c.serve(c.r, func(code int, h http.Header) {
		if status = code; marked(code) {
			h[headerVersion] = []string{id}
			h[headerBackendType] = []string{markerType}
		}
	})
	switch {
	case marked(status):
		return true, nil
	case cond.refusedBy(status):
		c.remove(name)
	default:
		c.log.LogAttrs(c.r.Context(), slog.LevelWarn, "an object that may be there is marked as deleted",
			c.facts(c.inHidden(name), slog.Int("status", status))...)
	}
	return false, nil
}

// marked says whether the status of a deletion means that what the marker says is true.
func marked(code int) bool { return success(code) || code == http.StatusNotFound }

// original sends the client's own request in this form.
func (c *objectCall) original(r *http.Request) *subreq.Response {
	res, _ := segments.Intercept(c.next, c.w, r, func(int, http.Header) (int, bool) { return maxAnswer, true })
	return res
}
