// Package atomicfile replaces small files such that a reader, or a machine that comes up after a crash, finds the old
// content or the new one and nothing between.
//
//	err := atomicfile.Replace("/etc/swift/object.ring.gz", data)
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace puts data in the place of the file at path, readable by everybody. The directory must exist.
func Replace(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(data)
	// The content must be on disk before the name points to it.
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
