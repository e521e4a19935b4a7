package interop

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	run  = flag.Bool("interop", false, "run the test with processes of OpenStack Swift")
	full = flag.Bool("interop.full", false, "everything with each set of nodes, not one of each")
	big  = flag.Int("interop.big", 100, "megabytes of the largest object")
	keep = flag.String("interop.dir", "", "a fresh directory for the cluster, to look at afterwards (default: one that is removed)")
)

// wanted skips a test that nobody has asked for, or that cannot be run here.
func wanted(t *testing.T) {
	t.Helper()
	if !*run {
		t.Skip("runs a cluster of OpenStack Swift's processes for some minutes: ask for it with -interop")
	}
	if out, err := exec.Command(python, "-c", "import swift.common.wsgi").CombinedOutput(); err != nil {
		t.Skipf("%s cannot import OpenStack Swift (Debian: swift-proxy swift-account swift-container swift-object): %v\n%s", python, err, out)
	}
	if _, err := exec.LookPath("memcached"); err != nil {
		t.Skip("memcached is not installed")
	}
	if os.Geteuid() != 0 {
		t.Skip("OpenStack Swift's servers change their user, which needs root")
	}
}

func TestInterchange(t *testing.T) {
	wanted(t)
	r := newRig(t)
	took := stopwatch(t)
	c := &chronicle{rig: r}

	r.nodes(t, swift, swift)
	r.serve(t, swift, "proxy-swift")
	r.serve(t, apus, "proxy-apus")
	took("start")
	c.reference(t)
	took("reference")
	t.Run("proxies side by side", func(t *testing.T) { c.sideBySide(t) })
	for _, p := range []struct {
		name     string
		one, two impl
	}{{"nodes of Swift", swift, swift}, {"nodes of both", apus, swift}, {"nodes of Apus", apus, apus}, {"nodes of Swift again", swift, swift}} {
		t.Run(p.name, func(t *testing.T) {
			r.nodes(t, p.one, p.two)
			took("swap")
			c.phase(t, p.name, took)
			if *full || p.one == p.two && p.name != "nodes of Swift" {
				t.Run("updates that could not be delivered", func(t *testing.T) { c.undelivered(t, p.one, p.two) })
				took("undelivered")
				t.Run("expired objects", func(t *testing.T) { c.expire(t, p.one) })
				took("expire")
			}
			if *full || p.one == apus && p.two == apus {
				t.Run("Swift's auditors and tools", func(t *testing.T) { c.inspect(t) })
				took("inspect")
			}
			if *full || p.one == p.two && p.name != "nodes of Swift" {
				t.Run("Swift's replicators", func(t *testing.T) { c.replicate(t, p.one) })
				took("replicate")
			}
		})
	}
}

// phase is what is done with each set of nodes.
func (c *chronicle) phase(t *testing.T, name string, took func(string)) {
	now := c.direct(t)
	sameDirectly(t, c.devices, now)
	took("direct")
	for _, make := range []impl{swift, apus} {
		t.Run(fmt.Sprintf("all is read through %s", make), func(t *testing.T) { c.recall(t, make) })
		took("recall")
		t.Run(fmt.Sprintf("%s answers as a cluster of Swift", make), func(t *testing.T) { c.compare(t, make) })
		took("conversation")
		if *full || name == "nodes of Apus" || (name == "nodes of Swift") == (make == swift) && name != "nodes of Swift again" {
			c.remember(t, name+" through "+string(make), make)
			took("remember")
		}
	}
	c.devices = c.direct(t)
	t.Logf("%d answers of devices, statuses %v", len(c.devices), statuses(slices.Collect(maps.Values(c.devices))))
}

// stopwatch returns a function that logs how long it is since its last call.
func stopwatch(t *testing.T) func(what string) {
	last := time.Now()
	return func(what string) {
		now := time.Now()
		t.Logf("%s took %v", what, now.Sub(last).Round(time.Millisecond))
		last = now
	}
}

// chronicle knows what has been asked and answered.
type chronicle struct {
	rig      *rig
	memories []*memory
	devices  map[string]string   // what they last answered when asked directly
	talk     []string            // Swift's answers to conversation
	more     map[string][]string // and to filtered, by filter
}

func (c *chronicle) newTalker(t *testing.T, make impl) *talker {
	t.Helper()
	name := fmt.Sprintf("interop%02d", c.rig.users)
	c.rig.users++
	return newTalker(t, c.rig.proxy(make), name)
}

func (c *chronicle) reference(t *testing.T) {
	k := c.newTalker(t, swift)
	c.talk = ask(k, conversation())
	c.more = map[string][]string{}
	all := slices.Clone(c.talk)
	for filter, rs := range filtered() {
		c.more[filter] = ask(c.newTalker(t, swift), rs)
		all = append(all, c.more[filter]...)
	}
	t.Logf("reference: %d requests, statuses %v", len(all), statuses(all))
}

// statuses counts answers by status.
func statuses(answers []string) map[string]int {
	n := map[string]int{}
	for _, a := range answers {
		n[a[:3]]++
	}
	return n
}

func ask(k *talker, rs []request) []string {
	var out []string
	for _, r := range rs {
		out = append(out, k.form(k.send(r)))
	}
	return out
}

// compare holds a conversation through a proxy and reports what is answered otherwise than it was.
func (c *chronicle) compare(t *testing.T, make impl) {
	check := func(rs []request, want []string) {
		k := c.newTalker(t, make)
		for i, got := range ask(k, rs) {
			w, g := known(make, rs[i], want[i]), known(make, rs[i], got)
			if w != g {
				r := rs[i]
				t.Errorf("%d: %s %.200s [%.200s] guest %v, bare %v:\n%s", i, r.method, r.path, strings.ReplaceAll(r.head, "\n", "; "), r.guest, r.bare, diff(w, g))
			}
		}
	}
	check(conversation(), c.talk)
	for filter, rs := range filtered() {
		if make == swift || slices.Contains(apusFilters(), filter) {
			check(rs, c.more[filter])
		}
	}
}
