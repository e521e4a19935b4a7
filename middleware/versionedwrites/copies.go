package versionedwrites

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// An upload that is to replace a null version keeps it first, and may fail then, or be in doubt. So what stands under the
// object's own name may be among the versions too, by any time that it has had there: that of its data, and those of POSTs.
// The copies are no versions of their own. They are not listed, and go when what they are copies of goes.

// A span is from when an object's data were stored to when it was last changed.
type span struct{ from, to timestamp.Timestamp }

// spanOf is that of the object with this head; ok is false if the head does not say.
func spanOf(h http.Header) (s span, ok bool) {
	if s.to, ok = sourceTime(h); !ok {
		return s, false
	}
	from, err := timestamp.Parse(meta.Value(h, conditional.HeaderData))
	if err != nil || from.Raw() > s.to.Raw() {
		from = s.to
	}
	s.from = from
	return s, true
}

// has says whether something kept with this id may be a copy.
func (s span) has(id timestamp.Timestamp) bool {
	return s.from.Raw() <= id.Raw() && id.Raw() <= s.to.Raw()
}

// dropCopies removes the copies of a null version that has gone from the object's own name. h is its head.
func (c *objectCall) dropCopies(h http.Header) {
	s, ok := spanOf(h)
	if !ok {
		return
	}
	c.dropCopy(s.to)
	c.dropEarlier(s)
}

// dropEarlier removes the copies that were made before the object's last change.
func (c *objectCall) dropEarlier(s span) {
	if s.from.Raw() == s.to.Raw() {
		return // it has never been changed
	}
	first, err := versionName(c.path.Object, s.to)
	if err != nil {
		return // so nothing can have been kept
	}
	last, _ := versionName(c.path.Object, s.from)
	// A colon comes after all digits.
	query := url.Values{"marker": {first}, "end_marker": {last + ":"}, "limit": {strconv.Itoa(c.maxList[listing.Container])}}
	entries, err := c.listHidden(query)
	if err != nil {
		c.log.LogAttrs(c.r.Context(), slog.LevelWarn, "copies of a null version may be left", c.facts(c.path, slog.Any("err", err))...)
	}
	for _, e := range entries {
		name, _ := e.Name()
		if object, id, ok := splitVersion(name); ok && object == c.path.Object {
			c.dropCopy(id)
		}
	}
}

// dropCopy removes a null version by its id among the versions, if there is one.
func (c *objectCall) dropCopy(id timestamp.Timestamp) {
	name, err := versionName(c.path.Object, id)
	if err != nil {
		return
	}
	head := c.send(c.request(c.r, http.MethodHead, c.inHidden(name), itself, http.Header{"X-Newest": {"True"}}))
	switch {
	case head.OK() && copied(head.Header, id):
		c.remove(name)
	case !head.OK() && head.Code != http.StatusNotFound:
		c.left("a copy of a null version may be left", name, head)
	}
}

// remove removes what is no version any more, or never became one. What cannot be removed is listed as one.
func (c *objectCall) remove(name string) {
	res := c.send(c.request(c.r, http.MethodDelete, c.inHidden(name), nil, nil))
	if !res.OK() && res.Code != http.StatusNotFound {
		c.left("what is no version could not be removed", name, res)
	}
}

// left tells operators of something that is left among the versions, and of the answer which that is because of.
func (c *objectCall) left(what, name string, res *subreq.Response) {
	c.log.LogAttrs(c.r.Context(), slog.LevelWarn, what, c.facts(c.inHidden(name), slog.Int("status", res.Code))...)
}

// facts are those of a line in the log.
func (c *objectCall) facts(p apipath.Path, more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("txn", request.From(c.r.Context()).TransID), slog.String("method", c.r.Method), slog.String("path", p.Quoted()),
	}, more...)
}
