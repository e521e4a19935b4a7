// Package segments is what large objects are made of: it reads objects one after the other as if they were one, and
// answers GET and HEAD of the whole, with its conditions and ranges.
//
// A filter that finds a manifest ([Intercept]) makes a list of [Segment]s of it, lazily, and hands that to
// [Object.Serve]. Segments are asked for one at a time, as the client, from the rest of the pipeline, so that the access
// list of each one's container applies. Bodies are not held: a segment's file goes to the client's socket as it would
// without a manifest.
//
// Invariants:
//   - The first segment is asked for before the head is sent, so that a manifest whose first segment is missing, has
//     changed or may not be read is an error (409, or 503 if a server failed) and not a short body. The second is not
//     waited for.
//   - What has been read of a segment reaches the client before the next one is asked for, however little it is.
//   - After the head, whatever is wrong with a segment cuts the connection: an answer never ends cleanly unless it is
//     whole.
//   - A client that goes away, and a time that is over, end the segment that is being read.
//
// Non-goals: what manifests look like; hashing bodies, which the client would have had by then.
//
//	o := segments.Object{Header: head, ETag: etag, Size: size, List: func(ctx context.Context, parts []ranges.Range) iter.Seq2[segments.Segment, error] { ... }}
//	if err := o.Serve(w, r, source); err != nil {
//		reply.Write(w, r, err)
//	}
package segments

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/subreq"
)

// A Segment is a part of a large object: an object, a part of one, or bytes that stand in the manifest itself.
type Segment struct {
	// Path is the object's, decoded, with version and account.
	Path string
	// ETag is what the object must still have; "" takes any.
	ETag string
	// Size is what the object must still have in bytes; ranges.None takes any.
	Size int64
	// Range is the part that is wanted. With an End of ranges.None it goes on to the object's end.
	Range ranges.Range
	// Data, if not nil, is the segment itself, of which Range is wanted.
	Data []byte
}

// whole says that the object is wanted as it is.
func (s Segment) whole() bool { return s.Range.Start == 0 && s.Range.End == ranges.None }

// A Source is where segments come from.
type Source struct {
	// Next is the rest of the pipeline.
	Next http.Handler
	// Code is the filter's code in the log.
	Code string
	// Agent is appended to the client's User-Agent.
	Agent string
	// MaxTime bounds the reading of one large object.
	MaxTime time.Duration
}

// Request makes a subrequest for path as the client of r.
func (s Source) Request(r *http.Request, method, path string, query url.Values) *http.Request {
	agent := strings.TrimSpace(r.Header.Get("User-Agent") + " " + s.Agent)
	return subreq.New(r, subreq.Options{
		Method: method, Path: path, Query: query, Source: s.Code, Header: http.Header{"User-Agent": {agent}},
	})
}

// A Failure says what is wrong with a segment. Clients are not told more than its status.
type Failure struct {
	Path string
	Text string
	// Status is that of a segment's answer; 0 if that was a success and wrong otherwise.
	Status int
}

func (f *Failure) Error() string { return "read segment " + f.Path + ": " + f.Text }

// stream reads segments.
type stream struct {
	source Source
	r      *http.Request // subrequests are made of it
	next   func() (Segment, error, bool)
	stop   func()

	segment Segment
	body    *http.Response // of the segment, if it is an object
	open    bool
	pending bool // something was sent since the last flush
}

// errEnd says that there are no more segments.
var errEnd = errors.New("no more segments")

func newStream(ctx context.Context, source Source, r *http.Request, list iter.Seq2[Segment, error]) *stream {
	s := &stream{source: source, r: r.WithContext(ctx)}
	s.next, s.stop = iter.Pull2(list)
	return s
}

// Close ends what is being read. It may be called again.
func (s *stream) Close() {
	s.closeSegment()
	s.stop()
}

func (s *stream) closeSegment() {
	if s.body != nil {
		s.body.Body.Close()
		s.body = nil
	}
	s.open = false
}

// advance opens the next segment, if none is open. The error is errEnd after the last.
func (s *stream) advance() error {
	if s.open {
		return nil
	}
	if err := s.r.Context().Err(); err != nil {
		return err
	}
	segment, err, ok := s.next()
	switch {
	case !ok:
		return errEnd
	case err != nil:
		return err
	}
	s.segment, s.open = segment, true
	if segment.Data != nil {
		return nil
	}
	req := s.source.Request(s.r, http.MethodGet, segment.Path, url.Values{"multipart-manifest": {"get"}})
	if !segment.whole() {
		req.Header["Range"] = []string{spec(segment.Range)}
	}
	resp, err := subreq.Open(s.source.Next, req)
	if err != nil {
		return &Failure{Path: segment.Path, Text: err.Error(), Status: http.StatusServiceUnavailable}
	}
	s.body = resp
	if err := segment.check(resp); err != nil {
		s.closeSegment()
		return err
	}
	return nil
}

func spec(r ranges.Range) string {
	s := ranges.Spec{First: r.Start, Last: ranges.None}
	if r.End != ranges.None {
		s.Last = r.End - 1
	}
	return ranges.Set{s}.String()
}

// check compares the head of an answer with what the segment must be.
func (s Segment) check(resp *http.Response) error {
	fail := func(format string, args ...any) error {
		return &Failure{Path: s.Path, Text: fmt.Sprintf(format, args...)}
	}
	switch code := resp.StatusCode; {
	case code < 200 || code > 299:
		return &Failure{Path: s.Path, Text: strconv.Itoa(code) + " " + reply.Title(code), Status: code}
	case s.ETag != "" && etag(resp.Header) != s.ETag:
		return fail("its ETag is %s, was %s", etag(resp.Header), s.ETag)
	}
	if s.whole() {
		if s.Size != ranges.None && resp.ContentLength != s.Size {
			return fail("its size is %d, was %d", resp.ContentLength, s.Size)
		}
		return nil
	}
	if resp.StatusCode != http.StatusPartialContent {
		return fail("asked for %s, got all", spec(s.Range))
	}
	part, size, err := ranges.ParseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return fail("%v", err)
	case part.Start != s.Range.Start, s.Range.End != ranges.None && part.End != s.Range.End:
		return fail("asked for %s, got %s", spec(s.Range), part.ContentRange(size))
	case s.Size != ranges.None && size != ranges.None && size != s.Size:
		return fail("its size is %d, was %d", size, s.Size)
	case resp.ContentLength >= 0 && resp.ContentLength != part.Len():
		return fail("%d bytes for %s", resp.ContentLength, part.ContentRange(size))
	}
	return nil
}

func etag(h http.Header) string { return strings.Trim(h.Get("Etag"), `"`) }

// copy sends the next n bytes, which must end where a segment does; all that are left if n is ranges.None.
func (s *stream) copy(w http.ResponseWriter, n int64) error {
	var sent int64
	for n == ranges.None || sent < n {
		if err := s.flush(w); err != nil {
			return err
		}
		err := s.advance()
		if err == errEnd && n == ranges.None {
			return nil
		}
		if err == errEnd {
			return fmt.Errorf("segments up to %s have %d bytes, want %d: %w", s.segment.Path, sent, n, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		if n != ranges.None && s.body != nil && s.body.ContentLength > n-sent {
			return &Failure{Path: s.segment.Path, Text: fmt.Sprintf("%d bytes, wanted are %d", s.body.ContentLength, n-sent)}
		}
		m, err := s.copySegment(w)
		sent += m
		if err != nil {
			return fmt.Errorf("read segment %s: %w", s.segment.Path, err)
		}
	}
	if n != ranges.None && sent > n {
		return fmt.Errorf("read segment %s: %d bytes too many", s.segment.Path, sent-n)
	}
	return nil
}

// flush lets the client have what was sent, if the next segment is still to be asked for: that may take its time, and
// net/http holds back the last few KiB.
func (s *stream) flush(w http.ResponseWriter) error {
	if s.open || !s.pending {
		return nil
	}
	s.pending = false
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("flush before the next segment: %w", err)
	}
	return nil
}

func (s *stream) copySegment(w io.Writer) (int64, error) {
	defer s.closeSegment()
	s.pending = true
	if s.body == nil {
		n, err := w.Write(s.segment.Data[s.segment.Range.Start:s.segment.Range.End])
		return int64(n), err
	}
	return io.Copy(w, s.body.Body) // by the body's WriteTo: the segment's server writes to the client
}
