package s3gateway

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

const typeXML = "application/xml"

// answer gives a store's answer to the client.
func (x *exchange) answer(resp *http.Response, from *upstream.Upstream) error {
	defer func() { resp.Body.Close() }() // which may be another by then
	x.asked = from.Name()
	if x.r.Method == http.MethodGet && x.query.Has("location") && resp.StatusCode == http.StatusOK {
		x.location()
		return nil
	}
	if err := x.refused(resp, from); err != nil {
		return err
	}
	x.head(resp, from)
	resp.Body = x.keepRead(resp, from)
	if x.document(resp) {
		if n := x.names(from); resp.StatusCode >= 300 || n.needed(x.r, x.query) {
			return x.rewritten(resp, n)
		}
	}
	x.begin(resp.StatusCode)
	x.stream(resp)
	return nil
}

// names are those of the request's bucket at a store.
func (x *exchange) names(from *upstream.Upstream) names {
	n := names{
		mine: x.target.Bucket, theirs: x.way.route.Bucket(x.target.Bucket), region: x.config.Region,
		base: baseOf(x.r, x.target.Bucket, x.target.VirtualHost), endpoint: from.Endpoint().Host,
	}
	if x.way.byTag != nil {
		n.tag = tagOf(from.Name())
	}
	return n
}

// notPassed are headers of an answer that are the gateway's to give.
var notPassed = map[string]bool{
	"Server": true, "Date": true, "X-Amz-Request-Id": true, "X-Trans-Id": true, "X-Openstack-Request-Id": true, "Set-Cookie": true,
	"Strict-Transport-Security": true, "Content-Length": true,
}

// head copies the head of an answer.
func (x *exchange) head(resp *http.Response, from *upstream.Upstream) {
	h := x.w.Header()
	for name, values := range resp.Header {
		switch {
		case notPassed[name]:
		case name == "X-Amz-Bucket-Region":
			h["x-amz-bucket-region"] = []string{x.config.Region}
		case strings.HasPrefix(name, "X-Amz-"):
			// As AWS sends them: some SDKs show the name of metadata as it came.
			h[strings.ToLower(name)] = values
		default:
			h[name] = values
		}
	}
	if location := h.Get("Location"); location != "" {
		if text, ok := x.names(from).location(location); ok {
			h.Set("Location", text)
		}
	}
	if length := resp.Header["Content-Length"]; length != nil {
		h["Content-Length"] = length
	}
	if id := resp.Header.Get("X-Amz-Request-Id"); id != "" {
		x.state.Log.AddInfo("s3gateway:request=" + id)
	}
}

// document says whether the body of an answer is one of S3's documents: an object's content may be XML too, and is none of
// our business.
func (x *exchange) document(resp *http.Response) bool {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if x.r.Method == http.MethodHead || kind != typeXML && kind != "text/xml" || resp.Header.Get("Content-Encoding") != "" {
		return false
	}
	return resp.StatusCode >= 300 || x.r.Method != http.MethodGet || x.target.Key == "" || x.hasSubresource()
}

// subresources are parameters that make a GET of an object one of something else.
var subresources = []string{"acl", "attributes", "legal-hold", "retention", "tagging", "torrent", "uploadId"}

func (x *exchange) hasSubresource() bool {
	for _, name := range subresources {
		if x.query.Has(name) {
			return true
		}
	}
	return false
}

func (x *exchange) begin(status int) {
	x.status = status
	x.forget()
	x.w.WriteHeader(status)
}

// small is the size of documents that are rewritten before the head is sent, which then has their length.
const small = 64 << 10

// rewritten gives a document with its names changed.
func (x *exchange) rewritten(resp *http.Response, n names) error {
	x.w.Header().Del("Content-Length")
	if resp.ContentLength < 0 || resp.ContentLength > small {
		x.begin(resp.StatusCode)
		x.cutOn(rewrite(x.flushing(resp), resp.Body, n.edit))
		return nil
	}
	var b bytes.Buffer
	if err := rewrite(&b, resp.Body, n.edit); err != nil {
		return s3err.InternalError.With().WithStatus(http.StatusBadGateway).Because(err)
	}
	x.w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	x.begin(resp.StatusCode)
	x.w.Write(b.Bytes()) // the client may have gone
	return nil
}

// location answers where the bucket is: here.
func (x *exchange) location() {
	text := `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`
	if x.config.Region != "us-east-1" { // which AWS calls nothing
		text = `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + escape(x.config.Region) + `</LocationConstraint>`
	}
	x.write(http.StatusOK, []byte(xmlHead+text))
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// write answers with a document of the gateway's own.
func (x *exchange) write(status int, document []byte) {
	x.status = status
	x.forget()
	writeDocument(x.w, x.r, status, document)
}

func writeDocument(w http.ResponseWriter, r *http.Request, status int, document []byte) {
	h := w.Header()
	h.Set("Content-Type", typeXML)
	h.Set("Content-Length", strconv.Itoa(len(document)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(document) // the client may have gone
	}
}

var pieces = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// stream copies a body to the client, who sees it break off if it does.
func (x *exchange) stream(resp *http.Response) {
	if x.r.Method == http.MethodHead {
		return
	}
	piece := pieces.Get().(*[64 << 10]byte)
	defer pieces.Put(piece)
	// The writer's own ReadFrom would take a buffer for each request, since the body is no file.
	_, err := io.CopyBuffer(x.flushing(resp), resp.Body, piece[:])
	x.cutOn(err)
}

// cutOn breaks off an answer that cannot be ended.
func (x *exchange) cutOn(err error) {
	if err == nil {
		return
	}
	if !x.gone() {
		x.log.LogAttrs(x.r.Context(), slog.LevelError, "an answer broke off", slog.String("txn", x.state.TransID), slog.String("upstream", x.asked),
			slog.String("method", x.r.Method), slog.String("path", x.r.URL.Path), slog.Any("err", err))
	}
	x.note()
	panic(http.ErrAbortHandler)
}

func (x *exchange) gone() bool { return x.r.Context().Err() != nil }

// flushing is where the body goes. One whose length is not known may come slowly, such as the white space before the end of a long
// completion: then each piece goes to the client at once.
func (x *exchange) flushing(resp *http.Response) io.Writer {
	if resp.ContentLength >= 0 {
		return struct{ io.Writer }{x.w}
	}
	return &flusher{x.w, http.NewResponseController(x.w)}
}

type flusher struct {
	w io.Writer
	c *http.ResponseController
}

func (f *flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.c.Flush()
	}
	return n, err
}

// requestID is sent in lower case, as AWS does.
const requestID = "x-amz-request-id"

// identify puts the request's id into the answer.
func (x *exchange) identify() {
	x.w.Header()[requestID] = []string{x.state.TransID}
}

// fail answers with an error of the gateway's own.
func (x *exchange) fail(err error) {
	e := s3err.From(err)
	h := x.w.Header()
	for name := range h {
		if !slices.Contains([]string{requestID, "X-Trans-Id", "X-Openstack-Request-Id", "Connection"}, name) {
			delete(h, name)
		}
	}
	for name, values := range e.Header {
		h[name] = values
	}
	x.state.Log.AddInfo("s3gateway:err=" + string(e.Code))
	if e.Status >= http.StatusInternalServerError && !x.gone() {
		x.log.LogAttrs(x.r.Context(), slog.LevelWarn, "a request failed", slog.String("txn", x.state.TransID), slog.String("method", x.r.Method),
			slog.String("path", x.r.URL.Path), slog.Any("err", err))
	}
	if x.r.Method == http.MethodHead || e.Status == http.StatusNotModified {
		x.begin(e.Status)
		return
	}
	x.write(e.Status, e.Document(x.r.URL.Path, x.state.TransID))
}
