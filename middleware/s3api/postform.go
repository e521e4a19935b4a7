package s3api

import (
	"encoding/xml"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

const postObject = "PostObject"

// storeForm stores the file of a form.
func (x *exchange) storeForm(f *form) error {
	if utf8.RuneCountInString(x.key) > x.limits.MaxObjectNameLength || len(x.key) > x.limits.MaxObjectNameLength {
		return s3err.KeyTooLong.With("Size", strconv.Itoa(len(x.key)), "MaxSizeAllowed", strconv.Itoa(x.limits.MaxObjectNameLength))
	}
	h, err := x.objectHeaders()
	if err != nil {
		return err
	}
	if err := x.acl.forObject(x, h); err != nil {
		return err
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	u, err := x.upload()
	if err != nil {
		return err
	}
	if u.md5 != "" {
		h.Set("Etag", u.md5)
	}
	resp, err := x.store(call{method: put, on: x.resource, header: h, body: u, length: -1}, u)
	if err != nil {
		return err
	}
	a := fromSwift(resp.Header)
	out := x.w.Header()
	for name, values := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			out[name] = values // the page that sent the form may want to read the answer
		}
	}
	out["ETag"] = a.header["ETag"]
	setAmz(out, "x-amz-version-id", a.version)
	if v, ok := u.checksum(); ok {
		showChecksum(out, storedChecksum(v, checksum.FullObject))
	}
	return x.posted(f, `"`+a.etag+`"`)
}

// postObject is the answer to a POST to a bucket that is signed as other requests are. That of forms is postForm.
func (x *exchange) postObject() error {
	if kind, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		return s3err.InvalidArgument.Say("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, " +
			"Signature query string parameter or the Authorization header should be specified")
	}
	return s3err.PreconditionFailed.With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
}

// posted answers as the form wants it.
func (x *exchange) posted(f *form, etag string) error {
	h := x.w.Header()
	if target := f.redirect(x.bucket, x.key, etag); target != "" {
		h.Set("Location", target)
		return x.finish(http.StatusSeeOther)
	}
	where := x.location()
	h.Set("Location", where)
	switch f.fields["success_action_status"] {
	case "200":
		return x.finish(http.StatusOK)
	case "201":
		body, err := s3xml.Encode(postResponse{Location: where, Bucket: x.bucket, Key: x.key, ETag: etag})
		if err != nil {
			return err
		}
		x.write(http.StatusCreated, typeXML, body)
		return nil
	}
	return x.finish(http.StatusNoContent)
}

// location is where the object of the exchange is, for clients.
func (x *exchange) location() string {
	scheme, path := "http://", x.resource.quoted()
	if x.r.TLS != nil {
		scheme = "https://"
	}
	if x.hostBucket(x.r) != "" {
		path = apipath.Quote("/" + x.key)
	}
	return scheme + x.r.Host + path
}

type postResponse struct {
	XMLName  xml.Name `xml:"PostResponse"`
	Location string   `xml:"Location"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	ETag     string   `xml:"ETag"`
}

// redirect is where the browser is to go next, "" if the form does not say, or nothing that is a place on the web.
func (f *form) redirect(bucket, key, etag string) string {
	target := f.fields["success_action_redirect"]
	if target == "" {
		target = f.fields["redirect"]
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "bucket=" + url.QueryEscape(bucket) + "&key=" + url.QueryEscape(key) + "&etag=" + url.QueryEscape(etag)
	return u.String()
}

// sizes are the details of an error about a size.
func sizes(limit string, allowed, proposed int64) []string {
	return []string{"ProposedSize", strconv.FormatInt(proposed, 10), limit, strconv.FormatInt(allowed, 10)}
}
