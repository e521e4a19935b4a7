package s3api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// What servers that speak S3 have been attacked with is in the files security*_test.go: headers and parameters, signatures and
// bodies in the other ones, names and owners of buckets in this one.

const etag = "0123456789abcdef0123456789abcdef"

// store is an app that takes objects of a bucket.
func store(t testing.TB, toml string) *bench {
	b := newBench(t, toml)
	ok := middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": etag}}
	b.On("PUT /v1/AUTH_test/bucket/key", ok).On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	return b
}

// securityBench has an object, takes any PUT of one, and has nothing else.
func securityBench(t testing.TB, toml string) *bench {
	b := newBench(t, toml)
	etag := map[string]string{"Etag": "900150983cd24fb0d6963f7d28e17f72"}
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 201, Header: etag})
	b.On("GET /v1/AUTH_test/bucket/key", middlewaretest.Answer{Body: "abc", Header: etag})
	b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Body: "abc", Header: etag})
	b.On("PUT /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 202})
	b.On("PUT /v1/AUTH_test/new", middlewaretest.Answer{Code: 201})
	return b
}

// TestNamesOfBucketsAreOne: no other spelling of a name, in path or host, gets at another bucket or makes a second one.
func TestNamesOfBucketsAreOne(t *testing.T) {
	for _, dns := range []bool{true, false} {
		b := securityBench(t, fmt.Sprintf("storage_domain = \"s3.example.net\"\ndns_compliant_bucket_names = %v", dns))
		for target, want := range map[string]string{
			"/bucket/../other/key": "/v1/AUTH_test/bucket/../other/key",
			"/bucket/%2e%2e/other": "/v1/AUTH_test/bucket/../other",
			"/bucket//key":         "/v1/AUTH_test/bucket//key",
			"/bucket/./key":        "/v1/AUTH_test/bucket/./key",
			"/..%2fbucket/key":     "",
			"/bucket./key":         "",
			"/./key":               "",
			"/../key":              "",
			"//key":                "",
			"/bucket%00/key":       "",
			"/bucket+segments/key": "",
			"/%2ebucket/key":       "",
		} {
			b.Forget()
			r := b.do("GET", target)
			if r.Code/100 == 2 {
				t.Errorf("%s: got %d", target, r.Code)
			}
			for _, call := range b.Calls() {
				if call.Path != want && (want == "" || call.Path != "/v1/AUTH_test/bucket") {
					t.Errorf("%s: Swift was asked for %q", target, call.Path)
				}
			}
		}
		r := b.do("PUT", "/BUCKET")
		if got := b.Last().Path; dns && r.Code != 400 || !dns && got != "/v1/AUTH_test/BUCKET" {
			t.Errorf("another case, dns %v: got %d %s, Swift was asked for %s", dns, r.Code, r.Body, got)
		}
		for _, host := range []string{"BUCKET.S3.Example.NET", "bucket.s3.example.net.", "bucket.s3.example.net:8080"} {
			b.Forget()
			b.want(b.do("GET", "/key", func(r *http.Request) { r.Host = host }), 200, "")
			if got := b.Last().Path; got != "/v1/AUTH_test/bucket/key" {
				t.Errorf("host %s: Swift was asked for %s", host, got)
			}
		}
	}
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
