package builder

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/apus-storage/apus/ring"
)

var start = time.Unix(1_700_000_000, 0)

// dev describes a device; its name and port are made up.
func dev(region, zone, server, disk int, weight float64) ring.Device {
	ip := fmt.Sprintf("10.%d.%d.%d", region, zone, server)
	return ring.Device{Region: region, Zone: zone, IP: ip, Port: 6200, ReplicationIP: ip, ReplicationPort: 6200,
		Name: fmt.Sprintf("sd%d", disk), Weight: weight}
}

func build(t testing.TB, power uint, replicas float64, devs ...ring.Device) *Builder {
	t.Helper()
	b, err := New(power, replicas, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devs {
		if _, err := b.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func rebalance(t testing.TB, b *Builder, seed string, now time.Time) Result {
	t.Helper()
	r, err := b.Rebalance(RebalanceOptions{Seed: seed, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

// grid makes regions x zones x servers x disks devices of weight 100.
func grid(regions, zones, servers, disks int) []ring.Device {
	var out []ring.Device
	for r := range regions {
		for z := range zones {
			for s := range servers {
				for d := range disks {
					out = append(out, dev(r+1, z+1, s+1, d, 100))
				}
			}
		}
	}
	return out
}

func TestFirstRebalanceGivesEveryDeviceItsShare(t *testing.T) {
	for _, c := range []struct {
		name     string
		replicas float64
		devs     []ring.Device
	}{
		{"one device", 1, grid(1, 1, 1, 1)},
		{"as many devices as replicas", 3, grid(1, 1, 1, 3)},
		{"three zones", 3, grid(1, 3, 2, 4)},
		{"four zones", 3, grid(1, 4, 2, 3)},
		{"two regions", 3, grid(2, 2, 2, 2)},
		{"one server", 3, grid(1, 1, 1, 12)},
		{"five zones, fractional", 3.25, grid(1, 5, 2, 2)},
		{"four zones, fractional", 2.7, grid(1, 4, 1, 3)},
	} {
		b := build(t, 12, c.replicas, c.devs...)
		r := rebalance(t, b, "seed", start)
		fair := float64(slots(b.Partitions(), c.replicas)) / float64(len(c.devs))
		for d := range b.Devices() {
			if diff := float64(d.Parts) - fair; diff < -2 || diff > 2 {
				t.Errorf("%s: device %d has %d partitions, want about %.1f", c.name, d.ID, d.Parts, fair)
			}
		}
		if r.Dispersion != 0 {
			t.Errorf("%s: dispersion %v, want 0", c.name, r.Dispersion)
		}
		t.Logf("%s: %+v", c.name, r)
	}
}

func TestWhatMayMoveWhen(t *testing.T) {
	b := build(t, 8, 3, grid(1, 4, 1, 2)...)
	b.SetMinPartHours(2)
	rebalance(t, b, "one", start)
	parts := func(id int) int {
		d, err := b.Device(id)
		if err != nil {
			return 0
		}
		return d.Parts
	}
	full := parts(0)
	if err := b.SetWeight(0, 0); err != nil {
		t.Fatal(err)
	}
	if r := rebalance(t, b, "two", start.Add(time.Hour)); r.Moved != 0 || parts(0) != full || r.Balance != MaxBalance {
		t.Errorf("a drained device gave away partitions that had just moved: %+v", r)
	}
	if err := b.Remove(2); err != nil {
		t.Fatal(err)
	}
	if r := rebalance(t, b, "three", start.Add(time.Hour)); r.Moved < full || r.Removed != 1 {
		t.Errorf("a removed device was not emptied at once: %+v", r)
	}
	left := parts(0)
	rebalance(t, b, "four", start.Add(2*time.Hour))
	if got := parts(0); got >= left || got == 0 {
		t.Errorf("after two hours the drained device has %d of %d, want fewer, but those that moved an hour ago", got, left)
	}
	rebalance(t, b, "five", start.Add(4*time.Hour))
	if got := parts(0); got != 0 {
		t.Errorf("the drained device has %d partitions left", got)
	}
}

func TestRefusedRebalanceChangesNothing(t *testing.T) {
	b := build(t, 4, 3, grid(1, 3, 1, 1)...)
	rebalance(t, b, "one", start)
	version := b.Version()
	if err := b.SetReplicas(3.5); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Rebalance(RebalanceOptions{Now: start}); !errors.Is(err, ErrTooFewDevices) {
		t.Errorf("3.5 replicas on 3 devices: %v, want %v", err, ErrTooFewDevices)
	}
	if b.Version() != version || b.Validate() != nil || len(b.rows) != 3 {
		t.Errorf("it changed: version %d, %v, %d rows", b.Version(), b.Validate(), len(b.rows))
	}
}

func TestOverloadTradesBalanceForDispersion(t *testing.T) {
	// Two zones of four devices and one of two: a third of the replicas is more than the small zone's fifth by weight.
	devs := append(inZone(1, 1, 1, 4, 100), append(inZone(1, 2, 1, 4, 100), inZone(1, 3, 1, 2, 100)...)...)
	var balance, dispersion []float64
	for _, overload := range []float64{0, 0.1, 0.3, 1} {
		b := build(t, 10, 3, devs...)
		if err := b.SetOverload(overload); err != nil {
			t.Fatal(err)
		}
		required, err := b.RequiredOverload()
		if err != nil || math.Abs(required-2.0/3) > 1e-9 {
			t.Errorf("required overload %v %v, want two thirds", required, err)
		}
		r := rebalance(t, b, "x", start)
		balance, dispersion = append(balance, r.Balance), append(dispersion, r.Dispersion)
		if r.Balance > 100*min(overload, required)+1 {
			t.Errorf("overload %v: balance %v", overload, r.Balance)
		}
	}
	if !slices.IsSorted(balance) || !slices.IsSortedFunc(dispersion, func(a, b float64) int { return cmp.Compare(b, a) }) ||
		dispersion[3] != 0 {
		t.Errorf("balance %v, dispersion %v", balance, dispersion)
	}
}

func BenchmarkFirstRebalance(b *testing.B) {
	for b.Loop() {
		rebalance(b, build(b, 16, 3, grid(1, 4, 8, 8)...), "seed", start)
	}
}

// BenchmarkGrow adds a server to a zone and rebalances.
func BenchmarkGrow(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		bu := build(b, 16, 3, grid(1, 4, 8, 8)...)
		rebalance(b, bu, "seed", start)
		for disk := range 8 {
			bu.Add(dev(1, 1, 99, disk, 100))
		}
		b.StartTimer()
		rebalance(b, bu, "seed", start.Add(2*time.Hour))
	}
}
