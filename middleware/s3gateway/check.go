package s3gateway

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apus-storage/apus/internal/config"
)

// crossed finds what is wrong between tables, each of which is right by itself: names that another has not, and what only one of
// them may have. Here, the errors have the lines that 'apus config check' shows.
func (c *Config) crossed() error {
	return errors.Join(c.crossedUpstreams(), c.crossedIdentities(), c.crossedRoutes())
}

func (c *Config) crossedUpstreams() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		errs = append(errs, c.callable("upstream."+name, c.Upstreams[name].Callable))
		for _, id := range slices.Sorted(maps.Keys(c.Upstreams[name].Identity)) {
			errs = append(errs, known("upstream."+name+".identity."+id, "identity", []string{id}, c.Identities))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) crossedIdentities() error {
	var errs []error
	holders := make(map[string]string) // of access keys
	anonymous := ""
	for _, name := range slices.Sorted(maps.Keys(c.Identities)) {
		id := c.Identities[name]
		errs = append(errs, c.callable("identity."+name, id.Callable))
		if other, taken := holders[id.AccessKey]; taken && id.AccessKey != "" {
			errs = append(errs, config.Invalid("identity."+name+".access_key", "is that of the identity %q too", other))
		}
		holders[id.AccessKey] = name
		if id.Anonymous && anonymous != "" {
			errs = append(errs, config.Invalid("identity."+name+".anonymous", "the identity %q is anonymous already, and there can be only one", anonymous))
		}
		if id.Anonymous {
			anonymous = name
		}
	}
	return errors.Join(errs...)
}

func (c *Config) crossedRoutes() error {
	var errs []error
	numbers := make(map[string]int)
	for i, r := range c.Routes {
		at := fmt.Sprintf("route[%d].", i+1)
		errs = append(errs, known(at+"upstreams", "upstream", r.Upstreams, c.Upstreams), known(at+"identities", "identity", r.Identities, c.Identities))
		name, key := r.Name, at+"name"
		if name == "" {
			name, key = r.Bucket[0], at+"bucket"
		}
		if n, taken := numbers[name]; taken {
			errs = append(errs, config.Invalid(key, "%q is the name of route %d too; give each its own name", name, n))
			continue
		}
		numbers[name] = i + 1
	}
	return errors.Join(errs...)
}

// callable says whether there is the one that a table names, if it does.
func (c *Config) callable(table, name string) error {
	if name == "" {
		return nil
	}
	return known(table+".callable", "callable", []string{name}, c.Callables)
}

// known says which of the names are in no table of the kind.
func known[T any](key, kind string, names []string, tables map[string]T) error {
	var errs []error
	for _, name := range names {
		if _, ok := tables[name]; ok {
			continue
		}
		all := slices.Sorted(maps.Keys(tables))
		problem := fmt.Sprintf("there is no %s %q", kind, name)
		if near := config.Nearest(name, all); near != "" {
			problem += fmt.Sprintf("; did you mean %q?", near)
		} else if len(all) > 0 && len(all) <= 12 {
			problem += fmt.Sprintf("; there are %q", all)
		}
		errs = append(errs, config.Invalid(key, "%s", problem))
	}
	return errors.Join(errs...)
}
