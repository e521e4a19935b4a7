package awschunked

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/ascii"
	"github.com/apus-storage/apus/internal/awserr"
)

func malformedTrailer(why string) error {
	return awserr.New(awserr.MalformedTrailer, "The request contained trailing data that was not well-formed or did not conform to our published schema.").
		Because(errors.New(why))
}

// readTrailer reads what follows the line of the last chunk, up to and with the empty line that ends the body, and checks
// the trailer's signature.
func (r *Reader) readTrailer() error {
	left := maxTrailer
	given, bare := "", false
	for lines := 0; ; lines++ {
		line, end, err := r.trailerLine(&left)
		if err != nil {
			return err
		}
		if line == "" {
			// Some clients end the trailer's lines by \n alone, and an empty line stands before what follows: the signature, or
			// the empty line that ends the body.
			next, expected := "\r\n", bare
			if r.signedTrailer() {
				next, expected = trailerSignature, lines > 0
			}
			if expected && given == "" && end == "\r\n" {
				if b, _ := r.body.Peek(len(next)); string(b) == next {
					bare = false
					continue
				}
			}
			return r.checkTrailer(given)
		}
		bare = bare || end == "\n"
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		switch {
		case !ok || !ascii.IsToken(name):
			return malformedTrailer("a line is none of a header")
		case given != "":
			return malformedTrailer("lines follow the signature")
		case name == trailerSignature && r.signedTrailer() && value != "":
			given = value
		case !in(name, r.o.Trailers):
			return malformedTrailer("a trailer was not declared")
		default:
			if _, twice := r.trailer[name]; twice {
				return malformedTrailer("a trailer is given twice")
			}
			r.trailer[name] = value
		}
	}
}

func (r *Reader) signedTrailer() bool { return r.o.Chain != nil && r.o.HasTrailer }

// trailerLine reads a line of a trailer, and how it ends.
func (r *Reader) trailerLine(left *int) (line, end string, err error) {
	b, err := r.body.ReadSlice('\n')
	*left -= len(b)
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || *left < 0:
		return "", "", malformedTrailer("it is too long")
	case err == io.EOF:
		return "", "", incomplete("The body ends before its trailer does.").Because(io.ErrUnexpectedEOF)
	case err != nil:
		return "", "", broken(err)
	}
	if b, ok := bytes.CutSuffix(b, []byte("\r\n")); ok {
		return string(b), "\r\n", nil
	}
	return string(b[:len(b)-1]), "\n", nil
}

// checkTrailer compares a trailer with what was declared, and with its signature.
func (r *Reader) checkTrailer(given string) error {
	if !r.o.HasTrailer {
		return nil // without one, no line can have been read: none is declared
	}
	for _, name := range r.o.Trailers {
		if _, ok := r.trailer[name]; !ok {
			return malformedTrailer("a trailer that was declared is missing")
		}
	}
	if r.o.Chain == nil {
		return nil
	}
	if given == "" {
		return malformedTrailer("it has no signature")
	}
	if !hmac.Equal([]byte(r.o.Chain.Trailer(trailerSum(r.trailer))), []byte(given)) {
		return wrongSignature("the signature of the trailer")
	}
	return nil
}

// trailerSum is the sum of a trailer as it is signed.
func trailerSum(trailer map[string]string) []byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(trailer)) {
		io.WriteString(h, name+":"+trailer[name]+"\n")
	}
	return h.Sum(nil)
}
