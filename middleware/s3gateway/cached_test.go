package s3gateway_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/sigv4"
)

// cacheIn is the table of a read cache in a new directory.
func cacheIn(t *testing.T, more ...string) string {
	t.Helper()
	return fmt.Sprintf("[filter.s3gateway.cache]\npath = %q\n%s\n", filepath.Join(t.TempDir(), "cache"), strings.Join(more, "\n"))
}

// newCaching starts a gateway with a cache before a store with the bucket photos.
func newCaching(t *testing.T, more ...string) (*gateway, *store) {
	t.Helper()
	at := newStore(t)
	g := newGateway(t, at.upstream("at"), clients, cacheIn(t, more...), "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n")
	at.want(200, "PUT", "/photos", "")
	return g, at
}

// asked compares what the store has been asked since the last time.
func (s *store) asked(want ...string) {
	s.t.Helper()
	if got := s.requests(); !slices.Equal(got, want) {
		s.t.Errorf("the store was asked %q, want %q", got, want)
	}
}

// warm puts an object into the cache.
func (g *gateway) warm(path, body string, at ...*store) {
	g.t.Helper()
	g.has(path, body)
	g.settle()
	for _, s := range at {
		s.requests()
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const lines = "0123456789abcdefghijklmnopqrstuvwxyz\n"

func TestTheSecondReadHasNoBodyFromTheStore(t *testing.T) {
	g, at := newCaching(t)
	body := strings.Repeat(lines, 5000)
	g.want(200, "PUT", "/photos/a%20b/x", body, "x-amz-meta-colour", "blue", "Content-Type", "text/x-test", "Cache-Control", "max-age=5")
	first := g.want(200, "GET", "/photos/a%20b/x", "")
	g.settle()
	at.requests()
	second := g.want(200, "GET", "/photos/a%20b/x", "")
	at.asked("HEAD /photos/a%20b/x")
	if second.body != body {
		t.Errorf("%d bytes from the cache, want %d", len(second.body), len(body))
	}
	for _, h := range []http.Header{first.header, second.header} {
		for _, name := range []string{"Date", "X-Amz-Request-Id", "X-Trans-Id", "X-Openstack-Request-Id", "X-Amz-Id-2"} {
			h.Del(name)
		}
	}
	if fmt.Sprint(first.header) != fmt.Sprint(second.header) {
		t.Errorf("headers from the cache\n%v, want\n%v", second.header, first.header)
	}
	// Another identity that may read has it from here too; one that may not has it from nowhere, and the store is not even asked.
	g.as(bob).has("/photos/a%20b/x", body)
	at.asked("HEAD /photos/a%20b/x")
	// Metadata is the store's.
	at.want(200, "PUT", "/photos/a%20b/x", "", "x-amz-copy-source", "/photos/a%20b/x", "x-amz-metadata-directive", "REPLACE", "x-amz-meta-colour", "red")
	at.requests()
	if a := g.want(200, "GET", "/photos/a%20b/x", ""); a.header.Get("X-Amz-Meta-Colour") != "red" || a.body != body {
		t.Errorf("after a change of metadata: %v", a.header)
	}
	at.asked("HEAD /photos/a%20b/x")
}

func TestAnEmptyObjectIsCached(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos/empty", "")
	g.warm("/photos/empty", "", at)
	g.has("/photos/empty", "")
	at.asked("HEAD /photos/empty")
	g.want("InvalidRange", "GET", "/photos/empty", "", "Range", "bytes=0-1")
}

func TestWhatHasChangedAtTheStoreIsReadAgain(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos/x", "one")
	g.warm("/photos/x", "one", at)
	at.want(200, "PUT", "/photos/x", "two")
	at.requests()
	g.has("/photos/x", "two")
	at.asked("HEAD /photos/x", "GET /photos/x")
	g.settle()
	g.has("/photos/x", "two")
	at.asked("HEAD /photos/x")
	at.want(204, "DELETE", "/photos/x", "")
	at.requests()
	g.want("NoSuchKey", "GET", "/photos/x", "")
	at.asked("HEAD /photos/x", "GET /photos/x")
	g.want("NoSuchKey", "GET", "/photos/x", "")
	at.asked("GET /photos/x")
}

func TestWhoMayNotReadHasNothingFromTheCache(t *testing.T) {
	at := newStore(t)
	g := newGateway(t, at.upstream("at"), clients, cacheIn(t, "trust_for = 3600"), `
[filter.s3gateway.identity.dave]
access_key = "AKDAVE"
secret = "dave's secret"
rights = ["write", "list"]
[filter.s3gateway.identity.erin]
access_key = "AKERIN"
secret = "erin's secret"
rights = ["read"]
prefixes = ["others/"]
[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["at"]
`)
	secrets["AKDAVE"], secrets["AKERIN"] = "dave's secret", "erin's secret"
	at.want(200, "PUT", "/photos", "")
	at.want(200, "PUT", "/photos/x", "bytes")
	g.warm("/photos/x", "bytes", at)
	g.has("/photos/x", "bytes")
	at.asked()
	for _, key := range []string{"AKDAVE", "AKERIN"} {
		g.as(key).want("AccessDenied", "GET", "/photos/x", "")
	}
	forged := g.as(alice)
	r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	forged.sign(r)
	r.Header.Set("Authorization", r.Header.Get("Authorization")[:len(r.Header.Get("Authorization"))-4]+"0000")
	if a, err := send(r); err != nil || a.code != "SignatureDoesNotMatch" {
		t.Errorf("a wrong signature got %v, %v", a, err)
	}
	if r, err = http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/x", nil); err != nil {
		t.Fatal(err)
	}
	if a, err := send(r); err != nil || a.code != "AccessDenied" {
		t.Errorf("without a signature: %v, %v", a, err)
	}
	at.asked()
}

// TestPermissionsAreTheStores has two identities with credentials of their own at the store, one of which may not read there.
func TestPermissionsAreTheStores(t *testing.T) {
	for _, trust := range []string{"0", "3600"} {
		t.Run("trust_for "+trust, func(t *testing.T) {
			at := newStore(t)
			g := newGateway(t, fmt.Sprintf(`[filter.s3gateway.upstream.at]
endpoint = %q
credentials = "identity"
[filter.s3gateway.upstream.at.identity.alice]
access_key = "test:tester"
secret = "testing"
[filter.s3gateway.upstream.at.identity.bob]
access_key = "test:tester3"
secret = "testing3"
`, at.server.URL), clients, cacheIn(t, "trust_for = "+trust), "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n")
			at.want(200, "PUT", "/photos", "")
			at.want(200, "PUT", "/photos/x", "bytes")
			g.warm("/photos/x", "bytes", at)
			for range 2 {
				g.as(bob).want("AccessDenied", "GET", "/photos/x", "")
				at.asked("HEAD /photos/x", "GET /photos/x")
			}
			g.has("/photos/x", "bytes") // what the store said to bob changes nothing for alice
			if trust == "0" {
				at.asked("HEAD /photos/x")
			} else {
				at.asked()
			}
		})
	}
}

func TestPermissionTakenAwayAtTheStore(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos/x", "bytes")
	g.warm("/photos/x", "bytes", at)
	at.meet(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>gone</Message></Error>")
		return true
	})
	if a := g.want("AccessDenied", "GET", "/photos/x", ""); strings.Contains(a.body, "bytes") {
		t.Errorf("got %v", a)
	}
	at.meet(nil)
	at.requests()
	g.has("/photos/x", "bytes")
	at.asked("HEAD /photos/x")
}

func TestRangesFromTheCache(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos/x", lines)
	// A range fills nothing.
	g.want(206, "GET", "/photos/x", "", "Range", "bytes=0-3")
	g.settle()
	at.asked("PUT /photos", "PUT /photos/x", "GET /photos/x")
	g.warm("/photos/x", lines, at)
	for _, test := range []struct {
		header, body, says string
		status             int
		cached             bool
	}{
		{"bytes=0-3", "0123", "bytes 0-3/37", 206, true},
		{"bytes=10-", lines[10:], "bytes 10-36/37", 206, true},
		{"bytes=-2", "z\n", "bytes 35-36/37", 206, true},
		{"bytes=-100", lines, "bytes 0-36/37", 206, true},
		{"bytes=30-100", lines[30:], "bytes 30-36/37", 206, true},
		{"bytes=37-", "", "", 416, false},
		{"bytes=5-4", lines, "", 200, false},
		{"lines=1-2", lines, "", 200, false},
	} {
		direct := at.do("GET", "/photos/x", "", "Range", test.header)
		at.requests()
		a := g.do("GET", "/photos/x", "", "Range", test.header)
		if a.status != test.status || a.status < 300 && a.body != test.body || test.says != "" && a.header.Get("Content-Range") != test.says {
			t.Errorf("%s: got %v, want %v", test.header, a, test)
		}
		if a.status != direct.status || a.status < 300 && a.body != direct.body || a.header.Get("Content-Range") != direct.header.Get("Content-Range") ||
			a.header.Get("Content-Length") != direct.header.Get("Content-Length") && a.status < 300 {
			t.Errorf("%s: got %v, the store itself says %v", test.header, a, direct)
		}
		seen := at.requests()
		if slices.Contains(seen, "GET /photos/x") == test.cached {
			t.Errorf("%s: the store was asked %v", test.header, seen)
		}
	}
	// Several ranges are the store's to answer.
	a := g.want(206, "GET", "/photos/x", "", "Range", "bytes=0-1,4-5")
	if !strings.HasPrefix(a.header.Get("Content-Type"), "multipart/byteranges") {
		t.Errorf("several ranges: %v", a)
	}
	g.want(200, "HEAD", "/photos/x", "")
	if a := g.want(206, "HEAD", "/photos/x", "", "Range", "bytes=0-3"); a.body != "" {
		t.Errorf("HEAD: %v", a)
	}
}

func TestConditionsAreTheStores(t *testing.T) {
	g, at := newCaching(t)
	tag := at.want(200, "PUT", "/photos/x", lines).header.Get("Etag")
	g.warm("/photos/x", lines, at)
	for _, test := range []struct {
		name, value string
		status      int
		body        string
	}{
		{"If-None-Match", tag, 304, ""},
		{"If-None-Match", `"other"`, 200, lines},
		{"If-Match", tag, 200, lines},
		{"If-Match", `"other"`, 412, ""},
		{"If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT", 200, lines},
		{"If-Unmodified-Since", "Mon, 01 Jan 2001 00:00:00 GMT", 412, ""},
	} {
		direct := at.do("GET", "/photos/x", "", test.name, test.value)
		at.requests()
		a := g.do("GET", "/photos/x", "", test.name, test.value)
		if a.status != test.status || test.status == 200 && a.body != test.body || test.status == 304 && a.body != "" {
			t.Errorf("%s %s: got %v", test.name, test.value, a)
		}
		if a.status != direct.status || a.code != direct.code || a.header.Get("Etag") != direct.header.Get("Etag") {
			t.Errorf("%s %s: got %v, the store itself says %v", test.name, test.value, a, direct)
		}
		seen := at.requests()
		if test.status < 400 && !slices.Equal(seen, []string{"HEAD /photos/x"}) {
			t.Errorf("%s %s: the store was asked %v", test.name, test.value, seen)
		}
	}
	if a := g.want(206, "GET", "/photos/x", "", "If-Match", tag, "Range", "bytes=1-2"); a.body != "12" {
		t.Errorf("a range with a condition: %v", a)
	}
}

// TestTruncatedAnswersAreNotKept has the store break off, and send other bytes than its ETag says.
func TestTruncatedAnswersAreNotKept(t *testing.T) {
	g, at := newCaching(t)
	body := strings.Repeat(lines, 10000)
	tag := at.want(200, "PUT", "/photos/x", body).header.Get("Etag")
	sends := func(part string, breaks bool) {
		at.meet(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Etag", tag)
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			io.WriteString(w, part)
			if breaks {
				panic(http.ErrAbortHandler)
			}
			return true
		})
	}
	get := func() (answer, error) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		g.sign(r)
		return send(r)
	}
	sends(body[:200000], true)
	if a, err := get(); err == nil {
		t.Errorf("half an object came whole: %d bytes", len(a.body))
	}
	g.settle()
	sends(strings.Replace(body, "a", "b", 1), false)
	if _, err := get(); err != nil {
		t.Error(err)
	}
	g.settle()
	// A client that goes away.
	at.meet(nil)
	r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	g.sign(r)
	at.meet(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Etag", tag)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body[:200000])
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	})
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	g.settle()
	at.meet(nil)
	at.requests()
	g.has("/photos/x", body)
	at.asked("GET /photos/x") // nothing was kept until now
	g.settle()
	g.has("/photos/x", body)
	at.asked("HEAD /photos/x")
}

func TestAStoreThatIsDownHasNoObjects(t *testing.T) {
	for _, test := range []struct {
		trust string
		after any
	}{{"0", 502}, {"3600", 200}} {
		t.Run("trust_for "+test.trust, func(t *testing.T) {
			g, at := newCaching(t, "trust_for = "+test.trust)
			at.want(200, "PUT", "/photos/x", "bytes")
			g.warm("/photos/x", "bytes", at)
			at.meet(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
			began := time.Now()
			if a := g.want(test.after, "GET", "/photos/x", ""); a.status == 200 && a.body != "bytes" {
				t.Errorf("got %v", a)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			// Whoever asks for it to be checked is not served unchecked.
			g.want(502, "GET", "/photos/x", "", "If-None-Match", `"other"`)
			g.want(502, "GET", "/photos/x", "", "Cache-Control", "no-cache")
		})
	}
}

// TestWhatIsWrittenHereIsReadAgain has every way of writing through the gateway end the trust in what was kept.
func TestWhatIsWrittenHereIsReadAgain(t *testing.T) {
	g, at := newCaching(t, "trust_for = 3600")
	g.want(200, "PUT", "/photos/other", "other")
	start := func() {
		t.Helper()
		at.want(200, "PUT", "/photos/x", "before")
		g.want(200, "PUT", "/photos/x", "before")
		g.warm("/photos/x", "before", at)
		g.has("/photos/x", "before")
		at.asked()
	}
	for _, test := range []struct {
		name  string
		write func()
		want  string
	}{
		{"PUT", func() { g.want(200, "PUT", "/photos/x", "after") }, "after"},
		{"DELETE", func() { g.want(204, "DELETE", "/photos/x", "") }, ""},
		{"a copy", func() { g.want(200, "PUT", "/photos/x", "", "x-amz-copy-source", "/photos/other") }, "other"},
		{"a multi-delete", func() {
			g.want(200, "POST", "/photos?delete", "<Delete><Object><Key>y</Key></Object><Object><Key>x</Key></Object></Delete>",
				"Content-MD5", md5Of("<Delete><Object><Key>y</Key></Object><Object><Key>x</Key></Object></Delete>"))
		}, ""},
		{"an upload in parts", func() {
			id := between(g.want(200, "POST", "/photos/x?uploads", "").body, "<UploadId>", "</")
			tag := g.want(200, "PUT", "/photos/x?partNumber=1&uploadId="+id, "parts").header.Get("Etag")
			g.want(200, "POST", "/photos/x?uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+tag+"</ETag></Part></CompleteMultipartUpload>")
		}, "parts"},
		{"a PUT whose answer is lost", func() {
			at.meet(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPut {
					return false
				}
				at.meet(nil)
				at.want(200, "PUT", "/photos/x", "lost")
				panic(http.ErrAbortHandler)
			})
			g.do("PUT", "/photos/x", "lost")
		}, "lost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			start()
			test.write()
			if test.want == "" {
				g.want("NoSuchKey", "GET", "/photos/x", "")
				return
			}
			g.has("/photos/x", test.want)
		})
	}
	// What says who may read the bucket.
	start()
	g.do("PUT", "/photos?acl", "", "x-amz-acl", "private")
	at.requests()
	g.has("/photos/x", "before")
	at.asked("HEAD /photos/x")
}

// TestAReadThatAWriteOvertakesIsNotTrusted has an object written while it is read: what the client gets may be old, what is kept not.
func TestAReadThatAWriteOvertakesIsNotTrusted(t *testing.T) {
	g, at := newCaching(t, "trust_for = 3600")
	at.want(200, "PUT", "/photos/x", "old")
	tag := at.want(200, "HEAD", "/photos/x", "").header.Get("Etag")
	at.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		at.meet(nil)
		g.want(200, "PUT", "/photos/x", "new")
		w.Header().Set("Etag", tag)
		w.Header().Set("Content-Length", "3")
		io.WriteString(w, "old")
		return true
	})
	g.has("/photos/x", "old")
	g.settle()
	g.has("/photos/x", "new")
}

func TestTrustEnds(t *testing.T) {
	g, at := newCaching(t, "trust_for = 0.05")
	at.want(200, "PUT", "/photos/x", "one")
	g.warm("/photos/x", "one", at)
	at.want(200, "PUT", "/photos/x", "two")
	for range 200 {
		if a := g.want(200, "GET", "/photos/x", ""); a.body == "two" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("trust does not end")
}

func TestVersionsAreKeptApart(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
	one := at.want(200, "PUT", "/photos/x", "one").header.Get("X-Amz-Version-Id")
	two := at.want(200, "PUT", "/photos/x", "two").header.Get("X-Amz-Version-Id")
	if one == "" || two == "" || one == two {
		t.Fatalf("versions %q and %q", one, two)
	}
	for range 2 {
		g.has("/photos/x", "two")
		g.has("/photos/x?versionId="+one, "one")
		g.has("/photos/x?versionId="+two, "two")
		g.settle()
	}
	at.requests()
	g.has("/photos/x?versionId="+one, "one")
	at.asked("HEAD /photos/x?versionId=" + one)
	g.want(204, "DELETE", "/photos/x?versionId="+one, "")
	if a := g.do("GET", "/photos/x?versionId="+one, ""); a.status != 404 {
		t.Errorf("a deleted version is %v", a)
	}
	g.want(204, "DELETE", "/photos/x", "")
	g.want("NoSuchKey", "GET", "/photos/x", "")
	g.has("/photos/x?versionId="+two, "two")
}

func TestPresignedReadsAndTheCache(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos/x", lines, "Content-Type", "text/x-test")
	get := func(query string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/x"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		link, _, err := sigv4.NewSigner(alice, secrets[alice], "", "us-east-1").Presign(r, time.Minute, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if r, err = http.NewRequestWithContext(t.Context(), "GET", link, nil); err != nil {
			t.Fatal(err)
		}
		a, err := send(r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	methods := func() (all []string) {
		for _, r := range at.requests() {
			all = append(all, strings.SplitN(r, " ", 2)[0])
		}
		return all
	}
	if a := get(""); a.body != lines {
		t.Fatalf("got %v", a)
	}
	g.settle()
	methods()
	if a := get(""); a.status != 200 || a.body != lines || a.header.Get("Content-Type") != "text/x-test" {
		t.Errorf("got %v", a)
	}
	if seen := methods(); !slices.Equal(seen, []string{"HEAD"}) {
		t.Errorf("the store was asked %v", seen)
	}
	if a := get("?response-content-type=text%2Fother&response-content-disposition=attachment"); a.body != lines || a.header.Get("Content-Type") != "text/other" ||
		a.header.Get("Content-Disposition") != "attachment" {
		t.Errorf("headers to be overridden: %v", a)
	}
	if seen := methods(); !slices.Equal(seen, []string{"GET"}) {
		t.Errorf("the store was asked %v", seen)
	}
	if a := get(""); a.header.Get("Content-Type") != "text/x-test" || a.header.Get("Content-Disposition") != "" {
		t.Errorf("overridden headers have stayed: %v", a)
	}
}

func TestSubResourcesAreNotCached(t *testing.T) {
	g, at := newCaching(t)
	at.want(200, "PUT", "/photos/x", lines)
	g.warm("/photos/x", lines, at)
	if a := g.want(200, "GET", "/photos/x?acl", ""); !strings.Contains(a.body, "AccessControlPolicy") {
		t.Errorf("got %v", a)
	}
	if a := g.want(200, "GET", "/photos?list-type=2", ""); !strings.Contains(a.body, "ListBucketResult") {
		t.Errorf("got %v", a)
	}
	at.asked("GET /photos/x?acl=", "GET /photos?list-type=2")
}

// TestManyReadersAndAWriter has what was written before a read began never be read as it was before, trust or not.
func TestManyReadersAndAWriter(t *testing.T) {
	g, _ := newCaching(t, "trust_for = 3600")
	g.want(200, "PUT", "/photos/x", "000000")
	var written atomic.Int64
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := written.Load()
				a := g.want(200, "GET", "/photos/x", "")
				var n int64
				if _, err := fmt.Sscanf(a.body, "%06d", &n); err != nil || n < before {
					t.Errorf("read %q after %06d was written", a.body, before)
				}
			}
		})
	}
	for i := range int64(40) {
		g.want(200, "PUT", "/photos/x", fmt.Sprintf("%06d", i+1))
		written.Store(i + 1)
	}
	close(stop)
	wait.Wait()
}

func TestTheCacheOutlivesTheGatewayButNotItsTrust(t *testing.T) {
	at := newStore(t)
	tables := []string{at.upstream("at"), clients, cacheIn(t, "trust_for = 3600"), "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n"}
	at.want(200, "PUT", "/photos", "")
	at.want(200, "PUT", "/photos/x", "bytes")
	t.Run("first", func(t *testing.T) { newGateway(t, tables...).warm("/photos/x", "bytes", at) })
	g := newGateway(t, tables...)
	for range 1000 { // what is there is looked up in the background
		if slices.Equal(g.values("apus_s3gateway_cache_entries"), []string{"[] 1"}) {
			at.requests()
			g.has("/photos/x", "bytes")
			at.asked("HEAD /photos/x")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("what was kept is not found")
}

func TestACacheThatCannotBeIsNoGateway(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	for _, test := range []struct{ table, want string }{
		{fmt.Sprintf("path = %q", dir), "can be read by other users"},
		{"path = 'relative'", "want a path from the root"},
		{"path = '/x'\nmax_size = 1", "max_size"},
	} {
		_, err := tryGateway(slog.New(slog.DiscardHandler), nil, prometheus.NewRegistry(), whole("[filter.s3gateway.upstream.at]\nendpoint = '"+s.URL+"'\naccess_key = 'k'\nsecret = 's'\n", clients,
			"[filter.s3gateway.cache]\n"+test.table+"\n[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['at']\n"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.table, err, test.want)
		}
	}
}
