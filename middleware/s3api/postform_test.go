package s3api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	mimeparts "mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// A field of a form.
type field struct{ name, value string }

// testForm is a form as a page would make it.
type testForm struct {
	fields     []field
	conditions []any // besides those for bucket, key and the signature
	file       string
	filename   string
	after      []field
	expires    time.Duration
	version    int // of the signature; 0 is 4, -1 is none
	bucket     string
	unsigned   []field // that the policy does not name
	skip       string  // a field that is left out
}

func (f testForm) send(b *bench, target string, options ...middlewaretest.Option) middlewaretest.Response {
	b.t.Helper()
	var body bytes.Buffer
	w := mimeparts.NewWriter(&body)
	write := func(list []field) {
		for _, x := range list {
			if x.name == f.skip {
				continue
			}
			if err := w.WriteField(x.name, x.value); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	write(f.signed(b))
	write(f.unsigned)
	if f.skip != "file" {
		if f.filename == "" {
			f.filename = "photo.png"
		}
		part, err := w.CreateFormFile("file", f.filename)
		if err != nil {
			b.t.Fatal(err)
		}
		io.WriteString(part, f.file)
	}
	write(f.after)
	w.Close()
	options = append([]middlewaretest.Option{middlewaretest.Header("Content-Type", w.FormDataContentType()), middlewaretest.Body(body.String())}, options...)
	return middlewaretest.Do(b.t, b.h, "POST", target, options...)
}

// signed returns the fields, with a policy that names them all and the signature.
func (f testForm) signed(b *bench) []field {
	if f.bucket == "" {
		f.bucket = "bucket"
	}
	if f.expires == 0 {
		f.expires = time.Hour
	}
	fields := f.fields
	if f.version < 0 {
		return fields
	}
	now := b.host.Clock.Now().UTC()
	scope := sigv4.Scope{Date: now.Format("20060102"), Region: "us-east-1", Service: "s3"}
	if f.version == 0 {
		fields = append(fields[:len(fields):len(fields)], field{"x-amz-algorithm", "AWS4-HMAC-SHA256"},
			field{"X-Amz-Credential", testKey + "/" + scope.String()}, field{"x-amz-date", now.Format("20060102T150405Z")})
	} else {
		fields = append(fields[:len(fields):len(fields)], field{"AWSAccessKeyId", testKey})
	}
	conditions := append([]any{map[string]string{"bucket": f.bucket}}, f.conditions...)
	for _, x := range fields {
		conditions = append(conditions, []string{"starts-with", "$" + x.name, ""})
	}
	doc, err := json.Marshal(map[string]any{"expiration": now.Add(f.expires).Format("2006-01-02T15:04:05.000Z"), "conditions": conditions})
	if err != nil {
		b.t.Fatal(err)
	}
	policy := base64.StdEncoding.EncodeToString(doc)
	fields = append(fields, field{"Policy", policy})
	if f.version == 0 {
		return append(fields, field{"x-amz-signature", sigv4.Derive(testSecret, scope).Sign(policy)})
	}
	return append(fields, field{"signature", sigv2.Sign(testSecret, policy)})
}

const stored = "PUT /v1/AUTH_test/bucket/user/photo.png"

var keyField = field{"key", "user/${filename}"}

func formBench(t *testing.T, toml string) *bench {
	b := newBench(t, toml)
	b.On(stored, middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": "900150983cd24fb0d6963f7d28e17f72"}})
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	return b
}

func TestPostedFormsAreStored(t *testing.T) {
	for _, version := range []int{2, 4} {
		b := formBench(t, `storage_domain = "s3.example.net"`)
		f := testForm{file: "abc", filename: `C:\pictures\photo.png`, version: map[int]int{2: 2}[version], fields: []field{
			keyField, {"Content-Type", "image/png"}, {"Cache-Control", "no-cache"}, {"x-amz-meta-Von", "grüße"}, {"acl", "private"},
			{"x-amz-checksum-crc32", "NSRBwg=="}, {"x-amz-meta-name", "${filename}"},
		}, unsigned: []field{{"x-ignore-me", "1"}}, after: []field{{"key", "other"}, {"submit", "Send"}}}
		for _, target := range []string{"/bucket", "/bucket/", "http://bucket.s3.example.net/"} {
			b.Forget()
			r := f.send(b, target)
			b.want(r, 204, "")
			got := b.Last()
			if got.Method+" "+got.Path != stored || got.Body != "abc" || got.BodyErr != nil {
				t.Fatalf("%s: stored %s %s %q %v", target, got.Method, got.Path, got.Body, got.BodyErr)
			}
			for _, f := range got.State.Footers {
				f(got.Header)
			}
			for name, want := range map[string]string{
				"Content-Type": "image/png", "Cache-Control": "no-cache", "X-Object-Meta-Von": "=?UTF-8?B?Z3LDvMOfZQ==?=",
				"X-Object-Meta-Name": "photo.png", sysmetaChecksum: "CRC32=NSRBwg==;FULL_OBJECT;3",
			} {
				if got.Header.Get(name) != want {
					t.Errorf("%s: stored with %s: %q, want %q", target, name, got.Header.Get(name), want)
				}
			}
			if amz(r, "ETag") != `"900150983cd24fb0d6963f7d28e17f72"` || amz(r, "x-amz-checksum-crc32") != "NSRBwg==" || r.Body != "" {
				t.Errorf("%s: got %v %s", target, r.Header, r.Body)
			}
			want := "http://example.com/bucket/user/photo.png"
			if strings.HasPrefix(target, "http") {
				want = "http://bucket.s3.example.net/user/photo.png"
			}
			if r.Header.Get("Location") != want {
				t.Errorf("%s: Location %s, want %s", target, r.Header.Get("Location"), want)
			}
		}
	}
}

func TestFormsSayHowToAnswer(t *testing.T) {
	const etag = `"900150983cd24fb0d6963f7d28e17f72"`
	for name, c := range map[string]struct {
		fields   []field
		code     int
		body     string
		location string
	}{
		"200": {[]field{{"success_action_status", "200"}}, 200, "", ""},
		"201": {[]field{{"success_action_status", "201"}}, 201, `<?xml version="1.0" encoding="UTF-8"?>` + "\n<PostResponse><Location>http://example.com/bucket/user/photo.png</Location>" +
			"<Bucket>bucket</Bucket><Key>user/photo.png</Key><ETag>&#34;900150983cd24fb0d6963f7d28e17f72&#34;</ETag></PostResponse>", ""},
		"another status": {[]field{{"success_action_status", "404"}}, 204, "", ""},
		"a redirect": {[]field{{"success_action_redirect", "https://site/done?a=b"}, {"success_action_status", "201"}}, 303, "",
			"https://site/done?a=b&bucket=bucket&key=user%2Fphoto.png&etag=%22900150983cd24fb0d6963f7d28e17f72%22"},
		"a redirect under its old name": {[]field{{"redirect", "http://site"}}, 303, "",
			"http://site?bucket=bucket&key=user%2Fphoto.png&etag=%22900150983cd24fb0d6963f7d28e17f72%22"},
		"no place to go to": {[]field{{"success_action_redirect", "javascript:alert(1)"}}, 204, "", ""},
		"no URL":            {[]field{{"success_action_redirect", "http://a\r\nSet-Cookie: b"}}, 204, "", ""},
	} {
		b := formBench(t, "")
		r := testForm{file: "abc", fields: append([]field{keyField}, c.fields...)}.send(b, "/bucket")
		if r.Code != c.code || r.Body != c.body || c.location != "" && r.Header.Get("Location") != c.location || amz(r, "ETag") != etag {
			t.Errorf("%s: got %d %v %s", name, r.Code, r.Header, r.Body)
		}
	}
}

func TestFormsAreHeldToTheirPolicy(t *testing.T) {
	long := strings.Repeat("k", 1025)
	for name, c := range map[string]struct {
		form testForm
		code int
		err  string
		text string
	}{
		"expired": {testForm{expires: -time.Second}, 403, "AccessDenied", "Invalid according to Policy: Policy expired."},
		"a condition that fails": {testForm{conditions: []any{[]string{"starts-with", "$key", "other/"}}}, 403, "AccessDenied",
			`Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "other/"]`},
		"a field that the policy does not know": {testForm{unsigned: []field{{"x-amz-meta-a", "1"}}}, 403, "AccessDenied", "Invalid according to Policy: Extra input fields: x-amz-meta-a"},
		"an ACL that the policy does not know":  {testForm{unsigned: []field{{"acl", "public-read"}}}, 403, "AccessDenied", "Invalid according to Policy: Extra input fields: acl"},
		"another bucket":                        {testForm{bucket: "other"}, 403, "AccessDenied", `Invalid according to Policy: Policy Condition failed: ["eq", "$bucket", "other"]`},
		"a bucket that is not the path's":       {testForm{unsigned: []field{{"bucket", "other"}}}, 400, "InvalidArgument", "Invalid Argument"},
		"too large":                             {testForm{conditions: []any{[]any{"content-length-range", 0, 2}}}, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"},
		"too small":                             {testForm{conditions: []any{[]any{"content-length-range", 4, 9}}}, 400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"},
		"just right":                            {testForm{conditions: []any{[]any{"content-length-range", 3, 3}}}, 204, "", ""},
		"a bad policy":                          {testForm{conditions: []any{[]any{"content-length-range", 0}}}, 400, "InvalidPolicyDocument", "Invalid Policy: Invalid Condition: wrong number of arguments to 'content-length-range'."},
		"no key":                                {testForm{skip: "key"}, 400, "InvalidArgument", "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."},
		"no signature":                          {testForm{skip: "x-amz-signature"}, 400, "InvalidArgument", "Bucket POST must contain a field named 'x-amz-signature'.  If it is specified, please check the order of the fields."},
		"no signature of version 2":             {testForm{version: 2, skip: "signature"}, 400, "InvalidArgument", "Bucket POST must contain a field named 'signature'.  If it is specified, please check the order of the fields."},
		"no policy":                             {testForm{skip: "Policy"}, 400, "InvalidArgument", "Bucket POST must contain a field named 'policy'.  If it is specified, please check the order of the fields."},
		"nobody's":                              {testForm{version: -1}, 403, "AccessDenied", "Access Denied"},
		"no file":                               {testForm{skip: "file"}, 400, "InvalidArgument", "POST requires exactly one file upload per request."},
		"a field twice":                         {testForm{unsigned: []field{{"KEY", "other"}}}, 400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."},
		"fields that are too long":              {testForm{unsigned: []field{{"x-ignore-a", strings.Repeat("a", 20<<10)}}}, 400, "MaxPostPreDataLengthExceededError", "Your POST request fields preceding the upload file were too large."},
		"a field that never ends":               {testForm{unsigned: []field{{"x-ignore-a", strings.Repeat("a", 1<<20)}}}, 400, "MaxPostPreDataLengthExceededError", "Your POST request fields preceding the upload file were too large."},
		"a key that is too long":                {testForm{fields: []field{{"key", long}}}, 400, "KeyTooLongError", "Your key is too long"},
		"an empty key":                          {testForm{fields: []field{{"key", ""}}}, 400, "InvalidArgument", "User key must have a length greater than 0."},
		"a key that is no text":                 {testForm{fields: []field{{"key", "a\xff"}}}, 400, "InvalidArgument", "Invalid Argument"},
		"tags":                                  {testForm{fields: []field{keyField, {"tagging", "<Tagging/>"}}}, 501, "NotImplemented", ""},
		"a website's redirect":                  {testForm{fields: []field{keyField, {"x-amz-website-redirect-location", "/"}}}, 501, "NotImplemented", ""},
		"a copy":                                {testForm{fields: []field{keyField, {"x-amz-copy-source", "/bucket/secret"}}}, 501, "NotImplemented", ""},
		"a header in a value":                   {testForm{fields: []field{keyField, {"Content-Type", "a\r\nX-Backend-A: b"}}}, 400, "InvalidArgument", ""},
		"a header in a name":                    {testForm{fields: []field{keyField, {"x-amz-meta-a: b", "c"}}}, 400, "InvalidArgument", ""},
		"a token":                               {testForm{fields: []field{keyField, {"x-amz-security-token", "t"}}}, 400, "InvalidToken", ""},
		"a wrong checksum":                      {testForm{fields: []field{keyField, {"x-amz-checksum-crc32", "AAAAAA=="}}}, 400, "BadDigest", "The CRC32 you specified did not match the calculated checksum."},
		"an ACL that does not exist":            {testForm{fields: []field{keyField, {"acl", "mine"}}}, 400, "InvalidArgument", ""},
		"grants":                                {testForm{fields: []field{keyField, {"x-amz-grant-read", "id=x"}}}, 501, "NotImplemented", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := formBench(t, "")
			f := c.form
			f.file = "abc"
			if f.fields == nil {
				f.fields = []field{keyField}
			}
			r := f.send(b, "/bucket")
			b.want(r, c.code, c.err)
			if text := "<Message>" + strings.NewReplacer(`"`, "&#34;", "'", "&#39;").Replace(c.text) + "</Message>"; c.text != "" && !strings.Contains(r.Body, text) {
				t.Errorf("got %s, want %s", r.Body, text)
			}
			for _, call := range b.Calls() {
				if c.code != 204 && call.Method == "PUT" && call.BodyErr == nil {
					t.Errorf("stored %q nevertheless", call.Body)
				}
			}
		})
	}
}

func TestFormsOfOthers(t *testing.T) {
	b := formBench(t, "")
	f := testForm{file: "abc", fields: []field{keyField}}
	wrong := f.signed(b)
	for i := range wrong {
		if wrong[i].name == "x-amz-signature" {
			wrong[i].value = strings.Repeat("0", 64)
		}
	}
	b.want(testForm{file: "abc", fields: wrong, version: -1}.send(b, "/bucket"), 403, "SignatureDoesNotMatch")
	for i := range wrong {
		wrong[i].value = strings.Replace(wrong[i].value, testKey, "nobody", 1)
	}
	b.want(testForm{file: "abc", fields: wrong, version: -1}.send(b, "/bucket"), 403, "InvalidAccessKeyId")
	b.want(f.send(b, "/bucket?acl"), 405, "MethodNotAllowed")
	b.want(f.send(b, "/bucket?delete"), 403, "AccessDenied")
	b.want(f.send(b, "/bucket?versionId=1"), 400, "InvalidArgument")
	b.want(f.send(b, "/bucket/key"), 405, "MethodNotAllowed")
	// Nobody has signed the headers of the request.
	for _, name := range []string{"X-Amz-Acl", "X-Amz-Copy-Source", "X-Amz-Meta-A", "X-Amz-Server-Side-Encryption-Customer-Key", "X-Amz-New"} {
		b.want(f.send(b, "/bucket", middlewaretest.Header(name, "x")), 403, "AccessDenied")
	}
	b.Forget()
	b.want(f.send(b, "/bucket", func(r *http.Request) {
		for _, name := range []string{"X-Object-Sysmeta-A", "X-Backend-A", "X-Timestamp", "X-Delete-At", "X-Object-Meta-A", "Content-Encoding", "If-Match"} {
			r.Header.Set(name, "1")
		}
	}), 204, "")
	for name := range b.Last().Header {
		switch name {
		case "Content-Type", "User-Agent":
		default:
			t.Errorf("%s has gone on to Swift", name)
		}
	}
	// A request that is signed otherwise is no form.
	b.want(b.do("POST", "/bucket", middlewaretest.Header("Content-Type", "multipart/form-data; boundary=x")), 400, "InvalidArgument")
	b.want(b.do("POST", "/bucket"), 412, "PreconditionFailed")
	// On paths of the Swift API forms are not for S3.
	b.Forget()
	f.send(b, "/v1/AUTH_test/bucket")
	if got := b.Last(); got.Method != "POST" || got.Path != "/v1/AUTH_test/bucket" {
		t.Errorf("a form for Swift went to %s %s", got.Method, got.Path)
	}
}

func TestAnonymousForms(t *testing.T) {
	b := formBench(t, `anonymous_account = "AUTH_test"`)
	b.want(testForm{version: -1, file: "abc", fields: []field{keyField}}.send(b, "/bucket"), 204, "")
	if got := b.Last(); got.Path != "/v1/AUTH_test/bucket/user/photo.png" || got.State.User != "" || got.State.AuthOverride {
		t.Errorf("stored at %s as %q, override %v", got.Path, got.State.User, got.State.AuthOverride)
	}
	b.On(stored, middlewaretest.Answer{Code: 401})
	b.want(testForm{version: -1, file: "abc", fields: []field{keyField}}.send(b, "/bucket"), 403, "AccessDenied")
	// What is signed badly is not anonymous.
	b.want(testForm{file: "abc", fields: []field{keyField}, skip: "x-amz-signature"}.send(b, "/bucket"), 400, "InvalidArgument")
}

func TestBrokenForms(t *testing.T) {
	b := formBench(t, "")
	send := func(contentType, body string) middlewaretest.Response {
		return middlewaretest.Do(t, b.h, "POST", "/bucket", middlewaretest.Header("Content-Type", contentType), middlewaretest.Body(body))
	}
	const kind = "multipart/form-data; boundary=x"
	for name, c := range map[string][2]string{
		"no boundary":                    {"multipart/form-data", "--x--"},
		"a long boundary":                {"multipart/form-data; boundary=" + strings.Repeat("x", 71), "--x--"},
		"a bad type":                     {"multipart/form-data; boundary", "--x--"},
		"nothing":                        {kind, ""},
		"an empty form":                  {kind, "--x--\r\n"},
		"another boundary":               {kind, "--y\r\n\r\n--y--\r\n"},
		"a part without name":            {kind, "--x\r\n\r\nabc\r\n--x--\r\n"},
		"a bad head":                     {kind, "--x\r\nbad\r\n\r\nabc\r\n--x--\r\n"},
		"cut off in a field":             {kind, "--x\r\nContent-Disposition: form-data; name=key\r\n\r\nabc"},
		"cut off in a head":              {kind, "--x\r\nContent-Disposition: form-data; na"},
		"a field of another disposition": {kind, "--x\r\nContent-Disposition: attachment; name=key\r\n\r\nabc\r\n--x--\r\n"},
	} {
		if r := send(c[0], c[1]); r.Code != 400 || code(r) != "MalformedPOSTRequest" {
			t.Errorf("%s: got %d %s", name, r.Code, r.Body)
		}
	}
	endless := "--x\r\nContent-Disposition: form-data; name=key\r\nX-A: " + strings.Repeat("a", 1<<20)
	b.want(send(kind, endless), 400, "MaxPostPreDataLengthExceededError")
	if calls := b.Calls(); len(calls) > 0 {
		t.Errorf("asked Swift: %v", calls[0].URI)
	}
}

// TestFilesThatBreakOff gives forms whose file does not end: nothing may be stored.
func TestFilesThatBreakOff(t *testing.T) {
	b := formBench(t, "")
	var body bytes.Buffer
	w := mimeparts.NewWriter(&body)
	for _, x := range (testForm{fields: []field{keyField}}).signed(b) {
		_ = w.WriteField(x.name, x.value)
	}
	part, _ := w.CreateFormFile("file", "photo.png")
	part.Write(bytes.Repeat([]byte("a"), 20000))
	whole := body.Len()
	for _, n := range []int{whole, whole - 1, whole - 19000} {
		b.Forget()
		r := httptest.NewRequest("POST", "/bucket", io.MultiReader(bytes.NewReader(body.Bytes()[:n]), iotest.ErrReader(io.ErrUnexpectedEOF)))
		r.Header.Set("Content-Type", w.FormDataContentType())
		rec := httptest.NewRecorder()
		b.h.ServeHTTP(rec, r)
		if rec.Code != 400 || b.Last().BodyErr == nil {
			t.Errorf("%d of %d bytes: got %d %s, stored %d bytes", n, whole, rec.Code, rec.Body, len(b.Last().Body))
		}
	}
}

// TestFilesStream stores a file that is larger than memory should grow.
func TestFilesStream(t *testing.T) {
	b := formBench(t, "")
	const size = 64 << 20
	var n int64
	b.On(stored, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		n, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(201)
	}})
	var head bytes.Buffer
	w := mimeparts.NewWriter(&head)
	for _, x := range (testForm{fields: []field{keyField}}).signed(b) {
		_ = w.WriteField(x.name, x.value)
	}
	_, _ = w.CreateFormFile("file", "photo.png")
	body := io.MultiReader(&head, io.LimitReader(zeros{}, size), strings.NewReader("\r\n--"+w.Boundary()+"--\r\n"))
	r := httptest.NewRequest("POST", "/bucket", body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	rec := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.h.ServeHTTP(rec, r)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("a file of %d MiB took %d KiB of memory", size>>20, used>>10)
	}
	if rec.Code != 204 || n != size {
		t.Errorf("got %d, %d bytes stored, want %d", rec.Code, n, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
