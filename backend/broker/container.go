package broker

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/timestamp"
)

// A Container is a broker of one container's database. See the package documentation for what it promises.
type Container struct {
	database
	account, container string
}

// containerKind is read only.
func containerKind() *kind {
	return &kind{datadir: "containers", schema: containerSchema, stat: "container_stat", rows: "object", tombstone: "created_at"}
}

// Container returns a broker of the container at the given place, which need not exist.
func (p *Pool) Container(at Place, account, container string) *Container {
	c := &Container{database: newDatabase(p, p.containers, at), account: account, container: container}
	c.merge = c.mergeTuples
	return c
}

// path is how shard ranges name a container.
func (c *Container) path() string { return c.account + "/" + c.container }

// State says how far the sharding of a container has come.
type State string

// The states of a container's database.
const (
	NotFound  State = "not_found"
	Unsharded State = "unsharded"
	Sharding  State = "sharding"  // a retiring database and a fresh one
	Sharded   State = "sharded"   // only the fresh one, with ranges of other containers
	Collapsed State = "collapsed" // only the fresh one, and no ranges
)

// ContainerInfo is the one row about a container, with the counts of its own policy. Times are the texts of the
// database: '0' or an internal form.
type ContainerInfo struct {
	Account                 string `json:"account"`
	Container               string `json:"container"`
	CreatedAt               string `json:"created_at"`
	PutTimestamp            string `json:"put_timestamp"`
	DeleteTimestamp         string `json:"delete_timestamp"`
	Status                  string `json:"status"`
	StatusChangedAt         string `json:"status_changed_at"`
	ObjectCount             int64  `json:"object_count"`
	BytesUsed               int64  `json:"bytes_used"`
	ReportedPutTimestamp    string `json:"reported_put_timestamp"`
	ReportedDeleteTimestamp string `json:"reported_delete_timestamp"`
	ReportedObjectCount     int64  `json:"reported_object_count"`
	ReportedBytesUsed       int64  `json:"reported_bytes_used"`
	Hash                    string `json:"hash"`
	ID                      string `json:"id"`
	SyncPoint1              int64  `json:"x_container_sync_point1"`
	SyncPoint2              int64  `json:"x_container_sync_point2"`
	Policy                  int    `json:"storage_policy_index"`
	DBState                 State  `json:"db_state"`

	metadata string
}

// Metadata returns everything that is remembered of request headers, deleted names too.
func (i ContainerInfo) Metadata() (Metadata, error) { return ParseMetadata(i.metadata) }

// Deleted reports whether the container counts as deleted: deleted after the last PUT, and without objects.
func (i ContainerInfo) Deleted() bool {
	return i.ObjectCount == 0 && deletedByTimes(i.PutTimestamp, i.DeleteTimestamp)
}

// NeedsReport reports whether the account does not know the current times and counts yet.
func (i ContainerInfo) NeedsReport() bool {
	return i.PutTimestamp > i.ReportedPutTimestamp || i.DeleteTimestamp > i.ReportedDeleteTimestamp ||
		i.ObjectCount != i.ReportedObjectCount || i.BytesUsed != i.ReportedBytesUsed
}

// Create makes the database, with the time of the PUT that caused it. It returns ErrExist if there is one.
func (c *Container) Create(put timestamp.Timestamp, policy int) error {
	return c.create(func(h *handle) error {
		if _, err := h.exec(`INSERT INTO container_info (account, container, created_at, id, put_timestamp, status_changed_at, storage_policy_index)
			VALUES (?, ?, ?, ?, ?, ?, ?)`,
			c.account, c.container, c.now().Normal(), c.newID(), put.Internal(), put.Internal(), policy); err != nil {
			return err
		}
		_, err := h.exec("INSERT INTO policy_stat (storage_policy_index) VALUES (?)", policy)
		return err
	})
}

// oldest returns the file that listings come from.
func (c *Container) oldest() (string, error) {
	files, err := c.Files()
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", fmt.Errorf("%s: %w", c.dir, ErrNotExist)
	}
	return files[0], nil
}

// Info returns the row about the container. For a container that is being sharded the counts are those of the retiring
// database, for a sharded root the sums over its shard ranges.
func (c *Container) Info(r Reading) (info ContainerInfo, err error) {
	if err := c.settle(r); err != nil {
		return info, err
	}
	return c.infoNow()
}

// infoNow is Info without merging pending rows.
func (c *Container) infoNow() (info ContainerInfo, err error) {
	files, err := c.Files()
	if err != nil {
		return info, err
	}
	if len(files) == 0 {
		return info, fmt.Errorf("%s: %w", c.dir, ErrNotExist)
	}
	err = c.p.read(files[len(files)-1], func(h *handle) error {
		if info, err = readContainerInfo(h); err != nil {
			return err
		}
		info.DBState, err = c.state(h, files)
		if err != nil || info.DBState != Sharded {
			return err
		}
		m, err := info.Metadata()
		if err != nil || !c.isRoot(m) {
			return err
		}
		info.ObjectCount, info.BytesUsed, err = c.shardUsage(h)
		return err
	})
	if err != nil || info.DBState != Sharding {
		return info, err
	}
	err = c.p.read(files[0], func(h *handle) error {
		old, err := readContainerInfo(h)
		info.ObjectCount, info.BytesUsed = old.ObjectCount, old.BytesUsed
		return err
	})
	return info, err
}

const containerColumns = `account, container, created_at, put_timestamp, delete_timestamp, status, status_changed_at,
	object_count, bytes_used, reported_put_timestamp, reported_delete_timestamp, reported_object_count, reported_bytes_used, hash, id, metadata`

func readContainerInfo(h *handle) (i ContainerInfo, err error) {
	read := func(columns string) error {
		found := false
		err := h.query("SELECT "+columns+" FROM container_stat", nil, func(v []driver.Value) error {
			found = true
			i = ContainerInfo{
				Account: text(v[0]), Container: text(v[1]), CreatedAt: text(v[2]), PutTimestamp: text(v[3]), DeleteTimestamp: text(v[4]),
				Status: text(v[5]), StatusChangedAt: text(v[6]), ObjectCount: integer(v[7]), BytesUsed: integer(v[8]),
				ReportedPutTimestamp: text(v[9]), ReportedDeleteTimestamp: text(v[10]), ReportedObjectCount: integer(v[11]), ReportedBytesUsed: integer(v[12]),
				Hash: text(v[13]), ID: text(v[14]), metadata: text(v[15]), SyncPoint1: integer(v[16]), SyncPoint2: integer(v[17]), Policy: int(integer(v[18])),
			}
			return errStop
		})
		if err == nil && !found {
			err = fmt.Errorf("%s: container_info is empty: %w", h.file, ErrCorrupt)
		}
		return err
	}
	err = read(containerColumns + ", x_container_sync_point1, x_container_sync_point2, storage_policy_index")
	err = tolerate(err, func() error { return read(containerColumns + ", x_container_sync_point1, x_container_sync_point2, 0") })
	err = tolerate(err, func() error { return read(containerColumns + ", -1, -1, 0") })
	return i, err
}

// state tells how far the sharding has come, from the names of the files and the shard ranges of the live one.
func (c *Container) state(h *handle, files []string) (State, error) {
	if len(files) > 1 {
		return Sharding, nil
	}
	_, epoch, ok := strings.Cut(strings.TrimSuffix(filepath.Base(files[0]), ".db"), "_")
	if !ok {
		return Unsharded, nil
	}
	own, others := "", false
	ranges, err := readShardRanges(h)
	if err != nil {
		return "", err
	}
	for _, r := range ranges {
		if r.Name == c.path() {
			own = r.epoch()
		} else if r.Deleted == 0 {
			others = true
		}
	}
	switch {
	case parseTime(own).Normal() != parseTime(epoch).Normal():
		return Unsharded, nil
	case !others:
		return Collapsed, nil
	default:
		return Sharded, nil
	}
}

// State tells how far the sharding of the container has come.
func (c *Container) State() (s State, err error) {
	files, err := c.Files()
	if err != nil || len(files) == 0 {
		return NotFound, err
	}
	err = c.p.read(files[len(files)-1], func(h *handle) error {
		s, err = c.state(h, files)
		return err
	})
	return s, err
}

// isRoot reports whether the container is the one that clients know, and not one of its shards.
func (c *Container) isRoot(m Metadata) bool {
	for name, v := range m {
		switch {
		case v.Value == "":
		case strings.EqualFold(name, "X-Container-Sysmeta-Shard-Quoted-Root"):
			root, err := url.PathUnescape(v.Value)
			return err == nil && root == c.path()
		case strings.EqualFold(name, "X-Container-Sysmeta-Shard-Root"):
			return v.Value == c.path()
		}
	}
	return true
}

// IsDeleted reports whether the container is missing or deleted.
func (c *Container) IsDeleted(r Reading) (bool, error) {
	info, err := c.Info(r)
	if errors.Is(err, ErrNotExist) {
		return true, nil
	}
	return info.Deleted(), err
}

// Empty reports whether no database of the container holds an object of any policy, and no shard does.
func (c *Container) Empty() (bool, error) {
	if err := c.settle(Fresh); err != nil {
		return false, err
	}
	files, err := c.Files()
	if err != nil {
		return false, err
	}
	if len(files) == 0 {
		return false, fmt.Errorf("%s: %w", c.dir, ErrNotExist)
	}
	var count int64
	for _, file := range files {
		err := c.p.read(file, func(h *handle) error {
			n, err := totalObjects(h)
			count += n
			return err
		})
		if err != nil {
			return false, err
		}
	}
	if count > 0 {
		return false, nil
	}
	err = c.p.read(files[len(files)-1], func(h *handle) error {
		m, err := c.readMetadata(h)
		if err != nil || !c.isRoot(m) {
			return err
		}
		count, _, err = c.shardUsage(h)
		return err
	})
	return count == 0, err
}

func totalObjects(h *handle) (n int64, err error) {
	sum := func(query string) error {
		return h.query(query, nil, func(v []driver.Value) error { n = integer(v[0]); return nil })
	}
	err = tolerate(sum("SELECT max(object_count) FROM policy_stat"), func() error { return sum("SELECT object_count FROM container_stat") })
	return n, err
}

// Delete marks the container deleted at t and blanks its metadata, save what sharding still needs.
func (c *Container) Delete(t timestamp.Timestamp) error {
	keep := []string{"x-container-sysmeta-shard-quoted-root", "x-container-sysmeta-shard-root", "x-container-sysmeta-sharding"}
	return c.deleteDB(t, func(name string) bool { return slices.Contains(keep, strings.ToLower(name)) })
}

// SetPolicy gives a container that is being recreated a storage policy. It leaves the rows alone: the reconciler
// moves those of the old policy.
func (c *Container) SetPolicy(policy int, t timestamp.Timestamp) error {
	return c.update(func(h *handle) error {
		if err := migrateContainer(h); err != nil {
			return err
		}
		if _, err := h.exec("INSERT OR IGNORE INTO policy_stat (storage_policy_index) VALUES (?)", policy); err != nil {
			return err
		}
		if _, err := h.exec("UPDATE container_stat SET storage_policy_index = ?", policy); err != nil {
			return err
		}
		return c.setStatusChangedAt(h, t.Internal())
	})
}

// Policy returns the container's storage policy, without merging pending rows, or ErrNotExist.
func (c *Container) Policy() (policy int, err error) {
	info, err := c.infoNow()
	return info.Policy, err
}

// A ContainerPolicyStat is what a container holds in one storage policy.
type ContainerPolicyStat struct {
	ObjectCount int64
	BytesUsed   int64
}

// PolicyStats returns the counts by policy index. More than one policy means that rows wait for the reconciler.
func (c *Container) PolicyStats(r Reading) (map[int]ContainerPolicyStat, error) {
	stats := make(map[int]ContainerPolicyStat)
	err := c.view(r, func(h *handle) error {
		read := func(query string) error {
			return h.query(query, nil, func(v []driver.Value) error {
				stats[int(integer(v[0]))] = ContainerPolicyStat{integer(v[1]), integer(v[2])}
				return nil
			})
		}
		return tolerate(read("SELECT storage_policy_index, object_count, bytes_used FROM policy_stat"),
			func() error { return read("SELECT 0, object_count, bytes_used FROM container_stat") })
	})
	return stats, err
}

// Reported remembers what the account has been told.
func (c *Container) Reported(put, del string, objects, bytes int64) error {
	return c.update(func(h *handle) error {
		_, err := h.exec(`UPDATE container_stat SET reported_put_timestamp = ?, reported_delete_timestamp = ?,
			reported_object_count = ?, reported_bytes_used = ?`, put, del, objects, bytes)
		return err
	})
}

// SetSyncPoints stores how far container sync has come: the rows up to the first point have been sent by every
// replica's share, those up to the second by this one.
func (c *Container) SetSyncPoints(point1, point2 int64) error {
	return c.update(func(h *handle) error {
		if err := migrateContainer(h); err != nil {
			return err
		}
		_, err := h.exec("UPDATE container_stat SET x_container_sync_point1 = ?, x_container_sync_point2 = ?", point1, point2)
		return err
	})
}

// ReconcilerSyncPoint returns the last ROWID whose misplaced rows have been queued.
func (c *Container) ReconcilerSyncPoint() (point int64, err error) {
	err = c.view(Fresh, func(h *handle) error {
		return tolerate(h.query("SELECT reconciler_sync_point FROM container_stat", nil, func(v []driver.Value) error {
			point = integer(v[0])
			return nil
		}), func() error { point = -1; return nil })
	})
	return point, err
}

// SetReconcilerSyncPoint stores the last ROWID whose misplaced rows have been queued.
func (c *Container) SetReconcilerSyncPoint(point int64) error {
	return c.update(func(h *handle) error {
		if err := migrateContainer(h); err != nil {
			return err
		}
		_, err := h.exec("UPDATE container_stat SET reconciler_sync_point = ?", point)
		return err
	})
}
