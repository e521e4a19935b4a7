// Package pipeline makes a server of a configuration file: what [pipeline.main] lists is what runs, in that order.
//
//	[DEFAULT]
//	bind_port = 8080            # shared: for the server and for every filter and app that knows the key
//
//	[pipeline.main]
//	pipeline = ["catch_errors", "gatekeeper", "cache", "tempauth", "proxy-server"]
//
//	[filter.cache]              # the section's name is the filter's kind or one of its usual names,
//	[filter.second-cache]
//	use = "memcache"            # or "use" says what it is
//
//	[app.proxy-server]          # the last name is the app's
//
// [Read] checks a whole file and returns a [Plan], or every fault at once, each with file and line. [Plan.Build] makes
// the running [Pipeline] of it: an immutable http.Handler with its /info, so that a reload is a new Pipeline swapped in
// while requests finish in the old one.
//
// On a proxy, filters that Swift adds by itself where they are missing are added here too, in the same places.
package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/middleware"
)

// A Registry is the filters and apps that a server may use, by every name they go by.
type Registry map[string]*middleware.Definition

// NewRegistry makes a registry; two definitions with one name are a programmer's mistake.
func NewRegistry(defs ...*middleware.Definition) Registry {
	r := Registry{}
	for _, d := range defs {
		for _, n := range d.Names() {
			if old := r[fold(n)]; old != nil && old != d {
				panic("pipeline: two definitions are called " + n)
			}
			r[fold(n)] = d
		}
	}
	return r
}

// Find returns the definition that goes by the name, or nil.
func (r Registry) Find(name string) *middleware.Definition { return r[fold(name)] }

// fold makes proxy-logging and proxy_logging the same name.
func fold(name string) string { return strings.ReplaceAll(name, "-", "_") }

func (r Registry) names(app bool) []string {
	var names []string
	for _, d := range r {
		if d.IsApp() == app {
			names = append(names, d.Kind())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A Spec says what file a server reads.
type Spec struct {
	// Server is the kind of server: "proxy", "account", "container", "object".
	Server string
	// Insert adds the filters that Swift adds by itself.
	Insert bool
	// Registry holds the filters and apps to choose from.
	Registry Registry
	// Default points at the struct for the server's own options in [DEFAULT], filled with its defaults.
	Default any
	// Tables are further top-level tables, such as a daemon's, each with a pointer to its struct.
	Tables map[string]any
}

// An Entry is one member of a pipeline.
type Entry struct {
	Section    string // name of its section
	Definition *middleware.Definition
	Inserted   bool // by the server, not listed by the operator
	Report     config.Report
	config     any
}

// A Plan is a checked file.
type Plan struct {
	File    *config.File
	Server  string
	Entries []Entry // app last
	Default config.Report
	Tables  map[string]config.Report
}

// Kinds lists the entries' kinds.
func (p *Plan) Kinds() []string {
	kinds := make([]string, len(p.Entries))
	for i, e := range p.Entries {
		kinds[i] = e.Definition.Kind()
	}
	return kinds
}

// Read checks the file against the spec. The structs that spec points at are filled in. All faults are reported
// together, each as a *config.Error.
func Read(file *config.File, spec Spec) (*Plan, error) {
	r := reader{spec: spec, file: file, plan: &Plan{File: file, Server: spec.Server, Tables: map[string]config.Report{}}, known: map[string]struct{}{}}
	r.shared, _ = file.Section("DEFAULT")
	names := r.list()
	r.blind = names == nil
	if names != nil {
		r.resolve(names)
		if spec.Insert {
			r.insert()
		}
		r.checkOrder()
	}
	r.spare()
	r.tables()
	r.unknown()
	if len(r.errs) > 0 {
		return nil, errors.Join(inOrder(r.errs)...)
	}
	return r.plan, nil
}

// inOrder takes joined errors apart, sorts them by line and drops repetitions: a fault in [DEFAULT], or in a section that
// stands twice in the pipeline, is found by each who reads it.
func inOrder(errs []error) []error {
	var flat []error
	var take func(error)
	take = func(err error) {
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				take(e)
			}
			return
		}
		flat = append(flat, err)
	}
	for _, err := range errs {
		take(err)
	}
	line := func(err error) int {
		if e, ok := errors.AsType[*config.Error](err); ok {
			return e.Line
		}
		return 0
	}
	slices.SortStableFunc(flat, func(a, b error) int { return line(a) - line(b) })
	seen := map[string]struct{}{}
	return slices.DeleteFunc(flat, func(err error) bool {
		_, again := seen[err.Error()]
		seen[err.Error()] = struct{}{}
		return again
	})
}

type reader struct {
	spec   Spec
	file   *config.File
	plan   *Plan
	shared config.Section
	known  map[string]struct{} // keys of [DEFAULT] that somebody reads
	// possible are the keys that [DEFAULT] may have, to name the one that was meant.
	possible []string
	blind    bool // some section could not be read at all, so known may lack keys
	errs     []error
}

func (r *reader) fail(path []string, format string, args ...any) {
	r.errs = append(r.errs, r.file.Errorf(path, format, args...))
}

var listPath = []string{"pipeline", "main", "pipeline"}

// list returns the operator's names.
func (r *reader) list() []string {
	s, ok := r.file.Section("pipeline", "main")
	if !ok {
		r.fail([]string{"pipeline", "main"}, `missing section; a server needs [pipeline.main] with pipeline = ["...", "%s-server"]`, r.spec.Server)
		return nil
	}
	var c struct {
		Pipeline config.List `toml:"pipeline"`
	}
	if _, err := s.Decode(&c, config.Section{}); err != nil {
		r.errs = append(r.errs, err)
		return nil
	}
	names := []string(c.Pipeline)
	if len(names) == 1 {
		names = strings.Fields(names[0]) // as Swift's files write it: one string with blanks
	}
	if len(names) == 0 {
		r.fail(listPath, "is empty; it must end in an app")
		return nil
	}
	return names
}

// resolve turns names into entries.
func (r *reader) resolve(names []string) {
	early := false // an app stands before the last name
	for i, name := range names {
		last := i == len(names)-1
		_, isFilter := r.file.Section("filter", name)
		_, isApp := r.file.Section("app", name)
		switch {
		case last && !isApp && isFilter:
			if !early { // else that has been said
				r.fail(listPath, "the last name must be an app, but %q is a filter", name)
			}
			r.entry(name, false)
		case last && !isApp:
			r.missing("app", name)
		case !last && !isFilter && isApp:
			early = true
			r.entry(name, true)
			r.fail(listPath, "%q is an app and must come last; a pipeline has one app", name)
		case !last && !isFilter:
			r.missing("filter", name)
		default:
			r.entry(name, last)
		}
	}
}

// missing reports a name without a section.
func (r *reader) missing(table, name string) {
	r.blind = true
	if s, _ := r.file.Section(table); !s.Has(name) { // else unknown says that it is no section
		r.fail(listPath, "%q has no section; add [%s.%s]", name, table, name)
	}
}

// entry reads one section.
func (r *reader) entry(name string, app bool) {
	table := "filter"
	if app {
		table = "app"
	}
	s, _ := r.file.Section(table, name)
	d := r.definition(s, table, name)
	if d == nil {
		return
	}
	c, report, err := d.Decode(s, r.shared)
	r.note(report)
	if err != nil {
		r.errs = append(r.errs, err)
	}
	// Also if it failed: what stands where is judged as the operator wrote it, without faults that follow from others.
	r.plan.Entries = append(r.plan.Entries, Entry{Section: name, Definition: d, Report: report, config: c})
}

func (r *reader) definition(s config.Section, table, name string) *middleware.Definition {
	d := r.find(s, table, name)
	if d == nil {
		r.blind = true
	}
	return d
}

// find looks up what the section is, and reports if that cannot be.
func (r *reader) find(s config.Section, table, name string) *middleware.Definition {
	kind, key := name, ""
	if s.Has("use") {
		use, ok := s.String("use")
		if !ok {
			r.errs = append(r.errs, s.Errorf("use", "want a string, the kind of %s", table))
			return nil
		}
		kind, key = use, "use"
	}
	d := r.spec.Registry[fold(kind)]
	switch {
	case d == nil:
		names := r.spec.Registry.names(table == "app")
		problem := fmt.Sprintf("unknown %s %q", table, kind)
		if n := config.Nearest(kind, names); n != "" {
			problem += fmt.Sprintf("; did you mean %q?", n)
		} else {
			problem += "; known are " + strings.Join(names, ", ")
		}
		r.errs = append(r.errs, s.Errorf(key, "%s", problem))
		return nil
	case d.IsApp() != (table == "app"):
		r.errs = append(r.errs, s.Errorf(key, "%q cannot be used as %s", kind, table))
		return nil
	}
	return d
}

// note keeps which keys of [DEFAULT] somebody reads, and which ones somebody would.
func (r *reader) note(report config.Report) {
	for k := range report.Shared {
		r.known[k] = struct{}{}
	}
	for _, o := range report.Options {
		r.possible = append(r.possible, o.Key)
	}
}

// insertions are the filters that Swift adds, from the last to be placed to the first, each to the right of the
// rightmost of its predecessors.
var insertions = []struct {
	kind  string
	after []string
}{
	{"versioned_writes", []string{"slo", "dlo", "copy", "staticweb", "tempauth", "keystoneauth", "catch_errors", "gatekeeper", "proxy_logging"}},
	{"dlo", []string{"copy", "staticweb", "tempauth", "keystoneauth", "catch_errors", "gatekeeper", "proxy_logging"}},
	{"copy", []string{"staticweb", "tempauth", "keystoneauth", "catch_errors", "gatekeeper", "proxy_logging"}},
	// Swift knows the first four: a filter that changes the path would find its listings in JSON.
	{"listing_formats", []string{"catch_errors", "gatekeeper", "proxy_logging", "memcache", "cname_lookup", "domain_remap"}},
	{"gatekeeper", nil},
	{"catch_errors", nil},
}

// insert adds what is missing.
func (r *reader) insert() {
	for _, ins := range insertions {
		d := r.spec.Registry[ins.kind]
		kinds := r.plan.Kinds()
		if d == nil || len(kinds) == 0 || slices.Contains(kinds, ins.kind) {
			continue
		}
		at := 0
		for _, k := range ins.after {
			at = max(at, slices.Index(kinds, k)+1)
		}
		if ins.kind == "gatekeeper" && kinds[0] == "catch_errors" {
			at = 1
		}
		c, report, err := d.Decode(config.Section{}, r.shared)
		r.note(report)
		if err != nil {
			r.errs = append(r.errs, err)
			continue
		}
		e := Entry{Section: ins.kind, Definition: d, Inserted: true, Report: report, config: c}
		r.plan.Entries = slices.Insert(r.plan.Entries, at, e)
	}
}

// checkOrder holds the pipeline against what its members say of their neighbours. Of several of a kind, one in the right
// place is enough.
func (r *reader) checkOrder() {
	kinds := r.plan.Kinds()
	said := map[[2]int]bool{} // both may have declared it
	for i, e := range r.plan.Entries {
		after, before := e.Definition.Order()
		for _, k := range after {
			if first := slices.Index(kinds, k); first > i && !said[[2]int{i, first}] {
				said[[2]int{i, first}] = true
				r.fail(listPath, "%q must stand after (to the right of) %q", e.Section, r.plan.Entries[first].Section)
			}
		}
		for _, k := range before {
			if first := slices.Index(kinds, k); first >= 0 && !slices.Contains(kinds[i:], k) && !said[[2]int{first, i}] {
				said[[2]int{first, i}] = true
				r.fail(listPath, "%q must stand before (to the left of) %q", e.Section, r.plan.Entries[first].Section)
			}
		}
	}
}

// spare checks the sections that the pipeline does not use.
func (r *reader) spare() {
	var used []string
	for _, e := range r.plan.Entries {
		used = append(used, e.Section)
	}
	listed := r.listed()
	for _, table := range []string{"filter", "app"} {
		for _, name := range r.file.Names(table) {
			if slices.Contains(used, name) || slices.Contains(listed, name) {
				continue
			}
			s, _ := r.file.Section(table, name)
			if d := r.definition(s, table, name); d != nil {
				_, report, err := d.Decode(s, r.shared)
				r.note(report)
				if err != nil {
					r.errs = append(r.errs, err)
				}
			}
		}
	}
}

// listed are the names in the pipeline, also of entries that failed: those have been reported.
func (r *reader) listed() []string {
	s, _ := r.file.Section("pipeline", "main")
	var c struct {
		Pipeline config.List `toml:"pipeline"`
	}
	s.Decode(&c, config.Section{})
	if len(c.Pipeline) == 1 {
		return strings.Fields(c.Pipeline[0])
	}
	return c.Pipeline
}

// tables reads the server's own options and the further top-level tables.
func (r *reader) tables() {
	if r.spec.Default != nil {
		// Keys that the server does not know may be some filter's: unknown checks that.
		report, err := r.shared.Decode(r.spec.Default, config.Section{}, r.shared.Keys()...)
		r.plan.Default = report
		r.note(report)
		for _, o := range report.Options {
			r.known[o.Key] = struct{}{}
		}
		if err != nil {
			r.errs = append(r.errs, err)
		}
	}
	for name, into := range r.spec.Tables {
		s, _ := r.file.Section(name)
		report, err := s.Decode(into, r.shared)
		r.plan.Tables[name] = report
		r.note(report)
		if err != nil {
			r.errs = append(r.errs, err)
		}
	}
}

// unknown reports tables and shared keys that nobody reads.
func (r *reader) unknown() {
	top := []string{"DEFAULT", "pipeline", "filter", "app"}
	for name := range r.spec.Tables {
		top = append(top, name)
	}
	root, _ := r.file.Section()
	for _, key := range root.Keys() {
		r.fail([]string{key}, "stands outside of any section; put it under [DEFAULT]")
	}
	for _, name := range r.file.Names() {
		if !slices.Contains(top, name) {
			problem := "unknown section"
			if n := config.Nearest(name, top); n != "" {
				problem += "; did you mean [" + n + "]?"
			}
			r.fail([]string{name}, "%s", problem)
		}
	}
	for _, table := range []string{"pipeline", "filter", "app"} {
		s, _ := r.file.Section(table)
		for _, key := range s.Keys() {
			r.errs = append(r.errs, s.Errorf(key, "is no section; sections are written [%s.NAME]", table))
		}
	}
	for _, name := range r.file.Names("pipeline") {
		if name != "main" {
			r.fail([]string{"pipeline", name}, "unknown section; the one pipeline is [pipeline.main]")
		}
	}
	if r.blind {
		return // what could not be read may know the key
	}
	for _, key := range r.shared.Keys() {
		if _, ok := r.known[key]; !ok {
			problem := "unknown key: neither the server nor anything in the pipeline has it"
			if n := config.Nearest(key, r.possible); n != "" {
				problem += "; did you mean " + n + "?"
			}
			r.errs = append(r.errs, r.shared.Errorf(key, "%s", problem))
		}
	}
}
