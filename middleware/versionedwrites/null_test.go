package versionedwrites_test

import (
	"net/http"
	"strings"
	"testing"
)

// link says whether that is the PUT of an object under its own name.
func link(r *http.Request) bool { return r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/k") }

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
