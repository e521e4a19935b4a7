package bench

import (
	"context"
	"slices"
	"time"
)

// A Report is what came of a run.
type Report struct {
	// Plan repeats what was asked for.
	Plan Plan `json:"plan"`
	// Interrupted tells that the run was stopped before its end.
	Interrupted bool `json:"interrupted"`
	// Sides are the endpoints, one or two.
	Sides []SideReport `json:"sides"`
	// Ratios compare the two sides; none for one.
	Ratios []Ratio `json:"ratios,omitempty"`
}

// Plan is a Config as a report shows it.
type Plan struct {
	Operations  []string `json:"operations"`
	Sizes       string   `json:"sizes"`
	Objects     int      `json:"objects"`
	Containers  int      `json:"containers"`
	Concurrency int      `json:"concurrency"`
	Count       int      `json:"count,omitempty"`
	Seconds     float64  `json:"duration_seconds,omitempty"`
	Rounds      int      `json:"rounds"`
	Seed        uint64   `json:"seed"`
	Verify      bool     `json:"verify"`
}

// SideReport is what came of one endpoint.
type SideReport struct {
	Name       string `json:"name"`
	StorageURL string `json:"storage_url"`
	// Payload is how bodies were sent by the S3 API; empty for Swift's.
	Payload string `json:"s3_payload,omitempty"`
	Pids    []int  `json:"pids,omitempty"`
	// Rows are the figures over all rounds, Rounds those of each.
	Rows   []Row   `json:"rows"`
	Rounds [][]Row `json:"rounds"`
	// Notes are remarks that a reader of the figures must know.
	Notes []string `json:"notes,omitempty"`
	// WallSeconds is the time of all phases, SelfCPUSeconds what the load generator itself used in it.
	WallSeconds    float64  `json:"wall_seconds"`
	SelfCPUSeconds *float64 `json:"self_cpu_seconds,omitempty"`
}

// A Row is the figures of one operation in one phase. Latencies are in milliseconds.
type Row struct {
	// Operation is the phase's label; in a mixed phase "mix/get" and so on, and "mix" for all of it.
	Operation string `json:"operation"`
	// Count is how many operations succeeded, Errors how many did not.
	Count        uint64  `json:"count"`
	Errors       uint64  `json:"errors"`
	OpsPerSecond float64 `json:"ops_per_second"`
	MiBPerSecond float64 `json:"mib_per_second"`
	Mean         float64 `json:"mean_ms"`
	P50          float64 `json:"p50_ms"`
	P90          float64 `json:"p90_ms"`
	P99          float64 `json:"p99_ms"`
	Max          float64 `json:"max_ms"`
	// OpsPerCPUSecond and CPUPerOp are nil where the servers' processor time is unknown, cannot be told apart from that of
	// the other operations of a mix, or is too short to be read.
	OpsPerCPUSecond *float64 `json:"ops_per_cpu_second,omitempty"`
	CPUPerOp        *float64 `json:"cpu_ms_per_op,omitempty"`
	Faults          []Fault  `json:"faults,omitempty"`
}

// Errors is how many operations failed on all sides.
func (r Report) Errors() uint64 {
	var n uint64
	for _, s := range r.Sides {
		for _, row := range s.Rows {
			if len(row.Faults) > 0 { // the sum of a mix repeats its parts' errors without their faults
				n += row.Errors
			}
		}
	}
	return n
}

func newReport(ctx context.Context, sides []*Side) Report {
	cfg := sides[0].Runner.cfg
	rep := Report{
		Plan: Plan{
			Sizes: cfg.Sizes.String(), Objects: cfg.Objects, Containers: cfg.Containers, Concurrency: cfg.Concurrency,
			Count: cfg.Count, Seconds: cfg.Duration.Seconds(), Seed: cfg.Seed, Verify: cfg.Verify, Rounds: len(sides[0].rounds),
		},
		Interrupted: ctx.Err() != nil,
	}
	for _, p := range cfg.Phases {
		rep.Plan.Operations = append(rep.Plan.Operations, p.String())
	}
	for _, s := range sides {
		rep.Sides = append(rep.Sides, s.report())
	}
	if len(rep.Sides) == 2 {
		rep.Ratios = ratios(rep.Sides[0].Rounds, rep.Sides[1].Rounds)
	}
	return rep
}

func (s *Side) report() SideReport {
	out := SideReport{Name: s.Name, StorageURL: s.Runner.target.StorageURL, Payload: s.Runner.target.payload()}
	if s.Runner.servers != nil {
		out.Pids = s.Runner.servers.Pids()
	}
	var total []PhaseResult
	for _, phases := range s.rounds {
		var rows []Row
		for i, p := range phases {
			rows = append(rows, p.rows()...)
			if i == len(total) {
				total = append(total, PhaseResult{Label: p.Label, Mixed: p.Mixed})
			}
			total[i].add(p)
			for _, note := range p.Notes {
				if note = p.Label + ": " + note; !slices.Contains(out.Notes, note) {
					out.Notes = append(out.Notes, note)
				}
			}
		}
		out.Rounds = append(out.Rounds, rows)
	}
	var self time.Duration
	for _, p := range total {
		out.Rows = append(out.Rows, p.rows()...)
		out.WallSeconds += p.Wall.Seconds()
		if self >= 0 && p.Self >= 0 {
			self += p.Self
		} else {
			self = -1
		}
	}
	if self >= 0 && s.Runner.self != nil {
		out.SelfCPUSeconds = new(self.Seconds())
	}
	return out
}

// add adds another round of the same phase. A processor time that is unknown in one round is unknown in the sum.
func (p *PhaseResult) add(o PhaseResult) {
	p.Wall += o.Wall
	if p.CPU >= 0 && o.CPU >= 0 {
		p.CPU += o.CPU
	} else {
		p.CPU = -1
	}
	if p.Self >= 0 && o.Self >= 0 {
		p.Self += o.Self
	} else {
		p.Self = -1
	}
	for op, t := range o.ops {
		if t == nil {
			continue
		}
		if p.ops[op] == nil {
			p.ops[op] = new(tally)
		}
		p.ops[op].merge(t)
	}
}

// rows are the figures of a phase: one row for one operation; for a mix one for each, and one for all, which alone has
// processor times.
func (p PhaseResult) rows() []Row {
	var rows []Row
	var all tally
	for op, t := range p.ops {
		if t == nil {
			continue
		}
		if !p.Mixed {
			rows = append(rows, newRow(p.Label, t, p.Wall, p.CPU))
			continue
		}
		rows = append(rows, newRow(p.Label+"/"+Op(op).String(), t, p.Wall, -1))
		all.merge(t)
	}
	if p.Mixed && len(rows) > 0 {
		all.faults = nil // they stand with the single operations
		rows = append(rows, newRow(p.Label, &all, p.Wall, p.CPU))
	}
	return rows
}

func newRow(label string, t *tally, wall, cpu time.Duration) Row {
	h := &t.latency
	r := Row{
		Operation: label, Count: h.Count(), Errors: t.errors, Mean: ms(h.Mean()), P50: ms(h.Quantile(0.5)),
		P90: ms(h.Quantile(0.9)), P99: ms(h.Quantile(0.99)), Max: ms(h.Max()), Faults: t.sorted(),
	}
	if wall > 0 {
		r.OpsPerSecond = float64(r.Count) / wall.Seconds()
		r.MiBPerSecond = float64(t.bytes) / (1 << 20) / wall.Seconds()
	}
	if cpu > 0 && r.Count > 0 {
		r.OpsPerCPUSecond = new(float64(r.Count) / cpu.Seconds())
		r.CPUPerOp = new(ms(cpu) / float64(r.Count))
	}
	return r
}

// ms is a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
