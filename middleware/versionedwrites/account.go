package versionedwrites

import (
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/segments"
)

// serveAccount answers a request for an account: a container is listed with the bytes of its versions. Hidden containers
// without the one that they belong to are listed under its name, so that they can be found and removed.
func (o *objects) serveAccount(w http.ResponseWriter, r *http.Request, p apipath.Path) error {
	if r.Method != http.MethodGet {
		o.next.ServeHTTP(w, r)
		return nil
	}
	res, err := segments.Intercept(o.next, w, r, func(code int, h http.Header) (int, bool) { return maxListing, isListing(code, h) })
	if res == nil || err != nil {
		return err
	}
	body := res.Body
	if hidden := o.hiddenContainers(r, p); len(hidden) > 0 {
		if entries, err := listing.Decode(body); err == nil {
			if body, err = o.page(r.URL.RawQuery, addHidden(entries, hidden), listing.Account); err != nil {
				return err
			}
		}
	}
	sendListing(w, res.Code, res.Header, body)
	return nil
}

// hiddenContainers lists those of the page that the client wants. If that fails, the client's listing is shown without.
func (o *objects) hiddenContainers(r *http.Request, p apipath.Path) []listing.Entry {
	query := url.Values{}
	for _, name := range []string{"format", "limit", "delimiter", "reverse", "prefix", "marker", "end_marker"} {
		if v, given := param(r, name); given {
			query.Set(name, v)
		}
	}
	for _, name := range []string{"prefix", "marker", "end_marker"} {
		if v, given := param(r, name); given {
			if hidden, err := hiddenContainer(v); err == nil {
				query.Set(name, hidden)
			}
		}
	}
	if !query.Has("prefix") {
		query.Set("prefix", apipath.Reserved+hiddenPart)
	}
	res, err := segments.Fetch(o.next, o.request(r, http.MethodGet, p, query, http.Header{headerAllowReserved: {"true"}}), maxListing)
	if err != nil || !res.OK() {
		return nil
	}
	entries, err := listing.Decode(res.Body)
	if err != nil {
		return nil
	}
	return entries
}

// addHidden adds hidden containers to the entries of those they belong to.
func addHidden(entries, hidden []listing.Entry) []listing.Entry {
	orphans := map[string]listing.Entry{}
	for _, e := range hidden {
		if name, subdir := e.Name(); !subdir {
			if shown, ok := shownContainer(name); ok {
				orphans[shown] = e
			}
		}
	}
	for i := range entries {
		name, subdir := entries[i].Name()
		h, ok := orphans[name]
		if subdir || !ok {
			continue
		}
		own, _ := entries[i].Int(listing.KeyBytes)
		versions, _ := h.Int(listing.KeyBytes)
		entries[i].SetInt(listing.KeyBytes, own+versions)
		delete(orphans, name)
	}
	for name, e := range orphans {
		e.SetText(listing.KeyName, name)
		e.SetInt(listing.KeyCount, 0) // none of these is current
		entries = append(entries, e)
	}
	return entries
}
