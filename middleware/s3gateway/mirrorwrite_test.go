package s3gateway_test

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
)

// canned answers requests of a method, whose query begins with a text, by a document.
func canned(method, query string, status int, document string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.HasPrefix(r.URL.RawQuery, query) {
			return false
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		io.WriteString(w, document)
		return true
	}
}

func contentMD5(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// deleteMany deletes with a document.
func (g *gateway) deleteMany(want any, document string) answer {
	g.t.Helper()
	return g.want(want, "POST", "/photos?delete", document, "Content-MD5", contentMD5(document))
}

func TestAMirrorTellsWhatAnOldStoreDoesNotDelete(t *testing.T) {
	g, fresh, old := newMirror(t)
	for _, key := range []string{"a", "b"} {
		old.want(200, "PUT", "/photos/"+key, "old")
		fresh.want(200, "PUT", "/photos/"+key, "new")
	}
	old.meet(canned("POST", "delete", 200, `<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Deleted><Key>a</Key></Deleted>`+
		`<Error><Key>b</Key><Code>AccessDenied</Code><Message>Not &lt;this&gt;.</Message></Error></DeleteResult>`))
	both := "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>"
	a := g.deleteMany(200, both)
	if got := between(a.body, "<Error>", "</Error>"); got != "<Key>b</Key><Code>AccessDenied</Code><Message>Not &lt;this&gt;.</Message>" {
		t.Errorf("what was not deleted is %q of %s", got, a.body)
	}
	if got := between(a.body, "<Deleted>", "</Deleted>"); !strings.Contains(got, "<Key>a</Key>") || strings.Contains(a.body, "<Key>b</Key></Deleted>") {
		t.Errorf("what was deleted is %q of %s", got, a.body)
	}
	fresh.want(404, "HEAD", "/photos/a", "")
	g.has("/photos/b", "new")

	// Nothing is left to be deleted at the new store.
	fresh.requests()
	a = g.deleteMany(200, "<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>")
	if got := names(a.body, "Code"); len(got) != 1 || got[0] != "AccessDenied" {
		t.Errorf("what was not deleted is %q of %s", got, a.body)
	}
	if seen := fresh.requests(); len(seen) > 0 {
		t.Errorf("the new store was asked %v", seen)
	}

	// What is not there is as good as deleted.
	old.meet(canned("POST", "delete", 200, `<DeleteResult><Error><Key>b</Key><Code>NoSuchKey</Code><Message>No.</Message></Error></DeleteResult>`))
	if a := g.deleteMany(200, "<Delete><Object><Key>b</Key></Object></Delete>"); strings.Contains(a.body, "<Error>") {
		t.Errorf("not deleted: %s", a.body)
	}
	fresh.want(404, "HEAD", "/photos/b", "")

	// A store may fail when it has begun to answer.
	fresh.want(200, "PUT", "/photos/b", "new")
	old.meet(canned("POST", "delete", 200, "  <Error><Code>SlowDown</Code><Message>Later.</Message></Error>"))
	g.deleteMany("SlowDown", both)
	old.meet(canned("POST", "delete", 200, "<DeleteResult><Deleted>"))
	g.deleteMany("InternalError", both)
	g.deleteMany("MalformedXML", "<Delete><Object>")
	g.has("/photos/b", "new")
}
