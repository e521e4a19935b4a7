package s3api

import (
	"cmp"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/timestamp"
)

// The document that lists versions. Versions and delete markers stand in the order of the listing.
type (
	versionList struct {
		XMLName             xml.Name    `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
		Name                string      `xml:"Name"`
		Prefix              string      `xml:"Prefix"`
		KeyMarker           string      `xml:"KeyMarker"`
		VersionIDMarker     string      `xml:"VersionIdMarker"`
		NextKeyMarker       string      `xml:"NextKeyMarker,omitempty"`
		NextVersionIDMarker string      `xml:"NextVersionIdMarker,omitempty"`
		MaxKeys             int         `xml:"MaxKeys"`
		Delimiter           *string     `xml:"Delimiter"`
		EncodingType        string      `xml:"EncodingType,omitempty"`
		IsTruncated         bool        `xml:"IsTruncated"`
		Versions            []any       // of versionXML
		CommonPrefixes      []prefixXML `xml:"CommonPrefixes"`
	}
	versionXML struct {
		XMLName      xml.Name
		Key          string   `xml:"Key"`
		VersionID    string   `xml:"VersionId"`
		IsLatest     bool     `xml:"IsLatest"`
		LastModified string   `xml:"LastModified"`
		ETag         string   `xml:"ETag,omitempty"`
		Size         *int64   `xml:"Size"`
		Owner        ownerXML `xml:"Owner"`
		StorageClass string   `xml:"StorageClass,omitempty"`
	}
)

// listVersions lists all versions of objects. Without object versioning each object is its only one.
func (x *exchange) listVersions() error {
	p, err := x.page()
	if err != nil {
		return err
	}
	q := url.Values{}
	kept := x.features().versioning
	if kept {
		q.Set("versions", "true")
	}
	key, id := x.query.get("key-marker"), x.query.get("version-id-marker")
	if x.query.has("version-id-marker") && !x.query.has("key-marker") {
		return s3err.InvalidArgument.Say("A version-id marker cannot be specified without a key marker.",
			"ArgumentName", "version-id-marker", "ArgumentValue", id)
	}
	if key != "" {
		q.Set("marker", key)
	}
	if id != "" {
		if !validVersion(id) {
			return invalidVersion("version-id-marker", id)
		}
		if kept {
			q.Set("version_marker", id)
		}
	}
	if err := x.fill(p, q); err != nil {
		return err
	}
	l := versionList{
		Name: x.bucket, Prefix: p.name(p.prefix), KeyMarker: p.name(key), VersionIDMarker: id, MaxKeys: p.max,
		EncodingType: p.encodingType(), IsTruncated: p.truncated,
	}
	if x.query.has("delimiter") {
		delimiter := p.name(p.delimiter)
		l.Delimiter = &delimiter
	}
	for i, e := range p.entries {
		if p.subdirs[i] {
			l.CommonPrefixes = append(l.CommonPrefixes, prefixXML{p.name(p.names[i])})
			continue
		}
		l.Versions = append(l.Versions, x.versionXML(p.name(p.names[i]), e, kept))
	}
	if p.truncated {
		l.NextKeyMarker = p.name(p.last())
		if last := len(p.entries) - 1; !p.subdirs[last] {
			l.NextVersionIDMarker = versionID(p.entries[last])
		}
	}
	return x.document(l)
}

func (x *exchange) versionXML(name string, e listing.Entry, kept bool) versionXML {
	v := versionXML{Key: name, VersionID: versionID(e), IsLatest: !kept || e.Raw("is_latest") == "true", Owner: ownerXML{x.user(), x.user()}}
	at, _ := e.Text(listing.KeyLastModified)
	v.LastModified = isoTime(at)
	v.XMLName.Space = namespace // otherwise it is in none
	if isMarkerEntry(e) {
		v.XMLName.Local = "DeleteMarker"
		return v
	}
	v.XMLName.Local, v.StorageClass = "Version", "STANDARD"
	v.ETag = listedETag(e)
	size, _ := e.Int(listing.KeyBytes)
	v.Size = &size
	return v
}

func isMarkerEntry(e listing.Entry) bool {
	t, _ := e.Text(listing.KeyContentType)
	return t == markerType
}

// versionID is the id of an entry. One that has none was made before versions were kept.
func versionID(e listing.Entry) string {
	if id, _ := e.Text("version_id"); id != "" {
		return id
	}
	return "null"
}

// validVersion says whether a text can be the id of a version: null, or a time.
func validVersion(id string) bool {
	if id == "null" {
		return true
	}
	_, err := timestamp.Parse(id)
	return err == nil
}

func invalidVersion(argument, value string) error {
	return s3err.InvalidArgument.Say("Invalid version id specified", "ArgumentName", argument, "ArgumentValue", value)
}

// restore makes the newest version that is left the current one, after the current one was deleted by its id; unless somebody
// has stored another meanwhile. Where somebody writes at the same time, it looks again: what that leaves may be a link no more.
func (x *exchange) restore(on resource) error {
	for range undoTries {
		if err := x.restoreOnce(on); !errors.Is(err, s3err.ConditionalRequestConflict) {
			return err
		}
	}
	return nil // others keep writing it, and the last of them has it
}

func (x *exchange) restoreOnce(on resource) error {
	return x.eachVersion(on, func(version resource, e listing.Entry) (more bool, err error) {
		if isMarkerEntry(e) || e.Raw("is_latest") == "true" {
			return false, nil
		}
		c := call{method: put, on: version, header: http.Header{ifNoneMatch: {"*"}}}
		resp, err := x.ask(c)
		if resp != nil && resp.Code == http.StatusNotImplemented {
			c.header = http.Header{} // the nodes promise nothing
			_, err = x.ask(c)
		}
		switch {
		case missing(err):
			return true, nil // it is gone already
		case errors.Is(err, s3err.PreconditionFailed):
			return false, nil
		}
		return false, err
	})
}

// rewriteVersion changes the ACL of a version where it is, as AWS does: it becomes no other version, not the current one, and not newer
// than an upload that is under way. It returns false if there is nobody who could do that.
func (x *exchange) rewriteVersion(a *answer, acl string) (bool, error) {
	if a.version == "" && (!x.features().versioning || a.swift["content-location"] != "") {
		return false, nil // the latter is what a link of Swift's leads to
	}
	on := resource{bucket: x.bucket, key: x.key, version: cmp.Or(a.version, "null")}
	_, err := x.ask(call{method: post, on: on, header: http.Header{objectACLHeader: {acl}, "X-Backend-Rewrite-Version": {"true"}}})
	return true, err
}
