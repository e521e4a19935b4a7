package disk_test

import (
	"errors"
	"testing"

	"github.com/apus-storage/apus/internal/disk"
)

func TestVolume(t *testing.T) {
	each(t, func(t *testing.T, fsys disk.FS, dir string) {
		v, err := fsys.Volume(dir)
		if errors.Is(err, disk.ErrNoVolume) {
			t.Skip("the temporary directory's file system is not synced as a whole")
		}
		if err != nil {
			t.Fatal(err)
		}
		if st, err := fsys.Stat(dir); err != nil || st.Dev != v.Dev() {
			t.Errorf("Dev %d, that of the directory is %d, %v", v.Dev(), st.Dev, err)
		}
		put(t, fsys, dir+"/file", "x")
		if err := errors.Join(v.Sync(), v.Close()); err != nil {
			t.Error(err)
		}
		if _, err := fsys.Volume(dir + "/missing"); err == nil {
			t.Error("a volume of a directory that is not there")
		}
	})
}

// What a crash leaves after a Volume's Sync is everything: names, contents and attributes, also of a file without a name.
func TestMemoryKeepsASyncedVolume(t *testing.T) {
	for seed := range uint64(64) {
		m := disk.NewMemory(disk.Space{})
		v, err := m.Volume("/")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := disk.MkdirAll(m, "/d/e"); err != nil {
			t.Fatal(err)
		}
		f, err := m.Unnamed("/d/e")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("content")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.SetXattr("user.a", []byte("b")), v.Sync(), m.Link(f, "/d/e/first")); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(m.SyncDir("/d/e"), m.HardLink("/d/e/first", "/d/e/second"), v.Sync()); err != nil {
			t.Fatal(err)
		}
		m.Crash(seed)
		for _, name := range []string{"/d/e/first", "/d/e/second"} {
			if data, err := disk.ReadFile(m, name); string(data) != "content" || err != nil {
				t.Fatalf("seed %d: %s is %q, %v", seed, name, data, err)
			}
		}
		if err := v.Sync(); !errors.Is(err, disk.ErrCrashed) {
			t.Fatalf("Sync after the crash: %v", err)
		}
	}
}
