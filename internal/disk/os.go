package disk

import (
	"io/fs"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// OS is the kernel's file system.
type OS struct{}

var _ FS = OS{}

// Open opens a file.
func (OS) Open(name string, flag int, perm fs.FileMode) (File, error) {
	fd, err := retry(func() (int, error) { return unix.Open(name, flag|unix.O_CLOEXEC, uint32(perm.Perm())) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &osFile{fd: fd, name: name}, nil
}

// Unnamed opens a file without a name in dir.
func (OS) Unnamed(dir string) (File, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o777)
	})
	switch err {
	case nil:
		return &osFile{fd: fd, name: dir}, nil
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL:
		return nil, ErrNoUnnamed
	}
	return nil, &fs.PathError{Op: "open unnamed", Path: dir, Err: err}
}

var direntBufs = sync.Pool{New: func() any { return new([8192]byte) }}

// Names lists a directory with one open and as few getdents as there are buffers full.
func (OS) Names(dir string, names []string) ([]string, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return names, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	buf := direntBufs.Get().(*[8192]byte)
	defer direntBufs.Put(buf)
	for {
		n, err := retry(func() (int, error) { return unix.Getdents(fd, buf[:]) })
		if err != nil {
			return names, &fs.PathError{Op: "getdents", Path: dir, Err: err}
		}
		if n <= 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// Stat describes a file.
func (OS) Stat(name string) (Info, error) {
	var st unix.Stat_t
	if _, err := retry(func() (int, error) { return 0, unix.Lstat(name, &st) }); err != nil {
		return Info{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info(&st), nil
}

func info(st *unix.Stat_t) Info {
	return Info{Size: st.Size, Mtime: st.Mtim.Nano(), Dev: st.Dev, Ino: st.Ino,
		IsDir: st.Mode&unix.S_IFMT == unix.S_IFDIR}
}

// Free asks statfs.
func (OS) Free(name string) (Space, error) {
	var st unix.Statfs_t
	if _, err := retry(func() (int, error) { return 0, unix.Statfs(name, &st) }); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return Space{Total: int64(st.Blocks) * st.Frsize, Free: int64(st.Bavail) * st.Frsize}, nil
}

// Mkdir makes a directory.
func (OS) Mkdir(name string) error { return os.Mkdir(name, 0o777) }

// Link names an unnamed file by way of /proc, the way that needs no privilege.
func (OS) Link(f File, name string) error {
	file, ok := f.(*osFile)
	if !ok {
		return &fs.PathError{Op: "link", Path: name, Err: syscall.EBADF}
	}
	var num [32]byte
	self := string(strconv.AppendUint(append(num[:0], "/proc/self/fd/"...), uint64(file.fd), 10))
	err := unix.Linkat(unix.AT_FDCWD, self, unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &fs.PathError{Op: "link", Path: name, Err: err}
	}
	return nil
}

// HardLink adds a name.
func (OS) HardLink(oldname, newname string) error { return os.Link(oldname, newname) }

// Rename moves a file or directory.
func (OS) Rename(oldname, newname string) error {
	// Not os.Rename: it refuses to replace an empty directory, which rename(2) allows.
	if err := unix.Rename(oldname, newname); err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

// Unlink removes a file's name.
func (OS) Unlink(name string) error {
	if err := unix.Unlink(name); err != nil {
		return &fs.PathError{Op: "unlink", Path: name, Err: err}
	}
	return nil
}

// Rmdir removes an empty directory.
func (OS) Rmdir(name string) error {
	if err := unix.Rmdir(name); err != nil {
		return &fs.PathError{Op: "rmdir", Path: name, Err: err}
	}
	return nil
}

// SyncDir fsyncs a directory.
func (OS) SyncDir(name string) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	err = unix.Fsync(fd)
	unix.Close(fd)
	if err != nil {
		return &fs.PathError{Op: "fsync", Path: name, Err: err}
	}
	return nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
