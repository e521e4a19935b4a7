// Package namecheck is the filter that refuses paths which operators do not want to see:
//
//	[filter.name_check]
//	forbidden_chars = "'\"`<>"
//	maximum_length = 255
//	forbidden_regexp = '/\./|/\.\./|/\.$|/\.\.$'
//
// Every request's decoded path is looked at, whatever it is for: characters first, then the length, then the pattern. What
// does not pass gets 400. It stands to the right of the first proxy-logging, so that refusals are logged.
//
// Names that exist already and do not pass cannot be reached any more. Patterns are Go's: those of Swift's that look
// ahead or back, or repeat a group by number, are refused when the file is read.
package namecheck

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/middleware"
)

// Filter is the definition.
var Filter = middleware.Define("name_check", Config{
	ForbiddenChars: "'\"`<>", MaximumLength: 255, ForbiddenRegexp: `/\./|/\.\./|/\.$|/\.\.$`,
}, build).Alias("name-check")

// Config is the section of the filter.
type Config struct {
	// Characters that may not be anywhere in a path.
	ForbiddenChars string `toml:"forbidden_chars"`
	// Length of the longest path, in bytes, /v1/account/ included.
	MaximumLength int `toml:"maximum_length"`
	// A regular expression that no path may match. Empty: any may.
	ForbiddenRegexp string `toml:"forbidden_regexp"`
}

// Validate names options that cannot be used.
func (c *Config) Validate() error {
	if c.MaximumLength < 1 {
		return config.Invalid("maximum_length", "must be above 0")
	}
	if _, err := regexp.Compile(c.ForbiddenRegexp); err != nil {
		return config.Invalid("forbidden_regexp", "%v; want a regular expression as Go knows them", err)
	}
	return nil
}

func build(_ middleware.Host, c Config) (middleware.Instance, error) {
	var pattern *regexp.Regexp
	if c.ForbiddenRegexp != "" {
		var err error
		if pattern, err = regexp.Compile(c.ForbiddenRegexp); err != nil {
			return middleware.Instance{}, fmt.Errorf("compile forbidden_regexp: %w", err)
		}
	}
	return middleware.Instance{
		Wrap: func(next http.Handler) http.Handler { return &filter{c, pattern, next} },
		Info: map[string]any{"name_check": map[string]any{
			"forbidden_chars": c.ForbiddenChars, "maximum_length": c.MaximumLength, "forbidden_regexp": c.ForbiddenRegexp,
		}},
	}, nil
}

type filter struct {
	config  Config
	pattern *regexp.Regexp // nil if there is none
	next    http.Handler
}

func (f *filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if text := f.fault(r.URL.Path); text != "" {
		reply.Write(w, r, reply.Raw(http.StatusBadRequest, text))
		return
	}
	f.next.ServeHTTP(w, r)
}

// fault says what is wrong with a path, "" if nothing is.
func (f *filter) fault(path string) string {
	switch c := f.config; {
	case strings.ContainsAny(path, c.ForbiddenChars):
		return "Object/Container/Account name contains forbidden chars from " + c.ForbiddenChars
	case len(path) > c.MaximumLength:
		return fmt.Sprintf("Object/Container/Account name longer than the allowed maximum %d", c.MaximumLength)
	case f.pattern != nil && f.matches(path):
		return "Object/Container/Account name contains a forbidden substring from regular expression " + c.ForbiddenRegexp
	}
	return ""
}

// matches applies the pattern. To Swift's patterns a line feed at the end of a path is not there, so "$" matches before it.
func (f *filter) matches(path string) bool {
	if f.pattern.MatchString(path) {
		return true
	}
	line, ok := strings.CutSuffix(path, "\n")
	return ok && f.pattern.MatchString(line)
}
