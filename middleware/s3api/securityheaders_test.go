package s3api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

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
	"X-Backend-Etag-Is-At", "X-Backend-If-Match", "X-Backend-If-Behind", "X-Backend-Rewrite-Version", "X-Object-Sysmeta-Slo-Etag",
	"X-Object-Transient-Sysmeta-Crypto", "X-Remove-Container-Read", "X-Account-Access-Control", "X-Object-Meta-Native", "Etag",
}

// passable are the headers that may reach Swift for a PUT that has none of S3's own.
var passable = []string{"Content-Type", "User-Agent", "Referer", "Origin"}

// TestNativeHeadersDoNotReachSwift sends what steers proxies and nodes, from where an update is to be sent to what an object is: each
// header alone, and all at once.
func TestNativeHeadersDoNotReachSwift(t *testing.T) {
	b := securityBench(t, "")
	b.On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Body: "[]"})
	for _, c := range []struct{ method, target string }{
		{"PUT", "/bucket/key"}, {"GET", "/bucket/key"}, {"HEAD", "/bucket/key"}, {"DELETE", "/bucket/key"},
		{"PUT", "/bucket"}, {"PUT", "/new"}, {"GET", "/bucket"},
	} {
		send := func(names ...string) {
			b.Forget()
			b.do(c.method, c.target, func(r *http.Request) {
				for _, name := range names {
					r.Header.Set(name, "10.0.0.1:6000")
				}
			})
			if len(b.Calls()) == 0 {
				t.Errorf("%s %s with %s: Swift was not asked", c.method, c.target, names)
			}
			for _, call := range b.Calls() {
				for _, name := range names {
					if strings.Contains(call.Header.Get(name), "10.0.0.1") {
						t.Errorf("%s %s: %s has gone on to Swift with %s %s", c.method, c.target, name, call.Method, call.URI)
					}
				}
			}
		}
		for _, name := range native {
			send(name)
		}
		send(native...)
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
		"ignore-limits=true", "inline=1", "path=a", "end_marker=a", "reverse=on", "part-number=1", "limit=1",
		"multipart-manifest=put&symlink=get&version-id=1&format=json&limit=1&async=on&heartbeat=on&temp_url_sig=x",
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
