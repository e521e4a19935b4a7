package builder

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Levels of the tree of failure domains.
const (
	levelRoot = iota
	levelRegion
	levelZone
	levelServer
	levelDevice
	levels
)

// tierKey names a tier; what is below its level is zero.
type tierKey struct {
	region, zone int
	ip           string
	id           int
}

func (k tierKey) compare(o tierKey) int {
	return cmp.Or(cmp.Compare(k.region, o.region), cmp.Compare(k.zone, o.zone), cmp.Compare(k.ip, o.ip),
		cmp.Compare(k.id, o.id))
}

// keyAt returns the name of the tier that d is in at a level.
func keyAt(d *Device, level int) tierKey {
	k := tierKey{id: -1}
	if level >= levelRegion {
		k.region = d.Region
	}
	if level >= levelZone {
		k.zone = d.Zone
	}
	if level >= levelServer {
		k.ip = d.IP
	}
	if level >= levelDevice {
		k.id = d.ID
	}
	return k
}

// A tier is a failure domain: the cluster, a region, a zone, a server or a device, with its share of the replicas.
type tier struct {
	key      tierKey
	level    int
	parent   *tier
	children []*tier
	path     [levels]*tier // from the root to the tier itself
	dev      *Device       // of a device's tier

	devices int // devices with weight in it

	// Replicas of a partition, on average, that the tier would hold
	even     float64 // if all tiers below one were equal
	weighted float64 // by weight alone
	wanted   float64 // for the best dispersion
	target   float64 // as planned: between weighted and wanted, as far as overload allows

	most    int // replicas of one partition that it may hold by the plan
	least   int // replicas of one partition that it should hold by the plan
	allowed int // replicas of one partition beyond which dispersion suffers

	quota int // part-replicas that it is to hold

	demand int // while sampling: part-replicas that are still to be drawn
	need   int // while moving: by how much devices in it fall short of their quota
	near   int // while chaining: devices in it that can pass on a replica
}

// plan is the tree with the shares of all tiers.
type plan struct {
	root   *tier
	leaves []*tier // by device id, nil for holes
	firm   []*tier // tiers above devices that should hold some replica of every partition, from the top
}

// planOf builds the tree of all devices. Those without weight are in it, with a share of nothing.
func (b *Builder) planOf() *plan {
	p := &plan{root: &tier{key: tierKey{id: -1}}, leaves: make([]*tier, len(b.devs))}
	p.root.path[0] = p.root
	var all [levels]map[tierKey]*tier
	for level := range all {
		all[level] = make(map[tierKey]*tier)
	}
	for d := range b.Devices() {
		at := p.root
		for level := levelRegion; level <= levelDevice; level++ {
			key := keyAt(d, level)
			next := all[level][key]
			if next == nil {
				next = &tier{key: key, level: level, parent: at, path: at.path}
				next.path[level] = next
				all[level][key] = next
				at.children = append(at.children, next)
			}
			at = next
		}
		at.dev = d
		p.leaves[d.ID] = at
		if d.Weight > 0 {
			for _, t := range at.path {
				t.devices++
			}
		}
	}
	p.root.each(func(t *tier) {
		slices.SortFunc(t.children, func(a, b *tier) int { return a.key.compare(b.key) })
	})
	return p
}

// each calls f for t and everything below it, from the top.
func (t *tier) each(f func(*tier)) {
	f(t)
	for _, c := range t.children {
		c.each(f)
	}
}

// used returns the children that have devices with weight.
func (t *tier) used() []*tier {
	var out []*tier
	for _, c := range t.children {
		if c.devices > 0 {
			out = append(out, c)
		}
	}
	return out
}

// shares computes what each tier is to hold.
func (b *Builder) shares() (*plan, error) {
	p := b.planOf()
	if float64(p.root.devices) < b.replicas {
		return nil, fmt.Errorf("%w: %v replicas need %v devices with weight, there are %d", ErrTooFewDevices, b.replicas,
			math.Ceil(b.replicas), p.root.devices)
	}
	p.allow(b.replicas)
	p.weigh(b.replicas)
	p.root.wanted = b.replicas
	p.root.want()
	required := p.requiredOverload()
	p.root.each(func(t *tier) {
		t.target = t.wanted
		if required > 0 {
			t.target = t.weighted + (t.wanted-t.weighted)*min(b.overload, required)/required
		}
		t.most = int(math.Ceil(t.target - epsilon))
		t.least = int(math.Floor(t.target + epsilon))
		if t.least > 0 && t.level > levelRoot && t.level < levelDevice {
			p.firm = append(p.firm, t)
		}
	})
	slices.SortStableFunc(p.firm, func(a, b *tier) int { return a.level - b.level })
	p.root.quota = slots(b.Partitions(), b.replicas)
	p.root.share(b.Partitions())
	return p, nil
}

// allow computes how many replicas of a partition each tier should hold at most, were all equal.
func (p *plan) allow(replicas float64) {
	limit := map[*tier]float64{p.root: replicas}
	p.root.even = replicas
	p.root.each(func(t *tier) {
		t.allowed = int(limit[t])
		used := t.used()
		for _, c := range used {
			limit[c] = math.Ceil(limit[t] / float64(len(used)))
			c.even = t.even / float64(len(used))
			if c.level == levelDevice {
				limit[c], c.even = min(limit[c], 1), min(c.even, 1)
			}
		}
	})
	p.root.allowed = int(math.Ceil(replicas))
}

// weigh splits the replicas over the devices by weight. No device takes more than one replica of a partition; what
// heavy devices cannot take goes to the others.
func (p *plan) weigh(replicas float64) {
	var leaves []*tier
	var share, lo, hi []float64
	for _, t := range p.leaves {
		if t != nil && t.dev.Weight > 0 {
			leaves = append(leaves, t)
			share, lo, hi = append(share, t.dev.Weight), append(lo, 0), append(hi, 1)
		}
	}
	if len(leaves) == 0 {
		return
	}
	// Weights may be of any size; the shares are about the size of the result.
	scale := replicas / sum(share)
	for i := range share {
		share[i] *= scale
	}
	for i, w := range fill(replicas, share, lo, hi) {
		for _, t := range leaves[i].path {
			t.weighted += w
		}
	}
}

func sum(f []float64) float64 {
	total := 0.0
	for _, v := range f {
		total += v
	}
	return total
}

// want spreads what a tier holds over the tiers below it as evenly as dispersion asks and as close to the weights as
// that allows: each gets between the floor and the ceiling of an even share, unless it lacks the devices.
func (t *tier) want() {
	used := t.used()
	if len(used) == 0 {
		return
	}
	var share, lo, hi, room []float64
	for _, c := range used {
		devices := float64(c.devices)
		share = append(share, c.weighted)
		lo = append(lo, min(math.Floor(c.even+epsilon), devices))
		hi = append(hi, min(math.Ceil(c.even-epsilon), devices))
		room = append(room, devices)
	}
	if sum(hi) < t.wanted {
		lo, hi = hi, room
	}
	if least := sum(lo); least > t.wanted {
		for i := range lo {
			lo[i] *= t.wanted / least
		}
	}
	for i, w := range fill(t.wanted, share, lo, hi) {
		used[i].wanted = w
		used[i].want()
	}
}

// requiredOverload returns by how much the device that has to give most for it must be overloaded for the best
// dispersion.
func (p *plan) requiredOverload() float64 {
	required := 0.0
	for _, t := range p.leaves {
		if t != nil && t.weighted > 0 {
			required = max(required, (t.wanted-t.weighted)/t.weighted)
		}
	}
	// What is left of rounding is no overload.
	if required < epsilon {
		return 0
	}
	return required
}

// share turns the targets into whole numbers of part-replicas, from the top.
func (t *tier) share(partitions int) {
	used := t.used()
	if len(used) == 0 {
		return
	}
	var share []float64
	var lo, hi []int
	for _, c := range used {
		share = append(share, c.target)
		lo = append(lo, min(c.least, c.devices)*partitions)
		hi = append(hi, min(c.most, c.devices)*partitions)
	}
	for i, q := range apportion(t.quota, share, lo, hi) {
		used[i].quota = q
		used[i].share(partitions)
	}
}
