package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
)

// awake keeps the runtime's monitor thread from its deep sleep. That begins when no goroutine runs, which in a server is
// between any two requests, and after waking up the monitor polls every 20 microseconds for a while: a tenth of the processor
// time of a proxy. A trace, which is what the setting is for, needs the monitor awake; then it looks every 10 milliseconds as
// long as there is nothing for it to do. The trace itself, a line on standard error, is asked for as rarely as can be: every
// 24 days.
const awake = "schedtrace=2147483647"

// awakeCommands are the commands for which it is worth it. Servers that wait for disks are not among them: there the monitor
// has to take processors away from threads that wait, soon, or uploads cost a fifth more.
var awakeCommands = []string{"proxy"}

// keepMonitorAwake starts a server's program anew, as the same process, with the runtime set up like that: it reads GODEBUG
// only at its very beginning. An operator who sets schedtrace has decided otherwise. Without it the server works as well.
func keepMonitorAwake(args []string) {
	if len(args) < 2 || !slices.Contains(awakeCommands, args[1]) {
		return
	}
	set, ok := withAwake(os.Getenv("GODEBUG"))
	if !ok {
		return
	}
	self, err := os.Executable()
	if err != nil || os.Setenv("GODEBUG", set) != nil {
		return
	}
	_ = syscall.Exec(self, args, os.Environ())
}

// withAwake adds the setting to the value of GODEBUG; false if there is one already.
func withAwake(value string) (string, bool) {
	for setting := range strings.SplitSeq(value, ",") {
		if name, _, _ := strings.Cut(setting, "="); name == "schedtrace" {
			return value, false
		}
	}
	if value == "" {
		return awake, true
	}
	return value + "," + awake, true
}
