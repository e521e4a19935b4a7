package xprofile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/pprof/profile"

	"github.com/apus-storage/apus/internal/clock"
)

const (
	// phaseLabel marks, with phaseBody, the samples of a goroutine that sends a body.
	phaseLabel, phaseBody = "apus_phase", "body"
	// maxSamples bounds what is kept in memory of processor time: different stacks.
	maxSamples = 200_000
)

// errBusy says that the process's one profiler is in use.
var errBusy = errors.New("processor time is being profiled by somebody else in this process")

type collectorConfig struct {
	profiler  profiler
	dumps     *dumps
	log       *slog.Logger
	clock     clock.Clock
	pid       int
	interval  time.Duration
	timestamp bool
	flush     bool
	unwind    bool
}

// A collector profiles in stretches, each begun by a request, and writes what it has. Its goroutine ends with close.
type collector struct {
	collectorConfig
	awake atomic.Bool   // a stretch is under way, or about to be
	wake  chan struct{} // begins one
	quit  chan struct{}
	stop  sync.Once
	done  chan struct{}

	mu      sync.Mutex // guards what follows
	cpu     *profile.Profile
	cleared int // how often
	problem error
	dumped  time.Time
}

func newCollector(c collectorConfig) *collector {
	col := &collector{collectorConfig: c, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go col.run()
	return col
}

// touch sees to it that the present is profiled.
func (c *collector) touch() {
	if !c.awake.Load() && c.awake.CompareAndSwap(false, true) {
		c.wake <- struct{}{} // there is room: nobody else has set awake
	}
}

func (c *collector) close() error {
	c.stop.Do(func() { close(c.quit) })
	<-c.done
	var err error
	if c.flush {
		err = c.dumps.removeIf(c.own)
	}
	return errors.Join(err, c.dumps.close())
}

func (c *collector) own(d dump) bool { return d.process() == strconv.Itoa(c.pid) }

func (c *collector) run() {
	defer close(c.done)
	for {
		select {
		case <-c.wake:
			c.stretch()
			c.awake.Store(false)
		case <-c.quit:
			if c.awake.Load() { // what has been asked for is begun, and ended at once
				<-c.wake
				c.stretch()
			}
			return
		}
	}
}

// stretch profiles for one interval, or until the end.
func (c *collector) stretch() {
	c.mu.Lock()
	cleared := c.cleared
	c.mu.Unlock()
	var buf bytes.Buffer
	err := c.profiler.Start(&buf)
	busy := err != nil
	timer := time.NewTimer(c.interval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.quit:
	}
	if busy {
		err = fmt.Errorf("%w: %w", errBusy, err)
	} else {
		c.profiler.Stop()
		err = c.add(buf.Bytes(), cleared)
	}
	c.report(errors.Join(err, c.dump()))
}

// report logs a problem when it is new, and keeps it for the page.
func (c *collector) report(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && (c.problem == nil || c.problem.Error() != err.Error()) {
		c.log.Warn("profiling", "err", err)
	}
	c.problem = err
}

// add takes a stretch into account.
func (c *collector) add(data []byte, cleared int) error {
	p, err := parseProfile(data)
	if err != nil {
		return fmt.Errorf("profile of processor time: %w", err)
	}
	if !c.unwind {
		p.Sample = slices.DeleteFunc(p.Sample, func(s *profile.Sample) bool { return slices.Contains(s.Label[phaseLabel], phaseBody) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cleared != cleared:
		return nil // it began before what was cleared
	case c.cpu == nil:
		c.cpu = p.Compact()
		return nil
	}
	sum, err := profile.Merge([]*profile.Profile{c.cpu, p})
	if err != nil {
		return fmt.Errorf("add up profiles of processor time: %w", err)
	}
	if len(sum.Sample) > maxSamples {
		c.log.Warn("profile of processor time has become too large; starting again", "stacks", len(sum.Sample))
		sum = p.Compact()
	}
	c.cpu = sum
	return nil
}

// dump writes all profiles.
func (c *collector) dump() error {
	now := c.clock.Now()
	id := strconv.Itoa(c.pid)
	if c.timestamp {
		id += "-" + strconv.FormatFloat(float64(now.UnixMilli())/1000, 'f', 3, 64)
	}
	var errs []error
	for _, file := range files {
		p, err := c.live(file)
		if errors.Is(err, errNone) {
			continue
		}
		var buf bytes.Buffer
		if err == nil {
			err = p.Write(&buf)
		}
		if err == nil && buf.Len() > maxFile {
			err = fmt.Errorf("would be larger than %d bytes", maxFile)
		}
		if err == nil {
			err = c.dumps.write(id, file, buf.Bytes())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("write profile %s: %w", file, err))
		}
	}
	errs = append(errs, c.dumps.prune(now))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dumped = now
	return errors.Join(errs...)
}

// live returns what is known now of this process. It is the caller's.
func (c *collector) live(file string) (*profile.Profile, error) {
	if file == profileCPU {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cpu == nil {
			return nil, errNone
		}
		return c.cpu.Copy(), nil
	}
	var buf bytes.Buffer
	if err := c.profiler.Snapshot(&buf, file); err != nil {
		return nil, fmt.Errorf("profile %s: %w", file, err)
	}
	return parseProfile(buf.Bytes())
}

// get returns the profile that an id, "current" or "all" stands for.
func (c *collector) get(id, file string) (*profile.Profile, error) {
	switch id {
	case idCurrent:
		return c.current(file)
	case idAll:
		return c.all(file)
	}
	return c.dumps.read(id, file)
}

// current returns what is known now of this process, or else what an earlier pipeline of it has written.
func (c *collector) current(file string) (*profile.Profile, error) {
	p, err := c.live(file)
	if !errors.Is(err, errNone) {
		return p, err
	}
	found, listErr := c.dumps.list()
	if listErr != nil {
		return nil, listErr
	}
	if i := slices.IndexFunc(found, c.own); i >= 0 {
		return c.dumps.read(found[i].id, file)
	}
	return nil, err
}

// all adds up what is known now of this process, and the newest dump of each other one.
func (c *collector) all(file string) (*profile.Profile, error) {
	found, err := c.dumps.list()
	if err != nil {
		return nil, err
	}
	sum, err := c.current(file)
	if err != nil && !errors.Is(err, errNone) {
		return nil, err
	}
	seen := map[string]bool{strconv.Itoa(c.pid): true}
	for _, d := range found {
		if seen[d.process()] {
			continue
		}
		p, err := c.dumps.read(d.id, file)
		if errors.Is(err, errNone) {
			continue
		}
		seen[d.process()] = true
		if err == nil && sum != nil {
			p, err = profile.Merge([]*profile.Profile{sum, p})
		}
		if err == nil && len(p.Sample) > maxSamples {
			err = fmt.Errorf("has more than %d different stacks", maxSamples)
		}
		if err != nil {
			return nil, fmt.Errorf("add up profiles: %w", err)
		}
		sum = p
	}
	if sum == nil {
		return nil, errNone
	}
	return sum, nil
}

// clear forgets what an id stands for.
func (c *collector) clear(id string) error {
	if id == idAll || id == idCurrent {
		c.mu.Lock()
		c.cpu = nil
		c.cleared++
		c.mu.Unlock()
	}
	return c.dumps.removeIf(func(d dump) bool {
		return id == idAll || d.id == id || id == idCurrent && c.own(d)
	})
}

// state is what the page says of the profiling itself.
func (c *collector) state() (running bool, dumped time.Time, problem error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.awake.Load(), c.dumped, c.problem
}
