package bench

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteText writes the report for people: a table for each side, its errors and remarks, and the comparison of two sides.
func (r Report) WriteText(out io.Writer) error {
	w := bufio.NewWriter(out)
	p := r.Plan
	fmt.Fprintf(w, "%d objects of %s in %s, %d at a time, seed %d", p.Objects, p.Sizes, plural(p.Containers, "container"), p.Concurrency, p.Seed)
	if p.Rounds > 1 {
		fmt.Fprintf(w, ", %d rounds", p.Rounds)
	}
	if p.Verify {
		fmt.Fprint(w, ", contents verified")
	}
	fmt.Fprintln(w)
	if r.Interrupted {
		fmt.Fprintln(w, "interrupted: the figures are of what was done until then")
	}
	for _, s := range r.Sides {
		s.write(w, len(r.Sides) > 1)
	}
	if len(r.Sides) == 2 {
		writeRatios(w, r.Ratios, p.Rounds)
	}
	return w.Flush()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func (s SideReport) write(w io.Writer, named bool) {
	fmt.Fprintln(w)
	if named {
		fmt.Fprintf(w, "%s  ", s.Name)
	}
	fmt.Fprint(w, s.StorageURL)
	if s.Payload != "" {
		fmt.Fprintf(w, "  S3, payloads %s", s.Payload)
	}
	fmt.Fprintln(w)
	t := table{{"operation", "count", "errors", "ops/s", "MiB/s", "p50", "p90", "p99", "max", "ops/CPU-s", "CPU ms/op"}}
	for _, r := range s.Rows {
		t = append(t, []string{
			r.Operation, strconv.FormatUint(r.Count, 10), strconv.FormatUint(r.Errors, 10), figure(r.OpsPerSecond),
			figureOrNone(r.MiBPerSecond), latency(r.P50, r.Count), latency(r.P90, r.Count), latency(r.P99, r.Count), latency(r.Max, r.Count),
			optional(r.OpsPerCPUSecond), optional(r.CPUPerOp),
		})
	}
	t.write(w, 1)
	for _, r := range s.Rows {
		for _, f := range r.Faults {
			fmt.Fprintf(w, "error: %s: %s: %s\n       such as %s\n", r.Operation, f.Kind, plural(int(f.Count), "time"), f.Example)
		}
	}
	for _, n := range s.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	if s.SelfCPUSeconds != nil {
		fmt.Fprintf(w, "the load generator used %s CPU-s in %s s\n", figure(*s.SelfCPUSeconds), figure(s.WallSeconds))
	}
}

func writeRatios(w io.Writer, ratios []Ratio, rounds int) {
	fmt.Fprintf(w, "\nA to B, medians of %s\n", plural(rounds, "round"))
	t := table{{"operation", "figure", "A", "B", "A/B", "lowest", "highest"}}
	for _, r := range ratios {
		t = append(t, []string{r.Operation, r.Metric, figure(r.A), figure(r.B), figure(r.Ratio), figure(r.Low), figure(r.High)})
	}
	t.write(w, 2)
}

// table is rows of cells, the first row the head.
type table [][]string

// write aligns the columns: the first ones, texts, to the left, the others, figures, to the right.
func (t table) write(w io.Writer, texts int) {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if i < texts {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// none stands where there is no figure.
const none = "-"

// figure writes a number with three digits that matter, never in exponents.
func figure(v float64) string {
	decimals := 0
	switch {
	case v == 0:
	case v < 0.0995:
		decimals = 4
	case v < 0.9995:
		decimals = 3
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

func figureOrNone(v float64) string {
	if v == 0 {
		return none
	}
	return figure(v)
}

func optional(v *float64) string {
	if v == nil {
		return none
	}
	return figure(*v)
}

// latency writes milliseconds in the unit that suits them; nothing was measured if the count is 0.
func latency(millis float64, count uint64) string {
	switch {
	case count == 0:
		return none
	case millis < 0.9995:
		return strconv.FormatFloat(millis*1000, 'f', 0, 64) + "µs"
	case millis < 999.5:
		return figure(millis) + "ms"
	default:
		return figure(millis/1000) + "s"
	}
}
