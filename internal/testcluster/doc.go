// Package testcluster is a cluster in one process, for tests: storage nodes, each with a device and account, container and
// object servers of its own, proxies by their configuration file, and faults between and below them.
//
// Faults are of three kinds. [Cluster.SetFaults] decides about each request to a node: whether the connection is refused, the
// answer is lost, a body breaks off or stops; [Schedule] does so by a seed. [Node.Disk] is the object server's file system, whose
// operations a hook may fail, slow down, or turn into a power failure. [Node.Stop], [Node.Crash] and [Node.Unmount] change a
// node's state; [Cluster.Heal] ends all of that.
//
// # What Swift promises, and the tests demand
//
// docs/faults.md has the words, the promises and, for each fault, what the client sees. In short:
//
//   - A write that was answered 2xx (a DELETE also 404) is acknowledged; with any other end it is in doubt. Of an object, what may be
//     there is the last acknowledged write or one that began before that had ended or is in doubt since.
//   - With all nodes up, X-Newest finds such a version: an acknowledged PUT or DELETE is on a quorum of nodes, handoffs included,
//     and the newest time decides. While nodes are out that holds only as far as one holder of the newest version can be reached;
//     so it is checked when faults have been lifted.
//   - Without X-Newest a node that was out may give what it has: any version that was ever written, or a deletion. Always, the client
//     gets one version whole, with metadata of its own or of a later POST, or sees the body break off.
//   - A container's row is at least at one replica, once the updaters have run: an object node tells one container node, and leaves
//     a file for the updater if that fails, before it answers. Replicas that were not told learn of it by replication, which
//     [Cluster.ReplicateContainer] stands in for. Then the listing is that of the objects. A majority of the account's replicas knows each container's totals.
//
// # Invariants
//
// No node is asked while it is down, and nothing that it does after [Node.Crash] reaches its disk or is heard. Its next life begins
// only when every request of the last one has ended. All servers share one clock, which gives no tick twice.
//
// # Non-goals
//
// Databases are on the real disk: a crash of a node is a kill for them, not a power failure (package broker tests its own). There are
// no replicators; [Cluster.ReplicateContainer] and [Cluster.ReplicateObject] stand in for them.
//
// # Example
//
//	synctest.Test(t, func(t *testing.T) { // time-outs cost no time
//		c := testcluster.New(t, testcluster.Options{Memory: true})
//		c.Do(ctx, testcluster.Request{Method: "PUT", Path: "/v1/AUTH_a/c"})
//		c.Primaries("AUTH_a", "c", "o")[0].Stop()
//		res := c.Do(ctx, testcluster.Request{Method: "PUT", Path: "/v1/AUTH_a/c/o", Body: []byte("hello")})
//		// res.Status is 201
//		c.Heal()
//	})
package testcluster
