// Package convert turns the configuration files of OpenStack Swift into those of Apus: proxy-server.conf into
// proxy-server.toml and so on. Names stay as they are; sections become tables, values get their TOML types, comments stay
// beside what they are about.
//
// What a file says is kept with the meaning that it has for Swift, not with the one that it seems to have: an option
// of a filter that [DEFAULT] has too is ignored by Swift unless it is written with "set", and so it is commented out
// here.
//
// # Invariants
//
//   - Nothing is dropped in silence: every option is in the result, or commented out there and named in a [Note].
//   - The result is TOML.
//   - A filter that Apus does not have stays in the pipeline, so that the result is refused until somebody has decided
//     what to do without it: it may be the one that keeps strangers out. Its Note is Blocking.
//
// # Non-goals
//
// Paste's composites, factories in Python and files that use other files are named in notes, not followed; neither are
// directories of files (*.conf.d). What options there are is for [Known] to say.
//
//	toml, notes, err := convert.Convert("/etc/swift/proxy-server.conf", data, convert.Proxy, known)
//	for _, n := range notes {
//		fmt.Fprintln(os.Stderr, n) // /etc/swift/proxy-server.conf:4: DEFAULT.servers_per_port: not needed: ...
//	}
package convert

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/ini"
)

// A Kind is a kind of configuration file.
type Kind string

// The kinds of files that are converted.
const (
	Proxy      Kind = "proxy"
	Account    Kind = "account"
	Container  Kind = "container"
	Object     Kind = "object"
	Expirer    Kind = "object-expirer"
	Reconciler Kind = "container-reconciler"
	// Internal is internal-client.conf, a proxy's pipeline without a server.
	Internal Kind = "internal-client"
	// Cluster is swift.conf.
	Cluster Kind = "swift"
	// Memcache is memcache.conf.
	Memcache Kind = "memcache"
)

// KindOf tells a file's kind by its name.
func KindOf(name string) (Kind, bool) {
	base := strings.TrimSuffix(filepath.Base(name), ".conf")
	switch k := Kind(strings.TrimSuffix(base, "-server")); k {
	case Proxy, Account, Container, Object, Expirer, Reconciler, Internal, Cluster, Memcache:
		return k, true
	}
	return "", false
}

// A Note says what an operator should know about one line of the source.
type Note struct {
	File string
	Line int    // 0 if there is no such line
	Key  string // dotted, as in the result: filter.tempauth.log_name
	// Problem is what became of it and why.
	Problem string
	// Blocking says that Apus refuses the result until somebody has changed it.
	Blocking bool
}

// String gives file:line: key: problem.
func (n Note) String() string {
	e := config.Error{File: n.File, Line: n.Line, Key: n.Key, Problem: n.Problem}
	return e.Error()
}

// Convert converts the text of one file; name is used in messages, and by values that refer to %(here)s. The notes are
// in the order of the file. The error is the first that Swift itself would fail with, or says what cannot be written
// as TOML.
func Convert(name string, data []byte, kind Kind, known Known) (toml []byte, notes []Note, err error) {
	here := filepath.Dir(name)
	rules := ini.Rules{KeepCase: true, Lenient: true, Defaults: map[string]string{"here": here, "__file__": name}}
	if kind == Cluster {
		rules = ini.Rules{Latin1: true}
	}
	if kind == Memcache {
		rules = ini.Rules{}
	}
	file, err := ini.Parse(name, data, rules)
	if err != nil {
		return nil, nil, err
	}
	if i := invalidUTF8(data); i > 0 {
		return nil, nil, &config.Error{File: name, Line: i, Problem: "is not UTF-8, which TOML needs; Apus also reads swift.conf as it is"}
	}
	if err := checkValues(name, file); err != nil {
		return nil, nil, err
	}
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
	c := &converter{name: name, kind: kind, known: known, file: file, source: strings.Split(text, "\n"), tables: map[string]bool{}}
	c.run()
	out := c.write()
	// A guard against what the tables below do not foresee, such as a key with the name of a table.
	if _, err := config.Parse(name, out); err != nil {
		return nil, nil, fmt.Errorf("convert %s: the result is no TOML: %w", name, err)
	}
	slices.SortStableFunc(c.notes, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
	return out, c.notes, nil
}

// invalidUTF8 returns the first line that is not UTF-8, 0 if all are.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return 0
	}
	for i, line := range strings.Split(string(data), "\n") {
		if !utf8.ValidString(line) {
			return i + 1
		}
	}
	return 0
}

// checkValues refuses values that Python's blanks have cut within a character: a secret would be another one.
func checkValues(name string, file *ini.File) error {
	for _, s := range file.Sections {
		for _, o := range s.Options {
			if !utf8.ValidString(o.Value) || !utf8.ValidString(o.Key) {
				return &config.Error{File: name, Line: o.Line, Key: o.Key, Problem: "is not UTF-8 as Swift reads it; keep the file as it is"}
			}
		}
		if !utf8.ValidString(s.Name) {
			return &config.Error{File: name, Line: s.Line, Problem: "is not UTF-8 as Swift reads it; keep the file as it is"}
		}
	}
	return nil
}

// converter is the state of one conversion.
type converter struct {
	name   string
	kind   Kind
	known  Known
	file   *ini.File
	source []string // lines
	notes  []Note

	pipeline []string        // names in the pipeline
	plans    []plan          // one for each section
	tables   map[string]bool // names of tables that are taken
}

// A plan is what becomes of one section.
type plan struct {
	section *ini.Section
	table   []string // path of its table; empty: commented out as a whole
	options Options  // that the table may have; nil: any, as text
	// filter says that Paste reads the section, by rules of its own.
	filter bool
	// use is the kind that the table needs to name.
	use string
	// extra lines come first.
	extra []string
	// base is another section whose options count where this one has none.
	base *ini.Section
	// dead says that nothing can know the options: the filter is unknown.
	dead bool
}

func (c *converter) note(line int, key []string, blocking bool, problem string, args ...any) {
	c.notes = append(c.notes, Note{c.name, line, strings.Join(key, "."), fmt.Sprintf(problem, args...), blocking})
}
