package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Section is one table of a file.
type Section struct {
	file   *File
	path   []string
	values map[string]any
}

// Name returns the table's dotted path.
func (s Section) Name() string { return strings.Join(s.path, ".") }

// Has says whether the table has the key.
func (s Section) Has(key string) bool {
	_, ok := s.values[key]
	return ok
}

// String returns the key's value when it is a string.
func (s Section) String(key string) (string, bool) {
	v, ok := s.values[key].(string)
	return v, ok
}

// Keys returns the table's own keys, sorted, sub-tables left out.
func (s Section) Keys() []string {
	var keys []string
	for k, v := range s.values {
		if _, ok := v.(map[string]any); !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// Errorf makes an Error that points at one of the table's keys; with an empty key, at the table.
func (s Section) Errorf(key, problem string, args ...any) error {
	path := slices.Clone(s.path)
	if key != "" {
		path = append(path, key)
	}
	return s.at(path, problem, args...)
}

// at makes an Error that points at a path from the file's root.
func (s Section) at(path []string, problem string, args ...any) error {
	if s.file == nil {
		return &Error{Key: strings.Join(path, "."), Problem: fmt.Sprintf(problem, args...)}
	}
	return s.file.Errorf(path, problem, args...)
}

// within splits a key of a Validate method, which may be about a table of the section's tables: route[2].upstreams. The names of
// tables may have dots too.
func (s Section) within(key string) []string {
	var path []string
	values := s.values
	for rest := key; rest != ""; {
		name := longestOf(values, rest)
		if name == "" {
			name, _, _ = strings.Cut(rest, ".")
		}
		path = append(path, name)
		values, _ = values[name].(map[string]any)
		rest = strings.TrimPrefix(rest[len(name):], ".")
	}
	return path
}

// longestOf is the longest of the keys that a dotted key begins with.
func longestOf(values map[string]any, dotted string) string {
	longest := ""
	for name := range values {
		if len(name) > len(longest) && (dotted == name || strings.HasPrefix(dotted, name+".")) {
			longest = name
		}
	}
	return longest
}

// An Option is one key of a decoded struct and where its value came from.
type Option struct {
	Key    string
	Value  string // as a file would have it
	Source string // "default", or file:line
	Table  bool   // the key is that of a table within the section: store.a.tries, rule[2].bucket
}

// A Report says what a Decode did.
type Report struct {
	Options []Option            // in the struct's order
	Shared  map[string]struct{} // the shared section's keys that the struct knows
}

// Decode fills in the struct that into points at: first what the shared section has for it, then the section's own
// values. Keys that are in ignore belong to somebody else. A shared key that the struct does not know is no error
// here: whoever reads the whole file checks that somebody knows it. Each error is an [*Error]; all are joined.
func (s Section) Decode(into any, shared Section, ignore ...string) (Report, error) {
	d := decoder{section: s, report: Report{Shared: map[string]struct{}{}}}
	v := reflect.ValueOf(into).Elem()
	d.collect(v)
	d.subTables()
	d.apply(shared, true)
	for _, key := range s.Keys() {
		if !slices.Contains(ignore, key) && d.find(key) == nil {
			d.unknown(key)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if _, table := s.values[name].(map[string]any); table && !slices.Contains(ignore, name) && d.find(name) == nil {
			d.errs = append(d.errs, s.Errorf(name, "no such table is known here"))
		}
	}
	d.apply(s, false)
	if val, ok := into.(interface{ Validate() error }); ok && len(d.errs) == 0 {
		d.locate(val.Validate())
	}
	for i := range d.fields {
		d.fields[i].describe(&d.report)
	}
	return d.report, errors.Join(d.errs...)
}

type field struct {
	key    string // with a * for a map of keys that share a beginning or an end
	secret bool   // not to be shown
	value  reflect.Value
	source map[string]string // key -> file:line of what was set
	nested []Option          // of the tables that the field holds
}

type decoder struct {
	section Section
	fields  []field
	report  Report
	errs    []error
}

// collect lists the fields with a toml tag, those of embedded structs too.
func (d *decoder) collect(v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("toml")
		if sf.Anonymous && tag == "" && sf.Type.Kind() == reflect.Struct {
			d.collect(v.Field(i))
			continue
		}
		if tag != "" && tag != "-" {
			d.fields = append(d.fields, field{
				key: tag, secret: sf.Tag.Get("secret") == "true", value: v.Field(i), source: map[string]string{},
			})
		}
	}
}

var sectionMap = reflect.TypeFor[map[string]Section]()

// subTables fills the fields of type map[string]Section: the tables under the key, for their owner to decode.
func (d *decoder) subTables() {
	for i := range d.fields {
		f := &d.fields[i]
		tables, ok := d.section.values[f.key].(map[string]any)
		if !ok || f.value.Type() != sectionMap {
			continue
		}
		m := map[string]Section{}
		for name, v := range tables {
			path := append(slices.Clone(d.section.path), f.key, name)
			values, ok := v.(map[string]any)
			if !ok {
				d.errs = append(d.errs, d.section.file.Errorf(path, "want a table, have %s", kindOf(v)))
				continue
			}
			m[name] = Section{file: d.section.file, path: path, values: values}
		}
		f.value.Set(reflect.ValueOf(m))
	}
}

func (d *decoder) find(key string) *field {
	for i := range d.fields {
		f := &d.fields[i]
		if f.key == key {
			return f
		}
	}
	for i := range d.fields {
		if _, ok := d.fields[i].wild(key); ok {
			return &d.fields[i]
		}
	}
	return nil
}

// wild returns the part of key that the star in the field's own key stands for.
func (f *field) wild(key string) (string, bool) {
	prefix, suffix, ok := strings.Cut(f.key, "*")
	if !ok || len(key) <= len(prefix)+len(suffix) || !strings.HasPrefix(key, prefix) || !strings.HasSuffix(key, suffix) {
		return "", false
	}
	return key[len(prefix) : len(key)-len(suffix)], true
}

func (d *decoder) apply(s Section, shared bool) {
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		f := d.find(key)
		if f == nil {
			continue
		}
		if shared && f.holdsTables() {
			d.refuseShared(s, key)
			continue
		}
		if f.value.Type() == sectionMap {
			continue
		}
		if shared {
			d.report.Shared[key] = struct{}{}
		}
		f.source[key] = s.place(key)
		set := f.set
		if kind, _ := nests(f.value.Type()); kind != flat {
			set = func(_ string, raw any) error { return d.nest(f, raw) }
		}
		if err := set(key, s.values[key]); err != nil {
			d.errs = append(d.errs, s.Errorf(key, "%v", err))
		}
	}
}

// holdsTables says whether the field is for tables, which are of one section alone.
func (f *field) holdsTables() bool {
	kind, _ := nests(f.value.Type())
	return kind != flat || f.value.Type() == sectionMap
}

// refuseShared reports tables in the shared section that this section would have as its own. Any other value is somebody else's.
func (d *decoder) refuseShared(s Section, key string) {
	raw := s.values[key]
	if _, one := raw.(map[string]any); !one {
		if tables, ok := tablesOf(raw); !ok || len(tables) == 0 {
			return
		}
	}
	d.report.Shared[key] = struct{}{}
	d.errs = append(d.errs, s.Errorf(key, "tables are not shared; put them under the section that is to have them"))
}

func (s Section) place(key string) string {
	if s.file == nil {
		return "given"
	}
	return fmt.Sprintf("%s:%d", s.file.path, s.file.lines.of(append(slices.Clone(s.path), key)))
}

func (d *decoder) unknown(key string) {
	var known []string
	for _, f := range d.fields {
		known = append(known, strings.Trim(f.key, "*"))
	}
	problem := "unknown key"
	if n := Nearest(key, known); n != "" {
		problem += fmt.Sprintf("; did you mean %s?", n)
	} else if len(known) > 0 && len(known) <= 12 {
		problem += "; known are " + strings.Join(known, ", ")
	}
	d.errs = append(d.errs, d.section.Errorf(key, "%s", problem))
}

// locate gives the errors of a Validate method their file and line.
func (d *decoder) locate(err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			d.locate(e)
		}
		return
	}
	if e, ok := errors.AsType[*Error](err); ok && e.File == "" {
		path := append(slices.Clone(d.section.path), d.section.within(e.Key)...)
		d.errs = append(d.errs, d.section.at(path, "%s", e.Problem))
		return
	}
	d.errs = append(d.errs, d.section.Errorf("", "%v", err))
}

func (f *field) set(key string, raw any) error {
	part, ok := f.wild(key)
	if !ok {
		return assign(f.value, raw)
	}
	elem := reflect.New(f.value.Type().Elem()).Elem()
	if err := assign(elem, raw); err != nil {
		return err
	}
	// A new map each time: the one that is there may be the defaults', which others share.
	m := reflect.MakeMapWithSize(f.value.Type(), f.value.Len()+1)
	for _, k := range f.value.MapKeys() {
		m.SetMapIndex(k, f.value.MapIndex(k))
	}
	m.SetMapIndex(reflect.ValueOf(part), elem)
	f.value.Set(m)
	return nil
}

// assign converts a TOML value to the field's type.
func assign(v reflect.Value, raw any) error {
	if t, ok := raw.(time.Time); ok {
		raw = t.Format(time.RFC3339Nano)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text, ok := scalar(raw)
		if !ok {
			return fmt.Errorf("want one value, have %s", kindOf(raw))
		}
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		text, ok := scalar(raw)
		if _, isBool := raw.(bool); !ok || isBool {
			return fmt.Errorf("want a string, have %s", kindOf(raw))
		}
		v.SetString(text)
	case reflect.Bool:
		return assignBool(v, raw)
	case reflect.Int, reflect.Int64, reflect.Int32:
		return assignInt(v, raw)
	case reflect.Float64:
		text, ok := scalar(raw)
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if _, isBool := raw.(bool); !ok || isBool || err != nil {
			return fmt.Errorf("want a number, have %s", kindOf(raw))
		}
		v.SetFloat(n)
	case reflect.Slice:
		return assignSlice(v, raw)
	default:
		panic("config: unsupported field type " + v.Type().String())
	}
	return nil
}

func assignBool(v reflect.Value, raw any) error {
	switch r := raw.(type) {
	case bool:
		v.SetBool(r)
	case string:
		b, err := ParseBool(r)
		if err != nil {
			return err
		}
		v.SetBool(b)
	default:
		return fmt.Errorf("want true or false, have %s", kindOf(raw))
	}
	return nil
}

func assignInt(v reflect.Value, raw any) error {
	switch r := raw.(type) {
	case int64:
		if v.OverflowInt(r) {
			return fmt.Errorf("number %d is out of range", r)
		}
		v.SetInt(r)
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(r), 10, 64)
		if err != nil || v.OverflowInt(n) {
			return fmt.Errorf("want a whole number, have %s", kindOf(raw))
		}
		v.SetInt(n)
	default:
		return fmt.Errorf("want a whole number, have %s", kindOf(raw))
	}
	return nil
}

func assignSlice(v reflect.Value, raw any) error {
	if text, ok := raw.(string); ok {
		v.Set(reflect.ValueOf(SplitList(text)).Convert(v.Type()))
		return nil
	}
	items, ok := raw.([]any)
	if !ok {
		return fmt.Errorf("want an array of strings, have %s", kindOf(raw))
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := assign(out.Index(i), item); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	v.Set(out)
	return nil
}

// scalar gives a TOML scalar as text.
func scalar(raw any) (string, bool) {
	switch r := raw.(type) {
	case string:
		return r, true
	case int64:
		return strconv.FormatInt(r, 10), true
	case float64:
		return strconv.FormatFloat(r, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(r), true
	}
	return "", false
}

func kindOf(raw any) string {
	switch r := raw.(type) {
	case string:
		return fmt.Sprintf("the string %q", r)
	case int64, float64:
		return fmt.Sprintf("the number %v", r)
	case bool:
		return fmt.Sprintf("the boolean %v", r)
	case map[string]any, []map[string]any:
		return "a table"
	case []any:
		return "an array"
	}
	return fmt.Sprintf("a value of type %T", raw)
}

// describe appends the field's options to the report.
func (f *field) describe(r *Report) {
	if f.value.Type() == sectionMap {
		return // its owner reports it
	}
	if kind, _ := nests(f.value.Type()); kind != flat {
		r.Options = append(r.Options, f.nested...)
		return
	}
	if strings.Contains(f.key, "*") {
		for _, k := range sortedMapKeys(f.value) {
			r.Options = append(r.Options, f.option(strings.Replace(f.key, "*", k.String(), 1), f.value.MapIndex(k)))
		}
		return
	}
	r.Options = append(r.Options, f.option(f.key, f.value))
}

func sortedMapKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

func (f *field) option(key string, v reflect.Value) Option {
	o := Option{Key: key, Value: format(v), Source: "default"}
	if s, ok := f.source[key]; ok {
		o.Source = s
	}
	if f.secret && v.Len() > 0 {
		o.Value = `"(secret)"`
	}
	return o
}

// format writes a value as a TOML file would have it.
func format(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Duration:
		return x.String()
	case fmt.Stringer:
		return strconv.Quote(x.String())
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = format(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}
