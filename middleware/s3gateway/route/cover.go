package route

import (
	"log/slog"
	"slices"
	"strings"
)

// warn logs what is allowed and likely a mistake.
func (t *Table) warn(log *slog.Logger) {
	for i, r := range t.routes {
		if r.Skip {
			log.Warn("signatures are not compared on a route: whoever knows an access key is its identity", "route", r.Name)
		}
		for _, earlier := range t.routes[:i] {
			if earlier.covers(r) {
				log.Warn("no request can take a route: an earlier one takes them all", "route", r.Name, "earlier", earlier.Name)
				break
			}
		}
	}
}

// covers says whether every request that would take the other route takes this one. It may say no though it is so.
func (r *Route) covers(other *Route) bool {
	for _, g := range other.globs {
		if !slices.ContainsFunc(r.globs, func(mine Glob) bool { return mine.Covers(g) }) {
			return false
		}
	}
	return strings.HasPrefix(other.Prefix, r.Prefix) && within(other.methods, r.methods) && within(other.identities, r.identities)
}

// within says whether all that one list lets through the other does too. An empty one lets everything through.
func within(list, of []string) bool {
	if len(of) == 0 {
		return true
	}
	if len(list) == 0 {
		return false
	}
	return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(of, s) })
}
