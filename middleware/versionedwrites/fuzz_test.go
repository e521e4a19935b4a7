package versionedwrites

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// FuzzRequest sends any request, with any listings behind it. What is answered as a listing must be one.
func FuzzRequest(f *testing.F) {
	own := `[{"name": "o", "hash": "x; slo_etag=y", "bytes": 0, "content_type": "a/b", "last_modified": "2026-01-01T00:00:00.000000", "symlink_path": "/v1/a/%00versions%00c/%00o%008299999999.99999", "symlink_etag": "e", "symlink_bytes": 3}, {"subdir": "d/"}, {"name": "n", "hash": "x"}]`
	versions := `[{"name": "\u0000o\u00008299999999.99999", "hash": "e", "bytes": 3, "content_type": "a/b", "last_modified": "2026-01-01T00:00:00.000000"}, {"subdir": "\u0000d/"}, {"name": "\u0000versions\u0000c", "bytes": 1}]`
	f.Add("GET", "/v1/a/c", "versions&limit=2&marker=o&version_marker=1.0", "", own, versions)
	f.Add("GET", "/v1/a/c", "versions&prefix=%00&delimiter=/&reverse=1&marker=o&version_marker=null", "", own, versions)
	f.Add("GET", "/v1/a", "prefix=c&marker=%00", "", own, versions)
	f.Add("PUT", "/v1/a/c/o", "version-id=1700000000.00000_1", "x", own, versions)
	f.Add("DELETE", "/v1/a/c/o", "version-id=99999999999", "x", own, versions)
	f.Add("GET", "/v1/a/\x00versions\x00c/\x00o\x00x", "version-id=-1", "", own, versions)
	f.Add("POST", "/v1/a/c", "", "X-Versions-Location", own, versions)
	host := mt.Host(f)
	mt.Capture(&host)
	f.Fuzz(func(t *testing.T, method, path, query, header, own, versions string) {
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("X-Container-Sysmeta-Versions-Container", "%00versions%00c")
			h.Set("X-Container-Sysmeta-Versions-Enabled", "True")
			h.Set("Content-Location", path)
			h.Set("X-Symlink-Target", own)
			body := own
			if r.Header.Get(headerAllowReserved) != "" {
				body = versions
			}
			w.Write([]byte(body))
		})
		h := newLegacy(host, Yes, newObjects(host, nil, app))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		r.Header[headerStack], r.Header[headerEnabled] = []string{header}, []string{header}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if method == http.MethodGet && rec.Code == http.StatusOK && json.Valid([]byte(own)) && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("GET %q?%s: %q is no listing", path, query, rec.Body)
		}
	})
}
