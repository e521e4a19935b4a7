package ringcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/ring"
	"github.com/apus-storage/apus/ring/builder"
)

// lockTimeout is how long to wait for somebody else who works in the directory.
const lockTimeout = 15 * time.Second

// lock takes the lock of the builder's directory and returns what gives it back.
func (s *session) lock() (unlock func(), err error) {
	path := filepath.Join(filepath.Dir(s.builderPath), ".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock directory: %w", err)
	}
	for deadline := s.now().Add(lockTimeout); ; time.Sleep(50 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			// Closing gives the lock back. The file stays: removing it would let two hold "the" lock.
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if s.now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("another ring tool holds %s for more than %v", path, lockTimeout)
		}
	}
}

func (s *session) load() (*builder.Builder, error) {
	b, err := builder.Load(s.builderPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist; make it with: apus ring %[1]s create PART_POWER REPLICAS MIN_PART_HOURS",
			s.builderPath)
	}
	return b, err
}

// edit changes the builder under the lock and saves it when f succeeds. A warning of f counts as success.
func (s *session) edit(f func(*builder.Builder) error) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	b, err := s.load()
	if err != nil {
		return err
	}
	err = f(b)
	if exit, ok := errors.AsType[*ExitError](err); err != nil && (!ok || exit.Code != CodeWarning) {
		return err
	}
	if saveErr := b.Save(s.builderPath); saveErr != nil {
		return saveErr
	}
	return err
}

// backup returns the name of the copy of a file that is about to be written.
func (s *session) backup(path string, at time.Time) (string, error) {
	dir, err := builder.BackupDir(path)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, fmt.Sprintf("%d.%s", at.Unix(), filepath.Base(path))), nil
}

// saveBuilder writes the builder and a copy.
func (s *session) saveBuilder(b *builder.Builder, at time.Time) error {
	copyTo, err := s.backup(s.builderPath, at)
	if err != nil {
		return err
	}
	if err := b.Save(copyTo); err != nil {
		return err
	}
	return b.Save(s.builderPath)
}

// saveRing writes the ring and a copy.
func (s *session) saveRing(b *builder.Builder, format ring.Format, at time.Time) error {
	r, err := b.Ring()
	if err != nil {
		return err
	}
	copyTo, err := s.backup(s.ringPath, at)
	if err != nil {
		return err
	}
	if err := ring.Save(copyTo, r, format); err != nil {
		return err
	}
	return ring.Save(s.ringPath, r, format)
}
