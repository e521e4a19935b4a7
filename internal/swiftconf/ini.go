package swiftconf

import (
	"fmt"
	"strings"

	"github.com/apus-storage/apus/internal/config"
)

// Swift reads swift.conf with Python's ConfigParser. Its rules are kept by hand here: ini.v1 and its kind differ in what
// matters for a secret that must be the same byte for byte. They take quotes and backquotes off values, end values at an
// inline # or ;, and know neither %% nor the blanks of Latin-1, which Python strips too.

// defaultSection is the section whose options all others inherit.
const defaultSection = "DEFAULT"

// maxInterpolation is how deep %(name)s may refer to values that refer to others.
const maxInterpolation = 10

// An iniSection is a section in the order of the file, its options in Latin-1.
type iniSection struct {
	name    string
	line    int
	options []*iniOption
}

type iniOption struct {
	key string
	// lines are the value's lines, without the blanks around each.
	lines []string
	line  int
	value string
}

func (s *iniSection) find(key string) *iniOption {
	for _, o := range s.options {
		if o.key == key {
			return o
		}
	}
	return nil
}

// iniReader is the state between two lines.
type iniReader struct {
	path     string
	sections []*iniSection
	section  *iniSection
	option   *iniOption
	// indent is that of the last line that began something; lines further in continue the option's value.
	indent int
}

func parseINI(path string, data []byte) ([]*iniSection, error) {
	r := iniReader{path: path}
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		number++
		if err := r.line(line, number); err != nil {
			return nil, err
		}
	}
	for _, s := range r.sections {
		for _, o := range s.options {
			o.value = stripRight(strings.Join(o.lines, "\n"))
		}
	}
	// Values refer to other values as they stand in the file, so the results are kept apart until all are known.
	expanded := make(map[*iniOption]string)
	for _, s := range r.sections {
		for _, o := range s.options {
			value, err := r.expand(s, o.value, 1)
			if err != nil {
				return nil, r.fault(o.line, o.key, "%v", err)
			}
			expanded[o] = value
		}
	}
	for o, value := range expanded {
		o.value = value
	}
	return r.sections, nil
}

func (r *iniReader) fault(line int, key, problem string, args ...any) error {
	if r.section != nil && key == "" {
		key = r.section.name
	}
	return &config.Error{File: r.path, Line: line, Key: key, Problem: fmt.Sprintf(problem, args...)}
}

// line reads one line of the file.
func (r *iniReader) line(line string, number int) error {
	value := strip(line)
	if value == "" {
		if r.option != nil {
			r.option.lines = append(r.option.lines, "")
		}
		return nil
	}
	if value[0] == '#' || value[0] == ';' {
		return nil
	}
	indent := len(line) - len(stripLeft(line))
	if r.option != nil && indent > r.indent {
		r.option.lines = append(r.option.lines, value)
		return nil
	}
	r.indent = indent
	if end := strings.LastIndexByte(value, ']'); value[0] == '[' && end > 1 {
		return r.header(value[1:end], number)
	}
	if r.section == nil {
		return r.fault(number, "", "%q stands before any [section]", value)
	}
	at := strings.IndexAny(value, "=:")
	if at < 0 {
		return r.fault(number, "", "%q is neither a [section] nor an option with its value", value)
	}
	key := strings.ToLower(stripRight(value[:at]))
	if key == "" {
		return r.fault(number, "", "a value without the name of its option")
	}
	if first := r.section.find(key); first != nil {
		return r.fault(number, r.section.name+"."+key, "it is set already, in line %d", first.line)
	}
	r.option = &iniOption{key: key, lines: []string{stripLeft(value[at+1:])}, line: number}
	r.section.options = append(r.section.options, r.option)
	return nil
}

// header begins a section. Only [DEFAULT] may come more than once.
func (r *iniReader) header(name string, number int) error {
	r.option = nil
	for _, s := range r.sections {
		if s.name != name {
			continue
		}
		if name != defaultSection {
			return r.fault(number, name, "the section is there already, in line %d", s.line)
		}
		r.section = s
		return nil
	}
	r.section = &iniSection{name: name, line: number}
	r.sections = append(r.sections, r.section)
	return nil
}

// expand replaces %(name)s by the value of an option of the same section or of [DEFAULT], and %% by %.
func (r *iniReader) expand(s *iniSection, value string, depth int) (string, error) {
	if depth > maxInterpolation {
		return "", fmt.Errorf("%q refers to other options more than %d deep", value, maxInterpolation)
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(value, "%")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			out.WriteByte('%')
			value = after
			continue
		}
		name, after, ok := strings.Cut(rest, ")s")
		name, open := strings.CutPrefix(name, "(")
		if !ok || !open || name == "" || strings.Contains(name, ")") {
			return "", fmt.Errorf("a %% must be doubled, or be part of %%(option)s, in %q", value)
		}
		o := s.find(strings.ToLower(name))
		for _, d := range r.sections {
			if o == nil && d.name == defaultSection {
				o = d.find(strings.ToLower(name))
			}
		}
		if o == nil {
			return "", fmt.Errorf("%%(%s)s names no option of this section or of [%s]", name, defaultSection)
		}
		inner, err := r.expand(s, o.value, depth+1)
		if err != nil {
			return "", err
		}
		out.WriteString(inner)
		value = after
	}
}

// asTOML writes the sections as TOML, each on the line where it stood, so that one decoder with its places and its
// strictness serves both kinds of file. Bytes become the characters that Latin-1 has for them.
func asTOML(sections []*iniSection) []byte {
	var out []byte
	line := 1
	moveTo := func(target int) {
		for ; line < target; line++ {
			out = append(out, '\n')
		}
	}
	// A second [DEFAULT] adds to the first, which in TOML is not possible: those options come right after the others.
	for _, s := range sections {
		moveTo(s.line)
		out = append(out, '[')
		if number, ok := strings.CutPrefix(s.name, policySection+":"); ok {
			out = append(appendQuoted(out, policySection), '.')
			out = appendQuoted(out, number)
		} else {
			out = appendQuoted(out, s.name)
		}
		out = append(out, ']')
		for _, o := range s.options {
			moveTo(max(o.line, line+1))
			out = append(appendQuoted(out, o.key), " = "...)
			out = appendQuoted(out, o.value)
		}
		out, line = append(out, '\n'), line+1
	}
	return out
}

// appendQuoted appends s, Latin-1, as a TOML string.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || (c >= 0x7f && c <= 0x9f):
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, string(rune(c))...)
		}
	}
	return append(dst, '"')
}

// fromLatin1 undoes what appendQuoted did to bytes.
func fromLatin1(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		out = append(out, byte(r))
	}
	return out
}

// isBlank reports whether Python's strip takes the character off: in Latin-1 more than ASCII has.
func isBlank(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f) || c == 0x85 || c == 0xa0
}

func stripLeft(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	return s
}

func stripRight(s string) string {
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func strip(s string) string { return stripLeft(stripRight(s)) }
