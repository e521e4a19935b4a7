// Package catcherrors is the outermost filter: it names each request and answers for what goes wrong in all others:
//
//	[filter.catch_errors]
//	trans_id_suffix = "-eu1"      # usually in [DEFAULT]
//
// Every request gets a transaction id, which everything that logs or talks to nodes repeats, and every response bears it
// as X-Trans-Id and X-Openstack-Request-Id:
//
//	tx968a0db257364dc5b6e6a-006b01fe67-eu1
//
// "tx", 21 random hexadecimal digits, the Unix time in at least ten, and the suffix. A client adds up to 32 characters of
// its own with X-Trans-Id-Extra.
//
// A panic to the right becomes a 500 if nothing has been sent, otherwise a cut connection, and is logged with its stack.
// A body longer than its Content-Length is cut there, so that what is too much never reaches the connection, where a
// client would take it for the next answer. One that is too short is logged; net/http cuts the connection for it.
//
// It must stand first.
package catcherrors

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("catch_errors", Config{}, build)

// Config is the section of the filter.
type Config struct {
	// Appended to every transaction id, to tell clusters or regions apart.
	TransIDSuffix string `toml:"trans_id_suffix"`
}

func build(h middleware.Host, c Config) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return &filter{config: c, log: h.Log, clock: h.Clock, next: next}
	}}, nil
}

type filter struct {
	config Config
	log    *slog.Logger
	clock  clock.Clock
	next   http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := f.newID(r.Header.Get("X-Trans-Id-Extra"))
	request.From(r.Context()).TransID = id
	a := &answer{id: [1]string{id}, r: r}
	a.out.Begin(w, a)
	defer f.recover(a, r)
	f.next.ServeHTTP(&a.out, r)
	a.out.Finish()
	f.check(a, r)
}

// recover answers for a panic. It must be deferred itself.
func (f *filter) recover(a *answer, r *http.Request) {
	v := recover()
	switch {
	case v == nil:
		return
	case v == http.ErrAbortHandler:
		panic(v) // somebody has decided, and said why
	}
	f.log.LogAttrs(r.Context(), slog.LevelError, "a request failed unexpectedly",
		slog.String("txn", a.id[0]), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("err", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	if a.sent {
		panic(http.ErrAbortHandler)
	}
	const text = "An error occurred"
	h := a.out.Header()
	clear(h) // they described another answer
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	a.out.WriteHeader(http.StatusInternalServerError)
	if r.Method != http.MethodHead {
		io.WriteString(&a.out, text)
	}
}

// check logs an answer whose length is not what it said.
func (f *filter) check(a *answer, r *http.Request) {
	if a.body.surplus {
		f.log.Warn("response was longer than its length and has been cut",
			"txn", a.id[0], "method", r.Method, "path", r.URL.Path, "length", a.length)
	}
	if a.body.left > 0 && r.Method != http.MethodHead && r.Context().Err() == nil {
		f.log.Warn("response was shorter than its length; the connection is cut",
			"txn", a.id[0], "method", r.Method, "path", r.URL.Path, "length", a.length, "missing", a.body.left)
	}
}

// newID makes a transaction id.
func (f *filter) newID(extra string) string {
	suffix := f.config.TransIDSuffix
	if extra != "" {
		suffix += "-" + extra[:min(len(extra), 32)]
	}
	id := make([]byte, 0, 48)
	id = append(id, "tx"...)
	// 21 digits of 4 bits are 84 bits.
	id = appendHex(id, rand.Uint64(), 16)
	id = appendHex(id, rand.Uint64(), 5)
	id = append(id, '-')
	id = appendHex(id, uint64(f.clock.Now().Unix()), 10)
	for i := range len(suffix) {
		if c := suffix[i]; c < 0x80 {
			id = apipath.AppendQuote(id, suffix[i:i+1])
		} else {
			// Swift takes header bytes for Latin-1 and quotes their UTF-8.
			id = apipath.AppendQuote(id, string(rune(c)))
		}
	}
	return string(id)
}

// appendHex appends the last digits of n.
func appendHex(dst []byte, n uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, "0123456789abcdef"[n>>(4*i)&15])
	}
	return dst
}

// An answer is one response on its way out.
type answer struct {
	out    respw.BodyFilter
	r      *http.Request
	id     [1]string // the value of both headers
	body   exact
	length int64
	sent   bool
}

// ChooseBody marks the head and bounds the body by the length it declares.
func (a *answer) ChooseBody(code int, h http.Header, dst io.Writer) io.Writer {
	a.sent = true
	h["X-Trans-Id"], h["X-Openstack-Request-Id"] = a.id[:], a.id[:]
	headname.Send(a.r, h) // here, where no filter reads them any more
	cl := h["Content-Length"]
	if len(cl) != 1 || code == http.StatusNoContent || code == http.StatusNotModified {
		return nil
	}
	n, err := strconv.ParseInt(cl[0], 10, 64)
	if err != nil || n < 0 {
		return nil
	}
	a.length = n
	a.body = exact{dst: dst, left: n}
	return &a.body
}

// exact writes no more than is left. What is too much is an error to the one who writes it.
type exact struct {
	dst     io.Writer
	left    int64
	surplus bool
}

// Write passes on what fits.
func (e *exact) Write(p []byte) (int, error) {
	fits := p[:min(int64(len(p)), e.left)]
	n, err := e.dst.Write(fits)
	e.left -= int64(n)
	if err == nil && len(fits) < len(p) {
		e.surplus = true
		err = http.ErrContentLength
	}
	return n, err
}

// ReadFrom passes on what fits, in a form by which net/http still finds the file in it.
func (e *exact) ReadFrom(r io.Reader) (int64, error) {
	l, ok := r.(*io.LimitedReader)
	if !ok {
		l = &io.LimitedReader{R: r, N: e.left + 1}
	}
	over := l.N > e.left
	whole := l
	if over {
		whole = &io.LimitedReader{R: l.R, N: e.left}
	}
	n, err := respw.Copy(e.dst, whole)
	e.left -= n
	if over {
		l.N -= n
	}
	if err != nil || !over || e.left > 0 {
		return n, err
	}
	// All that fits is out. One byte more tells a longer body from one that ends here.
	var one [1]byte
	switch m, err := io.ReadFull(l, one[:]); {
	case m == 1:
		e.surplus = true
		return n, http.ErrContentLength
	case err == io.EOF:
		return n, nil
	default:
		return n, err
	}
}

var _ io.ReaderFrom = (*exact)(nil)
