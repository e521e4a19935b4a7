package servercopy

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/subreq"
)

// copy does what the order says. The error is the client's answer.
func (f *filter) copy(w http.ResponseWriter, r *http.Request, o order) error {
	state := request.From(r.Context())
	if r.Method == methodCopy {
		state.Method = methodCopy
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	source, err := f.open(r.WithContext(ctx), o)
	if err != nil {
		return err
	}
	body := subreq.NewStream(ctx, cancel, source.Body)
	defer body.Close()
	if source.StatusCode >= http.StatusMultipleChoices {
		return pass(w, source, body)
	}
	if source.ContentLength < 0 || source.ContentLength > f.maxSize {
		return reply.Status(http.StatusRequestEntityTooLarge)
	}
	var content io.ReadCloser = body
	if state.Copied != nil {
		content = teed{io.TeeReader(body, state.Copied), body}
	}
	put, inner := o.put(r.WithContext(ctx), source, content)
	answer := answerHeaders(o, source, put)
	if o.heartbeat() {
		f.beat(w, r, put, answer)
	} else {
		out := respw.OnHeader(w, func(code int, h http.Header) int {
			if success(code) {
				maps.Copy(h, answer)
			}
			return code
		})
		f.next.ServeHTTP(out, put)
		out.Finish()
	}
	// What the PUT had to tell the log is about the client's request, which has no other line.
	state.Log.Info, state.Log.Status = inner.Log.Info, inner.Log.Status
	return nil
}

// teed is a body that somebody else gets, too.
type teed struct {
	io.Reader
	io.Closer
}

func success(code int) bool { return code >= 200 && code < 300 }

// open asks for the source, as the client.
func (f *filter) open(r *http.Request, o order) (*http.Response, error) {
	query := maps.Clone(o.query)
	if o.manifest() {
		query["format"] = []string{"raw"}
	}
	h := o.header.Clone()
	h.Set("X-Newest", "true")
	// The source's container decides on its policy.
	h.Del("X-Backend-Storage-Policy-Index")
	return subreq.Open(f.next, subreq.New(r, subreq.Options{
		Method: http.MethodGet, Path: o.source.String(), Query: query, Header: h, Source: logSource,
	}))
}

// pass gives the answer to the source's GET to the client.
func pass(w http.ResponseWriter, source *http.Response, body io.Reader) error {
	maps.Copy(w.Header(), source.Header)
	w.WriteHeader(source.StatusCode)
	if _, err := respw.Copy(w, body); err != nil {
		// The head is out: an answer that breaks off must not look whole.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// put makes the PUT of what was read. It is the client's request going on, not a subrequest, so it has the client's
// state, but for what is logged of it.
func (o order) put(r *http.Request, source *http.Response, body io.ReadCloser) (*http.Request, *request.State) {
	inner := *request.From(r.Context())
	inner.Log.Source = logSource
	put := request.With(r, &inner)
	put.Method = http.MethodPut
	query := o.sinkQuery(source)
	put.URL = &url.URL{Path: o.destination.String(), RawQuery: query.Encode()}
	put.RequestURI = put.URL.RequestURI()
	put.Body, put.ContentLength, put.TransferEncoding = body, source.ContentLength, nil
	put.Header = o.sinkHeader(source)
	put.Header.Set("Content-Length", strconv.FormatInt(source.ContentLength, 10))
	return put, &inner
}

// sinkQuery is the query of the PUT.
func (o order) sinkQuery(source *http.Response) url.Values {
	query := maps.Clone(o.query)
	if o.manifest() {
		if source.Header.Get("X-Static-Large-Object") != "" {
			query[paramManifest] = []string{"put"}
		}
		if source.Header.Get("X-Object-Manifest") != "" {
			delete(query, paramManifest)
		}
	}
	delete(query, paramVersion)
	delete(query, paramHeartbeat)
	return query
}

// notCopied are the headers of an answer that are not the object's, or that are dealt with apart.
var notCopied = map[string]bool{
	"X-Static-Large-Object": true, "X-Object-Manifest": true, "Etag": true, "Content-Type": true, "X-Timestamp": true,
	// Of the transfer, or of the answer.
	"Content-Length": true, "Content-Range": true, "Transfer-Encoding": true, "Connection": true, "Trailer": true,
	"Date": true, "Accept-Ranges": true, "Last-Modified": true, "X-Trans-Id": true, "X-Openstack-Request-Id": true,
}

// sinkHeader makes the headers of the PUT: those of the source, and over them those of the client.
func (o order) sinkHeader(source *http.Response) http.Header {
	h := http.Header{}
	for name, values := range source.Header {
		name = http.CanonicalHeaderKey(name) // it need not be spelled as Go does: see package meta
		// How the nodes steer the reading must not steer the writing.
		if notCopied[name] || strings.HasPrefix(name, "X-Backend-") || o.fresh() && !meta.IsSysmeta(meta.Object, name) {
			continue
		}
		h[name] = values
	}
	maps.Copy(h, o.header)
	large := source.Header.Get("X-Static-Large-Object") != ""
	manifest := source.Header.Get("X-Object-Manifest")
	if o.manifest() && manifest != "" {
		h.Set("X-Object-Manifest", manifest)
	}
	if source.StatusCode == http.StatusOK && !large && (manifest == "" || o.manifest()) {
		// What is stored is verified to be what was there. The ETag of a part or of a large object is not that of its
		// bytes, and a manifest of segments must not come with one.
		if etag := strings.Trim(source.Header.Get("Etag"), `"`); etag != "" {
			h.Set("Etag", etag)
		} else {
			h.Del("Etag")
		}
	} else {
		// Nor is what the container's listing was told of the source true of the copy.
		maps.DeleteFunc(h, func(name string, _ []string) bool { return hasPrefixFold(name, meta.OverridePrefix) })
	}
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = source.Header["Content-Type"]
	}
	return h
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// answerHeaders are what the client learns beyond the answer to the PUT.
func answerHeaders(o order, source *http.Response, put *http.Request) http.Header {
	h := http.Header{}
	h.Set("X-Copied-From-Account", apipath.Quote(o.source.Account))
	h.Set("X-Copied-From", apipath.Quote(o.source.Container+"/"+o.source.Object))
	for from, to := range map[string]string{
		"Last-Modified": "X-Copied-From-Last-Modified", "X-Object-Version-Id": "X-Copied-From-Version-Id",
	} {
		if v := source.Header.Get(from); v != "" {
			h.Set(to, v)
		}
	}
	for name, values := range put.Header {
		if meta.IsUserMeta(meta.Object, name) || meta.IsSysmeta(meta.Object, name) || meta.IsTransientSysmeta(name) || name == "X-Delete-At" {
			h[meta.Title(name)] = values
		}
	}
	return h
}

// options tells clients that objects can be copied.
func (f *filter) options(w http.ResponseWriter, r *http.Request) {
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		if success(code) {
			for _, name := range []string{"Allow", "Access-Control-Allow-Methods"} {
				if v := h.Get(name); v != "" && !strings.Contains(v, methodCopy) {
					h.Set(name, v+", "+methodCopy)
				}
			}
		}
		return code
	})
	f.next.ServeHTTP(out, r)
	out.Finish()
}
