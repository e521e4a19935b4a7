package postform

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/apus-storage/apus/internal/s3err"
)

// File returns the file, which ends well only if it has the size that it must have. Nothing else of the form may have been read
// since.
func (f *Form) File(least, most int64) io.Reader {
	return &sized{src: f.file, least: least, most: most}
}

// sized is a file that has to have a size.
type sized struct {
	src         io.Reader
	n           int64
	least, most int64
}

func (s *sized) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	s.n += int64(n)
	switch {
	case s.n > s.most:
		return 0, tooLarge(s.most, s.n)
	case err == io.EOF && s.n < s.least:
		return n, tooSmall(s.least, s.n)
	}
	return n, err
}

func tooLarge(most, n int64) error {
	return s3err.EntityTooLarge.Say("Your proposed upload exceeds the maximum allowed size", sizes("MaxSizeAllowed", most, n)...)
}

func tooSmall(least, n int64) error {
	return s3err.EntityTooSmall.Say("Your proposed upload is smaller than the minimum allowed size", sizes("MinSizeAllowed", least, n)...)
}

// sizes are the details of an error about a size.
func sizes(limit string, allowed, proposed int64) []string {
	return []string{"ProposedSize", strconv.FormatInt(proposed, 10), limit, strconv.FormatInt(allowed, 10)}
}

// Rest returns the file and everything after it as it came, for whoever sends the form on with other fields: the body but for the first
// Head bytes. The end of the file comes only when the whole body has come and the file has the size that it must have: until then whoever
// gets it has a form that is not complete, however little of a form is enough for it. So what follows the file is held, and is bounded.
// Nothing else of the form may have been read since.
//
// Whoever reads the form next has to find the same end of the file. So the boundary may stand in the file nowhere, also not with
// something behind it that makes it part of the file to some readers.
func (f *Form) Rest(least, most int64) io.Reader {
	// The end of the line before the file is that of a delimiter too.
	return &rest{src: f.lead, delimiter: []byte("\r\n--" + f.Boundary), least: least, most: most, buf: []byte("\r\n"), fresh: true}
}

const (
	maxTail = 64 << 10 // of what follows the file
	piece   = 32 << 10 // is read at once
)

// A rest passes bytes on and looks for the end of the file in them.
type rest struct {
	src         io.Reader
	delimiter   []byte
	least, most int64
	size        int64 // of the file, as far as it is passed on
	fresh       bool  // nothing is passed on, and the line end before the file stands in buf
	ended       bool  // the file has
	err         error // once what is safe is gone

	buf         []byte
	given, safe int // bytes of buf that are gone, and that may go after those
}

func (r *rest) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.safe == 0 && r.err == nil {
		r.fill()
	}
	if r.safe == 0 {
		return 0, r.err
	}
	n := copy(p, r.buf[r.given:r.given+r.safe])
	r.given += n
	r.safe -= n
	return n, nil
}

var (
	errEnd  = errors.New("the file does not end")
	errTail = errors.New("more than may follow the file")
)

// fill reads once.
func (r *rest) fill() {
	if r.given > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.given:])]
		r.given = 0
	}
	r.buf = slices.Grow(r.buf, piece)
	have := len(r.buf)
	n, err := r.src.Read(r.buf[have : have+piece])
	r.buf = r.buf[:have+n]
	if !r.ended {
		if r.err = r.scan(); r.err != nil {
			return
		}
	}
	switch {
	case err == io.EOF && !r.ended:
		r.err = Malformed(errEnd)
	case err == io.EOF:
		r.safe, r.err = len(r.buf)-r.given, io.EOF
	case err != nil:
		r.err = err
	case r.ended && len(r.buf) > maxTail+piece:
		r.err = Malformed(errTail)
	}
}

// scan looks for the end of the file.
func (r *rest) scan() error {
	at := bytes.Index(r.buf, r.delimiter)
	if at < 0 {
		return r.pass(len(r.buf) - len(r.delimiter) + 1)
	}
	end := at + len(r.delimiter)
	if len(r.buf) < end+2 {
		return r.pass(at)
	}
	if after := string(r.buf[end : end+2]); at == 0 && r.fresh || after != "\r\n" && after != "--" {
		return Malformed(nil)
	}
	r.ended = true
	if err := r.pass(at); err != nil {
		return err
	}
	if r.size < r.least {
		r.safe = 0
		return tooSmall(r.least, r.size)
	}
	return nil
}

// pass lets bytes of the file go.
func (r *rest) pass(n int) error {
	if r.fresh {
		if n < 2 {
			return nil
		}
		r.fresh, r.given, n = false, 2, n-2
	}
	if n <= 0 {
		return nil
	}
	if r.size += int64(n); r.size > r.most {
		return tooLarge(r.most, r.size)
	}
	r.safe = n
	return nil
}
