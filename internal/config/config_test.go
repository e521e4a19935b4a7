package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type sample struct {
	Name   string            `toml:"name"`
	Count  int               `toml:"count"`
	Life   Duration          `toml:"token_life"`
	Max    Size              `toml:"max"`
	On     bool              `toml:"on"`
	Ratio  float64           `toml:"ratio"`
	Hosts  List              `toml:"hosts"`
	Users  map[string]string `toml:"user_*" secret:"true"`
	Hidden int
}

func (s *sample) Validate() error {
	if s.Count < 0 {
		return errors.Join(Invalid("count", "want 0 or more, have %d", s.Count))
	}
	return nil
}

func decodeText(t *testing.T, text string) (sample, Report, error) {
	t.Helper()
	f, err := Parse("p.toml", []byte(text))
	if err != nil {
		return sample{}, Report{}, err
	}
	shared, _ := f.Section("DEFAULT")
	s, _ := f.Section("filter", "x")
	c := sample{Life: Seconds(60), Users: map[string]string{"d": "1"}}
	r, err := s.Decode(&c, shared)
	return c, r, err
}

func TestDecodeFillsEveryKindOfValue(t *testing.T) {
	got, report, err := decodeText(t, `
[DEFAULT]
count = 3
name = "shared"
bind_port = 80
[filter.x]
name = "own"        # comment with [brackets] = 1
token_life = 1.5
max = "64 KiB"
on = "yes"
ratio = 2
hosts = "a, b,,c"
user_a_b = "key .admin"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := sample{Name: "own", Count: 3, Life: Duration{1500 * time.Millisecond}, Max: 65536, On: true, Ratio: 2,
		Hosts: List{"a", "b", "c"}, Users: map[string]string{"d": "1", "a_b": "key .admin"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
	sources := map[string]string{}
	for _, o := range report.Options {
		sources[o.Key] = o.Value + " " + o.Source
	}
	for key, want := range map[string]string{
		"name": `"own" p.toml:7`, "count": "3 p.toml:3", "token_life": "1.5 p.toml:8", "user_a_b": `"(secret)" p.toml:13`,
		"hosts": `["a", "b", "c"] p.toml:12`, "user_d": `"(secret)" default`,
	} {
		if sources[key] != want {
			t.Errorf("report of %s: got %q, want %q", key, sources[key], want)
		}
	}
	if _, ok := report.Shared["bind_port"]; ok {
		t.Error("bind_port is reported as known, but the struct does not know it")
	}
}

func TestDecodeNamesEveryFaultAtOnceWithItsLine(t *testing.T) {
	_, _, err := decodeText(t, `
[filter.x]
tokenlife = 5
count = "many"
hosts = 7
text = """
[not.a.table]
"""
on = "perhaps"
[filter.x.sub]
a = 1
`)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"p.toml:3: filter.x.tokenlife: unknown key; did you mean token_life?",
		`p.toml:4: filter.x.count: want a whole number, have the string "many"`,
		"p.toml:5: filter.x.hosts: want an array of strings, have the number 7",
		"p.toml:6: filter.x.text: unknown key",
		`p.toml:9: filter.x.on: want true or false, have "perhaps"`,
		"p.toml:10: filter.x.sub: no such table is known here",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

func TestValidateErrorsPointAtTheirKey(t *testing.T) {
	_, _, err := decodeText(t, "[filter.x]\n\ncount = -1\n")
	if want := "p.toml:3: filter.x.count: want 0 or more, have -1"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestBadTOMLHasALine(t *testing.T) {
	_, err := Parse("p.toml", []byte("a = 1\nb = = 2\n"))
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Line != 2 || !strings.Contains(e.Problem, "bad TOML") {
		t.Errorf("got %v", err)
	}
}

func TestDurationAndSizeForms(t *testing.T) {
	for text, want := range map[string]time.Duration{"5": 5 * time.Second, "0.25": 250 * time.Millisecond, "1m30s": 90 * time.Second} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Duration != want {
			t.Errorf("duration %q: got %v, %v, want %v", text, d.Duration, err, want)
		}
	}
	for text, want := range map[string]Size{"5": 5, "64 KiB": 65536, "1.5k": 1536, "2GB": 2e9} {
		var z Size
		if err := z.UnmarshalText([]byte(text)); err != nil || z != want {
			t.Errorf("size %q: got %v, %v, want %v", text, z, err, want)
		}
	}
	for _, text := range []string{"", "x", "1 parsec", "NaN"} {
		var d Duration
		var z Size
		if d.UnmarshalText([]byte(text)) == nil || z.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestNearestNeedsToBeNear(t *testing.T) {
	known := []string{"token_life", "auth_prefix"}
	if got := Nearest("token-life", known); got != "token_life" {
		t.Errorf("got %q", got)
	}
	if got := Nearest("pipeline", known); got != "" {
		t.Errorf("got %q for something unlike all", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[a]\nb = \"\"\"x\n\"\"\"\n[[c]]\n'd.e' = {f = [1, # x\n2]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if file, err := Parse("f", []byte(text)); err == nil {
			file.Names()
		}
	})
}

func TestWordsOfAList(t *testing.T) {
	for name, tc := range map[string]struct {
		list List
		want []string
	}{
		"none":             {nil, []string{}},
		"cut at commas":    {List{"a", "b"}, []string{"a", "b"}},
		"blanks in a text": {List{"a  b", " c"}, []string{"a", "b", "c"}},
	} {
		if diff := cmp.Diff(tc.want, tc.list.Words()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

type store struct {
	Endpoint string `toml:"endpoint"`
	Key      string `toml:"key" secret:"true"`
	Tries    int    `toml:"tries"`
}

func (s *store) SetDefaults() { s.Tries = 3 }

func (s *store) Validate() error {
	if s.Endpoint == "" {
		return Invalid("endpoint", "is missing")
	}
	return nil
}

type rule struct {
	Bucket string           `toml:"bucket"`
	Rename map[string]store `toml:"rename"`
}

type gatewayish struct {
	Stores map[string]store `toml:"store"`
	Rules  []rule           `toml:"rule"`
	Cache  store            `toml:"cache"`
}

// Validate is about tables within.
func (g *gatewayish) Validate() error {
	var errs []error
	for i, r := range g.Rules {
		if r.Bucket == "nowhere" {
			errs = append(errs, Invalid(listKey("rule", i+1)+".bucket", "is nowhere"))
		}
	}
	for name, s := range g.Stores {
		if s.Tries == 99 {
			errs = append(errs, Invalid("store."+name+".tries", "are too many"))
		}
	}
	return errors.Join(errs...)
}

func TestFaultsBetweenTablesHaveTheirLines(t *testing.T) {
	_, _, err := decodeNested(t, `
[[filter.x.rule]]
bucket = "one"
[[filter.x.rule]]

bucket = "nowhere"
[filter.x.cache]
endpoint = "http://c"
[filter.x.store."a.b"]
endpoint = "http://a"
tries = 99
`)
	for _, want := range []string{"p.toml:6: filter.x.rule[2].bucket: is nowhere", "p.toml:11: filter.x.store.a.b.tries: are too many"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

func decodeNested(t *testing.T, text string) (gatewayish, Report, error) {
	t.Helper()
	f, err := Parse("p.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := f.Section("filter", "x")
	var n gatewayish
	r, err := s.Decode(&n, Section{})
	return n, r, err
}

func TestTablesWithinASection(t *testing.T) {
	got, report, err := decodeNested(t, `
[filter.x.store.b]
endpoint = "http://b"
key = "hidden"
[filter.x.store.a]
endpoint = "http://a"
tries = 1
[[filter.x.rule]]
bucket = "first"
[[filter.x.rule]]
bucket = "second"
[filter.x.rule.rename.r]
endpoint = "http://r"
[filter.x.cache]
endpoint = "http://c"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := gatewayish{
		Stores: map[string]store{"b": {"http://b", "hidden", 3}, "a": {"http://a", "", 1}},
		Rules:  []rule{{Bucket: "first"}, {Bucket: "second", Rename: map[string]store{"r": {"http://r", "", 3}}}},
		Cache:  store{"http://c", "", 3},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
	var lines []string
	for _, o := range report.Options {
		lines = append(lines, o.Key+" = "+o.Value+" "+o.Source)
	}
	for _, want := range []string{`store.b.key = "(secret)" p.toml:4`, `store.a.tries = 1 p.toml:7`, `store.b.tries = 3 default`,
		`rule[2].bucket = "second" p.toml:11`, `rule[2].rename.r.endpoint = "http://r" p.toml:13`, `cache.endpoint = "http://c" p.toml:15`} {
		if !slices.Contains(lines, want) {
			t.Errorf("the report lacks %s; it has\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

func TestFaultsInTablesWithinASectionHaveTheirLines(t *testing.T) {
	_, _, err := decodeNested(t, `
[filter.x.store.a]
endpint = "http://a"
[[filter.x.rule]]
bucket = "one"
[[filter.x.rule]]
bucket = true
[filter.x.store.c]
tries = 4
[filter.x]
cache = 5
`)
	for _, want := range []string{
		"p.toml:3: filter.x.store.a.endpint: unknown key; did you mean endpoint?",
		"p.toml:7: filter.x.rule[2].bucket: want a string, have the boolean true",
		"p.toml:8: filter.x.store.c.endpoint: is missing",
		"p.toml:11: filter.x.cache: want a table, have the number 5",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
	_, _, err = decodeNested(t, "[filter.x]\nstore = 3\n")
	if err == nil || !strings.Contains(err.Error(), "p.toml:2: filter.x.store: want tables with names, [filter.x.store.NAME], have the number 3") {
		t.Errorf("got %v", err)
	}
	_, _, err = decodeNested(t, "[filter.x.rule]\nbucket = 'one'\n")
	if err == nil || !strings.Contains(err.Error(), "p.toml:1: filter.x.rule: want tables with [[rule]] before each, have a table") {
		t.Errorf("got %v", err)
	}
}

func TestTablesAreNotShared(t *testing.T) {
	type tabled struct {
		gatewayish
		Sections map[string]Section `toml:"part"`
	}
	for name, tc := range map[string]struct {
		text string
		want string
		said bool // what is shared is taken for known
	}{
		"a table":               {"[DEFAULT.cache]\nendpoint = 'a'\n", "p.toml:1: DEFAULT.cache: tables are not shared", true},
		"tables in a row":       {"[DEFAULT]\n[[DEFAULT.rule]]\nbucket = 'a'\n[[DEFAULT.rule]]\n", "p.toml:2: DEFAULT.rule: tables are not shared", true},
		"tables with names":     {"[DEFAULT]\nstore = {a = {endpoint = 'a'}}\n", "p.toml:2: DEFAULT.store: tables are not shared", true},
		"tables for their own":  {"[DEFAULT.part.a]\nb = 1\n", "DEFAULT.part: tables are not shared", true},
		"a value of another's":  {"[DEFAULT]\nrule = 'a'\n", "", false},
		"an array of another's": {"[DEFAULT]\nrule = []\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("p.toml", []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			shared, _ := f.Section("DEFAULT")
			s, _ := f.Section("filter", "x")
			report, err := s.Decode(&tabled{}, shared)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if (len(report.Shared) > 0) != tc.said {
				t.Errorf("known are %v", report.Shared)
			}
		})
	}
}
