package pipeline

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/justinas/alice"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
)

// A Pipeline is a running chain of filters in front of an app. It does not change.
type Pipeline struct {
	handler   http.Handler
	instances []middleware.Instance
}

// Build makes the instances of a plan. The host's Section, Pipeline, Info and Log are set for each; the rest is passed
// on as given. On failure everything built so far is closed.
func (p *Plan) Build(host middleware.Host) (*Pipeline, error) {
	pl := &Pipeline{}
	host.Server, host.Pipeline, host.Info = p.Server, p.Kinds(), pl.Info
	log, metrics := host.Log, host.Metrics
	if slices.ContainsFunc(p.Entries, func(e Entry) bool { return e.Inserted }) {
		log.Info("filters were added to the pipeline", slog.String("pipeline", strings.Join(p.Kinds(), " ")))
	}
	var chain alice.Chain
	var logging alice.Constructor // of the rightmost log
	seen := map[string]int{}
	for i, e := range p.Entries {
		host.Section = e.Section
		host.Log = log.With(slog.String("filter", e.Section))
		// The section alone does not tell two uses of one section apart.
		seen[e.Section]++
		label := e.Section
		if n := seen[e.Section]; n > 1 {
			label = fmt.Sprintf("%s#%d", label, n)
		}
		host.Metrics = prometheus.WrapRegistererWith(prometheus.Labels{"filter": label}, metrics)
		in, err := e.Definition.Build(host, e.config)
		if err == nil && (in.App != nil) != (i == len(p.Entries)-1) {
			err = errors.New("definition and instance disagree whether it is an app")
		}
		if err != nil {
			return nil, errors.Join(p.locate(e, err), pl.Close())
		}
		pl.instances = append(pl.instances, in)
		if in.Wrap != nil {
			chain = chain.Append(in.Wrap)
			if e.Definition.Kind() == loggingKind {
				logging = in.Wrap
			}
		} else {
			pl.handler = request.Begin(chain.Then(in.App), lookups(logging, in.App))
		}
	}
	return pl, nil
}

// loggingKind is the kind of the filter that writes the access log.
const loggingKind = "proxy_logging"

// lookups is where the requests go that the server makes to know accounts and containers. Swift sends them into the pipeline
// at its rightmost log. Where that is not next to the app, nothing that stands between may see them: it might make a lookup
// of its own for each.
func lookups(logging alice.Constructor, app http.Handler) http.Handler {
	if logging == nil {
		return nil
	}
	return logging(app)
}

// locate says in which section, or in which of its keys, the cause of a failed build stands.
func (p *Plan) locate(e Entry, err error) error {
	table := "filter"
	if e.Definition.IsApp() {
		table = "app"
	}
	path := []string{table, e.Section}
	if e.Inserted {
		// It has no section; errors about shared options can only name their key.
		path = []string{"DEFAULT"}
	}
	if ce, ok := errors.AsType[*config.Error](err); ok && ce.File == "" {
		return p.File.Errorf(append(path, ce.Key), "%s", ce.Problem)
	}
	return fmt.Errorf("%w: %w", p.File.Errorf(path, "cannot make %s", e.Definition.Kind()), err)
}

// ServeHTTP runs a request through the pipeline.
func (p *Pipeline) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Info collects what the instances show in /info.
func (p *Pipeline) Info() middleware.Infos {
	i := middleware.Infos{Public: map[string]any{}, Admin: map[string]any{}}
	for _, in := range p.instances {
		maps.Copy(i.Public, current(in.Info))
		maps.Copy(i.Admin, current(in.AdminInfo))
	}
	return i
}

func current(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if f, ok := v.(func() any); ok {
			v = f()
		}
		out[k] = v
	}
	return out
}

// Close closes the instances, from left to right. No request may be in the pipeline.
func (p *Pipeline) Close() error {
	var errs []error
	for _, in := range p.instances {
		if in.Close != nil {
			errs = append(errs, in.Close())
		}
	}
	return errors.Join(errs...)
}
