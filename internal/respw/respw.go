// Package respw wraps http.ResponseWriters. It is the only package that does: a wrapper that forgets Flush, ReadFrom or
// the deadlines of the writer below it breaks streaming, sendfile or time-outs for everything inside it, and nothing
// says so. A test greps the tree for others.
//
// Six wrappers cover what filters need:
//
//   - [OnHeader] edits status and headers just before they go out.
//   - [Divert] looks at status and headers and decides where the response goes: on to the client, or somewhere else.
//   - [Claimer] keeps some responses and passes all others on.
//   - [Filter] passes the body through a writer of the filter's.
//   - [NewMeter] counts.
//   - [NewPaced] says when it waits for the client.
//
// What every request passes should cost little: a filter that has something to remember of each can hold the wrapper in
// its own struct, begin it with Begin and answer its question with a method, so that there is one allocation for all.
//
//	type answer struct {
//		out  respw.HeaderWriter
//		code int
//	}
//
//	func (a *answer) EditHead(code int, h http.Header) int { a.code = code; return code }
//
//	a := &answer{}
//	a.out.Begin(w, a)
//	next.ServeHTTP(&a.out, r)
//	a.out.Finish()
//
// All of them pass informational (1xx) responses on untouched, implement Unwrap, so that http.NewResponseController
// reaches the connection, and implement io.ReaderFrom, so that a file below them can still be sent by the kernel
// wherever the body is not looked at. What comes in the pieces of [NewPaced] is never sent so: it is for HTTP/2.
//
// A wrapper serves one response and, like the writer below it, one goroutine.
package respw

import (
	"io"
	"net/http"
	"sync"
)

// head is what the wrappers share: the first final WriteHeader counts, a Write without one means 200.
type head struct {
	http.ResponseWriter
	wrote bool
}

// Unwrap gives http.ResponseController the writer below.
func (h *head) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func informational(code int) bool {
	return code >= 100 && code < 200 && code != http.StatusSwitchingProtocols
}

// OnHeader returns a writer that calls edit with the final status and the header map before they are sent. What edit
// returns is the status sent. It is called once, also when the handler returns without writing, provided the caller
// then calls Finish.
func OnHeader(w http.ResponseWriter, edit func(code int, h http.Header) int) *HeaderWriter {
	return &HeaderWriter{head: head{ResponseWriter: w}, edit: editFunc(edit)}
}

// A HeadEditor is what OnHeader takes, as a method.
type HeadEditor interface {
	EditHead(code int, h http.Header) int
}

type editFunc func(int, http.Header) int

// EditHead calls f.
func (f editFunc) EditHead(code int, h http.Header) int { return f(code, h) }

// A HeaderWriter is what OnHeader returns.
type HeaderWriter struct {
	head
	edit HeadEditor
}

// Begin makes w what OnHeader returns.
func (w *HeaderWriter) Begin(client http.ResponseWriter, edit HeadEditor) {
	*w = HeaderWriter{head: head{ResponseWriter: client}, edit: edit}
}

// WriteHeader edits and sends the head.
func (w *HeaderWriter) WriteHeader(code int) {
	if w.wrote {
		return
	}
	if !informational(code) {
		w.wrote = true
		code = w.edit.EditHead(code, w.Header())
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write sends the head if need be, then p.
func (w *HeaderWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom sends all of r, by the writer below if it can.
func (w *HeaderWriter) ReadFrom(r io.Reader) (int64, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return Copy(w.ResponseWriter, r)
}

// FlushError sends the head if need be and flushes.
func (w *HeaderWriter) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Finish sends the head of a response whose handler wrote nothing. Call it when the handler has returned.
func (w *HeaderWriter) Finish() {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
}

// Divert returns a writer with a header map of its own. When the handler sends its head, decide is called once with
// status and headers and returns where head and body go: w itself, to pass the response on (headers are copied over);
// any other writer, to have it there; or nil, to drop it.
func Divert(w http.ResponseWriter, decide func(code int, h http.Header) http.ResponseWriter) *Diverter {
	return &Diverter{client: w, decide: decide}
}

// A Diverter is what Divert returns.
type Diverter struct {
	client http.ResponseWriter
	header http.Header
	decide func(int, http.Header) http.ResponseWriter
	target http.ResponseWriter
	wrote  bool
}

// Header returns the handler's own header map.
func (d *Diverter) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

// Unwrap gives http.ResponseController the client's writer: deadlines are the connection's wherever the body goes.
func (d *Diverter) Unwrap() http.ResponseWriter { return d.client }

// WriteHeader decides and sends the head there.
func (d *Diverter) WriteHeader(code int) {
	if d.wrote {
		return
	}
	if informational(code) {
		d.client.WriteHeader(code)
		return
	}
	d.wrote = true
	d.target = d.decide(code, d.Header())
	if d.target == nil {
		return
	}
	dst := d.target.Header()
	for k, v := range d.header {
		dst[k] = v
	}
	d.target.WriteHeader(code)
}

// Write sends p where the head went.
func (d *Diverter) Write(p []byte) (int, error) {
	if !d.wrote {
		d.WriteHeader(http.StatusOK)
	}
	if d.target == nil {
		return len(p), nil
	}
	return d.target.Write(p)
}

// ReadFrom sends all of r where the head went.
func (d *Diverter) ReadFrom(r io.Reader) (int64, error) {
	if !d.wrote {
		d.WriteHeader(http.StatusOK)
	}
	if d.target == nil {
		return Copy(io.Discard, r)
	}
	return Copy(d.target, r)
}

// FlushError flushes where the head went.
func (d *Diverter) FlushError() error {
	if !d.wrote {
		d.WriteHeader(http.StatusOK)
	}
	if d.target == nil {
		return nil
	}
	return http.NewResponseController(d.target).Flush()
}

// Finish sends the head of a response whose handler wrote nothing.
func (d *Diverter) Finish() {
	if !d.wrote {
		d.WriteHeader(http.StatusOK)
	}
}

// Filter returns a writer that calls choose with status and headers before they are sent; headers may be edited. If
// choose returns a writer, the body goes into it; what it makes of that it writes to dst itself. If choose returns nil,
// the body goes straight on. The filter's writer, if it is an io.Closer, is closed by Finish.
func Filter(w http.ResponseWriter, choose func(code int, h http.Header, dst io.Writer) io.Writer) *BodyFilter {
	return &BodyFilter{head: head{ResponseWriter: w}, choose: chooseFunc(choose)}
}

// A BodyChooser is what Filter takes, as a method.
type BodyChooser interface {
	ChooseBody(code int, h http.Header, dst io.Writer) io.Writer
}

type chooseFunc func(int, http.Header, io.Writer) io.Writer

// ChooseBody calls f.
func (f chooseFunc) ChooseBody(code int, h http.Header, dst io.Writer) io.Writer {
	return f(code, h, dst)
}

// A BodyFilter is what Filter returns.
type BodyFilter struct {
	head
	choose BodyChooser
	body   io.Writer
}

// Begin makes f what Filter returns.
func (f *BodyFilter) Begin(client http.ResponseWriter, choose BodyChooser) {
	*f = BodyFilter{head: head{ResponseWriter: client}, choose: choose}
}

// WriteHeader chooses and sends the head.
func (f *BodyFilter) WriteHeader(code int) {
	if f.wrote {
		return
	}
	if !informational(code) {
		f.wrote = true
		f.body = f.choose.ChooseBody(code, f.Header(), f.ResponseWriter)
	}
	f.ResponseWriter.WriteHeader(code)
}

// Write passes p through the filter.
func (f *BodyFilter) Write(p []byte) (int, error) {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
	if f.body == nil {
		return f.ResponseWriter.Write(p)
	}
	return f.body.Write(p)
}

// ReadFrom passes all of r through the filter, or to the writer below if there is none.
func (f *BodyFilter) ReadFrom(r io.Reader) (int64, error) {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
	if f.body == nil {
		return Copy(f.ResponseWriter, r)
	}
	return Copy(f.body, r)
}

// FlushError flushes the writer below. What the filter holds back stays with it.
func (f *BodyFilter) FlushError() error {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(f.ResponseWriter).Flush()
}

// Finish sends the head if nothing was written and closes the filter's writer.
func (f *BodyFilter) Finish() error {
	if !f.wrote {
		f.WriteHeader(http.StatusOK)
	}
	if c, ok := f.body.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// Copy copies all of src to dst, by dst's ReadFrom or src's WriteTo where there is one, else through a pooled buffer.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	if rf, ok := dst.(io.ReaderFrom); ok {
		return rf.ReadFrom(src)
	}
	if wt, ok := src.(io.WriterTo); ok {
		return wt.WriteTo(dst)
	}
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	return io.CopyBuffer(onlyWriter{dst}, src, buf[:])
}

type onlyWriter struct{ io.Writer }
