package s3gateway_test

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

func TestBucketsAreWhereRoutesSay(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, `
[[filter.s3gateway.route]]
bucket = ["photos"]
upstreams = ["far"]
upstream_bucket = "archive"
[[filter.s3gateway.route]]
bucket = ["near-*"]
upstreams = ["near"]
`)
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/near-1", "")
	g.want("NoSuchBucket", "PUT", "/elsewhere", "")
	for _, key := range []string{"plain", "with%20space", "a//b", "a/%2E%2E/b/c", "percent%2541", "pl%2Bus", "%C3%BC", "q%3Fm%26a", "dots..."} {
		g.want(200, "PUT", "/photos/"+key, "in "+key, "x-amz-meta-colour", "blue")
		far.has("/archive/"+key, "in "+key)
		if a := g.want(200, "GET", "/photos/"+key, ""); a.body != "in "+key || a.header.Get("X-Amz-Meta-Colour") != "blue" {
			t.Errorf("%s: got %v", key, a)
		}
		g.want(204, "DELETE", "/photos/"+key, "")
		far.want("NoSuchKey", "GET", "/archive/"+key, "")
	}
	g.want(200, "PUT", "/near-1/x", "near")
	near.has("/near-1/x", "near")
}

func TestNamesOfTheStoreAreNotSeen(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = ['photos']\nupstreams = ['far']\nupstream_bucket = 'archive'\n")
	g.want(200, "PUT", "/photos", "")
	id := between(g.want(200, "POST", "/photos/k?uploads", "").body, "<UploadId>", "</UploadId>")
	g.want(200, "GET", "/photos?uploads", "")
	etag := g.want(200, "PUT", "/photos/k?partNumber=1&uploadId="+id, "part").header.Get("Etag")
	g.want(200, "GET", "/photos/k?uploadId="+id, "")
	done := g.want(200, "POST", "/photos/k?uploadId="+id,
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+etag+"</ETag></Part></CompleteMultipartUpload>")
	if want := "<Location>" + g.url + "/photos/k</Location>"; !strings.Contains(done.body, want) {
		t.Errorf("completed with %s, want %s", done.body, want)
	}
	g.want("NoSuchKey", "GET", "/photos/none", "")
	g.want(200, "GET", "/photos?versions", "")
	g.want(200, "GET", "/photos?list-type=2", "")
	g.want(200, "PUT", "/photos/xml", "<Error><BucketName>archive</BucketName></Error>", "Content-Type", "application/xml")
	g.has("/photos/xml", "<Error><BucketName>archive</BucketName></Error>") // content is none of the gateway's business
	for _, path := range []string{"/photos?uploads", "/photos?list-type=2", "/photos?versions", "/photos/none", "/photos?acl"} {
		a := g.do("GET", path, "")
		if strings.Contains(a.body, "archive") || strings.Contains(a.header.Get("Location"), "archive") || strings.Contains(a.body, far.server.URL) {
			t.Errorf("GET %s shows the store's names: %v", path, a)
		}
		if !strings.Contains(a.body, "photos") && !strings.Contains(path, "acl") {
			t.Errorf("GET %s lacks the client's name: %v", path, a)
		}
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

func names(text, element string) []string {
	var all []string
	for _, piece := range strings.Split(text, "<"+element+">")[1:] {
		name, _, _ := strings.Cut(piece, "</")
		all = append(all, name)
	}
	return all
}

func TestBucketsOfAllStoresAreListed(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, `
[filter.s3gateway.identity.carol]
access_key = "AKCAROL"
secret = "carol's secret"
rights = ["read", "list"]
buckets = ["near-b*"]
[[filter.s3gateway.route]]
bucket = ["photos"]
upstreams = ["far"]
upstream_bucket = "archive"
[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["near"]
`)
	secrets["AKCAROL"] = "carol's secret"
	for _, name := range []string{"archive", "hidden"} {
		far.want(200, "PUT", "/"+name, "")
	}
	for _, name := range []string{"near-a", "near-b", "photos"} {
		near.want(200, "PUT", "/"+name, "")
	}
	if got := names(g.want(200, "GET", "/", "").body, "Name"); !slices.Equal(got, []string{"near-a", "near-b", "photos"}) {
		t.Errorf("alice sees %v", got)
	}
	if got := names(g.as("AKCAROL").want(200, "GET", "/", "").body, "Name"); !slices.Equal(got, []string{"near-b"}) {
		t.Errorf("carol sees %v", got)
	}
	first := g.want(200, "GET", "/?max-buckets=2", "")
	token := between(first.body, "<ContinuationToken>", "</")
	second := g.want(200, "GET", "/?max-buckets=2&continuation-token="+token, "")
	if got := append(names(first.body, "Name"), names(second.body, "Name")...); !slices.Equal(got, []string{"near-a", "near-b", "photos"}) {
		t.Errorf("in pages: %v", got)
	}
	if got := names(g.want(200, "GET", "/?prefix=near-", "").body, "Name"); !slices.Equal(got, []string{"near-a", "near-b"}) {
		t.Errorf("with a prefix: %v", got)
	}
	g.want("InvalidArgument", "GET", "/?max-buckets=0", "")
	g.want(405, "HEAD", "/", "")
}

// TestBucketsAreListedWithoutARouteForAll: no route is for requests that name no bucket.
func TestBucketsAreListedWithoutARouteForAll(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = ['photos', 'films']\nupstreams = ['far']\n")
	for _, name := range []string{"photos", "films", "hidden"} {
		far.want(200, "PUT", "/"+name, "")
	}
	if got := names(g.want(200, "GET", "/", "").body, "Name"); !slices.Equal(got, []string{"films", "photos"}) {
		t.Errorf("the buckets are %q", got)
	}
	g.as(storeKey).want("InvalidAccessKeyId", "GET", "/", "")
	if a := g.sent(g.request("GET", "/", "")); a.status != 403 {
		t.Errorf("without a signature: %v", a)
	}
}

// TestDocumentsGoWithTheirHash: stores take chunks for objects alone.
func TestDocumentsGoWithTheirHash(t *testing.T) {
	far := newStore(t)
	far.want(200, "PUT", "/photos", "")
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	var hash string
	far.meet(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut || r.Method == http.MethodPost { // and no health check
			hash = r.Header.Get("X-Amz-Content-Sha256")
		}
		return false
	})
	g.want(200, "PUT", "/photos/a", "a")
	if !strings.HasPrefix(hash, "STREAMING-") {
		t.Errorf("an object is sent as %q", hash)
	}
	document := "<Delete><Object><Key>a</Key></Object></Delete>"
	sum := md5.Sum([]byte(document))
	g.want(200, "POST", "/photos?delete", document, "Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	if len(hash) != 64 {
		t.Errorf("a document is sent as %q", hash)
	}
	g.want(404, "GET", "/photos/a", "")
	g.want("BadDigest", "POST", "/photos?delete", document, "Content-MD5", base64.StdEncoding.EncodeToString(make([]byte, 16)))
}

// TestOwnerOfBuckets: with one store, a client is who he is there, since that is what ACLs are about. Several stores have several
// names for him.
func TestOwnerOfBuckets(t *testing.T) {
	near, far := newStore(t), newStore(t)
	near.want(200, "PUT", "/near", "")
	one := newGateway(t, near.upstream("near"), clients, "[[filter.s3gateway.route]]\nbucket = \"*\"\nupstreams = [\"near\"]")
	theirs := names(near.want(200, "GET", "/near?acl", "").body, "ID")
	if got := names(one.want(200, "GET", "/", "").body, "ID"); len(got) != 1 || len(theirs) == 0 || got[0] != theirs[0] {
		t.Errorf("the owner is %q, and in an ACL %q", got, theirs)
	}
	both := newGateway(t, near.upstream("near"), far.upstream("far"), clients, `
[[filter.s3gateway.route]]
bucket = ["far*"]
upstreams = ["far"]
[[filter.s3gateway.route]]
bucket = "*"
upstreams = ["near"]
`)
	if got := names(both.want(200, "GET", "/", "").body, "ID"); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("of several stores, the owner is %q", got)
	}
}

func TestCopiesWithinAndBetweenStores(t *testing.T) {
	near, far := newStore(t), newStore(t)
	g := newGateway(t, near.upstream("near"), far.upstream("far"), clients, `
[filter.s3gateway.identity.dave]
access_key = "AKDAVE"
secret = "dave's secret"
rights = ["read", "write"]
buckets = ["near-*"]
[[filter.s3gateway.route]]
bucket = ["photos"]
upstreams = ["far"]
upstream_bucket = "archive"
[[filter.s3gateway.route]]
bucket = ["near-*"]
upstreams = ["near"]
`)
	secrets["AKDAVE"] = "dave's secret"
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/near-1", "")
	source := g.want(200, "PUT", "/photos/a b", "the bytes", "x-amz-meta-colour", "blue", "Content-Type", "text/x-test")
	etag := source.header.Get("Etag")

	g.want(200, "PUT", "/photos/within", "", "x-amz-copy-source", "/photos/a%20b")
	far.has("/archive/within", "the bytes")
	if got := far.requests(); slices.ContainsFunc(got, func(r string) bool { return strings.HasPrefix(r, "GET /archive/a") }) {
		t.Errorf("a copy within a store was carried: %v", got)
	}

	a := g.want(200, "PUT", "/near-1/between", "", "x-amz-copy-source", "photos/a%20b")
	if !strings.Contains(a.body, "<CopyObjectResult>") || !strings.Contains(a.body, strings.Trim(etag, `"`)) {
		t.Errorf("copied with %v", a)
	}
	if a := near.want(200, "GET", "/near-1/between", ""); a.body != "the bytes" || a.header.Get("X-Amz-Meta-Colour") != "blue" || a.header.Get("Content-Type") != "text/x-test" {
		t.Errorf("the copy is %v", a)
	}
	g.want(200, "PUT", "/near-1/replaced", "", "x-amz-copy-source", "photos/a%20b", "x-amz-metadata-directive", "REPLACE", "x-amz-meta-shape", "round")
	if a := near.want(200, "HEAD", "/near-1/replaced", ""); a.header.Get("X-Amz-Meta-Colour") != "" || a.header.Get("X-Amz-Meta-Shape") != "round" {
		t.Errorf("the copy is %v", a)
	}
	g.want("PreconditionFailed", "PUT", "/near-1/no", "", "x-amz-copy-source", "photos/a%20b", "x-amz-copy-source-if-none-match", etag)
	g.want("NoSuchKey", "PUT", "/near-1/no", "", "x-amz-copy-source", "photos/none")
	near.want(404, "HEAD", "/near-1/no", "")

	id := between(g.want(200, "POST", "/near-1/parts?uploads", "").body, "<UploadId>", "</UploadId>")
	part := g.want(200, "PUT", "/near-1/parts?partNumber=1&uploadId="+id, "", "x-amz-copy-source", "photos/a%20b", "x-amz-copy-source-range", "bytes=4-8")
	if !strings.Contains(part.body, "<CopyPartResult>") {
		t.Errorf("copied a part with %v", part)
	}
	g.want(200, "POST", "/near-1/parts?uploadId="+id, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"+
		between(part.body, "<ETag>", "</ETag>")+"</ETag></Part></CompleteMultipartUpload>")
	g.has("/near-1/parts", "bytes")

	// Who may not read the source may not copy it, and who may not write cannot either.
	g.as("AKDAVE").want("AccessDenied", "PUT", "/near-1/stolen", "", "x-amz-copy-source", "photos/a%20b")
	g.as(bob).want("AccessDenied", "PUT", "/near-1/stolen", "", "x-amz-copy-source", "near-1/between")
	near.want(404, "HEAD", "/near-1/stolen", "")
}

func TestRegionsAreTheGateways(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, "[filter.s3gateway]\nregion = 'here-1'\n", far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	if a := g.want("AuthorizationHeaderMalformed", "GET", "/", ""); a.header.Get("x-amz-bucket-region") != "here-1" {
		t.Errorf("the right region is not named: %v", a)
	}
}

func TestWhatIsNotForTheGatewayGoesOn(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['far']\n")
	g.want("NoSuchBucket", "GET", "/other/x", "")
	if a := g.sent(g.request("GET", "/photos/x", "")); a.status != 403 || a.code != "AccessDenied" {
		t.Errorf("without a signature: %v", a)
	}
	g.as(bob).want("AccessDenied", "PUT", "/photos/x", "no")
	if got := far.requests(); len(got) > 0 {
		t.Errorf("the store was asked %v", got)
	}
}

func TestPresignedURLs(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, far.upstream("far", `payload = "unsigned"`), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	g.want(200, "PUT", "/photos", "")
	far.requests()
	presigned := func(method, path, body string, headers ...string) answer {
		t.Helper()
		link, header, err := sigv4.NewSigner(alice, secrets[alice], "", "us-east-1").Presign(g.request(method, path, "", headers...), time.Minute, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r := g.request(method, strings.TrimPrefix(link, g.url), body)
		for name, values := range header {
			if name != "Host" {
				r.Header[name] = values
			}
		}
		return g.sent(r)
	}
	if a := presigned("PUT", "/photos/a b+c", "the bytes", "X-Amz-Meta-Colour", "blue", "Content-Type", "text/x-test"); a.status != 200 {
		t.Fatalf("stored with %v", a)
	}
	a := presigned("GET", "/photos/a b+c?response-content-type=text%2Fplain", "", "Range", "bytes=4-8")
	if a.status != 206 || a.body != "bytes" || a.header.Get("Content-Type") != "text/plain" || a.header.Get("X-Amz-Meta-Colour") != "blue" {
		t.Errorf("read %v", a)
	}
	for _, asked := range far.requests() {
		_, query, _ := strings.Cut(asked, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(values.Get("X-Amz-Expires")); err != nil || n < 1 || n > 60 || !strings.HasPrefix(values.Get("X-Amz-Credential"), storeKey) {
			t.Errorf("the store was asked %s, want a URL of its own user that lives for what is left of a minute", asked)
		}
	}
	if a := presigned("DELETE", "/photos/a b+c", ""); a.status != 204 {
		t.Errorf("deleted with %v", a)
	}
}

func TestBrowsersMayAskWhetherTheyMay(t *testing.T) {
	far := newStore(t)
	far.meet(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodOptions {
			return false
		}
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("the question has %v", r.Header)
		}
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		return true
	})
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = 'photos'\nidentities = ['alice']\nupstreams = ['far']\nupstream_bucket = 'archive'\n")
	ask := func(path string, headers ...string) answer {
		t.Helper()
		return g.sent(g.request("OPTIONS", path, "", headers...))
	}
	a := ask("/photos/x", "Origin", "http://page.example", "Access-Control-Request-Method", "PUT", "Cookie", "c=d")
	if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "http://page.example" {
		t.Errorf("got %v", a)
	}
	if seen := far.requests(); !slices.Equal(seen, []string{"OPTIONS /archive/x"}) {
		t.Errorf("the store was asked %v", seen)
	}
	if a := ask("/photos/x"); a.code != "AccessDenied" {
		t.Errorf("what is no preflight got %v", a)
	}
}

func TestHeadersOfAWSAreInLowerCase(t *testing.T) {
	far := newStore(t)
	g := newGateway(t, far.upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['far']\n")
	g.want(200, "PUT", "/photos", "")
	g.want(200, "PUT", "/photos/x", "", "x-amz-meta-colour", "blue")
	r := g.request("HEAD", "/photos/x", "")
	g.sign(r)
	conn, err := net.Dial("tcp", r.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.Close = true
	if err := r.Write(conn); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\r\nx-amz-meta-colour: blue\r\n", "\r\nx-amz-request-id: tx"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("want %q in\n%s", want, raw)
		}
	}
}

// TestCompletionsWithChecksums completes uploads with the checksum of the object, which is not that of the request's body.
func TestCompletionsWithChecksums(t *testing.T) {
	g := newGateway(t, newStore(t).upstream("far"), clients, "[[filter.s3gateway.route]]\nbucket = ['photos']\nupstreams = ['far']\n")
	g.want(200, "PUT", "/photos", "")
	sum := func(text string) checksum.Value {
		h := checksum.CRC32.New()
		io.WriteString(h, text)
		return checksum.Of(checksum.CRC32, h)
	}
	part := sum("part")
	composite := checksum.Whole(checksum.CRC32, checksum.Composite, []checksum.Part{{Value: part, Size: 4}}).String()
	for _, c := range []struct {
		kind, sum string
		want      any
	}{
		{"COMPOSITE", composite, 200},
		{"FULL_OBJECT", part.String(), 200},
		{"COMPOSITE", sum("another").String() + "-1", "BadDigest"},
		{"FULL_OBJECT", sum("another").String(), "BadDigest"},
	} {
		id := between(g.want(200, "POST", "/photos/k?uploads", "", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", c.kind).body, "<UploadId>", "</UploadId>")
		etag := g.want(200, "PUT", "/photos/k?partNumber=1&uploadId="+id, "part", "x-amz-checksum-crc32", part.String()).header.Get("Etag")
		doc := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag><ChecksumCRC32>" + part.String() +
			"</ChecksumCRC32></Part></CompleteMultipartUpload>"
		g.want(c.want, "POST", "/photos/k?uploadId="+id, doc, "x-amz-checksum-crc32", c.sum, "x-amz-checksum-type", c.kind)
	}
	// One that SDKs send by its older name.
	g.want(200, "PUT", "/photos/md5", "abc", "Content-MD5", "kAFQmDzST7DWlj99KOF/cg==", "x-amz-sdk-checksum-algorithm", "MD5")
	g.want("InvalidRequest", "PUT", "/photos/md5", "abc", "x-amz-sdk-checksum-algorithm", "MD5")
	if a := g.want(200, "GET", "/photos/md5", "", "x-amz-checksum-mode", "ENABLED"); a.header.Get("x-amz-checksum-md5") != "kAFQmDzST7DWlj99KOF/cg==" {
		t.Errorf("the checksum MD5 was not kept: %v", a.header)
	}
	// The body has digests of its own.
	g.want("BadDigest", "POST", "/photos/k?uploadId=u", "<CompleteMultipartUpload/>", "Content-MD5", "kAFQmDzST7DWlj99KOF/cg==")
}
