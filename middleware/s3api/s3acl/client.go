package s3acl

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

// Owners are whom canned ACLs are about: the owner of what the ACL is for, and that of its bucket. They are the same for a
// bucket.
type Owners struct{ Own, Bucket string }

// canned are the names of ACLs, with what each grants beside everything to the owner. They are in Swift's order.
var canned = map[string]func(o Owners) []Grant{
	"private":                   func(o Owners) []Grant { return []Grant{full(o.Own)} },
	"public-read":               func(o Owners) []Grant { return []Grant{{Read, AllUsers}, full(o.Own)} },
	"public-read-write":         func(o Owners) []Grant { return []Grant{{Read, AllUsers}, {Write, AllUsers}, full(o.Own)} },
	"authenticated-read":        func(o Owners) []Grant { return []Grant{{Read, AuthenticatedUsers}, full(o.Own)} },
	"bucket-owner-read":         func(o Owners) []Grant { return []Grant{{Read, Grantee(o.Bucket)}, full(o.Own)} },
	"bucket-owner-full-control": func(o Owners) []Grant { return []Grant{full(o.Own), full(o.Bucket)} },
	"log-delivery-write": func(o Owners) []Grant {
		return []Grant{{Write, LogDelivery}, {ReadACP, LogDelivery}, full(o.Own)}
	},
}

func full(user string) Grant { return Grant{FullControl, Grantee(user)} }

// Private is the ACL of what nobody but its owner may touch.
func Private(owner string) ACL { return ACL{owner, []Grant{full(owner)}} }

// cannedACL returns the ACL of a name.
func cannedACL(name string, o Owners) (ACL, error) {
	if name == "aws-exec-read" {
		return ACL{}, s3err.NotImplemented.Say("There are no machine images here", "Header", "x-amz-acl")
	}
	grants, ok := canned[name]
	if !ok {
		return ACL{}, s3err.InvalidArgument.With("ArgumentName", "x-amz-acl", "ArgumentValue", name)
	}
	a := ACL{Owner: o.Own}
	for _, g := range grants(o) {
		if g.Grantee != "" { // a bucket that nobody owns
			a.Grants = append(a.Grants, g)
		}
	}
	return a, nil
}

const (
	cannedHeader = "X-Amz-Acl"
	grantPrefix  = "X-Amz-Grant-"
)

// grantHeaders are the headers of grants, in the order in which they are stored.
var grantHeaders = []struct {
	name       string
	permission Permission
}{
	{"Full-Control", FullControl}, {"Read", Read}, {"Write", Write}, {"Read-Acp", ReadACP}, {"Write-Acp", WriteACP},
}

// FromHeaders returns the ACL that a client asks for by its headers, canned or in grants; ok is false if it asks for none.
func FromHeaders(h http.Header, o Owners) (a ACL, ok bool, err error) {
	if a, err = granted(h, o.Own); err != nil {
		return ACL{}, false, err
	}
	names, isCanned := h[cannedHeader]
	switch {
	case isCanned && len(a.Grants) > 0:
		return ACL{}, false, s3err.InvalidRequest.Say("Specifying both Canned ACLs and Header Grants is not allowed")
	case isCanned:
		a, err = cannedACL(strings.Join(names, ","), o)
		return a, err == nil, err
	}
	return a, len(a.Grants) > 0, a.check()
}

// granted reads the headers that grant something.
func granted(h http.Header, owner string) (ACL, error) {
	a := ACL{Owner: owner}
	known := 0
	for _, header := range grantHeaders {
		lines, ok := h[grantPrefix+header.name]
		if !ok {
			continue
		}
		known++
		for _, text := range strings.Split(strings.Join(lines, ","), ",") {
			g, err := headerGrantee(text)
			if err != nil {
				return ACL{}, err
			}
			a.Grants = append(a.Grants, Grant{header.permission, g})
		}
	}
	for name := range h {
		if strings.HasPrefix(name, grantPrefix) {
			known--
		}
	}
	if known < 0 {
		return ACL{}, s3err.NotImplemented.Say("There is no such permission to be granted", "Header", strings.ToLower(grantPrefix)+"*")
	}
	return a, nil
}

// headerGrantee reads one grantee of a header: id="...", uri="..." or emailAddress="...".
func headerGrantee(text string) (Grantee, error) {
	kind, value, ok := strings.Cut(strings.TrimSpace(text), "=")
	value = strings.Trim(strings.TrimSpace(value), `"'`)
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "id":
		if ok {
			return userGrantee(value)
		}
	case "uri":
		if ok {
			return groupGrantee(value)
		}
	case "emailaddress":
		return "", unresolvable(value)
	}
	return "", s3err.InvalidArgument.Say("Argument format not recognized", "ArgumentName", kind, "ArgumentValue", value)
}

// userGrantee takes a user by the id. One that is named like a group would be stored as the group.
func userGrantee(id string) (Grantee, error) {
	if _, group := groups[Grantee(id)]; group || id == "" {
		return "", s3err.InvalidArgument.Say("Invalid id", "ArgumentName", "CanonicalUser/ID", "ArgumentValue", id)
	}
	return Grantee(id), nil
}

func groupGrantee(uri string) (Grantee, error) {
	for g, u := range groups {
		if u == uri {
			return g, nil
		}
	}
	return "", s3err.InvalidArgument.Say("Invalid group uri", "ArgumentName", "uri", "ArgumentValue", uri)
}

// unresolvable is the answer to e-mail addresses: none is known of any user.
func unresolvable(address string) error {
	return s3err.UnresolvableGrantByEmailAddress.With("EmailAddress", address)
}

// check says whether the ACL can be stored.
func (a ACL) check() error {
	if len(a.Grants) > maxGrants || len(a.Encode()) > maxEncoded {
		return s3err.MalformedACL.Say("The ACL has more grants than there may be")
	}
	return nil
}

// The document as it is sent. The namespace of types must be declared where it is used.
type (
	document struct {
		XMLName xml.Name   `xml:"http://s3.amazonaws.com/doc/2006-03-01/ AccessControlPolicy"`
		Owner   ownerXML   `xml:"Owner"`
		List    []grantXML `xml:"AccessControlList>Grant"`
	}
	ownerXML struct {
		ID          string `xml:"ID"`
		DisplayName string `xml:"DisplayName"`
	}
	grantXML struct {
		Grantee    granteeXML `xml:"Grantee"`
		Permission Permission `xml:"Permission"`
	}
	granteeXML struct {
		XSI         string `xml:"xmlns:xsi,attr"`
		Type        string `xml:"xsi:type,attr"`
		ID          string `xml:"ID,omitempty"`
		DisplayName string `xml:"DisplayName,omitempty"`
		URI         string `xml:"URI,omitempty"`
	}
)

const schemaXSI = "http://www.w3.org/2001/XMLSchema-instance"

// Types of grantees in documents.
const (
	typeUser  = "CanonicalUser"
	typeGroup = "Group"
	typeEmail = "AmazonCustomerByEmail"
)

// Document returns the ACL as clients see it, for s3xml.Encode.
func (a ACL) Document() any {
	d := document{Owner: ownerXML{a.Owner, a.Owner}}
	for _, g := range a.Grants {
		grantee := granteeXML{XSI: schemaXSI, Type: typeGroup, URI: groups[g.Grantee]}
		if grantee.URI == "" {
			grantee = granteeXML{XSI: schemaXSI, Type: typeUser, ID: string(g.Grantee), DisplayName: string(g.Grantee)}
		}
		d.List = append(d.List, grantXML{grantee, g.Permission})
	}
	return d
}

// The document as clients send it, in any namespace or none.
type (
	policyIn struct {
		XMLName xml.Name `xml:"AccessControlPolicy"`
		Owner   ownerXML `xml:"Owner"`
		List    *listIn  `xml:"AccessControlList"`
	}
	listIn struct {
		Grants []grantIn `xml:"Grant"`
	}
	grantIn struct {
		Grantee    granteeIn  `xml:"Grantee"`
		Permission Permission `xml:"Permission"`
	}
	granteeIn struct {
		Type         string  `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
		ID           *string `xml:"ID"`
		DisplayName  string  `xml:"DisplayName"`
		URI          *string `xml:"URI"`
		EmailAddress *string `xml:"EmailAddress"`
	}
)

// FromDocument reads a document.
func FromDocument(doc []byte) (ACL, error) {
	var in policyIn
	if err := s3xml.Decode(doc, &in); err != nil {
		return ACL{}, s3err.MalformedACL.With().Because(err)
	}
	if in.Owner.ID == "" || in.List == nil {
		return ACL{}, s3err.MalformedACL.With()
	}
	a := ACL{Owner: in.Owner.ID}
	for _, g := range in.List.Grants {
		if !g.Permission.valid() {
			return ACL{}, s3err.MalformedACL.With()
		}
		grantee, err := g.Grantee.read()
		if err != nil {
			return ACL{}, err
		}
		a.Grants = append(a.Grants, Grant{g.Permission, grantee})
	}
	return a, a.check()
}

// read finds out who the grantee is. The type must fit what is there.
func (g granteeIn) read() (Grantee, error) {
	given := []bool{g.ID != nil, g.URI != nil, g.EmailAddress != nil}
	kind := slices.Index([]string{typeUser, typeGroup, typeEmail}, g.Type)
	if kind < 0 || !given[kind] || slices.Contains(slices.Delete(given, kind, kind+1), true) {
		return "", s3err.MalformedACL.With()
	}
	switch g.Type {
	case typeUser:
		return userGrantee(strings.TrimSpace(*g.ID))
	case typeGroup:
		return groupGrantee(strings.TrimSpace(*g.URI))
	}
	return "", unresolvable(*g.EmailAddress)
}
