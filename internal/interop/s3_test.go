package interop

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/sigv4"
)

// TestS3 has what the S3 API of the one has begun gone on with and ended by that of the other, over the same nodes, in both
// directions. After each step both must say the same of it.
func TestS3(t *testing.T) {
	wanted(t)
	r := newRig(t)
	c := &chronicle{rig: r}
	r.nodes(t, swift, swift)
	r.serve(t, swift, "proxy-swift")
	r.serve(t, apus, "proxy-apus")
	for _, p := range []struct {
		name     string
		one, two impl
	}{{"nodes of Swift", swift, swift}, {"nodes of both", apus, swift}, {"nodes of Apus", apus, apus}} {
		if p.one != p.two && !*full {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			r.nodes(t, p.one, p.two)
			for _, d := range []struct{ begins, ends impl }{{swift, apus}, {apus, swift}} {
				for _, story := range []struct {
					name string
					tell func(*pair)
				}{{"buckets and objects", buckets}, {"uploads", uploads}, {"versions", s3Versions}, {"grants", grants}} {
					t.Run(fmt.Sprintf("%s, from %s to %s", story.name, d.begins, d.ends), func(t *testing.T) {
						story.tell(&pair{t: t, begins: c.newTalker(t, d.begins), ends: c.newTalker2(t, d.ends)})
					})
				}
			}
		})
	}
}

// newTalker2 talks to the account of the last talker through another proxy.
func (c *chronicle) newTalker2(t *testing.T, make impl) *talker {
	t.Helper()
	return newTalker(t, c.rig.proxy(make), fmt.Sprintf("interop%02d", c.rig.users-1))
}

// pair is two proxies of an account, one of each make.
type pair struct {
	t            *testing.T
	begins, ends *talker
}

// s3 sends a request that a user of the account, admin or guest, has signed.
func (k *talker) s3(user, method, path, body string, head ...string) answer {
	k.t.Helper()
	req, err := http.NewRequest(method, k.base+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if method == "POST" && body != "" { // Swift wants it of deletions, and not of copies
		sum := md5.Sum([]byte(body))
		req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	if method == "DELETE" {
		// With a Content-Length, which net/http leaves out otherwise: where a deletion brings an older version back, Swift waits a
		// minute for a body that is never sent.
		req.TransferEncoding = []string{"identity"}
	}
	who := strings.TrimPrefix(k.account, "AUTH_") + ":" + user
	if _, err := sigv4.NewSigner(who, "key", "", "us-east-1").Sign(req, sigv4.UnsignedPayload, time.Now()); err != nil {
		k.t.Fatal(err)
	}
	return k.do(req)
}

// does sends what has to have the status.
func (p *pair) does(k *talker, status int, user, method, path, body string, head ...string) answer {
	p.t.Helper()
	a := k.s3(user, method, path, body, head...)
	if a.status != status {
		p.t.Fatalf("%s %s by %s at %s: got %d %s, want %d", method, path, user, k.base, a.status, a.body, status)
	}
	return a
}

// both asks both proxies, which have to say the same.
func (p *pair) both(status int, user, method, path string, head ...string) answer {
	p.t.Helper()
	one, two := p.does(p.begins, status, user, method, path, "", head...), p.does(p.ends, status, user, method, path, "", head...)
	for _, a := range []*answer{&one, &two} {
		if a.status == 404 && method == "HEAD" { // Apus names the marker that hides an object, as AWS does
			a.head.Del("X-Amz-Delete-Marker")
			a.head.Del("X-Amz-Version-Id")
		}
	}
	if w, g := said(one), said(two); w != g {
		p.t.Errorf("%s %s by %s: %s and %s differ:\n%s", method, path, user, p.begins.base, p.ends.base, diff(w, g))
	}
	return one
}

// told are the headers that both makes send; what AWS sends and Swift does not is left out.
var told = []string{"Etag", "Content-Type", "Content-Encoding", "Content-Range", "Last-Modified", "X-Amz-Version-Id", "X-Amz-Delete-Marker"}

// untold are the elements that the makes fill in otherwise, as docs/divergences.md says.
var untold = []string{"CreationDate", "Message", "RequestId", "HostId", "Resource", "Key", "BucketName", "NextVersionIdMarker", "VersionIdMarker",
	"EncodingType", "NextUploadIdMarker", "NextKeyMarker"}

// said is the substance of an answer: status, the headers that S3 clients go by, and a document as one line for each
// element that has a text.
func said(a answer) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	document := strings.HasPrefix(a.body, "<?xml")
	for name, values := range a.head {
		// The type of documents is that of others with Swift.
		if strings.HasPrefix(name, "X-Amz-Meta-") || slices.Contains(told, name) && (name != "Content-Type" || a.head.Get("Etag") != "") {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, " | "))
		}
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	slices.Sort(lines[1:])
	if !document {
		return strings.Join(append(lines, a.body), "\n")
	}
	return strings.Join(append(lines, elements(a.body)...), "\n")
}

// elements lists the texts of a document by the path to them.
func elements(document string) []string {
	var lines, path []string
	for d := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			return append(lines, err.Error())
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			text := strings.TrimSpace(string(token))
			if last := len(path) - 1; text != "" && (!slices.Contains(untold, path[last]) || path[last] == "Key" && path[0] != "Error") {
				lines = append(lines, strings.Join(path, "/")+": "+text)
			}
		}
	}
}

// element is the text of the first element of that name.
func element(document, name string) string {
	_, rest, _ := strings.Cut(document, "<"+name+">")
	text, _, _ := strings.Cut(rest, "</")
	return text
}

func buckets(p *pair) {
	a, b := p.begins, p.ends
	p.does(a, 200, "admin", "PUT", "/bucket", "")
	p.both(200, "admin", "HEAD", "/bucket")
	p.both(200, "admin", "GET", "/")
	p.both(200, "admin", "GET", "/bucket?location")
	p.both(404, "admin", "GET", "/none")
	meta := []string{"x-amz-meta-a_b: under_score", "x-amz-meta-colour: blue", "Content-Type: text/x", "Content-Encoding: gzip"}
	for i, k := range []*talker{a, b} {
		for _, key := range []string{"plain", "a%20b/%C3%BC", "d/x", "d/y", "plus%2Band%26"} {
			p.does(k, 200, "admin", "PUT", fmt.Sprintf("/bucket/%d/%s", i, key), "content", meta...)
			p.both(200, "admin", "GET", fmt.Sprintf("/bucket/%d/%s", i, key))
			p.both(200, "admin", "HEAD", fmt.Sprintf("/bucket/%d/%s", i, key))
		}
	}
	p.both(206, "admin", "GET", "/bucket/0/plain", "Range: bytes=2-3")
	p.both(412, "admin", "GET", "/bucket/0/plain", `If-Match: "x"`)
	for _, query := range []string{"", "?list-type=2", "?prefix=0/", "?delimiter=/", "?prefix=1/&delimiter=/&max-keys=2", "?marker=0/plain", "?list-type=2&start-after=1/d/x",
		"?max-keys=0"} {
		p.both(200, "admin", "GET", "/bucket"+query)
	}
	p.does(b, 200, "admin", "PUT", "/bucket/copy", "", "x-amz-copy-source: /bucket/0/plain")
	p.does(a, 200, "admin", "PUT", "/bucket/copy2", "", "x-amz-copy-source: /bucket/copy", "x-amz-metadata-directive: REPLACE", "x-amz-meta-new: 1")
	p.both(200, "admin", "GET", "/bucket/copy")
	p.both(200, "admin", "GET", "/bucket/copy2")
	p.does(b, 204, "admin", "DELETE", "/bucket/0/plain", "")
	p.does(a, 204, "admin", "DELETE", "/bucket/1/plain", "")
	p.both(404, "admin", "GET", "/bucket/0/plain")
	p.both(404, "admin", "GET", "/bucket/1/plain")
	p.does(b, 409, "admin", "DELETE", "/bucket", "")
	p.does(b, 200, "admin", "POST", "/bucket?delete=", `<Delete><Object><Key>0/d/x</Key></Object><Object><Key>1/d/x</Key></Object></Delete>`)
	p.both(200, "admin", "GET", "/bucket")
}

// completion lists the parts with the tags.
func completion(tags ...string) string {
	var b strings.Builder
	for i, tag := range tags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, tag)
	}
	return "<CompleteMultipartUpload>" + b.String() + "</CompleteMultipartUpload>"
}

func uploads(p *pair) {
	a, b := p.begins, p.ends
	p.does(a, 200, "admin", "PUT", "/bucket", "")
	begin := func(k *talker, key string) string {
		return "/bucket/" + key + "?uploadId=" + element(p.does(k, 200, "admin", "POST", "/bucket/"+key+"?uploads=", "", "x-amz-meta-a: 1", "Content-Type: text/x").body, "UploadId")
	}
	part := func(k *talker, upload string, n int, text string) string {
		path, id, _ := strings.Cut(upload, "?")
		return p.does(k, 200, "admin", "PUT", fmt.Sprintf("%s?partNumber=%d&%s", path, n, id), text).head.Get("Etag")
	}
	// The one begins, both send parts, the other ends.
	upload := begin(a, "large")
	tags := []string{part(a, upload, 1, "first "), part(b, upload, 2, "old"), part(a, upload, 2, "second "), part(b, upload, 3, "third")}
	p.both(200, "admin", "GET", "/bucket?uploads")
	p.both(200, "admin", "GET", upload)
	p.both(200, "admin", "GET", upload+"&max-parts=1&part-number-marker=1")
	p.both(404, "admin", "GET", "/bucket/large")
	end := completion(tags[0], tags[2], tags[3])
	p.does(b, 200, "admin", "POST", upload, end)
	for _, k := range []*talker{a, b} {
		p.does(k, 200, "admin", "POST", upload, end) // once more
	}
	if got := p.both(200, "admin", "GET", "/bucket/large"); got.body != "first second third" || !strings.HasSuffix(got.head.Get("Etag"), `-3"`) {
		p.t.Errorf("the object is %v %q", got.head, got.body)
	}
	p.both(200, "admin", "HEAD", "/bucket/large")
	p.both(206, "admin", "GET", "/bucket/large", "Range: bytes=3-8")
	p.both(200, "admin", "GET", "/bucket")
	p.both(200, "admin", "GET", "/bucket?uploads")

	// The other deletes what the one has ended.
	upload = begin(b, "copied")
	path, id, _ := strings.Cut(upload, "?")
	one := part(a, upload, 1, "first ")
	two := element(p.does(a, 200, "admin", "PUT", path+"?partNumber=2&"+id, "", "x-amz-copy-source: /bucket/large", "x-amz-copy-source-range: bytes=6-12").body, "ETag")
	p.does(a, 200, "admin", "POST", upload, completion(one, strings.ReplaceAll(two, "&quot;", `"`)))
	if got := p.both(200, "admin", "GET", "/bucket/copied"); got.body != "first second " {
		p.t.Errorf("the object is %q", got.body)
	}
	p.does(b, 204, "admin", "DELETE", "/bucket/copied", "")
	p.does(a, 204, "admin", "DELETE", "/bucket/large", "")
	p.both(404, "admin", "GET", "/bucket/copied")

	// The one begins, the other aborts.
	upload = begin(a, "aborted")
	part(a, upload, 1, "first")
	part(b, upload, 2, "second")
	p.does(b, 204, "admin", "DELETE", upload, "")
	p.both(404, "admin", "GET", upload)
	p.both(404, "admin", "GET", "/bucket/aborted")
	p.both(200, "admin", "GET", "/bucket?uploads")
	// Parts of what was completed are deleted by the expirer, where Swift does it.
	if left := a.send(request{method: "GET", path: "/bucket%2Bsegments?prefix=aborted/"}).body; left != "" {
		p.t.Errorf("after the abort there is %s", left)
	}
}

func s3Versions(p *pair) {
	a, b := p.begins, p.ends
	set := func(k *talker, status string) {
		p.does(k, 200, "admin", "PUT", "/bucket?versioning=", "<VersioningConfiguration><Status>"+status+"</Status></VersioningConfiguration>")
	}
	store := func(k *talker, text string) {
		p.does(k, 200, "admin", "PUT", "/bucket/key", text, "x-amz-meta-text: "+text)
	}
	p.does(a, 200, "admin", "PUT", "/bucket", "")
	p.both(200, "admin", "GET", "/bucket?versioning")
	set(a, "Enabled")
	p.both(200, "admin", "GET", "/bucket?versioning")
	store(a, "one")
	store(b, "two")
	store(a, "three")
	p.both(200, "admin", "GET", "/bucket/key")
	// Each makes a marker.
	p.does(b, 204, "admin", "DELETE", "/bucket/key", "")
	p.does(a, 204, "admin", "DELETE", "/bucket/key", "")
	p.both(404, "admin", "HEAD", "/bucket/key")
	p.both(200, "admin", "GET", "/bucket?versions&max-keys=2")
	var ids []string // the newest first
	for _, line := range elements(p.both(200, "admin", "GET", "/bucket?versions").body) {
		if _, id, ok := strings.Cut(line, "/VersionId: "); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) != 5 {
		p.t.Fatalf("the versions are %q", ids)
	}
	another, marker := ids[0], ids[1]
	ids = []string{ids[4], ids[3], ids[2]}
	for i, text := range []string{"one", "two", "three"} {
		if got := p.both(200, "admin", "GET", "/bucket/key?versionId="+ids[i]); got.body != text {
			p.t.Errorf("version %s is %q", ids[i], got.body)
		}
	}
	p.does(b, 200, "admin", "PUT", "/bucket/copy", "", "x-amz-copy-source: /bucket/key?versionId="+ids[0])
	if got := p.both(200, "admin", "GET", "/bucket/copy"); got.body != "one" {
		p.t.Errorf("the copy is %q", got.body)
	}
	// Each takes away what the other has made, and what was before is back.
	p.does(a, 204, "admin", "DELETE", "/bucket/key?versionId="+marker, "")
	p.does(b, 204, "admin", "DELETE", "/bucket/key?versionId="+another, "")
	for i, k := range []*talker{b, a} {
		p.both(200, "admin", "GET", "/bucket/key")
		p.does(k, 204, "admin", "DELETE", "/bucket/key?versionId="+ids[2-i], "")
	}
	if got := p.both(200, "admin", "GET", "/bucket/key"); got.body != "one" {
		p.t.Errorf("after two versions were deleted it is %q", got.body)
	}
	set(b, "Suspended")
	p.both(200, "admin", "GET", "/bucket?versioning")
	p.both(200, "admin", "GET", "/bucket?versions")
}

func grants(p *pair) {
	a, b := p.begins, p.ends
	account := strings.TrimPrefix(a.account, "AUTH_")
	p.does(a, 200, "admin", "PUT", "/bucket", "")
	p.does(a, 200, "admin", "PUT", "/bucket/key", "content")
	p.both(200, "admin", "GET", "/bucket/key?acl")
	p.both(200, "admin", "GET", "/bucket?acl")
	p.both(403, "guest", "GET", "/bucket/key")
	p.both(403, "guest", "GET", "/bucket")
	for _, k := range []*talker{a, b} {
		p.does(k, 200, "admin", "PUT", "/bucket/key?acl=", `<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>`+account+`:admin</ID></Owner><AccessControlList><Grant>`+
			`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>`+account+`:guest</ID></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`)
		p.both(200, "guest", "GET", "/bucket/key")
		p.both(403, "guest", "GET", "/bucket/key?acl")
		p.both(200, "admin", "GET", "/bucket/key?acl")
		p.does(k, 200, "admin", "PUT", "/bucket/key?acl=", "", "x-amz-acl: private")
		p.both(403, "guest", "GET", "/bucket/key")
		for _, canned := range []string{"public-read", "authenticated-read", "bucket-owner-full-control"} {
			p.does(k, 200, "admin", "PUT", "/bucket/"+canned, "x", "x-amz-acl: "+canned)
			p.both(200, "admin", "GET", "/bucket/"+canned+"?acl")
		}
	}
	p.both(200, "guest", "GET", "/bucket/public-read")
	// The guest may write, and owns what he has written.
	p.does(a, 200, "admin", "PUT", "/bucket?acl=", "", "x-amz-grant-write: id="+account+":guest", "x-amz-grant-read: id="+account+":guest")
	p.both(200, "admin", "GET", "/bucket?acl")
	p.both(200, "guest", "GET", "/bucket")
	for i, k := range []*talker{a, b} {
		other := []*talker{b, a}[i]
		key := fmt.Sprintf("/bucket/guest%d", i)
		p.does(k, 200, "guest", "PUT", key, "his")
		p.both(200, "guest", "GET", key+"?acl")
		p.both(403, "admin", "GET", key)
		id := element(p.does(k, 200, "guest", "POST", key+"-large?uploads=", "", "x-amz-acl: public-read").body, "UploadId")
		tag := p.does(other, 200, "guest", "PUT", key+"-large?partNumber=1&uploadId="+id, "large").head.Get("Etag")
		p.does(other, 200, "guest", "POST", key+"-large?uploadId="+id, completion(tag))
		p.both(200, "guest", "GET", key+"-large?acl")
		p.both(200, "admin", "GET", key+"-large")
		p.does(other, 204, "guest", "DELETE", key, "")
	}
	p.does(b, 200, "admin", "PUT", "/bucket?acl=", "", "x-amz-acl: private")
	p.both(200, "admin", "GET", "/bucket?acl")
	p.both(403, "guest", "GET", "/bucket")
	p.both(403, "guest", "PUT", "/bucket/new")
}
