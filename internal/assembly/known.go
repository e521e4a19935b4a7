package assembly

import (
	"github.com/apus-storage/apus/internal/convert"
	"github.com/apus-storage/apus/internal/serve"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware/memcache"
	"github.com/apus-storage/apus/middleware/pipeline"
)

// Known tells package convert what there is.
func Known() convert.Known {
	s := &Setup{around: &Around{}}
	return known{s.registry(nil)}
}

type known struct{ registry pipeline.Registry }

func (k known) find(name string, app bool) (string, convert.Options, bool) {
	d := k.registry.Find(name)
	if d == nil || d.IsApp() != app {
		return "", nil, false
	}
	return d.Kind(), convert.OptionsOf(d.Defaults()), true
}

// Filter finds a filter by any of its names.
func (k known) Filter(name string) (string, convert.Options, bool) { return k.find(name, false) }

// App finds an app by any of its names.
func (k known) App(name string) (string, convert.Options, bool) { return k.find(name, true) }

// Server returns what every server reads of [DEFAULT].
func (k known) Server(convert.Kind) convert.Options {
	return convert.OptionsOf(Default{serve.Defaults(), statsd.Defaults()})
}

// Table returns the options of a daemon that is configured in a file of the kind.
func (k known) Table(kind convert.Kind, name string) (convert.Options, bool) {
	if kind == convert.Memcache && name == "memcache" {
		return convert.OptionsOf(memcache.Filter.Defaults()), true
	}
	s := &Setup{Kind: string(kind), Daemons: defaultDaemons()}
	into, ok := s.tables()[name]
	if !ok {
		return nil, false
	}
	return convert.OptionsOf(into), true
}
