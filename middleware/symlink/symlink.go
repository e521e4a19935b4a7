// Package symlink is the filter for objects that refer to another object.
//
//	[filter.symlink]
//	symloop_max = 2
//
// A client makes a link by an upload without a body:
//
//	PUT /v1/AUTH_test/c/link     X-Symlink-Target: other/object
//
// GET and HEAD of the link then give the other object, which may be in another account (X-Symlink-Target-Account), with
// its path as Content-Location. With ?symlink=get they give the link itself. A link with an X-Symlink-Target-Etag is
// static: it is made only if the target has that ETag, and followed only as long as it does. DELETE is for the link.
// A POST is applied to the link too, since nobody knew, and answered by a redirect to the target.
//
// Invariants:
//   - Each target is asked for as the client, so that the access list of its container applies; what the client may do
//     with the link says nothing about it.
//   - A chain ends after symloop_max links.
//   - What is stored is as Swift stores it.
//
// It must stand to the right of slo, dlo and versioned_writes, and to the left of encryption.
package symlink

import (
	"net/http"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// defaultLoops is how many links are followed unless the operator says otherwise.
const defaultLoops = 2

// Filter is the definition.
var Filter = middleware.Define("symlink", Config{SymloopMax: defaultLoops}, build).
	After("gatekeeper", "tempauth", "keystoneauth", "staticweb", "copy", "slo", "dlo", "versioned_writes").
	Before("keymaster", "encryption")

// Config is the section of the filter.
type Config struct {
	// How many links are followed, one to the next. Below 1 means 2.
	SymloopMax int `toml:"symloop_max"`
}

func build(_ middleware.Host, c Config) (middleware.Instance, error) {
	if c.SymloopMax < 1 {
		c.SymloopMax = defaultLoops
	}
	return middleware.Instance{
		Info: map[string]any{"symlink": map[string]any{"symloop_max": c.SymloopMax, "static_links": true}},
		Wrap: func(next http.Handler) http.Handler { return &filter{c.SymloopMax, next} },
	}, nil
}

// Headers as clients and as the cluster know them.
const (
	logSource = "SYM"

	headerTarget  = "X-Symlink-Target"
	headerAccount = "X-Symlink-Target-Account"
	headerETag    = "X-Symlink-Target-Etag"
	headerBytes   = "X-Symlink-Target-Bytes"

	sysTarget   = "X-Object-Sysmeta-Symlink-Target"
	sysAccount  = "X-Object-Sysmeta-Symlink-Target-Account"
	sysETag     = "X-Object-Sysmeta-Symlink-Target-Etag"
	sysBytes    = "X-Object-Sysmeta-Symlink-Target-Bytes"
	sysExtend   = "X-Object-Sysmeta-Symloop-Extend"
	sysReserved = "X-Object-Sysmeta-Allow-Reserved-Names"
)

type filter struct {
	max  int
	next http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], r.URL.Path, 3, 4)
	switch {
	case err != nil:
		f.next.ServeHTTP(w, r)
		return
	case len(s) < 4 || s[3] == "":
		if r.Method == http.MethodGet {
			f.list(w, r, s[0], s[1])
			return
		}
		f.next.ServeHTTP(w, r)
		return
	}
	p := apipath.Path{Version: s[0], Account: s[1], Container: s[2], Object: s[3]}
	_, given := r.Header[headerTarget]
	switch {
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && param(r, "symlink") == "get":
		f.itself(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		err = f.get(w, r, p)
	case r.Method == http.MethodPut && given:
		err = f.put(w, r, p)
	case r.Method == http.MethodPost && given:
		err = plain(http.StatusBadRequest, "A PUT request is required to set a symlink target")
	case r.Method == http.MethodPost:
		err = f.post(w, r, p)
	default:
		f.next.ServeHTTP(w, r)
	}
	if err != nil {
		reply.Write(w, r, err)
	}
}

// param returns a parameter of the query, "" if it is not there.
func param(r *http.Request, name string) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	v, _ := listing.Param(r.URL.RawQuery, name)
	return v
}

// plain is a refusal in plain text. Swift does not name a charset there.
func plain(code int, text string) *reply.Error {
	return &reply.Error{Code: code, Type: "text/plain", Body: text}
}

// itself shows a link as it was made.
func (f *filter) itself(w http.ResponseWriter, r *http.Request) {
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		for sys, name := range map[string]string{sysTarget: headerTarget, sysAccount: headerAccount, sysETag: headerETag, sysBytes: headerBytes} {
			if v, ok := h[sys]; ok {
				delete(h, sys)
				h[name] = v
			}
		}
		return code
	})
	f.next.ServeHTTP(out, r)
	out.Finish()
}
