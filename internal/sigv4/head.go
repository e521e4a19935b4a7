package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Sign signs a request in its Authorization header, and sets x-amz-date, x-amz-content-sha256 and the token's header. All its headers are
// signed but those that change on the way. The payload is a SHA-256 in hexadecimal or one of the modes. The path and the query
// are written anew, as they are signed; values of one parameter are sorted. The chain is for the chunks of a streamed body. It is an error if the query could
// not be sent as it is meant.
func (s *Signer) Sign(r *http.Request, payload string, at time.Time) (*Chain, error) {
	if err := singleHop(r); err != nil {
		return nil, err
	}
	if payload != EmptyPayload {
		if _, err := ParsePayload(payload); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	query, err := recodeQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	path, err := recodePath(r)
	if err != nil {
		return nil, err
	}
	c := Chain{at: at.UTC().Format(timeFormat)}
	d := s.day(c.at[:len(dateFormat)])
	c.key, c.scope = d.key, d.scope
	lines := []string{c.at, payload, ""}
	r.Header["X-Amz-Date"] = lines[0:1:1]
	r.Header["X-Amz-Content-Sha256"] = lines[1:2:2]
	if token := s.credentials.SessionToken; token != "" {
		r.Header["X-Amz-Security-Token"] = []string{token}
	}

	var room [32]field
	fields := signedFields(r, room[:0])
	text := make([]byte, 0, 1024)
	text = append(append(text, r.Method...), '\n')
	text = append(append(text, path...), '\n')
	from := len(text)
	text = query.append(text, false)
	r.URL.RawQuery = string(text[from:])
	text = append(text, '\n')
	for _, f := range fields {
		text = append(appendLower(text, f.name), ':')
		for i, v := range f.values {
			if i > 0 {
				text = append(text, ',')
			}
			text = appendCollapsed(text, v)
		}
		text = append(text, '\n')
	}
	text = append(text, '\n')
	from = len(text)
	for i, f := range fields {
		if i > 0 {
			text = append(text, ';')
		}
		text = appendLower(text, f.name)
	}
	names := text[from:]
	text = append(append(text, '\n'), payload...)

	c.last = d.sign(c.at, text)
	lines[2] = algorithm + " Credential=" + s.credentials.AccessKeyID + "/" + c.scope + ", SignedHeaders=" + string(names) + ", Signature=" + c.last
	r.Header["Authorization"] = lines[2:3:3]
	return &c, nil
}

// A day is what is the same for all requests of one day.
type day struct {
	date, scope string
	key         Key
	macs        sync.Pool // of hash.Hash
}

func (s *Signer) day(date string) *day {
	if d := s.today.Load(); d != nil && d.date == date {
		return d
	}
	scope := Scope{date, s.region, s.service}
	d := &day{date: date, scope: scope.String(), key: Derive(s.credentials.SecretAccessKey, scope)}
	d.macs.New = func() any { return hmac.New(sha256.New, d.key[:]) }
	s.today.Store(d)
	return d
}

// sign returns the signature of a canonical request.
func (d *day) sign(at string, canonical []byte) string {
	sum := sha256.Sum256(canonical)
	text := make([]byte, 0, 256)
	text = append(append(append(text, algorithm+"\n"...), at...), '\n')
	text = append(append(text, d.scope...), '\n')
	text = hex.AppendEncode(text, sum[:])
	m := d.macs.Get().(hash.Hash)
	defer d.macs.Put(m)
	m.Reset()
	m.Write(text)
	return hex.EncodeToString(m.Sum(text[:0]))
}

// singleHop refuses headers that do not reach the store.
func singleHop(r *http.Request) error {
	for _, name := range [...]string{"Connection", "Te", "Upgrade", "Proxy-Authorization"} {
		if lines := r.Header[name]; len(lines) > 0 && lines[0] != "" {
			return errors.New("sign: the request has headers of one connection alone")
		}
	}
	return nil
}

var errTwice = errors.New("sign: the query has a signature already")

// recodeQuery takes a query to pieces as it is to be sent. A semicolon means different things to different servers.
func recodeQuery(raw string) (query, error) {
	if strings.IndexByte(raw, ';') >= 0 {
		return nil, errors.New("sign: a semicolon in the query")
	}
	q, err := parseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	for _, p := range q {
		if p.key == "X-Amz-Signature" || p.key == "X-Amz-Credential" || p.key == "X-Amz-Algorithm" {
			return nil, errTwice
		}
	}
	return q, nil
}

// recodePath has the path sent as it is signed: net/url escapes fewer characters than a store does before it checks.
func recodePath(r *http.Request) (string, error) {
	path, err := recode(r.URL.EscapedPath(), true)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	if path != r.URL.RawPath {
		r.URL.RawPath = path
		if r.URL.Path, err = url.PathUnescape(path); err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
	}
	if path == "" {
		path = "/"
	}
	return path, nil
}

// A field is a header that is signed. Its name may have capital letters.
type field struct {
	name   string
	values []string
}

// unsigned are the headers that change on the way, or are written after the signature.
func unsigned(name string) bool {
	switch name {
	case "Authorization", "User-Agent", "X-Amzn-Trace-Id", "Expect", "Transfer-Encoding", "Content-Length", "Host":
		return true
	}
	return false
}

// signedFields appends what is signed of a head, in order.
func signedFields(r *http.Request, fields []field) []field {
	for name, values := range r.Header {
		if len(values) > 0 && !unsigned(name) {
			fields = append(fields, field{name, values})
		}
	}
	fields = append(fields, field{"host", []string{plainHost(r)}})
	if r.ContentLength > 0 {
		fields = append(fields, field{"content-length", []string{strconv.FormatInt(r.ContentLength, 10)}})
	}
	slices.SortFunc(fields, func(a, b field) int { return compareLower(a.name, b.name) })
	return fields
}

// plainHost is the host as it is sent, without a port that goes without saying: stores check so, and so it is sent.
func plainHost(r *http.Request) string {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	plain := host
	switch r.URL.Scheme {
	case "http":
		plain = strings.TrimSuffix(host, ":80")
	case "https":
		plain = strings.TrimSuffix(host, ":443")
	}
	if plain != host {
		r.Host = plain
	}
	return plain
}

// lower is a byte of a header's name in lower case.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func appendLower(b []byte, name string) []byte {
	for i := range len(name) {
		b = append(b, lower(name[i]))
	}
	return b
}

func compareLower(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}
