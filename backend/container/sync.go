package container

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/reply"
)

// checkSyncTo refuses a destination for container sync that this node would not send to.
func (s *Server) checkSyncTo(c *dbserver.Call) *reply.Error {
	value := strings.TrimSpace(c.Header.Get("X-Container-Sync-To"))
	if value == "" {
		return nil
	}
	if _, err := s.deps.Realms.Destination(value, s.config.AllowedSyncHosts); err != nil {
		return reply.Raw(http.StatusBadRequest, err.Error())
	}
	return nil
}

// updateSyncStore keeps the list by which container sync finds its containers: a symbolic link to the database for each
// one that has a destination and a key.
func (s *Server) updateSyncStore(c *dbserver.Call, b *broker.Container) error {
	m, err := b.Metadata()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(b.Dir())
	if err != nil {
		return err
	}
	hash := filepath.Base(dir)
	link := filepath.Join(s.config.Devices, c.Path.Device, "sync_containers", c.Path.Partition, hash[len(hash)-3:], hash, hash+".db")
	if m["X-Container-Sync-To"].Value == "" || m["X-Container-Sync-Key"].Value == "" {
		return removeLink(link)
	}
	if _, err := disk.MkdirUnder(disk.OS{}, filepath.Join(s.config.Devices, c.Path.Device), filepath.Dir(link)); err != nil {
		return err
	}
	err = os.Symlink(filepath.Join(dir, hash+".db"), link)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// removeLink removes a link and its directory, both of which may be missing.
func removeLink(link string) error {
	if err := os.Remove(link); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	// An error means that something else is in there.
	_ = os.Remove(filepath.Dir(link))
	return nil
}
