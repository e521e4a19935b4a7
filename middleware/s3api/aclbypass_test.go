package s3api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

const (
	denied   = "AccessDenied"
	everyone = "public-read-write"
)

var (
	uploadID = regexp.MustCompile(`<UploadId>(.*?)</UploadId>`)
	listed   = regexp.MustCompile(`<ETag>(.*?)</ETag>`)
)

// TestNothingLeadsAroundGrants tries to read a private object of a private bucket, from a bucket that everybody may write to
// in both APIs.
func TestNothingLeadsAroundGrants(t *testing.T) {
	c := newCluster(t)
	c.want(200, "a private bucket", owner, "PUT", "/private", nil, "")
	c.want(200, "a secret", owner, "PUT", "/private/secret", nil, "SECRET")
	c.want(200, "an open bucket", owner, "PUT", "/open", headers("X-Amz-Acl", everyone), "")
	c.want(200, "a secret in it", owner, "PUT", "/open/secret", nil, "SECRET")
	if a := c.swift(owner, "POST", "/open", headers("X-Container-Write", guest), ""); a.status != 204 {
		t.Fatalf("opening the container: %d", a.status)
	}
	unread := func(what, path string) {
		t.Helper()
		if a := c.s3(guest, "GET", path, nil, ""); strings.Contains(a.body, "SECRET") {
			t.Errorf("%s: the secret is read: %d %s", what, a.status, a.body)
		}
		if a := c.s3(guest, "GET", path, headers("Range", "bytes=0-9"), ""); strings.Contains(a.body, "SEC") {
			t.Errorf("%s: the secret is read by a range: %d %s", what, a.status, a.body)
		}
	}
	for _, secret := range []string{"private/secret", "open/secret"} {
		c.want(denied, "a copy", guest, "PUT", "/open/copy", headers("X-Amz-Copy-Source", secret), "")
		c.want(denied, "a copy with an ACL", guest, "PUT", "/open/copy", headers("X-Amz-Copy-Source", secret, "X-Amz-Acl", "public-read"), "")
		c.want(denied, "a condition", guest, "GET", "/"+secret, headers("If-Match", `"00000000000000000000000000000000"`), "")
		c.want(denied, "a range that is not there", guest, "GET", "/"+secret, headers("Range", "bytes=100-"), "")
		c.want(denied, "a part", guest, "GET", "/"+secret+"?partNumber=1", nil, "")
		c.want(403, "a part's head", guest, "HEAD", "/"+secret+"?partNumber=1", nil, "")
		c.want(denied, "the null version", guest, "GET", "/"+secret+"?versionId=null", nil, "")
		for _, name := range []string{"X-Object-Manifest", "X-Symlink-Target", "X-Copy-From"} {
			c.want(200, name, guest, "PUT", "/open/mine", headers(name, secret), "mine")
			unread(name, "/open/mine")
			// The object is the guest's, and so is its ACL, but what it stands for is not.
			c.swift(guest, "POST", "/open/mine", headers(name, secret), "")
			unread(name+" by Swift", "/open/mine")
			c.swift(guest, "PUT", "/open/swift", headers(name, secret), "")
			unread(name+" by Swift", "/open/swift")
		}
		c.swift(guest, "PUT", "/open/slo?multipart-manifest=put", nil, links("/"+secret))
		unread("a large object by Swift", "/open/slo")
	}
	c.want(404, "no key that may be listed", guest, "GET", "/open/none", nil, "")
	c.want(denied, "no key that may not be listed", guest, "GET", "/private/none", nil, "")
	acl := `{"Owner":"test:tester3","Grant":[{"Permission":"FULL_CONTROL","Grantee":"AllUsers"}]}`
	h := headers("X-Object-Sysmeta-S3api-Acl", acl, "X-Container-Sysmeta-S3api-Acl", acl, "X-Amz-Acl", "private")
	c.want(200, "system metadata of an object", owner, "PUT", "/open/secret", h, "SECRET")
	c.want(200, "system metadata of a bucket", owner, "PUT", "/private?acl", h, "")
	unread("system metadata", "/open/secret")
	c.want(denied, "system metadata", guest, "GET", "/private", nil, "")
	for _, name := range []string{"Private", "PRIVATE", "private.", "private..", ".private", "private%00", "private+segments", "%00versions%00private"} {
		c.want(400, "a name like that of another", another, "PUT", "/"+name, nil, "")
	}
	c.want("BucketAlreadyExists", "the name of another", another, "PUT", "/private", headers("X-Amz-Acl", everyone), "")
	c.want(denied, "whose it is", another, "GET", "/private?acl", nil, "")
	c.want(denied, "is not deleted by another", another, "DELETE", "/private", nil, "")
}

// TestGrantsOfVersions gives each version an ACL of its own.
func TestGrantsOfVersions(t *testing.T) {
	c := newCluster(t)
	c.want(200, "a bucket", owner, "PUT", "/versions", headers("X-Amz-Grant-Write", "id="+guest), "")
	enable := "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
	c.want(denied, "who may write switches versions on", guest, "PUT", "/versions?versioning", nil, enable)
	c.want(200, "versions", owner, "PUT", "/versions?versioning", nil, enable)
	version := func(a answer) string { return "?versionId=" + a.header.Get("X-Amz-Version-Id") }
	public := version(c.want(200, "the public one", owner, "PUT", "/versions/o", headers("X-Amz-Acl", "public-read"), "one"))
	private := version(c.want(200, "the private one", owner, "PUT", "/versions/o", nil, "two"))
	c.want(denied, "the current one", guest, "GET", "/versions/o", nil, "")
	c.want(denied, "the private one", guest, "GET", "/versions/o"+private, nil, "")
	c.want(403, "its head", guest, "HEAD", "/versions/o"+private, nil, "")
	c.want(denied, "its ACL", guest, "GET", "/versions/o"+private+"&acl", nil, "")
	c.want(denied, "its copy", guest, "PUT", "/versions/copy", headers("X-Amz-Copy-Source", "/versions/o"+private), "")
	if a := c.want(200, "the public one", guest, "GET", "/versions/o"+public, nil, ""); a.body != "one" {
		t.Errorf("got %q", a.body)
	}
	c.want(200, "its copy", guest, "PUT", "/versions/copy", headers("X-Amz-Copy-Source", "/versions/o"+public), "")
	c.want(denied, "the list", guest, "GET", "/versions?versions", nil, "")
	c.want(denied, "the ACL of an old one", guest, "PUT", "/versions/o"+public+"&acl", headers("X-Amz-Acl", "private"), "")
	c.want(200, "what that left", guest, "GET", "/versions/o"+public, nil, "")
	// Who may write may also do so where that keeps versions.
	c.want(200, "the guest's", guest, "PUT", "/versions/mine", nil, "mine")
	c.want(200, "the guest's again", guest, "PUT", "/versions/mine", nil, "mine too")
	c.want(204, "is deleted", guest, "DELETE", "/versions/mine", nil, "")
	c.want(404, "is gone", owner, "GET", "/versions/mine", nil, "")
	c.want(denied, "is gone to who may not list", another, "GET", "/versions/mine", nil, "")
}

// TestGrantsOfUploads uploads in parts.
func TestGrantsOfUploads(t *testing.T) {
	c := newCluster(t)
	c.want(200, "a bucket", owner, "PUT", "/uploads", nil, "")
	c.want(200, "a secret", owner, "PUT", "/uploads/secret", nil, "SECRET")
	begun := c.s3(owner, "POST", "/uploads/big?uploads", headers("X-Amz-Acl", "public-read", "Content-Type", "a/b"), "")
	if begun.code == "NotImplemented" {
		t.Skip("there are no uploads in parts")
	}
	upload := "uploadId=" + uploadID.FindStringSubmatch(begun.body)[1]
	c.want(denied, "begin", guest, "POST", "/uploads/other?uploads", nil, "")
	c.want(denied, "list uploads", guest, "GET", "/uploads?uploads", nil, "")
	c.want(denied, "send a part", guest, "PUT", "/uploads/big?partNumber=1&"+upload, nil, "x")
	c.want(denied, "list parts", guest, "GET", "/uploads/big?"+upload, nil, "")
	c.want(denied, "abort", guest, "DELETE", "/uploads/big?"+upload, nil, "")
	part := c.want(200, "send a part", owner, "PUT", "/uploads/big?partNumber=1&"+upload, nil, "content")
	done := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + part.header.Get("Etag") + "</ETag></Part></CompleteMultipartUpload>"
	c.want(denied, "complete", guest, "POST", "/uploads/big?"+upload, nil, done)
	c.want(200, "complete", owner, "POST", "/uploads/big?"+upload, nil, done)
	look := func(status int) {
		t.Helper()
		c.want(status, "may be read", guest, "GET", "/uploads/big", nil, "")
		a := c.want(200, "the object", owner, "GET", "/uploads/big", nil, "")
		list := listed.FindAllString(c.want(200, "the list", owner, "GET", "/uploads", nil, "").body, -1)
		tag := strings.ReplaceAll(a.header.Get("Etag"), `"`, "&#34;")
		if a.body != "content" || a.header.Get("Content-Type") != "a/b" || !strings.HasSuffix(tag, "-1&#34;") || len(list) == 0 || list[0] != "<ETag>"+tag+"</ETag>" {
			t.Errorf("got %q %v, listed %v", a.body, a.header, list)
		}
	}
	look(http.StatusOK)
	c.want(200, "an object in parts is made private", owner, "PUT", "/uploads/big?acl", headers("X-Amz-Acl", "private"), "")
	look(http.StatusForbidden)
	c.want(200, "a part of it", owner, "PUT", "/uploads?acl", headers("X-Amz-Acl", everyone), "")
	mine := "uploadId=" + uploadID.FindStringSubmatch(c.want(200, "begin", guest, "POST", "/uploads/mine?uploads", nil, "").body)[1]
	for _, source := range []string{"/uploads/secret", "/uploads/big"} {
		c.want(denied, "copy a part", guest, "PUT", "/uploads/mine?partNumber=1&"+mine, headers("X-Amz-Copy-Source", source), "")
	}
	c.want("InvalidBucketName", "copy somebody's part", guest, "PUT", "/uploads/mine?partNumber=1&"+mine,
		headers("X-Amz-Copy-Source", "/uploads+segments/big/"+strings.TrimPrefix(upload, "uploadId=")+"/1"), "")
	part = c.want(200, "an own part", guest, "PUT", "/uploads/mine?partNumber=1&"+mine, nil, "mine")
	done = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + part.header.Get("Etag") + "</ETag></Part></CompleteMultipartUpload>"
	c.want(200, "complete the own one", guest, "POST", "/uploads/mine?"+mine, nil, done)
	c.want(denied, "whose it is", owner, "GET", "/uploads/mine", nil, "")
	if a := c.want(200, "what it is", guest, "GET", "/uploads/mine", nil, ""); a.body != "mine" {
		t.Errorf("got %q", a.body)
	}
	c.want(204, "who may write deletes it with its parts", guest, "DELETE", "/uploads/mine", nil, "")
}
