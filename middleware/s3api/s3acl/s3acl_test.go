package s3acl_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3api/s3acl"
)

func TestStoredForm(t *testing.T) {
	for text, a := range map[string]s3acl.ACL{
		`{"Owner":"test:tester","Grant":[{"Permission":"FULL_CONTROL","Grantee":"test:tester"}]}`: s3acl.Private("test:tester"),
		`{"Owner":"a","Grant":[]}`: {Owner: "a"},
		`{"Owner":"a<&>","Grant":[{"Permission":"READ","Grantee":"AllUsers"},{"Permission":"WRITE_ACP","Grantee":"b\"c"}]}`: {
			Owner: "a<&>", Grants: []s3acl.Grant{{Permission: s3acl.Read, Grantee: s3acl.AllUsers}, {Permission: s3acl.WriteACP, Grantee: `b"c`}},
		},
		`{"Owner":"\u00e9\ud83d\ude00","Grant":[]}`: {Owner: "é😀"},
	} {
		if got := a.Encode(); got != text {
			t.Errorf("%+v: got %s, want %s", a, got, text)
		}
		got, err := s3acl.Parse(text)
		if err != nil || got.Owner != a.Owner || len(got.Grants) != len(a.Grants) || len(a.Grants) > 0 && !reflect.DeepEqual(got.Grants, a.Grants) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, a)
		}
	}
}

func TestNobodyOwns(t *testing.T) {
	for _, text := range []string{"", " ", "[]", "3", `"x"`, "null", "{}", `{"Owner":null}`, `{"Grant":[]}`} {
		if a, err := s3acl.Parse(text); err != nil || a.Owner != "" || a.Allows("", s3acl.Read) || a.Allows("a", s3acl.Read) {
			t.Errorf("%q: got %+v, %v", text, a, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, text := range []string{
		"{", "x", `{"Owner":3}`, `{"Owner":"a","Grant":{}}`, `{"Owner":"a","Grant":[{"Permission":"ALL","Grantee":"AllUsers"}]}`,
		`{"Owner":"a","Grant":[{"Permission":"READ"}]}`,
	} {
		if a, err := s3acl.Parse(text); !errors.Is(err, s3acl.ErrStored) || a.Owner != "" || a.Grants != nil {
			t.Errorf("%s: got %+v, %v", text, a, err)
		}
	}
}

func TestAllows(t *testing.T) {
	a := s3acl.ACL{Owner: "o", Grants: []s3acl.Grant{
		{Permission: s3acl.Read, Grantee: s3acl.AllUsers}, {Permission: s3acl.ReadACP, Grantee: s3acl.AuthenticatedUsers},
		{Permission: s3acl.Write, Grantee: s3acl.LogDelivery}, {Permission: s3acl.WriteACP, Grantee: "w"}, {Permission: s3acl.FullControl, Grantee: "f"},
	}}
	for user, want := range map[string][4]bool{ // read, write, and those of the ACL
		"o": {true, true, true, true}, "f": {true, true, true, true}, "w": {true, false, true, true}, "x": {true, false, true, false},
		"": {true, false, false, false}, "t:.log_delivery": {true, true, true, false}, ".log_delivery": {true, true, true, false},
		"AllUsers": {true, false, true, false}, "O": {true, false, true, false},
	} {
		got := [4]bool{a.Allows(user, s3acl.Read), a.Allows(user, s3acl.Write), a.Allows(user, s3acl.ReadACP), a.Allows(user, s3acl.WriteACP)}
		if got != want || a.OwnedBy(user) != (user == "o") {
			t.Errorf("%q: got %v, want %v", user, got, want)
		}
	}
}

func TestFromHeaders(t *testing.T) {
	o := s3acl.Owners{Own: "o", Bucket: "b"}
	full := `{"Permission":"FULL_CONTROL","Grantee":"o"}`
	for _, tc := range []struct {
		name, value string
		want        string // the grants, or the code of the error
	}{
		{"X-Amz-Acl", "private", full},
		{"X-Amz-Acl", "bucket-owner-read", `{"Permission":"READ","Grantee":"b"},` + full},
		{"X-Amz-Acl", "bucket-owner-full-control", full + `,{"Permission":"FULL_CONTROL","Grantee":"b"}`},
		{"X-Amz-Acl", "Private", "InvalidArgument"},
		{"X-Amz-Acl", "", "InvalidArgument"},
		{"X-Amz-Acl", "aws-exec-read", "NotImplemented"},
		{"X-Amz-Grant-Read", `id="x", ID = y,uri='http://acs.amazonaws.com/groups/s3/LogDelivery'`,
			`{"Permission":"READ","Grantee":"x"},{"Permission":"READ","Grantee":"y"},{"Permission":"READ","Grantee":"LogDelivery"}`},
		{"X-Amz-Grant-Read-Acp", "id=x", `{"Permission":"READ_ACP","Grantee":"x"}`},
		{"X-Amz-Grant-Read", "id=AllUsers", "InvalidArgument"}, // would be stored as the group
		{"X-Amz-Grant-Read", "id=", "InvalidArgument"},
		{"X-Amz-Grant-Read", "id", "InvalidArgument"},
		{"X-Amz-Grant-Read", "", "InvalidArgument"},
		{"X-Amz-Grant-Read", "uri=AllUsers", "InvalidArgument"},
		{"X-Amz-Grant-Read", "emailAddress=a@b", "UnresolvableGrantByEmailAddress"},
		{"X-Amz-Grant-Everything", "id=x", "NotImplemented"},
		{"X-Amz-Grant-Read", strings.Repeat("id=x,", 100) + "id=x", "MalformedACLError"},
		{"X-Amz-Grant-Read", "id=" + strings.Repeat("x", 8000), "MalformedACLError"},
	} {
		a, ok, err := s3acl.FromHeaders(http.Header{tc.name: {tc.value}}, o)
		got := strings.TrimSuffix(strings.TrimPrefix(a.Encode(), `{"Owner":"o","Grant":[`), "]}")
		if err != nil {
			got = string(s3err.From(err).Code)
		}
		if got != tc.want || err == nil && !ok {
			t.Errorf("%s: %.60s: got %s, %v, want %s", tc.name, tc.value, got, ok, tc.want)
		}
	}
	if _, ok, err := s3acl.FromHeaders(http.Header{"X-Amz-Date": {"x"}}, o); ok || err != nil {
		t.Errorf("without: got %v, %v", ok, err)
	}
	both := http.Header{"X-Amz-Acl": {"private"}, "X-Amz-Grant-Read": {"id=x"}}
	if _, _, err := s3acl.FromHeaders(both, o); !errors.Is(err, s3err.InvalidRequest) {
		t.Errorf("both: got %v", err)
	}
	if a, _, err := s3acl.FromHeaders(http.Header{"X-Amz-Acl": {"bucket-owner-read"}}, s3acl.Owners{Own: "o"}); err != nil || len(a.Grants) != 1 {
		t.Errorf("a bucket that nobody owns: got %+v, %v", a, err)
	}
}

// FuzzFromDocument: what is taken can be stored and read again, and names no group by an id.
func FuzzFromDocument(f *testing.F) {
	f.Add(`<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ` +
		`xsi:type="CanonicalUser"><ID>x</ID></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`)
	f.Add(`<!DOCTYPE x [<!ENTITY a "b">]><AccessControlPolicy><Owner><ID>&a;</ID></Owner><AccessControlList/></AccessControlPolicy>`)
	f.Fuzz(func(t *testing.T, doc string) {
		a, err := s3acl.FromDocument([]byte(doc))
		if err != nil {
			return
		}
		text := a.Encode()
		if b, err := s3acl.Parse(text); err != nil || b.Encode() != text || a.Owner == "" {
			t.Errorf("%q: stored as %s, read as %+v, %v", doc, text, b, err)
		}
	})
}

// FuzzParse: whatever is stored, reading it does not fail otherwise than it says, nor lets anybody in who is not named.
func FuzzParse(f *testing.F) {
	f.Add(`{"Owner":"o","Grant":[{"Permission":"READ","Grantee":"x"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := s3acl.Parse(text)
		if err != nil && !errors.Is(err, s3acl.ErrStored) {
			t.Error(err)
		}
		if a.Allows("somebody else", s3acl.Read) && !strings.Contains(text, "ll") && !strings.Contains(text, `\u`) && !strings.Contains(text, "Auth") && !strings.Contains(text, "else") {
			t.Errorf("%q lets somebody in", text)
		}
	})
}
