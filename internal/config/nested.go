package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strconv"
)

// A nesting is how a field of structs stands in the file.
type nesting int

const (
	flat   nesting = iota // no tables
	single                // T: [section.key]
	named                 // map[string]T: [section.key.NAME]
	listed                // []T: [[section.key]], in the file's order
)

// nests says what of tables a field holds, and their struct.
func nests(t reflect.Type) (nesting, reflect.Type) {
	switch {
	case isTable(t):
		return single, t
	case t.Kind() == reflect.Map && isTable(t.Elem()):
		return named, t.Elem()
	case t.Kind() == reflect.Slice && isTable(t.Elem()):
		return listed, t.Elem()
	}
	return flat, nil
}

// isTable says whether a type is a struct that a table is decoded into, not one of a single value.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[Section]() &&
		!reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// A defaulter is a struct whose tables have other defaults than zero values.
type defaulter interface{ SetDefaults() }

// nest decodes the tables of a field. What they are is part of the field's own report.
func (d *decoder) nest(f *field, raw any) error {
	kind, elem := nests(f.value.Type())
	switch kind {
	case single:
		table, ok := raw.(map[string]any)
		if !ok {
			return fmt.Errorf("want a table, have %s", kindOf(raw))
		}
		d.table(f, f.value, table, f.key)
	case named:
		return d.nestNamed(f, raw, elem)
	case listed:
		tables, ok := tablesOf(raw)
		if !ok {
			return fmt.Errorf("want tables with [[%s]] before each, have %s", f.key, kindOf(raw))
		}
		all := reflect.MakeSlice(f.value.Type(), len(tables), len(tables))
		for i, table := range tables {
			d.table(f, all.Index(i), table, listKey(f.key, i+1))
		}
		f.value.Set(all)
	}
	return nil
}

func (d *decoder) nestNamed(f *field, raw any, elem reflect.Type) error {
	tables, ok := raw.(map[string]any)
	if !ok {
		return fmt.Errorf("want tables with names, [%s.%s.NAME], have %s", d.section.Name(), f.key, kindOf(raw))
	}
	all := reflect.MakeMap(f.value.Type())
	for _, name := range d.section.inOrder(f.key, tables) {
		table, ok := tables[name].(map[string]any)
		if !ok {
			d.errs = append(d.errs, d.section.file.Errorf(append(slices.Clone(d.section.path), f.key, name), "want a table, have %s", kindOf(tables[name])))
			continue
		}
		into := reflect.New(elem).Elem()
		d.table(f, into, table, f.key, name)
		all.SetMapIndex(reflect.ValueOf(name), into)
	}
	f.value.Set(all)
	return nil
}

// table decodes one table into a struct; at is where it stands below this section.
func (d *decoder) table(f *field, into reflect.Value, values map[string]any, at ...string) {
	if def, ok := into.Addr().Interface().(defaulter); ok {
		def.SetDefaults()
	}
	s := Section{file: d.section.file, path: append(slices.Clone(d.section.path), at...), values: values}
	report, err := s.Decode(into.Addr().Interface(), Section{})
	if err != nil {
		d.errs = append(d.errs, err)
	}
	prefix := ""
	for _, name := range at {
		prefix += name + "."
	}
	for _, o := range report.Options {
		o.Key, o.Table = prefix+o.Key, true
		f.nested = append(f.nested, o)
	}
}

// listKey is the place of the nth table of [[key]], counted from 1.
func listKey(key string, n int) string { return key + "[" + strconv.Itoa(n) + "]" }

// tablesOf are the tables of an array.
func tablesOf(raw any) ([]map[string]any, bool) {
	if tables, ok := raw.([]map[string]any); ok {
		return tables, true
	}
	items, ok := raw.([]any)
	if !ok {
		return nil, false
	}
	tables := make([]map[string]any, len(items))
	for i, item := range items {
		if tables[i], ok = item.(map[string]any); !ok {
			return nil, false
		}
	}
	return tables, true
}

// inOrder returns the names of the tables below a key as they stand in the file.
func (s Section) inOrder(key string, tables map[string]any) []string {
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	line := func(name string) int { return s.file.lines.of(append(slices.Clone(s.path), key, name)) }
	sort.Slice(names, func(i, j int) bool {
		if a, b := line(names[i]), line(names[j]); a != b {
			return a < b
		}
		return names[i] < names[j]
	})
	return names
}
