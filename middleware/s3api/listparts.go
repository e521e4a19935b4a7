package s3api

import (
	"cmp"
	"encoding/xml"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/s3err"
)

// The document that lists the parts of an upload.
type (
	partList struct {
		XMLName           xml.Name  `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		Bucket            string    `xml:"Bucket"`
		Key               string    `xml:"Key"`
		UploadID          string    `xml:"UploadId"`
		Initiator         ownerXML  `xml:"Initiator"`
		Owner             ownerXML  `xml:"Owner"`
		StorageClass      string    `xml:"StorageClass"`
		Marker            int       `xml:"PartNumberMarker"`
		NextMarker        int       `xml:"NextPartNumberMarker"`
		MaxParts          int       `xml:"MaxParts"`
		EncodingType      string    `xml:"EncodingType,omitempty"`
		IsTruncated       bool      `xml:"IsTruncated"`
		ChecksumAlgorithm string    `xml:"ChecksumAlgorithm,omitempty"`
		ChecksumType      string    `xml:"ChecksumType,omitempty"`
		Parts             []partXML `xml:"Part"`
	}
	partXML struct {
		Number       int    `xml:"PartNumber"`
		LastModified string `xml:"LastModified"`
		ETag         string `xml:"ETag"`
		Size         int64  `xml:"Size"`
		checksumXML
	}
)

// partsPage lists some parts, those after the marker, in the order of their names.
func (x *exchange) partsPage(m *multipart, marker string) ([]listing.Entry, error) {
	// Without the slash after the number nothing is left out: parts have no names below them.
	page, err := x.list(m.marker, x.pageQuery(m.marker.key+"/", "/", marker), x.limits.ContainerListingLimit)
	if s3err.From(err).Code == s3err.NoSuchBucket {
		return nil, nil
	}
	return page, err
}

// listParts lists the parts of an upload by their numbers.
func (x *exchange) listParts() error {
	p, err := x.page()
	if err != nil {
		return err
	}
	most, err := x.query.number("max-parts", x.config.MaxPartsListing)
	if err != nil {
		return err
	}
	after := 0
	if x.query.has("part-number-marker") {
		if after, err = x.query.number("part-number-marker", math.MaxInt32); err != nil {
			return err
		}
	}
	m, err := x.underWay()
	if err != nil {
		return err
	}
	parts, err := x.partsAfter(m, after)
	if err != nil {
		return err
	}
	user := ownerXML{x.user(), x.user()}
	l := partList{
		Bucket: x.bucket, Key: p.name(x.key), UploadID: m.id, Initiator: user, Owner: user, StorageClass: "STANDARD",
		Marker: after, MaxParts: most, EncodingType: p.encodingType(), IsTruncated: len(parts) > most,
		ChecksumAlgorithm: string(m.algorithm), ChecksumType: string(m.kind),
	}
	l.Parts = parts[:min(most, len(parts))]
	if len(l.Parts) > 0 {
		l.NextMarker = l.Parts[len(l.Parts)-1].Number
	}
	if m.algorithm != "" {
		x.addChecksums(m, l.Parts)
	}
	return x.document(l)
}

// partsAfter lists the parts with higher numbers. Swift has them in the order of their names.
func (x *exchange) partsAfter(m *multipart, after int) ([]partXML, error) {
	var parts []partXML
	for marker := ""; ; {
		page, err := x.partsPage(m, marker)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			marker, _ = e.Name()
			number := strings.TrimPrefix(marker, m.marker.key+"/")
			n, err := strconv.Atoi(number)
			if err != nil || strconv.Itoa(n) != number || n <= after {
				continue
			}
			at, _ := e.Text(listing.KeyLastModified)
			size, _ := e.Int(listing.KeyBytes)
			parts = append(parts, partXML{Number: n, LastModified: isoTime(at), ETag: listedETag(e), Size: size})
		}
		if len(page) == 0 {
			break
		}
	}
	slices.SortFunc(parts, func(a, b partXML) int { return cmp.Compare(a.Number, b.Number) })
	return parts, nil
}

// partsAtOnce is how many parts are asked for their checksums at the same time.
const partsAtOnce = 4

// addChecksums asks the parts for their checksums, which listings do not have. A part that does not say has none.
func (x *exchange) addChecksums(m *multipart, parts []partXML) {
	next := make(chan *partXML)
	var workers sync.WaitGroup
	for range min(partsAtOnce, len(parts)) {
		workers.Go(func() {
			for p := range next {
				resp, err := x.ask(call{method: head, on: m.part(p.Number)})
				if err != nil {
					continue
				}
				if a, value, _, ok := parseStoredChecksum(resp.Header.Get(sysmetaChecksum)); ok {
					p.set(a, value)
				}
			}
		})
	}
	for i := range parts {
		if x.gone() {
			break
		}
		next <- &parts[i]
	}
	close(next)
	workers.Wait()
}
