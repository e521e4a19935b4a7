// Package ring answers where things are kept: it reads ring files, the tables that map each partition to the devices
// that hold its replicas, and looks partitions up in them.
//
// A path's hash gives a partition ([Ring.Partition]), a partition has primary nodes, one for each replica
// ([Ring.AppendPrimaries]), and after them a fixed sequence of handoff nodes that stand in while a primary is away
// ([Ring.Handoffs]). Every process of a cluster computes the same answers from the same file, and the same answers as
// OpenStack Swift: the order of primaries and of handoffs is part of the contract.
//
// Files of both versions are read: version 1, which every Swift reads, and version 2, which since 2.36 may carry
// device ids of four bytes and is cut so that a reader can seek. Both are written too ([Save]); version 1 is the
// default everywhere. Files are treated as outside input: sizes are bounded, ids are checked against the device list,
// digests are verified.
//
// # Invariants
//
//   - A [Ring] never changes after it was made; share it freely. The devices it hands out must not be modified.
//   - A lookup of a partition and its primaries does not allocate. Handoffs cost what is consumed of them.
//   - No device id of an assignment points past the device list or at a hole in it.
//   - What is in a device's description and not known here is kept and written back ([Device.Extra]).
//
// A process that runs for long follows its file with a [Live], which loads a changed file and keeps the old ring when
// the new one is bad.
//
// # Non-goals
//
// Rings are made and rebalanced by package builder only. Shuffling primaries, sorting nodes by timing or affinity and
// skipping nodes with errors belong to whoever asks.
//
// # Example
//
//	objects, err := ring.Follow("/etc/swift/object.ring.gz", ring.FollowOptions{})
//	...
//	r := objects.Ring()
//	part := r.Partition(hasher.Sum("AUTH_test", "photos", "swift.jpg"))
//	var room [8]ring.Node
//	for _, node := range r.AppendPrimaries(room[:0], part) {
//		try(node)
//	}
//	for node := range r.Handoffs(part) {
//		if try(node) {
//			break
//		}
//	}
package ring
