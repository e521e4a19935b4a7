package s3gateway_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
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

func TestWhatIsDeletedWhileItIsCopiedStaysAway(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	// meanwhile runs a read, has it wait for a deletion, and looks that nothing has come back.
	run := func(t *testing.T, g *gateway, fresh, old *store, reached <-chan struct{}, resume func(deleted <-chan struct{}), remove func()) {
		t.Helper()
		var all sync.WaitGroup
		all.Go(func() { g.has("/photos/x", big) })
		<-reached
		deleted := make(chan struct{})
		all.Go(func() {
			defer close(deleted)
			remove()
		})
		resume(deleted)
		all.Wait()
		g.settle()
		fresh.want(404, "HEAD", "/photos/x", "")
		old.want(404, "HEAD", "/photos/x", "")
		g.want("NoSuchKey", "GET", "/photos/x", "")
	}
	start := func(t *testing.T) (g *gateway, fresh, old *store, reached, goOn chan struct{}) {
		g, fresh, old = newMirror(t)
		old.want(200, "PUT", "/photos/x", big)
		return g, fresh, old, make(chan struct{}), make(chan struct{})
	}
	t.Run("when half of it has come", func(t *testing.T) {
		g, fresh, old, reached, goOn := start(t)
		old.meet(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			io.WriteString(w, big[:len(big)/2])
			http.NewResponseController(w).Flush()
			old.meet(nil)
			<-goOn
			io.WriteString(w, big[len(big)/2:])
			return true
		})
		fresh.meet(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				fresh.meet(nil)
				close(reached)
			}
			return false
		})
		run(t, g, fresh, old, reached, func(deleted <-chan struct{}) {
			<-deleted // which does not wait for who reads
			close(goOn)
		}, func() { g.want(204, "DELETE", "/photos/x", "") })
	})
	t.Run("when the old store has been asked", func(t *testing.T) {
		g, fresh, old, reached, goOn := start(t)
		old.meet(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			old.meet(nil)
			close(reached)
			<-goOn
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			io.WriteString(w, big)
			return true
		})
		run(t, g, fresh, old, reached, func(deleted <-chan struct{}) {
			<-deleted
			close(goOn)
		}, func() { g.deleteMany(200, "<Delete><Object><Key>x</Key></Object></Delete>") })
	})
	t.Run("while it is deleted at the old store", func(t *testing.T) {
		g, fresh, old := newMirror(t)
		old.want(200, "PUT", "/photos/x", big)
		old.meet(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				old.meet(nil)
				g.has("/photos/x", big)
				g.has("/photos/x", big)
			}
			return false
		})
		g.want(204, "DELETE", "/photos/x", "")
		g.want("NoSuchKey", "GET", "/photos/x", "")
		g.settle()
		fresh.want(404, "HEAD", "/photos/x", "")
	})
	t.Run("when the new store has all", func(t *testing.T) {
		g, fresh, old, reached, goOn := start(t)
		fresh.meet(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				fresh.meet(nil)
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				close(reached)
				<-goOn
			}
			return false
		})
		asked := make(chan struct{})
		old.meet(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				close(asked)
			}
			return false
		})
		run(t, g, fresh, old, reached, func(<-chan struct{}) {
			g.await(2)
			select {
			case <-asked:
				t.Error("the old store's was deleted before the copy had come to its end")
			default:
			}
			close(goOn)
		}, func() { g.want(204, "DELETE", "/photos/x", "") })
	})
}

// TestWhatIsDeletedWhileItIsBrought has a write wait for the deletion, and find nothing then.
func TestWhatIsDeletedWhileItIsBrought(t *testing.T) {
	g, fresh, old := newMirror(t)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	old.want(200, "PUT", "/photos/x", big)
	old.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		old.meet(nil)
		w.Header().Set("Content-Length", fmt.Sprint(len(big)))
		io.WriteString(w, big[:len(big)/2])
		http.NewResponseController(w).Flush()
		<-r.Context().Done() // it is broken off, not waited for
		return true
	})
	reached := make(chan struct{})
	fresh.meet(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			fresh.meet(nil)
			close(reached)
		}
		return false
	})
	var all sync.WaitGroup
	all.Go(func() { g.want(200, "PUT", "/photos/x", "mine", "If-None-Match", "*") })
	<-reached
	g.want(204, "DELETE", "/photos/x", "")
	all.Wait()
	g.has("/photos/x", "mine")
	old.want(404, "HEAD", "/photos/x", "")
}

func TestAMirrorJudgesConditionsByWhatIsThere(t *testing.T) {
	g, fresh, old := newMirror(t)
	etag := func(body string) string {
		sum := md5.Sum([]byte(body))
		return `"` + hex.EncodeToString(sum[:]) + `"`
	}
	old.want(200, "PUT", "/photos/x", "old", "x-amz-meta-colour", "blue")
	g.want("PreconditionFailed", "PUT", "/photos/x", "mine", "If-None-Match", "*")
	if a := fresh.want(200, "GET", "/photos/x", ""); a.body != "old" || a.header.Get("X-Amz-Meta-Colour") != "blue" {
		t.Errorf("the new store has %v", a)
	}
	old.want(200, "PUT", "/photos/y", "old")
	g.want("PreconditionFailed", "PUT", "/photos/y", "mine", "If-Match", etag("other"))
	g.want(200, "PUT", "/photos/y", "mine", "If-Match", etag("old"))
	g.has("/photos/y", "mine")
	g.want(200, "PUT", "/photos/none", "mine", "If-None-Match", "*")

	// The old store's is another, and not what the condition is about.
	g.want("PreconditionFailed", "DELETE", "/photos/y", "", "If-Match", etag("old"))
	g.has("/photos/y", "mine")
	g.want(204, "DELETE", "/photos/y", "", "If-Match", etag("mine"))
	g.want("NoSuchKey", "GET", "/photos/y", "")
	old.want(200, "PUT", "/photos/z", "old")
	g.want("PreconditionFailed", "DELETE", "/photos/z", "", "If-Match", etag("other"))
	g.has("/photos/z", "old")
	g.want(204, "DELETE", "/photos/z", "", "If-Match", etag("old"))
	g.want("NoSuchKey", "GET", "/photos/z", "")
	old.want(200, "PUT", "/photos/z", "old")
	a := g.deleteMany(200, "<Delete><Object><Key>z</Key><ETag>"+etag("other")+"</ETag></Object></Delete>")
	if got := names(a.body, "Code"); len(got) != 1 || got[0] != "PreconditionFailed" {
		t.Errorf("got %s", a.body)
	}
	g.has("/photos/z", "old")
	if a := g.deleteMany(200, "<Delete><Object><Key>z</Key><ETag>"+etag("old")+"</ETag></Object></Delete>"); strings.Contains(a.body, "<Error>") {
		t.Errorf("got %s", a.body)
	}
	g.want("NoSuchKey", "GET", "/photos/z", "")

	// An upload in parts is judged at its end, a copy at once.
	for _, key := range []string{"parts", "copy"} {
		old.want(200, "PUT", "/photos/"+key, "old")
	}
	id := between(g.want(200, "POST", "/photos/parts?uploads", "").body, "<UploadId>", "</")
	part := g.want(200, "PUT", "/photos/parts?partNumber=1&uploadId="+id, "mine").header.Get("Etag")
	g.want("PreconditionFailed", "POST", "/photos/parts?uploadId="+id,
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+part+"</ETag></Part></CompleteMultipartUpload>", "If-None-Match", "*")
	g.want("PreconditionFailed", "PUT", "/photos/copy", "", "x-amz-copy-source", "/photos/x", "If-None-Match", "*")

	// It is too large to be brought.
	old.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(5<<30+1))
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	g.want("NotImplemented", "PUT", "/photos/huge", "mine", "If-None-Match", "*")
	old.meet(nil)

	// Nobody knows what is there.
	old.want(200, "PUT", "/photos/unknown", "old")
	old.meet(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	if a := g.do("PUT", "/photos/unknown", "mine", "If-None-Match", "*"); a.status < 500 {
		t.Errorf("stored: %v", a)
	}
	fresh.want(404, "HEAD", "/photos/unknown", "")
}

func TestAMirrorBringsWhatIsChanged(t *testing.T) {
	g, fresh, old := newMirror(t)
	for i, query := range []string{"tagging", "acl", "retention", "legal-hold"} {
		key := fmt.Sprintf("/photos/%d", i)
		old.want(200, "PUT", key, "old")
		there := 0
		fresh.meet(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut && r.URL.RawQuery == query+"=" || r.URL.RawQuery == query {
				there = fresh.do("HEAD", key, "").status
				return true
			}
			return false
		})
		g.want(200, "PUT", key+"?"+query, "<X/>", "Content-MD5", contentMD5("<X/>"))
		if there != 200 {
			t.Errorf("PUT ?%s: the object's status was %d then", query, there)
		}
	}
}

func TestAMirrorsObjectsCanBeCopiedElsewhere(t *testing.T) {
	fresh, old, far := newStore(t), newStore(t), newStore(t)
	g := newGateway(t, fresh.upstream("fresh"), old.upstream("old"), far.upstream("far"), clients,
		"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['fresh', 'old']\npolicy = 'mirror'\n",
		"[[filter.s3gateway.route]]\nbucket = 'far'\nupstreams = ['far']\n")
	for s, bucket := range map[*store]string{fresh: "/photos", old: "/photos", far: "/far"} {
		s.want(200, "PUT", bucket, "")
	}
	old.want(200, "PUT", "/photos/old", "old", "x-amz-meta-colour", "blue")
	old.want(200, "PUT", "/photos/new", "old")
	fresh.want(200, "PUT", "/photos/new", "new")
	g.want(200, "PUT", "/far/old", "", "x-amz-copy-source", "/photos/old")
	if a := far.want(200, "GET", "/far/old", ""); a.body != "old" || a.header.Get("X-Amz-Meta-Colour") != "blue" {
		t.Errorf("the copy is %v", a)
	}
	g.want(200, "PUT", "/far/new", "", "x-amz-copy-source", "/photos/new")
	far.has("/far/new", "new")
	g.want("NoSuchKey", "PUT", "/far/none", "", "x-amz-copy-source", "/photos/none")
	// What is no version of the new store's is not even the name of one at the old one.
	old.meet(canned("GET", "versionId", 400, "<Error><Code>InvalidArgument</Code><Message>Which?</Message></Error>"))
	g.want("NoSuchVersion", "PUT", "/far/none", "", "x-amz-copy-source", "/photos/new?versionId=1700000000.00000")
	old.meet(nil)

	// A store that does not take the gateway's key is no business of the client's, whether it is read or written.
	refusal := "<Error><Code>InvalidAccessKeyId</Code><Message>Whose?</Message></Error>"
	old.meet(canned("GET", "", 403, refusal))
	g.want("ServiceUnavailable", "PUT", "/far/other", "", "x-amz-copy-source", "/photos/old")
	old.meet(nil)
	far.meet(canned("PUT", "", 403, refusal))
	g.want("ServiceUnavailable", "PUT", "/far/other", "", "x-amz-copy-source", "/photos/old")
}

func TestAMirrorAsksEachOldStore(t *testing.T) {
	fresh, older, oldest := newStore(t), newStore(t), newStore(t)
	g := newGateway(t, fresh.upstream("fresh"), older.upstream("older"), oldest.upstream("oldest"), clients,
		"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['fresh', 'older', 'oldest']\npolicy = 'mirror'\n")
	for _, s := range []*store{fresh, older, oldest} {
		s.want(200, "PUT", "/photos", "")
	}
	oldest.want(200, "PUT", "/photos/x", "oldest")
	oldest.want(200, "PUT", "/photos/y", "oldest")
	g.want("PreconditionFailed", "PUT", "/photos/y", "mine", "If-None-Match", "*")
	g.has("/photos/x", "oldest")
	g.settle()
	fresh.has("/photos/x", "oldest")

	// One that does not say so may have it.
	older.meet(canned("GET", "", 503, ""))
	g.want(503, "GET", "/photos/z", "")
}
