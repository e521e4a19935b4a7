package versionedwrites

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// This file is about null versions, for requests that State.NullVersions says are of S3: of each object there is at most one
// version without an id, that which was stored while the container kept none, and it is replaced by the next one like that.
//
// Nothing is stored for it that Swift would not store. It stands under the object's own name until it is kept in the hidden
// container, where it is told from versions by its time: those were stored at the time that is their id, it was copied
// there later. A marker of a deletion that has no id is stored a unit before the time that is its name: those that Swift
// stores have that time or a later one.

// A nullPlace is where the null version of an object is.
type nullPlace struct {
	current bool                // under the object's own name
	name    string              // in the hidden container, "" if it is not there
	id      timestamp.Timestamp // of name
	link    string              // the version that the object's name is linked to
	head    *subreq.Response    // of what stands under the object's name, nil if nothing does
}

// header is the head of what stands under the object's name, nil if nothing does.
func (p nullPlace) header() http.Header {
	if p.head == nil {
		return nil
	}
	return p.head.Header
}

// findNull looks for the null version of the call's object.
func (c *objectCall) findNull() (p nullPlace, err error) {
	if p.head, p.link, err = c.current(); err != nil {
		return p, err
	}
	if p.head != nil && p.link == "" {
		p.current = true
		return p, nil
	}
	prefix, err := apipath.ReservedName(c.path.Object, "")
	if err != nil {
		return p, reply.Status(http.StatusBadRequest).Because(err)
	}
	limit := c.maxList[listing.Container]
	query := url.Values{"prefix": {prefix}, "limit": {strconv.Itoa(limit)}}
	for {
		entries, err := c.listHidden(query)
		if err != nil || len(entries) == 0 {
			return p, err
		}
		for _, e := range entries {
			name, _ := e.Name()
			object, id, ok := splitVersion(name)
			if !ok || object != c.path.Object {
				continue
			}
			if null, err := c.isNull(c.r, c.inHidden(name), e, id); null || err != nil {
				p.name, p.id = name, id
				return p, err
			}
		}
		if len(entries) < limit {
			return p, nil
		}
		last, _ := entries[len(entries)-1].Name()
		query.Set("marker", last)
	}
}

// listHidden lists the hidden container, the newest versions of an object first. One that is not there is empty.
func (c *objectCall) listHidden(query url.Values) ([]listing.Entry, error) {
	query.Set("format", "json")
	res, err := segments.Fetch(c.next, c.request(c.r, http.MethodGet, c.inHidden(""), query, nil), maxListing)
	switch {
	case err != nil:
		return nil, reply.Status(http.StatusServiceUnavailable).Because(err)
	case res.Code == http.StatusNotFound:
		return nil, nil
	case !res.OK():
		return nil, reply.Status(http.StatusServiceUnavailable)
	case len(res.Body) == 0:
		return nil, nil
	}
	entries, err := listing.Decode(res.Body)
	if err != nil {
		return nil, reply.Status(http.StatusServiceUnavailable).Because(err)
	}
	return entries, nil
}

// isNull says whether an entry of the hidden container, at that path and with that id, is a null version.
func (o *objects) isNull(r *http.Request, at apipath.Path, e listing.Entry, id timestamp.Timestamp) (bool, error) {
	listed := listedAt(e)
	if kind, _ := e.Text(listing.KeyContentType); kind == markerType {
		return listed.Raw() == id.Raw()-1, nil
	}
	if listed.Raw() == id.Raw() {
		return false, nil
	}
	// A POST changes the time in the listing.
	head := o.send(o.request(r, http.MethodHead, at, itself, http.Header{"X-Newest": {"True"}}))
	if head.Code == http.StatusNotFound {
		return false, nil // it has just been deleted
	}
	if err := o.check(head); err != nil {
		return false, err
	}
	return copied(head.Header, id), nil
}

// listedAt is the time in an entry.
func listedAt(e listing.Entry) timestamp.Timestamp {
	text, _ := e.Text(listing.KeyLastModified)
	t, _ := time.Parse("2006-01-02T15:04:05.999999", text)
	return timestamp.FromTime(t)
}

// copied says whether the version with these headers was not stored at the time that is its id.
func copied(h http.Header, id timestamp.Timestamp) bool {
	t, err := timestamp.Parse(meta.Value(h, conditional.HeaderData))
	return err == nil && t.Raw() != id.Raw()
}

// nulls says whether null versions matter.
func nulls(r *http.Request) bool { return request.From(r.Context()).NullVersions }

// putNull stores what replaces the null version.
func (c *objectCall) putNull() error {
	if err := request.Authorize(c.r, string(c.info.WriteACL)); err != nil {
		return err
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	was, err := c.findNull()
	if err != nil {
		return err
	}
	if err := cond.unmet(was.header()); err != nil {
		return err
	}
	stored := false
	c.serve(c.r, func(code int, h http.Header) {
		// What was overtaken has replaced nothing that it could be sure of.
		if stored = success(code) && code != http.StatusAccepted; stored {
			h[headerVersion] = []string{nullVersion}
		}
	})
	if stored {
		c.drop(was)
	}
	return nil
}

// drop removes a null version, which another has replaced, from among the versions. If that cannot be done, it is listed with an
// id.
func (c *objectCall) drop(was nullPlace) {
	switch {
	case was.name != "":
		c.remove(was.name)
	case was.current:
		c.dropCopies(was.head.Header)
	}
}

// deleteNull replaces the null version by a marker without an id.
func (c *objectCall) deleteNull() error {
	if err := request.Authorize(c.r, string(c.info.WriteACL)); err != nil {
		return err
	}
	cond, err := c.condition()
	if err != nil {
		return err
	}
	was, err := c.findNull()
	if err != nil {
		return err
	}
	if err := cond.unmet(was.header()); err != nil {
		return err
	}
	t, err := c.stamp()
	if err != nil {
		return err
	}
	done, err := c.mark(cond, t, timestamp.FromRaw(t.Raw()-1, 0))
	if done {
		c.drop(was)
	}
	return err
}

// readCurrent reads what is current: where that is a marker, the answer says so, and which one it is.
func (c *objectCall) readCurrent() error {
	out := respw.OnHeader(c.w, func(code int, h http.Header) int {
		c.show(h)
		return code
	})
	res, _ := segments.Intercept(c.next, out, c.r, func(code int, _ http.Header) (int, bool) { return maxAnswer, code == http.StatusNotFound })
	if res == nil {
		out.Finish()
		return nil
	}
	e := res.Reply()
	prefix, err := apipath.ReservedName(c.path.Object, "")
	if err != nil {
		return e
	}
	entries, err := c.listHidden(url.Values{"prefix": {prefix}, "limit": {"1"}})
	if err != nil {
		return err
	}
	if len(entries) == 0 || !isMarker(&entries[0]) {
		return e
	}
	name, _ := entries[0].Name()
	_, id, ok := splitVersion(name)
	if !ok {
		return e
	}
	null, err := c.isNull(c.r, c.inHidden(name), entries[0], id)
	version := id.Internal()
	if null {
		version = nullVersion
	}
	return cmp.Or(err, error(e.With(headerVersion, version).With(headerBackendType, markerType)))
}

// serveNull answers a request for the null version by that word.
func (c *objectCall) serveNull() error {
	was, err := c.findNull()
	if c.r.Method == http.MethodDelete {
		return c.removeNull(was, err)
	}
	switch {
	case err != nil:
		return err
	case c.r.Method == http.MethodPut && was.current:
		return c.noVersion() // it is the current one already
	case c.r.Method == http.MethodPost && was.current:
		return c.rewrite(c.path)
	case was.current:
		return c.getNull()
	case was.name == "":
		return c.noVersion()
	}
	switch c.r.Method {
	case http.MethodPost:
		return c.rewrite(c.inHidden(was.name))
	case http.MethodPut:
		return c.makeCurrent(was.name, was.id)
	}
	return c.getVersion(nullVersion, was.name)
}

func (c *objectCall) noVersion() error {
	return &reply.Error{Code: http.StatusNotFound, Type: "text/plain", Body: "The specified version does not exist"}
}

// removeNull deletes the null version, wherever it is; was and err are what findNull says. If it is replaced meanwhile, it may have
// been kept.
func (c *objectCall) removeNull(was nullPlace, err error) error {
	again := false
	for try := 1; err == nil && was.current; try++ {
		if again, err = c.deleteCurrent(was); !again || try == attempts {
			return err
		}
		was, err = c.findNull()
	}
	switch {
	case err != nil:
		return err
	case was.name == "":
		return c.noVersion()
	}
	return c.deleteVersion(nullVersion, was.name)
}

// deleteCurrent deletes the null version that stands under the object's own name, and nothing that has replaced it meanwhile, which
// again says. The error is the client's answer.
func (c *objectCall) deleteCurrent(was nullPlace) (again bool, err error) {
	cond, err := c.condition()
	if err != nil {
		return false, err
	}
	r := c.at(c.path, withoutVersion(c.r))
	var res *subreq.Response
	if cond.set {
		res = c.original(r)
	} else if res = c.unlink(r, was.head); overtaken(res) {
		return true, res.Reply()
	}
	if !res.OK() {
		return false, res.Reply()
	}
	c.dropCopies(was.head.Header)
	return false, res.Reply().With(headerVersion, nullVersion).With(headerCurrent, nullVersion)
}

// withoutVersion is the query without the version.
func withoutVersion(r *http.Request) string {
	q := r.URL.Query()
	q.Del(paramVersion)
	return q.Encode()
}

// errPanic is a panic of a goroutine that looks at a version.
var errPanic = errors.New("panic in a subrequest")

// guarded calls f, on a goroutine of the filter's own, where a panic would end the process.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	return f()
}
