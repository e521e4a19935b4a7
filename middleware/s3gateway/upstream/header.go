package upstream

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/headname"
)

// dropped are the headers of a client that a store must not see: those of one connection, those that say what is in front
// of the gateway, and those of the client's own signature and framing. Send writes what of them is needed anew.
var dropped = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Trailers": true, "Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true, "Alt-Svc": true,
	"Forwarded": true, "Via": true, "X-Real-Ip": true, "X-Client-Ip": true, "True-Client-Ip": true, "Cf-Connecting-Ip": true,
	"X-Cluster-Client-Ip": true, "X-Original-Url": true, "X-Rewrite-Url": true, "X-Original-Host": true, "X-Trans-Id-Extra": true,
	"X-Http-Method-Override": true, "X-Http-Method": true, "X-Method-Override": true,
	"Host": true, "Content-Length": true, "Expect": true, "Date": true, "Cookie": true,
	"Authorization": true, "X-Auth-Token": true, "X-Storage-Token": true, "X-Service-Token": true,
	"X-Amz-Date": true, "X-Amz-Content-Sha256": true, "X-Amz-Security-Token": true, "X-Amz-Decoded-Content-Length": true, "X-Amz-Trailer": true,
	"X-Amz-Algorithm": true, "X-Amz-Credential": true, "X-Amz-Signedheaders": true, "X-Amz-Signature": true, "X-Amz-Expires": true,
	"X-Amz-Region-Set": true, "Ibm-Service-Instance-Id": true,
}

// clean returns the headers of a request without those that are the client's connection's or the gateway's matter, and those
// whose names are no tokens: AWS ignores nearly all metadata that has such, and net/http would send nothing.
// The map is a new one; its lines are the request's own, which nobody changes.
func clean(from http.Header) http.Header {
	to := make(http.Header, len(from)+8)
	for name, values := range from {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !dropped[name] && !strings.HasPrefix(name, "X-Forwarded-") && !ambiguous(name) && !headname.Odd(name) {
			if before := to[name]; before != nil { // in another case of letters
				values = slices.Concat(before, values)
			}
			to[name] = values
		}
	}
	dropNamed(to, from["Connection"])
	if encodings, ok := to["Content-Encoding"]; ok {
		if rest := awschunked.StripEncoding(strings.Join(encodings, ",")); rest != "" {
			to["Content-Encoding"] = []string{rest}
		} else {
			delete(to, "Content-Encoding")
		}
	}
	return to
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

// cleanResponse removes an answer's headers of the connection that it came over.
func cleanResponse(h http.Header) {
	named := h["Connection"]
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Alt-Svc"} {
		delete(h, name)
	}
	dropNamed(h, named)
}
