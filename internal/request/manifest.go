package request

import "net/http"

// A Manifest lets a filter have a say in a large object that it has stored by another filter, which knows the segments. It
// belongs to one request, the PUT of the manifest; its functions run while that request is served, maybe on another goroutine
// than the caller's, but never after the end of its answer.
type Manifest struct {
	// Check is called when all segments that are objects have been found to be as the manifest says, and before it is stored.
	// It may add to the headers that are stored with the manifest. What it complains about refuses the manifest. Set by
	// whoever makes the request.
	Check func(segments []Segment, header http.Header) []Complaint

	// Stored is the head of the answer to what was stored, nil if nothing was. Set by the filter that stores, and to be read
	// at the end of its answer: that may have begun long before, and tells only some of it.
	Stored http.Header
}

// A Segment is an object that a large object is made of.
type Segment struct {
	Path   string // as the manifest has it
	Size   int64  // of what the large object has of it, in bytes
	Header http.Header
}

// A Complaint is why a segment cannot be part of the large object.
type Complaint struct{ Path, Text string }
