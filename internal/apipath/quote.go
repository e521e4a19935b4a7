package apipath

import "strings"

const upperHex = "0123456789ABCDEF"

// unreserved bytes are never escaped: RFC 3986 section 2.3, which is also what Python's urllib leaves alone.
func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '_' || c == '.' || c == '-' || c == '~'
}

// Quote escapes a path as Swift does: every byte but letters, digits, "_.-~" and "/" becomes %XX in upper case. Go's
// own escaping leaves more alone (":", "@", "$"...), which shows in Location headers, signatures and cache keys.
func Quote(s string) string { return quote(s, '/', false) }

// QuoteAll is [Quote] that escapes slashes too, for a name that must stay one segment.
func QuoteAll(s string) string { return quote(s, 0, false) }

// QuotePlus is [QuoteAll] with spaces as "+", the form of query strings.
func QuotePlus(s string) string { return quote(s, 0, true) }

// AppendQuote appends Quote(s) to dst.
func AppendQuote(dst []byte, s string) []byte { return appendQuote(dst, s, '/', false) }

func quote(s string, safe byte, plus bool) string {
	n := 0
	for i := range len(s) {
		if c := s[i]; !unreserved(c) && (c != safe || safe == 0) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	return string(appendQuote(make([]byte, 0, len(s)+2*n), s, safe, plus))
}

func appendQuote(dst []byte, s string, safe byte, plus bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		// safe 0 means none: NUL itself is always escaped.
		case unreserved(c), c == safe && safe != 0:
			dst = append(dst, c)
		case c == ' ' && plus:
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// Unquote undoes the escaping of a path in a header value (Destination, X-Copy-From, ACL elements). It is as lenient
// as Python's: a percent sign without two hex digits stays as it is, so there is no error.
func Unquote(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b = append(b, hi<<4|lo)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
