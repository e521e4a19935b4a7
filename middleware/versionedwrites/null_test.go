package versionedwrites_test

import (
	"net/http"
	"strings"
	"testing"
)

// link says whether that is the PUT of an object under its own name.
func link(r *http.Request) bool { return r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/k") }

// fails has an upload fail, when what it was to replace has been kept.
func (k key) fails() {
	k.t.Helper()
	version := func(r *http.Request) bool {
		return r.Method == "PUT" && strings.Contains(r.URL.Path, "\x00") && r.Header.Get("X-Timestamp") != "" // a copy has none
	}
	k.once(version, func(*http.Request) int { return 503 })
	k.s3(503, "PUT", "", "in vain")
}

// TestNullVersionsDoNotComeBack lets an upload fail that has kept the null version already. When that is deleted, or replaced,
// then there is none any more.
func TestNullVersionsDoNotComeBack(t *testing.T) {
	newKey := newKeys(t)
	for _, changed := range []bool{false, true} {
		for _, test := range []struct {
			name  string
			do    func(k key)
			lists string
			code  int
			body  string
		}{
			{"deleted", func(k key) { k.s3(204, "DELETE", "?version-id=null", "") }, "", 404, ""},
			{"replaced by one", func(k key) { k.versioning("false"); k.put("1") }, "null latest", 200, "1"},
			{"replaced, and that deleted", func(k key) {
				k.versioning("false")
				k.put("1")
				k.s3(204, "DELETE", "?version-id=null", "")
			}, "", 404, ""},
			{"replaced by a marker", func(k key) { k.versioning("false"); k.s3(204, "DELETE", "", "") }, "null marker latest", 404, ""},
			{"replaced by a marker, and that deleted", func(k key) {
				k.versioning("false")
				k.s3(204, "DELETE", "", "")
				k.s3(204, "DELETE", "?version-id=null", "")
			}, "", 404, ""},
			{"replaced by a version, and deleted", func(k key) {
				id := k.put("1")
				k.s3(204, "DELETE", "?version-id=null", "")
				k.lists("the version", id+" latest")
				k.s3(204, "DELETE", "?version-id="+id, "")
			}, "", 404, ""},
		} {
			what := test.name
			if changed {
				what += ", with other metadata"
			}
			k := newKey(strings.ReplaceAll(what, " ", "-"))
			k.put("0")
			k.versioning("true")
			k.fails()
			if changed {
				for range 2 {
					k.s3(202, "POST", "", "", "X-Object-Meta-A", "b")
					k.lists(what+", before", "null latest")
					k.fails()
				}
				k.s3(202, "POST", "", "", "X-Object-Meta-A", "c")
			}
			k.lists(what+", before", "null latest")
			test.do(k)
			k.lists(what, test.lists)
			k.reads(what, "?version-id=null", test.code, test.body)
		}
	}
}

// TestOvertakenUploadReplacesNoNullVersion has the nodes have something newer.
func TestOvertakenUploadReplacesNoNullVersion(t *testing.T) {
	k := newKeys(t)("c")
	k.put("0")
	k.versioning("true")
	id := k.put("1")
	k.versioning("false")
	k.once(link, func(*http.Request) int { return 202 })
	if got := k.s3(202, "PUT", "", "2").Header.Get("X-Object-Version-Id"); got != "" {
		t.Errorf("what was overtaken is version %q", got)
	}
	k.reads("what is not replaced", "?version-id=null", 200, "0")
	k.lists("overtaken", id+" latest, null")
}
