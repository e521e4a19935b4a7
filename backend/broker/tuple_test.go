package broker

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTuple(t *testing.T) {
	tuple := []any{"", "é\x00", int64(0), int64(255), int64(256), int64(65536), int64(-1), int64(math.MaxInt64), int64(math.MinInt64), none{}}
	want := append([]any(nil), tuple...)
	want[len(want)-1] = nil
	got, err := decodeTuple(appendTuple(nil, tuple...))
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("decode of %v: got %v %v", tuple, got, err)
	}
}

func TestTupleOfPython(t *testing.T) {
	for _, c := range []struct {
		what, in string
		want     []any
	}{
		{"protocol 2 with memo", "\x80\x02(X\x01\x00\x00\x00aq\x00h\x00\x8a\x02\x00\xfft\x71\x01.", []any{"a", "a", int64(-256)}},
		{"protocol 4 with short texts", "\x80\x04\x95\x09\x00\x00\x00\x00\x00\x00\x00(\x8c\x01a\x94K\x05t\x94.", []any{"a", int64(5)}},
		{"python 2 bytes", "\x80\x02(U\x01aq\x00\x88\x89t.", []any{"a", int64(1), int64(0)}},
		{"empty long", "\x80\x02(\x8a\x00t.", []any{int64(0)}},
	} {
		if got, err := decodeTuple([]byte(c.in)); err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("%s: got %v %v, want %v", c.what, got, err, c.want)
		}
	}
	for _, in := range []string{"", ".", "\x80\x02.", "\x80\x02(t", "\x80\x02((tt.", "\x80\x02(h\x00t.", "\x80\x02(r\xff\xff\xff\xff.", "\x80\x02(q\x00t.", "\x80\x02cos\nsystem\n.", "\x80\x02(tK\x00."} {
		if got, err := decodeTuple([]byte(in)); !errors.Is(err, errPickle) {
			t.Errorf("%q: got %v %v, want an error", in, got, err)
		}
	}
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add(append(encodeRecord([]any{"name", int64(5), none{}}), ":x:"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, tuple := range decodeRecords(data, func([]byte, error) {}) {
			for i, e := range tuple {
				if e == nil {
					tuple[i] = none{}
				}
			}
			again := decodeRecords(encodeRecord(tuple), func(_ []byte, err error) { t.Fatal(err) })
			if len(again) != 1 || len(again[0]) != len(tuple) {
				t.Fatalf("%v comes back as %v", tuple, again)
			}
			objectFromTuple(tuple)
			containerFromTuple(tuple)
		}
	})
}

func TestAppendAllTakesBack(t *testing.T) {
	// A read-only descriptor refuses the write; the file stays as it is.
	file := t.TempDir() + "/p"
	fd, err := openPending(file, 0o102) // O_CREAT|O_RDWR
	if err != nil {
		t.Fatal(err)
	}
	if err := appendAll(fd, bytes.Repeat([]byte("x"), 10), 0); err != nil {
		t.Fatal(err)
	}
	readOnly, err := openPending(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := appendAll(readOnly, []byte("y"), 10); err == nil {
		t.Error("a write to a read-only descriptor succeeds")
	}
}
