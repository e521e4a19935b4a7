package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/ini"
)

// writer collects the lines of the result.
type writer struct {
	c   *converter
	out []string
	// keys that have been written, by their dotted names.
	written map[string]bool
}

// atEnd stands for the line after everything; 0 is that of a section that the source does not have.
const atEnd = -1

// write makes the result: section by section, each comment before what it stood before.
func (c *converter) write() []byte {
	w := &writer{c: c, written: map[string]bool{}}
	next := map[int][]ini.Comment{} // by the line of the option or section that follows
	var items []int
	for _, s := range c.file.Sections {
		items = append(items, s.Line)
		for _, o := range s.Options {
			items = append(items, o.Line)
		}
	}
	slices.Sort(items)
	for _, comment := range c.file.Comments {
		at, _ := slices.BinarySearch(items, comment.Line)
		line := atEnd
		if at < len(items) {
			line = items[at]
		}
		next[line] = append(next[line], comment)
	}
	for _, p := range c.plans {
		w.before(next[p.section.Line], p.section.Line)
		w.header(p)
		for _, o := range p.section.Options {
			w.before(next[o.Line], o.Line)
			w.option(p, o)
		}
		w.inherited(p)
	}
	w.before(next[atEnd], atEnd)
	return []byte(strings.Join(w.out, "\n") + "\n")
}

// before writes the comments that stood before a line, and the blank lines around them.
func (w *writer) before(comments []ini.Comment, line int) {
	for _, comment := range comments {
		w.gap(comment.Line)
		w.out = append(w.out, "#"+printable(comment.Text[1:]))
	}
	if line > 0 {
		w.gap(line)
	}
}

// gap writes a blank line where the source has one.
func (w *writer) gap(line int) {
	if len(w.out) == 0 || w.out[len(w.out)-1] == "" || line < 2 || line-2 >= len(w.c.source) {
		return
	}
	if strings.TrimSpace(w.c.source[line-2]) == "" {
		w.out = append(w.out, "")
	}
}

// printable replaces what TOML does not allow in a comment.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\t') || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// comment writes something that does not count.
func (w *writer) comment(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		w.out = append(w.out, "# "+printable(line))
	}
}

func (w *writer) header(p plan) {
	if len(p.table) == 0 {
		w.comment("[" + p.section.Name + "]")
		return
	}
	path := make([]string, len(p.table))
	for i, name := range p.table {
		path[i] = bare(name)
	}
	w.out = append(w.out, "["+strings.Join(path, ".")+"]")
	if p.use != "" {
		w.out = append(w.out, "use = "+quote(p.use))
	}
	w.out = append(w.out, p.extra...)
}

// option writes one option of a section, live or commented out.
func (w *writer) option(p plan, o *ini.Option) {
	key, value, problem := w.c.read(p, o)
	switch {
	case key == "":
		return // it is in the header already
	case problem != "":
		if len(p.table) > 0 {
			w.c.note(o.Line, append(slices.Clone(p.table), key), false, "%s", problem)
		}
		w.comment(o.Key + " = " + o.Value)
	default:
		w.live(p, o.Line, key, value)
	}
}

// live writes an option that counts.
func (w *writer) live(p plan, line int, key, value string) {
	t, ok := p.options.find(key)
	at := append(slices.Clone(p.table), key)
	if !ok {
		w.c.note(line, at, false, "%s", unknown(p, key))
		w.comment(key + " = " + value)
		return
	}
	text, problem := format(t, value)
	if problem != "" {
		w.c.note(line, at, text == quote(value), "%s", problem)
	}
	if text == "" {
		w.comment(key + " = " + value)
		return
	}
	if w.written[strings.Join(at, "\x00")] {
		w.c.note(line, at, false, "commented out: it is set already")
		w.comment(key + " = " + value)
		return
	}
	w.written[strings.Join(at, "\x00")] = true
	w.out = append(w.out, bare(key)+" = "+text)
}

// unknown says why an option is commented out.
func unknown(p plan, key string) string {
	if why := needless(key); why != "" {
		return why
	}
	var names []string
	for k := range p.options {
		names = append(names, strings.Trim(k, "*"))
	}
	slices.Sort(names) // of several that are equally near the first is taken
	problem := "Apus has no such option here; commented out"
	if n := config.Nearest(key, names); n != "" {
		problem += "; did you mean " + n + "?"
	}
	return problem
}

// read takes an option as the loader of its section would. A problem says why it does not count; no key means that it
// is dealt with.
func (c *converter) read(p plan, o *ini.Option) (key, value, problem string) {
	key, value = o.Key, o.Value
	shared := c.file.Section(ini.Default)
	switch {
	case len(p.table) == 0:
		return key, value, "of a section that is commented out"
	case slices.ContainsFunc(p.extra, func(line string) bool { return strings.HasPrefix(line, key+" = ") }):
		return key, value, "replaced: to Swift this file means true"
	case p.section == shared && strings.HasPrefix(key, "set "):
		// Every section inherits it, so it is set for all.
		if name := strings.TrimSpace(key[len("set "):]); shared.Find(name) == nil {
			return name, value, ""
		}
		return key, value, "commented out: it is there without set as well"
	case !p.filter:
		return key, value, ""
	case key == "use" || key == "paste.filter_factory" || key == "paste.app_factory":
		return "", "", ""
	case key == "filter-with" || key == "require" || key == "next":
		return key, value, "Apus has nothing like it; commented out"
	}
	if name, ok := strings.CutPrefix(key, "set "); ok {
		name = strings.TrimSpace(name)
		if p.section.Find(name) != nil && shared.Find(name) == nil {
			return name, value, "does not count: the section also has " + name + " without set"
		}
		key = name
	} else if name, ok := strings.CutPrefix(key, "get "); ok {
		from := shared.Find(value)
		if from == nil {
			return key, value, "does not count: [DEFAULT] has no " + value
		}
		key, value = strings.TrimSpace(name), from.Value
	} else if shared.Find(key) != nil {
		return key, value, "commented out: to Swift the one in [DEFAULT] counts, unless this is written as \"set " + key + "\""
	}
	if p.dead {
		return key, value, "commented out with the " + p.table[0] + " that Apus does not have"
	}
	return key, value, ""
}

// inherited writes the options that a section takes from another one.
func (w *writer) inherited(p plan) {
	if p.base == nil || len(p.table) == 0 {
		return
	}
	source := plan{section: p.base, table: p.table, options: p.options, filter: p.filter, dead: p.dead}
	for _, o := range p.base.Options {
		key, value, problem := w.c.read(source, o)
		own := slices.ContainsFunc(p.section.Options, func(own *ini.Option) bool {
			k, _, _ := w.c.read(p, own)
			return k == key
		})
		if _, ok := p.options.find(key); ok && key != "" && problem == "" && !own {
			w.live(p, o.Line, key, value)
		}
	}
}

// format writes a value. An empty text means that it cannot be written; a problem says what is wrong with it.
func format(t Type, value string) (text, problem string) {
	value = strings.TrimSpace(value)
	switch t {
	case Bool:
		b, err := config.ParseBool(value)
		if err != nil {
			return "false", fmt.Sprintf("%q is none of Swift's words for true, so to Swift it is false", value)
		}
		return strconv.FormatBool(b), ""
	case Int, Number:
		return number(t, value)
	case List:
		return array(config.SplitList(value)), ""
	case Words:
		return array(strings.Fields(value)), ""
	}
	return quote(value), ""
}

func number(t Type, value string) (text, problem string) {
	if value == "" {
		return "", "commented out: it is empty"
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return strconv.FormatInt(n, 10), ""
	}
	if t == Int {
		return quote(value), fmt.Sprintf("%q is not a whole number; Apus will refuse it", value)
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f-f != 0 { // not finite
		return quote(value), "" // with a unit
	}
	text = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text, ""
}

// array writes strings on one line, or one on each if they would not fit.
func array(items []string) string {
	quoted := make([]string, len(items))
	length := 0
	for i, item := range items {
		quoted[i] = quote(item)
		length += len(quoted[i]) + 2
	}
	if length <= 100 {
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return "[\n\t" + strings.Join(quoted, ",\n\t") + ",\n]"
}

// bare writes a key, quoted if TOML needs it.
func bare(key string) string {
	for i := range len(key) {
		c := key[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return quote(key)
		}
	}
	if key == "" {
		return `""`
	}
	return key
}

// quote writes a TOML string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
