package bench

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

// A Payload is how the bodies of S3 uploads are sent, and what of them is signed.
type Payload string

// The kinds of payloads, with what x-amz-content-sha256 says of them.
const (
	Unsigned       Payload = "unsigned"        // UNSIGNED-PAYLOAD
	Hashed         Payload = "hashed"          // the SHA-256 of the body
	Chunks         Payload = "chunks"          // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	ChunksCRC32C   Payload = "chunks-crc32c"   // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	UnsignedCRC32C Payload = "unsigned-crc32c" // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

var payloads = []Payload{Unsigned, Hashed, Chunks, ChunksCRC32C, UnsignedCRC32C}

// S3 is how to drive an account by the S3 API: with signatures of version 4, and buckets in the path.
type S3 struct {
	AccessKey, Secret, Region string
	Payload                   Payload
}

// validate checks it. Errors wrap [ErrInvalid].
func (s *S3) validate(cfg Config) error {
	switch {
	case s.AccessKey == "" || s.Secret == "" || s.Region == "":
		return fmt.Errorf("%w: S3 needs an access key, a secret and a region", ErrInvalid)
	case !slices.Contains(payloads, s.Payload):
		return fmt.Errorf("%w: payload %q: want one of %v", ErrInvalid, s.Payload, payloads)
	case slices.ContainsFunc(cfg.Phases, func(p Phase) bool { return p.has(Post) }):
		return fmt.Errorf("%w: S3 has no operation post", ErrInvalid)
	}
	return nil
}

// s3 is the S3 API.
type s3 struct {
	r      *Runner
	base   *url.URL
	signer *sigv4.Signer
	S3
}

func newS3(r *Runner, t Target) (*s3, error) {
	if err := t.S3.validate(r.cfg); err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimRight(t.StorageURL, "/"))
	if err != nil {
		return nil, fmt.Errorf("%w: S3 endpoint: %w", ErrInvalid, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%w: S3 endpoint %q is not like http://host", ErrInvalid, t.StorageURL)
	}
	return &s3{r, u, sigv4.NewSigner(t.S3.AccessKey, t.S3.Secret, "", t.S3.Region), *t.S3}, nil
}

func (s *s3) request(op Op, id int32) (*http.Request, error) {
	h := http.Header{"User-Agent": {"apus-bench"}}
	if op == List {
		return s.sign(newRequest(http.MethodGet, s.base, "/"+s.r.names.container(int(id)), s.r.cfg.Page.s3(), h))
	}
	req := newRequest(op.method(), s.base, s.r.names.path(id), "", h)
	if op == Put {
		h["Content-Type"] = []string{"application/octet-stream"}
		return s.upload(req, id)
	}
	return s.sign(req)
}

// sign signs a request without a body.
func (s *s3) sign(req *http.Request) (*http.Request, error) {
	_, err := s.signer.Sign(req, sigv4.EmptyPayload, s.r.clock.Now())
	return req, err
}

// upload signs a PUT and gives it its body.
func (s *s3) upload(req *http.Request, id int32) (*http.Request, error) {
	switch s.Payload {
	case Chunks, ChunksCRC32C, UnsignedCRC32C:
		return s.chunked(req, id)
	}
	payload := sigv4.UnsignedPayload
	if s.Payload == Hashed {
		sum := sha256.New()
		if _, err := io.Copy(sum, s.r.content(id)); err != nil {
			return nil, err
		}
		payload = hex.EncodeToString(sum.Sum(nil))
	}
	setBody(req, s.r.names.size(id), func() io.Reader { return s.r.content(id) })
	_, err := s.signer.Sign(req, payload, s.r.clock.Now())
	return req, err
}

// chunked signs a PUT whose body is in chunks.
func (s *s3) chunked(req *http.Request, id int32) (*http.Request, error) {
	signed := s.Payload != UnsignedCRC32C
	e := awschunked.Encoding{Length: s.r.names.size(id)}
	if s.Payload != Chunks {
		e.Checksum = checksum.CRC32C
		req.Header["X-Amz-Trailer"] = []string{e.Checksum.Header()}
	}
	req.Header["Content-Encoding"] = []string{"aws-chunked"}
	req.Header["X-Amz-Decoded-Content-Length"] = []string{strconv.FormatInt(e.Length, 10)}
	req.ContentLength = e.EncodedLength(signed)
	chain, err := s.signer.Sign(req, e.Mode(signed), s.r.clock.Now())
	if err != nil {
		return nil, err
	}
	setBody(req, req.ContentLength, func() io.Reader {
		e := e
		if signed {
			own := *chain // of each attempt
			e.Chain = &own
		}
		return awschunked.NewWriter(s.r.content(id), e)
	})
	return req, nil
}

func (s *s3) container(method string, i int) (*http.Request, error) {
	return s.sign(newRequest(method, s.base, "/"+s.r.names.container(i), "", http.Header{"User-Agent": {"apus-bench"}}))
}

func (s *s3) right(op Op, status int) bool {
	if op == Delete {
		return status == http.StatusNoContent
	}
	return status == http.StatusOK
}
