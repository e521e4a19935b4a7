package ranges

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// The vectors were made by OpenStack Swift's Range class: header, then null if ignored, else for several lengths the
// half-open ranges, [] for 416 and null for the whole entity.
func TestAgreesWithSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/ranges.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]json.RawMessage
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		var header string
		var results [][2]json.RawMessage
		if err := errors.Join(json.Unmarshal(row[0], &header), json.Unmarshal(row[1], &results)); err != nil {
			t.Fatal(err)
		}
		set, ok := Parse(header)
		if ok != (results != nil) {
			t.Errorf("Parse(%q) = %v, %v; Swift's opinion: %v", header, set, ok, results != nil)
			continue
		}
		for _, res := range results {
			var size int64
			var want [][2]int64
			if err := errors.Join(json.Unmarshal(res[0], &size), json.Unmarshal(res[1], &want)); err != nil {
				t.Fatal(err)
			}
			got, err := set.Resolve(size)
			if refused := want != nil && len(want) == 0; refused != errors.Is(err, ErrUnsatisfiable) {
				t.Errorf("%q of %d bytes: %v, %v; want refused: %v", header, size, got, err, refused)
				continue
			}
			var pairs [][2]int64
			for _, r := range got {
				pairs = append(pairs, [2]int64{r.Start, r.End})
			}
			if len(want) > 0 && !reflect.DeepEqual(pairs, want) || want == nil && got != nil {
				t.Errorf("%q of %d bytes = %v, want %v", header, size, pairs, want)
			}
		}
	}
}

func TestAdvance(t *testing.T) {
	for _, tc := range []struct {
		name, header string
		n            int64
		want         string
		err          error
	}{
		{"no range", "", 7, "bytes=7-", nil},
		{"into a closed range", "bytes=2-9,20-", 3, "bytes=5-9,20-", nil},
		{"into an open range", "bytes=2-", 3, "bytes=5-", nil},
		{"into a suffix", "bytes=-10", 3, "bytes=-7", nil},
		{"to the end of a range", "bytes=2-4", 3, "", ErrComplete},
		{"to the end of a suffix", "bytes=-3", 3, "", ErrComplete},
		{"past a range", "bytes=2-4", 4, "", ErrUnsatisfiable},
		{"past a suffix", "bytes=-3", 4, "", ErrUnsatisfiable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set, _ := Parse(tc.header)
			got, err := set.Advance(tc.n)
			if got.String() != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("Advance(%d) of %q = %q, %v; want %q, %v", tc.n, tc.header, got, err, tc.want, tc.err)
			}
			if set.String() != tc.header {
				t.Errorf("Advance changed its receiver from %q to %q", tc.header, set)
			}
		})
	}
}

func TestParseContentRange(t *testing.T) {
	for in, want := range map[string]struct {
		r    Range
		size int64
		ok   bool
	}{
		"bytes 0-1/10": {Range{0, 2}, 10, true}, "bytes 9-9/10": {Range{9, 10}, 10, true}, "bytes 0-1/*": {Range{0, 2}, None, true},
		"bytes 5-3/10": {}, "bytes 0-10/10": {}, "bytes */10": {}, "bytes 0-1": {}, "0-1/10": {}, "bytes -1/10": {}, "": {},
		"bytes 0-9223372036854775807/*": {},
	} {
		r, size, err := ParseContentRange(in)
		if r != want.r || size != want.size || (err == nil) != want.ok {
			t.Errorf("ParseContentRange(%q) = %v, %d, %v; want %+v", in, r, size, err, want)
		}
	}
	if got := Unsatisfied(10); got != "bytes */10" {
		t.Errorf("Unsatisfied(10) = %q", got)
	}
}

// What a real server sent for ranges 0-1 and 3-4 of "0123456789".
const sample = "--d23ba080fbd4766fb389dc0576d88b95\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n" +
	"--d23ba080fbd4766fb389dc0576d88b95\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Range: bytes 3-4/10\r\n\r\n34\r\n" +
	"--d23ba080fbd4766fb389dc0576d88b95--"

func write(m Multipart, object string, rs []Range) string {
	var b []byte
	for _, r := range rs {
		b = m.AppendHead(b, r)
		b = append(b, object[r.Start:r.End]...)
		b = append(b, PartEnd...)
	}
	return string(m.AppendTail(b))
}

func TestMultipartIsWrittenAsSwiftDoes(t *testing.T) {
	m := Multipart{"d23ba080fbd4766fb389dc0576d88b95", "application/x-www-form-urlencoded", 10}
	rs := []Range{{0, 2}, {3, 5}}
	if got := write(m, "0123456789", rs); got != sample {
		t.Errorf("got  %q\nwant %q", got, sample)
	}
	if got := m.Length(rs); got != 276 {
		t.Errorf("Length = %d, want 276", got)
	}
	if b, ok := BoundaryOf(m.Header()); !ok || b != m.Boundary {
		t.Errorf("BoundaryOf(%q) = %q, %v", m.Header(), b, ok)
	}
	if b := Boundary([16]byte{0xd2, 0x3b}); b != "d23b"+strings.Repeat("0", 28) {
		t.Errorf("Boundary = %q", b)
	}
}

func TestReader(t *testing.T) {
	for what, src := range map[string]io.Reader{
		"at once":            strings.NewReader(sample),
		"byte by byte":       iotest.OneByteReader(strings.NewReader(sample)),
		"leading blank line": strings.NewReader("\r\n" + sample + "\r\n"),
	} {
		r := NewReader(src, "d23ba080fbd4766fb389dc0576d88b95")
		var got []string
		for {
			p, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: Next: %v", what, err)
			}
			b, err := io.ReadAll(p)
			if err != nil || p.ContentType != "application/x-www-form-urlencoded" || p.Size != 10 {
				t.Errorf("%s: part %+v, %v", what, p, err)
			}
			got = append(got, p.Range.ContentRange(p.Size)+" "+string(b))
		}
		if want := []string{"bytes 0-1/10 01", "bytes 3-4/10 34"}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
}

func TestReaderSkipsAnUnreadPart(t *testing.T) {
	r := NewReader(strings.NewReader(sample), "d23ba080fbd4766fb389dc0576d88b95")
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	p, err := r.Next()
	if err != nil || p.Range.Start != 3 {
		t.Errorf("second part %+v, %v", p, err)
	}
}

func TestReaderNoticesEveryTruncation(t *testing.T) {
	for n := range sample {
		r := NewReader(strings.NewReader(sample[:n]), "d23ba080fbd4766fb389dc0576d88b95")
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if err == io.EOF {
			t.Errorf("%d of %d bytes passed for a whole body", n, len(sample))
		}
	}
}

func TestReaderRefusesAnotherBoundary(t *testing.T) {
	if _, err := NewReader(strings.NewReader(sample), "x").Next(); !errors.Is(err, ErrMultipart) {
		t.Errorf("Next = %v, want ErrMultipart", err)
	}
	long := "--b\r\nContent-Type: " + strings.Repeat("x", maxHead) + "\r\n"
	if _, err := NewReader(strings.NewReader(long), "b").Next(); !errors.Is(err, ErrMultipart) {
		t.Errorf("Next of a long line = %v, want ErrMultipart", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("bytes=0-1,-5,7-", int64(10))
	f.Add("bytes=+1_0-99999999999999999999", int64(0))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		set, ok := Parse(header)
		if !ok || size < 0 {
			return
		}
		if again, ok := Parse(set.String()); !ok || !reflect.DeepEqual(again, set) {
			t.Errorf("Parse(%q) = %v, written %q, read %v", header, set, set.String(), again)
		}
		rs, err := set.Resolve(size)
		for _, r := range rs {
			if r.Start < 0 || r.End <= r.Start || r.End > size {
				t.Errorf("%q of %d bytes: %v, %v", header, size, rs, err)
			}
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("--d23ba080fbd4766fb389dc0576d88b95\r\nContent-Range: bytes 0-99/*\r\n\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := NewReader(bytes.NewReader(body), "d23ba080fbd4766fb389dc0576d88b95")
		for {
			p, err := r.Next()
			if err != nil {
				return
			}
			b, err := io.ReadAll(p)
			if err == nil && int64(len(b)) != p.Range.Len() {
				t.Errorf("part %v gave %d bytes", p.Range, len(b))
			}
		}
	})
}

func BenchmarkParseAndResolve(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		set, _ := Parse("bytes=1000-1999")
		if _, err := set.Resolve(1 << 20); err != nil {
			b.Fatal(err)
		}
	}
}
