package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// impl is a make of server.
type impl string

const (
	swift impl = "swift"
	apus  impl = "apus"
)

const python = "/usr/bin/python3"

// Halves of the devices: sdb1 and sdb2 are served by one process of each kind, sdb3 and sdb4 by another. With three
// replicas each half holds one or two of each partition.
const (
	first  = "first"
	second = "second"
	// replication is Swift's servers for all devices, on the ports that the rings in etc-net name for replication. In those
	// of etc replication has no network of its own, so that updaters speak to the servers under test.
	replication = "replication"
)

var (
	kinds  = []string{"account", "container", "object"}
	halves = []string{first, second}
)

// rig is a cluster whose processes can be swapped.
type rig struct {
	dir   string // etc, dev, cache, log
	bin   string // of apus
	ports map[string]int
	procs map[string]*process
	users int
}

// process is a running server.
type process struct {
	impl impl
	cmd  *exec.Cmd
	done chan struct{}
}

// newRig makes rings and configurations, and starts memcached.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir(), ports: map[string]int{}, procs: map[string]*process{}}
	if *keep != "" {
		r.dir = *keep
	}
	r.bin = filepath.Join(r.dir, "apus")
	for _, d := range []string{"etc", "etc-net", "log", "cache", "dev/sdb1", "dev/sdb2", "dev/sdb3", "dev/sdb4"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-o", r.bin, "../../cmd/apus").CombinedOutput(); err != nil {
		t.Fatalf("build apus: %v\n%s", err, out)
	}
	names := []string{"memcached", "proxy-swift", "proxy-apus"}
	var ports []any
	for _, k := range kinds {
		for _, h := range []string{first, second, replication} {
			names = append(names, k+"-"+h)
		}
	}
	r.choosePorts(t, names)
	r.write(t, "swift.conf", swiftConf)
	r.write(t, "../etc-net/swift.conf", swiftConf)
	r.write(t, "launch.py", launcher)
	r.writeConfigs(t)
	for _, n := range names[len(names)-9:] {
		ports = append(ports, r.ports[n])
	}
	script := fmt.Sprintf(ringScript, append([]any{r.path("etc")}, ports...)...)
	if out, err := exec.Command(python, "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("make rings: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		for name := range r.procs {
			r.stop(t, name)
		}
	})
	r.start(t, "memcached", "", "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", strconv.Itoa(r.ports["memcached"]), "-m", "64")
	return r
}

func (r *rig) path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

func (r *rig) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(r.path("etc", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// choosePorts finds a free port for each name. All are held until all are found, so that they differ.
func (r *rig) choosePorts(t *testing.T, names []string) {
	t.Helper()
	for _, n := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r.ports[n] = l.Addr().(*net.TCPAddr).Port
	}
}

// start runs a server and waits until its port is open.
func (r *rig) start(t *testing.T, name string, make impl, command string, args ...string) {
	t.Helper()
	r.spawn(t, name, make, command, args...)
	r.await(t, name)
}

// spawn runs a server in a process group of its own.
func (r *rig) spawn(t *testing.T, name string, make impl, command string, args ...string) {
	t.Helper()
	log, err := os.OpenFile(r.path("log", name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(command, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // gone with the test, even if it is killed
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	r.procs[name] = &process{impl: make, cmd: cmd, done: newDone(cmd)}
}

// await waits until the server's port is open.
func (r *rig) await(t *testing.T, name string) {
	t.Helper()
	p := r.procs[name]
	deadline := time.Now().Add(2 * time.Minute)
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(r.ports[name]))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-p.done:
		case <-time.After(50 * time.Millisecond):
			if time.Now().Before(deadline) {
				continue
			}
		}
		text, _ := os.ReadFile(r.path("log", name+".log"))
		t.Fatalf("%s %s does not listen:\n%s", p.impl, name, tail(string(text), 20))
	}
}

func newDone(cmd *exec.Cmd) chan struct{} {
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // a server that is stopped by a signal fails
		close(done)
	}()
	return done
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// stop ends a server gracefully, and after a while not.
func (r *rig) stop(t *testing.T, name string) {
	t.Helper()
	p := r.procs[name]
	delete(r.procs, name)
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		t.Errorf("%s %s did not stop in 15 seconds", p.impl, name)
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// serve has the named servers run by the make, stopping what served there. A name is proxy-..., or a kind and a half.
func (r *rig) serve(t *testing.T, make impl, names ...string) {
	t.Helper()
	var started []string
	for _, name := range names {
		if p := r.procs[name]; p != nil {
			if p.impl == make {
				continue
			}
			r.stop(t, name)
		}
		kind, _, _ := strings.Cut(name, "-")
		if make == apus {
			r.spawn(t, name, make, r.bin, kind, "-c", r.path("etc", name+".toml"))
		} else {
			r.spawn(t, name, make, python, r.path("etc", "launch.py"), r.path("etc"), "/usr/bin/swift-"+kind+"-server", r.path("etc", name+".conf"))
		}
		started = append(started, name)
	}
	for _, name := range started {
		r.await(t, name)
	}
}

// nodes swaps the storage servers of the halves to the makes.
func (r *rig) nodes(t *testing.T, one, two impl) {
	t.Helper()
	r.serve(t, one, each(first)...)
	r.serve(t, two, each(second)...)
}

// each is a half of each kind.
func each(half string) []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k+"-"+half)
	}
	return names
}

func (r *rig) proxy(make impl) string {
	return "http://127.0.0.1:" + strconv.Itoa(r.ports["proxy-"+string(make)])
}

// run executes a daemon or tool and returns what it printed.
func (r *rig) run(t *testing.T, command string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("%s: %v", command, err)
		}
		t.Errorf("%s %s: %v\n%s", command, strings.Join(args, " "), err, tail(out.String(), 30))
	}
	return out.String()
}

// swiftTool runs a program of Swift's on the cluster's files.
func (r *rig) swiftTool(t *testing.T, program string, args ...string) string {
	t.Helper()
	return r.run(t, python, append([]string{r.path("etc", "launch.py"), r.path("etc"), "/usr/bin/" + program}, args...)...)
}

// apusTool runs a sub-command of apus.
func (r *rig) apusTool(t *testing.T, args ...string) string {
	t.Helper()
	return r.run(t, r.bin, args...)
}
