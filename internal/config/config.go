// Package config reads Apus' TOML files into typed structs, strictly.
//
// A file is parsed once into a [File]. A consumer (a filter, a server, a daemon) hands a struct with its defaults to
// [Section.Decode], which fills in what the file says and reports, all at once and each with file and line, every value
// of the wrong type and every key that the struct does not know, naming the nearest one that it does. Values may also
// come from a shared section (Swift's [DEFAULT]); what came from where is kept in the [Report], for `apus config show`.
//
// A struct field takes part when it has a toml tag:
//
//	type Config struct {
//		// Seconds that a token lives.
//		TokenLife config.Duration `toml:"token_life"`
//		// Hosts to trust.
//		Hosts config.List `toml:"hosts"`
//		// Every key that starts with user_, keyed by what the star stands for.
//		Users map[string]string `toml:"user_*" secret:"true"`
//	}
//
// A field tagged secret is never shown.
//
// Strings, booleans, integers, floats, [Duration], [Size], [List], slices of strings, maps for keys with a star and anything with
// UnmarshalText are understood, and tables within the section: a struct is one table, a map of structs tables with names, a
// slice of structs the tables of [[key]] in their order. Such a struct may have a method SetDefaults() and a Validate of its own. A number may be written as a string, as Swift's INI files have it, and a boolean as any
// of Swift's words for it. If the struct has a method Validate() error, it is called at the end; errors made with
// [Invalid] point at their key's line.
//
// The package does not know what sections mean; package pipeline does.
package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// An Error is one thing wrong with a configuration file.
type Error struct {
	File    string
	Line    int    // 0 when the fault has no place, such as a missing section
	Key     string // dotted, as a reader would look for it: filter.tempauth.token_life
	Problem string // what is wrong and what would be right
}

// Error gives file:line: key: problem.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Invalid is what a Validate method returns for one bad key: what is wrong with its value and what is accepted. A key of a table
// within has the table's before it: "user.alice.rights", and "route[2].bucket" in the second [[route]].
// Several may be joined with errors.Join.
func Invalid(key, problem string, args ...any) error {
	return &Error{Key: key, Problem: fmt.Sprintf(problem, args...)}
}

// A File is a parsed configuration file. It does not change.
type File struct {
	path  string
	root  map[string]any
	lines lineIndex
}

// Load reads and parses the file at path. A syntax error is an [*Error] with its line.
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse parses data; path is used in messages only.
func Parse(path string, data []byte) (*File, error) {
	f := &File{path: path}
	if _, err := toml.Decode(string(data), &f.root); err != nil {
		if pe, ok := errors.AsType[toml.ParseError](err); ok {
			problem := pe.Message
			if problem == "" {
				// The library's text repeats the place; keep what follows its last colon.
				problem = pe.Error()
				if i := strings.LastIndex(problem, ": "); i >= 0 {
					problem = problem[i+2:]
				}
			}
			return nil, &Error{File: path, Line: pe.Position.Line, Problem: "bad TOML: " + problem}
		}
		return nil, &Error{File: path, Problem: "bad TOML: " + err.Error()}
	}
	f.lines = indexLines(string(data))
	return f, nil
}

// Path returns the name that the file was loaded under.
func (f *File) Path() string { return f.path }

// Section returns the table at the dotted path and whether the file has it. The Section of a missing table is empty
// and usable: decoding it yields the defaults.
func (f *File) Section(path ...string) (Section, bool) {
	s := Section{file: f, path: path}
	table := f.root
	for _, p := range path {
		t, ok := table[p].(map[string]any)
		if !ok {
			return s, false
		}
		table = t
	}
	s.values = table
	return s, true
}

// Names returns the names of the tables right under the dotted path, in the order in which they stand in the file.
func (f *File) Names(path ...string) []string {
	s, ok := f.Section(path...)
	if !ok {
		return nil
	}
	var names []string
	for name, v := range s.values {
		if _, ok := v.(map[string]any); ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return f.lines.of(append(slices.Clone(path), a)) - f.lines.of(append(slices.Clone(path), b))
	})
	return names
}

// Errorf makes an Error that points at the dotted path, or at the nearest enclosing table that the file has.
func (f *File) Errorf(path []string, problem string, args ...any) error {
	e := &Error{File: f.path, Key: strings.Join(path, "."), Problem: fmt.Sprintf(problem, args...)}
	for p := path; len(p) > 0 && e.Line == 0; p = p[:len(p)-1] {
		e.Line = f.lines.of(p)
	}
	return e
}

// Nearest returns the candidate closest to name, or "" when none is close enough to be what was meant.
func Nearest(name string, candidates []string) string {
	best, bestDist := "", 1+len(name)/3
	for _, c := range candidates {
		if d := distance(name, c); d <= bestDist && (best == "" || d < bestDist) {
			best, bestDist = c, d
		}
	}
	return best
}

// distance is Levenshtein's, with '-' and '_' taken as the same letter.
func distance(a, b string) int {
	a, b = strings.ReplaceAll(a, "-", "_"), strings.ReplaceAll(b, "-", "_")
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diag
			if a[i] != b[j] {
				d = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
