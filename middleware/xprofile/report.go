package xprofile

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// A function is where time or memory went.
type function struct {
	name, file string
	line       int64 // that it begins at
}

// text is how Swift names a function: file:line(name).
func (f function) text(full bool) string {
	file := f.file
	if !full {
		file = path.Base(file)
	}
	return fmt.Sprintf("%s:%d(%s)", file, f.line, f.name)
}

// A cost is how much of what a view shows, and in how many samples, objects or waits.
type cost struct{ value, count int64 }

func (c *cost) add(d cost) { c.value, c.count = sum(c.value, d.value), sum(c.count, d.count) }

// sum adds up without going around: profiles may be made up.
func sum(a, b int64) int64 {
	s := a + b
	switch {
	case a > 0 && b > 0 && s < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && s >= 0:
		return math.MinInt64
	}
	return s
}

// A row is what a report says of a function.
type row struct {
	fn   function
	own  cost // spent in it
	cum  cost // spent in it and in what it called
	from map[function]cost
	to   map[function]cost
}

// A report is a profile as people look at it.
type report struct {
	view     view
	rows     []*row // sorted by own value at first
	total    cost
	period   time.Duration // that was profiled; 0 if it is a snapshot
	taken    time.Time
	truncate int // rows left out by limit
	stacks   []stack
}

// A stack is one sample.
type stack struct {
	fns  []function // outermost first
	cost cost
}

// newReport counts.
func newReport(p *profile.Profile, v view) (*report, error) {
	value, count := -1, -1
	for i, t := range p.SampleType {
		if t.Type == v.value {
			value = i
		}
		if t.Type == v.count {
			count = i
		}
	}
	if value < 0 || count < 0 {
		return nil, fmt.Errorf("the profile has no %s", v.value)
	}
	r := &report{view: v, period: time.Duration(p.DurationNanos)}
	if p.TimeNanos > 0 {
		r.taken = time.Unix(0, p.TimeNanos)
	}
	rows := map[function]*row{}
	for _, s := range p.Sample {
		c := cost{s.Value[value], s.Value[count]}
		if c == (cost{}) {
			continue
		}
		st := stack{functions(s), c}
		r.stacks = append(r.stacks, st)
		r.total.add(c)
		count1(rows, st)
	}
	for _, row := range rows {
		r.rows = append(r.rows, row)
	}
	r.sort("time")
	return r, nil
}

// functions returns a sample's functions, the outermost first. What was inlined is a function like others.
func functions(s *profile.Sample) []function {
	var fns []function
	for _, loc := range slices.Backward(s.Location) {
		if len(loc.Line) == 0 {
			fns = append(fns, function{name: fmt.Sprintf("0x%x", loc.Address), file: "~"})
		}
		for _, line := range slices.Backward(loc.Line) {
			f := function{name: "unknown", file: "~"}
			if line.Function != nil {
				f = function{name: line.Function.Name, file: line.Function.Filename, line: line.Function.StartLine}
			}
			fns = append(fns, f)
		}
	}
	return fns
}

// count1 counts one stack. Who calls itself counts once.
func count1(rows map[function]*row, st stack) {
	get := func(f function) *row {
		r := rows[f]
		if r == nil {
			r = &row{fn: f, from: map[function]cost{}, to: map[function]cost{}}
			rows[f] = r
		}
		return r
	}
	seen := map[function]bool{}
	calls := map[[2]function]bool{}
	for i, f := range st.fns {
		r := get(f)
		if !seen[f] {
			seen[f] = true
			r.cum.add(st.cost)
		}
		if i == len(st.fns)-1 {
			r.own.add(st.cost)
		}
		if i == 0 {
			continue
		}
		call := [2]function{st.fns[i-1], f}
		if calls[call] {
			continue
		}
		calls[call] = true
		addTo(r.from, call[0], st.cost)
		addTo(get(call[0]).to, f, st.cost)
	}
}

func addTo(m map[function]cost, f function, c cost) {
	sum := m[f]
	sum.add(c)
	m[f] = sum
}

// orders are the ways to sort, by Swift's names: numbers from the greatest, texts from the first.
var orders = map[string]func(a, b *row) int{
	"time":       func(a, b *row) int { return cmp.Compare(b.own.value, a.own.value) },
	"cumulative": func(a, b *row) int { return cmp.Compare(b.cum.value, a.cum.value) },
	"calls":      func(a, b *row) int { return cmp.Compare(b.own.count, a.own.count) },
	"pcalls":     func(a, b *row) int { return cmp.Compare(b.cum.count, a.cum.count) },
	"name":       func(a, b *row) int { return strings.Compare(a.fn.name, b.fn.name) },
	"file":       func(a, b *row) int { return strings.Compare(a.fn.file, b.fn.file) },
	"module":     func(a, b *row) int { return strings.Compare(a.fn.file, b.fn.file) },
	"line":       func(a, b *row) int { return cmp.Compare(a.fn.line, b.fn.line) },
	"nfl": func(a, b *row) int {
		return cmp.Or(strings.Compare(a.fn.name, b.fn.name), strings.Compare(a.fn.file, b.fn.file), cmp.Compare(a.fn.line, b.fn.line))
	},
	"stdname": func(a, b *row) int { return strings.Compare(a.fn.text(true), b.fn.text(true)) },
}

// orderNames are their names as the page lists them.
var orderNames = []string{"time", "cumulative", "calls", "pcalls", "name", "file", "module", "line", "nfl", "stdname"}

func (r *report) sort(order string) {
	by := orders[order]
	slices.SortFunc(r.rows, func(a, b *row) int {
		return cmp.Or(by(a, b), cmp.Compare(b.cum.value, a.cum.value), strings.Compare(a.fn.name, b.fn.name),
			strings.Compare(a.fn.file, b.fn.file), cmp.Compare(a.fn.line, b.fn.line))
	})
}

// choose leaves the rows whose text has the part, and of these as many as limit says: a number, or a share below 1; all
// if it is negative.
func (r *report) choose(part string, limit float64) {
	if part != "" {
		r.rows = slices.DeleteFunc(r.rows, func(row *row) bool { return !strings.Contains(row.fn.text(true), part) })
	}
	n := len(r.rows)
	switch {
	case limit < 0:
	case limit < 1:
		n = int(math.Ceil(limit * float64(n)))
	default:
		n = int(min(limit, float64(n)))
	}
	r.truncate = len(r.rows) - n
	r.rows = r.rows[:n]
}

// A link is a neighbour in the graph of calls.
type link struct {
	fn   function
	cost cost
}

// links sorts neighbours by what they cost.
func links(m map[function]cost) []link {
	var out []link
	for f, c := range m {
		out = append(out, link{f, c})
	}
	slices.SortFunc(out, func(a, b link) int {
		return cmp.Or(cmp.Compare(b.cost.value, a.cost.value), strings.Compare(a.fn.text(true), b.fn.text(true)))
	})
	return out
}

// A unit is what a view counts.
type unit int

const (
	unitTime  unit = iota // nanoseconds
	unitBytes             // bytes
	unitCount             // things
)

// text writes a value for people.
func (u unit) text(v int64) string {
	f := math.Abs(float64(v))
	sign := ""
	if v < 0 {
		sign = "-"
	}
	steps := []struct {
		from float64
		name string
	}{{1, ""}}
	switch u {
	case unitTime:
		steps = []struct {
			from float64
			name string
		}{{60e9, " min"}, {1e9, " s"}, {1e6, " ms"}, {1e3, " µs"}, {1, " ns"}}
	case unitBytes:
		steps = []struct {
			from float64
			name string
		}{{1 << 30, " GiB"}, {1 << 20, " MiB"}, {1 << 10, " KiB"}, {1, " B"}}
	}
	for _, s := range steps {
		if f >= s.from && s.from > 1 {
			return fmt.Sprintf("%s%.2f%s", sign, f/s.from, s.name)
		}
	}
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%d%s", v, steps[len(steps)-1].name)
}

// number is a value for programs: seconds where it is a time, as in Swift.
func (u unit) number(v int64) float64 {
	if u == unitTime {
		return float64(v) / 1e9
	}
	return float64(v)
}

// name is the unit of number.
func (u unit) name() string {
	return [...]string{"seconds", "bytes", "count"}[u]
}

// share is v's part of total in per cent.
func share(v, total int64) float64 {
	if total == 0 {
		return 0
	}
	return 100 * float64(v) / float64(total)
}
