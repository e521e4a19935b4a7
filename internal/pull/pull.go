// Package pull turns an http.Handler round: instead of the handler pushing a response into a writer, the caller gets an
// *http.Response and reads its body. It is how the proxy calls a storage node that lives in the same process, and how a
// filter opens a subrequest whose body it wants to read.
//
// The handler runs as a coroutine: it goes on only while the caller waits for the head or reads the body, so nothing is
// buffered and no scheduler is involved. A body that is copied with WriteTo (io.Copy does) is not even handed over in
// pieces: the handler then writes straight to the destination, and a file that it sends with ReadFrom reaches the
// destination's ReadFrom, so that sendfile works through a pull.
//
// The caller must close the body. Closing it early makes the handler's next write fail with [ErrClosed] and waits until
// the handler has returned; its context is cancelled first. A panic of the handler surfaces in the caller, except
// http.ErrAbortHandler, which becomes an unexpected end of the body.
package pull

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"

	"github.com/apus-storage/apus/internal/respw"
)

// ErrClosed is what the handler's writes return once the reader has closed the body.
var ErrClosed = errors.New("pull: reader has gone")

// Do runs h on r until it has sent its head, and returns the response. A handler that returns without writing gives
// an empty 200. The response's ContentLength is what its header says, or -1. Informational responses go to the
// Got1xxResponse of the request's httptrace.ClientTrace, as with a network; what that returns is dropped, and without one
// they are.
func Do(h http.Handler, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	p := &puller{cancel: cancel, header: make(http.Header, headRoom), trace: httptrace.ContextClientTrace(ctx)}
	r = r.WithContext(ctx)
	p.next, p.stop = iter.Pull(func(yield func([]byte) bool) {
		p.yield = yield
		defer p.finish()
		h.ServeHTTP((*writer)(p), r)
	})
	for !p.sent {
		if _, ok := p.next(); !ok {
			break
		}
	}
	if p.err != nil {
		cancel()
		return nil, p.err
	}
	resp := &http.Response{
		StatusCode: p.code, Header: p.sentHeader, Body: (*body)(p), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
	}
	if cl := p.sentHeader["Content-Length"]; len(cl) == 1 {
		if n, err := strconv.ParseInt(cl[0], 10, 64); err == nil && n >= 0 {
			resp.ContentLength, p.declared, p.limited = n, n, true
		}
	}
	if r.Method == http.MethodHead || p.code == http.StatusNoContent || p.code == http.StatusNotModified {
		p.bodyless = true
	}
	return resp, nil
}

// headRoom is how many headers an answer has as a rule, with those that its reader will add.
const headRoom = 16

// puller is shared by the two sides. They take turns, so it needs no lock.
type puller struct {
	cancel context.CancelFunc
	trace  *httptrace.ClientTrace // nil if nobody wants to know of informational responses
	next   func() ([]byte, bool)
	stop   func()
	yield  func([]byte) bool

	header     http.Header // the handler's; nil once the reader has it
	sentHeader http.Header
	code       int
	sent       bool
	closed     bool
	bodyless   bool // what the handler writes is counted as sent and dropped, as net/http does

	declared, written int64
	limited           bool

	chunk  []byte    // what the handler has written and the reader has not yet taken
	direct io.Writer // set while the reader is in WriteTo
	dstErr error     // failure of direct
	err    error     // how the handler ended, if badly
	over   bool
}

// finish runs when the handler has returned or panicked.
func (p *puller) finish() {
	p.over = true
	v := recover()
	switch {
	case v == nil:
	case v == http.ErrAbortHandler:
		p.err = io.ErrUnexpectedEOF
		return
	default:
		panic(v)
	}
	if !p.sent {
		p.setHead(http.StatusOK)
	}
	if p.limited && !p.bodyless && p.written < p.declared {
		p.err = io.ErrUnexpectedEOF
	}
}

func (p *puller) setHead(code int) {
	p.sent, p.code = true, code
	p.sentHeader, p.header = p.header, nil
}

// writer is the handler's side.
type writer puller

// Header returns the response's header map, or once the reader has that, another one, which nobody will see.
func (w *writer) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader hands the head to the reader and waits until the body is wanted.
func (w *writer) WriteHeader(code int) {
	if w.sent {
		return
	}
	if code < 200 {
		if w.trace != nil && w.trace.Got1xxResponse != nil {
			_ = w.trace.Got1xxResponse(code, textproto.MIMEHeader(w.header.Clone()))
		}
		return
	}
	(*puller)(w).setHead(code)
	if !w.yield(nil) {
		w.closed = true
	}
}

func (w *writer) ready() error {
	if !w.sent {
		w.WriteHeader(http.StatusOK)
	}
	if w.closed {
		return ErrClosed
	}
	return nil
}

// Write waits until the reader has taken all of p.
func (w *writer) Write(b []byte) (int, error) {
	if err := w.ready(); err != nil {
		return 0, err
	}
	if w.bodyless {
		return len(b), nil
	}
	if w.limited && w.written+int64(len(b)) > w.declared {
		return 0, http.ErrContentLength
	}
	if w.direct != nil {
		n, err := w.direct.Write(b)
		w.written += int64(n)
		w.dstErr = err
		return n, err
	}
	total := len(b)
	for len(b) > 0 {
		w.chunk = b
		if !w.yield(b) {
			w.closed = true
			return total - len(b), ErrClosed
		}
		b = w.chunk // what was taken has been counted
		if w.direct != nil && len(b) > 0 {
			w.chunk = nil
			n, err := w.Write(b)
			return total - len(b) + n, err
		}
	}
	return total, nil
}

// ReadFrom sends all of r; while the reader is copying to a writer, by that writer's ReadFrom.
func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	if err := w.ready(); err != nil {
		return 0, err
	}
	if w.direct == nil || w.bodyless {
		return respw.Copy(struct{ io.Writer }{w}, r)
	}
	n, err := respw.Copy(w.direct, r)
	w.written += n
	if err != nil {
		w.dstErr = err
	}
	return n, err
}

// FlushError flushes the destination while the reader is copying to one that can be flushed.
func (w *writer) FlushError() error {
	if err := w.ready(); err != nil {
		return err
	}
	if rw, ok := w.direct.(http.ResponseWriter); ok {
		return http.NewResponseController(rw).Flush()
	}
	return nil
}

// body is the reader's side.
type body puller

// Read takes what the handler has written.
func (b *body) Read(dst []byte) (int, error) {
	for len(b.chunk) == 0 {
		if b.closed {
			return 0, http.ErrBodyReadAfterClose
		}
		if b.over {
			return 0, b.end()
		}
		b.next()
	}
	n := copy(dst, b.chunk)
	b.take(n)
	return n, nil
}

// take counts what the reader has taken of the chunk.
func (b *body) take(n int) {
	b.chunk = b.chunk[n:]
	b.written += int64(n)
}

func (b *body) end() error {
	if b.err != nil {
		return b.err
	}
	return io.EOF
}

// WriteTo lets the handler write the rest of the body straight to dst.
func (b *body) WriteTo(dst io.Writer) (int64, error) {
	start := b.written
	if len(b.chunk) > 0 {
		m, err := dst.Write(b.chunk)
		b.take(m)
		if err != nil {
			return int64(m), err
		}
	}
	b.direct = dst
	for !b.over {
		b.next()
	}
	b.direct = nil
	n := b.written - start
	switch {
	case b.dstErr != nil:
		return n, b.dstErr
	case b.err != nil:
		return n, b.err
	}
	return n, nil
}

// Close ends the handler.
func (b *body) Close() error {
	if b.closed {
		return nil
	}
	b.cancel()
	b.chunk = nil
	b.closed = true
	b.stop()
	return nil
}
