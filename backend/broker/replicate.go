package broker

import (
	"database/sql/driver"
	"fmt"

	"github.com/apus-storage/apus/internal/timestamp"
)

// A SyncPoint says up to which ROWID of another replica this one has the rows, or the other way round.
type SyncPoint struct {
	RemoteID string `json:"remote_id"`
	Point    int64  `json:"sync_point"`
}

// Syncs returns what this replica has of others (incoming) or what others have of it.
func (d *database) Syncs(incoming bool) (points []SyncPoint, err error) {
	file, err := d.live()
	if err != nil {
		return nil, err
	}
	err = d.p.read(file, func(h *handle) error {
		return h.query("SELECT remote_id, sync_point FROM "+syncTable(incoming), nil, func(v []driver.Value) error {
			points = append(points, SyncPoint{text(v[0]), integer(v[1])})
			return nil
		})
	})
	return points, err
}

// SyncPoint returns the point for one replica, -1 if there is none.
func (d *database) SyncPoint(id string, incoming bool) (int64, error) {
	points, err := d.Syncs(incoming)
	for _, p := range points {
		if p.RemoteID == id {
			return p.Point, err
		}
	}
	return -1, err
}

// MergeSyncs raises sync points.
func (d *database) MergeSyncs(points []SyncPoint, incoming bool) error {
	return d.update(func(h *handle) error {
		for _, p := range points {
			if err := raiseSyncPoint(h, syncTable(incoming), p.RemoteID, p.Point); err != nil {
				return err
			}
		}
		return nil
	})
}

func syncTable(incoming bool) string {
	if incoming {
		return "incoming_sync"
	}
	return "outgoing_sync"
}

func raiseSyncPoint(h *handle, table, id string, point int64) error {
	// Two statements: the tables' triggers stamp inserts and updates, and REPLACE would fire neither as wanted.
	n, err := h.exec("UPDATE "+table+" SET sync_point = max(sync_point, ?) WHERE remote_id = ?", point, id)
	if err != nil || n > 0 {
		return err
	}
	_, err = h.exec("INSERT INTO "+table+" (sync_point, remote_id) VALUES (?, ?)", point, id)
	return err
}

// MaxRow returns the greatest ROWID there ever was, of rows that are gone too; -1 if there never was one.
func (d *database) MaxRow() (row int64, err error) {
	err = d.view(Fresh, func(h *handle) error {
		row, err = maxRow(h, d.k.rows)
		return err
	})
	return row, err
}

func maxRow(h *handle, table string) (row int64, err error) {
	row = -1
	err = h.query("SELECT seq FROM sqlite_sequence WHERE name = ?", []any{table}, func(v []driver.Value) error {
		row = integer(v[0])
		return nil
	})
	return row, err
}

// ItemsSince returns up to count rows with a ROWID above start, in ROWID order, deleted ones and all policies included.
func (c *Container) ItemsSince(start int64, count int) (rows []ObjectRow, err error) {
	err = c.view(Fresh, func(h *handle) error {
		read := func(columns string) error {
			rows = rows[:0]
			return h.query(columns+"FROM object WHERE ROWID > ? ORDER BY ROWID ASC LIMIT ?", []any{start, count}, func(v []driver.Value) error {
				rows = append(rows, objectFromValues(v))
				return nil
			})
		}
		const before = "SELECT ROWID, name, created_at, size, content_type, etag, deleted, "
		return tolerate(read(before+"storage_policy_index "), func() error { return read(before + "0 ") })
	})
	return rows, err
}

// ItemsSince returns up to count rows with a ROWID above start, in ROWID order, deleted ones included.
func (a *Account) ItemsSince(start int64, count int) (rows []ContainerRow, err error) {
	err = a.view(Fresh, func(h *handle) error {
		read := func(columns string) error {
			rows = rows[:0]
			return h.query(columns+"FROM container WHERE ROWID > ? ORDER BY ROWID ASC LIMIT ?", []any{start, count}, func(v []driver.Value) error {
				rows = append(rows, ContainerRow{
					ROWID: integer(v[0]), Name: text(v[1]), PutTimestamp: text(v[2]), DeleteTimestamp: text(v[3]),
					ObjectCount: integer(v[4]), BytesUsed: integer(v[5]), Deleted: int(integer(v[6])), Policy: int(integer(v[7])),
				})
				return nil
			})
		}
		const before = "SELECT ROWID, name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted, "
		return tolerate(read(before+"storage_policy_index "), func() error { return read(before + "0 ") })
	})
	return rows, err
}

// AccountReplicationInfo is what a replica tells others about itself.
type AccountReplicationInfo struct {
	AccountInfo
	Count int64 `json:"count"`
	// ContainerCount is Count, which has that name here; the field hides the other in JSON.
	ContainerCount int64  `json:"container_count,omitzero"`
	Metadata       string `json:"metadata"`
	MaxRow         int64  `json:"max_row"`
}

// ReplicationInfo returns what a replica tells others about itself.
func (a *Account) ReplicationInfo() (info AccountReplicationInfo, err error) {
	if info.AccountInfo, err = a.Info(Fresh); err != nil {
		return info, err
	}
	info.Count = info.AccountInfo.ContainerCount
	if info.MaxRow, err = a.MaxRow(); err != nil {
		return info, err
	}
	info.Metadata = info.AccountInfo.metadata
	return info, nil
}

// ContainerReplicationInfo is what a replica tells others about itself.
type ContainerReplicationInfo struct {
	ContainerInfo
	Count int64 `json:"count"`
	// ObjectCount is Count, which has that name here; the field hides the other in JSON.
	ObjectCount int64  `json:"object_count,omitzero"`
	Metadata    string `json:"metadata"`
	MaxRow      int64  `json:"max_row"`
	ShardMaxRow int64  `json:"shard_max_row"`
}

// ReplicationInfo returns what a replica tells others about itself.
func (c *Container) ReplicationInfo() (info ContainerReplicationInfo, err error) {
	if info.ContainerInfo, err = c.Info(Fresh); err != nil {
		return info, err
	}
	info.Count = info.ContainerInfo.ObjectCount
	err = c.view(Fresh, func(h *handle) error {
		if info.MaxRow, err = maxRow(h, "object"); err != nil {
			return err
		}
		info.ShardMaxRow, err = maxRow(h, "shard_range")
		return err
	})
	info.Metadata = info.ContainerInfo.metadata
	return info, err
}

// MergeTimestamps takes over the oldest creation and the newest PUT and DELETE of another replica. If that turns a
// deleted database into one that is not, or back, the status is changed as of now.
func (a *Account) MergeTimestamps(created, put, del string) error {
	return a.mergeTimestamps(created, put, del, func(h *handle) (bool, error) {
		info, err := readAccountInfo(h)
		return info.Deleted(), err
	})
}

// MergeTimestamps takes over the oldest creation and the newest PUT and DELETE of another replica. If that turns a
// deleted database into one that is not, or back, the status is changed as of now.
func (c *Container) MergeTimestamps(created, put, del string) error {
	return c.mergeTimestamps(created, put, del, func(h *handle) (bool, error) {
		info, err := readContainerInfo(h)
		return info.Deleted(), err
	})
}

func (d *database) mergeTimestamps(created, put, del string, deleted func(*handle) (bool, error)) error {
	for _, s := range []string{created, put, del} {
		if _, err := timestamp.Parse(s); err != nil {
			return fmt.Errorf("merge timestamps: %w: %w", ErrInvalidRow, err)
		}
	}
	return d.update(func(h *handle) error {
		before, err := deleted(h)
		if err != nil {
			return err
		}
		if _, err := h.exec("UPDATE "+d.k.stat+` SET created_at = min(?, created_at), put_timestamp = max(?, put_timestamp),
			delete_timestamp = max(?, delete_timestamp)`, created, put, del); err != nil {
			return err
		}
		after, err := deleted(h)
		if err != nil || before == after {
			return err
		}
		return d.setStatusChangedAt(h, d.now().Internal())
	})
}

// NewID gives the database a new identity after its file was copied from another replica. The rows up to now are then
// known to be that replica's.
func (d *database) NewID(remote string) error {
	return d.update(func(h *handle) error {
		if _, err := h.exec("UPDATE "+d.k.stat+" SET id = ?", d.newID()); err != nil {
			return err
		}
		row, err := maxRow(h, d.k.rows)
		if err != nil {
			return err
		}
		return raiseSyncPoint(h, "incoming_sync", remote, row)
	})
}
