package meta

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/constraint"
)

// The vectors were made by OpenStack Swift's header dictionary and gatekeeper.
func TestNamesAgreeWithSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Title      [][2]string
		Gatekeeper [][2]any
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for _, row := range v.Title {
		in, err1 := hex.DecodeString(row[0])
		want, err2 := hex.DecodeString(row[1])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if got := Title(string(in)); got != string(want) {
			t.Errorf("Title(%q) = %q, want %q", in, got, want)
		}
	}
	for _, row := range v.Gatekeeper {
		if got := IsInternal(row[0].(string)); got != row[1].(bool) {
			t.Errorf("IsInternal(%q) = %v, want %v", row[0], got, row[1])
		}
	}
}

func TestSpellings(t *testing.T) {
	for _, tc := range [][2]string{
		{FromClient("x-object-meta-a_b"), "X-Object-Meta-A-B"},
		{FromClient("X-Object-Meta-1abc"), "X-Object-Meta-1Abc"},
		{ObjectKey("etag"), "ETag"},
		{ObjectKey("content-type"), "Content-Type"},
		{OverrideName("etag"), "X-Object-Sysmeta-Container-Update-Override-Etag"},
	} {
		if tc[0] != tc[1] {
			t.Errorf("got %q, want %q", tc[0], tc[1])
		}
	}
}

func TestClasses(t *testing.T) {
	type class struct{ user, sys, transient bool }
	for name, want := range map[string]class{
		"X-Object-Meta-A":              {user: true},
		"x-object-meta-a":              {user: true},
		"X-Object-Meta-":               {},
		"X-Container-Meta-A":           {},
		"X-Object-Sysmeta-A":           {sys: true},
		"X-Object-Sysmeta-":            {},
		"X-Object-Transient-Sysmeta-A": {transient: true},
		"X-Object-Transient-Sysmeta-":  {},
	} {
		if got := (class{IsUserMeta(Object, name), IsSysmeta(Object, name), IsTransientSysmeta(name)}); got != want {
			t.Errorf("class of %q = %+v, want %+v", name, got, want)
		}
	}
	if rest, ok := CutUserMeta(Container, "x-container-meta-Quota"); !ok || rest != "Quota" {
		t.Errorf("CutUserMeta = %q, %v", rest, ok)
	}
}

func TestStoredText(t *testing.T) {
	for _, tc := range []struct{ raw, stored string }{
		{"", ""}, {"plain", "plain"}, {"caf\xc3\xa9", "caf\xc3\x83\xc2\xa9"}, {"\xff", "\xc3\xbf"},
	} {
		if got := ToStored(tc.raw); got != tc.stored {
			t.Errorf("ToStored(%q) = %q, want %q", tc.raw, got, tc.stored)
		}
		if got, err := FromStored(tc.stored); got != tc.raw || err != nil {
			t.Errorf("FromStored(%q) = %q, %v; want %q", tc.stored, got, err, tc.raw)
		}
	}
	for _, bad := range []string{"\u4e2d", "a\xff"} {
		if got, err := FromStored(bad); got != bad || !errors.Is(err, ErrNotStored) {
			t.Errorf("FromStored(%q) = %q, %v; want it unchanged and ErrNotStored", bad, got, err)
		}
	}
}

func TestTransfer(t *testing.T) {
	src := http.Header{
		"X-Container-Meta-1abc":          {"v"},
		"X-Container-Sysmeta-S":          {"s"},
		"X-Remove-Container-Meta-Gone":   {"x"},
		"X-Remove-Container-Meta-Both":   {"x"},
		"X-Container-Meta-Both":          {"both", "kept"},
		"X-Remove-Container-Read":        {"yes"},
		"X-Container-Write":              {"a"},
		"X-Remove-Container-Unsettable":  {"x"},
		"X-Remove-Container-Sysmeta-Foo": {"x"},
		"X-Account-Meta-A":               {"other kind"},
		"Content-Type":                   {"t"},
	}
	want := map[string]string{
		"X-Container-Meta-1Abc": "v", "X-Container-Sysmeta-S": "s", "X-Container-Meta-Gone": "", "X-Container-Meta-Both": "both,kept",
		"X-Container-Read": "", "X-Container-Write": "a",
	}
	dst := http.Header{}
	Transfer(Container, dst, src, []string{"X-Container-Read", "X-Container-Write"})
	got := map[string]string{}
	for k, v := range dst {
		got[k] = strings.Join(v, "|")
	}
	if !maps.Equal(got, want) {
		t.Errorf("Transfer\n got %q\nwant %q", got, want)
	}
}

func TestStripInternal(t *testing.T) {
	h := http.Header{"X-Backend-A": {"1"}, "X-Object-Sysmeta-B": {"2"}, "X-Object-Meta-C": {"3"}}
	if n := StripInternal(h); n != 2 || len(h) != 1 || h.Get("X-Object-Meta-C") != "3" {
		t.Errorf("StripInternal took %d and left %v", n, h)
	}
}

func text(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Text()
	}
	return ""
}

func TestCheck(t *testing.T) {
	limits := constraint.Limits{MaxMetaNameLength: 5, MaxMetaValueLength: 6, MaxMetaCount: 2, MaxMetaOverallSize: 15, MaxHeaderSize: 20}
	for _, tc := range []struct {
		name string
		kind Kind
		h    http.Header
		want string
	}{
		{"all within limits", Object, http.Header{"X-Object-Meta-Abcde": {"123456"}, "Etag": {"x"}}, ""},
		{"no name", Object, http.Header{"X-Object-Meta-": {"x"}}, "Metadata name cannot be empty"},
		{"a long name", Object, http.Header{"X-Object-Meta-Abc_ef": {"x"}}, "Metadata name too long: x-object-meta-Abc-Ef"},
		{"a long value", Object, http.Header{"X-Object-Meta-A": {"1234567"}}, "Metadata value longer than 6: x-object-meta-A"},
		{"too many", Object, http.Header{"X-Object-Meta-A": {""}, "X-Object-Meta-B": {""}, "X-Object-Meta-C": {""}}, "Too many metadata items; max 2"},
		{"too much", Object, http.Header{"X-Object-Meta-Abcde": {"123456"}, "X-Object-Meta-B": {"1234"}}, "Total metadata too large; max 15"},
		{"another kind's items", Object, http.Header{"X-Container-Meta-Abcdefghi": {"x"}}, ""},
		{"any long header", Object, http.Header{"Referer": {strings.Repeat("x", 21)}}, "Header value too long: Refer"},
		{"bytes that are no text, object", Object, http.Header{"X-Object-Meta-A": {"\xff"}}, ""},
		{"bytes that are no text, container", Container, http.Header{"X-Container-Meta-A": {"\xff"}}, "Metadata must be valid UTF-8"},
		{"repeated values in sum", Object, http.Header{"X-Object-Meta-A": {"123", "123"}}, "Metadata value longer than 6: x-object-meta-A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := text(Check(tc.kind, tc.h, limits)); got != tc.want {
				t.Errorf("Check(%v) = %q, want %q", tc.h, got, tc.want)
			}
		})
	}
}

func TestCheckTotal(t *testing.T) {
	limits := constraint.Limits{MaxMetaCount: 2, MaxMetaOverallSize: 15}
	for _, tc := range []struct {
		name  string
		items map[string]string
		want  string
	}{
		{"deleted items and sysmeta are free", map[string]string{"X-Container-Meta-A": "1", "X-Container-Meta-B": "", "X-Container-Meta-C": "", "X-Container-Sysmeta-D": strings.Repeat("x", 99)}, ""},
		{"too many", map[string]string{"X-Account-Meta-A": "1", "X-Account-Meta-B": "1", "X-Account-Meta-C": "1"}, "Too many metadata items; max 2"},
		{"too much", map[string]string{"X-Account-Meta-A": strings.Repeat("x", 15)}, "Total metadata too large; max 15"},
		{"no text", map[string]string{"X-Container-Sysmeta-A": "\xff"}, "Metadata must be valid UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := text(CheckTotal(maps.All(tc.items), limits)); got != tc.want {
				t.Errorf("CheckTotal(%v) = %q, want %q", tc.items, got, tc.want)
			}
		})
	}
}

func TestResolveDelete(t *testing.T) {
	now := time.Unix(1700000000, 500_000_000)
	for _, tc := range []struct{ name, at, after, replication, want, text string }{
		{"a time to come", "1700000001", "", "", "1700000001", ""},
		{"this very second", "1700000000", "", "", "", "X-Delete-At in past"},
		{"the past, copied", "1600000000", "", "yes", "1600000000", ""},
		{"seconds from now", "", "10", "", "1700000010", ""},
		{"both: seconds from now win", "1", "10", "", "1700000010", ""},
		{"no seconds from now", "", "0", "", "", "X-Delete-After in past"},
		{"no seconds from now, copied", "", "-1", "yes", "", "X-Delete-After in past"},
		{"beyond the last day", "", "99999999999999999999999", "", "9999999999", ""},
		{"words", "soon", "", "", "", "Non-integer X-Delete-At"},
		{"a fraction", "", "1.5", "", "", "Non-integer X-Delete-After"},
		{"underscores", "", "1_000", "", "1700001000", ""},
		{"two underscores", "", "1__0", "", "", "Non-integer X-Delete-After"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range map[string]string{"X-Delete-At": tc.at, "X-Delete-After": tc.after, "X-Backend-Replication": tc.replication} {
				if v != "" {
					h.Set(k, v)
				}
			}
			err := ResolveDelete(h, now)
			if text(err) != tc.text || err == nil && (h.Get("X-Delete-At") != tc.want || h.Get("X-Delete-After") != "") {
				t.Errorf("ResolveDelete = %v, headers %v; want %q or %q", err, h, tc.text, tc.want)
			}
		})
	}
	if err := ResolveDelete(http.Header{"X-Delete-At": {""}}, now); text(err) != "Non-integer X-Delete-At" {
		t.Errorf("an empty X-Delete-At: %v", err)
	}
}

func TestTruthy(t *testing.T) {
	for _, v := range []string{"true", "1", "yes", "on", "t", "y", "True", "ON"} {
		if !Truthy(v) {
			t.Errorf("Truthy(%q) = false", v)
		}
	}
	for _, v := range []string{"", "0", "false", "no", "off", "f", " true", "2", "q"} {
		if Truthy(v) {
			t.Errorf("Truthy(%q) = true", v)
		}
	}
}

func FuzzSpelling(f *testing.F) {
	f.Add("x-object-meta-fooBAR")
	f.Add("\xc3\xaf")
	f.Fuzz(func(t *testing.T, s string) {
		if once := Title(s); Title(once) != once || !strings.EqualFold(once, s) && len(once) != len(s) {
			t.Errorf("Title(%q) = %q, again %q", s, once, Title(once))
		}
		if back, err := FromStored(ToStored(s)); back != s || err != nil {
			t.Errorf("FromStored(ToStored(%q)) = %q, %v", s, back, err)
		}
		DeleteAt(s)
		IsInternal(s)
	})
}

func BenchmarkTitle(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Title("X-Object-Meta-Color")
	}
}

func BenchmarkIsInternal(b *testing.B) {
	for b.Loop() {
		IsInternal("X-Object-Meta-Color")
		IsInternal("Content-Type")
	}
}
