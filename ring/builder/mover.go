package builder

import (
	"math"
	"math/rand/v2"
)

// replica names a place in the table: a replica of a partition.
type replica struct {
	part uint32
	row  uint16
}

// mover changes an assignment step by step towards a plan. A move is legal when it puts no more replicas of the
// partition into a tier than planned, or than are there already, and leaves no tier with fewer than planned.
type mover struct {
	b        *Builder
	plan     *plan
	rng      *rand.Rand
	progress func(step string, done, total int)

	have    []int     // by device id: part-replicas it holds now
	touched []bool    // by partition: a replica was moved in this rebalance
	moving  [][]bool  // by row and partition: this is the replica that was moved, it may go elsewhere still
	homes   [][]place // by device id: what it holds; entries may be out of date
}

type place = replica

func newMover(b *Builder, p *plan, rng *rand.Rand) *mover {
	m := &mover{b: b, plan: p, rng: rng, have: make([]int, len(b.devs)), touched: make([]bool, b.Partitions())}
	for _, row := range b.rows {
		m.moving = append(m.moving, make([]bool, len(row)))
		for _, id := range row {
			if id != none {
				m.have[id]++
			}
		}
	}
	p.root.each(func(t *tier) { t.need = 0 })
	for id, leaf := range p.leaves {
		if leaf != nil {
			m.addNeed(leaf, max(0, leaf.quota-m.have[id]))
		}
	}
	return m
}

func (m *mover) addNeed(leaf *tier, n int) {
	if n == 0 {
		return
	}
	for _, t := range leaf.path {
		t.need += n
	}
}

// hold changes what a device holds by n part-replicas.
func (m *mover) hold(id uint32, n int) {
	leaf := m.plan.leaves[id]
	old := max(0, leaf.quota-m.have[id])
	m.have[id] += n
	m.addNeed(leaf, max(0, leaf.quota-m.have[id])-old)
}

// surplus returns how many part-replicas a device holds over its quota.
func (m *mover) surplus(leaf *tier) int { return m.have[leaf.dev.ID] - leaf.quota }

// put moves a replica to a device.
func (m *mover) put(r replica, to *tier) {
	row := m.b.rows[r.row]
	if from := row[r.part]; from != none {
		m.hold(from, -1)
	}
	id := uint32(to.dev.ID)
	row[r.part] = id
	m.hold(id, 1)
	m.touched[r.part] = true
	m.moving[r.row][r.part] = true
	if m.homes != nil {
		m.homes[id] = append(m.homes[id], r)
	}
}

// free says that a replica may be moved: it is on the move already, or its partition has rested long enough and none of
// its replicas was moved.
func (m *mover) free(r replica) bool {
	if m.moving[r.row][r.part] {
		return true
	}
	return !m.touched[r.part] && int(m.b.lastMoves[r.part]) >= m.b.minPartHours
}

// others counts the replicas of r's partition, without r, in a tier.
func (m *mover) others(r replica, t *tier) int {
	n := 0
	for i, row := range m.b.rows {
		if i == int(r.row) || int(r.part) >= len(row) {
			continue
		}
		if id := row[r.part]; id != none && m.plan.leaves[id].path[t.level] == t {
			n++
		}
	}
	return n
}

// fits says that a tier may hold r. When strict it must not even then be over the plan when it is now.
func (m *mover) fits(r replica, t *tier, strict bool) bool {
	n := m.others(r, t)
	if n < t.most {
		return true
	}
	if strict || t.level == levelDevice {
		return false
	}
	from := m.b.rows[r.row][r.part]
	return from != none && m.plan.leaves[from].path[t.level] == t
}

// anchor returns the lowest tier that r must not leave, because it would hold fewer replicas of the partition than
// planned; the root if r may go anywhere.
func (m *mover) anchor(r replica) *tier {
	from := m.b.rows[r.row][r.part]
	if from == none {
		return m.plan.root
	}
	path := m.plan.leaves[from].path
	for level := levelServer; level > levelRoot; level-- {
		if path[level].least > 0 && m.others(r, path[level]) < path[level].least {
			return path[level]
		}
	}
	return m.plan.root
}

// lacking returns the highest tier that holds fewer replicas of r's partition, without r, than planned, nil if there
// is none.
func (m *mover) lacking(r replica) *tier {
	for _, t := range m.plan.firm {
		if m.others(r, t) < t.least {
			return t
		}
	}
	return nil
}

// into finds a legal device for r in a tier, which wants more if possible.
func (m *mover) into(r replica, t *tier) *tier {
	for level := m.anchor(r).level + 1; level <= t.level; level++ {
		if !m.fits(r, t.path[level], true) {
			return nil
		}
	}
	if to := m.choose(r, t, true, byNeed); to != nil {
		return to
	}
	return m.leastBad(r, t, true)
}

// pull is what draws replicas to a tier.
type pull func(*tier) int

func byNeed(t *tier) int { return t.need }
func byNear(t *tier) int { return t.near }

// choose finds a legal device for r below t, at random with odds by how strongly the tiers pull.
func (m *mover) choose(r replica, t *tier, strict bool, strength pull) *tier {
	if t.level == levelDevice {
		return t
	}
	var room [16]bool
	tried := room[:]
	if len(t.children) > len(room) {
		tried = make([]bool, len(t.children))
	}
	total := 0
	for _, c := range t.children {
		total += strength(c)
	}
	for total > 0 {
		at := m.rng.IntN(total)
		for i, c := range t.children {
			n := strength(c)
			if tried[i] || n == 0 {
				continue
			}
			if at >= n {
				at -= n
				continue
			}
			if m.fits(r, c, strict) {
				if leaf := m.choose(r, c, strict, strength); leaf != nil {
					return leaf
				}
			}
			tried[i] = true
			total -= n
			break
		}
	}
	return nil
}

// leastBad finds the device for r that breaks the plan least: first by how far tiers are over, from the regions down,
// then by how full the device is. With legal set it takes no device that breaks it at all. It looks below a tier only.
func (m *mover) leastBad(r replica, within *tier, legal bool) *tier {
	var best *tier
	bestOver, bestFull := math.MaxInt, math.Inf(1)
	for _, leaf := range m.plan.leaves {
		if leaf == nil || leaf.devices == 0 || leaf.path[within.level] != within || m.others(r, leaf) > 0 {
			continue
		}
		over := 0
		for level := levelRegion; level < levelDevice; level++ {
			// A replica too many in a region outweighs all that can be wrong below.
			over = over<<10 + max(0, m.others(r, leaf.path[level])+1-leaf.path[level].most)
		}
		full := float64(m.have[leaf.dev.ID]+1) / max(float64(leaf.quota), 0.5)
		if (over > 0 && legal) || over > bestOver || (over == bestOver && full >= bestFull) {
			continue
		}
		best, bestOver, bestFull = leaf, over, full
	}
	return best
}
