package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// LegacyName is the name of policy 0 in a cluster that configures none. No other policy may use it.
	LegacyName = "Policy-0"

	defaultSegmentSize = 1 << 20
)

// An Error is something wrong with one policy, or with the set if Index is negative.
type Error struct {
	Index Index
	// Key is the option to change, as the configuration has it; empty if it is none in particular.
	Key string
	// Problem says what is wrong and what would be right.
	Problem string
}

func (e *Error) Error() string {
	var parts []string
	if e.Index >= 0 {
		parts = append(parts, Section(e.Index))
	}
	if e.Key != "" {
		parts = append(parts, e.Key)
	}
	return strings.Join(append(parts, e.Problem), ": ")
}

// Section returns the name of the section that configures a policy in Swift's file.
func Section(i Index) string { return "storage-policy:" + i.String() }

// A Set is the policies of a cluster. It does not change and is safe for concurrent use. The zero value holds none;
// NewSet() makes the set of a cluster that configures none.
type Set struct {
	// policies are in the order of their indexes.
	policies []Policy
	byName   map[string]int
}

// NewSet checks policies and makes a Set of them; without any there is one, of index 0, named [LegacyName]. All faults
// are reported, each an [*Error], joined.
func NewSet(policies ...Policy) (Set, error) {
	if len(policies) == 0 {
		policies = []Policy{{Name: LegacyName}}
	}
	s := Set{byName: make(map[string]int)}
	var errs []error
	for _, p := range policies {
		p, err := complete(p)
		errs = append(errs, err)
		s.policies = append(s.policies, p)
	}
	slices.SortStableFunc(s.policies, func(a, b Policy) int { return int(a.Index) - int(b.Index) })
	for i, p := range s.policies {
		if i > 0 && s.policies[i-1].Index == p.Index {
			errs = append(errs, &Error{p.Index, "", "this index is configured twice"})
		}
		for _, name := range p.Aliases {
			if other, ok := s.byName[fold(name)]; ok && s.policies[other].Index != p.Index {
				errs = append(errs, &Error{p.Index, keyOf(p, name), fmt.Sprintf("the name %q already belongs to %s", name, Section(s.policies[other].Index))})
			}
			s.byName[fold(name)] = i
		}
	}
	errs = append(errs, s.settleDefault())
	if err := errors.Join(errs...); err != nil {
		return Set{}, err
	}
	return s, nil
}

// keyOf returns the option that gives p the name.
func keyOf(p Policy, name string) string {
	if name == p.Name {
		return "name"
	}
	return "aliases"
}

// settleDefault checks what concerns the set as a whole, and makes an only policy the default.
func (s *Set) settleDefault() error {
	const none = Index(-1)
	if s.policies[0].Index != 0 {
		return &Error{none, "", "there is no storage-policy:0; it must be among the policies once any are configured"}
	}
	if !slices.ContainsFunc(s.policies, func(p Policy) bool { return !p.Deprecated }) {
		return &Error{none, "deprecated", "every storage policy is deprecated; one must be left for new containers"}
	}
	if len(s.policies) == 1 {
		s.policies[0].Default = true
	}
	var errs []error
	found := none
	for _, p := range s.policies {
		switch {
		case !p.Default:
		case p.Deprecated:
			errs = append(errs, &Error{p.Index, "deprecated", "the default policy must not be deprecated"})
			found = p.Index
		case found != none:
			errs = append(errs, &Error{p.Index, "default", Section(found) + " is the default already; there must be one"})
		default:
			found = p.Index
		}
	}
	if found == none {
		errs = append(errs, &Error{none, "default", "no storage policy is the default; one must have default = yes"})
	}
	return errors.Join(errs...)
}

// complete fills in p's defaults and checks everything that concerns p alone.
func complete(p Policy) (Policy, error) {
	var errs []error
	fail := func(key, problem string, args ...any) {
		errs = append(errs, &Error{p.Index, key, fmt.Sprintf(problem, args...)})
	}
	if p.Index < 0 {
		return p, &Error{-1, "", fmt.Sprintf("%d is no index of a storage policy; it must be 0 or more", int(p.Index))}
	}
	names := []string{p.Name}
	for _, alias := range p.Aliases {
		if fold(alias) == fold(p.Name) {
			continue
		}
		if slices.ContainsFunc(names, func(name string) bool { return fold(name) == fold(alias) }) {
			fail("aliases", "the name %q is there twice", alias)
		}
		names = append(names, alias)
	}
	for _, name := range names {
		if problem := nameProblem(name, p.Index); problem != "" {
			fail(keyOf(p, name), "%s", problem)
		}
	}
	p.Aliases = names
	if p.Type == "" {
		p.Type = Replication
	}
	module := "egg:swift#" + string(p.Type) + ".fs"
	switch p.Type {
	case Replication:
		if p.EC != nil {
			fail("ec_type", "a policy of type replication has no erasure coding options")
		}
	case ErasureCoding:
		p.EC = completeEC(p, fail)
	default:
		fail("policy_type", "%q is not a type of policy; there are %q and %q", p.Type, Replication, ErasureCoding)
		module = p.DiskfileModule
	}
	if p.DiskfileModule == "" {
		p.DiskfileModule = module
	}
	if p.DiskfileModule != module {
		fail("diskfile_module", "%q is not known; a policy of type %s has %q", p.DiskfileModule, p.Type, module)
	}
	return p, errors.Join(errs...)
}

func nameProblem(name string, index Index) string {
	if name == "" {
		return "a name is needed"
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Sprintf("the name %q has a character that is not a letter, a digit or a dash", name)
		}
	}
	if index != 0 && fold(name) == fold(LegacyName) {
		return fmt.Sprintf("the name %s is reserved for storage-policy:0", LegacyName)
	}
	return ""
}

// ecSchemes are the ec_type names of the coding libraries that Swift can be built with. That a name is known does not
// mean that this program can code it; see [Set.Supported].
func ecSchemes() []string {
	return []string{
		"flat_xor_hd_3", "flat_xor_hd_4", "isa_l_rs_cauchy", "isa_l_rs_vand", "isa_l_rs_vand_inv", "jerasure_rs_cauchy",
		"jerasure_rs_vand", "liberasurecode_rs_vand", "libphazr", "shss",
	}
}

// completeEC returns p's erasure coding with its defaults filled in.
func completeEC(p Policy, fail func(key, problem string, args ...any)) *EC {
	if p.EC == nil {
		p.EC = &EC{}
	}
	ec := *p.EC
	if ec.SegmentSize == 0 {
		ec.SegmentSize = defaultSegmentSize
	}
	if ec.DuplicationFactor == 0 {
		ec.DuplicationFactor = 1
	}
	if !slices.Contains(ecSchemes(), ec.Scheme) {
		fail("ec_type", "%q is not a coding scheme; there are %s", ec.Scheme, strings.Join(ecSchemes(), ", "))
	}
	for _, number := range []struct {
		key   string
		value int64
	}{
		{"ec_num_data_fragments", int64(ec.DataFragments)},
		{"ec_num_parity_fragments", int64(ec.ParityFragments)},
		{"ec_object_segment_size", ec.SegmentSize},
		{"ec_duplication_factor", int64(ec.DuplicationFactor)},
	} {
		if number.value <= 0 {
			fail(number.key, "%d is not more than 0", number.value)
		}
	}
	if ec.Scheme == "isa_l_rs_vand" && ec.ParityFragments >= 5 && !p.Deprecated {
		fail("ec_type", "isa_l_rs_vand with 5 or more parity fragments can lose data; mark the policy deprecated and use isa_l_rs_cauchy in a new one")
	}
	return &ec
}

// ByIndex returns the policy of an index.
func (s Set) ByIndex(i Index) (Policy, bool) {
	at, ok := slices.BinarySearchFunc(s.policies, i, func(p Policy, i Index) int { return int(p.Index) - int(i) })
	if !ok {
		return Policy{}, false
	}
	return s.policies[at], true
}

// ByName returns the policy with a name or alias, in any case.
func (s Set) ByName(name string) (Policy, bool) {
	at, ok := s.byName[fold(name)]
	if !ok {
		return Policy{}, false
	}
	return s.policies[at], true
}

// ByDirName returns the policy that a directory belongs to, given the name it has for policy 0.
func (s Set) ByDirName(base, name string) (Policy, bool) {
	i, ok := ParseDirName(base, name)
	if !ok {
		return Policy{}, false
	}
	return s.ByIndex(i)
}

// Default returns the policy of containers that name none. A Set made by NewSet has one.
func (s Set) Default() Policy {
	for _, p := range s.policies {
		if p.Default {
			return p
		}
	}
	return Policy{}
}

// All returns the policies in the order of their indexes, in a slice that the caller owns.
func (s Set) All() []Policy { return slices.Clone(s.policies) }

// Len returns the number of policies.
func (s Set) Len() int { return len(s.policies) }

// Supported fails with an [*Error] for each policy that this program cannot serve. A server that touches objects refuses
// to start then: to pass a policy over would look like losing its objects.
func (s Set) Supported() error {
	var errs []error
	for _, p := range s.policies {
		if p.Type == ErasureCoding {
			errs = append(errs, &Error{p.Index, "", "erasure coding is not supported yet"})
		}
	}
	return errors.Join(errs...)
}

// fold makes names comparable. They are ASCII, so this is Swift's upper-casing.
func fold(name string) string { return strings.ToLower(name) }
