package assembly

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/internal/badinput"
)

// TestBadInput plays odd and malformed requests against a cluster and compares with what OpenStack Swift answers.
func TestBadInput(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("table", func(t *testing.T) {
		_, url := start(t, EmbeddedOptions{Data: roomyDir(t), Config: "../../etc/functional-test.toml", Policies: []string{"gold", "silver"}})
		badinput.Run(t, strings.TrimPrefix(url, "http://"), badinput.DefaultCreds())
	})
}

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
