package s3api_test

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const noTag = `"00000000000000000000000000000000"`

// kinds of buckets, by what has been done to them.
var kindsOfBuckets = []struct {
	name string
	make func(bucketOf)
}{
	{"never", func(bucketOf) {}},
	{"enabled", func(b bucketOf) { b.enable() }},
	{"suspended", func(b bucketOf) { b.enable(); b.suspend() }},
}

// keys lists what there is of a key, without the ids.
func (b bucketOf) keys() (all []string) {
	b.t.Helper()
	for _, e := range b.list(1000, "") {
		name, rest, _ := strings.Cut(e, "@")
		_, rest, _ = strings.Cut(rest, " ")
		all = append(all, strings.TrimSpace(name+" "+rest))
	}
	return all
}

func (b bucketOf) etag(key string) string {
	b.t.Helper()
	return b.want(200, "head", owner, "HEAD", b.path(key, ""), nil, "").header.Get("Etag")
}

// TestConditionsInEveryBucket asks the same of buckets of each kind: what a client sees does not depend on versions.
func TestConditionsInEveryBucket(t *testing.T) {
	c := newCluster(t)
	for _, kind := range kindsOfBuckets {
		t.Run(kind.name, func(t *testing.T) {
			sub := &cluster{t, c.addr}
			b := sub.bucket("cond-" + kind.name)
			kind.make(b)
			put := func(want any, what, body string, h ...string) answer {
				t.Helper()
				return b.want(want, what, owner, "PUT", b.path("k", ""), headers(h...), body)
			}
			put("NoSuchKey", "over nothing", "0", "If-Match", "*")
			put(200, "if there is nothing", "1", "If-None-Match", "*")
			put("PreconditionFailed", "if there is nothing", "2", "If-None-Match", "*")
			put("PreconditionFailed", "over another", "2", "If-Match", noTag)
			first := b.etag("k")
			put(200, "over that", "2", "If-Match", first)
			put("PreconditionFailed", "over what is no more", "3", "If-Match", first)
			b.want(200, "a source", owner, "PUT", b.path("src", ""), nil, "copied")
			put("PreconditionFailed", "a copy, if there is nothing", "", "If-None-Match", "*", "x-amz-copy-source", b.name+"/src")
			put("PreconditionFailed", "a copy over another", "", "If-Match", noTag, "x-amz-copy-source", b.name+"/src")
			put(200, "a copy over that", "", "If-Match", b.etag("k"), "x-amz-copy-source", b.name+"/src")
			is(t, "the copy", b.s3(owner, "GET", b.path("k", ""), nil, "").body, "copied")

			b.multipart("k", "4", map[string]string{"If-None-Match": "*"}, "PreconditionFailed")
			b.multipart("k", "4", map[string]string{"If-Match": noTag}, "PreconditionFailed")
			b.multipart("new", "4", map[string]string{"If-Match": noTag}, "NoSuchKey")
			b.multipart("k", "4", map[string]string{"If-Match": b.etag("k")}, 200)
			whole := b.etag("k")
			if !strings.HasSuffix(whole, `-1"`) {
				t.Errorf("the tag of an upload in parts is %s", whole)
			}
			b.multipart("new", "4", map[string]string{"If-None-Match": "*"}, 200)
			put("PreconditionFailed", "over another than the upload in parts", "5", "If-Match", noTag)
			put(200, "over the upload in parts", "five", "If-Match", `"x", `+whole)

			remove := func(want any, what string, h ...string) {
				t.Helper()
				b.want(want, what, owner, "DELETE", b.path("k", ""), headers(h...), "")
			}
			remove("PreconditionFailed", "another", "If-Match", whole)
			remove("PreconditionFailed", "of another size", "x-amz-if-match-size", "5")
			remove("PreconditionFailed", "of another time", "x-amz-if-match-last-modified-time", "Fri, 02 Jan 2026 03:04:06 GMT")
			is(t, "what nobody has deleted", b.s3(owner, "GET", b.path("k", ""), nil, "").body, "five")
			at := b.s3(owner, "HEAD", b.path("k", ""), nil, "").header.Get("Last-Modified")
			remove(204, "that", "If-Match", b.etag("k"), "x-amz-if-match-size", "4", "x-amz-if-match-last-modified-time", at)
			b.want(404, "what was deleted", owner, "GET", b.path("k", ""), nil, "")
			remove(204, "what is not there", "If-Match", "*")
			put(200, "after the deletion", "6", "If-None-Match", "*")

			want := map[string][]string{
				"never": {"k latest", "new latest", "src latest"}, "suspended": {"k latest", "new latest", "src latest"},
				"enabled": {"k latest", "k marker", "k", "k", "k", "k", "k", "new latest", "src latest"},
			}[kind.name]
			if got := b.keys(); strings.Join(got, ",") != strings.Join(want, ",") {
				t.Errorf("what refused writes have left: %q, want %q", got, want)
			}
		})
	}
}

// TestConditionsOnVersions deletes versions by their ids on conditions.
func TestConditionsOnVersions(t *testing.T) {
	b := newCluster(t).bucket("cond-versions")
	b.put("k", "0")
	b.enable()
	tag := b.etag("k")
	v1 := b.put("k", "1")
	v2 := b.put("k", "2")
	for _, version := range []string{"null", v1, v2} {
		b.want("PreconditionFailed", "another version", owner, "DELETE", b.path("k", version), headers("If-Match", noTag), "")
	}
	b.lists("nothing deleted", "k@"+v2+" latest", "k@"+v1, "k@null")
	b.want(204, "the null version", owner, "DELETE", b.path("k", "null"), headers("If-Match", tag), "")
	b.want(204, "the current one", owner, "DELETE", b.path("k", v2), headers("x-amz-if-match-size", "1"), "")
	b.lists("the rest", "k@"+v1+" latest")
	b.want(200, "several", owner, "POST", "/"+b.name+"?delete", headers("Content-MD5", md5Of(deleteDoc(v1, noTag))), deleteDoc(v1, noTag))
	b.lists("not that", "k@"+v1+" latest")
	b.want(200, "several", owner, "POST", "/"+b.name+"?delete", headers("Content-MD5", md5Of(deleteDoc(v1, "*"))), deleteDoc(v1, "*"))
	b.lists("that")
	b.suspend()
	b.put("k", "3")
	b.want("PreconditionFailed", "another null version", owner, "DELETE", b.path("k", "null"), headers("If-Match", noTag), "")
	b.want(204, "the null version", owner, "DELETE", b.path("k", "null"), headers("If-Match", b.etag("k")), "")
	b.lists("nothing")
}

// TestOneOfSeveralWriters has writers race in buckets of each kind. Of those that want to be the first one succeeds; of those that
// replace what they have read, none is lost; and of refused ones nothing is left.
func TestOneOfSeveralWriters(t *testing.T) {
	c := newCluster(t)
	for _, kind := range kindsOfBuckets {
		t.Run(kind.name, func(t *testing.T) {
			sub := &cluster{t, c.addr}
			b := sub.bucket("race-" + kind.name)
			kind.make(b)
			const writers, rounds = 6, 4
			var stored atomic.Int64
			race := func(write func(i int)) {
				var all sync.WaitGroup
				for i := range writers {
					all.Go(func() { write(i) })
				}
				all.Wait()
			}
			outcome := func(what string, a answer) bool {
				switch {
				case a.status == 200 || a.status == 204:
					return true
				case a.status != 412 && a.status != 409:
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
				return false
			}
			for round := range rounds {
				var first atomic.Int64
				key := "first" + strconv.Itoa(round)
				race(func(i int) {
					if outcome("be the first", b.s3(owner, "PUT", b.path(key, ""), headers("If-None-Match", "*"), fmt.Sprint(i))) {
						first.Add(1)
					}
				})
				if n := first.Load(); n > 1 {
					t.Errorf("round %d: %d writers were the first", round, n)
				} else if n == 0 {
					continue // all met each other, and are told to try again
				}
				var gone atomic.Int64
				race(func(i int) {
					a := b.s3(owner, "DELETE", b.path(key, ""), headers("If-Match", "*"), "")
					if outcome("delete", a) {
						gone.Add(1)
					}
				})
			}
			b.put("count", "0")
			race(func(int) {
				for range rounds {
					a := b.s3(owner, "GET", b.path("count", ""), nil, "")
					n, err := strconv.Atoi(a.body)
					if err != nil {
						t.Errorf("read the count: %d %s", a.status, a.body)
						return
					}
					h := headers("If-Match", a.header.Get("Etag"))
					if outcome("count", b.s3(owner, "PUT", b.path("count", ""), h, strconv.Itoa(n+1))) {
						stored.Add(1)
					}
				}
			})
			got := b.s3(owner, "GET", b.path("count", ""), nil, "").body
			is(t, "the count of those that succeeded", got, fmt.Sprint(stored.Load()))
			if stored.Load() == 0 {
				t.Error("nobody has succeeded")
			}
			versions := len(b.list(1000, "prefix=count"))
			if want := int(stored.Load()) + 1; kind.name == "enabled" && versions != want {
				t.Errorf("%d versions, want %d", versions, want)
			} else if kind.name != "enabled" && versions != 1 {
				t.Errorf("%d versions, want 1", versions)
			}
		})
	}
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func deleteDoc(version, tag string) string {
	return "<Delete><Object><Key>k</Key><VersionId>" + version + "</VersionId><ETag>" + strings.ReplaceAll(tag, `"`, "&quot;") + "</ETag></Object></Delete>"
}

// segments is how many objects there are in a container of segments.
func (b bucketOf) segments() int {
	b.t.Helper()
	return len(strings.Fields(b.swift(owner, "GET", "/"+b.name+"+segments", nil, "").body))
}

// TestConditionsOfPartsDeleted deletes what is made of parts: on a condition that does not hold nothing goes, and its parts
// last of all.
func TestConditionsOfPartsDeleted(t *testing.T) {
	c := newCluster(t)
	for _, kind := range kindsOfBuckets {
		t.Run(kind.name, func(t *testing.T) {
			sub := &cluster{t, c.addr}
			b := sub.bucket("parts-" + kind.name)
			kind.make(b)
			b.multipart("k", "whole", nil, 200)
			parts := b.segments()
			head := b.s3(owner, "HEAD", b.path("k", ""), nil, "").header
			for what, h := range map[string][]string{
				"another":         {"If-Match", noTag},
				"that of a part":  {"If-Match", strings.Replace(head.Get("Etag"), "-1", "", 1)},
				"of another size": {"x-amz-if-match-size", "6"},
				"of another time": {"x-amz-if-match-last-modified-time", "Fri, 02 Jan 2026 03:04:06 GMT"},
			} {
				b.want("PreconditionFailed", what, owner, "DELETE", b.path("k", ""), headers(h...), "")
			}
			is(t, "what nobody has deleted", b.s3(owner, "GET", b.path("k", ""), nil, "").body, "whole")
			if n := b.segments(); n != parts {
				t.Errorf("%d parts are left of %d", n, parts)
			}
			h := headers("If-Match", head.Get("Etag"), "x-amz-if-match-size", "5", "x-amz-if-match-last-modified-time", head.Get("Last-Modified"))
			b.want(204, "that", owner, "DELETE", b.path("k", ""), h, "")
			b.want(404, "what was deleted", owner, "GET", b.path("k", ""), nil, "")
			if kind.name == "enabled" {
				is(t, "the version", strings.Join(b.keys(), ","), "k marker latest,k")
				return
			}
		})
	}
}

// TestLargeObjectsOfSwiftDeletedOnCondition deletes a large object that was made by way of Swift, and its segments with it.
func TestLargeObjectsOfSwiftDeletedOnCondition(t *testing.T) {
	b := newCluster(t).bucket("large")
	b.swift(owner, "PUT", "/large-parts", nil, "")
	b.swift(owner, "PUT", "/large-parts/a", nil, "a")
	b.swift(owner, "PUT", "/large-parts/b", nil, "b")
	if a := b.swift(owner, "PUT", "/large/k?multipart-manifest=put", nil, links("/large-parts/a", "/large-parts/b")); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	listed := b.page("").Entries[0].ETag
	if !strings.HasSuffix(listed, `-N"`) {
		t.Errorf("listed with %s", listed)
	}
	left := func(want string) {
		t.Helper()
		if got := strings.Join(strings.Fields(b.swift(owner, "GET", "/large-parts", nil, "").body), " "); got != want {
			t.Errorf("segments left: %q, want %q", got, want)
		}
	}
	b.want("PreconditionFailed", "another", owner, "DELETE", b.path("k", ""), headers("If-Match", noTag), "")
	left("a b")
	b.want(204, "that", owner, "DELETE", b.path("k", ""), headers("If-Match", listed), "")
	left("")
	b.lists("gone")
}

// TestPartsOutliveALostRace lets a deletion meet a writer: whoever is told that the object is there can read it.
func TestPartsOutliveALostRace(t *testing.T) {
	b := newCluster(t).bucket("parts-race")
	for round := range 6 {
		b.multipart("k", "old", nil, 200)
		old := b.etag("k")
		var deleted, stored answer
		var both sync.WaitGroup
		both.Go(func() { deleted = b.s3(owner, "DELETE", b.path("k", ""), headers("If-Match", old), "") })
		both.Go(func() { stored = b.s3(owner, "PUT", b.path("k", ""), headers("If-Match", old), "new") })
		both.Wait()
		got := b.s3(owner, "GET", b.path("k", ""), nil, "")
		switch {
		case deleted.status == 204 && stored.status == 200:
			t.Errorf("round %d: both have succeeded", round)
		case deleted.status == 204 && got.status != 404, stored.status == 200 && got.body != "new":
			t.Errorf("round %d: deletion %d, upload %d, then %d %q", round, deleted.status, stored.status, got.status, got.body)
		case deleted.status != 204 && stored.status != 200 && got.body != "old":
			t.Errorf("round %d: neither has succeeded, but there is %d %q", round, got.status, got.body)
		}
	}
}

// TestConditionsOfCompletions completes uploads in parts through slo, at the same time and one after the other.
func TestConditionsOfCompletions(t *testing.T) {
	c := newCluster(t)
	for _, kind := range kindsOfBuckets {
		t.Run(kind.name, func(t *testing.T) {
			sub := &cluster{t, c.addr}
			b := sub.bucket("complete-" + kind.name)
			kind.make(b)
			const writers = 4
			ids, tags := make([]string, writers), make([]string, writers)
			for i := range writers {
				ids[i], tags[i] = b.begin("k", fmt.Sprint("body ", i))
			}
			race := func(h map[string]string) (won []int) {
				var mu sync.Mutex
				var all sync.WaitGroup
				for i := range writers {
					all.Go(func() {
						a := b.completion("k", ids[i], tags[i], h)
						mu.Lock()
						defer mu.Unlock()
						switch {
						case a.status == 200 && a.code == "":
							won = append(won, i)
						case a.code != "PreconditionFailed" && a.code != "ConditionalRequestConflict":
							t.Errorf("completion of %d: %d %s", i, a.status, a.body)
						}
					})
				}
				all.Wait()
				return won
			}
			first := race(map[string]string{"If-None-Match": "*"})
			if len(first) > 1 {
				t.Fatalf("%d completions were the first", len(first))
			}
			if len(first) == 0 { // all met each other
				b.complete("k", ids[0], tags[0], map[string]string{"If-None-Match": "*"}, 200)
				first = []int{0}
			}
			won := first[0]
			is(t, "what has been made", b.s3(owner, "GET", b.path("k", ""), nil, "").body, fmt.Sprint("body ", won))
			whole := b.etag("k")
			// Who repeats it is told the same, and the others' uploads go on.
			b.complete("k", ids[won], tags[won], map[string]string{"If-None-Match": "*"}, 200)
			other := (won + 1) % writers
			b.complete("k", ids[other], tags[other], map[string]string{"If-Match": noTag}, "PreconditionFailed")
			b.complete("k", ids[other], tags[other], map[string]string{"If-Match": whole}, 200)
			is(t, "what has replaced it", b.s3(owner, "GET", b.path("k", ""), nil, "").body, fmt.Sprint("body ", other))
			b.complete("k", ids[other], tags[other], map[string]string{"If-Match": whole}, 200)
			want := 1
			if kind.name == "enabled" {
				want = 2
			}
			if got := b.keys(); len(got) != want {
				t.Errorf("versions: %q, want %d", got, want)
			}
		})
	}
}
