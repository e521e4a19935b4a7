package parts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// read returns the parts of a body as "A: b|C: d|content", and how it ended.
func read(body io.Reader, boundary string) ([]string, error) {
	var out []string
	for r := NewReader(body, boundary); ; {
		p, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		text := ""
		for _, h := range p.header {
			text += h.name + ": " + h.value + "|"
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return out, err
		}
		out = append(out, text+string(content))
	}
}

var bodies = []struct {
	name, body string
	want       []string
	err        error
}{
	{"two parts", "--B\r\nA: b\r\nC: d\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--B--\r\n", []string{"A: b|C: d|one", "two"}, nil},
	{"empty lines first", "\r\n\r\n--B\r\n\r\none\r\n--B--", []string{"one"}, nil},
	{"a preamble", "pre\r\n--B\r\n\r\none\r\n--B--", nil, ErrStart},
	{"an end at the start", "--B--\r\n", nil, ErrStart},
	{"nothing", "", nil, ErrStart},
	{"another boundary", "--BB\r\n\r\none\r\n--B--", nil, ErrStart},
	{"a start alone", "--B", []string{""}, nil},
	{"no content", "--B\r\nA: b\r\n\r\n\r\n--B--", []string{"A: b|"}, nil},
	{"no content and no line end", "--B\r\nA: b\r\n\r\n--B--", []string{"A: b|"}, nil},
	{"no headers' end", "--B\r\nA: b\r\n--B--", []string{"A: b|"}, nil},
	{"no line after the start", "--B\r\n--B--", []string{""}, nil},
	{"no end", "--B\r\n\r\none\r\n-", []string{"one\r\n-"}, nil},
	{"an end that is cut off", "--B\r\n\r\none\r\n--B", []string{"one"}, nil},
	{"an end with one hyphen", "--B\r\n\r\none\r\n--B-", []string{"one"}, nil},
	{"an epilogue", "--B\r\n\r\none\r\n--B--\r\nepilogue\r\n--B\r\n\r\ntwo", []string{"one"}, nil},
	{"something after a boundary", "--B\r\n\r\none\r\n--Bxyz\r\n\r\ntwo\r\n--B--", []string{"one", "two"}, nil},
	{"almost a boundary", "--B\r\n\r\none\n--B\r\n--C\r\r\n-\r\n--B--", []string{"one\n--B\r\n--C\r\r\n-"}, nil},
	{"headers up to what is none", "--B\r\nA: b\r\nnone\r\nC: d\r\n\r\none\r\n--B--", []string{"A: b|one"}, nil},
	{"a name of odd characters", "--B\r\nA: b\r\nC\xc3\xa9: d\r\nE: f\r\n\r\none\r\n--B--", []string{"A: b|one"}, nil},
	{"folded", "--B\r\n lost\r\nA:\t b\r\n c\r\n\td\r\nE:f\r\n\r\none\r\n--B--", []string{"A: b\r\n c\r\n\td|E: f|one"}, nil},
	{"other line ends", "--B\r\nA: b\nC: d\rE: f\r\n\r\none\r\n--B--", []string{"A: b|C: d|E: f|one"}, nil},
	{"Latin-1 and UTF-8", "--B\r\nA: \xe9\r\nC: \xc3\xa9\r\n\r\n\xe9\r\n--B--", []string{"A: \u00e9|C: \u00e9|\xe9"}, nil},
	{"long headers", "--B\r\nA: " + strings.Repeat("x", MaxHead-5) + "\r\n\r\none", nil, ErrHead},
	{"many headers", "--B\r\n" + strings.Repeat("A: b\r\n", MaxHead/6+1) + "\r\none", nil, ErrHead},
	{"headers without end", "--B\r\n" + strings.Repeat("x", 100<<10), nil, ErrHead},
	{"headers that just fit", "--B\r\nA: " + strings.Repeat("x", MaxHead-7) + "\r\n\r\none", []string{"A: " + strings.Repeat("x", MaxHead-7) + "|one"}, nil},
	{"long content", "--B\r\n\r\n" + strings.Repeat("0123456\r\n--", 10000) + "\r\n--B--", []string{strings.Repeat("0123456\r\n--", 10000)}, nil},
}

func TestBodies(t *testing.T) {
	for _, tc := range bodies {
		for how, wrap := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with an error at the end": iotest.DataErrReader,
		} {
			got, err := read(wrap(strings.NewReader(tc.body)), "B")
			if diff := cmp.Diff(tc.want, got); diff != "" || !errors.Is(err, tc.err) {
				t.Errorf("%s, %s: %v, want %v; -want +got\n%s", tc.name, how, err, tc.err, diff)
			}
		}
	}
}

func TestErrorsAreNotEnds(t *testing.T) {
	broken := errors.New("broken")
	body := "--B\r\nA: b\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--B--\r\n"
	for n := range strings.Index(body, "--B--") {
		_, err := read(io.MultiReader(strings.NewReader(body[:n]), iotest.ErrReader(broken)), "B")
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes (%q): %v", n, body[:n], err)
		}
	}
}

func TestSkipsWhatIsNotRead(t *testing.T) {
	r := NewReader(strings.NewReader("--B\r\n\r\n"+strings.Repeat("x", 100000)+"\r\n--B\r\nA: b\r\n\r\ntwo\r\n--B--"), "B")
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	p, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := p.Header("a"); v != "b" || !ok {
		t.Errorf("header %q, %v", v, ok)
	}
	if _, ok := p.Header("c"); ok {
		t.Error("there is a header that was not sent")
	}
}

// TestReadsWhatGoWrites compares with mime/multipart, on bodies that both read alike.
func TestReadsWhatGoWrites(t *testing.T) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	var want []string
	for i, content := range []string{"", "one", "a\r\nb\r\n", "--", "\r\n--", strings.Repeat("long ", 20000), "\r\n--" + w.Boundary()[:20]} {
		p, err := w.CreatePart(textproto.MIMEHeader{"X-Number": {fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(p, content); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("X-Number: %d|%s", i, content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := read(&b, w.Boundary())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v; -want +got\n%s", err, diff)
	}
}

// endless repeats a text n bytes long.
type endless struct {
	text string
	left int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(b) && n < e.left {
		n += copy(b[n:min(len(b), e.left)], e.text)
	}
	e.left -= n
	return n, nil
}

func TestMemoryIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"zeros": strings.Repeat("\x00", 4096), "line ends": strings.Repeat("\r\n", 2048), "beginnings of the boundary": strings.Repeat("\r\n--BBBBBB", 400),
		"parts": "\r\n--BBBBBBB\r\nA: b\r\n\r\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		body := io.MultiReader(strings.NewReader("--BBBBBBB\r\n\r\n"), &endless{text, 16 << 20})
		n := 0
		for r := NewReader(body, "BBBBBBB"); ; n++ {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		// Each part costs a little; none is kept.
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 || n == 1 && after.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("%s: %d parts took %d bytes, %d bytes in all", name, n, grown, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

func TestParameters(t *testing.T) {
	for _, tc := range []struct {
		value, kind string
		want        map[string]string
	}{
		{"form-data", "form-data", nil},
		{" form-data ", " form-data ", nil},
		{"", "", nil},
		{"a ; b=c", "a", map[string]string{"b": "c"}},
		{`form-data; name="a"; filename="b c.txt"`, "form-data", map[string]string{"name": "a", "filename": "b c.txt"}},
		{`x;a="1";b=2`, "x", map[string]string{"a": "1", "b": "2"}},
		{`x; a="1";  b=2`, "x", map[string]string{"a": "1"}},
		{`x; a="b"c"; d=e`, "x", map[string]string{"a": `b"c`, "d": "e"}},
		{`x; a="b;c"; d="";e=""`, "x", map[string]string{"a": "b;c", "d": "", "e": ""}},
		{`x; a="b; c=d`, "x", map[string]string{}},
		{`x; a=b"c"; d=e`, "x", map[string]string{}},
		{`x; a=; d=e`, "x", map[string]string{}},
		{`x; a*=b; d=e`, "x", map[string]string{}},
		{`x; =b; d=e`, "x", map[string]string{}},
		{`x; a=1; a=2`, "x", map[string]string{"a": "2"}},
		{`x; a="\"; b="c"`, "x", map[string]string{"a": `\`, "b": "c"}},
		{"x; a=\"b\r\n c\"; d=e", "x", map[string]string{}},
		{`x; a=""`, "x", map[string]string{"a": ""}},
		{`x; a="`, "x", map[string]string{}},
	} {
		kind, got := Parameters(tc.value)
		if kind != tc.kind || !maps.Equal(got, tc.want) {
			t.Errorf("%q: got %q %q, want %q %q", tc.value, kind, got, tc.kind, tc.want)
		}
	}
}

// FuzzRead holds the reader against the definition: a part ends at the first mark.
func FuzzRead(f *testing.F) {
	for _, b := range bodies {
		if len(b.body) < 1000 {
			f.Add(b.body, "B", 1)
		}
	}
	f.Add("--\r\n\r\none\r\n--\r\n\r\ntwo\r\n----", "", 7)
	f.Fuzz(func(t *testing.T, body, boundary string, size int) {
		if len(boundary) > 200 {
			return
		}
		once, err := read(strings.NewReader(body), boundary)
		pieces, err2 := read(&slow{body, max(1, size%100)}, boundary)
		if !errors.Is(err2, err) || !cmp.Equal(once, pieces) {
			t.Fatalf("%q: %q, %v at once, %q, %v in pieces of %d", body, once, err, pieces, err2, size)
		}
		if err != nil && !errors.Is(err, ErrStart) && !errors.Is(err, ErrHead) {
			t.Fatalf("%q: %v", body, err)
		}
		total := 0
		for _, p := range once {
			total += len(p)
			if strings.Contains(p, "\r\n--"+boundary) {
				t.Fatalf("%q: a boundary in the part %q", body, p)
			}
		}
		if total > 2*len(body)+len(once) { // Latin-1 can double, separators are added
			t.Fatalf("%q: parts of %d bytes", body, total)
		}
	})
}

// slow gives a text in pieces of n bytes.
type slow struct {
	text string
	n    int
}

func (s *slow) Read(b []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.n)], s.text)
	s.text = s.text[n:]
	return n, nil
}

func FuzzParameters(f *testing.F) {
	for _, s := range []string{`form-data; name="a"; filename="b"`, `x;a="b"c";d=e`, `a;=`, `x; a="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		kind, params := Parameters(value)
		if !strings.Contains(value, kind) {
			t.Errorf("%q: kind %q", value, kind)
		}
		for k, v := range params {
			if !strings.Contains(value, k) || !strings.Contains(value, v) {
				t.Errorf("%q: %q=%q", value, k, v)
			}
		}
	})
}
