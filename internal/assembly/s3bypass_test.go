package assembly

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/sigv4"
)

// s3Users are clients of one server that sign as different users.
type s3Users struct {
	t   *testing.T
	url string
}

type s3Answer struct {
	code   int
	header http.Header
	body   string
}

// do sends a request that the user signs. Headers come in pairs.
func (u s3Users) do(user, secret, method, target, body string, header ...string) s3Answer {
	u.t.Helper()
	r, err := http.NewRequestWithContext(u.t.Context(), method, u.url+target, strings.NewReader(body))
	if err != nil {
		u.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if _, err := sigv4.NewSigner(user, secret, "", "us-east-1").Sign(r, sigv4.UnsignedPayload, time.Now()); err != nil {
		u.t.Fatal(err)
	}
	return u.send(r)
}

func (u s3Users) send(r *http.Request) s3Answer {
	u.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return s3Answer{resp.StatusCode, resp.Header, string(text)}
}

// form posts a file by a form that the user signs.
func (u s3Users) form(user, secret, bucket, key, content string) s3Answer {
	u.t.Helper()
	now := time.Now().UTC()
	scope := sigv4.NewScope(now, "us-east-1", "s3")
	fields := [][2]string{{"key", key}, {"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-credential", user + "/" + scope.String()}, {"x-amz-date", now.Format("20060102T150405Z")}}
	var conditions []string
	for _, f := range append(fields, [2]string{"bucket", bucket}) {
		conditions = append(conditions, fmt.Sprintf("{%q: %q}", f[0], f[1]))
	}
	policy := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration": %q, "conditions": [%s]}`,
		now.Add(time.Hour).Format(time.RFC3339), strings.Join(conditions, ", ")))
	fields = append(fields, [2]string{"policy", policy}, [2]string{"x-amz-signature", sigv4.Derive(secret, scope).Sign(policy)}, [2]string{"file", content})
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			u.t.Fatal(err)
		}
	}
	w.Close()
	r, err := http.NewRequestWithContext(u.t.Context(), "POST", u.url+"/"+bucket, &body)
	if err != nil {
		u.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return u.send(r)
}

func (a s3Answer) find(pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(a.body); m != nil {
		return m[1]
	}
	return ""
}

// TestNoWayAroundACLs lets two users try what they may not: one of the same account whom no ACL names, and then one who may
// read only. Every operation is a way in: parts, copies, forms, versions, deletions of many.
func TestNoWayAroundACLs(t *testing.T) {
	text, err := os.ReadFile("../../etc/functional-test.toml")
	if err != nil {
		t.Fatal(err)
	}
	// The lists of containers are what is tried here; owners and grants have tests beside the filter.
	plain := filepath.Join(t.TempDir(), "proxy.toml")
	if err := os.WriteFile(plain, bytes.Replace(text, []byte("s3_acl = true"), []byte("s3_acl = false"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, base := start(t, EmbeddedOptions{Config: plain})
	u := s3Users{t, base}
	owner := func(method, target, body string, header ...string) s3Answer {
		t.Helper()
		a := u.do("test:tester", "testing", method, target, body, header...)
		if a.code/100 != 2 {
			t.Fatalf("the owner: %s %s: got %d %s", method, target, a.code, a.body)
		}
		return a
	}
	owner("PUT", "/private", "")
	owner("PUT", "/open", "", "x-amz-acl", "private")
	owner("PUT", "/private?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	version := owner("PUT", "/private/key", "first").header.Get("X-Amz-Version-Id")
	owner("PUT", "/private/key", "second")
	owner("PUT", "/private/other", "other")
	upload := owner("POST", "/private/large?uploads", "").find(`<UploadId>(.*?)</UploadId>`)
	etag := owner("PUT", "/private/large?partNumber=1&uploadId="+url.QueryEscape(upload), "part").header.Get("Etag")
	if version == "" || upload == "" || etag == "" {
		t.Fatalf("version %q, upload %q, part %q", version, upload, etag)
	}
	state := func() string {
		text := owner("GET", "/private?versions", "").body + owner("GET", "/private/large?uploadId="+url.QueryEscape(upload), "").body +
			owner("GET", "/private?uploads", "").body + owner("GET", "/private?acl", "").body
		return regexp.MustCompile(`(?s)<RequestId>.*?</HostId>`).ReplaceAllString(text, "")
	}
	before := state()

	complete := `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + etag + `</ETag></Part></CompleteMultipartUpload>`
	id := url.QueryEscape(upload)
	type try struct {
		method, target, body string
		header               []string
	}
	reads := []try{
		{"GET", "/private", "", nil}, {"HEAD", "/private", "", nil}, {"GET", "/private?list-type=2", "", nil},
		{"GET", "/private/key", "", nil}, {"HEAD", "/private/key", "", nil}, {"GET", "/private/key?partNumber=1", "", nil},
		{"GET", "/private/key?attributes", "", []string{"x-amz-object-attributes", "ETag,ObjectSize"}},
		{"GET", "/private/key?versionId=" + version, "", nil}, {"HEAD", "/private/key?versionId=" + version, "", nil},
	}
	writes := []try{
		{"PUT", "/private/key", "third", nil}, {"PUT", "/private/new", "new", nil}, {"PUT", "/private/key", "", []string{"x-amz-copy-source", "/private/other"}},
		{"PUT", "/private/key", "third", []string{"x-amz-acl", "private"}}, {"DELETE", "/private/key", "", nil}, {"DELETE", "/private/key?versionId=" + version, "", nil},
		{"DELETE", "/private", "", nil}, {"PUT", "/private?versioning", `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`, nil},
		{"PUT", "/private?acl", "", []string{"x-amz-acl", "public-read"}}, {"PUT", "/private", "", []string{"x-amz-acl", "public-read"}},
		{"POST", "/private/large?uploads", "", nil}, {"PUT", "/private/large?partNumber=1&uploadId=" + id, "mine", nil},
		{"PUT", "/private/large?partNumber=2&uploadId=" + id, "", []string{"x-amz-copy-source", "/private/other"}},
		{"POST", "/private/large?uploadId=" + id, complete, nil}, {"DELETE", "/private/large?uploadId=" + id, "", nil},
		{"GET", "/private?versioning", "", nil},
	}
	const many = `<Delete><Object><Key>key</Key></Object><Object><Key>other</Key><VersionId>null</VersionId></Object></Delete>`
	attack := func(who string, tries []try) {
		t.Helper()
		for _, x := range tries {
			a := u.do("test:tester3", "testing3", x.method, x.target, x.body, x.header...)
			// To make a bucket that is there, or delete one that has versions, is an error of its own and changes nothing either.
			if a.code != 403 && !(x.target == "/private" && (x.method == "PUT" || x.method == "DELETE") && a.code == 409) {
				t.Errorf("%s: %s %s %v: got %d %s", who, x.method, x.target, x.header, a.code, a.body)
			}
		}
		if a := u.do("test:tester3", "testing3", "POST", "/private?delete", many, "Content-Md5", ""); strings.Contains(a.body, "<Deleted>") {
			t.Errorf("%s: deletes of many: got %d %s", who, a.code, a.body)
		}
		if a := u.form("test:tester3", "testing3", "private", "key", "third"); a.code != 403 {
			t.Errorf("%s: a form: got %d %s", who, a.code, a.body)
		}
		for _, name := range []string{"private+segments", "private%2Bsegments", ".private", "%00versions%00private"} {
			if a := u.do("test:tester3", "testing3", "GET", "/"+name+"/key", ""); a.code/100 != 4 {
				t.Errorf("%s: bucket %s: got %d %s", who, name, a.code, a.body)
			}
		}
		if after := state(); after != before {
			t.Fatalf("%s has changed something: %s\nwas %s", who, after, before)
		}
	}
	attack("a user whom no ACL names", slices.Concat(reads, writes))

	// From a bucket that he may not read into one that he may write.
	token := s3Token(t, base)
	setACL(t, base, token, "open", "test:tester3", "test:tester3")
	if a := u.do("test:tester3", "testing3", "PUT", "/open/mine", "mine"); a.code != 200 {
		t.Fatalf("into the open bucket: got %d %s", a.code, a.body)
	}
	for _, source := range []string{"/private/key", "/private/key?versionId=" + version, "private/key", "/open/../private/key"} {
		if a := u.do("test:tester3", "testing3", "PUT", "/open/copy", "", "x-amz-copy-source", source); a.code/100 != 4 {
			t.Errorf("copy of %s: got %d %s", source, a.code, a.body)
		}
	}

	setACL(t, base, token, "private", "test:tester3", "")
	before = state()
	for _, x := range reads {
		if strings.Contains(x.target, "versionId") {
			continue // versions are the owner's
		}
		if a := u.do("test:tester3", "testing3", x.method, x.target, x.body, x.header...); a.code/100 != 2 {
			t.Errorf("a reader: %s %s: got %d %s", x.method, x.target, a.code, a.body)
		}
	}
	owner("PUT", "/empty", "")
	setACL(t, base, token, "empty", "test:tester3", "")
	if a := u.do("test:tester3", "testing3", "DELETE", "/empty", ""); a.code != 403 {
		t.Errorf("a reader deletes an empty bucket: got %d %s", a.code, a.body)
	}
	attack("a reader", slices.DeleteFunc(writes, func(x try) bool { return x.target == "/private?versioning" && x.method == "GET" }))
}

// s3Token returns the owner's token for the Swift API.
func s3Token(t *testing.T, base string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", base+"/auth/v1.0", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-User", "test:tester")
	r.Header.Set("X-Auth-Key", "testing")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("X-Auth-Token")
}

func setACL(t *testing.T, base, token, container, read, write string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", base+"/v1/AUTH_test/"+container, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("X-Container-Read", read)
	r.Header.Set("X-Container-Write", write)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("set the ACL of %s: %v", container, resp.Status)
	}
}

// TestChecksumsAreOfTheirBytes copies a range by the Swift API, which copies system metadata too: the checksum of the whole must
// not be taken for that of the range.
func TestChecksumsAreOfTheirBytes(t *testing.T) {
	_, base := start(t, EmbeddedOptions{Config: "../../etc/functional-test.toml"})
	u := s3Users{t, base}
	do := func(method, target, body string, header ...string) s3Answer {
		t.Helper()
		a := u.do("test:tester", "testing", method, target, body, header...)
		if a.code != 200 {
			t.Fatalf("%s %s: got %d %s", method, target, a.code, a.body)
		}
		return a
	}
	const sum = "x-amz-checksum-crc32"
	do("PUT", "/bucket", "")
	do("PUT", "/bucket/key", "abc", sum, "NSRBwg==")
	for name, ranges := range map[string]string{"whole": "bytes=0-2", "part": "bytes=0-1"} {
		r, err := http.NewRequestWithContext(t.Context(), "PUT", base+"/v1/AUTH_test/bucket/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", s3Token(t, base))
		r.Header.Set("X-Copy-From", "bucket/key")
		r.Header.Set("Range", ranges)
		if a := u.send(r); a.code != 201 {
			t.Fatalf("copy %s: got %d %s", ranges, a.code, a.body)
		}
	}
	do("PUT", "/bucket/copy", "", "x-amz-copy-source", "/bucket/key")
	for name, want := range map[string]string{"key": "NSRBwg==", "whole": "NSRBwg==", "copy": "NSRBwg==", "part": ""} {
		for _, method := range []string{"GET", "HEAD"} {
			if got := do(method, "/bucket/"+name, "", "x-amz-checksum-mode", "ENABLED").header.Get(sum); got != want {
				t.Errorf("%s %s: the checksum is %q, want %q", method, name, got, want)
			}
		}
	}
}
