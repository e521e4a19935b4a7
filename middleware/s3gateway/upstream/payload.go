package upstream

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

// A framing is how a body is sent and proved.
type framing struct {
	mode     string              // what x-amz-content-sha256 says
	chunks   bool                // aws-chunked
	signed   bool                // with a signature for each chunk
	checksum checksum.Algorithm  // of the trailer
	encoding awschunked.Encoding // without its chain, which comes with the signature
}

// length is that of the body as it is sent.
func (f framing) length(body int64) int64 {
	if f.chunks {
		return f.encoding.EncodedLength(f.signed)
	}
	return body
}

// frame decides how a call's body is sent, and notes it in the head. Bare are those without a signature: bearer tokens prove nothing
// about bodies.
func (u *Upstream) frame(c Call, h http.Header, bare bool) (framing, error) {
	sum := strings.ToLower(c.SHA256)
	if c.Length == 0 {
		if c.Checksum != "" { // known already, and so no trailer
			h.Set(c.Checksum.Header(), checksum.Of(c.Checksum, c.Checksum.New()).String())
		}
		return framing{mode: sigv4.EmptyPayload}, nil
	}
	trailer := c.Checksum
	if !u.config.TrailingChecksums || bare {
		trailer = ""
	}
	f := framing{mode: sigv4.UnsignedPayload}
	switch policy := u.config.Payload; {
	case bare:
		f.mode = ""
	case policy == payloadUnsigned:
		f.checksum = trailer
	case policy == payloadChunked:
		f.signed, f.checksum = true, trailer
	case trailer == "" && sum != "":
		f.mode = sum
	case policy == payloadAuto && u.tls:
		f.checksum = trailer
	case u.config.SignedChunks:
		f.signed, f.checksum = true, trailer
	default:
		return f, awserr.New(awserr.NotImplemented, "Behind this bucket, bodies must be sent with their SHA-256 in x-amz-content-sha256.")
	}
	if f.signed || f.checksum != "" {
		f.chunks = true
		f.encoding = awschunked.Encoding{Length: c.Length, Checksum: f.checksum}
		f.mode = f.encoding.Mode(f.signed)
		announce(h, f, c.Length)
	}
	if c.Checksum != "" && f.checksum == "" {
		// AWS refuses the name of an algorithm without a checksum.
		h.Del("X-Amz-Sdk-Checksum-Algorithm")
	}
	return f, nil
}

// announce says in the head what the body will be.
func announce(h http.Header, f framing, length int64) {
	h.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(length, 10))
	encoding := "aws-chunked"
	if own := h.Get("Content-Encoding"); own != "" {
		encoding += "," + own
	}
	h.Set("Content-Encoding", encoding)
	if f.checksum != "" {
		h.Set("X-Amz-Trailer", f.checksum.Header())
	}
}
