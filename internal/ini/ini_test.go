package ini

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRules(t *testing.T) {
	const text = `# one
[DEFAULT]
Name = à 
; two
[a:b]
rate = 1%
both = %(Name)s%%%(here)s
[DEFAULT]
more = x
  y
`
	for name, test := range map[string]struct {
		rules Rules
		want  []*Section
		fault string
	}{
		"a server's file": {Rules{KeepCase: true, Lenient: true, Defaults: map[string]string{"here": "/etc/swift"}}, []*Section{
			{Name: "DEFAULT", Line: 2, Options: []*Option{{Key: "Name", Value: "à", Line: 3}, {Key: "more", Value: "x\ny", Line: 9}}},
			{Name: "a:b", Line: 5, Options: []*Option{{Key: "rate", Value: "1%", Line: 6}, {Key: "both", Value: "à%/etc/swift", Line: 7}}},
		}, ""},
		"a single percent sign": {Rules{}, nil, "f:6: rate: a % must be doubled"},
		"a reference in other case": {Rules{Lenient: true, Defaults: map[string]string{"here": ""}}, []*Section{
			{Name: "DEFAULT", Line: 2, Options: []*Option{{Key: "name", Value: "à", Line: 3}, {Key: "more", Value: "x\ny", Line: 9}}},
			{Name: "a:b", Line: 5, Options: []*Option{{Key: "rate", Value: "1%", Line: 6}, {Key: "both", Value: "à%", Line: 7}}},
		}, ""},
		"nothing to refer to": {Rules{KeepCase: true, Lenient: true}, nil, "f:7: both: %(here)s names no option"},
	} {
		file, err := Parse("f", []byte(text), test.rules)
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%s: %v, want %q", name, err, test.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.want, file.Sections, cmpopts.IgnoreUnexported(Option{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if diff := cmp.Diff([]Comment{{"# one", 1}, {"; two", 4}}, file.Comments); diff != "" {
			t.Errorf("%s: comments, -want +got:\n%s", name, diff)
		}
	}
}

func TestBlanksDependOnTheEncoding(t *testing.T) {
	for name, test := range map[string]struct {
		latin1     bool
		text, want string
	}{
		"a letter whose last byte is a blank of Latin-1": {false, "cafà\u2003", "cafà"},
		"the same in Latin-1":                            {true, "caf\xc3\xa0\x85", "caf\xc3"},
		"bytes that are no UTF-8":                        {false, "caf\xff\xa0", "caf\xff\xa0"},
	} {
		file, err := Parse("f", []byte("[s]\nk = "+test.text+"\n"), Rules{Latin1: test.latin1})
		if err != nil {
			t.Fatal(err)
		}
		if got := file.Section("s").Find("k").Value; got != test.want {
			t.Errorf("%s: %q gives %q, want %q", name, test.text, got, test.want)
		}
	}
}

func TestReferencesAreBounded(t *testing.T) {
	text := "[s]\na0 = x\n"
	for i := range 8 {
		text += fmt.Sprintf("a%d = %s\n", i+1, strings.Repeat(fmt.Sprintf("%%(a%d)s", i), 20))
	}
	if _, err := Parse("f", []byte(text), Rules{}); err == nil || !strings.Contains(err.Error(), "more than 1000 times") {
		t.Errorf("20 to the power of 8 references: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[a]\nb = %(c)s\n d\n[DEFAULT]\nc: e\n# f\n", true, true)
	f.Fuzz(func(t *testing.T, text string, keep, latin1 bool) {
		file, err := Parse("f", []byte(text), Rules{KeepCase: keep, Lenient: keep, Latin1: latin1})
		if err != nil {
			return
		}
		lines := strings.Count(strings.ReplaceAll(text, "\r", "\n"), "\n") + 1
		for _, s := range file.Sections {
			for _, o := range s.Options {
				if o.Line < 1 || o.Line > lines || o.Key == "" {
					t.Errorf("%q: option %+v", text, o)
				}
			}
		}
	})
}
