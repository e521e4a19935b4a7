package versionedwrites

import (
	"net/http"

	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// Of the several writes that are made of one, that of the object's name decides, so it has the client's conditions, and the others
// have none. What was stored for a write that is refused is removed again. It stays if the write is in doubt, for there may be
// a link to it by then.

// A condition is that of a client's write; the zero value always holds.
type condition struct {
	conditional.Write
	set bool
}

// condition reads the call's.
func (c *objectCall) condition() (p condition, err error) {
	if p.Write, p.set, err = conditional.ParseWrite(c.r.Header); err != nil {
		return p, reply.Raw(http.StatusBadRequest, "Invalid condition: "+err.Error()).Because(err)
	}
	if c.r.Method == http.MethodPut && conditional.Match(meta.Value(c.r.Header, "If-None-Match"), "*") {
		p.Absent, p.set = true, true
	}
	return p, nil
}

// unmet refuses a write in vain: one that does not meet what stands under the object's name now. h is the head of that, nil
// if there is nothing. Entity tags are left to the nodes.
func (p condition) unmet(h http.Header) error {
	v := (*conditional.Version)(nil)
	if h != nil {
		v = new(conditional.Version)
		v.Data, _ = timestamp.Parse(meta.Value(h, conditional.HeaderData))
		if v.Data.IsZero() {
			v.Data = p.Data // a node that does not say
		}
		p.Match = ""
	}
	if p.Holds(v) {
		return nil
	}
	return reply.Status(http.StatusPreconditionFailed)
}

// unconditional takes a client's conditions out of the headers of a write that does not decide.
func unconditional(h http.Header) http.Header {
	if conditional.Match(meta.Value(h, "If-None-Match"), "*") { // another is wrong, and nothing must be stored
		delete(h, "If-None-Match")
	}
	for _, name := range []string{
		conditional.HeaderIfNoneMatch, conditional.HeaderIfMatch, conditional.HeaderIfData, conditional.HeaderEtagIsAt,
	} {
		delete(h, name)
	}
	return h
}

// refusedBy says whether the status of a conditional write means that nothing has been stored.
func (p condition) refusedBy(code int) bool {
	return p.set && (code >= 400 && code < 500 || code == http.StatusNotImplemented)
}
