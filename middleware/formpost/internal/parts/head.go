package parts

import (
	"io"
	"strings"
	"unicode/utf8"
)

type header struct{ name, value string }

// Header returns the value of a part's header, the first of several, and whether there is one. A value that the client
// has folded keeps the line ends inside.
func (p *Part) Header(name string) (value string, ok bool) {
	for _, h := range p.header {
		if strings.EqualFold(h.name, name) {
			return h.value, true
		}
	}
	return "", false
}

// readHead reads up to the empty line, or the end of the part.
func (p *Part) readHead() error {
	var text strings.Builder
	for room := MaxHead; ; {
		line, err := p.line(room)
		if err != nil {
			return err
		}
		room -= len(line)
		if len(line) == 0 || string(line) == "\r\n" || string(line) == "\n" {
			break
		}
		writeUTF8(&text, line)
	}
	p.header = parseHead(text.String())
	return nil
}

// line reads content up to CRLF, or to the end of the part.
func (p *Part) line(room int) ([]byte, error) {
	var line []byte
	for {
		w, err := p.window()
		if err == io.EOF {
			return line, nil
		}
		if err != nil {
			return nil, err
		}
		for i, c := range w {
			if len(line) == room {
				return nil, ErrHead
			}
			line = append(line, c)
			if n := len(line); c == '\n' && n > 1 && line[n-2] == '\r' {
				p.take(i + 1)
				return line, nil
			}
		}
		p.take(len(w))
	}
}

// writeUTF8 writes a line. One that is not in UTF-8 is taken for Latin-1.
func writeUTF8(text *strings.Builder, line []byte) {
	if utf8.Valid(line) {
		text.Write(line)
		return
	}
	for _, c := range line {
		text.WriteRune(rune(c))
	}
}

// parseHead reads headers as Python's email package does: a line that is none ends them, and CR and LF alone end lines
// too.
func parseHead(text string) []header {
	var out []header
	for text != "" {
		var line string
		line, text = cutLine(text)
		if line[0] == ' ' || line[0] == '\t' {
			if n := len(out); n > 0 {
				out[n-1].value += line
			}
			continue
		}
		if strings.HasPrefix(line, "From ") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
			break
		}
		out = append(out, header{name, strings.TrimLeft(value, " \t")})
	}
	for i := range out {
		out[i].value = strings.TrimRight(out[i].value, "\r\n")
	}
	return out
}

// cutLine cuts after the first line end.
func cutLine(text string) (line, rest string) {
	i := strings.IndexAny(text, "\r\n")
	switch {
	case i < 0:
		return text, ""
	case strings.HasPrefix(text[i:], "\r\n"):
		i++
	}
	return text[:i+1], text[i+1:]
}

// Parameters reads a header such as
//
//	form-data; name="file1"; filename="a.txt"
//
// Values may stand in quotes; there are no escapes in them, and a quote counts only if a semicolon or nothing comes after
// it. The first parameter that does not read so ends them. Of two with the same name the last counts.
func Parameters(value string) (kind string, params map[string]string) {
	kind, rest, ok := strings.Cut(value, ";")
	if !ok {
		return value, nil
	}
	kind, rest = strings.TrimSpace(kind), strings.TrimSpace(rest)
	params = map[string]string{}
	for rest != "" {
		name, text, ok := strings.Cut(rest, "=")
		if !ok || name == "" || strings.ContainsFunc(name, func(c rune) bool { return !wordRune(c) }) {
			break
		}
		n := valueLength(text)
		if n == 0 {
			break
		}
		params[name] = strings.Trim(text[:n], `"`)
		rest = strings.TrimPrefix(strings.TrimPrefix(text[n:], ";"), " ")
	}
	return kind, params
}

func wordRune(c rune) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// valueLength returns the length of the parameter's value at the beginning of text; 0 if there is none.
func valueLength(text string) int {
	if !strings.HasPrefix(text, `"`) {
		n := strings.IndexAny(text, `";`)
		switch {
		case n < 0:
			return len(text)
		case text[n] == '"':
			return 0
		}
		return n
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\n':
			return 0
		case text[i] == '"' && (i+1 == len(text) || text[i+1] == ';'):
			return i + 1
		}
	}
	return 0
}
