package xprofile

import (
	"io"
	"runtime"
	"runtime/pprof"
)

// A profiler makes profiles, in the format of package profile.
type profiler interface {
	// Rates says how much of what is seldom is recorded, see [Config].
	Rates(block, mutex int)
	// Start begins to profile processor time. It fails while somebody else does that.
	Start(w io.Writer) error
	// Stop ends what Start has begun; all has been written when it returns.
	Stop()
	// Snapshot writes a profile of what is known now.
	Snapshot(w io.Writer, file string) error
}

// goProfiler is Go's own, of which a process has one.
type goProfiler struct{}

// Rates sets the rates of the process. Zero leaves them to others: there may be several instances.
func (goProfiler) Rates(block, mutex int) {
	if block > 0 {
		runtime.SetBlockProfileRate(block)
	}
	if mutex > 0 {
		runtime.SetMutexProfileFraction(mutex)
	}
}

// Start calls pprof.
func (goProfiler) Start(w io.Writer) error { return pprof.StartCPUProfile(w) }

// Stop calls pprof.
func (goProfiler) Stop() { pprof.StopCPUProfile() }

// Snapshot calls pprof.
func (goProfiler) Snapshot(w io.Writer, file string) error { return pprof.Lookup(file).WriteTo(w, 0) }

// A view is a way to look at a profile. The page shows what is exported.
type view struct {
	Name  string
	Title string
	file  string // which profile it is of
	// value and count are the types of its samples' values: how much, and how often.
	value, count string
	counted      string // what count counts, for people
	unit         unit
	About        string
}

// profileCPU is the file of what is profiled in stretches; the others are known at any time.
const profileCPU = "cpu"

// files are the kinds of profiles that are written.
var files = []string{profileCPU, "heap", "goroutine", "block", "mutex"}

var views = []view{
	{"cpu", "CPU", profileCPU, "cpu", "samples", "samples", unitTime, "Processor time, sampled while requests came."},
	{"heap", "Memory in use", "heap", "inuse_space", "inuse_objects", "objects", unitBytes, "What was allocated and is still in use, by who has allocated it."},
	{"allocs", "Allocations", "heap", "alloc_space", "alloc_objects", "objects", unitBytes, "All that has been allocated since the process started."},
	{"goroutine", "Goroutines", "goroutine", "goroutine", "goroutine", "goroutines", unitCount, "Goroutines, by where they are."},
	{"block", "Blocking", "block", "delay", "contentions", "waits", unitTime, "Time spent waiting for channels and locks."},
	{"mutex", "Contention", "mutex", "delay", "contentions", "waits", unitTime, "Time that others have waited, by who held the lock."},
}

// viewOf finds a view by its name.
func viewOf(name string) (view, bool) {
	for _, v := range views {
		if v.Name == name {
			return v, true
		}
	}
	return view{}, false
}
