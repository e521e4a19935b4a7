package s3gateway

import (
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// A browser's form goes on as a form that the store's key signs, with a policy that allows just what it says. To make a PUT of the file
// would need its length, and that is not known before its end: browsers send fields after it, a button's for one. The form's length
// is that of the client's, less the fields that it had, more those that it has now.

// postForm has a store of the way take the file of a form.
func (x *exchange) postForm() error {
	var err error
	if x.payload, err = x.caller.Body(x.r); err != nil {
		return err
	}
	f := x.caller.Form
	fields := maps.Clone(f.Pass)
	fields["success_action_status"] = "201" // which tells the ETag everywhere
	h := make(http.Header)
	for _, name := range []string{"Origin", "Referer", "User-Agent"} {
		if values := x.r.Header[name]; values != nil {
			h[name] = values
		}
	}
	resp, from, err := x.send(upstream.Call{
		Method: http.MethodPost, Bucket: x.way.route.Bucket(x.target.Bucket), Header: h, Body: x.payload.Reader, Length: x.payload.Length,
		Token: x.caller.Token, Identity: x.caller.Identity.Name, ClientBucket: x.target.Bucket,
		Form: &upstream.Form{Fields: fields, Boundary: f.Boundary, Least: f.Least, Most: f.Most, Expires: f.Expires},
	})
	if err != nil {
		return x.unanswered(err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return x.answer(resp, from)
	}
	return x.posted(resp, from)
}

// posted answers as the form wants it.
func (x *exchange) posted(resp *http.Response, from *upstream.Upstream) error {
	defer resp.Body.Close()
	x.asked = from.Name()
	etag := resp.Header.Get("Etag")
	var document struct{ ETag string }
	// The object is stored, whatever the document is.
	if text, err := io.ReadAll(io.LimitReader(resp.Body, small)); err == nil && etag == "" && xml.Unmarshal(text, &document) == nil {
		etag = document.ETag
	}
	if etag = strings.Trim(etag, `"`); etag != "" {
		etag = `"` + etag + `"` // which some stores leave out here
		resp.Header.Set("Etag", etag)
	}
	x.head(resp, from)
	h, f := x.w.Header(), x.caller.Form
	key := f.Fields["key"]
	h.Del("Content-Type")
	h.Del("Content-Length")
	status, location, text := f.Answer(x.target.Bucket, key, etag, baseOf(x.r, x.target.Bucket, x.target.VirtualHost)+apipath.Quote("/"+key))
	h.Set("Location", location)
	switch {
	case text != nil:
		x.write(status, text)
	case status == http.StatusNoContent:
		x.begin(status)
	default:
		h.Set("Content-Length", "0")
		x.begin(status)
	}
	return nil
}
