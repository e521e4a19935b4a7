package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var errNotJSON = errors.New("the value is raw text, not json")

// Decode reads a JSON Value into dst, a pointer as for json.Unmarshal. A raw Value is an error.
func (v Value) Decode(dst any) error {
	if !v.JSON {
		return errNotJSON
	}
	if err := json.Unmarshal(v.Data, dst); err != nil {
		return fmt.Errorf("decode cached json: %w", err)
	}
	return nil
}

// EncodeJSON writes v as Python's json.dumps does by default, which is the form that OpenStack Swift caches: a space
// after each comma and colon, everything outside printable ASCII escaped. The order of fields is that of the struct;
// maps are sorted by key. Use Float where Swift has a float.
func EncodeJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode json for the cache: %w", err)
	}
	compact := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	return appendSpaced(make([]byte, 0, len(compact)+len(compact)/8), compact), nil
}

// appendSpaced appends the compact JSON document src to dst in Python's form.
func appendSpaced(dst, src []byte) []byte {
	inString := false
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c >= utf8.RuneSelf || c == 0x7f:
			r, n := utf8.DecodeRune(src[i:])
			dst = appendEscaped(dst, r)
			i += n
			continue
		case inString && c == '\\':
			// The next byte is escaped, so it cannot end the string.
			dst = append(dst, c, src[i+1])
			i += 2
			continue
		case c == '"':
			inString = !inString
		}
		dst = append(dst, c)
		if !inString && (c == ',' || c == ':') {
			dst = append(dst, ' ')
		}
		i++
	}
	return dst
}

// appendEscaped appends r as one or two \u escapes.
func appendEscaped(dst []byte, r rune) []byte {
	if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
		return appendEscaped(appendEscaped(dst, hi), lo)
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// A Float is a number that JSON shows as Python shows a float: 5.0, not 5. Token expiry times are such.
type Float float64

// MarshalJSON writes f as Python's repr does. NaN and the infinities are errors.
func (f Float) MarshalJSON() ([]byte, error) {
	x := float64(f)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil, fmt.Errorf("%v has no json form", x)
	}
	// Python turns to an exponent below 1e-4 and from 1e16 on.
	if abs := math.Abs(x); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.AppendFloat(nil, x, 'e', -1, 64), nil
	}
	b := strconv.AppendFloat(nil, x, 'f', -1, 64)
	if !bytes.ContainsRune(b, '.') {
		b = append(b, ".0"...)
	}
	return b, nil
}
