package broker

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Schemas as they were before storage policies.
const (
	oldContainerSchema = `
CREATE TABLE object (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created_at TEXT, size INTEGER, content_type TEXT, etag TEXT,
	deleted INTEGER DEFAULT 0);
CREATE TRIGGER object_insert AFTER INSERT ON object BEGIN UPDATE container_stat SET object_count = object_count + (1 - new.deleted),
	bytes_used = bytes_used + new.size, hash = chexor(hash, new.name, new.created_at); END;
CREATE TRIGGER object_update BEFORE UPDATE ON object BEGIN SELECT RAISE(FAIL, 'UPDATE not allowed; DELETE and INSERT'); END;
CREATE TRIGGER object_delete AFTER DELETE ON object BEGIN UPDATE container_stat SET object_count = object_count - (1 - old.deleted),
	bytes_used = bytes_used - old.size, hash = chexor(hash, old.name, old.created_at); END;
CREATE TABLE container_stat (account TEXT, container TEXT, created_at TEXT, put_timestamp TEXT DEFAULT '0', delete_timestamp TEXT DEFAULT '0',
	object_count INTEGER, bytes_used INTEGER, reported_put_timestamp TEXT DEFAULT '0', reported_delete_timestamp TEXT DEFAULT '0',
	reported_object_count INTEGER DEFAULT 0, reported_bytes_used INTEGER DEFAULT 0, hash TEXT default '00000000000000000000000000000000',
	id TEXT, status TEXT DEFAULT '', status_changed_at TEXT DEFAULT '0', metadata TEXT DEFAULT '');
INSERT INTO container_stat (account, container, created_at, put_timestamp, id, status_changed_at, object_count, bytes_used)
	VALUES ('AUTH_a', 'c', '1300000000.00000', '1300000000.00000', 'id', '1300000000.00000', 0, 0);
INSERT INTO object (name, created_at, size, content_type, etag, deleted) VALUES ('a', '1300000001.00000', 7, 'a/b', 'e', 0),
	('b', '1300000002.00000', 0, 'application/deleted', 'noetag', 1);`
	oldAccountSchema = `
CREATE TABLE container (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, put_timestamp TEXT, delete_timestamp TEXT,
	object_count INTEGER, bytes_used INTEGER, deleted INTEGER DEFAULT 0);
CREATE INDEX ix_container_deleted_name ON container (deleted, name);
CREATE TRIGGER container_insert AFTER INSERT ON container BEGIN UPDATE account_stat SET container_count = container_count + (1 - new.deleted),
	object_count = object_count + new.object_count, bytes_used = bytes_used + new.bytes_used,
	hash = chexor(hash, new.name, new.put_timestamp || '-' || new.delete_timestamp || '-' || new.object_count || '-' || new.bytes_used); END;
CREATE TRIGGER container_delete AFTER DELETE ON container BEGIN UPDATE account_stat SET container_count = container_count - (1 - old.deleted),
	object_count = object_count - old.object_count, bytes_used = bytes_used - old.bytes_used,
	hash = chexor(hash, old.name, old.put_timestamp || '-' || old.delete_timestamp || '-' || old.object_count || '-' || old.bytes_used); END;
CREATE TABLE account_stat (account TEXT, created_at TEXT, put_timestamp TEXT DEFAULT '0', delete_timestamp TEXT DEFAULT '0',
	container_count INTEGER, object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0, hash TEXT default '00000000000000000000000000000000',
	id TEXT, status TEXT DEFAULT '', status_changed_at TEXT DEFAULT '0', metadata TEXT DEFAULT '');
INSERT INTO account_stat (account, created_at, put_timestamp, id, container_count) VALUES ('AUTH_a', '1300000000.00000', '1300000000.00000', 'id', 0);
INSERT INTO container (name, put_timestamp, delete_timestamp, object_count, bytes_used) VALUES ('c', '1300000001.00000', '0', 3, 30);`
)

// syncTables are the same in every release.
var syncTables = containerSchema[:strings.Index(containerSchema, "CREATE TABLE object")]

// buildOld makes a database with another schema.
func buildOld(t *testing.T, d *database, script string) {
	t.Helper()
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := openHandle(d.p.driver, d.dir+"/"+d.hash+".db", fileID{}, staleWait, true)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if err := h.script(syncTables + script); err != nil {
		t.Fatal(err)
	}
}

func TestOldContainerIsReadAndMigrated(t *testing.T) {
	c := newPool(t).Container(testPlace(t), "AUTH_a", "c")
	buildOld(t, &c.database, oldContainerSchema)
	check := func(objects, bytes int64, names int) {
		t.Helper()
		info := must(c.Info(Fresh))(t)
		if info.ObjectCount != objects || info.BytesUsed != bytes || info.Policy != 0 || info.SyncPoint1 != -1 || info.DBState != Unsharded {
			t.Errorf("info: got %+v, want %d objects, %d bytes", info, objects, bytes)
		}
		if got := must(c.PolicyStats(Fresh))(t); got[0] != (ContainerPolicyStat{objects, bytes}) {
			t.Errorf("policy stats: got %v", got)
		}
		if got := must(c.List(Fresh, ListOptions{Limit: 10}))(t); len(got) != names {
			t.Errorf("listing: got %v, want %d names", got, names)
		}
	}
	check(1, 7, 1)
	if got := must(c.ShardRanges(ShardQuery{}))(t); len(got) != 0 {
		t.Errorf("shard ranges: got %v", got)
	}
	if empty := must(c.Empty())(t); empty {
		t.Error("a container with an object is called empty")
	}
	if point := must(c.ReconcilerSyncPoint())(t); point != -1 {
		t.Errorf("reconciler sync point: got %d, want -1", point)
	}
	if rows := must(c.ItemsSince(-1, 10))(t); len(rows) != 2 {
		t.Errorf("rows: got %v", rows)
	}
	// The first row makes it a database of today.
	if err := c.PutObject(ObjectRow{Name: "n", CreatedAt: "1700000000.00000", Size: 3, ContentType: "a/b", ETag: "e", Policy: 1}); err != nil {
		t.Fatal(err)
	}
	check(1, 7, 1)
	if got := must(c.PolicyStats(Fresh))(t)[1]; got != (ContainerPolicyStat{1, 3}) {
		t.Errorf("stats of the other policy: got %v", got)
	}
	checkConsistent(t, c)
	if err := c.MergeShardRanges([]ShardRange{{Name: "a/b", Timestamp: "1", MetaTimestamp: "1", StateTimestamp: "1", State: RangeFound}}); err != nil {
		t.Error(err)
	}
}

func TestOldAccountIsReadAndMigrated(t *testing.T) {
	a := newPool(t).Account(testPlace(t), "AUTH_a")
	buildOld(t, &a.database, oldAccountSchema)
	want := map[int]AccountPolicyStat{0: {1, 3, 30}}
	if got := must(a.PolicyStats(Fresh))(t); !cmp.Equal(got, want) {
		t.Errorf("policy stats: got %v, want %v", got, want)
	}
	if got := must(a.List(Fresh, ListOptions{Limit: 10}))(t); len(got) != 1 || got[0].ObjectCount != 3 {
		t.Errorf("listing: got %v", got)
	}
	if err := a.PutContainer(ContainerRow{Name: "n", PutTimestamp: "1700000000.00000", DeleteTimestamp: "0", ObjectCount: 1, BytesUsed: 5, Policy: 2}); err != nil {
		t.Fatal(err)
	}
	want[2] = AccountPolicyStat{1, 1, 5}
	if got := must(a.PolicyStats(Fresh))(t); !cmp.Equal(got, want) {
		t.Errorf("policy stats after a row: got %v, want %v", got, want)
	}
	if info := must(a.Info(Fresh))(t); info.ContainerCount != 2 || info.BytesUsed != 35 {
		t.Errorf("info: got %+v", info)
	}
}

func TestAccountWithoutContainerCounts(t *testing.T) {
	a := newPool(t).Account(testPlace(t), "AUTH_a")
	buildOld(t, &a.database, strings.Replace(oldAccountSchema, "deleted INTEGER DEFAULT 0)", "deleted INTEGER DEFAULT 0, storage_policy_index INTEGER DEFAULT 0)", 1)+`
CREATE TABLE policy_stat (storage_policy_index INTEGER PRIMARY KEY, object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0);
INSERT INTO policy_stat VALUES (0, 3, 30);`)
	want := map[int]AccountPolicyStat{0: {1, 3, 30}}
	for range 2 {
		if got := must(a.PolicyStats(Fresh))(t); !cmp.Equal(got, want) {
			t.Errorf("policy stats: got %v, want %v", got, want)
		}
		if err := a.MergeItems(nil, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShardRangesOfOlderReleases(t *testing.T) {
	c := newPool(t).Container(testPlace(t), "AUTH_a", "c")
	for _, missing := range []string{"reported INTEGER DEFAULT 0,", "tombstones INTEGER DEFAULT -1"} {
		os.RemoveAll(c.dir)
		schema := strings.Replace(containerSchema[len(syncTables):], missing, "", 1)
		schema = strings.Replace(schema, "DEFAULT 0,\n                \n", "DEFAULT 0\n", 1)
		schema = strings.Replace(schema, "reported INTEGER DEFAULT 0,\n                \n", "reported INTEGER DEFAULT 0", 1)
		schema = strings.Replace(schema, ",\n                \n            );", ");", 1)
		buildOld(t, &c.database, schema+`INSERT INTO container_info (account, container) VALUES ('AUTH_a', 'c');
			INSERT INTO shard_range (name, timestamp, lower, upper, meta_timestamp, state, state_timestamp) VALUES ('x/y', '1', '', '', '1', 40, '1');`)
		for range 2 {
			got := must(c.ShardRanges(ShardQuery{}))(t)
			if len(got) != 1 || got[0].Tombstones != -1 || got[0].Reported != 0 {
				t.Errorf("without %s: got %+v", missing, got)
			}
			if err := c.MergeShardRanges([]ShardRange{{Name: "x/y", Timestamp: "1", MetaTimestamp: "0", StateTimestamp: "0", State: RangeFound, Tombstones: -1}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
