// Package ranges reads the Range header by Swift's rules, resolves it against a length, and writes and reads the
// multipart/byteranges bodies of answers with several ranges.
//
// A header with any syntactic fault is ignored as a whole (the answer is 200). Ranges beyond the end are dropped; if
// none is left, or the set is abusive (RFC 7233 section 6.1), the answer is 416. A suffix range of an empty object is
// the whole object with 200, because no Content-Range can describe it. If-Range does not exist in Swift.
//
// The package moves no object data by itself except in [Reader]; storage node and proxy share it so that the bytes
// between parts and the computed length agree.
//
//	set, ok := ranges.Parse(r.Header.Get("Range"))
//	if ok {
//		parts, err := set.Resolve(size)
//		switch {
//		case err != nil:         // 416, Content-Range: ranges.Unsatisfied(size)
//		case len(parts) == 0:    // 200, the whole object
//		case len(parts) == 1:    // 206, Content-Range: parts[0].ContentRange(size)
//		default:                 // 206, a Multipart
//		}
//	}
package ranges

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"
)

// The bounds beyond which a set of ranges is abusive and unsatisfiable.
const (
	MaxRanges       = 50
	MaxOverlaps     = 2 // pairs
	MaxNonascending = 8 // this many ranges must be in ascending order
)

var (
	// ErrUnsatisfiable is a set of which nothing can be served: 416.
	ErrUnsatisfiable = errors.New("range not satisfiable")
	// ErrComplete says that the first range has been read to its end.
	ErrComplete = errors.New("range already complete")
)

// None is the absent end of a [Spec].
const None = -1

// Spec is one requested range as it is written. First None means the last Last bytes; Last None means up to the end;
// otherwise both ends are included. Never both None.
type Spec struct {
	First, Last int64
}

// Set is the ranges of one header, in the order of the header. The nil Set is no Range header.
type Set []Spec

// Range is a resolved range: bytes from Start up to but not including End. It is never empty.
type Range struct {
	Start, End int64
}

// Len returns the number of bytes.
func (r Range) Len() int64 { return r.End - r.Start }

// ContentRange returns the header value for a range of an entity of the given size, "bytes 0-1/10".
func (r Range) ContentRange(size int64) string { return string(r.appendContentRange(nil, size)) }

func (r Range) appendContentRange(dst []byte, size int64) []byte {
	dst = append(dst, "bytes "...)
	dst = strconv.AppendInt(dst, r.Start, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, r.End-1, 10)
	dst = append(dst, '/')
	if size < 0 {
		return append(dst, '*')
	}
	return strconv.AppendInt(dst, size, 10)
}

// Unsatisfied returns the Content-Range value of a 416, "bytes */10".
func Unsatisfied(size int64) string { return "bytes */" + strconv.FormatInt(size, 10) }

// Parse reads a Range header. It returns false for an empty header and for one that must be ignored. Spaces count
// nowhere, the unit's case neither, and a start may be written in any way that Python's int() takes ("+5", "1_0").
// Numbers beyond int64 become the greatest one.
func Parse(header string) (Set, bool) {
	header = strings.ReplaceAll(header, " ", "")
	const unit = "bytes="
	if len(header) < len(unit) || !strings.EqualFold(header[:len(unit)], unit) {
		return nil, false
	}
	set := make(Set, 0, 1+strings.Count(header, ","))
	for part := range strings.SplitSeq(header[len(unit):], ",") {
		s, ok := parseSpec(part)
		if !ok {
			return nil, false
		}
		set = append(set, s)
	}
	return set, true
}

func parseSpec(part string) (Spec, bool) {
	first, last, ok := strings.Cut(part, "-")
	if !ok || first == "" && last == "" {
		return Spec{}, false
	}
	s := Spec{None, None}
	if first != "" {
		if first, ok = lenientDigits(first); !ok {
			return Spec{}, false
		}
		s.First = number(first)
	}
	if last != "" {
		if !allDigits(last) {
			return Spec{}, false
		}
		last = strings.TrimLeft(last, "0")
		s.Last = number(last)
	}
	// Digits, not values, are compared, so that numbers beyond int64 keep their order.
	if s.First != None && s.Last != None && cmp.Or(cmp.Compare(len(last), len(first)), cmp.Compare(last, first)) < 0 {
		return Spec{}, false
	}
	return s, true
}

// lenientDigits strips from a number what Python's int() overlooks, and leading zeros. No minus sign can occur here.
func lenientDigits(s string) (string, bool) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "+")
	if s == "" || s[0] == '_' || s[len(s)-1] == '_' || strings.Contains(s, "__") {
		return "", false
	}
	s = strings.ReplaceAll(s, "_", "")
	return strings.TrimLeft(s, "0"), allDigits(s)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// number returns the value of decimal digits; none is zero.
func number(digits string) int64 {
	if digits == "" {
		return 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return n
}

// String returns the set as a header value; "" for an empty set.
func (s Set) String() string {
	if len(s) == 0 {
		return ""
	}
	b := []byte("bytes=")
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		if r.First != None {
			b = strconv.AppendInt(b, r.First, 10)
		}
		b = append(b, '-')
		if r.Last != None {
			b = strconv.AppendInt(b, r.Last, 10)
		}
	}
	return string(b)
}

// Resolve returns the ranges of an entity of size bytes, in the order asked for. No ranges and no error means the
// whole entity, to be sent as 200. The error is [ErrUnsatisfiable].
func (s Set) Resolve(size int64) ([]Range, error) {
	if len(s) == 0 {
		return nil, nil
	}
	out := make([]Range, 0, len(s))
	satisfiable := false
	for _, r := range s {
		start, end := r.First, r.Last
		switch {
		case start == None && end == 0: // the last nothing
			continue
		case start == None:
			start, end = max(size-end, 0), size
		case start >= size:
			continue
		case end == None || end >= size:
			end = size
		default:
			end++
		}
		satisfiable = true
		out = append(out, Range{start, end})
	}
	if !satisfiable || abusive(out) {
		return nil, ErrUnsatisfiable
	}
	if size == 0 {
		return nil, nil
	}
	return out, nil
}

func abusive(rs []Range) bool {
	if len(rs) > MaxRanges {
		return true
	}
	overlaps, ascending := 0, true
	for i, a := range rs {
		for j, b := range rs[i+1:] {
			if inside(b.Start, a) || inside(b.End, a) || inside(a.Start, b) || inside(a.End, b) {
				overlaps++
			}
			if j == 0 && cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End)) > 0 {
				ascending = false
			}
		}
	}
	return overlaps > MaxOverlaps || !ascending && len(rs) >= MaxNonascending
}

// inside is strict on both sides, as in Swift: two equal ranges do not overlap by this measure.
func inside(n int64, r Range) bool { return r.Start < n && n < r.End }

// Advance returns the set to ask for after the first n bytes of its first range have been read, for taking over from a
// node that failed. A nil set means a whole entity. If the first range is done the error is [ErrComplete], and the
// caller goes on with s[1:]; more bytes than the range has are [ErrUnsatisfiable].
func (s Set) Advance(n int64) (Set, error) {
	if len(s) == 0 {
		return Set{{n, None}}, nil
	}
	first := s[0]
	left := int64(1) // unknown, but some
	if first.First == None {
		first.Last -= n
		left = first.Last
	} else {
		first.First += n
		if first.Last != None {
			left = first.Last + 1 - first.First
		}
	}
	switch {
	case left == 0:
		return nil, ErrComplete
	case left < 0:
		return nil, ErrUnsatisfiable
	}
	return append(Set{first}, s[1:]...), nil
}

// ParseContentRange reads the Content-Range header of a 206 or of a part. Size is None if it is given as "*".
func ParseContentRange(header string) (r Range, size int64, err error) {
	rest, ok := strings.CutPrefix(header, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	first, last, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 || !allDigits(first) || !allDigits(last) || total != "*" && !allDigits(total) {
		return Range{}, 0, errors.New("malformed content-range " + strconv.Quote(header))
	}
	r, size = Range{number(strings.TrimLeft(first, "0")), number(strings.TrimLeft(last, "0"))}, None
	if total != "*" {
		size = number(strings.TrimLeft(total, "0"))
	}
	if r.End < r.Start || r.End == math.MaxInt64 || size != None && r.End >= size {
		return Range{}, 0, errors.New("impossible content-range " + strconv.Quote(header))
	}
	r.End++
	return r, size, nil
}
