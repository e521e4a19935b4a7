package builder

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

var errRebalanceDuringIncrease = fmt.Errorf("%w is under way: finish it before rebalancing", ErrPartPower)

// chainLength is the largest number of moves that one part-replica of surplus is worth.
const chainLength = 3

// takeFromRemoved takes the replicas from devices that are marked for removal. They have no choice but to move, so it
// does not matter when their partitions moved last or that more than one replica of a partition moves.
func (m *mover) takeFromRemoved() {
	for i, row := range m.b.rows {
		for part, id := range row {
			if id == none || !m.b.devs[id].Removed {
				continue
			}
			m.hold(id, -1)
			row[part] = none
			m.touched[part], m.moving[i][part] = true, true
		}
	}
}

// place finds a device for every replica that has none.
func (m *mover) place() {
	var homeless []replica
	for i, row := range m.b.rows {
		for part, id := range row {
			if id == none {
				homeless = append(homeless, replica{uint32(part), uint16(i)})
			}
		}
	}
	shuffle(m.rng, homeless)
	for i, r := range homeless {
		m.report("place", i, len(homeless))
		var to *tier
		if t := m.lacking(r); t != nil {
			to = m.into(r, t)
		}
		if to == nil {
			to = m.choose(r, m.plan.root, true, byNeed)
		}
		if to == nil {
			to = m.leastBad(r, m.plan.root, false)
		}
		m.put(r, to)
	}
}

func shuffle[E any](rng *rand.Rand, s []E) {
	rng.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

func (m *mover) report(step string, done, total int) {
	if done%4096 == 0 {
		m.progress(step, done, total)
	}
}

// disperse moves replicas out of tiers that hold more of a partition than planned, and into tiers that hold less. This
// comes before balance: if no device that it is legal to move to wants more, one that does not gets it.
func (m *mover) disperse() {
	for i, part := range m.rng.Perm(m.b.Partitions()) {
		m.report("disperse", i, m.b.Partitions())
		if m.relieve(uint32(part)) {
			continue
		}
		m.supply(uint32(part))
	}
}

// supply moves a replica of a partition into a tier that lacks one.
func (m *mover) supply(part uint32) {
	short := m.short(part)
	if short == nil {
		return
	}
	for _, row := range m.rng.Perm(len(m.b.rows)) {
		r := replica{part, uint16(row)}
		if int(part) >= len(m.b.rows[row]) || !m.free(r) {
			continue
		}
		if within := m.anchor(r); within == short || within != short.path[within.level] {
			continue
		}
		if to := m.into(r, short); to != nil {
			m.put(r, to)
			return
		}
	}
}

// short returns the highest tier that holds fewer replicas of a partition than planned, nil if there is none.
func (m *mover) short(part uint32) *tier {
	for _, t := range m.plan.firm {
		n := 0
		for _, row := range m.b.rows {
			if int(part) < len(row) && m.plan.leaves[row[part]].path[t.level] == t {
				n++
			}
		}
		if n < t.least {
			return t
		}
	}
	return nil
}

// misplaced is a replica in a tier that holds too many of its partition.
type misplaced struct {
	replica
	level   int // of the highest such tier
	surplus int // of the device it is on
}

// relieve moves a replica out of a tier that holds too many of a partition. It starts with those in the highest tier,
// on the fullest device.
func (m *mover) relieve(part uint32) bool {
	all := m.crowded(part)
	slices.SortStableFunc(all, func(a, b misplaced) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(b.surplus, a.surplus))
	})
	for _, r := range all {
		within := m.anchor(r.replica)
		if within.level >= r.level {
			continue // it could only move inside of the tier that it should leave
		}
		to := m.choose(r.replica, within, true, byNeed)
		if to == nil {
			to = m.leastBad(r.replica, within, true)
		}
		if to != nil {
			m.put(r.replica, to)
			return true
		}
	}
	return false
}

// crowded lists the replicas of a partition that may be moved and are in a tier that holds too many.
func (m *mover) crowded(part uint32) []misplaced {
	var all []misplaced
	for i, row := range m.b.rows {
		r := replica{part, uint16(i)}
		if int(part) >= len(row) || !m.free(r) {
			continue
		}
		leaf := m.plan.leaves[row[part]]
		// A device that is drained holds more than planned too, but that is for balance to settle.
		if leaf.devices == 0 {
			continue
		}
		for level := levelRegion; level < levelDevice; level++ {
			if m.others(r, leaf.path[level])+1 > leaf.path[level].most {
				all = append(all, misplaced{r, level, m.surplus(leaf)})
				break
			}
		}
	}
	return all
}

// balance moves replicas from devices that have too many to devices that have too few, first directly, then in chains
// over devices that have just enough, for where no direct move is legal.
func (m *mover) balance() {
	m.collectHomes()
	for {
		before := m.plan.root.need
		m.progress("balance", 0, before)
		for _, leaf := range m.surplusFirst() {
			m.drain(leaf, byNeed)
		}
		if m.plan.root.need > 0 {
			m.chain()
		}
		if m.plan.root.need == 0 || m.plan.root.need >= before {
			return
		}
	}
}

func (m *mover) collectHomes() {
	m.homes = make([][]place, len(m.b.devs))
	for i, row := range m.b.rows {
		for part, id := range row {
			m.homes[id] = append(m.homes[id], place{uint32(part), uint16(i)})
		}
	}
	for _, h := range m.homes {
		shuffle(m.rng, h)
	}
}

// surplusFirst lists the devices that hold too much, in random order but drained ones first: what they hold has to go
// anyway, so it shall have the widest choice.
func (m *mover) surplusFirst() []*tier {
	var drained, full []*tier
	for _, leaf := range m.plan.leaves {
		switch {
		case leaf == nil || m.surplus(leaf) <= 0:
		case leaf.quota == 0:
			drained = append(drained, leaf)
		default:
			full = append(full, leaf)
		}
	}
	shuffle(m.rng, drained)
	shuffle(m.rng, full)
	return append(drained, full...)
}

// drain moves replicas from a device that holds too many, as long as it does and something is pulling.
func (m *mover) drain(leaf *tier, strength pull) {
	for _, r := range m.homes[leaf.dev.ID] {
		if m.surplus(leaf) <= 0 || m.plan.root.need == 0 {
			return
		}
		if m.b.rows[r.row][r.part] != uint32(leaf.dev.ID) || !m.free(r) {
			continue
		}
		if to := m.send(r, leaf, strength); to != nil {
			m.put(r, to)
		}
	}
}

// send finds a legal device for a replica that leaves a device. A device that is drained may break the plan for it:
// what it has must go.
func (m *mover) send(r replica, from *tier, strength pull) *tier {
	within := m.anchor(r)
	to := m.choose(r, within, false, strength)
	if to == nil && from.quota == 0 && within != m.plan.root {
		to = m.choose(r, m.plan.root, false, strength)
	}
	return to
}

// chain looks for devices that could pass something on to one that has too little, for others that could pass
// something on to those, and so on, and lets the devices with surplus start such chains.
func (m *mover) chain() {
	layer := m.hungry()
	distance := make([]int, len(m.b.devs))
	for _, leaf := range layer {
		distance[leaf.dev.ID] = 1
	}
	layers := [][]*tier{layer}
	for len(layers) < chainLength && len(layer) > 0 {
		m.setNear(layer)
		var next []*tier
		for _, leaf := range m.plan.leaves {
			// Devices without weight only give, they pass nothing on.
			if leaf == nil || leaf.devices == 0 || distance[leaf.dev.ID] > 0 || m.surplus(leaf) > 0 {
				continue
			}
			if _, to := m.pass(leaf); to != nil {
				distance[leaf.dev.ID] = len(layers) + 1
				next = append(next, leaf)
			}
		}
		layers = append(layers, next)
		layer = next
	}
	for _, leaf := range m.surplusFirst() {
		for m.surplus(leaf) > 0 && m.plan.root.need > 0 && m.startChain(leaf, layers) {
		}
	}
}

// hungry lists the devices that have too little.
func (m *mover) hungry() []*tier {
	var out []*tier
	for _, leaf := range m.plan.leaves {
		if leaf != nil && leaf.need > 0 {
			out = append(out, leaf)
		}
	}
	return out
}

// setNear makes the given devices pull.
func (m *mover) setNear(leaves []*tier) {
	m.plan.root.each(func(t *tier) { t.near = 0 })
	for _, leaf := range leaves {
		for _, t := range leaf.path {
			t.near++
		}
	}
}

// pass finds a replica on a device that may go to one of those that are near, and which.
func (m *mover) pass(leaf *tier) (replica, *tier) {
	for _, r := range m.homes[leaf.dev.ID] {
		if m.b.rows[r.row][r.part] != uint32(leaf.dev.ID) || !m.free(r) {
			continue
		}
		if to := m.send(r, leaf, byNear); to != nil {
			return r, to
		}
	}
	return replica{}, nil
}

// startChain moves one replica away from a device with surplus and others after it, until one reaches a device that
// had too little. It says whether a device has gained.
func (m *mover) startChain(from *tier, layers [][]*tier) bool {
	for n := 1; n < len(layers); n++ {
		m.setNear(layers[n])
		first, via := m.pass(from)
		if via == nil {
			continue
		}
		m.put(first, via)
		for back := n - 1; back >= 0 && via != nil; back-- {
			near := layers[back]
			if back == 0 {
				near = m.hungry()
			}
			m.setNear(near)
			r, to := m.pass(via)
			if to == nil {
				// The way on is gone. What went here may as well stay: this device now has the surplus.
				return false
			}
			m.put(r, to)
			via = to
		}
		return true
	}
	return false
}
