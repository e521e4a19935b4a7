// Package swiftconf reads the cluster-wide file: the salt of the path hash, the storage policies and the constraints,
// which every server and tool of a cluster must share.
//
// The file is swift.toml if the directory has one, else swift.conf as Swift has it. Both hold the same:
//
//	[swift-hash]                        [swift-hash]
//	swift_hash_path_suffix = "secret"   swift_hash_path_suffix = secret
//
//	[storage-policy.0]                  [storage-policy:0]
//	name = "gold"                       name = gold
//	default = true                      default = yes
//
//	[swift-constraints]                 [swift-constraints]
//	max_file_size = 5368709122          max_file_size = 5368709122
//
// Faults are reported all at once, with file and line. Sections and keys that Swift does not have are faults, with the
// nearest one that it has: a misspelt constraint would otherwise differ between nodes in silence. Erasure-coded policies
// are read; whether to serve them is for the reader to ask (see policy.Set.Supported). Nothing is read again on change:
// Swift's servers too need a restart for it.
//
//	cluster, err := swiftconf.Load("/etc/swift")
//	sum := cluster.Hasher.Sum("AUTH_test")
package swiftconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/policy"
)

const (
	tomlName = "swift.toml"
	iniName  = "swift.conf"

	hashSection       = "swift-hash"
	policySection     = "storage-policy"
	constraintSection = "swift-constraints"
)

// A Cluster is what the nodes of a cluster have in common. It does not change.
type Cluster struct {
	// Path is the file that was read.
	Path     string
	Hasher   hashpath.Hasher
	Policies policy.Set
	Limits   constraint.Limits
}

// Default is for servers without a cluster: Swift's limits, the default policy, and no salt.
func Default() *Cluster {
	policies, err := policy.NewSet()
	if err != nil {
		panic("swiftconf: " + err.Error()) // no policies are Swift's one
	}
	return &Cluster{Policies: policies, Limits: constraint.Default()}
}

// Load reads the cluster-wide file of a directory such as /etc/swift. Without one the error matches fs.ErrNotExist;
// every fault in the file is a [*config.Error], all joined. A missing salt also matches hashpath.ErrNoSalt.
func Load(dir string) (*Cluster, error) {
	for _, source := range []struct {
		name  string
		parse func(path string, data []byte) (*Cluster, error)
	}{{tomlName, ParseTOML}, {iniName, ParseINI}} {
		path := filepath.Join(dir, source.name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the cluster's configuration: %w", err)
		}
		return source.parse(path, data)
	}
	return nil, fmt.Errorf("read the cluster's configuration: no %s and no %s in %s: %w", tomlName, iniName, dir, fs.ErrNotExist)
}

// ParseTOML reads the text of a swift.toml; path is used in messages only.
func ParseTOML(path string, data []byte) (*Cluster, error) {
	file, err := config.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return read(file, config.Section{}, func(salt string) []byte { return []byte(salt) })
}

// ParseINI reads the text of a swift.conf; path is used in messages only.
func ParseINI(path string, data []byte) (*Cluster, error) {
	sections, err := parseINI(path, data)
	if err != nil {
		return nil, err
	}
	file, err := config.Parse(path, asTOML(sections))
	if err != nil {
		return nil, err
	}
	shared, _ := file.Section(defaultSection)
	return read(file, shared, fromLatin1)
}

// hashOptions are the salt of the path hash. It must never change, and must be kept secret.
type hashOptions struct {
	// Put before each path that is hashed.
	Prefix string `toml:"swift_hash_path_prefix" secret:"true"`
	// Put after each path that is hashed.
	Suffix string `toml:"swift_hash_path_suffix" secret:"true"`
}

// policyOptions are one storage policy.
type policyOptions struct {
	// The policy's name: letters, digits and dashes. Required.
	Name string `toml:"name"`
	// Further names.
	Aliases config.List `toml:"aliases"`
	// How objects are kept: replication or erasure_coding.
	Type string `toml:"policy_type"`
	// Whether containers that name no policy get this one.
	Default bool `toml:"default"`
	// Whether new containers may no longer use it.
	Deprecated bool `toml:"deprecated"`
	// Swift's plug-in for the disk layout; only the type's own is known.
	DiskfileModule string `toml:"diskfile_module"`
	// The coding scheme, such as liberasurecode_rs_vand.
	ECType string `toml:"ec_type"`
	// How many fragments an object is cut into.
	ECData int `toml:"ec_num_data_fragments"`
	// How many fragments are added.
	ECParity int `toml:"ec_num_parity_fragments"`
	// How many bytes are coded at a time.
	ECSegmentSize int64 `toml:"ec_object_segment_size"`
	// How many copies there are of each fragment.
	ECDuplication int `toml:"ec_duplication_factor"`
}

// Validate refuses the zeros that would count as defaults further on.
func (o *policyOptions) Validate() error {
	var errs []error
	if o.ECSegmentSize == 0 {
		errs = append(errs, config.Invalid("ec_object_segment_size", "0 is not more than 0"))
	}
	if o.ECDuplication == 0 {
		errs = append(errs, config.Invalid("ec_duplication_factor", "0 is not more than 0"))
	}
	return errors.Join(errs...)
}

// reader takes a file apart and collects its faults.
type reader struct {
	file   *config.File
	shared config.Section
	errs   []error
}

func (r *reader) fail(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// read makes a Cluster of a parsed file. The shared section is what Swift's [DEFAULT] gives to all others.
func read(file *config.File, shared config.Section, salt func(string) []byte) (*Cluster, error) {
	r := reader{file: file, shared: shared}
	r.checkSections()
	c := &Cluster{Path: file.Path(), Limits: constraint.Default()}

	var hash hashOptions
	section, _ := file.Section(hashSection)
	_, err := section.Decode(&hash, shared)
	r.fail(err)
	if err == nil {
		c.Hasher, err = hashpath.New(salt(hash.Prefix), salt(hash.Suffix))
		if err != nil {
			r.fail(fmt.Errorf("%w: %w", section.Errorf("", "the path hash has no salt"), err))
		}
	}
	c.Policies = r.policies()
	section, _ = file.Section(constraintSection)
	_, err = section.Decode(&c.Limits, shared)
	r.fail(err)
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// checkSections refuses sections that nobody reads.
func (r *reader) checkSections() {
	known := []string{hashSection, policySection, constraintSection}
	root, _ := r.file.Section()
	for _, key := range root.Keys() {
		r.fail(root.Errorf(key, "a key outside of any section"))
	}
	for _, name := range r.file.Names() {
		if slices.Contains(known, name) || (name == defaultSection && r.shared.Name() == defaultSection) {
			continue
		}
		problem := "no such section is known here"
		// An INI section of a policy carries its number.
		head, _, _ := strings.Cut(name, ":")
		if nearest := config.Nearest(head, known); nearest != "" {
			problem += fmt.Sprintf("; did you mean %s?", nearest)
		}
		r.fail(r.file.Errorf([]string{name}, "%s", problem))
	}
}

// policies reads every section of a storage policy.
func (r *reader) policies() policy.Set {
	parent, _ := r.file.Section(policySection)
	for _, key := range parent.Keys() {
		r.fail(parent.Errorf(key, "a storage policy's section needs the policy's number"))
	}
	var policies []policy.Policy
	// The sections as the file spells them, for messages.
	spelling := make(map[policy.Index]string)
	before := len(r.errs)
	for _, name := range r.file.Names(policySection) {
		section, _ := r.file.Section(policySection, name)
		index, err := strconv.ParseUint(strings.TrimSpace(name), 10, 31)
		if err != nil {
			r.fail(section.Errorf("", "%q is not the number of a storage policy", name))
			continue
		}
		options := policyOptions{Type: string(policy.Replication), ECSegmentSize: 1 << 20, ECDuplication: 1}
		if _, err := section.Decode(&options, r.shared); err != nil {
			r.fail(err)
			continue
		}
		p := options.policy(policy.Index(index))
		spelling[p.Index] = name
		policies = append(policies, p)
	}
	if len(r.errs) > before {
		// The set as a whole would only repeat what is known to be wrong.
		return policy.Set{}
	}
	set, err := policy.NewSet(policies...)
	r.failPolicies(err, spelling)
	return set
}

func (o *policyOptions) policy(index policy.Index) policy.Policy {
	p := policy.Policy{
		Index: index, Name: o.Name, Aliases: o.Aliases, Type: policy.Type(o.Type),
		Default: o.Default, Deprecated: o.Deprecated, DiskfileModule: o.DiskfileModule,
	}
	if p.Type == policy.ErasureCoding || o.ECType != "" || o.ECData != 0 || o.ECParity != 0 {
		p.EC = &policy.EC{
			Scheme: o.ECType, DataFragments: o.ECData, ParityFragments: o.ECParity,
			SegmentSize: o.ECSegmentSize, DuplicationFactor: o.ECDuplication,
		}
	}
	return p
}

// failPolicies gives the faults of the set their places in the file.
func (r *reader) failPolicies(err error, spelling map[policy.Index]string) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			r.failPolicies(err, spelling)
		}
		return
	}
	fault, ok := errors.AsType[*policy.Error](err)
	if !ok {
		r.fail(err)
		return
	}
	path := []string{policySection}
	if fault.Index >= 0 {
		path = append(path, spelling[fault.Index])
	}
	if fault.Key != "" {
		path = append(path, fault.Key)
	}
	r.fail(r.file.Errorf(path, "%s", fault.Problem))
}
