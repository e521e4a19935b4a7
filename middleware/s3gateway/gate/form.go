package gate

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/postform"
	"github.com/apus-storage/apus/internal/postpolicy"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// A Form is what a browser's form says of the object that it posts. Everything of it was signed, or comes from somebody who need
// not sign.
type Form struct {
	*postform.Form
	// Pass are the fields that the store is to get, without the bucket, the signature, and how the client is to be answered.
	Pass map[string]string
	// Least and Most are what the policy says of the file's size.
	Least, Most int64
	// Expires is when the policy ends, or its identity; zero if there is none.
	Expires time.Time
}

// body is the file and what follows it: it ends well only if the file is there whole and has its size.
func (f *Form) body(r *http.Request) (Payload, error) {
	w := &watch{Reader: f.Rest(f.Least, f.Most)}
	p := Payload{Reader: w, Length: r.ContentLength - f.Head, watch: w}
	if p.Length <= 0 {
		return Payload{}, postform.Malformed(nil)
	}
	return p, nil
}

// form is one of which nothing is proved.
type form struct {
	*postform.Form
	v4 *sigv4.Form      // nil if it is not signed by version 4
	v2 *sigv2.Signature // nil if it is not signed by version 2
}

// operation is what the form does: it writes an object as PUT does, and that is what operators' functions are asked about.
func (f *form) operation(t route.Target) Operation {
	t.Key = f.Fields["key"]
	return Operation{Target: t, Method: http.MethodPut, All: Write}
}

// noForm refuses what could be taken for a form by a store, and is signed as no form is.
func noForm(r *http.Request) error {
	for _, line := range r.Header["Content-Type"] {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(line)), "multipart/") {
			return s3err.InvalidArgument.Say("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, " +
				"Signature query string parameter or the Authorization header should be specified")
		}
	}
	return nil
}

// beside are headers of S3's that may come with a form, since they change nothing. Nobody has signed them, and no store gets them.
var beside = []string{"X-Amz-User-Agent", "X-Amz-Cf-Id", "X-Amz-Request-Payer", "X-Amz-Optional-Object-Attributes", "X-Amz-Tagging-Directive"}

// parseForm reads a form up to its file, and who has signed its policy.
func (c *Claim) parseForm(r *http.Request, t route.Target) error {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(beside, name) {
			return s3err.AccessDenied.Say("There were headers present in the request which were not signed", "HeadersNotSigned", strings.ToLower(name))
		}
	}
	switch {
	case len(c.params) > 0:
		return s3err.InvalidArgument.Say("A form takes no query parameters.", "ArgumentName", c.params[0].name)
	case r.ContentLength < 0:
		// The store must be told the length before the file.
		return s3err.MissingContentLength.With()
	}
	boundary, err := postform.Boundary(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	f, err := postform.Read(r.Body, boundary)
	if err != nil {
		return err
	}
	c.form = &form{Form: f}
	if err := route.CheckTarget(route.Target{Bucket: t.Bucket, Key: f.Fields["key"]}); err != nil {
		return err
	}
	if given, ok := f.Fields["bucket"]; ok && given != t.Bucket {
		return s3err.InvalidArgument.With("ArgumentName", "bucket", "ArgumentValue", given)
	}
	return c.signedForm()
}

// signedForm reads who has signed the form.
func (c *Claim) signedForm() (err error) {
	f, rules := c.form, c.gate.deps
	field := f.Field
	switch {
	case field("x-amz-algorithm") != "" || field("x-amz-credential") != "" || field("x-amz-signature") != "":
		if f.v4, err = sigv4.ParseForm(field, sigv4.Rules{Now: rules.Clock.Now(), Skew: rules.Skew, Region: rules.Region}); err != nil {
			return err
		}
		c.token = f.v4.AccessKey
	case field("policy") != "" || field("awsaccesskeyid") != "" || field("signature") != "":
		if f.v2, err = sigv2.ParseForm(field); err != nil {
			return err
		}
		c.token = f.v2.AccessKey
	}
	if _, ok := f.Fields["x-amz-security-token"]; ok {
		return s3err.InvalidToken.With()
	}
	return nil
}

// admitForm proves the claim of a form: by the signature of its policy, and by what that says.
func (c *Claim) admitForm(caller *Caller, o Options) error {
	f := c.form
	switch {
	case f.v4 != nil:
		caller.Version = 4
		if !o.SkipSignature {
			if err := f.v4.Verify(c.gate.keys.Get(c.secret, f.v4.Scope)); err != nil {
				return err
			}
		}
	case f.v2 != nil:
		if caller.Version = 2; !o.AllowV2 {
			return noV2()
		}
		if !o.SkipSignature {
			if err := f.v2.Verify(c.secret); err != nil {
				return err
			}
		}
	}
	caller.Form = &Form{Form: f.Form, Most: math.MaxInt64}
	if caller.Version != 0 {
		f.Fields["bucket"] = c.Operation.Target.Bucket
		policy, err := postpolicy.Parse(f.Fields["policy"])
		if err != nil {
			return err
		}
		if err := policy.Check(f.Fields, c.gate.deps.Clock.Now()); err != nil {
			return err
		}
		caller.Form.Least, caller.Form.Most = policy.Size()
		caller.Form.Expires = policy.Expires()
	}
	var err error
	caller.Form.Pass, err = f.pass()
	return err
}

// own are fields that the gateway acts upon, or that mean nothing to a store whose accounts the client does not know.
var own = []string{"bucket", "success_action_status", "success_action_redirect", "redirect", "x-amz-expected-bucket-owner"}

// pass returns the fields that a store is to get. They are what the object is to be; a field that would make another request of it, or that stores could read in two ways, is
// refused.
func (f *form) pass() (map[string]string, error) {
	fields := make(map[string]string, len(f.Fields))
	for name, value := range f.Fields {
		plain := strings.ReplaceAll(name, "_", "-")
		amz := strings.HasPrefix(plain, "x-amz-")
		switch {
		case postform.OfSignature(name) || strings.HasPrefix(name, "x-ignore-") || slices.Contains(own, name):
		case otherwise(plain):
			return nil, awserr.New(awserr.NotImplemented, "A field of the form is not implemented.", "Header", name)
		case !postform.IsToken(name) && !amz: // which means nothing to anybody
		case strings.Contains(value, "--"+f.Boundary):
			return nil, postform.Malformed(nil)
		case !postform.IsToken(name) || !utf8.ValidString(value) || strings.Contains(value, "${filename}") ||
			name != "key" && name != "tagging" && strings.ContainsFunc(value, control):
			return nil, s3err.InvalidArgument.With("ArgumentName", name)
		default:
			fields[name] = value
		}
	}
	return fields, nil
}

func control(c rune) bool { return c < ' ' || c == 0x7f }

// otherwise says whether a field would have the object come from elsewhere, or its body be read in another way.
func otherwise(name string) bool {
	for _, prefix := range []string{"x-amz-copy-source", "x-amz-rename-", "x-amz-content-sha256", "x-amz-decoded-", "x-amz-trailer", "x-amz-write-offset"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
