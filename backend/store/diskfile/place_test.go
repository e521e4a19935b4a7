package diskfile_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/backend/store/diskfile"
	"github.com/apus-storage/apus/backend/store/storetest"
	"github.com/apus-storage/apus/internal/disk"
)

func device(t *testing.T) *disk.Memory {
	m := disk.NewMemory(disk.Space{Total: 1 << 40, Free: 1 << 39})
	if _, err := disk.MkdirAll(m, "/srv/node/sda"); err != nil {
		t.Fatal(err)
	}
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWritesAppearInTheNextPartition follows every kind of change through a growing ring.
func TestWritesAppearInTheNextPartition(t *testing.T) {
	m := device(t)
	s, ctx := newStore(t, m, "/srv/node"), context.Background()
	o := storetest.Name("o")
	o.Partition, o.NextPartPower = "13", 5
	sum := hasher(t).Sum(o.Account, o.Container, o.Name)
	next := o
	next.Partition, next.NextPartPower = strconv.Itoa(int(sum.Partition(5))), 0
	same := func(what string) {
		t.Helper()
		a, errA := storetest.State(s, o)
		b, errB := storetest.State(s, next)
		if a != b || errA != nil || errB != nil || a == "nothing" {
			t.Errorf("after %s: %s, %v; in the next partition %s, %v", what, a, errA, b, errB)
		}
	}
	must(t, storetest.Put(s, o, storetest.At(1), "one"))
	same("a put")
	must(t, s.SetMetadata(ctx, o, store.MetadataChange{At: storetest.At(2), Metadata: store.Metadata{{Key: "X-Object-Meta-A", Value: "1"}}}))
	same("a metadata change")
	must(t, storetest.Put(s, o, storetest.At(3), "three"))
	same("a put over it")
	must(t, s.Delete(ctx, o, storetest.At(4)))
	same("a delete")
	dir := "/srv/node/sda/objects/" + next.Partition + "/" + sum.Suffix() + "/" + sum.Hex()
	if names, err := m.Names(dir, nil); err != nil || !slices.Equal(names, []string{storetest.At(4).Internal() + ".ts"}) {
		t.Errorf("the next partition holds %q, %v; want the tombstone alone", names, err)
	}
	if noted, err := disk.ReadFile(m, "/srv/node/sda/objects/"+next.Partition+"/hashes.invalid"); err != nil || len(noted) == 0 {
		t.Errorf("hashes.invalid of the next partition: %q, %v", noted, err)
	}
}

func TestTombstonesAreReclaimed(t *testing.T) {
	for _, tc := range []struct {
		age  time.Duration
		want string
	}{{24 * time.Hour, "nothing"}, {48 * time.Hour, "deleted " + storetest.At(1).Internal()}} {
		s, err := diskfile.New(diskfile.Options{Devices: "/srv/node", Hasher: hasher(t), FS: device(t), Clock: stopped(), Logger: quiet(),
			ReclaimAge: tc.age})
		must(t, err)
		must(t, s.Delete(context.Background(), storetest.Name("o"), storetest.At(1)))
		// The suite's now is 100000 seconds, more than a day, after its epoch.
		if got, err := storetest.State(s, storetest.Name("o")); got != tc.want || err != nil {
			t.Errorf("tombstone with a reclaim age of %v: %s, %v; want %s", tc.age, got, err, tc.want)
		}
	}
}

func TestMountCheck(t *testing.T) {
	m := device(t)
	s, err := diskfile.New(diskfile.Options{Devices: "/srv/node", Hasher: hasher(t), FS: m, Clock: stopped(), Logger: quiet(), MountCheck: true})
	must(t, err)
	o := storetest.Name("o")
	// Something that was written before the disk was mounted, or after it was lost.
	must(t, storetest.Put(newStore(t, m, "/srv/node"), o, storetest.At(1), "hidden"))
	if _, err := s.Open(context.Background(), o, store.OpenOptions{}); !errors.Is(err, store.ErrDeviceMissing) {
		t.Errorf("open on a directory that is no mount: %v, want ErrDeviceMissing", err)
	}
	if err := storetest.Put(s, o, storetest.At(2), "x"); !errors.Is(err, store.ErrDeviceMissing) {
		t.Errorf("put on a directory that is no mount: %v, want ErrDeviceMissing", err)
	}
	f, err := m.Open("/srv/node/sda/.ismount", os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	must(t, f.Close())
	if err := storetest.Put(s, o, storetest.At(2), "x"); err != nil {
		t.Errorf("put where the stub file says that it is a mount: %v", err)
	}
}
