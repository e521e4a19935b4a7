package versionedwrites

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/timestamp"
)

// serveVersion answers a request for a version by its id. It does not matter whether versioning is on. The error is the
// client's answer.
func (c *objectCall) serveVersion(id string) error {
	var t timestamp.Timestamp
	switch {
	case c.r.Method == http.MethodPost && !rewrites(c.r):
		return reply.Raw(http.StatusBadRequest, "POST to a specific version is not allowed")
	case c.hidden == "" && id == nullVersion && c.r.Method == http.MethodPost && rewrites(c.r):
		return c.rewrite(c.path)
	case c.hidden == "" && id != nullVersion:
		return reply.Raw(http.StatusBadRequest, "version-aware operations require that the container is versioned")
	case c.hidden != "" && id == nullVersion && nulls(c.r):
		return c.serveNull()
	case id == nullVersion && c.r.Method == http.MethodDelete:
		c.next.ServeHTTP(c.w, c.r) // the name itself stands for it
		return nil
	case id == nullVersion && c.r.Method != http.MethodPut:
		return c.getNull()
	}
	t, err := timestamp.Parse(id)
	if err != nil {
		return reply.Raw(http.StatusBadRequest, "Invalid version parameter").Because(err)
	}
	name, err := versionName(c.path.Object, t)
	if err != nil {
		return reply.Raw(http.StatusBadRequest, "Invalid version parameter").Because(err)
	}
	switch c.r.Method {
	case http.MethodPost:
		return c.rewrite(c.inHidden(name))
	case http.MethodDelete:
		return c.deleteVersion(id, name)
	case http.MethodPut:
		return c.makeCurrent(name, t)
	}
	return c.getVersion(id, name)
}

// at is the client's own request, made to another path. The container there has no access list: it is its owner's.
func (c *objectCall) at(p apipath.Path, rawQuery string) *http.Request {
	r := *c.r
	r.URL = &url.URL{Path: p.String(), RawQuery: rawQuery}
	r.RequestURI = r.URL.RequestURI()
	r.Header = c.r.Header.Clone()
	if apipath.IsReserved(p.Container) {
		r.Header[headerAllowReserved] = []string{"true"}
	}
	return &r
}

// getNull reads the object as it was written without versions.
func (c *objectCall) getNull() error {
	prefix, err := hiddenContainer("")
	if err != nil {
		return err
	}
	return c.get(c.r, nullVersion, func(code int, h http.Header) *reply.Error {
		if success(code) && strings.Contains(apipath.Unquote(meta.Value(h, headerContentLocated)), prefix) {
			return reply.Status(http.StatusNotFound) // what stands there has an id
		}
		return nil
	})
}

// getVersion reads a version.
func (c *objectCall) getVersion(id, name string) error {
	return c.get(c.at(c.inHidden(name), c.r.URL.RawQuery), id, func(_ int, h http.Header) *reply.Error {
		kind := meta.Value(h, "Content-Type")
		if v := meta.Value(h, headerBackendType); v != "" {
			kind = v
		}
		if kind != markerType {
			return nil
		}
		e := reply.Status(http.StatusNotFound).With(headerVersion, id).With(headerBackendType, markerType)
		e.Type = markerType
		return e
	})
}

// get sends the request and names the version in the answer, unless refuse has another one.
func (c *objectCall) get(r *http.Request, id string, refuse func(int, http.Header) *reply.Error) error {
	out := respw.OnHeader(c.w, func(code int, h http.Header) int {
		if success(code) {
			h[headerVersion] = []string{id}
		}
		return code
	})
	var refused *reply.Error
	res, _ := segments.Intercept(c.next, out, r, func(code int, h http.Header) (int, bool) {
		refused = refuse(code, h)
		return 0, refused != nil // of the body nothing is wanted
	})
	if res != nil {
		return refused
	}
	out.Finish()
	return nil
}

// headerRewrite is how a filter further left says that the POST of a version is to change its system metadata, of which it has
// all that is to become another. It is in the place of a POST of Swift's, which there is none of for versions.
const headerRewrite = "X-Backend-Rewrite-Version"

func rewrites(r *http.Request) bool {
	return nulls(r) && meta.Truthy(meta.Value(r.Header, headerRewrite))
}

// rewrite stores a version again where it is, with other system metadata. Its time differs only by the offset, so that it stays
// the version that it is, and is not there any more if it is deleted or replaced meanwhile.
func (c *objectCall) rewrite(at apipath.Path) error {
	if err := request.Authorize(c.r, string(c.info.WriteACL)); err != nil {
		return err
	}
	var failed error
	found, err := c.copyAs(c.r, at, func(h http.Header) (apipath.Path, http.Header, bool) {
		if meta.Value(h, sysLink) == "true" {
			failed = c.noVersion() // a null version that was the current one is another now
			return at, nil, false
		}
		t, err := timestamp.Parse(meta.Value(h, conditional.HeaderData))
		if failed = err; err != nil {
			failed = reply.Raw(http.StatusNotImplemented, "The storage nodes do not say when a version was stored.").Because(err)
			return at, nil, false
		}
		// No two offsets are the same, and a later one is larger.
		other := http.Header{headerTimestamp: {t.WithOffset(uint64(c.now().Raw())).Internal()}}
		for name, v := range c.r.Header {
			if strings.HasPrefix(name, "X-Object-Sysmeta-") {
				other[name] = v
			}
		}
		return at, other, true
	})
	switch {
	case err != nil:
		return err
	case !found:
		return c.noVersion()
	case failed != nil:
		return failed
	}
	c.w.Header()["Content-Length"] = []string{"0"}
	c.w.WriteHeader(http.StatusAccepted)
	return nil
}

// deleteVersion removes a version for good, and the link to it if it is the current one. An older one does not take its
// place.
func (c *objectCall) deleteVersion(id, name string) error {
	there := c.at(c.inHidden(name), c.r.URL.RawQuery)
	unconditional(there.Header)
	// Before the link goes, it must be certain that the version may.
	if err := request.Authorize(there, string(c.container(c.r, c.inHidden("")).WriteACL)); err != nil {
		return err
	}
	if err := c.stillThat(name); err != nil {
		return err
	}
	left, err := c.unlinkFrom(name)
	if err != nil {
		return err
	}
	res := c.original(there)
	if nulls(c.r) && (res.OK() || res.Code == http.StatusNotFound) {
		if left, err = c.unlinkFrom(name); err != nil {
			return err
		}
	}
	return res.Reply().With(headerVersion, id).With(headerCurrent, left)
}

// stillThat refuses to delete a version that does not meet the client's condition. What a version is does not change.
func (c *objectCall) stillThat(name string) error {
	cond, err := c.condition()
	switch {
	case err != nil || !cond.set:
		return err
	case cond.Match != "":
		return reply.Raw(http.StatusNotImplemented, "Conditions of entity tags are not implemented for versions.")
	}
	head := c.send(c.request(c.r, http.MethodHead, c.inHidden(name), itself, http.Header{"X-Newest": {"True"}}))
	switch {
	case head.Code == http.StatusNotFound:
		return cond.unmet(nil)
	case !head.OK():
		return c.check(head)
	}
	return cond.unmet(head.Header)
}
