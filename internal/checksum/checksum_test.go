package checksum_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checked"
	"github.com/apus-storage/apus/internal/checksum"
)

func of(a checksum.Algorithm, body string) checksum.Value {
	h := a.New()
	io.WriteString(h, body)
	return checksum.Of(a, h)
}

// TestKnown has the check values of the algorithms' catalogues, in base64.
func TestKnown(t *testing.T) {
	for a, want := range map[checksum.Algorithm]string{
		checksum.CRC32:     "y/Q5Jg==",
		checksum.CRC32C:    "4waSgw==",
		checksum.CRC64NVME: "rosUhgp5mIg=",
		checksum.SHA1:      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		checksum.SHA256:    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
		checksum.SHA512:    "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ==",
		checksum.MD5:       "JfnnlDI7RTiF9RgfG2JNCw==",
		checksum.XXHash64:  "jLhB20DmroM=",
		checksum.XXHash3:   "ctyxi2ehff8=",
		checksum.XXHash128: "MxGUd+3l3NXpcWQnaB1YYA==",
	} {
		got := of(a, "123456789")
		if got.String() != want || len(got.Sum) != a.Size() {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
		if back, err := checksum.ParseValue(a, want); err != nil || back != got {
			t.Errorf("%s: %s is read as %v, %v", a, want, back, err)
		}
		if b, is, err := checksum.OfHeader(strings.ToUpper(a.Header())); b != a || !is || err != nil {
			t.Errorf("%s: header %s is of %s, %v, %v", a, a.Header(), b, is, err)
		}
		if b, err := checksum.Parse(strings.ToLower(string(a))); b != a || err != nil {
			t.Errorf("%s: parsed %s, %v", a, b, err)
		}
	}
	if n := len(checksum.All()); n != 10 {
		t.Errorf("%d algorithms", n)
	}
	if _, err := checksum.Parse("MD4"); !errors.Is(err, awserr.InvalidRequest) {
		t.Errorf("MD4: %v", err)
	}
}

func TestFromHeader(t *testing.T) {
	crc := of(checksum.CRC32, "a").String()
	for _, c := range []struct {
		name string
		h    http.Header
		ok   bool
		want awserr.Code
	}{
		{"none", http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}, "X-Amz-Checksum-Type": {"COMPOSITE"}, "X-Amz-Checksum-Algorithm": {"CRC32"}}, false, ""},
		{"one", http.Header{"X-Amz-Checksum-Crc32": {crc}}, true, ""},
		{"two", http.Header{"X-Amz-Checksum-Crc32": {crc}, "X-Amz-Checksum-Crc32c": {crc}}, false, awserr.InvalidRequest},
		{"one twice", http.Header{"X-Amz-Checksum-Crc32": {crc, crc}}, false, awserr.InvalidRequest},
		{"unknown", http.Header{"X-Amz-Checksum-Md4": {crc}}, false, awserr.NotImplemented},
		{"empty", http.Header{"X-Amz-Checksum-Crc32": {""}}, false, awserr.InvalidRequest},
		{"no base64", http.Header{"X-Amz-Checksum-Crc32": {"????"}}, false, awserr.InvalidRequest},
		{"line end", http.Header{"X-Amz-Checksum-Crc32": {crc[:4] + "\n" + crc[4:]}}, false, awserr.InvalidRequest},
		{"of another length", http.Header{"X-Amz-Checksum-Sha1": {crc}}, false, awserr.InvalidRequest},
		{"stray bits", http.Header{"X-Amz-Checksum-Crc32": {"AAAAAB=="}}, false, awserr.InvalidRequest},
	} {
		v, ok, err := checksum.FromHeader(c.h)
		if ok != c.ok || c.want == "" != (err == nil) || err != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, %v, %v, want %v, %q", c.name, v, ok, err, c.ok, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, a := range checksum.All() {
		if got, err := io.ReadAll(checked.NewReader(strings.NewReader("hello"), of(a, "hello").Check())); err != nil || string(got) != "hello" {
			t.Errorf("%s: %q, %v", a, got, err)
		}
		if got, err := io.ReadAll(checked.NewReader(strings.NewReader("hellO"), of(a, "hello").Check())); !errors.Is(err, awserr.BadDigest) || len(got) > 4 {
			t.Errorf("%s: of a wrong body %q, %v", a, got, err)
		}
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		a    checksum.Algorithm
		text string
		want checksum.Type
	}{
		{checksum.CRC32, "", checksum.Composite}, {checksum.CRC32C, "full_object", checksum.FullObject}, {checksum.CRC32C, "COMPOSITE", checksum.Composite},
		{checksum.CRC64NVME, "", checksum.FullObject}, {checksum.CRC64NVME, "COMPOSITE", ""}, {checksum.SHA1, "FULL_OBJECT", ""},
		{checksum.SHA256, "", checksum.Composite}, {checksum.SHA256, "x", ""},
	} {
		got, err := checksum.ParseType(c.a, c.text)
		if got != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, awserr.InvalidRequest) {
			t.Errorf("%s %q: got %q, %v, want %q", c.a, c.text, got, err, c.want)
		}
	}
}

// TestFullObject combines the CRCs of any pieces of a body, which must be the body's.
func TestFullObject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]checksum.Algorithm{checksum.CRC32, checksum.CRC32C, checksum.CRC64NVME}).Draw(t, "algorithm")
		var parts []checksum.Part
		var body string
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			piece := strings.Repeat(rapid.StringN(0, 8, -1).Draw(t, "piece"), rapid.IntRange(1, 300).Draw(t, "times"))
			body += piece
			parts = append(parts, checksum.Part{Value: of(a, piece), Size: int64(len(piece))})
		}
		if got, want := checksum.Whole(a, checksum.FullObject, parts), of(a, body); got.Value != want || got.String() != want.String() {
			t.Fatalf("%s: got %s, want %s", a, got, want)
		}
	})
}

// TestFullObjectOfLargeParts has sizes that nobody hashes in a test: zeros appended one by one double.
func TestFullObjectOfLargeParts(t *testing.T) {
	for _, a := range []checksum.Algorithm{checksum.CRC32, checksum.CRC32C, checksum.CRC64NVME} {
		zeros := checksum.Part{Value: of(a, string(make([]byte, 1<<20))), Size: 1 << 20}
		for range 22 { // 4 TiB
			zeros = checksum.Part{Value: checksum.Whole(a, checksum.FullObject, []checksum.Part{zeros, zeros}).Value, Size: 2 * zeros.Size}
		}
		head := checksum.Part{Value: of(a, "head"), Size: 4}
		tail := checksum.Part{Value: of(a, "tail"), Size: 4}
		// Whichever two are put together first.
		left := checksum.Part{Value: checksum.Whole(a, checksum.FullObject, []checksum.Part{head, zeros}).Value, Size: 4 + zeros.Size}
		right := checksum.Part{Value: checksum.Whole(a, checksum.FullObject, []checksum.Part{zeros, tail}).Value, Size: 4 + zeros.Size}
		one := checksum.Whole(a, checksum.FullObject, []checksum.Part{left, tail})
		two := checksum.Whole(a, checksum.FullObject, []checksum.Part{head, right})
		if one != two {
			t.Errorf("%s: %s and %s of the same bytes", a, one, two)
		}
	}
}

func TestComposite(t *testing.T) {
	for _, a := range []checksum.Algorithm{checksum.CRC32, checksum.CRC32C, checksum.SHA1, checksum.SHA256} {
		one, two := of(a, "one"), of(a, "two")
		got := checksum.Whole(a, checksum.Composite, []checksum.Part{{Value: one, Size: 3}, {Value: two, Size: 3}})
		if want := of(a, one.Sum+two.Sum).String() + "-2"; got.String() != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
		if back, err := checksum.ParseObject(a, got.String()); err != nil || back != got {
			t.Errorf("%s: %s is read as %v, %v", a, got, back, err)
		}
	}
	plain := of(checksum.SHA1, "x")
	if o, err := checksum.ParseObject(checksum.SHA1, plain.String()); err != nil || o.Parts != 0 || o.String() != plain.String() {
		t.Errorf("plain: %v, %v", o, err)
	}
	for _, end := range []string{"-", "-0", "--1", "-1-1", "-01", "-+1", "-x", "-99999999999999999999"} {
		if o, err := checksum.ParseObject(checksum.SHA1, plain.String()+end); !errors.Is(err, awserr.InvalidRequest) {
			t.Errorf("%s: %v, %v", end, o, err)
		}
	}
}

func FuzzParseObject(f *testing.F) {
	f.Add("y/Q5Jg==-3")
	f.Add("y/Q5Jg==")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range checksum.All() {
			o, err := checksum.ParseObject(a, text)
			if err == nil && o.String() != text {
				t.Fatalf("%q is read as %q", text, o)
			}
		}
	})
}

func BenchmarkWhole(b *testing.B) {
	parts := make([]checksum.Part, 10000)
	for i := range parts {
		parts[i] = checksum.Part{Value: of(checksum.CRC64NVME, "x"), Size: 5<<20 + int64(i)}
	}
	for b.Loop() {
		checksum.Whole(checksum.CRC64NVME, checksum.FullObject, parts)
	}
}
