package sigv4

import (
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

// A Form is what a form that posts an object says of who signed its policy. The policy bounds its own time.
type Form struct {
	AccessKey     string
	Scope         Scope
	Time          time.Time
	SecurityToken string
	Policy        string // as it was sent, in base64; the string to sign

	given string
}

// ParseForm reads the fields of a form, which are asked for in lower case, and checks them by the rules, but for the clock's.
// What the policy says is the caller's to check. The error is an *awserr.Error.
func ParseForm(field func(name string) string, rules Rules) (*Form, error) {
	f := &Form{Policy: field("policy"), SecurityToken: field("x-amz-security-token"), given: field("x-amz-signature")}
	for _, name := range []string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"} {
		if field(name) == "" {
			return nil, awserr.New(awserr.InvalidArgument, "Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields.",
				"ArgumentName", name)
		}
	}
	if field("x-amz-algorithm") != algorithm {
		return nil, awserr.New(awserr.InvalidArgument, "X-Amz-Algorithm only supports \""+algorithm+"\"", "ArgumentName", "x-amz-algorithm",
			"ArgumentValue", field("x-amz-algorithm"))
	}
	at, err := time.Parse(timeFormat, field("x-amz-date"))
	if err != nil || !inYears(at) {
		return nil, awserr.New(awserr.InvalidArgument, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"", "ArgumentName", "x-amz-date",
			"ArgumentValue", field("x-amz-date"))
	}
	s := Signature{Time: at}
	err = s.credential(field("x-amz-credential"), rules, func(message string, details ...string) error {
		return awserr.New(awserr.InvalidArgument, "Error parsing the X-Amz-Credential parameter; "+message, details...)
	})
	if err != nil {
		return nil, err
	}
	f.AccessKey, f.Scope, f.Time = s.AccessKey, s.Scope, s.Time
	return f, nil
}

// Verify says whether the policy was signed with the key. The error is an *awserr.Error, SignatureDoesNotMatch.
func (f *Form) Verify(key Key) error {
	if is(f.given, key.Sign(f.Policy)) {
		return nil
	}
	return awserr.New(awserr.SignatureDoesNotMatch, noMatch, "AWSAccessKeyId", f.AccessKey, "StringToSign", f.Policy, "SignatureProvided", f.given)
}

// FormFields are the fields, in lower case, that a form must have beside its policy and its signature, and that the policy must name.
func (s *Signer) FormFields(at time.Time) map[string]string {
	scope := NewScope(at, s.region, s.service)
	fields := map[string]string{
		"x-amz-algorithm": algorithm, "x-amz-credential": s.credentials.AccessKeyID + "/" + scope.String(), "x-amz-date": at.UTC().Format(timeFormat),
	}
	if s.credentials.SessionToken != "" {
		fields["x-amz-security-token"] = s.credentials.SessionToken
	}
	return fields
}

// SignPolicy signs a form's policy as it is sent, in base64. The time is that of its fields.
func (s *Signer) SignPolicy(policy string, at time.Time) string {
	return Derive(s.credentials.SecretAccessKey, NewScope(at, s.region, s.service)).Sign(policy)
}
