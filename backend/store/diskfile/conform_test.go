package diskfile_test

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/backend/store/diskfile"
	"github.com/apus-storage/apus/backend/store/storetest"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/timestamp"
)

// hasher is that of the golden files.
func hasher(t testing.TB) hashpath.Hasher {
	h, err := hashpath.New([]byte("goldpre"), []byte("goldsuf"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func stopped() clock.Clock { return clock.Func(func() time.Time { return storetest.Now }) }

// memory is a Medium in memory.
type memory struct {
	memory *disk.Memory
	faults *disk.Faults
	// named makes a file system that has no unnamed files.
	named bool
}

func newMemory(t *testing.T) storetest.Medium {
	m := disk.NewMemory(disk.Space{Total: 1 << 40, Free: 1 << 39})
	if _, err := disk.MkdirAll(m, "/srv/node/sda"); err != nil {
		t.Fatal(err)
	}
	if err := disk.SyncDirs(m, "/srv/node/sda", 3); err != nil {
		t.Fatal(err)
	}
	return &memory{memory: m}
}

func (m *memory) Start(t *testing.T) store.Store {
	m.faults = disk.NewFaults(m.memory, nil)
	m.CrashAt(1 << 62)
	return newStore(t, m.faults, "/srv/node")
}

func (m *memory) CrashAt(n int64) {
	crash := disk.CrashAt(n)
	m.faults.SetHook(func(op disk.Op) error {
		if err := crash(op); err != nil {
			return err
		}
		if m.named && op.Kind == "unnamed" {
			return disk.ErrNoUnnamed
		}
		return nil
	})
}

func (m *memory) Ops() int64          { return m.faults.Count() }
func (m *memory) Recover(seed uint64) { m.faults.PowerOff(); m.memory.Crash(seed) }

func newStore(t testing.TB, fsys disk.FS, devices string) *diskfile.Store {
	s, err := diskfile.New(diskfile.Options{Devices: devices, Hasher: hasher(t), FS: fsys, Clock: stopped(), Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConform(t *testing.T) { storetest.Run(t, newMemory) }

func TestConformWithoutUnnamedFiles(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Medium {
		m := newMemory(t).(*memory)
		m.named = true
		return m
	})
}

// kernel is a Medium of real files. Its power does not fail.
type kernel struct {
	storetest.Medium
	dir string
}

func (k kernel) Start(t *testing.T) store.Store { return newStore(t, disk.OS{}, k.dir) }

func TestConformOnRealFiles(t *testing.T) {
	dir := t.TempDir()
	if err := (disk.OS{}).Mkdir(dir + "/sda"); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, disk.OS{}, dir)
	if err := storetest.Put(s, storetest.Name("probe"), storetest.At(0), ""); err != nil {
		t.Skipf("the temporary directory cannot hold objects: %v", err)
	}
	storetest.RunSteady(t, func(t *testing.T) storetest.Medium {
		dir := t.TempDir()
		if err := (disk.OS{}).Mkdir(dir + "/sda"); err != nil {
			t.Fatal(err)
		}
		return kernel{dir: dir}
	})
}

// A device whose directory goes away while an object is written must not come to be again on the disk below: what is
// written there would be hidden, or in the way, when the device comes back.
func TestADeviceThatGoesAwayIsNotMadeAgain(t *testing.T) {
	m := newMemory(t).(*memory)
	s := m.Start(t)
	o := store.Object{Device: "sda", Partition: "1", Account: "a", Container: "c", Name: "o"}
	up, err := s.Create(t.Context(), o, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if err := m.memory.Rename("/srv/node/sda", "/srv/sda"); err != nil {
		t.Fatal(err)
	}
	at := timestamp.FromTime(storetest.Now)
	err = up.Commit(t.Context(), at, store.Metadata{{Key: "Content-Length", Value: "0"}, {Key: "ETag", Value: "d41d8cd98f00b204e9800998ecf8427e"}})
	if !errors.Is(err, store.ErrDeviceMissing) {
		t.Errorf("commit: %v, want %v", err, store.ErrDeviceMissing)
	}
	if _, err := m.memory.Stat("/srv/node/sda"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the device's directory is there again: %v", err)
	}
}
