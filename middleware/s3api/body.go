package s3api

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checked"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

// An upload is the client's body, out of its chunks and checked against everything that the client says of it: if anything
// is wrong, it breaks off before its last byte. Nothing is read of it before the first Read.
type upload struct {
	body   io.Reader
	length int64  // -1 if unknown
	md5    string // Content-MD5 in hexadecimal, "" if not given; whoever stores the body has to check it
	err    error  // why it could not be read to its end
	n      int64  // how much of it has been read

	sum     checksum.Value // given in the head
	chunks  *awschunked.Reader
	trailer checksum.Algorithm // "" if there is none
}

// Read reads the body, and keeps what was wrong with it: whoever reads it for us says only that it broke off.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	u.n += int64(n)
	if err != nil && err != io.EOF && u.err == nil {
		u.err = brokenBody(err)
	}
	return n, err
}

func brokenBody(err error) error {
	if e, ok := errors.AsType[*s3err.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*awserr.Error](err); ok {
		return s3err.From(e)
	}
	return s3err.IncompleteBody.With().Because(err)
}

// checksum returns the checksum that the client has sent, once the body has been read.
func (u *upload) checksum() (checksum.Value, bool) {
	if u.trailer == "" {
		return u.sum, u.sum.Algorithm != ""
	}
	v, err := checksum.ParseValue(u.trailer, u.chunks.Trailer(u.trailer.Header()))
	return v, err == nil
}

// upload takes charge of the client's body. The request must have been allowed.
func (x *exchange) upload() (*upload, error) {
	h := x.r.Header
	u := &upload{length: x.r.ContentLength}
	var err error
	if u.md5, err = contentMD5(h); err != nil {
		return nil, err
	}
	if u.sum, _, err = checksum.FromHeader(h); err != nil {
		return nil, err
	}
	if sum, err := hex.DecodeString(u.md5); err == nil && u.sum.Algorithm == "" && len(sum) > 0 &&
		strings.EqualFold(h.Get("X-Amz-Sdk-Checksum-Algorithm"), string(checksum.MD5)) {
		u.sum = checksum.Value{Algorithm: checksum.MD5, Sum: string(sum)} // some SDKs send it where it has always been
	}
	var checks []checked.Check
	if u.sum.Algorithm != "" {
		checks = append(checks, u.sum.Check())
	}
	payload := x.payload()
	switch {
	case payload.Streaming():
		if err := x.decode(u, payload); err != nil {
			return nil, err
		}
	case len(h["X-Amz-Trailer"]) > 0 || awsChunked(h):
		return nil, s3err.InvalidRequest.Say("x-amz-content-sha256 does not say that the body is in chunks of aws-chunked")
	default:
		if c := payload.Check(); c != nil {
			checks = append(checks, c)
		}
		u.body = x.r.Body
	}
	if len(checks) > 0 {
		u.body = checked.NewReader(u.body, checks...)
	}
	return u, checkAlgorithm(h, u)
}

// payload is what the signature says of the body. That of version 2 says nothing.
func (x *exchange) payload() sigv4.Payload {
	if x.sig == nil || x.sig.v4 == nil {
		unsigned, _ := sigv4.ParsePayload(sigv4.UnsignedPayload) // a constant
		return unsigned
	}
	return x.sig.v4.Payload
}

// decode takes the body out of its chunks.
func (x *exchange) decode(u *upload, payload sigv4.Payload) error {
	h := x.r.Header
	length, err := strconv.ParseUint(h.Get("X-Amz-Decoded-Content-Length"), 10, 63)
	if err != nil {
		return s3err.MissingContentLength.With()
	}
	o := awschunked.Options{Length: int64(length), HasTrailer: payload.HasTrailer()}
	if o.Trailers, err = awschunked.ParseTrailers(h["X-Amz-Trailer"]); err != nil {
		return err
	}
	if len(o.Trailers) > 0 && !o.HasTrailer {
		return s3err.InvalidRequest.Say("The value specified in the x-amz-trailer header is not supported")
	}
	for _, name := range o.Trailers {
		if a, is, _ := checksum.OfHeader(name); is {
			u.trailer = a
		}
	}
	if u.trailer != "" && u.sum.Algorithm != "" {
		return s3err.InvalidRequest.Say("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	if payload.ChunksSigned() {
		o.Chain = x.sig.v4.Chain(x.sig.key)
	}
	u.chunks = awschunked.NewReader(x.r.Body, o)
	u.body, u.length = u.chunks, int64(length)
	return nil
}

func awsChunked(h http.Header) bool {
	for _, v := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(coding), "aws-chunked") {
				return true
			}
		}
	}
	return false
}

// checkAlgorithm refuses a client that announces a checksum and sends none, or another one.
func checkAlgorithm(h http.Header, u *upload) error {
	name := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	if name == "" {
		return nil
	}
	a, err := checksum.Parse(name)
	if err != nil {
		return err
	}
	switch {
	case u.sum.Algorithm == "" && u.trailer == "":
		return s3err.InvalidRequest.Say("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case u.sum.Algorithm != a && u.trailer != a:
		return s3err.InvalidRequest.Say("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

// contentMD5 reads Content-MD5.
func contentMD5(h http.Header) (string, error) {
	lines, ok := h["Content-Md5"]
	if !ok {
		return "", nil
	}
	text := strings.TrimFunc(lines[0], func(r rune) bool { return r <= ' ' })
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sum) != md5.Size {
		return "", s3err.InvalidDigest.With("Content-MD5", text)
	}
	return hex.EncodeToString(sum), nil
}

// read returns the whole body of an operation that takes a document.
func (x *exchange) read(max int64) ([]byte, error) {
	u, err := x.upload()
	if err != nil {
		return nil, err
	}
	return u.all(max)
}

// all returns the whole body, checked. It is read only if it may be short enough.
func (u *upload) all(max int64) ([]byte, error) {
	if u.length > max {
		u.drain()
		return nil, s3err.MalformedXML.With()
	}
	body, err := io.ReadAll(io.LimitReader(u, max+1))
	switch {
	case u.err != nil:
		return nil, u.err
	case err != nil:
		return nil, err
	case int64(len(body)) > max:
		u.drain()
		return nil, s3err.MalformedXML.With()
	}
	sum := md5.Sum(body)
	if u.md5 != "" && subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(u.md5)) != 1 {
		return nil, s3err.BadDigest.With("CalculatedDigest", base64.StdEncoding.EncodeToString(sum[:]))
	}
	return body, nil
}

// drained is how much of a document that is too long is read and forgotten.
const drained = 128 << 20

// drain reads on, within bounds: most clients hear why they are refused only when they have sent everything.
func (u *upload) drain() { _, _ = io.CopyN(io.Discard, u, drained) }

// readXML reads the document that the operation takes. It must be there.
func (x *exchange) readXML(v any) error {
	body, err := x.read(x.op.max)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return s3err.MissingRequestBody.With()
	}
	return parseXML(body, v)
}

func parseXML(body []byte, v any) error {
	if err := s3xml.Decode(body, v); err != nil {
		return s3err.MalformedXML.With().Because(err)
	}
	return nil
}
