package s3gateway

import (
	"bytes"
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

// createBucket changes the region that the client asks for, which is the gateway's, into the store's. What else the document
// says stays.
func (x *exchange) createBucket(c upstream.Call) (upstream.Call, error) {
	if c.Body == nil {
		return c, nil
	}
	document, err := io.ReadAll(io.LimitReader(c.Body, small+1))
	switch {
	case err != nil:
		return c, cmp.Or(x.fault(), err)
	case len(document) > small:
		return c, s3err.MalformedXML.With()
	}
	var asked struct {
		LocationConstraint string `xml:"LocationConstraint"`
	}
	if err := xml.Unmarshal(document, &asked); err != nil {
		return c, s3err.MalformedXML.With().Because(err)
	}
	region := strings.TrimSpace(asked.LocationConstraint)
	if region != "" && region != x.config.Region {
		return c, s3err.InvalidLocationConstraint.With("LocationConstraint", region)
	}
	theirs := x.way.group.Upstreams()[0].Region()
	if theirs == "us-east-1" { // which AWS calls nothing
		theirs = ""
	}
	var changed bytes.Buffer
	err = rewrite(&changed, bytes.NewReader(document), func(at []string, text string) (string, bool) {
		return theirs, len(at) == 2 && at[1] == "LocationConstraint" && strings.TrimSpace(text) == region && region != ""
	})
	if err != nil {
		return c, s3err.InternalError.With().Because(err)
	}
	return withDocument(c, changed.Bytes()), nil
}
