package slo

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
)

// maxListing is the size of the largest listing that is looked at, in bytes: names of 1024, 10,000 a page, and as much for
// the rest.
const maxListing = 1024 * 10000 * 2

// list answers the GET of a container: in its listing, the ETags of large objects have a key of their own.
func (f *filter) list(w http.ResponseWriter, r *http.Request) {
	res, err := segments.Intercept(f.next, w, r, func(code int, h http.Header) (int, bool) {
		kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
		n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		return maxListing, code >= 200 && code < 300 && kind == listing.TypeJSON && err == nil && n <= maxListing
	})
	if res == nil {
		return
	}
	if err != nil {
		reply.Write(w, r, err) // it broke off, and nothing has been sent
		return
	}
	body := res.Body
	if bytes.Contains(body, []byte("slo_etag")) {
		body = splitETags(body)
	}
	maps.Copy(w.Header(), res.Header)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(res.Code)
	_, _ = w.Write(body) // if the client has gone there is nobody to tell
}

// splitETags gives the entries of large objects a key slo_etag, taken out of the hash.
func splitETags(body []byte) []byte {
	entries, err := listing.Decode(body)
	if err != nil {
		return body
	}
	for i := range entries {
		hash, _ := entries[i].Text(listing.KeyHash)
		if !strings.Contains(hash, "slo_etag") {
			continue
		}
		if rest, etag, ok := cutETag(hash); ok {
			entries[i].SetText(listing.KeyHash, rest)
			entries[i].SetText("slo_etag", `"`+etag+`"`)
		}
	}
	return listing.Append(nil, entries)
}

// cutETag takes the parameter slo_etag out of a hash with parameters.
func cutETag(hash string) (rest, etag string, ok bool) {
	rest, params, _ := strings.Cut(hash, ";")
	rest = strings.TrimSpace(rest)
	for p := range strings.SplitSeq(params, ";") {
		key, value, has := strings.Cut(p, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if !has {
			continue
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(value[1 : len(value)-1])
		}
		if key == "slo_etag" {
			etag, ok = value, true
			continue
		}
		rest += "; " + key + "=" + value
	}
	return rest, etag, ok
}
