package swiftconf

import (
	"fmt"
	"strings"

	"github.com/apus-storage/apus/internal/ini"
)

// defaultSection is the section whose options all others inherit.
const defaultSection = ini.Default

// parseINI reads swift.conf as Swift does: in Latin-1, so that a secret is the same byte for byte.
func parseINI(path string, data []byte) ([]*ini.Section, error) {
	file, err := ini.Parse(path, data, ini.Rules{Latin1: true})
	if err != nil {
		return nil, err
	}
	return file.Sections, nil
}

// asTOML writes the sections as TOML, each on the line where it stood, so that one decoder with its places and its
// strictness serves both kinds of file. Bytes become the characters that Latin-1 has for them.
func asTOML(sections []*ini.Section) []byte {
	var out []byte
	line := 1
	moveTo := func(target int) {
		for ; line < target; line++ {
			out = append(out, '\n')
		}
	}
	// A second [DEFAULT] adds to the first, which in TOML is not possible: those options come right after the others.
	for _, s := range sections {
		moveTo(s.Line)
		out = append(out, '[')
		if number, ok := strings.CutPrefix(s.Name, policySection+":"); ok {
			out = append(appendQuoted(out, policySection), '.')
			out = appendQuoted(out, number)
		} else {
			out = appendQuoted(out, s.Name)
		}
		out = append(out, ']')
		for _, o := range s.Options {
			moveTo(max(o.Line, line+1))
			out = append(appendQuoted(out, o.Key), " = "...)
			out = appendQuoted(out, o.Value)
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
