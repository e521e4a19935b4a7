package s3api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/s3err"
)

// abortUpload ends an upload without an object.
func (x *exchange) abortUpload() error {
	m, err := x.multipart()
	if err != nil {
		return err
	}
	resp, err := x.ask(call{method: head, on: m.marker, header: http.Header{"X-Newest": {"true"}}})
	if missing(err) {
		return noSuchUpload(m.id)
	}
	if err != nil {
		return err
	}
	if resp.Header.Get(sysmetaAborting) == "" { // otherwise somebody has not got to the end of it
		h := http.Header{"Content-Type": {resp.Header.Get("Content-Type")}}
		h.Set(sysmetaAborting, "yes")
		if _, err := x.ask(call{method: put, on: m.marker, header: h}); err != nil {
			return err
		}
	}
	anything := func(listing.Entry) bool { return true }
	completed, err := x.made(m.id, anything)
	if err != nil {
		return err
	}
	if len(completed) == 0 {
		if err := x.deleteParts(m); err != nil {
			return err
		}
		late, err := x.made(m.id, anything)
		if err != nil {
			return err
		}
		for _, a := range late {
			if err := x.undo(m.id, a.version); err != nil {
				return err
			}
		}
	}
	if _, err := x.ask(call{method: remove, on: m.marker}); err != nil && !missing(err) {
		return err
	}
	if len(completed) > 0 {
		return noSuchUpload(m.id)
	}
	x.w.Header().Set("Content-Type", typeNothing)
	return x.finish(http.StatusNoContent)
}

// typeNothing is the type of answers without a body, as OpenStack Swift has it.
const typeNothing = "text/html; charset=UTF-8"

// deleteParts deletes the parts of an upload.
func (x *exchange) deleteParts(m *multipart) error {
	for marker := ""; ; {
		page, err := x.partsPage(m, marker)
		if err != nil {
			return err
		}
		for _, e := range page {
			marker, _ = e.Name()
			_, err := x.ask(call{method: remove, on: resource{bucket: m.marker.bucket, key: marker}})
			if err != nil && !missing(err) {
				return s3err.ServiceUnavailable.With().Because(err)
			}
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// pageQuery asks for a page of a listing, as long as they get.
func (x *exchange) pageQuery(prefix, delimiter, marker string) url.Values {
	return url.Values{
		"prefix": {prefix}, "delimiter": {delimiter}, "marker": {marker}, "limit": {strconv.Itoa(x.limits.ContainerListingLimit)},
	}
}
