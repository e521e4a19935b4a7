package container

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/reply"
)

// Realms are the clusters that containers may be synchronised with, by the names that operators agreed on.
type Realms interface {
	// Key returns the shared secret of a realm.
	Key(realm string) (key string, ok bool)
	// Endpoint returns the URL of a cluster of a realm.
	Endpoint(realm, cluster string) (url string, ok bool)
}

// checkSyncTo refuses a destination for container sync that this node would not send to.
func (s *Server) checkSyncTo(c *dbserver.Call) *reply.Error {
	value := strings.TrimSpace(c.Header.Get("X-Container-Sync-To"))
	if value == "" {
		return nil
	}
	if problem := s.syncProblem(value); problem != "" {
		return reply.Raw(http.StatusBadRequest, problem)
	}
	return nil
}

// syncProblem returns Swift's words for what is wrong with a destination.
func (s *Server) syncProblem(value string) string {
	if named, ok := strings.CutPrefix(value, "//"); ok {
		parts := strings.Split(named, "/")
		if len(parts) != 4 || slices.Contains(parts, "") {
			return fmt.Sprintf("Invalid X-Container-Sync-To format '%s'", value)
		}
		realm, cluster := strings.ToUpper(parts[0]), strings.ToUpper(parts[1])
		if s.deps.Realms == nil {
			return fmt.Sprintf("No realm key for '%s'", parts[0])
		}
		if key, ok := s.deps.Realms.Key(realm); !ok || key == "" {
			return fmt.Sprintf("No realm key for '%s'", parts[0])
		}
		if endpoint, ok := s.deps.Realms.Endpoint(realm, cluster); !ok || endpoint == "" {
			return fmt.Sprintf("No cluster endpoint for '%s' '%s'", parts[0], parts[1])
		}
		return ""
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return fmt.Sprintf("Invalid X-Container-Sync-To format '%s'", value)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf(`Invalid scheme '%s' in X-Container-Sync-To, must be "//", "http", or "https".`, u.Scheme)
	case u.Path == "":
		return "Path required in X-Container-Sync-To"
	case u.RawQuery != "" || u.Fragment != "":
		return "Params, queries, and fragments not allowed in X-Container-Sync-To"
	case !slices.Contains(s.config.AllowedSyncHosts, u.Hostname()):
		return fmt.Sprintf("Invalid host '%s' in X-Container-Sync-To", u.Hostname())
	}
	return ""
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
