package s3api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func grants(grants ...string) string {
	return `<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList>` + strings.Join(grants, "") + `</AccessControlList></AccessControlPolicy>`
}

func grant(kind, what, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="` + kind + `">` + what + `</Grantee><Permission>` + permission + `</Permission></Grant>`
}

func TestPlainACLs(t *testing.T) {
	mine, all := grant("CanonicalUser", "<ID>o</ID>", "FULL_CONTROL"), grant("Group", "<URI>"+allUsers+"</URI>", "READ")
	for _, test := range []struct {
		name, target, canned, body string
		status                     int
		code                       string
		read, write                string // sent to Swift
	}{
		{"a private bucket is made", "/new", "private", "", 200, "", ".", "."},
		{"a public one", "/new", "public-read", "", 200, "", ".r:*,.rlistings", ""},
		{"one without a word", "/new", "", "", 200, "", "", ""},
		{"one for all to write", "/new", "public-read-write", "", 501, "NotImplemented", "", ""},
		{"one for those with a name", "/new", "authenticated-read", "", 501, "NotImplemented", "", ""},
		{"one with an unknown word", "/new", "any", "", 400, "InvalidArgument", "", ""},
		{"a private object", "/bucket/key", "private", "x", 200, "", "", ""},
		{"a private object where all may read", "/open/key", "private", "x", 501, "NotImplemented", "", ""},
		{"one that says nothing there", "/open/key", "", "x", 200, "", "", ""},
		{"a private object where some pages may read", "/linked/key", "bucket-owner-full-control", "x", 501, "NotImplemented", "", ""},
		{"a public object", "/bucket/key", "public-read", "x", 501, "NotImplemented", "", ""},
		{"a bucket becomes public", "/bucket?acl", "public-read", "", 200, "", ".r:*,.rlistings", ""},
		{"by a document", "/bucket?acl", "", grants(mine, all), 200, "", ".r:*,.rlistings", ""},
		{"and private", "/bucket?acl", "", grants(mine), 200, "", ".", "."},
		{"both ways", "/bucket?acl", "private", grants(mine), 400, "UnexpectedContent", "", ""},
		{"no way", "/bucket?acl", "", "", 400, "MissingSecurityHeader", "", ""},
		{"a grant to somebody", "/bucket?acl", "", grants(grant("CanonicalUser", "<ID>p</ID>", "READ")), 501, "NotImplemented", "", ""},
		{"all may write", "/bucket?acl", "", grants(grant("Group", "<URI>"+allUsers+"</URI>", "WRITE")), 501, "NotImplemented", "", ""},
		{"another group may read", "/bucket?acl", "", grants(grant("Group", "<URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI>", "READ")), 501, "NotImplemented", "", ""},
		{"no grants", "/bucket?acl", "", grants(), 400, "MalformedACLError", "", ""},
		{"no document", "/bucket?acl", "", "<x/>", 400, "MalformedACLError", "", ""},
		{"an object's", "/bucket/key?acl", "public-read", "", 501, "NotImplemented", "", ""},
	} {
		b := store(t, "")
		b.On("PUT /v1/AUTH_test/new", middlewaretest.Answer{Code: 201}).On("POST /v1/AUTH_test/new", middlewaretest.Answer{Code: 204}).On("POST /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
		for name, list := range map[string]string{"open": ".r:*,.rlistings", "linked": ".r:example.com"} {
			b.On("HEAD /v1/AUTH_test/"+name, middlewaretest.Answer{Code: 204, Header: map[string]string{"X-Container-Read": list}})
			b.On("PUT /v1/AUTH_test/"+name+"/key", middlewaretest.Answer{Code: 201})
		}
		o := []middlewaretest.Option{middlewaretest.Body(test.body)}
		if test.canned != "" {
			o = append(o, middlewaretest.Header("x-amz-acl", test.canned))
		}
		r := b.do("PUT", test.target, o...)
		if r.Code != test.status || code(r) != test.code {
			t.Errorf("%s: got %d %s, want %d %s", test.name, r.Code, r.Body, test.status, test.code)
		}
		wrote := false
		for _, c := range b.Calls() {
			if c.Method == "HEAD" {
				continue
			}
			wrote = true
			if c.Method == "PUT" && test.target == "/new" {
				// The ACL comes with a second request: with this one it would be another's bucket's, were that quicker.
				if c.Header.Get("X-Container-Read") != "" {
					t.Errorf("%s: the bucket was made with %v", test.name, c.Header)
				}
				continue
			}
			if got := c.Header.Get("X-Container-Read"); got != test.read {
				t.Errorf("%s: X-Container-Read %q, want %q", test.name, got, test.read)
			}
			if got := c.Header.Get("X-Container-Write"); got != test.write {
				t.Errorf("%s: X-Container-Write %q, want %q", test.name, got, test.write)
			}
		}
		if wrote != (test.status == 200) {
			t.Errorf("%s: Swift was asked for %q", test.name, b.URIs())
		}
	}
}

func TestPlainACLsAreShown(t *testing.T) {
	for list, want := range map[string]bool{"": false, ".": false, ".r:*,.rlistings": true, ".r:example.com": false, "test:other": false} {
		b := newBench(t, "")
		b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204, Header: map[string]string{"X-Container-Read": list}})
		r := b.do("GET", "/bucket?acl")
		if strings.Contains(r.Body, allUsers) != want || !strings.Contains(r.Body, `xsi:type="CanonicalUser"><ID>test:tester</ID>`) {
			t.Errorf("list %q: got %d %s", list, r.Code, r.Body)
		}
	}
}

func TestAnonymousRequests(t *testing.T) {
	b := newBench(t, `anonymous_account = "AUTH_open"`)
	b.On("GET /v1/AUTH_open/bucket/key", middlewaretest.Answer{Body: "content", Header: map[string]string{"Etag": etag, "X-Object-Meta-A": "1"}})
	b.On("GET /v1/AUTH_open/bucket/private", middlewaretest.Answer{Code: 401})
	get := func(target string, o ...middlewaretest.Option) middlewaretest.Response {
		return middlewaretest.Get(t, b.h, target, o...)
	}
	r := get("/bucket/key")
	if b.want(r, 200, ""); r.Body != "content" || amz(r, "x-amz-meta-a") != "1" {
		t.Errorf("got %v %s", r.Header, r.Body)
	}
	if s := b.Last().State; s.User != "" || s.S3 != nil || s.AuthOverride {
		t.Errorf("state %+v", s)
	}
	b.want(get("/bucket/private"), 403, "AccessDenied")
	b.want(get("/bucket/key?response-content-type=x"), 400, "InvalidRequest")
	b.want(get("/bucket/key?legal-hold2"), 501, "NotImplemented")
	for _, target := range []string{"/", "/v1/AUTH_open/bucket", "/v1.0/AUTH_open/bucket", "/auth/v1.0", "/info", "/endpoints/x", "/healthcheck/", "/UPPER/key", "/ab"} {
		if get(target); b.Last().URI != target {
			t.Errorf("%s became %s", target, b.Last().URI)
		}
	}
	for _, name := range []string{"X-Auth-Token", "X-Auth-User", "X-Storage-User"} { // or it is to get one
		if get("/bucket/key", middlewaretest.Header(name, "x")); b.Last().URI != "/bucket/key" {
			t.Errorf("a request with %s became %s", name, b.Last().URI)
		}
	}
	b.want(b.do("GET", "/bucket/none"), 404, "NoSuchBucket")
	if got := b.Last().Path; !strings.HasPrefix(got, "/v1/AUTH_test/") {
		t.Errorf("a signed request became one for %s", got)
	}
}

func TestPreflight(t *testing.T) {
	ask := func(toml, target, origin, headers string) (middlewaretest.Response, bool) {
		b := newBench(t, toml)
		r := middlewaretest.Do(t, b.h, http.MethodOptions, target, middlewaretest.Header("Origin", origin),
			middlewaretest.Header("Access-Control-Request-Headers", headers))
		return r, len(b.Calls()) > 0
	}
	for _, test := range []struct {
		toml, target, headers string
		passes                bool
		status                int
	}{
		{``, "/bucket/key", "authorization", true, 404},
		{`cors_preflight_allow_origin = ["*"]`, "/bucket/key", "Authorization, x-amz-date", false, 200},
		{`cors_preflight_allow_origin = ["https://a", "https://b"]`, "/bucket/key", "authorization", false, 401},
		{`cors_preflight_allow_origin = ["https://x"]`, "/bucket/key", "authorization", false, 200},
		{`cors_preflight_allow_origin = ["*"]`, "/bucket/key?X-Amz-Credential=a", "", false, 200},
		{`cors_preflight_allow_origin = ["*"]`, "/bucket/key", "x-other", true, 404},
		{`cors_preflight_allow_origin = ["*"]`, "/v1/AUTH_test/c", "authorization", true, 404},
	} {
		r, passed := ask(test.toml, test.target, "https://x", test.headers)
		if r.Code != test.status || passed != test.passes {
			t.Errorf("%s, %s with %q: got %d, passed %v", test.toml, test.target, test.headers, r.Code, passed)
		}
		if allowed := r.Header.Get("Access-Control-Allow-Origin"); (allowed == "https://x") != (r.Code == 200) {
			t.Errorf("%s, %s: Access-Control-Allow-Origin %q", test.toml, test.target, allowed)
		}
	}
	r, _ := ask(`cors_preflight_allow_origin = ["*"]`, "/bucket/key", "https://x", "Authorization, x-amz-date")
	if got := r.Header.Get("Access-Control-Allow-Headers"); got != "authorization, x-amz-date" {
		t.Errorf("Access-Control-Allow-Headers %q", got)
	}
}

// TestACLsAreSetOnlyOnWhatWasSeen has somebody store another object while an ACL is set, which is to be stored with the object that
// was looked at, and not instead of the other one.
func TestACLsAreSetOnlyOnWhatWasSeen(t *testing.T) {
	const at = "1700000000.00000"
	acl := `{"Owner":"test:tester","Grant":[{"Permission":"FULL_CONTROL","Grantee":"test:tester"}]}`
	for _, test := range []struct {
		name    string
		code    int // of Swift's answer to what depends on the data
		link    string
		want    []string // times on which writes depend
		status  int
		message string
	}{
		{"nobody", 201, "", []string{at}, 200, ""},
		{"before", 412, "", []string{at}, 503, "ServiceUnavailable"},
		{"at the same time", 409, "", []string{at}, 503, "ServiceUnavailable"},
		{"it is in doubt", 503, "", []string{at}, 503, "ServiceUnavailable"},
		{"nodes promise nothing", 501, "", []string{at, ""}, 200, ""},
		{"a link of Swift's", 412, "/v1/AUTH_test/other/key", []string{""}, 200, ""},
	} {
		for _, large := range []string{"", "True"} {
			b := newBench(t, "s3_acl = true")
			b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204, Header: map[string]string{bucketACLHeader: acl}})
			object := middlewaretest.Answer{Header: map[string]string{objectACLHeader: acl, "X-Static-Large-Object": large, "Etag": etag,
				"Content-Location": test.link, "X-Timestamp": at}}
			b.On("GET /v1/AUTH_test/bucket/key", object)
			b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				for name, v := range object.Header {
					w.Header().Set(name, v)
				}
				w.Header().Set("X-Backend-Data-Timestamp", "1600000000.00000") // of an old copy
				if r.Header.Get("X-Newest") == "true" {
					w.Header().Set("X-Backend-Data-Timestamp", at)
				}
			}})
			var depends []string
			b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				on := r.Header.Get(ifDataTimestamp)
				depends = append(depends, on)
				if on == "" {
					w.WriteHeader(http.StatusCreated)
					return
				}
				w.WriteHeader(test.code)
			}})
			r := b.do("PUT", "/bucket/key?acl", middlewaretest.Header("x-amz-acl", "public-read"))
			b.want(r, test.status, test.message)
			if strings.Join(depends, ",") != strings.Join(test.want, ",") {
				t.Errorf("%s (large: %s): writes depend on the times %q, want %q", test.name, large, depends, test.want)
			}
		}
	}
}
