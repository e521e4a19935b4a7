package s3api

import (
	"encoding/json"
	"encoding/xml"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
)

// A checksum that a client sends is kept with the object in system metadata of its own name (sysmetaChecksum). OpenStack
// Swift's s3api checks it and forgets it. Kept, it is what SDKs ask for with x-amz-checksum-mode and compare with the bytes
// that arrive, end to end; it costs a line of metadata, and OpenStack Swift carries it along without looking at it. One
// that nobody has sent is not made: it would prove no more than the entity tag.

type (
	attributesXML struct {
		XMLName      xml.Name           `xml:"http://s3.amazonaws.com/doc/2006-03-01/ GetObjectAttributesResponse"`
		ETag         string             `xml:"ETag,omitempty"`
		Checksum     *objectChecksumXML `xml:"Checksum"`
		Parts        *objectPartsXML    `xml:"ObjectParts"`
		StorageClass string             `xml:"StorageClass,omitempty"`
		Size         *int64             `xml:"ObjectSize"`
	}
	objectChecksumXML struct {
		checksumXML
		Type string `xml:"ChecksumType"`
	}
	objectPartsXML struct {
		Count      int             `xml:"PartsCount"`
		Marker     int             `xml:"PartNumberMarker"`
		NextMarker int             `xml:"NextPartNumberMarker"`
		Max        int             `xml:"MaxParts"`
		Truncated  bool            `xml:"IsTruncated"`
		Parts      []objectPartXML `xml:"Part"`
	}
	objectPartXML struct {
		checksumXML
		Number int   `xml:"PartNumber"`
		Size   int64 `xml:"Size"`
	}
)

// attributeNames are what can be asked for.
var attributeNames = []string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}

// getAttributes tells what a HEAD would, and more, of what the client wants to know.
func (x *exchange) getAttributes() error {
	wanted, err := x.wantedAttributes()
	if err != nil {
		return err
	}
	if err := x.checkVersion(); err != nil {
		return err
	}
	c := call{method: head, on: x.resource}
	resp, err := x.try(c)
	if err != nil {
		return err
	}
	if !resp.OK() {
		err := x.swiftError(c, resp.Code, nil)
		if isMarker(resp.Header) {
			return x.markerError(err, resp.Header)
		}
		return err
	}
	a, doc := fromSwift(resp.Header), attributesXML{}
	if wanted["ETag"] {
		doc.ETag = a.etag
	}
	if algorithm, value, kind, ok := parseStoredChecksum(a.checksum); ok && wanted["Checksum"] {
		value, _, _ = strings.Cut(value, "-") // the number of parts is said elsewhere
		doc.Checksum = &objectChecksumXML{Type: kind}
		doc.Checksum.set(algorithm, value)
	}
	if a.large && wanted["ObjectParts"] {
		if doc.Parts, err = x.objectParts(a); err != nil {
			return err
		}
	}
	if wanted["StorageClass"] {
		doc.StorageClass = "STANDARD"
	}
	if wanted["ObjectSize"] {
		doc.Size = &a.size
	}
	out := x.w.Header()
	out.Set("Last-Modified", a.header.Get("Last-Modified"))
	setAmz(out, "x-amz-version-id", a.version)
	return x.document(doc)
}

// wantedAttributes reads the header, which may be there several times.
func (x *exchange) wantedAttributes() (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, line := range x.r.Header["X-Amz-Object-Attributes"] {
		for name := range strings.SplitSeq(line, ",") {
			name = strings.TrimSpace(name)
			if !slices.Contains(attributeNames, name) {
				return nil, s3err.InvalidArgument.Say("Invalid attribute name specified.", "ArgumentName", "x-amz-object-attributes", "ArgumentValue", name)
			}
			wanted[name] = true
		}
	}
	if len(wanted) == 0 {
		return nil, s3err.InvalidRequest.Say("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return wanted, nil
}

// maxManifest is how long a manifest may be: one of 10,000 parts whose names are as long as names are.
const maxManifest = 64 << 20

// objectParts describes the parts of a large object, those with checksums one by one: so does AWS.
func (x *exchange) objectParts(a *answer) (*objectPartsXML, error) {
	most, err := x.headerNumber("X-Amz-Max-Parts", 1000)
	if err != nil {
		return nil, err
	}
	after, err := x.headerNumber("X-Amz-Part-Number-Marker", math.MaxInt32)
	if err != nil {
		return nil, err
	}
	if x.r.Header.Get("X-Amz-Part-Number-Marker") == "" {
		after = 0
	}
	c := call{method: get, on: x.resource, limit: maxManifest, query: url.Values{"multipart-manifest": {"get"}}}
	resp, err := x.ask(c)
	if err != nil {
		return nil, err
	}
	var segments []struct {
		Name  string `json:"name"`
		Bytes int64  `json:"bytes"`
		Range string `json:"range"`
	}
	if err := json.Unmarshal(resp.Body, &segments); err != nil {
		return nil, err
	}
	parts := &objectPartsXML{Count: len(segments), Marker: after, Max: most}
	if a.checksum == "" {
		return parts, nil
	}
	m := &multipart{}
	var page []partXML
	for i, segment := range segments {
		on := segmentResource(segment.Name)
		number := on.key[strings.LastIndexByte(on.key, '/')+1:]
		n, err := strconv.Atoi(number)
		if err != nil || segment.Range != "" || n <= i || !x.resource.covers(on) {
			return parts, nil // made by other means than a multipart upload
		}
		on.key = strings.TrimSuffix(on.key, "/"+number)
		if m.marker = on; n <= after {
			continue
		}
		if parts.Truncated = len(page) == most; parts.Truncated {
			break
		}
		page = append(page, partXML{Number: n, Size: segment.Bytes})
		parts.NextMarker = n
	}
	x.addChecksums(m, page)
	for _, p := range page {
		parts.Parts = append(parts.Parts, objectPartXML{p.checksumXML, p.Number, p.Size})
	}
	return parts, nil
}

// segmentResource is where a segment is, by its name in the manifest.
func segmentResource(name string) (r resource) {
	r.bucket, r.key, _ = strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return r
}

// headerNumber reads a number from a header, at most so much, which it is too if the header is not there.
func (x *exchange) headerNumber(name string, most int) (int, error) {
	v := x.r.Header.Get(name)
	if v == "" {
		return most, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0, s3err.InvalidArgument.Say("Argument "+strings.ToLower(name)+" must be an integer between 0 and 2147483647",
			"ArgumentName", strings.ToLower(name), "ArgumentValue", v)
	}
	return min(int(n), most), nil
}
