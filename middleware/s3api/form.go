package s3api

import (
	"errors"
	"io"
	"math"
	"mime"
	mimeparts "mime/multipart"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/s3api/postpolicy"
)

// The bounds of what comes before a form's file. The first is AWS's, of the fields' names and values; the second is of all
// that is read, with the heads of the parts and the reader's buffer.
const (
	maxFields = 20 << 10
	maxHead   = 64 << 10
)

// maxBoundary is RFC 2046's.
const maxBoundary = 70

// A form is a browser's upload, read up to its file.
type form struct {
	fields      map[string]string // by their names in lower case; ${filename} is filled in
	file        io.Reader
	least, most int64 // bytes that the file must and may have
}

// isForm says whether a request is a browser's form that uploads an object: who has signed it is in its fields.
func (f *filter) isForm(r *http.Request) bool {
	if types := r.Header["Content-Type"]; r.Method != http.MethodPost || len(types) == 0 || f.signed(r) {
		return false
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "multipart/form-data")
}

// postForm carries out the operation that a form is for, which may only be PostObject. The fields before the file have to be
// read to know who asks; the file is not before that is allowed.
func (x *exchange) postForm() error {
	if x.op.name != postObject {
		return s3err.AccessDenied.With()
	}
	_, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil {
		return malformedForm(err)
	}
	f, err := readForm(x.r.Body, params["boundary"])
	if err != nil {
		return err
	}
	if x.sig, err = x.formSignature(f.field); err != nil {
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
	x.key = f.fields["key"]
	return x.storeForm(f)
}

func malformedForm(err error) error { return s3err.MalformedPOSTRequest.With().Because(err) }

// errHead is a form whose file does not come soon enough.
var errHead = errors.New("more than the fields of a form may be")

// A gate lets through so much, and everything once it is open.
type gate struct {
	src  io.Reader
	left int
	open bool
}

func (g *gate) Read(p []byte) (int, error) {
	if g.open {
		return g.src.Read(p)
	}
	if g.left == 0 {
		return 0, errHead
	}
	n, err := g.src.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// readForm reads a form up to its file. Two fields of one name are refused: a policy judges one value, and it has to be the
// one that counts.
func readForm(body io.Reader, boundary string) (*form, error) {
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, malformedForm(nil)
	}
	f, g := &form{fields: map[string]string{}}, &gate{src: body, left: maxHead}
	parts, left := mimeparts.NewReader(g, boundary), maxFields
	for {
		// A part is taken as it is: the other way of reading would undo quoted-printable.
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, f.ended(err)
		}
		name := strings.ToLower(part.FormName())
		if _, twice := f.fields[name]; name == "" || twice {
			return nil, malformedForm(nil)
		}
		if name == "file" {
			g.open = true
			f.file = part
			f.fill(part.FileName())
			return f, f.complete()
		}
		value, err := io.ReadAll(io.LimitReader(part, int64(left)+1))
		if left -= len(name) + len(value); err == nil && left < 0 {
			err = errHead
		}
		if err != nil {
			return nil, f.ended(err)
		}
		f.fields[name] = string(value)
	}
}

// ended is the answer to a form whose file does not come.
func (f *form) ended(err error) error {
	switch {
	case errors.Is(err, errHead):
		return s3err.MaxPostPreDataLengthExceeded.With()
	case err == io.EOF && len(f.fields) > 0:
		return s3err.InvalidArgument.Say("POST requires exactly one file upload per request.", "ArgumentName", "file", "ArgumentValue", "0")
	}
	return malformedForm(err)
}

// fill replaces ${filename} in what the form says of the object. Some browsers send the whole path of the file.
func (f *form) fill(name string) {
	name = name[strings.LastIndexByte(name, '\\')+1:]
	for field, value := range f.fields {
		if !signatureFields[field] {
			f.fields[field] = strings.ReplaceAll(value, "${filename}", name)
		}
	}
}

// complete says whether the form has what each must have.
func (f *form) complete() error {
	key, ok := f.fields["key"]
	switch {
	case !ok:
		return s3err.InvalidArgument.Say("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
			"ArgumentName", "key", "ArgumentValue", "")
	case key == "":
		return s3err.InvalidArgument.Say("User key must have a length greater than 0.", "ArgumentName", "key", "ArgumentValue", "")
	case !validKey(key):
		return s3err.InvalidArgument.With("ArgumentName", "key")
	}
	return nil
}

func (f *form) field(name string) string { return f.fields[name] }

// signatureFields are of the signature, not of the object.
var signatureFields = map[string]bool{
	"policy": true, "signature": true, "awsaccesskeyid": true, "x-amz-algorithm": true, "x-amz-credential": true,
	"x-amz-date": true, "x-amz-signature": true, "x-amz-security-token": true,
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
	if given, ok := f.fields["bucket"]; ok && given != x.bucket {
		return s3err.InvalidArgument.With("ArgumentName", "bucket", "ArgumentValue", given)
	}
	if x.sig == nil {
		f.least, f.most = 0, math.MaxInt64
		return nil
	}
	f.fields["bucket"] = x.bucket
	policy, err := postpolicy.Parse(f.fields["policy"])
	if err != nil {
		return err
	}
	f.least, f.most = policy.Size()
	return policy.Check(f.fields, x.clock.Now())
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
	for name, value := range f.fields {
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
	put.Body = io.NopCloser(&sized{src: f.file, least: f.least, most: f.most})
	return &put, nil
}

// formFields are the fields that say what a header of PUT says, besides x-amz-meta-* and x-amz-grant-*.
var formFields = map[string]string{
	"acl": "X-Amz-Acl", "cache-control": "", "content-type": "", "content-disposition": "", "content-encoding": "", "content-language": "",
	"content-md5": "", "expires": "", "x-amz-storage-class": "", "x-amz-server-side-encryption": "", "x-amz-checksum-crc32": "",
	"x-amz-checksum-crc32c": "", "x-amz-checksum-crc64nvme": "", "x-amz-checksum-sha1": "", "x-amz-checksum-sha256": "",
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
		if strings.ContainsFunc(field, notToken) {
			return "", s3err.InvalidArgument.With("ArgumentName", field)
		}
		return field, nil
	case signatureFields[field]:
		return "", nil
	case strings.HasPrefix(field, "x-amz-"), field == "tagging":
		return "", s3err.NotImplemented.With("Header", field)
	}
	return "", nil
}

// notToken says whether a character may not stand in the name of a header.
func notToken(c rune) bool {
	return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

// sized is a file that has to have a size: it ends well only if it has.
type sized struct {
	src         io.Reader
	n           int64
	least, most int64
}

func (s *sized) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	s.n += int64(n)
	switch {
	case s.n > s.most:
		return 0, s3err.EntityTooLarge.Say("Your proposed upload exceeds the maximum allowed size", sizes("MaxSizeAllowed", s.most, s.n)...)
	case err == io.EOF && s.n < s.least:
		return n, s3err.EntityTooSmall.Say("Your proposed upload is smaller than the minimum allowed size", sizes("MinSizeAllowed", s.least, s.n)...)
	}
	return n, err
}
