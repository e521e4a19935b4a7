package convert

import (
	"encoding"
	"reflect"
	"strings"

	"github.com/apus-storage/apus/internal/config"
)

// Known says what Apus understands. Names of filters and apps are those of Swift's entry points ("proxy_logging") and of
// sections ("proxy-logging"); which of them are the same is for the implementation to know.
type Known interface {
	// Filter returns the kind of filter that a name stands for, and its options.
	Filter(name string) (kind string, options Options, ok bool)
	// App is Filter for apps.
	App(name string) (kind string, options Options, ok bool)
	// Server returns the options that a server of a kind itself has in [DEFAULT].
	Server(kind Kind) Options
	// Table returns the options of a further table of a kind of file, such as a daemon's.
	Table(kind Kind, name string) (Options, bool)
}

// A Type is how TOML writes an option's value.
type Type int

// The types of values.
const (
	String Type = iota
	Bool        // true or false
	Int         // a whole number
	Number      // a number: seconds, bytes, a rate; text if it has a unit
	List        // an array of what stands between commas
	Words       // an array of what stands between blanks
)

// Options are the options of something and their types. A star in a name stands for anything.
type Options map[string]Type

// find returns the type of an option.
func (o Options) find(key string) (Type, bool) {
	if t, ok := o[key]; ok {
		return t, true
	}
	for k, t := range o {
		before, after, ok := strings.Cut(k, "*")
		if ok && len(key) > len(before)+len(after) && strings.HasPrefix(key, before) && strings.HasSuffix(key, after) {
			return t, true
		}
	}
	return String, false
}

// OptionsOf returns the options of a configuration struct, or of a pointer to one, as package config reads it.
func OptionsOf(cfg any) Options {
	o := Options{}
	t := reflect.TypeOf(cfg)
	if t == nil {
		return o
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		o.add(t)
	}
	return o
}

func (o Options) add(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("toml")
		switch {
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			o.add(f.Type)
		case tag == "" || tag == "-" || f.Tag.Get("refused") == "true" || f.Type == reflect.TypeFor[map[string]config.Section]():
			// Not an option: a table has a plan of its own, and what is refused is only there to say why.
		case strings.Contains(tag, "*") && f.Type.Kind() == reflect.Map:
			o[tag] = typeOf(tag, f.Type.Elem())
		default:
			o[tag] = typeOf(tag, f.Type)
		}
	}
}

// wordLists are the lists that Swift separates by blanks; all others have commas.
var wordLists = map[string]bool{
	"allowed_digests": true, "methods": true, "incoming_remove_headers": true, "incoming_allow_headers": true,
	"outgoing_remove_headers": true, "outgoing_allow_headers": true,
}

func typeOf(key string, t reflect.Type) Type {
	switch {
	case t == reflect.TypeFor[config.Duration](), t == reflect.TypeFor[config.Size]():
		return Number
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		if wordLists[key] {
			return Words
		}
		return List
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return String
	}
	switch t.Kind() {
	case reflect.Bool:
		return Bool
	case reflect.Int, reflect.Int32, reflect.Int64:
		return Int
	case reflect.Float64:
		return Number
	}
	return String
}

// needless says why Apus has no use for options that many files have.
func needless(key string) string {
	switch key {
	case "servers_per_port":
		return "not needed: one process serves all devices"
	case "profile_module":
		return "not needed: the profiler is Go's own"
	case "eventlet_debug":
		return "not needed: there is no eventlet"
	case "user":
		return "not needed: the service manager starts the process as the right user"
	case "nice_priority", "ionice_class", "ionice_priority":
		return "not needed: left to the service manager (Nice=, IOSchedulingClass=, IOSchedulingPriority=)"
	case "log_name", "log_facility", "log_address", "log_udp_host", "log_udp_port", "log_custom_handlers", "log_max_line_length",
		"access_log_name", "access_log_facility", "access_log_address", "access_log_udp_host", "access_log_udp_port":
		return "not needed: the log goes to standard error, from where the service manager takes it"
	}
	return ""
}
