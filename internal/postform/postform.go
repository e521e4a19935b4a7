// Package postform reads the forms with which browsers post objects to S3, up to the file, and says how they want to be
// answered.
//
//	boundary, err := postform.Boundary(r.Header.Get("Content-Type"))
//	f, err := postform.Read(r.Body, boundary)
//	// Whose signature is in f.Fields? What does its policy say? See packages sigv4, sigv2 and postpolicy.
//	store(f.Fields["key"], f.File(policy.Size()))
//	status, location, document := f.Answer(bucket, key, etag, url)
//
// Invariants:
//
//   - The fields before the file have a bounded size, and the file is not read with them: they say who asks, and whether it may.
//   - Two fields of one name are refused, whatever the case of its letters: a policy judges one value, and it has to be the one that counts.
//   - What ends well has a file of the size that it has to have.
//
// What fields mean, and which of them may be there, is the caller's to know. Errors are s3err's.
package postform

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/s3err"
)

// The bounds of what comes before a form's file. The first is AWS's, of the fields' names and values; the second is of all
// that is read, with the heads of the parts.
const (
	maxFields = 20 << 10
	maxHead   = 64 << 10
)

// maxBoundary is RFC 2046's.
const maxBoundary = 70

// A Form is a browser's upload, read up to its file.
type Form struct {
	// Fields are by their names in lower case; ${filename} is filled in.
	Fields map[string]string
	// Boundary is what stands between the parts.
	Boundary string
	// Head is how many bytes of the body stand before the file's first.
	Head int64

	file io.Reader
	lead *lead
}

// Is says whether a request is a form, by its method and type. Only one that is signed in no other way is to be read as one.
func Is(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "multipart/form-data")
}

// Boundary reads what a form's type says of its boundary.
func Boundary(contentType string) (string, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", Malformed(err)
	}
	b := params["boundary"]
	if b == "" || len(b) > maxBoundary || b[len(b)-1] == ' ' || strings.ContainsFunc(b, notBoundary) {
		return "", Malformed(nil)
	}
	return b, nil
}

// notBoundary says whether a character may not stand in a boundary.
func notBoundary(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("'()+_,-./:=? ", c)
}

// Malformed is the answer to what is no form.
func Malformed(err error) error { return s3err.MalformedPOSTRequest.With().Because(err) }

// errHead is a form whose file does not come soon enough.
var errHead = errors.New("more than the fields of a form may be")

// A lead gives what comes before a file byte by byte, so that the reader of the parts, which buffers what it gets, has nothing of the
// file when it comes to it; and so much only. Once it is open it gives everything.
type lead struct {
	src  *bufio.Reader
	n    int64
	open bool
}

func (l *lead) Read(p []byte) (int, error) {
	if l.open || len(p) == 0 {
		return l.src.Read(p)
	}
	if l.n == maxHead {
		return 0, errHead
	}
	b, err := l.src.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	l.n++
	return 1, nil
}

// Read reads a form up to its file.
func Read(body io.Reader, boundary string) (*Form, error) {
	l := &lead{src: bufio.NewReader(body)}
	f := &Form{Fields: map[string]string{}, Boundary: boundary, lead: l}
	parts, left := multipart.NewReader(l, boundary), maxFields
	for {
		// A part is taken as it is: the other way of reading would undo quoted-printable.
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, f.ended(err)
		}
		name := strings.ToLower(part.FormName())
		if _, twice := f.Fields[name]; name == "" || twice {
			return nil, Malformed(nil)
		}
		if name == "file" {
			l.open = true
			f.file, f.Head = part, l.n
			f.fill(part.FileName())
			return f, f.complete()
		}
		value, err := io.ReadAll(io.LimitReader(part, int64(left)+1))
		if left -= len(name) + len(value); err == nil && left < 0 {
			err = errHead
		}
		if err != nil {
			return nil, f.ended(err)
		}
		f.Fields[name] = string(value)
	}
}

// ended is the answer to a form whose file does not come.
func (f *Form) ended(err error) error {
	switch {
	case errors.Is(err, errHead):
		return s3err.MaxPostPreDataLengthExceeded.With()
	case err == io.EOF && len(f.Fields) > 0:
		return s3err.InvalidArgument.Say("POST requires exactly one file upload per request.", "ArgumentName", "file", "ArgumentValue", "0")
	}
	return Malformed(err)
}

// fill replaces ${filename} in what the form says of the object. Some browsers send the whole path of the file.
func (f *Form) fill(name string) {
	name = name[strings.LastIndexByte(name, '\\')+1:]
	for field, value := range f.Fields {
		if !OfSignature(field) {
			f.Fields[field] = strings.ReplaceAll(value, "${filename}", name)
		}
	}
}

// complete says whether the form has what each must have.
func (f *Form) complete() error {
	key, ok := f.Fields["key"]
	switch {
	case !ok:
		return s3err.InvalidArgument.Say("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
			"ArgumentName", "key", "ArgumentValue", "")
	case key == "":
		return s3err.InvalidArgument.Say("User key must have a length greater than 0.", "ArgumentName", "key", "ArgumentValue", "")
	case !apipath.ValidUTF8(key, false):
		return s3err.InvalidArgument.With("ArgumentName", "key")
	}
	return nil
}

// Field returns the value of a field, "" if it is not there.
func (f *Form) Field(name string) string { return f.Fields[name] }

// OfSignature says whether a field, named in lower case, is of the signature and not of the object.
func OfSignature(field string) bool {
	switch field {
	case "policy", "signature", "awsaccesskeyid", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token":
		return true
	}
	return false
}

// IsToken says whether a field's name, in lower case, may be that of a header.
func IsToken(field string) bool {
	return field != "" && !strings.ContainsFunc(field, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}
