package s3api

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) {
	middlewaretest.Conform(t, Filter, middlewaretest.MaxAllocs(0))
}

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, "", nil) }

const (
	testKey    = "test:tester"
	testSecret = "testing"
)

// A bench is the filter before an auth filter that knows one user, before an app that answers as the test says.
type bench struct {
	*middlewaretest.App
	h    http.Handler
	t    testing.TB
	host middleware.Host
	// authorize is what the auth filter leaves to be asked, nil for nothing.
	authorize func(*http.Request) error
}

func newBench(t testing.TB, toml string) *bench { return newBenchAt(t, toml, clock.System) }

func newBenchAt(t testing.TB, toml string, c clock.Clock) *bench {
	b := &bench{App: middlewaretest.NewApp(), t: t, host: middlewaretest.Host(t)}
	b.host.Clock = c
	auth := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := request.From(r.Context())
		if s3 := state.S3; s3 != nil && s3.Account == "" {
			s3.Known = s3.AccessKey == testKey
			if !s3.Check(testSecret) || !s3.Known {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			s3.Account, state.User, state.Authorize = "AUTH_test", "test,test:tester,AUTH_test", b.authorize
			w.WriteHeader(http.StatusNoContent)
			return
		}
		b.App.ServeHTTP(w, r)
	})
	b.h = middlewaretest.BuildOn(t, b.host, Filter, toml, auth)
	return b
}

// do sends a signed request. Headers given are signed too.
func (b *bench) do(method, target string, options ...middlewaretest.Option) middlewaretest.Response {
	b.t.Helper()
	return middlewaretest.Do(b.t, b.h, method, target, append(options, sign(b.t, b.host.Clock))...)
}

// sign signs the request as it is, without a word on its body.
func sign(t testing.TB, c clock.Clock) middlewaretest.Option {
	return func(r *http.Request) {
		t.Helper()
		if r.Host == "" {
			r.Host = "example.com"
		}
		signer := sigv4.NewSigner(testKey, testSecret, "", "us-east-1")
		if _, err := signer.Sign(r, sigv4.UnsignedPayload, c.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// code is the code of an error document, "" if it is none.
func code(r middlewaretest.Response) string {
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	_ = xml.Unmarshal([]byte(r.Body), &e)
	return e.Code
}

// amz returns a header under the very name that AWS gives it.
func amz(r middlewaretest.Response, name string) string { return strings.Join(r.Header[name], ",") }

func (b *bench) want(r middlewaretest.Response, status int, c string) {
	b.t.Helper()
	if r.Code != status || code(r) != c {
		b.t.Errorf("got %d %s, want %d %s", r.Code, r.Body, status, c)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for toml, want := range map[string]string{
		`location = ""`:                            "location: must be a name without slashes and spaces",
		`max_bucket_listing = 0`:                   "max_bucket_listing: must be above 0",
		`multi_delete_concurrency = 1001`:          "multi_delete_concurrency: must be from 1 to 1000",
		`allowable_clock_skew = 0`:                 "allowable_clock_skew: must be above 0",
		`cors_preflight_allow_origin = ["*", "a"]`: "cors_preflight_allow_origin: * stands for all",
		`bucket_db = true`:                         "bucket_db: unknown key",
	} {
		_, err := middlewaretest.TryBuild(middlewaretest.Host(t), Filter, toml, http.NotFoundHandler())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", toml, err, want)
		}
	}
}

func TestBucketNames(t *testing.T) {
	for name, want := range map[string][2]bool{ // with and without dns_compliant_bucket_names
		"abc": {true, true}, "a-b.c": {true, true}, "ab": {false, false}, strings.Repeat("a", 63): {true, true},
		strings.Repeat("a", 64): {false, true}, strings.Repeat("a", 256): {false, false}, "Abc": {false, true}, "a_b": {false, true},
		"-abc": {false, false}, "abc-": {false, true}, "abc.": {false, false}, "a..b": {false, true}, "a.-b": {false, true},
		"192.168.1.1": {false, false}, "192.168.1.256": {true, true}, "abc+segments": {false, false}, "a b": {false, false},
		"a/b": {false, false}, "été": {false, false}, "a\x00b": {false, false}, "...": {false, false}, ".versions": {false, false},
	} {
		if got := [2]bool{validBucketName(name, true), validBucketName(name, false)}; got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func TestErrorsAreDocuments(t *testing.T) {
	b := newBench(t, "")
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	r := b.do("GET", "/bucket/no%20key")
	b.want(r, 404, "NoSuchKey")
	for _, part := range []string{"<Key>no key</Key>", "<Resource>/bucket/no key</Resource>", "<RequestId>", "<HostId>"} {
		if !strings.Contains(r.Body, part) {
			t.Errorf("no %s in %s", part, r.Body)
		}
	}
	if got := r.Header.Get("Content-Type"); got != "application/xml" {
		t.Errorf("Content-Type %s", got)
	}
	if r := b.do("HEAD", "/bucket/no%20key"); r.Code != 404 || r.Body != "" {
		t.Errorf("HEAD: got %d %q, want 404 and no body", r.Code, r.Body)
	}
}

// AWS names the upload in the resource's place.
func TestAnUploadThatIsNotThereIsNamedAlone(t *testing.T) {
	b := newBench(t, "")
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	r := b.do("DELETE", "/bucket/key?uploadId="+testUpload)
	b.want(r, 404, "NoSuchUpload")
	if !strings.Contains(r.Body, "<UploadId>"+testUpload+"</UploadId>") || strings.Contains(r.Body, "bucket") {
		t.Errorf("got %s", r.Body)
	}
}

// Swift sends a length of 0 with 304, whatever the object's is. net/http sends this name as it is, and drops the usual one.
func TestNotModifiedHasALength(t *testing.T) {
	for _, method := range []string{"GET", "HEAD"} {
		b := newBench(t, "")
		b.On(method+" /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 304, Header: map[string]string{"Etag": etag, "Content-Length": "7"}})
		r := b.do(method, "/bucket/key", middlewaretest.Header("If-None-Match", `"`+etag+`"`))
		if got := r.Header[strings.ToLower("Content-Length")]; r.Code != 304 || len(got) != 1 || got[0] != "0" || r.Header["Content-Length"] != nil {
			t.Errorf("%s: got %d %v", method, r.Code, r.Header)
		}
	}
}

// AWS does not refuse metadata whose name is no token: it ignores it, but for brackets that open.
func TestMetadataWithOddNamesIsIgnored(t *testing.T) {
	b := newBench(t, "")
	b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": etag}})
	var options []middlewaretest.Option
	for _, c := range "!\"#$%&'()*+./<=>?@[\\]^`{|}~" {
		options = append(options, func(r *http.Request) { r.Header["X-Amz-Meta-"+string(c)] = []string{"v"} })
	}
	options = append(options, middlewaretest.Header("X-Amz-Meta-A_b", "v"), func(r *http.Request) { r.Header["X-Amz-Meta-A=5Fc"] = []string{"v"} })
	if r := b.do("PUT", "/bucket/key", options...); r.Code != 200 {
		t.Fatalf("got %d %s", r.Code, r.Body)
	}
	var got []string
	for key := range b.Last().Header {
		if name, ok := strings.CutPrefix(key, "X-Object-Meta-"); ok {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if want := strings.Split("! # $ % & ' ( * + . A=5Fb ^ ` | ~", " "); !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

func TestWhoHasSigned(t *testing.T) {
	b := newBench(t, "")
	b.On("GET /v1/AUTH_test", middlewaretest.Answer{Body: "[]"})
	b.want(b.do("GET", "/"), 200, "")
	b.want(b.do("GET", "/", func(r *http.Request) { r.Header.Set("X-Auth-Token", "AUTH_tkother") }), 200, "")
	if got := b.Last().Header; got.Get("X-Auth-Token") != "" {
		t.Errorf("the token of somebody else is sent along: %v", got)
	}
	as := func(key, secret, region string) middlewaretest.Response {
		return middlewaretest.Do(t, b.h, "GET", "/", func(r *http.Request) {
			if _, err := sigv4.NewSigner(key, secret, "", region).Sign(r, sigv4.UnsignedPayload, b.host.Clock.Now()); err != nil {
				t.Fatal(err)
			}
		})
	}
	b.want(as(testKey, "wrong", "us-east-1"), 403, "SignatureDoesNotMatch")
	b.want(as("nobody:x", testSecret, "us-east-1"), 403, "InvalidAccessKeyId")
	r := as(testKey, testSecret, "eu-west-1")
	b.want(r, 400, "AuthorizationHeaderMalformed")
	if !strings.Contains(r.Body, "<Region>us-east-1</Region>") || amz(r, "x-amz-bucket-region") != "us-east-1" {
		t.Errorf("the right region is not told: %v %s", r.Header, r.Body)
	}
	b.want(middlewaretest.Get(t, b.h, "/", middlewaretest.Header("Authorization", "AWS nobody")), 400, "InvalidArgument")
	b.want(middlewaretest.Get(t, b.h, "/", middlewaretest.Header("Authorization", "AWS4-ECDSA-P256-SHA256 x")), 400, "InvalidRequest")
}

func TestOtherRequestsPass(t *testing.T) {
	b := newBench(t, "")
	for _, target := range []string{"/v1/AUTH_test/c/o", "/bucket/key", "/bucket?acl", "/info", "/"} {
		middlewaretest.Get(t, b.h, target)
		if got := fmt.Sprint(b.Last().Method, " ", b.Last().URI); got != "GET "+target {
			t.Errorf("%s: the app saw %s", target, got)
		}
	}
}

// BenchmarkGet is what a GET of an object costs here, beside what it costs Swift.
func BenchmarkGet(b *testing.B) {
	bench := newBench(b, "")
	header := map[string]string{
		"Content-Type": "binary/octet-stream", "Etag": etag, "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT", "X-Timestamp": "1767323045.00000",
		"X-Object-Meta-Color": "blue", "X-Backend-Timestamp": "1767323045.00000", "X-Backend-Data-Timestamp": "1767323045.00000",
		"X-Backend-Durable-Timestamp": "1767323045.00000", "X-Backend-Storage-Policy-Index": "0", "Accept-Ranges": "bytes",
	}
	bench.On("GET /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: header, Do: func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header()[k] = []string{v}
		}
		w.WriteHeader(http.StatusOK)
	}})
	r, err := http.NewRequest("GET", "http://example.com/bucket/key", nil)
	if err != nil {
		b.Fatal(err)
	}
	sign(b, bench.host.Clock)(r)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if bench.h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		bench.Forget()
	}
}
