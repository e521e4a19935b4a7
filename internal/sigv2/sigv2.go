// Package sigv2 checks AWS's signature, version 2, as S3 used it and old clients still do:
//
//	Authorization: AWS AKID:base64-of-HMAC-SHA1
//	?AWSAccessKeyId=AKID&Expires=1141889120&Signature=...
//
// It protects less than version 4: the body is not signed, and of the query only the sub-resources that are listed are. There is
// no scope, so there is no derived key. As in package sigv4, Parse needs no secret, and gives the string to sign.
//
//	sig, err := sigv2.Parse(r, sigv2.Rules{Now: clock.Now(), Bucket: bucketOfTheHost})
//	...
//	err = sig.Verify(secret) // SignatureDoesNotMatch
//
// It makes no signatures. Errors are awserr's; signatures are compared in constant time.
package sigv2

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

// Rules are what a server demands of a signature.
type Rules struct {
	Now    time.Time
	Skew   time.Duration // how far a client's clock may be off; 0 is 15 minutes
	Bucket string        // that the Host names, if it does: it is signed as the path's beginning
	// SubResources are the parameters that are signed; nil for SubResources.
	SubResources []string
}

// SubResources returns the parameters that are part of what is signed, as Swift has them.
func SubResources() []string { return slices.Clone(subResources) }

var subResources = []string{
	"acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "object-lock", "partNumber", "policy",
	"publicAccessBlock", "requestPayment", "response-cache-control", "response-content-disposition",
	"response-content-encoding", "response-content-language", "response-content-type", "response-expires", "restore",
	"tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// A Signature is what a request says of who signed it.
type Signature struct {
	AccessKey     string
	Time          time.Time // of the request, or when a presigned one expires; zero for a form
	Presigned     bool      // in the query, not in the Authorization header
	SecurityToken string

	given, text string
}

// Recognise says whether a request carries such a signature, good or bad, or means to.
func Recognise(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS ") || presigned(r)
}

func presigned(r *http.Request) bool {
	if !strings.Contains(r.URL.RawQuery, "AWSAccessKeyId") {
		return false
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	return err == nil && query.Has("AWSAccessKeyId")
}

// Parse reads the signature of a request that Recognise knows, and checks it by the rules. The body is not touched. The
// error is an *awserr.Error.
func Parse(r *http.Request, rules Rules) (*Signature, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, awserr.New(awserr.InvalidURI, "Couldn't parse the specified URI.").Because(err)
	}
	if rules.Skew == 0 {
		rules.Skew = 15 * time.Minute
	}
	if rules.SubResources == nil {
		rules.SubResources = subResources
	}
	s := new(Signature)
	var date string
	if _, inHeader := r.Header["Authorization"]; inHeader {
		if query.Has("AWSAccessKeyId") || query.Has("Signature") {
			return nil, awserr.New(awserr.InvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
				"Signature query string parameter or the Authorization header should be specified")
		}
		date, err = s.fromHeader(r.Header, rules)
	} else {
		s.Presigned = true
		date, err = s.fromQuery(query, rules)
	}
	if err != nil {
		return nil, err
	}
	if token := r.Header.Get(tokenName); token != "" {
		s.SecurityToken = token
	}
	s.text = strings.Join([]string{
		r.Method, r.Header.Get("Content-Md5"), r.Header.Get("Content-Type"), date,
		amzHeaders(r.Header, s.SecurityToken) + resource(r.URL, query, rules),
	}, "\n")
	return s, nil
}

func (s *Signature) fromHeader(h http.Header, rules Rules) (date string, err error) {
	lines := h["Authorization"]
	credential, ok := strings.CutPrefix(lines[0], "AWS ")
	// The access key may hold colons, the signature cannot.
	colon := strings.LastIndexByte(credential, ':')
	if !ok || colon < 1 || len(lines) > 1 {
		return "", awserr.New(awserr.InvalidArgument, "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
			"ArgumentName", "Authorization")
	}
	s.AccessKey, s.given = strings.TrimSpace(credential[:colon]), credential[colon+1:]
	text := h.Get("X-Amz-Date")
	if date = h.Get("Date"); text != "" {
		date = "" // it is signed among the x-amz-* headers
	} else {
		text = date
	}
	if s.Time, ok = parseTime(text); !ok {
		return "", awserr.New(awserr.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
	}
	if off := rules.Now.Sub(s.Time); off.Abs() > rules.Skew {
		return "", awserr.New(awserr.RequestTimeTooSkewed, "The difference between the request time and the current time is too large.",
			"RequestTime", text, "ServerTime", rules.Now.UTC().Format(time.RFC3339),
			"MaxAllowedSkewMilliseconds", strconv.FormatInt(rules.Skew.Milliseconds(), 10))
	}
	return date, nil
}

func parseTime(text string) (time.Time, bool) {
	for _, format := range []string{http.TimeFormat, time.RFC1123Z, time.RFC850, time.ANSIC, "20060102T150405Z"} {
		if at, err := time.Parse(format, text); err == nil && at.Unix() >= 0 {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

func (s *Signature) fromQuery(query url.Values, rules Rules) (expires string, err error) {
	for _, name := range []string{"AWSAccessKeyId", "Signature", "Expires"} {
		if len(query[name]) != 1 || query.Get(name) == "" {
			return "", awserr.New(awserr.AccessDenied, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
		}
	}
	s.AccessKey, s.given = query.Get("AWSAccessKeyId"), query.Get("Signature")
	// Clients with temporary credentials move the token's header to the query, and sign it as a header. Other headers that are
	// moved like that would be signed and not obeyed, so they are not taken for signed.
	s.SecurityToken = query.Get(tokenName)
	expires = query.Get("Expires")
	seconds, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || seconds < 0 || seconds > maxExpires {
		return "", awserr.New(awserr.AccessDenied, "Invalid date (should be seconds since epoch): "+expires)
	}
	if s.Time = time.Unix(seconds, 0).UTC(); rules.Now.After(s.Time) {
		return "", awserr.New(awserr.AccessDenied, "Request has expired",
			"Expires", s.Time.Format(time.RFC3339), "ServerTime", rules.Now.UTC().Format(time.RFC3339))
	}
	return expires, nil
}

// maxExpires is the end of the year 9999, the last that dates of answers can hold.
const maxExpires = 253402300799

// amzHeaders are the lines of the x-amz-* headers, sorted by name.
func amzHeaders(h http.Header, token string) string {
	lines := make(map[string]string)
	if token != "" {
		lines[tokenName] = token
	}
	for name, values := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") {
			lines[name] = strings.Join(trimmed(values), ",")
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(name + ":" + lines[name] + "\n")
	}
	return b.String()
}

const tokenName = "x-amz-security-token"

func trimmed(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.Trim(v, " \t")
	}
	return out
}

// resource is the path as the client sent it, and the sub-resources with their values decoded.
func resource(u *url.URL, query url.Values, rules Rules) string {
	var b strings.Builder
	if rules.Bucket != "" {
		b.WriteString("/" + rules.Bucket)
	}
	if path := u.EscapedPath(); path != "" {
		b.WriteString(path)
	} else {
		b.WriteByte('/')
	}
	mark := byte('?')
	for _, name := range slices.Sorted(slices.Values(rules.SubResources)) {
		for _, value := range query[name] {
			b.WriteByte(mark)
			mark = '&'
			b.WriteString(name)
			if value != "" {
				b.WriteString("=" + value)
			}
		}
	}
	return b.String()
}

// StringToSign is what the client has to have signed, for services that check signatures themselves.
func (s *Signature) StringToSign() string { return s.text }

// Given is the signature that the client sent, in base64.
func (s *Signature) Given() string { return s.given }

// ParseForm reads the fields of a form that posts an object, which are asked for in lower case. What the policy says is the
// caller's to check; it is the string to sign, as it was sent. The error is an *awserr.Error.
func ParseForm(field func(name string) string) (*Signature, error) {
	for _, name := range []string{"policy", "awsaccesskeyid", "signature"} {
		if field(name) == "" {
			return nil, awserr.New(awserr.InvalidArgument, "Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.",
				"ArgumentName", name)
		}
	}
	return &Signature{
		AccessKey: field("awsaccesskeyid"), SecurityToken: field("x-amz-security-token"), given: field("signature"), text: field("policy"),
	}, nil
}

// Sign signs a text with a secret.
func Sign(secret, text string) string {
	m := hmac.New(sha1.New, []byte(secret))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// Verify says whether the request was signed with the secret. The error is an *awserr.Error, SignatureDoesNotMatch, with
// what a client's author needs to find out why.
func (s *Signature) Verify(secret string) error {
	if hmac.Equal([]byte(s.given), []byte(Sign(secret, s.text))) {
		return nil
	}
	return awserr.New(awserr.SignatureDoesNotMatch,
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.",
		"AWSAccessKeyId", s.AccessKey, "StringToSign", s.text, "SignatureProvided", s.given)
}
