package upstream

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/headname"
)

// passed are the headers of a client that stores get, beside those of S3's own and those that begin as passedFrom have it. It is a
// list of what is good, since stores know headers of their own that nobody here has looked at: those of Swift copy from
// other containers, or read from them, whatever the client may do.
var passed = map[string]bool{
	"Accept": true, "Accept-Charset": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "Expires": true, "Origin": true,
	"Pragma": true, "Range": true, "Referer": true, "User-Agent": true,
}

var passedFrom = []string{"X-Amz-", "Content-", "If-", "Access-Control-Request-", "Ibm-"}

// rebuilt are those of these that belong to the client's own signature and framing, or to the store's account. Send writes what of
// them is needed anew.
var rebuilt = map[string]bool{
	"Content-Length": true, "X-Amz-Date": true, "X-Amz-Content-Sha256": true, "X-Amz-Security-Token": true, "X-Amz-Decoded-Content-Length": true,
	"X-Amz-Trailer": true, "X-Amz-Algorithm": true, "X-Amz-Credential": true, "X-Amz-Signedheaders": true, "X-Amz-Signature": true,
	"X-Amz-Expires": true, "X-Amz-Region-Set": true, "Ibm-Service-Instance-Id": true,
}

func passes(name string) bool {
	if rebuilt[name] || ambiguous(name) || headname.Odd(name) {
		return false
	}
	return passed[name] || slices.ContainsFunc(passedFrom, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

// clean returns the headers of a request that a store is to get. Those whose names are no tokens are not among them: AWS ignores
// nearly all metadata that has such, and net/http would send nothing.
// The map is a new one; its lines are the request's own, which nobody changes.
func clean(from http.Header) http.Header {
	to := make(http.Header, len(from)+8)
	for name, values := range from {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if passes(name) {
			if before := to[name]; before != nil { // in another case of letters
				values = slices.Concat(before, values)
			}
			to[name] = values
		}
	}
	dropNamed(to, from["Connection"])
	unframe(to)
	return to
}

// unframe takes aws-chunked out of Content-Encoding.
func unframe(h http.Header) {
	encodings, ok := h["Content-Encoding"]
	if !ok {
		return
	}
	if rest := awschunked.StripEncoding(strings.Join(encodings, ",")); rest != "" {
		h["Content-Encoding"] = []string{rest}
	} else {
		delete(h, "Content-Encoding")
	}
}

// ambiguous says whether a name has an underscore that many servers do not tell from a dash, so that a header could be
// smuggled past whoever looks for the one with a dash. Names of metadata are the user's.
func ambiguous(name string) bool {
	return strings.Contains(name, "_") && !strings.HasPrefix(name, "X-Amz-Meta-")
}

// dropNamed removes the headers that Connection names.
func dropNamed(h http.Header, connection []string) {
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			name = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name))
			// What is signed or says what is to be done is never a connection's.
			if !strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, "Content-") {
				delete(h, name)
			}
		}
	}
}

// cleanResponse removes an answer's headers of the connection that it came over, and aws-chunked: Ceph 16 keeps that with an object whose
// body came so, be it that only we sent it in chunks. No answer's body is in such chunks. Other encodings stay as they are written.
func cleanResponse(h http.Header) {
	named := h["Connection"]
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Alt-Svc"} {
		delete(h, name)
	}
	dropNamed(h, named)
	if slices.ContainsFunc(h["Content-Encoding"], func(line string) bool { return strings.Contains(strings.ToLower(line), "aws-chunked") }) {
		unframe(h)
	}
}
