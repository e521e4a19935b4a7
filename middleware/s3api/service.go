package s3api

import (
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/s3err"
)

// maxBuckets is how many buckets one answer lists at most.
const maxBuckets = 10000

type bucketList struct {
	XMLName           xml.Name    `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
	Owner             ownerXML    `xml:"Owner"`
	Buckets           []bucketXML `xml:"Buckets>Bucket"`
	ContinuationToken string      `xml:"ContinuationToken,omitempty"`
	Prefix            *string     `xml:"Prefix"`
}

type bucketXML struct {
	Name         string `xml:"Name"`
	CreationDate string `xml:"CreationDate"`
	BucketRegion string `xml:"BucketRegion,omitempty"`
}

// listBuckets lists the account's containers that can be buckets.
func (x *exchange) listBuckets() error {
	q := x.query
	most := maxBuckets
	if v := q.get("max-buckets"); v != "" {
		var err error
		if most, err = strconv.Atoi(v); err != nil || most < 1 || most > maxBuckets {
			return s3err.InvalidArgument.Say("Argument max-buckets must be an integer between 1 and 10000",
				"ArgumentName", "max-buckets", "ArgumentValue", v)
		}
	}
	marker, err := q.token()
	if err != nil {
		return err
	}
	result := bucketList{Owner: ownerXML{x.user(), x.user()}}
	prefix := q.get("prefix")
	if q.has("prefix") {
		result.Prefix = &prefix
	}
	if region := q.get("bucket-region"); region != "" && region != x.config.Location {
		return x.document(result)
	}
	limit := x.limits.AccountListingLimit
	for {
		page, err := x.list(resource{}, url.Values{"limit": {strconv.Itoa(limit)}, "marker": {marker}, "prefix": {prefix}}, limit)
		if err != nil {
			return err
		}
		for _, e := range page {
			name, _ := e.Name()
			if len(result.Buckets) == most {
				result.ContinuationToken = base64.StdEncoding.EncodeToString([]byte(marker))
				return x.document(result)
			}
			marker = name
			if !validBucketName(name, x.config.DNSCompliantBucketNames) || !x.acl.visible(x, name) {
				continue
			}
			result.Buckets = append(result.Buckets, x.bucketXML(name, e))
		}
		if len(page) < limit {
			return x.document(result)
		}
	}
}

// unknownDate is shown for buckets of unknown age: some clients fail without a date.
const unknownDate = "2009-02-03T16:45:09.000Z"

func (x *exchange) bucketXML(name string, e listing.Entry) bucketXML {
	b := bucketXML{Name: name, CreationDate: unknownDate}
	if at, ok := e.Text(listing.KeyLastModified); ok {
		b.CreationDate = isoTime(at)
	}
	if x.query.has("max-buckets") || x.query.has("bucket-region") {
		b.BucketRegion = x.config.Location
	}
	return b
}

// token returns the name that a continuation-token stands for, "" if there is none.
func (q query) token() (string, error) {
	v := q.get("continuation-token")
	if v == "" {
		return "", nil // AWS refuses an empty one, Swift does not
	}
	name, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(v, " ", "+"))
	if err != nil || len(name) == 0 {
		return "", s3err.InvalidArgument.Say("The continuation token provided is incorrect", "ArgumentName", "continuation-token", "ArgumentValue", v)
	}
	return string(name), nil
}
