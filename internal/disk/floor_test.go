package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkObjectCalls makes the calls that storing or deleting one replica of a small object takes, and nothing else: what is
// left when all code is free. TMPDIR decides on which file system. It reports the processor time, most of which is the
// kernel's. With shared syncs that of the kernel's own threads, which write back, is not in it.
func BenchmarkObjectCalls(b *testing.B) {
	for _, how := range []struct {
		name     string
		parallel int // goroutines for each processor
		shared   bool
	}{{"", 4, false}, {"/24", 12, false}, {"/24 sharing syncs", 12, true}} {
		b.Run("PUT"+how.name, func(b *testing.B) {
			dir := b.TempDir()
			callsIn(b, dir, how.parallel, calls{newCommon(b, dir, how.shared)}.storeOne)
		})
		b.Run("DELETE"+how.name, func(b *testing.B) {
			dir := b.TempDir()
			c := calls{newCommon(b, dir, how.shared)}
			for i := range b.N {
				calls{}.storeOne(b, dir, i)
			}
			callsIn(b, dir, how.parallel, c.deleteOne)
		})
	}
}

// calls are those for objects; common is nil if each is synced by itself.
type calls struct{ common *common }

// common is a sync of the file system for all who wait when it begins.
type common struct {
	fd      int
	mu      sync.Mutex
	running bool
	next    chan struct{} // closed after the next one
	waiting int           // for the next one
}

func newCommon(t testing.TB, dir string, shared bool) *common {
	if !shared {
		return nil
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return &common{fd: fd, next: make(chan struct{})}
}

func (c *common) sync(t testing.TB) {
	c.mu.Lock()
	mine := c.next
	c.waiting++
	lead := !c.running
	c.running = true
	c.mu.Unlock()
	if lead {
		go c.run(t)
	}
	<-mine
}

func (c *common) run(t testing.TB) {
	for {
		c.mu.Lock()
		done := c.next
		c.next, c.waiting = make(chan struct{}), 0
		c.mu.Unlock()
		if err := unix.Syncfs(c.fd); err != nil {
			t.Error(err)
		}
		if err := unix.Fsync(c.fd); err != nil {
			t.Error(err)
		}
		close(done)
		c.mu.Lock()
		if c.waiting == 0 {
			c.running = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

func callsIn(b *testing.B, dir string, parallel int, one func(testing.TB, string, int)) {
	var next atomic.Int64
	before := processorTime(b)
	b.ResetTimer()
	b.SetParallelism(parallel)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			one(b, dir, int(next.Add(1))-1)
		}
	})
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1000, "CPU-us/op")
}

func processorTime(t testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func place(dir string, i int) (partition, suffix, hash string) {
	partition = filepath.Join(dir, fmt.Sprint(i%64))
	suffix = filepath.Join(partition, fmt.Sprintf("%03x", i))
	return partition, suffix, filepath.Join(suffix, fmt.Sprintf("%032x", i))
}

var (
	floorBody     = make([]byte, 4096)
	floorMetadata = make([]byte, 340)
)

func (c calls) storeOne(t testing.TB, dir string, i int) {
	partition, suffix, hash := place(dir, i)
	if err := os.MkdirAll(hash, 0o755); err != nil {
		t.Fatal(err)
	}
	c.nameOne(t, hash, "1796090569.76372.data", floorBody)
	c.syncAll(t, hash, suffix, partition)
}

func (c calls) deleteOne(t testing.TB, dir string, i int) {
	_, _, hash := place(dir, i)
	c.nameOne(t, hash, "1796090570.00000.ts", nil)
	c.syncAll(t, hash)
	if err := unix.Unlink(filepath.Join(hash, "1796090569.76372.data")); err != nil {
		t.Fatal(err)
	}
}

// nameOne makes a durable file appear.
func (c calls) nameOne(t testing.TB, dir, name string, body []byte) {
	fd, err := unix.Open(dir, unix.O_WRONLY|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Skipf("no unnamed files here: %v", err)
	}
	defer unix.Close(fd)
	if body != nil {
		if _, err := unix.Write(fd, body); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string][]byte{"user.swift.metadata": floorMetadata, "user.swift.metadata_checksum": floorMetadata[:32]} {
		if err := unix.Fsetxattr(fd, key, value, 0); err != nil {
			t.Skipf("no extended attributes here: %v", err)
		}
	}
	if c.common != nil {
		c.common.sync(t)
	} else if err := unix.Fsync(fd); err != nil {
		t.Fatal(err)
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, filepath.Join(dir, name), unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		t.Fatal(err)
	}
}

func (c calls) syncAll(t testing.TB, dirs ...string) {
	if c.common != nil {
		c.common.sync(t)
		return
	}
	for _, d := range dirs {
		syncOne(t, d)
	}
}

func syncOne(t testing.TB, dir string) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil {
		t.Fatal(err)
	}
}
