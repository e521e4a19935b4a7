package assembly

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/internal/badinput"
	"github.com/apus-storage/apus/internal/disk"
)

// TestBadInput plays odd and malformed requests against a cluster and compares with what OpenStack Swift answers.
func TestBadInput(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("table", func(t *testing.T) {
		_, url := start(t, EmbeddedOptions{Data: roomyDir(t), FS: lavish{}, Config: "../../etc/functional-test.toml", Policies: []string{"gold", "silver"}})
		badinput.Run(t, strings.TrimPrefix(url, "http://"), badinput.DefaultCreds())
	})
}

// lavish is the machine's file system without reservations. Some of the requests announce 5 GB that never come, and where
// roomyDir is in memory, that would be memory taken from everybody else.
type lavish struct{ disk.OS }

func (l lavish) Open(name string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := l.OS.Open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return unreserved{f}, nil
}

func (l lavish) Unnamed(dir string) (disk.File, error) {
	f, err := l.OS.Unnamed(dir)
	if err != nil {
		return nil, err
	}
	return unreserved{f}, nil
}

func (l lavish) Link(f disk.File, name string) error {
	if u, ok := f.(unreserved); ok {
		f = u.File
	}
	return l.OS.Link(f, name)
}

type unreserved struct{ disk.File }

func (unreserved) Allocate(int64) error { return nil }

// roomyDir is a directory on a file system with room for large extended attributes, if this machine has one: ext4's 4 KiB
// are less than the metadata that Swift allows.
func roomyDir(t testing.TB) string {
	t.Helper()
	for _, parent := range []string{"/dev/shm", os.TempDir()} {
		dir, err := os.MkdirTemp(parent, "apus-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		if unix.Setxattr(dir, "user.apus.test", make([]byte, 60_000), 0) == nil {
			return dir
		}
	}
	t.Skip("no file system with room for extended attributes of 60 KB: neither /dev/shm nor the temporary directory")
	return ""
}
