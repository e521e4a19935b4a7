package s3api

import (
	"mime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/s3err"
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
	status, location, document := f.Answer(x.bucket, x.key, etag, x.location())
	x.w.Header().Set("Location", location)
	if document == nil {
		return x.finish(status)
	}
	x.write(status, typeXML, document)
	return nil
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
