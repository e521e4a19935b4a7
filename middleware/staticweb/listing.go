package staticweb

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/segments"
)

// entrySize is how long one entry of a listing may be, in bytes: a name of 1024 bytes, each escaped, and the rest.
const entrySize = 8 << 10

// oneEntry is how long the only entry of a listing may be, whatever is in it.
const oneEntry = 32 << 10

// list asks for a page of the container's listing. An answer that is no success is returned as one for the client.
func (v *visit) list(query url.Values, limit int) (entries []listing.Entry, refused *reply.Error, err error) {
	res, err := segments.Fetch(v.next, v.request(http.MethodGet, v.path.ContainerPath().String(), query), limit)
	switch {
	case res != nil && !res.OK():
		return nil, answer(res, err), nil
	case err != nil:
		return nil, nil, err
	case len(res.Body) == 0:
		return nil, nil, nil
	}
	if entries, err = listing.Decode(res.Body); err != nil {
		return nil, nil, err
	}
	entries, _ = listing.Visible(entries)
	return entries, nil, nil
}

// listing shows what is in the directory asked for.
func (v *visit) listing() error {
	query, within := v.signature()
	p := page{path: v.path, look: v.look, label: v.label(), query: query, within: within}
	if !meta.Truthy(v.look.listings) {
		v.disabled(p)
		return nil
	}
	params := url.Values{"delimiter": {"/"}}
	if v.path.Object != "" {
		params.Set("prefix", v.path.Object)
	}
	entries, refused, err := v.list(params, v.page*entrySize)
	switch {
	case err != nil:
		return err
	case refused != nil:
		v.refuse(refused)
		return nil
	case v.path.Object != "" && len(entries) == 0:
		v.refuse(reply.Status(http.StatusNotFound))
		return nil
	}
	p.entries = entries
	v.send(http.StatusOK, p.listing)
	return nil
}

// disabled says that the owner does not want listings.
func (v *visit) disabled(p page) {
	if v.look.errors == "" || !v.errorPage(http.StatusNotFound) {
		v.send(http.StatusNotFound, p.disabled)
	}
}

// send sends a page, which is made twice rather than held: first to know its length.
func (v *visit) send(code int, chunks func(yield func([]byte) bool)) {
	length := 0
	for b := range chunks {
		length += len(b)
	}
	h := v.w.Header()
	h["Content-Type"] = []string{reply.TypeHTML}
	h["Content-Length"] = []string{strconv.Itoa(length)}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h[headerGenerator] = []string{"staticweb"}
	v.w.WriteHeader(code)
	if v.r.Method == http.MethodHead {
		return
	}
	for b := range chunks {
		if _, err := v.w.Write(b); err != nil {
			return // the client has gone
		}
	}
}

// label is what a page is a listing of.
func (v *visit) label() string {
	if v.look.label == "" {
		return v.r.URL.Path
	}
	return v.look.label + "/" + v.path.Object
}

// signature returns the query by which the links of a page stay within a signed URL for a prefix, and the prefix.
func (v *visit) signature() (query, prefix string) {
	raw := v.r.URL.RawQuery
	prefix, ok := listing.Param(raw, "temp_url_prefix")
	if !ok || request.From(v.r.Context()).User != request.TempURL {
		return "", ""
	}
	query = "?temp_url_prefix=" + apipath.QuoteAll(prefix)
	for _, name := range []string{"temp_url_expires", "temp_url_sig", "temp_url_ip_range"} {
		if value, ok := listing.Param(raw, name); ok {
			query += "&" + name + "=" + apipath.QuoteAll(value)
		}
	}
	if _, ok := listing.Param(raw, "inline"); ok {
		query += "&inline"
	}
	return query, prefix
}
