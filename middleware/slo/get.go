package slo

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"strconv"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/bulkreport"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/internal/timestamp"
)

// get answers a GET or HEAD of what may be a large object. The error is the client's answer.
func (f *filter) get(w http.ResponseWriter, r *http.Request, p apipath.Path, itself bool) error {
	if itself && param(r, "format") != "raw" {
		f.manifest(w, r)
		return nil
	}
	rights := segments.Keep(r)
	tellNode(r, itself)
	res, err := segments.Intercept(f.next, w, r, f.isManifest)
	if res == nil {
		return nil
	}
	l := &large{filter: f, w: w, r: rights.Restore(r), path: p, manifest: res}
	switch {
	case itself:
		return l.raw(err)
	case err != nil:
		return errLoad.Because(err)
	}
	return l.serve()
}

// errLoad is a manifest that cannot be read.
var errLoad = reply.Raw(http.StatusInternalServerError, "Unable to load SLO manifest")

// claims tells manifests from other objects.
func (f *filter) claims(_ int, h http.Header) (int, bool) {
	return f.maxStored(), len(h[headerLarge]) > 0 && meta.Truthy(h[headerLarge][0])
}

// tellNode tells the object server what conditions and ranges are about, should the object be a manifest.
func tellNode(r *http.Request, itself bool) {
	if !itself && (len(r.Header["If-Match"]) > 0 || len(r.Header["If-None-Match"]) > 0) {
		appendHeader(r.Header, conditional.HeaderEtagIsAt, headerETag)
	}
	if len(r.Header["Range"]) > 0 {
		appendHeader(r.Header, "X-Backend-Ignore-Range-If-Metadata-Present", headerLarge)
	}
}

func appendHeader(h http.Header, name, value string) {
	if v := meta.Value(h, name); v != "" {
		value = v + "," + value
	}
	h[name] = []string{value}
}

// manifest shows the stored manifest as it is.
func (f *filter) manifest(w http.ResponseWriter, r *http.Request) {
	out := respw.OnHeader(w, func(code int, h http.Header) int {
		if _, ok := f.claims(code, h); ok {
			h["Content-Type"] = []string{"application/json; charset=utf-8"}
		}
		return code
	})
	f.next.ServeHTTP(out, r)
	out.Finish()
}

// A large is a static large object on its way to a client.
type large struct {
	*filter
	w        http.ResponseWriter
	r        *http.Request
	path     apipath.Path
	manifest *subreq.Response

	parts []part
}

// raw answers with the manifest in the form of an upload.
func (l *large) raw(err error) error {
	if l.manifest.Code == http.StatusOK && l.r.Method == http.MethodHead {
		// Length and ETag are those of what the GET would send.
		if served, err := l.refetch(); served || err != nil {
			return err
		}
	}
	h := l.w.Header()
	if l.manifest.Code != http.StatusOK {
		maps.Copy(h, l.manifest.Header)
		l.w.WriteHeader(l.manifest.Code)
		_, _ = l.w.Write(l.manifest.Body)
		return nil
	}
	if err != nil {
		return errLoad.Because(err)
	}
	body, err := raw(l.manifest.Body)
	if err != nil {
		return errLoad.Because(err)
	}
	sum := md5.Sum(body)
	maps.Copy(h, l.manifest.Header)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Etag"] = []string{hex.EncodeToString(sum[:])}
	l.w.WriteHeader(http.StatusOK)
	if l.r.Method != http.MethodHead {
		_, _ = l.w.Write(body) // if the client has gone there is nobody to tell
	}
	return nil
}

// serve answers with the large object.
func (l *large) serve() error {
	number, err := partNumber(l.r)
	if err != nil {
		return err
	}
	o := &segments.Object{Size: ranges.None, Log: l.log, List: l.list}
	l.describe(o)
	known := o.Size != ranges.None && l.manifest.Header.Get(headerETag) != ""
	refused := l.manifest.Code == http.StatusNotModified || l.manifest.Code == http.StatusPreconditionFailed
	if known && (refused || l.r.Method == http.MethodHead && number == 0) {
		if !refused || o.Refuses(l.r) {
			return o.Serve(l.w, l.r, l.source)
		}
	}
	if l.manifest.Code != http.StatusOK || l.r.Method == http.MethodHead {
		if served, err := l.refetch(); served || err != nil {
			return err
		}
		l.describe(o)
	}
	if l.parts, err = parseStored(l.manifest.Body); err != nil {
		return errLoad.Because(err)
	}
	if err := l.complete(o); err != nil {
		return err
	}
	if number > 0 {
		return l.servePart(o, number)
	}
	o.Ranges, _ = ranges.Parse(meta.Value(l.r.Header, "Range"))
	return o.Serve(l.w, l.r, l.source)
}

// describe sets what the manifest's headers say of the object.
func (l *large) describe(o *segments.Object) {
	h := l.manifest.Header.Clone()
	delete(h, "Content-Range")
	if v := h.Get("Etag"); v != "" {
		h.Set(headerManifestETag, v)
	}
	o.Header = h
	if etag := h.Get(headerETag); etag != "" {
		l.setETag(o, etag)
	}
	if n, err := strconv.ParseInt(h.Get(headerSize), 10, 64); err == nil && n >= 0 {
		o.Size = n
	}
}

// setETag sets the object's ETag, and the one to be compared with if a filter further left has another.
func (l *large) setETag(o *segments.Object, etag string) {
	o.Header.Set("Etag", `"`+etag+`"`)
	o.ETag = etag
	isAt := meta.Value(l.r.Header, conditional.HeaderEtagIsAt)
	if other, ok := conditional.AlternativeETag(isAt, func(name string) (string, bool) {
		v := o.Header.Get(name)
		return v, v != ""
	}); ok {
		o.ETag = other
	}
}

// complete finds out what the headers do not say: old manifests have neither size nor ETag there.
func (l *large) complete(o *segments.Object) error {
	if o.Size == ranges.None {
		n, err := total(l.parts)
		if err != nil {
			return errLoad.Because(err)
		}
		o.Size = n
	}
	if l.manifest.Header.Get(headerETag) == "" {
		l.setETag(o, sum(l.parts))
	}
	return nil
}

// refetch asks for the whole manifest. If there is a newer object meanwhile that is none, that is served. What came
// before says that there is a manifest, so to find something older instead is a failure of the cluster.
func (l *large) refetch() (served bool, err error) {
	seen := newest(l.manifest.Header)
	old := false
	res, err := segments.Intercept(l.next, l.w, l.source.Request(l.r, http.MethodGet, l.path.String(), nil), func(code int, h http.Header) (int, bool) {
		limit, ok := l.claims(code, h)
		ok = ok && code == http.StatusOK
		old = !ok && newest(h).Before(seen)
		return limit, ok || old || l.r.Method == http.MethodHead
	})
	switch {
	case res == nil:
		return true, nil
	case old:
		return false, reply.Status(http.StatusServiceUnavailable)
	case res.Code != http.StatusOK, len(res.Header[headerLarge]) == 0:
		maps.Copy(l.w.Header(), res.Header)
		l.w.WriteHeader(res.Code)
		return true, nil
	case err != nil:
		return false, errLoad.Because(err)
	}
	l.manifest = res
	return false, nil
}

// newest is the time of an answer.
func newest(h http.Header) timestamp.Timestamp {
	t, _ := timestamp.Parse(h.Get("X-Backend-Timestamp")) // none is the oldest
	return t
}

// partNumber reads the parameter; 0 if it is not there.
func partNumber(r *http.Request) (int, error) {
	text := param(r, "part-number")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 1:
		return 0, reply.Raw(http.StatusBadRequest, "Part number must be an integer greater than 0")
	case len(r.Header["Range"]) > 0:
		return 0, reply.Raw(http.StatusBadRequest, "Range requests are not supported with part number queries")
	}
	return n, nil
}

// servePart answers with one segment, as a range of the object.
func (l *large) servePart(o *segments.Object, number int) error {
	count := strconv.Itoa(len(l.parts))
	if number > len(l.parts) || l.parts[number-1].span.Len() == 0 {
		return reply.Raw(http.StatusRequestedRangeNotSatisfiable, "The requested part number is not satisfiable").
			With("Content-Range", ranges.Unsatisfied(o.Size)).With("X-Parts-Count", count)
	}
	var start int64
	for _, p := range l.parts[:number-1] {
		start += p.span.Len()
	}
	o.Header.Set("X-Parts-Count", count)
	if s := request.From(l.r.Context()).Segment; s != nil {
		*s = l.parts[number-1].Name
	}
	o.Ranges = ranges.Set{{First: start, Last: start + l.parts[number-1].span.Len() - 1}}
	o.RangeOfHead = true
	return o.Serve(l.w, l.r, l.source)
}

// list gives the segments of the wanted parts of the object.
func (l *large) list(ctx context.Context, wanted []ranges.Range) iter.Seq2[segments.Segment, error] {
	if len(wanted) == 0 {
		n, err := total(l.parts)
		if err != nil {
			return func(yield func(segments.Segment, error) bool) { yield(segments.Segment{}, err) }
		}
		wanted = []ranges.Range{{End: n}}
	}
	walk := &walk{large: l, r: l.r.WithContext(ctx)}
	pace := segments.Pace{After: l.config.RateLimitAfterSegment, PerSecond: l.config.RateLimitSegmentsPerSec}
	return pace.Limit(ctx, func(yield func(segments.Segment, error) bool) {
		for _, part := range wanted {
			if more, err := walk.in(l.parts, part, 1, yield); err != nil {
				yield(segments.Segment{}, err)
				return
			} else if !more {
				return
			}
		}
	}, func(s segments.Segment) bool { return s.Data == nil && s.Size < int64(l.config.RateLimitUnderSize) })
}

// maxDepth is how deep manifests may be nested.
const maxDepth = 10

// maxKept is how many segments of nested manifests are kept, should they be needed again.
const maxKept = 2000

// A walk goes through a manifest and those in it.
type walk struct {
	*large
	r     *http.Request // as long as reading may take
	kept  map[string][]part
	count int // of segments in kept
}

// in yields what segments there are between the bytes of wanted, which count from the beginning of parts.
func (w *walk) in(parts []part, wanted ranges.Range, depth int, yield func(segments.Segment, error) bool) (more bool, err error) {
	for _, p := range parts {
		n := p.span.Len()
		if wanted.Start >= n {
			wanted.Start, wanted.End = wanted.Start-n, wanted.End-n
			continue
		}
		if wanted.End <= 0 {
			return true, nil
		}
		span := ranges.Range{Start: p.span.Start + wanted.Start, End: min(p.span.End, p.span.Start+wanted.End)}
		wanted.Start, wanted.End = 0, wanted.End-n
		if p.SubSLO {
			inner, err := w.inner(p, depth)
			if err != nil {
				return false, err
			}
			if more, err := w.in(inner, span, depth+1, yield); !more || err != nil {
				return more, err
			}
			continue
		}
		if !yield(w.segment(p, span), nil) {
			return false, nil
		}
	}
	return true, nil
}

func (w *walk) segment(p part, span ranges.Range) segments.Segment {
	if p.isData {
		return segments.Segment{Data: p.Data, Range: span}
	}
	s := segments.Segment{Path: w.path.AccountPath().String() + "/" + trimSlashes(p.Name), ETag: p.Hash, Size: p.Bytes, Range: span}
	if span.Start == 0 && span.End == p.Bytes {
		s.Range.End = ranges.None
	}
	return s
}

// inner gets a manifest in the manifest.
func (w *walk) inner(p part, depth int) ([]part, error) {
	path := w.path.AccountPath().String() + "/" + trimSlashes(p.Name)
	fail := func(format string, args ...any) ([]part, error) {
		return nil, &segments.Failure{Path: path, Text: fmt.Sprintf(format, args...)}
	}
	if depth >= maxDepth {
		return fail("manifests are nested deeper than %d", maxDepth)
	}
	if parts, ok := w.kept[p.Name]; ok {
		return parts, nil
	}
	res, err := segments.Fetch(w.next, w.source.Request(w.r, http.MethodGet, path, nil), w.maxStored())
	switch {
	case res != nil && !res.OK():
		return fail("its manifest: %s", bulkreport.StatusLine(res.Code))
	case err != nil:
		return fail("its manifest: %v", err)
	}
	if etag := res.Header.Get(headerETag); etag != "" && p.Hash != "" && etag != p.Hash {
		return fail("its ETag is %s, was %s", etag, p.Hash)
	}
	parts, err := parseStored(res.Body)
	if err != nil {
		return fail("%v", err)
	}
	if w.count+len(parts) <= maxKept {
		if w.kept == nil {
			w.kept = map[string][]part{}
		}
		w.kept[p.Name], w.count = parts, w.count+len(parts)
	}
	return parts, nil
}
