package memcached

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

func readJSON(t testing.TB, name string, dst any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, dst); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// goldenRings holds what OpenStack Swift's MemcacheRing answers.
type goldenRings struct {
	KeyMD5 map[string]string `json:"key_md5"`
	Rings  []struct {
		Servers        []string
		Tries          int
		Points         int
		FirstPoints    [][2]string         `json:"first_points"`
		SelectionOrder map[string][]string `json:"selection_order"`
	}
}

func TestKeysAreHashedAsSwiftDoes(t *testing.T) {
	var golden goldenRings
	readJSON(t, "memcache.json", &golden)
	for key, want := range golden.KeyMD5 {
		if got := sumKey(key).wire(); got != want {
			t.Errorf("wire name of %q: got %s, want %s", key, got, want)
		}
	}
}

func TestServersAreChosenAsSwiftDoes(t *testing.T) {
	var golden goldenRings
	readJSON(t, "memcache.json", &golden)
	for _, g := range golden.Rings {
		r := newRing(g.Servers, 3)
		if r.tries != g.Tries || len(r.points) != g.Points {
			t.Errorf("ring of %q: got %d tries, %d points, want %d, %d", g.Servers, r.tries, len(r.points), g.Tries, g.Points)
		}
		for i, want := range g.FirstPoints {
			p := r.points[i]
			if got := [2]string{hex.EncodeToString(p.sum[:]), g.Servers[p.server]}; got != want {
				t.Errorf("ring of %q: point %d: got %q, want %q", g.Servers, i, got, want)
			}
		}
		for key, want := range g.SelectionOrder {
			var got []string
			for s := range r.walk(sumKey(key)) {
				got = append(got, g.Servers[s])
			}
			if !slices.Equal(got, want) {
				t.Errorf("servers of %q in %q: got %q, want %q", key, g.Servers, got, want)
			}
		}
	}
}

func TestWalkStopsEarlyAndWraps(t *testing.T) {
	r := newRing([]string{"a", "b"}, 2)
	for _, key := range []keySum{{}, r.points[0].sum, r.points[len(r.points)-1].sum, {0: 0xff, 15: 0xff}} {
		n := 0
		for range r.walk(key) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("walk from %s: got %d servers, want 1 after break", key.wire(), n)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	r := newRing([]string{"10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"}, 3)
	b.ReportAllocs()
	for b.Loop() {
		for range r.walk(sumKey("container/AUTH_test/c")) {
			break
		}
	}
}
