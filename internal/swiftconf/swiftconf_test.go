package swiftconf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/ini"
	"github.com/apus-storage/apus/internal/policy"
)

// goldenTOML says what testdata/swift.conf says.
const goldenTOML = `
[swift-hash]
swift_hash_path_prefix = "goldpre"
swift_hash_path_suffix = "goldsuf"

[storage-policy.0]
name = "gold"
aliases = ["yellow", "orange"]
default = true

[storage-policy.1]
name = "silver"
policy_type = "replication"

[storage-policy.2]
name = "ec21"
policy_type = "erasure_coding"
ec_type = "liberasurecode_rs_vand"
ec_num_data_fragments = 2
ec_num_parity_fragments = 1
`

func checkGolden(t *testing.T, c *Cluster, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Hasher.Sum("AUTH_test", "c", "o1").Hex(), "d575ab15bbd6f0c3e3663a53d7a78113"; got != want {
		t.Errorf("hash of /AUTH_test/c/o1 = %s, want %s", got, want)
	}
	want := []policy.Policy{
		{Index: 0, Name: "gold", Aliases: []string{"gold", "yellow", "orange"}, Type: policy.Replication, Default: true, DiskfileModule: "egg:swift#replication.fs"},
		{Index: 1, Name: "silver", Aliases: []string{"silver"}, Type: policy.Replication, DiskfileModule: "egg:swift#replication.fs"},
		{Index: 2, Name: "ec21", Aliases: []string{"ec21"}, Type: policy.ErasureCoding, DiskfileModule: "egg:swift#erasure_coding.fs",
			EC: &policy.EC{Scheme: "liberasurecode_rs_vand", DataFragments: 2, ParityFragments: 1, SegmentSize: 1 << 20, DuplicationFactor: 1}},
	}
	if diff := cmp.Diff(want, c.Policies.All()); diff != "" {
		t.Errorf("policies, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(constraint.Default(), c.Limits); diff != "" {
		t.Errorf("limits, -want +got:\n%s", diff)
	}
}

func TestLoadTakesEitherFileAndPrefersTOML(t *testing.T) {
	c, err := Load("testdata")
	checkGolden(t, c, err)

	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of an empty directory = %v, want ErrNotExist", err)
	}
	for name, text := range map[string]string{"swift.toml": goldenTOML, "swift.conf": "broken"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err = Load(dir)
	checkGolden(t, c, err)
	if want := filepath.Join(dir, "swift.toml"); c.Path != want {
		t.Errorf("Path = %q, want %q", c.Path, want)
	}
}

func TestConstraints(t *testing.T) {
	const ini = `
[swift-hash]
swift_hash_path_suffix: s
[swift-constraints]
max_file_size = 5497558138882
max_meta_count = 100
extra_header_count = 4
valid_api_versions = v1, v2
auto_create_account_prefix = -
`
	want := constraint.Default()
	want.MaxFileSize, want.MaxMetaCount, want.ExtraHeaderCount = 5497558138882, 100, 4
	want.ValidAPIVersions, want.AutoCreateAccountPrefix = []string{"v1", "v2"}, "-"
	c, err := ParseINI("swift.conf", []byte(ini))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c.Limits); diff != "" {
		t.Errorf("limits, -want +got:\n%s", diff)
	}
	if got := c.Policies.Default().Name; got != policy.LegacyName {
		t.Errorf("default policy of a file without policies = %q, want %q", got, policy.LegacyName)
	}
}

// saltOf returns the hash of an account, which shows what the salt was.
func saltOf(t *testing.T, prefix, suffix string) hashpath.Sum {
	t.Helper()
	h, err := hashpath.New([]byte(prefix), []byte(suffix))
	if err != nil {
		t.Fatal(err)
	}
	return h.Sum("a")
}

func TestINIRulesArePythons(t *testing.T) {
	for name, test := range map[string]struct {
		text           string
		prefix, suffix string
	}{
		"either delimiter, the first counts": {"swift_hash_path_prefix : a = b\nswift_hash_path_suffix=c:d", "a = b", "c:d"},
		"names in any case":                  {"SWIFT_Hash_Path_Prefix = A", "A", ""},
		"marks inside a value stay":          {"swift_hash_path_prefix = \"a\" ; b # c", "\"a\" ; b # c", ""},
		"comments of their own":              {"# one\n  ; two\nswift_hash_path_prefix = a\n# three", "a", ""},
		"a doubled percent sign":             {"swift_hash_path_prefix = 100%%", "100%", ""},
		"a reference":                        {"swift_hash_path_prefix = a\nswift_hash_path_suffix = %(SWIFT_HASH_PATH_PREFIX)s%%b", "a", "a%b"},
		"a value of several lines":           {"swift_hash_path_prefix = a\n  b\n# comment\n\n  c\n\nswift_hash_path_suffix = d", "a\nb\n\nc", "d"},
		"line ends of other systems":         {"swift_hash_path_prefix = a\r\nswift_hash_path_suffix = b\r", "a", "b"},
		"bytes that are no UTF-8":            {"swift_hash_path_prefix = \xff\xfe\x7f\\", "\xff\xfe\x7f\\", ""},
		"blanks of Latin-1":                  {"swift_hash_path_prefix = \xa0caf\xc3\xa0\x85", "caf\xc3", ""},
		"inheritance":                        {"[DEFAULT]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p", "mine", "s"},
	} {
		text := "[swift-hash]\n" + test.text
		if name == "inheritance" {
			text = "[swift-hash]\nswift_hash_path_prefix = mine\n" + test.text
		}
		c, err := ParseINI("swift.conf", []byte(text))
		if err != nil {
			t.Errorf("%s: ParseINI(%q): %v", name, text, err)
			continue
		}
		if got, want := c.Hasher.Sum("a"), saltOf(t, test.prefix, test.suffix); got != want {
			t.Errorf("%s: ParseINI(%q) has another salt than prefix %q and suffix %q", name, text, test.prefix, test.suffix)
		}
	}
}

func TestFaultsHaveTheirPlace(t *testing.T) {
	const salt = "[swift-hash]\nswift_hash_path_suffix = s\n"
	for name, test := range map[string]struct{ text, want string }{
		"no salt":                   {"[swift-hash]\n", "f:1: swift-hash: the path hash has no salt: swift_hash_path_prefix and"},
		"a misspelt section":        {salt + "[swift-constraint]\n", "f:3: swift-constraint: no such section is known here; did you mean swift-constraints?"},
		"a misspelt policy section": {salt + "[storage_policy:0]\nname = a\n", "did you mean storage-policy?"},
		"a misspelt constraint":     {salt + "[swift-constraints]\n\nmax_filesize = 1\n", "f:5: swift-constraints.max_filesize: "},
		"the right name":            {salt + "[swift-constraints]\nmax_filesize = 1\n", "max_file_size"},
		"a limit in words":          {salt + "[swift-constraints]\nmax_file_size = big\n", "f:4: swift-constraints.max_file_size: "},
		"a negative limit":          {salt + "[swift-constraints]\nmax_meta_count = -1\n", "max_meta_count: -1 is negative"},
		"a policy without a name":   {salt + "[storage-policy:0]\ndefault = yes\n", "f:3: storage-policy.0.name: a name is needed"},
		"a bad name":                {salt + "[storage-policy:0]\n# x\nname = a_b\n", `f:5: storage-policy.0.name: the name "a_b"`},
		"two defaults":              {salt + "[storage-policy:0]\nname = a\ndefault = 1\n[storage-policy:1]\nname = b\ndefault = 1\n", "f:8: storage-policy.1.default: storage-policy:0 is the default already"},
		"no policy 0":               {salt + "[storage-policy:1]\nname = a\n", "there is no storage-policy:0"},
		"a policy of no number":     {salt + "[storage-policy:gold]\nname = a\n", `f:3: storage-policy.gold: "gold" is not the number`},
		"an unknown policy option":  {salt + "[storage-policy:0]\nname = a\nalias = b\n", "f:5: storage-policy.0.alias: "},
		"no duplication":            {salt + "[storage-policy:0]\nname = a\nec_duplication_factor = 0\n", "f:5: storage-policy.0.ec_duplication_factor: 0 is not"},
		"another disk layout":       {salt + "[storage-policy:0]\nname = a\ndiskfile_module = egg:other#fs\n", "f:5: storage-policy.0.diskfile_module: "},
		"a section twice":           {salt + "[swift-hash]\n", "f:3: swift-hash: the section is there already, in line 1"},
		"an option twice":           {salt + "swift_hash_path_SUFFIX = t\n", "f:3: swift-hash.swift_hash_path_suffix: it is set already, in line 2"},
		"no section":                {"a = b\n", "f:1: "},
		"no value":                  {salt + "word\n", `f:3: swift-hash: "word" is neither`},
		"no name":                   {salt + "= x\n", "f:3: swift-hash: a value without"},
		"a lone percent sign":       {"[swift-hash]\nswift_hash_path_suffix = 100%\n", "f:2: swift_hash_path_suffix: a % must be doubled"},
		"a reference to nothing":    {"[swift-hash]\nswift_hash_path_suffix = %(x)s\n", "names no option"},
		"a reference to itself":     {"[swift-hash]\nswift_hash_path_suffix = %(swift_hash_path_suffix)s\n", "more than 10 deep"},
	} {
		_, err := ParseINI("f", []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: ParseINI(%q) = %v, want an error with %q", name, test.text, err, test.want)
		}
	}
	_, err := ParseINI("f", []byte("[swift-hash]\n"))
	if !errors.Is(err, hashpath.ErrNoSalt) {
		t.Errorf("ParseINI without a salt = %v, want ErrNoSalt", err)
	}
	if fault, ok := errors.AsType[*config.Error](err); !ok || fault.Line != 1 {
		t.Errorf("ParseINI without a salt = %v, want a config.Error of line 1", err)
	}
}

func TestFaultsOfTOML(t *testing.T) {
	const salt = "[swift-hash]\nswift_hash_path_suffix = \"s\"\n"
	for name, test := range map[string]struct{ text, want string }{
		"a key outside":       {"a = 1\n" + salt, "f:1: a: a key outside of any section"},
		"a default section":   {salt + "[DEFAULT]\n", "f:3: DEFAULT: no such section is known here"},
		"a misspelt key":      {salt + "[swift-constraints]\nmax_filesize = 1\n", "f:4: swift-constraints.max_filesize: "},
		"a policy in general": {salt + "[storage-policy]\nname = \"a\"\n", "f:4: storage-policy.name: a storage policy's section needs"},
		"a bad policy":        {salt + "[storage-policy.0]\nname = \"a\"\npolicy_type = \"tape\"\n", `f:5: storage-policy.0.policy_type: "tape"`},
		"bad TOML":            {"[swift-hash\n", "f:2: bad TOML"},
	} {
		_, err := ParseTOML("f", []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: ParseTOML(%q) = %v, want an error with %q", name, test.text, err, test.want)
		}
	}
}

func TestTOMLSaltIsItsUTF8(t *testing.T) {
	c, err := ParseTOML("f", []byte("[swift-hash]\nswift_hash_path_suffix = \" café \"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Hasher.Sum("a"), saltOf(t, "", " café "); got != want {
		t.Errorf("the salt of a TOML file is not the bytes of its string")
	}
}

func FuzzParseINI(f *testing.F) {
	f.Add("[swift-hash]\nswift_hash_path_suffix = %%a\n b\n[DEFAULT]\nx: y\n[DEFAULT]\nz=%(x)s\n[storage-policy:0]\nname=a")
	f.Add("[a]]\n\"k\\\" = \x00\xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		sections, err := parseINI("f", []byte(text))
		if err != nil {
			return
		}
		// The detour over TOML must keep every option, whatever bytes it has.
		file, err := config.Parse("f", asTOML(sections))
		if err != nil {
			// One name cannot be a section's number and a section's option, which the reader of the TOML reports.
			if slices.ContainsFunc(sections, func(s *ini.Section) bool { return s.Name == policySection }) {
				return
			}
			t.Fatalf("%q becomes TOML that does not parse: %v\n%s", text, err, asTOML(sections))
		}
		for _, s := range sections {
			path := []string{string(latin1Text(s.Name))}
			if number, ok := strings.CutPrefix(s.Name, policySection+":"); ok {
				path = []string{policySection, string(latin1Text(number))}
			}
			section, _ := file.Section(path...)
			for _, o := range s.Options {
				if got, ok := section.String(string(latin1Text(o.Key))); !ok || string(fromLatin1(got)) != o.Value {
					t.Errorf("%q: option %q of %q is %q after the detour, want %q", text, o.Key, s.Name, got, o.Value)
				}
			}
		}
	})
}

// latin1Text is the characters of s, one for each byte.
func latin1Text(s string) []rune {
	var out []rune
	for _, c := range []byte(s) {
		out = append(out, rune(c))
	}
	return out
}
