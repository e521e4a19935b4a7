package listing

import (
	"strconv"
	"strings"
)

// CutSwiftBytes takes the parameter swift_bytes, the true size of a large object, out of a content type that has
// parameters. As in Swift the others are written again without space around them, one without a value gets an equals
// sign, and what is no parameter is lost. ok says whether size is to replace the one in the row: a swift_bytes that is
// not a number is taken out and ignored.
func CutSwiftBytes(contentType string) (shown string, size int64, ok bool) {
	kind, _, found := strings.Cut(contentType, ";")
	if !found {
		return contentType, 0, false
	}
	b := make([]byte, 0, len(contentType)+1)
	b = append(b, kind...)
	params := contentType[len(kind):]
	for params != "" {
		var key, value string
		if key, value, params = nextParam(params); key == "" {
			break
		}
		if key == "swift_bytes" {
			n, err := strconv.ParseInt(value, 10, 64)
			size, ok = n, err == nil
			continue
		}
		b = append(b, ';')
		b = append(b, key...)
		b = append(b, '=')
		b = append(b, value...)
	}
	return string(b), size, ok
}

// StripSwiftBytes removes a swift_bytes parameter at the end of a content type, which is where Swift puts it, and
// leaves everything else as it is.
func StripSwiftBytes(contentType string) string {
	i := strings.LastIndexByte(contentType, ';')
	if i >= 0 && strings.HasPrefix(strings.TrimLeft(contentType[i+1:], " \t"), "swift_bytes=") {
		return contentType[:i]
	}
	return contentType
}

// nextParam returns the first parameter in s and what follows it. What cannot be a parameter is skipped up to the next
// semicolon.
func nextParam(s string) (key, value, rest string) {
	for {
		i := strings.IndexByte(s, ';')
		if i < 0 {
			return "", "", ""
		}
		s = s[i+1:]
		t := skipSpace(s)
		n := tokenLen(t)
		if n == 0 {
			continue
		}
		key, rest = t[:n], t[n:]
		if v, ok := strings.CutPrefix(skipSpace(rest), "="); ok {
			v = skipSpace(v)
			if n := valueLen(v); n > 0 {
				return key, v[:n], v[n:]
			}
		}
		return key, "", rest
	}
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t\r\n\v\f") }

// tokenLen returns the length of the RFC 2616 token at the start of s, 0 if there is none. As in Swift the
// backslash and bytes above 0x7f are part of tokens.
func tokenLen(s string) int {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`()<>@,;:"/[]?={}`, c) >= 0 {
			return i
		}
	}
	return len(s)
}

// valueLen returns the length of the token or quoted string at the start of s, 0 if there is none.
func valueLen(s string) int {
	if s == "" || s[0] != '"' {
		return tokenLen(s)
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
}
