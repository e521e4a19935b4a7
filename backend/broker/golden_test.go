package broker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readGolden decodes a fixture made by OpenStack Swift.
func readGolden(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func newPool(t testing.TB) *Pool {
	t.Helper()
	p := NewPool(Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(func() { p.Close() })
	return p
}

// install copies the database of a fixture to where it belongs in a device tree.
func install(t testing.TB, from, datadir string) Place {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", from, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	hash, _, _ := strings.Cut(filepath.Base(files[0]), ".")
	at := Place{Device: filepath.Join(t.TempDir(), "sdb1"), Partition: "6", Hash: hash}
	dir := filepath.Join(at.Device, datadir, at.Partition, hash[len(hash)-3:], hash)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// asMap is the JSON form of a value, decoded again, for comparison with a fixture.
func asMap(t testing.TB, v any) (m any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

type goldenListing struct {
	Args struct {
		AllowReserved bool    `json:"allow_reserved"`
		Delimiter     *string `json:"delimiter"`
		EndMarker     string  `json:"end_marker"`
		Limit         int     `json:"limit"`
		Marker        string  `json:"marker"`
		Path          *string `json:"path"`
		Prefix        *string `json:"prefix"`
		Reverse       bool    `json:"reverse"`
		Policy        int     `json:"storage_policy_index"`
	} `json:"args"`
	Result [][]any `json:"result"`
}

func (g goldenListing) options() ListOptions {
	o := ListOptions{
		Limit: g.Args.Limit, Marker: g.Args.Marker, EndMarker: g.Args.EndMarker, Path: g.Args.Path, Reverse: g.Args.Reverse,
		AllowReserved: g.Args.AllowReserved, Policy: g.Args.Policy,
	}
	if g.Args.Delimiter != nil {
		o.Delimiter = *g.Args.Delimiter
	}
	if g.Args.Prefix != nil {
		o.Prefix = *g.Args.Prefix
	}
	return o
}

func containerLines(entries []ContainerEntry) [][]any {
	lines := [][]any{}
	for _, e := range entries {
		subdir := 0.0
		put := e.PutTimestamp
		if e.Subdir {
			subdir, put = 1, "0"
		}
		lines = append(lines, []any{e.Name, float64(e.ObjectCount), float64(e.BytesUsed), put, subdir})
	}
	return lines
}

func objectLines(entries []ObjectEntry) [][]any {
	lines := [][]any{}
	for _, e := range entries {
		if e.Subdir {
			lines = append(lines, []any{e.Name, "0", 0.0, nil, ""})
			continue
		}
		lines = append(lines, []any{e.Name, e.Timestamp, float64(e.Size), e.ContentType, e.ETag})
	}
	return lines
}

func TestAccountDatabaseOfSwift(t *testing.T) {
	var golden struct {
		Account struct {
			Before   any             `json:"info_before_pending"`
			After    any             `json:"info_after_pending"`
			Rows     any             `json:"container_rows_after_pending"`
			Schema   []string        `json:"schema"`
			Listings []goldenListing `json:"listings_after_pending"`
			Stats    map[string]struct {
				Bytes      int64 `json:"bytes_used"`
				Containers int64 `json:"container_count"`
				Objects    int64 `json:"object_count"`
			} `json:"policy_stats_after_pending"`
		} `json:"account"`
	}
	readGolden(t, "expected.json", &golden)
	want := golden.Account
	a := newPool(t).Account(install(t, "account", "accounts"), "AUTH_test")
	unlock, err := a.p.lockDir(a.dir, staleWait)
	if err != nil {
		t.Fatal(err)
	}
	if got := asMap(t, must(a.Info(StaleOK))(t)); !cmp.Equal(got, want.Before) {
		t.Errorf("info of a locked database:\n%s", cmp.Diff(want.Before, got))
	}
	unlock()
	if got := asMap(t, must(a.Info(Fresh))(t)); !cmp.Equal(got, want.After) {
		t.Errorf("info:\n%s", cmp.Diff(want.After, got))
	}
	if got := asMap(t, must(a.ItemsSince(-1, 100))(t)); !cmp.Equal(got, want.Rows) {
		t.Errorf("rows:\n%s", cmp.Diff(want.Rows, got))
	}
	stats := must(a.PolicyStats(Fresh))(t)
	for index, w := range want.Stats {
		var i int
		fmt.Sscan(index, &i)
		if g := stats[i]; g != (AccountPolicyStat{w.Containers, w.Objects, w.Bytes}) {
			t.Errorf("policy %d: got %+v, want %+v", i, g, w)
		}
	}
	for _, l := range want.Listings {
		if got := containerLines(must(a.List(Fresh, l.options()))(t)); !cmp.Equal(got, l.Result) {
			t.Errorf("listing %+v:\n%s", l.Args, cmp.Diff(l.Result, got))
		}
	}
	created := newPool(t).Account(Place{Device: t.TempDir(), Partition: "1", Hash: a.hash}, "a")
	if err := created.Create(parseTime("1")); err != nil {
		t.Fatal(err)
	}
	checkSchema(t, &created.database, want.Schema)
}

func TestContainerDatabaseOfSwift(t *testing.T) {
	var golden struct {
		Container struct {
			After       any             `json:"info_after_pending"`
			Replication any             `json:"replication_info_after"`
			Before      []any           `json:"rows_before"`
			Rows        any             `json:"rows_after"`
			Schema      []string        `json:"schema"`
			Listings    []goldenListing `json:"listings_after_pending"`
		} `json:"container"`
		MergeRules []struct {
			Changed  bool
			Existing *ObjectRow
			New      ObjectRow
			Merged   ObjectRow
		} `json:"merge_rules"`
	}
	readGolden(t, "expected.json", &golden)
	want := golden.Container
	c := newPool(t).Container(install(t, "container", "containers"), "AUTH_test", "c")
	if got := asMap(t, must(c.Info(Fresh))(t)); !cmp.Equal(got, want.After) {
		t.Errorf("info:\n%s", cmp.Diff(want.After, got))
	}
	if got := asMap(t, must(c.ReplicationInfo())(t)); !cmp.Equal(got, want.Replication) {
		t.Errorf("replication info:\n%s", cmp.Diff(want.Replication, got))
	}
	if got := asMap(t, must(c.ItemsSince(-1, 100))(t)); !cmp.Equal(got, want.Rows) {
		t.Errorf("rows:\n%s", cmp.Diff(want.Rows, got))
	}
	for _, l := range want.Listings {
		if got := objectLines(must(c.List(Fresh, l.options()))(t)); !cmp.Equal(got, l.Result) {
			t.Errorf("listing %+v:\n%s", l.Args, cmp.Diff(l.Result, got))
		}
	}
	for _, m := range golden.MergeRules {
		got, changed, err := mergeObject(m.New, m.Existing)
		m.Merged.ContentTypeTimestamp, m.Merged.MetaTimestamp = "", ""
		if err != nil || changed != m.Changed || got != m.Merged {
			t.Errorf("merge %+v into %+v:\ngot  %+v %v %v\nwant %+v %v", m.New, m.Existing, got, changed, err, m.Merged, m.Changed)
		}
	}
	created := newPool(t).Container(Place{Device: t.TempDir(), Partition: "1", Hash: c.hash}, "a", "c")
	if err := created.Create(parseTime("1"), 1); err != nil {
		t.Fatal(err)
	}
	checkSchema(t, &created.database, want.Schema)
}

func checkSchema(t *testing.T, d *database, want []string) {
	t.Helper()
	var got []string
	err := d.view(Fresh, func(h *handle) error {
		return h.query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL", nil, func(v []value) error {
			got = append(got, text(v[0]))
			return nil
		})
	})
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("schema: %v\n%s", err, cmp.Diff(want, got))
	}
}

func TestShardingDatabaseOfSwift(t *testing.T) {
	c := newPool(t).Container(install(t, "shard", "containers"), "AUTH_test", "shardme")
	info := must(c.Info(Fresh))(t)
	if info.DBState != Sharding || info.ObjectCount != 10 {
		t.Errorf("info: got state %s, %d objects, want sharding, 10", info.DBState, info.ObjectCount)
	}
	if n := len(must(c.List(Fresh, ListOptions{Limit: 100}))(t)); n != 10 {
		t.Errorf("listing has %d names, want the 10 of the retiring database", n)
	}
	ranges := must(c.ShardRanges(ShardQuery{}))(t)
	var golden struct {
		Shard struct {
			Ranges []any `json:"shard_range_json"`
		}
	}
	readGolden(t, "expected.json", &golden)
	if got := asMap(t, ranges); !cmp.Equal(got, any(golden.Shard.Ranges)) {
		t.Errorf("ranges:\n%s", cmp.Diff(any(golden.Shard.Ranges), got))
	}
	if err := c.PutObject(ObjectRow{Name: "new", CreatedAt: "1700000200.00000", ContentType: "a/b", ETag: "e"}); err != nil {
		t.Fatal(err)
	}
	if rows := must(c.ItemsSince(-1, 100))(t); len(rows) != 1 || rows[0].Name != "new" || rows[0].ROWID != 11 {
		t.Errorf("the fresh database has %+v, want the new row as number 11", rows)
	}
}

func TestChexor(t *testing.T) {
	var steps struct {
		Steps []struct {
			Old, Name, Timestamp, New string
		}
	}
	readGolden(t, "chexor.json", &steps.Steps)
	for _, s := range steps.Steps {
		if got, err := Chexor(s.Old, s.Name, s.Timestamp); err != nil || got != s.New {
			t.Errorf("chexor(%q, %q, %q): got %q %v, want %q", s.Old, s.Name, s.Timestamp, got, err, s.New)
		}
	}
}
