package ring

import (
	"crypto/md5"
	"encoding/binary"
	"iter"
	"strconv"
)

// The tiers below the whole cluster that handoffs are spread over, and after them the devices themselves.
const (
	tierRegion = iota
	tierZone
	tierServer
	tierDevice
	tierCount
)

// tierIndex numbers a device's region, zone and server densely over the ring, so that sets of them are bits.
type tierIndex [3]uint32

// setSizes holds how many words a bit set of each tier takes.
type setSizes [tierCount]int

// indexTiers numbers the tiers of all devices and counts those that have partitions.
func (r *Ring) indexTiers(has []bool) {
	type key struct {
		region, zone int
		ip           string
	}
	numbers := [3]map[key]uint32{{}, {}, {}}
	counted := [3]map[uint32]bool{{}, {}, {}}
	r.tiers = make([]tierIndex, len(r.devs))
	for id, d := range r.devs {
		if d == nil {
			continue
		}
		keys := [3]key{{region: d.Region}, {region: d.Region, zone: d.Zone}, {d.Region, d.Zone, d.IP}}
		for tier, k := range keys {
			n, ok := numbers[tier][k]
			if !ok {
				n = uint32(len(numbers[tier]))
				numbers[tier][k] = n
			}
			r.tiers[id][tier] = n
			if has[id] {
				counted[tier][n] = true
			}
		}
		if has[id] {
			r.assigned++
		}
	}
	for tier := range counted {
		r.totals[tier] = len(counted[tier])
		r.sets[tier] = words(len(numbers[tier]))
	}
	r.sets[tierDevice] = words(len(r.devs))
}

func words(n int) int { return (n + 63) / 64 }

// Handoffs yields the nodes that stand in for the partition's primaries, in the order in which every process of the
// cluster tries them: first from regions that hold no replica, then from zones, then from servers, then every device
// that is left. The sequence is computed as far as it is consumed and may be started again.
func (r *Ring) Handoffs(part uint32) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if int64(part) >= int64(r.PartitionCount()) || r.rows.count() == 0 {
			return
		}
		var room [32]uint64
		w := r.newWalk(room[:0], int(part))
		w.run(yield)
	}
}

// walk is the state of one pass over the handoffs of a partition.
type walk struct {
	r     *Ring
	seen  [tierCount][]uint64
	count [tierCount]int // bits set in seen
	next  int            // index of the next handoff

	parts, start, step int
}

func (r *Ring) newWalk(room []uint64, part int) walk {
	w := walk{r: r, parts: r.rows.length(0)}
	total := 0
	for _, n := range r.sets {
		total += n
	}
	if total > cap(room) {
		room = make([]uint64, total)
	}
	room = room[:total]
	for tier, n := range r.sets {
		w.seen[tier], room = room[:n:n], room[n:]
	}
	for row := range r.rows.count() {
		if part < r.rows.length(row) {
			if id := r.rows.at(row, part); !w.has(tierDevice, id) {
				w.add(id)
			}
		}
	}
	var digits [10]byte
	sum := md5.Sum(strconv.AppendUint(digits[:0], uint64(part), 10))
	w.start = int(binary.BigEndian.Uint32(sum[:4]) >> (MaxPartPower - r.partPower))
	w.step = max(w.parts/65536, 1)
	return w
}

func (w *walk) has(tier int, n uint32) bool { return w.seen[tier][n/64]&(1<<(n%64)) != 0 }

func (w *walk) set(tier int, n uint32) {
	if !w.has(tier, n) {
		w.seen[tier][n/64] |= 1 << (n % 64)
		w.count[tier]++
	}
}

// add marks a device and the tiers it is in.
func (w *walk) add(id uint32) {
	w.set(tierDevice, id)
	for tier, n := range w.r.tiers[id] {
		w.set(tier, n)
	}
}

// done says that a pass can yield nothing any more.
func (w *walk) done(tier int) bool {
	if tier == tierDevice {
		return w.count[tierDevice] >= w.r.assigned
	}
	return w.count[tier] >= w.r.totals[tier]
}

func (w *walk) run(yield func(Node) bool) {
	// The wrapped half starts at a whole step even when that leaves out partition 0. It looks like a mistake, but the
	// order is shared by every process of the cluster and has to stay.
	wrapped := w.step - (w.parts-w.start)%w.step
	for tier := range tierCount {
		for _, half := range [2][2]int{{w.start, w.parts}, {wrapped, min(w.start, w.parts)}} {
			for part := half[0]; part < half[1] && !w.done(tier); part += w.step {
				if !w.visit(tier, part, yield) {
					return
				}
			}
		}
	}
}

// visit yields the devices of a partition that are new to a tier. It returns false when the consumer has had enough.
func (w *walk) visit(tier, part int, yield func(Node) bool) bool {
	for row := range w.r.rows.count() {
		if part >= w.r.rows.length(row) {
			continue
		}
		id := w.r.rows.at(row, part)
		if w.has(tierDevice, id) || (tier != tierDevice && w.has(tier, w.r.tiers[id][tier])) {
			continue
		}
		w.add(id)
		node := Node{Device: w.r.devs[id], Index: w.next, Handoff: true}
		w.next++
		if !yield(node) {
			return false
		}
	}
	return true
}
