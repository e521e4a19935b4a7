package s3api

import (
	"cmp"
	"encoding/xml"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
)

type copyResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
	LastModified string   `xml:"LastModified"`
	ETag         string   `xml:"ETag"`
	checksumXML
	ChecksumType string `xml:"ChecksumType,omitempty"`
}

// copySource reads x-amz-copy-source: bucket and key, encoded, and maybe a version.
func (x *exchange) copySource() (resource, error) {
	value := x.r.Header.Get("X-Amz-Copy-Source")
	invalid := func(text string) (resource, error) {
		return resource{}, s3err.InvalidArgument.Say(text, "ArgumentName", "x-amz-copy-source", "ArgumentValue", value)
	}
	path, rawQuery, hasQuery := strings.Cut(value, "?")
	path = strings.TrimPrefix(apipath.Unquote(path), "/")
	var src resource
	src.bucket, src.key, _ = strings.Cut(path, "/")
	if src.bucket == "" || src.key == "" {
		return invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	if hasQuery {
		q, err := url.ParseQuery(rawQuery)
		if err != nil || len(q) != 1 || len(q["versionId"]) != 1 {
			return invalid("Unsupported copy source parameter.")
		}
		if src.version = q.Get("versionId"); src.version == "" {
			return invalid("Version id cannot be the empty string")
		}
	}
	if !validKey(src.key) {
		return resource{}, s3err.InvalidURI.With("URI", value)
	}
	if !validBucketName(src.bucket, x.config.DNSCompliantBucketNames) {
		return resource{}, s3err.InvalidBucketName.With("BucketName", src.bucket)
	}
	if src.version != "" && src.version != "null" && !x.features().versioning {
		return resource{}, s3err.NotImplemented.Say("Versioning is not implemented")
	}
	if src.version != "" && !validVersion(src.version) {
		return resource{}, invalidVersion("x-amz-copy-source", value)
	}
	return src, nil
}

// validKey says whether an object can have the name.
func validKey(key string) bool { return apipath.ValidUTF8(key, false) }

// source finds the source of a copy: it must be there, allowed, whose the client says, and as the client's conditions want it.
func (x *exchange) source() (resource, *answer, error) {
	src, err := x.copySource()
	if err != nil {
		return src, nil, err
	}
	if want := x.r.Header.Get("X-Amz-Source-Expected-Bucket-Owner"); want != "" {
		if err := x.checkOwner(src.bucket, want); err != nil {
			return src, nil, err
		}
	}
	h := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := meta.Value(x.r.Header, "X-Amz-Copy-Source-"+name); v != "" {
			h[name] = []string{v}
		}
	}
	readConditions(h)
	c := call{method: head, on: src, header: h, judged: true}
	resp, err := x.ask(c)
	if s3err.From(err).Code == s3err.NotModified {
		return src, nil, s3err.PreconditionFailed.With("Condition", "x-amz-copy-source-If-None-Match or x-amz-copy-source-If-Modified-Since")
	}
	if err != nil {
		if resp != nil && isMarker(resp.Header) && src.version != "" {
			err = s3err.InvalidRequest.Say("The source of a copy request may not specifically refer to a delete marker by version id.")
		}
		return src, nil, err
	}
	return src, fromSwift(resp.Header), nil
}

// copyObject copies within the account. The headers are those of the new object.
func (x *exchange) copyObject(h http.Header) error {
	if x.r.Header.Get("X-Amz-Copy-Source-Range") != "" {
		return s3err.InvalidArgument.Say("Illegal copy header", "ArgumentName", "x-amz-copy-source-range",
			"ArgumentValue", x.r.Header.Get("X-Amz-Copy-Source-Range"))
	}
	if x.r.ContentLength > 0 || x.payload().Streaming() {
		return s3err.InvalidRequest.Say("A copy request has no body")
	}
	replace := false
	switch v := x.r.Header.Get("X-Amz-Metadata-Directive"); v {
	case "", "COPY":
	case "REPLACE":
		replace = true
	default:
		return s3err.InvalidArgument.Say("Unknown metadata directive.", "ArgumentName", "x-amz-metadata-directive", "ArgumentValue", v)
	}
	src, a, err := x.source()
	if err != nil {
		return err
	}
	if src.bucket == x.bucket && src.key == x.key && src.version == "" && !replace {
		return s3err.InvalidRequest.Say("This copy request is illegal because it is trying to copy an object to itself without changing " +
			"the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	sum, err := x.sumOfCopy(a)
	if err != nil {
		return err
	}
	resp, err := x.copyFrom(src, a, h, replace, sum)
	if err != nil {
		return x.unmet(err, h)
	}
	stored := a.checksum
	if sum != nil {
		stored = sum.stored()
	}
	return x.copied(src, resp, stored)
}

// A copySum is the checksum of a copy, which is known when all of it has been read.
type copySum struct {
	hash.Hash
	algorithm checksum.Algorithm
}

func (s *copySum) stored() string {
	return storedChecksum(checksum.Of(s.algorithm, s.Hash), checksum.FullObject)
}

// sumOfCopy is the checksum that has to be made of a copy: the one that the client asks for or, where the source has one that is made of
// its parts', one of its kind. Nil if the source's is true of the copy, too, or if there is none.
func (x *exchange) sumOfCopy(a *answer) (*copySum, error) {
	algorithm, _, _, has := parseStoredChecksum(a.checksum)
	if name := x.r.Header.Get("X-Amz-Checksum-Algorithm"); name != "" {
		wanted, err := checksum.Parse(name)
		if err != nil {
			return nil, err
		}
		if wanted != algorithm || a.large {
			return &copySum{wanted.New(), wanted}, nil
		}
	}
	if !has || !a.large {
		return nil, nil
	}
	return &copySum{algorithm.New(), algorithm}, nil
}

// copyFrom has Swift copy the source that the client's conditions were about, and makes the checksum, if it is not nil.
func (x *exchange) copyFrom(src resource, a *answer, h http.Header, replace bool, sum *copySum) (*swiftAnswer, error) {
	if !replace {
		for name := range h {
			if !strings.HasPrefix(name, "X-Object-Sysmeta-") && !strings.HasPrefix(name, "X-Backend-") {
				delete(h, name)
			}
		}
	} else {
		h.Set("X-Fresh-Metadata", "true")
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "binary/octet-stream")
		}
	}
	// What was written of the source's parts is not true of the copy, which is in one piece.
	for _, name := range []string{sysmetaETag, sysmetaUpload, sysmetaChecksum} {
		if a.swift[strings.ToLower(name)] != "" && (a.large || name != sysmetaChecksum) {
			h.Set(name, "")
		}
	}
	h.Set("X-Copy-From", src.quoted())
	h.Set("Content-Length", "0")
	h.Set("If-Match", `"`+a.etag+`"`)
	readConditions(h)
	h.Set(etagIsAt, etagsAt)
	c := call{method: put, on: x.resource, header: h, query: url.Values{}, source: src}
	if src.version != "" {
		c.query.Set("version-id", src.version)
	}
	r := x.newRequest(c)
	if sum != nil {
		state := request.From(r.Context())
		state.Copied = sum
		state.Footers = append(state.Footers, func(footer http.Header) { footer.Set(sysmetaChecksum, ofSize(sum.stored(), a.size)) })
	}
	return x.answerOf(c, r)
}

// copied answers with what was copied, and its checksum as it is stored.
func (x *exchange) copied(src resource, resp *swiftAnswer, stored string) error {
	a := fromSwift(resp.Header)
	at := x.clock.Now().UTC().Truncate(time.Second)
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		at = t
	}
	h := x.w.Header()
	h.Set("Last-Modified", at.Format(http.TimeFormat))
	setAmz(h, "x-amz-version-id", a.version)
	setAmz(h, "x-amz-copy-source-version-id", cmp.Or(resp.Header.Get("X-Copied-From-Version-Id"), src.version))
	result := copyResult{LastModified: at.Format("2006-01-02T15:04:05.000Z"), ETag: `"` + a.etag + `"`}
	if algorithm, value, kind, ok := parseStoredChecksum(stored); ok {
		result.set(algorithm, value)
		result.ChecksumType = kind
	}
	return x.document(result)
}
