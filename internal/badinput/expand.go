package badinput

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// errEscape is a backslash sequence that the files do not know.
var errEscape = errors.New("unknown escape")

// maxCopies bounds {repeat} and {each}: nothing in the table needs more.
const maxCopies = 1 << 23

// vars are the values of the placeholders that differ from server to server, by name.
type vars map[string]string

// placeholders that a request may use. Their values are known only at run time.
var placeholders = []string{
	"host", "user", "key", "token", "other-token", "account", "other-account", "container", "fresh", "policy",
}

// placeholder finds {name} and {name:argument}; JSON in a header is none, as a quote follows its brace.
var placeholder = regexp.MustCompile(`\{([a-z][a-z-]*)(?::([^{}]*):(\d+))?\}`)

// expand turns a line of a request into bytes. With nil vars it only checks.
func expand(line string, v vars) ([]byte, error) {
	var out bytes.Buffer
	for line != "" {
		loc := placeholder.FindStringSubmatchIndex(line)
		text := line
		if loc != nil {
			text = line[:loc[0]]
		}
		plain, err := unescape(text)
		if err != nil {
			return nil, err
		}
		out.Write(plain)
		if loc == nil {
			break
		}
		if err := substitute(&out, placeholder.FindStringSubmatch(line), v); err != nil {
			return nil, err
		}
		line = line[loc[1]:]
	}
	return out.Bytes(), nil
}

func substitute(out *bytes.Buffer, m []string, v vars) error {
	name, text, count := m[1], m[2], m[3]
	switch name {
	case "repeat", "each":
		n, err := strconv.Atoi(count)
		if err != nil || n > maxCopies {
			return fmt.Errorf("%s: want {%s:TEXT:N} with N up to %d", m[0], name, maxCopies)
		}
		plain, err := unescape(text)
		if err != nil {
			return err
		}
		if name == "repeat" {
			out.Write(bytes.Repeat(plain, n))
			return nil
		}
		for i := range n {
			out.Write(bytes.ReplaceAll(plain, []byte("#"), strconv.AppendInt(nil, int64(i), 10)))
		}
		return nil
	}
	for _, known := range placeholders {
		if name == known && count == "" {
			out.WriteString(v[name])
			return nil
		}
	}
	return fmt.Errorf("unknown placeholder %s", m[0])
}

// unescape resolves \xNN, \r, \n, \t and \\.
func unescape(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, fmt.Errorf("%w: backslash at the end of %q", errEscape, s)
		}
		switch s[i] {
		case 'r':
			out = append(out, '\r')
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case '\\':
			out = append(out, '\\')
		case 'x':
			n, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8)
			if err != nil || i+3 > len(s) {
				return nil, fmt.Errorf("%w: two hex digits must follow \\x in %q", errEscape, s)
			}
			out = append(out, byte(n))
			i += 2
		default:
			return nil, fmt.Errorf("%w: \\%c in %q", errEscape, s[i], s)
		}
	}
	return out, nil
}

// request puts together the bytes that an exchange sends.
func (e *Exchange) request(v vars) ([]byte, error) {
	var out []byte
	for _, line := range e.Send {
		end := "\r\n"
		if body := strings.TrimSuffix(line, `\`); len(line)-len(body) == 1 && !strings.HasSuffix(body, `\`) {
			line, end = body, ""
		}
		b, err := expand(line, v)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		out = append(append(out, b...), end...)
	}
	return out, nil
}

// escape is the inverse of unescape for one line; long runs of one letter become {repeat}.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		text := s[i : i+size]
		shown := text
		switch {
		case r == utf8.RuneError && size == 1:
			shown = fmt.Sprintf(`\x%02x`, s[i])
		case r == '\\':
			shown = `\\`
		case r == '\r':
			shown = `\r`
		case r == '\t':
			shown = `\t`
		case !unicode.IsPrint(r):
			shown = ""
			for _, c := range []byte(text) {
				shown += fmt.Sprintf(`\x%02x`, c)
			}
		}
		run := 1
		for strings.HasPrefix(s[i+run*size:], text) {
			run++
		}
		if run >= minRun && r != '{' && r != '}' {
			fmt.Fprintf(&b, "{repeat:%s:%d}", shown, run)
			i += run * size
			continue
		}
		b.WriteString(shown)
		i += size
	}
	return b.String()
}

// minRun is the length from which equal letters are written as {repeat}.
const minRun = 24
