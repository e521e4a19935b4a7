package broker

import (
	"testing"
)

func TestMergeRange(t *testing.T) {
	epoch := "1700000009.00000"
	base := ShardRange{
		Name: "a/b", Timestamp: "5", Lower: "l", Upper: "u", ObjectCount: 1, BytesUsed: 2, MetaTimestamp: "5", State: RangeCreated,
		StateTimestamp: "5", Tombstones: -1, Reported: 1,
	}
	with := func(change func(*ShardRange)) ShardRange { r := base; change(&r); return r }
	for _, c := range []struct {
		what    string
		item    ShardRange
		want    ShardRange
		changed bool
	}{
		{"the same again", base, base, false},
		{"older", with(func(r *ShardRange) { r.Timestamp, r.Upper, r.State = "4", "z", RangeShrunk }), base, false},
		{"newer replaces everything", with(func(r *ShardRange) { r.Timestamp, r.Upper, r.Deleted = "6", "z", 1 }),
			with(func(r *ShardRange) { r.Timestamp, r.Upper, r.Deleted, r.Reported = "6", "z", 1, 0 }), true},
		{"bounds and deletion need a newer time", with(func(r *ShardRange) { r.Lower, r.Deleted = "x", 1 }), base, false},
		{"newer counts", with(func(r *ShardRange) { r.ObjectCount, r.MetaTimestamp, r.Reported = 9, "6", 0 }),
			with(func(r *ShardRange) { r.ObjectCount, r.MetaTimestamp, r.Reported = 9, "6", 0 }), true},
		{"older counts", with(func(r *ShardRange) { r.ObjectCount, r.MetaTimestamp, r.Reported = 9, "4", 0 }), base, false},
		{"newer meta time, same counts: still reported", with(func(r *ShardRange) { r.MetaTimestamp, r.Reported = "6", 0 }),
			with(func(r *ShardRange) { r.MetaTimestamp = "6" }), true},
		{"newer state with epoch", with(func(r *ShardRange) { r.State, r.StateTimestamp, r.Epoch, r.Reported = RangeActive, "6", &epoch, 0 }),
			with(func(r *ShardRange) { r.State, r.StateTimestamp, r.Epoch, r.Reported = RangeActive, "6", &epoch, 0 }), true},
		{"greater state of the same time", with(func(r *ShardRange) { r.State, r.Reported = RangeCleaved, 0 }),
			with(func(r *ShardRange) { r.State, r.Reported = RangeCleaved, 0 }), true},
		{"lesser state of the same time", with(func(r *ShardRange) { r.State = RangeFound }), base, false},
	} {
		old := base
		got, changed := mergeRange(c.item, &old)
		if got != c.want || changed != c.changed {
			t.Errorf("%s:\ngot  %+v %v\nwant %+v %v", c.what, got, changed, c.want, c.changed)
		}
	}
}

func TestReclaimOfShardRanges(t *testing.T) {
	c := newPool(t).Container(testPlace(t), "a", "c")
	if err := c.Create(parseTime("1700000000"), 0); err != nil {
		t.Fatal(err)
	}
	r := func(name, time string, deleted int) ShardRange {
		return ShardRange{Name: name, Timestamp: time, MetaTimestamp: time, StateTimestamp: time, State: RangeActive, Deleted: deleted}
	}
	err := c.MergeShardRanges([]ShardRange{r("x/old", "1700000001", 1), r("x/new", "1700000009", 1), r("x/live", "1700000001", 0), r("a/c", "1700000001", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Reclaim(parseTime("1700000005"), parseTime("1700000005")); err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, r := range must(c.ShardRanges(ShardQuery{Own: true, Deleted: true}))(t) {
		left[r.Name] = true
	}
	if len(left) != 3 || left["x/old"] {
		t.Errorf("left are %v, want all but x/old", left)
	}
}
