package broker

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/timestamp"
)

// staleWait is how long a reader that may see an old state waits before it goes on without the pending rows.
const staleWait = 100 * time.Millisecond

// A Place says where in a device tree a database is.
type Place struct {
	// Device is the directory of the device, such as /srv/node/sdb1.
	Device string
	// Partition is the decimal number of the partition.
	Partition string
	// Hash is the path hash of the account or container: 32 hex digits.
	Hash string
}

// Reading says whether a reader needs every accepted row.
type Reading bool

const (
	// Fresh merges the pending rows first and fails with ErrLocked if that is not possible in time.
	Fresh Reading = false
	// StaleOK goes on with what the database holds when it, or the directory, is locked for 0.1 s.
	StaleOK Reading = true
)

// kind is what differs between the two databases and is decided by name.
type kind struct {
	datadir string
	schema  string
	// stat is the table or view that holds the one row about the database and takes UPDATEs.
	stat string
	// rows is the table of rows, tombstone the column whose age decides about reclaiming deleted ones.
	rows, tombstone string
}

// database is what account and container brokers share.
type database struct {
	p      *Pool
	k      *kind
	dir    string
	hash   string
	device string
	// merge folds rows of the pending file into the database.
	merge func(file string, tuples [][]any, wait time.Duration) error
}

func newDatabase(p *Pool, k *kind, at Place) database {
	suffix := at.Hash[max(0, len(at.Hash)-3):]
	return database{
		p: p, k: k, hash: at.Hash, device: at.Device,
		dir: filepath.Join(at.Device, k.datadir, at.Partition, suffix, at.Hash),
	}
}

// Dir returns the directory of the database.
func (d *database) Dir() string { return d.dir }

// Files returns the paths of the database files, oldest first; none if there is no database. The last one is live: it
// takes the writes. More than one means that the container is being sharded.
func (d *database) Files() ([]string, error) {
	var room [16]string // a directory has the database, .lock, the pending file and little else
	names, err := disk.OS{}.Names(d.dir, room[:0])
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var files []string
	for _, name := range names {
		stem, ok := strings.CutSuffix(name, ".db")
		if !ok {
			continue
		}
		if h, _, _ := strings.Cut(stem, "_"); h == d.hash {
			files = append(files, filepath.Join(d.dir, name))
		}
	}
	slices.Sort(files)
	return files, nil
}

// live returns the file that takes the writes.
func (d *database) live() (string, error) {
	files, err := d.Files()
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", fmt.Errorf("%s: %w", d.dir, ErrNotExist)
	}
	return files[len(files)-1], nil
}

// Exists reports whether there is a database, deleted or not.
func (d *database) Exists() (bool, error) {
	files, err := d.Files()
	return len(files) > 0, err
}

func (d *database) pendingFile() string { return filepath.Join(d.dir, d.hash+".db.pending") }

// update runs fn in a writing transaction on the live file.
func (d *database) update(fn func(*handle) error) error {
	file, err := d.live()
	if err != nil {
		return err
	}
	return d.p.write(file, d.p.o.BusyTimeout, fn)
}

// view runs fn with a reading handle on the live file, pending rows merged.
func (d *database) view(r Reading, fn func(*handle) error) error {
	if err := d.settle(r); err != nil {
		return err
	}
	file, err := d.live()
	if err != nil {
		return err
	}
	return d.p.read(file, fn)
}

// UpdatePutTimestamp raises the time of the last PUT; a time that is not newer changes nothing.
func (d *database) UpdatePutTimestamp(t timestamp.Timestamp) error {
	return d.update(func(h *handle) error {
		s := t.Internal()
		_, err := h.exec("UPDATE "+d.k.stat+" SET put_timestamp = ? WHERE put_timestamp < ?", s, s)
		return err
	})
}

// UpdateStatusChangedAt raises the time of the last change between existing and deleted.
func (d *database) UpdateStatusChangedAt(t timestamp.Timestamp) error {
	return d.update(func(h *handle) error { return d.setStatusChangedAt(h, t.Internal()) })
}

func (d *database) setStatusChangedAt(h *handle, s string) error {
	_, err := h.exec("UPDATE "+d.k.stat+" SET status_changed_at = ? WHERE status_changed_at < ?", s, s)
	return err
}

// deleteDB blanks the metadata that keep does not hold on to, and marks the database deleted unless it was deleted
// later than t already.
func (d *database) deleteDB(t timestamp.Timestamp, keep func(name string) bool) error {
	s := t.Internal()
	return d.update(func(h *handle) error {
		m, err := d.readMetadata(h)
		if err != nil {
			return err
		}
		blank := make(Metadata, len(m))
		for name := range m {
			if !keep(name) {
				blank[name] = MetaValue{Timestamp: s}
			}
		}
		if m.merge(blank) {
			if err := d.writeMetadata(h, m); err != nil {
				return err
			}
		}
		_, err = h.exec("UPDATE "+d.k.stat+
			" SET delete_timestamp = ?, status = 'DELETED', status_changed_at = ? WHERE delete_timestamp < ?", s, s, s)
		return err
	})
}

// RecentlyDeleted reports whether the database says of itself that it is deleted, by status or by its times. Unlike
// IsDeleted it does not look at the number of rows.
func (d *database) RecentlyDeleted() (deleted bool, err error) {
	file, err := d.live()
	if err != nil {
		return false, err
	}
	err = d.p.read(file, func(h *handle) error {
		return h.query("SELECT put_timestamp, delete_timestamp, status FROM "+d.k.stat, nil, func(v []driver.Value) error {
			// The times are compared as texts, as Swift does here: the default '0' sorts below every time.
			deleted = text(v[2]) == statusDeleted || text(v[1]) > text(v[0])
			return nil
		})
	})
	return deleted, err
}

const statusDeleted = "DELETED"

// deletedByTimes reports whether a DELETE came after the last PUT. A time that does not parse counts as never.
func deletedByTimes(put, del string) bool { return parseTime(del).After(parseTime(put)) }

// parseTime reads a time from the database; the columns' default '0' and anything unreadable are zero.
func parseTime(s string) timestamp.Timestamp {
	t, err := timestamp.Parse(s)
	if err != nil {
		return timestamp.Timestamp{}
	}
	return t
}

func (d *database) now() timestamp.Timestamp { return timestamp.FromTime(d.p.o.Clock.Now()) }
