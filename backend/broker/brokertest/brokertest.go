// Package brokertest is the suite that brokers of account and container databases pass alike: what a database promises
// whatever its rows are about.
//
//	brokertest.Run(t, func(p *broker.Pool, at broker.Place) brokertest.Broker { return containerUnderTest{p.Container(at, "a", "c")} })
package brokertest

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/internal/timestamp"
)

// Broker is what both kinds have, with rows reduced to a name and a time.
type Broker interface {
	Create(t timestamp.Timestamp) error
	PutRow(name string, t timestamp.Timestamp) error
	DeleteRow(name string, t timestamp.Timestamp) error
	// Names lists the rows that are not deleted.
	Names(r broker.Reading) ([]string, error)

	Dir() string
	Files() ([]string, error)
	Exists() (bool, error)
	UpdatePutTimestamp(t timestamp.Timestamp) error
	Delete(t timestamp.Timestamp) error
	IsDeleted(r broker.Reading) (bool, error)
	RecentlyDeleted() (bool, error)
	Metadata() (broker.Metadata, error)
	UpdateMetadata(updates broker.Metadata, check func(broker.Metadata) error) error
	MergeTimestamps(created, put, del string) error
	Syncs(incoming bool) ([]broker.SyncPoint, error)
	SyncPoint(id string, incoming bool) (int64, error)
	MergeSyncs(points []broker.SyncPoint, incoming bool) error
	MaxRow() (int64, error)
	NewID(remote string) error
	Reclaim(age, sync timestamp.Timestamp) error
	Settle(wait time.Duration) error
	Quarantine() (string, error)
}

// New makes a broker of a place.
type New func(p *broker.Pool, at broker.Place) Broker

// Run runs the suite.
func Run(t *testing.T, n New) {
	for name, test := range map[string]func(*testing.T, New){
		"an absent database is told from an empty one":     testAbsent,
		"a database is created once":                       testCreateOnce,
		"rows show at once and survive reopening":          testRows,
		"a big pending file goes to the database":          testPendingLimit,
		"broken pending records are skipped":               testBrokenPending,
		"readers may be stale, but only if they say so":    testStale,
		"the newer metadata wins":                          testMetadata,
		"refused metadata is not stored":                   testMetadataRefused,
		"deletion goes by times":                           testDelete,
		"timestamps of replicas are merged":                testMergeTimestamps,
		"sync points only rise":                            testSyncs,
		"a copied database gets an identity of its own":    testNewID,
		"old deletions are reclaimed":                      testReclaim,
		"a database that was replaced is noticed":          testReplaced,
		"a database that was removed is noticed":           testRemoved,
		"a damaged database is told and set aside":         testDamaged,
		"many writers lose nothing":                        testConcurrent,
		"more databases than handles are served":           testManyDatabases,
		"a pending file alone does not make a database":    testOrphanedPending,
		"temporary files of broken creations do no harm":   testLeftovers,
		"reading a database leaves its directory as it is": testReadingChangesNothing,
	} {
		t.Run(name, func(t *testing.T) { test(t, n) })
	}
}

const hash = "00112233445566778899aabbccddeeff"

func place(t *testing.T) broker.Place {
	device := filepath.Join(t.TempDir(), "sdb1")
	if err := os.Mkdir(device, 0o755); err != nil {
		t.Fatal(err)
	}
	return broker.Place{Device: device, Partition: "3", Hash: hash}
}

func pool(t *testing.T, o broker.Options) *broker.Pool {
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	p := broker.NewPool(o)
	t.Cleanup(func() { p.Close() })
	return p
}

// at is a time in 2023, seconds after its base.
func at(seconds int64) timestamp.Timestamp {
	return timestamp.FromRaw((1700000000+seconds)*timestamp.UnitsPerSecond, 0)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want[T comparable](t *testing.T, what string, got T, err error, want T) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("%s: got %v %v, want %v", what, got, err, want)
	}
}

func wantNames(t *testing.T, b Broker, r broker.Reading, names ...string) {
	t.Helper()
	got, err := b.Names(r)
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("names: got %q %v, want %q", got, err, names)
	}
}

func created(t *testing.T, n New) Broker {
	t.Helper()
	b := n(pool(t, broker.Options{}), place(t))
	check(t, b.Create(at(0)))
	return b
}

func testAbsent(t *testing.T, n New) {
	b := n(pool(t, broker.Options{}), place(t))
	exists, err := b.Exists()
	want(t, "exists", exists, err, false)
	deleted, err := b.IsDeleted(broker.Fresh)
	want(t, "deleted", deleted, err, true)
	for what, err := range map[string]error{
		"put row": b.PutRow("x", at(1)), "update put timestamp": b.UpdatePutTimestamp(at(1)), "delete": b.Delete(at(1)),
	} {
		if !errors.Is(err, broker.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", what, err)
		}
	}
	if _, err := os.Stat(b.Dir()); err == nil {
		t.Error("asking has made the directory")
	}
}

func testCreateOnce(t *testing.T, n New) {
	p, where := pool(t, broker.Options{}), place(t)
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { errs[i] = n(p, where).Create(at(int64(i))) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, broker.ErrExist) {
			t.Errorf("create: got %v, want ErrExist", err)
		}
	}
	want(t, "successes", made, nil, 1)
	left, err := filepath.Glob(filepath.Join(n(p, where).Dir(), "*.tmp*"))
	want(t, "temporary files", len(left), err, 0)
}

func testRows(t *testing.T, n New) {
	where := place(t)
	p := pool(t, broker.Options{})
	b := n(p, where)
	check(t, b.Create(at(0)))
	check(t, b.PutRow("b", at(1)))
	check(t, b.PutRow("a", at(1)))
	check(t, b.PutRow("\x00reserved\x00é", at(1)))
	check(t, b.DeleteRow("gone", at(2)))
	wantNames(t, b, broker.Fresh, "a", "b")
	check(t, b.DeleteRow("b", at(3)))
	check(t, b.PutRow("c", at(4)))
	check(t, p.Close())
	wantNames(t, n(pool(t, broker.Options{}), where), broker.Fresh, "a", "c")
}

func testPendingLimit(t *testing.T, n New) {
	b := created(t, n)
	var names []string
	long := strings.Repeat("n", 900)
	for i := range 150 {
		names = append(names, fmt.Sprintf("%04d%s", i, long))
		check(t, b.PutRow(names[i], at(int64(i))))
	}
	st, err := os.Stat(filepath.Join(b.Dir(), hash+".db.pending"))
	if err != nil || st.Size() > 140000 {
		t.Errorf("pending file: got %v %v, want at most the limit and a record", st, err)
	}
	row, err := b.MaxRow()
	want(t, "rows", row, err, 150)
	wantNames(t, b, broker.Fresh, names...)
}

func testBrokenPending(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.PutRow("a", at(1)))
	f, err := os.OpenFile(filepath.Join(b.Dir(), hash+".db.pending"), os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	_, err = f.WriteString(":bm90IGEgcGlja2xl:%%%:gAIoWAQAAABwZW5k")
	check(t, err)
	check(t, f.Close())
	check(t, b.PutRow("b", at(1)))
	wantNames(t, b, broker.Fresh, "a", "b")
}

func testStale(t *testing.T, n New) {
	b := n(pool(t, broker.Options{LockTimeout: 50 * time.Millisecond}), place(t))
	check(t, b.Create(at(0)))
	check(t, b.PutRow("a", at(1)))
	wantNames(t, b, broker.Fresh, "a")
	check(t, b.PutRow("b", at(1)))
	lock, err := os.OpenFile(filepath.Join(b.Dir(), ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	check(t, err)
	defer lock.Close()
	check(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	wantNames(t, b, broker.StaleOK, "a")
	if _, err := b.Names(broker.Fresh); !errors.Is(err, broker.ErrLocked) {
		t.Errorf("fresh read of a locked database: got %v, want ErrLocked", err)
	}
	if err := b.PutRow("c", at(1)); !errors.Is(err, broker.ErrLocked) {
		t.Errorf("row for a locked database: got %v, want ErrLocked", err)
	}
	check(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_UN))
	wantNames(t, b, broker.Fresh, "a", "b")
}

func value(v string, seconds int64) broker.MetaValue {
	return broker.MetaValue{Value: v, Timestamp: at(seconds).Internal()}
}

func testMetadata(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.UpdateMetadata(broker.Metadata{"X-A": value("new", 5), "X-B": value("b", 5)}, nil))
	check(t, b.UpdateMetadata(broker.Metadata{"X-A": value("old", 4), "X-B": value("", 6), "X-C": value("<é&\U0001f600>", 1)}, nil))
	m, err := b.Metadata()
	want(t, "newer value", m["X-A"], err, value("new", 5))
	want(t, "deleted value", m["X-B"], err, value("", 6))
	want(t, "text", m["X-C"], err, value("<é&\U0001f600>", 1))
}

func testMetadataRefused(t *testing.T, n New) {
	b := created(t, n)
	refusal := errors.New("refused")
	err := b.UpdateMetadata(broker.Metadata{"X-A": value("v", 5)}, func(m broker.Metadata) error {
		want(t, "value under check", m["X-A"].Value, nil, "v")
		return refusal
	})
	want(t, "error", errors.Is(err, refusal), nil, true)
	m, err := b.Metadata()
	want(t, "metadata", len(m), err, 0)
}

func testDelete(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.UpdatePutTimestamp(at(5)))
	check(t, b.UpdatePutTimestamp(at(4)))
	check(t, b.UpdateMetadata(broker.Metadata{"X-A": value("v", 5)}, nil))
	check(t, b.Delete(at(7)))
	deleted, err := b.IsDeleted(broker.Fresh)
	want(t, "deleted", deleted, err, true)
	deleted, err = b.RecentlyDeleted()
	want(t, "recently deleted", deleted, err, true)
	m, err := b.Metadata()
	want(t, "metadata", m["X-A"], err, value("", 7))
	check(t, b.Delete(at(6)))
	m, err = b.Metadata()
	want(t, "metadata after an older deletion", m["X-A"], err, value("", 7))
}

func testMergeTimestamps(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.MergeTimestamps(at(-9).Internal(), at(2).Internal(), at(8).Internal()))
	deleted, err := b.IsDeleted(broker.Fresh)
	want(t, "deleted", deleted, err, true)
	check(t, b.MergeTimestamps(at(-8).Internal(), at(9).Internal(), at(1).Internal()))
	deleted, err = b.IsDeleted(broker.Fresh)
	want(t, "deleted after a newer PUT", deleted, err, false)
	if err := b.MergeTimestamps("bad", "1", "2"); !errors.Is(err, broker.ErrInvalidRow) {
		t.Errorf("bad time: got %v, want ErrInvalidRow", err)
	}
}

func testSyncs(t *testing.T, n New) {
	b := created(t, n)
	for _, incoming := range []bool{true, false} {
		point, err := b.SyncPoint("x", incoming)
		want(t, "unknown replica", point, err, -1)
		check(t, b.MergeSyncs([]broker.SyncPoint{{RemoteID: "x", Point: 5}, {RemoteID: "y", Point: 1}}, incoming))
		check(t, b.MergeSyncs([]broker.SyncPoint{{RemoteID: "x", Point: 4}, {RemoteID: "y", Point: 2}}, incoming))
		point, err = b.SyncPoint("x", incoming)
		want(t, "lower point", point, err, 5)
		point, err = b.SyncPoint("y", incoming)
		want(t, "higher point", point, err, 2)
		points, err := b.Syncs(incoming)
		want(t, "points", len(points), err, 2)
	}
}

func testNewID(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.PutRow("a", at(1)))
	check(t, b.PutRow("b", at(1)))
	row, err := b.MaxRow()
	want(t, "max row", row, err, 2)
	check(t, b.NewID("sender"))
	point, err := b.SyncPoint("sender", true)
	want(t, "sync point", point, err, 2)
}

func testReclaim(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.PutRow("kept", at(1)))
	check(t, b.DeleteRow("old", at(10)))
	check(t, b.DeleteRow("new", at(30)))
	check(t, b.UpdateMetadata(broker.Metadata{"X-Old": value("", 10), "X-New": value("", 30), "X-Kept": value("v", 1)}, nil))
	check(t, b.MergeSyncs([]broker.SyncPoint{{RemoteID: "x", Point: 5}}, true))
	for name, seconds := range map[string]int64{"left.tmp": 10, "fresh.tmp": 30, "other": 10} {
		file := filepath.Join(b.Dir(), name)
		check(t, os.WriteFile(file, nil, 0o644))
		check(t, os.Chtimes(file, at(seconds).Time(), at(seconds).Time()))
	}
	check(t, b.Reclaim(at(20), at(20)))
	wantNames(t, b, broker.Fresh, "kept")
	left, err := filepath.Glob(filepath.Join(b.Dir(), "*.tmp"))
	want(t, "temporary files", len(left), err, 1)
	_, err = os.Stat(filepath.Join(b.Dir(), "other"))
	check(t, err)
	m, err := b.Metadata()
	_, old := m["X-Old"]
	want(t, "old deletion kept", old, err, false)
	want(t, "metadata left", len(m), err, 2)
	point, err := b.SyncPoint("x", true)
	want(t, "recent sync point", point, err, 5)
	check(t, b.Reclaim(at(20), timestamp.FromTime(time.Now().Add(time.Hour))))
	point, err = b.SyncPoint("x", true)
	want(t, "old sync point", point, err, -1)
	// The deletion that is not old enough must win over an older row still.
	check(t, b.PutRow("new", at(25)))
	names, err := b.Names(broker.Fresh)
	want(t, "row older than its deletion shows", slices.Contains(names, "new") && isObject(b), err, false)
}

// isObject tells containers: an account's row is alive as soon as its container has something in it.
func isObject(b Broker) bool { return strings.Contains(b.Dir(), "containers") }

func testReplaced(t *testing.T, n New) {
	p := pool(t, broker.Options{})
	b, other := n(p, place(t)), n(p, place(t))
	for _, x := range []Broker{b, other} {
		check(t, x.Create(at(0)))
	}
	check(t, b.PutRow("mine", at(1)))
	wantNames(t, b, broker.Fresh, "mine")
	check(t, other.PutRow("theirs", at(1)))
	wantNames(t, other, broker.Fresh, "theirs")
	// As replication does: another file gets the name.
	check(t, os.Rename(filepath.Join(other.Dir(), hash+".db"), filepath.Join(b.Dir(), hash+".db")))
	wantNames(t, b, broker.Fresh, "theirs")
	check(t, b.PutRow("more", at(2)))
	wantNames(t, b, broker.Fresh, "more", "theirs")
}

func testRemoved(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.PutRow("a", at(1)))
	wantNames(t, b, broker.Fresh, "a")
	check(t, os.RemoveAll(b.Dir()))
	if err := b.PutRow("b", at(1)); !errors.Is(err, broker.ErrNotExist) {
		t.Errorf("row for a removed database: got %v, want ErrNotExist", err)
	}
	if _, err := b.Names(broker.Fresh); !errors.Is(err, broker.ErrNotExist) {
		t.Errorf("names of a removed database: got %v, want ErrNotExist", err)
	}
	check(t, b.Create(at(2)))
	wantNames(t, b, broker.Fresh)
}

func testDamaged(t *testing.T, n New) {
	where := place(t)
	b := n(pool(t, broker.Options{}), where)
	check(t, b.Create(at(0)))
	files, err := b.Files()
	check(t, err)
	check(t, os.WriteFile(files[0], []byte(strings.Repeat("this is no database ", 100)), 0o644))
	if _, err := b.Names(broker.Fresh); !errors.Is(err, broker.ErrCorrupt) {
		t.Errorf("names of a damaged database: got %v, want ErrCorrupt", err)
	}
	first, err := b.Quarantine()
	check(t, err)
	exists, err := b.Exists()
	want(t, "exists after quarantine", exists, err, false)
	check(t, b.Create(at(1)))
	second, err := b.Quarantine()
	check(t, err)
	if first == second || !strings.HasPrefix(first, filepath.Join(where.Device, "quarantined")) {
		t.Errorf("quarantined to %s and %s, want two places under the device", first, second)
	}
}

func testConcurrent(t *testing.T, n New) {
	p, q, where := pool(t, broker.Options{}), pool(t, broker.Options{}), place(t)
	check(t, n(p, where).Create(at(0)))
	var wg sync.WaitGroup
	var names []string
	for w := range 6 {
		b := n([]*broker.Pool{p, q}[w%2], where) // two pools are like two processes
		for i := range 40 {
			names = append(names, fmt.Sprintf("%d-%02d", w, i))
		}
		wg.Go(func() {
			for i := range 40 {
				if err := b.PutRow(fmt.Sprintf("%d-%02d", w, i), at(1)); err != nil {
					t.Errorf("put row: %v", err)
				}
				if i%10 == w {
					if _, err := b.Names(broker.StaleOK); err != nil {
						t.Errorf("names: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	wantNames(t, n(p, where), broker.Fresh, names...)
}

func testManyDatabases(t *testing.T, n New) {
	p := pool(t, broker.Options{MaxIdle: 2})
	var brokers []Broker
	for i := range 6 {
		b := n(p, place(t))
		brokers = append(brokers, b)
		check(t, b.Create(at(0)))
		check(t, b.PutRow(fmt.Sprint(i), at(1)))
	}
	for range 2 {
		for i, b := range brokers {
			wantNames(t, b, broker.Fresh, fmt.Sprint(i))
		}
	}
}

func testOrphanedPending(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.PutRow("a", at(1)))
	files, err := b.Files()
	check(t, err)
	check(t, os.Remove(files[0]))
	check(t, b.Settle(time.Second))
	exists, err := b.Exists()
	want(t, "exists", exists, err, false)
}

func testLeftovers(t *testing.T, n New) {
	b := n(pool(t, broker.Options{}), place(t))
	check(t, os.MkdirAll(b.Dir(), 0o755))
	for _, name := range []string{"0123.tmp", "0123.tmp-journal", hash + ".db.tmp", "else.db"} {
		check(t, os.WriteFile(filepath.Join(b.Dir(), name), []byte("x"), 0o644))
	}
	exists, err := b.Exists()
	want(t, "exists", exists, err, false)
	check(t, b.Create(at(0)))
	check(t, b.PutRow("a", at(1)))
	wantNames(t, b, broker.Fresh, "a")
}

func testReadingChangesNothing(t *testing.T, n New) {
	b := created(t, n)
	check(t, b.PutRow("a", at(1)))
	wantNames(t, b, broker.Fresh, "a")
	files, err := b.Files()
	check(t, err)
	before, err := os.ReadFile(files[0])
	check(t, err)
	wantNames(t, b, broker.Fresh, "a")
	_, err = b.IsDeleted(broker.StaleOK)
	check(t, err)
	_, err = b.Metadata()
	check(t, err)
	after, err := os.ReadFile(files[0])
	want(t, "file unchanged", string(before) == string(after), err, true)
}
