package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkObjectCalls makes the calls that storing or deleting one replica of a small object takes, and nothing else: what is
// left when all code is free. TMPDIR decides on which file system. It reports the processor time, most of which is the
// kernel's.
func BenchmarkObjectCalls(b *testing.B) {
	b.Run("PUT", func(b *testing.B) { calls(b, storeOne) })
	b.Run("DELETE", func(b *testing.B) {
		dir := b.TempDir()
		for i := range b.N {
			storeOne(b, dir, i)
		}
		callsIn(b, dir, deleteOne)
	})
}

func calls(b *testing.B, one func(testing.TB, string, int)) { callsIn(b, b.TempDir(), one) }

func callsIn(b *testing.B, dir string, one func(testing.TB, string, int)) {
	var next atomic.Int64
	before := processorTime(b)
	b.ResetTimer()
	b.SetParallelism(4) // goroutines for each processor
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

func storeOne(t testing.TB, dir string, i int) {
	partition, suffix, hash := place(dir, i)
	if err := os.MkdirAll(hash, 0o755); err != nil {
		t.Fatal(err)
	}
	nameOne(t, hash, "1796090569.76372.data", floorBody)
	for _, d := range []string{hash, suffix, partition} {
		syncOne(t, d)
	}
}

func deleteOne(t testing.TB, dir string, i int) {
	_, _, hash := place(dir, i)
	nameOne(t, hash, "1796090570.00000.ts", nil)
	syncOne(t, hash)
	if err := unix.Unlink(filepath.Join(hash, "1796090569.76372.data")); err != nil {
		t.Fatal(err)
	}
}

// nameOne makes a durable file appear.
func nameOne(t testing.TB, dir, name string, body []byte) {
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
	if err := unix.Fsync(fd); err != nil {
		t.Fatal(err)
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, filepath.Join(dir, name), unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		t.Fatal(err)
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
