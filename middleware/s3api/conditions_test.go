package s3api

import (
	"net/http"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// options makes options of pairs of header and value.
func options(pairs ...string) []middlewaretest.Option {
	var all []middlewaretest.Option
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, middlewaretest.Header(pairs[i], pairs[i+1]))
	}
	return all
}

// TestConditionsThatSwiftRefuses has conditional_writes off.
func TestConditionsThatSwiftRefuses(t *testing.T) {
	for _, test := range []struct {
		name, method, path string
		headers            []string
		status             int
	}{
		{"only if there is nothing", "PUT", "/bucket/key", []string{"If-None-Match", "*"}, 501},
		{"only if it is that", "PUT", "/bucket/key", []string{"If-Match", `"` + etag + `"`}, 501},
		{"a copy, if there is nothing", "PUT", "/bucket/key", []string{"If-None-Match", "*", "x-amz-copy-source", "bucket/src"}, 501},
		{"a deletion of that", "DELETE", "/bucket/key", []string{"If-Match", `"` + etag + `"`}, 501},
		{"a deletion of that size", "DELETE", "/bucket/key", []string{"x-amz-if-match-size", "1"}, 501},
		{"a deletion", "DELETE", "/bucket/key", nil, 204},
	} {
		b := store(t, "conditional_writes = false")
		b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": etag}})
		b.On("HEAD /v1/AUTH_test/bucket/src", middlewaretest.Answer{Header: map[string]string{"Etag": etag}})
		b.On("DELETE /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 204})
		r := b.do(test.method, test.path, options(test.headers...)...)
		if r.Code != test.status || r.Code == 501 && code(r) != "NotImplemented" {
			t.Errorf("%s: got %d %s, want %d", test.name, r.Code, r.Body, test.status)
		}
		for _, c := range b.Calls() {
			if test.status == 501 && c.Method != "HEAD" {
				t.Errorf("%s: Swift was sent %s %s", test.name, c.Method, c.Path)
			}
		}
	}
}

func TestWritesOnCondition(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []string
		want    map[string]string // of what Swift is sent
		swift   int               // its answer
		there   bool              // whether the object is
		status  int
		code    string
	}{
		{"only if there is nothing", []string{"If-None-Match", "*"}, map[string]string{"If-None-Match": "*", ifNoneMatch: ""}, 201, false, 200, ""},
		{"there is something", []string{"If-None-Match", "*"}, map[string]string{"If-None-Match": "*"}, 412, true, 412, "PreconditionFailed"},
		{"somebody else writes", []string{"If-None-Match", "*"}, map[string]string{"If-None-Match": "*"}, 409, true, 409, "ConditionalRequestConflict"},
		{"it is in doubt", []string{"If-None-Match", "*"}, map[string]string{"If-None-Match": "*"}, 503, true, 503, "ServiceUnavailable"},
		{"only if it is that", []string{"If-Match", `"` + etag + `"`}, map[string]string{ifMatch: `"` + etag + `"`, etagIsAt: etagsAt, "If-Match": ""}, 201, true, 200, ""},
		{"a large object of Swift", []string{"If-Match", `"a-N"`}, map[string]string{ifMatch: `"a-N", "a"`}, 201, true, 200, ""},
		{"it is another", []string{"If-Match", `"0"`}, map[string]string{ifMatch: `"0"`}, 412, true, 412, "PreconditionFailed"},
		{"it is not there", []string{"If-Match", `"0"`}, map[string]string{ifMatch: `"0"`}, 412, false, 404, "NoSuchKey"},
		{"nodes cannot promise it", []string{"If-Match", `"0"`}, map[string]string{ifMatch: `"0"`}, 501, true, 501, "NotImplemented"},
		{"not any other", []string{"If-None-Match", `"0"`}, nil, 201, true, 501, "NotImplemented"},
		{"both", []string{"If-None-Match", "*", "If-Match", "*"}, nil, 201, true, 501, "NotImplemented"},
		{"a date", []string{"If-Unmodified-Since", "Fri, 01 Jan 2049 00:00:00 GMT"}, nil, 201, true, 501, "NotImplemented"},
		{"a copy, if there is nothing", []string{"If-None-Match", "*", "x-amz-copy-source", "bucket/src"}, map[string]string{ifNoneMatch: "*", "If-None-Match": ""}, 201, false, 200, ""},
		{"a copy over that", []string{"If-Match", `"` + etag + `"`, "x-amz-copy-source", "bucket/src"}, map[string]string{ifMatch: `"` + etag + `"`, "If-Match": `"` + etag + `"`}, 201, true, 200, ""},
	} {
		b := store(t, "")
		b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: test.swift, Header: map[string]string{"Etag": etag}})
		b.On("HEAD /v1/AUTH_test/bucket/src", middlewaretest.Answer{Header: map[string]string{"Etag": etag}})
		if test.there {
			b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{"Etag": etag}})
		}
		r := b.do("PUT", "/bucket/key", options(test.headers...)...)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.Code, r.Body, test.status, test.code)
		}
		for _, c := range b.Calls() {
			if c.Method != "PUT" {
				continue
			}
			if test.want == nil {
				t.Errorf("%s: Swift was sent the object", test.name)
			}
			for name, want := range test.want {
				if got := c.Header.Get(name); got != want {
					t.Errorf("%s: Swift was sent %s %q, want %q", test.name, name, got, want)
				}
			}
		}
	}
}

func TestDeletionsOnCondition(t *testing.T) {
	const modified = "Fri, 02 Jan 2026 03:04:05 GMT"
	for _, test := range []struct {
		name    string
		headers []string
		swift   int
		status  int
		code    string
		deletes bool
	}{
		{"it is that", []string{"If-Match", `"` + etag + `"`}, 204, 204, "", true},
		{"it is any", []string{"If-Match", "*"}, 204, 204, "", true},
		{"it is another", []string{"If-Match", `"0"`}, 204, 412, "PreconditionFailed", false},
		{"of that size", []string{"x-amz-if-match-size", "7"}, 204, 204, "", true},
		{"of another size", []string{"x-amz-if-match-size", "8"}, 204, 412, "PreconditionFailed", false},
		{"of no size", []string{"x-amz-if-match-size", "x"}, 204, 400, "InvalidArgument", false},
		{"of that time", []string{"x-amz-if-match-last-modified-time", modified}, 204, 204, "", true},
		{"of another time", []string{"x-amz-if-match-last-modified-time", "Fri, 02 Jan 2026 03:04:06 GMT"}, 204, 412, "PreconditionFailed", false},
		{"of no time", []string{"x-amz-if-match-last-modified-time", "x"}, 204, 400, "InvalidArgument", false},
		{"somebody else was faster", []string{"If-Match", "*"}, 412, 412, "PreconditionFailed", true},
		{"somebody else writes", []string{"If-Match", "*"}, 409, 409, "ConditionalRequestConflict", true},
	} {
		b := store(t, "")
		b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{
			"Etag": etag, "Content-Length": "7", "Last-Modified": modified, "X-Backend-Data-Timestamp": "1767323045.00000"}})
		b.On("DELETE /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: test.swift})
		r := b.do("DELETE", "/bucket/key", options(test.headers...)...)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.Code, r.Body, test.status, test.code)
		}
		c := b.Last()
		if (c.Method == "DELETE") != test.deletes || test.deletes && c.Header.Get(ifDataTimestamp) != "1767323045.00000" {
			t.Errorf("%s: Swift was sent %s with %v", test.name, c.Method, c.Header)
		}
	}
	b := store(t, "")
	b.want(b.do("DELETE", "/bucket/key", options("If-Match", "*")...), 204, "")
}

func TestReadsOnCondition(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match"} {
		h.Set(name, `"a", "b-N"`)
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		h.Set(name, "x")
	}
	readConditions(h)
	for name, want := range map[string]string{
		"If-Match": `"a", "b-N", "b"`, "If-None-Match": `"a", "b-N", "b"`, "If-Modified-Since": "", "If-Unmodified-Since": "", etagIsAt: sysmetaETag,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
