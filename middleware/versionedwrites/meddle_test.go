package versionedwrites_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// meddled is full for S3, with a meddler between the filter and the nodes.
const meddled = `"catch_errors", "gatekeeper", "cache", "listing_formats", "tempauth", "copy", "as_s3", "slo", "dlo", "versioned_writes", "meddle", "symlink", `

// asS3 makes requests with X-As-S3 those of S3.
var asS3 = middleware.Define("as_s3", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			request.From(r.Context()).NullVersions = r.Header.Get("X-As-S3") != ""
			next.ServeHTTP(w, r)
		})
	}}, nil
})

// A meddler comes between.
type meddler struct {
	mu sync.Mutex // guards do
	do func(w http.ResponseWriter, r *http.Request) bool
}

// once does something before the next request like that, or answers it with a status that is not 0.
func (m *meddler) once(like func(r *http.Request) bool, do func(r *http.Request) (status int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.do = func(w http.ResponseWriter, r *http.Request) bool {
		if !like(r) {
			return false
		}
		m.mu.Lock()
		m.do = nil
		m.mu.Unlock()
		status := do(r)
		if status != 0 {
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(status)
		}
		return status != 0
	}
}

func (m *meddler) filter() *middleware.Definition {
	return middleware.Define("meddle", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m.mu.Lock()
				do := m.do
				m.mu.Unlock()
				if do == nil || !do(w, r) {
					next.ServeHTTP(w, r)
				}
			})
		}}, nil
	})
}

// A key is one object in a container of its own, as S3 has it.
type key struct {
	user
	*meddler
	node      user
	container string
}

// newKeys returns what makes one in a new container of a cluster.
func newKeys(t *testing.T) func(container string) key {
	m := &meddler{}
	proxy, bare := pipelines(t, meddled, asS3, m.filter())
	me := login(t, proxy, "test:tester", "testing")
	return func(container string) key {
		k := key{user: me, meddler: m, node: user{t: t, h: bare}, container: "/v1/AUTH_test/" + container}
		k.user.do(201, "PUT", k.container, nil, "")
		return k
	}
}

// versioning switches versions on or off.
func (k key) versioning(on string) {
	k.t.Helper()
	k.user.do(204, "POST", k.container, map[string]string{"X-Versions-Enabled": on}, "")
}

// s3 asks on behalf of S3, with pairs of headers.
func (k key) s3(want int, method, query, body string, h ...string) middlewaretest.Response {
	k.t.Helper()
	header := map[string]string{"X-As-S3": "yes"}
	for i := 0; i < len(h); i += 2 {
		header[h[i]] = h[i+1]
	}
	return k.user.do(want, method, k.container+"/k"+query, header, body)
}

// put stores a version and returns its id.
func (k key) put(body string) string {
	k.t.Helper()
	return k.s3(201, "PUT", "", body).Header.Get("X-Object-Version-Id")
}

// versions lists the ids, each with what it is: "null latest".
func (k key) versions() string {
	k.t.Helper()
	res := k.user.do(200, "GET", k.container+"?versions", map[string]string{"X-As-S3": "yes"}, "")
	var all []string
	for _, e := range decode(k.t, res.Body) {
		text := e["version_id"].(string)
		if e["content_type"] == "application/x-deleted;swift_versions_deleted=1" {
			text += " marker"
		}
		if e["is_latest"] == true {
			text += " latest"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// lists compares the list.
func (k key) lists(what, want string) {
	k.t.Helper()
	if got := k.versions(); got != want {
		k.t.Errorf("%s: listed are %q, want %q", what, got, want)
	}
}

// reads compares what is read.
func (k key) reads(what, query string, code int, body string) {
	k.t.Helper()
	if res := k.s3(0, "GET", query, ""); res.Code != code || code == 200 && res.Body != body {
		k.t.Errorf("%s: GET %s: %d %q, want %d %q", what, query, res.Code, res.Body, code, body)
	}
}
