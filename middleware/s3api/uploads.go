package s3api

import (
	"encoding/xml"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/s3err"
)

// The document that lists uploads under way.
type (
	uploadList struct {
		XMLName        xml.Name    `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
		Bucket         string      `xml:"Bucket"`
		KeyMarker      string      `xml:"KeyMarker"`
		IDMarker       string      `xml:"UploadIdMarker"`
		NextKeyMarker  string      `xml:"NextKeyMarker"`
		NextIDMarker   string      `xml:"NextUploadIdMarker"`
		Delimiter      string      `xml:"Delimiter,omitempty"`
		Prefix         string      `xml:"Prefix,omitempty"`
		MaxUploads     int         `xml:"MaxUploads"`
		EncodingType   string      `xml:"EncodingType,omitempty"`
		IsTruncated    bool        `xml:"IsTruncated"`
		Uploads        []uploadXML `xml:"Upload"`
		CommonPrefixes []prefixXML `xml:"CommonPrefixes"`
	}
	uploadXML struct {
		Key          string   `xml:"Key"`
		UploadID     string   `xml:"UploadId"`
		Initiator    ownerXML `xml:"Initiator"`
		Owner        ownerXML `xml:"Owner"`
		StorageClass string   `xml:"StorageClass"`
		Initiated    string   `xml:"Initiated"`
	}
)

// maxUploads is how many uploads one page has at most.
const maxUploads = 1000

// listUploads lists uploads under way. Their order is that of the names of their markers: that of keys, but for keys of which
// one begins with the other.
func (x *exchange) listUploads() error {
	p, err := x.page()
	if err != nil {
		return err
	}
	most, err := x.query.number("max-uploads", maxUploads)
	if err != nil {
		return err
	}
	if _, err := x.container(x.bucket); err != nil {
		return err
	}
	l := &uploadList{
		Bucket: x.bucket, KeyMarker: x.query.get("key-marker"), IDMarker: x.query.get("upload-id-marker"),
		Delimiter: p.name(p.delimiter), Prefix: p.name(p.prefix), MaxUploads: most, EncodingType: p.encodingType(),
	}
	s := &uploadScan{page: p, list: l, most: most, user: ownerXML{x.user(), x.user()}}
	if err := s.run(x); err != nil {
		return err
	}
	if len(l.Uploads)+len(l.CommonPrefixes) < 2 && !l.IsTruncated {
		l.NextKeyMarker, l.NextIDMarker = "", "" // as OpenStack Swift has it
	}
	l.KeyMarker, l.NextKeyMarker = p.name(l.KeyMarker), p.name(l.NextKeyMarker)
	return x.document(l)
}

// An uploadScan goes through the container of parts and picks the markers.
type uploadScan struct {
	*page
	list *uploadList
	most int
	user ownerXML
	last string // common prefix
}

func (s *uploadScan) run(x *exchange) error {
	marker := ""
	if k := s.list.KeyMarker; k != "" {
		marker = k + "/" + s.list.IDMarker
	} else {
		s.list.IDMarker = "" // means nothing without a key
	}
	for {
		page, err := x.list(resource{bucket: x.bucket + segmentsSuffix}, x.pageQuery(s.prefix, "", marker), x.limits.ContainerListingLimit)
		if s3err.From(err).Code == s3err.NoSuchBucket {
			return nil // there has never been an upload
		}
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			marker, _ = e.Name()
			if full := s.see(marker, e); full {
				return nil
			}
		}
	}
}

// see takes an entry into the list if it is an upload that belongs there, and says whether the list is full.
func (s *uploadScan) see(name string, e listing.Entry) (full bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return false
	}
	key, id := name[:i], name[i+1:]
	after := s.list.KeyMarker
	if !validUploadID(id) || !strings.HasPrefix(key, s.prefix) || key == after && s.list.IDMarker == "" {
		return false // a part, or listed before
	}
	common := ""
	if s.delimiter != "" {
		if head, _, ok := strings.Cut(key[len(s.prefix):], s.delimiter); ok {
			common = s.prefix + head + s.delimiter
		}
	}
	if common != "" && (common == s.last || strings.HasPrefix(after, common)) {
		return false
	}
	if len(s.list.Uploads)+len(s.list.CommonPrefixes) >= s.most {
		s.list.IsTruncated = s.most > 0
		return true
	}
	// After a common prefix too, the next page goes on at the place where it was seen first.
	s.list.NextKeyMarker, s.list.NextIDMarker = key, id
	if common != "" {
		s.last = common
		s.list.CommonPrefixes = append(s.list.CommonPrefixes, prefixXML{s.name(common)})
		return false
	}
	at, _ := e.Text(listing.KeyLastModified)
	s.list.Uploads = append(s.list.Uploads, uploadXML{s.name(key), id, s.user, s.user, "STANDARD", isoTime(at)})
	return false
}
