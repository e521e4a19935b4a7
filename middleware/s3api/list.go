package s3api

import (
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

// namespace is that of all elements of documents.
const namespace = s3xml.Namespace

// maxEntry is how long one entry of a listing may be: a name, all of whose bytes are escaped, and the rest.
const maxEntry = 16 << 10

// list asks Swift for a listing: of buckets, if the resource is none.
func (x *exchange) list(of resource, q url.Values, limit int) ([]listing.Entry, error) {
	q.Set("format", "json")
	resp, err := x.ask(call{method: get, on: resource{bucket: of.bucket}, query: q, limit: maxEntry * (limit + 1)})
	if err != nil {
		return nil, err
	}
	if len(resp.Body) == 0 {
		return nil, nil
	}
	return listing.Decode(resp.Body)
}

// A page is what a client wants to be listed, and what there is.
type page struct {
	max               int
	prefix, delimiter string
	encode            bool // names as in URLs
	entries           []listing.Entry
	truncated         bool
	names             []string // of the entries
	subdirs           []bool
}

// page reads the parameters that all listings have.
func (x *exchange) page() (*page, error) {
	q := x.query
	p := &page{max: x.config.MaxBucketListing, prefix: q.get("prefix"), delimiter: q.get("delimiter")}
	var err error
	if p.max, err = q.number("max-keys", p.max); err != nil {
		return nil, err
	}
	if q.has("encoding-type") {
		if v := q.get("encoding-type"); v != "url" {
			return nil, s3err.InvalidArgument.Say("Invalid Encoding Method specified in Request", "ArgumentName", "encoding-type", "ArgumentValue", v)
		}
		p.encode = true
	}
	return p, nil
}

// number reads a parameter that bounds a listing.
func (q query) number(name string, most int) (int, error) {
	if !q.has(name) {
		return most, nil
	}
	v := q.get(name)
	n, err := strconv.ParseInt(v, 10, 32)
	text := ""
	switch {
	case err != nil:
		text = "Provided " + name + " not an integer or within integer range"
	case n < 0:
		text = "Argument " + name + " must be an integer between 0 and 2147483647"
	}
	if text != "" {
		return 0, s3err.InvalidArgument.Say(text, "ArgumentName", name, "ArgumentValue", v)
	}
	return min(int(n), most), nil
}

// fill gets the page: one entry more than is shown tells whether there are more.
func (x *exchange) fill(p *page, q url.Values) error {
	limit := min(p.max+1, x.limits.ContainerListingLimit)
	q.Set("limit", strconv.Itoa(limit))
	if p.prefix != "" {
		q.Set("prefix", p.prefix)
	}
	if p.delimiter != "" {
		q.Set("delimiter", p.delimiter)
	}
	entries, err := x.list(x.resource, q, limit)
	if err != nil {
		return err
	}
	if shown := min(p.max, limit-1); len(entries) > shown {
		entries, p.truncated = entries[:shown], p.max > 0
	}
	p.entries = entries
	p.names, p.subdirs = make([]string, len(entries)), make([]bool, len(entries))
	for i, e := range entries {
		p.names[i], p.subdirs[i] = e.Name()
	}
	return nil
}

// last is the name of the last entry.
func (p *page) last() string { return p.names[len(p.names)-1] }

// name writes a name as the client wants it.
func (p *page) name(s string) string {
	if p.encode {
		return apipath.Quote(s)
	}
	return s
}

func (p *page) encodingType() string {
	if p.encode {
		return "url"
	}
	return ""
}

// The documents of both versions, each with the elements of its own between those that they share.
type (
	objectList struct {
		XMLName        xml.Name    `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		Name           string      `xml:"Name"`
		Prefix         string      `xml:"Prefix"`
		Marker         *string     `xml:"Marker"`
		NextMarker     string      `xml:"NextMarker,omitempty"`
		Continuation   *string     `xml:"ContinuationToken"`
		Next           string      `xml:"NextContinuationToken,omitempty"`
		StartAfter     *string     `xml:"StartAfter"`
		KeyCount       *int        `xml:"KeyCount"`
		MaxKeys        int         `xml:"MaxKeys"`
		Delimiter      string      `xml:"Delimiter,omitempty"`
		EncodingType   string      `xml:"EncodingType,omitempty"`
		IsTruncated    bool        `xml:"IsTruncated"`
		Contents       []byte      `xml:",innerxml"`
		CommonPrefixes []prefixXML `xml:"CommonPrefixes"`
	}
	prefixXML struct {
		Prefix string `xml:"Prefix"`
	}
)

// objectList makes what both versions share.
func (x *exchange) objectList(p *page, owners bool) *objectList {
	l := &objectList{
		Name: x.bucket, Prefix: p.name(p.prefix), MaxKeys: p.max, Delimiter: p.name(p.delimiter),
		EncodingType: p.encodingType(), IsTruncated: p.truncated, Contents: make([]byte, 0, 512*len(p.entries)),
	}
	owner := ""
	if owners {
		owner = x.user()
	}
	for i, e := range p.entries {
		if p.subdirs[i] {
			l.CommonPrefixes = append(l.CommonPrefixes, prefixXML{p.name(p.names[i])})
			continue
		}
		l.Contents = appendContent(l.Contents, p.name(p.names[i]), e, owner)
	}
	return l
}

// appendContent appends an entry; an empty owner is left out.
func appendContent(b []byte, name string, e listing.Entry, owner string) []byte {
	at, _ := e.Text(listing.KeyLastModified)
	size, _ := e.Int(listing.KeyBytes)
	b = append(b, "<Contents>"...)
	b = s3xml.AppendElement(b, "Key", name)
	b = s3xml.AppendElement(b, "LastModified", isoTime(at))
	b = s3xml.AppendElement(b, "ETag", listedETag(e))
	b = s3xml.AppendElement(b, "Size", strconv.FormatInt(size, 10))
	if owner != "" {
		b = append(b, "<Owner>"...)
		b = s3xml.AppendElement(b, "ID", owner)
		b = s3xml.AppendElement(b, "DisplayName", owner)
		b = append(b, "</Owner>"...)
	}
	b = s3xml.AppendElement(b, "StorageClass", "STANDARD")
	return append(b, "</Contents>"...)
}

// listObjects is the first version.
func (x *exchange) listObjects() error {
	p, err := x.page()
	if err != nil {
		return err
	}
	q := url.Values{}
	marker := x.query.get("marker")
	if marker != "" {
		q.Set("marker", marker)
	}
	if err := x.fill(p, q); err != nil {
		return err
	}
	l := x.objectList(p, true)
	marker = p.name(marker)
	l.Marker = &marker
	if p.truncated && p.delimiter != "" { // without a delimiter the client takes the last key
		l.NextMarker = p.name(p.last())
	}
	return x.document(l)
}

// listObjectsV2 is the second version.
func (x *exchange) listObjectsV2() error {
	p, err := x.page()
	if err != nil {
		return err
	}
	q := url.Values{}
	if after := x.query.get("start-after"); after != "" {
		q.Set("marker", after)
	}
	token, err := x.query.token()
	if err != nil {
		return err
	}
	if token != "" {
		q.Set("marker", token)
	}
	if err := x.fill(p, q); err != nil {
		return err
	}
	l := x.objectList(p, meta.Truthy(x.query.get("fetch-owner")))
	if x.query.has("start-after") {
		after := p.name(x.query.get("start-after"))
		l.StartAfter = &after
	}
	n := len(p.entries)
	l.KeyCount = &n
	if token != "" {
		given := x.query.get("continuation-token")
		l.Continuation = &given
	}
	if p.truncated {
		l.Next = base64.StdEncoding.EncodeToString([]byte(p.last()))
	}
	return x.document(l)
}

// isoTime writes a time of a listing as S3 does: the full second after it, like Last-Modified.
func isoTime(at string) string {
	if text, ok := isoTimeOfText(at); ok {
		return text
	}
	t, err := time.Parse("2006-01-02T15:04:05.999999", at)
	if err != nil {
		return at
	}
	if t.Nanosecond() > 0 {
		t = t.Truncate(time.Second).Add(time.Second)
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// isoTimeOfText does it without a calendar where one digit changes at most.
func isoTimeOfText(at string) (string, bool) {
	const shape, second = "0000-00-00T00:00:00.000000", 18
	if len(at) != len(shape) {
		return "", false
	}
	whole := true
	for i := range len(shape) {
		digit := at[i] >= '0' && at[i] <= '9'
		if shape[i] == '0' && !digit || shape[i] != '0' && at[i] != shape[i] {
			return "", false
		}
		whole = whole && (i <= second+1 || at[i] == '0')
	}
	last := at[second]
	switch {
	case whole:
	case last == '9':
		return "", false
	default:
		last++
	}
	var b [24]byte
	out := append(append(b[:0], at[:second]...), last)
	return string(append(out, ".000Z"...)), true
}
