package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// osFile is an open file by its descriptor. It is no *os.File because that costs five more system calls and a clean-up
// for the garbage collector, to find out whether the file can be waited for: a file on a disk cannot. One goroutine uses
// it at a time.
type osFile struct {
	fd   int // -1 when closed
	name string
	file *os.File // made by OS, and then the owner of fd
}

func (f *osFile) OS() *os.File {
	if f.file == nil && f.fd >= 0 {
		f.file = os.NewFile(uintptr(f.fd), f.name)
	}
	return f.file
}

func (f *osFile) Name() string { return path.Clean(f.name) }

func (f *osFile) Read(p []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(f.fd, p) })
	return f.got("read", p, n, err)
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error) {
	total := 0
	for {
		n, err := retry(func() (int, error) { return unix.Pread(f.fd, p[total:], off+int64(total)) })
		n, err = f.got("read", p[total:], n, err)
		total += n
		if err != nil || total == len(p) {
			return total, err
		}
	}
}

// got turns the kernel's outcome of a read into that of an io.Reader.
func (f *osFile) got(op string, p []byte, n int, err error) (int, error) {
	switch {
	case err != nil:
		return 0, f.fault(op, err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (f *osFile) Write(p []byte) (int, error) {
	total := 0
	for {
		n, err := retry(func() (int, error) { return unix.Write(f.fd, p[total:]) })
		if err != nil {
			return total, f.fault("write", err)
		}
		total += n
		switch {
		case total == len(p):
			return total, nil
		case n == 0:
			return total, f.fault("write", io.ErrShortWrite)
		}
	}
}

func (f *osFile) Close() error {
	if f.fd < 0 {
		return f.fault("close", fs.ErrClosed)
	}
	file, fd := f.file, f.fd
	f.file, f.fd = nil, -1
	if file != nil {
		return file.Close()
	}
	// Not repeated after EINTR: on Linux the descriptor is gone then, and may be somebody else's already.
	if err := unix.Close(fd); err != nil && err != unix.EINTR {
		return f.fault("close", err)
	}
	return nil
}

func (f *osFile) fault(op string, err error) error {
	if f.fd < 0 {
		err = fs.ErrClosed
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

func (f *osFile) Xattr(name string, buf []byte) (int, error) { return unix.Fgetxattr(f.fd, name, buf) }

func (f *osFile) SetXattr(name string, value []byte) error {
	return unix.Fsetxattr(f.fd, name, value, 0)
}

func (f *osFile) Stat() (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return Info{}, f.fault("fstat", err)
	}
	return info(&st), nil
}

func (f *osFile) Allocate(size int64) error {
	_, err := retry(func() (int, error) { return 0, unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, 0, size) })
	return err
}

func (f *osFile) Truncate(size int64) error {
	_, err := retry(func() (int, error) { return 0, unix.Ftruncate(f.fd, size) })
	if err != nil {
		return f.fault("truncate", err)
	}
	return nil
}

func (f *osFile) Sync() error {
	_, err := retry(func() (int, error) { return 0, unix.Fsync(f.fd) })
	if err != nil {
		return f.fault("fsync", err)
	}
	return nil
}

func (f *osFile) DropCache(off, n int64) error { return unix.Fadvise(f.fd, off, n, unix.FADV_DONTNEED) }

func (f *osFile) TryLock() (bool, error) {
	_, err := retry(func() (int, error) { return 0, unix.Flock(f.fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
