package s3gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// A mirror moves buckets from old stores to a new one while they are in use. The new store has the last word: it is asked first, and
// gets everything that is written. What only an old one has is read from there, and copied to the new one on the way; what is written
// with an eye to what is there has the object brought to the new store before. What is deleted is deleted at the old ones first, so that
// it does not come back; listings show what any has.

// mirror answers a request for a route that is one.
func (x *exchange) mirror() error {
	object := x.target.Key != ""
	switch method := x.r.Method; {
	case object && (method == http.MethodGet || method == http.MethodHead) && !x.query.Has("uploadId"):
		return x.readThrough()
	case object && method == http.MethodDelete && !x.query.Has("uploadId") && !x.query.Has("tagging"):
		return x.deleteObject()
	case !object && method == http.MethodDelete && x.plain():
		return x.deleteBucket()
	case !object && x.caller.Operation.Deletes:
		return x.deleteMany()
	case !object && method == http.MethodHead:
		return x.readThrough()
	case !object && method == http.MethodGet && x.listsObjects():
		return x.listMerged()
	case object && x.meets():
		if err := x.bringTarget(); err != nil {
			return err
		}
	}
	return x.forward()
}

// meets says whether what a request writes has to do with the object that is there: under a condition, or because it changes something
// of it. Versions are those of the new store.
func (x *exchange) meets() bool {
	switch {
	case x.query.Has("versionId") || x.query.Has("partNumber") || x.query.Has("uploads"):
		return false
	case conditional(x.r.Header) || x.r.Header["X-Amz-Write-Offset-Bytes"] != nil:
		return true
	}
	return !x.plain() && !x.query.Has("uploadId")
}

// conditional says whether a write is to happen only if the object is as its sender thinks.
func conditional(h http.Header) bool {
	for name := range h {
		if isCondition(name) {
			return true
		}
	}
	return false
}

func isCondition(name string) bool {
	return strings.HasPrefix(name, "If-") || strings.HasPrefix(name, "X-Amz-If-")
}

// readThrough asks the new store, and for what it does not have the old ones.
func (x *exchange) readThrough() error {
	c, err := x.call()
	if err != nil {
		return err
	}
	return x.readThroughWith(c)
}

func (x *exchange) readThroughWith(c upstream.Call) error {
	job := x.copies.begin(x.way.object(x.target.Bucket, x.target.Key))
	defer job.end()
	resp, from, err := x.either(x.way, c)
	if err != nil {
		return x.unanswered(err)
	}
	if !x.keeps(resp, from) {
		return x.answer(resp, from)
	}
	keep := x.keep(resp, from, job)
	defer keep.end()
	resp.Body = keep
	return x.answer(resp, from)
}

// either asks the new store of a mirror, and then the old ones, until one has what is asked for. If none has, the answer is the new one's.
// Of any other way it asks one of the stores.
func (x *exchange) either(w *way, c upstream.Call) (*http.Response, *upstream.Upstream, error) {
	ctx := x.r.Context()
	if !w.mirrors() {
		return x.ask(ctx, w.group, c)
	}
	resp, from, err := x.ask(ctx, w.only(w.newest()), c)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		return resp, from, err
	}
	old, store, err := x.older(ctx, w, c)
	if err != nil || old != nil {
		resp.Body.Close()
		return old, store, err
	}
	return resp, from, nil
}

// older asks the old stores of a mirror, until one has what is asked for. There is no answer if none has.
func (x *exchange) older(ctx context.Context, w *way, c upstream.Call) (*http.Response, *upstream.Upstream, error) {
	for _, u := range w.group.Upstreams()[1:] {
		resp, from, err := x.ask(ctx, w.only(u), c)
		if err != nil || resp.StatusCode != http.StatusNotFound && !ofOneStore(c, resp.StatusCode) {
			return resp, from, err
		}
		resp.Body.Close()
	}
	return nil, nil, nil
}

// ofOneStore says whether a failure of an old store may be since the call is about a version, which it does not know.
func ofOneStore(c upstream.Call, status int) bool {
	query, err := url.ParseQuery(c.Query)
	return status == http.StatusBadRequest && err == nil && query.Has("versionId")
}

// object is one of a mirror, which is called as clients do.
func (w *way) object(bucket, key string) object {
	return object{w.newest().Name(), w.route.Bucket(bucket), key}
}
