// Package middleware is the contract between a filter and the pipeline that it stands in. No filter lives here: each
// has a folder of its own beside this file.
//
// A filter is declared once, as a value:
//
//	// Config is the filter's section of the configuration file.
//	type Config struct {
//		// When this file exists, the check fails.
//		DisablePath string `toml:"disable_path"`
//	}
//
//	// Filter answers health checks.
//	var Filter = middleware.Define("healthcheck", Config{}, build).After("catch_errors")
//
//	func build(host middleware.Host, c Config) (middleware.Instance, error) {
//		return middleware.Instance{Wrap: func(next http.Handler) http.Handler { ... }}, nil
//	}
//
// and listed by one line in package all. A definition says nothing about where it stands; the operator's pipeline does.
// After and Before state only what would not work otherwise, and the pipeline checks that.
//
// Filters keep no state outside their Instance: the same filter may stand twice in a pipeline, and two servers may
// live in one process. They do not import each other; two that must cooperate do so by HTTP headers or by a documented
// field of request.State.
//
// An app, which ends a pipeline, is declared the same way with [DefineApp].
package middleware

import (
	"log/slog"
	"net/http"
	"slices"

	"github.com/justinas/alice"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/internal/swiftconf"
)

// Host is what a server gives to each of its filters. Every field is set.
type Host struct {
	// Section is the name of the filter's section, which is not its kind when a pipeline has two of a kind.
	Section string
	// Server is the kind of server: "proxy", "account", "container", "object".
	Server string
	// Version is that of the program.
	Version string
	// Log is for what the operator should know. It carries the section's name.
	Log *slog.Logger
	// Clock tells the time.
	Clock clock.Clock
	// Dir is where cluster-wide files are: swift.toml or swift.conf, rings, memcache.conf. May be empty when the
	// server needs none.
	Dir string
	// Cluster is what all servers of the cluster agree on.
	Cluster *swiftconf.Cluster
	// Metrics is where Prometheus collectors are registered, labelled with the section by the server.
	Metrics prometheus.Registerer
	// Gather is everything registered, for the filter that serves it.
	Gather prometheus.Gatherer
	// Stats sends StatsD metrics; nil discards them.
	Stats *statsd.Client
	// Pipeline are the kinds in the pipeline, from left to right, app last.
	Pipeline []string
	// Info gives what /info is to show. It may be called when the whole pipeline has been built, not before.
	Info func() Infos
}

// Infos are the sections of /info: what clients see and what only administrators see.
type Infos struct {
	Public map[string]any
	Admin  map[string]any
}

// Instance is a built filter or app.
type Instance struct {
	// Wrap puts the filter in front of the rest of the pipeline. Apps leave it nil.
	Wrap alice.Constructor
	// App ends the pipeline. Filters leave it nil.
	App http.Handler
	// Info holds the sections that the instance adds to /info. A value of type func() any is called for each request.
	Info map[string]any
	// AdminInfo is Info for administrators only.
	AdminInfo map[string]any
	// Close releases what the instance holds when no request is in it any more. May be nil.
	Close func() error
}

// A Definition is a kind of filter or app. It does not change after the declaration it is made in.
type Definition struct {
	kind    string
	aliases []string
	app     bool
	after   []string
	before  []string
	config  any // defaults
	decode  func(section, shared config.Section) (any, config.Report, error)
	build   func(Host, any) (Instance, error)
}

// Define declares a filter. C is a struct as package config describes it; defaults is copied for each instance.
func Define[C any](kind string, defaults C, build func(Host, C) (Instance, error)) *Definition {
	return &Definition{
		kind:   kind,
		config: defaults,
		decode: func(section, shared config.Section) (any, config.Report, error) {
			c := defaults
			report, err := section.Decode(&c, shared, "use")
			return c, report, err
		},
		build: func(h Host, c any) (Instance, error) { return build(h, c.(C)) },
	}
}

// DefineApp declares an app.
func DefineApp[C any](kind string, defaults C, build func(Host, C) (Instance, error)) *Definition {
	d := Define(kind, defaults, build)
	d.app = true
	return d
}

// Alias adds names under which sections may leave out "use": Swift's usual section names.
func (d *Definition) Alias(names ...string) *Definition {
	d.aliases = append(d.aliases, names...)
	return d
}

// After says that the filter works only to the right of these kinds, where they are present.
func (d *Definition) After(kinds ...string) *Definition {
	d.after = append(d.after, kinds...)
	return d
}

// Before says that the filter works only to the left of these kinds, where they are present.
func (d *Definition) Before(kinds ...string) *Definition {
	d.before = append(d.before, kinds...)
	return d
}

// Kind is the name of the definition: Swift's name of the entry point, such as "proxy_logging".
func (d *Definition) Kind() string { return d.kind }

// Names are the kind and its aliases.
func (d *Definition) Names() []string { return append([]string{d.kind}, d.aliases...) }

// IsApp says whether the definition ends a pipeline.
func (d *Definition) IsApp() bool { return d.app }

// Order returns the kinds that it must stand after and before.
func (d *Definition) Order() (after, before []string) {
	return slices.Clone(d.after), slices.Clone(d.before)
}

// Defaults returns the configuration of an empty section, a struct as package config describes it.
func (d *Definition) Defaults() any { return d.config }

// Decode reads a section into a configuration for Build.
func (d *Definition) Decode(section, shared config.Section) (any, config.Report, error) {
	return d.decode(section, shared)
}

// Build makes an instance of a configuration that Decode returned.
func (d *Definition) Build(h Host, c any) (Instance, error) { return d.build(h, c) }
