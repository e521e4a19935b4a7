package s3api

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

const etag = "0123456789abcdef0123456789abcdef"

// store is an app that takes objects of a bucket.
func store(t testing.TB, toml string) *bench {
	b := newBench(t, toml)
	ok := middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": etag}}
	b.On("PUT /v1/AUTH_test/bucket/key", ok).On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	return b
}

// TestHeadersOfTheClusterStayOutside sends what steers proxies and nodes, from where an update is to be sent to what an object is.
func TestHeadersOfTheClusterStayOutside(t *testing.T) {
	b := store(t, "")
	b.On("PUT /v1/AUTH_test/new", middlewaretest.Answer{Code: 201})
	b.On("GET /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{"Etag": etag}})
	b.On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Body: "[]"})
	sent := []string{
		"X-Container-Host", "X-Container-Partition", "X-Container-Device", "X-Account-Host", "X-Account-Partition", "X-Account-Device",
		"X-Delete-At-Host", "X-Delete-At-Container", "X-Backend-Storage-Policy-Index", "X-Backend-Container-Update-Override-Etag",
		"X-Backend-Etag-Is-At", "X-Backend-If-Match", "X-Object-Sysmeta-S3api-Acl", "X-Container-Sysmeta-S3api-Acl",
		"X-Object-Transient-Sysmeta-Crypto", "X-Object-Sysmeta-Slo-Etag", "X-Timestamp", "X-Newest", "X-If-Delete-At",
		"X-Object-Manifest", "X-Static-Large-Object", "X-Symlink-Target", "X-Symlink-Target-Account", "X-Copy-From", "X-Copy-From-Account",
		"X-Fresh-Metadata", "Destination", "Destination-Account", "X-Container-Read", "X-Container-Write", "X-Container-Sync-To",
		"X-Container-Sync-Key", "X-Versions-Location", "X-History-Location", "X-Versions-Enabled", "X-Storage-Policy", "X-Remove-Container-Read",
		"X-Account-Access-Control", "X-Account-Meta-Temp-Url-Key", "X-Object-Meta-Native", "X-Container-Meta-Quota-Bytes", "Etag", "Accept", "X-Open-Expired",
	}
	for _, test := range []struct{ method, target string }{
		{"PUT", "/bucket/key"}, {"PUT", "/new"}, {"GET", "/bucket/key"}, {"GET", "/bucket"}, {"DELETE", "/bucket/key"},
		{"PUT", "/bucket/key?multipart-manifest=put&symlink=get&version-id=1&format=json&limit=1&async=on&heartbeat=on&temp_url_sig=x"},
	} {
		b.Forget()
		b.do(test.method, test.target, func(r *http.Request) {
			for _, name := range sent {
				r.Header.Set(name, "10.0.0.1:6200")
			}
		})
		calls := b.Calls()
		if len(calls) == 0 {
			t.Errorf("%s %s: Swift was not asked", test.method, test.target)
		}
		for _, c := range calls {
			for _, name := range sent {
				if v := c.Header.Get(name); strings.Contains(v, "10.0.0.1") {
					t.Errorf("%s %s: %s reached Swift with %s %s", test.method, test.target, name, c.Method, c.URI)
				}
			}
			for _, name := range []string{"multipart-manifest=put", "version-id", "temp_url", "heartbeat", "limit=1"} {
				if _, q, _ := strings.Cut(c.URI, "?"); slices.Contains(strings.Split(q, "&"), name) {
					t.Errorf("%s %s: the parameter %s reached Swift: %s", test.method, test.target, name, c.URI)
				}
			}
		}
	}
}

// presign makes a URL for a request and returns the path, the query and the host.
func presign(t *testing.T, b *bench, method, target string, expires time.Duration, at time.Time) string {
	t.Helper()
	r, err := http.NewRequest(method, "http://example.com"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	link, _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Presign(r, expires, at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}

// TestPresignedURLsAreGoodForOneThing changes what a presigned URL is for.
func TestPresignedURLsAreGoodForOneThing(t *testing.T) {
	b := store(t, "")
	now := b.host.Clock.Now()
	link := presign(t, b, "PUT", "/bucket/key", time.Minute, now)
	header := middlewaretest.Header
	for _, test := range []struct {
		name, method, link string
		options            []middlewaretest.Option
		status             int
		code               string
	}{
		{"as it is", "PUT", link, nil, 200, ""},
		{"with another method", "DELETE", link, nil, 403, "SignatureDoesNotMatch"},
		{"with another key", "PUT", strings.Replace(link, "/key", "/kex", 1), nil, 403, "SignatureDoesNotMatch"},
		{"with another bucket", "PUT", strings.Replace(link, "/bucket", "/bucker", 1), nil, 403, "SignatureDoesNotMatch"},
		{"with a sub-resource", "PUT", link + "&acl", nil, 403, "SignatureDoesNotMatch"},
		{"at another host", "PUT", link, []middlewaretest.Option{func(r *http.Request) { r.Host = "evil.example.com" }}, 403, "SignatureDoesNotMatch"},
		{"as a copy", "PUT", link, []middlewaretest.Option{header("x-amz-copy-source", "/bucket/secret")}, 403, "AccessDenied"},
		{"with an ACL", "PUT", link, []middlewaretest.Option{header("x-amz-acl", "public-read")}, 403, "AccessDenied"},
		{"with a grant", "PUT", link, []middlewaretest.Option{header("x-amz-grant-read", "id=x")}, 403, "AccessDenied"},
		{"with metadata", "PUT", link, []middlewaretest.Option{header("x-amz-meta-a", "x")}, 403, "AccessDenied"},
		{"with an expiry of the object", "PUT", link, []middlewaretest.Option{header("X-Delete-After", "1")}, 403, "AccessDenied"},
		{"with a second signature", "PUT", link, []middlewaretest.Option{header("Authorization", "AWS a:b")}, 400, "InvalidArgument"},
		{"from yesterday", "PUT", presign(t, b, "PUT", "/bucket/key", time.Minute, now.Add(-24*time.Hour)), nil, 403, "AccessDenied"},
		{"from tomorrow", "PUT", presign(t, b, "PUT", "/bucket/key", time.Minute, now.Add(24*time.Hour)), nil, 403, "AccessDenied"},
		{"for longer", "PUT", strings.Replace(link, "X-Amz-Expires=60", "X-Amz-Expires=600", 1), nil, 403, "SignatureDoesNotMatch"},
		{"for ever", "PUT", strings.Replace(link, "X-Amz-Expires=60", "X-Amz-Expires=604801", 1), nil, 400, "AuthorizationQueryParametersError"},
		{"for no time", "PUT", strings.Replace(link, "X-Amz-Expires=60", "X-Amz-Expires=-1", 1), nil, 400, "AuthorizationQueryParametersError"},
	} {
		b.Forget()
		r := middlewaretest.Do(t, b.h, test.method, test.link, append(test.options, middlewaretest.Body("x"))...)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.Code, r.Body, test.status, test.code)
		}
		if calls := b.URIs(); test.status != 200 && len(calls) > 0 {
			t.Errorf("%s: Swift was sent %q", test.name, calls)
		}
	}
}

// TestHeaderSignaturesAreGoodForOneThing does the same for signatures in headers.
func TestHeaderSignaturesAreGoodForOneThing(t *testing.T) {
	b := store(t, "")
	after := func(change func(*http.Request)) []middlewaretest.Option {
		return []middlewaretest.Option{sign(t, b.host.Clock), change}
	}
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"as it is", func(*http.Request) {}, 200, ""},
		{"with another method", func(r *http.Request) { r.Method = "DELETE" }, 403, "SignatureDoesNotMatch"},
		{"with another key", func(r *http.Request) { r.URL.Path = "/bucket/kex" }, 403, "SignatureDoesNotMatch"},
		{"at another host", func(r *http.Request) { r.Host = "evil.example.com" }, 403, "SignatureDoesNotMatch"},
		{"at another time", func(r *http.Request) {
			r.Header.Set("X-Amz-Date", b.host.Clock.Now().UTC().Add(time.Minute).Format("20060102T150405Z"))
		}, 403, "SignatureDoesNotMatch"},
		{"with a copy source", func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/bucket/secret") }, 403, "AccessDenied"},
		{"with another body", func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
		}, 403, "SignatureDoesNotMatch"},
	} {
		b.Forget()
		r := middlewaretest.Do(t, b.h, "PUT", "/bucket/key", after(test.change)...)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.Code, r.Body, test.status, test.code)
		}
	}
	old := middlewaretest.Do(t, b.h, "PUT", "/bucket/key", func(r *http.Request) {
		if _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Sign(r, sigv4.UnsignedPayload, b.host.Clock.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	})
	b.want(old, 403, "RequestTimeTooSkewed")
}

func TestSignaturesOfVersion2(t *testing.T) {
	b := store(t, "")
	date := b.host.Clock.Now().UTC().Format(http.TimeFormat)
	auth := "AWS " + testKey + ":" + sigv2.Sign(testSecret, "PUT\n\n\n"+date+"\n/bucket/key")
	signed := []middlewaretest.Option{middlewaretest.Header("Date", date), middlewaretest.Header("Authorization", auth), middlewaretest.Body("x")}
	b.want(middlewaretest.Do(t, b.h, "PUT", "/bucket/key", signed...), 200, "")
	b.want(middlewaretest.Do(t, b.h, "DELETE", "/bucket/key", signed...), 403, "SignatureDoesNotMatch")
	b.want(middlewaretest.Do(t, b.h, "PUT", "/bucket/key?acl", signed...), 403, "SignatureDoesNotMatch")
	b.want(middlewaretest.Do(t, b.h, "PUT", "/bucket/key", append(signed, middlewaretest.Header("x-amz-copy-source", "/bucket/secret"))...), 403, "SignatureDoesNotMatch")
}

// sendChunks sends a body in chunks of aws-chunked, after cut has had its way with it.
func sendChunks(t *testing.T, b *bench, data string, a checksum.Algorithm, signChunks bool, cut func([]byte) []byte) middlewaretest.Response {
	t.Helper()
	e := awschunked.Encoding{Length: int64(len(data)), Checksum: a}
	return middlewaretest.Do(t, b.h, "PUT", "/bucket/key", func(r *http.Request) {
		r.Host = "example.com"
		r.Header.Set("Content-Encoding", "aws-chunked,gzip")
		r.Header.Set("X-Amz-Decoded-Content-Length", "200000")
		if a != "" {
			r.Header.Set("X-Amz-Trailer", a.Header())
		}
		chain, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Sign(r, e.Mode(signChunks), b.host.Clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		if signChunks {
			e.Chain = chain
		}
		body, err := io.ReadAll(awschunked.NewWriter(strings.NewReader(data), e))
		if err != nil {
			t.Fatal(err)
		}
		body = cut(body)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	})
}

// TestStreamedBodies sends bodies in chunks, whole ones and others. Whatever is wrong, Swift's side sees a body that breaks off.
func TestStreamedBodies(t *testing.T) {
	data := strings.Repeat("0123456789", 20000)
	whole := func(b []byte) []byte { return b }
	replace := func(old, by string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(by), 1) }
	}
	for _, test := range []struct {
		name   string
		sum    checksum.Algorithm
		signed bool
		cut    func([]byte) []byte
		status int
		code   string
	}{
		{"signed chunks", "", true, whole, 200, ""},
		{"signed chunks and trailer", checksum.CRC32, true, whole, 200, ""},
		{"a trailer only", checksum.SHA256, false, whole, 200, ""},
		{"cut in a chunk", "", true, func(b []byte) []byte { return b[:100000] }, 400, "IncompleteBody"},
		{"cut after a chunk", "", true, func(b []byte) []byte { return b[:65536+89] }, 400, "IncompleteBody"},
		{"cut before the last chunk", "", true, func(b []byte) []byte { return b[:len(b)-88] }, 400, "IncompleteBody"},
		{"cut in the trailer", checksum.CRC32, false, func(b []byte) []byte { return b[:len(b)-10] }, 400, "IncompleteBody"},
		{"nothing at all", "", true, func([]byte) []byte { return nil }, 400, "IncompleteBody"},
		{"another byte", "", true, replace("56789", "5678x"), 403, "SignatureDoesNotMatch"},
		{"another byte, found by the trailer", checksum.CRC32C, false, replace("56789", "5678x"), 400, "BadDigest"},
		{"a wrong signature", "", true, func(b []byte) []byte {
			at := bytes.Index(b, []byte("chunk-signature=")) + len("chunk-signature=")
			b[at] ^= 1 // another digit, or a letter
			return b
		}, 403, "SignatureDoesNotMatch"},
	} {
		b := store(t, "")
		r := sendChunks(t, b, data, test.sum, test.signed, test.cut)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.Code, r.Body, test.status, test.code)
			continue
		}
		c := b.Last()
		if test.status != 200 {
			if c.Method == "PUT" && (c.BodyErr == nil || len(c.Body) >= len(data)) {
				t.Errorf("%s: Swift got a body of %d bytes that ended well", test.name, len(c.Body))
			}
			continue
		}
		if c.Body != data || c.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: Swift got %d bytes and Content-Encoding %q", test.name, len(c.Body), c.Header.Get("Content-Encoding"))
		}
		if test.sum != "" && amz(r, test.sum.Header()) == "" {
			t.Errorf("%s: the checksum is not told: %v", test.name, r.Header)
		}
	}
}

// TestBodiesAreChecked sends whole bodies with a word on what they are.
func TestBodiesAreChecked(t *testing.T) {
	const text = "the body"
	sum := func(a checksum.Algorithm, s string) string {
		h := a.New()
		io.WriteString(h, s)
		return checksum.Of(a, h).String()
	}
	for _, a := range checksum.All() {
		b := store(t, "")
		b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header(a.Header(), sum(a, text))), 200, "")
		if got := b.Last().Header.Get(sysmetaChecksum); got != string(a)+"="+sum(a, text)+";FULL_OBJECT" {
			t.Errorf("%s: kept is %q", a, got)
		}
		b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header(a.Header(), sum(a, "another"))), 400, "BadDigest")
		if c := b.Last(); c.BodyErr == nil || len(c.Body) >= len(text) {
			t.Errorf("%s: Swift got %q, which ended with %v", a, c.Body, c.BodyErr)
		}
		b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header(a.Header(), "x")), 400, "InvalidRequest")
	}
	b := store(t, "")
	b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header("x-amz-checksum-crc32", sum(checksum.CRC32, text)),
		middlewaretest.Header("x-amz-checksum-sha1", sum(checksum.SHA1, text))), 400, "InvalidRequest")
	b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header("x-amz-sdk-checksum-algorithm", "CRC32")), 400, "InvalidRequest")
	b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header("Content-Encoding", "aws-chunked")), 400, "InvalidRequest")
	b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header("Content-Md5", "x")), 400, "InvalidDigest")
	wrong := middlewaretest.Do(t, b.h, "PUT", "/bucket/key", middlewaretest.Body(text), func(r *http.Request) {
		if _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Sign(r, sigv4.EmptyPayload, b.host.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	})
	b.want(wrong, 400, "XAmzContentSHA256Mismatch")
}

func TestDocumentsAreBounded(t *testing.T) {
	b := store(t, "")
	md5 := func(s string) middlewaretest.Option {
		h := checksum.SHA256.New()
		io.WriteString(h, s)
		return middlewaretest.Header("x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	laughs := `<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`
	for name, doc := range map[string]string{
		"a billion laughs":   laughs,
		"an external entity": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
		"too many keys":      "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>",
		"too long":           "<Delete><Object><Key>" + strings.Repeat("k", 11<<20) + "</Key></Object></Delete>",
		"no keys":            "<Delete></Delete>",
	} {
		b.Forget()
		b.want(b.do("POST", "/bucket?delete", middlewaretest.Body(doc), md5(doc)), 400, "MalformedXML")
		for _, c := range b.Calls() {
			t.Errorf("%s: Swift was sent %s %s", name, c.Method, c.URI)
		}
	}
	b.want(b.do("PUT", "/new", middlewaretest.Body(laughs)), 400, "MalformedXML")
	b.want(b.do("PUT", "/new", middlewaretest.Body(strings.Repeat(" ", 20<<10))), 400, "MalformedXML")
}

// TestBucketsCannotBeTakenOver spells names of buckets that are there in other ways, and makes them again.
func TestBucketsCannotBeTakenOver(t *testing.T) {
	b := store(t, `storage_domain = "s3.example.net"`)
	b.Otherwise(middlewaretest.Answer{Code: 201})
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	for _, target := range []string{"/Bucket", "/BUCKET", "/bucket.", "/bucket%2E", "/.bucket", "/bucket+segments", "/bucket%2Bsegments", "/%00versions%00bucket", "/bucket%00"} {
		b.Forget()
		if r := b.do("PUT", target); r.Code != 400 || len(b.URIs()) > 0 {
			t.Errorf("PUT %s: got %d %s, and Swift was sent %q", target, r.Code, r.Body, b.URIs())
		}
	}
	b.want(b.do("PUT", "/bucket", middlewaretest.Header("x-amz-acl", "public-read")), 409, "BucketAlreadyOwnedByYou")
	at := func(host string) middlewaretest.Option { return func(r *http.Request) { r.Host = host } }
	for host, want := range map[string]string{"bucket.s3.example.net": "bucket", "BUCKET.S3.Example.net:8080": "bucket", "bucket.s3.example.net.": "bucket"} {
		b.Forget()
		b.do("PUT", "/key", at(host), middlewaretest.Body("x"))
		if got := b.Last().Path; got != "/v1/AUTH_test/"+want+"/key" {
			t.Errorf("host %s: Swift was asked for %s", host, got)
		}
	}
	for _, host := range []string{"bucket+segments.s3.example.net", "a..b.s3.example.net", "x.s3.example.net", "-x-.s3.example.net"} {
		b.Forget()
		if r := b.do("PUT", "/key", at(host), middlewaretest.Body("x")); r.Code != 400 || len(b.URIs()) > 0 {
			t.Errorf("host %s: got %d %s, and Swift was sent %q", host, r.Code, r.Body, b.URIs())
		}
	}
}

func TestCopySourcesStayInTheAccount(t *testing.T) {
	b := store(t, "")
	b.Otherwise(middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": etag}})
	for _, source := range []string{"key", "/bucket", "/bucket/", "//key", "/bucket+segments/key", "/../AUTH_other/c/o", "/%2e%2e/AUTH_other/c/o",
		"/v1/key", "/Bucket/key", "/bucket/key?versionId=", "/bucket/key?x=1", "/bucket/%00", "/bucket/%FF"} {
		b.Forget()
		if r := b.do("PUT", "/bucket/copy", middlewaretest.Header("x-amz-copy-source", source)); r.Code != 400 || len(b.URIs()) > 0 {
			t.Errorf("source %s: got %d %s, and Swift was sent %q", source, r.Code, r.Body, b.URIs())
		}
	}
	b.Forget()
	b.want(b.do("PUT", "/bucket/copy", middlewaretest.Header("x-amz-copy-source", "/other/a%2Fb%3Fc")), 200, "")
	if c := b.Last(); c.Header.Get("X-Copy-From") != "/other/a/b%3Fc" || c.Header.Get("X-Copy-From-Account") != "" {
		t.Errorf("Swift was asked for a copy with %v", c.Header)
	}
}

func TestExpectedOwners(t *testing.T) {
	b := store(t, "")
	for owner, want := range map[string]int{testKey: 200, "AUTH_test": 200, "111122223333": 403, "test": 403} {
		r := b.do("PUT", "/bucket/key", middlewaretest.Header("x-amz-expected-bucket-owner", owner), middlewaretest.Body("x"))
		if r.Code != want {
			t.Errorf("owner %s: got %d %s, want %d", owner, r.Code, r.Body, want)
		}
	}
	b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{"Etag": etag}})
	b.want(b.do("PUT", "/bucket/key", middlewaretest.Header("x-amz-copy-source", "/bucket/key"), middlewaretest.Header("x-amz-metadata-directive", "REPLACE"),
		middlewaretest.Header("x-amz-source-expected-bucket-owner", "111122223333")), 403, "AccessDenied")
}

// TestNothingIsReadBeforeTheRequestIsAllowed looks at who asks for the body.
func TestNothingIsReadBeforeTheRequestIsAllowed(t *testing.T) {
	b := store(t, "")
	for _, change := range []func(*http.Request){
		func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "Signature=", "Signature=0", 1))
		},
		func(r *http.Request) { r.URL.Path = "/Bucket/key" },
		func(r *http.Request) { r.Header.Set("X-Amz-Tagging", "a=b") },
	} {
		r := httptest.NewRequest("PUT", "/bucket/key", unread{t})
		r.Host, r.ContentLength = "example.com", 10
		sign(t, b.host.Clock)(r)
		change(r)
		rec := httptest.NewRecorder()
		b.h.ServeHTTP(rec, r)
		if rec.Code < 400 {
			t.Errorf("got %d %s", rec.Code, rec.Body)
		}
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// FuzzRequest sends anything with a good signature of another request, and anything with none: nothing may be stored, and nothing
// may panic.
func FuzzRequest(f *testing.F) {
	f.Add("PUT", "/bucket/key", "acl&x=%zz", "X-Amz-Copy-Source", "/bucket/other")
	f.Add("GET", "/", "AWSAccessKeyId=a&Signature=b&Expires=1", "Authorization", "AWS a:b")
	f.Add("POST", "/bucket", "X-Amz-Credential=a/b/c/d/e", "Content-Type", "multipart/form-data; boundary=x")
	b := store(f, `storage_domain = "s3.example.net"`)
	f.Fuzz(func(t *testing.T, method, path, query, name, value string) {
		r, err := http.NewRequest("GET", "/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "bucket.s3.example.net"
		sign(t, b.host.Clock)(r)
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		if path == "" || path[0] != '/' {
			r.URL.Path = "/" + path
		}
		b.Forget()
		b.h.ServeHTTP(httptest.NewRecorder(), r)
		for _, c := range b.Calls() {
			if c.Path != r.URL.Path && c.Method != "GET" && c.Method != "HEAD" {
				t.Errorf("%s %q?%q with %s: %q reached Swift as %s %s", method, path, query, name, value, c.Method, c.URI)
			}
		}
	})
}
