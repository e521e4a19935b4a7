package ranges

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Multipart is the frame of a body with several ranges. For each range the server writes AppendHead, the range's bytes
// and [PartEnd], and at last AppendTail:
//
//	--<boundary>\r\nContent-Type: <type>\r\nContent-Range: bytes 0-1/10\r\n\r\n<bytes>\r\n ... --<boundary>--
type Multipart struct {
	Boundary    string // see [Boundary]
	ContentType string // of the object; every part repeats it
	Size        int64  // of the whole object; None is written "*"
}

// PartEnd follows the bytes of each part.
const PartEnd = "\r\n"

// Boundary returns a boundary made of 16 random bytes.
func Boundary(random [16]byte) string { return hex.EncodeToString(random[:]) }

// Header returns the Content-Type of the whole answer.
func (m Multipart) Header() string { return "multipart/byteranges;boundary=" + m.Boundary }

// AppendHead appends all that stands before the bytes of a part.
func (m Multipart) AppendHead(dst []byte, r Range) []byte {
	dst = append(dst, "--"...)
	dst = append(dst, m.Boundary...)
	dst = append(dst, "\r\nContent-Type: "...)
	dst = append(dst, m.ContentType...)
	dst = append(dst, "\r\nContent-Range: "...)
	dst = r.appendContentRange(dst, m.Size)
	return append(dst, "\r\n\r\n"...)
}

// AppendTail appends the end of the body. No line break follows it.
func (m Multipart) AppendTail(dst []byte) []byte {
	dst = append(dst, "--"...)
	dst = append(dst, m.Boundary...)
	return append(dst, "--"...)
}

// Length returns the Content-Length of a body with these parts.
func (m Multipart) Length(parts []Range) int64 {
	total := int64(len(m.Boundary) + 4)
	var buf []byte
	for _, r := range parts {
		buf = m.AppendHead(buf[:0], r)
		total += int64(len(buf)+len(PartEnd)) + r.Len()
	}
	return total
}

// maxLine and maxHead bound one line and all lines before the bytes of one part.
const (
	maxLine = 16 << 10
	maxHead = 64 << 10
)

// ErrMultipart is a body that is not multipart/byteranges with the boundary announced.
var ErrMultipart = errors.New("malformed multipart/byteranges body")

// BoundaryOf returns the boundary of a Content-Type header value, and whether it is multipart/byteranges at all.
func BoundaryOf(contentType string) (string, bool) {
	kind, params, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "multipart/byteranges") {
		return "", false
	}
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), "boundary") {
			value = strings.Trim(strings.TrimSpace(value), `"`)
			return value, value != ""
		}
	}
	return "", false
}

// Part is one range of a body being read. Reading it gives its bytes, then io.EOF; a body that ends early gives
// io.ErrUnexpectedEOF.
type Part struct {
	ContentType string
	Range       Range
	Size        int64 // of the whole object; None if not told
	r           *Reader
	left        int64
}

// Reader takes a multipart/byteranges body apart. It goes by the length in each part's Content-Range and then demands
// the boundary, so an object may contain the boundary.
type Reader struct {
	src       *bufio.Reader
	delimiter []byte // --boundary
	part      *Part
	done      bool
}

// NewReader reads the body src.
func NewReader(src io.Reader, boundary string) *Reader {
	return &Reader{src: bufio.NewReaderSize(src, maxLine), delimiter: []byte("--" + boundary)}
}

// Next skips what is left of the current part and returns the following one, or io.EOF after the last.
func (r *Reader) Next() (*Part, error) {
	if r.done {
		return nil, io.EOF
	}
	if r.part != nil {
		if _, err := io.Copy(io.Discard, r.part); err != nil {
			return nil, err
		}
	}
	more, err := r.boundary()
	if err != nil {
		return nil, err
	}
	if !more {
		r.done = true
		return nil, io.EOF
	}
	p := &Part{r: r}
	if err := r.head(p); err != nil {
		return nil, err
	}
	p.left = p.Range.Len()
	r.part = p
	return p, nil
}

// boundary consumes a line with the boundary and the line break before it; more is false for the last one.
func (r *Reader) boundary() (more bool, err error) {
	needBreak := r.part != nil
	for {
		line, err := r.src.ReadSlice('\n')
		// The last line has no line break.
		if err != nil && !(err == io.EOF && len(line) > 0) {
			return false, unexpected(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 && err == nil {
			needBreak = false
			continue
		}
		rest, ok := bytes.CutPrefix(line, r.delimiter)
		switch {
		case !ok || needBreak:
			return false, fmt.Errorf("%w: no boundary", ErrMultipart)
		case string(bytes.TrimRight(rest, "\r\n")) == "--":
			return false, nil
		case err == io.EOF:
			return false, io.ErrUnexpectedEOF
		case string(rest) != "\r\n":
			return false, fmt.Errorf("%w: no boundary", ErrMultipart)
		}
		return true, nil
	}
}

func (r *Reader) head(p *Part) error {
	p.Size = None
	found := false
	for n := 0; ; {
		raw, err := r.src.ReadSlice('\n')
		if n += len(raw); n > maxHead {
			return fmt.Errorf("%w: head of a part too long", ErrMultipart)
		}
		if err != nil {
			return unexpected(err)
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if line == "" {
			break
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(key, "Content-Type"):
			p.ContentType = value
		case strings.EqualFold(key, "Content-Range"):
			if p.Range, p.Size, err = ParseContentRange(value); err != nil {
				return fmt.Errorf("%w: %w", ErrMultipart, err)
			}
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%w: a part without content-range", ErrMultipart)
	}
	return nil
}

// Read implements io.Reader. Only the newest part of a Reader may be read.
func (p *Part) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if int64(len(b)) > p.left {
		b = b[:p.left]
	}
	n, err := p.r.src.Read(b)
	p.left -= int64(n)
	if p.left > 0 && err != nil {
		return n, unexpected(err)
	}
	return n, nil
}

// Reframe returns the body src, whose boundary is from, with the boundary to. Bytes are the same as those of a server that
// has this boundary if it frames as [Multipart] does.
func Reframe(src io.Reader, from, to string) io.Reader {
	return &reframed{r: NewReader(src, from), boundary: to}
}

type reframed struct {
	r        *Reader
	boundary string
	part     *Part
	frame    []byte // to be given next
	done     bool
}

// Read implements io.Reader.
func (f *reframed) Read(p []byte) (int, error) {
	for {
		switch {
		case len(f.frame) > 0:
			n := copy(p, f.frame)
			f.frame = f.frame[n:]
			return n, nil
		case f.done:
			return 0, io.EOF
		case f.part != nil:
			n, err := f.part.Read(p)
			if err == io.EOF {
				f.part, f.frame, err = nil, []byte(PartEnd), nil
			}
			if n > 0 || err != nil || len(p) == 0 {
				return n, err
			}
		default:
			part, err := f.r.Next()
			m := Multipart{Boundary: f.boundary}
			switch {
			case err == io.EOF:
				f.done, f.frame = true, m.AppendTail(nil)
			case err != nil:
				return 0, err
			default:
				m.ContentType, m.Size = part.ContentType, part.Size
				f.part, f.frame = part, m.AppendHead(nil, part.Range)
			}
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("%w: line too long", ErrMultipart)
	}
	return err
}
