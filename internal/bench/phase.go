package bench

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// A PhaseResult is what came of one phase in one round.
type PhaseResult struct {
	// Label names the phase within its plan: its operation, "mix" for several, with "#2" when it is the second such one.
	Label string
	// Mixed tells that several operations share Wall and the processor times.
	Mixed bool
	// Wall is from the first request to the last answer.
	Wall time.Duration
	// CPU is the servers' processor time, Self the load generator's own; below zero if unknown.
	CPU, Self time.Duration
	// Notes are remarks that a reader of the figures must know.
	Notes []string

	ops [opCount]*tally
}

// RunPhase runs the phase with this index; the round, from 0, varies the random choices. When ctx ends, requests in
// flight are broken off and the result holds what was done until then; the caller looks at ctx. The error is about the
// processes whose time can't be read at the beginning.
func (r *Runner) RunPhase(ctx context.Context, phase, round int) (PhaseResult, error) {
	p := r.cfg.Phases[phase]
	res := PhaseResult{Label: labels(r.cfg.Phases)[phase], Mixed: p.mixed(), CPU: -1, Self: -1}
	cpu, err := r.servers.stopwatch()
	if err != nil {
		return res, fmt.Errorf("phase %s: %w", res.Label, err)
	}
	self, err := r.self.stopwatch()
	if err != nil {
		return res, fmt.Errorf("phase %s: %w", res.Label, err)
	}
	// Connections that lay idle during the other side's turn may be about to be closed by the server; a request that meets
	// such a one would count as an error. So every phase begins with fresh ones.
	if c, ok := r.rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
	r.announce(res.Label)
	defer r.current.Store(nil)
	start := r.clock.Now()
	r.runWorkers(ctx, phase, round)
	res.Wall = r.clock.Now().Sub(start)
	if res.Self, err = self(); err != nil {
		res.Notes = append(res.Notes, err.Error())
	}
	pause(ctx, r.cfg.Settle)
	if res.CPU, err = cpu(); err != nil {
		res.Notes = append(res.Notes, err.Error())
	}
	r.collect(&res)
	return res, nil
}

// runWorkers starts all workers on a phase and waits for them.
func (r *Runner) runWorkers(ctx context.Context, phase, round int) {
	var wg sync.WaitGroup
	for _, w := range r.workers {
		l := limits{quota: -1}
		if n := len(r.workers); r.cfg.Count > 0 {
			l.quota = r.cfg.Count / n
			if w.id < r.cfg.Count%n {
				l.quota++
			}
		}
		if r.cfg.Duration > 0 {
			l.deadline = r.clock.Now().Add(r.cfg.Duration)
		}
		w.begin(phase, round)
		wg.Go(func() { w.run(ctx, r.cfg.Phases[phase], l) })
	}
	wg.Wait()
}

// collect adds up what the workers counted.
func (r *Runner) collect(res *PhaseResult) {
	var ends [endGaveUp + 1]int
	for _, w := range r.workers {
		ends[w.end]++
		for op, t := range w.tallies {
			if t == nil {
				continue
			}
			if res.ops[op] == nil {
				res.ops[op] = new(tally)
			}
			res.ops[op].merge(t)
		}
	}
	if n := ends[endExhausted]; n > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("%d of %d workers ran out of objects: the phase ended early", n, len(r.workers)))
	}
	if n := ends[endGaveUp]; n > 0 {
		res.Notes = append(res.Notes, fmt.Sprintf("%d of %d workers gave up after %d errors in a row", n, len(r.workers), giveUpAfter))
	}
}

// stopwatch reads the time now and returns a function that reads the time used since, below zero if it is unknown. A nil
// CPU knows nothing.
func (c *CPU) stopwatch() (func() (time.Duration, error), error) {
	if c == nil || len(c.roots) == 0 {
		return func() (time.Duration, error) { return -1, nil }, nil
	}
	before, err := c.Sample()
	if err != nil {
		return nil, err
	}
	return func() (time.Duration, error) {
		after, err := c.Sample()
		if err != nil {
			return -1, err
		}
		if after < before {
			// A parent that does not wait for its children takes their time with it.
			return -1, fmt.Errorf("processor time: %w: some of it went with a process that nobody waited for", ErrProcessGone)
		}
		return after - before, nil
	}, nil
}

// labels names the phases of a plan, each differently.
func labels(phases []Phase) []string {
	seen := make(map[string]int)
	names := make([]string, len(phases))
	for i, p := range phases {
		name := p.String()
		if p.mixed() {
			name = "mix"
		}
		if seen[name]++; seen[name] > 1 {
			name += "#" + strconv.Itoa(seen[name])
		}
		names[i] = name
	}
	return names
}
