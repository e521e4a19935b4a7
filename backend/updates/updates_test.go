package updates_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/pickle"
	"github.com/apus-storage/apus/internal/policy"
)

type fixture struct {
	Decoded struct {
		Op, Account, Container, Obj string
		ContainerPath               string `json:"container_path"`
		Headers                     map[string]string
	}
	Path   string
	RawHex string `json:"raw_hex"`
}

func fixtures(t testing.TB) []fixture {
	data, err := os.ReadFile("testdata/async_pending.json")
	if err != nil {
		t.Fatal(err)
	}
	var f []fixture
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSwiftsFiles(t *testing.T) {
	h, err := hashpath.New([]byte("goldpre"), []byte("goldsuf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures(t) {
		raw, err := hex.DecodeString(f.RawHex)
		if err != nil {
			t.Fatal(err)
		}
		u, err := updates.Decode(raw)
		if err != nil {
			t.Errorf("decode %s: %v", f.Path, err)
			continue
		}
		headers := map[string]string{}
		for _, h := range u.Headers {
			headers[h.Name] = h.Value
		}
		got := []any{u.Op, u.Account, u.Container, u.Object, u.ContainerPath, headers}
		want := []any{f.Decoded.Op, f.Decoded.Account, f.Decoded.Container, f.Decoded.Obj, f.Decoded.ContainerPath, f.Decoded.Headers}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("decode %s (-want +got):\n%s", f.Path, diff)
		}
		again, err := u.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := updates.Decode(again)
		if diff := cmp.Diff(u, back); diff != "" || err != nil {
			t.Errorf("encoded and decoded %s: %v (-want +got):\n%s", f.Path, err, diff)
		}
		if f.Path == "" {
			continue
		}
		m := disk.NewMemory(disk.Space{})
		if _, err := disk.MkdirAll(m, "/srv/sda"); err != nil {
			t.Fatal(err)
		}
		index, _ := strings.CutPrefix(strings.SplitN(f.Path, "/", 2)[0], "async_pending")
		p := map[string]int{"": 0, "-1": 1}[index]
		q := updates.NewQueue(m, "/srv", h)
		for range 2 { // the second replaces the first
			if err := q.Save("sda", policy.Index(p), u); err != nil {
				t.Fatal(err)
			}
		}
		if err := disk.SyncDirs(m, "/srv/sda", 2); err != nil { // the device itself
			t.Fatal(err)
		}
		m.Crash(1)
		saved, err := disk.ReadFile(m, "/srv/sda/"+f.Path)
		if err != nil || string(saved) != string(again) {
			t.Errorf("%s after a crash: %q, %v", f.Path, saved, err)
		}
	}
}

func TestBytesAndListsSurvive(t *testing.T) {
	u := updates.Update{Op: "PUT", Account: "a", Container: "c", Object: "☃", DBState: "sharded",
		Headers:   []updates.Header{{Name: "X-Content-Type", Value: "caf\xc3\xa9 \xff"}, {Name: "x-timestamp", Value: "1.5"}},
		Successes: []int64{3, 5}, RedirectHistory: []string{".shards_a/c-x"}}
	data, err := u.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := updates.Decode(data)
	if diff := cmp.Diff(u, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if at, err := got.Time(); err != nil || at.Internal() != "0000000001.50000" {
		t.Errorf("time %v, %v; want 1.5", at, err)
	}
}

func TestMissingDeviceIsNotMade(t *testing.T) {
	h, err := hashpath.New([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := disk.NewMemory(disk.Space{})
	if err := m.Mkdir("/srv"); err != nil {
		t.Fatal(err)
	}
	u := updates.Update{Op: "PUT", Account: "a", Container: "c", Object: "o", Headers: []updates.Header{{Name: "X-Timestamp", Value: "1"}}}
	err = updates.NewQueue(m, "/srv", h).Save("sdz", 0, u)
	if names, _ := m.Names("/srv", nil); err == nil || len(names) > 0 {
		t.Errorf("saved on a missing device: %v, devices %q", err, names)
	}
}

func FuzzDecode(f *testing.F) {
	for _, x := range fixtures(f) {
		raw, _ := hex.DecodeString(x.RawHex)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := updates.Decode(data)
		if err != nil {
			if !errors.Is(err, updates.ErrInvalid) && !errors.Is(err, pickle.ErrInvalid) {
				t.Errorf("%q: %v is neither ErrInvalid", data, err)
			}
			return
		}
		again, err := u.Encode()
		if err != nil {
			t.Fatalf("%q decodes to %+v, which does not encode: %v", data, u, err)
		}
		if back, err := updates.Decode(again); err != nil || !cmp.Equal(u, back) {
			t.Errorf("%q decodes to %+v, then to %+v, %v", data, u, back, err)
		}
	})
}
