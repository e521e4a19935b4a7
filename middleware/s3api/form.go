package s3api

import (
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/postform"
	"github.com/apus-storage/apus/internal/postpolicy"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
)

// isForm says whether a request is a browser's form that uploads an object: who has signed it is in its fields.
func (f *filter) isForm(r *http.Request) bool {
	return postform.Is(r) && !f.signed(r)
}

// postForm carries out the operation that a form is for, which may only be PostObject. The fields before the file have to be
// read to know who asks; the file is not before that is allowed.
func (x *exchange) postForm() error {
	if x.op.name != postObject {
		return s3err.AccessDenied.With()
	}
	boundary, err := postform.Boundary(x.r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	read, err := postform.Read(x.r.Body, boundary)
	if err != nil {
		return err
	}
	f := &form{Form: read}
	if x.sig, err = x.formSignature(f.Field); err != nil {
		return err
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if err := x.holdToPolicy(f); err != nil {
		return err
	}
	put, err := f.request(x.r)
	if err != nil {
		return err
	}
	x.r = put
	if err := x.checkHeaders(); err != nil {
		return err
	}
	if err := x.checkParameters(); err != nil {
		return err
	}
	if err := x.acl.check(x, x.resource, x.op.need); err != nil {
		return err
	}
	x.key = f.Fields["key"]
	return x.storeForm(f)
}

// A form is a browser's upload, and how many bytes its file must and may have.
type form struct {
	*postform.Form
	least, most int64
}

// formSignature reads who has signed the policy; nil if nobody has, where that is allowed.
func (x *exchange) formSignature(field func(string) string) (*signature, error) {
	s := &signature{presigned: true}
	switch {
	case field("x-amz-algorithm") != "" || field("x-amz-credential") != "" || field("x-amz-signature") != "":
		f, err := sigv4.ParseForm(field, sigv4.Rules{Now: x.clock.Now(), Skew: x.config.ClockSkew.Duration, Region: x.config.Location})
		if err != nil {
			return nil, x.nameRegion(err)
		}
		s.S3 = &request.S3{
			AccessKey: f.AccessKey, Signature: field("x-amz-signature"), StringToSign: f.Policy, Version: 4,
			Check: func(secret string) bool {
				s.mismatch = f.Verify(x.keys.Get(secret, f.Scope))
				return s.mismatch == nil
			},
		}
		return s, noToken(f.SecurityToken)
	case field("policy") != "" || field("awsaccesskeyid") != "" || field("signature") != "":
		f, err := sigv2.ParseForm(field)
		if err != nil {
			return nil, err
		}
		s.S3 = &request.S3{
			AccessKey: f.AccessKey, Signature: f.Given(), StringToSign: f.StringToSign(), Version: 2,
			Check: func(secret string) bool {
				s.mismatch = f.Verify(secret)
				return s.mismatch == nil
			},
		}
		return s, noToken(f.SecurityToken)
	}
	if x.config.AnonymousAccount == "" {
		return nil, s3err.AccessDenied.With()
	}
	return nil, nil
}

// holdToPolicy checks the form by its policy, which is signed. An anonymous form has none.
func (x *exchange) holdToPolicy(f *form) error {
	if given, ok := f.Fields["bucket"]; ok && given != x.bucket {
		return s3err.InvalidArgument.With("ArgumentName", "bucket", "ArgumentValue", given)
	}
	if x.sig == nil {
		f.least, f.most = 0, math.MaxInt64
		return nil
	}
	f.Fields["bucket"] = x.bucket
	policy, err := postpolicy.Parse(f.Fields["policy"])
	if err != nil {
		return err
	}
	f.least, f.most = policy.Size()
	return policy.Check(f.Fields, x.clock.Now())
}

// request is the form as a request that stores the file. Nothing is taken over from the headers that it came with: nobody
// has signed those.
func (f *form) request(r *http.Request) (*http.Request, error) {
	for name := range r.Header {
		if rule, _ := headerRule(strings.ToLower(name)); strings.HasPrefix(name, "X-Amz-") && rule.verdict != harmless {
			return nil, s3err.AccessDenied.Say("There were headers present in the request which were not signed", "HeadersNotSigned", strings.ToLower(name))
		}
	}
	h := http.Header{}
	for _, name := range []string{"Origin", "Referer", "User-Agent"} {
		if v, ok := r.Header[name]; ok {
			h[name] = v
		}
	}
	for name, value := range f.Fields {
		header, err := formHeader(name)
		if err != nil {
			return nil, err
		}
		if header == "" {
			continue
		}
		if strings.ContainsFunc(value, control) {
			return nil, s3err.InvalidArgument.With("ArgumentName", name)
		}
		h.Set(header, value)
	}
	put := *r
	put.Header, put.ContentLength = h, -1
	put.Body = io.NopCloser(f.File(f.least, f.most))
	return &put, nil
}

// formFields are the fields that say what a header of PUT says, besides x-amz-meta-* and x-amz-grant-*.
var formFields = map[string]string{
	"acl": "X-Amz-Acl", "cache-control": "", "content-type": "", "content-disposition": "", "content-encoding": "", "content-language": "",
	"content-md5": "", "expires": "", "x-amz-storage-class": "", "x-amz-server-side-encryption": "", "x-amz-checksum-crc32": "",
	"x-amz-checksum-crc32c": "", "x-amz-checksum-crc64nvme": "", "x-amz-checksum-sha1": "", "x-amz-checksum-sha256": "",
	"x-amz-checksum-sha512": "", "x-amz-checksum-md5": "", "x-amz-checksum-xxhash64": "", "x-amz-checksum-xxhash3": "", "x-amz-checksum-xxhash128": "",
	"x-amz-checksum-algorithm": "", "x-amz-sdk-checksum-algorithm": "",
}

// formHeader is the header that stands for a field, "" if none does. A field that has to be honoured and is not is refused.
func formHeader(field string) (string, error) {
	header, ok := formFields[field]
	switch {
	case header != "":
		return header, nil
	case ok:
		return field, nil
	case strings.HasPrefix(field, "x-amz-meta-") || strings.HasPrefix(field, "x-amz-grant-"):
		if !postform.IsToken(field) {
			return "", s3err.InvalidArgument.With("ArgumentName", field)
		}
		return field, nil
	case postform.OfSignature(field):
		return "", nil
	case strings.HasPrefix(field, "x-amz-"), field == "tagging":
		return "", s3err.NotImplemented.With("Header", field)
	}
	return "", nil
}
