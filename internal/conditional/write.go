package conditional

import (
	"errors"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/timestamp"
)

// Headers of a conditional write, which filters send to the proxy and the proxy to nodes; docs/conditional-writes.md.
const (
	HeaderIfNoneMatch = "X-Backend-If-None-Match"
	HeaderIfMatch     = "X-Backend-If-Match"
	HeaderIfData      = "X-Backend-If-Data-Timestamp"
	// HeaderEtagIsAt names headers, the first of which that an object has is compared in place of its entity tag.
	HeaderEtagIsAt = "X-Backend-Etag-Is-At"
	// HeaderData is a node's word for when the data of an object were stored, which a POST does not change. [HeaderIfData] is about it.
	HeaderData = "X-Backend-Data-Timestamp"
	// HeaderBehind is the proxy's word to a node whose version the condition does not hold of: it holds of one of this time,
	// which another node has, so that an older one does not count.
	HeaderBehind = "X-Backend-If-Behind"
	// HeaderTime is the X-Timestamp of a conditional DELETE, which has none under that name: a node that knows no conditions
	// would delete at once, and so refuses it with 400.
	HeaderTime = "X-Backend-If-Timestamp"
	// HeaderReserved is a node's promise, in its 100 Continue: the time of what it has, "0" for nothing.
	HeaderReserved = "X-Backend-Reserved"
)

// Write is the condition of a write. The zero value always holds.
type Write struct {
	Absent bool   // there must be no object
	Match  string // entity tags, one of which the object must have; "" if they do not matter
	// Data is the time that the object's data must have; zero if it does not matter.
	Data timestamp.Timestamp
}

// Version is what a Write is decided by.
type Version struct {
	ETag string
	Data timestamp.Timestamp
}

// ParseWrite reads the headers of a conditional write; ok is false if there are none.
func ParseWrite(h http.Header) (c Write, ok bool, err error) {
	none, hasNone := value(h, HeaderIfNoneMatch)
	match, hasMatch := value(h, HeaderIfMatch)
	data, hasData := value(h, HeaderIfData)
	switch {
	case !hasNone && !hasMatch && !hasData:
		return Write{}, false, nil
	case hasNone && (hasMatch || hasData):
		return Write{}, true, errors.New("conditions contradict each other")
	case hasNone && none != "*":
		return Write{}, true, errors.New(HeaderIfNoneMatch + " only supports *")
	case hasMatch && strings.Trim(match, ", \t") == "":
		return Write{}, true, errors.New(HeaderIfMatch + " names no entity tag")
	}
	c = Write{Absent: hasNone, Match: match}
	if hasData {
		if c.Data, err = timestamp.Parse(data); err != nil || c.Data.IsZero() {
			return Write{}, true, errors.New(HeaderIfData + " is not a time")
		}
	}
	return c, true, nil
}

// Holds decides about an object, nil if there is none.
func (c Write) Holds(v *Version) bool {
	if v == nil {
		return c.Match == "" && c.Data.IsZero()
	}
	return !c.Absent && (c.Match == "" || Match(c.Match, v.ETag)) && (c.Data.IsZero() || c.Data == v.Data)
}
