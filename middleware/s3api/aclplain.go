package s3api

import (
	"encoding/xml"
	"errors"
	"net/http"
	"strings"

	"github.com/apus-storage/apus/internal/acl"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/s3err"
)

// plainACL is Swift's way. Only some canned ACLs can be said with it.
type plainACL struct{}

// The auth filter is asked by the proxy.
func (plainACL) check(*exchange, resource, need) error               { return nil }
func (plainACL) judge(*exchange, resource, int, http.Header) error   { return nil }
func (plainACL) authorize(*exchange, call) func(*http.Request) error { return nil }
func (plainACL) visible(*exchange, string) bool                      { return true }
func (plainACL) owner(*lookup.Container) (string, bool)              { return "", false }

func (plainACL) forObject(x *exchange, _ http.Header) error {
	if err := noGrants(x.r.Header); err != nil {
		return err
	}
	canned := x.r.Header.Get("X-Amz-Acl")
	if canned == "" {
		return nil
	}
	if _, err := cannedLists(canned); err != nil {
		return err
	}
	// Objects have no lists of their own: they are as private as their bucket.
	if strings.HasPrefix(canned, "public-") {
		return s3err.NotImplemented.Say("Objects have no ACLs of their own here", "Header", "x-amz-acl")
	}
	if info := x.peek(x.bucket); info.Exists() && len(acl.Parse(string(info.ReadACL)).Referrers) > 0 {
		return s3err.NotImplemented.Say("Objects have no ACLs of their own here, and the bucket is public", "Header", "x-amz-acl")
	}
	return nil
}

func (plainACL) forBucket(x *exchange, h http.Header) error {
	if err := noGrants(x.r.Header); err != nil {
		return err
	}
	canned := x.r.Header.Get("X-Amz-Acl")
	if canned == "" {
		return nil
	}
	lists, err := cannedLists(canned)
	if err == nil {
		lists.set(h)
	}
	return err
}

func noGrants(h http.Header) error {
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Grant-") {
			return s3err.NotImplemented.With("Header", strings.ToLower(name))
		}
	}
	return nil
}

// lists are the two lists of a container. An empty one is left as it is.
type lists struct{ read, write string }

func (l lists) set(h http.Header) {
	h.Set("X-Container-Read", l.read)
	if l.write != "" {
		h.Set("X-Container-Write", l.write)
	}
}

// cannedLists are the lists that stand for a canned ACL. A dot lets nobody in but keeps the header from being empty.
func cannedLists(canned string) (lists, error) {
	switch canned {
	case "private", "bucket-owner-read", "bucket-owner-full-control":
		return lists{".", "."}, nil
	case "public-read":
		return lists{".r:*,.rlistings", ""}, nil
	case "public-read-write", "authenticated-read", "log-delivery-write", "aws-exec-read":
		return lists{}, s3err.NotImplemented.Say("The canned ACL cannot be expressed here", "Header", "x-amz-acl")
	}
	return lists{}, s3err.InvalidArgument.With("ArgumentName", "x-amz-acl", "ArgumentValue", canned)
}

const (
	allUsers  = "http://acs.amazonaws.com/groups/global/AllUsers"
	schemaXSI = "http://www.w3.org/2001/XMLSchema-instance"
)

func (plainACL) get(x *exchange) error {
	if err := x.exists(); err != nil {
		return err
	}
	info, err := x.container(x.bucket)
	if err != nil {
		return err
	}
	policy := accessControlPolicy{Owner: ownerXML{x.user(), x.user()}}
	policy.Grants = []grantXML{{granteeXML{Type: "CanonicalUser", XSI: schemaXSI, ID: x.user(), DisplayName: x.user()}, "FULL_CONTROL"}}
	for _, l := range []struct{ list, permission string }{{string(info.ReadACL), "READ"}, {string(info.WriteACL), "WRITE"}} {
		if acl.Parse(l.list).AllowsReferrer("unknown") {
			policy.Grants = append(policy.Grants, grantXML{granteeXML{Type: "Group", XSI: schemaXSI, URI: allUsers}, l.permission})
		}
	}
	return x.document(policy)
}

func (plainACL) put(x *exchange) error {
	if x.key != "" {
		return s3err.NotImplemented.Say("Objects have no ACLs of their own here")
	}
	if err := noGrants(x.r.Header); err != nil {
		return err
	}
	canned := x.r.Header.Get("X-Amz-Acl")
	body, err := x.read(x.op.max)
	switch {
	case err != nil:
		return err
	case canned != "" && len(body) > 0:
		return s3err.UnexpectedContent.With()
	case canned == "" && len(body) == 0:
		return s3err.MissingSecurityHeader.With("MissingHeaderName", "x-amz-acl")
	case canned == "":
		if canned, err = cannedOf(body); err != nil {
			return err
		}
	}
	l, err := cannedLists(canned)
	if err != nil {
		return err
	}
	h := http.Header{}
	l.set(h)
	if _, err := x.ask(call{method: post, on: resource{bucket: x.bucket}, header: h}); err != nil {
		return err
	}
	return x.finish(http.StatusOK)
}

// cannedOf finds the canned ACL that a document amounts to.
func cannedOf(body []byte) (string, error) {
	var policy accessControlPolicyIn
	if err := parseXML(body, &policy); err != nil {
		return "", s3err.MalformedACL.With().Because(err)
	}
	canned := "private"
	for _, g := range policy.List.Grants {
		switch {
		case g.Permission == "FULL_CONTROL" && g.Grantee.Type == "CanonicalUser":
		case g.Permission == "READ" && g.Grantee.URI == allUsers:
			canned = "public-read"
		default:
			return "", s3err.NotImplemented.Say("The grant cannot be expressed here", "Permission", g.Permission)
		}
	}
	if len(policy.List.Grants) == 0 {
		return "", s3err.MalformedACL.With().Because(errors.New("no grants"))
	}
	return canned, nil
}

// The documents. What is read has no namespace in its tags, so that any is taken.
type (
	accessControlPolicy struct {
		XMLName xml.Name   `xml:"http://s3.amazonaws.com/doc/2006-03-01/ AccessControlPolicy"`
		Owner   ownerXML   `xml:"Owner"`
		Grants  []grantXML `xml:"AccessControlList>Grant"`
	}
	ownerXML struct {
		ID          string `xml:"ID"`
		DisplayName string `xml:"DisplayName"`
	}
	grantXML struct {
		Grantee    granteeXML `xml:"Grantee"`
		Permission string     `xml:"Permission"`
	}
	granteeXML struct {
		XSI         string `xml:"xmlns:xsi,attr"`
		Type        string `xml:"xsi:type,attr"`
		ID          string `xml:"ID,omitempty"`
		DisplayName string `xml:"DisplayName,omitempty"`
		URI         string `xml:"URI,omitempty"`
	}
	accessControlPolicyIn struct {
		XMLName xml.Name `xml:"AccessControlPolicy"`
		Owner   ownerXML `xml:"Owner"`
		List    struct {
			Grants []grantIn `xml:"Grant"`
		} `xml:"AccessControlList"`
	}
	grantIn struct {
		Grantee struct {
			Type         string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
			ID           string `xml:"ID"`
			DisplayName  string `xml:"DisplayName"`
			URI          string `xml:"URI"`
			EmailAddress string `xml:"EmailAddress"`
		} `xml:"Grantee"`
		Permission string `xml:"Permission"`
	}
)
