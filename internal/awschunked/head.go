package awschunked

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

// FromHeader reads from the head of a request what its body is to be. The payload must be a streaming one. The chain is
// that of the request's signature; it is left out if chunks have none.
func FromHeader(h http.Header, payload sigv4.Payload, chain *sigv4.Chain) (Options, error) {
	o := Options{HasTrailer: payload.HasTrailer()}
	if payload.ChunksSigned() {
		o.Chain = chain
	}
	lines := h[http.CanonicalHeaderKey(decodedLength)]
	if len(lines) == 0 {
		return Options{}, missingLength()
	}
	var err error
	o.Length, err = strconv.ParseInt(lines[0], 10, 64)
	if err != nil || o.Length < 0 || lines[0][0] == '+' || len(lines) > 1 {
		return Options{}, awserr.New(awserr.InvalidArgument, "The value of "+decodedLength+" must be a length.",
			"ArgumentName", decodedLength, "ArgumentValue", strings.Join(lines, ","))
	}
	if o.Trailers, err = ParseTrailers(h["X-Amz-Trailer"]); err != nil {
		return Options{}, err
	}
	if len(o.Trailers) > 0 && !o.HasTrailer {
		return Options{}, invalidTrailer()
	}
	if _, inHeader, err := checksum.FromHeader(h); err != nil || inHeader && len(newSums(o.Trailers)) > 0 {
		if err == nil {
			err = twoChecksums()
		}
		return Options{}, err
	}
	return o, nil
}

func missingLength() error {
	return awserr.New(awserr.MissingContentLength, "You must provide the "+decodedLength+" HTTP header.")
}

func twoChecksums() error {
	return awserr.New(awserr.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// StripEncoding takes aws-chunked out of Content-Encoding, as an object keeps it: the encoding is gone from the body. The
// value may become empty.
func StripEncoding(value string) string {
	var left []string
	for coding := range strings.SplitSeq(value, ",") {
		if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
			left = append(left, coding)
		}
	}
	return strings.Join(left, ",")
}
