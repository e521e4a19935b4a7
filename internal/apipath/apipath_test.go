package apipath

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func load(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// The vectors were made by OpenStack Swift's own splitter: path, least and most segments, rest, result or null.
func TestSplitAgreesWithSwift(t *testing.T) {
	var rows [][]any
	load(t, "split.json", &rows)
	for _, r := range rows {
		path, least, most, rest := r[0].(string), int(r[1].(float64)), int(r[2].(float64)), r[3].(bool)
		got, err := split(nil, path, least, most, rest)
		if r[4] == nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("split %q %d..%d rest=%v = %q, %v; want ErrInvalid", path, least, most, rest, got, err)
			}
			continue
		}
		var want []string
		for _, s := range r[4].([]any) {
			want = append(want, s.(string))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("split %q %d..%d rest=%v = %q, %v; want %q", path, least, most, rest, got, err, want)
		}
	}
}

func TestQuoteAgreesWithPython(t *testing.T) {
	var rows [][]string
	load(t, "quote.json", &rows)
	for _, r := range rows {
		got := []string{Quote(r[0]), QuoteAll(r[0]), QuotePlus(r[0]), Unquote(r[0])}
		if !slices.Equal(got, r[1:]) {
			t.Errorf("quote %q\n got %q\nwant %q", r[0], got, r[1:])
		}
	}
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		want       Path
		level      Level
		err        error
	}{
		{"an account", "/v1/a", Path{"v1", "a", "", ""}, LevelAccount, nil},
		{"an account with a trailing slash", "/v1/a/", Path{"v1", "a", "", ""}, LevelAccount, nil},
		{"an account with two trailing slashes", "/v1/a//", Path{"v1", "a", "", ""}, LevelAccount, nil},
		{"a container", "/v1/a/c", Path{"v1", "a", "c", ""}, LevelContainer, nil},
		{"a container with a trailing slash", "/v1/a/c/", Path{"v1", "a", "c", ""}, LevelContainer, nil},
		{"an object", "/v1/a/c/o", Path{"v1", "a", "c", "o"}, LevelObject, nil},
		{"an object that is a slash", "/v1/a/c//", Path{"v1", "a", "c", "/"}, LevelObject, nil},
		{"dots and empty segments", "/v1/a/c/.././/x/", Path{"v1", "a", "c", ".././/x/"}, LevelObject, nil},
		{"dots as container", "/v1/a/../o", Path{"v1", "a", "..", "o"}, LevelObject, nil},
		{"a reserved name", "/v1/a/\x00c/\x00o\x001", Path{"v1", "a", "\x00c", "\x00o\x001"}, LevelObject, nil},
		{"a version alone", "/v1", Path{Version: "v1"}, LevelNone, ErrBadURL},
		{"an empty account", "/v1//c", Path{"v1", "", "c", ""}, LevelNone, ErrBadURL},
		{"an empty container", "/v1/a//o", Path{"v1", "a", "", "o"}, LevelNone, ErrBadURL},
		{"an empty version", "//a", Path{}, LevelNone, ErrInvalid},
		{"only a slash", "/", Path{}, LevelNone, ErrInvalid},
		{"nothing", "", Path{}, LevelNone, ErrInvalid},
		{"no leading slash", "v1/a", Path{}, LevelNone, ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(tc.path)
			if got != tc.want || !errors.Is(err, tc.err) || got.Level() != tc.level {
				t.Errorf("Parse(%q) = %q (%v), %v; want %q (%v), %v", tc.path, got, got.Level(), err, tc.want, tc.level, tc.err)
			}
		})
	}
}

func TestPathForms(t *testing.T) {
	p := Path{"v1", "AUTH_a", "c d", "é/:x"}
	for what, pair := range map[string][2]string{
		"String":        {p.String(), "/v1/AUTH_a/c d/é/:x"},
		"Entity":        {p.Entity(), "/AUTH_a/c d/é/:x"},
		"Quoted":        {p.Quoted(), "/v1/AUTH_a/c%20d/%C3%A9/%3Ax"},
		"QuotedEntity":  {p.QuotedEntity(), "/AUTH_a/c%20d/%C3%A9/%3Ax"},
		"ContainerPath": {p.ContainerPath().String(), "/v1/AUTH_a/c d"},
		"AccountPath":   {p.AccountPath().String(), "/v1/AUTH_a"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s of %#v = %q, want %q", what, p, pair[0], pair[1])
		}
	}
	if !ValidVersion("v1.0", []string{"v1", "v1.0"}) || ValidVersion("v2", []string{"v1"}) {
		t.Error("ValidVersion is wrong about v1.0 or v2")
	}
}

func TestParseBackend(t *testing.T) {
	for _, tc := range []struct {
		name, path  string
		least, most Level
		want        Backend
		text        string
	}{
		{"an object", "/sdb1/7/a/c/o/p/", LevelObject, LevelObject, Backend{"sdb1", "7", "a", "c", "o/p/"}, ""},
		{"a container on a container server", "/sdb1/7/a/c", LevelContainer, LevelObject, Backend{"sdb1", "7", "a", "c", ""}, ""},
		{"an account with a trailing slash", "/sdb1/7/a/", LevelAccount, LevelAccount, Backend{"sdb1", "7", "a", "", ""}, ""},
		{"too few segments", "/sdb1/7/a/c", LevelObject, LevelObject, Backend{}, "Invalid path: /sdb1/7/a/c"},
		{"too many segments", "/sdb1/7/a/c/o", LevelAccount, LevelContainer, Backend{}, "Invalid path: /sdb1/7/a/c/o"},
		{"a device that climbs", "/../7/a", LevelAccount, LevelAccount, Backend{}, "Invalid device: .."},
		{"a partition that climbs", "/sdb1/../a", LevelAccount, LevelAccount, Backend{}, "Invalid partition: .."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseBackend(tc.path, tc.least, tc.most)
			var texter interface{ Text() string }
			text := ""
			if errors.As(err, &texter) {
				text = texter.Text()
			}
			if got != tc.want || text != tc.text {
				t.Errorf("ParseBackend(%q) = %+v, %v (%q); want %+v, %q", tc.path, got, err, text, tc.want, tc.text)
			}
		})
	}
}

func TestValidDrive(t *testing.T) {
	for name, want := range map[string]bool{
		"sdb1": true, "d-1_x.~": true, "": false, ".": false, "..": false, "a b": false, "a/b": false, "a:b": false, "é": false,
	} {
		if got := ValidDrive(name); got != want {
			t.Errorf("ValidDrive(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestValidUTF8(t *testing.T) {
	for _, tc := range []struct {
		in             string
		user, internal bool
	}{
		{"/v1/é", true, true}, {"", false, false}, {"\xff", false, false}, {"\xed\xa0\x80", false, false},
		{"a\x00b", false, true}, {"\xf0\x9f\xa6\xa0", true, true},
	} {
		if u, i := ValidUTF8(tc.in, false), ValidUTF8(tc.in, true); u != tc.user || i != tc.internal {
			t.Errorf("ValidUTF8(%q) = %v, with reserved %v; want %v, %v", tc.in, u, i, tc.user, tc.internal)
		}
	}
}

func TestCheckReserved(t *testing.T) {
	for _, tc := range []struct{ name, a, c, o, want string }{
		{"plain names", "a", "c", "o", ""},
		{"reserved container and object", "a", "\x00c", "\x00o", ""},
		{"reserved account alone", "\x00a", "c", "o", ""},
		{"NUL inside an account", "a\x00", "c", "", "Invalid reserved-namespace account"},
		{"NUL inside a container", "a", "c\x00", "", "Invalid reserved-namespace container"},
		{"NUL inside an object", "a", "c", "o\x00", "Invalid reserved-namespace object"},
		{"plain object, reserved container", "a", "\x00c", "o", "Invalid user-namespace object in reserved-namespace container"},
		{"reserved object, plain container", "a", "c", "\x00o", "Invalid reserved-namespace object in user-namespace container"},
		{"an account of the cluster", ".a", "c", "1-a/c/\x00o", ""},
		{"no object", "a", "\x00c", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			var re *ReservedError
			if errors.As(CheckReserved(tc.a, tc.c, tc.o, "."), &re) {
				got = re.Text()
			}
			if got != tc.want {
				t.Errorf("CheckReserved(%q, %q, %q) = %q, want %q", tc.a, tc.c, tc.o, got, tc.want)
			}
		})
	}
}

func TestReservedNames(t *testing.T) {
	name, err := ReservedName("versions", "c")
	if name != "\x00versions\x00c" || err != nil {
		t.Fatalf("ReservedName = %q, %v", name, err)
	}
	if parts, err := SplitReserved(name); err != nil || !slices.Equal(parts, []string{"versions", "c"}) {
		t.Errorf("SplitReserved(%q) = %q, %v", name, parts, err)
	}
	if _, err := ReservedName("a\x00"); !errors.Is(err, ErrReservedName) {
		t.Errorf("ReservedName of a part with NUL: %v", err)
	}
	if _, err := SplitReserved("c"); !errors.Is(err, ErrReservedName) {
		t.Errorf("SplitReserved of a plain name: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/v1/a/c/o", "/v1/a/c//", "//", "/v1//c", "/v1/\x00/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, err := Parse(path)
		if err == nil && p.Level() == LevelNone {
			t.Errorf("Parse(%q) = %+v names nothing, without an error", path, p)
		}
		// Trailing slashes of an account or container are all that may be lost.
		if err == nil && p.String() != path && (p.Object != "" || p.String() != strings.TrimRight(path, "/")) {
			t.Errorf("Parse(%q).String() = %q", path, p.String())
		}
		if got := Unquote(Quote(path)); got != path {
			t.Errorf("Unquote(Quote(%q)) = %q", path, got)
		}
		b, err := ParseBackend(path, LevelAccount, LevelObject)
		if err == nil && (b.Device == ".." || b.Partition == ".." || b.Level() == LevelNone && b.Container+b.Object == "") {
			t.Errorf("ParseBackend(%q) = %+v", path, b)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("/v1/AUTH_test/photos/2024/summer/a.jpg"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuoted(b *testing.B) {
	b.ReportAllocs()
	p := Path{"v1", "AUTH_test", "photos", "2024/summer day/é.jpg"}
	for b.Loop() {
		_ = p.Quoted()
	}
}
