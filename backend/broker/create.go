package broker

import (
	"crypto/rand"
	_ "embed" // the schemas
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/uuid"

	"github.com/apus-storage/apus/internal/disk"
)

// The schemas are Swift's, to the letter: tools compare sqlite_master, and Python code updates through the container
// schema's view.
var (
	//go:embed schema/account.sql
	accountSchema string
	//go:embed schema/container.sql
	containerSchema string
)

// newID makes the id of a database. Replication knows a database by it, so two files must never have the same.
func (d *database) newID() string { return uuid.NewString() + "-" + filepath.Base(d.device) }

// create makes the database: complete under a temporary name, synced, then renamed under the lock. It returns ErrExist
// if there is one already.
func (d *database) create(fill func(*handle) error) error {
	if ok, err := d.Exists(); err != nil || ok {
		if ok {
			err = fmt.Errorf("create %s: %w", d.dir, ErrExist)
		}
		return err
	}
	made, err := mkdirs(d.device, d.dir)
	if err != nil {
		return fmt.Errorf("create %s: %w", d.dir, err)
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	tmp := filepath.Join(d.dir, hex.EncodeToString(random[:])+".tmp")
	if err := d.build(tmp, fill); err != nil {
		return errors.Join(fmt.Errorf("create %s: %w", d.dir, err), removeIfExists(tmp), removeIfExists(tmp+"-journal"))
	}
	d.p.step("before rename")
	if err := d.publish(tmp); err != nil {
		return errors.Join(err, removeIfExists(tmp))
	}
	d.p.step("after rename")
	for _, dir := range append(made, d.dir) {
		if err := syncPath(dir); err != nil {
			return fmt.Errorf("create %s: %w", d.dir, err)
		}
	}
	return nil
}

// build writes a new database file and syncs it.
func (d *database) build(file string, fill func(*handle) error) error {
	h, err := openHandle(d.p.driver, file, fileID{}, d.p.o.BusyTimeout, true)
	if err != nil {
		return err
	}
	err = h.script("BEGIN;" + d.k.schema)
	if err == nil {
		err = fill(h)
	}
	if err == nil {
		err = h.commit()
	}
	h.close()
	if err != nil {
		return err
	}
	// No handle is open on this name any more, so closing the descriptor drops nobody's locks.
	return syncPath(file)
}

// publish gives a finished database its name unless there is one by now.
func (d *database) publish(tmp string) error {
	unlock, err := d.p.lockDir(d.dir, d.p.o.LockTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	if ok, err := d.Exists(); err != nil || ok {
		if ok {
			err = fmt.Errorf("create %s: %w", d.dir, ErrExist)
		}
		return err
	}
	return os.Rename(tmp, filepath.Join(d.dir, d.hash+".db"))
}

// mkdirs makes a directory with its parents on a device and returns the directories that got a new entry. The device
// itself is not made: a database on the disk below a device that is out would be lost when the device comes back.
func mkdirs(device, dir string) (changed []string, err error) {
	for p := dir; len(p) > len(device); p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		changed = append(changed, filepath.Dir(p))
	}
	_, err = disk.MkdirUnder(disk.OS{}, device, dir)
	return changed, err
}

// syncPath syncs a file or a directory.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Quarantine moves the directory of a damaged database out of the way, to quarantined/<kind>/<hash> of its device, for
// an operator or replication to look at. It returns the new place.
func (d *database) Quarantine() (string, error) {
	base := filepath.Join(d.device, "quarantined", d.k.datadir)
	if _, err := disk.MkdirUnder(disk.OS{}, d.device, base); err != nil {
		return "", err
	}
	to := filepath.Join(base, d.hash)
	err := os.Rename(d.dir, to)
	if err != nil && (errors.Is(err, fs.ErrExist) || isNotEmpty(err)) {
		id := uuid.New()
		to += "-" + hex.EncodeToString(id[:])
		err = os.Rename(d.dir, to)
	}
	if err != nil {
		return "", fmt.Errorf("quarantine %s: %w", d.dir, err)
	}
	d.p.o.Logger.Error("quarantined a database", "path", d.dir, "to", to)
	return to, nil
}

func isNotEmpty(err error) bool {
	return errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST)
}
