package dbserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/config"
)

// A Reserve is the free space that writes must leave: a number of bytes or, if that is 0, a percentage of the device.
type Reserve struct {
	Bytes   int64
	Percent float64
}

// UnmarshalText reads bytes, with or without a unit, or a percentage.
func (r *Reserve) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if p, ok := strings.CutSuffix(s, "%"); ok {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(v >= 0 && v <= 100) {
			return fmt.Errorf("%q is no percentage between 0%% and 100%%", s)
		}
		*r = Reserve{Percent: v}
		return nil
	}
	var size config.Size
	if err := size.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	*r = Reserve{Bytes: int64(size)}
	return nil
}

// String is the form in a configuration file.
func (r Reserve) String() string {
	if r.Bytes == 0 && r.Percent != 0 {
		return strconv.FormatFloat(r.Percent, 'f', -1, 64) + "%"
	}
	return strconv.FormatInt(r.Bytes, 10)
}

// allows reports whether a file system with free of total bytes may take writes.
func (r Reserve) allows(free, total uint64) bool {
	if r.Bytes > 0 {
		return free > uint64(r.Bytes)
	}
	return r.Percent == 0 || float64(free)*100 > r.Percent*float64(total)
}

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
	if !writing || f.Config.FallocateReserve == (Reserve{}) {
		return nil
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	unit := uint64(fs.Bsize)
	if !f.Config.FallocateReserve.allows(fs.Bavail*unit, fs.Blocks*unit) {
		return fmt.Errorf("device %s: less than %s free", dir, f.Config.FallocateReserve)
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
