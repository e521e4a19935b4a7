package builder

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// topology draws a builder with devices of mixed weights and lopsided tiers.
func topology(t *rapid.T) *Builder {
	replicas := rapid.SampledFrom([]float64{1, 2, 3, 3, 3, 2.5, 3.25, 4, 6}).Draw(t, "replicas")
	b, err := New(uint(rapid.IntRange(4, 8).Draw(t, "power")), replicas, rapid.IntRange(0, 3).Draw(t, "hours"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetOverload(rapid.SampledFrom([]float64{0, 0, 0.1, 1}).Draw(t, "overload")); err != nil {
		t.Fatal(err)
	}
	n := rapid.IntRange(int(math.Ceil(replicas)), 24).Draw(t, "devices")
	for range n {
		addSome(t, b)
	}
	return b
}

func addSome(t *rapid.T, b *Builder) {
	d := dev(rapid.IntRange(1, 3).Draw(t, "region"), rapid.IntRange(1, 3).Draw(t, "zone"),
		rapid.IntRange(1, 3).Draw(t, "server"), 0, float64(rapid.IntRange(1, 4).Draw(t, "weight"))*50)
	d.Name = fmt.Sprintf("disk%d", b.version)
	if _, err := b.Add(d); err != nil {
		t.Fatal(err)
	}
}

// change does one thing that an operator does between rebalances.
func change(t *rapid.T, b *Builder) {
	var alive []*Device
	weighted := 0
	for d := range b.Devices() {
		if !d.Removed {
			alive = append(alive, d)
		}
		if d.Weight > 0 {
			weighted++
		}
	}
	d := rapid.SampledFrom(alive).Draw(t, "device")
	spare := float64(weighted-1) >= b.replicas || d.Weight == 0
	var err error
	switch rapid.IntRange(0, 6).Draw(t, "change") {
	case 0, 1:
		addSome(t, b)
	case 2:
		if spare {
			err = b.Remove(d.ID)
		}
	case 3:
		if spare {
			err = b.SetWeight(d.ID, 0)
		}
	case 4:
		err = b.SetWeight(d.ID, float64(rapid.IntRange(1, 6).Draw(t, "weight"))*50)
	case 5:
		err = b.SetZone(d.ID, rapid.IntRange(1, 4).Draw(t, "zone"))
	case 6:
		if r := rapid.SampledFrom([]float64{1, 2, 2.5, 3, 4}).Draw(t, "replicas"); r <= float64(weighted) {
			err = b.SetReplicas(r)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot is what a builder looked like before a rebalance.
type snapshot struct {
	rows  [][]uint32
	moves []uint8
	devs  map[int]Device
}

func take(b *Builder, now time.Time) snapshot {
	s := snapshot{devs: make(map[int]Device), moves: make([]uint8, b.Partitions())}
	for _, row := range b.rows {
		s.rows = append(s.rows, slices.Clone(row))
	}
	for d := range b.Devices() {
		s.devs[d.ID] = *d
	}
	hours := max(now.Unix()-b.lastEpoch, 0) / 3600
	for i, h := range b.lastMoves {
		s.moves[i] = uint8(min(int64(h)+hours, maxMoved))
	}
	return s
}

func (s snapshot) at(row, part int) uint32 {
	if row >= len(s.rows) || part >= len(s.rows[row]) {
		return none
	}
	return s.rows[row][part]
}

// checkMoves checks that what moved was allowed to.
func checkMoves(t *rapid.T, b *Builder, before snapshot) {
	first := len(before.rows) == 0
	for part := range b.Partitions() {
		free, forced := 0, false
		for i, row := range b.rows {
			if part >= len(row) || before.at(i, part) == row[part] {
				continue
			}
			was := before.at(i, part)
			if was == none || before.devs[int(was)].Removed {
				forced = true
				continue
			}
			free++
		}
		if first || (free == 0 && !forced) {
			continue
		}
		if free > 1 || (free > 0 && forced) {
			t.Fatalf("partition %d: %d replicas moved freely, another by force: %v", part, free, forced)
		}
		if free > 0 && int(before.moves[part]) < b.minPartHours {
			t.Fatalf("partition %d moved after %d hours, min_part_hours is %d", part, before.moves[part], b.minPartHours)
		}
		if b.lastMoves[part] != 0 {
			t.Fatalf("partition %d moved and is noted as resting for %d hours", part, b.lastMoves[part])
		}
	}
}

// checkShape checks what every ring keeps.
func checkShape(t *rapid.T, b *Builder, before snapshot) {
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	whole, extra := rowLengths(b.Partitions(), b.replicas)
	total := 0
	for _, row := range b.rows {
		total += len(row)
	}
	if total != whole*b.Partitions()+extra {
		t.Fatalf("%d part-replicas, want %d*%d+%d", total, whole, b.Partitions(), extra)
	}
	for id, was := range before.devs {
		d, err := b.Device(id)
		switch {
		case was.Removed && err == nil:
			t.Fatalf("device %d was to be removed and is there", id)
		case !was.Removed && (err != nil || d.Name != was.Name):
			t.Fatalf("device %d was %s and is %v %v", id, was.Name, d, err)
		}
	}
	if _, err := b.Ring(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryRebalanceKeepsThePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := topology(t)
		now := start
		for step := range rapid.IntRange(1, 5).Draw(t, "steps") {
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				if step > 0 {
					change(t, b)
				}
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "wait")) * time.Hour)
			before := take(b, now)
			seed := rapid.StringMatching("[a-z]{1,3}").Draw(t, "seed")
			again := clone(t, b)
			if _, err := b.Rebalance(RebalanceOptions{Seed: seed, Now: now}); err != nil {
				t.Fatal(err)
			}
			checkShape(t, b, before)
			checkMoves(t, b, before)
			if _, err := again.Rebalance(RebalanceOptions{Seed: seed, Now: now}); err != nil {
				t.Fatal(err)
			}
			for i := range b.rows {
				if !slices.Equal(b.rows[i], again.rows[i]) {
					t.Fatalf("replica %d differs between two rebalances with one seed", i)
				}
			}
		}
	})
}

// clone copies a builder by hand.
func clone(_ *rapid.T, b *Builder) *Builder {
	c := *b
	c.devs = make([]*Device, len(b.devs))
	for i, d := range b.devs {
		if d != nil {
			copied := *d
			c.devs[i] = &copied
		}
	}
	c.rows = nil
	for _, row := range b.rows {
		c.rows = append(c.rows, slices.Clone(row))
	}
	c.lastMoves = slices.Clone(b.lastMoves)
	return &c
}

// settle rebalances until nothing moves any more, with time in between.
func settle(t *rapid.T, b *Builder, now time.Time) {
	for i := range 40 {
		now = now.Add(1000 * time.Hour)
		r, err := b.Rebalance(RebalanceOptions{Seed: fmt.Sprint(i), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if r.Moved == 0 {
			return
		}
	}
	t.Fatal("still moving after 40 rebalances")
}

func TestSettledRingsFollowThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := topology(t)
		if _, err := b.Rebalance(RebalanceOptions{Seed: "x", Now: start}); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			change(t, b)
		}
		settle(t, b, start)
		p, err := b.shares()
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for id, leaf := range p.leaves {
			if leaf == nil {
				continue
			}
			off := b.devs[id].Parts - leaf.quota
			if leaf.dev.Weight == 0 && off > 0 {
				t.Fatalf("%s has weight 0 and %d partitions", leaf.dev, leaf.dev.Parts)
			}
			total += max(off, 0)
		}
		// A few part-replicas may be stuck where no chain of legal moves leads.
		if limit := max(2, p.root.quota/100); total > limit {
			t.Fatalf("%d of %d part-replicas are over quota, want at most %d", total, p.root.quota, limit)
		}
		for part := range b.Partitions() {
			for i, row := range b.rows {
				if part >= len(row) {
					continue
				}
				for level := levelRegion; level < levelDevice; level++ {
					n, at := 0, p.leaves[row[part]].path[level]
					for _, other := range b.rows {
						if part < len(other) && p.leaves[other[part]].path[level] == at {
							n++
						}
					}
					if n < at.least {
						t.Fatalf("replica %d of partition %d: %d replicas in %+v, planned at least %d (target %v)", i, part,
							n, at.key, at.least, at.target)
					}
					if n > at.most {
						t.Fatalf("replica %d of partition %d: %d replicas in %+v, planned %d (target %v)", i, part, n,
							at.key, at.most, at.target)
					}
				}
			}
		}
	})
}

func TestFreshRingsStayAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := topology(t)
		first, err := b.Rebalance(RebalanceOptions{Seed: "x", Now: start})
		if err != nil {
			t.Fatal(err)
		}
		b.PretendMinPartHoursPassed()
		again, err := b.Rebalance(RebalanceOptions{Seed: "y", Now: start})
		if err != nil {
			t.Fatal(err)
		}
		if again.Moved > 0 {
			t.Fatalf("first %+v, again %+v", first, again)
		}
	})
}
