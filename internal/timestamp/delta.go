package timestamp

import (
	"fmt"
	"strconv"
	"strings"
)

// A Triple is the three times that one object row or one .meta file carries: of the data, of the content type, and of
// the rest of the metadata. In the name of a .meta file the order is metadata time, content-type time, so there Data
// holds the metadata time.
type Triple struct {
	Data, ContentType, Meta Timestamp
}

// Encode returns the form stored as created_at in container rows: the deltas are left out if all are zero.
func (t Triple) Encode() string {
	return EncodeDelta(false, t.Data, t.ContentType, t.Meta)
}

// DecodeTriple reads created_at of a container row. A missing time is that of the one before it. Errors match
// [ErrInvalid].
func DecodeTriple(s string) (Triple, error) {
	t, _, err := DecodeDelta(s)
	return t, err
}

// EncodeDelta returns first in short form followed by the signed hex distance in units of each time of rest (two at
// most) to the one before it. Unless explicit is set the distances are left out when all of them are zero. Offsets of
// rest are lost.
//
//	EncodeDelta(true, metaTime, contentTypeTime) + ".meta"
func EncodeDelta(explicit bool, first Timestamp, rest ...Timestamp) string {
	var buf [80]byte
	return string(AppendDelta(buf[:0], explicit, first, rest...))
}

// AppendDelta appends what [EncodeDelta] returns to dst.
func AppendDelta(dst []byte, explicit bool, first Timestamp, rest ...Timestamp) []byte {
	dst = first.AppendShort(dst)
	for _, t := range rest {
		explicit = explicit || t.raw != first.raw
	}
	if !explicit {
		return dst
	}
	previous := first.raw
	for _, t := range rest {
		if delta := t.raw - previous; delta < 0 {
			dst = strconv.AppendInt(dst, delta, 16)
		} else {
			dst = strconv.AppendInt(append(dst, '+'), delta, 16)
		}
		previous = t.raw
	}
	return dst
}

// DecodeDelta reads a delta encoding of one to three times and says how many the text held; the others are copies of
// the last one, which is what row readers want, while readers of .meta names treat them as absent. A zero distance
// copies the time before it with its offset. Errors match [ErrInvalid].
func DecodeDelta(s string) (t Triple, present int, err error) {
	head := s
	if i := strings.IndexAny(s, "+-"); i >= 0 {
		head = s[:i]
	}
	if t.Data, err = Parse(head); err != nil {
		return Triple{}, 0, err
	}
	if t.ContentType, present, err = decodeStep(s, len(head), t.Data); err != nil {
		return Triple{}, 0, err
	}
	t.Meta = t.ContentType
	if present == 0 {
		return t, 1, nil
	}
	at := len(head) + present
	if t.Meta, present, err = decodeStep(s, at, t.ContentType); err != nil {
		return Triple{}, 0, err
	}
	if present == 0 {
		return t, 2, nil
	}
	if at+present != len(s) {
		return Triple{}, 0, fmt.Errorf("decode %q: %w: more than three times", s, ErrInvalid)
	}
	return t, 3, nil
}

// decodeStep reads the signed distance that starts at s[at] and returns previous moved by it, and the length of the
// text read, 0 at the end of s.
func decodeStep(s string, at int, previous Timestamp) (t Timestamp, size int, err error) {
	if at == len(s) {
		return previous, 0, nil
	}
	digits := s[at+1:]
	if i := strings.IndexAny(digits, "+-"); i >= 0 {
		digits = digits[:i]
	}
	distance, err := parseHex(digits)
	if err != nil {
		return Timestamp{}, 0, fmt.Errorf("decode %q: %w", s, err)
	}
	if distance == 0 {
		return previous, 1 + len(digits), nil
	}
	// Above the range the sum cannot be valid; checking first keeps it from overflowing.
	raw := int64(min(distance, MaxRaw+1))
	if s[at] == '-' {
		raw = -raw
	}
	raw += previous.raw
	if raw < 0 || raw > MaxRaw {
		return Timestamp{}, 0, fmt.Errorf("decode %q: %w: not in 0..9999999999.99999", s, ErrInvalid)
	}
	return Timestamp{raw: raw}, 1 + len(digits), nil
}
