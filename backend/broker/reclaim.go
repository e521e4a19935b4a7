package broker

import (
	"database/sql/driver"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/timestamp"
)

// Reclaim removes for good what has been deleted long enough for every replica to know: rows whose deletion is older
// than age, metadata blanked before it, sync points untouched since sync, and temporary files that old of processes that
// were killed.
func (d *database) Reclaim(age, sync timestamp.Timestamp) error {
	if err := d.Settle(d.p.o.LockTimeout); err != nil {
		return err
	}
	if err := d.reclaimRows(age.Normal()); err != nil {
		return err
	}
	if err := d.removeLeftovers(age.Time()); err != nil {
		return err
	}
	return d.update(func(h *handle) error {
		for _, table := range []string{"outgoing_sync", "incoming_sync"} {
			// updated_at is text of whole seconds, ten digits until 2286.
			if _, err := h.exec("DELETE FROM "+table+" WHERE updated_at < ?", sync.Normal()); err != nil {
				return err
			}
		}
		m, err := d.readMetadata(h)
		if err != nil {
			return err
		}
		n := len(m)
		for name, v := range m {
			if v.Value == "" && v.Timestamp < age.Normal() {
				delete(m, name)
			}
		}
		if len(m) == n {
			return nil
		}
		return d.writeMetadata(h, m)
	})
}

// reclaimPage bounds how many names one transaction looks at, so that others get their turn.
const reclaimPage = 10000

func (d *database) reclaimRows(age string) error {
	marker, more := "", true
	for more {
		err := d.update(func(h *handle) error {
			end := ""
			// Names may start with a NUL but are never empty, so the empty marker is before all of them.
			err := h.query("SELECT name FROM "+d.k.rows+" WHERE deleted = 1 AND name > ? ORDER BY name LIMIT 1 OFFSET ?",
				[]any{marker, reclaimPage}, func(v []driver.Value) error {
					end = text(v[0])
					return nil
				})
			if err != nil {
				return err
			}
			query := "DELETE FROM " + d.k.rows + " WHERE deleted = 1 AND name > ? AND " + d.k.tombstone + " < ?"
			if more = end != ""; !more {
				_, err = h.exec(query, marker, age)
				return err
			}
			_, err = h.exec(query+" AND name <= ?", marker, age, end)
			marker = end
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeLeftovers removes temporary files of creations that nobody finished.
func (d *database) removeLeftovers(before time.Time) error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), ".tmp") || !info.ModTime().Before(before) {
			continue // what vanishes meanwhile was not left over
		}
		if err := removeIfExists(filepath.Join(d.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Reclaim does the same for a container, and forgets other containers' ranges that were deleted before sync.
func (c *Container) Reclaim(age, sync timestamp.Timestamp) error {
	if err := c.database.Reclaim(age, sync); err != nil {
		return err
	}
	return c.update(func(h *handle) error {
		if err := migrateContainer(h); err != nil {
			return err
		}
		_, err := h.exec("DELETE FROM shard_range WHERE deleted = 1 AND timestamp < ? AND name <> ?", sync.Internal(), c.path())
		return err
	})
}
