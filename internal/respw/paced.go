package respw

import (
	"io"
	"net/http"
)

// NewPaced returns a writer that hands the body down in pieces, and calls before and after around each, and around flushes:
// in between, it waits for the client.
func NewPaced(w http.ResponseWriter, before, after func()) *Paced {
	return &Paced{head: head{ResponseWriter: w}, before: before, after: after}
}

// A Paced is what NewPaced returns.
type Paced struct {
	head
	before, after func()
}

// pace is how much is handed down at once: as much as a frame of HTTP/2 has.
const pace = 16 << 10

// WriteHeader sends the head.
func (w *Paced) WriteHeader(code int) {
	if w.wrote {
		return
	}
	w.wrote = !informational(code)
	w.ResponseWriter.WriteHeader(code)
}

// Write sends p piece by piece.
func (w *Paced) Write(p []byte) (sum int, err error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	for {
		n := min(pace, len(p))
		w.before()
		m, err := w.ResponseWriter.Write(p[:n])
		w.after()
		sum += m
		if p = p[n:]; err != nil || len(p) == 0 {
			return sum, err
		}
	}
}

// ReadFrom sends all of r piece by piece.
func (w *Paced) ReadFrom(r io.Reader) (int64, error) {
	return Copy(onlyWriter{w}, r)
}

// FlushError sends the head if need be and flushes.
func (w *Paced) FlushError() error {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	w.before()
	defer w.after()
	return http.NewResponseController(w.ResponseWriter).Flush()
}
