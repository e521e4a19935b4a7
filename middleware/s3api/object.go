package s3api

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/internal/s3err"
)

// getObject streams the object, or a part of it.
func (x *exchange) getObject() error {
	c, err := x.readCall()
	if err != nil {
		return err
	}
	if err := x.checkVersion(); err != nil {
		return err
	}
	if x.query.has("partNumber") {
		return x.getPart(c)
	}
	return x.stream(c, 0)
}

// stream forwards the answer to the client. A status that is not 0 replaces that of a success.
func (x *exchange) stream(c call, status int) error {
	if status != 0 {
		defer func(w http.ResponseWriter) { x.w = w }(x.w)
		x.w = respw.OnHeader(x.w, func(code int, _ http.Header) int {
			if code == http.StatusOK {
				return status
			}
			return code
		})
	}
	var failed http.Header
	err := x.forward(c, func(code int, h http.Header) {
		a := &answer{header: make(http.Header, len(h))}
		a.read(h)
		clear(h)
		for k, v := range a.header {
			h[k] = v
		}
		x.decorate(h, a, code)
	}, &failed)
	if err != nil && isMarker(failed) {
		return x.markerError(err, failed)
	}
	return err
}

// decorate adds to an answer what the request asks for.
func (x *exchange) decorate(h http.Header, a *answer, code int) {
	h.Set("Accept-Ranges", "bytes")
	if code == http.StatusNotModified {
		noLength(h)
	}
	for name, values := range x.query.Values {
		if header, ok := strings.CutPrefix(name, "response-"); ok && responseHeaders[header] {
			h.Set(header, values[0])
		}
	}
	// A checksum of the whole would not fit a part of it.
	if code == http.StatusOK && a.checksum != "" && x.wantsChecksum() {
		showChecksum(h, a.checksum)
	}
}

func (x *exchange) wantsChecksum() bool {
	return strings.EqualFold(x.r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED")
}

// responseHeaders are those that a client may have replaced.
var responseHeaders = map[string]bool{
	"cache-control": true, "content-disposition": true, "content-encoding": true, "content-language": true,
	"content-type": true, "expires": true,
}

// readCall makes the call of a GET or HEAD.
func (x *exchange) readCall() (call, error) {
	for name, values := range x.query.Values {
		header, ok := strings.CutPrefix(name, "response-")
		switch {
		case !ok || !responseHeaders[header]:
		case x.sig == nil:
			return call{}, s3err.InvalidRequest.Say("Request specific response headers cannot be used for anonymous GET requests.")
		case strings.ContainsFunc(values[0], control):
			return call{}, s3err.InvalidArgument.With("ArgumentName", name, "ArgumentValue", values[0])
		}
	}
	h := http.Header{}
	in := x.r.Header
	for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if v := meta.Value(in, name); v != "" {
			h[name] = []string{v}
		}
	}
	readConditions(h)
	return call{method: x.r.Method, on: x.resource, header: h, query: url.Values{}, judged: true}, nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// checkVersion says whether the bucket can have the version that is asked for.
func (x *exchange) checkVersion() error {
	if x.version == "" || x.version == "null" {
		return nil
	}
	info, err := x.container(x.bucket)
	if err != nil {
		return err
	}
	if info.Sysmeta["versions-container"] == "" {
		return s3err.NoSuchVersion.With("Key", x.key, "VersionId", x.version)
	}
	return nil
}

// headObject answers HEAD, also with a range, which Swift does not do.
func (x *exchange) headObject() error {
	c, err := x.readCall()
	if err != nil {
		return err
	}
	if err := x.checkVersion(); err != nil {
		return err
	}
	if x.query.has("partNumber") {
		return x.getPart(c)
	}
	wanted := c.header.Get("Range")
	c.header.Del("Range")
	resp, err := x.try(c)
	if err != nil {
		return err
	}
	if !resp.OK() && resp.Code != http.StatusNotModified {
		err := x.swiftError(c, resp.Code, nil)
		if isMarker(resp.Header) {
			return x.markerError(err, resp.Header)
		}
		return err
	}
	a := fromSwift(resp.Header)
	code := resp.Code
	if set, ok := ranges.Parse(wanted); ok && resp.OK() {
		parts, err := set.Resolve(a.size)
		switch {
		case err != nil:
			return s3err.InvalidRange.With("RangeRequested", wanted, "ActualObjectSize", strconv.FormatInt(a.size, 10))
		case len(parts) == 1:
			code = http.StatusPartialContent
			a.header.Set("Content-Range", parts[0].ContentRange(a.size))
			a.header.Set("Content-Length", strconv.FormatInt(parts[0].Len(), 10))
		}
	}
	x.head(a, code)
	return nil
}

// head sends the head of an object.
func (x *exchange) head(a *answer, code int) {
	h := x.w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	x.decorate(h, a, code)
	x.w.WriteHeader(code)
}

// isMarker says whether an answer 404 is due to a delete marker.
func isMarker(h http.Header) bool { return fromSwift(h).marker }

// markerError adds to the error of an object what there is of its delete marker.
func (x *exchange) markerError(err error, h http.Header) error {
	a := fromSwift(h)
	e := s3err.From(err)
	if x.version != "" {
		e = s3err.MethodNotAllowed.With("Method", x.r.Method, "ResourceType", "DeleteMarker").WithHeader("Allow", "DELETE")
		if v := a.header.Get("Last-Modified"); v != "" {
			e = e.WithHeader("Last-Modified", v)
		}
	}
	e = e.WithHeader("x-amz-delete-marker", "true")
	if a.version != "" {
		e = e.WithHeader("x-amz-version-id", a.version)
	}
	return e
}

// getPart answers GET and HEAD of one part of a multipart upload. Any other object is one part.
func (x *exchange) getPart(c call) error {
	n, err := strconv.Atoi(x.query.get("partNumber"))
	switch {
	case err != nil || n < 1 || n > 10000:
		return s3err.InvalidArgument.Say("Part number must be an integer between 1 and 10000, inclusive",
			"ArgumentName", "partNumber", "ArgumentValue", x.query.get("partNumber"))
	case c.header.Get("Range") != "":
		return s3err.InvalidRequest.Say("Cannot specify both Range header and partNumber query parameter")
	}
	c.query.Set("part-number", strconv.Itoa(n))
	probe := c
	probe.method = http.MethodHead
	r, segment := x.newRequest(probe), ""
	request.From(r.Context()).Segment = &segment
	resp, err := x.tried(probe, r)
	if err != nil {
		return err
	}
	if resp.Code == http.StatusRequestedRangeNotSatisfiable {
		return s3err.InvalidPartNumber.With("PartNumberRequested", strconv.Itoa(n))
	}
	if !resp.OK() && resp.Code != http.StatusNotModified {
		return x.swiftError(probe, resp.Code, nil)
	}
	a := fromSwift(resp.Header)
	if a.large || !resp.OK() {
		x.showChecksumOfPart(a, segment)
		if x.r.Method == http.MethodHead {
			x.head(a, resp.Code)
			return nil
		}
		return x.stream(c, 0)
	}
	if n > 1 {
		return s3err.InvalidPartNumber.With("PartNumberRequested", strconv.Itoa(n))
	}
	c.query.Del("part-number")
	if a.size > 0 {
		x.w.Header().Set("Content-Range", "bytes 0-"+strconv.FormatInt(a.size-1, 10)+"/"+strconv.FormatInt(a.size, 10))
	}
	if x.r.Method == http.MethodHead {
		x.head(a, http.StatusPartialContent)
		return nil
	}
	return x.stream(c, http.StatusPartialContent)
}

// showChecksumOfPart adds the checksum of a part to the answer, if it is wanted, and if the object has one of its kind.
func (x *exchange) showChecksumOfPart(a *answer, segment string) {
	whole, _, kind, ok := parseStoredChecksum(a.checksum)
	if !ok || segment == "" || !x.wantsChecksum() {
		return
	}
	part := segmentResource(segment)
	if !x.resource.covers(part) {
		return // a manifest made by other means, whose segments the client need not be allowed to see
	}
	resp, err := x.ask(call{method: head, on: part})
	if err != nil {
		return // the answer is as good without it
	}
	if algorithm, value, _, ok := parseStoredChecksum(resp.Header.Get(sysmetaChecksum)); ok && algorithm == whole {
		showChecksum(x.w.Header(), string(algorithm)+"="+value+";"+kind)
	}
}

// putObject stores the body, or copies another object.
func (x *exchange) putObject() error {
	if utf8.RuneCountInString(x.key) > x.limits.MaxObjectNameLength || len(x.key) > x.limits.MaxObjectNameLength {
		return s3err.KeyTooLong.With("Size", strconv.Itoa(len(x.key)), "MaxSizeAllowed", strconv.Itoa(x.limits.MaxObjectNameLength))
	}
	h, err := x.objectHeaders()
	if err != nil {
		return err
	}
	_, copies := x.r.Header["X-Amz-Copy-Source"]
	if err := x.writeConditions(h, copies); err != nil {
		return err
	}
	if err := x.acl.forObject(x, h); err != nil {
		return err
	}
	if copies {
		return x.copyObject(h)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "binary/octet-stream")
	}
	u, err := x.upload()
	if err != nil {
		return err
	}
	if u.length < 0 && x.r.ContentLength < 0 && len(x.r.TransferEncoding) == 0 {
		return s3err.MissingContentLength.With()
	}
	if u.md5 != "" {
		h.Set("Etag", u.md5)
	}
	resp, err := x.store(call{method: put, on: x.resource, header: h, body: u, length: u.length}, u)
	if err != nil {
		return x.unmet(err, h)
	}
	a := fromSwift(resp.Header)
	out := x.w.Header()
	out["ETag"] = a.header["ETag"]
	out["Last-Modified"] = a.header["Last-Modified"]
	setAmz(out, "x-amz-version-id", a.version)
	if v, ok := u.checksum(); ok {
		showChecksum(out, storedChecksum(v, checksum.FullObject))
	}
	return x.finish(http.StatusOK)
}

// store sends a PUT with the client's body, and keeps its checksum with it: one in the head as it is, one in a trailer when
// it has come, and either with the size.
func (x *exchange) store(c call, u *upload) (*swiftAnswer, error) {
	if u.sum.Algorithm != "" && c.length >= 0 {
		c.header.Set(sysmetaChecksum, ofSize(storedChecksum(u.sum, checksum.FullObject), c.length))
	}
	r := x.newRequest(c)
	if u.trailer != "" || c.length < 0 {
		state := request.From(r.Context())
		state.Footers = append(state.Footers, func(footer http.Header) {
			if v, ok := u.checksum(); ok {
				footer.Set(sysmetaChecksum, ofSize(storedChecksum(v, checksum.FullObject), u.n))
			}
		})
	}
	return x.answerOf(c, r)
}
