package badinput

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed cases/*.txt
var files embed.FS

// A Case is one or more exchanges and the reason why they are in the table.
type Case struct {
	Category  string // name of its file without extension
	Name      string // a phrase, unique in the table
	Why       string
	Ignore    []string // canonical header names, or "body"
	Exchanges []Exchange
}

// An Exchange is what one connection carries.
type Exchange struct {
	Send      []string // lines as in the file: escapes and placeholders not yet replaced
	HalfClose bool     // close the writing side after sending
	Recorded  []Answer // what OpenStack Swift answered
	Kind      string   // "", "spec", "apus" or "later": who replaces the recorded answers
	Reason    string   // why, when Kind is set
	Wanted    []Answer // the replacement when Kind is set
}

// want returns the answers to compare with and whether they name only a part.
func (e *Exchange) want() (answers []Answer, partial bool) {
	if e.Kind != "" {
		return e.Wanted, true
	}
	return e.Recorded, false
}

// An Answer is a response in normalised text form, or the end of the connection.
type Answer struct {
	Status  string   // "404 Not Found"; in a replacement also "400|408"
	Headers []string // "Name: value", sorted, escaped
	Body    string   // escaped, lines separated by newlines
	HasBody bool     // in a replacement: the body is to be compared
	Closed  bool     // no response: the server closed the connection
}

// Cases returns the whole table in order of category and place.
func Cases() ([]Case, error) {
	names, err := fs.Glob(files, "cases/*.txt")
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	var all []Case
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read cases: %w", err)
		}
		f, err := parse(category(name), string(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, f.cases...)
	}
	return all, nil
}

func category(file string) string { return strings.TrimSuffix(path.Base(file), ".txt") }

// slug makes a name for a URL of a case's name.
func slug(name string) string {
	s := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(s, "-")
}
