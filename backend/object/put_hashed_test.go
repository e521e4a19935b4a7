package object

import (
	"crypto/md5"
	"strings"
	"testing"
)

// sent is a body whose sender tells an MD5.
type sent struct {
	*strings.Reader
	sum []byte
	n   int64
}

func (sent) Close() error                        { return nil }
func (s sent) ObjectMD5() func() ([]byte, int64) { return func() ([]byte, int64) { return s.sum, s.n } }

// TestWhatTheSenderHashesIsNotHashed checks that a sum is believed, and is not where it is one of other bytes.
func TestWhatTheSenderHashesIsNotHashed(t *testing.T) {
	other := md5.Sum([]byte("not what is sent"))
	h := hasherOf(sent{strings.NewReader("hello"), other[:], 5})
	h.add([]byte("hello"))
	if sum, err := h.md5(5); err != nil || string(sum) != string(other[:]) {
		t.Errorf("got %x, %v, want the sender's sum", sum, err)
	}
	if _, err := h.md5(4); err == nil {
		t.Error("fewer bytes than were hashed are no error")
	}
	if _, err := hasherOf(sent{strings.NewReader("hello"), nil, 5}).md5(5); err == nil {
		t.Error("no sum is no error")
	}
	h = hasherOf(strings.NewReader("hello"))
	h.add([]byte("hello"))
	want := md5.Sum([]byte("hello"))
	if sum, err := h.md5(5); err != nil || string(sum) != string(want[:]) {
		t.Errorf("of another body got %x, %v, want %x", sum, err, want)
	}
}
