package s3api

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestETagsOfListings(t *testing.T) {
	for entry, want := range map[string]string{
		`{"hash": "abc"}`: `"abc"`, `{"hash": "\"abc\""}`: `"abc"`,
		`{"hash": "abc; s3_etag=def-3"}`:                  `"def-3"`,
		`{"hash": "abc; s3_etag=def-3; slo_etag=x"}`:      `"def-3"`,
		`{"hash": "abc; slo_etag=x"}`:                     `"x-N"`,
		`{"hash": "abc", "slo_etag": "\"x\""}`:            `"x-N"`,
		`{"hash": "abc; s3_etag=d", "slo_etag": "\"x\""}`: `"d"`,
	} {
		entries, err := listing.Decode([]byte("[" + entry + "]"))
		if err != nil {
			t.Fatal(err)
		}
		if got := listedETag(entries[0]); got != want {
			t.Errorf("%s: got %s, want %s", entry, got, want)
		}
	}
}

// TestListingsOfSwift gets a listing by the Swift API: the ETag of a multipart upload has a key of its own.
func TestListingsOfSwift(t *testing.T) {
	b := newBench(t, "")
	json := map[string]string{"Content-Type": "application/json; charset=utf-8"}
	b.On("GET /v1/AUTH_test/c", middlewaretest.Answer{Header: json, Body: `[{"hash": "abc; s3_etag=def-3; x=y", "name": "k"}, {"subdir": "s"}]`})
	r := middlewaretest.Get(t, b.h, "/v1/AUTH_test/c")
	if want := `[{"hash": "abc; x=y", "name": "k", "s3_etag": "\"def-3\""}, {"subdir": "s"}]`; r.Body != want || r.Header.Get("Content-Length") != fmt.Sprint(len(want)) {
		t.Errorf("got %v %s, want %s", r.Header, r.Body, want)
	}
	for _, body := range []string{`[{"hash": "abc", "name": "s3_etag"}]`, `s3_etag`, `[]`} {
		b.On("GET /v1/AUTH_test/c", middlewaretest.Answer{Header: json, Body: body})
		if r := middlewaretest.Get(t, b.h, "/v1/AUTH_test/c"); r.Body != body {
			t.Errorf("%s became %s", body, r.Body)
		}
	}
}

func TestTimesOfListings(t *testing.T) {
	for at, want := range map[string]string{
		"2026-01-02T03:04:05.000000": "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000001": "2026-01-02T03:04:06.000Z",
		"2026-12-31T23:59:59.999999": "2027-01-01T00:00:00.000Z", "2026-01-02T03:04:05": "2026-01-02T03:04:05.000Z", "x": "x",
	} {
		if got := isoTime(at); got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
	}
}

func TestBucketsByPages(t *testing.T) {
	b := newBench(t, "")
	b.On("GET /v1/AUTH_test?format=json&limit=10000&marker=&prefix=", middlewaretest.Answer{
		Body: `[{"name": "bbb", "last_modified": "2026-01-02T03:04:05.5"}, {"name": "Bad"}, {"name": "bbb+segments"}, {"name": "ccc"}, {"name": "ddd"}]`})
	b.On("GET /v1/AUTH_test?format=json&limit=10000&marker=ccc&prefix=", middlewaretest.Answer{Body: `[{"name": "ddd"}]`})
	r := b.do("GET", "/")
	if got := strings.Count(r.Body, "<Bucket>"); got != 3 || strings.Contains(r.Body, "ContinuationToken") || !strings.Contains(r.Body, "<CreationDate>2026-01-02T03:04:06.000Z<") ||
		!strings.Contains(r.Body, "<CreationDate>"+unknownDate) {
		t.Errorf("all: got %s", r.Body)
	}
	r = b.do("GET", "/?max-buckets=2")
	_, token, _ := strings.Cut(r.Body, "<ContinuationToken>")
	token, _, _ = strings.Cut(token, "<")
	if strings.Count(r.Body, "<Bucket>") != 2 || token == "" || !strings.Contains(r.Body, "<BucketRegion>us-east-1<") {
		t.Fatalf("the first page: got %s", r.Body)
	}
	r = b.do("GET", "/?max-buckets=2&continuation-token="+strings.ReplaceAll(token, "=", "%3D"))
	if strings.Count(r.Body, "<Bucket>") != 1 || !strings.Contains(r.Body, "<Name>ddd<") || strings.Contains(r.Body, "ContinuationToken") {
		t.Errorf("the second page: got %s", r.Body)
	}
	if r := b.do("GET", "/?bucket-region=eu-west-1"); strings.Contains(r.Body, "<Bucket>") {
		t.Errorf("of another region: got %s", r.Body)
	}
	for _, q := range []string{"max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=x"} {
		b.want(b.do("GET", "/?"+q), 400, "InvalidArgument")
	}
}

func TestDeletionsOfMany(t *testing.T) {
	b := store(t, "")
	b.On("DELETE /v1/AUTH_test/bucket/ok", middlewaretest.Answer{Code: 204})
	b.On("DELETE /v1/AUTH_test/bucket/denied", middlewaretest.Answer{Code: 403})
	b.On("HEAD /v1/AUTH_test/bucket/large", middlewaretest.Answer{Header: map[string]string{"X-Static-Large-Object": "True", "X-Object-Sysmeta-S3Api-Etag": "x-2"}})
	b.On("DELETE /v1/AUTH_test/bucket/large?async=on&multipart-manifest=delete", middlewaretest.Answer{Code: 204})
	b.On("HEAD /v1/AUTH_test/bucket/broken", middlewaretest.Answer{Header: map[string]string{"X-Static-Large-Object": "True"}})
	b.On("DELETE /v1/AUTH_test/bucket/broken?multipart-manifest=delete", middlewaretest.Answer{Body: `{"Response Status": "400 Bad Request", "Errors": [["/c/o", "403 Forbidden"]]}`})
	b.On("HEAD /v1/AUTH_test/bucket/deep", middlewaretest.Answer{Header: map[string]string{"X-Static-Large-Object": "True"}})
	b.On("DELETE /v1/AUTH_test/bucket/deep?multipart-manifest=delete", middlewaretest.Answer{Body: `{"Response Status": "400 Bad Request", "Number Deleted": 1, "Errors": []}`})
	doc := "<Delete>"
	for _, k := range []string{"ok", "denied", "none", "large", "broken", "deep"} {
		doc += "<Object><Key>" + k + "</Key></Object>"
	}
	r := b.do("POST", "/bucket?delete", middlewaretest.Body(doc+"</Delete>"), sha256Of(doc+"</Delete>"))
	want := `<Deleted><Key>ok</Key></Deleted><Deleted><Key>none</Key></Deleted><Deleted><Key>large</Key></Deleted>` +
		`<Error><Key>denied</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>` +
		`<Error><Key>broken</Key><Code>InternalError</Code><Message>Not all parts of the object could be deleted.</Message></Error>` +
		`<Error><Key>deep</Key><Code>InternalError</Code><Message>Not all parts of the object could be deleted.</Message></Error>`
	if b.want(r, 200, ""); !strings.Contains(r.Body, want) {
		t.Errorf("got %s, want %s", r.Body, want)
	}
}

// TestDeletionsOfOneKey has two versions of a key among what is deleted by one request: they go one after the other, while another key goes.
func TestDeletionsOfOneKey(t *testing.T) {
	b := store(t, "multi_delete_concurrency = 3")
	other, first := make(chan struct{}), make(chan struct{})
	var busy atomic.Int32
	b.On("DELETE /v1/AUTH_test/bucket/key", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		if n := busy.Add(1); n > 1 {
			t.Errorf("%d versions are deleted at the same time", n)
		}
		if r.URL.RawQuery == "" {
			close(first)
			<-other
		}
		busy.Add(-1)
		w.WriteHeader(http.StatusNoContent)
	}})
	b.On("DELETE /v1/AUTH_test/bucket/other", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		<-first
		close(other)
		w.WriteHeader(http.StatusNoContent)
	}})
	doc := "<Delete>"
	for _, o := range [][2]string{{"key", ""}, {"key", "null"}, {"other", ""}} {
		doc += "<Object><Key>" + o[0] + "</Key><VersionId>" + o[1] + "</VersionId></Object>"
	}
	r := b.do("POST", "/bucket?delete", middlewaretest.Body(doc+"</Delete>"), sha256Of(doc+"</Delete>"))
	want := `<Deleted><Key>key</Key></Deleted><Deleted><Key>key</Key><VersionId>null</VersionId></Deleted><Deleted><Key>other</Key></Deleted>`
	if b.want(r, 200, ""); !strings.Contains(r.Body, want) {
		t.Errorf("got %s", r.Body)
	}
}
