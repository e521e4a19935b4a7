package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apus-storage/apus/internal/disk"
)

func TestDevicesAreListed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sdb", "sda", "marked", "not a name"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"file", "marked/.ismount"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sda", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for check, want := range map[bool][]string{true: {"marked"}, false: {"link", "marked", "sda", "sdb"}} {
		d := Disks{Devices: dir, MountCheck: check}
		got, skipped, err := d.List(disk.OS{})
		if err != nil || !slices.Equal(got, want) || len(got)+len(skipped) != 6 {
			t.Errorf("mount_check %v: got %q, skipped %q, %v; want %q", check, got, skipped, err, want)
		}
		for _, err := range skipped {
			if !errors.Is(err, ErrNotDevice) {
				t.Errorf("skipped for %v, want ErrNotDevice", err)
			}
		}
	}
	d := Disks{Devices: filepath.Join(dir, "none")}
	if _, _, err := d.List(disk.OS{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}
