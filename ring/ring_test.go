package ring_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/ring"
)

func TestLookupDoesNotAllocate(t *testing.T) {
	r := load(t, "complex")
	live := ring.Fixed(r)
	var room [8]ring.Node
	hash := [16]byte{0xd5, 0x75}
	n := testing.AllocsPerRun(100, func() {
		r := live.Ring()
		nodes := r.AppendPrimaries(room[:0], r.Partition(hash))
		if len(nodes) == 0 {
			t.Error("no primaries")
		}
	})
	if n != 0 {
		t.Errorf("looking up a partition and its primaries allocates %v times, want 0", n)
	}
}

func TestFollowedRingDoesNotAllocateBetweenChecks(t *testing.T) {
	live, err := ring.Follow("testdata/complex.ring.gz", ring.FollowOptions{Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { live.Ring() }); n != 0 {
		t.Errorf("asking for the current ring allocates %v times, want 0", n)
	}
}

func TestHandoffsMayBeLeftEarlyAndStartedAgain(t *testing.T) {
	r := load(t, "complex")
	all := ids(slices.Collect(r.Handoffs(4)))
	for n := range len(all) {
		var got []int
		for node := range r.Handoffs(4) {
			if !node.Handoff || node.Index != len(got) {
				t.Errorf("handoff %d: %+v", len(got), node)
			}
			got = append(got, node.ID)
			if len(got) > n {
				break
			}
		}
		if !slices.Equal(got, all[:n+1]) {
			t.Errorf("first %d: %v, want %v", n+1, got, all[:n+1])
		}
	}
}

func TestPartitionPastTheEndHasNoNodes(t *testing.T) {
	r := load(t, "object")
	if got := r.AppendPrimaries(nil, 16); len(got) != 0 {
		t.Errorf("primaries %v, want none", ids(got))
	}
	if got := slices.Collect(r.Handoffs(1 << 31)); len(got) != 0 {
		t.Errorf("handoffs %v, want none", ids(got))
	}
}

func device(id int) *ring.Device {
	return &ring.Device{ID: id, Region: 1, Zone: id % 3, IP: fmt.Sprintf("10.0.0.%d", id%7), Port: 6200,
		ReplicationIP: "10.0.0.1", ReplicationPort: 6200, Name: fmt.Sprintf("sd%d", id), Weight: 100}
}

func TestRingInMemory(t *testing.T) {
	r, err := ring.New(ring.Parts{PartPower: 0, NextPartPower: -1, Devices: []*ring.Device{device(0), nil, device(2)},
		Assignments: [][]uint32{{2}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Partition([16]byte{0xff, 0xff, 0xff, 0xff}); got != 0 {
		t.Errorf("partition %d in a ring of one, want 0", got)
	}
	if got := ids(r.AppendPrimaries(nil, 0)); !slices.Equal(got, []int{2}) {
		t.Errorf("primaries %v, want [2]", got)
	}
	if r.MD5() != "" || r.Size() != 0 {
		t.Errorf("a ring without file has md5 %q and size %d", r.MD5(), r.Size())
	}
}

func TestNewRefusesWhatContradictsItself(t *testing.T) {
	devs := []*ring.Device{device(0), nil, device(2)}
	for name, p := range map[string]ring.Parts{
		"an id past the device list":          {Devices: devs, Assignments: [][]uint32{{3}}},
		"an id of a hole":                     {Devices: devs, Assignments: [][]uint32{{1}}},
		"an id that means none":               {Devices: devs, Assignments: [][]uint32{{65535}}},
		"a row that is too long":              {Devices: devs, Assignments: [][]uint32{{0, 0}}},
		"a short row that is not the last":    {PartPower: 1, Devices: devs, Assignments: [][]uint32{{0}, {2, 2}}},
		"a device that has another's id":      {Devices: []*ring.Device{device(1)}, Assignments: [][]uint32{{0}}},
		"a partition power over what hashes":  {PartPower: 33, Devices: devs},
		"a next power over what hashes serve": {PartPower: 32, NextPartPower: 33, Devices: devs},
	} {
		if _, err := ring.New(p); !errors.Is(err, ring.ErrCorrupt) {
			t.Errorf("%s: %v, want %v", name, err, ring.ErrCorrupt)
		}
	}
}

func TestWideIDsNeedVersion2(t *testing.T) {
	devs := make([]*ring.Device, 70000)
	devs[5], devs[69999] = device(5), device(69999)
	devs[5].Extra = map[string]any{"scheme": "https", "ports": []any{int64(1), 2.5, nil, true}}
	r, err := ring.New(ring.Parts{PartPower: 1, NextPartPower: 2, Version: 9, Devices: devs,
		Assignments: [][]uint32{{5, 69999}, {69999}}})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := r.Encode(&buf, ring.Format1, "x"); !errors.Is(err, ring.ErrTooLarge) {
		t.Errorf("format 1: %v, want %v", err, ring.ErrTooLarge)
	}
	if err := r.Encode(&buf, 3, "x"); !errors.Is(err, ring.ErrVersion) {
		t.Errorf("format 3: %v, want %v", err, ring.ErrVersion)
	}
	buf.Reset()
	if err := r.Encode(&buf, ring.Format2, "x"); err != nil {
		t.Fatal(err)
	}
	got, err := ring.Decode(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, r)
	d, _ := got.Device(5)
	if fmt.Sprint(d.Extra) != fmt.Sprint(devs[5].Extra) {
		t.Errorf("unknown keys %v, want %v", d.Extra, devs[5].Extra)
	}
	if got.ReplicaCount() != 1.5 {
		t.Errorf("replicas %v, want 1.5", got.ReplicaCount())
	}
}

func TestRecompressedVersion2IsReadFromTheStart(t *testing.T) {
	data, err := os.ReadFile("testdata/complex.v2.ring.gz")
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	zw.Write(inflate(t, data))
	zw.Close()
	r, err := ring.Decode(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	same(t, r, load(t, "complex"))
}

func TestVersion2WithWrongDigestIsRefused(t *testing.T) {
	data, err := os.ReadFile("testdata/complex.v2.ring.gz")
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Replace(inflate(t, data), []byte(`"10.1.1.1"`), []byte(`"10.6.6.6"`), 1)
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	zw.Write(plain)
	zw.Close()
	if _, err := ring.Decode(buf.Bytes()); !errors.Is(err, ring.ErrCorrupt) || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("%v, want %v about the digest", err, ring.ErrCorrupt)
	}
}

// v1 makes a ring file of version 1 with a header and a table.
func v1(header string, table ...byte) []byte {
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	zw.Write([]byte("R1NG\x00\x01"))
	zw.Write(binary.BigEndian.AppendUint32(nil, uint32(len(header))))
	zw.Write([]byte(header))
	zw.Write(table)
	zw.Close()
	return buf.Bytes()
}

func TestOldAndOddFilesAreRead(t *testing.T) {
	const dev = `{"id":0,"zone":3,"ip":"1.2.3.4","port":6000,"device":"sda","weight":1,"colour":"red"}`
	r, err := ring.Decode(v1(`{"devs":[`+dev+`],"part_shift":31,"replica_count":1}`, 0, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := r.Device(0)
	if got, want := d.String(), `d0r1z3-1.2.3.4:6000R1.2.3.4:6000/sda_""`; got != want || d.Extra["colour"] != "red" {
		t.Errorf("device without region and replication address: %s %v, want %s", got, d.Extra, want)
	}
	two := dev + `,` + strings.Replace(dev, `"id":0`, `"id":1`, 1)
	r, err = ring.Decode(v1(`{"byteorder":"big","devs":[`+two+`],"part_shift":31,"replica_count":1}`, 0, 1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := r.At(0, 0); id != 1 {
		t.Errorf("big-endian table: device %d, want 1", id)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	const dev = `{"id":0,"zone":3,"ip":"1.2.3.4","port":6000,"device":"sda","weight":1}`
	good := v1(`{"devs":[`+dev+`],"part_shift":32,"replica_count":1}`, 0, 0)
	if _, err := ring.Decode(good); err != nil {
		t.Fatal(err)
	}
	head := func(s string) []byte { return v1(s, 0, 0) }
	textPort := strings.Replace(dev, "6000", `"6000"`, 1)
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":                     {nil, ring.ErrCorrupt},
		"no gzip":                     {[]byte("R1NG\x00\x01"), ring.ErrCorrupt},
		"cut off":                     {good[:len(good)-9], ring.ErrCorrupt},
		"broken checksum":             {append(good[:len(good)-8:len(good)-8], 1, 2, 3, 4, 5, 6, 7, 8), ring.ErrCorrupt},
		"id of half a size":           {v1(`{"devs":[`+dev+`],"part_shift":32,"replica_count":1}`, 0), ring.ErrCorrupt},
		"more than the table":         {v1(`{"devs":[`+dev+`],"part_shift":32,"replica_count":1}`, 0, 0, 0), ring.ErrCorrupt},
		"json that is a list":         {head(`[]`), ring.ErrCorrupt},
		"json with more behind":       {head(`{} {}`), ring.ErrCorrupt},
		"no replica count":            {head(`{"devs":[],"part_shift":32}`), ring.ErrCorrupt},
		"fractional replicas":         {head(`{"devs":[],"part_shift":32,"replica_count":1.5}`), ring.ErrCorrupt},
		"negative replicas":           {head(`{"devs":[],"part_shift":32,"replica_count":-1}`), ring.ErrTooLarge},
		"too many replicas":           {head(`{"devs":[],"part_shift":32,"replica_count":99999}`), ring.ErrTooLarge},
		"too many partitions":         {head(`{"devs":[],"part_shift":0,"replica_count":3}`), ring.ErrTooLarge},
		"part shift over 32":          {head(`{"devs":[],"part_shift":33,"replica_count":1}`), ring.ErrCorrupt},
		"no devices":                  {head(`{"part_shift":32,"replica_count":1}`), ring.ErrCorrupt},
		"device without address":      {head(`{"devs":[{"id":0,"zone":1}],"part_shift":32,"replica_count":1}`), ring.ErrCorrupt},
		"device with text for a port": {head(`{"devs":[` + textPort + `],"part_shift":32,"replica_count":1}`), ring.ErrCorrupt},
		"partition on a hole":         {head(`{"devs":[null],"part_shift":32,"replica_count":1}`), ring.ErrCorrupt},
	} {
		if _, err := ring.Decode(c.data); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	zw.Write([]byte("R1NG\x00\x03...."))
	zw.Close()
	if _, err := ring.Decode(buf.Bytes()); !errors.Is(err, ring.ErrVersion) {
		t.Errorf("version 3: %v, want %v", err, ring.ErrVersion)
	}
}

func TestSaveReplacesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "object.ring.gz")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []ring.Format{ring.Format1, ring.Format2} {
		if err := ring.Save(path, load(t, "complex"), format); err != nil {
			t.Fatal(err)
		}
		r, err := ring.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, r, load(t, "complex"))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v %v, want 0644", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestLiveFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "object.ring.gz")
	put := func(name string, mtime time.Time) {
		t.Helper()
		if err := ring.Save(path, load(t, name), ring.Format1); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, mtime, mtime); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1000, 0)
	var log strings.Builder
	put("complex-v1of2", time.Unix(500, 0))
	live, err := ring.Follow(path, ring.FollowOptions{
		Clock:  clock.Func(func() time.Time { return now }),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Check: func(r *ring.Ring) error {
			if r.PartPower() != 8 {
				return errors.New("want part power 8")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	first := live.Ring()
	put("complex", time.Unix(400, 0)) // older is different too
	now = now.Add(ring.DefaultReloadInterval - 1)
	if live.Ring() != first {
		t.Error("reloaded before the interval was over")
	}
	now = now.Add(1)
	second := live.Ring()
	if second == first || second.AssignedDevices() != 9 {
		t.Errorf("not reloaded after the interval")
	}
	put("object", time.Unix(600, 0))
	for range 3 {
		now = now.Add(time.Hour)
		if live.Ring() != second {
			t.Error("took a ring that its user refuses")
		}
	}
	if n := strings.Count(log.String(), "want part power 8"); n != 1 {
		t.Errorf("refusal was reported %d times, want once:\n%s", n, log.String())
	}
	if err := live.Reload(); err == nil {
		t.Error("reload of a refused ring succeeded")
	}
	if err := os.WriteFile(path, []byte("junk"), 0o644); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if live.Ring() != second {
		t.Error("lost the ring when its file was damaged")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if live.Ring() != second {
		t.Error("lost the ring when its file was removed")
	}
	put("complex-v1of2", time.Unix(500, 0))
	if err := live.Reload(); err != nil || live.Ring().Version() != first.Version() {
		t.Errorf("reload: %v, version %d", err, live.Ring().Version())
	}
}

func TestLiveIsSafeForConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "object.ring.gz")
	if err := ring.Save(path, load(t, "object"), ring.Format1); err != nil {
		t.Fatal(err)
	}
	var now atomic.Int64
	live, err := ring.Follow(path, ring.FollowOptions{Interval: 1, Logger: slog.New(slog.DiscardHandler),
		Clock: clock.Func(func() time.Time { return time.Unix(0, now.Add(1)) })})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if r := live.Ring(); r.PartPower() != 4 {
					t.Errorf("part power %d", r.PartPower())
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			mtime := time.Unix(int64(i), 0)
			if err := errors.Join(os.Chtimes(path, mtime, mtime), live.Reload()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func TestFollowNeedsAFirstRing(t *testing.T) {
	if _, err := ring.Follow(filepath.Join(t.TempDir(), "none"), ring.FollowOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	refuse := func(*ring.Ring) error { return errors.New("no") }
	if _, err := ring.Follow("testdata/object.ring.gz", ring.FollowOptions{Check: refuse}); err == nil {
		t.Error("refused file: no error")
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"object", "complex", "complex.v2", "npp"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".ring.gz"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(v1(`{"devs":[null],"part_shift":0,"replica_count":4096}`))
	f.Fuzz(func(t *testing.T, data []byte) { exercise(t, data) })
}

// FuzzDecodePlain mutates what is under the compression, where the fuzzer cannot get by itself.
func FuzzDecodePlain(f *testing.F) {
	const dev = `{"id":0,"zone":3,"ip":"1.2.3.4","port":6000,"device":"sda","weight":1}`
	f.Add([]byte("R1NG\x00\x01\x00\x00\x00\x02{}"))
	f.Add(append([]byte("R1NG\x00\x01\x00\x00\x00\x78"+`{"devs":[`+dev+`],"part_shift":32,"replica_count":1}`), 0, 0))
	for _, name := range []string{"object", "complex.v2"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".ring.gz"))
		if err != nil {
			f.Fatal(err)
		}
		zr, _ := gzip.NewReader(bytes.NewReader(data))
		var plain bytes.Buffer
		plain.ReadFrom(zr)
		f.Add(plain.Bytes())
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		var buf bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
		zw.Write(plain)
		zw.Close()
		exercise(t, buf.Bytes())
	})
}

// exercise looks up and rewrites whatever data decodes to.
func exercise(t *testing.T, data []byte) {
	r, err := ring.Decode(data)
	if err != nil {
		if !errors.Is(err, ring.ErrCorrupt) && !errors.Is(err, ring.ErrTooLarge) && !errors.Is(err, ring.ErrVersion) {
			t.Errorf("error of no known kind: %v", err)
		}
		return
	}
	for _, p := range []uint32{0, 1, uint32(r.PartitionCount() / 2), uint32(r.PartitionCount() - 1)} {
		r.AppendPrimaries(nil, p)
		for range r.Handoffs(p) {
		}
	}
	if r.PartPower() > 10 || r.Replicas() == 0 {
		return
	}
	var buf bytes.Buffer
	if err := r.Encode(&buf, ring.Format2, "fuzz.ring.gz"); err != nil {
		t.Fatal(err)
	}
	again, err := ring.Decode(buf.Bytes())
	if err != nil {
		t.Fatalf("what was written is not read: %v", err)
	}
	same(t, again, r)
}

func BenchmarkPrimaries(b *testing.B) {
	r := load(b, "power17")
	var room [8]ring.Node
	hash := [16]byte{0xd5, 0x75, 0xab, 0x15}
	b.ReportAllocs()
	for b.Loop() {
		r.AppendPrimaries(room[:0], r.Partition(hash))
	}
}

func BenchmarkFirstHandoff(b *testing.B) {
	r := load(b, "complex")
	b.ReportAllocs()
	for b.Loop() {
		for range r.Handoffs(17) {
			break
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b, "power17")
	}
}
