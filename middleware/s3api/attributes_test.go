package s3api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/middlewaretest"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<GetObjectAttributesResponse xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`

func attributeBench(t *testing.T) *bench {
	b := newBench(t, "")
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	b.On("HEAD /v1/AUTH_test/bucket/plain", middlewaretest.Answer{Header: map[string]string{
		"Etag": "900150983cd24fb0d6963f7d28e17f72", "Content-Length": "3", "Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT", sysmetaChecksum: "CRC32=NSRBwg==;FULL_OBJECT",
	}})
	large := map[string]string{
		"Etag": `"0123"`, "Content-Length": "15", "X-Static-Large-Object": "True", "Last-Modified": "Tue, 01 Dec 2026 00:00:00 GMT",
		sysmetaETag: "abc-3", sysmetaChecksum: "SHA1=aaaa-3;COMPOSITE",
	}
	b.On("HEAD /v1/AUTH_test/bucket/large", middlewaretest.Answer{Header: large})
	b.On("GET /v1/AUTH_test/bucket/large?multipart-manifest=get", middlewaretest.Answer{Body: `[
		{"name": "/bucket+segments/large/id/1", "bytes": 5, "hash": "a"},
		{"name": "/bucket+segments/large/id/3", "bytes": 6, "hash": "b"},
		{"name": "/bucket+segments/large/id/10", "bytes": 4, "hash": "c"}]`})
	for _, n := range []string{"1", "3", "10"} {
		b.On("HEAD /v1/AUTH_test/bucket+segments/large/id/"+n, middlewaretest.Answer{Header: map[string]string{sysmetaChecksum: "SHA1=sum" + n + ";FULL_OBJECT"}})
	}
	return b
}

func TestAttributes(t *testing.T) {
	part := func(n, size string) string {
		return "<Part><ChecksumSHA1>sum" + n + "</ChecksumSHA1><PartNumber>" + n + "</PartNumber><Size>" + size + "</Size></Part>"
	}
	for name, c := range map[string]struct {
		key    string
		wanted []string
		max    string
		marker string
		want   string
	}{
		"all of a plain object": {"plain", []string{"ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}, "", "", "<ETag>900150983cd24fb0d6963f7d28e17f72</ETag>" +
			"<Checksum><ChecksumCRC32>NSRBwg==</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></Checksum><StorageClass>STANDARD</StorageClass><ObjectSize>3</ObjectSize>"},
		"one":                      {"plain", []string{"ObjectSize"}, "", "", "<ObjectSize>3</ObjectSize>"},
		"in several lines":         {"plain", []string{"ETag", " StorageClass , ObjectSize"}, "", "", "<ETag>900150983cd24fb0d6963f7d28e17f72</ETag><StorageClass>STANDARD</StorageClass><ObjectSize>3</ObjectSize>"},
		"no parts":                 {"plain", []string{"ObjectParts"}, "", "", ""},
		"a large object's":         {"large", []string{"ETag,Checksum,ObjectSize"}, "", "", "<ETag>abc-3</ETag><Checksum><ChecksumSHA1>aaaa</ChecksumSHA1><ChecksumType>COMPOSITE</ChecksumType></Checksum><ObjectSize>15</ObjectSize>"},
		"parts":                    {"large", []string{"ObjectParts"}, "", "", parts("0", "10", "1000", "false") + part("1", "5") + part("3", "6") + part("10", "4") + "</ObjectParts>"},
		"the first page of parts":  {"large", []string{"ObjectParts"}, "2", "", parts("0", "3", "2", "true") + part("1", "5") + part("3", "6") + "</ObjectParts>"},
		"the second page of parts": {"large", []string{"ObjectParts"}, "2", "3", parts("3", "10", "2", "false") + part("10", "4") + "</ObjectParts>"},
		"no parts at once":         {"large", []string{"ObjectParts"}, "0", "", parts("0", "0", "0", "true") + "</ObjectParts>"},
		"parts after the last":     {"large", []string{"ObjectParts"}, "", "10", parts("10", "0", "1000", "false") + "</ObjectParts>"},
		"more than there may be":   {"large", []string{"ObjectParts"}, "1000000", "9", parts("9", "10", "1000", "false") + part("10", "4") + "</ObjectParts>"},
	} {
		b := attributeBench(t)
		r := b.do("GET", "/bucket/"+c.key+"?attributes", attributes(c.wanted, c.max, c.marker))
		if want := xmlHead + c.want + "</GetObjectAttributesResponse>"; r.Code != 200 || r.Body != want {
			t.Errorf("%s: got %d %s\nwant %s", name, r.Code, r.Body, want)
		}
		if r.Header.Get("Last-Modified") != "Tue, 01 Dec 2026 00:00:00 GMT" {
			t.Errorf("%s: Last-Modified %s", name, r.Header.Get("Last-Modified"))
		}
	}
}

func parts(marker, next, most, truncated string) string {
	return "<ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>" + marker + "</PartNumberMarker><NextPartNumberMarker>" + next +
		"</NextPartNumberMarker><MaxParts>" + most + "</MaxParts><IsTruncated>" + truncated + "</IsTruncated>"
}

func attributes(wanted []string, most, marker string) middlewaretest.Option {
	return func(r *http.Request) {
		if len(wanted) > 0 {
			r.Header["X-Amz-Object-Attributes"] = wanted
		}
		if most != "" {
			r.Header.Set("X-Amz-Max-Parts", most)
		}
		if marker != "" {
			r.Header.Set("X-Amz-Part-Number-Marker", marker)
		}
	}
}

func TestAttributesOfWhatIsNotThere(t *testing.T) {
	b := attributeBench(t)
	ask := func(target string, wanted ...string) middlewaretest.Response {
		return b.do("GET", target, attributes(wanted, "", ""))
	}
	b.want(ask("/bucket/none?attributes", "ETag"), 404, "NoSuchKey")
	b.want(ask("/none/none?attributes", "ETag"), 404, "NoSuchBucket")
	b.want(ask("/bucket/plain?attributes"), 400, "InvalidRequest")
	b.want(ask("/bucket/plain?attributes", "ETag,Owner"), 400, "InvalidArgument")
	b.want(ask("/bucket/plain?attributes&acl", "ETag"), 400, "InvalidArgument")
	b.want(b.do("GET", "/bucket/large?attributes", attributes([]string{"ObjectParts"}, "-1", "")), 400, "InvalidArgument")
	b.want(b.do("GET", "/bucket/large?attributes", attributes([]string{"ObjectParts"}, "", "x")), 400, "InvalidArgument")
}

func TestAttributesOfOtherLargeObjects(t *testing.T) {
	b := attributeBench(t)
	for name, manifest := range map[string]string{
		"segments of another name": `[{"name": "/c/first", "bytes": 5}, {"name": "/c/second", "bytes": 6}, {"name": "/c/third", "bytes": 4}]`,
		"segments of another key":  `[{"name": "/bucket+segments/other/id/1", "bytes": 5}, {"name": "/bucket+segments/other/id/2", "bytes": 6}, {"name": "/bucket+segments/other/id/3", "bytes": 4}]`,
		"a range":                  `[{"name": "/c/1", "bytes": 5, "range": "0-3"}, {"name": "/c/2", "bytes": 6}, {"name": "/c/3", "bytes": 4}]`,
		"one segment twice":        `[{"name": "/c/1", "bytes": 5}, {"name": "/c/1", "bytes": 6}, {"name": "/c/3", "bytes": 4}]`,
	} {
		b.On("GET /v1/AUTH_test/bucket/large?multipart-manifest=get", middlewaretest.Answer{Body: manifest})
		r := b.do("GET", "/bucket/large?attributes", attributes([]string{"ObjectParts"}, "", ""))
		if r.Code != 200 || strings.Contains(r.Body, "<Part>") || !strings.Contains(r.Body, "<PartsCount>3</PartsCount>") {
			t.Errorf("%s: got %d %s", name, r.Code, r.Body)
		}
	}
}

// TestChecksumsComeBack: what the client has sent is kept with the object, and shown to who asks for it, of the whole only.
func TestChecksumsComeBack(t *testing.T) {
	b := newBench(t, "")
	b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": "900150983cd24fb0d6963f7d28e17f72"}})
	for header, sum := range map[string]string{
		"x-amz-checksum-crc32": "NSRBwg==", "x-amz-checksum-crc32c": "Nks/tw==", "x-amz-checksum-crc64nvme": "BeXKuz/B+us=",
		"x-amz-checksum-sha1": "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "x-amz-checksum-sha256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
		"x-amz-checksum-sha512": "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
		"x-amz-checksum-md5":    "kAFQmDzST7DWlj99KOF/cg==", "x-amz-checksum-xxhash64": "RLws9a13CZk=", "x-amz-checksum-xxhash3": "eK9flIkvOVA=",
		"x-amz-checksum-xxhash128": "BrBatnM6YYV4r1+UiS85UA==",
	} {
		r := b.do("PUT", "/bucket/key", middlewaretest.Body("abc"), middlewaretest.Header(header, sum))
		b.want(r, 200, "")
		if amz(r, header) != sum || amz(r, "x-amz-checksum-type") != "FULL_OBJECT" {
			t.Errorf("%s: the answer has %v", header, r.Header)
		}
		kept := b.Last().Header.Get(sysmetaChecksum)
		b.On("GET /v1/AUTH_test/bucket/key", middlewaretest.Answer{Body: "abc", Header: map[string]string{sysmetaChecksum: kept}})
		if r := b.do("GET", "/bucket/key", middlewaretest.Header("X-Amz-Checksum-Mode", "ENABLED")); amz(r, header) != sum || amz(r, "x-amz-checksum-type") != "FULL_OBJECT" {
			t.Errorf("%s: GET has %v", header, r.Header)
		}
		if r := b.do("GET", "/bucket/key"); amz(r, header) != "" {
			t.Errorf("%s: GET has it without being asked", header)
		}
		b.On("GET /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 206, Body: "a", Header: map[string]string{sysmetaChecksum: kept, "Content-Range": "bytes 0-0/3"}})
		if r := b.do("GET", "/bucket/key", middlewaretest.Header("X-Amz-Checksum-Mode", "ENABLED"), middlewaretest.Header("Range", "bytes=0-0")); r.Code != 206 || amz(r, header) != "" {
			t.Errorf("%s: GET of a part: %d %v", header, r.Code, r.Header)
		}
	}
}
