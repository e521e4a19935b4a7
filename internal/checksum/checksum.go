// Package checksum knows the checksums that S3 clients send with objects and parts: their names, how their values are
// written, how they are made, and how an object's is made of its parts'.
//
//	x-amz-checksum-crc32: 8GfKHw==               in a header, or in a trailer that x-amz-trailer declared
//	x-amz-checksum-sha256: ...-3                 of an object with three parts, made of the parts' checksums (COMPOSITE)
//	x-amz-checksum-crc64nvme: ...                of all bytes, however many parts (FULL_OBJECT)
//
// A checksum finds damage, it proves nothing about who sent the bytes. The package knows nothing of requests beyond their
// headers. Its errors are awserr's, with the codes of AWS.
//
//	want, ok, err := checksum.FromHeader(r.Header)
//	if ok {
//		body = checked.NewReader(body, want.Check())
//	}
package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checked"
)

// An Algorithm is the name of a checksum as x-amz-checksum-algorithm has it.
type Algorithm string

// The algorithms.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
	SHA512    Algorithm = "SHA512"
	MD5       Algorithm = "MD5"
	XXHash64  Algorithm = "XXHASH64"
	XXHash3   Algorithm = "XXHASH3" // XXH3 of 64 bits
	XXHash128 Algorithm = "XXHASH128"
)

// kinds are the algorithms that exist, in the order in which they are told.
var kinds = []struct {
	Algorithm
	size int // bytes
	new  func() hash.Hash
}{
	{CRC32, crc32.Size, func() hash.Hash { return crc32.NewIEEE() }},
	{CRC32C, crc32.Size, func() hash.Hash { return crc32.New(castagnoli) }},
	{CRC64NVME, crc64nvme.Size, func() hash.Hash { return crc64nvme.New() }},
	{SHA1, sha1.Size, sha1.New},
	{SHA256, sha256.Size, sha256.New},
	{SHA512, sha512.Size, sha512.New},
	{MD5, md5.Size, md5.New},
	{XXHash64, 8, func() hash.Hash { return xxhash.New() }},
	{XXHash3, 8, func() hash.Hash { return xxh3.New() }},
	{XXHash128, 16, func() hash.Hash { return xxh3.New128() }},
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// All are the algorithms that exist.
func All() (all []Algorithm) {
	for _, k := range kinds {
		all = append(all, k.Algorithm)
	}
	return all
}

// Prefix is what names of checksum headers begin with, in lower case. Some such headers hold none.
const Prefix = "x-amz-checksum-"

// notValues are headers about checksums that hold none.
var notValues = map[string]bool{
	"x-amz-checksum-algorithm": true, "x-amz-checksum-mode": true, "x-amz-checksum-type": true,
}

// Parse reads the name of an algorithm, in any case.
func Parse(name string) (Algorithm, error) {
	a := Algorithm(strings.ToUpper(name))
	if a.Size() == 0 {
		return "", awserr.New(awserr.InvalidRequest, fmt.Sprint("Checksum algorithm provided is unsupported. Please try again with any of the valid types: ", All()))
	}
	return a, nil
}

// OfHeader reads the name of a header or trailer, in any case. The boolean says whether it holds a checksum. The error is
// NotImplemented for a checksum of an algorithm that does not exist here.
func OfHeader(name string) (Algorithm, bool, error) {
	name = strings.ToLower(name)
	algorithm, ok := strings.CutPrefix(name, Prefix)
	if !ok || notValues[name] {
		return "", false, nil
	}
	a := Algorithm(strings.ToUpper(algorithm))
	if a.Size() == 0 {
		return "", true, awserr.New(awserr.NotImplemented, "The checksum algorithm is not supported.", "Header", name)
	}
	return a, true, nil
}

// Header is the name of the header or trailer with a checksum, in lower case.
func (a Algorithm) Header() string { return Prefix + strings.ToLower(string(a)) }

// Size is the number of bytes of a checksum; of an algorithm that does not exist, 0.
func (a Algorithm) Size() int {
	for _, k := range kinds {
		if k.Algorithm == a {
			return k.size
		}
	}
	return 0
}

// New starts a checksum. It panics if the algorithm does not exist.
func (a Algorithm) New() hash.Hash {
	for _, k := range kinds {
		if k.Algorithm == a {
			return k.new()
		}
	}
	panic("checksum: no algorithm " + string(a))
}

// A Value is a checksum. The zero value is none.
type Value struct {
	Algorithm Algorithm
	Sum       string // bytes
}

// Of returns the value of a finished hash.
func Of(a Algorithm, h hash.Hash) Value { return Value{a, string(h.Sum(nil))} }

// ParseValue reads the text of a checksum of plain bytes.
func ParseValue(a Algorithm, text string) (Value, error) {
	// The decoder skips line ends.
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(sum) != a.Size() || strings.ContainsAny(text, "\r\n") {
		return Value{}, invalidValue(a.Header())
	}
	return Value{a, string(sum)}, nil
}

func invalidValue(header string) error {
	return awserr.New(awserr.InvalidRequest, "Value for "+header+" header is invalid.")
}

// String is the value as headers have it.
func (v Value) String() string { return base64.StdEncoding.EncodeToString([]byte(v.Sum)) }

// Check is the check for a reader that the body has this checksum; the error is BadDigest.
func (v Value) Check() checked.Check {
	return checked.Digest(v.Algorithm.New(), []byte(v.Sum), Mismatch(v.Algorithm))
}

// Mismatch is the error of a body that has another checksum.
func Mismatch(a Algorithm) error {
	return awserr.New(awserr.BadDigest, "The "+string(a)+" you specified did not match the calculated checksum.")
}

// FromHeader returns the checksum among a request's headers, if there is one. It is an error to give more than one, or one
// of an unknown algorithm.
func FromHeader(h http.Header) (v Value, ok bool, err error) {
	for name, lines := range h {
		a, is, err := OfHeader(name)
		if err != nil {
			return Value{}, false, err
		}
		if !is {
			continue
		}
		if ok || len(lines) != 1 {
			return Value{}, false, awserr.New(awserr.InvalidRequest, "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		if v, err = ParseValue(a, lines[0]); err != nil {
			return Value{}, false, err
		}
		ok = true
	}
	return v, ok, nil
}
