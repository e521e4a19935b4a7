package xprofile

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

// jsonReport has the fields of Swift's. What are calls there are samples, objects or waits here.
type jsonReport struct {
	Files    []string       `json:"files"`
	Kind     string         `json:"kind"`
	Unit     string         `json:"unit"`
	Counts   string         `json:"counts"`
	Total    int64          `json:"total_calls"`
	Primary  int64          `json:"prim_calls"`
	TotalTT  float64        `json:"total_tt"`
	Seconds  float64        `json:"profiled_seconds,omitempty"`
	SortType string         `json:"sort_type"`
	Stats    []jsonFunction `json:"stats"`
}

type jsonFunction struct {
	jsonName
	Own  int64      `json:"nc"`
	Cum  int64      `json:"cc"`
	Time float64    `json:"tt"`
	CumT float64    `json:"ct"`
	To   []jsonLink `json:"callees"`
	From []jsonLink `json:"callers"`
}

type jsonName struct {
	Module   string `json:"module"`
	Line     int64  `json:"line"`
	Function string `json:"function"`
}

type jsonLink struct {
	jsonName
	Count int64   `json:"nc"`
	Time  float64 `json:"ct"`
}

func nameOf(f function) jsonName { return jsonName{f.file, f.line, f.name} }

func (r *report) json(q query) ([]byte, error) {
	out := jsonReport{
		Files: []string{q.id}, Kind: r.view.Name, Unit: r.view.unit.name(), Counts: r.view.counted, Total: r.total.count, Primary: r.total.count,
		TotalTT: r.view.unit.number(r.total.value), Seconds: r.period.Seconds(), SortType: q.sort, Stats: []jsonFunction{},
	}
	convert := func(m map[function]cost) []jsonLink {
		all := []jsonLink{}
		for _, l := range links(m) {
			all = append(all, jsonLink{nameOf(l.fn), l.cost.count, r.view.unit.number(l.cost.value)})
		}
		return all
	}
	for _, row := range r.rows {
		out.Stats = append(out.Stats, jsonFunction{
			jsonName: nameOf(row.fn), Own: row.own.count, Cum: row.cum.count,
			Time: r.view.unit.number(row.own.value), CumT: r.view.unit.number(row.cum.value), To: convert(row.to), From: convert(row.from),
		})
	}
	return json.MarshalIndent(out, "", "  ")
}

// csv has Swift's columns.
func (r *report) csv(q query) []byte {
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.UseCRLF = true
	v := r.view
	w.Write([]string{
		v.counted + "(nc)", "cumulative " + v.counted + "(cc)", "total " + v.unit.name() + "(tt)", "per " + v.counted,
		"cumulative " + v.unit.name() + "(ct)", "per " + v.counted, "function",
	})
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	per := func(c cost) string {
		if c.count == 0 {
			return ""
		}
		return number(v.unit.number(c.value) / float64(c.count))
	}
	for _, row := range r.rows {
		w.Write([]string{
			strconv.FormatInt(row.own.count, 10), strconv.FormatInt(row.cum.count, 10), number(v.unit.number(row.own.value)), per(row.own),
			number(v.unit.number(row.cum.value)), per(row.cum), noFormula(row.fn.text(true)),
		})
	}
	w.Flush() // a buffer takes everything
	return buf.Bytes()
}

// noFormula keeps a spreadsheet from computing what a file calls a function.
func noFormula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// text is a table for terminals.
func (r *report) text(q query) []byte {
	var buf bytes.Buffer
	v := r.view
	fmt.Fprintf(&buf, "%s, profile %s: %s in %d %s\n", v.Title, printable(q.id), v.unit.text(r.total.value), r.total.count, v.counted)
	if r.period > 0 {
		fmt.Fprintf(&buf, "Profiled for %v\n", r.period)
	}
	fmt.Fprintf(&buf, "Ordered by: %s\n\n", q.sort)
	w := tabwriter.NewWriter(&buf, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\town\town%%\tcum\tcum%%\t  function\n", v.counted)
	for _, row := range r.rows {
		fmt.Fprintf(w, "%d\t%s\t%.2f%%\t%s\t%.2f%%\t  %s\n", row.own.count, v.unit.text(row.own.value), share(row.own.value, r.total.value),
			v.unit.text(row.cum.value), share(row.cum.value, r.total.value), printable(row.fn.text(q.full)))
		if q.mode == "stats" {
			continue
		}
		which := row.to
		if q.mode == "callers" {
			which = row.from
		}
		for _, l := range links(which) {
			fmt.Fprintf(w, "\t\t\t%s\t%.2f%%\t      %s\n", v.unit.text(l.cost.value), share(l.cost.value, r.total.value), printable(l.fn.text(q.full)))
		}
	}
	w.Flush() // a buffer takes everything
	if r.truncate > 0 {
		fmt.Fprintf(&buf, "\n%d more\n", r.truncate)
	}
	return buf.Bytes()
}

// printable drops what a terminal might obey, and what XML does not know.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0xfffe || c == 0xffff {
			return -1
		}
		return c
	}, s)
}
