package s3api

import (
	"encoding/xml"
	"net/http"
	"slices"
	"testing"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
	"github.com/apus-storage/apus/middleware/s3api/s3acl"
)

// newGrantBench is a bench with s3_acl, whose user owns the account as the test says.
func newGrantBench(t *testing.T, toml string, owns bool) *bench {
	b := newBench(t, "s3_acl = true\n"+toml)
	b.authorize = func(r *http.Request) error {
		request.From(r.Context()).Owner = owns
		return nil
	}
	return b
}

// withACL is an answer with an ACL.
func withACL(header, acl string) middlewaretest.Answer {
	h := map[string]string{}
	if acl != "" {
		h[header] = acl
	}
	return middlewaretest.Answer{Code: 200, Header: h}
}

const (
	oldBucketACL = "X-Container-Sysmeta-Swift3-Acl"
	oldObjectACL = "X-Object-Sysmeta-Swift3-Acl"
)

// bucketNames are the names in a list of buckets.
func bucketNames(doc string) []string {
	var list bucketList
	_ = xml.Unmarshal([]byte(doc), &list)
	var names []string
	for _, b := range list.Buckets {
		names = append(names, b.Name)
	}
	return names
}

func TestWhatNobodyOwns(t *testing.T) {
	for _, tc := range []struct {
		toml         string
		owns         bool
		read, remove int // of the bucket
	}{
		{"", true, 403, 403},
		{"allow_no_owner = true", false, 200, 403},
		{"allow_no_owner = true", true, 200, 204},
	} {
		b := newGrantBench(t, tc.toml, tc.owns)
		b.On("HEAD /v1/AUTH_test/bucket", withACL("", "")).On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 200, Body: "[]"})
		b.On("DELETE /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204}).On("GET /v1/AUTH_test/bucket/o", middlewaretest.Answer{Code: 200, Body: "x"})
		for target, want := range map[string]int{"/bucket": tc.read, "/bucket/o": tc.read} {
			if r := b.do("GET", target); r.Code != want {
				t.Errorf("%+v: %s: got %d %s", tc, target, r.Code, r.Body)
			}
		}
		if r := b.do("DELETE", "/bucket"); r.Code != tc.remove {
			t.Errorf("%+v: deletion: got %d %s", tc, r.Code, r.Body)
		}
		// Who owns the account takes over what nobody owns.
		b.Forget()
		b.On("POST /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
		r := b.do("PUT", "/bucket?acl", middlewaretest.Header("X-Amz-Acl", "private"))
		taken := r.Code == 200 && b.Last().Header.Get(bucketACLHeader) == s3acl.Private(testKey).Encode()
		if want := tc.owns && tc.toml != ""; taken != want {
			t.Errorf("%+v: taken over: %v, %d %s", tc, taken, r.Code, r.Body)
		}
	}
}

func TestOldNamesAndBadACLs(t *testing.T) {
	mine, others := s3acl.Private(testKey).Encode(), s3acl.Private("other:user").Encode()
	for _, tc := range []struct {
		name     string
		now, old string
		status   int
		code     string
	}{
		{"the old name", "", mine, 200, ""},
		{"another's under the old name", "", others, 403, "AccessDenied"},
		{"the new name counts", others, mine, 403, "AccessDenied"},
		{"the new name counts even if it is empty", "[]", mine, 403, "AccessDenied"},
		{"what cannot be read", `{"Owner":`, "", 500, "InternalError"},
		{"a permission that does not exist", `{"Owner":"test:tester","Grant":[{"Permission":"ALL","Grantee":"AllUsers"}]}`, "", 500, "InternalError"},
	} {
		b := newGrantBench(t, "", true)
		container, object := withACL(bucketACLHeader, tc.now), withACL(objectACLHeader, tc.now)
		if tc.old != "" {
			container.Header[oldBucketACL] = tc.old
			object.Header[oldObjectACL] = tc.old
		}
		b.On("HEAD /v1/AUTH_test/bucket", container).On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 200, Body: "[]"})
		b.On("GET /v1/AUTH_test/bucket/o", object).On("HEAD /v1/AUTH_test/bucket/o", object)
		for _, target := range []string{"/bucket", "/bucket/o", "/bucket/o?acl"} {
			if r := b.do("GET", target); r.Code != tc.status || code(r) != tc.code {
				t.Errorf("%s: %s: got %d %s", tc.name, target, r.Code, r.Body)
			}
		}
	}
}

func TestExpectedOwnerIsThatOfTheACL(t *testing.T) {
	b := newGrantBench(t, "", true)
	b.On("HEAD /v1/AUTH_test/bucket", withACL(bucketACLHeader, s3acl.Private(testKey).Encode()))
	b.On("GET /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 200, Body: "[]"})
	b.want(b.do("GET", "/bucket", middlewaretest.Header("X-Amz-Expected-Bucket-Owner", testKey)), 200, "")
	b.want(b.do("GET", "/bucket", middlewaretest.Header("X-Amz-Expected-Bucket-Owner", "AUTH_test")), 403, "AccessDenied")
}

// TestANewBucketIsNotOverwritten: the ACL goes to a bucket only once it is known to be new.
func TestANewBucketIsNotOverwritten(t *testing.T) {
	b := newGrantBench(t, "", true)
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 404}, withACL(bucketACLHeader, s3acl.Private("other:user").Encode()))
	b.On("PUT /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 202})
	b.want(b.do("PUT", "/bucket"), 409, "BucketAlreadyExists")
	for _, call := range b.Calls() {
		if call.Header.Get(bucketACLHeader) != "" {
			t.Errorf("%s %s sets the ACL of somebody else's bucket", call.Method, call.URI)
		}
	}
	b = newGrantBench(t, "", true)
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 404})
	b.On("PUT /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 201}).On("POST /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 503})
	b.On("DELETE /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	b.want(b.do("PUT", "/bucket"), 503, "ServiceUnavailable")
	if last := b.Last(); last.Method != "DELETE" {
		t.Errorf("a bucket that nobody owns is left: %s %s", last.Method, last.URI)
	}
	b = newGrantBench(t, "", false)
	b.want(b.do("PUT", "/bucket"), 403, "AccessDenied")
	if calls := b.Calls(); len(calls) > 0 {
		t.Errorf("who does not own the account sent %v", calls)
	}
}

func TestOnlyOwnBucketsAreListed(t *testing.T) {
	for toml, want := range map[string][]string{"": {"mine", "others", "nobodys"}, "check_bucket_owner = true": {"mine"}} {
		b := newGrantBench(t, toml, true)
		b.On("GET /v1/AUTH_test", middlewaretest.Answer{Code: 200, Body: `[{"name":"mine"},{"name":"others"},{"name":"nobodys"}]`})
		b.On("HEAD /v1/AUTH_test/mine", withACL(bucketACLHeader, s3acl.Private(testKey).Encode()))
		b.On("HEAD /v1/AUTH_test/others", withACL(bucketACLHeader, s3acl.Private("other:user").Encode()))
		b.On("HEAD /v1/AUTH_test/nobodys", withACL("", ""))
		r := b.do("GET", "/")
		if got := bucketNames(r.Body); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", toml, got, want)
		}
	}
}

func TestWhatACallCovers(t *testing.T) {
	object := call{on: resource{bucket: "b", key: "k/l"}, source: resource{bucket: "s", key: "o"}}
	container := call{on: resource{bucket: "b"}}
	const hidden = "/v1/a/\x00versions\x00b"
	for path, want := range map[string][2]bool{
		"/v1/a/b/k/l": {true, false}, "/v1/a/b": {false, true}, "/v1/a/b/k": {false, false}, "/v1/a/s/o": {true, false}, "/v1/a/s/p": {false, false},
		"/v1/x/b/k/l": {false, false}, "/v1/x/b": {false, false}, "/v1/a": {false, false}, "/v1/a/b+segments": {false, false},
		"/v1/a/b+segments/k/l/id/1": {true, false}, "/v1/a/b+segments/k/l/id": {false, false}, "/v1/a/b+segments/k/l/id/x": {false, false},
		"/v1/a/b+segments/k/l/m/id/1": {false, false}, "/v1/a/b+segments/k/id/1": {false, false}, "/v1/a/s+segments/o/id/2": {true, false},
		hidden: {true, true}, hidden + "/\x00k/l\x00123": {true, false}, hidden + "/\x00k\x00123": {false, false}, "/v1/a/\x00versions\x00c": {false, false},
		"/v1/a/\x00other\x00b": {false, false}, "b": {false, false},
	} {
		if got := [2]bool{object.covers(path, "a"), container.covers(path, "a")}; got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
}

func TestNobodyMayDoWhatAllMay(t *testing.T) {
	acl := func(permission s3acl.Permission, to s3acl.Grantee) string {
		return s3acl.ACL{Owner: testKey, Grants: []s3acl.Grant{{Permission: permission, Grantee: to}}}.Encode()
	}
	b := newGrantBench(t, `anonymous_account = "AUTH_test"`, true)
	b.On("HEAD /v1/AUTH_test/public", withACL(bucketACLHeader, acl(s3acl.FullControl, s3acl.AllUsers)))
	b.On("HEAD /v1/AUTH_test/users", withACL(bucketACLHeader, acl(s3acl.FullControl, s3acl.AuthenticatedUsers)))
	for _, name := range []string{"public", "users"} {
		b.On("GET /v1/AUTH_test/"+name, middlewaretest.Answer{Code: 200, Body: "[]"})
		b.On("GET /v1/AUTH_test/"+name+"/o", withACL(objectACLHeader, acl(s3acl.Read, s3acl.AllUsers)))
		b.On("GET /v1/AUTH_test/"+name+"/p", withACL(objectACLHeader, acl(s3acl.Read, s3acl.AuthenticatedUsers)))
		b.On("PUT /v1/AUTH_test/"+name+"/new", middlewaretest.Answer{Code: 201})
	}
	for _, tc := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/public", 200}, {"GET", "/users", 403}, {"GET", "/public/o", 200}, {"GET", "/users/o", 200}, {"GET", "/public/p", 403},
		{"DELETE", "/public", 403}, {"PUT", "/another", 403}, {"PUT", "/users/new", 403}, {"PUT", "/public/new", 200},
	} {
		r := middlewaretest.Do(t, b.h, tc.method, tc.target, middlewaretest.Body("x"))
		if r.Code != tc.status {
			t.Errorf("%s %s: got %d %s, want %d", tc.method, tc.target, r.Code, r.Body, tc.status)
		}
	}
	// What nobody has signed is that of the bucket's owner.
	if got, want := b.Last().Header.Get(objectACLHeader), s3acl.Private(testKey).Encode(); got != want {
		t.Errorf("stored with %s, want %s", got, want)
	}
}
