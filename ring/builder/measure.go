package builder

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
)

// MaxBalance is the balance of a device that should have no partitions but has some.
const MaxBalance = 999.99

// weightOfOnePart returns how many part-replicas one unit of weight is worth, 0 when nothing has weight.
func (b *Builder) weightOfOnePart() float64 {
	total := 0.0
	for d := range b.Devices() {
		total += d.Weight
	}
	if total == 0 {
		return 0
	}
	return float64(b.Partitions()) * b.replicas / total
}

// DeviceBalance returns by how many percent a device has more partitions than its weight is worth; negative when it has
// fewer.
func (b *Builder) DeviceBalance(d *Device) float64 { return deviceBalance(d, b.weightOfOnePart()) }

func deviceBalance(d *Device, unit float64) float64 {
	switch {
	case d.Weight > 0:
		return 100*float64(d.Parts)/(d.Weight*unit) - 100
	case d.Parts > 0:
		return MaxBalance
	}
	return 0
}

// Balance returns the largest imbalance of a device, in percent and without sign.
func (b *Builder) Balance() float64 {
	unit := b.weightOfOnePart()
	worst := 0.0
	for d := range b.Devices() {
		worst = max(worst, math.Abs(deviceBalance(d, unit)))
	}
	return worst
}

// Dispersion returns the percentage of part-replicas that are in a tier that has too many replicas of the partition, as
// of the last rebalance or [Builder.RecalculateDispersion].
func (b *Builder) Dispersion() float64 { return b.dispersion }

// RecalculateDispersion measures the dispersion and counts this as a change of the builder, as tools expect.
func (b *Builder) RecalculateDispersion() error {
	if !b.Rebalanced() {
		return ErrNotRebalanced
	}
	b.measureDispersion()
	b.version++
	return nil
}

// RequiredOverload returns the least overload with which the ring could be dispersed as well as its tiers allow; 0.1
// is 10 %.
func (b *Builder) RequiredOverload() (float64, error) {
	p, err := b.shares()
	if err != nil {
		return 0, err
	}
	return p.requiredOverload(), nil
}

// TierCount says how many partitions have how many replicas in a tier.
type TierCount struct {
	Region int
	Zone   int    // -1 for a region
	IP     string // "" for a region or zone
	ID     int    // -1 unless the tier is a device
	Name   string // such as "r1z2-10.0.0.1/sdb", which ends in "(device N)" when the device is gone
	Counts []int  // Counts[n] partitions have n replicas in the tier
	Most   int    // beyond how many replicas of a partition dispersion suffers
}

// Parts returns the number of part-replicas in the tier.
func (t *TierCount) Parts() int {
	n := 0
	for replicas, parts := range t.Counts {
		n += replicas * parts
	}
	return n
}

// Dispersion returns the percentage of the tier's part-replicas that are too many.
func (t *TierCount) Dispersion() float64 {
	over := 0
	for replicas, parts := range t.Counts {
		over += max(0, replicas-t.Most) * parts
	}
	if n := t.Parts(); n > 0 {
		return 100 * float64(over) / float64(n)
	}
	return 0
}

// DispersionReport returns the tiers with partitions whose names match, all when match is nil, in the order of regions,
// zones, servers and devices. They are as of the last rebalance or [Builder.RecalculateDispersion].
func (b *Builder) DispersionReport(match *regexp.Regexp) ([]TierCount, error) {
	if !b.Rebalanced() {
		return nil, ErrNotRebalanced
	}
	if len(b.graph) == 0 {
		b.measureDispersion()
	}
	p := b.planOf()
	p.allow(b.replicas)
	allowed := make(map[tierKey]int)
	p.root.each(func(t *tier) {
		c := tierCount(t, nil)
		allowed[c.key()] = t.allowed
	})
	var out []TierCount
	for _, t := range b.graph {
		t.name(b)
		t.Most = allowed[t.key()]
		if match == nil || match.MatchString(t.Name) {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(x, y TierCount) int { return x.key().compare(y.key()) })
	return out, nil
}

// key names the tier, with -1 for a zone that is not given, so that a zone 0 is not its region.
func (t *TierCount) key() tierKey { return tierKey{t.Region, t.Zone, t.IP, t.ID} }

func (b *Builder) measureDispersion() { b.dispersion, b.graph = b.disperse() }

// disperse counts the replicas of every partition by tier.
func (b *Builder) disperse() (percent float64, graph []TierCount) {
	p := b.planOf()
	p.allow(b.replicas)
	counts := make(map[*tier][]int)
	width := int(math.Ceil(b.replicas)) + 1
	atRisk := 0
	var inTier []*tier
	for part := range b.Partitions() {
		// A replica is counted once, at the level where the partition is dispersed worst.
		worst := 0
		for level := levelRegion; level <= levelDevice; level++ {
			inTier = inTier[:0]
			for _, row := range b.rows {
				if part < len(row) && row[part] != none {
					inTier = append(inTier, p.leaves[row[part]].path[level])
				}
			}
			over := 0
			for i, t := range inTier {
				if slices.Contains(inTier[:i], t) {
					continue
				}
				n := 1
				for _, o := range inTier[i+1:] {
					if o == t {
						n++
					}
				}
				if counts[t] == nil {
					counts[t] = make([]int, max(width, len(b.rows)+1))
					counts[t][0] = b.Partitions()
				}
				counts[t][0]--
				counts[t][n]++
				over += max(0, n-t.allowed)
			}
			worst = max(worst, over)
		}
		atRisk += worst
	}
	p.root.each(func(t *tier) {
		if c := counts[t]; c != nil {
			graph = append(graph, tierCount(t, c))
		}
	})
	return 100 * float64(atRisk) / (float64(b.Partitions()) * b.replicas), graph
}

func tierCount(t *tier, counts []int) TierCount {
	c := TierCount{Region: t.key.region, Zone: -1, ID: -1, Counts: counts}
	if t.level >= levelZone {
		c.Zone = t.key.zone
	}
	if t.level >= levelServer {
		c.IP = t.key.ip
	}
	if t.level >= levelDevice {
		c.ID = t.key.id
	}
	return c
}

// name sets the tier's name as reports show it.
func (t *TierCount) name(b *Builder) {
	t.Name = "r" + strconv.Itoa(t.Region)
	if t.Zone >= 0 {
		t.Name += "z" + strconv.Itoa(t.Zone)
	}
	if t.IP != "" {
		t.Name += "-" + t.IP
	}
	if t.ID < 0 {
		return
	}
	if d, err := b.Device(t.ID); err == nil {
		t.Name += "/" + d.Name
	} else {
		t.Name += "/(device " + strconv.Itoa(t.ID) + ")"
	}
}

// Validate checks what every ring keeps: each partition has the replicas it should, on devices that exist, no two of
// them on the same device, and the devices' counts of partitions are right. Errors are [ErrInconsistent] and
// [ErrNotRebalanced].
func (b *Builder) Validate() error {
	if !b.Rebalanced() {
		return ErrNotRebalanced
	}
	has := make([]int, len(b.devs))
	for i, row := range b.rows {
		if len(row) > b.Partitions() || (len(row) < b.Partitions() && i+1 < len(b.rows)) {
			return fmt.Errorf("%w: replica %d has %d partitions, want %d; only the last one may be shorter",
				ErrInconsistent, i, len(row), b.Partitions())
		}
		for part, id := range row {
			if int64(id) >= int64(len(b.devs)) || b.devs[id] == nil {
				return fmt.Errorf("%w: replica %d of partition %d is on no device", ErrInconsistent, i, part)
			}
			has[id]++
			for j := range i {
				if b.rows[j][part] == id {
					return fmt.Errorf("%w: partition %d is on device %d twice", ErrInconsistent, part, id)
				}
			}
		}
	}
	for d := range b.Devices() {
		if has[d.ID] != d.Parts {
			return fmt.Errorf("%w: %s has %d partitions, its count says %d", ErrInconsistent, d, has[d.ID], d.Parts)
		}
	}
	return nil
}

// PartCount says how many replicas of a partition are on the devices asked for.
type PartCount struct {
	Partition, Replicas int
}

// PartsOn lists the partitions that have replicas on the given devices, those with the most replicas first.
func (b *Builder) PartsOn(devices []*Device) ([]PartCount, error) {
	if !b.Rebalanced() {
		return nil, ErrNotRebalanced
	}
	wanted := make([]bool, len(b.devs))
	for _, d := range devices {
		wanted[d.ID] = true
	}
	counts := make([]PartCount, b.Partitions())
	for part := range counts {
		counts[part].Partition = part
	}
	for _, row := range b.rows {
		for part, id := range row {
			if wanted[id] {
				counts[part].Replicas++
			}
		}
	}
	counts = slices.DeleteFunc(counts, func(c PartCount) bool { return c.Replicas == 0 })
	slices.SortStableFunc(counts, func(a, b PartCount) int { return b.Replicas - a.Replicas })
	return counts, nil
}
