// Package broker keeps account and container databases: one SQLite file per account or container, with the schema,
// the row formats and the rules of merging that OpenStack Swift uses, so that its daemons and tools read what this
// package wrote and the other way round.
//
// A directory holds one database:
//
//	<hash>.db                  the database (containers: also <hash>_<epoch>.db while and after sharding)
//	<hash>.db.pending          rows that were accepted and are not yet in the database
//	.lock                      flock of this file protects the pending file and the creation of the database
//
// # What is promised
//
// A row that [Container.PutObject] or [Account.PutContainer] accepted is in the pending file, written with one write
// call under the lock. Killing the process at any point loses no accepted row: the pending file is emptied only after
// the transaction with its rows has been committed and synced, and merging a row twice is the same as merging it once.
// As in Swift the pending file itself is not synced, so a power cut may lose the rows of the last seconds on this
// replica; the other replicas have them and replication, or the object server's retry, brings them back. Everything
// else (creation, metadata, timestamps, deletion) is a synced SQLite transaction.
//
// Object rows are decided by their times alone: merging the same rows in any order and in any batches gives the same
// rows. Of an account's container rows that holds for the times; counts are those of the row that arrived last, as in
// Swift, since a container server reports a lower count with the same time after objects were deleted.
//
// # Concurrency
//
// A [Pool] owns the open SQLite handles of a process. Brokers are cheap values made per request; they may be used by
// one goroutine at a time. Any number of processes may work on one database, Swift's daemons among them: SQLite's own
// locks (POSIX, rollback journal, never WAL) protect the file. Every use of a cached handle checks that the path still
// names the file that was opened, so a database that another process removed or replaced is noticed.
//
// Operations take no context. A write that has begun is finished, whether or not its client still waits: half a change
// is what the other replicas would then have to repair. Waits for locks are bounded by the options of the Pool.
//
// This process must not open and close a database file other than through this package: POSIX drops all locks of a
// process on a file when any descriptor of it is closed.
//
// # Non-goals
//
// The package speaks no HTTP, does not know the ring, and does not shard: it recognises databases that are being
// sharded, writes to the newest file and lists from the oldest, and keeps shard ranges.
//
//	pool := broker.NewPool(broker.Options{Logger: logger})
//	defer pool.Close()
//	c := pool.Container(broker.Place{Device: "/srv/node/sdb1", Partition: "6", Hash: hash}, "AUTH_test", "photos")
//	err := c.PutObject(ctx, broker.ObjectRow{Name: "a.jpg", CreatedAt: now.Internal(), Size: 7, ContentType: "image/jpeg", ETag: etag})
package broker
