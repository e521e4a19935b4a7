package diskfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/policy"
)

// Options say where and how objects are kept. Durations and sizes of zero get Swift's defaults.
type Options struct {
	// Devices is the directory that has one directory per device.
	Devices string
	// MountCheck refuses devices that are not mount points.
	MountCheck bool
	// Hasher is the cluster's.
	Hasher hashpath.Hasher
	// NoFallocate makes no room for an upload before it comes, and checks no reserve.
	NoFallocate bool
	// Reserve is the room that uploads must leave.
	Reserve disk.Reserve
	// ReclaimAge is when tombstones and strays are removed. Default a week.
	ReclaimAge time.Duration
	// SyncBytes is how much of an upload may wait in memory before it is sent to the disk. Default 512 MiB.
	SyncBytes int64
	// KeepCache is the size up to which an upload stays in the system's memory. Default 5 MiB.
	KeepCache int64
	// Together is how many writes must be under way on a file system before they share syncs; TogetherFrom is a good number.
	// Default 0: they never do.
	Together int
	// LockTimeout limits the wait for a partition's lock. Default 10 s.
	LockTimeout time.Duration

	FS     disk.FS      // default disk.OS
	Clock  clock.Clock  // default clock.System
	Logger *slog.Logger // default slog.Default
}

// Store keeps objects on disks.
type Store struct {
	opt   Options
	fs    disk.FS
	clock clock.Clock
	log   *slog.Logger
	locks *disk.Locks
	names nameLocks
	disks volumes

	attrBufs sync.Pool // *[]byte, for attributes
	nameBufs sync.Pool // *[]string, for listings
}

var _ store.Store = (*Store)(nil)

// New returns a store. Devices may come and go while it is used.
func New(opt Options) (*Store, error) {
	if opt.Devices == "" {
		return nil, errors.New("diskfile: no directory of devices")
	}
	if opt.FS == nil {
		opt.FS = disk.OS{}
	}
	if opt.Clock == nil {
		opt.Clock = clock.System
	}
	if opt.Logger == nil {
		opt.Logger = slog.Default()
	}
	if opt.ReclaimAge == 0 {
		opt.ReclaimAge = 7 * 24 * time.Hour
	}
	if opt.SyncBytes == 0 {
		opt.SyncBytes = 512 << 20
	}
	if opt.KeepCache == 0 {
		opt.KeepCache = 5 << 20
	}
	if opt.LockTimeout == 0 {
		opt.LockTimeout = 10 * time.Second
	}
	s := &Store{opt: opt, fs: opt.FS, clock: opt.Clock, log: opt.Logger, locks: disk.NewLocks(opt.FS)}
	s.names.seed = maphash.MakeSeed()
	s.disks.fs, s.disks.from = opt.FS, opt.Together
	s.attrBufs.New = func() any { b := make([]byte, 4096); return &b }
	s.nameBufs.New = func() any { b := make([]string, 0, 8); return &b }
	return s, nil
}

// location is where an object's files are.
type location struct {
	device    string // directory of the device
	partition string // directory of the partition
	suffix    string // three hex digits
	hash      string // directory of the object's files
}

func (s *Store) locate(o store.Object) location {
	hex := s.opt.Hasher.Sum(o.Account, o.Container, o.Name).Hex()
	return s.place(o.Device, o.Policy, o.Partition, hex)
}

func (s *Store) place(device string, p policy.Index, partition, hex string) location {
	l := location{suffix: hex[len(hex)-3:]}
	// One string, cut at the right places.
	l.hash = s.opt.Devices + "/" + device + "/" + p.DirName("objects") + "/" + partition + "/" + l.suffix + "/" + hex
	l.partition = l.hash[:len(l.hash)-len(hex)-5]
	l.device = l.hash[:len(s.opt.Devices)+1+len(device)]
	return l
}

// CheckDevice answers ErrDeviceMissing for a device that is not there or, if mounts are checked, not mounted.
func (s *Store) CheckDevice(device string) error {
	_, err := s.checkDevice(device)
	return err
}

// checkDevice is CheckDevice, and tells which file system the device is on.
func (s *Store) checkDevice(device string) (uint64, error) {
	dir := s.opt.Devices + "/" + device
	if !apipath.ValidDrive(device) {
		return 0, fmt.Errorf("device %q: %w", device, store.ErrDeviceMissing)
	}
	info, err := s.fs.Stat(dir + "/.") // follows a symbolic link, as Swift does
	ok := info.IsDir
	if err == nil && s.opt.MountCheck {
		ok, err = s.mounted(dir)
	}
	if errors.Is(err, disk.ErrCrashed) {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("device %q: %w (%w)", device, store.ErrDeviceMissing, err)
	}
	if !ok {
		return 0, fmt.Errorf("device %q: %w", device, store.ErrDeviceMissing)
	}
	return info.Dev, nil
}

// mounted tells whether a device is a mount point or has Swift's stub file that says to take it for one.
func (s *Store) mounted(dir string) (bool, error) {
	ok, err := disk.IsMount(s.fs, dir)
	if ok {
		return true, nil
	}
	if st, errStub := s.fs.Stat(dir + "/.ismount"); errStub == nil {
		return !st.IsDir, nil
	}
	return false, err
}

// failure turns an error of the disk into one of the contract.
func failure(what string, o store.Object, err error) error {
	switch {
	case err == nil:
		return nil
	case disk.IsNoSpace(err):
		err = errors.Join(store.ErrNoSpace, err)
	case errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP):
		err = errors.Join(store.ErrNoAttributes, err)
	}
	return fmt.Errorf("%s %s on %s: %w", what, o.Path(), o.Device, err)
}

// mkdirs makes a directory on a device. A device that is not there any more, since it was looked at, is not made.
func (s *Store) mkdirs(device, dir string) (int, error) {
	n, err := disk.MkdirUnder(s.fs, device, dir)
	if missing(err) {
		err = fmt.Errorf("%w (%w)", store.ErrDeviceMissing, err)
	}
	return n, err
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
