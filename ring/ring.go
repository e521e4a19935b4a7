package ring

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"math"
	"slices"
)

// MaxPartPower is the largest partition power that a path hash can serve.
const MaxPartPower = 32

// A Ring maps partitions to devices. It is immutable and safe for concurrent use.
type Ring struct {
	partPower     uint
	nextPartPower int // -1 when no increase of the partition power is under way
	version       int64
	devs          []*Device // nil where a device was removed
	rows          rows
	tiers         []tierIndex // by device id
	totals        [3]int      // regions, zones and servers that have partitions
	assigned      int         // devices that have partitions
	sets          setSizes
	md5           string
	size          int64
}

// A Node is a device as the answer to a lookup.
type Node struct {
	*Device
	// Index is the position among the primaries, for erasure coding the number of the fragment (modulo the unique
	// fragments). For a handoff it is the position among the handoffs.
	Index   int
	Handoff bool
}

// Parts is what a ring is made of.
type Parts struct {
	PartPower     uint
	NextPartPower int   // -1: no increase of the partition power is under way
	Version       int64 // counts the builder's changes; 0 when not known
	Devices       []*Device
	// Assignments has one row for each replica: the ids of the devices by partition. Rows have one entry for each
	// partition; the last one may be shorter when the number of replicas is fractional.
	Assignments [][]uint32
}

// New makes a ring in memory. It keeps the devices, which must not be modified afterwards, and copies the assignments.
// Errors are [ErrCorrupt] and [ErrTooLarge].
func New(p Parts) (*Ring, error) {
	r := &Ring{partPower: p.PartPower, nextPartPower: p.NextPartPower, version: p.Version, devs: p.Devices}
	widest := uint32(0)
	for _, row := range p.Assignments {
		if len(row) > 0 {
			widest = max(widest, slices.Max(row))
		}
	}
	if widest > math.MaxUint16 {
		for _, row := range p.Assignments {
			r.rows.wide = append(r.rows.wide, slices.Clone(row))
		}
	} else {
		for _, row := range p.Assignments {
			narrow := make([]uint16, len(row))
			for i, id := range row {
				narrow[i] = uint16(id)
			}
			r.rows.narrow = append(r.rows.narrow, narrow)
		}
	}
	return r.finish()
}

// finish checks r and computes what lookups need.
func (r *Ring) finish() (*Ring, error) {
	if r.partPower > MaxPartPower {
		return nil, fmt.Errorf("%w: partition power %d is over %d", ErrCorrupt, r.partPower, MaxPartPower)
	}
	if r.nextPartPower > MaxPartPower {
		return nil, fmt.Errorf("%w: next partition power %d is over %d", ErrCorrupt, r.nextPartPower, MaxPartPower)
	}
	for i, d := range r.devs {
		if d != nil && d.ID != i {
			return nil, fmt.Errorf("%w: device at position %d has id %d", ErrCorrupt, i, d.ID)
		}
	}
	parts := r.PartitionCount()
	for i := range r.rows.count() {
		n := r.rows.length(i)
		if n > parts || (n < parts && i != r.rows.count()-1) {
			return nil, fmt.Errorf("%w: replica %d has %d partitions, want %d", ErrCorrupt, i, n, parts)
		}
	}
	has := make([]bool, len(r.devs))
	if err := r.rows.mark(has, r.devs); err != nil {
		return nil, err
	}
	r.indexTiers(has)
	return r, nil
}

// Partition returns the partition of a path's hash.
func (r *Ring) Partition(hash [16]byte) uint32 {
	// Go shifts by 32 to 0, which is what a ring of one partition wants.
	return binary.BigEndian.Uint32(hash[:4]) >> (MaxPartPower - r.partPower)
}

// AppendPrimaries appends the nodes that hold the partition to dst, one for each replica, and returns the extended
// slice. A partition past the end has none. It allocates only when dst has no room.
func (r *Ring) AppendPrimaries(dst []Node, part uint32) []Node {
	first := len(dst)
next:
	for row := range r.rows.count() {
		if int(part) >= r.rows.length(row) {
			continue
		}
		d := r.devs[r.rows.at(row, int(part))]
		for _, n := range dst[first:] {
			if n.ID == d.ID {
				continue next
			}
		}
		dst = append(dst, Node{Device: d, Index: len(dst) - first})
	}
	return dst
}

// PartPower returns the base-2 logarithm of the number of partitions.
func (r *Ring) PartPower() uint { return r.partPower }

// NextPartPower returns the partition power that is being prepared or cleaned up after, and whether such an increase
// is under way.
func (r *Ring) NextPartPower() (uint, bool) {
	if r.nextPartPower < 0 {
		return 0, false
	}
	return uint(r.nextPartPower), true
}

// PartitionCount returns the number of partitions.
func (r *Ring) PartitionCount() int { return 1 << r.partPower }

// ReplicaCount returns how many replicas a partition has on average: 3.25 means that a quarter of the partitions
// has four and the others have three.
func (r *Ring) ReplicaCount() float64 {
	n := r.rows.count()
	if n == 0 {
		return 0
	}
	return float64(n-1) + float64(r.rows.length(n-1))/float64(r.PartitionCount())
}

// Replicas returns the largest number of replicas that a partition has, the number of rows of the table.
func (r *Ring) Replicas() int { return r.rows.count() }

// At returns the id of the device that holds a replica (counting from 0) of a partition. There is none where the last
// replica is fractional and does not reach the partition.
func (r *Ring) At(replica int, part uint32) (id int, ok bool) {
	if replica < 0 || replica >= r.rows.count() || int(part) >= r.rows.length(replica) {
		return 0, false
	}
	return int(r.rows.at(replica, int(part))), true
}

// Version returns the builder's change counter, 0 when the file has none.
func (r *Ring) Version() int64 { return r.version }

// Device returns the device with an id.
func (r *Ring) Device(id int) (*Device, bool) {
	if id < 0 || id >= len(r.devs) || r.devs[id] == nil {
		return nil, false
	}
	return r.devs[id], true
}

// Devices yields the devices in order of their ids, those without partitions too.
func (r *Ring) Devices() iter.Seq[*Device] {
	return func(yield func(*Device) bool) {
		for _, d := range r.devs {
			if d != nil && !yield(d) {
				return
			}
		}
	}
}

// DeviceSlots returns the length of the device list with its holes: one more than the largest id.
func (r *Ring) DeviceSlots() int { return len(r.devs) }

// AssignedDevices returns how many devices have at least one partition.
func (r *Ring) AssignedDevices() int { return r.assigned }

// MD5 returns the digest of the compressed file in hex, by which nodes compare their rings, and "" for a ring that was
// not loaded from a file.
func (r *Ring) MD5() string { return r.md5 }

// Size returns the size of the compressed file in bytes, 0 for a ring that was not loaded from a file.
func (r *Ring) Size() int64 { return r.size }

func (r *Ring) setFile(sum [16]byte, size int) {
	r.md5, r.size = hex.EncodeToString(sum[:]), int64(size)
}

// rows is the table of assignments. Exactly one of the two is used: four-byte ids only when some id needs them.
type rows struct {
	narrow [][]uint16
	wide   [][]uint32
}

func (t *rows) count() int { return len(t.narrow) + len(t.wide) }

func (t *rows) length(row int) int {
	if t.narrow != nil {
		return len(t.narrow[row])
	}
	return len(t.wide[row])
}

func (t *rows) at(row, part int) uint32 {
	if t.narrow != nil {
		return uint32(t.narrow[row][part])
	}
	return t.wide[row][part]
}

// mark notes which devices have partitions and refuses ids that are no device's.
func (t *rows) mark(has []bool, devs []*Device) error {
	for row := range t.count() {
		for part := range t.length(row) {
			id := t.at(row, part)
			if int64(id) >= int64(len(devs)) || devs[id] == nil {
				return fmt.Errorf("%w: replica %d of partition %d is on device %d, which does not exist",
					ErrCorrupt, row, part, id)
			}
			has[id] = true
		}
	}
	return nil
}
