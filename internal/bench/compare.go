package bench

import (
	"context"
	"fmt"
	"slices"
)

// A Side is one of the endpoints of a run.
type Side struct {
	// Name is how the report calls it, "A" or "B".
	Name string
	// Runner drives it.
	Runner *Runner

	rounds [][]PhaseResult // by round, then phase
}

// Run runs the plan of the sides in turn, rounds times: in each round the sides prepare, and then each phase is run by
// one side after the other. When ctx ends the report holds what was done until then. The error is about what kept a phase
// from beginning, and comes with what was done before. All sides must have the same plan.
func Run(ctx context.Context, sides []*Side, rounds int) (Report, error) {
	err := runRounds(ctx, sides, rounds)
	return newReport(ctx, sides), err
}

func runRounds(ctx context.Context, sides []*Side, rounds int) error {
	for round := range rounds {
		for _, s := range sides {
			if err := s.Runner.Prepare(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			s.rounds = append(s.rounds, nil)
		}
		for phase := range sides[0].Runner.cfg.Phases {
			for _, s := range sides {
				res, err := s.Runner.RunPhase(ctx, phase, round)
				if err != nil {
					return fmt.Errorf("%s: %w", s.Name, err)
				}
				s.rounds[round] = append(s.rounds[round], res)
				if ctx.Err() != nil {
					return nil
				}
			}
		}
	}
	return nil
}

// A Ratio sets one figure of one operation side by side.
type Ratio struct {
	Operation string `json:"operation"`
	Metric    string `json:"metric"`
	// A and B are the medians over the rounds.
	A float64 `json:"a"`
	B float64 `json:"b"`
	// Ratio is A/B of the medians; Low and High are the extremes of the ratios of single rounds.
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"ratio_low"`
	High  float64 `json:"ratio_high"`
}

// metric is a figure of a row that is worth comparing. It returns false where the row doesn't have it.
type metric struct {
	name  string
	value func(Row) (float64, bool)
}

func metrics() []metric {
	optional := func(p *float64) (float64, bool) {
		if p == nil {
			return 0, false
		}
		return *p, true
	}
	return []metric{
		{"ops/s", func(r Row) (float64, bool) { return r.OpsPerSecond, true }},
		{"ops/CPU-s", func(r Row) (float64, bool) { return optional(r.OpsPerCPUSecond) }},
		{"MiB/s", func(r Row) (float64, bool) { return r.MiBPerSecond, r.MiBPerSecond > 0 }},
		{"p50 ms", func(r Row) (float64, bool) { return r.P50, r.Count > 0 }},
		{"p99 ms", func(r Row) (float64, bool) { return r.P99, r.Count > 0 }},
	}
}

// ratios compares the rounds that both sides have finished.
func ratios(a, b [][]Row) []Ratio {
	rounds := min(len(a), len(b))
	if rounds == 0 {
		return nil
	}
	var out []Ratio
	for _, row := range a[0] {
		for _, m := range metrics() {
			var as, bs, each []float64
			for round := range rounds {
				va, okA := valueIn(a[round], row.Operation, m)
				vb, okB := valueIn(b[round], row.Operation, m)
				if okA && okB && vb > 0 {
					as, bs, each = append(as, va), append(bs, vb), append(each, va/vb)
				}
			}
			if len(each) == 0 {
				continue
			}
			r := Ratio{Operation: row.Operation, Metric: m.name, A: median(as), B: median(bs)}
			r.Ratio, r.Low, r.High = r.A/r.B, slices.Min(each), slices.Max(each)
			out = append(out, r)
		}
	}
	return out
}

func valueIn(rows []Row, operation string, m metric) (float64, bool) {
	for _, r := range rows {
		if r.Operation == operation {
			return m.value(r)
		}
	}
	return 0, false
}

// median is the middle value, or the mean of the two middle ones.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
