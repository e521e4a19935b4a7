package xprofile

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"html"
	"math"
	"net/http"
	"path"
	"strings"
	"unicode/utf8"
)

// plotted is how many functions a plot shows.
const plotted = 20

// A bar is one function in a plot.
type bar struct {
	label string // short
	full  string
	text  string
	value int64
}

// metricNames are what plots say of their numbers, with the view's own words put in.
func metricName(v view, metric string) string {
	switch metric {
	case "ct":
		return "cumulative " + v.unit.name()
	case "nc":
		return v.counted
	case "cc":
		return "cumulative " + v.counted
	}
	return "own " + v.unit.name()
}

// bars takes the numbers of the rows, in their order.
func (r *report) bars(metric string, full bool) []bar {
	var out []bar
	for _, row := range r.rows {
		b := bar{label: short(row.fn.name), full: row.fn.text(full)}
		switch metric {
		case "nc":
			b.value = row.own.count
		case "cc":
			b.value = row.cum.count
		case "ct":
			b.value = row.cum.value
		default:
			b.value = row.own.value
		}
		b.text = fmt.Sprint(b.value)
		if metric == "tt" || metric == "ct" {
			b.text = r.view.unit.text(b.value)
		}
		if b.value > 0 && len(out) < plotted {
			out = append(out, b)
		}
	}
	return out
}

// short is a function's name without the path of its package. Type parameters have paths, too.
func short(name string) string {
	base, parameters, generic := strings.Cut(name, "[")
	base = path.Base(base)
	if generic {
		base += "[" + parameters
	}
	return base
}

// clip shortens a label to n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n < 2 {
		return ""
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// A drawing is an SVG picture. All text is escaped on its way in; all that looks is in attributes, since the page allows
// no styles but its own.
type drawing struct {
	bytes.Buffer
	width, height float64
}

func (d *drawing) rect(x, y, w, h float64, fill, title string) {
	fmt.Fprintf(d, `<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" rx="2" fill="%s"><title>%s</title></rect>`,
		x, y, w, h, fill, tooltip(title))
}

func (d *drawing) label(x, y, size float64, anchor, fill, text string) {
	fmt.Fprintf(d, `<text x="%.2f" y="%.2f" font-size="%g" text-anchor="%s" fill="%s">%s</text>`,
		x, y, size, anchor, fill, html.EscapeString(printable(text)))
}

// tooltip escapes a text of several lines.
func tooltip(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = html.EscapeString(printable(line))
	}
	return strings.Join(lines, "\n")
}

// svg closes the picture. Alone it brings a background with it.
func (d *drawing) svg(alone bool, title string) string {
	background := ""
	if alone {
		background = `<rect width="100%" height="100%" fill="#ffffff"/>`
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="100%%" role="img" aria-label="%s" `+
		`font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace">%s%s</svg>`,
		d.width, d.height, html.EscapeString(title), background, d.String())
}

const (
	ink  = "#64748b"
	blue = "#2f6fdb"
)

// color is a function's, by its package: what belongs together looks alike.
func color(name string) string {
	dir, base := path.Split(name)
	pkg, _, _ := strings.Cut(base, ".")
	h := fnv.New32a()
	h.Write([]byte(dir + pkg))
	n := h.Sum32()
	return fmt.Sprintf("hsl(%d,%d%%,%d%%)", n%360, 48+n/360%18, 70+n/7200%10)
}

// barPlot draws horizontal bars.
func barPlot(bars []bar) *drawing {
	const line, left, wide = 26.0, 330.0, 560.0
	d := &drawing{width: 1000, height: line*float64(max(len(bars), 1)) + 8}
	var most int64 = 1
	for _, b := range bars {
		most = max(most, b.value)
	}
	for i, b := range bars {
		y := 4 + line*float64(i)
		w := math.Max(2, wide*float64(b.value)/float64(most))
		d.label(left-10, y+17, 12, "end", ink, clip(b.label, 44))
		d.rect(left, y+3, w, line-8, blue, b.full+": "+b.text)
		d.label(left+w+8, y+17, 12, "start", ink, b.text)
	}
	d.none(len(bars))
	return d
}

func (d *drawing) none(n int) {
	if n == 0 {
		d.label(d.width/2, 20, 12, "middle", ink, "nothing to show")
	}
}

// piePlot draws a ring, whose parts the rows and what is left of total are.
func piePlot(bars []bar, total int64, rest string) *drawing {
	const cx, cy, r, thick = 190.0, 190.0, 130.0, 56.0
	const most = 11
	d := &drawing{width: 1000, height: 380}
	var shown int64
	if len(bars) > most {
		bars = bars[:most]
	}
	for _, b := range bars {
		shown = sum(shown, b.value)
	}
	total = max(total, shown)
	if left := total - shown; left > 0 && len(bars) > 0 {
		bars = append(bars, bar{label: "all others", full: "all others", text: rest, value: left})
	}
	around := 2 * math.Pi * r
	at := 0.0
	for i, b := range bars {
		part := float64(b.value) / float64(total)
		fill := fmt.Sprintf("hsl(%d,58%%,%d%%)", (215+i*47)%360, 56+i%3*6)
		if b.full == "all others" {
			fill = "#94a3b8"
		}
		fmt.Fprintf(d, `<circle cx="%g" cy="%g" r="%g" fill="none" stroke="%s" stroke-width="%g" stroke-dasharray="%.3f %.3f" `+
			`transform="rotate(%.3f %g %g)"><title>%s</title></circle>`,
			cx, cy, r, fill, thick, math.Max(0, part*around-1), around, at*360-90, cx, cy, tooltip(b.full+": "+b.text))
		at += part
		y := 28 + 28*float64(i)
		d.rect(400, y, 14, 14, fill, b.full)
		d.label(424, y+12, 13, "start", ink, fmt.Sprintf("%5.1f %%  %s", 100*part, clip(b.label, 52)))
	}
	d.none(len(bars))
	return d
}

// draw makes the plot that a query asks for.
func (r *report) draw(q query) *drawing {
	if q.plotType == "flame" {
		return flamePlot(r)
	}
	bars := r.bars(q.metric, q.full)
	if q.plotType == "bar" {
		return barPlot(bars)
	}
	total := r.total.value
	if q.metric == "nc" || q.metric == "cc" {
		total = r.total.count
	}
	return piePlot(bars, total, "")
}

// plot answers with a picture.
func (h *handler) plot(w http.ResponseWriter, r *http.Request, q query) error {
	rep, err := h.report(q)
	if err != nil {
		return err
	}
	send(w, r, "image/svg+xml", []byte(rep.draw(q).svg(true, rep.view.Title+": "+metricName(rep.view, q.metric))))
	return nil
}
