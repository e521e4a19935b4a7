package config

import "strings"

// A lineIndex maps a dotted key to the line it stands on. The TOML library keeps no positions of what it decoded, so
// the text, already known to be valid, is read once more for its keys alone.
type lineIndex map[string]int

const keySep = "\x00"

func (l lineIndex) of(path []string) int { return l[strings.Join(path, keySep)] }

// indexLines notes the first line of every table header and key. Keys within inline tables get the line of the key
// that holds the table.
func indexLines(text string) lineIndex {
	index := lineIndex{}
	var table []string
	lists := map[string]int{} // how many tables of each [[key]] there have been
	note := func(path []string, line int) {
		for n := 1; n <= len(path); n++ {
			noteOnce(index, path[:n], line)
		}
	}
	s := scanner{text: text, line: 1}
	for s.skipBlank() {
		start := s.line
		if s.peek() == '[' {
			brackets := 0
			for s.peek() == '[' {
				s.pos++
				brackets++
			}
			table = placed(s.key(), lists, brackets == 2, func(path []string) { noteOnce(index, path, start) })
			// A sub-table's header says where that table is, not where its parents are.
			noteOnce(index, table, start)
			s.skipLine()
			continue
		}
		path := append(append([]string(nil), table...), s.key()...)
		note(path, start)
		s.skipValue()
	}
	return index
}

func noteOnce(index lineIndex, path []string, line int) {
	k := strings.Join(path, keySep)
	if _, ok := index[k]; !ok {
		index[k] = line
	}
}

// placed is the path of a table's header with the number of each list that it is in, as listKey has it. One of [[key]] is the next
// of its list.
func placed(header []string, lists map[string]int, next bool, note func(path []string)) []string {
	path := make([]string, 0, len(header))
	for i, name := range header {
		path = append(path, name)
		k := strings.Join(path, keySep)
		if next && i == len(header)-1 {
			lists[k]++
			note(path)
		}
		if n := lists[k]; n > 0 {
			path[i] = listKey(name, n)
		}
	}
	return path
}

type scanner struct {
	text string
	pos  int
	line int
}

func (s *scanner) peek() byte {
	if s.pos >= len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

// skipBlank moves to the next byte that is neither white space nor comment, and says whether there is one.
func (s *scanner) skipBlank() bool {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case '\n':
			s.line++
			s.pos++
		case ' ', '\t', '\r', 0xef, 0xbb, 0xbf: // the last three are a byte order mark
			s.pos++
		case '#':
			s.skipLine()
		default:
			return true
		}
	}
	return false
}

func (s *scanner) skipLine() {
	for s.pos < len(s.text) && s.text[s.pos] != '\n' {
		s.pos++
	}
}

// key reads a dotted key up to '=' or ']'.
func (s *scanner) key() []string {
	var path []string
	for s.pos < len(s.text) {
		switch c := s.peek(); c {
		case ' ', '\t', '.':
			s.pos++
		case '=', ']', '\n':
			return path
		case '"', '\'':
			end := s.stringEnd()
			path = append(path, strings.Trim(s.text[s.pos:end], string(c)))
			s.pos = end
		default:
			end := s.pos
			for end < len(s.text) && !strings.ContainsRune(" \t.=]\n", rune(s.text[end])) {
				end++
			}
			path = append(path, s.text[s.pos:end])
			s.pos = end
		}
	}
	return path
}

// skipValue moves past "= value", over as many lines as its brackets and strings span.
func (s *scanner) skipValue() {
	depth := 0
	for s.pos < len(s.text) {
		switch s.peek() {
		case '"', '\'':
			end := s.stringEnd()
			s.line += strings.Count(s.text[s.pos:end], "\n")
			s.pos = end
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '#':
			s.skipLine()
			continue
		case '\n':
			if depth == 0 {
				return
			}
			s.line++
		}
		s.pos++
	}
}

// stringEnd returns the position after the string that starts here.
func (s *scanner) stringEnd() int {
	quote := s.text[s.pos : s.pos+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		for i := s.pos + 3; i < len(s.text); i++ {
			if s.text[i] == '\\' && quote == `"` {
				i++
			} else if strings.HasPrefix(s.text[i:], triple) {
				i += 3
				// Up to two more quotes may belong to the content.
				for i < len(s.text) && s.text[i] == quote[0] {
					i++
				}
				return i
			}
		}
		return len(s.text)
	}
	for i := s.pos + 1; i < len(s.text); i++ {
		switch {
		case s.text[i] == '\\' && quote == `"`:
			i++
		case s.text[i] == quote[0]:
			return i + 1
		}
	}
	return len(s.text)
}
