package s3api

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/s3err"
)

// An upload in parts should become one object. It may become several versions of it all the same: by completions at the same time, or
// by one that is repeated since the marker could not be deleted. They have their parts in common, so that these go with the last of them.

// madeBy returns what is known of an object, or of a version of it, if it was made by the upload; nil if it was not.
func (x *exchange) madeBy(on resource, id string) (*answer, error) {
	resp, err := x.ask(call{method: head, on: on, header: http.Header{"X-Newest": {"true"}}})
	switch {
	case missing(err):
		return nil, nil
	case err != nil || resp.Header.Get(sysmetaUpload) != id:
		return nil, err
	}
	return fromSwift(resp.Header), nil
}

// made returns what the upload has become: the current object, and versions of it, of those that may be it by their entries in the list.
func (x *exchange) made(id string, may func(listing.Entry) bool) (all []*answer, err error) {
	current, err := x.madeBy(x.resource, id)
	if err != nil {
		return nil, err
	}
	known := ""
	if current != nil {
		all, known = append(all, current), current.version
	}
	info, err := x.container(x.bucket)
	if err != nil || !versioned(info) {
		return all, err
	}
	err = x.eachVersion(x.resource, func(version resource, e listing.Entry) (bool, error) {
		if version.version == known || !inParts(e) || !may(e) {
			return true, nil
		}
		a, err := x.madeBy(version, id)
		if a != nil {
			all = append(all, a)
		}
		return true, err
	})
	return all, err
}

// shared says whether another version of the object was made by the same upload as this one, which an answer is about.
func (x *exchange) shared(on resource, a *answer) (is bool, err error) {
	own, id := cmp.Or(a.version, "null"), a.swift[strings.ToLower(sysmetaUpload)]
	err = x.eachVersion(on, func(version resource, e listing.Entry) (bool, error) {
		if version.version == own || !inParts(e) {
			return true, nil
		}
		other, err := x.madeBy(version, id)
		is = other != nil
		return !is, err
	})
	if errors.Is(err, s3err.AccessDenied) {
		return true, nil // nobody knows, and what is left can be deleted later
	}
	return is, err
}

// inParts says whether an entry of a list is that of an upload in parts.
func inParts(e listing.Entry) bool {
	tag := strings.Trim(listedETag(e), `"`)
	return strings.Contains(tag, "-") && !strings.HasSuffix(tag, "-N")
}

// eachVersion calls look for the versions of an object, and its delete markers, the newest first, until it returns false.
func (x *exchange) eachVersion(on resource, look func(version resource, e listing.Entry) (more bool, err error)) error {
	q := url.Values{"prefix": {on.key}, "versions": {"true"}}
	limit := x.limits.ContainerListingLimit
	for {
		entries, err := x.list(on, q, limit)
		if err != nil {
			return err
		}
		last := ""
		for _, e := range entries {
			if name, subdir := e.Name(); name != on.key || subdir {
				return nil // another key that begins alike
			}
			last = versionID(e)
			if more, err := look(resource{bucket: on.bucket, key: on.key, version: last}, e); err != nil || !more {
				return err
			}
		}
		if len(entries) < limit {
			return nil
		}
		q.Set("marker", on.key)
		q.Set("version_marker", last)
	}
}
