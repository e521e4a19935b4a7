// Package timestamp holds Swift's idea of time: a count of 10 microsecond units since 1970, plus an offset that orders
// several states of one thing that share a time.
//
// A [Timestamp] is a small comparable value: `==`, map keys and [Timestamp.Compare] agree with the order of the internal
// text form. Every function keeps to whole units; floating point appears only where a text is not the usual
// "seconds.fraction" form. The forms are:
//
//	normal     1402464677.04188                     what clients see; never has the offset
//	internal   1402464677.04188_000000000000000a    file names, X-Backend-* headers, database rows
//	short      1402464677.04188_a                   the first part of a delta encoding (see [EncodeDelta])
//	ISO        2014-06-11T05:31:17.041880           listings
//
// It does not tell the time (that is package clock) and knows no time zones: everything is UTC.
//
//	t, err := timestamp.Parse(r.Header.Get("X-Timestamp"))
//	name := string(t.AppendInternal(nil)) + ".data"
package timestamp

import (
	"cmp"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"time"
)

const (
	// UnitsPerSecond is the number of raw units in a second.
	UnitsPerSecond = 100000
	// MaxRaw is the greatest raw value, 9999999999.99999 seconds.
	MaxRaw = 999999999999999

	unit       = 10 * time.Microsecond
	normalSize = len("0000000000.00000")
)

// ErrInvalid is what errors.Is finds in every error of this package's parsers.
var ErrInvalid = errors.New("invalid timestamp")

// A Timestamp is a point in time with an offset. The zero value is 1970 with no offset, 0000000000.00000, which Swift
// uses for "never".
type Timestamp struct {
	raw    int64
	offset uint64
}

// FromRaw makes a Timestamp of a count of 10 microsecond units and an offset. A raw value outside 0..[MaxRaw] becomes
// the nearer end.
func FromRaw(raw int64, offset uint64) Timestamp {
	return Timestamp{raw: min(max(raw, 0), MaxRaw), offset: offset}
}

// FromTime makes a Timestamp of t, rounded to the nearest unit, halves up. Times outside the range become the nearer
// end.
func FromTime(t time.Time) Timestamp {
	seconds := min(max(t.Unix(), -1), MaxRaw/UnitsPerSecond+1)
	return FromRaw(seconds*UnitsPerSecond+(int64(t.Nanosecond())+int64(unit/2))/int64(unit), 0)
}

// Raw returns the units since 1970, without the offset.
func (t Timestamp) Raw() int64 { return t.raw }

// Offset returns the offset, 0 for nearly every Timestamp.
func (t Timestamp) Offset() uint64 { return t.offset }

// WithOffset returns t with its offset replaced.
func (t Timestamp) WithOffset(offset uint64) Timestamp { return Timestamp{raw: t.raw, offset: offset} }

// IsZero reports whether t is the zero value, Swift's "never".
func (t Timestamp) IsZero() bool { return t == Timestamp{} }

// Compare orders by time, then by offset, as the internal text forms do. It returns -1, 0 or 1.
func (t Timestamp) Compare(u Timestamp) int {
	return cmp.Or(cmp.Compare(t.raw, u.raw), cmp.Compare(t.offset, u.offset))
}

// Before reports whether t orders before u.
func (t Timestamp) Before(u Timestamp) bool { return t.Compare(u) < 0 }

// After reports whether t orders after u.
func (t Timestamp) After(u Timestamp) bool { return t.Compare(u) > 0 }

// Inverted returns the Timestamp that sorts the other way round: for t before u, t.Inverted() is after u.Inverted(). A
// time at the very end of the range that also has an offset has no such counterpart; it becomes the zero time with the
// negated offset.
func (t Timestamp) Inverted() Timestamp {
	if t.offset == 0 {
		return FromRaw(MaxRaw-t.raw, 0)
	}
	return FromRaw(MaxRaw-t.raw-1, -t.offset)
}

// Time returns the point in time, in UTC. The offset is lost.
func (t Timestamp) Time() time.Time {
	return time.Unix(t.raw/UnitsPerSecond, t.raw%UnitsPerSecond*int64(unit)).UTC()
}

// LastModified returns the time rounded up to a whole second, as the Last-Modified header shows it.
func (t Timestamp) LastModified() time.Time {
	return time.Unix((t.raw+UnitsPerSecond-1)/UnitsPerSecond, 0).UTC()
}

// Seconds returns the seconds since 1970 as a float, for formats that hold one. The offset is lost.
func (t Timestamp) Seconds() float64 { return float64(t.raw) / UnitsPerSecond }

// Normal returns the form without the offset, such as 1402464677.04188.
func (t Timestamp) Normal() string {
	var buf [normalSize]byte
	return string(t.AppendNormal(buf[:0]))
}

// Internal returns the form with the offset, if there is one, in 16 hex digits: 1402464677.04188_000000000000000a.
func (t Timestamp) Internal() string {
	var buf [normalSize + 17]byte
	return string(t.AppendInternal(buf[:0]))
}

// Short returns the form with the offset, if there is one, in as few digits as possible: 1402464677.04188_a.
func (t Timestamp) Short() string {
	var buf [normalSize + 17]byte
	return string(t.AppendShort(buf[:0]))
}

// String returns the internal form.
func (t Timestamp) String() string { return t.Internal() }

// ISO returns the form of listings, such as 2014-06-11T05:31:17.041880: UTC, six decimals, no zone.
func (t Timestamp) ISO() string {
	var buf [32]byte
	return string(t.AppendISO(buf[:0]))
}

// AppendNormal appends the normal form to dst.
func (t Timestamp) AppendNormal(dst []byte) []byte {
	var buf [normalSize]byte
	v := uint64(t.raw)
	for i := normalSize - 1; i >= 0; i-- {
		if i == normalSize-6 {
			buf[i] = '.'
			continue
		}
		buf[i] = byte('0' + v%10)
		v /= 10
	}
	return append(dst, buf[:]...)
}

// AppendInternal appends the internal form to dst.
func (t Timestamp) AppendInternal(dst []byte) []byte {
	dst = t.AppendNormal(dst)
	if t.offset == 0 {
		return dst
	}
	dst = append(dst, '_')
	for range bits.LeadingZeros64(t.offset) / 4 {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, t.offset, 16)
}

// AppendShort appends the short form to dst.
func (t Timestamp) AppendShort(dst []byte) []byte {
	dst = t.AppendNormal(dst)
	if t.offset == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, '_'), t.offset, 16)
}

// AppendISO appends the ISO form to dst.
func (t Timestamp) AppendISO(dst []byte) []byte {
	return t.Time().AppendFormat(dst, isoLayout)
}

const isoLayout = "2006-01-02T15:04:05.000000"

// rawFromSeconds turns a float into units the way Swift does: dividing by the double nearest to 0.00001 and rounding
// halves to even, so that both sides of the wire land on the same unit.
func rawFromSeconds(f float64) float64 { return math.RoundToEven(f / 1e-5) }
