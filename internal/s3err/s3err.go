// Package s3err holds the errors of the S3 API: each code with its status and its text, and the document that a client gets.
//
//	return s3err.NoSuchKey.With("Key", key)
//	return s3err.InvalidArgument.Say("Argument maxKeys must be an integer", "ArgumentName", "max-keys")
//
// A Code is an error itself, and errors.Is(err, s3err.NoSuchKey) asks for the code of an *Error whatever else it says. [From]
// takes whatever an operation has returned: also the errors of package awserr, which know no status.
//
// The table of codes is the only place where a status or a standard text stands.
package s3err

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/apus-storage/apus/internal/awserr"
)

// A Code is AWS's name of an error.
type Code string

// Error makes a code an error.
func (c Code) Error() string { return string(c) }

// A Detail is one more element of the document, such as Key or BucketName.
type Detail struct{ Name, Value string }

// An Error is an answer of the S3 API that is not a success. It does not change; the methods that add something return a copy.
type Error struct {
	Code    Code
	Status  int
	Message string
	Details []Detail
	Header  http.Header // further headers of the answer, may be nil
	Err     error       // the reason, for the log only
}

// With makes the error of a code with its standard text. Details are pairs of name and value.
func (c Code) With(details ...string) *Error { return c.Say(table[c].message, details...) }

// Say makes the error of a code with another text.
func (c Code) Say(message string, details ...string) *Error {
	row, ok := table[c]
	if !ok {
		row = table[InternalError]
	}
	e := &Error{Code: c, Status: row.status, Message: message}
	for i := 0; i+1 < len(details); i += 2 {
		e.Details = append(e.Details, Detail{details[i], details[i+1]})
	}
	return e
}

// Because notes the reason.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// WithStatus gives the error another status.
func (e *Error) WithStatus(status int) *Error {
	c := *e
	c.Status = status
	return &c
}

// WithHeader adds a header to the answer. The name is sent as it is given.
func (e *Error) WithHeader(name, value string) *Error {
	c := *e
	if c.Header = e.Header.Clone(); c.Header == nil {
		c.Header = http.Header{}
	}
	c.Header[name] = []string{value}
	return &c
}

func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Is says whether target is the error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}

// From returns the answer that err holds; any error that is none is an InternalError with err as its reason.
func From(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if c, ok := errors.AsType[Code](err); ok {
		return c.With()
	}
	if a, ok := errors.AsType[*awserr.Error](err); ok {
		e := Code(a.Code).With().Because(a.Err)
		if a.Message != "" {
			e.Message = a.Message
		}
		for _, d := range a.Details {
			e.Details = append(e.Details, Detail(d))
		}
		return e
	}
	return InternalError.With().Because(err)
}

// Document returns the XML of the error. The resource is the path that the client asked for. Of an upload that is not there
// AWS names the upload in its place: the path is that of the object that it would make, of which the error says nothing.
func (e *Error) Document(resource, requestID string) []byte {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error>")
	element(&b, "Code", string(e.Code))
	element(&b, "Message", e.Message)
	seen := map[string]bool{"Code": true, "Message": true, "RequestId": true, "HostId": true, "Resource": e.Code == NoSuchUpload}
	for _, d := range append(e.Details[:len(e.Details):len(e.Details)], Detail{"Resource", resource}) {
		if !seen[d.Name] {
			element(&b, d.Name, d.Value)
			seen[d.Name] = true
		}
	}
	element(&b, "RequestId", requestID)
	element(&b, "HostId", requestID)
	b.WriteString("</Error>")
	return b.Bytes()
}

func element(b *bytes.Buffer, name, value string) {
	b.WriteString("<" + name + ">")
	// Writing to a buffer cannot fail; what XML cannot hold becomes U+FFFD.
	xml.EscapeText(b, []byte(value))
	b.WriteString("</" + name + ">")
}
