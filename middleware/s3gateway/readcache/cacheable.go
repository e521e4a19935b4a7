package readcache

import (
	"net/http"
	"strings"
)

// Cacheable says whether a request's answer may come from the cache, once it is authorised: a GET of an object, or of a range of
// it, in which nothing asks for more than that. Ranges are served, but do not fill. Conditions are for the store to decide.
func Cacheable(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	for name := range r.URL.Query() {
		switch {
		case name == "versionId", name == "x-id", signature(name):
		default:
			return false // a sub-resource, a part, headers to be overridden, or something that nobody knows yet
		}
	}
	for name := range r.Header {
		switch {
		case strings.HasPrefix(name, "X-Amz-Server-Side-Encryption"):
			return false // a key of the client's
		case name == "If-Match", name == "If-None-Match", name == "If-Modified-Since", name == "If-Unmodified-Since":
		case strings.HasPrefix(name, "If-"):
			return false // a range that is there for one ETag only, or something that nobody knows yet
		}
		switch name {
		case "Origin", "X-Amz-Request-Payer", "X-Amz-Expected-Bucket-Owner", "X-Amz-Optional-Object-Attributes":
			return false // the answer has more to it than the object
		}
	}
	return true
}

// signature says whether a parameter belongs to a presigned URL.
func signature(name string) bool {
	switch strings.ToLower(name) {
	case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature",
		"x-amz-security-token", "x-amz-content-sha256", "awsaccesskeyid", "signature", "expires":
		return true
	}
	return false
}

// storable says whether an answer may be kept, by its headers.
func storable(h http.Header) bool {
	etag := h.Get("ETag")
	if len(etag) < 3 || len(etag) > 256 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		return false // weak, or none
	}
	if h.Get("Content-Range") != "" || len(h["Transfer-Encoding"]) > 0 || h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" {
		return false
	}
	if h.Get("Content-Encoding") != "" && strings.Contains(strings.ToLower(strings.Join(h["Vary"], ",")), "accept-encoding") {
		return false // made for this client
	}
	for _, v := range h["Cache-Control"] {
		if v = strings.ToLower(v); strings.Contains(v, "no-store") || strings.Contains(v, "private") {
			return false
		}
	}
	return true
}

// isMD5 says whether the ETag is the body's MD5: not that of a multipart upload, and not under a key management's keys.
func isMD5(h http.Header) bool {
	etag := strings.Trim(h.Get("ETag"), `"`)
	return len(etag) == 32 && strings.Trim(etag, "0123456789abcdef") == "" && !strings.HasPrefix(h.Get("X-Amz-Server-Side-Encryption"), "aws:")
}

// described picks what is said of the object, as against this one answer.
func described(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		switch name {
		case "Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control", "Expires", "Etag",
			"Last-Modified", "X-Amz-Version-Id", "X-Amz-Storage-Class", "X-Amz-Server-Side-Encryption", "X-Amz-Mp-Parts-Count",
			"X-Amz-Missing-Meta", "X-Amz-Website-Redirect-Location":
		default:
			if !strings.HasPrefix(name, "X-Amz-Meta-") && !strings.HasPrefix(name, "X-Amz-Checksum-") {
				continue
			}
		}
		out[name] = values
	}
	return out
}
