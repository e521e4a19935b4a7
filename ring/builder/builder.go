package builder

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/apus-storage/apus/ring"
)

var (
	// ErrInvalid says that an argument is outside what a ring can have.
	ErrInvalid = errors.New("invalid value")
	// ErrNoDevice says that there is no device with that id.
	ErrNoDevice = errors.New("no such device")
	// ErrDuplicate says that a device with that id, or with that address and name, is there already.
	ErrDuplicate = errors.New("device exists already")
	// ErrRemoved says that a device is marked for removal and cannot be changed any more.
	ErrRemoved = errors.New("device is marked for removal")
	// ErrTooFewDevices says that there are fewer devices with weight than replicas.
	ErrTooFewDevices = errors.New("fewer devices with weight than replicas")
	// ErrPartPower says that a step of a partition power increase is out of turn, or that something else has to wait for
	// the increase to finish.
	ErrPartPower = errors.New("partition power increase")
	// ErrNotRebalanced says that partitions have not been assigned yet.
	ErrNotRebalanced = errors.New("ring was never rebalanced")
	// ErrInconsistent says that the assignments break a promise that every ring keeps.
	ErrInconsistent = errors.New("inconsistent builder")
	// ErrFormat says that a file is no builder file.
	ErrFormat = errors.New("not a builder file")
)

// none marks a replica that is on no device. It never outlives a rebalance.
const none = math.MaxUint32

// maxMoved is the largest number of hours since its last move that is kept for a partition.
const maxMoved = 255

// A Device is a ring's device with what only its builder knows.
type Device struct {
	ring.Device
	// Parts is the number of partitions assigned to the device.
	Parts int
	// Wanted is how many more partitions the last rebalance would have given it; negative when it has too many.
	Wanted int
	// Removed says that the next rebalance takes all partitions from the device and forgets it.
	Removed bool
}

// A Builder holds a ring in the making. It is not safe for concurrent use.
type Builder struct {
	partPower     uint
	nextPartPower int // -1: none
	replicas      float64
	minPartHours  int
	overload      float64
	version       int64
	id            string
	devs          []*Device // nil where a device was removed
	changed       bool      // devices or replicas changed since the last rebalance
	rows          [][]uint32
	lastMoves     []uint8 // hours since each partition moved; nil before the first rebalance
	lastEpoch     int64   // Unix time at which lastMoves was right
	gatherStart   int64   // kept for OpenStack Swift's tool, which scans from here
	dispersion    float64
	graph         []TierCount
	idBytes       int // bytes of a device id in the file, 0 when it does not say
}

// New makes a builder without devices. The partition power is 0 to 32, the replicas are at least 1 and may be
// fractional, and a partition does not move again before minPartHours are over.
func New(partPower uint, replicas float64, minPartHours int) (*Builder, error) {
	b := &Builder{partPower: partPower, nextPartPower: -1}
	if partPower > ring.MaxPartPower {
		return nil, fmt.Errorf("%w: partition power %d, want 0 to %d", ErrInvalid, partPower, ring.MaxPartPower)
	}
	if err := errors.Join(b.SetReplicas(replicas), b.SetMinPartHours(minPartHours)); err != nil {
		return nil, err
	}
	b.changed = false
	return b, nil
}

// FromRing makes a builder of a ring whose builder was lost. Overload and the times of the last moves are not in a
// ring: overload is 0 and every partition may move.
func FromRing(r *ring.Ring, minPartHours int) (*Builder, error) {
	b, err := New(r.PartPower(), r.ReplicaCount(), minPartHours)
	if err != nil {
		return nil, err
	}
	if next, ok := r.NextPartPower(); ok {
		b.nextPartPower = int(next)
	}
	b.version = r.Version()
	if r.DeviceSlots() > math.MaxUint16 {
		b.idBytes = 4
	}
	b.devs = make([]*Device, r.DeviceSlots())
	for d := range r.Devices() {
		b.devs[d.ID] = &Device{Device: *d.Clone()}
	}
	for replica := range r.Replicas() {
		var row []uint32
		for part := range r.PartitionCount() {
			if id, ok := r.At(replica, uint32(part)); ok {
				row = append(row, uint32(id))
			}
		}
		b.rows = append(b.rows, row)
	}
	b.lastMoves = slices.Repeat([]uint8{maxMoved}, b.Partitions())
	b.countParts()
	b.measureDispersion()
	return b, nil
}

// PartPower returns the base-2 logarithm of the number of partitions.
func (b *Builder) PartPower() uint { return b.partPower }

// Partitions returns the number of partitions.
func (b *Builder) Partitions() int { return 1 << b.partPower }

// Replicas returns the number of replicas, which may be fractional.
func (b *Builder) Replicas() float64 { return b.replicas }

// MinPartHours returns how many hours a partition stays where it is after a move.
func (b *Builder) MinPartHours() int { return b.minPartHours }

// Overload returns by how much of its fair share a device may be overloaded for better dispersion; 0.1 is 10 %.
func (b *Builder) Overload() float64 { return b.overload }

// Version counts the changes of devices, rebalances and partition power steps.
func (b *Builder) Version() int64 { return b.version }

// ID names the builder; it is set when the builder is first saved.
func (b *Builder) ID() string { return b.id }

// Changed says that devices or replicas were changed since the last rebalance.
func (b *Builder) Changed() bool { return b.changed }

// Rebalanced says that partitions have been assigned.
func (b *Builder) Rebalanced() bool { return len(b.rows) > 0 }

// MinPartTimeLeft returns how long it takes until any partition may move that the last rebalance has moved.
func (b *Builder) MinPartTimeLeft(now time.Time) time.Duration {
	left := time.Unix(b.lastEpoch, 0).Add(time.Duration(b.minPartHours) * time.Hour).Sub(now)
	return max(left, 0)
}

// Devices yields the devices by id, those that are marked for removal too.
func (b *Builder) Devices() iter.Seq[*Device] {
	return func(yield func(*Device) bool) {
		for _, d := range b.devs {
			if d != nil && !yield(d) {
				return
			}
		}
	}
}

// Device returns the device with an id.
func (b *Builder) Device(id int) (*Device, error) {
	if id < 0 || id >= len(b.devs) || b.devs[id] == nil {
		return nil, fmt.Errorf("%w: %d", ErrNoDevice, id)
	}
	return b.devs[id], nil
}

// Add adds a device and returns the id it got, the lowest that is free. The device's own ID is not looked at.
func (b *Builder) Add(d ring.Device) (int, error) {
	if b.nextPartPower >= 0 {
		return 0, fmt.Errorf("%w is under way: finish it before adding devices", ErrPartPower)
	}
	if err := checkWeight(d.Weight); err != nil {
		return 0, err
	}
	for other := range b.Devices() {
		if other.IP == d.IP && other.Port == d.Port && other.Name == d.Name {
			return 0, fmt.Errorf("%w: %s", ErrDuplicate, other)
		}
	}
	d.ID = slices.Index(b.devs, nil)
	if d.ID < 0 {
		d.ID = len(b.devs)
		b.devs = append(b.devs, nil)
	}
	if d.ID >= math.MaxUint16 {
		b.idBytes = 4 // an id of two bytes all ones means none
	}
	d.Extra = maps.Clone(d.Extra)
	b.devs[d.ID] = &Device{Device: d}
	b.touch()
	return d.ID, nil
}

// touch notes that something changed that the ring file has to show.
func (b *Builder) touch() {
	b.changed = true
	b.version++
}

func checkWeight(w float64) error {
	if w < 0 || math.IsNaN(w) || math.IsInf(w, 0) {
		return fmt.Errorf("%w: weight %v, want a number that is not negative", ErrInvalid, w)
	}
	return nil
}

// editable returns a device that may be changed.
func (b *Builder) editable(id int) (*Device, error) {
	d, err := b.Device(id)
	if err != nil {
		return nil, err
	}
	if d.Removed {
		return nil, fmt.Errorf("%w: %s", ErrRemoved, d)
	}
	return d, nil
}

// Remove marks a device for removal: the next rebalance reassigns its partitions at once, without regard to when they
// moved last, and forgets the device. A device that still works is better drained with weight 0 first.
func (b *Builder) Remove(id int) error {
	if b.nextPartPower >= 0 {
		return fmt.Errorf("%w is under way: finish it before removing devices", ErrPartPower)
	}
	d, err := b.editable(id)
	if err != nil {
		return err
	}
	d.Weight, d.Removed = 0, true
	b.touch()
	return nil
}

// SetWeight changes a device's weight; 0 drains it.
func (b *Builder) SetWeight(id int, weight float64) error {
	d, err := b.editable(id)
	if err == nil {
		err = checkWeight(weight)
	}
	if err != nil {
		return err
	}
	d.Weight = weight
	b.touch()
	return nil
}

// SetRegion moves a device to another region.
func (b *Builder) SetRegion(id, region int) error {
	d, err := b.editable(id)
	if err != nil {
		return err
	}
	if region < 0 {
		return fmt.Errorf("%w: region %d is negative", ErrInvalid, region)
	}
	d.Region = region
	b.touch()
	return nil
}

// SetZone moves a device to another zone.
func (b *Builder) SetZone(id, zone int) error {
	d, err := b.editable(id)
	if err != nil {
		return err
	}
	if zone < 0 {
		return fmt.Errorf("%w: zone %d is negative", ErrInvalid, zone)
	}
	d.Zone = zone
	b.touch()
	return nil
}

// SetInfo changes the address, name and note of a device to those that change holds; what is nil stays.
func (b *Builder) SetInfo(id int, change Info) error {
	d, err := b.editable(id)
	if err != nil {
		return err
	}
	next := d.Device
	change.apply(&next)
	for other := range b.Devices() {
		if other != d && other.IP == next.IP && other.Port == next.Port && other.Name == next.Name {
			return fmt.Errorf("%w: %s", ErrDuplicate, other)
		}
	}
	d.Device = next
	b.touch()
	return nil
}

// SetReplicas changes the number of replicas; the next rebalance makes it so.
func (b *Builder) SetReplicas(replicas float64) error {
	// Written so that NaN is refused.
	if !(replicas >= 1 && replicas <= 1024) {
		return fmt.Errorf("%w: %v replicas, want 1 to 1024", ErrInvalid, replicas)
	}
	if slots(b.Partitions(), replicas) != slots(b.Partitions(), b.replicas) {
		b.changed = true
	}
	b.replicas = replicas
	return nil
}

// slots returns how many replicas all partitions have together.
func slots(partitions int, replicas float64) int { return int(float64(partitions) * replicas) }

// SetMinPartHours changes how many hours a partition stays where it is after a move.
func (b *Builder) SetMinPartHours(hours int) error {
	if hours < 0 {
		return fmt.Errorf("%w: min_part_hours %d is negative", ErrInvalid, hours)
	}
	b.minPartHours = hours
	return nil
}

// SetOverload changes by how much of its fair share a device may be overloaded for better dispersion; 0.1 is 10 %.
func (b *Builder) SetOverload(overload float64) error {
	if !(overload >= 0) || math.IsInf(overload, 0) {
		return fmt.Errorf("%w: overload %v, want a number that is not negative", ErrInvalid, overload)
	}
	b.overload = overload
	return nil
}

// PretendMinPartHoursPassed lets every partition move in the next rebalance, however short ago it moved.
func (b *Builder) PretendMinPartHoursPassed() {
	b.lastEpoch = 0
	for i := range b.lastMoves {
		b.lastMoves[i] = maxMoved
	}
}

// Ring returns the ring as it is now.
func (b *Builder) Ring() (*ring.Ring, error) {
	devs := make([]*ring.Device, len(b.devs))
	for d := range b.Devices() {
		devs[d.ID] = d.Clone()
	}
	return ring.New(ring.Parts{PartPower: b.partPower, NextPartPower: b.nextPartPower, Version: b.version,
		Devices: devs, Assignments: b.rows})
}

// countParts counts the partitions of each device anew.
func (b *Builder) countParts() {
	for d := range b.Devices() {
		d.Parts = 0
	}
	for _, row := range b.rows {
		for _, id := range row {
			if id != none {
				b.devs[id].Parts++
			}
		}
	}
}
