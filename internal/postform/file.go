package postform

import (
	"bytes"
	"io"
	"strconv"

	"github.com/apus-storage/apus/internal/checked"
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
// Head bytes. Neither its last byte nor io.EOF comes unless the file ends, and has the size that it must have. Nothing else of the form may have been read
// since.
//
// Whoever reads the form next has to find the same end of the file. So the boundary may stand in the file nowhere, also not with
// something behind it that makes it part of the file to some readers.
func (f *Form) Rest(least, most int64) io.Reader {
	r := &rest{src: f.lead, delimiter: []byte("\r\n--" + f.Boundary), least: least, most: most}
	// The end of the line before the file is that of a delimiter too.
	r.held, r.size = append(r.held, "\r\n"...), -2
	return checked.NewReader(r)
}

// A rest passes bytes on and looks for the end of the file in them.
type rest struct {
	src         io.Reader
	delimiter   []byte
	least, most int64
	size        int64  // of the file, without what is held
	held        []byte // what may be the beginning of the delimiter
	ended       bool   // the file has
	err         error
}

func (r *rest) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	n, err := r.src.Read(p)
	if !r.ended {
		if r.err = r.scan(p[:n]); r.err != nil {
			return 0, r.err
		}
		if err == io.EOF && !r.ended {
			err = Malformed(io.ErrUnexpectedEOF)
		}
	}
	r.err = err
	return n, err
}

// scan looks at the next bytes of the file.
func (r *rest) scan(p []byte) error {
	r.held = append(r.held, p...)
	keep := len(r.delimiter) - 1
	if at := bytes.Index(r.held, r.delimiter); at >= 0 {
		end := at + len(r.delimiter)
		if len(r.held) < end+2 {
			keep = len(r.held) - at
		} else {
			after := string(r.held[end : end+2])
			if r.size += int64(at); r.size < 0 || after != "\r\n" && after != "--" {
				return Malformed(nil)
			}
			r.ended, r.held = true, nil
			if r.size < r.least {
				return tooSmall(r.least, r.size)
			}
		}
	}
	if past := len(r.held) - keep; past > 0 {
		r.size += int64(past)
		r.held = append(r.held[:0], r.held[past:]...)
	}
	if r.size > r.most {
		return tooLarge(r.most, r.size)
	}
	return nil
}
