package listing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

type vectors struct {
	Render      [][6]any
	Accept      [][2]string
	ContentType [][3]any `json:"content_type"`
}

// The vectors were made by OpenStack Swift's own functions.
func load(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRenderingsAgreeWithSwift(t *testing.T) {
	for _, row := range load(t).Render {
		kind := Container
		if row[0] == "account" {
			kind = Account
		}
		name, loose, strict, text, xml := row[1].(string), row[2].(string), row[3].(string), row[4].(string), row[5].(string)
		// Both a listing with raw UTF-8 and line breaks and one as Swift writes it must come out as the latter.
		for _, in := range []string{loose, strict} {
			entries, err := Decode([]byte(in))
			if err != nil {
				t.Fatalf("Decode(%q): %v", in, err)
			}
			if got := string(Append(nil, entries)); got != strict {
				t.Errorf("JSON\n got %s\nwant %s", got, strict)
			}
			if got, err := RenderText(entries); err != nil || string(got) != text {
				t.Errorf("text\n got %q, %v\nwant %q", got, err, text)
			}
			if got, err := RenderXML(entries, kind, name); err != nil || string(got) != xml {
				t.Errorf("XML\n got %q, %v\nwant %q", got, err, xml)
			}
		}
	}
}

func TestNegotiationAgreesWithSwift(t *testing.T) {
	for _, row := range load(t).Accept {
		got, err := Choose("", row[0])
		switch {
		case errors.Is(err, ErrAccept):
			got = "bad"
		case errors.Is(err, ErrNotAcceptable):
			got = "none"
		}
		if got != row[1] {
			t.Errorf("Choose(%q) = %q, want %q", row[0], got, row[1])
		}
	}
}

func TestFormatBeatsAccept(t *testing.T) {
	for format, want := range map[string]string{
		"json": TypeJSON, "XML": TypeXML, "plain": TypeText, "csv": TypeText, "": TypeOldXML,
	} {
		if got, err := Choose(format, "text/xml"); got != want || err != nil {
			t.Errorf("Choose(%q, text/xml) = %q, %v; want %q", format, got, err, want)
		}
	}
	if got, err := Choose("json", "bogus"); got != TypeJSON || err != nil {
		t.Errorf("a bad Accept beside a format: %q, %v", got, err)
	}
}

func TestSwiftBytesAgreesWithSwift(t *testing.T) {
	for _, row := range load(t).ContentType {
		in := row[0].(string)
		shown, size, ok := CutSwiftBytes(in)
		want, has := row[2].(float64)
		if shown != row[1] || ok != has || ok && size != int64(want) {
			t.Errorf("CutSwiftBytes(%q) = %q, %d, %v; want %q, %v", in, shown, size, ok, row[1], row[2])
		}
	}
	for in, want := range map[string]string{
		"a/b; c=d;swift_bytes=5": "a/b; c=d", "a/b; c=d": "a/b; c=d", "a/b": "a/b", "a/b;swift_bytes=5;c=d": "a/b;swift_bytes=5;c=d",
	} {
		if got := StripSwiftBytes(in); got != want {
			t.Errorf("StripSwiftBytes(%q) = %q, want %q", in, got, want)
		}
	}
}

// What a real container and account server sent.
func TestRowsAreWrittenAsSwiftDoes(t *testing.T) {
	o := Object{Name: "é😀\x7f", Hash: "9d", ContentType: "text/plain; charset=x;swift_bytes=77", LastModified: "2026-11-21T23:14:31.658020", Bytes: 1}
	for what, pair := range map[string][2]string{
		"object": {string(AppendObject(nil, o)),
			`{"bytes": 77, "hash": "9d", "name": "\u00e9\ud83d\ude00\u007f", "content_type": "text/plain;charset=x", "last_modified": "2026-11-21T23:14:31.658020"}`},
		"container": {string(AppendContainer(nil, Row{Name: "c", LastModified: "2026", Count: 1, Bytes: 2})),
			`{"name": "c", "count": 1, "bytes": 2, "last_modified": "2026"}`},
		"container with policy": {string(AppendContainer(nil, Row{Name: "c", LastModified: "2026", StoragePolicy: "gold"})),
			`{"name": "c", "count": 0, "bytes": 0, "last_modified": "2026", "storage_policy": "gold"}`},
		"subdir": {string(AppendSubdir(nil, "d/")), `{"subdir": "d/"}`},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s\n got %s\nwant %s", what, pair[0], pair[1])
		}
	}
}

func TestEntryChanges(t *testing.T) {
	entries, err := Decode([]byte(`[{"name": "o", "hash": "h; s3=1", "bytes": 1, "x": [1, {"a": null}]}, {"name": "p"}]`))
	if err != nil {
		t.Fatal(err)
	}
	e := entries[0]
	e.SetText("hash", "h")
	e.SetInt("bytes", 5)
	e.SetText("slo_etag", `"q"`)
	e.SetBool("is_latest", true)
	e.Delete("name")
	want := `{"hash": "h", "bytes": 5, "x": [1, {"a": null}], "slo_etag": "\"q\"", "is_latest": true}`
	if got := string(e.Append(nil)); got != want {
		t.Errorf("changed entry\n got %s\nwant %s", got, want)
	}
	if got := string(Append(nil, entries)); got != `[{"name": "o", "hash": "h; s3=1", "bytes": 1, "x": [1, {"a": null}]}, {"name": "p"}]` {
		t.Errorf("changing a copy changed the listing: %s", got)
	}
	if n, ok := e.Int("bytes"); n != 5 || !ok {
		t.Errorf("Int = %d, %v", n, ok)
	}
	if name, sub := entries[1].Name(); name != "p" || sub {
		t.Errorf("Name = %q, %v", name, sub)
	}
}

func TestVisible(t *testing.T) {
	entries, err := Decode([]byte(`[{"name": "a"}, {"name": "\u0000b"}, {"subdir": "c\u0000"}, {"name": "\n"}]`))
	if err != nil {
		t.Fatal(err)
	}
	visible, hidden := Visible(entries)
	if got := string(Append(nil, visible)); got != `[{"name": "a"}, {"name": "\n"}]` || !reflect.DeepEqual(hidden, []string{"\x00b", "c\x00"}) {
		t.Errorf("Visible = %s, hidden %q", got, hidden)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, in := range []string{
		"", "{}", "[", "[1]", "[{}", "[{},]", "[{}]x", `[{"a"}]`, `[{"a":}]`, `[{"a":1,}]`, `[{"a":01}]`, `[{"a":tru}]`, "[{\"a\":\"\n\"}]",
		`[{"a":"\x"}]`, `[{"a":"\u12g4"}]`, "[{\"a\":\"\xff\"}]", `[{"a":[}]`, `[{a:1}]`, `["a"]`, `[{"a":"}]`,
		`[{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}]`,
	} {
		if e, err := Decode([]byte(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("Decode(%q) = %v, %v; want ErrMalformed", in, e, err)
		}
	}
	// The later of two values counts, in the place of the earlier.
	if e, err := Decode([]byte(" [ {\"a\" : 1 , \"b\":-2.5e3,\"a\":\"x\\/y\"} ] \n")); err != nil || string(Append(nil, e)) != `[{"a": "x/y", "b": -2.5e3}]` {
		t.Errorf("Decode = %s, %v", Append(nil, e), err)
	}
}

func TestRenderRefusesWhatSwiftPassesOn(t *testing.T) {
	for _, in := range []string{`[{"x": 1}]`, `[{"name": 1}]`, `[{"subdir": null}]`} {
		e, err := Decode([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := RenderText(e); !errors.Is(err, ErrMalformed) {
			t.Errorf("RenderText(%s): %v", in, err)
		}
		if _, err := RenderXML(e, Container, "c"); !errors.Is(err, ErrMalformed) {
			t.Errorf("RenderXML(%s): %v", in, err)
		}
	}
}

func TestParseQuery(t *testing.T) {
	for _, tc := range []struct {
		name string
		kind Kind
		raw  string
		want Query
		text string
	}{
		{"nothing", Container, "", Query{Limit: 100}, ""},
		{"everything", Container, "limit=7&marker=a+b&end_marker=%C3%A9&prefix=p&delimiter=%2F%2F&path=&reverse=Yes&format=xml&states=x&includes=y",
			Query{Limit: 7, Marker: "a b", EndMarker: "é", Prefix: "p", Delimiter: "//", HasPath: true, Reverse: true, Format: "xml", States: "x", Includes: "y"}, ""},
		{"no path in accounts", Account, "path=%FF&states=%FF", Query{Limit: 100}, ""},
		{"the last of two", Container, "limit=2&limit=1", Query{Limit: 1}, ""},
		{"bad escapes", Container, "marker=%zz%4", Query{Limit: 100, Marker: "%zz%4"}, ""},
		{"a semicolon", Container, "marker=a;limit=1", Query{Limit: 100, Marker: "a;limit=1"}, ""},
		{"no number", Container, "limit=1_0", Query{Limit: 100}, ""},
		{"a negative number", Container, "limit=-1", Query{Limit: 100}, ""},
		{"zero", Container, "limit=0", Query{}, ""},
		{"a large number", Container, "limit=101", Query{}, "Maximum limit is 100"},
		{"a very large number", Container, "limit=99999999999999999999", Query{}, "Maximum limit is 100"},
		{"no text", Container, "limit=101&path=%FF", Query{}, `"path" parameter not valid UTF-8`},
		{"a limit that is no text", Account, "limit=%FF", Query{}, `"limit" parameter not valid UTF-8`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseQuery(tc.kind, tc.raw, 100)
			text := ""
			var texter interface{ Text() string }
			if errors.As(err, &texter) {
				text = texter.Text()
			}
			if got != tc.want || text != tc.text {
				t.Errorf("ParseQuery(%q) = %+v, %v (%q)\nwant %+v, %q", tc.raw, got, err, text, tc.want, tc.text)
			}
		})
	}
	if v, ok := Param("a&%62=1", "b"); v != "1" || !ok {
		t.Errorf("Param with an escaped name = %q, %v", v, ok)
	}
	if v, ok := Param("a&b=1", "a"); v != "" || !ok {
		t.Errorf("Param without a value = %q, %v", v, ok)
	}
}

func FuzzDecode(f *testing.F) {
	for _, row := range load(f).Render {
		f.Add([]byte(row[2].(string)))
	}
	f.Add([]byte(`[{"a": [1, {"b": "\ud800"}], "a": null}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		entries, err := Decode(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Errorf("Decode(%q) took invalid JSON", body)
		}
		once := Append(nil, entries)
		again, err := Decode(once)
		if err != nil || !bytes.Equal(Append(nil, again), once) {
			t.Errorf("Decode(%q) wrote %q, which reads as %v, %v", body, once, again, err)
		}
		if !json.Valid(once) {
			t.Errorf("Append wrote invalid JSON: %q", once)
		}
		for _, e := range entries {
			e.Name()
		}
	})
}

func FuzzAccept(f *testing.F) {
	for _, row := range load(f).Accept {
		f.Add(row[0])
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got, err := Choose("", accept)
		if (got == "") != (err != nil) {
			t.Errorf("Choose(%q) = %q, %v", accept, got, err)
		}
		CutSwiftBytes(accept)
		Param(accept, "q")
	})
}

func page(n int) []byte {
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, Separator...)
		}
		b = AppendObject(b, Object{
			Name: fmt.Sprintf("photos/2026/%06d.jpg", i), Hash: "9dd4e461268c8034f5c8564e155c67a6", ContentType: "image/jpeg",
			LastModified: "2026-11-21T23:14:31.658020", Bytes: 123456,
		})
	}
	return append(b, ']')
}

func BenchmarkAppendObject1000(b *testing.B) {
	b.ReportAllocs()
	o := Object{Name: "photos/2026/000001.jpg", Hash: "9dd4e461268c8034f5c8564e155c67a6", ContentType: "image/jpeg", LastModified: "2026-11-21T23:14:31.658020", Bytes: 123456}
	var buf []byte
	for b.Loop() {
		buf = buf[:0]
		for range 1000 {
			buf = AppendObject(buf, o)
		}
	}
}

func BenchmarkDecode1000(b *testing.B) {
	body := page(1000)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender1000(b *testing.B) {
	entries, err := Decode(page(1000))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("json", func(b *testing.B) {
		var buf []byte
		for b.Loop() {
			buf = Append(buf[:0], entries)
		}
	})
	b.Run("text", func(b *testing.B) {
		for b.Loop() {
			if _, err := RenderText(entries); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("xml", func(b *testing.B) {
		for b.Loop() {
			if _, err := RenderXML(entries, Container, "c"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
