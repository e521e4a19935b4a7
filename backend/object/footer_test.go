package object

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestFillerFills checks that small pieces come together, and that an error comes with what was read before it.
func TestFillerFills(t *testing.T) {
	broken := errors.New("broken")
	calls := 0
	f := filler{io.MultiReader(iotest.OneByteReader(bytes.NewReader(make([]byte, 100))), iotest.ErrReader(broken)), func() error { calls++; return nil }}
	p := make([]byte, 64)
	if n, err := f.Read(p); n != 64 || err != nil || calls != 64 {
		t.Errorf("got %d bytes, %v, in %d reads", n, err, calls)
	}
	if n, err := f.Read(p); n != 36 || err != broken {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	whole := filler{bytes.NewReader(make([]byte, 100)), func() error { return nil }}
	if b, err := io.ReadAll(whole); len(b) != 100 || err != nil {
		t.Errorf("whole: %d bytes, %v", len(b), err)
	}
}
