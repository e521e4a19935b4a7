package s3gateway

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// An edit gives the new text of an element, which may be empty, if it is to have one. The path has the names of the elements from the root on.
type edit func(path []string, text string) (string, bool)

// longestToken bounds what is held of a document: the longest text or tag of it.
const longestToken = 1 << 20

var errToken = errors.New("a text of the store's document is longer than 1 MiB")

// rewrite copies a document, with the texts of some elements changed. Everything else stays as it is, byte by byte: white space, name
// spaces, the order of attributes. What is no XML is copied as it is from there on. Memory does not grow with the document.
func rewrite(w io.Writer, r io.Reader, change edit) error {
	rec := &recorder{r: bufio.NewReaderSize(r, 32<<10)}
	dec := xml.NewDecoder(rec)
	dec.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	out := bufio.NewWriterSize(w, 32<<10)
	var path []string
	empty := false // so far, of the last element
	for {
		tok, err := dec.RawToken()
		raw := rec.take(dec.InputOffset())
		switch {
		case err == io.EOF:
			return out.Flush()
		case rec.err != nil && rec.err != io.EOF:
			return errors.Join(out.Flush(), rec.err)
		case err != nil:
			return asItIs(out, raw, rec)
		}
		wasEmpty := empty
		empty = false
		switch t := tok.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if !bytes.HasSuffix(raw, []byte("/>")) {
				empty = true
			} else if text, ok := change(path, ""); ok {
				raw = fill(bytes.TrimSuffix(raw, []byte("/>")), text)
			}
		case xml.EndElement:
			if text, ok := change(path, ""); ok && wasEmpty {
				if err := xml.EscapeText(out, []byte(text)); err != nil {
					return err
				}
			}
			path = path[:max(len(path)-1, 0)]
		case xml.CharData:
			if text, ok := change(path, string(t)); ok {
				if err := xml.EscapeText(out, []byte(text)); err != nil {
					return err
				}
				continue
			}
		}
		if _, err := out.Write(raw); err != nil {
			return err
		}
	}
}

// fill makes an element with a text of the start of one that had none.
func fill(start []byte, text string) []byte {
	name := bytes.Fields(start[1:])[0]
	var b bytes.Buffer
	b.Write(start)
	b.WriteByte('>')
	_ = xml.EscapeText(&b, []byte(text)) // to memory
	b.WriteString("</")
	b.Write(name)
	b.WriteByte('>')
	return b.Bytes()
}

// asItIs copies the rest of what turned out to be no document.
func asItIs(out *bufio.Writer, raw []byte, rec *recorder) error {
	out.Write(raw) // an error stays with the writer
	out.Write(rec.buf.Bytes())
	if _, err := rec.r.WriteTo(out); err != nil {
		return err
	}
	return out.Flush()
}

// A recorder keeps the bytes that the decoder has read and that have not been copied yet.
type recorder struct {
	r     *bufio.Reader
	buf   bytes.Buffer
	taken int64
	err   error
}

// ReadByte makes the decoder read no further than it must.
func (r *recorder) ReadByte() (byte, error) {
	if r.err != nil {
		return 0, r.err
	}
	b, err := r.r.ReadByte()
	if err == nil && r.buf.Len() >= longestToken {
		err = errToken
	}
	if err != nil {
		r.err = err
		return 0, err
	}
	r.buf.WriteByte(b)
	return b, nil
}

// Read is there for the decoder's signature; it reads byte by byte.
func (r *recorder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// take returns what was read up to the offset. It is good until the next byte is read.
func (r *recorder) take(offset int64) []byte {
	raw := r.buf.Next(int(offset - r.taken))
	r.taken = offset
	return raw
}
