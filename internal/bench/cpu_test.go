package bench

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/fstest"
	"time"
)

// process writes a line of /proc/PID/stat.
func process(parent, utime, stime, cutime, cstime, start int) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "1 (a) (b c) S %d 1 1 0 -1 4194560 1 2 3 4 %d %d %d %d 20 0 3 0 %d 1000 50\n",
		parent, utime, stime, cutime, cstime, start)}
}

func TestTreeCountsWorkersThatComeAndGo(t *testing.T) {
	proc := fstest.MapFS{
		"10/stat": process(1, 100, 50, 7, 0, 900),
		"11/stat": process(10, 30, 20, 0, 0, 901),
		"12/stat": process(11, 5, 0, 0, 0, 902),
		"99/stat": process(1, 5000, 0, 0, 0, 903), // somebody else's
		"self":    &fstest.MapFile{},
	}
	sample := func(tree bool) time.Duration {
		t.Helper()
		c, err := NewCPU(proc, []int{10}, tree)
		if err != nil {
			t.Fatal(err)
		}
		d, err := c.Sample()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if got, want := sample(false), 1500*time.Millisecond; got != want {
		t.Errorf("the process alone: %v, want %v", got, want)
	}
	before := sample(true)
	if want := 2120 * time.Millisecond; before != want {
		t.Errorf("with its tree: %v, want %v", before, want)
	}
	// Worker 11 takes 10 ticks more and ends, after its child; their parent waited for it. A new worker comes.
	delete(proc, "11/stat")
	delete(proc, "12/stat")
	proc["10/stat"] = process(1, 100, 50, 7+30+20+5+10, 0, 900)
	proc["13/stat"] = process(10, 3, 0, 0, 0, 950)
	if got, want := sample(true)-before, 130*time.Millisecond; got != want {
		t.Errorf("used meanwhile: %v, want %v", got, want)
	}
}

func TestSampleNoticesAnotherProcess(t *testing.T) {
	proc := fstest.MapFS{"10/stat": process(1, 1, 1, 0, 0, 900)}
	if _, err := NewCPU(proc, []int{10, 11}, false); !errors.Is(err, ErrProcessGone) {
		t.Errorf("NewCPU with process 11 missing: %v", err)
	}
	c, err := NewCPU(proc, []int{10}, false)
	if err != nil {
		t.Fatal(err)
	}
	proc["10/stat"] = process(1, 0, 0, 0, 0, 2000)
	if _, err := c.Sample(); !errors.Is(err, ErrProcessGone) {
		t.Errorf("Sample of a restarted process: %v", err)
	}
	delete(proc, "10/stat")
	if _, err := c.Sample(); !errors.Is(err, ErrProcessGone) {
		t.Errorf("Sample of an ended process: %v", err)
	}
}

func TestStopwatchRefusesTimeThatRunsBackwards(t *testing.T) {
	proc := fstest.MapFS{"10/stat": process(1, 1, 1, 0, 0, 900), "11/stat": process(10, 100, 0, 0, 0, 900)}
	c, err := NewCPU(proc, []int{10}, true)
	if err != nil {
		t.Fatal(err)
	}
	read, err := c.stopwatch()
	if err != nil {
		t.Fatal(err)
	}
	delete(proc, "11/stat")
	if d, err := read(); d >= 0 || !errors.Is(err, ErrProcessGone) {
		t.Errorf("after an unwaited child ended: %v, %v", d, err)
	}
}

func TestOwnProcessIsReadable(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	c, err := NewCPU(os.DirFS("/proc"), []int{os.Getpid()}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Sample(); err != nil {
		t.Error(err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(process(1, 2, 3, 4, 5, 6).Data)
	f.Add([]byte("1 (x"))
	f.Add([]byte(") S -1"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if st, err := parseStat(line); err == nil && st.parent < 0 {
			t.Errorf("parseStat(%q) = %+v", line, st)
		}
	})
}
