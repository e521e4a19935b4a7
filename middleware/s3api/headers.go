package s3api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
)

// Names of what this filter keeps in system metadata; with the prefix they are those of OpenStack Swift's s3api, but for
// the checksum, which that does not keep. See sysmeta for how they come back.
const (
	sysmetaPrefix   = "X-Object-Sysmeta-S3api-"
	sysmetaETag     = sysmetaPrefix + "Etag"
	sysmetaUpload   = sysmetaPrefix + "Upload-Id"
	sysmetaChecksum = sysmetaPrefix + "Checksum"
	oldPrefix       = "x-object-sysmeta-swift3-" // what the filter was called before
)

// markerType is the content type of delete markers.
const markerType = "application/x-deleted;swift_versions_deleted=1"

// plainHeaders of an object's PUT go on as they came.
var plainHeaders = []string{"Cache-Control", "Content-Disposition", "Content-Language", "Content-Type", "Expires", "X-Robots-Tag"}

// swiftHeaders are of Swift and of use to S3 clients too. The signature must vouch for them.
var swiftHeaders = []string{"X-Delete-At", "X-Delete-After"}

const metaPrefix = "X-Amz-Meta-"

// ignoredInMeta are characters that AWS, and Swift, ignore metadata for in whose name they are. That =5F has stood for an
// underscore is certain only because of it.
const ignoredInMeta = ` "),/;<=>?@[\]{}`

// objectHeaders are the headers of a PUT that stores the object as the client describes it. Nothing else of the client's
// headers is passed on.
func (x *exchange) objectHeaders() (http.Header, error) {
	in, out := x.r.Header, http.Header{}
	for _, name := range plainHeaders {
		if v := meta.Value(in, name); v != "" {
			out.Set(name, v)
		}
	}
	if v := withoutChunked(meta.Value(in, "Content-Encoding")); v != "" {
		out.Set("Content-Encoding", v)
	}
	for name, values := range in {
		if key, ok := strings.CutPrefix(name, metaPrefix); ok && !strings.ContainsAny(key, ignoredInMeta) {
			// Swift takes hyphens and underscores for the same, S3 does not.
			key = "X-Object-Meta-" + strings.ReplaceAll(key, "_", "=5F")
			out[key] = []string{encodeWord(strings.Join(values, ","))}
		}
	}
	for _, name := range swiftHeaders {
		if v := in.Get(name); v != "" {
			if !x.sig.vouches(name) {
				return nil, s3err.AccessDenied.Say("There were headers present in the request which were not signed", "HeadersNotSigned", name)
			}
			out.Set(name, v)
		}
	}
	if err := meta.Check(meta.Object, out, x.limits); err != nil {
		return nil, s3err.MetadataTooLarge.With().Because(err)
	}
	return out, nil
}

// withoutChunked takes aws-chunked out of a Content-Encoding: it is of the transfer, not of the object.
func withoutChunked(value string) string {
	if !strings.Contains(strings.ToLower(value), "aws-chunked") {
		return value
	}
	var left []string
	for coding := range strings.SplitSeq(value, ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
			left = append(left, coding)
		}
	}
	return strings.Join(left, ",")
}

// encodeWord writes text that is not ASCII as RFC 2047 says.
func encodeWord(v string) string {
	encoder := mime.QEncoding
	if strings.Count(v, "")*2 < len(v)*3 {
		encoder = mime.BEncoding // mostly not ASCII
	}
	return strings.NewReplacer("=?UTF-8?q?", "=?UTF-8?Q?", "=?UTF-8?b?", "=?UTF-8?B?").Replace(encoder.Encode("UTF-8", v))
}

// An answer is what Swift says of an object, as far as S3 clients may know.
type answer struct {
	header   http.Header // as S3 has it
	etag     string      // without quotes
	large    bool        // made of segments
	marker   bool        // a delete marker
	version  string      // its id, "" if it has none
	checksum string
	size     int64
	// swift are Swift's own headers, by their name in lower case.
	swift map[string]string
}

// fromSwift reads the headers of an object.
func fromSwift(h http.Header) *answer {
	a := &answer{header: make(http.Header, len(h)), swift: make(map[string]string, len(h))}
	a.read(h)
	return a
}

// read reads the headers; Swift's own are kept where there is a map for them.
func (a *answer) read(h http.Header) {
	stored := ""
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		lower, v := lowerName(name), values[0]
		if a.swift != nil {
			a.swift[lower] = v
		}
		switch lower {
		case "content-type", "content-range", "content-encoding", "content-disposition", "content-language", "last-modified",
			"x-robots-tag", "cache-control", "expires":
			a.header.Set(name, v)
		case "content-length":
			a.header.Set(name, v)
			a.size, _ = strconv.ParseInt(v, 10, 64)
		case "etag":
			a.etag = strings.Trim(v, `"`)
		case "x-static-large-object":
			a.large = meta.Truthy(v)
		case "x-object-version-id":
			a.version = v
		case "x-parts-count":
			a.header["x-amz-mp-parts-count"] = values
		case "x-delete-at":
			a.expires(v)
		case "x-backend-content-type":
			a.marker = v == markerType
		case "x-backend-storage-policy-index": // for the access log; the gatekeeper keeps it from clients
			a.header[name] = values
		default:
			a.other(lower, v, &stored)
		}
	}
	switch {
	case stored != "":
		a.etag = stored
	case a.large && a.etag != "":
		a.etag += "-N" // clients take a hyphen to mean that it is no MD5
	}
	if a.etag != "" {
		a.header["ETag"] = []string{`"` + a.etag + `"`}
	}
	if a.header.Get("Content-Range") == "" && !fits(a.checksum, a.size) {
		a.checksum = ""
	}
	setAmz(a.header, "x-amz-version-id", a.version)
	if a.marker {
		a.header["x-amz-delete-marker"] = []string{"true"}
	}
}

func (a *answer) other(lower, v string, stored *string) {
	if key, ok := strings.CutPrefix(lower, "x-object-meta-"); ok {
		a.header["x-amz-meta-"+strings.ReplaceAll(key, "=5f", "_")] = []string{v}
		return
	}
	if strings.HasPrefix(lower, "access-control-") {
		a.cors(lower, v)
		return
	}
	switch lower {
	case lowerETag:
		*stored = v
	case oldPrefix + "etag":
		if *stored == "" {
			*stored = v
		}
	case lowerChecksum:
		a.checksum = v
	}
}

var (
	lowerETag     = strings.ToLower(sysmetaETag)
	lowerChecksum = strings.ToLower(sysmetaChecksum)
)

// lowerNames are those of the headers that nearly every answer has, so that they need not be made for each.
var lowerNames = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"Accept-Ranges", "Content-Length", "Content-Type", "Date", "Etag", "Last-Modified", "X-Backend-Content-Type",
		"X-Backend-Data-Timestamp", "X-Backend-Durable-Timestamp", "X-Backend-Storage-Policy-Index", "X-Backend-Timestamp",
		"X-Openstack-Request-Id", "X-Timestamp", "X-Trans-Id", sysmetaETag, sysmetaChecksum,
	} {
		m[name] = strings.ToLower(name)
	}
	return m
}()

// lowerName is the name in lower case.
func lowerName(name string) string {
	if lower, ok := lowerNames[name]; ok {
		return lower
	}
	return strings.ToLower(name)
}

// cors passes on what Swift says to browsers, in the words of S3.
func (a *answer) cors(lower, v string) {
	name := http.CanonicalHeaderKey(lower)
	switch lower {
	case "access-control-expose-headers":
		names := strings.Split(v, ", ")
		for i, n := range names {
			if key, ok := strings.CutPrefix(strings.ToLower(n), "x-object-meta-"); ok {
				names[i] = "x-amz-meta-" + strings.ReplaceAll(key, "=5f", "_")
			}
		}
		v = strings.Join(append(names, "x-amz-request-id", "x-amz-id-2"), ", ")
	case "access-control-allow-methods":
		var methods []string
		for m := range strings.SplitSeq(v, ", ") {
			if m != "COPY" {
				methods = append(methods, m)
			}
		}
		v = strings.Join(methods, ", ")
	}
	a.header.Set(name, v)
}

// expires shows when Swift is going to delete the object.
func (a *answer) expires(v string) {
	if seconds, err := strconv.ParseInt(v, 10, 64); err == nil {
		date := time.Unix(seconds, 0).UTC().Format(http.TimeFormat)
		a.header["x-amz-expiration"] = []string{`expiry-date="` + date + `", rule-id="X-Delete-At"`}
	}
}

// setAmz sets a header of AWS's under its name in lower case, as AWS sends it, if there is a value.
func setAmz(h http.Header, name, value string) {
	if value != "" {
		h[name] = []string{value}
	}
}

// storedChecksum is how a checksum is kept: CRC32=base64;FULL_OBJECT, and ;size from ofSize.
func storedChecksum(v checksum.Value, t checksum.Type) string {
	return string(v.Algorithm) + "=" + v.String() + ";" + string(t)
}

// ofSize binds a checksum that is kept to the size of its object. The Swift API copies system metadata with a range of an
// object too: then it is not that of the copy.
func ofSize(stored string, size int64) string { return stored + ";" + strconv.FormatInt(size, 10) }

// fits says whether a checksum that is kept may be that of an object of this size.
func fits(stored string, size int64) bool {
	parts := strings.Split(stored, ";")
	return len(parts) < 3 || parts[2] == strconv.FormatInt(size, 10)
}

// showChecksum adds a stored checksum to the headers of an answer.
func showChecksum(h http.Header, stored string) {
	a, value, kind, ok := parseStoredChecksum(stored)
	if !ok {
		return
	}
	h[a.Header()] = []string{value}
	h["x-amz-checksum-type"] = []string{kind}
}
