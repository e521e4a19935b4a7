package s3gateway_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func newMirror(t *testing.T) (g *gateway, fresh, old *store) {
	t.Helper()
	fresh, old = newStore(t), newStore(t)
	g = newGateway(t, fresh.upstream("fresh"), old.upstream("old"), clients,
		"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['fresh', 'old']\npolicy = 'mirror'\n")
	fresh.want(200, "PUT", "/photos", "")
	old.want(200, "PUT", "/photos", "")
	return g, fresh, old
}

func TestAMirrorKeepsWhatItReads(t *testing.T) {
	g, fresh, old := newMirror(t)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	old.want(200, "PUT", "/photos/big", big, "x-amz-meta-colour", "blue", "Content-Type", "text/x-test")
	g.want(200, "HEAD", "/photos/big", "")
	if a := g.want(206, "GET", "/photos/big", "", "Range", "bytes=16-19"); a.body != "0123" {
		t.Errorf("a range is %q", a.body)
	}
	fresh.want(404, "HEAD", "/photos/big", "")
	g.has("/photos/big?x-id=GetObject", big)
	g.settle()
	fresh.has("/photos/big", big)
	if a := fresh.want(200, "HEAD", "/photos/big", ""); a.header.Get("X-Amz-Meta-Colour") != "blue" || a.header.Get("Content-Type") != "text/x-test" {
		t.Errorf("what was kept is %v", a)
	}
	old.requests()
	g.has("/photos/big", big)
	if seen := old.requests(); len(seen) > 0 {
		t.Errorf("the old store was asked again: %v", seen)
	}
	old.want(200, "PUT", "/photos/empty", "")
	g.has("/photos/empty", "")
	g.settle()
	fresh.has("/photos/empty", "")
	g.want("NoSuchKey", "GET", "/photos/none", "")
}

func TestAMirrorNeverKeepsAPart(t *testing.T) {
	g, fresh, old := newMirror(t)
	big := strings.Repeat("0123456789abcdef", 1<<18)
	old.want(200, "PUT", "/photos/big", big)

	// The old store breaks off.
	old.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", fmt.Sprint(len(big)))
			w.Write([]byte(big[:1<<20]))
			panic(http.ErrAbortHandler)
		}
		return false
	})
	r, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/big", nil)
	if err != nil {
		t.Fatal(err)
	}
	g.sign(r)
	if a, err := send(r); err == nil {
		t.Errorf("half an object came whole: %d, %d bytes", a.status, len(a.body))
	}
	fresh.want(404, "HEAD", "/photos/big", "")
	old.meet(nil)

	// The client goes away.
	r, err = http.NewRequestWithContext(t.Context(), "GET", g.url+"/photos/big", nil)
	if err != nil {
		t.Fatal(err)
	}
	g.sign(r)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	g.settle()
	if a := fresh.do("GET", "/photos/big", ""); a.status == 200 && a.body != big {
		t.Errorf("a part was kept: %d bytes", len(a.body))
	}

	// The new store refuses: the client gets what it asked for.
	fresh.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	old.want(200, "PUT", "/photos/other", big)
	g.has("/photos/other", big)
	if !strings.Contains(g.log.String(), "was not copied to the new one") {
		t.Error("nobody is told")
	}
}

func TestAMirrorDoesNotOverwriteWhatIsNewer(t *testing.T) {
	g, fresh, old := newMirror(t)
	old.want(200, "PUT", "/photos/x", "old")
	// It is written just when the gateway has found out that the new store has none.
	fresh.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*" {
			fresh.meet(nil)
			fresh.want(200, "PUT", "/photos/x", "new")
		}
		return false
	})
	g.want(200, "GET", "/photos/x", "")
	g.has("/photos/x", "new")
}

func TestWhatAMirrorDeletesStaysAway(t *testing.T) {
	g, fresh, old := newMirror(t)
	for _, key := range []string{"a", "b", "c"} {
		old.want(200, "PUT", "/photos/"+key, "old")
	}
	fresh.want(200, "PUT", "/photos/a", "new")
	g.want(204, "DELETE", "/photos/a", "")
	g.want("NoSuchKey", "GET", "/photos/a", "")
	g.want(200, "POST", "/photos?delete", "<Delete><Object><Key>b</Key></Object></Delete>", "Content-MD5", "saCew/2Dq5dQ6qnZCXppLg==")
	g.want("BadDigest", "POST", "/photos?delete", "<Delete><Object><Key>c</Key></Object></Delete>", "Content-MD5", "bxGp+9FsMCyzM5NoV7BzxQ==")
	g.has("/photos/c", "old")

	// The old store cannot be reached: the client hears so, and nothing is half done.
	old.meet(func(w http.ResponseWriter, _ *http.Request) bool { panic(http.ErrAbortHandler) })
	if a := g.do("DELETE", "/photos/c", ""); a.status < 500 {
		t.Errorf("deleted: %v", a)
	}
	old.meet(nil)
	g.has("/photos/c", "old")
	g.want("BucketNotEmpty", "DELETE", "/photos", "")
}

func TestAMirrorCopiesWhatOnlyTheOldStoreHas(t *testing.T) {
	g, fresh, old := newMirror(t)
	old.want(200, "PUT", "/photos/source", "the bytes")
	g.want(200, "PUT", "/photos/copy", "", "x-amz-copy-source", "/photos/source")
	fresh.has("/photos/copy", "the bytes")
}

// TestAMirrorListsWhatAnyStoreHas compares listings, in pages of all sizes, with what there is.
func TestAMirrorListsWhatAnyStoreHas(t *testing.T) {
	g, fresh, old := newMirror(t)
	keys := map[string]bool{}
	for i, key := range []string{"a", "a/1", "a/2", "a0", "b/1/x", "b/1/y", "b/2", "c d", "c%2Fe", "d", "é", "f/", "f/g"} {
		at := []*store{fresh, old}[i%2]
		path := "/photos/" + strings.NewReplacer("%", "%25", " ", "%20", "é", "%C3%A9").Replace(key)
		at.want(200, "PUT", path, key)
		if i%3 == 0 {
			old.want(200, "PUT", path, key)
		}
		keys[key] = true
	}
	for _, size := range []int{1, 2, 5, 15} {
		for _, delimiter := range []string{"", "/"} {
			for _, prefix := range []string{"", "b/", "f/", "none"} {
				for _, v2 := range []bool{false, true} {
					got := listAll(t, g, size, delimiter, prefix, v2)
					if want := expect(keys, delimiter, prefix); !slices.Equal(got, want) {
						t.Errorf("pages of %d, delimiter %q, prefix %q, version 2 %v: got %q, want %q", size, delimiter, prefix, v2, got, want)
					}
				}
			}
		}
	}
}

// expect is what a listing has to have.
func expect(keys map[string]bool, delimiter, prefix string) []string {
	all := map[string]bool{}
	for key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if head, _, cut := strings.Cut(rest, "/"); delimiter != "" && cut {
			key = prefix + head + "/"
		}
		all[key] = true
	}
	var sorted []string
	for key := range all {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	return sorted
}

// listAll lists page by page.
func listAll(t *testing.T, g *gateway, size int, delimiter, prefix string, v2 bool) []string {
	t.Helper()
	escape := strings.NewReplacer("/", "%2F", " ", "%20", "%", "%25", "é", "%C3%A9").Replace
	base := fmt.Sprintf("/photos?max-keys=%d&delimiter=%s&prefix=%s", size, escape(delimiter), escape(prefix))
	if v2 {
		base += "&list-type=2"
	}
	var all []string
	next := ""
	for range 30 {
		a := g.want(200, "GET", base+next, "")
		for _, prefixes := range strings.Split(a.body, "<CommonPrefixes>")[1:] {
			all = append(all, names(prefixes, "Prefix")[0])
		}
		all = append(all, names(a.body, "Key")...)
		if n := len(names(a.body, "Key")) + strings.Count(a.body, "<CommonPrefixes>"); n > size {
			t.Errorf("a page of %d has %d", size, n)
		}
		if between(a.body, "<IsTruncated>", "</") != "true" {
			slices.Sort(all)
			return all
		}
		if v2 {
			next = "&continuation-token=" + between(a.body, "<NextContinuationToken>", "</")
		} else {
			next = "&marker=" + escape(between(a.body, "<NextMarker>", "</"))
		}
	}
	t.Fatalf("a listing has no end: %q", all)
	return nil
}
