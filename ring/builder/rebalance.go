package builder

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"
)

// RebalanceOptions say how to rebalance. Now is required.
type RebalanceOptions struct {
	// Seed makes the outcome repeatable: the same builder and seed give the same ring. "" draws one at random.
	Seed string
	// Now is the current time, by which the hours since the last moves are counted.
	Now time.Time
	// Progress, if not nil, is told what is being done and how much of it.
	Progress func(step string, done, total int)
}

// A Result says what a rebalance did.
type Result struct {
	// Moved is the number of part-replicas that are on another device than before, new ones included.
	Moved int
	// Partitions is the number of partitions that have such a replica.
	Partitions int
	// Removed is the number of devices that are gone.
	Removed int
	// Balance and Dispersion are those of the new ring, in percent.
	Balance, Dispersion float64
}

// Rebalance assigns partitions to devices: those that are on no device or on a removed one, and as many others as get
// the ring closer to its plan while one replica of a partition at most is moved, and none of a partition that moved
// less than MinPartHours ago. It fails with [ErrTooFewDevices] or [ErrPartPower] and then changes nothing.
func (b *Builder) Rebalance(options RebalanceOptions) (Result, error) {
	if b.nextPartPower >= 0 {
		return Result{}, errRebalanceDuringIncrease
	}
	p, err := b.shares()
	if err != nil {
		return Result{}, err
	}
	rng := newRand(options.Seed)
	before := make([][]uint32, len(b.rows))
	for i, row := range b.rows {
		before[i] = slices.Clone(row)
	}
	b.age(options.Now)
	if options.Progress == nil {
		options.Progress = func(string, int, int) {}
	}
	if !b.Rebalanced() {
		b.fitRows()
		options.Progress("draw", 0, b.Partitions())
		b.draw(p, rng)
	}
	b.fitRows()
	m := newMover(b, p, rng)
	m.progress = options.Progress
	m.takeFromRemoved()
	m.place()
	m.disperse()
	m.balance()
	result := b.conclude(before, m)
	for _, t := range p.leaves {
		if t != nil {
			t.dev.Wanted = t.quota - t.dev.Parts
		}
	}
	b.gatherStart = rng.Int64N(int64(b.Partitions()))
	return result, nil
}

// newRand makes a source of random numbers of a seed. A text is hashed, so that similar seeds have nothing in common.
func newRand(seed string) *rand.Rand {
	if seed == "" {
		return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	sum := sha256.Sum256([]byte(seed))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}

// age brings the hours since the last moves up to date. Only whole hours count; the rest is left for the next time.
func (b *Builder) age(now time.Time) {
	if b.lastMoves == nil {
		b.lastMoves = make([]uint8, b.Partitions())
		b.lastEpoch = now.Unix()
	}
	hours := (now.Unix() - b.lastEpoch) / 3600
	if hours <= 0 {
		return
	}
	for i, h := range b.lastMoves {
		b.lastMoves[i] = uint8(min(int64(h)+hours, maxMoved))
	}
	b.lastEpoch = now.Unix()
}

// fitRows makes the table fit the number of replicas. New places are on no device; what is cut off is forgotten.
func (b *Builder) fitRows() {
	whole, extra := rowLengths(b.Partitions(), b.replicas)
	want := whole
	if extra > 0 {
		want++
	}
	for len(b.rows) > want {
		b.rows = b.rows[:len(b.rows)-1]
	}
	for len(b.rows) < want {
		b.rows = append(b.rows, nil)
	}
	for i, row := range b.rows {
		length := b.Partitions()
		if i == whole {
			length = extra
		}
		if len(row) > length {
			b.rows[i] = slices.Clone(row[:length])
		} else if missing := length - len(row); missing > 0 {
			b.rows[i] = append(row, slices.Repeat([]uint32{none}, missing)...)
		}
	}
}

// conclude notes what moved when, forgets removed devices and measures the ring.
func (b *Builder) conclude(before [][]uint32, m *mover) Result {
	var r Result
	for part := range b.Partitions() {
		moved := 0
		for i, row := range b.rows {
			if part < len(row) && (i >= len(before) || part >= len(before[i]) || before[i][part] != row[part]) {
				moved++
			}
		}
		if moved > 0 {
			r.Moved += moved
			r.Partitions++
			b.lastMoves[part] = 0
		}
	}
	for i, d := range b.devs {
		if d != nil && d.Removed {
			b.devs[i], m.plan.leaves[i] = nil, nil
			r.Removed++
		}
	}
	b.changed = false
	b.version++
	b.countParts()
	b.measureDispersion()
	r.Balance, r.Dispersion = b.Balance(), b.dispersion
	return r
}
