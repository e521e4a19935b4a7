package formpost

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/middleware/formpost/internal/parts"
)

// maxValue is how much of a field's value counts.
const maxValue = 4096

// form is one form on its way in.
type form struct {
	*filter
	request *http.Request
	keys    []string
	fields  map[string]string // those that mean something, by name
}

// result is what the client is told in the end.
type result struct {
	code    int
	message string // in small letters, as redirects have it
	title   string // the same for people
	header  http.Header
	body    string
}

var (
	tooMany = result{code: http.StatusBadRequest, message: "max file count exceeded", title: "Max File Count Exceeded"}
	noFiles = result{code: http.StatusBadRequest, message: "no files to process", title: "No Files To Process"}
)

// refuse is the answer to a form that cannot be read; redirects do not count then.
func refuse(text string) error {
	return &reply.Error{Code: http.StatusBadRequest, Type: "text/plain", Body: "FormPost: " + text}
}

// unauthorized is the answer to a form that is not signed as it should be. Swift does not name the account here.
func unauthorized(text string) error {
	return reply.Raw(http.StatusUnauthorized, "FormPost: "+text).With("Www-Authenticate", reply.Challenge(""))
}

// answer reads the form, stores its files, and makes the answer.
func (f *form) answer(boundary string) error {
	reader := parts.NewReader(f.request.Body, boundary)
	last, files := noFiles, int64(0)
	for {
		part, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return unreadable(err)
		}
		name, file := names(part)
		if file == "" {
			if err := f.set(name, part); err != nil {
				return unreadable(err)
			}
			continue
		}
		files++
		most, ok := integer(f.fields["max_file_count"])
		if !ok {
			return refuse("max_file_count not an integer")
		}
		if files > most {
			last = result{header: last.header, code: tooMany.code, message: tooMany.message, title: tooMany.title}
			break
		}
		if last, err = f.upload(file, part); err != nil {
			return err
		}
		if !last.ok() {
			break
		}
	}
	return f.conclude(last)
}

func (r result) ok() bool { return r.code >= 200 && r.code < 300 }

// unreadable is the answer when the form could not be read to its end.
func unreadable(err error) error {
	if errors.Is(err, parts.ErrStart) || errors.Is(err, parts.ErrHead) {
		return refuse(err.Error())
	}
	return reply.Status(reply.StatusClientDisconnect).Because(err)
}

// names returns the name of the field, and of the file if it is one.
func names(p *parts.Part) (name, file string) {
	disposition, _ := p.Header("Content-Disposition")
	kind, params := parts.Parameters(disposition)
	if kind == "form-data" {
		file = params["filename"]
	}
	return strings.ToLower(params["name"]), file
}

// set keeps a field, if it means something. Of two with the same name the last counts.
func (f *form) set(name string, p *parts.Part) error {
	switch name {
	case "redirect", "max_file_size", "max_file_count", "expires", "signature", "x_delete_at", "x_delete_after", "content-type",
		"content-encoding":
	default:
		return nil
	}
	value, err := io.ReadAll(io.LimitReader(p, maxValue))
	// Swift takes off hyphens too, even those of a base64 signature for URLs.
	f.fields[name] = strings.TrimRight(string(value), "\r\n-")
	return err
}

// upload stores a file, once it is known that it may be.
func (f *form) upload(name string, p *parts.Part) (result, error) {
	if len(f.keys) == 0 {
		return result{}, unauthorized("Invalid Signature")
	}
	size, ok := integer(f.fields["max_file_size"])
	if !ok {
		return result{}, refuse("max_file_size not an integer")
	}
	header, err := f.header(p)
	if err != nil {
		return result{}, err
	}
	if err := f.check(); err != nil {
		return result{}, err
	}
	path := f.request.URL.Path
	if !strings.HasSuffix(path, "/") && strings.Count(path, "/") < 4 {
		path += "/"
	}
	body := &capped{src: p, left: size}
	put := subreq.New(f.request, subreq.Options{
		Method: http.MethodPut, Path: path + name, Header: header, Body: body, Length: -1, Source: logSource, PreAuthed: true,
	})
	// What is longer is no answer that anybody would read.
	answer, err := subreq.Small(f.next, put, 1<<16)
	if body.exceeded {
		return result{}, refuse("max_file_size exceeded")
	}
	if err != nil {
		f.log.Warn("answer to an upload is cut off", "path", put.URL.Path, "err", err)
	}
	return result{code: answer.Code, header: answer.Header, body: string(answer.Body)}, nil
}

// header makes the headers of an upload. What the form says goes before what the file says of itself.
func (f *form) header(p *parts.Part) (http.Header, error) {
	h := http.Header{}
	for _, limit := range []struct{ field, header, what string }{
		{"x_delete_at", "X-Delete-At", "Unix timestamp"}, {"x_delete_after", "X-Delete-After", "Number of seconds"},
	} {
		text, ok := f.fields[limit.field]
		if !ok {
			continue
		}
		n, ok := number(text)
		if !ok {
			return nil, refuse(limit.field + " not an integer: " + limit.what + " required.")
		}
		h[limit.header] = []string{strconv.FormatInt(n, 10)}
	}
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		value, ok := f.fields[strings.ToLower(name)]
		if !ok {
			value, ok = p.Header(name)
			value = unfold.Replace(value)
		}
		if !ok {
			continue
		}
		if value == "" && name == "Content-Type" {
			value = "application/octet-stream"
		}
		// A line end would begin another header where headers are written as they are.
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return nil, refuse(strings.ToLower(name) + " not a header's value")
		}
		h[name] = []string{value}
	}
	return h, nil
}

// unfold joins the lines of a header; that is what folding stands for.
var unfold = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ")

// conclude makes the answer to a form that has been read.
func (f *form) conclude(last result) error {
	header := http.Header{}
	maps.Copy(header, last.header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return !strings.HasPrefix(name, "Access-Control") })
	target := f.fields["redirect"]
	if target == "" {
		text := strconv.Itoa(last.code) + " " + reply.Title(last.code)
		switch {
		case last.title != "":
			text += "\r\nFormPost: " + last.title
		case !last.ok() && last.body != "":
			text = last.body
		}
		return &reply.Error{Code: last.code, Type: "text/plain", Body: text, Header: header}
	}
	mark := "?"
	if strings.Contains(target, "?") {
		mark = "&"
	}
	target += mark + "status=" + strconv.Itoa(last.code) + "&message=" + apipath.Quote(last.message)
	header["Location"] = []string{location(target)}
	// Swift declares no type. The key without a value keeps net/http from guessing one.
	header["Content-Type"] = nil
	return &reply.Error{
		Code: http.StatusSeeOther, Header: header,
		Body: `<html><body><p><a href="` + attribute.Replace(target) + `">Click to continue...</a></p></body></html>`,
	}
}

// attribute keeps a text inside of the quotes that it is put in.
var attribute = strings.NewReplacer(`"`, "&quot;", "<", "&lt;", ">", "&gt;")

// location escapes what a header cannot hold; what the client has escaped, and blanks, stay.
func location(target string) string {
	var b []byte
	for i := range len(target) {
		if c := target[i]; c < ' ' || c >= 0x7f {
			b = append(b, apipath.QuoteAll(target[i:i+1])...)
			continue
		}
		b = append(b, target[i])
	}
	return string(b)
}

// capped reads a file up to the size that was signed.
type capped struct {
	src      io.Reader
	left     int64
	exceeded bool
}

var errTooLarge = errors.New("file is larger than max_file_size")

// Read implements io.Reader.
func (c *capped) Read(b []byte) (int, error) {
	if c.exceeded {
		return 0, errTooLarge
	}
	n, err := c.src.Read(b)
	if int64(n) > c.left {
		c.exceeded = true
		return 0, errTooLarge
	}
	c.left -= int64(n)
	return n, err
}
