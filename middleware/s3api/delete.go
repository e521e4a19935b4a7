package s3api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
)

// deleteObject deletes the object, or one version of it. It does not matter whether it is there.
func (x *exchange) deleteObject() error {
	d, err := x.deleteIf(x.resource, x.deleteConditions())
	if err != nil {
		return err
	}
	h := x.w.Header()
	setAmz(h, "x-amz-version-id", d.version)
	if d.marker {
		h["x-amz-delete-marker"] = []string{"true"}
	}
	return x.finish(http.StatusNoContent)
}

// deleted says what has become of an object.
type deleted struct {
	version string // that was deleted, or the delete marker that was made
	marker  bool   // whether that is a delete marker
}

// delete deletes an object with all that belongs to it, on the conditions in the headers. The bucket must be there.
func (x *exchange) delete(on resource, h http.Header) (deleted, error) {
	info, err := x.container(on.bucket)
	if err != nil {
		return deleted{}, err
	}
	if on.version != "" && on.version != "null" && !versioned(info) {
		return deleted{version: on.version}, nil // it has never kept any
	}
	query, err := x.manifestQuery(on, info)
	if err != nil {
		return deleted{}, err
	}
	if on.version != "" {
		query.Set("symlink", "get")
	}
	h.Set("Accept", "application/json")
	resp, err := x.ask(call{method: remove, on: on, query: query, header: h, limit: 1 << 20})
	switch {
	case missing(err):
		if a := fromSwift(resp.Header); a.marker {
			return deleted{a.version, true}, nil // there was nothing, and now that is written down
		}
		return deleted{version: on.version}, nil
	case err != nil:
		return deleted{}, err
	}
	if err := segmentErrors(query, resp); err != nil {
		return deleted{}, err
	}
	a := fromSwift(resp.Header)
	d := deleted{marker: a.marker, version: cmp.Or(a.version, on.version)}
	if a.swift["x-object-current-version-id"] == "null" {
		return d, x.restore(on)
	}
	return d, nil
}

// manifestQuery is the query that deletes the segments with a large object. They stay for what the deletion makes a version of, and
// for another version that has them.
func (x *exchange) manifestQuery(on resource, info *lookup.Container) (url.Values, error) {
	query := url.Values{}
	if on.version == "" && meta.Truthy(info.Sysmeta["versions-enabled"]) {
		return query, nil
	}
	resp, err := x.ask(call{method: head, on: on, query: url.Values{"symlink": {"get"}}})
	switch e := s3err.From(err); {
	case missing(err), e.Code == s3err.AccessDenied:
		return query, nil // the deletion itself tells
	case err != nil:
		return nil, err
	}
	a := fromSwift(resp.Header)
	if !a.large {
		return query, nil
	}
	if versioned(info) && resp.Header.Get(sysmetaUpload) != "" {
		if shared, err := x.shared(on, a); shared || err != nil {
			return query, err
		}
	}
	query.Set("multipart-manifest", "delete")
	if a.swift["x-object-sysmeta-s3api-etag"] != "" {
		query.Set("async", "on") // the segments are this filter's, so nobody looks for them
	}
	return query, nil
}

// segmentErrors reads the report of a deletion of segments.
func segmentErrors(query url.Values, resp *swiftAnswer) error {
	if query.Get("multipart-manifest") == "" || resp.Code == http.StatusNoContent {
		return nil
	}
	var report struct {
		Status string     `json:"Response Status"`
		Errors [][]string `json:"Errors"`
	}
	if err := json.Unmarshal(resp.Body, &report); err != nil {
		return err
	}
	if len(report.Errors) > 0 || report.Status != "" && report.Status[0] != '2' {
		return s3err.InternalError.Say("Not all parts of the object could be deleted.")
	}
	return nil
}
