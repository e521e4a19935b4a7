package s3api_test

import (
	"strings"
	"sync"
	"testing"
)

// remark makes an upload's marker again, as it is where it could not be deleted when the upload was completed.
func (b bucketOf) remark(key, id string) {
	b.t.Helper()
	if a := b.swift(owner, "PUT", "/"+b.name+"+segments/"+key+"/"+id, headers("Content-Type", "application/directory"), ""); a.status != 201 {
		b.t.Fatalf("make the marker again: %d %s", a.status, a.body)
	}
}

// markers lists the uploads under way.
func (b bucketOf) markers() int {
	b.t.Helper()
	return strings.Count(b.want(200, "uploads", owner, "GET", "/"+b.name+"?uploads", nil, "").body, "<Upload>")
}

// TestPartsOfVersionsThatStay deletes an upload in parts in a bucket that keeps it as the null version: its parts go with that, and
// not before.
func TestPartsOfVersionsThatStay(t *testing.T) {
	b := newPromptCluster(t).bucket("parts-stay")
	b.multipart("k", "whole", nil, 200)
	b.multipart("several", "whole", nil, 200)
	parts := b.segments()
	b.enable()
	marker := strings.TrimPrefix(b.remove("k", ""), "marker ")
	b.reads("deleted", "null", "null whole")
	doc := "<Delete><Object><Key>several</Key></Object></Delete>"
	b.want(200, "several", owner, "POST", "/"+b.name+"?delete", headers("Content-MD5", md5Of(doc)), doc)
	is(t, "deleted with others", b.get("several", "null"), "null whole")
	if n := b.segments(); n != parts {
		t.Errorf("%d parts are left of %d", n, parts)
	}
	b.remove("k", marker)
	b.reads("back", "", "null whole")
	b.remove("k", "null")
	if n := b.segments(); n != parts-1 {
		t.Errorf("%d parts are left of %d when one object has gone", n, parts)
	}
	b.remove("several", "null")
	if n := b.segments(); n != parts-2 {
		t.Errorf("%d parts are left of %d when both objects have gone", n, parts)
	}
}

// TestCompletionsRepeatedWhileTheMarkerIsThere completes an upload twice, where the first completion could not delete the marker.
func TestCompletionsRepeatedWhileTheMarkerIsThere(t *testing.T) {
	c := newPromptCluster(t)
	for _, kind := range kindsOfBuckets {
		t.Run(kind.name, func(t *testing.T) {
			sub := &cluster{t, c.addr}
			b := sub.bucket("again-" + kind.name)
			kind.make(b)
			id, tag := b.begin("k", "whole")
			first := b.complete("k", id, tag, nil, 200)
			list := b.list(1000, "")
			b.remark("k", id)
			again := b.complete("k", id, tag, map[string]string{"If-None-Match": "*"}, 200)
			if again.body != first.body || again.header.Get("x-amz-version-id") != b.s3(owner, "HEAD", b.path("k", ""), nil, "").header.Get("x-amz-version-id") {
				t.Errorf("repeated: %v %s, at first %v %s", again.header, again.body, first.header, first.body)
			}
			if got := b.list(1000, ""); strings.Join(got, ",") != strings.Join(list, ",") {
				t.Errorf("repeated, there are %q, before %q", got, list)
			}
			if n := b.markers(); n != 0 {
				t.Errorf("%d uploads are under way", n)
			}
			b.remark("k", id)
			b.complete("k", id, noTag, nil, "NoSuchUpload")
			is(t, "what was made", b.s3(owner, "GET", b.path("k", ""), nil, "").body, "whole")
		})
	}
}

// TestVersionsOfOneUpload deletes one of two versions that have the same parts.
func TestVersionsOfOneUpload(t *testing.T) {
	b := newPromptCluster(t).bucket("same-parts")
	b.enable()
	id, tag := b.begin("k", "whole")
	v1 := b.complete("k", id, tag, nil, 200).header.Get("x-amz-version-id")
	b.put("k", "other")
	b.put("k-1", "another key")
	b.remark("k", id)
	v3 := b.complete("k", id, tag, nil, 200).header.Get("x-amz-version-id")
	if v3 == "" || v3 == v1 {
		t.Fatalf("there are no two versions, but %q", b.list(1000, ""))
	}
	parts := b.segments()
	b.remove("k", v3)
	b.reads("the first", v1, v1+" whole")
	b.suspend()
	b.remark("k", id)
	b.complete("k", id, tag, nil, 200)
	is(t, "again", b.swift(owner, "GET", "/same-parts/k", nil, "").body, "whole")
	b.remove("k", "")
	b.reads("the first", v1, v1+" whole")
	b.remove("k", v1)
	if n := b.segments(); n >= parts {
		t.Errorf("%d parts are left of %d when the last version has gone", n, parts)
	}
}

// TestCompletionsOfOneUploadAtTheSameTime completes an upload several times at once. Whatever versions it becomes, each is whole until it
// is deleted, and then no part is left.
func TestCompletionsOfOneUploadAtTheSameTime(t *testing.T) {
	b := newPromptCluster(t).bucket("at-once")
	b.enable()
	for range 4 {
		id, tag := b.begin("k", "whole")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { b.complete("k", id, tag, nil, 200) })
		}
		all.Wait()
	}
	var ids []string
	for _, e := range b.list(1000, "") {
		ids = append(ids, strings.Fields(strings.TrimPrefix(e, "k@"))[0])
	}
	if len(ids) < 4 {
		t.Errorf("%d versions", len(ids))
	}
	for len(ids) > 0 {
		b.remove("k", ids[0])
		ids = ids[1:]
		for _, left := range ids {
			is(t, "a version that is left", b.get("k", left), left+" whole")
		}
	}
	if n := b.segments(); n != 0 {
		t.Errorf("%d parts are left", n)
	}
}

// TestAbortsAfterTheCompletion aborts uploads that have become an object, or a version that is not the current one any more.
func TestAbortsAfterTheCompletion(t *testing.T) {
	b := newPromptCluster(t).bucket("late-aborts")
	b.enable()
	for what, then := range map[string]func(key string){
		"current": func(string) {}, "replaced": func(key string) { b.put(key, "other") }, "deleted": func(key string) { b.remove(key, "") },
	} {
		id, tag := b.begin(what, "whole")
		version := b.complete(what, id, tag, nil, 200).header.Get("x-amz-version-id")
		then(what)
		b.remark(what, id)
		b.want("NoSuchUpload", what, owner, "DELETE", b.path(what, "")+"?uploadId="+id, nil, "")
		is(t, what, b.get(what, version), version+" whole")
	}
	if n := b.markers(); n != 0 {
		t.Errorf("%d uploads are under way", n)
	}
}
