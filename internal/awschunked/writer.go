package awschunked

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

// An Encoding is how a body is to be sent.
type Encoding struct {
	// Chain makes the signatures of the chunks; nil for none. It is that of sigv4's Signer.Sign.
	Chain *sigv4.Chain
	// Length is that of the body as it is now; it belongs into x-amz-decoded-content-length.
	Length int64
	// Checksum is the algorithm of the trailer; empty for no trailer.
	Checksum checksum.Algorithm
}

// Mode is what x-amz-content-sha256 says of such a body, with chunks signed or not. It is empty if there is no such body:
// without signatures there must be a checksum.
func (e Encoding) Mode(signed bool) string {
	switch {
	case signed && e.Checksum != "":
		return sigv4.StreamingSignedTrailer
	case signed:
		return sigv4.StreamingSigned
	case e.Checksum != "":
		return sigv4.StreamingUnsignedTrailer
	}
	return ""
}

// EncodedLength is the length of the body as it is sent, with chunks signed or not.
func (e Encoding) EncodedLength(signed bool) int64 {
	line := func(size int64) int64 {
		n := int64(len(strconv.FormatInt(size, 16))) + int64(len("\r\n"))
		if signed {
			n += int64(len(";" + chunkSignature + "=" + sigv4.EmptyPayload))
		}
		return n
	}
	n := e.Length/held*(line(held)+held+2) + line(0) + 2
	if last := e.Length % held; last > 0 {
		n += line(last) + last + 2
	}
	if e.Checksum != "" {
		n += int64(len(e.Checksum.Header()) + 1 + (e.Checksum.Size()+2)/3*4 + 2)
		if signed {
			n += int64(len(trailerSignature + ":" + sigv4.EmptyPayload + "\r\n"))
		}
	}
	return n
}

// A Writer is a reader of the body as it is sent. It makes chunks of 64 KiB and holds one. The last chunks come only after the
// body below has said io.EOF at its length, so that a body that is cut short or found wrong at its end can be taken for
// whole by nobody.
type Writer struct {
	body  io.Reader
	e     Encoding
	buf   []byte
	ready []byte
	left  int64
	sums  sums
	err   error
}

var (
	errLength   = errors.New("the body has another length than was said")
	errUnproved = errors.New("the body has neither signatures nor a checksum")
)

// NewWriter returns the encoded body. The mode and the lengths must be in the head that the chain comes from.
func NewWriter(body io.Reader, e Encoding) *Writer {
	w := &Writer{body: body, e: e, left: e.Length, sums: make(sums)}
	if e.Checksum != "" {
		w.sums = newSums([]string{e.Checksum.Header()})
	}
	switch {
	case e.Mode(e.Chain != nil) == "":
		w.err = fmt.Errorf("encode chunks: %w", errUnproved)
	case e.Length < 0:
		w.err = fmt.Errorf("encode chunks: %w", errLength)
	}
	return w
}

func (w *Writer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(w.ready) == 0 && w.err == nil {
		if w.err = w.fill(); w.err != nil && w.err != io.EOF {
			w.ready = nil
			w.err = fmt.Errorf("encode chunks: %w", w.err)
		}
	}
	if len(w.ready) == 0 {
		return 0, w.err
	}
	n := copy(p, w.ready)
	w.ready = w.ready[n:]
	return n, nil
}

// lineSpace is room for the line before a chunk.
const lineSpace = int64(16 + 2 + len(";"+chunkSignature+"="+sigv4.EmptyPayload))

// fill makes one chunk, and after the last one the body's end with it, which is io.EOF.
func (w *Writer) fill() error {
	size := min(held, w.left)
	if w.buf == nil {
		w.buf = make([]byte, lineSpace+size+1024)
	}
	data := w.buf[lineSpace : lineSpace+size]
	if _, err := io.ReadFull(w.body, data); err != nil {
		return short(err)
	}
	w.left -= size
	if w.left == 0 {
		if err := w.atEnd(); err != nil {
			return err
		}
	}
	w.sums.Write(data)
	if size == 0 {
		w.ready = w.appendEnd(w.buf[:0])
		return io.EOF
	}
	line := w.line(data)
	start := lineSpace - int64(len(line))
	copy(w.buf[start:], line)
	w.ready = append(w.buf[start:lineSpace+size], "\r\n"...)
	if w.left == 0 {
		w.ready = w.appendEnd(w.ready)
		return io.EOF
	}
	return nil
}

func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errLength
	}
	return err
}

// atEnd has the body below say that it ends here, and well.
func (w *Writer) atEnd() error {
	var one [1]byte
	n, err := io.ReadFull(w.body, one[:])
	if n > 0 {
		return errLength
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// line is what stands before a chunk.
func (w *Writer) line(data []byte) string {
	text := strconv.FormatInt(int64(len(data)), 16)
	if w.e.Chain != nil {
		sum := sha256.Sum256(data)
		text += ";" + chunkSignature + "=" + w.e.Chain.Chunk(sum[:])
	}
	return text + "\r\n"
}

func (w *Writer) appendEnd(b []byte) []byte {
	b = append(b, w.line(nil)...)
	if w.e.Checksum != "" {
		name := w.e.Checksum.Header()
		value := checksum.Of(w.e.Checksum, w.sums[name].Hash).String()
		b = append(b, name+":"+value+"\r\n"...)
		if w.e.Chain != nil {
			b = append(b, trailerSignature+":"+w.e.Chain.Trailer(trailerSum(map[string]string{name: value}))+"\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}
