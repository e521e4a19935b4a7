package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/disk"
)

// ErrNotDevice says that a name in the directory of devices is none that may be worked on: not mounted, no directory,
// or not a device's name.
var ErrNotDevice = errors.New("not a mounted device")

// Disks holds the options of daemons that walk the devices of a node. It is embedded in the daemons' own.
type Disks struct {
	// Directory with one directory for each device.
	Devices string `toml:"devices"`
	// Skip devices that are not mounted.
	MountCheck bool `toml:"mount_check"`
}

// DefaultDisks are Swift's.
func DefaultDisks() Disks { return Disks{Devices: "/srv/node", MountCheck: true} }

// List returns the names of the usable devices, in order, and for each other name an error that matches ErrNotDevice. err
// means that the directory of devices could not be read.
func (d *Disks) List(fsys disk.Opener) (devices []string, skipped []error, err error) {
	names, err := fsys.Names(d.Devices, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("list devices: %w", err)
	}
	slices.SortFunc(names, cmp.Compare)
	for _, name := range names {
		if err := d.check(fsys, name); err != nil {
			skipped = append(skipped, err)
		} else {
			devices = append(devices, name)
		}
	}
	return devices, skipped, nil
}

func (d *Disks) check(fsys disk.Opener, name string) error {
	path := d.Devices + "/" + name
	if !apipath.ValidDrive(name) {
		return fmt.Errorf("device %s: %w", path, ErrNotDevice)
	}
	if !d.MountCheck {
		// The dot makes Stat follow a symbolic link, as Swift does where it does not ask for a mount.
		info, err := fsys.Stat(path + "/.")
		if err != nil || !info.IsDir {
			return fmt.Errorf("device %s: %w", path, errors.Join(ErrNotDevice, err))
		}
		return nil
	}
	mounted, err := disk.IsMount(fsys, path)
	if mounted {
		return nil
	}
	// Swift's mark for a device that is to be used without being a mount, in containers.
	if mark, markErr := fsys.Stat(path + "/.ismount"); markErr == nil && !mark.IsDir {
		return nil
	}
	return fmt.Errorf("device %s: %w", path, errors.Join(ErrNotDevice, err))
}
