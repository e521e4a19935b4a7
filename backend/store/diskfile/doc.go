// Package diskfile keeps the objects of replicated storage policies on a disk exactly as OpenStack Swift does, so that
// its daemons and tools and this package can work on the same disks at the same time.
//
// # Layout
//
//	<devices>/<device>/objects[-N]/<partition>/<suffix>/<hash>/<time>.data   the object: body, metadata in xattrs
//	                                                          <time>[<delta>].meta   newer metadata
//	                                                          <time>.ts              tombstone
//	                               <partition>/.lock, hashes.pkl, hashes.invalid
//	                  quarantined/objects[-N]/<hash>
//	                  tmp[-N]/
//
// Which of the files of a hash directory count, and which are obsolete, is decided by [choose] from their names alone.
// Metadata is a pickle in the attribute user.swift.metadata, with its MD5 in user.swift.metadata_checksum.
//
// # Invariants
//
// A file appears under its final name only when its content and attributes are durable, and after its suffix has been
// noted in hashes.invalid, so that no replicator can miss it. A call returns only when the name is durable: its directory
// and as many parents as the call made are synced. That a directory somebody else made a moment ago is durable, too,
// when one inside it is synced, is left to the file system; those with a journal (ext4, XFS, btrfs) do that.
//
// Writes that are under way at the same time on ext4 or XFS share their syncs if [Options].Together says so: one syncfs does for all who have begun to
// wait before it began, in either of the two places (see together.go). Who writes alone, or beside big uploads, or when a
// shared sync takes too long because others write much, syncs his own files and directories as above. A shared sync that
// fails fails every write that had begun by then, since nobody is told whose data are lost.
//
// Older files are removed only after a newer one is durable. No lock is held while an object is synced. The one lock that
// an upload takes, a partition's, for noting its suffix, is held elsewhere while hashes.pkl is replaced, which takes two
// syncs and happens once in a replication pass; Swift does the same, and must not see a state between the two.
//
// hashes.invalid is not synced, as in Swift: after a power failure a replicator may miss a change until the next one below
// the same suffix. The change itself is safe.
//
// # Non-goals
//
// Erasure coded policies have another file naming and selection; an object of theirs must not be opened here. Auditing,
// replication and expiry use this package but are not in it.
//
//	s, err := diskfile.New(diskfile.Options{Devices: "/srv/node", Hasher: hasher})
//	f, err := s.Open(ctx, store.Object{Device: "sda", ...}, store.OpenOptions{})
package diskfile
