// Package s3acl holds the access control lists of S3: who owns a bucket or an object, and what is granted to whom.
//
//	a, err := s3acl.Parse(stored)
//	if err == nil && a.Allows("test:tester", s3acl.Read) {
//
// An [ACL] comes from a client by a canned name or grants in headers ([FromHeaders]) or as a document ([FromDocument]), is
// stored as OpenStack Swift's s3api stores it ([ACL.Encode], [Parse]), and is shown as a document ([ACL.Document]):
//
//	{"Owner":"test:tester","Grant":[{"Permission":"FULL_CONTROL","Grantee":"test:tester"}]}
//
// Invariants: the owner may do everything, whatever the grants say; nobody owns what has no owner; what cannot be read
// grants nothing. A group is stored by its name alone, so no user whom a client names can have that of a group.
//
// Whether a user exists is not known here.
package s3acl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A Permission is what can be granted.
type Permission string

// The permissions. FullControl stands for all others.
const (
	FullControl Permission = "FULL_CONTROL"
	Read        Permission = "READ"
	Write       Permission = "WRITE"
	ReadACP     Permission = "READ_ACP"
	WriteACP    Permission = "WRITE_ACP"
)

func (p Permission) valid() bool {
	return slices.Contains([]Permission{FullControl, Read, Write, ReadACP, WriteACP}, p)
}

// A Grantee is the id of a user, or the name of a group.
type Grantee string

// The groups. All who sign a request are in both of the first two, those who do not in the first.
const (
	AllUsers           Grantee = "AllUsers"
	AuthenticatedUsers Grantee = "AuthenticatedUsers"
	LogDelivery        Grantee = "LogDelivery"
)

// groups are the URIs of the groups.
var groups = map[Grantee]string{
	AllUsers:           "http://acs.amazonaws.com/groups/global/AllUsers",
	AuthenticatedUsers: "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
	LogDelivery:        "http://acs.amazonaws.com/groups/s3/LogDelivery",
}

// logUser is the name of the users, one in each account, who deliver logs.
const logUser = ".log_delivery"

// includes says whether a user is the grantee, or one of the group. Who has not signed is "".
func (g Grantee) includes(user string) bool {
	switch g {
	case AllUsers:
		return true
	case AuthenticatedUsers:
		return user != ""
	case LogDelivery:
		if _, name, ok := strings.Cut(user, ":"); ok {
			user = name
		}
		return user == logUser
	}
	return user != "" && string(g) == user
}

// A Grant is one line of an ACL.
type Grant struct {
	Permission Permission
	Grantee    Grantee
}

// An ACL says who may do what. The zero value is that of something nobody owns.
type ACL struct {
	Owner  string
	Grants []Grant
}

// maxGrants is how many grants AWS takes. maxEncoded keeps what is stored within the line of a header that Swift's servers
// read.
const (
	maxGrants  = 100
	maxEncoded = 7 << 10
)

// Allows says whether the user has the permission.
func (a ACL) Allows(user string, p Permission) bool {
	return a.OwnedBy(user) || slices.ContainsFunc(a.Grants, func(g Grant) bool {
		return (g.Permission == p || g.Permission == FullControl) && g.Grantee.includes(user)
	})
}

// OwnedBy says whether the user is the owner.
func (a ACL) OwnedBy(user string) bool { return a.Owner != "" && a.Owner == user }

// stored is how an ACL is stored. The order of the fields is Swift's.
type stored struct {
	Owner *string       `json:"Owner"`
	Grant []storedGrant `json:"Grant"`
}

type storedGrant struct {
	Permission Permission `json:"Permission"`
	Grantee    Grantee    `json:"Grantee"`
}

// ErrStored is a stored ACL that cannot be read.
var ErrStored = errors.New("stored ACL is malformed")

// Parse reads a stored ACL. No text, and what is no object of JSON, is an ACL without an owner, as it is to Swift.
func Parse(text string) (ACL, error) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] != '{' && json.Valid([]byte(text)) {
		return ACL{}, nil
	}
	var s stored
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return ACL{}, fmt.Errorf("%w: %w", ErrStored, err)
	}
	var a ACL
	if s.Owner != nil {
		a.Owner = *s.Owner
	}
	for _, g := range s.Grant {
		if !g.Permission.valid() || g.Grantee == "" {
			return ACL{}, fmt.Errorf("%w: grant %q to %q", ErrStored, g.Permission, g.Grantee)
		}
		a.Grants = append(a.Grants, Grant(g))
	}
	return a, nil
}

// Encode returns the ACL as it is stored: JSON without spaces, in ASCII.
func (a ACL) Encode() string {
	s := stored{Owner: &a.Owner, Grant: make([]storedGrant, 0, len(a.Grants))}
	for _, g := range a.Grants {
		s.Grant = append(s.Grant, storedGrant(g))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings can always be encoded
	}
	return ascii(strings.TrimSuffix(b.String(), "\n"))
}

// ascii escapes what is not ASCII in a text of JSON.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
