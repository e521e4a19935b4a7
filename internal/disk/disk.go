// Package disk is how the storage servers reach a file system. It names the few operations that durability rests on
// (unnamed temporary files, allocation, extended attributes, fsync of files and of directories, links, renames, locks)
// so that a test can count them, make any of them fail, or cut the power between two of them.
//
// There are three implementations of [FS]:
//
//   - [OS] is the kernel's. Its files give out the *os.File, so that a body can go from file to socket by sendfile.
//   - [Memory] keeps everything in memory and knows which parts have been made durable; [Memory.Crash] forgets the
//     rest, or keeps some of it, as a seed decides.
//   - [Faults] wraps either and asks a hook before each operation whether it may happen.
//
// Names are absolute, slash-separated paths. Errors are the kernel's: errors.Is(err, fs.ErrNotExist),
// errors.Is(err, syscall.ENOSPC) and so on decide, for every implementation.
//
// The package knows nothing of objects or databases, does no caching and takes no locks of its own except in [Lock].
// It needs Linux.
//
//	f, err := fsys.Unnamed("/srv/node/sda/objects/7/8a4/9c65...")
//	...write, f.SetXattr, f.Sync...
//	err = fsys.Link(f, "/srv/node/sda/objects/7/8a4/9c65.../1700000000.00000.data")
//	err = fsys.SyncDir("/srv/node/sda/objects/7/8a4/9c65...")
//
// or, for many of them at once, a [Volume]'s Sync in place of theirs.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

var (
	// ErrNoUnnamed says that the file system cannot make unnamed temporary files (O_TMPFILE); use a named one.
	ErrNoUnnamed = errors.New("unnamed temporary files are not supported")
	// ErrNoVolume says that a file system is not synced as a whole; sync its files and directories.
	ErrNoVolume = errors.New("not synced as a whole")
	// ErrCrashed is what every operation of a [Faults] answers after its machine has lost power.
	ErrCrashed = errors.New("simulated power loss")
)

// An FS is a file system. Implementations are safe for concurrent use.
type FS interface {
	Opener
	Namer
	// Free tells how much room the file system that holds name has.
	Free(name string) (Space, error)
	// Volume opens the file system that holds a directory. ErrNoVolume if syncing it as a whole is not known to do what
	// [Volume] promises.
	Volume(dir string) (Volume, error)
}

// A Volume is a file system as a whole, for those who have much to make durable at once. It keeps the file system from being
// unmounted until it is closed.
type Volume interface {
	// Sync makes everything durable that was written to the file system before the call, by whomever: files with and without
	// names, their attributes, and the names in all directories. It takes as long as that takes. An error says that something
	// which was written since the Volume was opened may be lost, at whatever time that became known: it is told once, so
	// nobody who has written since then may go on as if nothing had happened.
	Sync() error
	// Dev is the file system, as in [Info].
	Dev() uint64
	io.Closer
}

// An Opener opens files.
type Opener interface {
	// Open opens the file with os.O_* flags; perm is for a file that is created and is narrowed by the umask.
	Open(name string, flag int, perm fs.FileMode) (File, error)
	// Unnamed opens a new file for writing that has no name yet, in the file system that holds directory dir.
	// It vanishes at Close unless [Namer.Link] gave it a name. ErrNoUnnamed if the file system cannot.
	Unnamed(dir string) (File, error)
	// Names appends the names in directory dir, in no order, to buf and returns it; "." and ".." are left out.
	Names(dir string, buf []string) ([]string, error)
	// Stat describes a file or directory; it follows no final symbolic link.
	Stat(name string) (Info, error)
}

// A Namer changes directories. A change is durable only after [Namer.SyncDir] of the directories it touched.
type Namer interface {
	// Mkdir makes one directory.
	Mkdir(name string) error
	// Link gives f, an unnamed file, its name. EEXIST if the name is taken, ENOENT if the directory is gone.
	Link(f File, name string) error
	// HardLink gives a named file another name.
	HardLink(oldname, newname string) error
	// Rename moves a file, replacing one of the new name, or a directory, replacing an empty one.
	Rename(oldname, newname string) error
	// Unlink removes a file's name.
	Unlink(name string) error
	// Rmdir removes an empty directory.
	Rmdir(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
}

// A File is an open file. Reads and writes behave as those of *os.File.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	Attributes
	Storage
	// Name is the path that the file was opened by; for an unnamed file, that of its directory.
	Name() string
	// OS returns the kernel's file, nil if there is none. For net/http's sendfile; do not close it.
	OS() *os.File
}

// Attributes are a file's extended attributes.
type Attributes interface {
	// Xattr reads an attribute into buf and returns its size: ENODATA if it is not there, ERANGE if buf is too small.
	Xattr(name string, buf []byte) (int, error)
	// SetXattr writes an attribute: ENOSPC or EDQUOT if there is no room for it, ENOTSUP if there cannot be any.
	SetXattr(name string, value []byte) error
}

// Storage is what the blocks of a file offer.
type Storage interface {
	// Stat describes the file.
	Stat() (Info, error)
	// Allocate reserves blocks for the first size bytes and leaves the file's size as it is. ENOSPC if they are not
	// there; a file system that cannot reserve answers EOPNOTSUPP.
	Allocate(size int64) error
	// Truncate sets the size.
	Truncate(size int64) error
	// Sync makes content, size and attributes durable.
	Sync() error
	// DropCache asks the kernel to forget the cached pages of [off, off+n); n = 0 means to the end.
	DropCache(off, n int64) error
	// TryLock takes the exclusive flock of the file; false if somebody else holds it. Close releases it.
	TryLock() (bool, error)
}

// Info describes a file.
type Info struct {
	Size  int64 // bytes
	Mtime int64 // nanoseconds since 1970
	Dev   uint64
	Ino   uint64
	IsDir bool
}

// Space is the room on a file system, in bytes.
type Space struct {
	Total int64
	Free  int64 // what an unprivileged process may still use
}

// MkdirAll makes a directory and its missing parents and tells how many directories it made. Somebody else may make or
// remove them at the same time.
func MkdirAll(fsys Namer, name string) (int, error) {
	made := 0
	for {
		err := fsys.Mkdir(name)
		switch {
		case err == nil:
			return made + 1, nil
		case errors.Is(err, fs.ErrExist):
			return made, nil
		case !errors.Is(err, fs.ErrNotExist) || name == "/" || name == ".":
			return made, err
		}
		n, err := MkdirAll(fsys, path.Dir(name))
		made += n
		if err != nil {
			return made, err
		}
	}
}

// MkdirUnder is [MkdirAll] for a directory somewhere under root, which must be there: a device whose disk has been taken
// out must not come to be again as a directory of the disk below it. ENOENT if root is not there.
func MkdirUnder(fsys Namer, root, name string) (int, error) {
	made := 0
	for {
		err := fsys.Mkdir(name)
		switch {
		case err == nil:
			return made + 1, nil
		case errors.Is(err, fs.ErrExist):
			return made, nil
		}
		parent := path.Dir(name)
		if !errors.Is(err, fs.ErrNotExist) || len(parent) <= len(root) {
			return made, err
		}
		n, err := MkdirUnder(fsys, root, parent)
		made += n
		if err != nil {
			return made, err
		}
	}
}

// SyncDirs makes name and the given number of its parents durable, deepest first.
func SyncDirs(fsys Namer, name string, parents int) error {
	for ; ; parents-- {
		if err := fsys.SyncDir(name); err != nil {
			return err
		}
		if parents <= 0 || name == "/" {
			return nil
		}
		name = path.Dir(name)
	}
}

// ReadFile returns a file's content.
func ReadFile(fsys Opener, name string) ([]byte, error) {
	f, err := fsys.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// IsMount tells whether a directory is the root of a mounted file system.
func IsMount(fsys Opener, name string) (bool, error) {
	here, err := fsys.Stat(name)
	if err != nil {
		return false, err
	}
	if !here.IsDir {
		return false, nil
	}
	up, err := fsys.Stat(path.Dir(name))
	if err != nil {
		return false, err
	}
	// The root of a mount is on another device than its parent, or, for "/", is its own parent.
	return here.Dev != up.Dev || here.Ino == up.Ino, nil
}

// IsNoSpace tells whether an error means that the disk is full, by its size or by a quota.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
