package awschunked

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
)

// A Reader decodes a body. What may be relied on is in the package's documentation.
type Reader struct {
	body    *bufio.Reader
	o       Options
	buf     []byte // of bytes that may be given away
	ready   []byte // the part of buf that is not given away yet
	read    int64  // decoded bytes that came from below
	chunk   chunk
	hash    hash.Hash // of the chunk, if chunks are signed
	sums    sums
	trailer map[string]string
	err     error // what Read says when nothing is ready
}

// chunk is the one that is being read.
type chunk struct {
	number    int
	size      int64
	left      int64
	signature string
}

// NewReader returns a reader of the decoded body. It must not be read before the request's own signature was found right.
func NewReader(body io.Reader, o Options) *Reader {
	r := &Reader{o: o, body: bufio.NewReaderSize(body, 4<<10), sums: newSums(o.Trailers), trailer: make(map[string]string)}
	if o.Chain != nil {
		r.hash = sha256.New()
	}
	switch {
	case len(o.Trailers) > 0 && !o.HasTrailer:
		r.err = invalidTrailer() // a checksum that was declared and can never come
	case o.Length < 0:
		r.err = missingLength()
	}
	return r
}

// Trailer returns a trailer that was declared, after io.EOF.
func (r *Reader) Trailer(name string) string {
	if r.err != io.EOF {
		return ""
	}
	return r.trailer[name]
}

func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.ready) == 0 && r.err == nil {
		r.err = r.fill()
		if r.err != nil && r.err != io.EOF {
			r.ready = nil // bytes that something was found wrong with
		}
	}
	if len(r.ready) == 0 {
		return 0, r.err
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// fill reads more of a chunk. At the end of a chunk, its signature is checked; at the end of the body, all that follows,
// and it says io.EOF. What is ready afterwards may be given away unless there is another error.
func (r *Reader) fill() error {
	if r.chunk.left == 0 {
		// This is the first chunk, or after another that did not end the body.
		if err := r.next(); err != nil {
			return err
		}
		if r.chunk.left == 0 {
			return r.finish()
		}
	}
	if r.buf == nil {
		r.buf = make([]byte, min(held, r.o.Length))
	}
	part := r.buf[:min(int64(len(r.buf)), r.chunk.left)]
	if _, err := io.ReadFull(r.body, part); err != nil {
		return broken(err)
	}
	r.read += int64(len(part))
	r.chunk.left -= int64(len(part))
	r.sums.Write(part)
	if r.hash != nil {
		r.hash.Write(part)
	}
	r.ready = part
	if r.chunk.left > 0 {
		return nil
	}
	if err := r.endChunk(); err != nil || r.read < r.o.Length {
		return err
	}
	// All bytes are here, but nobody gets the last of them before the rest was seen.
	if err := r.next(); err != nil {
		return err
	}
	return r.finish()
}

// next reads the line before a chunk.
func (r *Reader) next() error {
	line, err := r.line(maxLine)
	if err != nil {
		return err
	}
	text, extensions, _ := strings.Cut(line, ";")
	size, err := strconv.ParseUint(text, 16, 63)
	if err != nil {
		return malformed("the size of a chunk")
	}
	before := r.chunk.size
	r.chunk.number++
	r.chunk.left = int64(size)
	if r.chunk.signature, err = signature(extensions); err != nil {
		return err
	}
	if r.o.Chain != nil && r.chunk.signature == "" {
		return malformed("the signature of a chunk")
	}
	left := r.o.Length - r.read
	switch {
	case r.chunk.left > left:
		return incomplete("The body is longer than " + decodedLength + " says.")
	case r.chunk.left == 0 && left > 0:
		return incomplete("The body is shorter than " + decodedLength + " says.")
	case r.chunk.left > 0 && before > 0 && before < MinChunk:
		return awserr.New(awserr.InvalidChunkSize, "Only the last chunk is allowed to have a size less than 8192 bytes",
			"Chunk", strconv.Itoa(r.chunk.number-1), "BadChunkSize", strconv.FormatInt(before, 10))
	}
	r.chunk.size = r.chunk.left
	return nil
}

// signature finds it among a chunk's extensions. Others mean nothing.
func signature(extensions string) (found string, err error) {
	for e := range strings.SplitSeq(extensions, ";") {
		name, value, _ := strings.Cut(strings.Trim(e, " \t"), "=")
		if name != chunkSignature {
			continue
		}
		if found != "" || value == "" {
			return "", malformed("the signature of a chunk")
		}
		found = value
	}
	return found, nil
}

// endChunk reads what is between a chunk's bytes and the next line, and checks the signature.
func (r *Reader) endChunk() error {
	var end [2]byte
	if _, err := io.ReadFull(r.body, end[:]); err != nil {
		return broken(err)
	}
	if end != [2]byte{'\r', '\n'} {
		return malformed("the end of a chunk")
	}
	return r.checkChunk()
}

func (r *Reader) checkChunk() error {
	if r.o.Chain == nil {
		return nil
	}
	right := r.o.Chain.Chunk(r.hash.Sum(nil))
	r.hash.Reset()
	if !hmac.Equal([]byte(right), []byte(r.chunk.signature)) {
		return wrongSignature("the signature of chunk " + strconv.Itoa(r.chunk.number))
	}
	return nil
}

// finish reads and checks what follows the line of the last chunk, which is empty.
func (r *Reader) finish() error {
	if err := r.checkChunk(); err != nil {
		return err
	}
	if err := r.readTrailer(); err != nil {
		return err
	}
	switch _, err := r.body.ReadByte(); {
	case err == nil:
		return incomplete("The body goes on after its last chunk.")
	case err != io.EOF:
		return broken(err)
	}
	return r.checkSums()
}

func (r *Reader) checkSums() error {
	for name, s := range r.sums {
		want, err := checksum.ParseValue(s.Algorithm, r.trailer[name])
		if err != nil {
			return err
		}
		if !hmac.Equal([]byte(want.Sum), s.Sum(nil)) {
			return checksum.Mismatch(s.Algorithm)
		}
	}
	return io.EOF
}

// line reads a line of at most max bytes, without its end.
func (r *Reader) line(max int) (string, error) {
	line, err := r.body.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(line) > max:
		return "", malformed("a line that is too long")
	case err != nil:
		return "", broken(err)
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return "", malformed("the end of a line")
	}
	return string(line), nil
}

// broken tells a body that ends too early from a connection that broke.
func broken(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return incomplete("The body ends before its last chunk.").Because(io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("read chunks: %w", err)
}

func incomplete(message string) *awserr.Error { return awserr.New(awserr.IncompleteBody, message) }

func malformed(what string) error {
	return awserr.New(awserr.IncompleteBody, "The request body is not well-formed aws-chunked: "+what+".")
}

func wrongSignature(what string) error {
	return awserr.New(awserr.SignatureDoesNotMatch,
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.").
		Because(errors.New(what + " is wrong"))
}
