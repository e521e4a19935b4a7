package listing

import (
	"errors"
	"unicode/utf8"
)

// ErrMalformed is a body that is not a JSON list of objects. Such a body is passed to the client as it is.
var ErrMalformed = errors.New("malformed listing")

// maxDepth bounds lists and objects inside values.
const maxDepth = 64

// Decode reads a listing. The entries keep all keys in order; if a key comes twice the later value stands in the
// earlier place. The body is copied once and may be reused.
func Decode(body []byte) ([]Entry, error) {
	if !utf8.Valid(body) {
		return nil, ErrMalformed
	}
	p := parser{s: string(body)}
	p.space()
	if !p.take('[') {
		return nil, ErrMalformed
	}
	// An entry of a container takes about 200 bytes and five fields.
	entries := make([]Entry, 0, len(body)/200+1)
	p.arena = make([]Field, 0, 5*cap(entries))
	for p.space(); !p.take(']'); p.space() {
		if len(entries) > 0 {
			if !p.take(',') {
				return nil, ErrMalformed
			}
			p.space()
		}
		e, ok := p.entry()
		if !ok {
			return nil, ErrMalformed
		}
		entries = append(entries, e)
	}
	if p.space(); p.i != len(p.s) {
		return nil, ErrMalformed
	}
	return entries, nil
}

type parser struct {
	s     string
	i     int
	arena []Field // holds the fields of many entries
}

func (p *parser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\n' || p.s[p.i] == '\r' || p.s[p.i] == '\t') {
		p.i++
	}
}

func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) entry() (Entry, bool) {
	if !p.take('{') {
		return Entry{}, false
	}
	start := len(p.arena)
	for p.space(); !p.take('}'); p.space() {
		if len(p.arena) > start {
			if !p.take(',') {
				return Entry{}, false
			}
			p.space()
		}
		f, ok := p.field()
		if !ok {
			return Entry{}, false
		}
		p.add(start, f)
	}
	// The capacity ends here so that nobody can append into the next entry.
	return Entry{p.arena[start:len(p.arena):len(p.arena)]}, true
}

func (p *parser) add(start int, f Field) {
	for i := start; i < len(p.arena); i++ {
		if p.arena[i].Key == f.Key {
			p.arena[i].Raw = f.Raw
			return
		}
	}
	p.arena = append(p.arena, f)
}

func (p *parser) field() (Field, bool) {
	begin := p.i
	if !p.str() {
		return Field{}, false
	}
	key, _ := decodeString(p.s[begin:p.i])
	p.space()
	if !p.take(':') {
		return Field{}, false
	}
	p.space()
	begin = p.i
	if !p.value(0) {
		return Field{}, false
	}
	return Field{key, p.s[begin:p.i]}, true
}

// value moves behind one valid value.
func (p *parser) value(depth int) bool {
	if p.i == len(p.s) || depth > maxDepth {
		return false
	}
	switch c := p.s[p.i]; {
	case c == '"':
		return p.str()
	case c == '{':
		return p.group('}', depth, func() bool {
			if !p.str() {
				return false
			}
			p.space()
			if !p.take(':') {
				return false
			}
			p.space()
			return p.value(depth + 1)
		})
	case c == '[':
		return p.group(']', depth, func() bool { return p.value(depth + 1) })
	case c == 't':
		return p.word("true")
	case c == 'f':
		return p.word("false")
	case c == 'n':
		return p.word("null")
	}
	return p.number()
}

func (p *parser) group(end byte, depth int, item func() bool) bool {
	p.i++
	first := true
	for p.space(); !p.take(end); p.space() {
		if !first {
			if !p.take(',') {
				return false
			}
			p.space()
		}
		first = false
		if !item() {
			return false
		}
	}
	return true
}

func (p *parser) word(w string) bool {
	if len(p.s)-p.i < len(w) || p.s[p.i:p.i+len(w)] != w {
		return false
	}
	p.i += len(w)
	return true
}

func (p *parser) digits() bool {
	begin := p.i
	for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
		p.i++
	}
	return p.i > begin
}

func (p *parser) number() bool {
	p.take('-')
	if !p.take('0') && !p.digits() {
		return false
	}
	if p.take('.') && !p.digits() {
		return false
	}
	if p.take('e') || p.take('E') {
		if !p.take('+') {
			p.take('-')
		}
		return p.digits()
	}
	return true
}

func (p *parser) str() bool {
	if !p.take('"') {
		return false
	}
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\':
			if !p.escape() {
				return false
			}
		}
	}
	return false
}

func (p *parser) escape() bool {
	if p.i == len(p.s) {
		return false
	}
	c := p.s[p.i]
	p.i++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if p.i == len(p.s) || !isHex(p.s[p.i]) {
				return false
			}
			p.i++
		}
		return true
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}
