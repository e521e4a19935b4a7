// Package digest knows the signatures of tempurl and formpost: which digests a cluster accepts, how a client writes a
// signature, and how the right one is made.
//
// A signature is an HMAC, written in one of two ways:
//
//	da39a3ee5e6b4b0d3255bfef95601890afd80709     hex; the length tells the digest
//	sha256:4xM0PWYFnmTBJ1zg6Xo0gA...             base64, standard or URL-safe, with or without padding
//
// Signatures are compared in constant time, by [Signature.Is] only. The package knows no HTTP and no configuration.
//
//	set, unknown, err := digest.NewSet([]string{"sha256", "sha512"})
//	sig, err := digest.Parse(param)
//	if err != nil || !set.Allows(sig.Algorithm) { ... }
//	ok := sig.Is(digest.HMAC(sig.Algorithm, key, text))
package digest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"slices"
	"strings"
)

// An Algorithm is the name of a digest: sha1, sha256 or sha512.
type Algorithm string

// The digests that exist.
const (
	SHA1   Algorithm = "sha1" // deprecated
	SHA256 Algorithm = "sha256"
	SHA512 Algorithm = "sha512"
)

func (a Algorithm) hash() func() hash.Hash {
	switch a {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	}
	return nil
}

// Deprecated says whether a digest should not be used any more.
func (a Algorithm) Deprecated() bool { return a == SHA1 }

// All are the digests that exist, sorted.
func All() []Algorithm { return []Algorithm{SHA1, SHA256, SHA512} }

// ErrNone says that no usable digest is left.
var ErrNone = errors.New("no valid digest; there are sha1, sha256 and sha512")

// A Set is the digests that a cluster accepts, sorted.
type Set []Algorithm

// NewSet reads names of digests, in any case; without any, the set is All. Unknown names are returned apart. The error
// is ErrNone when only such are given.
func NewSet(names []string) (set Set, unknown []string, err error) {
	if len(names) == 0 {
		return All(), nil, nil
	}
	for _, name := range names {
		a := Algorithm(strings.ToLower(name))
		if a.hash() == nil {
			unknown = append(unknown, name)
			continue
		}
		set = append(set, a)
	}
	if len(set) == 0 {
		return nil, unknown, ErrNone
	}
	slices.Sort(set)
	return slices.Compact(set), unknown, nil
}

// Allows says whether the digest is in the set.
func (s Set) Allows(a Algorithm) bool { return slices.Contains(s, a) }

// Deprecated returns the digests of the set that should not be used any more.
func (s Set) Deprecated() Set {
	return slices.DeleteFunc(slices.Clone(s), func(a Algorithm) bool { return !a.Deprecated() })
}

// ErrSignature is a text that is no signature.
var ErrSignature = errors.New("not a signature")

// A Signature is what a client gave. Its digest may be one that does not exist.
type Signature struct {
	Algorithm Algorithm
	Hex       string
}

// Parse reads a signature. The error is ErrSignature.
func Parse(text string) (Signature, error) {
	if name, value, ok := strings.Cut(text, ":"); ok {
		sum, err := decode(value)
		return Signature{Algorithm(name), hex.EncodeToString(sum)}, err
	}
	if _, err := hex.DecodeString(text); err != nil {
		return Signature{}, ErrSignature
	}
	for _, a := range All() {
		if len(text) == 2*a.hash()().Size() {
			return Signature{a, text}, nil
		}
	}
	return Signature{}, ErrSignature
}

func decode(value string) ([]byte, error) {
	value = strings.TrimRight(value, "=")
	alphabet := base64.RawStdEncoding
	if strings.ContainsAny(value, "-_") {
		alphabet = base64.RawURLEncoding // of both alphabets at once it takes neither
	}
	// The decoder skips line ends.
	if strings.ContainsAny(value, "\r\n") {
		return nil, ErrSignature
	}
	sum, err := alphabet.DecodeString(value)
	if err != nil {
		return nil, ErrSignature
	}
	return sum, nil
}

// Is compares the signature with the right one, as HMAC made it, in constant time.
func (s Signature) Is(sum []byte) bool {
	return hmac.Equal([]byte(s.Hex), []byte(hex.EncodeToString(sum)))
}

// HMAC makes the signature of a text. It panics if there is no such digest.
func HMAC(a Algorithm, key, text string) []byte {
	m := hmac.New(a.hash(), []byte(key))
	m.Write([]byte(text))
	return m.Sum(nil)
}
