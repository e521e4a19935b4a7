package builder

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/apus-storage/apus/internal/pickle"
	"github.com/apus-storage/apus/ring"
)

// maxParts bounds the table of a builder file, as ring files are bounded.
const maxParts = 1 << 28

// unpickler takes a builder out of the dictionary of its file. The first error sticks.
type unpickler struct {
	dict *pickle.Dict
	seen map[string]bool
	err  error
}

func (u *unpickler) fail(format string, args ...any) {
	if u.err == nil {
		u.err = fmt.Errorf(format, args...)
	}
}

// get looks a key up, in the bytes form too in which Python 2 wrote it.
func get(d *pickle.Dict, key string) any {
	v, ok := d.Get(key)
	if !ok {
		v, _ = d.Get(pickle.Bytes(key))
	}
	return v
}

// integer takes a whole number; missing is for a key that is not there or None.
func (u *unpickler) integer(key string, missing int64) int64 {
	switch v := get(u.dict, key).(type) {
	case nil:
		return missing
	case int64:
		return v
	case bool:
		return 0
	default:
		u.fail("%s is %v, want an integer", key, v)
		return 0
	}
}

func (u *unpickler) float(key string) float64 {
	switch v := get(u.dict, key).(type) {
	case nil:
		return 0
	case int64:
		return float64(v)
	case float64:
		return v
	default:
		u.fail("%s is %v, want a number", key, v)
		return 0
	}
}

func (u *unpickler) builder() *Builder {
	if get(u.dict, "part_power") == nil || get(u.dict, "replicas") == nil {
		u.fail("it has no part_power or no replicas")
		return nil
	}
	power := u.integer("part_power", 0)
	if power < 0 || power > ring.MaxPartPower {
		u.fail("part_power is %d, want 0 to %d", power, ring.MaxPartPower)
		return nil
	}
	b, err := New(uint(power), u.float("replicas"), int(min(u.integer("min_part_hours", 0), math.MaxInt32)))
	if err != nil {
		u.fail("%w", err)
		return nil
	}
	if next := u.integer("next_part_power", -1); next == power || next == power+1 {
		b.nextPartPower = int(next)
	} else if next > 0 {
		u.fail("next_part_power is %d with part_power %d", next, power)
	}
	if err := b.SetOverload(u.float("overload")); err != nil {
		u.fail("%w", err)
	}
	b.version = u.integer("version", 0)
	b.lastEpoch = u.integer("_last_part_moves_epoch", 0)
	b.gatherStart = u.integer("_last_part_gather_start", 0)
	b.dispersion = u.float("dispersion")
	b.idBytes = int(u.integer("dev_id_bytes", 0))
	if b.idBytes != 0 && b.idBytes != 2 && b.idBytes != 4 {
		u.fail("dev_id_bytes is %d, want 2 or 4", b.idBytes)
	}
	b.id, _ = pickle.Text(get(u.dict, "id"))
	b.changed, _ = get(u.dict, "devs_changed").(bool)
	u.devices(b)
	u.rows(b)
	u.moves(b)
	u.graph(b)
	return b
}

func (u *unpickler) devices(b *Builder) {
	list, ok := get(u.dict, "devs").([]any)
	if !ok {
		u.fail("it has no list of devices")
		return
	}
	b.devs = make([]*Device, len(list))
	for i, item := range list {
		if item == nil {
			continue
		}
		m, ok := fromPickle(item).(map[string]any)
		if !ok {
			u.fail("device %d is %v, want a dictionary", i, item)
			return
		}
		d := &Device{Parts: intOf(m["parts"]), Wanted: intOf(m["parts_wanted"])}
		// What the tool computes is not part of the description.
		for _, key := range []string{"parts", "parts_wanted", "tiers"} {
			delete(m, key)
		}
		description, err := ring.DeviceFromMap(m, i)
		if err != nil {
			u.fail("%w", err)
			return
		}
		d.Device = *description
		b.devs[i] = d
	}
	removed, _ := get(u.dict, "_remove_devs").([]any)
	for _, item := range removed {
		m, _ := fromPickle(item).(map[string]any)
		id, ok := m["id"].(int64)
		d, err := b.Device(int(id))
		if !ok || err != nil {
			u.fail("a device is marked for removal that does not exist: %v", m["id"])
			return
		}
		d.Removed = true
	}
}

// intOf returns a count; Swift writes that of a drained device as a float.
func intOf(v any) int {
	switch n := v.(type) {
	case int64:
		return int(n)
	case float64:
		return int(max(min(n, math.MaxInt32), math.MinInt32))
	}
	return 0
}

func (u *unpickler) rows(b *Builder) {
	list, _ := get(u.dict, "_replica2part2dev").([]any)
	if u.err != nil {
		return
	}
	if float64(b.Partitions())*float64(len(list)) > maxParts {
		u.fail("%d replicas of %d partitions are more than any ring has", len(list), b.Partitions())
		return
	}
	for i, item := range list {
		array, ok := item.(pickle.Array)
		n := len(array.Values)
		if !ok || n > b.Partitions() || (n < b.Partitions() && i+1 < len(list)) {
			u.fail("the assignments of replica %d are no array of %d ids", i, b.Partitions())
			return
		}
		for part, id := range array.Values {
			if int64(id) >= int64(len(b.devs)) || b.devs[id] == nil {
				u.fail("replica %d of partition %d is on device %d, which does not exist", i, part, id)
				return
			}
		}
		b.rows = append(b.rows, array.Values)
	}
}

// moves takes the hours since the last moves, which are a list after some of the tool's steps.
func (u *unpickler) moves(b *Builder) {
	switch v := get(u.dict, "_last_part_moves").(type) {
	case pickle.Array:
		for _, h := range v.Values {
			b.lastMoves = append(b.lastMoves, uint8(min(h, maxMoved)))
		}
	case []any:
		for _, h := range v {
			b.lastMoves = append(b.lastMoves, uint8(min(max(intOf(h), 0), maxMoved)))
		}
	}
	switch {
	case u.err != nil:
	case len(b.lastMoves) == 0:
		// A builder that was made of a ring does not know: everything may move.
		b.lastMoves = nil
		if b.Rebalanced() {
			b.lastMoves = slices.Repeat([]uint8{maxMoved}, b.Partitions())
		}
	case len(b.lastMoves) != b.Partitions():
		u.fail("the last moves of %d partitions are noted, there are %d", len(b.lastMoves), b.Partitions())
	}
}

func (u *unpickler) graph(b *Builder) {
	dict, ok := get(u.dict, "_dispersion_graph").(*pickle.Dict)
	if !ok {
		return
	}
	for key, value := range dict.All() {
		tuple, ok1 := key.(pickle.Tuple)
		list, ok2 := value.([]any)
		if !ok1 || !ok2 || len(tuple) < 1 || len(tuple) > 4 {
			// The graph can be computed anew, so one of another form is none.
			b.graph = nil
			return
		}
		t := TierCount{Region: intOf(tuple[0]), Zone: -1, ID: -1}
		if len(tuple) > 1 {
			t.Zone = intOf(tuple[1])
		}
		if len(tuple) > 2 {
			t.IP, _ = pickle.Text(tuple[2])
		}
		if len(tuple) > 3 {
			t.ID = intOf(tuple[3])
		}
		for _, n := range list {
			t.Counts = append(t.Counts, intOf(n))
		}
		b.graph = append(b.graph, t)
	}
}

// fromPickle turns a value into those that [ring.Device.Extra] holds.
func fromPickle(v any) any {
	switch v := v.(type) {
	case pickle.Bytes:
		return string(v)
	case pickle.Tuple:
		return fromPickle([]any(v))
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = fromPickle(item)
		}
		return out
	case *pickle.Dict:
		out := make(map[string]any, v.Len())
		for key, value := range v.All() {
			name, ok := pickle.Text(key)
			if !ok {
				name = fmt.Sprint(key)
			}
			out[name] = fromPickle(value)
		}
		return out
	}
	return v
}

// toPickle is the way back.
func toPickle(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return v.Float64()
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = toPickle(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		var d pickle.Dict
		for _, key := range slices.Sorted(maps.Keys(v)) {
			item, err := toPickle(v[key])
			if err == nil {
				err = d.Set(key, item)
			}
			if err != nil {
				return nil, err
			}
		}
		return &d, nil
	}
	return v, nil
}
