package listing

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/meta"
)

// Kind says whose listing it is.
type Kind int

// The kinds of listings.
const (
	Account   Kind = iota // of containers
	Container             // of objects
)

// Query is what a client, or a proxy, wants to be listed. Markers are not exchanged for Reverse yet.
type Query struct {
	Limit             int
	Marker, EndMarker string
	Prefix, Delimiter string
	Path              string // only containers
	HasPath           bool   // an empty path is the top level, not the absence of a path
	Reverse           bool
	Format            string // as given
	States, Includes  string // only containers, only inside the cluster
}

// ParamError is a parameter that is not UTF-8: 400 text/plain.
type ParamError struct{ Name string }

func (e *ParamError) Error() string { return "listing parameter " + e.Name + ": not utf-8" }

// Text returns what Swift tells the client.
func (e *ParamError) Text() string { return `"` + e.Name + `" parameter not valid UTF-8` }

// LimitError is a limit above the cluster's: 412.
type LimitError struct{ Max int }

func (e *LimitError) Error() string { return fmt.Sprintf("listing limit above %d", e.Max) }

// Text returns what Swift tells the client.
func (e *LimitError) Text() string { return "Maximum limit is " + strconv.Itoa(e.Max) }

// ParseQuery reads the raw query string of a GET or HEAD of an account or container. The limit is maxLimit if absent
// or anything but digits. The error is a [*ParamError] or [*LimitError].
func ParseQuery(kind Kind, rawQuery string, maxLimit int) (Query, error) {
	q := Query{Limit: maxLimit}
	var reverse, limit string
	for _, p := range [...]struct {
		name      string
		into      *string
		container bool
	}{
		{"marker", &q.Marker, false}, {"end_marker", &q.EndMarker, false}, {"prefix", &q.Prefix, false},
		{"delimiter", &q.Delimiter, false}, {"path", &q.Path, true}, {"format", &q.Format, false},
		{"reverse", &reverse, false}, {"states", &q.States, true}, {"includes", &q.Includes, true}, {"limit", &limit, false},
	} {
		if p.container && kind != Container {
			continue
		}
		v, ok := Param(rawQuery, p.name)
		if !utf8.ValidString(v) {
			return Query{}, &ParamError{p.name}
		}
		*p.into = v
		if p.name == "path" {
			q.HasPath = ok
		}
	}
	q.Reverse = meta.Truthy(reverse)
	if limit != "" && strings.Trim(limit, "0123456789") == "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n > maxLimit {
			return Query{}, &LimitError{maxLimit}
		}
		q.Limit = n
	}
	return q, nil
}

// Param returns a parameter of a raw query string as Swift reads it: the last of several, escapes that are none left
// alone, a plus sign a space, only "&" between parameters. url.ParseQuery refuses or drops some of these.
func Param(rawQuery, name string) (value string, ok bool) {
	for rawQuery != "" {
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		k, v, _ := strings.Cut(pair, "=")
		if pair != "" && unplus(k) == name {
			value, ok = v, true
		}
	}
	return unplus(value), ok
}

func unplus(s string) string { return apipath.Unquote(strings.ReplaceAll(s, "+", " ")) }
