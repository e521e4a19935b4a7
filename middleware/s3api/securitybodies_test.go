package s3api

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// TestTruncatedChunks cuts a body in chunks off at each place: nothing is stored, and nobody waits for the rest.
func TestTruncatedChunks(t *testing.T) {
	for _, sum := range []checksum.Algorithm{"", checksum.CRC32} {
		b := securityBench(t, "")
		signer := sigv4.NewSigner(testKey, testSecret, "", "us-east-1")
		const data = "0123456789"
		request := func() (*http.Request, []byte) {
			r := httptest.NewRequest("PUT", "/bucket/key", nil)
			payload := "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
			r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)))
			r.Header.Set("Content-Encoding", "aws-chunked")
			if sum != "" {
				payload += "-TRAILER"
				r.Header.Set("X-Amz-Trailer", sum.Header())
			}
			chain, err := signer.Sign(r, payload, b.host.Clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			whole, err := io.ReadAll(awschunked.NewWriter(strings.NewReader(data), awschunked.Encoding{Length: int64(len(data)), Chain: chain, Checksum: sum}))
			if err != nil {
				t.Fatal(err)
			}
			return r, whole
		}
		_, whole := request()
		for n := 0; n <= len(whole); n++ {
			b.Forget()
			r, body := request()
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body[:n]))), int64(n)
			rec := httptest.NewRecorder()
			done := make(chan struct{})
			go func() { defer close(done); b.h.ServeHTTP(rec, r) }()
			select {
			case <-done:
			case <-time.After(30 * time.Second):
				t.Fatalf("%d of %d bytes: no answer", n, len(whole))
			}
			// The last line ends are not missed.
			if stored := b.Last().BodyErr == nil && b.Last().Method == "PUT"; stored != (rec.Code == 200) || n < len(whole)-4 && stored || n == len(whole) && !stored {
				t.Errorf("%d of %d bytes: got %d %s, stored: %v", n, len(whole), rec.Code, rec.Body, stored)
			}
		}
	}
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
		if got := b.Last().Header.Get(sysmetaChecksum); got != string(a)+"="+sum(a, text)+";FULL_OBJECT;8" {
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
	for _, sum := range []string{"x", "", " "} {
		b.want(b.do("PUT", "/bucket/key", middlewaretest.Body(text), middlewaretest.Header("Content-Md5", sum)), 400, "InvalidDigest")
	}
	wrong := middlewaretest.Do(t, b.h, "PUT", "/bucket/key", middlewaretest.Body(text), func(r *http.Request) {
		if _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Sign(r, sigv4.EmptyPayload, b.host.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	})
	b.want(wrong, 400, "XAmzContentSHA256Mismatch")
}

// sha256Of is a checksum of a document, for operations that insist on one.
func sha256Of(s string) middlewaretest.Option {
	h := checksum.SHA256.New()
	io.WriteString(h, s)
	return middlewaretest.Header("x-amz-checksum-sha256", base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

// TestDocumentsAreNotExpanded sends documents that grow, or that read files.
func TestDocumentsAreNotExpanded(t *testing.T) {
	b := securityBench(t, "")
	b.On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Body: "[]"})
	laughs := `<!DOCTYPE x [<!ENTITY a "haha">`
	for i := range 20 {
		laughs += fmt.Sprintf(`<!ENTITY a%d "%s">`, i, strings.Repeat("&a;", 10))
	}
	laughs += `]>`
	for _, c := range []struct{ method, target, root string }{
		{"POST", "/bucket?delete", "Delete"}, {"PUT", "/bucket?versioning", "VersioningConfiguration"}, {"PUT", "/new", "CreateBucketConfiguration"},
		{"PUT", "/bucket?acl", "AccessControlPolicy"},
	} {
		for name, doc := range map[string]string{
			"a billion laughs":   laughs + "<" + c.root + ">&a19;</" + c.root + ">",
			"an external entity": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><` + c.root + ">&e;</" + c.root + ">",
			"a DTD elsewhere":    `<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><` + c.root + "/>",
			"depth":              "<" + c.root + ">" + strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000) + "</" + c.root + ">",
		} {
			b.Forget()
			sum := md5.Sum([]byte(doc))
			r := b.do(c.method, c.target, middlewaretest.Body(doc), middlewaretest.Header("Content-Md5", base64.StdEncoding.EncodeToString(sum[:])))
			if r.Code/100 != 4 && r.Code != 501 || strings.Contains(r.Body, "haha") || strings.Contains(r.Body, "root:") {
				t.Errorf("%s %s with %s: got %d %s", c.method, c.target, name, r.Code, r.Body)
			}
			for _, call := range b.Calls() {
				if call.Method != "HEAD" && call.Method != "GET" {
					t.Errorf("%s %s with %s: Swift was sent %s %s", c.method, c.target, name, call.Method, call.URI)
				}
			}
		}
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	b := store(t, "")
	laughs := `<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>`
	for name, doc := range map[string]string{
		"a billion laughs":   laughs,
		"an external entity": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&e;</Key></Object></Delete>`,
		"too many keys":      "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1001) + "</Delete>",
		"too long":           "<Delete><Object><Key>" + strings.Repeat("k", 11<<20) + "</Key></Object></Delete>",
		"no keys":            "<Delete></Delete>",
	} {
		b.Forget()
		b.want(b.do("POST", "/bucket?delete", middlewaretest.Body(doc), sha256Of(doc)), 400, "MalformedXML")
		for _, c := range b.Calls() {
			t.Errorf("%s: Swift was sent %s %s", name, c.Method, c.URI)
		}
	}
	b.want(b.do("PUT", "/new", middlewaretest.Body(laughs)), 400, "MalformedXML")
	b.want(b.do("PUT", "/new", middlewaretest.Body(strings.Repeat(" ", 20<<10))), 400, "MalformedXML")
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
