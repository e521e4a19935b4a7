package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checked"
)

// What x-amz-content-sha256 may say, beside a SHA-256.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// EmptyPayload is the SHA-256 of no bytes.
const EmptyPayload = emptySHA256

// A Payload is what a signature says of the body.
type Payload struct {
	text string
	sum  []byte // if it is a SHA-256
}

// ParsePayload reads x-amz-content-sha256. The error is NotImplemented for version 4a's modes.
func ParsePayload(text string) (Payload, error) {
	switch text {
	case UnsignedPayload, StreamingSigned, StreamingSignedTrailer, StreamingUnsignedTrailer:
		return Payload{text: text}, nil
	case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
		return Payload{}, awserr.New(awserr.NotImplemented, "A header you provided implies functionality that is not implemented.",
			"Header", "x-amz-content-sha256")
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha256.Size {
		return Payload{}, awserr.New(awserr.InvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "+StreamingUnsignedTrailer+", "+
			StreamingSigned+", "+StreamingSignedTrailer+" or a valid sha256 value.",
			"ArgumentName", "x-amz-content-sha256", "ArgumentValue", text)
	}
	return Payload{text, sum}, nil
}

// String is the text as the client sent it.
func (p Payload) String() string { return p.text }

// Streaming says whether the body is in chunks of aws-chunked, for that package to read.
func (p Payload) Streaming() bool { return p.ChunksSigned() || p.text == StreamingUnsignedTrailer }

// ChunksSigned says whether each chunk has a signature.
func (p Payload) ChunksSigned() bool {
	return p.text == StreamingSigned || p.text == StreamingSignedTrailer
}

// HasTrailer says whether chunks are followed by a trailer.
func (p Payload) HasTrailer() bool {
	return p.text == StreamingSignedTrailer || p.text == StreamingUnsignedTrailer
}

// Check is the check of a body that has a SHA-256, nil of one that has none. The error is XAmzContentSHA256Mismatch.
func (p Payload) Check() checked.Check {
	if p.sum == nil {
		return nil
	}
	return checked.Digest(sha256.New(), p.sum, awserr.New(awserr.ContentSHA256Mismatch,
		"The provided 'x-amz-content-sha256' header does not match what was computed.", "ClientComputedContentSHA256", p.text))
}

// Body returns a body whose SHA-256 is checked, if there is one to check, as checked.Reader promises. A streaming body
// is not decoded here. Whoever does not read to the end has checked nothing: that is for requests without a body too.
func (p Payload) Body(body io.Reader) io.Reader {
	if c := p.Check(); c != nil {
		return checked.NewReader(body, c)
	}
	return body
}
