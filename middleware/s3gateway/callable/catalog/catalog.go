// Package catalog makes the functions that a configuration names: of Starlark files, of webhooks, and of what the program that
// embeds the gateway has given. All of them remember their answers, as callable.Cached does.
//
//	c, err := catalog.Open(conf.Callables, map[string]callable.Functions{"vault": vault}, catalog.Deps{Log: host.Log()})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	secret := c.Functions["tokens"].Secret
package catalog

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/middleware/s3gateway/callable"
	"github.com/apus-storage/apus/middleware/s3gateway/callable/starlark"
	"github.com/apus-storage/apus/middleware/s3gateway/callable/webhook"
)

// Deps is what functions need besides their configuration.
type Deps struct {
	Log   *slog.Logger
	Clock clock.Clock // nil: the machine's
	// Metrics is where calls are counted; nil: nowhere.
	Metrics prometheus.Registerer
}

// A Catalog holds functions by name.
type Catalog struct {
	// Functions are keyed by the name of their table. It is not to be changed.
	Functions map[string]callable.Functions

	hooks []*webhook.Webhook
}

// Open makes what configs describe. given are the functions that tables name with go. All that is wrong is reported.
func Open(configs map[string]callable.Config, given map[string]callable.Functions, d Deps) (*Catalog, error) {
	c := &Catalog{Functions: map[string]callable.Functions{}}
	m, err := newMetrics(d.Metrics)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		conf := configs[name]
		f, err := c.open(&conf, given, d)
		if err != nil {
			errs = append(errs, fmt.Errorf("callable %s: %w", name, err))
			continue
		}
		kept := conf.Cache()
		kept.Observer = m.of(name)
		c.Functions[name] = callable.Cached(f, kept, d.Clock)
	}
	if len(errs) > 0 {
		c.Close()
		return nil, errors.Join(errs...)
	}
	return c, nil
}

func (c *Catalog) open(conf *callable.Config, given map[string]callable.Functions, d Deps) (callable.Functions, error) {
	var none callable.Functions
	switch {
	case conf.Starlark != "":
		limits := starlark.Limits{Time: conf.Timeout.Duration, Steps: uint64(conf.MaxSteps), Memory: int64(conf.MaxMemory)}
		s, err := starlark.Load(conf.Starlark, limits, d.Log, d.Clock)
		if err != nil {
			return none, err
		}
		return s.Functions(), nil
	case conf.Webhook != "":
		functions := conf.Functions
		if functions == nil {
			functions = []string{"secret", "credentials", "authorize"}
		}
		w, err := webhook.New(webhook.Config{
			URL: conf.Webhook, BearerFile: conf.BearerFile, BearerEnv: conf.BearerEnv, CAFile: conf.CAFile,
			Functions: functions, Timeout: conf.Timeout.Duration,
		})
		if err != nil {
			return none, err
		}
		if callable.Plain(conf.Webhook) {
			d.Log.Warn("a webhook is asked without TLS: secrets can be read on their way")
		}
		c.hooks = append(c.hooks, w)
		return w.Functions(), nil
	}
	f, ok := given[conf.Go]
	if !ok {
		return none, fmt.Errorf("the program has no functions named %q", conf.Go)
	}
	if f.Secret == nil && f.Credentials == nil && f.Authorize == nil {
		return none, fmt.Errorf("the program's %q has no function", conf.Go)
	}
	return f, nil
}

// Close ends what functions hold open. Calls under way finish.
func (c *Catalog) Close() {
	for _, w := range c.hooks {
		w.Close()
	}
}
