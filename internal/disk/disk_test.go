package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/disk"
)

// each runs a test on every implementation of a file system.
func each(t *testing.T, test func(t *testing.T, fsys disk.FS, dir string)) {
	t.Run("the kernel's", func(t *testing.T) { test(t, disk.OS{}, t.TempDir()) })
	t.Run("in memory", func(t *testing.T) { test(t, disk.NewMemory(disk.Space{Total: 1 << 30, Free: 1 << 29}), "/") })
	t.Run("kernel's behind faults", func(t *testing.T) { test(t, disk.NewFaults(disk.OS{}, nil), t.TempDir()) })
}

func put(t *testing.T, fsys disk.FS, name, content string) {
	t.Helper()
	f, err := fsys.Open(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFileSystem(t *testing.T) {
	each(t, func(t *testing.T, fsys disk.FS, dir string) {
		dir += "/t"
		n, err := disk.MkdirAll(fsys, dir+"/a/b/c")
		if err != nil || n != 4 {
			t.Fatalf("MkdirAll made %d directories, %v; want 4", n, err)
		}
		if n, err := disk.MkdirAll(fsys, dir+"/a/b/c"); err != nil || n != 0 {
			t.Errorf("MkdirAll again made %d directories, %v; want 0", n, err)
		}
		f, err := fsys.Unnamed(dir + "/a/b")
		if errors.Is(err, disk.ErrNoUnnamed) {
			t.Skip("no O_TMPFILE here")
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Allocate(100); err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
			t.Errorf("Allocate: %v", err)
		}
		if _, err := f.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := f.SetXattr("user.swift.metadata", []byte("m")); err != nil {
			t.Skipf("no extended attributes here: %v", err)
		}
		if names, err := fsys.Names(dir+"/a/b", nil); err != nil || !slices.Equal(names, []string{"c"}) {
			t.Errorf("Names before the link: %q, %v; want only c", names, err)
		}
		if err := fsys.Link(f, dir+"/a/b/file"); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Link(f, dir+"/a/b/file"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Link to a taken name: %v, want EEXIST", err)
		}
		if err := fsys.Link(f, dir+"/a/x/file"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Link into a missing directory: %v, want ENOENT", err)
		}
		checkFile(t, fsys, dir+"/a/b/file")
		checkNames(t, fsys, dir)
	})
}

func checkFile(t *testing.T, fsys disk.FS, name string) {
	t.Helper()
	r, err := fsys.Open(name, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
		t.Errorf("content %q, %v", got, err)
	}
	if st, err := r.Stat(); err != nil || st.Size != 5 || st.IsDir {
		t.Errorf("Stat %+v, %v; want 5 bytes", st, err)
	}
	var buf [16]byte
	if n, err := r.Xattr("user.swift.metadata", buf[:]); err != nil || string(buf[:n]) != "m" {
		t.Errorf("attribute %q, %v; want m", buf[:n], err)
	}
	if _, err := r.Xattr("user.swift.metadata1", buf[:]); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("missing attribute: %v, want ENODATA", err)
	}
}

func checkNames(t *testing.T, fsys disk.FS, dir string) {
	t.Helper()
	if err := fsys.HardLink(dir+"/a/b/file", dir+"/a/twin"); err != nil {
		t.Error(err)
	}
	if err := fsys.Rename(dir+"/a/twin", dir+"/a/moved"); err != nil {
		t.Error(err)
	}
	if err := fsys.Rmdir(dir + "/a/b"); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("Rmdir of a full directory: %v, want ENOTEMPTY", err)
	}
	if err := fsys.Rename(dir+"/a/b", dir+"/q"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(fsys.Unlink(dir+"/q/file"), fsys.Rmdir(dir+"/q/c"), fsys.Rmdir(dir+"/q")); err != nil {
		t.Error(err)
	}
	if err := disk.SyncDirs(fsys, dir+"/a", 2); err != nil {
		t.Error(err)
	}
	if names, err := fsys.Names(dir+"/a", nil); err != nil || !slices.Equal(names, []string{"moved"}) {
		t.Errorf("Names at the end: %q, %v; want only moved", names, err)
	}
	if _, err := fsys.Names(dir+"/a/moved", nil); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("Names of a file: %v, want ENOTDIR", err)
	}
	if s, err := fsys.Free(dir); err != nil || s.Total <= 0 || s.Free <= 0 {
		t.Errorf("Free: %+v, %v", s, err)
	}
}

func TestLocksExclude(t *testing.T) {
	each(t, func(t *testing.T, fsys disk.FS, dir string) {
		// Two Locks stand for two processes.
		var inside, most int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, l := range []*disk.Locks{disk.NewLocks(fsys), disk.NewLocks(fsys)} {
			for range 4 {
				wg.Go(func() {
					for range 5 {
						release, err := l.Lock(context.Background(), dir+"/.lock", time.Minute)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						inside++
						most = max(most, inside)
						mu.Unlock()
						mu.Lock()
						inside--
						mu.Unlock()
						release()
					}
				})
			}
		}
		wg.Wait()
		if most != 1 {
			t.Errorf("%d holders at once, want 1", most)
		}
		a, b := disk.NewLocks(fsys), disk.NewLocks(fsys)
		release, err := a.Lock(context.Background(), dir+"/.lock", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		for _, l := range []*disk.Locks{a, b} {
			if _, err := l.Lock(context.Background(), dir+"/.lock", time.Millisecond); !errors.Is(err, disk.ErrLockTimeout) {
				t.Errorf("second lock: %v, want ErrLockTimeout", err)
			}
		}
	})
}

func TestMemoryKeepsWhatIsDurable(t *testing.T) {
	kept, lost := 0, 0
	for seed := range uint64(64) {
		m := disk.NewMemory(disk.Space{Total: 1 << 30, Free: 1 << 30})
		if _, err := disk.MkdirAll(m, "/d/e"); err != nil {
			t.Fatal(err)
		}
		put(t, m, "/d/e/safe", "safe")
		if err := disk.SyncDirs(m, "/d/e", 2); err != nil {
			t.Fatal(err)
		}
		put(t, m, "/d/e/maybe", "maybe")
		if err := m.Rename("/d/e/safe", "/d/e/renamed"); err != nil {
			t.Fatal(err)
		}
		m.Crash(seed)
		old, errOld := disk.ReadFile(m, "/d/e/safe")
		renamed, errNew := disk.ReadFile(m, "/d/e/renamed")
		if (errOld == nil) == (errNew == nil) || string(old)+string(renamed) != "safe" {
			t.Fatalf("seed %d: a rename of a durable file left %q, %q (%v, %v)", seed, old, renamed, errOld, errNew)
		}
		if _, err := disk.ReadFile(m, "/d/e/maybe"); err == nil {
			kept++
		} else {
			lost++
		}
	}
	if kept == 0 || lost == 0 {
		t.Errorf("64 seeds kept an unsynced name %d times and lost it %d times; want both to happen", kept, lost)
	}
}

func TestFaultsStopEverything(t *testing.T) {
	x := disk.NewFaults(disk.NewMemory(disk.Space{}), disk.CrashAt(2))
	if err := errors.Join(x.Mkdir("/a"), x.Mkdir("/b")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := x.Mkdir(fmt.Sprint("/c", i)); !errors.Is(err, disk.ErrCrashed) {
			t.Errorf("operation after the crash: %v, want ErrCrashed", err)
		}
	}
	x = disk.NewFaults(disk.NewMemory(disk.Space{}), func(op disk.Op) error {
		if op.Kind == "sync" {
			return syscall.EIO
		}
		return nil
	})
	f, err := x.Open("/f", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync: %v, want EIO", err)
	}
}

func TestReserve(t *testing.T) {
	space := disk.Space{Total: 1000, Free: 20}
	for _, tc := range []struct {
		text string
		size int64
		ok   bool
	}{
		{"1%", 9, true}, {"1%", 10, false}, {"0", 100, true}, {"0%", 100, true},
		{"15", 4, true}, {"15", 5, false}, {" 2 %", 0, false}, {"1.5%", 4, true},
	} {
		r, err := disk.ParseReserve(tc.text)
		if err != nil {
			t.Errorf("ParseReserve(%q): %v", tc.text, err)
		}
		if err := r.Check(space, tc.size); (err == nil) != tc.ok {
			t.Errorf("%q with %+v and %d bytes more: %v, want allowed %v", tc.text, space, tc.size, err, tc.ok)
		}
	}
	for _, text := range []string{"", "x", "-1", "101%", "1%%", "NaN"} {
		if r, err := disk.ParseReserve(text); err == nil {
			t.Errorf("ParseReserve(%q) = %v, want an error", text, r)
		}
	}
}

func TestMkdirUnderDoesNotMakeItsRoot(t *testing.T) {
	each(t, func(t *testing.T, fsys disk.FS, dir string) {
		root := dir + "/sda"
		if _, err := disk.MkdirUnder(fsys, root, root+"/objects/1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without its root: %v", err)
		}
		if _, err := fsys.Stat(root); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the root has come to be: %v", err)
		}
		if err := fsys.Mkdir(root); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{2, 0} {
			if n, err := disk.MkdirUnder(fsys, root, root+"/objects/1"); n != want || err != nil {
				t.Errorf("made %d directories, %v; want %d", n, err, want)
			}
		}
	})
}
