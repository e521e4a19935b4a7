// Package builder makes rings: it keeps the devices of a ring and their weights, assigns partitions to them, and is the
// only writer of builder files.
//
// # Builder files
//
// A builder is kept in the file format of OpenStack Swift, the pickle of a dictionary, and nothing else: both tools read
// what the other wrote, at any time and in either direction. The pickle is read by a small machine that calls nothing.
// What is not known of a device is kept. A builder file is replaced as a whole, never written in place.
//
// # How partitions are assigned
//
// Regions, zones, servers and devices make a tree. From the weights, from what the best dispersion would be and from
// the overload that is allowed for its sake comes a target for every tier: how many replicas of a partition it holds on
// average. A tier may hold that number rounded down or up of any partition, and a device is to hold as many
// part-replicas as its target is worth.
//
// The first assignment is drawn such that both hold exactly (see draw.go). Later ones move as little as possible:
// replicas on removed devices are placed, then partitions whose replicas are too close together are mended, then devices
// that have too much pass on to devices that have too little, over a third and fourth if nothing else is legal.
//
// # Invariants
//
//   - Every partition has its replicas, on as many different devices. With fractional replicas the first partitions have
//     one more than the others.
//   - One replica of a partition at most moves in a rebalance, and none if the partition moved less than min_part_hours
//     ago. Only replicas on removed devices always move. A device of weight 0 is drained under the same rules, for it
//     still serves what it has.
//   - Dispersion comes before balance.
//   - The id of a device never changes; a new one takes the lowest that is free.
//   - The same builder, seed and time give the same ring.
//
// # Quality and cost
//
// testdata/comparison.txt compares balance, dispersion and moved part-replicas with those of OpenStack Swift's builder
// for a score of topologies; a test makes it anew where Swift is installed. The first rebalance of 65536 partitions with
// 3 replicas over 256 devices takes about a tenth of a second on one core, adding a server of 8 devices to them less
// (BenchmarkFirstRebalance, BenchmarkGrow).
//
// # Non-goals
//
// The assignment is not the one that Swift's builder would make of the same seed. Composite rings are not built.
//
// # Example
//
//	b, err := builder.New(10, 3, 1) // 1024 partitions, 3 replicas, an hour between moves
//	for _, value := range []string{"r1z1-10.0.0.1:6200/sdb", "r1z2-10.0.0.2:6200/sdb", "r1z3-10.0.0.3:6200/sdb"} {
//		d, _, err := builder.ParseAdd(value)
//		d.Weight = 100
//		_, err = b.Add(d)
//	}
//	_, err = b.Rebalance(builder.RebalanceOptions{Now: time.Now()})
//	r, err := b.Ring()
//	err = ring.Save("object.ring.gz", r, ring.Format1)
//	err = b.Save("object.builder")
package builder
