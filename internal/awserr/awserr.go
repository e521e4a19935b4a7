// Package awserr is the error of an AWS request that is refused before anybody looked at what it asks for: its signature,
// its framing or its checksum is wrong. The error carries AWS's code, AWS's text and the facts that AWS puts into the answer
// beside them; it knows no status and no XML, which are the edge's.
//
//	var refused *awserr.Error
//	if errors.As(err, &refused) {
//		reply(refused.Code, refused.Message, refused.Details)
//	}
//
// Errors of one code are the same to errors.Is: errors.Is(err, awserr.AccessDenied) asks for the code alone.
package awserr

// A Code is AWS's name of an error. It is an error itself, as a target of errors.Is.
type Code string

// Error makes a code an error.
func (c Code) Error() string { return string(c) }

// The codes that signatures, bodies and checksums need.
const (
	AccessDenied                 Code = "AccessDenied"
	AuthorizationHeaderMalformed Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParameters Code = "AuthorizationQueryParametersError"
	BadDigest                    Code = "BadDigest"
	ContentSHA256Mismatch        Code = "XAmzContentSHA256Mismatch"
	IncompleteBody               Code = "IncompleteBody"
	InvalidArgument              Code = "InvalidArgument"
	InvalidChunkSize             Code = "InvalidChunkSizeError"
	InvalidRequest               Code = "InvalidRequest"
	InvalidURI                   Code = "InvalidURI"
	MalformedTrailer             Code = "MalformedTrailerError"
	MissingContentLength         Code = "MissingContentLength"
	NotImplemented               Code = "NotImplemented"
	RequestTimeTooSkewed         Code = "RequestTimeTooSkewed"
	SignatureDoesNotMatch        Code = "SignatureDoesNotMatch"
)

// A Detail is one more element of the answer, such as Region or ClientComputedContentSHA256.
type Detail struct {
	Name, Value string
}

// An Error refuses a request.
type Error struct {
	Code    Code
	Message string // for the client
	Details []Detail
	Err     error // why, if something below said so; not for the client
}

// New makes an error. Details are pairs of name and value.
func New(code Code, message string, details ...string) *Error {
	e := &Error{Code: code, Message: message}
	for i := 0; i+1 < len(details); i += 2 {
		e.Details = append(e.Details, Detail{details[i], details[i+1]})
	}
	return e
}

// Because notes what was wrong below.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// Detail returns the value of a detail.
func (e *Error) Detail(name string) string {
	for _, d := range e.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

func (e *Error) Error() string {
	text := string(e.Code)
	if e.Message != "" {
		text += ": " + e.Message
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns what was wrong below.
func (e *Error) Unwrap() error { return e.Err }

// Is says whether target is the error's code.
func (e *Error) Is(target error) bool {
	code, ok := target.(Code)
	return ok && code == e.Code
}
