package attacks

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

const formBoundary = "----browser0123456789"

// A browserForm is a form of a page, which posts an object.
type browserForm struct {
	key        Key
	bucket     string // of the path
	fields     []field
	conditions string // beside those for the bucket, key and signature
	expires    time.Duration
	region     string
	unsigned   []field // which no condition names
	file       string
	filename   string
	after      string // after the file
	version    int
}

func newForm(k Key) *browserForm {
	return &browserForm{
		key: k, bucket: Bucket, fields: []field{{"key", "2026/${filename}"}}, expires: time.Hour, file: "content", filename: "a.txt", version: 4,
		after: "\r\n--" + formBoundary + "--\r\n",
	}
}

// signed are the fields, with the policy and its signature.
func (f *browserForm) signed(w World) []field {
	h := how{region: f.region}.or(w)
	fields := f.fields
	if f.version == 4 {
		fields = append(fields[:len(fields):len(fields)], field{"x-amz-algorithm", h.algorithm},
			field{"x-amz-credential", f.key.Access + "/" + h.scope()}, field{"x-amz-date", h.at.Format(stamp)})
	} else {
		fields = append(fields[:len(fields):len(fields)], field{"AWSAccessKeyId", f.key.Access})
	}
	conditions := fmt.Sprintf(`{"bucket": %q}`, Bucket)
	for _, x := range fields {
		conditions += fmt.Sprintf(`, ["starts-with", "$%s", ""]`, x.name)
	}
	document := fmt.Sprintf(`{"expiration": %q, "conditions": [%s%s]}`, w.Now.UTC().Add(f.expires).Format("2006-01-02T15:04:05.000Z"), conditions, f.conditions)
	policy := base64.StdEncoding.EncodeToString([]byte(document))
	fields = append(fields, field{"policy", policy})
	if f.version == 4 {
		return append(fields, field{"x-amz-signature", hex.EncodeToString([]byte(mac(h.derive(f.key.Secret), policy)))})
	}
	return append(fields, field{"signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="})
}

func (f *browserForm) message(w World, fields []field) *message {
	var b strings.Builder
	for _, x := range append(fields, f.unsigned...) {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", formBoundary, x.name, x.value)
	}
	fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n\r\n%s%s", formBoundary, f.filename, f.file, f.after)
	return request(w, "POST", "/"+f.bucket).with("Content-Type", "multipart/form-data; boundary="+formBoundary).carry(b.String())
}

// swapField changes a field after it was signed.
func swapField(fields []field, name, value string) {
	for i := range fields {
		if fields[i].name == name {
			fields[i].value = value
		}
	}
}

// forms are forms of browsers, which nobody has signed but in their fields.
func forms() []Case {
	type change = func(f *browserForm)
	form := func(name, code string, k Key, change change) Case {
		return Case{Name: "a form: " + name, Code: code, make: func(w World) *message {
			f := newForm(k)
			change(f)
			return f.message(w, f.signed(w))
		}}
	}
	after := func(name, code string, change func(w World, f *browserForm, fields []field)) Case {
		return Case{Name: "a form: " + name, Code: code, make: func(w World) *message {
			f := newForm(Owner)
			fields := f.signed(w)
			change(w, f, fields)
			return f.message(w, fields)
		}}
	}
	beside := func(name, code string, change func(m *message)) Case {
		return Case{Name: "a form: " + name, Code: code, make: func(w World) *message {
			f := newForm(Owner)
			m := f.message(w, f.signed(w))
			change(m)
			return m
		}}
	}
	with := func(fields ...field) change {
		return func(f *browserForm) { f.fields = append(f.fields, fields...) }
	}
	only := func(condition string) change { return func(f *browserForm) { f.conditions = ", " + condition } }
	named := func(key string) change { return func(f *browserForm) { f.fields = []field{{"key", key}} } }
	none := func(*browserForm) {}
	const malformed = "MalformedPOSTRequest"
	return []Case{
		form("of an unknown key", "InvalidAccessKeyId", nobody, none),
		form("of a wrong secret", "SignatureDoesNotMatch", Key{Owner.Access, "wrong"}, none),
		form("of an identity that has ended", forbidden, Expired, none),
		form("of a reader", forbidden, Reader, none),
		form("of a lister", forbidden, Lister, none),
		form("to outside of the prefixes", forbidden, Tenant, named("2025/a")),
		form("to outside by the file's name", forbidden, Tenant, named("${filename}")),
		form("to outside by dots", forbidden, Tenant, named("2026/../2025/a")),
		form("out of the bucket", "InvalidURI", Owner, named("../"+Foreign+"/a")),
		form("expired", forbidden, Owner, func(f *browserForm) { f.expires = -time.Second }),
		form("of another region", "InvalidArgument", Owner, func(f *browserForm) { f.region = "eu-west-9" }),
		form("for another bucket", forbidden, Writer, func(f *browserForm) { f.bucket = Foreign }),
		form("that names another bucket", invalid, Owner, func(f *browserForm) { f.unsigned = []field{{"bucket", Foreign}} }),
		form("with a condition on the key that fails", forbidden, Owner, only(`["starts-with", "$key", "2025/"]`)),
		form("with a condition on a field that is not there", forbidden, Owner, only(`{"acl": "private"}`)),
		form("with a condition that nobody knows", "InvalidPolicyDocument", Owner, only(`["ends-with", "$key", "a"]`)),
		form("with a field that no condition names", forbidden, Owner, func(f *browserForm) { f.unsigned = []field{{"acl", "public-read"}} }),
		form("with a field twice", malformed, Owner, func(f *browserForm) { f.unsigned = []field{{"Key", "2025/a"}} }),
		form("that copies", "NotImplemented", Owner, with(field{"x-amz-copy-source", "/" + Foreign + "/a"})),
		form("that copies in disguise", "NotImplemented", Owner, with(field{"x-amz_copy-source", "/" + Foreign + "/a"})),
		form("that says that it is in chunks", "NotImplemented", Owner, with(field{"x-amz-decoded-content-length", "1"})),
		form("with a token", "InvalidToken", Owner, with(field{"x-amz-security-token", "t"})),
		form("with a line in a value", invalid, Owner, with(field{"content-type", "a\r\nx-amz-acl: public-read"})),
		form("with a quote in a name", invalid, Owner, with(field{"x-amz-meta-a%22", "b"}, field{`x-amz-meta-a\"; x=\"`, "b"})),
		form("with a boundary in a value", malformed, Owner, with(field{"x-amz-meta-a", "--" + formBoundary + "x"})),
		form("with a key that would be filled in again", invalid, Owner, func(f *browserForm) { f.filename = "${filename}" }),
		form("of version 2 where that is not allowed", "InvalidRequest", Owner, func(f *browserForm) { f.version = 2 }),
		form("with too much before the file", "MaxPostPreDataLengthExceededError", Owner, func(f *browserForm) { f.unsigned = []field{{"x-ignore-a", strings.Repeat("a", 21<<10)}} }),
		form("whose file is too large", "EntityTooLarge", Owner, only(`["content-length-range", 0, 6]`)).inBody(),
		form("whose file is too small", "EntityTooSmall", Owner, only(`["content-length-range", 8, 9]`)).inBody(),
		form("whose file is filled up by what follows", "EntityTooSmall", Owner, func(f *browserForm) {
			f.conditions = `, ["content-length-range", 8, 99]`
			f.after = "\r\n--" + formBoundary + "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nmore of it\r\n--" + formBoundary + "--\r\n"
		}).inBody(),
		form("whose file does not end", malformed, Owner, func(f *browserForm) { f.after = "" }).inBody(),
		form("whose file ends in two ways", malformed, Owner, func(f *browserForm) { f.after = "\r\n--" + formBoundary + "a\r\n" + f.after }).inBody(),
		form("without a file", malformed, Owner, func(f *browserForm) { f.file, f.after = "", "" }).inBody(),
		after("with another policy than was signed", "SignatureDoesNotMatch", func(w World, f *browserForm, fields []field) {
			g := newForm(Owner)
			g.expires = 24 * time.Hour
			for _, x := range g.signed(w) {
				if x.name == "policy" {
					swapField(fields, "policy", x.value)
				}
			}
		}),
		after("with another signature", "SignatureDoesNotMatch", func(_ World, _ *browserForm, fields []field) {
			swapField(fields, "x-amz-signature", strings.Repeat("0", 64))
		}),
		after("with no signature", invalid, func(_ World, _ *browserForm, fields []field) { swapField(fields, "x-amz-signature", "") }),
		after("with no policy", invalid, func(_ World, _ *browserForm, fields []field) { swapField(fields, "policy", "") }),
		after("with another one's key", "SignatureDoesNotMatch", func(_ World, _ *browserForm, fields []field) {
			for i := range fields {
				fields[i].value = strings.Replace(fields[i].value, Owner.Access, Writer.Access, 1)
			}
		}),
		beside("with an x-amz-* header", forbidden, func(m *message) { m.with("X-Amz-Acl", "public-read") }),
		beside("with a copy's source in the head", forbidden, func(m *message) { m.with("X-Amz-Copy-Source", "/"+Foreign+"/a") }),
		beside("with a header in disguise", forbidden, func(m *message) { m.with("X-Amz_Acl", "public-read") }),
		beside("with a query", invalid, func(m *message) { m.ask("acl") }),
		beside("that deletes", invalid, func(m *message) { m.ask("delete") }),
		beside("with another boundary", malformed, func(m *message) { m.swap("Content-Type", formBoundary, "x") }),
		beside("with a boundary that is none", malformed, func(m *message) { m.set("Content-Type", `multipart/form-data; boundary="a\"b"`) }),
		beside("that is not there whole", "IncompleteBody", func(m *message) { m.length = len(m.body) + 1 }).inBody(),
		beside("whose length is not known", "MissingContentLength", func(m *message) {
			m.with("Transfer-Encoding", "chunked").carry(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(m.body), m.body))
			m.length = 0
			m.method = "POST"
		}),
		Case{Name: "a form: that is signed in the head too", Code: invalid, make: func(w World) *message {
			f := newForm(Owner)
			return f.message(w, f.signed(w)).sign(w, Owner, how{})
		}},
		Case{Name: "a form: that is presigned", Code: invalid, make: func(w World) *message {
			f := newForm(Owner)
			return f.message(w, f.signed(w)).presign(w, Owner, how{})
		}},
		Case{Name: "a form: of nobody", Code: forbidden, make: func(w World) *message {
			f := newForm(Owner)
			return f.message(w, f.fields)
		}},
	}
}
