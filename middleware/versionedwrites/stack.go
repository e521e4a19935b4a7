package versionedwrites

import (
	"encoding/json"
	"iter"
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
)

// A kept is an entry of the listing of copies.
type kept struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
}

func (k kept) marker() bool { return k.ContentType == markerType }

// maxPage bounds one page of the listing of copies, in bytes: 10,000 names, each escaped, and as much for the rest.
const maxPage = 128 << 20

// copies lists the copies of the object, newest first. An error ends it.
func (c *legacyCall) copies() iter.Seq2[kept, error] {
	return func(yield func(kept, error) bool) {
		marker := ""
		for {
			page, err := c.page(marker)
			if err != nil {
				yield(kept{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, k := range page {
				if !yield(k, nil) {
					return
				}
			}
			last := page[len(page)-1].Name
			if last == marker {
				return // a node that goes round in circles
			}
			marker = last
		}
	}
}

// page lists copies that are older than marker.
func (c *legacyCall) page(marker string) ([]kept, error) {
	query := url.Values{"format": {"json"}, "prefix": {c.prefix()}, "marker": {marker}, "reverse": {"on"}}
	res, err := segments.Fetch(c.next, c.request(c.r, http.MethodGet, c.copied("").ContainerPath(), query, nil), maxPage)
	switch {
	case err != nil:
		return nil, reply.Status(http.StatusInternalServerError).Because(err)
	case res.Code == http.StatusNotFound || res.Code == http.StatusNoContent:
		return nil, nil
	case res.Code >= 400 && res.Code < 500:
		return nil, reply.Status(http.StatusPreconditionFailed)
	case !res.OK():
		return nil, reply.Status(http.StatusInternalServerError)
	}
	var page []kept
	if err := json.Unmarshal(res.Body, &page); err != nil {
		return nil, reply.Status(http.StatusInternalServerError).Because(err)
	}
	return page, nil
}

// pop is a deletion that brings the latest copy back. The error is the client's answer.
func (c *legacyCall) pop() error {
	next, stop := iter.Pull2(c.copies())
	defer stop()
	for {
		k, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			c.next.ServeHTTP(c.w, c.r) // no copy: an ordinary deletion
			return nil
		}
		if k.marker() {
			return c.popMarker(k, next)
		}
		back, err := c.restore(k)
		if err != nil {
			return err
		}
		if back {
			// The deletion the client hears of is that of the copy.
			c.next.ServeHTTP(c.w, c.request(c.r, http.MethodDelete, c.copied(k.Name), nil, nil))
			return nil
		}
	}
}

// popMarker is a deletion where the latest copy says that the object was deleted: it had been in history mode before.
func (c *legacyCall) popMarker(marker kept, next func() (kept, error, bool)) error {
	head := c.send(c.request(c.r, http.MethodHead, c.path, nil, http.Header{"X-Newest": {"True"}}))
	if head.Code != http.StatusNotFound {
		if err := c.check(head); err != nil {
			return err
		}
		// The object is newer than the marker. Without it, things are as the marker says.
		c.next.ServeHTTP(c.w, c.r)
		return nil
	}
	for {
		k, err, ok := next()
		if err != nil {
			return err
		}
		if !ok || k.marker() {
			break
		}
		back, err := c.restore(k)
		if err != nil {
			return err
		}
		if !back {
			continue
		}
		gone := c.send(c.request(c.r, http.MethodDelete, c.copied(k.Name), nil, nil))
		if gone.Code != http.StatusNotFound {
			if err := c.check(gone); err != nil {
				return err
			}
		}
		break
	}
	c.next.ServeHTTP(c.w, c.request(c.r, http.MethodDelete, c.copied(marker.Name), nil, nil))
	return nil
}

// restore copies a copy back, unless it is not there any more.
func (c *legacyCall) restore(k kept) (bool, error) {
	return c.copy(c.r, c.copied(k.Name), func(http.Header) (apipath.Path, bool) { return c.path, true })
}
