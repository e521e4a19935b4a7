package disk

import (
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// memFile is an open file of a Memory.
type memFile struct {
	m      *Memory
	node   *node
	name   string
	flag   int
	pos    int64
	life   int
	closed bool
}

// Open opens or makes a file.
func (m *Memory) Open(name string, flag int, _ fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n := dir.names[base]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, syscall.ENOENT)
	case n == nil:
		n = m.newNode(false)
		m.touch(n)
		m.apply(entry{dir, base, n})
	case flag&os.O_EXCL != 0:
		return nil, pathError("open", name, syscall.EEXIST)
	case n.dir && flag&(os.O_WRONLY|os.O_RDWR) != 0:
		return nil, pathError("open", name, syscall.EISDIR)
	case flag&os.O_TRUNC != 0:
		n.data = nil
		m.touch(n)
	}
	return &memFile{m: m, node: n, name: name, flag: flag, life: m.life}, nil
}

// Unnamed opens a file that has no name.
func (m *Memory) Unnamed(dir string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.find(dir)
	if err == nil && !d.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("open unnamed", dir, err)
	}
	n := m.newNode(false)
	m.touch(n)
	return &memFile{m: m, node: n, name: dir, flag: os.O_WRONLY, life: m.life}, nil
}

// enter takes the file system's mutex if the file is still good.
func (f *memFile) enter() error {
	f.m.mu.Lock()
	switch {
	case f.closed:
		f.m.mu.Unlock()
		return fs.ErrClosed
	case f.life != f.m.life:
		f.m.mu.Unlock()
		return ErrCrashed
	}
	return nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) OS() *os.File { return nil }

func (f *memFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.enter(); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if f.node.dir {
		return 0, pathError("read", f.name, syscall.EISDIR)
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.enter(); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	if f.flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return 0, pathError("write", f.name, syscall.EBADF)
	}
	if f.flag&os.O_APPEND != 0 {
		f.pos = int64(len(f.node.data))
	}
	if end := f.pos + int64(len(p)); end > int64(len(f.node.data)) {
		f.node.data = append(f.node.data, make([]byte, end-int64(len(f.node.data)))...)
	}
	copy(f.node.data[f.pos:], p)
	f.pos += int64(len(p))
	f.node.mtime = time.Now().UnixNano()
	f.m.touch(f.node)
	return len(p), nil
}

func (f *memFile) Close() error {
	if err := f.enter(); err != nil {
		if err == ErrCrashed {
			return nil
		}
		return err
	}
	defer f.m.mu.Unlock()
	if f.node.lock == f {
		f.node.lock = nil
	}
	f.closed = true
	return nil
}

func (f *memFile) Xattr(name string, buf []byte) (int, error) {
	if err := f.enter(); err != nil {
		return 0, err
	}
	defer f.m.mu.Unlock()
	v, ok := f.node.attrs[name]
	switch {
	case !ok:
		return 0, syscall.ENODATA
	case len(v) > len(buf):
		return 0, syscall.ERANGE
	}
	return copy(buf, v), nil
}

func (f *memFile) SetXattr(name string, value []byte) error {
	if err := f.enter(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	total := len(name) + len(value)
	for k, v := range f.node.attrs {
		if k != name {
			total += len(k) + len(v)
		}
	}
	if f.m.limit > 0 && int64(total) > f.m.limit {
		return syscall.ENOSPC
	}
	f.node.attrs[name] = string(value)
	f.m.touch(f.node)
	return nil
}

func (f *memFile) Stat() (Info, error) {
	if err := f.enter(); err != nil {
		return Info{}, err
	}
	defer f.m.mu.Unlock()
	return f.node.info(), nil
}

func (f *memFile) Allocate(size int64) error {
	if err := f.enter(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	if size > f.m.space.Free {
		return syscall.ENOSPC
	}
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.enter(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	if n := int64(len(f.node.data)); size <= n {
		f.node.data = f.node.data[:size]
	} else {
		f.node.data = append(f.node.data, make([]byte, size-n)...)
	}
	f.m.touch(f.node)
	return nil
}

func (f *memFile) Sync() error {
	if err := f.enter(); err != nil {
		return err
	}
	defer f.m.mu.Unlock()
	f.node.keep()
	delete(f.m.touched, f.node)
	return nil
}

func (f *memFile) DropCache(int64, int64) error { return nil }

func (f *memFile) TryLock() (bool, error) {
	if err := f.enter(); err != nil {
		return false, err
	}
	defer f.m.mu.Unlock()
	if f.node.lock != nil && f.node.lock != f {
		return false, nil
	}
	f.node.lock = f
	return true, nil
}
