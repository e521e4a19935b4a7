package s3api

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3api/s3acl"
)

func (m grantACL) put(x *exchange) error {
	its, err := m.ofBucket(x, x.bucket)
	if err != nil {
		return err
	}
	was, o := its, s3acl.Owners{Own: its.Owner, Bucket: its.Owner}
	var object *swiftAnswer
	if x.key != "" {
		if was, object, err = m.ofObject(x, x.resource, http.Header{"X-Newest": {"true"}}); err != nil {
			return err
		}
		// It may have been replaced since the operation was allowed.
		if err := m.decide(x, was, writeACP); err != nil {
			return err
		}
		o.Own = was.Owner
	}
	if o.Own == "" {
		o.Own = x.user() // who owns the account takes over what nobody owns
	}
	a, err := m.fromClient(x, o)
	if err != nil {
		return err
	}
	if object != nil {
		err = x.rewrite(object, a.Encode())
	} else {
		_, err = x.ask(call{method: post, on: resource{bucket: x.bucket}, header: http.Header{bucketACLHeader: {a.Encode()}}})
	}
	if err != nil {
		return err
	}
	return x.finish(http.StatusOK)
}

// fromClient reads the ACL that the client puts, from its headers or from a document.
func (m grantACL) fromClient(x *exchange, o s3acl.Owners) (s3acl.ACL, error) {
	a, given, err := s3acl.FromHeaders(x.r.Header, o)
	if err != nil {
		return a, err
	}
	body, err := x.read(x.op.max)
	switch {
	case err != nil:
		return a, err
	case given && len(body) > 0:
		return a, s3err.UnexpectedContent.With()
	case given:
		return a, nil
	case len(body) == 0:
		return a, s3err.MissingSecurityHeader.With("MissingHeaderName", "x-amz-acl")
	}
	a, err = s3acl.FromDocument(body)
	if err == nil && a.Owner != o.Own {
		err = s3err.AccessDenied.With() // owners cannot be changed
	}
	return a, err
}

// rewrite stores the object again with another ACL: system metadata of objects cannot be changed otherwise. It is not
// stored if it has been replaced since; a large one keeps its parts. Nodes that promise nothing are asked without a condition.
func (x *exchange) rewrite(object *swiftAnswer, acl string) error {
	a := fromSwift(object.Header)
	if done, err := x.rewriteVersion(a, acl); done || err != nil {
		return err
	}
	again := x.rewriteSmall
	if a.large {
		again = x.rewriteLarge
	}
	at := a.swift["x-backend-data-timestamp"]
	if object.Header.Get("Content-Location") != "" {
		at = "" // of what a link of Swift's leads to
	}
	err := again(a, acl, at)
	if at != "" && errors.Is(err, s3err.NotImplemented) {
		err = again(a, acl, "")
	}
	if errors.Is(err, s3err.PreconditionFailed) || errors.Is(err, s3err.ConditionalRequestConflict) {
		err = errReplaced.Because(err)
	}
	return err
}

var errReplaced = s3err.ServiceUnavailable.Say("The object has been replaced at the same time")

// ifStored makes a write depend on when the data were stored that it replaces; an empty time makes it unconditional.
func ifStored(h http.Header, at string) {
	if at != "" {
		h.Set(ifDataTimestamp, at)
	}
}

// rewriteSmall stores an object again if its data are from that time.
func (x *exchange) rewriteSmall(a *answer, acl, at string) error {
	on := resource{bucket: x.bucket, key: x.key}
	h := http.Header{objectACLHeader: {acl}, "X-Copy-From": {on.quoted()}, "Content-Length": {"0"}}
	ifStored(h, at)
	query := url.Values{}
	if a.swift["x-object-manifest"] != "" {
		query.Set("multipart-manifest", "get")
	} else {
		h.Set("If-Match", `"`+a.etag+`"`)
		h.Set(etagIsAt, etagsAt)
	}
	if modified := a.header.Get("Last-Modified"); modified != "" {
		h.Set("If-Unmodified-Since", modified)
	}
	_, err := x.ask(call{method: put, on: on, source: on, header: h, query: query})
	return err
}

// maxRewritten bounds the manifest of a large object: 10,000 parts with long names.
const maxRewritten = 32 << 20

// rewriteLarge stores a manifest again if its data are from that time.
func (x *exchange) rewriteLarge(a *answer, acl, at string) error {
	on := resource{bucket: x.bucket, key: x.key}
	manifest, err := x.ask(call{method: get, on: on, limit: maxRewritten, query: url.Values{"multipart-manifest": {"get"}, "format": {"raw"}}})
	if err != nil {
		return err
	}
	now, was := manifest.Header, a
	if fromSwift(now).swift["x-timestamp"] != was.swift["x-timestamp"] {
		return errReplaced
	}
	h := http.Header{}
	ifStored(h, at)
	override := meta.OverrideName("etag")
	for name, v := range was.swift {
		name = http.CanonicalHeaderKey(name)
		switch {
		case strings.HasPrefix(name, http.CanonicalHeaderKey(meta.OverridePrefix)), strings.HasPrefix(name, "X-Object-Sysmeta-Slo-"):
			// slo writes its own
		case strings.HasPrefix(name, "X-Object-Meta-"), strings.HasPrefix(name, "X-Object-Sysmeta-"), name == "X-Delete-At":
			h[name] = []string{v}
		}
	}
	for _, name := range append(plainHeaders[:len(plainHeaders):len(plainHeaders)], "Content-Encoding") {
		if v := was.header.Get(name); v != "" {
			h.Set(name, v)
		}
	}
	if v := was.swift[strings.ToLower(sysmetaETag)]; v != "" {
		h.Set(override, "; s3_etag="+v)
	}
	h.Set(objectACLHeader, acl)
	_, err = x.ask(call{
		method: put, on: on, header: h, query: url.Values{"multipart-manifest": {"put"}},
		body: bytes.NewReader(manifest.Body), length: int64(len(manifest.Body)),
	})
	return err
}
