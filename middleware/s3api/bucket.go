package s3api

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
)

// headBucket says whether the bucket is there.
func (x *exchange) headBucket() error {
	resp, err := x.ask(call{method: head, on: x.resource})
	if err != nil {
		return err
	}
	if at := resp.Header.Get("Last-Modified"); at != "" {
		x.w.Header().Set("Last-Modified", at)
	}
	x.w.Header()["x-amz-bucket-region"] = []string{x.config.Location}
	x.w.Header().Set("Content-Type", typeXML)
	return x.finish(http.StatusOK)
}

// createBucket makes a container that is not there yet.
func (x *exchange) createBucket() error {
	body, err := x.read(x.op.max)
	if err != nil {
		return err
	}
	if err := x.checkLocation(body); err != nil {
		return err
	}
	on := resource{bucket: x.bucket}
	h := http.Header{}
	if err := x.acl.forBucket(x, h); err != nil {
		return err
	}
	// A PUT to a container that is there would change its ACL.
	switch resp, err := x.try(call{method: head, on: on}); {
	case err != nil:
		return err
	case resp.OK():
		return x.taken()
	case resp.Code != http.StatusNotFound:
		return x.swiftError(call{method: head, on: on}, resp.Code, resp.Body)
	}
	resp, err := x.ask(call{method: put, on: on})
	if err != nil {
		return err
	}
	if resp.Code == http.StatusAccepted {
		return x.taken() // somebody else was faster
	}
	if len(h) > 0 {
		// It takes a second request: a PUT with the ACL would give that to a bucket which somebody else has just made.
		if _, err := x.ask(call{method: post, on: on, header: h}); err != nil {
			x.try(call{method: remove, on: on}) // nobody could use it; the client learns of the first failure
			return err
		}
	}
	x.w.Header().Set("Location", "/"+x.bucket)
	return x.finish(http.StatusOK)
}

// taken is the answer for a name that is in use.
func (x *exchange) taken() error {
	if id, ok := x.acl.owner(x.peek(x.bucket)); ok && id != x.user() {
		return s3err.BucketAlreadyExists.With("BucketName", x.bucket)
	}
	return s3err.BucketAlreadyOwnedByYou.With("BucketName", x.bucket)
}

// checkLocation takes this cluster's own region only.
func (x *exchange) checkLocation(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	var config struct {
		XMLName  xml.Name `xml:"CreateBucketConfiguration"`
		Location string   `xml:"LocationConstraint"`
	}
	if err := parseXML(body, &config); err != nil {
		return err
	}
	if l := config.Location; l != x.config.Location && l != strings.ToLower(x.config.Location) {
		return s3err.InvalidLocationConstraint.With("LocationConstraint", l)
	}
	return nil
}

// deleteBucket deletes an empty container, and what uploads have left in that of their parts.
func (x *exchange) deleteBucket() error {
	on := resource{bucket: x.bucket}
	resp, err := x.ask(call{method: head, on: on})
	if err != nil {
		return err
	}
	if n := resp.Header.Get("X-Container-Object-Count"); n != "" && n != "0" {
		if resp.Header.Get("X-Container-Sysmeta-Versions-Enabled") != "" {
			return s3err.BucketNotEmpty.Say("The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
				"BucketName", x.bucket)
		}
		return s3err.BucketNotEmpty.With("BucketName", x.bucket)
	}
	if _, err := x.ask(call{method: remove, on: on}); err != nil {
		return err
	}
	// Nothing can be completed any more, so the parts are nobody's.
	if err := x.sweep(x.bucket + segmentsSuffix); err != nil {
		return err
	}
	return x.finish(http.StatusNoContent)
}

// sweep deletes a container and all that is in it, if it is there.
func (x *exchange) sweep(container string) error {
	on := resource{bucket: container}
	limit := x.limits.ContainerListingLimit
	for marker := ""; ; {
		page, err := x.list(on, url.Values{"limit": {strconv.Itoa(limit)}, "marker": {marker}}, limit)
		if e := s3err.From(err); err != nil && e.Code == s3err.NoSuchBucket {
			return nil
		}
		if err != nil {
			return err
		}
		for _, entry := range page {
			marker, _ = entry.Name()
			_, err := x.ask(call{method: remove, on: resource{bucket: container, key: marker}})
			if err != nil && !missing(err) {
				return s3err.ServiceUnavailable.With().Because(err)
			}
		}
		if len(page) == 0 {
			break
		}
	}
	switch _, err := x.ask(call{method: remove, on: on}); {
	case err == nil, s3err.From(err).Code == s3err.NoSuchBucket:
		return nil
	default:
		return s3err.ServiceUnavailable.With().Because(err)
	}
}

type location struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	Region  string   `xml:",chardata"`
}

// getLocation names the region. AWS has no name for its first one here.
func (x *exchange) getLocation() error {
	if err := x.exists(); err != nil {
		return err
	}
	var l location
	if x.config.Location != "us-east-1" {
		l.Region = x.config.Location
	}
	return x.document(l)
}

type versioning struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ VersioningConfiguration"`
	Status  string   `xml:"Status,omitempty"`
}

// getVersioning says whether the bucket keeps versions.
func (x *exchange) getVersioning() error {
	if err := x.exists(); err != nil {
		return err
	}
	info, err := x.container(x.bucket)
	if err != nil {
		return err
	}
	var v versioning
	if enabled := info.Sysmeta["versions-enabled"]; enabled != "" {
		v.Status = "Suspended"
		if meta.Truthy(enabled) {
			v.Status = "Enabled"
		}
	}
	return x.document(v)
}

// putVersioning switches versions on or off.
func (x *exchange) putVersioning() error {
	var v struct {
		XMLName   xml.Name `xml:"VersioningConfiguration"`
		Status    string   `xml:"Status"`
		MFADelete string   `xml:"MfaDelete"`
	}
	if err := x.readXML(&v); err != nil {
		return err
	}
	switch {
	case !x.features().versioning:
		return s3err.NotImplemented.Say("Versioning is not implemented")
	case v.MFADelete != "" && v.MFADelete != "Disabled":
		return s3err.NotImplemented.Say("MFA Delete is not supported.")
	case v.Status != "Enabled" && v.Status != "Suspended":
		return s3err.MalformedXML.With()
	}
	h := http.Header{}
	h.Set("X-Versions-Enabled", strconv.FormatBool(v.Status == "Enabled"))
	if _, err := x.ask(call{method: post, on: resource{bucket: x.bucket}, header: h}); err != nil {
		return err
	}
	return x.finish(http.StatusOK)
}
