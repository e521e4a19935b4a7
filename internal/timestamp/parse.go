package timestamp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads the normal, internal and short forms, and whatever a float parser accepts in place of the seconds
// ("1e9", blanks around it), with at most five decimals kept. The offset is up to 16 hex digits. Errors match
// [ErrInvalid].
func Parse(s string) (Timestamp, error) {
	seconds, offsetText, hasOffset := strings.Cut(s, "_")
	raw, ok := parsePlain(seconds)
	if !ok {
		f, err := parseFloat(seconds)
		if err != nil {
			return Timestamp{}, fmt.Errorf("parse %q: %w", s, err)
		}
		rounded := rawFromSeconds(f)
		// Written so that a NaN fails too.
		if !(f >= 0 && rounded <= MaxRaw) {
			return Timestamp{}, fmt.Errorf("parse %q: %w: not in 0..9999999999.99999", s, ErrInvalid)
		}
		raw = int64(rounded)
	}
	// Swift takes a bare "_" at the end as offset 0.
	if !hasOffset || offsetText == "" {
		return Timestamp{raw: raw}, nil
	}
	offset, err := parseHex(offsetText)
	if err != nil {
		return Timestamp{}, fmt.Errorf("parse offset of %q: %w", s, err)
	}
	return Timestamp{raw: raw, offset: offset}, nil
}

// ParseISO reads the form that listings show; decimals may be missing, and those beyond the fifth are dropped.
func ParseISO(s string) (Timestamp, error) {
	t, err := time.Parse("2006-01-02T15:04:05", s)
	if err != nil {
		return Timestamp{}, fmt.Errorf("parse %q: %w", s, ErrInvalid)
	}
	if t.Year() < 1970 || t.Unix() > MaxRaw/UnitsPerSecond {
		return Timestamp{}, fmt.Errorf("parse %q: %w: not in 0..9999999999.99999 seconds", s, ErrInvalid)
	}
	return Timestamp{raw: t.Unix()*UnitsPerSecond + int64(t.Nanosecond())/int64(unit)}, nil
}

// ParseDeleteAt reads the time of an expiry: any number, clamped to 0..9999999999.99999. [Timestamp.Normal] of the
// result is the high precision form, [NormalizeDeleteAt] gives the usual one. Errors match [ErrInvalid].
func ParseDeleteAt(s string) (Timestamp, error) {
	f, err := parseFloat(s)
	if err != nil || math.IsNaN(f) {
		return Timestamp{}, fmt.Errorf("parse delete-at %q: %w", s, ErrInvalid)
	}
	switch raw := rawFromSeconds(f); {
	case raw <= 0:
		return Timestamp{}, nil
	case raw >= MaxRaw:
		return Timestamp{raw: MaxRaw}, nil
	default:
		return Timestamp{raw: int64(raw)}, nil
	}
}

// NormalizeDeleteAt turns the time of an expiry into ten digits of whole seconds, truncated: the form in X-Delete-At
// and in the names of the expiry queue. Out of range values become the nearer end. Errors match [ErrInvalid].
func NormalizeDeleteAt(s string) (string, error) {
	t, err := ParseDeleteAt(s)
	if err != nil {
		return "", err
	}
	return t.Normal()[:normalSize-6], nil
}

// parsePlain reads digits with at most five decimals exactly. It says false for everything else, right or wrong, which
// the float parser then judges.
func parsePlain(s string) (raw int64, ok bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" || len(whole) > 10 || len(fraction) > 5 {
		return 0, false
	}
	for _, c := range []byte(whole) {
		if c < '0' || c > '9' {
			return 0, false
		}
		raw = raw*10 + int64(c-'0')
	}
	for i := range 5 {
		raw *= 10
		if i >= len(fraction) {
			continue
		}
		c := fraction[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		raw += int64(c - '0')
	}
	return raw, true
}

// parseFloat reads what Python's float() reads of ASCII text: blanks around it are fine, hexadecimal floats, which Go
// would take, are not.
func parseFloat(s string) (float64, error) {
	trimmed := strings.Trim(s, " \t\n\v\f\r\x1c\x1d\x1e\x1f")
	if strings.ContainsAny(trimmed, "xX_") {
		return 0, ErrInvalid
	}
	f, err := strconv.ParseFloat(trimmed, 64)
	// A number too large for a float comes back as infinity, which the callers' bounds deal with.
	if err != nil && !math.IsInf(f, 0) {
		return 0, ErrInvalid
	}
	return f, nil
}

// parseHex reads 1 to 16 bare hex digits of either case.
func parseHex(s string) (uint64, error) {
	if s == "" || len(s) > 16 {
		return 0, fmt.Errorf("%w: %d hex digits", ErrInvalid, len(s))
	}
	var v uint64
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, fmt.Errorf("%w: %q is not a hex digit", ErrInvalid, c)
		}
		v = v<<4 | uint64(c)
	}
	return v, nil
}
