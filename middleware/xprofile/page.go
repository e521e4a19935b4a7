package xprofile

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var style string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// policy lets a browser do nothing but show the page with its own style, and send its forms back.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; form-action 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'"
}()

// A pageData is what the page's template shows.
type pageData struct {
	Style    template.CSS
	Path     string // of the page
	Here     string // with this query
	Server   string
	Facts    []fact
	Problem  string
	Empty    string
	View     view
	Tabs     []choice
	Cards    []fact
	Selects  []selection
	Plotting []selection
	Formats  selection
	Profile  string
	Filter   string
	Full     bool
	PlotName string
	PlotURL  string
	Plot     template.HTML
	Flame    template.HTML
	FlameURL string
	Columns  []column
	Rows     []pageRow
	More     int
	All      string // URL
	Counted  string
}

type fact struct{ Name, Value string }

// A choice is a link or an option.
type choice struct {
	Name, Text, URL string
	Chosen          bool
}

type selection struct {
	Name, Label string
	Choices     []choice
}

type column struct {
	Text, URL, Class string
	Sorted           bool
}

type pageRow struct {
	N                      int
	Count, Own, OwnShare   string
	Per, Cum, CumShare     string
	OwnBar, CumBar         string // widths in an SVG of 100
	Name, File, Full, JSON string
	Links                  []pageLink
}

type pageLink struct{ Name, Cost, Share string }

// page answers with the page.
func (h *handler) page(w http.ResponseWriter, r *http.Request, q query) error {
	if !q.limited {
		q.limit = pageLimit
	}
	data := h.frame(q)
	rep, err := h.report(q)
	switch {
	case errors.Is(err, errNone) && q.id == idCurrent:
		data.Empty = "Nothing has been profiled yet. It takes a request and then " + h.config.Interval.Duration.String() + "."
	case errors.Is(err, errNone):
		data.Empty = "There is no such profile."
	case err != nil:
		return err
	default:
		h.fill(data, q, rep)
	}
	var buf bytes.Buffer
	if err := pageTemplate.Execute(&buf, data); err != nil {
		return fault(http.StatusInternalServerError, err)
	}
	send(w, r, "text/html; charset=UTF-8", buf.Bytes())
	return nil
}

// url is the page's address for a query.
func (h *handler) url(q query) string {
	u := url.URL{Path: "/" + h.config.segment, RawQuery: q.encode()}
	return u.String()
}

// frame makes what the page has around a report.
func (h *handler) frame(q query) *pageData {
	running, dumped, problem := h.collector.state()
	d := &pageData{
		Style: template.CSS(style), Path: h.url(parsed("")), Server: h.server, View: q.view, Profile: q.id, Filter: q.part, Full: q.full,
		Counted: q.view.counted, Here: h.url(q),
	}
	doing := "waits for a request"
	if running {
		doing = "at work"
	}
	if !dumped.IsZero() {
		doing += ", last written " + dumped.UTC().Format(time.TimeOnly) + " UTC"
	}
	if problem != nil {
		d.Problem = problem.Error()
	}
	d.Facts = []fact{
		{"process", strconv.Itoa(h.pid)}, {"up", h.clock.Now().Sub(h.started).Round(time.Second).String()},
		{"version", h.version}, {"Go", strings.TrimPrefix(runtime.Version(), "go")}, {"profiler", doing},
	}
	for _, v := range views {
		other := q
		other.view, other.limited = v, q.limited
		d.Tabs = append(d.Tabs, choice{Name: v.Name, Text: v.Title, URL: h.url(other), Chosen: v.Name == q.view.Name})
	}
	ids := []choice{{Name: idCurrent, Text: "current process"}, {Name: idAll, Text: "all processes"}}
	if found, err := h.dumps.list(); err == nil {
		for _, x := range found {
			ids = append(ids, choice{Name: x.id, Text: x.id + "  (" + x.time.UTC().Format(time.DateTime) + ")"})
		}
	}
	d.Selects = []selection{
		pick("profile", "Profile", q.id, ids),
		pick("sort", "Sort by", q.sort, texts(orderNames, nil)),
		pick("limit", "Show", strconv.FormatFloat(q.limit, 'g', -1, 64), texts(
			[]string{"10", "20", "30", "50", "100", "200", "500", "0.1", "0.2", "0.3", "-1"},
			map[string]string{"0.1": "10 %", "0.2": "20 %", "0.3": "30 %", "-1": "all"})),
		pick("mode", "With", q.mode, texts(modes, map[string]string{"stats": "functions alone"})),
	}
	names := map[string]string{"bar": "bars", "pie": "ring", "flame": "flame graph"}
	for _, m := range metrics {
		names[m] = metricName(q.view, m)
	}
	d.Plotting = []selection{pick("metric", "Plot", q.metric, texts(metrics, names)), pick("plottype", "As", q.plotType, texts(plotTypes, names))}
	d.Formats = pick("format", "Format", q.format, texts(formats, map[string]string{formatDefault: "pprof"}))
	return d
}

// parsed is the query of a few parameters that are known to be good.
func parsed(text string) query {
	values, _ := url.ParseQuery(text)
	q, _ := parseQuery(values)
	return q
}

func texts(names []string, shown map[string]string) []choice {
	var out []choice
	for _, n := range names {
		out = append(out, choice{Name: n, Text: cmp.Or(shown[n], n)})
	}
	return out
}

// pick makes a selection; what is chosen but not offered is added.
func pick(name, label, chosen string, choices []choice) selection {
	found := false
	for i := range choices {
		choices[i].Chosen = choices[i].Name == chosen
		found = found || choices[i].Chosen
	}
	if !found {
		choices = append(choices, choice{Name: chosen, Text: chosen, Chosen: true})
	}
	return selection{name, label, choices}
}

// fill adds a report to the page.
func (h *handler) fill(d *pageData, q query, r *report) {
	v := r.view
	d.Cards = []fact{
		{v.Title, v.unit.text(r.total.value)}, {v.counted, strconv.FormatInt(r.total.count, 10)},
		{"functions", strconv.Itoa(len(r.rows) + r.truncate)},
	}
	if r.period > 0 {
		d.Cards = append(d.Cards, fact{"profiled for", r.period.Round(10 * time.Millisecond).String()})
	}
	if !r.taken.IsZero() {
		d.Cards = append(d.Cards, fact{"taken " + r.taken.UTC().Format(time.DateOnly), r.taken.UTC().Format(time.TimeOnly) + " UTC"})
	}
	// The pictures are made by package-local code that escapes what it writes.
	d.Flame = template.HTML(flamePlot(r).svg(false, "flame graph"))
	plot := q
	plot.action = "plot"
	d.PlotName, d.PlotURL = metricName(v, q.metric), h.url(plot)
	plot.plotType = "flame"
	d.FlameURL = h.url(plot)
	if q.plotType != "flame" {
		d.Plot = template.HTML(r.draw(q).svg(false, d.PlotName))
	}
	d.Columns = h.columns(q)
	for i, row := range r.rows {
		d.Rows = append(d.Rows, h.row(q, r, i, row))
	}
	if d.More = r.truncate; d.More > 0 {
		all := q
		all.limit, all.limited = -1, true
		d.All = h.url(all)
	}
}

// columns are the heads of the table; those that have a URL sort it.
func (h *handler) columns(q query) []column {
	var out []column
	for _, c := range []struct{ text, order, class string }{
		{"#", "", "num"}, {q.view.counted, "calls", "num"}, {"own", "time", "num"}, {"%", "", "num"}, {"each", "", "num"},
		{"cumulative", "cumulative", "num"}, {"%", "", "num"}, {"function", "name", ""}, {"where", "file", ""}, {"", "", ""},
	} {
		col := column{Text: c.text, Class: c.class, Sorted: c.order != "" && c.order == q.sort}
		if c.order != "" {
			sorted := q
			sorted.sort = c.order
			col.URL = h.url(sorted)
		}
		out = append(out, col)
	}
	return out
}

func (h *handler) row(q query, r *report, i int, row *row) pageRow {
	v := r.view
	percent := func(x int64) string { return fmt.Sprintf("%.1f", share(x, r.total.value)) }
	width := func(x int64) string { return fmt.Sprintf("%.1f", min(100, max(0, share(x, r.total.value)))) }
	out := pageRow{
		N: i + 1, Count: strconv.FormatInt(row.own.count, 10), Own: v.unit.text(row.own.value), OwnShare: percent(row.own.value),
		OwnBar: width(row.own.value), Cum: v.unit.text(row.cum.value), CumShare: percent(row.cum.value), CumBar: width(row.cum.value),
		Name: short(row.fn.name), File: where(row.fn, q.full), Full: row.fn.text(true),
	}
	if row.own.count > 0 {
		out.Per = v.unit.text(row.own.value / row.own.count)
	}
	if q.full {
		out.Name = row.fn.name
	}
	u := url.URL{Path: "/" + h.config.segment + "/" + q.id + "/" + strings.TrimPrefix(row.fn.text(true), "/"), RawQuery: "format=json&kind=" + v.Name}
	out.JSON = u.String()
	neighbours := row.to
	if q.mode == "callers" {
		neighbours = row.from
	}
	if q.mode != "stats" {
		for _, l := range links(neighbours) {
			out.Links = append(out.Links, pageLink{short(l.fn.name), v.unit.text(l.cost.value), percent(l.cost.value)})
		}
	}
	return out
}

// where is a function's place in the source.
func where(f function, full bool) string {
	file := f.file
	if !full {
		file = path.Base(file)
	}
	return file + ":" + strconv.FormatInt(f.line, 10)
}
