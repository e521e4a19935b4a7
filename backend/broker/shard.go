package broker

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/apus-storage/apus/internal/timestamp"
)

// The states of a shard range.
const (
	RangeFound     = 10
	RangeCreated   = 20
	RangeCleaved   = 30
	RangeActive    = 40
	RangeShrinking = 50
	RangeSharding  = 60
	RangeSharded   = 70
	RangeShrunk    = 80
)

// A ShardRange says that the container called Name holds the names above Lower up to and including Upper. An empty
// bound is open. The field order is that of the JSON that servers exchange.
type ShardRange struct {
	Name           string  `json:"name"`
	Timestamp      string  `json:"timestamp"`
	Lower          string  `json:"lower"`
	Upper          string  `json:"upper"`
	ObjectCount    int64   `json:"object_count"`
	BytesUsed      int64   `json:"bytes_used"`
	MetaTimestamp  string  `json:"meta_timestamp"`
	Deleted        int     `json:"deleted"`
	State          int     `json:"state"`
	StateTimestamp string  `json:"state_timestamp"`
	Epoch          *string `json:"epoch"`
	Reported       int     `json:"reported"`
	Tombstones     int64   `json:"tombstones"`
}

func (r *ShardRange) epoch() string {
	if r.Epoch == nil {
		return ""
	}
	return *r.Epoch
}

// Contains reports whether a name belongs to the range.
func (r *ShardRange) Contains(name string) bool {
	return name > r.Lower && (r.Upper == "" || name <= r.Upper)
}

// compareRanges is the order in which ranges are listed and searched.
func compareRanges(a, b ShardRange) int {
	if open := cmp.Compare(boolInt(a.Upper == ""), boolInt(b.Upper == "")); open != 0 {
		return open
	}
	return cmp.Or(cmp.Compare(a.Upper, b.Upper), cmp.Compare(a.State, b.State), cmp.Compare(a.Lower, b.Lower), cmp.Compare(a.Name, b.Name))
}

// ShardQuery selects shard ranges.
type ShardQuery struct {
	// Marker and EndMarker leave out the ranges wholly before the one and after the other.
	Marker, EndMarker string
	// Includes selects the first range that contains the name.
	Includes string
	Reverse  bool
	// States selects by state; none means all.
	States []int
	// Deleted shows deleted ranges too.
	Deleted bool
	// Own shows the container's own range.
	Own bool
	// FillGap adds the container's own range for the names behind the last range.
	FillGap bool
}

// ShardRanges returns ranges in order. They never go through the pending file, so none is merged.
func (c *Container) ShardRanges(q ShardQuery) (selected []ShardRange, err error) {
	file, err := c.live()
	if err != nil {
		return nil, err
	}
	var all []ShardRange
	if err := c.p.read(file, func(h *handle) error { all, err = readShardRanges(h); return err }); err != nil {
		return nil, err
	}
	var own *ShardRange
	for i, r := range all {
		if r.Name == c.path() {
			own = &all[i]
			if !q.Own {
				continue
			}
		}
		if (q.Deleted || r.Deleted == 0) && (len(q.States) == 0 || slices.Contains(q.States, r.State)) {
			selected = append(selected, r)
		}
	}
	slices.SortFunc(selected, compareRanges)
	if q.Includes != "" {
		i := slices.IndexFunc(selected, func(r ShardRange) bool { return r.Contains(q.Includes) })
		if i < 0 {
			return nil, nil
		}
		return selected[i : i+1], nil
	}
	marker, end := q.Marker, q.EndMarker
	if q.Reverse {
		marker, end = end, marker
	}
	selected = slices.DeleteFunc(selected, func(r ShardRange) bool {
		return marker != "" && r.Upper != "" && marker >= r.Upper || end != "" && end <= r.Lower
	})
	if q.FillGap {
		if selected, err = c.fillGap(selected, own, marker, end); err != nil {
			return nil, err
		}
	}
	if q.Reverse {
		slices.Reverse(selected)
	}
	return selected, nil
}

// fillGap adds the container's own range for what lies behind the last range: names there are still in this container.
func (c *Container) fillGap(ranges []ShardRange, own *ShardRange, marker, end string) ([]ShardRange, error) {
	if own == nil {
		def, err := c.defaultOwnRange()
		if err != nil {
			return nil, err
		}
		own = &def
	}
	from := max(own.Lower, marker)
	if n := len(ranges); n > 0 {
		if from = ranges[n-1].Upper; from == "" {
			return ranges, nil
		}
	}
	to := own.Upper
	if end != "" && (to == "" || end < to) {
		to = end
	}
	if to == "" || to > from {
		filler := *own
		filler.Lower, filler.Upper = from, to
		ranges = append(ranges, filler)
	}
	return ranges, nil
}

// OwnRange returns the container's own range. One that was never stored is open on both sides and active.
func (c *Container) OwnRange() (ShardRange, error) {
	own, err := c.ShardRanges(ShardQuery{Own: true, Deleted: true})
	if err != nil {
		return ShardRange{}, err
	}
	if i := slices.IndexFunc(own, func(r ShardRange) bool { return r.Name == c.path() }); i >= 0 {
		return own[i], nil
	}
	return c.defaultOwnRange()
}

func (c *Container) defaultOwnRange() (ShardRange, error) {
	info, err := c.infoNow()
	now := c.now().Internal()
	return ShardRange{
		Name: c.path(), Timestamp: now, MetaTimestamp: now, StateTimestamp: now, State: RangeActive, Tombstones: -1,
		ObjectCount: info.ObjectCount, BytesUsed: info.BytesUsed,
	}, err
}

// shardUsage sums what the container's shards have reported.
func (c *Container) shardUsage(h *handle) (objects, bytes int64, err error) {
	ranges, err := readShardRanges(h)
	for _, r := range ranges {
		if r.Deleted == 0 && r.Name != c.path() && slices.Contains([]int{RangeActive, RangeSharding, RangeShrinking}, r.State) {
			objects += r.ObjectCount
			bytes += r.BytesUsed
		}
	}
	return objects, bytes, err
}

const rangeColumns = `SELECT name, timestamp, lower, upper, object_count, bytes_used, meta_timestamp, deleted, state, state_timestamp, epoch, `

// readShardRanges returns all ranges, in no order. A file from before there were any has none.
func readShardRanges(h *handle) ([]ShardRange, error) {
	var ranges []ShardRange
	read := func(columns string) error {
		ranges = ranges[:0]
		return h.query(columns+" FROM shard_range", nil, func(v []driver.Value) error {
			r := ShardRange{
				Name: text(v[0]), Timestamp: text(v[1]), Lower: text(v[2]), Upper: text(v[3]), ObjectCount: integer(v[4]), BytesUsed: integer(v[5]),
				MetaTimestamp: text(v[6]), Deleted: int(integer(v[7])), State: int(integer(v[8])), StateTimestamp: text(v[9]),
				Reported: int(integer(v[11])), Tombstones: integer(v[12]),
			}
			if v[10] != nil {
				epoch := text(v[10])
				r.Epoch = &epoch
			}
			ranges = append(ranges, r)
			return nil
		})
	}
	err := read(rangeColumns + "reported, tombstones")
	err = tolerate(err, func() error { return read(rangeColumns + "reported, -1") })
	err = tolerate(err, func() error { return read(rangeColumns + "0, -1") })
	err = tolerate(err, func() error { return nil })
	return ranges, err
}

// Normalize brings the times of a range to their stored form, and refuses a range that could not be merged.
func (r *ShardRange) Normalize() error {
	account, container, ok := strings.Cut(r.Name, "/")
	if !ok || account == "" || container == "" {
		return fmt.Errorf("shard range %q: name is not account/container: %w", r.Name, ErrInvalidRow)
	}
	if r.Upper != "" && r.Lower >= r.Upper && r.Lower != "" {
		return fmt.Errorf("shard range %q: lower bound is not below the upper one: %w", r.Name, ErrInvalidRow)
	}
	times := []*string{&r.Timestamp, &r.MetaTimestamp, &r.StateTimestamp}
	if r.Epoch != nil {
		epoch := *r.Epoch // the caller's text stays as it is
		r.Epoch = &epoch
		times = append(times, r.Epoch)
	}
	for _, t := range times {
		v, err := timestamp.Parse(*t)
		if err != nil {
			return fmt.Errorf("shard range %q: %w: %w", r.Name, ErrInvalidRow, err)
		}
		*t = v.Internal()
	}
	if r.State < RangeFound || r.State > RangeShrunk || r.State%10 != 0 {
		return fmt.Errorf("shard range %q: state %d: %w", r.Name, r.State, ErrInvalidRow)
	}
	return nil
}

// MergeShardRanges stores ranges that are newer, in whole or in part, than those that are there.
func (c *Container) MergeShardRanges(ranges []ShardRange) error {
	ranges = slices.Clone(ranges)
	for i := range ranges {
		if err := ranges[i].Normalize(); err != nil {
			return err
		}
	}
	return c.update(func(h *handle) error {
		if err := migrateContainer(h); err != nil {
			return err
		}
		stored, err := readShardRanges(h)
		if err != nil {
			return err
		}
		byName := make(map[string]ShardRange, len(stored))
		for _, r := range stored {
			byName[r.Name] = r
		}
		for _, r := range ranges {
			var old *ShardRange
			if o, ok := byName[r.Name]; ok {
				old = &o
			}
			merged, changed := mergeRange(r, old)
			if !changed {
				continue
			}
			byName[r.Name] = merged
			if err := storeRange(h, merged); err != nil {
				return err
			}
		}
		return nil
	})
}

func storeRange(h *handle, r ShardRange) error {
	if _, err := h.exec("DELETE FROM shard_range WHERE name = ?", r.Name); err != nil {
		return err
	}
	var epoch any
	if r.Epoch != nil {
		epoch = *r.Epoch
	}
	_, err := h.exec(`INSERT INTO shard_range (name, timestamp, lower, upper, object_count, bytes_used, meta_timestamp, deleted,
		state, state_timestamp, epoch, reported, tombstones) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Name, r.Timestamp, r.Lower, r.Upper, r.ObjectCount, r.BytesUsed, r.MetaTimestamp, r.Deleted, r.State, r.StateTimestamp,
		epoch, r.Reported, r.Tombstones)
	return err
}

// mergeRange works out what becomes of a range when another one of the same name is stored; old may be nil. Bounds and
// deletion, counts, and state each go by their own time.
func mergeRange(item ShardRange, old *ShardRange) (merged ShardRange, changed bool) {
	if old == nil {
		return item, true
	}
	switch parseTime(item.Timestamp).Compare(parseTime(old.Timestamp)) {
	case -1:
		return *old, false
	case 1:
		item.Reported = 0
		return item, true
	}
	merged = item
	merged.Lower, merged.Upper, merged.Deleted = old.Lower, old.Upper, old.Deleted
	if parseTime(item.MetaTimestamp).After(parseTime(old.MetaTimestamp)) {
		changed = true
	} else {
		merged.ObjectCount, merged.BytesUsed, merged.Tombstones = old.ObjectCount, old.BytesUsed, old.Tombstones
		merged.MetaTimestamp = old.MetaTimestamp
	}
	same := merged.ObjectCount == old.ObjectCount && merged.BytesUsed == old.BytesUsed && merged.Tombstones == old.Tombstones &&
		merged.State == old.State && merged.epoch() == old.epoch()
	if old.Reported != 0 && same {
		merged.Reported = 1
	} else if merged.Reported != 0 && old.Reported == 0 {
		changed = true
	}
	newer := parseTime(item.StateTimestamp).Compare(parseTime(old.StateTimestamp))
	if newer > 0 || newer == 0 && item.State > old.State {
		changed = true
	} else {
		merged.State, merged.StateTimestamp, merged.Epoch = old.State, old.StateTimestamp, old.Epoch
	}
	if !changed {
		return *old, false
	}
	return merged, changed
}
