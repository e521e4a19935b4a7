package s3api

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/segments"
)

// The key of a listing's entry, and the parameter of its hash, that hold the ETag of a multipart upload.
const keyETag = "s3_etag"

// maxListing is the size of the largest listing of the Swift API that is looked at.
const maxListing = 1024 * 10000 * 2

// isContainer says whether a path of the Swift API is that of a container.
func (f *filter) isContainer(path string) bool {
	var names [4]string
	s, err := apipath.SplitRest(names[:0], path, 3, 4)
	return err == nil && (len(s) < 4 || s[3] == "") && apipath.ValidVersion(s[0], f.limits.ValidAPIVersions)
}

// swiftListing answers the GET of a container by the Swift API: in its listing, the ETags of multipart uploads have a key of
// their own, as clients of Swift know it.
func (f *filter) swiftListing(w http.ResponseWriter, r *http.Request) {
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
	if bytes.Contains(body, []byte(keyETag)) {
		body = splitETags(body)
	}
	maps.Copy(w.Header(), res.Header)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(res.Code)
	_, _ = w.Write(body) // if the client has gone there is nobody to tell
}

func splitETags(body []byte) []byte {
	entries, err := listing.Decode(body)
	if err != nil {
		return body
	}
	for i := range entries {
		hash, _ := entries[i].Text(listing.KeyHash)
		if rest, etag, ok := cutParam(hash, keyETag); ok {
			entries[i].SetText(listing.KeyHash, rest)
			entries[i].SetText(keyETag, `"`+etag+`"`)
		}
	}
	return listing.Append(nil, entries)
}

// cutParam takes a parameter out of a hash: "hash; s3_etag=md5-3".
func cutParam(hash, name string) (rest, found string, ok bool) {
	if !strings.Contains(hash, name) {
		return hash, "", false
	}
	rest, params, _ := strings.Cut(hash, ";")
	rest = strings.TrimSpace(rest)
	for p := range strings.SplitSeq(params, ";") {
		key, value, has := strings.Cut(p, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case !has:
		case key == name:
			found, ok = value, true
		default:
			rest += "; " + key + "=" + value
		}
	}
	return rest, found, ok
}

// listedETag is the ETag of an entry, as S3 has it.
func listedETag(e listing.Entry) string {
	hash, _ := e.Text(listing.KeyHash)
	for _, kind := range []struct{ name, suffix string }{{keyETag, ""}, {"slo_etag", "-N"}} {
		tag, ok := e.Text(kind.name)
		if !ok {
			_, tag, ok = cutParam(hash, kind.name)
		}
		if ok {
			return `"` + strings.Trim(tag, `"`) + kind.suffix + `"`
		}
	}
	return `"` + strings.Trim(hash, `"`) + `"`
}
