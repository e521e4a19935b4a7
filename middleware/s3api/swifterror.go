package s3api

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/s3err"
)

// segmentsSuffix ends the names of containers that hold the parts of multipart uploads.
const segmentsSuffix = "+segments"

// swiftError says what the answer of Swift to a call means to an S3 client. It is the only place that maps statuses.
func (x *exchange) swiftError(c call, code int, text []byte) error {
	if err := x.bodyError(c); err != nil {
		return err // the client's body was wrong, whatever Swift makes of that
	}
	switch code {
	case http.StatusBadRequest:
		return badRequest(string(text))
	case http.StatusUnauthorized, http.StatusForbidden:
		return s3err.AccessDenied.With()
	case http.StatusNotFound:
		return x.notFound(c)
	case http.StatusConflict:
		return conflict(c)
	case http.StatusLengthRequired:
		return s3err.MissingContentLength.With()
	case http.StatusNotModified:
		return s3err.NotModified.With()
	case http.StatusPreconditionFailed:
		if bytes.Contains(text, []byte("Bad URL")) {
			return s3err.InvalidURI.With("URI", x.r.URL.Path)
		}
		return s3err.PreconditionFailed.With()
	case http.StatusRequestEntityTooLarge:
		if bytes.Contains(bytes.ToLower(text), []byte("quota")) {
			return s3err.EntityTooLarge.Say(strings.TrimSpace(string(text)))
		}
		return s3err.EntityTooLarge.With()
	case http.StatusRequestedRangeNotSatisfiable:
		return s3err.InvalidRange.With("RangeRequested", x.r.Header.Get("Range"))
	case http.StatusUnprocessableEntity:
		return s3err.BadDigest.With()
	case http.StatusRequestTimeout, reply.StatusClientDisconnect:
		return s3err.RequestTimeout.With()
	case http.StatusTooManyRequests, 498:
		return x.limitError()
	case http.StatusMethodNotAllowed:
		return s3err.MethodNotAllowed.With("Method", x.r.Method, "ResourceType", c.on.level().String())
	case http.StatusServiceUnavailable, reply.StatusInsufficientStorage:
		return s3err.ServiceUnavailable.With()
	case http.StatusNotImplemented:
		return s3err.NotImplemented.Say("The operation is not implemented")
	}
	return s3err.InternalError.With().Because(reply.Status(code))
}

// bodyError returns why the body of a call could not be read to its end, if that is the client's fault.
func (x *exchange) bodyError(c call) error {
	if b, ok := c.body.(*upload); ok && b.err != nil {
		return b.err
	}
	return nil
}

func badRequest(text string) error {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "<") {
		text = "" // a page that says no more than the status
	}
	for _, header := range []string{"X-Delete-At", "X-Delete-After"} {
		if strings.Contains(text, header) {
			return s3err.InvalidArgument.Say(text, "ArgumentName", header)
		}
	}
	if text == "" {
		return s3err.InvalidRequest.With()
	}
	return s3err.InvalidRequest.Say(text)
}

// notFound tells whether the bucket is missing, or what should be in it.
func (x *exchange) notFound(c call) error {
	switch {
	case c.on.level() == service:
		return s3err.InternalError.With().Because(reply.Status(http.StatusNotFound))
	case c.on.level() == bucket:
		return s3err.NoSuchBucket.With("BucketName", c.on.bucket)
	}
	if !strings.HasSuffix(c.on.bucket, segmentsSuffix) && !x.peek(c.on.bucket).Exists() {
		return s3err.NoSuchBucket.With("BucketName", c.on.bucket)
	}
	if c.on.version != "" {
		return s3err.NoSuchVersion.With("Key", c.on.key, "VersionId", c.on.version)
	}
	if c.method == http.MethodPut {
		return s3err.NoSuchBucket.With("BucketName", c.on.bucket)
	}
	return s3err.NoSuchKey.With("Key", c.on.key)
}

func conflict(c call) error {
	switch {
	case c.on.level() == bucket && c.method == http.MethodDelete:
		return s3err.BucketNotEmpty.With("BucketName", c.on.bucket)
	case c.method == http.MethodGet || c.method == http.MethodHead:
		return s3err.BrokenMPU.With()
	case conditionalWrite(c.header):
		return s3err.ConditionalRequestConflict.With("Condition", "If-Match or If-None-Match", "Key", c.on.key)
	}
	return s3err.ServiceUnavailable.With()
}

// missing says whether an error is that of something that is not there.
func missing(err error) bool {
	return errors.Is(err, s3err.NoSuchKey) || errors.Is(err, s3err.NoSuchVersion)
}

// quoted is a resource as it stands in Location and X-Copy-From: "/bucket/key".
func (r resource) quoted() string { return apipath.Quote("/" + r.bucket + "/" + r.key) }
