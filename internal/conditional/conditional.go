// Package conditional decides conditional requests as Swift does: If-None-Match, If-Match, If-Modified-Since and
// If-Unmodified-Since, in this order; the first that objects decides. That is not the order of RFC 9110, and a date
// counts even beside an entity tag that did not match.
//
// Entity tags are compared without their quotes and byte by byte; a weak tag (W/"...") never matches. The tag to
// compare may be another than the stored one, see [AlternativeETag]. Dates that cannot be read are ignored; see
// [ParseDate] for what can. If-Range is not looked at, Swift has none.
//
//	switch conditional.Evaluate(r.Header, conditional.Entity{ETag: etag, LastModified: ts.LastModified()}) {
//	case conditional.NotModified:        // 304
//	case conditional.PreconditionFailed: // 412
//	}
package conditional

import (
	"net/http"
	"strings"
	"time"
)

// Outcome is the decision on a conditional request.
type Outcome int

// The outcomes.
const (
	Pass Outcome = iota
	NotModified
	PreconditionFailed
)

// Status returns the HTTP status of the outcome, 0 for Pass.
func (o Outcome) Status() int {
	switch o {
	case NotModified:
		return http.StatusNotModified
	case PreconditionFailed:
		return http.StatusPreconditionFailed
	}
	return 0
}

// Entity is what a request is about.
type Entity struct {
	ETag         string    // quotes do not matter; "" if there is none to compare
	LastModified time.Time // whole seconds, rounded up as in Last-Modified; zero if there is none
	Missing      bool      // the answer would be 404
}

// Evaluate decides a GET or HEAD. A missing entity fails If-Match: * and nothing else.
func Evaluate(h http.Header, e Entity) Outcome {
	if e.ETag != "" {
		if tags, ok := value(h, "If-None-Match"); ok && Match(tags, e.ETag) {
			return NotModified
		}
		// An empty If-Match matches nothing.
		if tags, ok := value(h, "If-Match"); ok && !Match(tags, e.ETag) {
			return PreconditionFailed
		}
	}
	if e.Missing {
		if tags, ok := value(h, "If-Match"); ok && Match(tags, "*") {
			return PreconditionFailed
		}
	}
	if !e.LastModified.IsZero() {
		if t, ok := date(h, "If-Modified-Since"); ok && !e.LastModified.After(t) {
			return NotModified
		}
		if t, ok := date(h, "If-Unmodified-Since"); ok && e.LastModified.After(t) {
			return PreconditionFailed
		}
	}
	return Pass
}

// value joins the values of a repeated header, as Swift does.
func value(h http.Header, name string) (string, bool) {
	v := h[name]
	if len(v) == 0 {
		return "", false
	}
	return strings.Join(v, ","), true
}

func date(h http.Header, name string) (time.Time, bool) {
	v, ok := value(h, name)
	if !ok {
		return time.Time{}, false
	}
	return ParseDate(v)
}

// Match reports whether a list of entity tags, the value of If-Match or If-None-Match, has etag or "*" in it. It also
// decides If-None-Match on a PUT.
func Match(tags, etag string) bool {
	etag = Unquote(etag)
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue
		}
		if tag = Unquote(tag); tag == "*" || tag == etag {
			return true
		}
	}
	return false
}

// Unquote returns an entity tag without the quotes around it.
func Unquote(etag string) string {
	if len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"' {
		return etag[1 : len(etag)-1]
	}
	return etag
}

// AlternativeETag returns the entity tag that a request wants to be compared: that of the first header in the comma
// list isAt ([HeaderEtagIsAt]) for which lookup finds stored metadata. ok is false if there is none, and the stored
// ETag is the one to compare.
func AlternativeETag(isAt string, lookup func(name string) (string, bool)) (etag string, ok bool) {
	for name := range strings.SplitSeq(isAt, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if etag, ok = lookup(name); ok {
			return etag, true
		}
	}
	return "", false
}
