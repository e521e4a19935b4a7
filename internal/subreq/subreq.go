// Package subreq makes requests of a filter's own to the rest of the pipeline, to its right.
//
// There are three ways to call it. To let the client's request go on, call next.ServeHTTP. For a bounded answer that is
// looked at as a whole (a HEAD, a page of a listing), use [Small]. For a body that is read as a stream, use [Open].
// [New] makes the request: like Swift's, it carries method, path, query, the few headers that identify the client, and
// what is given explicitly; never the client's body, its Content-Type or its conditions.
package subreq

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/pull"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
)

// Options say what a subrequest is. The zero value repeats the method and path of the request it is made from.
type Options struct {
	Method string
	Path   string // decoded, as r.URL.Path
	Query  url.Values
	Header http.Header // further headers
	Body   io.Reader   // with Length, or -1 if unknown
	Length int64
	// Source is the code for the log: "SSC". Required.
	Source string
	// PreAuthed makes the subrequest in the filter's own right, without asking the auth filter.
	PreAuthed bool
}

// inherited are the client's headers that a subrequest repeats.
var inherited = []string{"Origin", "Referer", "User-Agent", "X-Auth-Token", "X-Storage-Token", "X-Service-Token", "X-Trans-Id-Extra"}

// New makes a subrequest of r.
func New(r *http.Request, o Options) *http.Request {
	if o.Method == "" {
		o.Method = r.Method
	}
	if o.Path == "" {
		o.Path = r.URL.Path
	}
	state := request.From(r.Context())
	if o.PreAuthed {
		state = state.PreAuthedChild(o.Source)
	} else {
		state = state.Child(o.Source)
	}
	h := make(http.Header, len(o.Header)+4)
	for _, k := range inherited {
		if o.PreAuthed && strings.HasSuffix(k, "-Token") {
			continue
		}
		if v, ok := r.Header[k]; ok {
			h[k] = v
		}
	}
	for k, v := range o.Header {
		h[k] = v
	}
	sub := &http.Request{
		Method: o.Method, URL: &url.URL{Path: o.Path, RawQuery: o.Query.Encode()}, Header: h,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Host: r.Host, RemoteAddr: r.RemoteAddr, TLS: r.TLS, Body: http.NoBody,
	}
	sub.RequestURI = sub.URL.RequestURI()
	if o.Body != nil {
		rc, ok := o.Body.(io.ReadCloser)
		if !ok {
			rc = io.NopCloser(o.Body)
		}
		sub.Body, sub.ContentLength = rc, o.Length
	}
	return request.With(sub.WithContext(r.Context()), state)
}

// A Response is a small answer, whole.
type Response struct {
	Code   int
	Header http.Header
	Body   []byte
}

// OK says whether the status is a success.
func (r *Response) OK() bool { return r.Code >= 200 && r.Code < 300 }

// Reply makes the answer, whole, that of the request which it was made for.
func (r *Response) Reply() *reply.Error {
	h := maps.Clone(r.Header)
	kind := meta.Value(h, "Content-Type")
	for _, name := range []string{"Content-Type", "Content-Length", "Transfer-Encoding"} {
		delete(h, name)
	}
	return &reply.Error{Code: r.Code, Type: kind, Body: string(r.Body), Header: h}
}

// Small sends the request and returns the answer; the body is cut off after limit bytes, which is an error when the
// status is a success. It runs on the caller's goroutine.
func Small(next http.Handler, r *http.Request, limit int) (*Response, error) {
	rec := recorder{header: http.Header{}, limit: limit}
	next.ServeHTTP(&rec, r)
	if rec.code == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	resp := &Response{Code: rec.code, Header: rec.sent, Body: rec.body.Bytes()}
	if rec.over && resp.OK() {
		return resp, fmt.Errorf("%s %s: answer is longer than %d bytes", r.Method, r.URL.Path, limit)
	}
	return resp, nil
}

// Open sends the request and returns the answer as soon as its head is there. Close its body.
func Open(next http.Handler, r *http.Request) (*http.Response, error) { return pull.Do(next, r) }

// roomAtOnce bounds what is made room for because of a header alone.
const roomAtOnce = 1 << 20

type recorder struct {
	header, sent http.Header
	code         int
	body         bytes.Buffer
	limit        int
	over         bool
}

// Header returns the header map.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status and the headers as they are now.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= 200 {
		r.code, r.sent = code, r.header.Clone()
	}
}

// Write keeps what fits the limit.
func (r *recorder) Write(p []byte) (int, error) {
	if r.code == 0 {
		r.WriteHeader(http.StatusOK)
	}
	if r.body.Len() == 0 {
		// Room for all of it at once, if the head says how much that is.
		if n, err := strconv.Atoi(r.sent.Get("Content-Length")); err == nil && n > len(p) && n <= r.limit {
			r.body.Grow(min(n, roomAtOnce))
		}
	}
	if room := r.limit - r.body.Len(); len(p) > room {
		r.over = true
		r.body.Write(p[:room])
		return len(p), nil
	}
	return r.body.Write(p)
}
