// Package hashpath computes where the things of a cluster live: the MD5 of their path, salted with the cluster's secret
// prefix and suffix, which names their directory and picks their partition in the ring.
//
// The salt must be the same on every node and must never change, so a [Hasher] cannot be made without one. The package
// knows nothing about rings, devices or policies.
//
//	h, err := hashpath.New([]byte("prefix"), []byte("suffix"))
//	sum := h.Sum("AUTH_test", "container", "object")
//	partition := sum.Partition(ring.PartPower())
//	dir := filepath.Join("objects", strconv.Itoa(int(partition)), sum.Suffix(), sum.Hex())
package hashpath

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
)

const (
	// HexSize is the length of a hash in hex, which names directories.
	HexSize = 2 * md5.Size
	// SuffixSize is the length of a suffix, the name of the directory above.
	SuffixSize = 3
)

// ErrNoSalt says that neither a prefix nor a suffix was given. Without a secret, clients could choose names that all
// fall into one partition.
var ErrNoSalt = errors.New("swift_hash_path_prefix and swift_hash_path_suffix are both empty: at least one must be set, to the value that the whole cluster has")

// A Hasher hashes paths with a cluster's salt. It is safe for concurrent use; the zero value is not usable.
type Hasher struct {
	prefix, suffix string
}

// New returns a Hasher with the salt of the cluster, of which one part may be empty. It fails with [ErrNoSalt].
func New(prefix, suffix []byte) (Hasher, error) {
	if len(prefix) == 0 && len(suffix) == 0 {
		return Hasher{}, ErrNoSalt
	}
	return Hasher{prefix: string(prefix), suffix: string(suffix)}, nil
}

// A Sum is the hash of a path.
type Sum [md5.Size]byte

// Sum hashes an account, and if given a container, and an object. Names are hashed as they are, without any quoting.
func (h Hasher) Sum(account string, rest ...string) Sum {
	// Long enough for the longest names that the default constraints let through, so that nothing is allocated.
	var scratch [2048]byte
	buf := append(scratch[:0], h.prefix...)
	buf = append(append(buf, '/'), account...)
	for _, part := range rest {
		buf = append(append(buf, '/'), part...)
	}
	return md5.Sum(append(buf, h.suffix...))
}

// SumPath hashes a path that is already joined, such as "/account/container/object"; it must begin with a slash.
func (h Hasher) SumPath(path string) Sum {
	var scratch [2048]byte
	buf := append(scratch[:0], h.prefix...)
	buf = append(buf, path...)
	return md5.Sum(append(buf, h.suffix...))
}

// Parse reads the name of a hash directory, 32 lower-case hex digits.
func Parse(name string) (Sum, error) {
	var s Sum
	if len(name) != HexSize {
		return s, fmt.Errorf("parse hash %q: %d digits, want %d", name, len(name), HexSize)
	}
	for i := range len(name) {
		if c := name[i]; c >= 'A' && c <= 'F' {
			return s, fmt.Errorf("parse hash %q: upper-case digit %q", name, c)
		}
	}
	if _, err := hex.Decode(s[:], []byte(name)); err != nil {
		return Sum{}, fmt.Errorf("parse hash %q: %w", name, err)
	}
	return s, nil
}

// ValidSuffix reports whether name is three lower-case hex digits, as the directories between a partition and its
// hashes are named.
func ValidSuffix(name string) bool {
	if len(name) != SuffixSize {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Hex returns the 32 digits that name the directory.
func (s Sum) Hex() string { return hex.EncodeToString(s[:]) }

// String returns the same as [Sum.Hex].
func (s Sum) String() string { return s.Hex() }

// AppendHex appends the 32 digits to dst.
func (s Sum) AppendHex(dst []byte) []byte { return hex.AppendEncode(dst, s[:]) }

// Suffix returns the last three digits, the name of the directory above the hash's own.
func (s Sum) Suffix() string {
	var buf [SuffixSize]byte
	return string(s.AppendSuffix(buf[:0]))
}

// AppendSuffix appends the last three digits to dst.
func (s Sum) AppendSuffix(dst []byte) []byte {
	const digits = "0123456789abcdef"
	last := s[len(s)-2:]
	return append(dst, digits[last[0]&0xF], digits[last[1]>>4], digits[last[1]&0xF])
}

// Partition returns the partition in a ring of 2^power partitions: the first power bits of the hash. A power above 32
// counts as 32.
func (s Sum) Partition(power uint) uint32 {
	first := uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
	return first >> (32 - min(power, 32))
}
