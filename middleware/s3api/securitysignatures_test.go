package s3api

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/sigv2"
	"github.com/apus-storage/apus/internal/sigv4"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

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
