package xprofile

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/pprof/profile"

	"github.com/apus-storage/apus/internal/clock"
)

// collecting makes a collector of process 11 in a bubble of fake time. What it logs and the names of its files are
// returned by functions.
func collecting(t *testing.T, f *fake, change func(*collectorConfig)) (c *collector, names func() []string, logged *bytes.Buffer) {
	t.Helper()
	f.t = t
	dir := t.TempDir()
	d, err := openDumps(filepath.Join(dir, "p."), 3)
	if err != nil {
		t.Fatal(err)
	}
	logged = &bytes.Buffer{}
	cfg := collectorConfig{
		profiler: f, dumps: d, log: slog.New(slog.NewTextHandler(logged, nil)), clock: clock.System, pid: 11, interval: 5 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	c = newCollector(cfg)
	t.Cleanup(func() { c.close() })
	return c, func() []string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}, logged
}

// cpuOf is the processor time that a profile holds.
func cpuOf(t *testing.T, c *collector, id string) time.Duration {
	t.Helper()
	p, err := c.get(id, profileCPU)
	if err != nil {
		return -1
	}
	r, err := newReport(p, views[0])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.total.value)
}

// pass lets one stretch pass, with a request in it.
func pass(c *collector) {
	c.touch()
	time.Sleep(c.interval)
	synctest.Wait()
}

func TestStretchesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{cpu: everyRequest}
		c, names, _ := collecting(t, f, nil)
		if got := cpuOf(t, c, idCurrent); got != -1 {
			t.Errorf("before anything: %v", got)
		}
		for range 50 {
			c.touch()
		}
		time.Sleep(c.interval - 1)
		synctest.Wait()
		if got := names(); len(got) != 0 || f.started != 1 {
			t.Errorf("before the first stretch is over: %d started, files %q", f.started, got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		want := []string{"p.11.block.pb.gz", "p.11.cpu.pb.gz", "p.11.goroutine.pb.gz", "p.11.heap.pb.gz", "p.11.mutex.pb.gz"}
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("files: got %q, want %q", got, want)
		}
		time.Sleep(time.Hour) // nothing happens, so nothing is profiled
		synctest.Wait()
		if f.started != 1 {
			t.Errorf("started %d times, once without a request", f.started)
		}
		pass(c)
		for _, id := range []string{"11", idCurrent, idAll} {
			if got := cpuOf(t, c, id); got != 120*time.Millisecond {
				t.Errorf("%s after two stretches: %v, want 120ms", id, got)
			}
		}
	})
}

func TestAllProcessesAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := collecting(t, &fake{cpu: everyRequest}, nil)
		pass(c)
		// Of another process the newest counts.
		one := encoded(t, made("samples", "cpu", sampled{"c", 1, 1e6, nil}))
		for i, id := range []string{"12-1700000000.5", "12-1700000010.5", "13"} {
			if err := c.dumps.write(id, profileCPU, one); err != nil {
				t.Fatal(err)
			}
			at := time.Unix(1_700_000_000+int64(i), 0)
			if err := c.dumps.root.Chtimes(c.dumps.name(id, profileCPU), at, at); err != nil {
				t.Fatal(err)
			}
		}
		if got := cpuOf(t, c, idAll); got != 62*time.Millisecond {
			t.Errorf("all: %v, want 62ms", got)
		}
		if got := cpuOf(t, c, "13"); got != time.Millisecond {
			t.Errorf("another process: %v, want 1ms", got)
		}
	})
}

func TestDumpsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, names, _ := collecting(t, &fake{cpu: everyRequest}, func(c *collectorConfig) { c.timestamp = true })
		for range 5 {
			pass(c)
		}
		found, err := c.dumps.list()
		if err != nil || len(found) != 3 || len(names()) != 3*len(files) {
			t.Errorf("kept %v, %v, want the 3 newest: %q", found, err, names())
		}
		// Bubbles begin on 2000-01-01.
		if got := cpuOf(t, c, "11-946684825.000"); got != 300*time.Millisecond {
			t.Errorf("the last one: %v, want 300ms", got)
		}
		if got := cpuOf(t, c, "11-946684820.000"); got != 240*time.Millisecond {
			t.Errorf("the one before: %v, want 240ms", got)
		}
	})
}

func TestClearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, names, _ := collecting(t, &fake{cpu: everyRequest}, nil)
		pass(c)
		for _, id := range []string{"12", "13"} {
			if err := c.dumps.write(id, profileCPU, encoded(t, everyRequest())); err != nil {
				t.Fatal(err)
			}
		}
		c.touch()
		synctest.Wait()
		if err := errorsOf(c.clear("12"), c.clear("../p.11"), c.clear(idCurrent)); err != nil {
			t.Fatal(err)
		}
		if got := names(); !slices.Equal(got, []string{"p.13.cpu.pb.gz"}) {
			t.Errorf("left: %q", got)
		}
		time.Sleep(c.interval)
		synctest.Wait()
		if got := cpuOf(t, c, idCurrent); got != -1 {
			t.Errorf("a stretch that was under way counts %v", got)
		}
		pass(c)
		if got := cpuOf(t, c, idCurrent); got != 60*time.Millisecond {
			t.Errorf("a new stretch: %v, want 60ms", got)
		}
		if err := c.clear(idAll); err != nil || len(names()) != 0 {
			t.Errorf("%v, left: %q", err, names())
		}
	})
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestFlushingAtTheEnd(t *testing.T) {
	for _, flush := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, names, _ := collecting(t, &fake{cpu: everyRequest}, func(c *collectorConfig) { c.flush = flush })
			if err := c.dumps.write("12", "heap", []byte("somebody else's")); err != nil {
				t.Fatal(err)
			}
			c.touch() // a stretch that is cut short is written too
			if err := c.close(); err != nil {
				t.Fatal(err)
			}
			want := 1 + len(files)
			if flush {
				want = 1
			}
			if got := names(); len(got) != want || !slices.Contains(got, "p.12.heap.pb.gz") {
				t.Errorf("flush %v: left %q", flush, got)
			}
		})
	}
}

func TestSendingBodiesIsLeftOut(t *testing.T) {
	cpu := func() *profile.Profile {
		return made("samples", "cpu", sampled{"a", 1, 1e6, nil}, sampled{"a", 1, 2e6, map[string][]string{phaseLabel: {phaseBody}}},
			sampled{"a", 1, 4e6, map[string][]string{"other": {phaseBody}}})
	}
	for unwind, want := range map[bool]time.Duration{false: 5 * time.Millisecond, true: 7 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			c, _, _ := collecting(t, &fake{cpu: cpu}, func(c *collectorConfig) { c.unwind = unwind })
			pass(c)
			if got := cpuOf(t, c, idCurrent); got != want {
				t.Errorf("unwind %v: %v, want %v", unwind, got, want)
			}
		})
	}
}

// TestOneProfilerForAll has somebody else profile first, and bad data later.
func TestOneProfilerForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{cpu: everyRequest, busy: true}
		c, names, logged := collecting(t, f, nil)
		pass(c)
		pass(c)
		if _, _, problem := c.state(); problem == nil || !strings.Contains(problem.Error(), "by somebody else in this process: already in use") {
			t.Errorf("problem: %v", problem)
		}
		if n := strings.Count(logged.String(), "somebody else"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, logged)
		}
		if got := names(); slices.Contains(got, "p.11.cpu.pb.gz") || !slices.Contains(got, "p.11.heap.pb.gz") {
			t.Errorf("files %q", got)
		}
		f.mu.Lock()
		f.busy, f.broken = false, true
		f.mu.Unlock()
		pass(c)
		if _, _, problem := c.state(); problem == nil || !strings.Contains(problem.Error(), "profile of processor time: ") {
			t.Errorf("problem: %v", problem)
		}
		f.mu.Lock()
		f.broken = false
		f.mu.Unlock()
		pass(c)
		if _, _, problem := c.state(); problem != nil || cpuOf(t, c, idCurrent) != 60*time.Millisecond {
			t.Errorf("afterwards: %v, %v", problem, cpuOf(t, c, idCurrent))
		}
	})
}
