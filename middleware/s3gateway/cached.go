package s3gateway

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/readcache"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// What is read is kept, if there is a cache. Whoever asks for it again has been admitted and authorised like anybody else. Then the
// store has the word: it is asked by HEAD, with what the client has sent and with the credentials that a GET would have had, and if it
// answers with the body's ETag and length, its headers and the body from here are the answer. Everything else is asked for again
// by GET, so that a refusal is the store's own. Of several stores the cache stands in for the one that would have been asked.
//
// Only trust_for lets an answer go out without the store: for as long after the store has last confirmed the body to the same credentials.

// reading is what the cache is to do for a request.
type reading struct {
	fill  bool     // the answer may be kept
	marks []uint64 // of the stores, in their order, before they were asked
	scope string   // of the credentials that were used last
	// watched has the document that names what is to be deleted.
	watched *bytes.Buffer
}

// cacheable says whether the answer may come from the cache or go there.
func (x *exchange) cacheable() bool {
	return x.cache != nil && x.target.Key != "" && x.r.ContentLength == 0 && readcache.Cacheable(x.r)
}

// readCached reads an object, from the cache if it can be.
func (x *exchange) readCached() error {
	c, err := x.call()
	if err != nil {
		return err
	}
	if c.Body != nil {
		return x.forward() // it is not for the cache to know what that means
	}
	if x.cache.TrustFor.Duration > 0 {
		c.Scope = &x.reading.scope
	}
	if done, err := x.fromCache(c); done || err != nil {
		return err
	}
	x.counts.cacheMisses.Inc()
	x.reading.fill = x.r.Header["Range"] == nil
	for _, u := range x.way.group.Upstreams() {
		x.reading.marks = append(x.reading.marks, x.cache.Mark(x.keyAt(u)))
	}
	if x.way.mirrors() {
		return x.readThroughWith(c)
	}
	resp, from, err := x.send(c)
	if err != nil {
		return x.unanswered(err)
	}
	return x.answer(resp, from)
}

// keyAt is what the request's object is kept under.
func (x *exchange) keyAt(u *upstream.Upstream) readcache.Key {
	return readcache.Key{
		Upstream: u.Name(), Bucket: x.way.route.Bucket(x.target.Bucket), Object: x.target.Key, Version: x.query.Get("versionId"),
	}
}

// holder returns the store whose body may be the answer, nil if there is none: another one than would have been asked may have
// another body.
func (x *exchange) holder() *upstream.Upstream {
	all := x.way.group.Upstreams()
	switch {
	case x.way.mirrors() || len(all) == 1:
		all = all[:1]
	case x.way.route.Policy == route.RoundRobin:
		for _, u := range all {
			if u.Healthy() && x.cache.Has(x.keyAt(u)) {
				return u
			}
		}
		return nil
	default:
		first := all[0]
		for _, u := range all {
			if u.Healthy() {
				first = u
				break
			}
		}
		all = []*upstream.Upstream{first}
	}
	if !x.cache.Has(x.keyAt(all[0])) {
		return nil
	}
	return all[0]
}

// fromCache answers from the cache, and says whether it has.
func (x *exchange) fromCache(c upstream.Call) (bool, error) {
	u := x.holder()
	part, ok := wanted(x.r.Header)
	if u == nil || !ok {
		return false, nil
	}
	key := x.keyAt(u)
	if x.trusting() {
		if scope, err := u.Scope(x.r.Context(), c); err == nil {
			if e, ok := x.cache.Trusted(x.r.Context(), key, scope); ok {
				defer e.Close()
				return x.fromEntry(e, e.Header, part, u), nil
			}
		}
	}
	resp, err := x.askAbout(c, u)
	if err != nil {
		if x.way.byTag != nil {
			return false, nil // there are others
		}
		return true, x.unanswered(err)
	}
	if resp.StatusCode == http.StatusNotModified {
		return true, x.answer(resp, u)
	}
	resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		x.cache.Forget(key)
		return false, nil
	case resp.StatusCode != http.StatusOK || resp.ContentLength < 0:
		return false, nil
	}
	e, ok := x.cache.Open(x.r.Context(), key, readcache.Validator{Scope: x.reading.scope, ETag: resp.Header.Get("Etag"), Length: resp.ContentLength})
	if !ok {
		return false, nil
	}
	defer e.Close()
	return x.fromEntry(e, resp.Header, part, u), nil
}

// trusting says whether the store need not be asked at all, for a body that it has confirmed just now.
func (x *exchange) trusting() bool {
	if x.cache.TrustFor.Duration <= 0 {
		return false
	}
	for name := range x.r.Header {
		switch {
		case strings.HasPrefix(name, "If-"), name == "X-Amz-Checksum-Mode", name == "Cache-Control", name == "Pragma":
			return false
		}
	}
	return true
}

// askAbout asks a store about the object that it is to be read from.
func (x *exchange) askAbout(c upstream.Call, u *upstream.Upstream) (*http.Response, error) {
	c.Method, c.Header = http.MethodHead, maps.Clone(c.Header)
	delete(c.Header, "Range")
	resp, _, err := x.ask(x.r.Context(), x.way.only(u), c)
	return resp, err
}

// wanted returns the range that a request asks for, nil for all. What stores read in different ways is theirs to answer, and so are
// several ranges.
func wanted(h http.Header) (ranges.Set, bool) {
	lines, ok := h["Range"]
	if !ok {
		return nil, true
	}
	if len(lines) != 1 {
		return nil, false
	}
	set, ok := ranges.Parse(lines[0])
	return set, ok && len(set) == 1 && set.String() == lines[0]
}

// fromEntry answers with a kept body below the headers of the store, and says whether it has: not if the store has to say no to the
// range, or has encoded the body in another way for this client.
func (x *exchange) fromEntry(e *readcache.Entry, said http.Header, part ranges.Set, from *upstream.Upstream) bool {
	if e.Header.Get("Content-Encoding") != said.Get("Content-Encoding") {
		return false
	}
	status, h, all := http.StatusOK, maps.Clone(said), ranges.Range{End: e.Length}
	if part != nil {
		found, err := part.Resolve(e.Length)
		if err != nil || len(found) != 1 {
			return false
		}
		status, all = http.StatusPartialContent, found[0]
		h.Set("Content-Range", all.ContentRange(e.Length))
		for name := range h {
			if strings.HasPrefix(name, "X-Amz-Checksum-") {
				delete(h, name) // of the whole
			}
		}
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(all.Len(), 10))
	x.asked = from.Name()
	x.state.Log.AddInfo("s3gateway:cache=hit")
	x.head(&http.Response{Header: h}, from)
	x.begin(status)
	x.counts.cacheHits.Inc()
	// The body knows how to get to the connection without coming through here.
	n, err := io.Copy(x.w, e.Body(all.Start, all.Len()))
	x.counts.cacheBytes.Add(float64(n))
	x.cutOn(err)
	return true
}

// keepRead returns the body of an answer, and has the cache keep what is read of it, if it may.
func (x *exchange) keepRead(resp *http.Response, from *upstream.Upstream) io.ReadCloser {
	if !x.reading.fill || resp.StatusCode != http.StatusOK {
		return resp.Body
	}
	for i, u := range x.way.group.Upstreams() {
		if u != from {
			continue
		}
		if i > 0 && x.way.mirrors() {
			break // it is the new store that will have the last word
		}
		key := x.keyAt(u)
		w, ok := x.cache.Fill(key, x.reading.scope, resp.Header)
		if !ok {
			break
		}
		if x.cache.Mark(key) != x.reading.marks[i] {
			w.Abort() // it was written meanwhile, and this may be what was there before
			break
		}
		return &kept{resp.Body, w}
	}
	return resp.Body
}

// kept is a body on its way from a store, which goes into the cache too.
type kept struct {
	io.ReadCloser
	w *readcache.Writer
}

func (k *kept) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	k.w.Write(p[:n])
	if err == io.EOF {
		k.w.Commit()
	}
	return n, err
}

// Close ends it; what has not come to its end is not kept.
func (k *kept) Close() error {
	k.w.Abort()
	return k.ReadCloser.Close()
}

// forget has the cache forget what the request may have changed, whatever came of it. It is called before a client hears of it,
// and at the end.
func (x *exchange) forget() {
	if x.cache == nil || x.way == nil || x.caller == nil {
		return
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return
	}
	switch {
	case x.reading.watched != nil:
		all, err := gate.Deleted(x.reading.watched.Bytes())
		for _, d := range all {
			x.forgetKey(d.Key, d.Version)
		}
		if err != nil {
			x.cache.Distrust() // what it names, the store may find out
		}
	case x.caller.Form != nil:
		x.forgetKey(x.caller.Form.Fields["key"], "")
	case x.target.Key == "":
		x.cache.Distrust() // the bucket's rules may be others
	default:
		x.forgetKey(x.target.Key, x.query.Get("versionId"))
	}
}

// forgetKey forgets an object at every store of the way.
func (x *exchange) forgetKey(object, version string) {
	for _, u := range x.way.group.Upstreams() {
		x.forgetAt(u, readcache.Key{Bucket: x.way.route.Bucket(x.target.Bucket), Object: object}, version)
	}
}

// forgetAt forgets what an object is and what it was before: where versions are suspended it is called null.
func (x *exchange) forgetAt(u *upstream.Upstream, k readcache.Key, version string) {
	k.Upstream = u.Name()
	x.cache.Forget(k)
	for _, k.Version = range []string{"null", version} {
		if k.Version != "" {
			x.cache.Forget(k)
		}
	}
}

// forgetCopy forgets what a mirror has stored at its new store.
func (x *exchange) forgetCopy(w *way, put upstream.Call) {
	if x.cache != nil {
		x.forgetAt(w.newest(), readcache.Key{Bucket: put.Bucket, Object: put.Key}, "")
	}
}

// watchDeletes looks at the document that names what is to be deleted, on its way to the store.
func (x *exchange) watchDeletes(body io.Reader) io.Reader {
	if x.cache == nil || !x.caller.Operation.Deletes {
		return body
	}
	x.reading.watched = new(bytes.Buffer)
	return io.TeeReader(body, &bounded{x.reading.watched, longestDelete})
}

// bounded takes no more than there is room for, and says nothing.
type bounded struct {
	b    *bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.b.Write(p[:n])
	return len(p), nil
}
