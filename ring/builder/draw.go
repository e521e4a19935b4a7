package builder

import "math/rand/v2"

// The first assignment is drawn, partition by partition, by systematic sampling: lay all part-replicas that are still
// to be given out on a line, tier next to tier, and pick points at equal distances, as many as the partition has
// replicas, from a random start. With L partitions left the distance is L. A tier that is still to get D part-replicas
// is a piece of length D, so it gets D/L of them rounded down or up, which is as even as whole replicas can be. Since
// the pieces shrink by what was drawn, every device ends with exactly its quota. The order of the pieces is shuffled
// within each tier for each partition, so that the replicas of a device's partitions are spread over all the others.

// drawer assigns the partitions of a builder that has no assignments.
type drawer struct {
	rng  *rand.Rand
	step int // distance of the points
	next int // the next point
	out  []*tier
}

// draw assigns as many replicas as row lengths say to all partitions.
func (b *Builder) draw(p *plan, rng *rand.Rand) {
	d := &drawer{rng: rng}
	whole, extra := rowLengths(b.Partitions(), b.replicas)
	p.root.each(func(t *tier) { t.demand = t.quota })
	if extra > 0 {
		// The first partitions have one replica more. What the tiers get of those is settled beforehand.
		early := p.split(extra, b.Partitions()-extra, extra*(whole+1))
		p.root.each(func(t *tier) { t.demand = early[t] })
		b.drawRange(d, p, 0, extra)
		p.root.each(func(t *tier) { t.demand = t.quota - early[t] })
	}
	b.drawRange(d, p, extra, b.Partitions())
}

// rowLengths returns how many replicas all partitions have, and how many partitions have one more.
func rowLengths(partitions int, replicas float64) (whole, extra int) {
	whole = int(replicas)
	return whole, int(float64(partitions) * (replicas - float64(whole)))
}

func (b *Builder) drawRange(d *drawer, p *plan, from, to int) {
	for part := from; part < to; part++ {
		d.step = to - part
		d.next = d.rng.IntN(d.step)
		d.out = d.out[:0]
		d.pick(p.root, 0)
		d.rng.Shuffle(len(d.out), func(i, j int) { d.out[i], d.out[j] = d.out[j], d.out[i] })
		for i, leaf := range d.out {
			b.rows[i][part] = uint32(leaf.dev.ID)
			for _, t := range leaf.path {
				t.demand--
			}
		}
	}
}

// pick takes the devices at the points that fall into a tier's piece of the line, which starts at position at.
func (d *drawer) pick(t *tier, at int) {
	if t.level == levelDevice {
		d.out = append(d.out, t)
		d.next += d.step
		return
	}
	end := at + t.demand
	d.rng.Shuffle(len(t.children), func(i, j int) { t.children[i], t.children[j] = t.children[j], t.children[i] })
	for _, c := range t.children {
		if d.next >= end {
			return
		}
		if d.next < at+c.demand {
			d.pick(c, at)
		}
		at += c.demand
	}
}

// split divides every tier's quota between the first partitions, which have one replica more, and the others, such that
// neither part makes a tier hold more or less of one partition than planned. It returns what is for the first.
func (p *plan) split(first, others, total int) map[*tier]int {
	type bounds struct{ lo, hi int }
	limit := make(map[*tier]bounds)
	var measure func(t *tier) bounds
	measure = func(t *tier) bounds {
		own := bounds{
			lo: max(t.least*first, t.quota-t.most*others),
			hi: min(t.quota-t.least*others, t.most*first),
		}
		if t.level < levelDevice {
			var below bounds
			for _, c := range t.children {
				b := measure(c)
				below.lo += b.lo
				below.hi += b.hi
			}
			own = bounds{max(own.lo, below.lo), min(own.hi, below.hi)}
			if own.lo > own.hi {
				own = below
			}
		}
		limit[t] = own
		return own
	}
	measure(p.root)
	out := map[*tier]int{p.root: total}
	p.root.each(func(t *tier) {
		var share []float64
		var lo, hi []int
		for _, c := range t.children {
			share = append(share, float64(c.quota))
			lo, hi = append(lo, limit[c].lo), append(hi, limit[c].hi)
		}
		for i, n := range apportion(out[t], share, lo, hi) {
			out[t.children[i]] = n
		}
	})
	return out
}
