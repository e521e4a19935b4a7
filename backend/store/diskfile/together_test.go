package diskfile_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/backend/store/diskfile"
	"github.com/apus-storage/apus/backend/store/storetest"
	"github.com/apus-storage/apus/internal/disk"
)

// sharing is a Medium whose writes share syncs even if there is only one.
type sharing struct{ *memory }

func (m sharing) Start(t *testing.T) store.Store {
	m.faults = disk.NewFaults(m.memory.memory, nil)
	m.CrashAt(1 << 62)
	return newSharing(t, m.faults, 1)
}

func newSharing(t *testing.T, fsys disk.FS, from int) *diskfile.Store {
	s, err := diskfile.New(diskfile.Options{Devices: "/srv/node", Hasher: hasher(t), FS: fsys, Clock: stopped(), Logger: quiet(), Together: from})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformSharingSyncs(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Medium { return sharing{newMemory(t).(*memory)} })
}

// counted counts the operations of a kind, and asks a further hook.
func counted(kind string, n *atomic.Int64, hook func(disk.Op) error) func(disk.Op) error {
	return func(op disk.Op) error {
		if op.Kind == kind {
			n.Add(1)
		}
		if hook == nil {
			return nil
		}
		return hook(op)
	}
}

// slowly makes each sync take a little, so that writers come together.
func slowly(op disk.Op) error {
	if strings.HasPrefix(op.Kind, "sync") {
		time.Sleep(time.Millisecond)
	}
	return nil
}

// lagging is a file system whose shared syncs end a while after they have done what they do.
type lagging struct{ disk.FS }

func (l lagging) Volume(dir string) (disk.Volume, error) {
	v, err := l.FS.Volume(dir)
	if err != nil {
		return nil, err
	}
	return laggingVolume{v}, nil
}

type laggingVolume struct{ disk.Volume }

func (v laggingVolume) Sync() error {
	defer time.Sleep(3 * time.Millisecond)
	return v.Volume.Sync()
}

// Many write at the same time, and the power fails: what was acknowledged is there.
func TestPowerFailsAmongManyWriters(t *testing.T) {
	shared := int64(0)
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) { shared += writeAndCrash(t, seed) })
		if t.Failed() {
			return
		}
	}
	if shared < 1000 {
		t.Errorf("%d shared syncs in 300 runs: that is not what this tests", shared)
	}
}

func writeAndCrash(t *testing.T, seed uint64) int64 {
	const writers = 8
	m := newMemory(t).(*memory)
	m.Start(t)
	s := newSharing(t, lagging{m.faults}, diskfile.TogetherFrom)
	// The partition is there: that a directory which somebody else made is durable is left to the file system.
	if err := storetest.Put(s, storetest.Name("first"), storetest.At(0), ""); err != nil {
		t.Fatal(err)
	}
	crash := disk.CrashAt(rand.New(rand.NewPCG(seed, writers)).Int64N(1500))
	var shared atomic.Int64
	m.faults.SetHook(counted("syncvolume", &shared, func(op disk.Op) error {
		if err := crash(op); err != nil {
			return err
		}
		return slowly(op)
	}))
	type history struct{ acknowledged, next string }
	had := make([]history, writers)
	var wg sync.WaitGroup
	for w := range writers {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			o := storetest.Name(fmt.Sprint("o", w))
			h := history{acknowledged: "nothing"}
			for i := int64(1); i <= 6; i++ {
				var err error
				if i%3 == 0 {
					h.next = "deleted " + storetest.At(i).Internal()
					err = s.Delete(t.Context(), o, storetest.At(i))
				} else {
					h.next = storetest.Plain(i, fmt.Sprint("body ", i))
					err = storetest.Put(s, o, storetest.At(i), fmt.Sprint("body ", i))
				}
				if err != nil || m.faults.Crashed() {
					break
				}
				h.acknowledged = h.next
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond)
			}
			had[w] = h
		})
	}
	wg.Wait()
	m.Recover(seed)
	again := m.Start(t)
	for w, h := range had {
		got, err := storetest.State(again, storetest.Name(fmt.Sprint("o", w)))
		if err != nil || got != h.acknowledged && got != h.next {
			t.Errorf("seed %d, writer %d:\n      got %s, %v\n had been %s\nor become %s", seed, w, got, err, h.acknowledged, h.next)
		}
	}
	return shared.Load()
}

// A shared sync that does not end, since somebody else has written much, keeps small writes for a moment only.
func TestNobodyWaitsLongForASharedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t).(*memory)
		m.Start(t)
		var shared atomic.Int64
		var quick atomic.Bool
		m.faults.SetHook(counted("syncvolume", &shared, func(op disk.Op) error {
			if op.Kind == "syncvolume" && !quick.Load() {
				time.Sleep(time.Hour)
			}
			return nil
		}))
		s := newSharing(t, m.faults, 1)
		start := time.Now()
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := int64(1); i <= 20; i++ {
					if err := storetest.Put(s, storetest.Name(fmt.Sprint("o", w)), storetest.At(i), "x"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("8 times 20 writes took %v beside a sync that does not end", took)
		}
		if n := shared.Load(); n != 1 {
			t.Errorf("%d shared syncs were begun while one did not end", n)
		}
		quick.Store(true)
		time.Sleep(time.Hour)
		// It has taken an hour, so they are tried again only after a while.
		for i := range int64(4) {
			time.Sleep(time.Minute)
			if err := storetest.Put(s, storetest.Name("p"), storetest.At(30+i), "x"); err != nil {
				t.Error(err)
			}
		}
		if n := shared.Load(); n < 4 {
			t.Errorf("%d shared syncs after they have become quick again", n)
		}
	})
}

// An error of a shared sync is that of everybody who had written something by then: nobody knows whose data are lost.
func TestAnErrorOfASharedSyncIsEverybodys(t *testing.T) {
	m := newMemory(t).(*memory)
	m.Start(t)
	var failed atomic.Bool
	m.faults.SetHook(func(op disk.Op) error {
		if op.Kind == "syncvolume" && failed.CompareAndSwap(false, true) {
			return syscall.EIO
		}
		return nil
	})
	s := newSharing(t, m.faults, 1)
	up, err := s.Create(t.Context(), storetest.Name("early"), 5)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if _, err := up.Write([]byte("early")); err != nil {
		t.Fatal(err)
	}
	if err := storetest.Put(s, storetest.Name("unlucky"), storetest.At(1), "x"); !errors.Is(err, syscall.EIO) {
		t.Errorf("the one that waited for the sync: %v, want EIO", err)
	}
	err = up.Commit(t.Context(), storetest.At(1), store.Metadata{{Key: "Content-Length", Value: "5"}, {Key: "ETag", Value: "x"}})
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("the one that had written before: %v, want EIO", err)
	}
	if err := storetest.Put(s, storetest.Name("late"), storetest.At(1), "x"); err != nil {
		t.Errorf("the one that came afterwards: %v", err)
	}
}

// As long as much of big uploads waits for the disk, small writes sync their own.
func TestSmallWritesDoNotWaitForBigOnes(t *testing.T) {
	m := newMemory(t).(*memory)
	m.Start(t)
	var shared atomic.Int64
	m.faults.SetHook(counted("syncvolume", &shared, nil))
	s := newSharing(t, m.faults, 1)
	put := func(name string, want int64) {
		t.Helper()
		shared.Store(0)
		if err := storetest.Put(s, storetest.Name(name), storetest.At(1), "x"); err != nil {
			t.Fatal(err)
		}
		if n := shared.Load(); n != want {
			t.Errorf("%s: %d shared syncs, want %d", name, n, want)
		}
	}
	put("before", 2)
	up, err := s.Create(t.Context(), storetest.Name("big"), -1)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if _, err := up.Write(make([]byte, 9<<20)); err != nil {
		t.Fatal(err)
	}
	put("beside it", 0)
	shared.Store(0)
	err = up.Commit(t.Context(), storetest.At(1), store.Metadata{{Key: "Content-Length", Value: fmt.Sprint(9 << 20)}, {Key: "ETag", Value: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if n := shared.Load(); n != 1 {
		t.Errorf("the big one: %d shared syncs, want 1, for its name", n)
	}
	if err := up.Close(); err != nil {
		t.Fatal(err)
	}
	put("after it", 2)
}
