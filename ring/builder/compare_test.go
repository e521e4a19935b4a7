package builder

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/ring"
)

var update = flag.Bool("update", false, "write testdata/comparison.txt anew")

// scenario is a topology and what happens to it.
type scenario struct {
	Name     string  `json:"name"`
	Power    uint    `json:"power"`
	Replicas float64 `json:"replicas"`
	Overload float64 `json:"overload"`
	Steps    []step  `json:"steps"`
}

type step struct {
	Add        []map[string]any `json:"add"`
	Remove     []int            `json:"remove"`
	Weigh      map[int]float64  `json:"weigh"`
	Replicas   float64          `json:"replicas"`
	Rebalances int              `json:"rebalances"`
}

func maps4(devs ...[]ring.Device) []map[string]any {
	var out []map[string]any
	for _, group := range devs {
		for _, d := range group {
			m := d.Map()
			delete(m, "id")
			out = append(out, m)
		}
	}
	return out
}

// weights gives the devices weights in turn.
func weights(devs []ring.Device, w ...float64) []ring.Device {
	for i := range devs {
		devs[i].Weight = w[i%len(w)]
	}
	return devs
}

// inZone makes devices of a zone.
func inZone(region, zone, servers, disks int, weight float64) []ring.Device {
	var out []ring.Device
	for s := range servers {
		for d := range disks {
			out = append(out, dev(region, zone, s+1, d, weight))
		}
	}
	return out
}

func scenarios() []scenario {
	once := func(name string, replicas, overload float64, devs ...[]ring.Device) scenario {
		return scenario{name, 12, replicas, overload, []step{{Add: maps4(devs...), Rebalances: 2}}}
	}
	then := func(s scenario, steps ...step) scenario {
		s.Steps = append(s.Steps, steps...)
		return s
	}
	zones3 := func() []ring.Device { return grid(1, 3, 2, 4) }
	return []scenario{
		once("even: 4 zones, 2 servers, 4 disks", 3, 0, grid(1, 4, 2, 4)),
		once("uneven weights", 3, 0, weights(grid(1, 4, 2, 4), 50, 100, 130, 200)),
		once("1 region, 3 zones", 3, 0, zones3()),
		once("1 region, 3 zones, uneven", 3, 0, weights(zones3(), 100, 100, 100, 100, 200, 200, 200)),
		once("2 regions", 3, 0, grid(2, 2, 2, 3)),
		once("2 regions of 2:1 weight", 3, 0, grid(2, 2, 2, 3), inZone(1, 3, 2, 6, 100)),
		once("single server", 3, 0, grid(1, 1, 1, 10)),
		once("small zone", 3, 0, inZone(1, 1, 1, 4, 100), inZone(1, 2, 1, 4, 100), inZone(1, 3, 1, 2, 100)),
		once("small zone, overload 0.1", 3, 0.1, inZone(1, 1, 1, 4, 100), inZone(1, 2, 1, 4, 100), inZone(1, 3, 1, 2, 100)),
		once("small zone, overload 1", 3, 1, inZone(1, 1, 1, 4, 100), inZone(1, 2, 1, 4, 100), inZone(1, 3, 1, 2, 100)),
		once("3.25 replicas", 3.25, 0, grid(1, 5, 2, 2)),
		once("2.5 replicas, uneven", 2.5, 0.1, weights(grid(2, 2, 2, 2), 100, 120, 80)),
		once("4+2 erasure code on 3 zones", 6, 0, grid(1, 3, 2, 3)),
		then(once("grow by a disk a server", 3, 0, zones3()), step{Add: maps4([]ring.Device{dev(1, 1, 1, 9, 100),
			dev(1, 1, 2, 9, 100), dev(1, 2, 1, 9, 100), dev(1, 2, 2, 9, 100), dev(1, 3, 1, 9, 100), dev(1, 3, 2, 9, 100)}),
			Rebalances: 3}),
		then(once("grow by a server", 3, 0, zones3()), step{Add: maps4(inZone(1, 2, 3, 4, 100)[8:]), Rebalances: 3}),
		then(once("grow by a zone", 3, 0, zones3()), step{Add: maps4(inZone(1, 4, 2, 4, 100)), Rebalances: 3}),
		then(once("grow by a region", 3, 0, zones3()), step{Add: maps4(inZone(2, 1, 4, 4, 100)), Rebalances: 4}),
		then(once("grow in small steps", 3, 0, zones3()), step{Add: maps4([]ring.Device{dev(1, 1, 7, 1, 25)}), Rebalances: 1},
			step{Weigh: map[int]float64{24: 50}, Rebalances: 1}, step{Weigh: map[int]float64{24: 75}, Rebalances: 1},
			step{Weigh: map[int]float64{24: 100}, Rebalances: 1}),
		then(once("lose a disk", 3, 0, zones3()), step{Remove: []int{5}, Rebalances: 2}),
		then(once("drain a server", 3, 0, grid(1, 4, 2, 4)), step{Weigh: map[int]float64{0: 0, 1: 0, 2: 0, 3: 0}, Rebalances: 3}),
		then(once("2 to 3 replicas", 2, 0, zones3()), step{Replicas: 3, Rebalances: 2}),
	}
}

// outcome is what a scenario led to.
type outcome struct {
	balance, dispersion float64
	moved               int
}

func (s *scenario) run(t *testing.T) outcome {
	t.Helper()
	b, err := New(s.Power, s.Replicas, 1)
	if err != nil {
		t.Fatal(err)
	}
	b.SetOverload(s.Overload)
	var o outcome
	n := 0
	for _, st := range s.Steps {
		for _, m := range st.Add {
			d, err := ring.DeviceFromMap(m, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Add(*d); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range st.Remove {
			b.Remove(id)
		}
		for id, w := range st.Weigh {
			b.SetWeight(id, w)
		}
		if st.Replicas > 0 {
			b.SetReplicas(st.Replicas)
		}
		for range st.Rebalances {
			b.PretendMinPartHoursPassed()
			r := rebalance(t, b, strconv.Itoa(n), start.Add(time.Duration(n)*time.Hour))
			o = outcome{r.Balance, r.Dispersion, o.moved + r.Moved}
			n++
		}
	}
	return o
}

// swift runs the scenarios in OpenStack Swift and measures its rings as ours are.
func swift(t *testing.T, all []scenario) []outcome {
	t.Helper()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import swift.common.ring.builder").CombinedOutput(); err != nil {
		t.Skipf("needs OpenStack Swift importable by /usr/bin/python3 (Debian: python3-swift): %v %s", err, out)
	}
	dir := t.TempDir()
	in, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "testdata/rebalance.py", dir)
	cmd.Stdin = bytes.NewReader(in)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var moves map[string][]int
	if err := json.Unmarshal(out, &moves); err != nil {
		t.Fatal(err)
	}
	var result []outcome
	for i, s := range all {
		steps := moves[s.Name]
		r, err := ring.Load(filepath.Join(dir, fmt.Sprintf("%d.%d.ring.gz", i, len(steps)-1)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromRing(r, 1)
		if err != nil {
			t.Fatal(err)
		}
		o := outcome{balance: b.Balance(), dispersion: b.Dispersion()}
		for _, n := range steps {
			o.moved += n
		}
		result = append(result, o)
	}
	return result
}

func TestRingsAreAsGoodAsSwifts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	all := scenarios()
	theirs := swift(t, all)
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s  %-28s  %-28s\n", "4096 partitions", "ours", "OpenStack Swift 2.30")
	fmt.Fprintf(&table, "%-36s  %8s %10s %8s  %8s %10s %8s\n", "", "balance", "dispersion", "moved", "balance",
		"dispersion", "moved")
	for i, s := range all {
		ours := s.run(t)
		fmt.Fprintf(&table, "%-36s  %8.2f %10.2f %8d  %8.2f %10.2f %8d\n", s.Name, ours.balance, ours.dispersion,
			ours.moved, theirs[i].balance, theirs[i].dispersion, theirs[i].moved)
		// One partition more or less on one device is within rounding.
		parts := float64(int(1)<<s.Power) * s.Replicas
		unit := 100 / (parts / 40)
		if ours.dispersion > theirs[i].dispersion+100*2/parts {
			t.Errorf("%s: dispersion %v, Swift's is %v", s.Name, ours.dispersion, theirs[i].dispersion)
		}
		if ours.balance > theirs[i].balance+unit && ours.dispersion >= theirs[i].dispersion {
			t.Errorf("%s: balance %v, Swift's is %v", s.Name, ours.balance, theirs[i].balance)
		}
	}
	t.Logf("\n%s", table.String())
	if *update {
		if err := os.WriteFile("testdata/comparison.txt", []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
