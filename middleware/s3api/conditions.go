package s3api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
)

// Headers with which a filter makes a write conditional, atomically: see docs/conditional-writes.md.
const (
	ifNoneMatch     = conditional.HeaderIfNoneMatch
	ifMatch         = conditional.HeaderIfMatch
	ifDataTimestamp = conditional.HeaderIfData
	etagIsAt        = conditional.HeaderEtagIsAt
	// etagsAt are where objects may have another entity tag than their own: that of a multipart upload, or of a large object
	// made through Swift.
	etagsAt = sysmetaETag + ", X-Object-Sysmeta-Slo-Etag"
)

// readConditions makes Swift judge the conditions of a read as S3 does: a date does not count beside an entity tag, and
// multipart uploads have tags of their own.
func readConditions(h http.Header) {
	for _, pair := range [][2]string{{"If-Match", "If-Unmodified-Since"}, {"If-None-Match", "If-Modified-Since"}} {
		tags := h.Get(pair[0])
		if tags == "" {
			continue
		}
		h.Del(pair[1])
		h.Set(etagIsAt, sysmetaETag)
		h.Set(pair[0], withoutN(tags))
	}
}

// withoutN adds to entity tags what fromSwift has made those of large objects of.
func withoutN(tags string) string {
	var all strings.Builder // a header may have very many
	all.WriteString(tags)
	for tag := range strings.SplitSeq(tags, ",") {
		if md5, ok := strings.CutSuffix(strings.Trim(strings.TrimSpace(tag), `"`), "-N"); ok {
			all.WriteString(`, "` + md5 + `"`)
		}
	}
	return all.String()
}

// writeConditions takes over the conditions of a PUT. The source of a copy has conditions of its own, so that those of the
// write go by other names.
func (x *exchange) writeConditions(h http.Header, copies bool) error {
	in := x.r.Header
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if in.Get(name) != "" {
			return s3err.NotImplemented.With("Header", name)
		}
	}
	match, none := meta.Value(in, "If-Match"), meta.Value(in, "If-None-Match")
	switch {
	case match == "" && none == "":
		return nil
	case none != "" && (match != "" || none != "*"):
		return s3err.NotImplemented.With("Header", "If-None-Match")
	case !x.config.ConditionalWrites && match != "":
		return s3err.NotImplemented.With("Header", "If-Match")
	case !x.config.ConditionalWrites:
		return s3err.NotImplemented.With("Header", "If-None-Match")
	case none != "" && !copies:
		h.Set("If-None-Match", "*")
		return nil
	}
	if none != "" {
		h.Set(ifNoneMatch, "*")
		return nil
	}
	info, err := x.container(x.bucket)
	if err != nil {
		return err
	}
	if versioned(info) {
		// What is under the key may be a link.
		seen, err := x.current(x.resource)
		if err != nil {
			return err
		}
		return seen.hold(conditions{etag: match}, h)
	}
	h.Set(ifMatch, withoutN(match))
	h.Set(etagIsAt, etagsAt)
	return nil
}

// versioned says whether a bucket keeps versions, or did so once.
func versioned(info *lookup.Container) bool { return info.Sysmeta["versions-container"] != "" }

// A sight is what an object was like at a moment, and which data that was: those of the link, if it is one to a version.
type sight struct {
	*answer
	data string
	link string // where it leads, "" if it is none
}

// current looks at an object so that a write can depend on what is seen: versions do not change, so that it is what the link to
// it had led to all the time.
func (x *exchange) current(on resource) (sight, error) {
	newest := http.Header{"X-Newest": {"true"}}
	resp, err := x.ask(call{method: head, on: on, header: newest.Clone(), query: url.Values{"symlink": {"get"}}})
	if err != nil {
		return sight{}, err
	}
	a := fromSwift(resp.Header)
	s := sight{a, a.swift["x-backend-data-timestamp"], a.swift["x-symlink-target"]}
	if s.link == "" {
		return s, nil
	}
	if a.version != "" && a.version != "null" {
		on.version = a.version
	}
	if resp, err = x.ask(call{method: head, on: on, header: newest}); err != nil {
		return sight{}, err
	}
	s.answer = fromSwift(resp.Header)
	return s, nil
}

// hold refuses a write if what was seen is not as the client thinks, and makes it depend on that it still is.
func (s sight) hold(c conditions, h http.Header) error {
	ok, err := c.hold(s.answer)
	switch {
	case err != nil:
		return err
	case !ok:
		return s3err.PreconditionFailed.With()
	case s.data == "":
		return s3err.NotImplemented.Say("The storage nodes do not say which data an object has")
	}
	h.Set(ifDataTimestamp, s.data)
	return nil
}

// unmet says more of a condition that does not hold: there may be no object that it could hold of.
func (x *exchange) unmet(err error, h http.Header) error {
	if h.Get(ifMatch) == "" || !errors.Is(err, s3err.PreconditionFailed) {
		return err
	}
	if _, why := x.ask(call{method: head, on: x.resource}); errors.Is(why, s3err.NoSuchKey) {
		return why
	}
	return err
}

// conditionalWrite says whether a write is subject to a condition.
func conditionalWrite(h http.Header) bool {
	for _, name := range []string{"If-None-Match", ifNoneMatch, ifMatch, ifDataTimestamp} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// A deletion's conditions are what the object must be like.
type conditions struct {
	etag, size, modified string // "" is anything
}

func (c conditions) any() bool { return c != conditions{} }

// deleteConditions are those of a DELETE.
func (x *exchange) deleteConditions() conditions {
	in := x.r.Header
	return conditions{
		meta.Value(in, "If-Match"), in.Get("X-Amz-If-Match-Size"), in.Get("X-Amz-If-Match-Last-Modified-Time"),
	}
}

// hold says whether an object is like that.
func (c conditions) hold(a *answer) (bool, error) {
	if c.etag != "" && !conditional.Match(withoutN(c.etag), strings.TrimSuffix(a.etag, "-N")) && !conditional.Match(c.etag, a.etag) {
		return false, nil
	}
	if c.size != "" {
		n, err := strconv.ParseInt(c.size, 10, 64)
		if err != nil {
			return false, s3err.InvalidArgument.With("ArgumentName", "x-amz-if-match-size", "ArgumentValue", c.size)
		}
		if n != a.size {
			return false, nil
		}
	}
	if c.modified != "" {
		want, err := parseModified(c.modified)
		if err != nil {
			return false, err
		}
		at, err := http.ParseTime(a.header.Get("Last-Modified"))
		if err != nil || !at.Equal(want.Truncate(time.Second)) {
			return false, nil
		}
	}
	return true, nil
}

func parseModified(text string) (time.Time, error) {
	for _, format := range []string{http.TimeFormat, time.RFC3339} {
		if t, err := time.Parse(format, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, s3err.InvalidArgument.With("ArgumentName", "x-amz-if-match-last-modified-time", "ArgumentValue", text)
}

// deleteIf deletes an object that is as the client thinks, and no other: what is looked at is named in the deletion.
func (x *exchange) deleteIf(on resource, c conditions) (deleted, error) {
	if !c.any() {
		return x.delete(on, http.Header{})
	}
	if !x.config.ConditionalWrites {
		return deleted{}, s3err.NotImplemented.With("Header", "If-Match")
	}
	if _, err := x.container(on.bucket); err != nil {
		return deleted{}, err
	}
	seen, err := x.current(on)
	if missing(err) {
		return deleted{}, nil // what is not there need not be deleted
	}
	if err != nil {
		return deleted{}, err
	}
	h := http.Header{}
	if err := seen.hold(c, h); err != nil {
		return deleted{}, err
	}
	return x.delete(on, h)
}
