package s3gateway

import (
	"cmp"
	"encoding/xml"
	"io"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// createsBucket says whether the request makes a bucket.
func (x *exchange) createsBucket() bool {
	return x.r.Method == http.MethodPut && x.target.Key == "" && x.plain()
}

// createBucket makes a document of the client's, which names the gateway's region or none, the one that the store wants which gets it.
func (x *exchange) createBucket(c upstream.Call) (upstream.Call, error) {
	var document []byte
	if c.Body != nil {
		var err error
		document, err = io.ReadAll(io.LimitReader(c.Body, small+1))
		switch {
		case err != nil:
			return c, cmp.Or(x.fault(), err)
		case len(document) > small:
			return c, s3err.MalformedXML.With()
		}
	}
	rest, err := x.withoutRegion(document)
	if err != nil {
		return c, err
	}
	c.Body, c.Length, c.SHA256, c.Checksum = nil, 0, "", ""
	c.Document = func(store *upstream.Upstream) []byte { return located(store.LocationConstraint(), rest) }
	c.Header = withoutSums(c.Header)
	return c, nil
}

// withoutRegion returns what a document says of a bucket beside its region, which must be the gateway's.
func (x *exchange) withoutRegion(document []byte) (string, error) {
	if len(document) == 0 {
		return "", nil
	}
	var asked struct {
		XMLName  xml.Name `xml:"CreateBucketConfiguration"`
		Elements []struct {
			XMLName    xml.Name
			Attributes []xml.Attr `xml:",any,attr"`
			Text       string     `xml:",chardata"`
			All        string     `xml:",innerxml"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(document, &asked); err != nil {
		return "", s3err.MalformedXML.With().Because(err)
	}
	var rest strings.Builder
	located := false
	for _, e := range asked.Elements {
		text := strings.TrimSpace(e.Text)
		switch {
		case e.XMLName.Local != "LocationConstraint":
			e.Attributes, e.Text = nil, "" // what it declares counts within it alone, and the text is in All
			written, err := xml.Marshal(e)
			if err != nil {
				return "", s3err.MalformedXML.With().Because(err)
			}
			rest.Write(written)
		case located:
			return "", s3err.MalformedXML.With()
		case text != "" && text != x.config.Region:
			return "", s3err.InvalidLocationConstraint.With("LocationConstraint", text)
		default:
			located = true
		}
	}
	return rest.String(), nil
}

// located is the document for a bucket in a region; a document that would say nothing is none.
func located(region, rest string) []byte {
	if region == "" && rest == "" {
		return nil
	}
	if region != "" {
		region = "<LocationConstraint>" + escape(region) + "</LocationConstraint>"
	}
	return []byte(xmlHead + `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + region + rest + "</CreateBucketConfiguration>")
}
