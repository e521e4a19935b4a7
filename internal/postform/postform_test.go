package postform

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apus-storage/apus/internal/s3err"
)

const (
	keyPart  = "--x\r\nContent-Disposition: form-data; name=key\r\n\r\nabc\r\n"
	filePart = "--x\r\nContent-Disposition: form-data; name=file; filename=\"a\"\r\nContent-Type: image/png\r\n\r\n"
)

func read(t *testing.T, body string) *Form {
	t.Helper()
	f, err := Read(strings.NewReader(body), "x")
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return f
}

// TestRest gives the file and what follows as they came, if the file is there whole and has its size.
func TestRest(t *testing.T) {
	for name, c := range map[string]struct {
		rest        string
		least, most int64
		want        s3err.Code // "" if it is right
	}{
		"a file":                            {"file\r\n--x--\r\n", 4, 4, ""},
		"an empty file":                     {"\r\n--x--\r\n", 0, 0, ""},
		"without a last line end":           {"file\r\n--x--", 0, 4, ""},
		"with what comes after":             {"file\r\n--x\r\nContent-Disposition: form-data; name=submit\r\n\r\nSend\r\n--x--\r\nand more", 4, 4, ""},
		"line ends and dashes":              {"\r\n-\r\n--\r\r\n--y\r\n\r\n--x--\r\n", 0, 100, ""},
		"too large":                         {"file\r\n--x--\r\n", 0, 3, s3err.EntityTooLarge},
		"much too large":                    {strings.Repeat("f", 1000) + "\r\n--x--\r\n", 0, 3, s3err.EntityTooLarge},
		"too small":                         {"file\r\n--x--\r\n", 5, 9, s3err.EntityTooSmall},
		"too small, and more after it":      {"file\r\n--x\r\nfiller, which is not of the file\r\n--x--", 5, 9, s3err.EntityTooSmall},
		"no end":                            {"file", 0, 100, s3err.MalformedPOSTRequest},
		"half an end":                       {"file\r\n--x", 0, 100, s3err.MalformedPOSTRequest},
		"most of an end":                    {"file\r\n--x-", 0, 100, s3err.MalformedPOSTRequest},
		"an end of another boundary":        {"file\r\n--y--\r\n", 0, 100, s3err.MalformedPOSTRequest},
		"nothing":                           {"", 0, 100, s3err.MalformedPOSTRequest},
		"no line end before the end":        {"--x--\r\n", 0, 100, s3err.MalformedPOSTRequest},
		"a boundary that goes on":           {"file\r\n--xy\r\n--x--\r\n", 0, 100, s3err.MalformedPOSTRequest},
		"a boundary with blanks":            {"file\r\n--x \r\n\r\n--x--\r\n", 0, 100, s3err.MalformedPOSTRequest},
		"a boundary with half a line end":   {"file\r\n--x\n\r\n--x--\r\n", 0, 100, s3err.MalformedPOSTRequest},
		"an end after half a line end":      {"file\n--x--\n", 0, 100, s3err.MalformedPOSTRequest},
		"too large, in what does not end":   {strings.Repeat("f", 100), 0, 3, s3err.EntityTooLarge},
		"much after it":                     {"file\r\n--x\r\n" + strings.Repeat("more", 10<<10), 0, 100, ""},
		"too much after it":                 {"file\r\n--x\r\n" + strings.Repeat("more", 64<<10), 0, 100, s3err.MalformedPOSTRequest},
		"a file of several pieces":          {strings.Repeat("\r\n-", 40000) + "\r\n--x--\r\n", 120000, 120000, ""},
		"several pieces, too small":         {strings.Repeat("\r\n-", 40000) + "\r\n--x--\r\n", 120001, 130000, s3err.EntityTooSmall},
		"a size that only the whole can be": {"file\r\n--x--\r\n", 0, math.MaxInt64, ""},
	} {
		for way, slow := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader} {
			body := keyPart + filePart + c.rest
			f, err := Read(slow(strings.NewReader(body)), "x")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if f.Head != int64(len(keyPart+filePart)) {
				t.Errorf("%s, %s: the head has %d bytes, want %d", name, way, f.Head, len(keyPart+filePart))
			}
			got, err := io.ReadAll(f.Rest(c.least, c.most))
			if c.want == "" && (err != nil || string(got) != c.rest) {
				t.Errorf("%s, %s: got %q, %v", name, way, got, err)
			}
			if c.want != "" && (!errors.Is(err, c.want) || len(got) > 0 && len(got) >= len(c.rest)) {
				t.Errorf("%s, %s: got %d bytes of %d, %v, want %s", name, way, len(got), len(c.rest), err, c.want)
			}
		}
	}
	// The end of the file is not shown before that of the form.
	for _, come := range []string{"file", "file\r\n--x", "file\r\n--x-", "file\r\n--x--", "file\r\n--x--\r", "file\r\n--x\r\nmore\r\n--x--\r\n"} {
		f := read(t, keyPart+filePart)
		f.lead.src.Reset(io.MultiReader(strings.NewReader(come), iotest.ErrReader(io.ErrUnexpectedEOF)))
		got, err := io.ReadAll(f.Rest(0, 100))
		if !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(string(got), "\n") {
			t.Errorf("a connection that breaks after %q: got %q, %v", come, got, err)
		}
	}
}

func TestBoundaries(t *testing.T) {
	for text, want := range map[string]string{
		"multipart/form-data; boundary=x":                           "x",
		"Multipart/Form-Data; charset=utf-8; boundary=\"a b\"":      "a b",
		"multipart/form-data; boundary=----WebKitFormBoundaryAb0":   "----WebKitFormBoundaryAb0",
		"multipart/form-data; boundary=" + strings.Repeat("x", 70):  strings.Repeat("x", 70),
		"multipart/form-data; boundary=" + strings.Repeat("x", 71):  "",
		"multipart/form-data; boundary=\"a \"":                      "",
		"multipart/form-data; boundary=\"a\\\"b\"":                  "",
		"multipart/form-data; boundary=\"a\tb\"":                    "",
		"multipart/form-data; boundary=\"\"":                        "",
		"multipart/form-data; boundary=x; boundary=y":               "",
		"multipart/form-data":                                       "",
		"multipart/form-data; boundary":                             "",
		"multipart/form-data; boundary*=utf-8''%0d%0aContent-Type:": "",
	} {
		if got, err := Boundary(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

// FuzzForm gives the reader of forms anything: it may not panic, and reads no more than it may. The two ways of reading a file
// find the same one.
func FuzzForm(f *testing.F) {
	f.Add(keyPart + "--x\r\nContent-Disposition: form-data; name=file; filename=\"a\\b\"\r\n\r\nabc\r\n--x--\r\n")
	f.Add(keyPart + filePart + "\r\n--x\r\nA: b\r\n\r\n--x--")
	f.Add(keyPart + filePart + "\r\n\r\n--x--")
	f.Add(keyPart + filePart + " x\r\n y\r\n--x\r\n")
	f.Add("--x--")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := Read(strings.NewReader(body), "x")
		if err != nil {
			return
		}
		total := 0
		for name, value := range form.Fields {
			if name != strings.ToLower(name) {
				t.Errorf("field %q", name)
			}
			total += len(value)
		}
		if form.Fields["key"] == "" {
			t.Error("no key")
		}
		// ${filename} may have made the values longer.
		if total > maxFields*maxHead {
			t.Errorf("%d bytes of fields", total)
		}
		file, err := io.ReadAll(form.File(0, math.MaxInt64))
		if err != nil && err != io.ErrUnexpectedEOF {
			t.Errorf("file: %v", err)
		}
		again, err2 := Read(strings.NewReader(body), "x")
		if err2 != nil {
			t.Fatal(err2)
		}
		rest, err2 := io.ReadAll(again.Rest(0, math.MaxInt64))
		if err2 != nil {
			return // it is the stricter one
		}
		if err != nil || body[form.Head:] != string(rest) {
			t.Errorf("%q: the rest is %q, the file %q, %v", body, rest, file, err)
		}
		if !bytes.HasPrefix(rest, file) || !strings.HasPrefix(string(rest[len(file):]), "\r\n--x") {
			t.Errorf("%q: the file is %q, the rest %q", body, file, rest)
		}
		if _, err := io.ReadAll(read(t, body).Rest(int64(len(file)), int64(len(file)))); err != nil {
			t.Errorf("%q: the file has not its own size: %v", body, err)
		}
	})
}
