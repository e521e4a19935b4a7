package builder

import (
	"fmt"
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
