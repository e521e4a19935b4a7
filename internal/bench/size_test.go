package bench

import (
	"errors"
	"testing"
)

func TestParseSize(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     int64
		bad      bool
	}{
		{name: "plain bytes", in: "4096", want: 4096},
		{name: "binary unit", in: "64MiB", want: 64 << 20},
		{name: "decimal unit", in: "2MB", want: 2_000_000},
		{name: "a space before the unit", in: "4 KiB", want: 4096},
		{name: "nothing at all", in: "0", want: 0},
		{name: "the largest object", in: "5GiB", want: 5 << 30},
		{name: "too large for an object", in: "6GiB", bad: true},
		{name: "overflow", in: "9223372036854775807GiB", bad: true},
		{name: "negative", in: "-1", bad: true},
		{name: "empty", in: "", bad: true},
		{name: "unit alone", in: "KiB", bad: true},
		{name: "unknown unit", in: "4KB", bad: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseSize(tc.in)
			if errors.Is(err, ErrInvalid) != tc.bad || got != tc.want {
				t.Errorf("ParseSize(%q) = %d, %v; want %d, bad %v", tc.in, got, err, tc.want, tc.bad)
			}
		})
	}
}

func TestSizesKeepTheirWeights(t *testing.T) {
	s, err := ParseSizes("1KiB=3,1MiB=1")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int64]int)
	for i := range uint64(4000) {
		seen[s.pick(mix(i))]++
	}
	if n := seen[1<<10]; n < 2850 || n > 3150 || len(seen) != 2 {
		t.Errorf("picked %v of %v, want about 3000 to 1000", seen, s)
	}
	for _, in := range []string{"mix", "4KiB", "1B=2,3MiB=4"} {
		s, err := ParseSizes(in)
		again, err2 := ParseSizes(s.String())
		if err != nil || err2 != nil || s.String() != again.String() {
			t.Errorf("ParseSizes(%q) = %v, %v; its text reads as %v, %v", in, s, err, again, err2)
		}
	}
}

func FuzzParseSizes(f *testing.F) {
	for _, s := range []string{"4KiB", "mix", "1B=2,3MiB=4", "=", ",", "4KiB=", "99999999999GiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseSizes(in)
		if err != nil {
			return
		}
		if n := s.pick(12345); n < 0 || n > maxObjectSize {
			t.Errorf("ParseSizes(%q) gives size %d", in, n)
		}
		if again, err := ParseSizes(s.String()); err != nil || again.String() != s.String() {
			t.Errorf("ParseSizes(%q) = %v; its text reads as %v, %v", in, s, again, err)
		}
	})
}
