package badinput

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	endpoint = flag.String("badinput.endpoint", "", "host:port of a Swift proxy to play the table against")
	user     = flag.String("badinput.user", DefaultCreds().User, "first user")
	key      = flag.String("badinput.key", DefaultCreds().Key, "key of the first user")
	recorded = flag.Bool("badinput.recorded", false, "compare with OpenStack Swift's answers even where they are replaced")
	update   = flag.Bool("update", false, "record the answers of -badinput.endpoint, which must be an OpenStack Swift")
)

// minCases is how large the table is at least; it only grows.
const minCases = 200

func TestEndpoint(t *testing.T) {
	if *endpoint == "" {
		t.Skip("no -badinput.endpoint given")
	}
	creds := DefaultCreds()
	creds.User, creds.Key = *user, *key
	if *update {
		Record(t, *endpoint, creds, "cases")
		return
	}
	r := newRig(t, *endpoint, creds)
	r.recorded = *recorded
	run(t, r)
}

func TestTableIsSound(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[slug(c.Name)] {
			t.Errorf("%s: the name %q occurs twice", c.Category, c.Name)
		}
		seen[slug(c.Name)] = true
		for i, e := range c.Exchanges {
			if len(e.Recorded) == 0 {
				t.Errorf("%s: %q: exchange %d has no recorded answer", c.Category, c.Name, i+1)
			}
		}
	}
	if len(cases) < minCases {
		t.Errorf("%d cases, want %d or more", len(cases), minCases)
	}
}

func TestTableIsFormatted(t *testing.T) {
	names, err := filepath.Glob("cases/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parse(category(name), string(data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(string(data), f.format()); diff != "" {
			t.Errorf("%s is not as a recording would write it (-file +formatted):\n%s", name, diff)
		}
	}
}

// Replaced answers are the list of what Apus does otherwise: each needs a reason, and they must stay few.
func TestReplacedAnswersAreFew(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	replaced := 0
	for _, c := range cases {
		for _, e := range c.Exchanges {
			if e.Kind != "" && e.Kind != "later" {
				replaced++
				break
			}
		}
	}
	if limit := len(cases) / 9; replaced > limit {
		t.Errorf("%d of %d cases have replaced answers, want %d or fewer", replaced, len(cases), limit)
	}
}

func TestExpand(t *testing.T) {
	v := vars{"token": "T", "account": "A"}
	for _, c := range []struct{ name, line, want string }{
		{"plain", `GET / HTTP/1.1`, "GET / HTTP/1.1"},
		{"placeholders", `{account}{token}`, "AT"},
		{"escapes", `a\x00\xffb\r\n\t\\`, "a\x00\xffb\r\n\t\\"},
		{"repeat", `{repeat:ab:3}`, "ababab"},
		{"repeat with an escape", `{repeat:\x41:3}`, "AAA"},
		{"each with colons", `{each:X-#: v\r\n:2}`, "X-0: v\r\nX-1: v\r\n"},
		{"JSON is no placeholder", `{"admin": []}{}`, `{"admin": []}{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := expand(c.line, v)
			if err != nil || string(got) != c.want {
				t.Errorf("expand(%q): got %q, %v, want %q", c.line, got, err, c.want)
			}
		})
	}
	for _, line := range []string{`\q`, `\x4`, `\`, `{banana}`, `{repeat:x:99999999999}`, `{token:x:1}`} {
		if got, err := expand(line, v); err == nil {
			t.Errorf("expand(%q): got %q, want an error", line, got)
		}
	}
}

func TestRequestEndsLinesUnlessTold(t *testing.T) {
	e := Exchange{Send: []string{`A`, ``, `body\`}}
	got, err := e.request(nil)
	if err != nil || string(got) != "A\r\n\r\nbody" {
		t.Errorf("got %q, %v, want %q", got, err, "A\r\n\r\nbody")
	}
	e = Exchange{Send: []string{`backslash\\`}}
	if got, err = e.request(nil); err != nil || string(got) != "backslash\\\r\n" {
		t.Errorf("got %q, %v, want %q", got, err, "backslash\\\r\n")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown directive", "case: a\nbanana: x\n", "unknown directive"},
		{"a request before a case", "> GET /\n", "before the first case"},
		{"a case without a reason", "case: a\n> GET /\n", "no reason"},
		{"a case without a request", "case: a\nwhy: b\n", "no request"},
		{"a replacement without a reason", "case: a\nwhy: b\n> x\n= 400\n", "without a reason"},
		{"a replacement without an answer", "case: a\nwhy: b\n> x\napus: c\n", "without an answer"},
		{"an unknown placeholder", "case: a\nwhy: b\n> {banana}\n", "unknown placeholder"},
		{"an answer before a request", "case: a\nwhy: b\n< 200\n", "before a request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse("x", c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("parse(%q): got %v, want an error with %q", c.text, err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("# head\n\ncase: a\nwhy: b\nignore: body\nhalf-close:\n> GET /\n< 200 OK\n< A: b\n<\n< x\n< [closed]\napus: r\n= 400\n")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := parse("x", text)
		if err != nil {
			return
		}
		formatted := first.format()
		second, err := parse("x", formatted)
		if err != nil {
			t.Fatalf("parse(%q): formatted as %q, which does not parse: %v", text, formatted, err)
		}
		if again := second.format(); again != formatted {
			t.Errorf("parse(%q): formatted as %q, then as %q", text, formatted, again)
		}
	})
}
