package dlo

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
	"github.com/apus-storage/apus/internal/subreq"
)

// maxManifest is how much of a manifest's own content, in bytes, is read to no purpose rather than cut off: a cut costs a
// connection to a node.
const maxManifest = 64 << 10

// entrySize is how long one entry of a listing may be, in bytes: a name of 1024 bytes, each escaped, and the rest.
const entrySize = 8 << 10

// get answers a GET or HEAD of what may be a manifest.
func (f *filter) get(w http.ResponseWriter, r *http.Request, p apipath.Path) {
	ignoreRange(r)
	rights := segments.Keep(r)
	manifest, _ := segments.Intercept(f.next, w, r, isManifest)
	if manifest == nil {
		return
	}
	// What the manifest contains does not matter, nor whether it came whole.
	if err := f.serve(w, rights.Restore(r), p, manifest); err != nil {
		reply.Write(w, r, err)
	}
}

// isManifest tells manifests from other objects.
func isManifest(_ int, h http.Header) (limit int, ok bool) {
	return maxManifest, len(h[headerManifest]) > 0
}

// ignoreRange tells the object server that the range is not one of the manifest.
func ignoreRange(r *http.Request) {
	if r.Header.Get("Range") == "" {
		return
	}
	const header = "X-Backend-Ignore-Range-If-Metadata-Present"
	if v := meta.Value(r.Header, header); v != "" {
		r.Header.Set(header, v+","+headerManifest)
		return
	}
	r.Header.Set(header, headerManifest)
}

// A large is a dynamic large object on its way to a client.
type large struct {
	*filter
	r         *http.Request
	path      apipath.Path // of the container with the segments
	prefix    string
	first     []listing.Entry // page of the listing
	firstSize int64           // bytes in it
	complete  bool            // there is no other page
}

// serve answers with what the manifest stands for.
func (f *filter) serve(w http.ResponseWriter, r *http.Request, p apipath.Path, manifest *subreq.Response) error {
	container, prefix, ok := parseManifest(meta.Value(manifest.Header, headerManifest))
	if !ok {
		return reply.Status(http.StatusConflict)
	}
	l := &large{filter: f, r: r, prefix: prefix, path: apipath.Path{Version: p.Version, Account: p.Account, Container: container}}
	refused, err := l.list("", &l.first)
	if err != nil {
		return err
	}
	if refused != nil {
		return pass(w, r, refused)
	}
	etag, err := l.sum()
	if err != nil {
		return err
	}
	header := manifest.Header
	delete(header, "Content-Range")
	o := &segments.Object{Header: header, Size: ranges.None, List: l.parts, Log: f.log}
	if l.complete {
		header.Set("Etag", `"`+etag+`"`)
		o.Size = l.firstSize
	}
	o.ETag = conditional.Unquote(header.Get("Etag"))
	if err := l.narrow(o); err != nil {
		return err
	}
	return o.Serve(w, r, f.source)
}

// sum adds up the first page.
func (l *large) sum() (etag string, err error) {
	h := md5.New()
	for _, e := range l.first {
		s, err := parseEntry(e)
		if err != nil {
			return "", err
		}
		if s.size > math.MaxInt64-l.firstSize {
			return "", fmt.Errorf("list segments in %s: sizes do not add up", l.path)
		}
		l.firstSize += s.size
		io.WriteString(h, conditional.Unquote(s.hash))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// narrow settles on the range to serve. Of several none is.
func (l *large) narrow(o *segments.Object) error {
	set, ok := ranges.Parse(meta.Value(l.r.Header, "Range"))
	if !ok || len(set) != 1 {
		return nil
	}
	if !l.complete {
		// The end is not known, so only a range that is known to lie before it can be served.
		if set[0].First == ranges.None || set[0].Last == ranges.None || set[0].Last >= l.firstSize-1 {
			return nil
		}
		if l.r.Method == http.MethodGet {
			o.Size, o.Ranges = l.firstSize, set
		}
		return nil
	}
	if _, err := set.Resolve(l.firstSize); err != nil {
		return reply.Status(http.StatusRequestedRangeNotSatisfiable).
			With("Accept-Ranges", "bytes").With("Content-Range", ranges.Unsatisfied(l.firstSize))
	}
	o.Ranges = set
	return nil
}

// list asks for the page of the listing after marker. An answer that is no success is returned to be passed on.
func (l *large) list(marker string, page *[]listing.Entry) (refused *subreq.Response, err error) {
	query := url.Values{"prefix": {l.prefix}}
	if marker != "" {
		query.Set("marker", marker)
	}
	res, err := segments.Fetch(l.next, l.source.Request(l.r, http.MethodGet, l.path.String(), query), l.page*entrySize)
	if res != nil && !res.OK() {
		return res, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	if *page, err = listing.Decode(res.Body); err != nil {
		return nil, fmt.Errorf("list segments in %s: %w", l.path, err)
	}
	l.complete = len(*page) < l.page
	return nil, nil
}

// pass gives the client the answer to a request for a listing.
func pass(w http.ResponseWriter, r *http.Request, res *subreq.Response) error {
	maps.Copy(w.Header(), res.Header)
	if r.Method == http.MethodHead {
		w.Header()["Content-Length"] = []string{"0"}
		res.Body = nil
	}
	w.WriteHeader(res.Code)
	_, _ = w.Write(res.Body) // if the client has gone there is nobody to tell
	return nil
}

// parts lists the segments of one part, or of all.
func (l *large) parts(ctx context.Context, parts []ranges.Range) iter.Seq2[segments.Segment, error] {
	part := ranges.Range{End: math.MaxInt64}
	if len(parts) > 0 {
		part = parts[0]
	}
	l.r = l.r.WithContext(ctx)
	return l.pace.Limit(ctx, func(yield func(segments.Segment, error) bool) {
		page := l.first
		l.first = nil // so that a long download does not hold on to it
		for {
			for _, e := range page {
				s, err := parseEntry(e)
				if err != nil {
					yield(segments.Segment{}, err)
					return
				}
				if part.Start < s.size && !yield(l.segment(s, part), nil) {
					return
				}
				part.Start, part.End = max(part.Start-s.size, 0), part.End-s.size
				if part.End <= 0 {
					return
				}
			}
			if l.complete {
				return
			}
			marker, _ := page[len(page)-1].Name()
			refused, err := l.list(marker, &page)
			if refused != nil {
				err = &segments.Failure{Path: l.path.String(), Text: fmt.Sprintf("%d while listing segments", refused.Code)}
			}
			if err != nil {
				yield(segments.Segment{}, err)
				return
			}
		}
	}, nil)
}

// segment is the part of an object that is wanted. Its size and ETag may be others than the listing has: a listing
// lags behind.
func (l *large) segment(s entry, part ranges.Range) segments.Segment {
	p := l.path
	p.Object = s.name
	out := segments.Segment{Path: p.String(), Size: ranges.None, Range: ranges.Range{Start: part.Start, End: ranges.None}}
	if part.End < s.size {
		out.Range.End = part.End
	}
	return out
}

// An entry is what matters of one entry of a listing.
type entry struct {
	name, hash string
	size       int64
}

func parseEntry(e listing.Entry) (entry, error) {
	var s entry
	var ok [3]bool
	s.name, ok[0] = e.Text(listing.KeyName)
	s.hash, ok[1] = e.Text(listing.KeyHash)
	s.size, ok[2] = e.Int(listing.KeyBytes)
	if ok != [3]bool{true, true, true} || s.size < 0 {
		return s, fmt.Errorf("list segments: an entry without name, hash or bytes: %w", listing.ErrMalformed)
	}
	return s, nil
}
