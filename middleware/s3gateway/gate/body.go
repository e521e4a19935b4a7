package gate

import (
	"crypto/md5"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checked"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv4"
)

// A Payload is a request's body, out of its chunks.
type Payload struct {
	// Reader gives neither its last byte nor io.EOF unless everything was right that the client signed or said of the body.
	// Its errors are those of awserr and s3err, or of the connection.
	Reader io.Reader
	// Length is that of the decoded body, -1 if it is unknown.
	Length int64
	// SHA256 is the one that the client gave, "" if it gave none.
	SHA256 string
	// Checksum is the algorithm of the trailer's checksum, "" if there is none.
	Checksum checksum.Algorithm

	watch *watch // nil if the body was found right already
}

// Err is what was wrong with the body, nil if nothing was found wrong so far. An HTTP client that sends the body on reports a
// body that broke off as it likes, perhaps as a fault of the connection.
func (p Payload) Err() error {
	if p.watch == nil {
		return nil
	}
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return p.watch.err
}

// Body returns the request's body. Nothing of it is read but for a body that names keys which the identity may not delete all.
// The request must have been authorised.
func (c *Caller) Body(r *http.Request) (Payload, error) {
	if c.Form != nil {
		return c.Form.body(r)
	}
	p := Payload{Length: r.ContentLength, Reader: r.Body}
	if r.Body == nil {
		p.Reader = http.NoBody
	}
	checks, err := headChecks(r.Header, !c.Operation.Completes)
	if err != nil {
		return Payload{}, err
	}
	switch {
	case c.payload.Streaming():
		if err := c.decode(r, &p); err != nil {
			return Payload{}, err
		}
	case len(r.Header["X-Amz-Trailer"]) > 0 || chunkedCoding(r.Header):
		return Payload{}, s3err.InvalidRequest.Say("x-amz-content-sha256 does not say that the body is in chunks of aws-chunked.")
	case p.Length == 0 && c.payload.String() == sigv4.EmptyPayload:
		p.SHA256 = sigv4.EmptyPayload
	default:
		if check := c.payload.Check(); check != nil {
			p.SHA256 = c.payload.String()
			checks = append(checks, check)
		}
	}
	if err := checkAlgorithm(r.Header, p.Checksum); err != nil {
		return Payload{}, err
	}
	if p.Reader != http.NoBody || len(checks) > 0 { // something can be wrong with it
		if err := p.check(checks); err != nil {
			return Payload{}, err
		}
	}
	if c.Operation.Deletes && (c.Identity.Limited() || c.Identity.functions.Authorize != nil || c.CheckKey != nil) {
		return c.checkDeletes(r.Context(), p)
	}
	return p, nil
}

// check has the body checked as it is read.
func (p *Payload) check(checks []checked.Check) error {
	if len(checks) > 0 {
		p.Reader = checked.NewReader(p.Reader, checks...)
	}
	p.watch = &watch{Reader: p.Reader}
	p.Reader = p.watch
	if p.Length != 0 {
		return nil
	}
	// There is nothing to wait for, and whoever sends no body never reads it to its end.
	if _, err := io.Copy(io.Discard, p.Reader); err != nil {
		return err
	}
	p.Reader, p.watch = http.NoBody, nil
	return nil
}

// decode takes the body out of its chunks.
func (c *Caller) decode(r *http.Request, p *Payload) error {
	o, err := awschunked.FromHeader(r.Header, c.payload, c.chain)
	if err != nil {
		return err
	}
	for _, name := range o.Trailers {
		if a, is, _ := checksum.OfHeader(name); is {
			p.Checksum = a
		}
	}
	if o.Chain == nil && c.payload.String() == sigv4.StreamingSignedTrailer {
		// Signatures are not compared on this route, but the trailer has one.
		o.Trailers = append(o.Trailers, "x-amz-trailer-signature")
	}
	p.Reader, p.Length = awschunked.NewReader(p.Reader, o), o.Length
	return nil
}

// headChecks are the checks for digests of the body that stand in the head, with or without x-amz-checksum-*.
func headChecks(h http.Header, checksums bool) ([]checked.Check, error) {
	var checks []checked.Check
	if lines, ok := h["Content-Md5"]; ok {
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSpace(lines[0]))
		if err != nil || len(sum) != md5.Size || len(lines) > 1 {
			return nil, s3err.InvalidDigest.With("Content-MD5", lines[0])
		}
		checks = append(checks, checked.Digest(md5.New(), sum,
			awserr.New(awserr.BadDigest, "The Content-MD5 you specified did not match what we received.", "ExpectedDigest", lines[0])))
	}
	if !checksums {
		return checks, nil
	}
	v, ok, err := checksum.FromHeader(h)
	if err != nil {
		return nil, err
	}
	if ok {
		checks = append(checks, v.Check())
	}
	return checks, nil
}

func chunkedCoding(h http.Header) bool {
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(coding, " \t"), "aws-chunked") {
				return true
			}
		}
	}
	return false
}

// checkAlgorithm refuses a client that announces a checksum and sends none, or another one.
func checkAlgorithm(h http.Header, trailer checksum.Algorithm) error {
	text := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	if text == "" {
		return nil
	}
	want, err := checksum.Parse(text)
	if err != nil {
		return err
	}
	given, ok, err := checksum.FromHeader(h)
	switch {
	case err != nil:
		return err
	case want == checksum.MD5 && !ok && trailer == "" && h["Content-Md5"] != nil:
		return nil // some SDKs send it where it has always been
	case !ok && trailer == "":
		return s3err.InvalidRequest.Say("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case given.Algorithm != want && trailer != want:
		return s3err.InvalidRequest.Say("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

// A watch is a body that remembers what was wrong with it, and gives the name of S3 to an end that came too early.
type watch struct {
	io.Reader
	mu  sync.Mutex // guards err: whoever sends the body on is another goroutine
	err error
}

func (w *watch) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		if _, has := errors.AsType[*awserr.Error](err); !has {
			err = s3err.IncompleteBody.With().Because(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return n, err
}
