package acl

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

type vectors struct {
	Clean     [][4]string
	Referrers [][3]json.RawMessage
	Account   [][3]string
	Parse     [][3]json.RawMessage
}

// The vectors were made by OpenStack Swift's own functions.
func load(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func get[T any](t testing.TB, raw json.RawMessage) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCleanAgreesWithSwift(t *testing.T) {
	for _, row := range load(t).Clean {
		got, err := Clean(row[0], row[1])
		text := ""
		var se *SyntaxError
		if errors.As(err, &se) {
			text = se.Text()
		}
		if got != row[2] || text != row[3] {
			t.Errorf("Clean(%s, %q) = %q, %q; want %q, %q", row[0], row[1], got, text, row[2], row[3])
		}
	}
	if got, err := Clean("X-Container-Read", "voil\u00e0 ,x"); got != "voil\u00e0,x" || err != nil {
		t.Errorf("a name that ends in byte A0 became %q, %v", got, err)
	}
}

func TestParseAgreesWithSwift(t *testing.T) {
	for _, row := range load(t).Parse {
		in, referrers, groups := get[string](t, row[0]), get[[]string](t, row[1]), get[[]string](t, row[2])
		if got := Parse(in); !slices.Equal(got.Referrers, referrers) || !slices.Equal(got.Groups, groups) {
			t.Errorf("Parse(%q) = %+v, want referrers %q, groups %q", in, got, referrers, groups)
		}
	}
	if !Parse(".r:*,.rlistings").Listings() || Parse(".r:*").Listings() {
		t.Error("Listings is wrong")
	}
}

func TestReferrersAgreeWithSwift(t *testing.T) {
	for _, row := range load(t).Referrers {
		referer, list, want := get[string](t, row[0]), get[[]string](t, row[1]), get[bool](t, row[2])
		if got := (List{Referrers: list}).AllowsReferrer(referer); got != want {
			t.Errorf("%q by %q = %v, want %v", referer, list, got, want)
		}
	}
	// Swift fails on this one; here it is nobody.
	if ReferrerAllowed("http://[x", []string{"x", "[x"}) || !ReferrerAllowed("http://[x", []string{"*"}) {
		t.Error("a referer with half a bracket is not treated as unknown")
	}
	if ReferrerAllowed(`http://evil.test\@one.test/`, []string{"one.test"}) || ReferrerAllowed(`http://one.test\@evil.test/`, []string{"one.test"}) {
		t.Error("a referer with a backslash in its host is believed")
	}
}

func TestAccountListsAgreeWithSwift(t *testing.T) {
	for _, row := range load(t).Account {
		_, err := ParseAccount(row[0])
		reason := ""
		var ae *AccountError
		if errors.As(err, &ae) {
			reason = ae.Reason
		}
		if reason != row[1] {
			t.Errorf("ParseAccount(%q): %q, want %q", row[0], reason, row[1])
		}
		if got, ok := FormatAccount(row[0]); got != row[2] || ok != (row[2] != "") {
			t.Errorf("FormatAccount(%q) = %q, %v; want %q", row[0], got, ok, row[2])
		}
	}
}

func TestAccountErrorText(t *testing.T) {
	_, err := ParseAccount(`{"x":["é"]}`)
	want := "X-Account-Access-Control invalid: Key \"x\" not recognized\n\nInput: {\"x\":[\"\u00c3\u00a9\"]}\n"
	var ae *AccountError
	if !errors.As(err, &ae) || ae.Text() != want {
		t.Errorf("got %v\nwant text %q", err, want)
	}
}

func TestStoredAccount(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     Account
		ok       bool
	}{
		{"all keys", `{"admin":["a"],"read-write":["b"],"read-only":["c","d"]}`, Account{[]string{"a"}, []string{"b"}, []string{"c", "d"}}, true},
		{"another system's key", `{"admin":["a"],"x":1}`, Account{Admin: []string{"a"}}, true},
		{"nobody", `{"admin":[],"read-only":[]}`, Account{}, false},
		{"nothing", "", Account{}, false},
		{"no JSON", "a", Account{}, false},
		{"no list", `{"admin":"a","read-only":["b"]}`, Account{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := StoredAccount(tc.in)
			if ok != tc.ok || ok && !(slices.Equal(got.Admin, tc.want.Admin) && slices.Equal(got.ReadWrite, tc.want.ReadWrite) && slices.Equal(got.ReadOnly, tc.want.ReadOnly)) {
				t.Errorf("StoredAccount(%q) = %+v, %v; want %+v, %v", tc.in, got, ok, tc.want, tc.ok)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, row := range load(f).Clean {
		f.Add(row[0], row[1])
	}
	f.Fuzz(func(t *testing.T, header, value string) {
		once, err := Clean(header, value)
		if err != nil {
			return
		}
		if strings.Contains(strings.ToLower(header), "write") && len(Parse(once).Referrers) > 0 {
			t.Errorf("Clean(%q, %q) = %q lets referrers write", header, value, once)
		}
		ReferrerAllowed(value, Parse(once).Referrers)
	})
}

func FuzzAccount(f *testing.F) {
	for _, row := range load(f).Account {
		f.Add(row[0])
	}
	f.Fuzz(func(t *testing.T, value string) {
		a, err := ParseAccount(value)
		stored, ok := StoredAccount(value)
		if err == nil && ok == a.Empty() {
			t.Errorf("ParseAccount(%q) = %+v, StoredAccount %+v, %v", value, a, stored, ok)
		}
		if shown, ok := FormatAccount(value); ok {
			if again, ok := FormatAccount(shown); again != shown || !ok {
				t.Errorf("FormatAccount(%q) = %q, again %q", value, shown, again)
			}
		}
	})
}
