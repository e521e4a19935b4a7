// Package policy holds a cluster's storage policies: the named ways of storing objects, each with an index that is part
// of ring names, directory names and back-end headers.
//
// A [Set] is checked when it is made and does not change: it has a policy 0, exactly one default, and no name twice.
// The package knows neither rings nor files; package swiftconf reads policies from the cluster's configuration.
//
//	policies, err := policy.NewSet(policy.Policy{Index: 0, Name: "gold", Default: true}, policy.Policy{Index: 1, Name: "silver"})
//	p, ok := policies.ByName(r.Header.Get("X-Storage-Policy"))
//	dir := p.Index.DirName("objects") // "objects" or "objects-1"
package policy

import (
	"strconv"
	"strings"
)

// An Index numbers a policy. Index 0 always exists, and its names carry no suffix.
type Index int

// Suffix returns what names derived from the index end in: nothing for 0, else a dash and the number.
func (i Index) Suffix() string {
	if i == 0 {
		return ""
	}
	return "-" + strconv.Itoa(int(i))
}

// DirName returns base with the suffix: "objects", "async_pending-1", "tmp-2".
func (i Index) DirName(base string) string { return base + i.Suffix() }

// RingName returns the name of the policy's ring, such as "object-1"; its file adds ".ring.gz".
func (i Index) RingName() string { return i.DirName("object") }

// String returns the number, as back-end headers have it.
func (i Index) String() string { return strconv.Itoa(int(i)) }

// ParseIndex reads the value of a back-end header. Nothing means 0; anything that is not a number of a possible policy
// is not ok. Whether the policy exists is for the [Set] to say.
func ParseIndex(s string) (i Index, ok bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return Index(n), err == nil
}

// ParseDirName is the inverse of [Index.DirName] for a given base. Names that DirName would not make, such as
// "objects-0" or "objects-01", are not ok.
func ParseDirName(base, name string) (i Index, ok bool) {
	rest, ok := strings.CutPrefix(name, base)
	if !ok || rest == "" {
		return 0, ok
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(rest, "-"), 10, 31)
	return Index(n), err == nil && n > 0 && rest == Index(n).Suffix()
}

// A Type is a way of keeping an object safe.
type Type string

const (
	// Replication keeps whole copies.
	Replication Type = "replication"
	// ErasureCoding keeps fragments of which some may be lost.
	ErasureCoding Type = "erasure_coding"
)

// A Policy is one storage policy.
type Policy struct {
	Index Index
	// Name is the primary name, as it was configured. Names are compared without regard to case.
	Name string
	// Aliases are all names, the primary one first. NewSet adds the primary name if it is missing.
	Aliases []string
	// Type is Replication unless set.
	Type Type
	// Default marks the policy of containers that name none.
	Default bool
	// Deprecated policies take no new containers and are not listed.
	Deprecated bool
	// DiskfileModule names Swift's plug-in for the disk layout. Only the one that belongs to the type is known here; it
	// is also what an empty value means.
	DiskfileModule string
	// EC is set for policies of type ErasureCoding only.
	EC *EC
}

// EC is how a policy codes objects into fragments.
type EC struct {
	// Scheme is the ec_type, such as liberasurecode_rs_vand.
	Scheme string
	// DataFragments is how many fragments the object is cut into, and ParityFragments how many are added.
	DataFragments, ParityFragments int
	// SegmentSize is how many bytes are coded at a time; 0 means 1 MiB.
	SegmentSize int64
	// DuplicationFactor is how many copies of each fragment there are; 0 means 1.
	DuplicationFactor int
}

// UniqueFragments returns the number of different fragments of an object.
func (e *EC) UniqueFragments() int { return e.DataFragments + e.ParityFragments }

// Replicas returns the number of replicas that the policy's ring must have.
func (e *EC) Replicas() int { return e.UniqueFragments() * e.DuplicationFactor }

// FragmentIndex returns the fragment that a node keeps, by the node's index among an object's primaries.
func (e *EC) FragmentIndex(node int) int { return node % e.UniqueFragments() }

// Quorum returns how many of a ring's replicas must hold a write before it is acknowledged: half of them, rounded up,
// or for erasure coding one fragment more than are needed to read.
func (p Policy) Quorum(replicas int) int {
	if p.EC != nil {
		// One parity fragment is what the Reed-Solomon schemes need at least.
		return (p.EC.DataFragments + 1) * p.EC.DuplicationFactor
	}
	return (replicas + 1) / 2
}
