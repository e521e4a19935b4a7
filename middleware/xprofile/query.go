package xprofile

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	idCurrent = "current"
	idAll     = "all"

	// maxForm bounds a form that is sent.
	maxForm = 64 << 10
	// pageLimit is how many functions the page shows unless it is asked for others.
	pageLimit = 50
)

// A query is what somebody wants to see. The parameters have Swift's names; kind is new.
type query struct {
	id       string // profile
	view     view   // kind
	sort     string
	limit    float64
	limited  bool // limit was given
	full     bool // fulldirs
	part     string
	mode     string
	metric   string
	plotType string
	format   string
	action   string // "", plot, download or clear
}

// modes are what a table shows, metrics and plot types what a plot does.
var (
	modes     = []string{"stats", "callees", "callers"}
	metrics   = []string{"tt", "ct", "nc", "cc"}
	plotTypes = []string{"bar", "pie", "flame"}
	formats   = []string{formatDefault, "json", "csv", "text"}
)

const formatDefault = "default"

// readQuery reads the parameters; those in a form go before those in the URL.
func readQuery(w http.ResponseWriter, r *http.Request) (query, error) {
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			return query{}, fmt.Errorf("the form cannot be read: %w", err)
		}
		for k, v := range r.PostForm {
			values[k] = v
		}
	}
	return parseQuery(values)
}

func parseQuery(values url.Values) (query, error) {
	get := func(name, otherwise string) string {
		if v := strings.TrimSpace(values.Get(name)); v != "" {
			return v
		}
		return otherwise
	}
	q := query{id: get("profile", idCurrent), part: get("nfl_filter", ""), full: get("fulldirs", "0") != "0", limit: -1}
	for _, action := range []string{"clear", "download", "plot"} {
		if get(action, "") != "" {
			q.action = action // of several, as in Swift
		}
	}
	var fault error
	choose := func(name, otherwise string, from []string) string {
		v := get(name, otherwise)
		if !slices.Contains(from, v) && fault == nil {
			fault = fmt.Errorf("%s must be one of %s", name, strings.Join(from, ", "))
		}
		return v
	}
	q.sort = choose("sort", "time", orderNames)
	q.mode = choose("mode", "stats", modes)
	q.metric = choose("metric", "tt", metrics)
	q.plotType = choose("plottype", "bar", plotTypes)
	q.format = choose("format", formatDefault, formats)
	var names []string
	for _, v := range views {
		names = append(names, v.Name)
	}
	q.view, _ = viewOf(choose("kind", names[0], names))
	if v := get("limit", ""); v != "" {
		var err error
		if q.limit, err = strconv.ParseFloat(v, 64); err != nil || math.IsNaN(q.limit) {
			return q, fmt.Errorf("limit must be a number of functions, a share below 1, or -1 for all")
		}
		q.limited = true
	}
	return q, fault
}

// encode writes a query as parameters, without what is the default anyway.
func (q query) encode() string {
	v := url.Values{}
	set := func(name, value, otherwise string) {
		if value != otherwise {
			v.Set(name, value)
		}
	}
	set("profile", q.id, idCurrent)
	set("kind", q.view.Name, views[0].Name)
	set("sort", q.sort, "time")
	set("mode", q.mode, "stats")
	set("metric", q.metric, "tt")
	set("plottype", q.plotType, "bar")
	set("format", q.format, formatDefault)
	set("nfl_filter", q.part, "")
	if q.limited {
		v.Set("limit", strconv.FormatFloat(q.limit, 'g', -1, 64))
	}
	if q.full {
		v.Set("fulldirs", "1")
	}
	if q.action != "" {
		v.Set(q.action, q.action)
	}
	return v.Encode()
}
