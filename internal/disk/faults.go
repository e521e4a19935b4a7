package disk

import (
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// Op names one operation of a file system, for a hook.
type Op struct {
	// N counts the operations of this Faults, from 0.
	N int64
	// Kind is the method's name in lower case: open, unnamed, names, stat, free, mkdir, link, hardlink, rename, unlink,
	// rmdir, syncdir, volume; of a file: read, write, xattr, setxattr, fstat, allocate, truncate, sync, trylock; of a volume:
	// syncvolume.
	Kind string
	// Path is the file or directory; for a rename or hard link the new name.
	Path string
}

// Faults is a file system that asks a hook before each operation: a non-nil error is returned instead of doing it, and a
// hook may wait (a slow disk). After [Faults.PowerOff], or once the hook has answered [ErrCrashed], nothing happens any
// more. Close of a file is never asked about and always releases it.
type Faults struct {
	inner FS
	count atomic.Int64
	dead  atomic.Bool

	mu   sync.Mutex // guards hook
	hook func(Op) error
}

var _ FS = (*Faults)(nil)

// NewFaults wraps a file system. A nil hook lets everything through.
func NewFaults(inner FS, hook func(Op) error) *Faults { return &Faults{inner: inner, hook: hook} }

// SetHook replaces the hook and starts counting anew.
func (x *Faults) SetHook(hook func(Op) error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hook = hook
	x.count.Store(0)
}

// Count tells how many operations there have been.
func (x *Faults) Count() int64 { return x.count.Load() }

// PowerOff makes every later operation fail with ErrCrashed.
func (x *Faults) PowerOff() { x.dead.Store(true) }

// Crashed tells whether the power is off. What a server says after that moment, nobody hears.
func (x *Faults) Crashed() bool { return x.dead.Load() }

// CrashAt returns a hook that cuts the power instead of doing operation n.
func CrashAt(n int64) func(Op) error {
	return func(op Op) error {
		if op.N >= n {
			return ErrCrashed
		}
		return nil
	}
}

func (x *Faults) ask(kind, name string) error {
	if x.dead.Load() {
		return ErrCrashed
	}
	x.mu.Lock()
	hook := x.hook
	x.mu.Unlock()
	n := x.count.Add(1) - 1
	if hook == nil {
		return nil
	}
	err := hook(Op{N: n, Kind: kind, Path: name})
	if err == ErrCrashed {
		x.dead.Store(true)
	}
	if err != nil {
		return &fs.PathError{Op: kind, Path: name, Err: err}
	}
	return nil
}

// Open asks and opens.
func (x *Faults) Open(name string, flag int, perm fs.FileMode) (File, error) {
	if err := x.ask("open", name); err != nil {
		return nil, err
	}
	return x.file(x.inner.Open(name, flag, perm))
}

// Unnamed asks and opens.
func (x *Faults) Unnamed(dir string) (File, error) {
	if err := x.ask("unnamed", dir); err != nil {
		return nil, err
	}
	return x.file(x.inner.Unnamed(dir))
}

func (x *Faults) file(f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{File: f, faults: x}, nil
}

// Names asks and lists.
func (x *Faults) Names(dir string, buf []string) ([]string, error) {
	if err := x.ask("names", dir); err != nil {
		return buf, err
	}
	return x.inner.Names(dir, buf)
}

// Stat asks and describes.
func (x *Faults) Stat(name string) (Info, error) {
	if err := x.ask("stat", name); err != nil {
		return Info{}, err
	}
	return x.inner.Stat(name)
}

// Free asks and measures.
func (x *Faults) Free(name string) (Space, error) {
	if err := x.ask("free", name); err != nil {
		return Space{}, err
	}
	return x.inner.Free(name)
}

// Mkdir asks and makes a directory.
func (x *Faults) Mkdir(name string) error {
	if err := x.ask("mkdir", name); err != nil {
		return err
	}
	return x.inner.Mkdir(name)
}

// Link asks and names an unnamed file.
func (x *Faults) Link(f File, name string) error {
	if err := x.ask("link", name); err != nil {
		return err
	}
	if ff, ok := f.(*faultFile); ok {
		f = ff.File
	}
	return x.inner.Link(f, name)
}

// HardLink asks and adds a name.
func (x *Faults) HardLink(oldname, newname string) error {
	if err := x.ask("hardlink", newname); err != nil {
		return err
	}
	return x.inner.HardLink(oldname, newname)
}

// Rename asks and renames.
func (x *Faults) Rename(oldname, newname string) error {
	if err := x.ask("rename", newname); err != nil {
		return err
	}
	return x.inner.Rename(oldname, newname)
}

// Unlink asks and removes a name.
func (x *Faults) Unlink(name string) error {
	if err := x.ask("unlink", name); err != nil {
		return err
	}
	return x.inner.Unlink(name)
}

// Rmdir asks and removes a directory.
func (x *Faults) Rmdir(name string) error {
	if err := x.ask("rmdir", name); err != nil {
		return err
	}
	return x.inner.Rmdir(name)
}

// SyncDir asks and syncs.
func (x *Faults) SyncDir(name string) error {
	if err := x.ask("syncdir", name); err != nil {
		return err
	}
	return x.inner.SyncDir(name)
}

// Volume asks and opens.
func (x *Faults) Volume(dir string) (Volume, error) {
	if err := x.ask("volume", dir); err != nil {
		return nil, err
	}
	v, err := x.inner.Volume(dir)
	if err != nil {
		return nil, err
	}
	return &faultVolume{Volume: v, faults: x, dir: dir}, nil
}

type faultVolume struct {
	Volume
	faults *Faults
	dir    string
}

func (v *faultVolume) Sync() error {
	if err := v.faults.ask("syncvolume", v.dir); err != nil {
		return err
	}
	return v.Volume.Sync()
}

// faultFile hides the kernel's file: reads through it would not be asked about.
type faultFile struct {
	File
	faults *Faults
}

func (f *faultFile) OS() *os.File { return nil }

func (f *faultFile) Read(p []byte) (int, error) {
	if err := f.faults.ask("read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.faults.ask("read", f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) Write(p []byte) (int, error) {
	if err := f.faults.ask("write", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *faultFile) Xattr(name string, buf []byte) (int, error) {
	if err := f.faults.ask("xattr", f.Name()); err != nil {
		return 0, err
	}
	return f.File.Xattr(name, buf)
}

func (f *faultFile) SetXattr(name string, value []byte) error {
	if err := f.faults.ask("setxattr", f.Name()); err != nil {
		return err
	}
	return f.File.SetXattr(name, value)
}

func (f *faultFile) Stat() (Info, error) {
	if err := f.faults.ask("fstat", f.Name()); err != nil {
		return Info{}, err
	}
	return f.File.Stat()
}

func (f *faultFile) Allocate(size int64) error {
	if err := f.faults.ask("allocate", f.Name()); err != nil {
		return err
	}
	return f.File.Allocate(size)
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.faults.ask("truncate", f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Sync() error {
	if err := f.faults.ask("sync", f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) TryLock() (bool, error) {
	if err := f.faults.ask("trylock", f.Name()); err != nil {
		return false, err
	}
	return f.File.TryLock()
}
