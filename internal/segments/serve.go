package segments

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
)

// An Object is a large object as a client is to see it.
type Object struct {
	// Header is that of the answer. Serve sets what depends on ranges and conditions.
	Header http.Header
	// ETag is what conditions are compared with, without quotes.
	ETag string
	// Size is that of the whole, in bytes; ranges.None if it is not known, and then Ranges must be empty.
	Size int64
	// Ranges are what the client wants of it; none means all.
	Ranges ranges.Set
	// RangeOfHead makes Ranges, of which there must be one, count for HEAD as well.
	RangeOfHead bool
	// List gives the segments of these parts, one part after the other; of all, if there are none. What it gives must
	// end where a part ends. ctx ends when the time for reading is over.
	List func(ctx context.Context, parts []ranges.Range) iter.Seq2[Segment, error]
	// Log is told what is wrong with a segment.
	Log *slog.Logger
}

// Serve answers a GET or HEAD. An error is the client's answer. Once the head is out, an error cuts the connection.
func (o *Object) Serve(w http.ResponseWriter, r *http.Request, source Source) error {
	if code := o.condition(r).Status(); code != 0 {
		o.head(w, code, 0)
		return nil
	}
	if r.Method == http.MethodHead && !o.RangeOfHead {
		o.head(w, http.StatusOK, o.Size)
		return nil
	}
	var parts []ranges.Range
	if len(o.Ranges) > 0 {
		var err error
		if parts, err = o.Ranges.Resolve(o.Size); err != nil {
			return o.Unsatisfiable()
		}
	}
	if r.Method == http.MethodHead {
		o.Header.Set("Content-Range", parts[0].ContentRange(o.Size))
		o.head(w, http.StatusPartialContent, parts[0].Len())
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), source.MaxTime)
	defer cancel()
	s := newStream(ctx, source, r, o.List(ctx, parts))
	defer s.Close()
	if err := s.advance(); err != nil && err != errEnd {
		o.report(r, "large object cannot be read", err)
		return refusal(err)
	}
	if err := o.send(w, s, parts); err != nil {
		if r.Context().Err() == nil {
			o.report(r, "large object broke off", err)
		}
		panic(http.ErrAbortHandler) // the head is out
	}
	return nil
}

// Refuses says that the client's conditions are not met, so that nothing but a head is to be sent.
func (o *Object) Refuses(r *http.Request) bool { return o.condition(r) != conditional.Pass }

// condition evaluates the client's conditions.
func (o *Object) condition(r *http.Request) conditional.Outcome {
	modified, err := time.Parse(http.TimeFormat, o.Header.Get("Last-Modified"))
	if err != nil {
		modified = time.Time{}
	}
	return conditional.Evaluate(r.Header, conditional.Entity{ETag: o.ETag, LastModified: modified})
}

// Unsatisfiable is the answer to ranges of which the object has none.
func (o *Object) Unsatisfiable() error {
	e := reply.Status(http.StatusRequestedRangeNotSatisfiable)
	e.Type = "" // keeps the object's
	e.Header = o.Header.Clone()
	if o.Size != ranges.None {
		e.Header.Set("Content-Range", ranges.Unsatisfied(o.Size))
	}
	return e
}

// refusal makes an answer of what is wrong with the first segment.
func refusal(err error) error {
	if e, ok := errors.AsType[*reply.Error](err); ok {
		return e
	}
	if f, ok := errors.AsType[*Failure](err); ok && f.Status >= 500 {
		e := reply.Status(http.StatusServiceUnavailable).Because(err)
		e.Type = "text/plain"
		return e
	}
	return reply.Status(http.StatusConflict).Because(err)
}

// report tells the operator. Mostly it is the client's own segments that are not what they were.
func (o *Object) report(r *http.Request, what string, err error) {
	o.Log.Warn(what, "path", r.URL.Path, "txn", request.From(r.Context()).TransID, "err", err)
}

// head sends status and headers.
func (o *Object) head(w http.ResponseWriter, code int, length int64) {
	h := w.Header()
	for k, v := range o.Header {
		h[k] = v
	}
	delete(h, "Content-Length")
	if length != ranges.None {
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	w.WriteHeader(code)
}

// send sends head and body.
func (o *Object) send(w http.ResponseWriter, s *stream, parts []ranges.Range) error {
	switch len(parts) {
	case 0:
		o.head(w, http.StatusOK, o.Size)
		return s.copy(w, o.Size)
	case 1:
		o.Header.Set("Content-Range", parts[0].ContentRange(o.Size))
		o.head(w, http.StatusPartialContent, parts[0].Len())
		return s.copy(w, parts[0].Len())
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	m := ranges.Multipart{Boundary: ranges.Boundary(random), ContentType: o.Header.Get("Content-Type"), Size: o.Size}
	o.Header.Set("Content-Type", m.Header())
	o.head(w, http.StatusPartialContent, m.Length(parts))
	var frame []byte
	for _, p := range parts {
		if _, err := w.Write(m.AppendHead(frame[:0], p)); err != nil {
			return err
		}
		if err := s.copy(w, p.Len()); err != nil {
			return err
		}
		if _, err := io.WriteString(w, ranges.PartEnd); err != nil {
			return err
		}
	}
	_, err := w.Write(m.AppendTail(frame[:0]))
	return err
}
