package dbserver

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/disk"
)

// checkDevice reports why a device cannot serve a request.
func (f *Frame) checkDevice(device string, writing bool) error {
	if !apipath.ValidDrive(device) {
		return fmt.Errorf("device %q: not a name that a device can have", device)
	}
	dir := filepath.Join(f.Config.Devices, device)
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		return fmt.Errorf("device %s: not a directory", dir)
	}
	if f.Config.MountCheck {
		if err := checkMounted(dir, &st); err != nil {
			return err
		}
	}
	if !writing || f.Config.FallocateReserve == (disk.Reserve{}) {
		return nil
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	space := disk.Space{Total: int64(fs.Blocks) * fs.Bsize, Free: int64(fs.Bavail) * fs.Bsize}
	if err := f.Config.FallocateReserve.Check(space, 0); err != nil {
		return fmt.Errorf("device %s: keep %s free: %w", dir, f.Config.FallocateReserve, err)
	}
	return nil
}

// checkMounted tells a mount point by its device, or its being the root of a file system, differing from its parent.
func checkMounted(dir string, st *syscall.Stat_t) error {
	var self, parent syscall.Stat_t
	if err := syscall.Lstat(dir, &self); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if self.Mode&syscall.S_IFMT == syscall.S_IFLNK {
		// A link to a device's directory elsewhere is not a mount point, as in Swift.
		return fmt.Errorf("device %s: not mounted", dir)
	}
	if err := syscall.Stat(filepath.Dir(dir), &parent); err != nil {
		return &os.PathError{Op: "stat", Path: filepath.Dir(dir), Err: err}
	}
	if st.Dev != parent.Dev || st.Ino == parent.Ino {
		return nil
	}
	// Swift's mark for a device that is no mount point on purpose (in containers).
	if _, err := os.Stat(filepath.Join(dir, ".ismount")); err == nil {
		return nil
	}
	return fmt.Errorf("device %s: not mounted", dir)
}
