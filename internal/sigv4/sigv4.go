// Package sigv4 is AWS's signature, version 4, as S3 uses it: it checks the signatures of clients' requests and signs
// requests to other stores.
//
//	sig, err := sigv4.Parse(r, sigv4.Rules{Now: clock.Now(), Region: "us-east-1"})
//	if err != nil {
//		return err // an *awserr.Error: malformed, too old, of another region
//	}
//	secret, err := secretOf(sig.AccessKey)
//	key := keys.Get(secret, sig.Scope)
//	if err := sig.Verify(key); err != nil {
//		return err // SignatureDoesNotMatch
//	}
//	body := sig.Payload.Body(r.Body) // or awschunked.NewReader, if sig.Payload.Streaming()
//
// Parse knows no secret: it reads what is signed, checks all that can be checked without a secret, and has the string to
// sign. Whoever holds only the derived key, or asks another service with the string to sign, is served as well.
//
// What is checked: date, expiry and scope; that the host and every x-amz-* header is signed; that every signed header is
// there. Paths are not normalised: a//b and a/../b are names of objects. They are decoded once and encoded as S3 does, so that a
// client that escapes less or more than it must is understood; what is signed is therefore the decoded path, and whoever acts
// on the request must go by that, as by the decoded query. A client that signed path and
// query just as it sent them is right too.
//
// ParseForm does the same for forms that post objects.
//
// It is not the place for secrets, for AWS's version 4a (refused), and for the framing of streamed bodies: see
// internal/awschunked. Signatures are compared in constant time.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
)

// MaxExpires is how long a presigned request may be valid.
const MaxExpires = 7 * 24 * time.Hour

// Rules are what a server demands of a signature.
type Rules struct {
	Now     time.Time
	Skew    time.Duration            // how far a client's clock may be off; 0 is 15 minutes
	Region  string                   // the server's; empty for any
	Regions func(region string) bool // which it takes; nil for Region, also in lower case
	Service string                   // empty for s3
	// Unsigned are the x-amz-* headers, in lower case, that a client need not sign.
	Unsigned []string
}

// A Scope is where and when a signing key is good.
type Scope struct {
	Date    string // 20060102
	Region  string
	Service string
}

// NewScope returns the scope of a day.
func NewScope(at time.Time, region, service string) Scope {
	return Scope{at.UTC().Format(dateFormat), region, service}
}

func (s Scope) String() string { return string(s.append(nil)) }

func (s Scope) append(b []byte) []byte {
	for _, part := range []string{s.Date, s.Region, s.Service} {
		b = append(append(b, part...), '/')
	}
	return append(b, terminator...)
}

// A Signature is what a request says of who signed it.
type Signature struct {
	AccessKey     string
	Scope         Scope
	Time          time.Time
	Presigned     bool          // in the query, not in the Authorization header
	Expires       time.Duration // after Time, if presigned
	SignedHeaders []string      // lower case, sorted
	SecurityToken string
	Payload       Payload

	given        string
	canonical    canonical
	stringToSign string // of that
}

// Recognise says whether a request carries such a signature, good or bad, or means to.
func Recognise(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") || presigned(r)
}

func presigned(r *http.Request) bool {
	// Most requests are told apart without taking the query to pieces.
	if !strings.Contains(r.URL.RawQuery, "Amz") {
		return false
	}
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return false
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-Signature", "X-Amz-Algorithm"} {
		if _, there := query.value(name); there > 0 {
			return true
		}
	}
	return false
}

// Parse reads the signature of a request that Recognise knows, and checks it by the rules. The body is not touched. The
// error is an *awserr.Error.
func Parse(r *http.Request, rules Rules) (*Signature, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	s := new(Signature)
	if _, inHeader := r.Header["Authorization"]; inHeader {
		if s.Presigned = presigned(r); s.Presigned {
			return nil, awserr.New(awserr.InvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
				"Signature query string parameter or the Authorization header should be specified")
		}
		err = s.fromHeader(r, rules)
	} else {
		s.Presigned = true
		err = s.fromQuery(r, query, rules)
	}
	if err != nil {
		return nil, err
	}
	if err := s.checkSigned(r.Header, rules.Unsigned); err != nil {
		return nil, err
	}
	s.canonical, err = s.canonicalise(r, query)
	if err != nil {
		return nil, err
	}
	s.stringToSign = s.toSign(s.canonical.text)
	return s, nil
}

// checkSigned looks for headers that steer a request and could be added to it by anybody.
func (s *Signature) checkSigned(h http.Header, harmless []string) error {
	for name := range h {
		if len(name) < 6 || !strings.EqualFold(name[:6], "X-Amz-") {
			continue
		}
		if !foldIn(s.SignedHeaders, name) && !foldIn(harmless, name) {
			return notSigned(strings.ToLower(name))
		}
	}
	if !foldIn(s.SignedHeaders, "host") {
		return notSigned("host")
	}
	return nil
}

func foldIn(list []string, name string) bool {
	for _, l := range list {
		if strings.EqualFold(l, name) {
			return true
		}
	}
	return false
}

func notSigned(header string) error {
	return awserr.New(awserr.AccessDenied, "There were headers present in the request which were not signed", "HeadersNotSigned", header)
}

// StringToSign is what the client has to have signed, for services that check signatures themselves.
func (s *Signature) StringToSign() string { return s.stringToSign }

func (s *Signature) toSign(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	var space [256]byte
	b := append(space[:0], algorithm+"\n"...)
	b = append(s.Time.AppendFormat(b, timeFormat), '\n')
	b = append(s.Scope.append(b), '\n')
	return string(hex.AppendEncode(b, sum[:]))
}

// Given is the signature that the client sent, in hexadecimal.
func (s *Signature) Given() string { return s.given }

// Verify says whether the request was signed with the key. The error is an *awserr.Error, SignatureDoesNotMatch, with what
// a client's author needs to find out why.
func (s *Signature) Verify(key Key) error {
	if s.is(key.Sign(s.StringToSign())) {
		return nil
	}
	if other := s.canonical.asSent(); other != nil && s.is(key.Sign(s.toSign(other))) {
		return nil
	}
	return awserr.New(awserr.SignatureDoesNotMatch, noMatch, "AWSAccessKeyId", s.AccessKey, "StringToSign", s.StringToSign(), "SignatureProvided", s.given,
		"CanonicalRequest", string(s.canonical.text))
}

const noMatch = "The request signature we calculated does not match the signature you provided. Check your key and signing method."

func (s *Signature) is(right string) bool { return is(s.given, right) }

// is compares signatures in constant time.
func is(given, right string) bool { return hmac.Equal([]byte(given), []byte(right)) }

// Chain starts the chain of signatures of a streamed body: its first link is the signature of the head, which Verify must
// have found to be right.
func (s *Signature) Chain(key Key) *Chain {
	return &Chain{key: key, at: s.Time.Format(timeFormat), scope: s.Scope.String(), last: s.given}
}
