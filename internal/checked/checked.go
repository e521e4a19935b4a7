// Package checked is a reader of a body whose truth is known only at its end: a digest that the client gave must fit.
//
// Whoever stores a body as it streams by may take it for whole in two ways, by io.EOF or by counting to Content-Length, as
// net/http does when it sends one. So the reader keeps two promises:
//
//   - io.EOF comes only after every check held; otherwise the check's error comes in its place;
//   - the last byte comes only after every check held, so that nobody who counts has all bytes of a body that is wrong.
//
// What was read before the end is not proved by anything: it must not be committed before one of the two.
//
//	body := checked.NewReader(r.Body, checked.Digest(sha256.New(), want, awserr.New(awserr.ContentSHA256Mismatch, text)))
package checked

import (
	"crypto/subtle"
	"hash"
	"io"
)

// A Check sees the whole body and then says whether it is the right one.
type Check interface {
	io.Writer
	Verify() error
}

// Digest is the check that a body has the digest sum; otherwise the error is wrong.
func Digest(h hash.Hash, sum []byte, wrong error) Check { return &digest{h, sum, wrong} }

type digest struct {
	hash.Hash
	sum   []byte
	wrong error
}

func (d *digest) Verify() error {
	if subtle.ConstantTimeCompare(d.Sum(nil), d.sum) != 1 {
		return d.wrong
	}
	return nil
}

// A Reader reads a body and checks it.
type Reader struct {
	r      io.Reader
	checks []Check
	held   [1]byte // the last byte that was read, if holds
	holds  bool
	err    error // what the next Read gives once nothing is held
}

// NewReader returns a reader of r that ends well only if all checks hold.
func NewReader(r io.Reader, checks ...Check) *Reader { return &Reader{r: r, checks: checks} }

func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.err == nil {
		if n := r.advance(p); n > 0 {
			return n, nil
		}
	}
	if r.holds && r.err == io.EOF {
		r.holds = false
		p[0] = r.held[0]
		return 1, nil
	}
	return 0, r.err
}

// advance reads once from below, and returns how many bytes of p may be given away: the byte that was held goes first, and
// the last one that came is held instead.
func (r *Reader) advance(p []byte) int {
	var one [1]byte
	space := p
	if r.holds {
		if space = p[1:]; len(space) == 0 {
			space = one[:]
		}
	}
	n, err := r.r.Read(space)
	for _, c := range r.checks {
		c.Write(space[:n])
	}
	if r.err = err; err == io.EOF {
		r.err = r.verify()
	}
	if n == 0 {
		return 0
	}
	last := space[n-1]
	if r.holds {
		p[0] = r.held[0]
	} else {
		n--
	}
	r.held[0], r.holds = last, true
	return n
}

func (r *Reader) verify() error {
	for _, c := range r.checks {
		if err := c.Verify(); err != nil {
			return err
		}
	}
	return io.EOF
}
