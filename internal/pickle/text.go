package pickle

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/ascii"
)

// Python keeps bytes that are no UTF-8 inside text as the lone surrogates U+DC80 to U+DCFF, and writes those to pickles
// as if they were characters: ED B2 80 to ED B3 BF. In Go they are simply the bytes.

// appendText appends s as a pickle holds text: UTF-8, with stray bytes turned into surrogates.
func appendText(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(dst, s...)
	}
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, 0xED, 0xB0|s[0]>>6, 0x80|s[0]&0x3F)
		} else {
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return dst
}

// textSize returns how many bytes appendText would append.
func textSize(s string) int {
	if utf8.ValidString(s) {
		return len(s)
	}
	return len(appendText(nil, s))
}

// textOf undoes appendText.
func textOf(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == 0xED && i+2 < len(s) && (s[i+1] == 0xB2 || s[i+1] == 0xB3) && s[i+2]&0xC0 == 0x80 {
			out = append(out, s[i+1]<<6|s[i+2]&0x3F)
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// appendLatin1AsUTF8 appends s with every byte taken as the character of that number.
func appendLatin1AsUTF8(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf {
			dst = append(dst, c)
		} else {
			dst = append(dst, 0xC0|c>>6, 0x80|c&0x3F)
		}
	}
	return dst
}

// latin1Size returns how many bytes appendLatin1AsUTF8 would append.
func latin1Size(s string) int {
	n := len(s)
	for i := range len(s) {
		n += int(s[i] >> 7)
	}
	return n
}

// latin1Of returns one byte per character of text, and false if a character does not fit.
func latin1Of(text string) (string, bool) {
	if ascii.Is(text) {
		return text, true
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r > 0xFF {
			return "", false
		}
		out = append(out, byte(r))
		i += size
	}
	return string(out), true
}

// rawUnicodeEscape decodes the argument of UNICODE: Latin-1 with \uXXXX and \UXXXXXXXX for the rest.
func rawUnicodeEscape(line string) (string, error) {
	if ascii.Is(line) && !strings.Contains(line, `\`) {
		return line, nil
	}
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' || i+1 == len(line) {
			out = utf8.AppendRune(out, rune(line[i]))
			continue
		}
		i++
		size := 0
		switch line[i] {
		case 'u':
			size = 4
		case 'U':
			size = 8
		default:
			out = utf8.AppendRune(append(out, '\\'), rune(line[i]))
			continue
		}
		if i+size >= len(line) {
			return "", fmt.Errorf("%w: cut escape in %q", ErrInvalid, line)
		}
		r, err := strconv.ParseUint(line[i+1:i+1+size], 16, 32)
		if err != nil || r > utf8.MaxRune {
			return "", fmt.Errorf("%w: bad escape in %q", ErrInvalid, line)
		}
		i += size
		if r >= 0xDC80 && r <= 0xDCFF {
			out = append(out, byte(r))
			continue
		}
		out = utf8.AppendRune(out, rune(r))
	}
	return string(out), nil
}

// quotedBytes decodes the argument of STRING, a Python 2 string literal with its quotes.
func quotedBytes(line string) (Bytes, error) {
	line = strings.TrimSpace(line)
	n := len(line)
	if n < 2 || (line[0] != '\'' && line[0] != '"') || line[n-1] != line[0] {
		return "", fmt.Errorf("%w: string %q without its quotes", ErrInvalid, line)
	}
	line = line[1 : n-1]
	if !strings.Contains(line, `\`) {
		return Bytes(line), nil
	}
	out := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' {
			out = append(out, line[i])
			continue
		}
		i++
		if i == len(line) {
			return "", fmt.Errorf("%w: cut escape in %q", ErrInvalid, line)
		}
		if at := strings.IndexByte(`\'"abfnrtv`, line[i]); at >= 0 {
			out = append(out, "\\'\"\a\b\f\n\r\t\v"[at])
			continue
		}
		// What is left is \xHH, or up to three octal digits.
		digits, base := line[i:min(i+3, len(line))], 8
		if line[i] == 'x' {
			digits, base = line[i+1:min(i+3, len(line))], 16
			i++
			if len(digits) < 2 {
				return "", fmt.Errorf("%w: cut escape in %q", ErrInvalid, line)
			}
		} else {
			digits = digits[:len(digits)-len(strings.TrimLeft(digits, "01234567"))]
		}
		c, err := strconv.ParseUint(digits, base, 16)
		if err != nil {
			return "", fmt.Errorf("%w: bad escape in %q", ErrInvalid, line)
		}
		out = append(out, byte(c))
		i += len(digits) - 1
	}
	return Bytes(out), nil
}
