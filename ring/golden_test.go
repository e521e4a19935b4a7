package ring_test

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/ring"
)

// golden is what OpenStack Swift said about each of the rings in testdata.
type golden struct {
	AssignedDeviceCount int     `json:"assigned_device_count"`
	DeviceCount         int     `json:"device_count"`
	Nulls               []int   `json:"devs_nulls"`
	NextPartPower       *uint   `json:"next_part_power"`
	PartPower           uint    `json:"part_power"`
	PartitionCount      int     `json:"partition_count"`
	ReplicaCount        float64 `json:"replica_count"`
	RawSHA256           string  `json:"raw_sha256"`
	RawSize             int     `json:"raw_size"`
	Size                int64   `json:"size"`
	Lookups             []struct {
		Account           string
		Container, Object *string
		Partition         uint32
		PrimaryIDs        []int `json:"primary_ids"`
		PrimaryIndex      []int `json:"primary_index"`
		HandoffIDs        []int `json:"handoff_ids"`
		HandoffIndex      []int `json:"handoff_index"`
	}
	Parts []part
}

// part is [partition, [primaries], [handoffs]].
type part struct {
	number             uint32
	primaries, handoff []int
}

func (p *part) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&p.number, &p.primaries, &p.handoff})
}

func goldens(t testing.TB) map[string]golden {
	t.Helper()
	data, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]golden
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	complex2 := all["complex"]
	complex2.Size = 1110
	all["complex.v2"] = complex2 // the same ring in the other container
	return all
}

func load(t testing.TB, name string) *ring.Ring {
	t.Helper()
	r, err := ring.Load(filepath.Join("testdata", name+".ring.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ids(nodes []ring.Node) []int {
	out := []int{}
	for _, n := range nodes {
		out = append(out, n.ID)
	}
	return out
}

func indexes(nodes []ring.Node) []int {
	out := []int{}
	for _, n := range nodes {
		out = append(out, n.Index)
	}
	return out
}

func TestGoldenFacts(t *testing.T) {
	for name, want := range goldens(t) {
		r := load(t, name)
		if got := r.PartPower(); got != want.PartPower {
			t.Errorf("%s: part power %d, want %d", name, got, want.PartPower)
		}
		if got := r.PartitionCount(); got != want.PartitionCount {
			t.Errorf("%s: %d partitions, want %d", name, got, want.PartitionCount)
		}
		if got := r.ReplicaCount(); got != want.ReplicaCount {
			t.Errorf("%s: %v replicas, want %v", name, got, want.ReplicaCount)
		}
		if got := r.AssignedDevices(); got != want.AssignedDeviceCount {
			t.Errorf("%s: %d assigned devices, want %d", name, got, want.AssignedDeviceCount)
		}
		next, ok := r.NextPartPower()
		if ok != (want.NextPartPower != nil) || ok && next != *want.NextPartPower {
			t.Errorf("%s: next part power %d, %v", name, next, ok)
		}
		if r.Size() != want.Size {
			t.Errorf("%s: size %d, want %d", name, r.Size(), want.Size)
		}
		data, _ := os.ReadFile(filepath.Join("testdata", name+".ring.gz"))
		if sum := md5.Sum(data); r.MD5() != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: md5 %s", name, r.MD5())
		}
		var nulls []int
		for id := range r.DeviceSlots() {
			if _, ok := r.Device(id); !ok {
				nulls = append(nulls, id)
			}
		}
		if !slices.Equal(nulls, want.Nulls) {
			t.Errorf("%s: holes %v, want %v", name, nulls, want.Nulls)
		}
	}
}

func TestGoldenLookups(t *testing.T) {
	for name, want := range goldens(t) {
		r := load(t, name)
		for _, l := range want.Lookups {
			path := "/" + l.Account
			if l.Container != nil {
				path += "/" + *l.Container
			}
			if l.Object != nil {
				path += "/" + *l.Object
			}
			p := r.Partition(md5.Sum([]byte("goldpre" + path + "goldsuf")))
			if p != l.Partition {
				t.Errorf("%s %s: partition %d, want %d", name, path, p, l.Partition)
			}
			nodes := r.AppendPrimaries(nil, p)
			if !slices.Equal(ids(nodes), l.PrimaryIDs) || !slices.Equal(indexes(nodes), l.PrimaryIndex) {
				t.Errorf("%s %s: primaries %v %v, want %v", name, path, ids(nodes), indexes(nodes), l.PrimaryIDs)
			}
			nodes = slices.Collect(r.Handoffs(p))
			if !slices.Equal(ids(nodes), l.HandoffIDs) || !slices.Equal(indexes(nodes), l.HandoffIndex) {
				t.Errorf("%s %s: handoffs %v %v, want %v", name, path, ids(nodes), indexes(nodes), l.HandoffIDs)
			}
		}
		for _, p := range want.Parts {
			if got := ids(r.AppendPrimaries(nil, p.number)); !slices.Equal(got, p.primaries) {
				t.Errorf("%s partition %d: primaries %v, want %v", name, p.number, got, p.primaries)
			}
			if got := ids(slices.Collect(r.Handoffs(p.number))); !slices.Equal(got, p.handoff) {
				t.Errorf("%s partition %d: handoffs %v, want %v", name, p.number, got, p.handoff)
			}
		}
	}
}

func inflate(t *testing.T, data []byte) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestWritingVersion1GivesTheSameBytesUnderGzip(t *testing.T) {
	for name, want := range goldens(t) {
		var buf bytes.Buffer
		if err := load(t, name).Encode(&buf, ring.Format1, name+".ring.gz"); err != nil {
			t.Fatal(err)
		}
		plain := inflate(t, buf.Bytes())
		sum := sha256.Sum256(plain)
		if got := hex.EncodeToString(sum[:]); got != want.RawSHA256 {
			t.Errorf("%s: %d bytes with sha256 %s, want %d with %s", name, len(plain), got, want.RawSize, want.RawSHA256)
		}
	}
}

func TestWritingVersion2GivesTheDescribedBytes(t *testing.T) {
	var buf bytes.Buffer
	if err := load(t, "complex").Encode(&buf, ring.Format2, "complex.ring.gz"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/complex.v2.ring.gz")
	if err != nil {
		t.Fatal(err)
	}
	// Compressors differ in how well they do, so the offsets of the index are compared by loading.
	got, want := inflate(t, buf.Bytes()), inflate(t, data)
	if n := bytes.Index(want, []byte(`"swift/ring/assignments"`)) - 9; !bytes.Equal(got[:n], want[:n]) {
		t.Errorf("sections differ:\ngot  %.120q\nwant %.120q", got[:n], want[:n])
	}
	if got, want := buf.Bytes()[:26], data[:26]; !bytes.Equal(got, want) {
		t.Errorf("head %x, want %x", got, want)
	}
	n := 18 // the length of the whole is in the last four bytes
	if got, want := buf.Bytes()[buf.Len()-31+n:buf.Len()-8], data[len(data)-31+n:len(data)-8]; !bytes.Equal(got, want) {
		t.Errorf("tail %x, want %x", got, want)
	}
	r, err := ring.Decode(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	same(t, r, load(t, "complex"))
}

// same compares everything that lookups can see.
func same(t *testing.T, got, want *ring.Ring) {
	t.Helper()
	if got.PartPower() != want.PartPower() || got.Replicas() != want.Replicas() || got.Version() != want.Version() {
		t.Fatalf("got power %d, %d replicas, version %d; want %d, %d, %d", got.PartPower(), got.Replicas(),
			got.Version(), want.PartPower(), want.Replicas(), want.Version())
	}
	for replica := range want.Replicas() {
		for part := range want.PartitionCount() {
			g, gok := got.At(replica, uint32(part))
			w, wok := want.At(replica, uint32(part))
			if g != w || gok != wok {
				t.Fatalf("replica %d of partition %d: %d %v, want %d %v", replica, part, g, gok, w, wok)
			}
		}
	}
	var g, w []string
	for d := range got.Devices() {
		g = append(g, d.String())
	}
	for d := range want.Devices() {
		w = append(w, d.String())
	}
	if strings.Join(g, " ") != strings.Join(w, " ") {
		t.Fatalf("devices\n%v\nwant\n%v", g, w)
	}
}
