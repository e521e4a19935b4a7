// Package reply is the edge between Go errors and HTTP answers. A handler returns or writes an [*Error], which holds the
// status, the text that the client gets (part of compatibility: clients and test suites compare it), and the reason for
// the log (which the client never gets).
//
//	return reply.Status(http.StatusNotFound)
//	return reply.Text(http.StatusBadRequest, "Invalid X-Delete-At").Because(err)
//
// Bodies are Swift's: a short HTML page unless a text is given. An answer to HEAD has no body.
package reply

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/apipath"
)

// Content types of Swift's answers.
const (
	TypeHTML = "text/html; charset=UTF-8"
	TypeText = "text/plain; charset=UTF-8"
)

// Statuses that net/http does not name.
const (
	StatusClientDisconnect    = 499
	StatusInsufficientStorage = 507
)

type reason struct{ title, text string }

// reasons are the titles and explanations of Swift's standard pages.
var reasons = map[int]reason{
	200: {"OK", ""}, 201: {"Created", ""}, 204: {"No Content", ""}, 206: {"Partial Content", ""}, 304: {"Not Modified", ""},
	202: {"Accepted", "The request is accepted for processing."},
	301: {"Moved Permanently", "The resource has moved permanently."},
	302: {"Found", "The resource has moved temporarily."},
	303: {"See Other", "The response to the request can be found under a different URI."},
	307: {"Temporary Redirect", "The resource has moved temporarily."},
	400: {"Bad Request", "The server could not comply with the request since it is either malformed or otherwise incorrect."},
	401: {"Unauthorized", "This server could not verify that you are authorized to access the document you requested."},
	402: {"Payment Required", "Access was denied for financial reasons."},
	403: {"Forbidden", "Access was denied to this resource."},
	404: {"Not Found", "The resource could not be found."},
	405: {"Method Not Allowed", "The method is not allowed for this resource."},
	406: {"Not Acceptable", "The resource is not available in a format acceptable to your browser."},
	408: {"Request Timeout", "The server has waited too long for the request to be sent by the client."},
	409: {"Conflict", "There was a conflict when trying to complete your request."},
	410: {"Gone", "This resource is no longer available."},
	411: {"Length Required", "Content-Length header required."},
	412: {"Precondition Failed", "A precondition for this request was not met."},
	413: {"Request Entity Too Large", "The body of your request was too large for this server."},
	414: {"Request URI Too Long", "The request URI was too long for this server."},
	415: {"Unsupported Media Type", "The request media type is not supported by this server."},
	416: {"Requested Range Not Satisfiable", "The Range requested is not available."},
	417: {"Expectation Failed", "Expectation failed."},
	422: {"Unprocessable Entity", "Unable to process the contained instructions"},
	499: {"Client Disconnect", "The client was disconnected during request."},
	500: {"Internal Error", "The server has either erred or is incapable of performing the requested operation."},
	501: {"Not Implemented", "The requested method is not implemented by this server."},
	502: {"Bad Gateway", "Bad gateway."},
	503: {"Service Unavailable", "The server is currently unavailable. Please try again at a later time."},
	504: {"Gateway Timeout", "A timeout has occurred speaking to a backend server."},
	507: {"Insufficient Storage", "There was not enough space to save the resource."},
}

// Title returns Swift's name of a status: "404 Not Found" without the number.
func Title(code int) string {
	if r, ok := reasons[code]; ok {
		return r.title
	}
	return http.StatusText(code)
}

// An Error is an answer that is not, or not only, a success: it is also used for small fixed answers. It is immutable
// once returned; the methods that add something return a copy.
type Error struct {
	Code   int
	Type   string      // of the body
	Body   string      // what the client reads
	Header http.Header // further headers, may be nil
	Err    error       // for the log only
}

// Status makes Swift's standard page for a status.
func Status(code int) *Error {
	r, ok := reasons[code]
	if !ok {
		r = reason{title: Title(code)}
	}
	if r.text == "" {
		return &Error{Code: code, Type: TypeHTML}
	}
	return &Error{Code: code, Type: TypeHTML, Body: page(r.title, r.text)}
}

// Page makes a standard page with another explanation; the text is put in as it is and must not come from a client.
func Page(code int, text string) *Error {
	return &Error{Code: code, Type: TypeHTML, Body: page(Title(code), text)}
}

const pageStart = "<html><h1>"

func page(title, text string) string {
	return pageStart + title + "</h1><p>" + text + "</p></html>"
}

// Text makes a plain text answer.
func Text(code int, text string) *Error { return &Error{Code: code, Type: TypeText, Body: text} }

// Textf is Text with formatting.
func Textf(code int, format string, args ...any) *Error {
	return Text(code, fmt.Sprintf(format, args...))
}

// Raw makes an answer with the text that Swift gives without declaring it as plain: its default type is HTML.
func Raw(code int, text string) *Error { return &Error{Code: code, Type: TypeHTML, Body: text} }

// Error describes the answer for a log.
func (e *Error) Error() string {
	s := strconv.Itoa(e.Code) + " " + Title(e.Code)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Because adds the reason, for the log.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// With adds a header.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Header = e.Header.Clone()
	if c.Header == nil {
		c.Header = http.Header{}
	}
	c.Header.Set(key, value)
	return &c
}

// As returns the answer that err holds; any other error is a 500 with err as its reason.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Status(http.StatusInternalServerError).Because(err)
}

// Write sends the answer that err holds, see [As]. A 401 gets Swift's challenge for the account in the request's path.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	e := As(err)
	h := w.Header()
	for k, v := range e.Header {
		h[k] = v
	}
	if e.Code == http.StatusUnauthorized && h.Get("Www-Authenticate") == "" {
		h.Set("Www-Authenticate", Challenge(r.URL.Path))
	}
	if e.Type != "" {
		h.Set("Content-Type", e.Type)
	}
	bare := e.Code == http.StatusNoContent || e.Code == http.StatusNotModified
	if bare {
		h.Del("Content-Length")
	} else {
		h.Set("Content-Length", strconv.Itoa(e.Length(r.Method)))
	}
	w.WriteHeader(e.Code)
	if !bare && r.Method != http.MethodHead && e.Body != "" {
		io.WriteString(w, e.Body)
	}
}

// Length is the Content-Length of the answer to a request of a method: an answer to HEAD has that of its text, but 0 in
// place of a page.
func (e *Error) Length(method string) int {
	if method == http.MethodHead && strings.HasPrefix(e.Body, pageStart) {
		return 0
	}
	return len(e.Body)
}

// Challenge is the Www-Authenticate value for a path: its account is the realm, "unknown" if it has none.
func Challenge(path string) string {
	realm := "unknown"
	if parts := strings.SplitN(path, "/", 4); len(parts) > 2 && parts[0] == "" && parts[2] != "" {
		realm = parts[2]
	}
	return `Swift realm="` + apipath.Quote(realm) + `"`
}
