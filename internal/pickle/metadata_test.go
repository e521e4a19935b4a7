package pickle

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// latin1 turns the JSON form of header text, one character a byte, into bytes.
func latin1(t testing.TB, s string) string {
	t.Helper()
	out, ok := latin1Of(s)
	if !ok {
		t.Fatalf("%q is not header text", s)
	}
	return out
}

func TestDecodeMetadataTakesEveryEncoding(t *testing.T) {
	var golden struct {
		Encodings map[string]struct{ Hex string }
		Expected  map[string]string
	}
	readJSON(t, "accepted_metadata_encodings.json", &golden)
	const python2, protocol3 = "p2_short_binstring (as Python 2 wrote)", "p3_bytes"
	for name, encoding := range golden.Encodings {
		want := map[string]string{}
		for key, value := range golden.Expected {
			if want[key] = value; key != "name" {
				want[key] = latin1(t, value)
			}
		}
		// The fixture's byte items hold UTF-8 of header text, but release 2.38 takes them for header bytes.
		if name == python2 || name == protocol3 {
			want["X-Object-Meta-V"] = "caf\xc3\x83\xc2\xa9"
		}
		items, err := DecodeMetadata(unhex(t, encoding.Hex))
		if err != nil {
			t.Errorf("%s: DecodeMetadata: %v", name, err)
			continue
		}
		got := map[string]string{}
		for _, item := range items {
			got[item.Key] = item.Value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: DecodeMetadata, -want +got:\n%s", name, diff)
		}
	}
}

func TestGoldenMetadataBothWays(t *testing.T) {
	var golden struct {
		Files []struct {
			Path     string
			Metadata map[string]string
			Xattrs   map[string]string `json:"xattrs_hex"`
		}
	}
	readJSON(t, "objects_expected.json", &golden)
	n := 0
	for _, file := range golden.Files {
		data := unhex(t, file.Xattrs["user.swift.metadata"])
		for _, more := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
			data = append(data, unhex(t, file.Xattrs["user.swift.metadata"+more])...)
		}
		if len(data) == 0 {
			continue
		}
		n++
		if _, usual := decodeUsualMetadata(data); !usual {
			t.Errorf("%s: not read by the fast way", file.Path)
		}
		items, err := DecodeMetadata(data)
		if err != nil {
			t.Errorf("%s: DecodeMetadata: %v", file.Path, err)
			continue
		}
		if len(items) != len(file.Metadata) {
			t.Errorf("%s: %d items, want %d", file.Path, len(items), len(file.Metadata))
		}
		for _, item := range items {
			want := file.Metadata[item.Key]
			if item.Key != "name" {
				want = latin1(t, file.Metadata[string(appendLatin1AsUTF8(nil, item.Key))])
			}
			if item.Value != want {
				t.Errorf("%s: %q = %q, want %q", file.Path, item.Key, item.Value, want)
			}
		}
		if again := EncodeMetadata(items); !bytes.Equal(again, data) {
			t.Errorf("%s: EncodeMetadata = %x\nwant %x", file.Path, again, data)
		}
	}
	if n < 10 {
		t.Fatalf("only %d files in the fixture", n)
	}
}

// What a Python server made of a PUT with header bytes beyond ASCII, and of one with an empty value.
func TestMetadataOfServerIsHeaderBytes(t *testing.T) {
	var golden struct {
		Items [][2]string `json:"decoded_bytes_hex"`
	}
	readJSON(t, "server_written_utf8_metadata.json", &golden)
	var items []KV
	for _, item := range golden.Items {
		key, value := string(unhex(t, item[0])), string(unhex(t, item[1]))
		if key != "name" {
			value = latin1(t, value)
		}
		items = append(items, KV{latin1(t, key), value})
	}
	if want := (KV{"X-Object-Meta-Bad", "\xff\xfe"}); !slices.Contains(items, want) {
		t.Fatalf("the fixture lacks %q", want)
	}
	got, err := DecodeMetadata(EncodeMetadata(items))
	if diff := cmp.Diff(items, got); err != nil || diff != "" {
		t.Errorf("DecodeMetadata(EncodeMetadata): %v, -want +got:\n%s", err, diff)
	}
}

func TestMetadataRoundTrips(t *testing.T) {
	many := make([]KV, 0, 1100)
	for i := range 1100 {
		many = append(many, KV{"X-Object-Meta-" + strings.Repeat("k", 1+i), "v"})
	}
	for name, items := range map[string][]KV{
		"nothing":                   {},
		"one item":                  {{"name", "/a/c/o"}},
		"short values that repeat":  {{"a", "2"}, {"b", "2"}, {"c", ""}, {"d", ""}, {"2", "2"}},
		"more than 256 saved":       many[:100],
		"more than one batch":       many,
		"a name that is UTF-8":      {{"name", "/a/c/é☃"}, {"X-Object-Meta-É", "é☃\xff"}},
		"a name that is not UTF-8":  {{"name", "/a/c/\xff"}, {"X-Timestamp", "1"}},
		"many different short ones": {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}, {"f", "5"}},
	} {
		got, err := DecodeMetadata(EncodeMetadata(items))
		if err != nil || !slices.Equal(got, items) {
			t.Errorf("%s: DecodeMetadata(EncodeMetadata(%.200q)) = %.200q, %v", name, items, got, err)
		}
	}
}

func TestDecodeMetadataRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":             "",
		"a list":              "].",
		"a value that nests":  "}X\x01\x00\x00\x00a]s.",
		"a name that is None": "}X\x04\x00\x00\x00nameNs.",
		"a key that is None":  "}NX\x01\x00\x00\x00as.",
		"another global":      "}cos\nsystem\n)Rs.",
	} {
		if got, err := DecodeMetadata([]byte(in)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: DecodeMetadata(%q) = %q, %v; want ErrInvalid", name, in, got, err)
		}
	}
}

func sampleMetadata() []KV {
	return []KV{
		{"X-Timestamp", "1402464677.04188"}, {"Content-Type", "text/plain"}, {"Content-Length", "4096"},
		{"ETag", "49f68a5c8493ec2c0bf489821c21fc3b"}, {"X-Object-Meta-Color", "blue"}, {"name", "/AUTH_test/container/object"},
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	f.Add(EncodeMetadata(sampleMetadata()))
	f.Add(EncodeMetadata([]KV{{"a", ""}, {"b", "é"}, {"c", ""}, {"name", "\xff"}}))
	f.Add([]byte("}U\x01aU\x01bs."))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := DecodeMetadata(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("DecodeMetadata(%q) fails with %v, not ErrInvalid", data, err)
			}
			return
		}
		// The fast way must not accept what the general one reads differently.
		if fast, ok := decodeUsualMetadata(data); ok {
			v, err := Decode(data)
			d, isDict := v.(*Dict)
			if err != nil || !isDict || d.Len() != len(fast) {
				t.Fatalf("the fast way reads %q as %q, the general one as %#v, %v", data, fast, v, err)
			}
		}
		seen := map[string]bool{}
		for _, item := range items {
			if seen[item.Key] {
				return
			}
			seen[item.Key] = true
		}
		again, err := DecodeMetadata(EncodeMetadata(items))
		if err != nil || !slices.Equal(again, items) {
			t.Errorf("DecodeMetadata(%q) = %q, encoded and decoded again %q, %v", data, items, again, err)
		}
	})
}

func BenchmarkDecodeMetadata(b *testing.B) {
	data := EncodeMetadata(sampleMetadata())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeMetadata(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendMetadata(b *testing.B) {
	items, buf := sampleMetadata(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendMetadata(buf[:0], items)
	}
}
