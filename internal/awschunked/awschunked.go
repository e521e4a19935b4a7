// Package awschunked reads and writes bodies of Content-Encoding aws-chunked: chunks, each with a signature or none, and
// after them a trailer with a checksum.
//
//	10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n
//	65536 bytes\r\n
//	0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n
//	x-amz-checksum-crc32c:sOO8/Q==\r\n
//	x-amz-trailer-signature:63bddb248ad2590c92712055f51b8e78ab024eead08276b24f010b0efd74843f\r\n
//	\r\n
//
// A server reads such a body as
//
//	options, err := awschunked.FromHeader(r.Header, sig.Payload, sig.Chain(key))
//	...
//	body := awschunked.NewReader(r.Body, options)
//
// # What a consumer of a Reader may rely on
//
//   - io.EOF comes only after all was found right: every chunk's signature, the last chunk, the trailer's signature, the
//     checksum of the trailer, the length that x-amz-decoded-content-length gave, and the end of the body. Otherwise an error
//     comes in its place, and stays.
//   - The last byte of the body, by that length, comes only after all that too. Who counts bytes instead of waiting for io.EOF
//     never has all of them if anything is wrong.
//   - A chunk of up to 64 KiB is given away only after its signature was found right. Of a larger one, of which some SDKs make one of
//     the whole body, bytes are given away before, but never the last ones: those that come with the last read of up to 64 KiB.
//   - Without signatures the bytes are proved by nothing but the trailer's checksum, at the end.
//
// So a consumer must commit nothing before the last byte or io.EOF. Memory does not grow with chunks: a Reader holds 64 KiB
// and a line. A Reader never reads past an error, and never loops on a body that has ended.
package awschunked

import (
	"hash"
	"strings"

	"github.com/apus-storage/apus/internal/ascii"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

const (
	// held is how much of a body a Reader holds back.
	held = 64 << 10
	// MinChunk is the size of the smallest chunk but the last.
	MinChunk = 8 << 10
	// maxLine bounds the line before a chunk, and maxTrailer all lines of a trailer.
	maxLine    = 1 << 10
	maxTrailer = 8 << 10

	chunkSignature   = "chunk-signature"
	trailerSignature = "x-amz-trailer-signature"
	decodedLength    = "x-amz-decoded-content-length"
)

// Options are what the head of a request says of its body.
type Options struct {
	// Chain makes the signatures of the chunks; nil if they have none.
	Chain *sigv4.Chain
	// Length is that of the decoded body.
	Length int64
	// Trailers are the names that x-amz-trailer declared, in lower case. Of those that are checksums, the body is checked.
	Trailers []string
	// HasTrailer says whether the body may have a trailer at all.
	HasTrailer bool
}

// ParseTrailers reads x-amz-trailer: names of trailers, which may hold one checksum.
func ParseTrailers(lines []string) ([]string, error) {
	var names []string
	sums := 0
	for field := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name := strings.ToLower(strings.Trim(field, " \t"))
		if name == "" {
			continue
		}
		_, is, err := checksum.OfHeader(name)
		if err != nil {
			return nil, err
		}
		if is {
			sums++
		}
		if name == trailerSignature || !ascii.IsToken(name) || in(name, names) || len(names) == maxTrailers {
			return nil, invalidTrailer()
		}
		names = append(names, name)
	}
	if sums > 1 {
		return nil, twoChecksums()
	}
	return names, nil
}

// maxTrailers is how many trailers may be declared; AWS knows of one.
const maxTrailers = 16

func invalidTrailer() error {
	return awserr.New(awserr.InvalidRequest, "The value specified in the x-amz-trailer header is not supported")
}

func in(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// sums are the checksums of a body that trailers have.
type sums map[string]sum

type sum struct {
	checksum.Algorithm
	hash.Hash
}

func newSums(trailers []string) sums {
	s := make(sums)
	for _, name := range trailers {
		if a, is, err := checksum.OfHeader(name); is && err == nil {
			s[name] = sum{a, a.New()}
		}
	}
	return s
}

func (s sums) Write(p []byte) {
	for _, h := range s {
		h.Write(p)
	}
}
