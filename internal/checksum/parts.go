package checksum

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/awserr"
)

// A Type says what the checksum of an object with parts is made of, as x-amz-checksum-type has it.
type Type string

// The types.
const (
	Composite  Type = "COMPOSITE"   // the checksum of the parts' checksums
	FullObject Type = "FULL_OBJECT" // the checksum of all bytes
)

// Has says whether objects with parts may have checksums of this type.
func (a Algorithm) Has(t Type) bool {
	switch a {
	case CRC64NVME:
		return t == FullObject
	case CRC32, CRC32C:
		return t == FullObject || t == Composite
	}
	return t == Composite
}

// Default is the type of an object with parts when the client names only the algorithm.
func (a Algorithm) Default() Type {
	if a == CRC64NVME {
		return FullObject
	}
	return Composite
}

// ParseType reads the type that a client gave for an algorithm; without one it is the algorithm's default.
func ParseType(a Algorithm, text string) (Type, error) {
	t := Type(strings.ToUpper(text))
	switch {
	case text == "":
		return a.Default(), nil
	case t != Composite && t != FullObject:
		return "", awserr.New(awserr.InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	case !a.Has(t):
		return "", awserr.New(awserr.InvalidRequest, "The "+string(t)+" checksum type cannot be used with the "+strings.ToLower(string(a))+" checksum algorithm.")
	}
	return t, nil
}

// A Part is what the checksum of an object is made of.
type Part struct {
	Value
	Size int64
}

// Whole makes the checksum of an object from those of its parts. There must be parts, all of the algorithm, which must
// have the type; the caller knows which part's is missing.
func Whole(a Algorithm, t Type, parts []Part) Object {
	if t == FullObject {
		return Object{Value: combine(a, parts)}
	}
	h := a.New()
	for _, p := range parts {
		h.Write([]byte(p.Sum))
	}
	return Object{Value: Of(a, h), Parts: len(parts)}
}

// An Object is the checksum of an object. With Parts it is made of so many parts' checksums, otherwise of all bytes.
type Object struct {
	Value
	Parts int
}

// String is the checksum as headers have it.
func (o Object) String() string {
	if o.Parts == 0 {
		return o.Value.String()
	}
	return o.Value.String() + "-" + strconv.Itoa(o.Parts)
}

// ParseObject reads the checksum of an object, with or without a number of parts.
func ParseObject(a Algorithm, text string) (Object, error) {
	sum, parts, composite := strings.Cut(text, "-") // base64's standard alphabet has no -
	v, err := ParseValue(a, sum)
	if err != nil || !composite {
		return Object{Value: v}, err
	}
	n, err := strconv.Atoi(parts)
	if err != nil || n < 1 || strconv.Itoa(n) != parts {
		return Object{}, invalidValue(a.Header())
	}
	return Object{v, n}, nil
}

// Combining rests on what a CRC is: the body as a polynomial over GF(2), modulo the algorithm's. Appending n bytes
// multiplies by x^8n; the inversions before and after cancel out between the two parts. Polynomials are kept reflected, as
// the algorithms do: the highest bit is the coefficient of x^0.
type polynomial struct {
	width uint
	low   uint64 // the modulus, reflected, without its highest term
}

var polynomials = map[Algorithm]polynomial{
	CRC32:     {32, 0xedb88320},
	CRC32C:    {32, 0x82f63b78},
	CRC64NVME: {64, 0x9a6c9329ac4bc9b5},
}

// times multiplies modulo p.
func (p polynomial) times(a, b uint64) (product uint64) {
	one := uint64(1) << (p.width - 1)
	for ; a != 0; a = a << 1 & (one | (one - 1)) {
		if a&one != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= p.low
		}
	}
	return product
}

// power is x^(8n) modulo p.
func (p polynomial) power(n uint64) uint64 {
	result := uint64(1) << (p.width - 1) // x^0
	square := result >> 8                // x^8
	for i := range bits.Len64(n) {
		if n>>i&1 != 0 {
			result = p.times(result, square)
		}
		square = p.times(square, square)
	}
	return result
}

func combine(a Algorithm, parts []Part) Value {
	p, ok := polynomials[a]
	if !ok {
		panic("checksum: no full object checksum from parts for " + string(a))
	}
	var crc uint64
	for _, part := range parts {
		crc = p.times(p.power(uint64(part.Size)), crc) ^ number(part.Sum)
	}
	sum := make([]byte, a.Size())
	for i := range sum {
		sum[i] = byte(crc >> (8 * (len(sum) - 1 - i)))
	}
	return Value{a, string(sum)}
}

func number(sum string) (n uint64) {
	for i := range len(sum) {
		n = n<<8 | uint64(sum[i])
	}
	return n
}
