package disk

import (
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Memory is a file system in memory that remembers what is durable. It is harsher than any real one: a file's content and
// attributes are durable only after its Sync, a name only after SyncDir of its directory, and names reach the disk in any
// order that keeps changes of one name in order. For tests of durability; its speed does not matter.
type Memory struct {
	mu      sync.Mutex // guards everything below, the nodes too
	root    *node
	pending []change // name changes not yet durable, oldest first
	space   Space
	limit   int64 // bytes of attributes a file may have; 0: no limit
	nextIno uint64
	touched map[*node]bool // files that may not be durable
	life    int            // grows with each crash, so that files opened before it are dead
}

var _ FS = (*Memory)(nil)

// node is a file or a directory.
type node struct {
	ino   uint64
	dir   bool
	mtime int64
	names map[string]*node // of a directory: as seen now
	kept  map[string]*node // of a directory: durable

	data, keptData   []byte
	attrs, keptAttrs map[string]string
	dirty            bool
	lock             *memFile // who holds the flock
}

// change is one atomic change of up to two names.
type change struct {
	set [2]entry
	n   int
}

// entry says that name in dir becomes to; nil removes it.
type entry struct {
	dir  *node
	name string
	to   *node
}

// NewMemory returns an empty file system with the given room.
func NewMemory(space Space) *Memory {
	m := &Memory{space: space, touched: map[*node]bool{}}
	m.root = m.newNode(true)
	return m
}

// SetSpace changes what Free answers. Writes beyond Free do not fail by themselves; use Faults for that.
func (m *Memory) SetSpace(s Space) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = s
}

// LimitAttributes makes SetXattr answer ENOSPC when a file would have more bytes of attributes than n.
func (m *Memory) LimitAttributes(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = n
}

// Crash cuts the power and starts the machine again: of what was not durable the seed keeps or loses each piece, and cuts
// unsynced files short. Every open file is dead and every lock free.
func (m *Memory) Crash(seed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rng := rand.New(rand.NewPCG(seed, 0x6170757364697368))
	var lost []entry
	for _, c := range m.pending {
		depends := slices.ContainsFunc(lost, func(e entry) bool { return c.touches(e.dir, e.name) })
		if depends || rng.IntN(2) == 0 {
			lost = append(lost, c.set[:c.n]...)
			continue
		}
		c.keep()
	}
	m.pending = nil
	clear(m.touched)
	m.life++
	m.restart(m.root, rng, make(map[*node]bool))
}

func (m *Memory) restart(n *node, rng *rand.Rand, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	n.lock = nil
	if !n.dir {
		n.restartFile(rng)
		return
	}
	n.names = make(map[string]*node, len(n.kept))
	// In order, so that a seed means the same every time.
	names := make([]string, 0, len(n.kept))
	for name := range n.kept {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		n.names[name] = n.kept[name]
		m.restart(n.kept[name], rng, seen)
	}
}

// restartFile chooses what an unsynced file holds: the last synced state, the newest, or a part of it.
func (n *node) restartFile(rng *rand.Rand) {
	if n.dirty {
		switch rng.IntN(4) {
		case 0:
			n.data = slices.Clone(n.keptData)
		case 1: // the size reached the disk, the blocks did not
			n.data = make([]byte, len(n.data))
		case 2:
			n.data = n.data[:rng.IntN(len(n.data)+1)]
		}
		if rng.IntN(2) == 0 {
			n.attrs = cloneMap(n.keptAttrs)
		}
	}
	n.keep()
}

func (n *node) keep() {
	n.keptData = slices.Clone(n.data)
	n.keptAttrs = cloneMap(n.attrs)
	n.dirty = false
}

func cloneMap(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (c *change) touches(dir *node, name string) bool {
	for _, e := range c.set[:c.n] {
		if e.dir == dir && e.name == name {
			return true
		}
	}
	return false
}

func (c *change) keep() {
	for _, e := range c.set[:c.n] {
		if e.to == nil {
			delete(e.dir.kept, e.name)
		} else {
			e.dir.kept[e.name] = e.to
		}
	}
}

// touch notes that a file is not durable as it is now.
func (m *Memory) touch(n *node) {
	n.dirty = true
	m.touched[n] = true
}

func (m *Memory) newNode(dir bool) *node {
	m.nextIno++
	n := &node{ino: m.nextIno, dir: dir, mtime: time.Now().UnixNano(), attrs: map[string]string{}}
	if dir {
		n.names, n.kept = map[string]*node{}, map[string]*node{}
	}
	return n
}

// apply changes names now and remembers that this is not durable.
func (m *Memory) apply(set ...entry) {
	var c change
	for _, e := range set {
		if e.to == nil {
			delete(e.dir.names, e.name)
		} else {
			e.dir.names[e.name] = e.to
		}
		c.set[c.n] = e
		c.n++
	}
	m.pending = append(m.pending, c)
}

// find returns the node of a path.
func (m *Memory) find(name string) (*node, error) {
	n := m.root
	for part := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
		if part == "" {
			continue
		}
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[part]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// parent returns the directory that holds a path's last name.
func (m *Memory) parent(name string) (*node, string, error) {
	dir, err := m.find(path.Dir(path.Clean(name)))
	if err == nil && !dir.dir {
		err = syscall.ENOTDIR
	}
	return dir, path.Base(name), err
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Names lists a directory.
func (m *Memory) Names(dir string, buf []string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return buf, pathError("open", dir, err)
	}
	for name := range n.names {
		buf = append(buf, name)
	}
	return buf, nil
}

// Stat describes a file or directory.
func (m *Memory) Stat(name string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return Info{}, pathError("stat", name, err)
	}
	return n.info(), nil
}

func (n *node) info() Info {
	return Info{Size: int64(len(n.data)), Mtime: n.mtime, Dev: 1, Ino: n.ino, IsDir: n.dir}
}

// Free answers what SetSpace said.
func (m *Memory) Free(string) (Space, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.space, nil
}

// Mkdir makes a directory.
func (m *Memory) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err == nil && dir.names[base] != nil {
		err = syscall.EEXIST
	}
	if err != nil {
		return pathError("mkdir", name, err)
	}
	m.apply(entry{dir, base, m.newNode(true)})
	return nil
}

// Link names an unnamed file.
func (m *Memory) Link(f File, name string) error {
	mf, ok := f.(*memFile)
	if !ok {
		return pathError("link", name, syscall.EBADF)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return pathError("link", name, m.link(mf.node, name))
}

// HardLink adds a name.
func (m *Memory) HardLink(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(oldname)
	if err == nil {
		err = m.link(n, newname)
	}
	return pathError("hardlink", newname, err)
}

func (m *Memory) link(n *node, name string) error {
	dir, base, err := m.parent(name)
	if err != nil {
		return err
	}
	if dir.names[base] != nil {
		return syscall.EEXIST
	}
	m.apply(entry{dir, base, n})
	return nil
}

// Rename moves a file or directory.
func (m *Memory) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, fromBase, err := m.parent(oldname)
	if err != nil {
		return pathError("rename", oldname, err)
	}
	n := from.names[fromBase]
	to, toBase, err := m.parent(newname)
	switch {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case to.names[toBase] != nil && to.names[toBase].dir && len(to.names[toBase].names) > 0:
		err = syscall.ENOTEMPTY
	case to.names[toBase] != nil && to.names[toBase].dir != n.dir:
		err = syscall.EEXIST
	}
	if err != nil {
		return pathError("rename", newname, err)
	}
	m.apply(entry{from, fromBase, nil}, entry{to, toBase, n})
	return nil
}

// Unlink removes a file's name.
func (m *Memory) Unlink(name string) error {
	return m.remove("unlink", name, false)
}

// Rmdir removes an empty directory.
func (m *Memory) Rmdir(name string) error {
	return m.remove("rmdir", name, true)
}

func (m *Memory) remove(op, name string, wantDir bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return pathError(op, name, err)
	}
	n := dir.names[base]
	switch {
	case n == nil:
		err = syscall.ENOENT
	case wantDir && !n.dir:
		err = syscall.ENOTDIR
	case !wantDir && n.dir:
		err = syscall.EISDIR
	case wantDir && len(n.names) > 0:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return pathError(op, name, err)
	}
	m.apply(entry{dir, base, nil})
	return nil
}

// SyncDir makes the names in a directory durable, and the other half of a rename with it.
func (m *Memory) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.find(name)
	if err != nil {
		return pathError("fsync", name, err)
	}
	// Going back from the newest, keep what touches the directory and whatever an already kept change rests on.
	keep := make([]bool, len(m.pending))
	var needed []entry
	for i := len(m.pending) - 1; i >= 0; i-- {
		c := &m.pending[i]
		for _, e := range c.set[:c.n] {
			keep[i] = keep[i] || e.dir == dir
		}
		keep[i] = keep[i] || slices.ContainsFunc(needed, func(e entry) bool { return c.touches(e.dir, e.name) })
		if keep[i] {
			needed = append(needed, c.set[:c.n]...)
		}
	}
	var rest []change
	for i := range m.pending {
		if keep[i] {
			m.pending[i].keep()
		} else {
			rest = append(rest, m.pending[i])
		}
	}
	m.pending = rest
	return nil
}

// Volume opens the file system, which is all of it.
func (m *Memory) Volume(dir string) (Volume, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(dir)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("open", dir, err)
	}
	return &memVolume{m: m, life: m.life}, nil
}

// memVolume is an open Memory.
type memVolume struct {
	m    *Memory
	life int
}

func (v *memVolume) Sync() error {
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	if v.life != v.m.life {
		return ErrCrashed
	}
	for i := range v.m.pending {
		v.m.pending[i].keep()
	}
	v.m.pending = nil
	for n := range v.m.touched {
		n.keep()
	}
	clear(v.m.touched)
	return nil
}

func (v *memVolume) Dev() uint64 { return 1 }

func (v *memVolume) Close() error { return nil }
