package s3gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// puts has a store note a header of each object that it is given, and take it.
func (s *store) puts(header string) (given func() []string) {
	var lines []string
	s.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		io.Copy(io.Discard, r.Body) // who sends it is told by the other end
		s.mu.Lock()
		defer s.mu.Unlock()
		lines = append(lines, r.Header.Get(header))
		return true
	})
	return func() []string {
		s.mu.Lock()
		defer s.mu.Unlock()
		got := lines
		lines = nil
		return got
	}
}

// tagged has a store say that its objects have tags.
func (s *store) tagged(tags func(http.ResponseWriter, *http.Request) bool) {
	s.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if tags(w, r) {
			return true
		}
		if r.Method == http.MethodGet {
			w.Header().Set("X-Amz-Tagging-Count", "2")
		}
		return false
	})
}

const twoTags = `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet><Tag><Key>a b</Key><Value>c&amp;d</Value></Tag>` +
	`<Tag><Key>e</Key><Value></Value></Tag></TagSet></Tagging>`

func TestAMirrorKeepsTags(t *testing.T) {
	g, fresh, old := newMirror(t)
	old.want(200, "PUT", "/photos/x", "old")
	given := fresh.puts("X-Amz-Tagging")
	g.has("/photos/x", "old")
	g.settle()
	if got := given(); len(got) != 1 || got[0] != "" {
		t.Errorf("without tags: got %q", got)
	}
	old.tagged(canned("GET", "tagging", 200, twoTags))
	g.has("/photos/x", "old")
	g.settle()
	if got := given(); len(got) != 1 || got[0] != "a%20b=c%26d&e=" {
		t.Errorf("with tags: got %q", got)
	}
	old.tagged(canned("GET", "tagging", 403, "<Error><Code>AccessDenied</Code></Error>"))
	g.has("/photos/x", "old")
	g.settle()
	if got := given(); len(got) != 0 || !strings.Contains(g.log.String(), "read its tags") {
		t.Errorf("with tags that cannot be read: got %q", got)
	}
}

// TestAMirrorKeepsObjectsWhereNoTagsAre has a new store that refuses tags: Apus does.
func TestAMirrorKeepsObjectsWhereNoTagsAre(t *testing.T) {
	g, fresh, old := newMirror(t)
	for _, key := range []string{"x", "y"} {
		old.want(200, "PUT", "/photos/"+key, "old")
	}
	old.tagged(canned("GET", "tagging", 200, twoTags))
	g.has("/photos/x", "old")
	g.settle()
	fresh.want(404, "HEAD", "/photos/x", "")
	if !strings.Contains(g.log.String(), "the new store takes no tags") {
		t.Error("nobody is told why it was not copied")
	}
	g.has("/photos/x", "old")
	g.settle()
	fresh.has("/photos/x", "old")
	if !strings.Contains(g.log.String(), "is copied without its tags") {
		t.Error("nobody is told that the tags are lost")
	}
	g.want("PreconditionFailed", "PUT", "/photos/y", "mine", "If-None-Match", "*")
}

func TestAMirrorSaysWhichBytesItKeeps(t *testing.T) {
	g, fresh, old := newMirror(t)
	given := fresh.puts("Content-Md5")
	const sum = "7c4e2f1b7d4aa6ef1b0f8d8b1d5b4c5e"
	for _, c := range []struct {
		name, etag, encryption string
		want                   string
	}{
		{"an MD5", `"` + sum + `"`, "", "fE4vG31Kpu8bD42LHVtMXg=="},
		{"an MD5 beside encryption by the store's key", `"` + sum + `"`, "AES256", "fE4vG31Kpu8bD42LHVtMXg=="},
		{"another key", `"` + sum + `"`, "aws:kms", ""},
		{"parts", `"` + sum[:30] + `-2"`, "", ""},
		{"no digits", `"` + strings.Replace(sum, "7", "x", 1) + `"`, "", ""},
		{"no ETag", "", "", ""},
	} {
		old.meet(func(w http.ResponseWriter, r *http.Request) bool {
			h := w.Header()
			h.Set("Content-Length", "3")
			h.Set("Etag", c.etag)
			h.Set("X-Amz-Server-Side-Encryption", c.encryption)
			io.WriteString(w, "old")
			return true
		})
		g.has("/photos/x", "old")
		g.settle()
		if got := given(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	// A new store that looks takes no others.
	fresh.meet(nil)
	old.meet(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "3")
		w.Header().Set("Etag", `"`+sum+`"`)
		io.WriteString(w, "bad")
		return true
	})
	g.has("/photos/bad", "bad")
	g.settle()
	fresh.want(404, "HEAD", "/photos/bad", "")
	if !strings.Contains(g.log.String(), "BadDigest") {
		t.Error("nobody is told")
	}
}
