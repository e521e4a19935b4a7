package symlink

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

// list answers the GET of a container: in its listing, what links refer to has keys of its own.
func (f *filter) list(w http.ResponseWriter, r *http.Request, version, account string) {
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
	if bytes.Contains(body, []byte("symlink_target")) {
		body = showLinks(body, "/"+version+"/"+account+"/")
	}
	maps.Copy(w.Header(), res.Header)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(res.Code)
	_, _ = w.Write(body) // if the client has gone there is nobody to tell
}

// showLinks gives the entries of links their keys, taken out of the hash.
func showLinks(body []byte, account string) []byte {
	entries, err := listing.Decode(body)
	if err != nil {
		return body
	}
	for i := range entries {
		hash, _ := entries[i].Text(listing.KeyHash)
		if strings.Contains(hash, "symlink_target") {
			showLink(&entries[i], hash, account)
		}
	}
	return listing.Append(nil, entries)
}

// showLink takes the parameters of a link out of the hash. Others stay there, for filters further left.
func showLink(e *listing.Entry, hash, account string) {
	rest, params, _ := strings.Cut(hash, ";")
	rest = strings.TrimSpace(rest)
	target := ""
	for p := range strings.SplitSeq(params, ";") {
		key, value, ok := strings.Cut(p, "=")
		if !ok {
			continue
		}
		switch key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value); key {
		case "symlink_target":
			target = value
		case "symlink_target_account":
			version, _, _ := strings.Cut(account[1:], "/")
			account = "/" + version + "/" + value + "/"
		case "symlink_target_etag":
			e.SetText("symlink_etag", value)
		case "symlink_target_bytes":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				e.SetInt("symlink_bytes", n)
			}
		default:
			rest += "; " + key + "=" + value
		}
	}
	e.SetText(listing.KeyHash, rest)
	if target != "" {
		e.SetText("symlink_path", account+target)
	}
}
