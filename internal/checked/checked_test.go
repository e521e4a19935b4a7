package checked_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/apus-storage/apus/internal/checked"
)

var errWrong = errors.New("wrong")

func reader(body io.Reader, of string) *checked.Reader {
	sum := sha256.Sum256([]byte(of))
	return checked.NewReader(body, checked.Digest(sha256.New(), sum[:], errWrong))
}

func TestReader(t *testing.T) {
	kinds := map[string]func(io.Reader) io.Reader{
		"at once":             func(r io.Reader) io.Reader { return r },
		"byte by byte":        iotest.OneByteReader,
		"data with EOF":       iotest.DataErrReader,
		"bytes, last has EOF": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	}
	for name, kind := range kinds {
		for _, body := range []string{"", "a", "ab", "the quick brown fox"} {
			if err := iotest.TestReader(reader(kind(bytes.NewReader([]byte(body))), body), []byte(body)); err != nil {
				t.Errorf("%s %q: %v", name, body, err)
			}
			got, err := io.ReadAll(reader(kind(bytes.NewReader([]byte(body))), body+"?"))
			if !errors.Is(err, errWrong) {
				t.Errorf("%s %q: of a wrong body ReadAll says %v, want the check's error", name, body, err)
			}
			if len(got) >= len(body) && body != "" {
				t.Errorf("%s %q: a wrong body was given away whole: %q", name, body, got)
			}
		}
	}
}

// TestBrokenBody keeps the error of a connection that breaks, and never the end in its place.
func TestBrokenBody(t *testing.T) {
	broken := errors.New("connection reset")
	got, err := io.ReadAll(reader(io.MultiReader(bytes.NewReader([]byte("abc")), iotest.ErrReader(broken)), "abc"))
	if !errors.Is(err, broken) || string(got) != "ab" {
		t.Errorf("got %q and %v, want ab and the error", got, err)
	}
}

func TestErrorStays(t *testing.T) {
	r := reader(bytes.NewReader([]byte("abc")), "abd")
	io.ReadAll(r)
	for range 3 {
		if n, err := r.Read(make([]byte, 4)); n != 0 || !errors.Is(err, errWrong) {
			t.Errorf("got %d, %v after the error", n, err)
		}
	}
}

// TestAnyReads reads with buffers of any size from a reader that gives any pieces.
func TestAnyReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body")
		pieces := &pieces{body, rapid.SliceOfN(rapid.IntRange(0, 9), 1, 50).Draw(t, "pieces"), rapid.Bool().Draw(t, "EOF with data")}
		r := reader(pieces, string(body))
		var got []byte
		for {
			p := make([]byte, rapid.IntRange(0, 11).Draw(t, "size"))
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Fatalf("got %x, want %x", got, body)
		}
	})
}

// pieces gives a body in pieces of the sizes listed, over and over.
type pieces struct {
	left  []byte
	sizes []int
	early bool
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := min(p.sizes[0], len(b), len(p.left))
	p.sizes = append(p.sizes[1:], max(p.sizes[0], 1)) // an empty piece comes once
	copy(b, p.left[:n])
	p.left = p.left[n:]
	if len(p.left) == 0 && p.early {
		return n, io.EOF
	}
	return n, nil
}
