package s3api

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/timestamp"
)

// The documents of a completion.
type (
	completion struct {
		XMLName xml.Name        `xml:"CompleteMultipartUpload"`
		Parts   []completedPart `xml:"Part"`
	}
	completedPart struct {
		Number int    `xml:"PartNumber"`
		ETag   string `xml:"ETag"`
		checksumXML
	}
	completedXML struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Location string   `xml:"Location"`
		Bucket   string   `xml:"Bucket"`
		Key      string   `xml:"Key"`
		ETag     string   `xml:"ETag"`
		checksumXML
		ChecksumType string `xml:"ChecksumType,omitempty"`
	}
)

// An order is what a completion makes: the parts, and the ETag of the object.
type order struct {
	*multipart
	parts []completedPart
	etag  string
}

// completeUpload makes an object of parts. Whoever repeats a completion, since he has not heard of its end, is told the same
// again.
func (x *exchange) completeUpload() error {
	m, err := x.multipart()
	if err != nil {
		return err
	}
	gone := x.locate(m, false)
	if gone != nil && !errors.Is(gone, s3err.NoSuchUpload) {
		return gone
	}
	doc, err := x.readCompletion()
	switch {
	case err != nil && gone != nil:
		return gone // where there is no upload, it does not matter of which parts it was to be made
	case err != nil:
		return err
	}
	o, err := m.order(doc)
	if err != nil {
		return err
	}
	if gone != nil {
		result, err := x.completedBefore(o, gone)
		if err != nil {
			return err
		}
		return x.document(result)
	}
	began, err := timestamp.Parse(m.header.Get("X-Timestamp"))
	if err == nil && !began.Time().Before(x.clock.Now()) {
		// The marker could not be deleted at the end.
		return s3err.ServiceUnavailable.With().Because(errors.New("the upload was begun in the future"))
	}
	result, err := x.completedAlready(o, began)
	switch {
	case err != nil:
		return err
	case result != nil:
		return x.document(result)
	}
	h := http.Header{}
	if err := x.writeConditions(h, false); err != nil {
		return err
	}
	m.describe(h)
	h.Set(sysmetaUpload, m.id)
	h.Set(sysmetaETag, o.etag)
	// The hash itself is filled in by whoever stores the manifest.
	h.Set(meta.OverrideName("etag"), "; "+keyETag+"="+o.etag)
	h.Set("Accept", "application/json")
	manifest := o.manifest()
	c := call{
		method: put, on: x.resource, header: h, body: bytes.NewReader(manifest), length: int64(len(manifest)),
		query: url.Values{"multipart-manifest": {"put"}, "heartbeat": {"on"}},
	}
	return x.carryThrough(c, o)
}

// readCompletion reads the document that says what is to be made of which parts.
func (x *exchange) readCompletion() (*completion, error) {
	plain := *x // checksums in the head are those of the object, not of this document
	r := *x.r
	r.Header = x.r.Header.Clone()
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			delete(r.Header, name)
		}
	}
	plain.r = &r
	body, err := plain.read(x.op.max)
	if err != nil {
		return nil, err
	}
	return parseCompletion(body)
}

func parseCompletion(body []byte) (*completion, error) {
	if len(body) == 0 {
		return nil, s3err.InvalidRequest.Say("You must specify at least one part")
	}
	doc := new(completion)
	if err := parseXML(body, doc); err != nil {
		return nil, err
	}
	if len(doc.Parts) == 0 {
		return nil, s3err.MalformedXML.With()
	}
	return doc, nil
}

// order checks the parts that the document names.
func (m *multipart) order(doc *completion) (*order, error) {
	sum := md5.New()
	before := 0
	for i := range doc.Parts {
		p := &doc.Parts[i]
		p.ETag = strings.Trim(strings.TrimSpace(p.ETag), `"`)
		binary, err := hex.DecodeString(p.ETag)
		switch {
		case p.Number < 1 || p.ETag == "":
			return nil, s3err.MalformedXML.With()
		case p.Number <= before:
			return nil, s3err.InvalidPartOrder.With("UploadId", m.id)
		case err != nil || len(binary) != md5.Size || p.ETag != strings.ToLower(p.ETag):
			return nil, m.invalidPart(*p)
		}
		before = p.Number
		sum.Write(binary)
	}
	return &order{multipart: m, parts: doc.Parts, etag: hex.EncodeToString(sum.Sum(nil)) + "-" + strconv.Itoa(len(doc.Parts))}, nil
}

func (m *multipart) invalidPart(p completedPart) error {
	return s3err.InvalidPart.With("UploadId", m.id, "PartNumber", strconv.Itoa(p.Number), "ETag", p.ETag)
}

// describe adds what the marker says of the object.
func (m *multipart) describe(h http.Header) {
	for _, name := range []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires",
		"X-Robots-Tag", "X-Delete-At"} {
		if v := m.header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	for name, values := range m.header {
		if strings.HasPrefix(name, "X-Object-Meta-") {
			h[name] = values
		}
	}
	if v := m.header.Get(sysmetaMarkerACL); v != "" {
		h.Set(sysmetaACL, v)
	}
	contentType := m.header.Get(sysmetaType)
	switch m.header.Get(sysmetaHasType) {
	case "yes":
	case "": // by an old version of OpenStack Swift
		contentType = m.header.Get("Content-Type")
	default:
		contentType = ""
	}
	if contentType == "" {
		contentType = "binary/octet-stream"
	}
	h.Set("Content-Type", contentType)
}

// manifest is the document that makes a static large object of the parts.
func (o *order) manifest() []byte {
	type segment struct {
		Path string `json:"path"`
		ETag string `json:"etag"`
	}
	segments := make([]segment, len(o.parts))
	for i, p := range o.parts {
		on := o.part(p.Number)
		segments[i] = segment{"/" + on.bucket + "/" + on.key, p.ETag}
	}
	body, _ := json.Marshal(segments) // strings alone do not fail
	return body
}

// completedBefore is the answer to a completion of an upload that is not under way: if the object is the one that it would
// make, all is done.
func (x *exchange) completedBefore(o *order, gone error) (*completedXML, error) {
	all, err := x.made(o.id, func(e listing.Entry) bool { return listedETag(e) == `"`+o.etag+`"` })
	if err != nil {
		return nil, err
	}
	a := o.among(all)
	switch {
	case a == nil:
		return nil, gone
	case o.aborting:
		return nil, inProgress()
	}
	setAmz(x.w.Header(), "x-amz-version-id", a.version)
	return x.completed(o, a.checksum), nil
}

// among finds what the order makes.
func (o *order) among(all []*answer) *answer {
	for _, a := range all {
		if a.swift[strings.ToLower(sysmetaETag)] == o.etag {
			return a
		}
	}
	return nil
}

// completedAlready is the answer to a completion of an upload that has become an object since it began, but still has its marker; nil
// if it has not.
func (x *exchange) completedAlready(o *order, began timestamp.Timestamp) (*completedXML, error) {
	all, err := x.made(o.id, func(e listing.Entry) bool {
		t, err := timestamp.Parse(versionID(e))
		return err != nil || t.Raw() >= began.Raw()
	})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	a := o.among(all)
	if a == nil {
		return nil, noSuchUpload(o.id)
	}
	if err := x.settle(o, a.version); err != nil {
		return nil, err
	}
	setAmz(x.w.Header(), "x-amz-version-id", a.version)
	return x.completed(o, a.checksum), nil
}

// completed is the answer to a completion.
func (x *exchange) completed(o *order, sum string) *completedXML {
	scheme := "http://"
	if x.r.TLS != nil {
		scheme = "https://"
	}
	host := x.r.Host
	if p := strings.Split(host, ":"); len(p) == 3 && host[0] != '[' {
		host = p[0] + ":" + p[1] // old SDKs write the port twice
	}
	doc := &completedXML{
		Location: scheme + host + apipath.Quote(x.r.URL.Path), Bucket: x.bucket, Key: x.key, ETag: `"` + o.etag + `"`,
	}
	if a, value, kind, ok := parseStoredChecksum(sum); ok {
		doc.set(a, value)
		doc.ChecksumType = kind
	}
	return doc
}

// parseStoredChecksum takes apart what storedChecksum has written.
func parseStoredChecksum(stored string) (a checksum.Algorithm, value, kind string, ok bool) {
	sum, kind, _ := strings.Cut(stored, ";")
	kind, _, _ = strings.Cut(kind, ";") // the size follows
	name, value, ok := strings.Cut(sum, "=")
	a, err := checksum.Parse(name)
	return a, value, kind, ok && err == nil
}

// settle ends an upload whose object has been stored, unless an abort has had its way.
func (x *exchange) settle(o *order, version string) error {
	gone := x.locate(o.multipart, true)
	if gone == nil {
		_, err := x.ask(call{method: remove, on: o.marker})
		if missing(err) {
			err = nil // a completion at the same time has got here first
		}
		return err
	}
	if !errors.Is(gone, s3err.NoSuchUpload) {
		return gone
	}
	whole, err := x.whole(o)
	switch {
	case err != nil:
		return err
	case !whole:
		return cmp.Or(x.undo(o.id, version), gone)
	case o.aborting:
		return inProgress()
	}
	return nil
}

// inProgress is the answer to a completion of which only an abort that is under way knows what becomes of it.
func inProgress() error { return s3err.OperationAborted.With() }

// whole says whether all parts are there.
func (x *exchange) whole(o *order) (bool, error) {
	for _, p := range o.parts {
		resp, err := x.ask(call{method: head, on: o.part(p.Number), header: http.Header{"X-Newest": {"true"}}})
		switch {
		case missing(err):
			return false, nil
		case err != nil:
			return false, err
		case fromSwift(resp.Header).etag != p.ETag:
			return false, nil
		}
	}
	return true, nil
}

// undo deletes the object that an upload has become, or that version of it, and nothing that has replaced it. Nodes that promise
// nothing are asked without a condition.
func (x *exchange) undo(id, version string) error {
	on := resource{bucket: x.bucket, key: x.key, version: version}
	var err error
	for range undoTries {
		var seen sight
		seen, err = x.current(on)
		switch {
		case missing(err):
			return nil
		case err != nil || seen.swift[strings.ToLower(sysmetaUpload)] != id:
			return err
		}
		h := http.Header{}
		if err = seen.hold(conditions{}, h); err == nil {
			_, err = x.delete(on, h)
		}
		if errors.Is(err, s3err.NotImplemented) {
			_, err = x.delete(on, http.Header{})
		}
		if !errors.Is(err, s3err.PreconditionFailed) && !errors.Is(err, s3err.ConditionalRequestConflict) {
			return err
		}
	}
	return s3err.ServiceUnavailable.With().Because(err)
}

// undoTries is how often is looked for what is to be deleted, where somebody else writes the object at the same time.
const undoTries = 5

// patience is how long a completion may take before the client is kept waiting with white space, and so has been told 200.
const patience = 10 * time.Second
