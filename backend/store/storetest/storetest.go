// Package storetest is the suite that every implementation of an object store passes: what the contract in package store
// says, seen from outside, and what must be left after a power failure at any moment.
//
//	func TestConform(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Medium { return newMedium(t) })
//	}
package storetest

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/timestamp"
)

// A Medium is what a store keeps its objects on, with device "sda" on it, and a switch for its power.
type Medium interface {
	// Start returns a store on the medium, the only one in use.
	Start(t *testing.T) store.Store
	// CrashAt makes the power fail in place of the n-th operation on the medium from now on.
	CrashAt(n int64)
	// Ops counts the operations since the last CrashAt or the beginning.
	Ops() int64
	// Recover brings the power back; the seed chooses what has survived of that which was not durable.
	Recover(seed uint64)
}

// Now is the time by which the suite's objects are young. A Medium's clock must show it.
var Now = time.Unix(1_700_100_000, 0)

// Run runs the suite.
func Run(t *testing.T, newMedium func(t *testing.T) Medium) {
	RunSteady(t, newMedium)
	t.Run("a power failure loses nothing acknowledged", func(t *testing.T) { testCrash(t, newMedium) })
}

// RunSteady runs what of the suite needs only Start, for a medium whose power cannot be made to fail.
func RunSteady(t *testing.T, newMedium func(t *testing.T) Medium) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"nothing is found where nothing was put", testNothing},
		{"what is put is read back", testPut},
		{"metadata may be any bytes", testBytes},
		{"an upload that is not committed leaves nothing", testAbandon},
		{"the newest of several puts wins in any order", testOrder},
		{"a tombstone hides what is older", testDelete},
		{"a metadata change replaces what may change", testSetMetadata},
		{"a content type has its own time", testContentType},
		{"an object expires", testExpiry},
		{"a reader keeps what it opened", testReader},
		{"summaries change with the objects", testHashes},
		{"a missing device is told", testDevice},
		{"a quarantined object is gone", testQuarantine},
		{"many change one object at once", testConcurrent},
		{"a guard sees what is there and decides", testGuard},
		{"of many guarded creations one happens", testGuardedCreations},
		{"an unguarded change does not slip past a guard", testGuardsAndOthers},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, newMedium(t).Start(t)) })
	}
}

// At is a time n seconds into the suite's epoch.
func At(n int64) timestamp.Timestamp {
	return timestamp.FromRaw((1_700_000_000+n)*timestamp.UnitsPerSecond, 0)
}

// Name returns an object's name and place.
func Name(name string) store.Object {
	return store.Object{Device: "sda", Partition: "7", Account: "AUTH_test", Container: "c", Name: name}
}

// Put stores a body with metadata.
func Put(s store.Store, o store.Object, at timestamp.Timestamp, body string, md ...store.Item) error {
	return PutIf(s, o, at, body, nil, md...)
}

// PutIf is Put with a guard, if that is not nil.
func PutIf(s store.Store, o store.Object, at timestamp.Timestamp, body string, guard store.Guard, md ...store.Item) error {
	ctx := context.Background()
	u, err := s.Create(ctx, o, int64(len(body)))
	if err != nil {
		return err
	}
	defer u.Close()
	if _, err := io.WriteString(u, body); err != nil {
		return err
	}
	sum := md5.Sum([]byte(body))
	all := store.Metadata{{Key: "Content-Type", Value: "text/plain"},
		{Key: "Content-Length", Value: strconv.Itoa(len(body))}, {Key: "ETag", Value: hex.EncodeToString(sum[:])}}
	if guard != nil {
		return u.CommitIf(ctx, at, append(all, md...), guard)
	}
	return u.Commit(ctx, at, append(all, md...))
}

// State describes what a store has of an object, in one line: nothing, a tombstone, or times, metadata and body.
func State(s store.Store, o store.Object) (string, error) {
	f, err := s.Open(context.Background(), o, store.OpenOptions{Now: timestamp.FromTime(Now)})
	if at, ok := store.TombstoneTime(err); ok {
		kind := "deleted"
		if errors.Is(err, store.ErrExpired) {
			kind = "expired"
		}
		return kind + " " + at.Internal(), nil
	}
	if errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrQuarantined) {
		return "nothing", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info := f.Info()
	r, err := f.Range(0, info.Size)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if sum := md5.Sum(body); hex.EncodeToString(sum[:]) != info.ETag {
		return "", fmt.Errorf("body of %d bytes does not have the ETag %s", len(body), info.ETag)
	}
	var extra []string
	for _, item := range info.Metadata {
		switch item.Key {
		case "Content-Length", "ETag", "X-Timestamp", "Content-Type", "Content-Type-Timestamp":
		default:
			extra = append(extra, item.Key+"="+item.Value)
		}
	}
	slices.Sort(extra)
	return fmt.Sprintf("%s %s@%s changed %s [%s] %q", info.Data.Internal(), info.ContentType, info.ContentTypeAt.Internal(),
		info.Timestamp.Internal(), strings.Join(extra, " "), body), nil
}

func want(t *testing.T, s store.Store, o store.Object, want string) {
	t.Helper()
	got, err := State(s, o)
	if err != nil {
		t.Errorf("state of %s: %v, want %s", o.Path(), err, want)
	} else if got != want {
		t.Errorf("state of %s:\n got %s\nwant %s", o.Path(), got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Plain is the [State] of an object that was stored at a time and not changed since.
func Plain(n int64, body string) string {
	at := At(n).Internal()
	return fmt.Sprintf("%s text/plain@%s changed %s [] %q", at, at, at, body)
}

func testNothing(t *testing.T, s store.Store) {
	want(t, s, Name("o"), "nothing")
}

func testPut(t *testing.T, s store.Store) {
	must(t, Put(s, Name("o"), At(0), "hello"))
	want(t, s, Name("o"), Plain(0, "hello"))
	must(t, Put(s, Name("empty"), At(0), ""))
	want(t, s, Name("empty"), Plain(0, ""))
	must(t, Put(s, Name("a/b//c\x00\n"), At(0), "odd"))
	want(t, s, Name("a/b//c\x00\n"), Plain(0, "odd"))
	f, err := s.Open(context.Background(), Name("o"), store.OpenOptions{})
	must(t, err)
	defer f.Close()
	r, err := f.Range(1, 3)
	must(t, err)
	if got, err := io.ReadAll(r); err != nil || string(got) != "ell" {
		t.Errorf("bytes 1 to 3: %q, %v; want ell", got, err)
	}
	if _, err := f.Range(3, 3); err == nil {
		t.Error("a range beyond the end was given")
	}
}

func testBytes(t *testing.T, s store.Store) {
	value := "caf\xc3\xa9 \xff\xfe \xe2\x98\x83"
	must(t, Put(s, Name("☃"), At(0), "x", store.Item{Key: "X-Object-Meta-Na\xc3\xafVe", Value: value},
		store.Item{Key: "X-Object-Meta-Empty", Value: ""}))
	want(t, s, Name("☃"), strings.Replace(Plain(0, "x"), "[]",
		"[X-Object-Meta-Empty= X-Object-Meta-Na\xc3\xafVe="+value+"]", 1))
}

func testAbandon(t *testing.T, s store.Store) {
	u, err := s.Create(context.Background(), Name("o"), 10)
	must(t, err)
	_, err = io.WriteString(u, "half")
	must(t, err)
	must(t, u.Close())
	must(t, u.Close())
	want(t, s, Name("o"), "nothing")
}

func testOrder(t *testing.T, s store.Store) {
	for _, order := range [][]int64{{1, 2, 3}, {3, 2, 1}, {2, 3, 1}, {3, 1, 2}} {
		o := Name(fmt.Sprint(order))
		for _, n := range order {
			must(t, Put(s, o, At(n), fmt.Sprint(n)))
		}
		want(t, s, o, Plain(3, "3"))
	}
	// The same time twice: either may stay, whole.
	must(t, Put(s, Name("twice"), At(1), "first"))
	must(t, Put(s, Name("twice"), At(1), "again"))
	if got, err := State(s, Name("twice")); got != Plain(1, "first") && got != Plain(1, "again") {
		t.Errorf("two puts of one time left %s, %v", got, err)
	}
}

func testDelete(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	must(t, Put(s, o, At(1), "1"))
	must(t, s.Delete(ctx, o, At(2)))
	want(t, s, o, "deleted "+At(2).Internal())
	must(t, Put(s, o, At(1), "old"))
	want(t, s, o, "deleted "+At(2).Internal())
	must(t, s.Delete(ctx, o, At(2)))
	must(t, Put(s, o, At(3), "3"))
	want(t, s, o, Plain(3, "3"))
	must(t, s.Delete(ctx, o, At(2)))
	want(t, s, o, Plain(3, "3"))
	must(t, s.Delete(ctx, o, At(3).WithOffset(1)))
	want(t, s, o, "deleted "+At(3).Internal()+"_0000000000000001")
	must(t, s.Delete(ctx, Name("never"), At(1)))
	want(t, s, Name("never"), "deleted "+At(1).Internal())
}

func testSetMetadata(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	must(t, Put(s, o, At(1), "x", store.Item{Key: "X-Object-Meta-A", Value: "1"}, store.Item{Key: "Content-Encoding", Value: "gzip"},
		store.Item{Key: "X-Object-Sysmeta-S", Value: "s"}, store.Item{Key: "X-Static-Large-Object", Value: "True"}))
	must(t, s.SetMetadata(ctx, o, store.MetadataChange{At: At(5), Metadata: store.Metadata{
		{Key: "X-Object-Meta-B", Value: "2"}, {Key: "X-Object-Sysmeta-S", Value: "no"}}}))
	changed := fmt.Sprintf("%s text/plain@%s changed %s [X-Object-Meta-B=2 X-Object-Sysmeta-S=s X-Static-Large-Object=True] %q",
		At(1).Internal(), At(1).Internal(), At(5).Internal(), "x")
	want(t, s, o, changed)
	must(t, s.SetMetadata(ctx, o, store.MetadataChange{At: At(4), Metadata: store.Metadata{{Key: "X-Object-Meta-C", Value: "3"}}}))
	want(t, s, o, changed)
	must(t, Put(s, o, At(6), "y"))
	want(t, s, o, Plain(6, "y"))
	must(t, s.SetMetadata(ctx, Name("no data"), store.MetadataChange{At: At(5)}))
	want(t, s, Name("no data"), "nothing")
	must(t, Put(s, Name("no data"), At(2), "late"))
	want(t, s, Name("no data"), strings.Replace(Plain(2, "late"), "changed "+At(2).Internal(), "changed "+At(5).Internal(), 1))
}

func testContentType(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	must(t, Put(s, o, At(1), "x"))
	must(t, s.SetMetadata(ctx, o, store.MetadataChange{At: At(5), ContentType: "image/png", ContentTypeAt: At(3),
		Metadata: store.Metadata{{Key: "X-Object-Meta-A", Value: "5"}}}))
	state := func(ctype string, ctypeAt, changed int64, a string) string {
		return fmt.Sprintf("%s %s@%s changed %s [X-Object-Meta-A=%s] %q", At(1).Internal(), ctype, At(ctypeAt).Internal(),
			At(changed).Internal(), a, "x")
	}
	want(t, s, o, state("image/png", 3, 5, "5"))
	// A newer change without a content type leaves that of the older one.
	must(t, s.SetMetadata(ctx, o, store.MetadataChange{At: At(7), Metadata: store.Metadata{{Key: "X-Object-Meta-A", Value: "7"}}}))
	want(t, s, o, state("image/png", 3, 7, "7"))
	// An older change with the newest content type counts for that alone.
	must(t, s.SetMetadata(ctx, o, store.MetadataChange{At: At(6), ContentType: "image/gif", ContentTypeAt: At(6),
		Metadata: store.Metadata{{Key: "X-Object-Meta-A", Value: "6"}}}))
	want(t, s, o, state("image/gif", 6, 7, "7"))
}

func testExpiry(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	must(t, Put(s, o, At(1), "x", store.Item{Key: "X-Delete-At", Value: strconv.FormatInt(At(100).Raw()/timestamp.UnitsPerSecond, 10)}))
	want(t, s, o, "expired "+At(1).Internal())
	for _, tc := range []struct {
		opt  store.OpenOptions
		open bool
	}{
		{store.OpenOptions{}, false},
		{store.OpenOptions{Now: At(99)}, true},
		{store.OpenOptions{Now: At(100)}, false},
		{store.OpenOptions{Now: At(101), Expired: true}, true},
	} {
		f, err := s.Open(ctx, o, tc.opt)
		if (err == nil) != tc.open || (err != nil && !errors.Is(err, store.ErrExpired)) {
			t.Errorf("open with %+v: %v, want open %v", tc.opt, err, tc.open)
		}
		if err == nil {
			must(t, f.Close())
		}
	}
}

func testReader(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	must(t, Put(s, o, At(1), "old"))
	f, err := s.Open(ctx, o, store.OpenOptions{})
	must(t, err)
	must(t, Put(s, o, At(2), "newer"))
	must(t, s.Delete(ctx, o, At(3)))
	r, err := f.Range(0, f.Info().Size)
	must(t, err)
	if got, err := io.ReadAll(r); err != nil || string(got) != "old" {
		t.Errorf("reader that was open before: %q, %v; want old", got, err)
	}
	must(t, f.Close())
}

func testHashes(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	part := store.Partition{Device: o.Device, Policy: o.Policy, Partition: o.Partition}
	sums := func() map[string]string {
		t.Helper()
		m, err := s.SuffixHashes(ctx, part, nil)
		must(t, err)
		return m
	}
	if m := sums(); len(m) != 0 {
		t.Errorf("an empty partition has %v", m)
	}
	seen := map[string]bool{}
	for i, step := range []func() error{
		func() error { return Put(s, o, At(1), "x") },
		func() error { return s.SetMetadata(ctx, o, store.MetadataChange{At: At(2)}) },
		func() error {
			return s.SetMetadata(ctx, o, store.MetadataChange{At: At(3), ContentType: "a/b", ContentTypeAt: At(3)})
		},
		func() error { return s.Delete(ctx, o, At(4)) },
	} {
		must(t, step())
		m := sums()
		if len(m) != 1 {
			t.Fatalf("after step %d the partition has %v, want one suffix", i, m)
		}
		for suffix, sum := range m {
			if len(suffix) != 3 || len(sum) != 32 || seen[sum] {
				t.Errorf("after step %d: suffix %q has %q, want a new digest", i, suffix, sum)
			}
			seen[sum] = true
			must(t, s.InvalidateSuffixes(ctx, part, []string{suffix}))
		}
		if again := sums(); fmt.Sprint(again) != fmt.Sprint(m) {
			t.Errorf("after step %d computed anew: %v, want %v", i, again, m)
		}
	}
}

func testDevice(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	o.Device = "sdz"
	_, errOpen := s.Open(ctx, o, store.OpenOptions{})
	_, errCreate := s.Create(ctx, o, 1)
	_, errHash := s.SuffixHashes(ctx, store.Partition{Device: "sdz", Partition: "7"}, nil)
	for what, err := range map[string]error{
		"open": errOpen, "create": errCreate, "hash": errHash,
		"delete": s.Delete(ctx, o, At(1)), "set metadata": s.SetMetadata(ctx, o, store.MetadataChange{At: At(1)}),
	} {
		if !errors.Is(err, store.ErrDeviceMissing) {
			t.Errorf("%s on a missing device: %v, want ErrDeviceMissing", what, err)
		}
	}
}

func testQuarantine(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	must(t, Put(s, o, At(1), "x"))
	f, err := s.Open(ctx, o, store.OpenOptions{})
	must(t, err)
	must(t, f.Quarantine(ctx, "for the test"))
	must(t, f.Close())
	want(t, s, o, "nothing")
	must(t, Put(s, o, At(1), "x"))
	want(t, s, o, Plain(1, "x"))
}

func testConcurrent(t *testing.T, s store.Store) {
	const writers, rounds = 8, 6
	ctx, o := context.Background(), Name("o")
	part := store.Partition{Device: o.Device, Policy: o.Policy, Partition: o.Partition}
	done := make(chan struct{})
	var readers, changers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				// What is read is whole, whatever it is; it may change too quickly to be read.
				if state, err := State(s, o); err != nil && !errors.Is(err, store.ErrChanged) {
					t.Errorf("read %q, %v", state, err)
					return
				}
				if _, err := s.SuffixHashes(ctx, part, nil); err != nil && !errors.Is(err, store.ErrChanged) {
					t.Errorf("sum up: %v", err)
					return
				}
			}
		})
	}
	for w := range int64(writers) {
		changers.Go(func() {
			for r := range int64(rounds) {
				n := 1 + r*writers + w
				var err error
				switch n % 3 {
				case 0:
					err = s.Delete(ctx, o, At(n))
				case 1:
					err = s.SetMetadata(ctx, o, store.MetadataChange{At: At(n)})
				default:
					err = Put(s, o, At(n), fmt.Sprint("body ", n))
				}
				if err != nil {
					t.Errorf("change %d: %v", n, err)
				}
			}
		})
	}
	changers.Wait()
	close(done)
	readers.Wait()
	must(t, Put(s, o, At(1000), "last"))
	want(t, s, o, Plain(1000, "last"))
}
