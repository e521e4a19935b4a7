package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

// fail makes errors of the place that a signature stands in: header or query.
type fail func(message string, details ...string) error

func headerError(message string, details ...string) error {
	return awserr.New(awserr.AuthorizationHeaderMalformed, "The authorization header is malformed; "+message, details...)
}

func queryError(message string, details ...string) error {
	return awserr.New(awserr.AuthorizationQueryParameters, message, details...)
}

// fromHeader reads
//
//	Authorization: AWS4-HMAC-SHA256 Credential=AKID/20060102/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=...
func (s *Signature) fromHeader(r *http.Request, rules Rules) error {
	lines := r.Header["Authorization"]
	name, rest, _ := strings.Cut(lines[0], " ")
	if name != algorithm {
		return awserr.New(awserr.InvalidRequest, "The authorization mechanism you have provided is not supported. Please use "+algorithm+".")
	}
	if len(lines) > 1 {
		return headerError("it is given more than once.")
	}
	credential, signed, err := s.fields(rest)
	if err != nil {
		return err
	}
	if s.Time, err = headerTime(r.Header); err != nil {
		return err
	}
	if err := s.credential(credential, rules, headerError); err != nil {
		return err
	}
	if err := s.signedHeaders(signed, headerError); err != nil {
		return err
	}
	if off := rules.Now.Sub(s.Time); off.Abs() > rules.skew() {
		return awserr.New(awserr.RequestTimeTooSkewed, "The difference between the request time and the current time is too large.",
			"RequestTime", s.Time.Format(timeFormat), "ServerTime", rules.Now.UTC().Format(time.RFC3339),
			"MaxAllowedSkewMilliseconds", strconv.FormatInt(rules.skew().Milliseconds(), 10))
	}
	s.SecurityToken = r.Header.Get("X-Amz-Security-Token")
	hashes := r.Header["X-Amz-Content-Sha256"]
	if len(hashes) != 1 {
		return awserr.New(awserr.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
	}
	s.Payload, err = ParsePayload(hashes[0])
	return err
}

func (s *Signature) fields(text string) (credential, signed string, err error) {
	for field := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.Trim(field, " \t"), "=")
		var to *string
		switch name {
		case "Credential":
			to = &credential
		case "SignedHeaders":
			to = &signed
		case "Signature":
			to = &s.given
		}
		if !ok || to == nil || *to != "" || value == "" {
			return "", "", headerError("it must consist of Credential, SignedHeaders and Signature, once each.")
		}
		*to = value
	}
	for _, missing := range []struct{ name, value string }{{"Credential", credential}, {"SignedHeaders", signed}, {"Signature", s.given}} {
		if missing.value == "" {
			return "", "", headerError("the authorization header requires " + missing.name + ".")
		}
	}
	return credential, signed, nil
}

func (r Rules) skew() time.Duration {
	if r.Skew == 0 {
		return 15 * time.Minute
	}
	return r.Skew
}

func (r Rules) service() string {
	if r.Service == "" {
		return "s3"
	}
	return r.Service
}

func (r Rules) takes(region string) bool {
	if r.Regions != nil {
		return r.Regions(region)
	}
	// Some SDKs send the region's name in lower case.
	return r.Region == "" || region == r.Region || region == strings.ToLower(r.Region)
}

// headerTime reads the time of a request that is signed in its headers.
func headerTime(h http.Header) (time.Time, error) {
	text := h.Get("X-Amz-Date")
	if text == "" {
		text = h.Get("Date")
	}
	for _, format := range []string{timeFormat, http.TimeFormat, time.RFC1123Z, time.RFC850, time.ANSIC} {
		if at, err := time.Parse(format, text); err == nil && inYears(at) {
			return at.UTC(), nil
		}
	}
	return time.Time{}, awserr.New(awserr.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
}

// inYears keeps out times that cannot be written in the string to sign, or subtracted from each other.
func inYears(at time.Time) bool { return at.Unix() >= 0 && at.UTC().Year() <= 9999 }

// credential reads who signed and for what scope; an access key may hold slashes.
func (s *Signature) credential(text string, rules Rules, fail fail) error {
	parts := strings.Split(text, "/")
	n := len(parts) - 4
	if n < 1 || parts[0] == "" {
		return fail("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/" + terminator + "\".")
	}
	s.AccessKey = strings.Join(parts[:n], "/")
	s.Scope = Scope{parts[n], parts[n+1], parts[n+2]}
	var space [len(dateFormat)]byte
	if want := s.Time.AppendFormat(space[:0], dateFormat); s.Scope.Date != string(want) {
		return fail("Invalid credential date \"" + s.Scope.Date + "\". This date is not the same as X-Amz-Date: \"" + string(want) + "\".")
	}
	if !rules.takes(s.Scope.Region) {
		return fail("the region '"+s.Scope.Region+"' is wrong; expecting '"+rules.Region+"'", "Region", rules.Region)
	}
	if s.Scope.Service != rules.service() {
		return fail("incorrect service \"" + s.Scope.Service + "\". This endpoint belongs to \"" + rules.service() + "\".")
	}
	if parts[n+3] != terminator {
		return fail("incorrect terminal \"" + parts[n+3] + "\". This endpoint uses \"" + terminator + "\".")
	}
	return nil
}

func (s *Signature) signedHeaders(text string, fail fail) error {
	names := strings.Split(text, ";")
	slices.Sort(names)
	for i, name := range names {
		if name == "" || name != strings.ToLower(name) || i > 0 && name == names[i-1] {
			return fail("SignedHeaders must be names of headers in lower case, once each.")
		}
	}
	s.SignedHeaders = names
	return nil
}

// fromQuery reads the parameters of a presigned request.
func (s *Signature) fromQuery(r *http.Request, query query, rules Rules) error {
	var v struct{ algorithm, credential, date, expires, signed, token, payload string }
	for _, p := range []struct {
		name     string
		to       *string
		required bool
	}{
		{"X-Amz-Algorithm", &v.algorithm, true}, {"X-Amz-Credential", &v.credential, true}, {"X-Amz-Date", &v.date, true},
		{"X-Amz-Expires", &v.expires, true}, {"X-Amz-SignedHeaders", &v.signed, true}, {"X-Amz-Signature", &s.given, true},
		{"X-Amz-Security-Token", &v.token, false}, {"X-Amz-Content-Sha256", &v.payload, false},
	} {
		value, n := query.value(p.name)
		if n > 1 || p.required && value == "" {
			return queryError("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "+
				"X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.", "ArgumentName", p.name)
		}
		*p.to = value
	}
	if v.algorithm != algorithm {
		return queryError("X-Amz-Algorithm only supports \"" + algorithm + "\"")
	}
	at, err := time.Parse(timeFormat, v.date)
	if err != nil || !inYears(at) {
		return queryError("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	s.Time = at
	if err := s.credential(v.credential, rules, inCredential); err != nil {
		return err
	}
	if err := s.signedHeaders(v.signed, queryError); err != nil {
		return err
	}
	if err := s.expiry(v.expires, rules); err != nil {
		return err
	}
	if s.SecurityToken = v.token; v.token == "" {
		s.SecurityToken = r.Header.Get("X-Amz-Security-Token")
	}
	return s.queryPayload(v.payload, r.Header)
}

func inCredential(message string, details ...string) error {
	return queryError("Error parsing the X-Amz-Credential parameter; "+message, details...)
}

// queryPayload finds out what a presigned request says of its body: nothing, unless a parameter or a signed header does.
func (s *Signature) queryPayload(text string, h http.Header) (err error) {
	if hashes := h["X-Amz-Content-Sha256"]; text == "" && len(hashes) == 1 && slices.Contains(s.SignedHeaders, "x-amz-content-sha256") {
		text = hashes[0]
	}
	if text == "" {
		text = UnsignedPayload
	}
	s.Payload, err = ParsePayload(text)
	return err
}

func (s *Signature) expiry(text string, rules Rules) error {
	seconds, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return queryError("X-Amz-Expires should be a number")
	case seconds < 0:
		return queryError("X-Amz-Expires must be non-negative")
	case seconds > int64(MaxExpires/time.Second):
		return queryError("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	s.Expires = time.Duration(seconds) * time.Second
	end := s.Time.Add(s.Expires)
	if rules.Now.After(end) {
		return awserr.New(awserr.AccessDenied, "Request has expired", "X-Amz-Expires", text,
			"Expires", end.Format(time.RFC3339), "ServerTime", rules.Now.UTC().Format(time.RFC3339))
	}
	if s.Time.Sub(rules.Now) > rules.skew() {
		return awserr.New(awserr.AccessDenied, "Request is not valid yet", "ServerTime", rules.Now.UTC().Format(time.RFC3339))
	}
	return nil
}
