package s3api

import (
	"encoding/xml"
	"errors"
	"sync"

	"github.com/apus-storage/apus/internal/s3err"
)

// The documents.
type (
	deleteOrder struct {
		XMLName xml.Name     `xml:"Delete"`
		Quiet   bool         `xml:"Quiet"`
		Objects []deleteItem `xml:"Object"`
	}
	deleteItem struct {
		Key              string `xml:"Key"`
		Version          string `xml:"VersionId"`
		ETag             string `xml:"ETag"`
		LastModifiedTime string `xml:"LastModifiedTime"`
		Size             string `xml:"Size"`
	}
	deleteResult struct {
		XMLName xml.Name     `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deletedXML `xml:"Deleted"`
		Errors  []failedXML  `xml:"Error"`
	}
	deletedXML struct {
		Key           string `xml:"Key"`
		Version       string `xml:"VersionId,omitempty"`
		Marker        bool   `xml:"DeleteMarker,omitempty"`
		MarkerVersion string `xml:"DeleteMarkerVersionId,omitempty"`
	}
	failedXML struct {
		Key     string `xml:"Key"`
		Version string `xml:"VersionId,omitempty"`
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
)

// An outcome is what has become of an item of an order.
type outcome struct {
	deleted
	err error
}

// keys are the indexes of the items, those of one key together. They are deleted one after the other: each looks at the versions
// that there are, and at what the key is linked to.
func (o *deleteOrder) keys() (all [][]int) {
	at := map[string]int{}
	for i, item := range o.Objects {
		n, known := at[item.Key]
		if !known {
			n = len(all)
			at[item.Key] = n
			all = append(all, nil)
		}
		all[n] = append(all[n], i)
	}
	return all
}

// deleteObjects deletes up to some number of objects.
func (x *exchange) deleteObjects() error {
	order, err := x.readDeleteOrder()
	if err != nil {
		return err
	}
	// Who may not delete is told so for each object.
	denied := x.acl.check(x, x.resource, need{bucket, write})
	if denied != nil && !errors.Is(denied, s3err.AccessDenied) {
		return denied
	}
	if _, err := x.container(x.bucket); err != nil {
		return err
	}
	outcomes := make([]outcome, len(order.Objects))
	next := make(chan []int)
	var workers sync.WaitGroup
	keys := order.keys()
	for range min(x.config.MultiDeleteConcurrency, len(keys)) {
		workers.Go(func() {
			for items := range next {
				for _, i := range items {
					if outcomes[i].err = denied; denied == nil && x.r.Context().Err() == nil {
						outcomes[i].deleted, outcomes[i].err = x.deleteItem(order.Objects[i])
					}
				}
			}
		})
	}
	for _, items := range keys {
		if x.r.Context().Err() != nil {
			break // nobody waits for the rest
		}
		next <- items
	}
	close(next)
	workers.Wait()
	if err := x.r.Context().Err(); err != nil {
		return err
	}
	var result deleteResult
	for i, o := range outcomes {
		item := order.Objects[i]
		if o.err != nil {
			e := s3err.From(o.err)
			result.Errors = append(result.Errors, failedXML{item.Key, item.Version, string(e.Code), e.Message})
			continue
		}
		if order.Quiet {
			continue
		}
		d := deletedXML{Key: item.Key, Version: item.Version}
		if o.marker {
			d.Marker, d.MarkerVersion = true, o.version
		}
		result.Deleted = append(result.Deleted, d)
	}
	return x.document(result)
}

// readDeleteOrder reads what is to be deleted.
func (x *exchange) readDeleteOrder() (*deleteOrder, error) {
	max := min(x.op.max, 2*int64(x.config.MaxMultiDeleteObjects)*int64(x.limits.MaxObjectNameLength))
	u, err := x.upload()
	if err != nil {
		return nil, err
	}
	if u.md5 == "" && u.sum.Algorithm == "" && u.trailer == "" {
		return nil, s3err.InvalidRequest.Say("Missing required header for this request: Content-MD5")
	}
	body, err := u.all(max)
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, s3err.MissingRequestBody.With()
	}
	var order deleteOrder
	if err := parseXML(body, &order); err != nil {
		return nil, err
	}
	if len(order.Objects) == 0 || len(order.Objects) > x.config.MaxMultiDeleteObjects {
		return nil, s3err.MalformedXML.With()
	}
	for _, o := range order.Objects {
		switch {
		case o.Key == "":
			return nil, s3err.UserKeyMustBeSpecified.With()
		case o.Version != "" && o.Version != "null" && !x.features().versioning:
			return nil, s3err.NotImplemented.Say("Versioning is not implemented")
		}
	}
	return &order, nil
}

func (x *exchange) deleteItem(item deleteItem) (deleted, error) {
	on := resource{bucket: x.bucket, key: item.Key, version: item.Version}
	if !validKey(item.Key) {
		return deleted{}, s3err.InvalidURI.With()
	}
	if item.Version != "" && !validVersion(item.Version) {
		return deleted{}, s3err.NoSuchVersion.With()
	}
	return x.deleteIf(on, conditions{item.ETag, item.Size, item.LastModifiedTime})
}
