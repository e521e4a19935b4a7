package main

import "testing"

func TestHeapGrowth(t *testing.T) {
	for _, c := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing is live yet", 0, 800},
		{"an idle server", 8 << 20, 400},
		{"as much as the floor", 32 << 20, 100},
		{"a full cache", 200 << 20, 100},
	} {
		if got := growth(c.live); got != c.want {
			t.Errorf("%s, %d bytes: got %d, want %d", c.name, c.live, got, c.want)
		}
	}
}
