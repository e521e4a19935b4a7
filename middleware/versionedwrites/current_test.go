package versionedwrites_test

import (
	"net/http"
	"strings"
	"testing"
)

// gone says whether that is the DELETE of a version.
func gone(r *http.Request) bool { return r.Method == "DELETE" && strings.Contains(r.URL.Path, "\x00") }

// TestNoLinkLeadsToNothing deletes a version while the name is being linked to it, as restoring one after the deletion of
// another does. Then the next older one can be restored.
func TestNoLinkLeadsToNothing(t *testing.T) {
	newKey := newKeys(t)
	for _, test := range []struct {
		name string
		do   func(k key, id string)
	}{
		{"deleted before the link is put", func(k key, id string) {
			k.once(link, func(*http.Request) int {
				if left := k.s3(204, "DELETE", "?version-id="+id, "").Header.Get("X-Object-Current-Version-Id"); left != "null" {
					t.Errorf("the deletion says that %q is current", left)
				}
				return 0
			})
			k.s3(404, "PUT", "?version-id="+id, "", "If-None-Match", "*")
		}},
		{"linked to before it is deleted", func(k key, id string) {
			k.once(gone, func(*http.Request) int {
				k.s3(201, "PUT", "?version-id="+id, "", "If-None-Match", "*")
				return 0
			})
			if left := k.s3(204, "DELETE", "?version-id="+id, "").Header.Get("X-Object-Current-Version-Id"); left != "null" {
				t.Errorf("the deletion says that %q is current", left)
			}
		}},
	} {
		k := newKey(strings.ReplaceAll(test.name, " ", "-"))
		k.versioning("true")
		first, second, third := k.put("1"), k.put("2"), k.put("3")
		k.s3(204, "DELETE", "?version-id="+third, "")
		test.do(k, second)
		k.node.do(404, "HEAD", k.container+"/k", nil, "")
		k.s3(201, "PUT", "?version-id="+first, "", "If-None-Match", "*")
		k.reads(test.name, "", 200, "1")
		k.lists(test.name, first+" latest")
	}
}

// TestReplacedWhileMadeCurrent has an object stored without versions, or deleted, while a version is made current: what
// replaces it is what it has seen, or it is kept.
func TestReplacedWhileMadeCurrent(t *testing.T) {
	k := newKeys(t)("c")
	k.put("0")
	k.versioning("true")
	id := k.put("1")
	k.once(link, func(*http.Request) int {
		k.node.do(201, "PUT", k.container+"/k", nil, "between")
		return 0
	})
	k.s3(201, "PUT", "?version-id="+id, "")
	k.reads("the version", "", 200, "1")
	k.reads("what was stored meanwhile", "?version-id=null", 200, "between")
	k.once(link, func(*http.Request) int {
		k.node.do(204, "DELETE", k.container+"/k", nil, "")
		return 0
	})
	k.s3(201, "PUT", "?version-id="+id, "")
	k.reads("after a deletion", "", 200, "1")
	for _, code := range []int{409, 412, 503} {
		k.once(link, func(*http.Request) int { return code })
		want := 201
		if code == 503 {
			want = 503 // in doubt
		}
		k.s3(want, "PUT", "?version-id="+id, "")
	}
	k.once(link, func(r *http.Request) int {
		if r.Header.Get("X-Backend-If-Data-Timestamp") == "" {
			t.Error("there is no condition")
		}
		return 501
	})
	k.s3(201, "PUT", "?version-id="+id, "")
}

// TestDeletedWhileItIsKept deletes the null version while an upload keeps and replaces it.
func TestDeletedWhileItIsKept(t *testing.T) {
	k := newKeys(t)("c")
	k.put("0")
	k.versioning("true")
	id := ""
	k.once(func(r *http.Request) bool { return r.Method == "DELETE" }, func(*http.Request) int {
		id = k.put("1")
		return 0
	})
	k.s3(204, "DELETE", "?version-id=null", "")
	k.lists("deleted", id+" latest")
	k.reads("deleted", "?version-id=null", 404, "")
	k.reads("the version", "", 200, "1")
}

// TestMadeCurrentIsListedAsItWas lists a large object, and a link, that has been made current as it was listed when it was stored.
func TestMadeCurrentIsListedAsItWas(t *testing.T) {
	k := newKeys(t)("c")
	const md5Part = "9db120e8880f33acf4ddeb40892c390c"
	k.user.do(201, "PUT", k.container+"/part", nil, "a part")
	k.versioning("true")
	for _, test := range []struct {
		name, query, body string
		header            map[string]string
	}{
		{"large object", "?multipart-manifest=put", `[{"path": "/c/part"}, {"path": "/c/part"}]`, map[string]string{"Content-Type": "text/x"}},
		{"static link", "", "", map[string]string{"X-Symlink-Target": "c/part", "X-Symlink-Target-Etag": md5Part}},
		{"link", "", "", map[string]string{"X-Symlink-Target": "c/part"}},
		{"plain object", "", "plain", map[string]string{"Content-Type": "text/x"}},
	} {
		row := func() map[string]any {
			for _, e := range k.user.entries(k.container + "?format=json&prefix=k") {
				delete(e, "last_modified")
				return e
			}
			return nil
		}
		id := k.user.do(201, "PUT", k.container+"/k"+test.query, test.header, test.body).Header.Get("X-Object-Version-Id")
		stored, read := row(), k.user.do(200, "GET", k.container+"/k", nil, "")
		k.user.do(201, "PUT", k.container+"/k", nil, "another")
		k.user.do(201, "PUT", k.container+"/k?version-id="+id, nil, "")
		if got := k.user.do(200, "GET", k.container+"/k", nil, ""); got.Body != read.Body || got.Header.Get("Etag") != read.Header.Get("Etag") {
			t.Errorf("%s: read as %q %s, was %q %s", test.name, got.Body, got.Header.Get("Etag"), read.Body, read.Header.Get("Etag"))
		}
		for name, want := range stored {
			if got := row()[name]; got != want {
				t.Errorf("%s: %s is listed as %v, was %v", test.name, name, got, want)
			}
		}
		if got := row(); len(got) != len(stored) {
			t.Errorf("%s: listed as %v, was %v", test.name, got, stored)
		}
	}
}
