package s3api

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/s3err"
)

// What belongs to multipart uploads of a bucket is in a container of its own, {bucket}+segments:
//
//	{key}/{upload id}           the marker: it is there as long as the upload is under way, with what the object is to have
//	{key}/{upload id}/{number}  a part
//
// Completed, an upload is a static large object in the bucket, the parts its segments.
//
// No completion succeeds whose parts an abort deletes, and no object is left without its parts. An abort (1) says so in the
// marker, (2) looks whether the object is there, or a version of it, in which case it has come too late, (3) deletes the parts,
// (4) deletes an object that has come after all, (5) deletes the marker. A completion stores the object, and succeeds if it then
// finds the marker without a word of an abort: that will see the object at (2). If the abort is under way, or over, what counts
// are the parts: if any is gone the object goes too.
var multipartOperations = []operation{
	{"ListMultipartUploads", bucket, get, "uploads", need{bucket, read}, 0, supported, "in the order of keys with a slash after them", multipartOnly((*exchange).listUploads)},
	{"CreateMultipartUpload", object, post, "uploads", need{bucket, write}, 0, supported, "", multipartOnly((*exchange).createUpload)},
	{"UploadPart", object, put, "uploadId", need{bucket, write}, 0, supported, "UploadPartCopy with x-amz-copy-source", multipartOnly((*exchange).uploadPart)},
	{"ListParts", object, get, "uploadId", need{bucket, read}, 0, supported, "", multipartOnly((*exchange).listParts)},
	{"CompleteMultipartUpload", object, post, "uploadId", need{bucket, write}, completionDocument, supported, "", multipartOnly((*exchange).completeUpload)},
	{"AbortMultipartUpload", object, remove, "uploadId", need{bucket, write}, 0, supported, "", multipartOnly((*exchange).abortUpload)},
}

// completionDocument is how long the document of a completion may be: 10,000 parts with a checksum each.
const completionDocument = 2 << 20

// Names of system metadata of a marker. The first four are OpenStack Swift's.
const (
	sysmetaHasType   = sysmetaPrefix + "Has-Content-Type"
	sysmetaType      = sysmetaPrefix + "Content-Type"
	sysmetaACL       = sysmetaPrefix + "Acl"
	sysmetaMarkerACL = sysmetaPrefix + "Tmpacl" // what becomes sysmetaACL of the object
	sysmetaAlgorithm = sysmetaPrefix + "Checksum-Algorithm"
	sysmetaAborting  = sysmetaPrefix + "Aborting"
)

// multipartOnly refuses an operation where multipart uploads are switched off.
func multipartOnly(handle func(*exchange) error) func(*exchange) error {
	return func(x *exchange) error {
		if !x.config.AllowMultipartUploads {
			return x.notImplemented()
		}
		return handle(x)
	}
}

// A multipart is an upload under way.
type multipart struct {
	id     string
	marker resource
	header http.Header // of the marker, Swift's
	// aborting says that the marker is there, and says that the upload is being aborted.
	aborting bool
	// What its parts' checksums are, and what is made of them; empty if the client has not said.
	algorithm checksum.Algorithm
	kind      checksum.Type
}

// part is where a part is kept.
func (m *multipart) part(n int) resource {
	return resource{bucket: m.marker.bucket, key: m.marker.key + "/" + strconv.Itoa(n)}
}

// multipart names the upload that the query names, whether or not there is one.
func (x *exchange) multipart() (*multipart, error) {
	if _, err := x.container(x.bucket); err != nil {
		return nil, err
	}
	id := x.query.get("uploadId")
	if !validUploadID(id) {
		return nil, noSuchUpload(id)
	}
	return x.named(id), nil
}

func (x *exchange) named(id string) *multipart {
	return &multipart{id: id, marker: resource{bucket: x.bucket + segmentsSuffix, key: x.key + "/" + id}}
}

// validUploadID says whether a text can be the id of an upload. What it takes is never the name of a part, nor leads to one.
func validUploadID(id string) bool {
	if id == "" || len(id) > 255 || strings.Trim(id, "0123456789") == "" {
		return false
	}
	for _, c := range []byte(id) {
		if !alphanumeric(c, false) && !strings.ContainsRune("-_=", rune(c)) {
			return false
		}
	}
	return true
}

func noSuchUpload(id string) error { return s3err.NoSuchUpload.With("UploadId", id) }

// underWay finds the upload that the query names. One that is being aborted is none.
func (x *exchange) underWay() (*multipart, error) {
	m, err := x.multipart()
	if err != nil {
		return nil, err
	}
	return m, x.locate(m, false)
}

// locate reads the marker of an upload, from the newest of its copies if it matters. If there is none, or the upload is being
// aborted, the error is NoSuchUpload.
func (x *exchange) locate(m *multipart, newest bool) error {
	h := http.Header{}
	if newest {
		h.Set("X-Newest", "true")
	}
	resp, err := x.ask(call{method: head, on: m.marker, header: h})
	m.aborting = err == nil && resp.Header.Get(sysmetaAborting) != ""
	switch {
	case missing(err), m.aborting:
		return noSuchUpload(m.id)
	case err != nil:
		return err
	}
	m.header = resp.Header
	name, kind, _ := strings.Cut(resp.Header.Get(sysmetaAlgorithm), ";")
	if a, err := checksum.Parse(name); err == nil && a.Has(checksum.Type(kind)) {
		m.algorithm, m.kind = a, checksum.Type(kind)
	}
	return nil
}

type initiated struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string   `xml:"Bucket"`
	Key      string   `xml:"Key"`
	UploadID string   `xml:"UploadId"`
}

// createUpload begins an upload: it stores the marker, and with it all that the object is to have.
func (x *exchange) createUpload() error {
	id := newUploadID()
	longest := x.limits.MaxObjectNameLength - len("/") - len(id) - len("/") - len(strconv.Itoa(x.config.MaxUploadPartNum))
	if len(x.key) > longest { // its parts have longer names
		return s3err.KeyTooLong.With("Size", strconv.Itoa(len(x.key)), "MaxSizeAllowed", strconv.Itoa(longest))
	}
	h, err := x.objectHeaders()
	if err != nil {
		return err
	}
	if err := x.acl.forObject(x, h); err != nil {
		return err
	}
	if v := h.Get(sysmetaACL); v != "" {
		h.Set(sysmetaMarkerACL, v)
		h.Del(sysmetaACL)
	}
	h.Set(sysmetaHasType, "no")
	if v := h.Get("Content-Type"); v != "" {
		h.Set(sysmetaHasType, "yes")
		h.Set(sysmetaType, v)
	}
	h.Set("Content-Type", "application/directory")
	if err := x.chooseChecksum(h); err != nil {
		return err
	}
	if err := x.storeMarker(x.named(id).marker, h); err != nil {
		return err
	}
	return x.document(initiated{Bucket: x.bucket, Key: x.key, UploadID: id})
}

// newUploadID makes an id as OpenStack Swift does: a random UUID, in base64.
func newUploadID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

// chooseChecksum notes which checksum the client wants the object to have, and tells it.
func (x *exchange) chooseChecksum(h http.Header) error {
	name, kind := x.r.Header.Get("X-Amz-Checksum-Algorithm"), x.r.Header.Get("X-Amz-Checksum-Type")
	if name == "" {
		if kind != "" {
			return s3err.InvalidRequest.Say("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return nil
	}
	a, err := checksum.Parse(name)
	if err != nil {
		return err
	}
	t, err := checksum.ParseType(a, kind)
	if err != nil {
		return err
	}
	h.Set(sysmetaAlgorithm, string(a)+";"+string(t))
	setAmz(x.w.Header(), "x-amz-checksum-algorithm", string(a))
	setAmz(x.w.Header(), "x-amz-checksum-type", string(t))
	return nil
}

// storeMarker stores the marker, in a container that may have to be made first.
func (x *exchange) storeMarker(on resource, h http.Header) error {
	info, err := x.container(x.bucket)
	if err != nil {
		return err
	}
	made := !x.peek(on.bucket).Exists()
	if made {
		if err := x.makeSegments(on.bucket, info); err != nil {
			return err
		}
	}
	c := call{method: put, on: on, header: h}
	_, err = x.ask(c)
	if !made && s3err.From(err).Code == s3err.NoSuchBucket { // what was known of it is out of date
		if err = x.makeSegments(on.bucket, info); err == nil {
			_, err = x.ask(c)
		}
	}
	return err
}

// makeSegments makes the container of parts, with the policy and the ACLs of the bucket.
func (x *exchange) makeSegments(name string, bucket *lookup.Container) error {
	resp, err := x.ask(call{method: head, on: resource{bucket: x.bucket}})
	if err != nil {
		return err
	}
	h := http.Header{}
	for header, v := range map[string]string{
		"X-Storage-Policy": resp.Header.Get("X-Storage-Policy"),
		"X-Container-Read": string(bucket.ReadACL), "X-Container-Write": string(bucket.WriteACL),
	} {
		if v != "" {
			h.Set(header, v)
		}
	}
	_, err = x.ask(call{method: put, on: resource{bucket: name}, header: h})
	return err
}
