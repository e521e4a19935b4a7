package s3api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestACLsOfVersions changes the ACL of one version after the other: that of no other changes, none becomes another version, and
// what they hold stays.
func TestACLsOfVersions(t *testing.T) {
	b := newCluster(t).bucket("version-acls")
	b.put("k", "null")
	b.enable()
	first := b.put("k", "one")
	b.multipart("k", "two", nil, 200)
	second := strings.Fields(b.get("k", ""))[0]
	third := b.put("k", "three")
	marker := strings.TrimPrefix(b.remove("k", ""), "marker ")
	fourth := b.put("k", "four")
	before := b.s3(owner, "GET", "/version-acls?versions", nil, "").body
	bodies := map[string]string{"null": "null", first: "one", second: "two", third: "three", fourth: "four"}
	readable := map[string]bool{}
	check := func(what string) {
		t.Helper()
		for version, body := range bodies {
			a := b.s3(guest, "GET", b.path("k", version), nil, "")
			if want := map[bool]int{true: 200, false: 403}[readable[version]]; a.status != want || want == 200 && a.body != body {
				t.Errorf("%s: a guest who reads %s gets %d %q, want %d", what, version, a.status, a.body, want)
			}
			grants := b.want(200, "its ACL", owner, "GET", b.path("k", version)+"&acl", nil, "").body
			if strings.Contains(grants, "AllUsers") != readable[version] {
				t.Errorf("%s: the ACL of %s: %s", what, version, grants)
			}
			is(t, what, b.get("k", version), version+" "+body)
		}
	}
	check("at first")
	for version := range bodies {
		b.want(200, "an ACL", owner, "PUT", b.path("k", version)+"&acl", headers("x-amz-acl", "public-read"), "")
		readable[version] = true
		check("public " + version)
	}
	for _, version := range []string{second, "null"} {
		b.want(200, "another ACL", owner, "PUT", b.path("k", version)+"&acl", headers("x-amz-acl", "private"), "")
		readable[version] = false
		check("private " + version)
	}
	// Without an id it is the current version's.
	b.want(200, "another ACL", owner, "PUT", b.path("k", "")+"?acl", headers("x-amz-acl", "private"), "")
	readable[fourth] = false
	check("the current one")
	is(t, "the list", b.s3(owner, "GET", "/version-acls?versions", nil, "").body, before)

	for what, a := range map[string]struct{ version, want string }{
		"a delete marker": {marker, "MethodNotAllowed"}, "no version": {"1.5", "NoSuchVersion"}, "no id": {"nope", "InvalidArgument"},
	} {
		b.want(a.want, what, owner, "GET", b.path("k", a.version)+"&acl", nil, "")
		b.want(a.want, what, owner, "PUT", b.path("k", a.version)+"&acl", headers("x-amz-acl", "private"), "")
	}
	if a := b.s3(owner, "GET", b.path("k", marker)+"&acl", nil, ""); a.status != 405 || a.header.Get("x-amz-delete-marker") != "true" {
		t.Errorf("the ACL of a marker: %d %v", a.status, a.header)
	}
	b.suspend()
	b.put("k", "five")
	b.want(200, "an ACL", owner, "PUT", b.path("k", "null")+"&acl", headers("x-amz-acl", "public-read"), "")
	is(t, "the null version", b.s3(guest, "GET", b.path("k", "null"), nil, "").body, "five")
	is(t, "the null version", b.get("k", ""), "null five")
	b.remove("k", fourth)
	b.want("NoSuchVersion", "what is deleted", owner, "PUT", b.path("k", fourth)+"&acl", headers("x-amz-acl", "private"), "")
	b.want("NoSuchVersion", "what is deleted", owner, "GET", b.path("k", fourth)+"&acl", nil, "")
}

// TestACLOfANullVersionThatIsCurrent sets it in a bucket that keeps versions since the object was stored: no other version is made.
func TestACLOfANullVersionThatIsCurrent(t *testing.T) {
	b := newCluster(t).bucket("null-acls")
	list := func() string { return b.s3(owner, "GET", "/null-acls?versions", nil, "").body }
	for key, store := range map[string]func(key, body string){
		"in parts": func(key, body string) { b.multipart(key, body, nil, 200) }, "whole": func(key, body string) { b.put(key, body) },
	} {
		store(key, "old")
		b.enable()
		before, tag := list(), b.etag(key)
		b.want(200, "an ACL", owner, "PUT", b.path(key, "")+"?acl", headers("x-amz-acl", "public-read"), "")
		is(t, key, list(), before)
		is(t, key, b.get(key, ""), "null old")
		is(t, key, b.etag(key), tag)
		is(t, key, b.s3(guest, "GET", b.path(key, ""), nil, "").body, "old")
		b.want(200, "by its id", owner, "PUT", b.path(key, "null")+"&acl", headers("x-amz-acl", "private"), "")
		b.want("AccessDenied", "private again", guest, "GET", b.path(key, ""), nil, "")
		b.want(200, "an ACL", owner, "PUT", b.path(key, "")+"?acl", headers("x-amz-acl", "public-read"), "")
		is(t, key, list(), before)

		// What is stored next replaces it, however close the times are.
		newer := b.put(key, "new")
		is(t, key, b.get(key, ""), newer+" new")
		is(t, key, b.get(key, "null"), "null old")
		is(t, key, b.s3(guest, "GET", b.path(key, "null"), nil, "").body, "old")
		is(t, key, strings.Join(b.list(1000, ""), ","), key+"@"+newer+" latest,"+key+"@null")
		b.suspend()
		store(key, "suspended")
		before = list()
		b.want(200, "an ACL", owner, "PUT", b.path(key, "")+"?acl", headers("x-amz-acl", "public-read"), "")
		is(t, key, list(), before)
		is(t, key, b.s3(guest, "GET", b.path(key, ""), nil, "").body, "suspended")
		b.remove(key, "null")
		is(t, key, b.get(key, ""), newer+" new")
		b.remove(key, newer)
		b.lists("all deleted")
	}
}

// TestNoUploadIsLostToAnACL sets ACLs while the object is replaced, in buckets of each kind: what is stored last is what is read.
func TestNoUploadIsLostToAnACL(t *testing.T) {
	c := newCluster(t)
	for _, kind := range kindsOfBuckets {
		t.Run(kind.name, func(t *testing.T) {
			sub := &cluster{t, c.addr}
			b := sub.bucket("acl-race-" + kind.name)
			kind.make(b)
			b.put("k", "0")
			for round := range 12 {
				body := fmt.Sprint("round ", round)
				var both sync.WaitGroup
				both.Go(func() {
					a := b.s3(owner, "PUT", b.path("k", "")+"?acl", headers("x-amz-acl", "public-read"), "")
					if a.status != 200 && a.status != 503 {
						t.Errorf("round %d: the ACL: %d %s", round, a.status, a.body)
					}
				})
				both.Go(func() { b.s3(owner, "PUT", b.path("k", ""), nil, body) })
				both.Wait()
				is(t, "what was stored", b.s3(owner, "GET", b.path("k", ""), nil, "").body, body)
			}
		})
	}
}
