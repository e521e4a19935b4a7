// Package parts reads a body of multipart/form-data as a stream, and as OpenStack Swift does, which differs from the RFCs:
//
//   - The body starts with the boundary, after empty lines at most; there is no preamble.
//   - A part ends at the first CRLF and boundary, whatever comes after them; two bytes are skipped there, and if they are
//     two hyphens no further part comes.
//   - The end of the body is the end of the last part too, whether it is announced or not.
//
// Clients see all of this in what is stored of their files, so mime/multipart, which goes by the RFCs, cannot be used.
//
// Memory is bounded: a buffer, and the head of one part of at most [MaxHead] bytes. A reader's error is passed on and is
// never mistaken for the end of a part.
//
// Non-goals: writing, encodings of contents, and what the fields of a form mean.
//
//	r := parts.NewReader(body, boundary)
//	for {
//		p, err := r.Next()
//		if err == io.EOF { break }
//		...
//		kind, params := parts.Parameters(p.Header("Content-Disposition"))
//		io.Copy(w, p)
//	}
package parts

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// MaxHead is how long the headers of one part may be together.
const MaxHead = 16 << 10

// bufferSize is how much is read at once.
const bufferSize = 32 << 10

var (
	// ErrStart is a body that does not start with the boundary.
	ErrStart = errors.New("invalid starting boundary")
	// ErrHead is a part whose headers are longer than MaxHead.
	ErrHead = errors.New("headers of a part too long")
)

// A Reader reads one body, part by part.
type Reader struct {
	src  *bufio.Reader
	mark []byte // what ends a part
	part *Part
	last bool // no part comes after the present one
}

// NewReader returns a reader of the body. The boundary is the Content-Type's, of any length.
func NewReader(body io.Reader, boundary string) *Reader {
	mark := []byte("\r\n--" + boundary)
	return &Reader{src: bufio.NewReaderSize(body, bufferSize+2*len(mark)), mark: mark}
}

// Next skips what is left of the present part and returns the next one, or io.EOF. A part is good until the next call.
func (r *Reader) Next() (*Part, error) {
	if r.part == nil {
		if err := r.start(); err != nil {
			return nil, err
		}
	} else if _, err := io.Copy(io.Discard, r.part); err != nil {
		return nil, err
	}
	if r.last {
		return nil, io.EOF
	}
	p := &Part{r: r}
	r.part = p
	return p, p.readHead()
}

// start reads the first line.
func (r *Reader) start() error {
	boundary := r.mark[2:]
	for {
		line, err := r.line(len(boundary) + 2)
		switch {
		case err != nil:
			return err
		case string(line) == "\r\n":
		case bytes.Equal(bytes.Trim(line, " \t\n\r\v\f"), boundary):
			return nil
		default:
			return ErrStart
		}
	}
}

// line reads to the end of a line, but no more than n bytes.
func (r *Reader) line(n int) ([]byte, error) {
	line := make([]byte, 0, n)
	for len(line) < n {
		c, err := r.src.ReadByte()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if line = append(line, c); c == '\n' {
			break
		}
	}
	return line, nil
}

// A Part is one field or file of a form. Reading it gives its content.
type Part struct {
	r      *Reader
	header []header
	known  int // bytes in the buffer that are content for certain
	ended  bool
}

// Read implements io.Reader.
func (p *Part) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	w, err := p.window()
	if err != nil {
		return 0, err
	}
	n := copy(b, w)
	p.take(n)
	return n, nil
}

// window returns content that is at hand, at least a byte; io.EOF at the end of the part.
func (p *Part) window() ([]byte, error) {
	src, mark := p.r.src, p.r.mark
	for want := 1; p.known == 0; {
		if p.ended {
			return nil, io.EOF
		}
		_, err := src.Peek(want)
		if err != nil && err != io.EOF {
			return nil, err
		}
		buf, _ := src.Peek(src.Buffered())
		i := bytes.Index(buf, mark)
		switch {
		case i > 0:
			p.known = i
		case i == 0:
			if err := p.end(); err != nil {
				return nil, err
			}
		case err == io.EOF:
			p.known = len(buf)
			if len(buf) == 0 {
				p.ended, p.r.last = true, true
			}
		default:
			// What may be the beginning of the mark waits for more.
			p.known = max(0, len(buf)-len(mark)+1)
			want = len(buf) + 1
		}
	}
	return p.r.src.Peek(p.known)
}

// take says that n bytes of the window are used up.
func (p *Part) take(n int) {
	// It cannot fail: they are in the buffer.
	_, _ = p.r.src.Discard(n)
	p.known -= n
}

// end reads the mark at the end of the part and what is skipped after it.
func (p *Part) end() error {
	n := len(p.r.mark)
	tail, err := p.r.src.Peek(n + 2)
	if err != nil && err != io.EOF {
		return err
	}
	p.ended = true
	p.r.last = err == io.EOF || string(tail[n:]) == "--"
	_, _ = p.r.src.Discard(len(tail))
	return nil
}
