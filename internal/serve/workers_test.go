package serve

import (
	"runtime"
	"testing"
)

func TestWorkers(t *testing.T) {
	for text, want := range map[string]Workers{"auto": 0, " AUTO ": 0, "0": 0, "1": 1, "16": 16} {
		var n Workers
		if err := n.UnmarshalText([]byte(text)); err != nil || n != want {
			t.Errorf("%q: got %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "many", "-1", "1.5"} {
		if n := Workers(0); n.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was taken for %d", text, n)
		}
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	if Workers(0).Limit(); runtime.GOMAXPROCS(0) != before {
		t.Error("auto changed the number of processors")
	}
	if Workers(1).Limit(); runtime.GOMAXPROCS(0) != 1 {
		t.Errorf("%d processors, want 1", runtime.GOMAXPROCS(0))
	}
}
