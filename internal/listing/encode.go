package listing

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const lowerHex = "0123456789abcdef"

// Append appends a whole listing as Swift writes it.
func Append(dst []byte, entries []Entry) []byte {
	dst = append(dst, '[')
	for i := range entries {
		if i > 0 {
			dst = append(dst, Separator...)
		}
		dst = entries[i].Append(dst)
	}
	return append(dst, ']')
}

// Append appends the entry. Values that came in another spelling (other white space, raw UTF-8, needless escapes) are
// written in Swift's; numbers stay as they were.
func (e Entry) Append(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range e.fields {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = AppendString(dst, e.fields[i].Key)
		dst = append(dst, ": "...)
		dst = appendNormal(dst, e.fields[i].Raw)
	}
	return append(dst, '}')
}

// appendNormal copies valid JSON text, respelling strings and the space between parts.
func appendNormal(dst []byte, raw string) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; c {
		case '"':
			end := stringEnd(raw, i)
			if s := raw[i:end]; plain(s) {
				dst = append(dst, s...)
			} else {
				text, _ := decodeString(s)
				dst = AppendString(dst, text)
			}
			i = end
			continue
		case ' ', '\t', '\r', '\n':
		case ',', ':':
			dst = append(dst, c, ' ')
		default:
			dst = append(dst, c)
		}
		i++
	}
	return dst
}

// plain strings are spelled as Swift does already.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '\\' || c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// stringEnd returns the index after the closing quote of the string that starts at i.
func stringEnd(raw string, i int) int {
	for i++; i < len(raw) && raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(raw))
}

// AppendString appends a JSON string in ASCII: everything but printable ASCII is escaped, beyond the basic plane as
// two surrogates. A byte that is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c <= '~' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		size := 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\b':
			dst = append(dst, '\\', 'b')
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r > 0xffff {
				hi, lo := utf16.EncodeRune(r)
				dst = appendEscape(dst, hi)
				r = lo
			}
			dst = appendEscape(dst, r)
		}
		i += size
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', lowerHex[r>>12&15], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
}

// decodeString returns the text of a valid JSON string. A lone surrogate becomes U+FFFD.
func decodeString(raw string) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b = append(b, raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'f':
			b = append(b, '\f')
		case 'b':
			b = append(b, '\b')
		case 'u':
			r := hex4(raw[i+1 : i+5])
			i += 4
			if utf16.IsSurrogate(r) && i+6 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' {
				if both := utf16.DecodeRune(r, hex4(raw[i+3:i+7])); both != utf8.RuneError {
					r = both
					i += 6
				}
			}
			b = utf8.AppendRune(b, r) // a surrogate becomes RuneError
		default: // the quote, the backslash, the slash
			b = append(b, raw[i])
		}
	}
	return string(b), true
}

func hex4(s string) rune {
	var r rune
	for i := range 4 {
		c := s[i]
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c | 0x20 - 'a' + 10
		}
		r = r<<4 | rune(c)
	}
	return r
}
