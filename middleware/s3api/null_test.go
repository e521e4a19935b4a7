package s3api_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// A bucketOf is a bucket that versions are made in.
type bucketOf struct {
	*cluster
	name string
}

const (
	versioningOn  = `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`
	versioningOff = `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`
)

func (c *cluster) bucket(name string) bucketOf {
	c.t.Helper()
	c.want(200, "make a bucket", owner, "PUT", "/"+name, nil, "")
	return bucketOf{c, name}
}

func (b bucketOf) enable() {
	b.t.Helper()
	b.want(200, "enable", owner, "PUT", "/"+b.name+"?versioning", nil, versioningOn)
}
func (b bucketOf) suspend() {
	b.t.Helper()
	b.want(200, "suspend", owner, "PUT", "/"+b.name+"?versioning", nil, versioningOff)
}

func (b bucketOf) path(key, version string) string {
	p := "/" + b.name + "/" + url.PathEscape(key)
	if version != "" {
		p += "?versionId=" + version
	}
	return p
}

// put stores an object and returns the version that it has become.
func (b bucketOf) put(key, body string) string {
	b.t.Helper()
	return b.want(200, "store", owner, "PUT", b.path(key, ""), nil, body).header.Get("x-amz-version-id")
}

// remove deletes, and returns "marker ID" or "ID".
func (b bucketOf) remove(key, version string) string {
	b.t.Helper()
	a := b.want(204, "delete", owner, "DELETE", b.path(key, version), nil, "")
	if id := a.header.Get("x-amz-version-id"); a.header.Get("x-amz-delete-marker") == "true" {
		return "marker " + id
	} else {
		return id
	}
}

// get reads, and returns "ID BODY", "marker ID" or the code of the error.
func (b bucketOf) get(key, version string) string {
	b.t.Helper()
	a := b.s3(owner, "GET", b.path(key, version), nil, "")
	head := b.s3(owner, "HEAD", b.path(key, version), nil, "")
	if head.status != a.status || head.header.Get("x-amz-version-id") != a.header.Get("x-amz-version-id") {
		b.t.Errorf("GET of %s has %d %v, HEAD %d %v", b.path(key, version), a.status, a.header, head.status, head.header)
	}
	switch {
	case a.header.Get("x-amz-delete-marker") == "true":
		return "marker " + a.header.Get("x-amz-version-id")
	case a.status == 200:
		return a.header.Get("x-amz-version-id") + " " + a.body
	}
	return a.code
}

type listedVersion struct {
	XMLName   xml.Name
	Key       string `xml:"Key"`
	VersionID string `xml:"VersionId"`
	IsLatest  bool   `xml:"IsLatest"`
	ETag      string `xml:"ETag"`
	Prefix    string `xml:"Prefix"`
}

func (v listedVersion) String() string {
	s := v.Key + "@" + v.VersionID
	if v.XMLName.Local == "CommonPrefixes" {
		return v.Prefix
	}
	if v.XMLName.Local == "DeleteMarker" {
		s += " marker"
	}
	if v.IsLatest {
		s += " latest"
	}
	return s
}

type versionPage struct {
	Truncated bool            `xml:"IsTruncated"`
	Key       string          `xml:"NextKeyMarker"`
	Version   string          `xml:"NextVersionIdMarker"`
	Entries   []listedVersion `xml:",any"`
}

// page lists a page of versions.
func (b bucketOf) page(query string) versionPage {
	b.t.Helper()
	a := b.want(200, "list", owner, "GET", "/"+b.name+"?versions&"+query, nil, "")
	var p versionPage
	if err := xml.Unmarshal([]byte(a.body), &p); err != nil {
		b.t.Fatal(err)
	}
	var entries []listedVersion
	for _, e := range p.Entries {
		switch e.XMLName.Local {
		case "Version", "DeleteMarker", "CommonPrefixes":
			entries = append(entries, e)
		}
	}
	p.Entries = entries
	return p
}

// list lists all versions in pages.
func (b bucketOf) list(size int, query string) (all []string) {
	b.t.Helper()
	next := fmt.Sprintf("max-keys=%d&%s", size, query)
	for n := 0; ; n++ {
		p := b.page(next)
		for _, e := range p.Entries {
			all = append(all, e.String())
		}
		if !p.Truncated || n > 100 {
			return all
		}
		next = fmt.Sprintf("max-keys=%d&%s&key-marker=%s", size, query, url.QueryEscape(p.Key))
		if p.Version != "" {
			next += "&version-id-marker=" + url.QueryEscape(p.Version)
		}
	}
}

// lists compares the list, in pages of each size.
func (b bucketOf) lists(what string, want ...string) {
	b.t.Helper()
	for _, size := range []int{1, 2, 3, 1000} {
		if got := b.list(size, ""); strings.Join(got, "\n") != strings.Join(want, "\n") {
			b.t.Errorf("%s: in pages of %d:\n%s\nwant:\n%s", what, size, strings.Join(got, "\n"), strings.Join(want, "\n"))
			return
		}
	}
}

func (b bucketOf) reads(what, version, want string) {
	b.t.Helper()
	if got := b.get("k", version); got != want {
		b.t.Errorf("%s: version %q is %q, want %q", what, version, got, want)
	}
}

func is(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestNullVersion follows one object through a bucket's life: without versions, with them, suspended, with them again.
func TestNullVersion(t *testing.T) {
	b := newCluster(t).bucket("nulls")
	is(t, "id before versions", b.put("k", "0"), "")
	b.enable()
	b.lists("enabled", "k@null latest")
	b.reads("enabled", "null", "null 0")
	b.reads("enabled", "nope", "InvalidArgument")
	b.reads("enabled", "1.5", "NoSuchVersion")

	v1 := b.put("k", "1")
	b.lists("replaced", "k@"+v1+" latest", "k@null")
	b.reads("replaced", "null", "null 0")
	b.reads("replaced", "", v1+" 1")
	is(t, "copy of the null version", b.want(200, "copy", owner, "PUT", b.path("copy", ""), headers("x-amz-copy-source", b.name+"/k?versionId=null"), "").
		header.Get("x-amz-copy-source-version-id"), "null")
	if got := b.get("copy", ""); !strings.HasSuffix(got, " 0") {
		t.Errorf("the copy is %q", got)
	}
	b.remove("copy", strings.Fields(b.get("copy", ""))[0])

	is(t, "deletion of the newest", b.remove("k", v1), v1)
	b.lists("back", "k@null latest")
	b.reads("back", "", "null 0")
	v2 := b.put("k", "2")
	b.lists("again", "k@"+v2+" latest", "k@null")

	b.suspend()
	is(t, "id while suspended", b.put("k", "3"), "null")
	b.lists("suspended", "k@null latest", "k@"+v2)
	b.reads("suspended", "null", "null 3")
	b.reads("suspended", "", "null 3")
	is(t, "id while suspended", b.put("k", "4"), "null")
	b.lists("still suspended", "k@null latest", "k@"+v2)

	b.enable()
	v5 := b.put("k", "5")
	b.lists("on again", "k@"+v5+" latest", "k@null", "k@"+v2)
	b.reads("on again", "null", "null 4")
	is(t, "deletion", strings.Fields(b.remove("k", ""))[0], "marker")
	b.reads("on again", "null", "null 4")

	b.suspend()
	is(t, "deletion while suspended", b.remove("k", ""), "marker null")
	b.reads("deleted", "null", "marker null")
	b.reads("deleted", "", "marker null")
	if got := b.list(1000, ""); len(got) != 4 || got[0] != "k@null marker latest" || got[2] != "k@"+v5 || got[3] != "k@"+v2 {
		t.Errorf("after a deletion while suspended: %q", got)
	}
	is(t, "another deletion", b.remove("k", ""), "marker null")
	b.enable()
	v6 := b.put("k", "6")
	if got := b.list(2, ""); len(got) != 5 || got[0] != "k@"+v6+" latest" || got[1] != "k@null marker" {
		t.Errorf("over a null marker: %q", got)
	}
	is(t, "deletion of the null marker", b.remove("k", "null"), "marker null")
	b.reads("without null", "null", "NoSuchVersion")
	is(t, "deletion of nothing", b.remove("k", "null"), "null")
	is(t, "deletion of the newest", b.remove("k", v6), v6)
	marker := strings.TrimPrefix(strings.TrimSuffix(b.list(1000, "")[0], " marker latest"), "k@")
	b.reads("the older marker", "", "marker "+marker)
	b.remove("k", marker)
	b.lists("what is left", "k@"+v5+" latest", "k@"+v2)
}

// TestNullVersionOfSwift is about what has been stored by way of Swift, whose suspended uploads leave a null version that was
// kept where it is.
func TestNullVersionOfSwift(t *testing.T) {
	b := newCluster(t).bucket("swift-nulls")
	swift := func(method, path string, h map[string]string, body string) {
		t.Helper()
		var pairs []string
		for k, v := range h {
			pairs = append(pairs, k, v)
		}
		if a := b.swift(owner, method, "/swift-nulls"+path, headers(pairs...), body); a.status >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
	}
	// What Swift stores has no owner in S3, so it is read by way of Swift.
	read := func(version string) string {
		t.Helper()
		return b.swift(owner, "GET", "/swift-nulls/k?version-id="+version, nil, "").body
	}
	swift("PUT", "/k", nil, "0")
	swift("POST", "", map[string]string{"X-Versions-Enabled": "true"}, "")
	swift("PUT", "/k", nil, "1")
	swift("POST", "/k", map[string]string{"X-Object-Meta-A": "b"}, "") // which does not make it a null version
	swift("PUT", "/k", nil, "2")
	list := b.list(1000, "")
	if len(list) != 3 || list[2] != "k@null" || list[1] == "k@null" {
		t.Fatalf("kept by Swift: %q", list)
	}
	id := func(entry string) string { return strings.Fields(strings.TrimPrefix(entry, "k@"))[0] }
	v1, v2 := id(list[1]), id(list[0])
	is(t, "the older version", read(v1), "1")
	is(t, "the newer version", read(v2), "2")
	b.lists("kept by Swift", "k@"+v2+" latest", "k@"+v1, "k@null")
	swift("POST", "", map[string]string{"X-Versions-Enabled": "false"}, "")
	swift("PUT", "/k", nil, "3")
	if list = b.list(2, ""); len(list) != 4 || list[0] != "k@null latest" || id(list[3]) == "null" {
		t.Fatalf("two that may be null versions: %q", list)
	}
	is(t, "what has been replaced", read(id(list[3])), "0")
	is(t, "deletion", b.remove("k", ""), "marker null")
	is(t, "its deletion", b.remove("k", "null"), "marker null")
	b.lists("back", "k@"+v2+" latest", "k@"+v1, "k@null")
	is(t, "deletion", b.remove("k", "null"), "null")
	b.lists("without", "k@"+v2+" latest", "k@"+v1)
}

// TestNullVersionInParts is about a null version that is made of parts.
func TestNullVersionInParts(t *testing.T) {
	b := newCluster(t).bucket("null-parts")
	b.multipart("k", "0", nil, 200)
	b.enable()
	v1 := b.put("k", "1")
	b.reads("in parts", "null", "null 0")
	b.lists("in parts", "k@"+v1+" latest", "k@null")
	b.remove("k", "null")
	b.lists("deleted", "k@"+v1+" latest")
	b.suspend()
	b.multipart("k", "2", nil, 200)
	b.reads("suspended", "", "null 2")
	b.multipart("k", "3", nil, 200)
	b.lists("suspended", "k@null latest", "k@"+v1)
	b.remove("k", "null")
	b.reads("back", "", v1+" 1")
}

// multipart uploads an object in one part, and compares what its completion comes to.
func (b bucketOf) multipart(key, body string, h map[string]string, want any) answer {
	b.t.Helper()
	id, etag := b.begin(key, body)
	return b.complete(key, id, etag, h, want)
}

// begin begins an upload and sends its only part.
func (b bucketOf) begin(key, body string) (id, etag string) {
	b.t.Helper()
	a := b.want(200, "begin", owner, "POST", b.path(key, "")+"?uploads", nil, "")
	_, id, _ = strings.Cut(a.body, "<UploadId>")
	id, _, _ = strings.Cut(id, "<")
	part := b.want(200, "send a part", owner, "PUT", b.path(key, "")+"?partNumber=1&uploadId="+id, nil, body)
	return id, part.header.Get("Etag")
}

func (b bucketOf) completion(key, id, etag string, h map[string]string) answer {
	b.t.Helper()
	var pairs []string
	for k, v := range h {
		pairs = append(pairs, k, v)
	}
	return b.s3(owner, "POST", b.path(key, "")+"?uploadId="+id, headers(pairs...),
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")
}

func (b bucketOf) complete(key, id, etag string, h map[string]string, want any) answer {
	b.t.Helper()
	a := b.completion(key, id, etag, h)
	if fmt.Sprint(want) != fmt.Sprint(a.status) && want != a.code {
		b.t.Errorf("complete %s with %v: got %d %s, want %v", key, h, a.status, a.body, want)
	}
	return a
}

// TestAllVersionsDeletedByOneRequest empties a bucket: nothing is left, nor anything that leads nowhere.
func TestAllVersionsDeletedByOneRequest(t *testing.T) {
	b := newCluster(t).bucket("emptied")
	b.put("k", "0")
	b.enable()
	doc := "<Delete>"
	for _, id := range []string{"null", b.put("k", "1"), b.put("k", "2"), b.put("k", "3"), strings.TrimPrefix(b.remove("k", ""), "marker "), b.put("k", "4")} {
		doc += "<Object><Key>k</Key><VersionId>" + id + "</VersionId></Object>"
	}
	doc += "</Delete>"
	a := b.want(200, "all versions", owner, "POST", "/emptied?delete", headers("Content-MD5", md5Of(doc)), doc)
	if n := strings.Count(a.body, "<Deleted>"); n != 6 || strings.Contains(a.body, "<Error>") {
		t.Errorf("%d are deleted: %s", n, a.body)
	}
	b.lists("all versions")
	is(t, "what Swift lists", b.swift(owner, "GET", "/emptied", nil, "").body, "")
	b.want(204, "the bucket", owner, "DELETE", "/emptied", nil, "")
}
