package s3api

import (
	"net/http"
	"slices"
	"strings"
)

const preflightMethods = "GET, HEAD, PUT, POST, DELETE, OPTIONS"

// preflight answers a browser that asks whether it may send an S3 request, if the cluster has said from where it may. It
// reports whether it has answered.
func (f *filter) preflight(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	allowed := f.config.CORSPreflightAllowOrigin
	if len(allowed) == 0 || origin == "" || !f.aboutS3(r) {
		return false
	}
	h := w.Header()
	h.Set("Allow", preflightMethods)
	h.Set("Content-Length", "0")
	if allowed[0] != "*" && !slices.Contains(allowed, origin) {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", preflightMethods)
	h.Set("Vary", "Origin, Access-Control-Request-Headers")
	if names := requestedHeaders(r); len(names) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(names, ", "))
	}
	w.WriteHeader(http.StatusOK)
	return true
}

// aboutS3 says whether a preflight request announces one that is signed for S3, in its headers or its query.
func (f *filter) aboutS3(r *http.Request) bool {
	return f.signed(r) || slices.Contains(requestedHeaders(r), "authorization") && !f.swiftPath(r.URL.Path)
}

// requestedHeaders are the headers that the browser wants to send, in lower case, each once.
func requestedHeaders(r *http.Request) []string {
	var names []string
	for _, line := range r.Header["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
