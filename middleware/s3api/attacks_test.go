package s3api

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// What other servers that speak S3 have been attacked with.

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

// native are headers that mean something to Swift, or to its servers among themselves.
var native = []string{
	"X-Container-Host", "X-Container-Partition", "X-Container-Device", "X-Container-Path", "X-Container-Root-Db-State", "X-Account-Host",
	"X-Account-Partition", "X-Account-Device", "X-Delete-At-Host", "X-Delete-At-Partition", "X-Delete-At-Device", "X-Delete-At-Container",
	"X-Backend-Storage-Policy-Index", "X-Backend-Container-Path", "X-Backend-Quoted-Container-Path", "X-Backend-Obj-Metadata-Footer",
	"X-Backend-Allow-Reserved-Names", "X-Backend-Container-Update-Override-Etag", "X-Object-Sysmeta-S3api-Acl", "X-Object-Sysmeta-S3api-Etag",
	"X-Object-Sysmeta-Container-Update-Override-Etag", "X-Object-Transient-Sysmeta-A", "X-Container-Sysmeta-S3api-Acl", "X-Account-Sysmeta-A",
	"X-Timestamp", "X-Trans-Id", "X-Copy-From", "X-Copy-From-Account", "X-Fresh-Metadata", "Destination", "Destination-Account",
	"X-Object-Manifest", "X-Static-Large-Object", "X-Symlink-Target", "X-Symlink-Target-Account", "X-Symlink-Target-Etag", "X-Container-Read",
	"X-Container-Write", "X-Container-Sync-To", "X-Container-Sync-Key", "X-Versions-Location", "X-History-Location", "X-Versions-Enabled",
	"X-Container-Meta-Quota-Bytes", "X-Account-Meta-Temp-Url-Key", "X-Container-Meta-Temp-Url-Key", "X-Object-Meta-Static-Large-Object",
	"X-Object-Meta-A", "X-Storage-Policy", "X-Newest", "X-If-Delete-At", "X-Service-Token", "X-Detect-Content-Type", "X-Open-Expired", "Accept",
}

// passable are the headers that may reach Swift for a PUT that has none of S3's own.
var passable = []string{"Content-Type", "User-Agent", "Referer", "Origin"}

func TestNativeHeadersDoNotReachSwift(t *testing.T) {
	b := securityBench(t, "")
	for _, name := range native {
		for _, c := range []struct{ method, target string }{
			{"PUT", "/bucket/key"}, {"GET", "/bucket/key"}, {"HEAD", "/bucket/key"}, {"PUT", "/bucket"}, {"PUT", "/new"},
		} {
			b.Forget()
			b.do(c.method, c.target, middlewaretest.Header(name, "10.0.0.1:6000"))
			if len(b.Calls()) == 0 {
				t.Errorf("%s with %s: Swift was not asked", c.method, name)
			}
			for _, call := range b.Calls() {
				if call.Header.Get(name) == "10.0.0.1:6000" {
					t.Errorf("%s %s: %s has gone on to Swift", c.method, c.target, name)
				}
			}
		}
	}
	b.Forget()
	b.do("PUT", "/bucket/key", func(r *http.Request) {
		for _, name := range native {
			r.Header.Set(name, "1")
		}
	})
	for name := range b.Last().Header {
		if !slices.Contains(passable, name) {
			t.Errorf("%s has gone on to Swift", name)
		}
	}
}

func TestMetadataDoesNotBecomeSomethingElse(t *testing.T) {
	b := securityBench(t, "")
	for _, name := range []string{"X-Amz-Meta-Sysmeta-A", "X-Amz-Meta-", "X-Amz-Meta-Transient-Sysmeta-A", "X-Amz-Meta-X-Object-Sysmeta-A", "X-Amz-Meta-A_b"} {
		b.Forget()
		b.do("PUT", "/bucket/key", middlewaretest.Header(name, "1"))
		for _, call := range b.Calls() {
			for header := range call.Header {
				if !slices.Contains(passable, header) && !strings.HasPrefix(header, "X-Object-Meta-") {
					t.Errorf("%s became %s", name, header)
				}
			}
		}
	}
	// Nor does a value end its line.
	b.Forget()
	r := httptest.NewRequest("PUT", "/bucket/key", nil)
	r.Header.Set("X-Amz-Meta-A", "a")
	sign(t, b.host.Clock)(r)
	r.Header["X-Amz-Meta-A"] = []string{"a\r\nX-Backend-A: b"}
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, r)
	if rec.Code/100 != 4 {
		t.Errorf("a value with a line end: got %d", rec.Code)
	}
}

// TestNativeParametersDoNotReachSwift: no parameter of Swift's steers what an S3 request does.
func TestNativeParametersDoNotReachSwift(t *testing.T) {
	b := securityBench(t, "")
	for _, parameter := range []string{
		"multipart-manifest=put", "multipart-manifest=delete", "multipart-manifest=get&format=raw", "symlink=get", "format=json", "bulk-delete=1",
		"extract-archive=tar", "temp_url_sig=a&temp_url_expires=9999999999", "heartbeat=on", "async=true", "version-id=1.1", "states=shard",
		"ignore-limits=true", "inline=1", "path=a", "end_marker=a", "reverse=on", "part-number=1",
	} {
		for _, c := range []struct{ method, target string }{{"PUT", "/bucket/key"}, {"GET", "/bucket/key"}, {"DELETE", "/bucket/key"}, {"GET", "/bucket"}} {
			b.Forget()
			b.do(c.method, c.target)
			want := b.URIs()
			b.Forget()
			b.do(c.method, c.target+"?"+parameter)
			if got := b.URIs(); !slices.Equal(got, want) {
				t.Errorf("%s %s?%s: Swift was asked for %q, without it for %q", c.method, c.target, parameter, got, want)
			}
		}
	}
}

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

// presigned returns a request for a URL that allows method and target.
func presigned(t testing.TB, b *bench, method, target string, version int, expires time.Duration) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	now := b.host.Clock.Now()
	if version == 4 {
		text, _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Presign(r, expires, now)
		if err != nil {
			t.Fatal(err)
		}
		return httptest.NewRequest(method, text, nil)
	}
	at := strconv.FormatInt(now.Add(expires).Unix(), 10)
	text := method + "\n\n\n" + at + "\n" + target
	q := url.Values{"AWSAccessKeyId": {testKey}, "Expires": {at}, "Signature": {sigv2.Sign(testSecret, text)}}
	return httptest.NewRequest(method, target+"?"+q.Encode(), nil)
}

func TestWhatIsNotSignedDoesNotCount(t *testing.T) {
	for _, version := range []int{2, 4} {
		b := securityBench(t, "")
		send := func(method string, change func(*http.Request)) *httptest.ResponseRecorder {
			b.Forget()
			r := presigned(t, b, method, "/bucket/key", version, time.Hour)
			if change != nil {
				change(r)
			}
			rec := httptest.NewRecorder()
			b.h.ServeHTTP(rec, r)
			return rec
		}
		for _, method := range []string{"PUT", "GET", "HEAD"} {
			if rec := send(method, nil); rec.Code != 200 {
				t.Fatalf("version %d: %s: got %d %s", version, method, rec.Code, rec.Body)
			}
		}
		for _, name := range []string{
			"X-Amz-Copy-Source", "X-Amz-Acl", "X-Amz-Grant-Read", "X-Amz-Meta-A", "X-Amz-Tagging", "X-Amz-Storage-Class", "X-Amz-Metadata-Directive",
			"X-Amz-Checksum-Crc32", "X-Amz-Object-Lock-Mode", "X-Amz-New",
		} {
			rec := send("PUT", func(r *http.Request) { r.Header.Set(name, "/bucket/secret") })
			if rec.Code != 403 || len(b.Calls()) > 0 {
				t.Errorf("version %d: %s: got %d %s; Swift saw %d requests", version, name, rec.Code, rec.Body, len(b.Calls()))
			}
		}
		for _, name := range swiftHeaders {
			if rec := send("PUT", func(r *http.Request) { r.Header.Set(name, "1000") }); rec.Code != 403 {
				t.Errorf("version %d: %s: got %d %s", version, name, rec.Code, rec.Body)
			}
		}
		for name, change := range map[string]func(*http.Request){
			"another method":   func(r *http.Request) { r.Method = "DELETE" },
			"another object":   func(r *http.Request) { r.URL.Path = "/bucket/other" },
			"another resource": func(r *http.Request) { r.URL.RawQuery += "&acl" },
			"another version":  func(r *http.Request) { r.URL.RawQuery += "&versionId=1" },
			"later": func(r *http.Request) {
				q := r.URL.Query()
				for name := range maps.Keys(q) {
					if strings.Contains(name, "Expires") {
						n, _ := strconv.Atoi(q.Get(name))
						q.Set(name, strconv.Itoa(n+1))
					}
				}
				r.URL.RawQuery = q.Encode()
			},
		} {
			if rec := send("PUT", change); rec.Code != 403 || len(b.Calls()) > 0 {
				t.Errorf("version %d: %s: got %d %s; Swift saw %d requests", version, name, rec.Code, rec.Body, len(b.Calls()))
			}
		}
	}
}

// TestSignaturesAreGoodOnce: a signature is good for one method, host, path, query and time.
func TestSignaturesAreGoodOnce(t *testing.T) {
	b := securityBench(t, `storage_domain = "s3.example.net"`)
	for name, change := range map[string]func(*http.Request){
		"another method":   func(r *http.Request) { r.Method = "DELETE" },
		"another host":     func(r *http.Request) { r.Host = "bucket.s3.example.net" },
		"another path":     func(r *http.Request) { r.URL.Path = "/bucket/other" },
		"another resource": func(r *http.Request) { r.URL.RawQuery = "acl" },
		"another day": func(r *http.Request) {
			r.Header.Set("X-Amz-Date", b.host.Clock.Now().Add(24*time.Hour).UTC().Format("20060102T150405Z"))
		},
		"another second": func(r *http.Request) {
			r.Header.Set("X-Amz-Date", b.host.Clock.Now().Add(time.Second).UTC().Format("20060102T150405Z"))
		},
		"a header more":   func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", "/bucket/secret") },
		"another payload": func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) },
	} {
		b.Forget()
		r := httptest.NewRequest("PUT", "/bucket/key", nil)
		sign(t, b.host.Clock)(r)
		change(r)
		rec := httptest.NewRecorder()
		b.h.ServeHTTP(rec, r)
		if rec.Code/100 != 4 || len(b.Calls()) > 0 {
			t.Errorf("%s: got %d %s; Swift saw %d requests", name, rec.Code, rec.Body, len(b.Calls()))
		}
	}
	// Nor for later.
	r := httptest.NewRequest("PUT", "/bucket/key", nil)
	if _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Sign(r, sigv4.UnsignedPayload, b.host.Clock.Now().Add(-16*time.Minute)); err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, r)
	if rec.Code != 403 || !strings.Contains(rec.Body.String(), "RequestTimeTooSkewed") {
		t.Errorf("16 minutes later: got %d %s", rec.Code, rec.Body)
	}
}

func TestURLsExpire(t *testing.T) {
	b := securityBench(t, "")
	old := presigned(t, b, "GET", "/bucket/key", 2, -time.Second)
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, old)
	if rec.Code != 403 || !strings.Contains(rec.Body.String(), "<Message>Request has expired</Message>") {
		t.Errorf("version 2: got %d %s", rec.Code, rec.Body)
	}
	r := httptest.NewRequest("GET", "/bucket/key", nil)
	text, _, err := sigv4.NewSigner(testKey, testSecret, "", "us-east-1").Presign(r, time.Minute, b.host.Clock.Now().Add(-time.Minute-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	rec = httptest.NewRecorder()
	b.h.ServeHTTP(rec, httptest.NewRequest("GET", text, nil))
	if rec.Code != 403 || !strings.Contains(rec.Body.String(), "<Message>Request has expired</Message>") {
		t.Errorf("version 4: got %d %s", rec.Code, rec.Body)
	}
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
			r := b.do(c.method, c.target, middlewaretest.Body(doc), middlewaretest.Header("Content-Md5", ""))
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

// TestPathologicalHeaders sends ranges and types without end: the answer costs little and is none of 5xx. What it costs is
// the process's own time, which other processes do not add to.
func TestPathologicalHeaders(t *testing.T) {
	b := securityBench(t, "")
	many := strings.Repeat("0-0,", 10000) + "0-0"
	for _, c := range []struct{ name, value string }{
		{"Range", "bytes=" + many}, {"Range", "bytes=" + strings.Repeat(",", 30000)}, {"Range", "bytes=-"}, {"Range", "bytes=-0"},
		{"Range", "bytes=99999999999999999999-"}, {"Range", "bytes=0-99999999999999999999"}, {"Range", "bytes=-99999999999999999999"},
		{"Range", "bytes=1-0"}, {"Range", "bytes=" + strings.Repeat("9", 10000) + "-"}, {"Range", strings.Repeat("bytes=", 5000)},
		{"Accept", strings.Repeat("*/*;q=0.1,", 5000)}, {"Accept", strings.Repeat("a/b;", 10000)}, {"Accept", `a/b;"` + strings.Repeat(`\"`, 10000)},
		{"Accept", strings.Repeat("/", 30000)}, {"If-None-Match", strings.Repeat(`"a",`, 10000)}, {"If-Match", strings.Repeat("-N,", 10000)},
		{"If-Modified-Since", strings.Repeat("1", 30000)},
	} {
		for _, target := range []string{"/bucket/key", "/bucket/key?partNumber=1", "/bucket"} {
			for _, method := range []string{"GET", "HEAD"} {
				b.On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Body: "[]"})
				start := processorTime(t)
				r := b.do(method, target, middlewaretest.Header(c.name, c.value))
				if took := processorTime(t) - start; r.Code >= 500 || took > 2*time.Second {
					t.Errorf("%s %s with %s: %.40s: got %d for %v of processor time", method, target, c.name, c.value, r.Code, took)
				}
			}
		}
	}
}

// processorTime is how long this process has run on any processor.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
