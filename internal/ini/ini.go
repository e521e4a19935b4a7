// Package ini reads the INI files of OpenStack Swift as Python's ConfigParser reads them, which decides in cases where
// other readers differ: quotes are part of a value, a value does not end at a # or ;, further indented lines go on with
// it, %(name)s refers to another option of the section or of [DEFAULT].
//
// Swift uses that parser in three ways, which [Rules] tell apart. The package does not know what sections mean, writes
// nothing, and reads no directories of files.
//
//	file, err := ini.Parse("proxy-server.conf", data, ini.Rules{KeepCase: true, Lenient: true})
//	for _, s := range file.Sections {
//		for _, o := range s.Options { ... }
//	}
package ini

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/apus-storage/apus/internal/config"
)

// Default is the section whose options all others inherit. It is the only one that may come more than once.
const Default = "DEFAULT"

const (
	// maxInterpolation is how deep %(name)s may refer to values that refer to others.
	maxInterpolation = 10
	// maxReferences and maxExpanded bound how often one value may refer to others, and the bytes that come of it: ten
	// options that each refer ten times to the next would fill the memory.
	maxReferences = 1000
	maxExpanded   = 1 << 20
)

// Rules are what differs between the files. The zero value is for ConfigParser as it is.
type Rules struct {
	// KeepCase tells names of options apart by case, as for servers' and daemons' files. Else they are in lower case.
	KeepCase bool
	// Lenient takes a value without %( as it stands. Else a percent sign must be doubled.
	Lenient bool
	// Latin1 takes each byte for a character, as for swift.conf. Else the file is UTF-8.
	Latin1 bool
	// Defaults are options that values may refer to without their being in the file.
	Defaults map[string]string
}

// A File is what was read.
type File struct {
	// Sections are in the order of their first lines.
	Sections []*Section
	// Comments are the lines that are comments, in order.
	Comments []Comment
}

// A Section is one part of a file.
type Section struct {
	Name string
	Line int
	// Options are the section's own, in order.
	Options []*Option
}

// An Option is one setting.
type Option struct {
	Key string
	// Value has what it refers to filled in. Its lines are separated by \n, without the blanks around each.
	Value string
	Line  int

	lines []string
}

// A Comment is one line, without the blanks around it but with its mark.
type Comment struct {
	Text string
	Line int
}

// Section returns the section with a name, nil if there is none.
func (f *File) Section(name string) *Section {
	for _, s := range f.Sections {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Find returns the section's own option, nil if there is none.
func (s *Section) Find(key string) *Option {
	if s == nil {
		return nil
	}
	for _, o := range s.Options {
		if o.Key == key {
			return o
		}
	}
	return nil
}

// Parse reads the text of a file; path is used in messages only. The error is a [*config.Error] for the first fault.
func Parse(path string, data []byte, rules Rules) (*File, error) {
	r := reader{path: path, rules: rules, file: &File{}}
	text := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(text, "\ufeff"), "\n") {
		number++
		if err := r.line(line, number); err != nil {
			return nil, err
		}
	}
	for _, s := range r.file.Sections {
		for _, o := range s.Options {
			o.Value = r.stripRight(strings.Join(o.lines, "\n"))
		}
	}
	// Values refer to other values as they stand in the file, so the results are kept apart until all are known.
	expanded := make(map[*Option]string)
	for _, s := range r.file.Sections {
		for _, o := range s.Options {
			r.references = 0
			value, err := r.expand(s, o.Value, 1)
			if err != nil {
				return nil, r.fault(o.Line, o.Key, "%v", err)
			}
			expanded[o] = value
		}
	}
	for o, value := range expanded {
		o.Value = value
	}
	return r.file, nil
}

// reader is the state between two lines.
type reader struct {
	path    string
	rules   Rules
	file    *File
	section *Section
	option  *Option
	// indent is that of the last line that began something; lines further in continue the option's value.
	indent int
	// references counts those of the value that is being expanded.
	references int
}

func (r *reader) fault(line int, key, problem string, args ...any) error {
	if r.section != nil && key == "" {
		key = r.section.Name
	}
	return &config.Error{File: r.path, Line: line, Key: key, Problem: fmt.Sprintf(problem, args...)}
}

// line reads one line of the file.
func (r *reader) line(line string, number int) error {
	value := r.stripLeft(r.stripRight(line))
	if value == "" {
		if r.option != nil {
			r.option.lines = append(r.option.lines, "")
		}
		return nil
	}
	if value[0] == '#' || value[0] == ';' {
		r.file.Comments = append(r.file.Comments, Comment{value, number})
		return nil
	}
	indent := len(line) - len(r.stripLeft(line))
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
	key := r.name(r.stripRight(value[:at]))
	if key == "" {
		return r.fault(number, "", "a value without the name of its option")
	}
	if first := r.section.Find(key); first != nil {
		return r.fault(number, r.section.Name+"."+key, "it is set already, in line %d", first.Line)
	}
	r.option = &Option{Key: key, lines: []string{r.stripLeft(value[at+1:])}, Line: number}
	r.section.Options = append(r.section.Options, r.option)
	return nil
}

func (r *reader) name(key string) string {
	if r.rules.KeepCase {
		return key
	}
	return strings.ToLower(key)
}

// header begins a section. Only [DEFAULT] may come more than once.
func (r *reader) header(name string, number int) error {
	r.option = nil
	if s := r.file.Section(name); s != nil {
		if name != Default {
			return r.fault(number, name, "the section is there already, in line %d", s.Line)
		}
		r.section = s
		return nil
	}
	r.section = &Section{Name: name, Line: number}
	r.file.Sections = append(r.file.Sections, r.section)
	return nil
}

// expand replaces %(name)s by the value of an option of the same section or of [DEFAULT], and %% by %.
func (r *reader) expand(s *Section, value string, depth int) (string, error) {
	if r.rules.Lenient && !strings.Contains(value, "%(") {
		return value, nil
	}
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
		inner, err := r.referred(s, name, depth)
		if err != nil {
			return "", err
		}
		out.WriteString(inner)
		if r.references++; r.references > maxReferences || out.Len() > maxExpanded {
			return "", fmt.Errorf("it refers to other options more than %d times, or to more than %d bytes of them", maxReferences, maxExpanded)
		}
		value = after
	}
}

// referred returns the value of an option that another refers to.
func (r *reader) referred(s *Section, name string, depth int) (string, error) {
	o := s.Find(r.name(name))
	if o == nil {
		o = r.file.Section(Default).Find(r.name(name))
	}
	if o != nil {
		return r.expand(s, o.Value, depth+1)
	}
	if value, ok := r.rules.Defaults[r.name(name)]; ok {
		return value, nil
	}
	return "", fmt.Errorf("%%(%s)s names no option of this section or of [%s]", name, Default)
}

// isBlank reports whether Python's strip takes the character off: more of them than in most languages.
func isBlank(c rune) bool {
	return unicode.IsSpace(c) || (c >= 0x1c && c <= 0x1f)
}

func (r *reader) stripLeft(s string) string {
	if !r.rules.Latin1 {
		return strings.TrimLeftFunc(s, isBlank)
	}
	for s != "" && isBlank(rune(s[0])) {
		s = s[1:]
	}
	return s
}

func (r *reader) stripRight(s string) string {
	if !r.rules.Latin1 {
		return strings.TrimRightFunc(s, isBlank)
	}
	for s != "" && isBlank(rune(s[len(s)-1])) {
		s = s[:len(s)-1]
	}
	return s
}
