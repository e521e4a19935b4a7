package builder

import (
	"encoding/json"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/ring"
)

// facts is what Swift says about a builder that it loaded and found valid.
type facts struct {
	Version      int64
	Balance      float64
	Dispersion   float64
	ID           string
	Overload     float64
	Replicas     float64
	MinPartHours int `json:"min_part_hours"`
	Removed      []int
	Changed      bool
	Rest         int
}

type swiftView struct {
	Size    int64
	MD5     string
	Version int64
	Parts   [][2][]int
	Builder facts
	Again   facts
}

func askSwift(t *testing.T, ringPath, builderPath string) swiftView {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command("/usr/bin/python3", "testdata/lookup.py", ringPath, builderPath)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var v swiftView
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// checkLookups compares every partition's nodes.
func checkLookups(t *testing.T, name string, r *ring.Ring, v swiftView) {
	t.Helper()
	if v.Size != r.Size() || v.MD5 != r.MD5() || v.Version != r.Version() || len(v.Parts) != r.PartitionCount() {
		t.Errorf("%s: Swift has size %d, md5 %s, version %d; we have %d, %s, %d", name, v.Size, v.MD5, v.Version,
			r.Size(), r.MD5(), r.Version())
	}
	for part, nodes := range v.Parts {
		var primaries, handoffs []int
		for _, n := range r.AppendPrimaries(nil, uint32(part)) {
			primaries = append(primaries, n.ID)
		}
		for n := range r.Handoffs(uint32(part)) {
			handoffs = append(handoffs, n.ID)
		}
		if !slices.Equal(primaries, nodes[0]) || !slices.Equal(handoffs, nodes[1]) {
			t.Fatalf("%s: partition %d: we say %v, %v; Swift says %v, %v", name, part, primaries, handoffs, nodes[0], nodes[1])
		}
	}
}

func TestSwiftReadsOurRingsAndBuilders(t *testing.T) {
	if out, err := exec.Command("/usr/bin/python3", "-c", "import swift.common.ring.builder").CombinedOutput(); err != nil {
		t.Skipf("needs OpenStack Swift importable by /usr/bin/python3 (Debian: python3-swift): %v %s", err, out)
	}
	six := weights(grid(2, 2, 2, 2), 100, 50, 75)
	six[3].IP, six[3].ReplicationIP, six[3].Meta = "fd00::1", "fd00::2", "ünïcode \"quoted\" \U0001f426"
	for _, c := range []struct {
		name     string
		power    uint
		replicas float64
		devs     []ring.Device
		change   func(*Builder) // between two rebalances
		pending  func(*Builder) // after the last one
	}{
		{name: "one partition", power: 0, replicas: 1, devs: grid(1, 1, 1, 2)},
		{name: "even", power: 8, replicas: 3, devs: grid(1, 3, 2, 2)},
		{name: "fractional and uneven", power: 7, replicas: 3.25, devs: six, change: func(b *Builder) { b.Remove(2) },
			pending: func(b *Builder) { b.Remove(4); b.SetWeight(1, 0) }},
		{name: "handoffs in steps", power: 17, replicas: 2, devs: grid(2, 1, 2, 2)},
		{name: "preparing a larger power", power: 4, replicas: 2, devs: grid(1, 2, 1, 2)},
	} {
		b := build(t, c.power, c.replicas, c.devs...)
		b.SetOverload(0.1)
		rebalance(t, b, "one", time.Now())
		if c.change != nil {
			c.change(b)
			rebalance(t, b, "two", time.Now().Add(2*time.Hour))
		}
		if c.pending != nil {
			c.pending(b)
		}
		r, err := b.Ring()
		if err != nil {
			t.Fatal(err)
		}
		ringPath, builderPath := filepath.Join(t.TempDir(), "o.ring.gz"), filepath.Join(t.TempDir(), "o.builder")
		if err := ring.Save(ringPath, r, ring.Format1); err != nil {
			t.Fatal(err)
		}
		if err := b.Save(builderPath); err != nil {
			t.Fatal(err)
		}
		if r, err = ring.Load(ringPath); err != nil {
			t.Fatal(err)
		}
		v := askSwift(t, ringPath, builderPath)
		checkLookups(t, c.name, r, v)
		f := v.Builder
		var removed []int
		for d := range b.Devices() {
			if d.Removed {
				removed = append(removed, d.ID)
			}
		}
		if f.Version != b.Version() || f.ID != b.ID() || f.Overload != b.Overload() || f.Replicas != b.Replicas() ||
			f.MinPartHours != 1 || !slices.Equal(f.Removed, removed) || f.Changed != b.Changed() ||
			math.Abs(f.Balance-b.Balance()) > 1e-6 || math.Abs(f.Dispersion-b.Dispersion()) > 1e-6 {
			t.Errorf("%s: Swift says %+v; our balance is %v, dispersion %v", c.name, f, b.Balance(), b.Dispersion())
		}
		back, err := Load(builderPath)
		if err != nil {
			t.Fatal(err)
		}
		if back.Version() != v.Again.Version || math.Abs(back.Balance()-v.Again.Balance) > 1e-6 {
			t.Errorf("%s: after Swift's rebalance we say version %d, balance %v; it says %+v", c.name, back.Version(),
				back.Balance(), v.Again)
		}
		rebalance(t, back, "three", time.Now().Add(5*time.Hour))
	}
}
