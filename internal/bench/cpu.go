package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat: Linux reports them to programs in hundredths of a second on every
// architecture that Go runs on, whatever the kernel's own timer does.
const clockTick = 10 * time.Millisecond

// ErrProcessGone is wrapped when a server process is not there, or is another one than at the first reading.
var ErrProcessGone = errors.New("process is gone")

// A CPU reads the processor time that server processes on this machine have used, with a resolution of 10 ms for each
// process. It is safe for concurrent use.
type CPU struct {
	proc  fs.FS
	roots map[int]uint64 // process id -> start time, which tells a process from a later one of the same id
	tree  bool
}

// NewCPU prepares to read the processes with these ids from proc, which is /proc on Linux. Without tree it counts the
// listed processes alone, all threads included. With tree it counts all their descendants as well; the time of children
// that ended is found with the parent that waited for them, so nothing is lost or counted twice when workers come and go.
// A process that isn't there is an ErrProcessGone.
func NewCPU(proc fs.FS, pids []int, tree bool) (*CPU, error) {
	c := &CPU{proc: proc, roots: make(map[int]uint64), tree: tree}
	for _, pid := range pids {
		st, err := c.read(pid)
		if err != nil {
			return nil, err
		}
		c.roots[pid] = st.start
	}
	return c, nil
}

// Sample is the processor time used up to now by all the processes together. Only differences of samples mean anything.
func (c *CPU) Sample() (time.Duration, error) {
	stats := make(map[int]procStat)
	for pid, start := range c.roots {
		st, err := c.read(pid)
		if err != nil {
			return 0, err
		}
		if st.start != start {
			return 0, fmt.Errorf("read process %d: %w: its id belongs to another one now", pid, ErrProcessGone)
		}
		stats[pid] = st
	}
	if c.tree {
		if err := c.addDescendants(stats); err != nil {
			return 0, err
		}
	}
	var ticks uint64
	for _, st := range stats {
		ticks += st.own
		if c.tree {
			ticks += st.waited
		}
	}
	return time.Duration(ticks) * clockTick, nil
}

// addDescendants adds the children of the processes in stats, and theirs.
func (c *CPU) addDescendants(stats map[int]procStat) error {
	entries, err := fs.ReadDir(c.proc, ".")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	children := make(map[int][]int)
	all := make(map[int]procStat)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		st, err := c.read(pid)
		if err != nil {
			continue // it ended while we were listing; its parent has its time
		}
		all[pid] = st
		children[st.parent] = append(children[st.parent], pid)
	}
	var queue []int
	for pid := range stats {
		queue = append(queue, children[pid]...)
	}
	for len(queue) > 0 {
		pid := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if _, seen := stats[pid]; seen {
			continue // listed by the user as well as found
		}
		stats[pid] = all[pid]
		queue = append(queue, children[pid]...)
	}
	return nil
}

func (c *CPU) read(pid int) (procStat, error) {
	data, err := fs.ReadFile(c.proc, path.Join(strconv.Itoa(pid), "stat"))
	if errors.Is(err, fs.ErrNotExist) {
		return procStat{}, fmt.Errorf("read process %d: %w", pid, ErrProcessGone)
	}
	if err != nil {
		return procStat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	st, err := parseStat(data)
	if err != nil {
		return procStat{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return st, nil
}

// procStat is what matters of /proc/PID/stat. Times are in ticks.
type procStat struct {
	parent int
	own    uint64 // user and system time of all threads, ended ones included
	waited uint64 // the same of children that ended and were waited for, and of theirs
	start  uint64 // when the process began, in ticks since boot
}

// parseStat reads the line described in proc_pid_stat(5). The second field is the program's name in parentheses, which
// may hold spaces and parentheses itself, so fields are counted from the last closing one.
func parseStat(data []byte) (procStat, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("parse stat line %.60q: no name in parentheses", data)
	}
	fields := bytes.Fields(data[end+1:])
	// fields[0] is the third of the manual page, the state.
	const parent, utime, stime, cutime, cstime, start = 4 - 3, 14 - 3, 15 - 3, 16 - 3, 17 - 3, 22 - 3
	if len(fields) <= start {
		return procStat{}, fmt.Errorf("parse stat line %.60q: %d fields after the name, want %d", data, len(fields), start+1)
	}
	var n [start + 1]uint64
	for _, i := range []int{parent, utime, stime, cutime, cstime, start} {
		v, err := strconv.ParseUint(string(fields[i]), 10, 63)
		if err != nil {
			return procStat{}, fmt.Errorf("parse stat line %.60q: field %d: %w", data, i+3, err)
		}
		n[i] = v
	}
	return procStat{
		parent: int(n[parent]), own: n[utime] + n[stime], waited: n[cutime] + n[cstime], start: n[start],
	}, nil
}

// Pids are the ids that were asked for, in order.
func (c *CPU) Pids() []int {
	pids := make([]int, 0, len(c.roots))
	for pid := range c.roots {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids
}
