package sigv4

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/meta"
)

// canonical is a canonical request, and where its path and query are.
type canonical struct {
	text     []byte
	from, to int
	sent     string // what they are as the client sent them, if that is something else
}

// asSent is the canonical request of a client that signed path and query just as it sent them, or nil if that is the same.
func (c canonical) asSent() []byte {
	if c.sent == "" {
		return nil
	}
	return slices.Concat(c.text[:c.from], []byte(c.sent), c.text[c.to:])
}

func (s *Signature) canonicalise(r *http.Request, query query) (canonical, error) {
	sent := r.URL.EscapedPath()
	path, err := recode(sent, true)
	if err != nil {
		return canonical{}, err
	}
	if path == "" {
		path, sent = "/", "/"
	}
	b := make([]byte, 0, 768)
	b = append(append(b, r.Method...), '\n')
	c := canonical{from: len(b)}
	b = append(append(b, path...), '\n')
	b = query.append(b, s.Presigned)
	c.to = len(b)
	if raw := query.asSent(); sent != path || raw != nil {
		if raw == nil {
			raw = query
		}
		c.sent = string(raw.append([]byte(sent+"\n"), s.Presigned))
	}
	b = append(b, '\n')
	for _, name := range s.SignedHeaders {
		values := headerLines(r, name)
		if values == nil {
			// What is signed and not there was taken away on the way.
			return canonical{}, awserr.New(awserr.SignatureDoesNotMatch, noMatch, "AWSAccessKeyId", s.AccessKey, "SignatureProvided", s.given, "HeaderMissing", name)
		}
		b = append(append(b, name...), ':')
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCollapsed(b, v)
		}
		b = append(b, '\n')
	}
	b = append(b, '\n')
	for i, name := range s.SignedHeaders {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	c.text = append(b, s.Payload.text...)
	return c, nil
}

// headerLines returns the lines of a header, or nil. net/http takes some headers out of the map.
func headerLines(r *http.Request, name string) []string {
	if name == "host" {
		return []string{r.Host}
	}
	var space [64]byte
	if lines := r.Header[string(appendKey(space[:0], name))]; len(lines) > 0 {
		return lines
	}
	switch name {
	case "content-length":
		if r.ContentLength >= 0 {
			return []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	case "transfer-encoding":
		return r.TransferEncoding
	}
	return nil
}

// appendKey appends the key that net/http has for a header whose name is in lower case, without a string of its own.
func appendKey(b []byte, name string) []byte {
	start := true
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z':
			if start {
				c -= 'a' - 'A'
			}
		case c != '-' && (c < '0' || c > '9'):
			// Some such names have keys like these, others stay as they are, or are spelled as package headname does it.
			if headname.Odd(name) {
				return append(b[:0], meta.Title(name)...)
			}
			return append(b[:0], textproto.CanonicalMIMEHeaderKey(name)...)
		}
		start = c == '-'
		b = append(b, c)
	}
	return b
}

// appendCollapsed appends a header's value without white space around it, and with one space for any within.
func appendCollapsed(b []byte, value string) []byte {
	space, start := false, len(b)
	for i := range len(value) {
		if c := value[i]; c == ' ' || c == '\t' {
			space = true
		} else {
			if space && len(b) > start {
				b = append(b, ' ')
			}
			space = false
			b = append(b, c)
		}
	}
	return b
}

// A pair is a parameter of a query, encoded, and as it was sent.
type pair struct{ key, value, sentKey, sentValue string }

type query []pair

// parseQuery takes a query to pieces and encodes them as S3 does. A + is a space.
func parseQuery(raw string) (query, error) {
	if raw == "" {
		return nil, nil
	}
	q := make(query, 0, strings.Count(raw, "&")+1)
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		key, value, _ := strings.Cut(piece, "=")
		k, err := recode(key, false)
		if err != nil {
			return nil, err
		}
		v, err := recode(value, false)
		if err != nil {
			return nil, err
		}
		q = append(q, pair{k, v, key, value})
	}
	q.sort()
	return q, nil
}

func (q query) sort() {
	slices.SortFunc(q, func(a, b pair) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
}

// asSent is the query with its parameters as they were sent, or nil if that is the same.
func (q query) asSent() query {
	if !slices.ContainsFunc(q, func(p pair) bool { return p.key != p.sentKey || p.value != p.sentValue }) {
		return nil
	}
	raw := make(query, len(q))
	for i, p := range q {
		raw[i] = pair{key: p.sentKey, value: p.sentValue}
	}
	raw.sort()
	return raw
}

// value returns the first value of a parameter, decoded, and how many it has. Names that need no encoding only.
func (q query) value(name string) (value string, n int) {
	for _, p := range q {
		if p.key != name {
			continue
		}
		if n++; n == 1 {
			value, _ = url.PathUnescape(p.value) // it is well encoded: recode made it
		}
	}
	return value, n
}

func (q query) append(b []byte, presigned bool) []byte {
	first := true
	for _, p := range q {
		if presigned && p.key == "X-Amz-Signature" {
			continue
		}
		if !first {
			b = append(b, '&')
		}
		first = false
		b = append(b, p.key...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

const upperHex = "0123456789ABCDEF"

// recode decodes a path or a part of a query once, and encodes it as S3 does: everything but letters, digits, -._~ and, in a
// path, /. In a query a + is a space.
func recode(raw string, path bool) (string, error) {
	// Nearly all clients send it so already.
	if encoded(raw, path) {
		return raw, nil
	}
	b := make([]byte, 0, len(raw)+16)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '%':
			if i+2 >= len(raw) || unhex(raw[i+1]) < 0 || unhex(raw[i+2]) < 0 {
				return "", awserr.New(awserr.InvalidURI, "Couldn't parse the specified URI.")
			}
			c = byte(unhex(raw[i+1])<<4 | unhex(raw[i+2]))
			i += 2
		case c == '+' && !path:
			c = ' '
		}
		if unreserved(c) || c == '/' && path {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b), nil
}

// encoded says whether recode would change nothing.
func encoded(raw string, path bool) bool {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' && i+2 < len(raw) {
			h, l := strings.IndexByte(upperHex, raw[i+1]), strings.IndexByte(upperHex, raw[i+2])
			if c := byte(h<<4 | l); h < 0 || l < 0 || unreserved(c) || c == '/' && path {
				return false
			}
			i += 2
			continue
		}
		if !unreserved(c) && (c != '/' || !path) {
			return false
		}
	}
	return true
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
