package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesDerivedFromTheIndex(t *testing.T) {
	for _, test := range []struct {
		index                  Index
		suffix, dir, ring, num string
	}{
		{0, "", "objects", "object", "0"},
		{1, "-1", "objects-1", "object-1", "1"},
		{12, "-12", "objects-12", "object-12", "12"},
	} {
		i := test.index
		if i.Suffix() != test.suffix || i.DirName("objects") != test.dir || i.RingName() != test.ring || i.String() != test.num {
			t.Errorf("index %d gives %q %q %q %q, want %q %q %q %q", int(i), i.Suffix(), i.DirName("objects"), i.RingName(), i.String(), test.suffix, test.dir, test.ring, test.num)
		}
		if got, ok := ParseDirName("objects", test.dir); !ok || got != i {
			t.Errorf("ParseDirName(%q) = %d, %v; want %d", test.dir, got, ok, i)
		}
	}
	for _, name := range []string{"", "object", "objects-0", "objects-01", "objects-", "objects1", "objects--1", "objects-+1", "objects-x", "objects-99999999999"} {
		if got, ok := ParseDirName("objects", name); ok {
			t.Errorf("ParseDirName(%q) = %d, want not ok", name, got)
		}
	}
}

func TestParseIndex(t *testing.T) {
	for in, want := range map[string]Index{"": 0, "0": 0, " 1 ": 1, "12": 12} {
		if got, ok := ParseIndex(in); !ok || got != want {
			t.Errorf("ParseIndex(%q) = %d, %v; want %d", in, got, ok, want)
		}
	}
	for _, in := range []string{"x", "-1", "1.5", "99999999999"} {
		if got, ok := ParseIndex(in); ok {
			t.Errorf("ParseIndex(%q) = %d, want not ok", in, got)
		}
	}
}

func TestSetLookups(t *testing.T) {
	s, err := NewSet(
		Policy{Index: 2, Name: "ec21", Type: ErasureCoding, EC: &EC{Scheme: "liberasurecode_rs_vand", DataFragments: 2, ParityFragments: 1}},
		Policy{Index: 0, Name: "gold", Aliases: []string{"yellow", "Gold", "orange"}, Default: true},
		Policy{Index: 1, Name: "silver", Deprecated: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Index{"gold": 0, "GOLD": 0, "Orange": 0, "silver": 1, "EC21": 2} {
		if p, ok := s.ByName(name); !ok || p.Index != want {
			t.Errorf("ByName(%q) = %v, %v; want index %d", name, p, ok, want)
		}
	}
	if p, ok := s.ByName("bronze"); ok {
		t.Errorf("ByName(bronze) = %v, want none", p)
	}
	if p, ok := s.ByIndex(3); ok {
		t.Errorf("ByIndex(3) = %v, want none", p)
	}
	gold, _ := s.ByIndex(0)
	if want := []string{"gold", "yellow", "orange"}; !slices.Equal(gold.Aliases, want) {
		t.Errorf("aliases of gold = %q, want %q", gold.Aliases, want)
	}
	if got := s.Default().Name; got != "gold" {
		t.Errorf("Default() = %q, want gold", got)
	}
	if p, ok := s.ByDirName("objects", "objects-1"); !ok || p.Name != "silver" {
		t.Errorf("ByDirName(objects-1) = %v, %v; want silver", p, ok)
	}
	if p, ok := s.ByDirName("objects", "objects-7"); ok {
		t.Errorf("ByDirName(objects-7) = %v, want none", p)
	}
	var indexes []Index
	for _, p := range s.All() {
		indexes = append(indexes, p.Index)
	}
	if want := []Index{0, 1, 2}; !slices.Equal(indexes, want) || s.Len() != 3 {
		t.Errorf("All() has indexes %v and Len() is %d, want %v", indexes, s.Len(), want)
	}
	if err := s.Supported(); err == nil || err.Error() != "storage-policy:2: erasure coding is not supported yet" {
		t.Errorf("Supported() = %v, want it to name storage-policy:2", err)
	}
	ec, _ := s.ByIndex(2)
	if ec.EC.SegmentSize != 1<<20 || ec.EC.DuplicationFactor != 1 || ec.EC.Replicas() != 3 || ec.EC.FragmentIndex(4) != 1 || ec.Quorum(3) != 3 {
		t.Errorf("ec21 = %+v with %d replicas, fragment %d for node 4 and quorum %d", ec.EC, ec.EC.Replicas(), ec.EC.FragmentIndex(4), ec.Quorum(3))
	}
}

func TestNoPoliciesMakeTheLegacyOne(t *testing.T) {
	s, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	p := s.Default()
	if p.Name != LegacyName || p.Index != 0 || p.Type != Replication || p.DiskfileModule != "egg:swift#replication.fs" || s.Supported() != nil {
		t.Errorf("NewSet() has the default %+v and Supported() %v", p, s.Supported())
	}
}

func TestReplicationQuorum(t *testing.T) {
	for replicas, want := range map[int]int{1: 1, 2: 1, 3: 2, 4: 2, 5: 3} {
		if got := (Policy{}).Quorum(replicas); got != want {
			t.Errorf("Quorum(%d) = %d, want %d", replicas, got, want)
		}
	}
}

func TestNewSetRefuses(t *testing.T) {
	gold := Policy{Name: "gold", Default: true}
	ec := func(scheme string, data, parity int) Policy {
		return Policy{Index: 1, Name: "ec", Type: ErasureCoding, EC: &EC{Scheme: scheme, DataFragments: data, ParityFragments: parity}}
	}
	for name, test := range map[string]struct {
		policies []Policy
		want     string
	}{
		"no policy 0":             {[]Policy{{Index: 1, Name: "a", Default: true}}, "there is no storage-policy:0"},
		"an index twice":          {[]Policy{gold, {Name: "a"}}, "storage-policy:0: this index is configured twice"},
		"a negative index":        {[]Policy{gold, {Index: -1, Name: "a"}}, "-1 is no index"},
		"no default":              {[]Policy{{Name: "a"}, {Index: 1, Name: "b"}}, "default: no storage policy is the default"},
		"two defaults":            {[]Policy{gold, {Index: 1, Name: "b", Default: true}}, "storage-policy:1: default: storage-policy:0 is the default already"},
		"a deprecated default":    {[]Policy{gold, {Index: 1, Name: "b"}, {Index: 2, Name: "c", Default: true, Deprecated: true}}, "storage-policy:2: deprecated: "},
		"only deprecated ones":    {[]Policy{{Name: "a", Deprecated: true}}, "deprecated: every storage policy is deprecated"},
		"no name":                 {[]Policy{{}}, "storage-policy:0: name: a name is needed"},
		"a blank in a name":       {[]Policy{{Name: "two words"}}, `storage-policy:0: name: the name "two words" has a character`},
		"an underscore in alias":  {[]Policy{{Name: "a", Aliases: []string{"b_c"}}}, `storage-policy:0: aliases: the name "b_c" has a character`},
		"an alias twice":          {[]Policy{{Name: "a", Aliases: []string{"b", "B"}}}, `storage-policy:0: aliases: the name "B" is there twice`},
		"a name of two policies":  {[]Policy{gold, {Index: 1, Name: "GOLD"}}, `storage-policy:1: name: the name "GOLD" already belongs to storage-policy:0`},
		"an alias of two":         {[]Policy{gold, {Index: 1, Name: "a", Aliases: []string{"gold"}}}, `storage-policy:1: aliases: the name "gold" already belongs to storage-policy:0`},
		"the reserved name":       {[]Policy{gold, {Index: 1, Name: "policy-0"}}, "storage-policy:1: name: the name Policy-0 is reserved"},
		"an unknown type":         {[]Policy{{Name: "a", Type: "tape"}}, `storage-policy:0: policy_type: "tape"`},
		"a module of other type":  {[]Policy{{Name: "a", DiskfileModule: "egg:swift#erasure_coding.fs"}}, "storage-policy:0: diskfile_module: "},
		"EC options of no EC":     {[]Policy{{Name: "a", EC: &EC{}}}, "storage-policy:0: ec_type: "},
		"an unknown EC scheme":    {[]Policy{gold, ec("parity", 2, 1)}, `storage-policy:1: ec_type: "parity"`},
		"no data fragments":       {[]Policy{gold, ec("jerasure_rs_vand", 0, 1)}, "storage-policy:1: ec_num_data_fragments: 0 is not more than 0"},
		"negative parity":         {[]Policy{gold, ec("jerasure_rs_vand", 2, -1)}, "storage-policy:1: ec_num_parity_fragments: -1 is not more than 0"},
		"the scheme that lost":    {[]Policy{gold, ec("isa_l_rs_vand", 10, 5)}, "storage-policy:1: ec_type: isa_l_rs_vand with 5 or more"},
		"an EC policy without EC": {[]Policy{gold, {Index: 1, Name: "ec", Type: ErasureCoding}}, `storage-policy:1: ec_type: ""`},
	} {
		_, err := NewSet(test.policies...)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: NewSet = %v, want an error with %q", name, err, test.want)
		}
	}
}

func TestTheSchemeThatLostDataMayStayDeprecated(t *testing.T) {
	_, err := NewSet(Policy{Name: "gold", Default: true},
		Policy{Index: 1, Name: "ec", Type: ErasureCoding, Deprecated: true, EC: &EC{Scheme: "isa_l_rs_vand", DataFragments: 10, ParityFragments: 5}})
	if err != nil {
		t.Errorf("NewSet with a deprecated isa_l_rs_vand policy: %v", err)
	}
}

func FuzzParseDirName(f *testing.F) {
	for _, s := range []string{"objects", "objects-1", "objects-01", "objects-0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if i, ok := ParseDirName("objects", name); ok && i.DirName("objects") != name {
			t.Errorf("ParseDirName(%q) = %d, whose name is %q", name, i, i.DirName("objects"))
		}
	})
}
