package bench

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsHoldTheirValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := uint64(rapid.Int64Range(0, math.MaxInt64).Draw(t, "v")) >> rapid.IntRange(0, 62).Draw(t, "shift")
		i := bucketOf(v)
		low, width := bucketRange(i)
		if i >= buckets || v < low || v-low >= width || width > max(v>>subBits, 1) {
			t.Errorf("value %d is in bucket %d of %d, which begins at %d and is %d wide", v, i, buckets, low, width)
		}
	})
}

func TestQuantilesAreNear(t *testing.T) {
	var even, odd Histogram
	for i := range 100_000 {
		h := &even
		if i%2 == 1 {
			h = &odd
		}
		h.Record(time.Duration(i+1) * time.Microsecond)
	}
	even.Merge(&odd)
	for _, tc := range []struct {
		q    float64
		want time.Duration
	}{{0, time.Microsecond}, {0.5, 50 * time.Millisecond}, {0.9, 90 * time.Millisecond}, {0.99, 99 * time.Millisecond}, {1, 100 * time.Millisecond}} {
		got := even.Quantile(tc.q)
		if off := math.Abs(float64(got-tc.want)) / float64(tc.want); off > 0.008 {
			t.Errorf("quantile %v = %v, want %v within 0.8 %%", tc.q, got, tc.want)
		}
	}
	if even.Max() != 100*time.Millisecond || even.Count() != 100_000 || even.Mean() != 50*time.Millisecond+500*time.Nanosecond {
		t.Errorf("max %v, count %d, mean %v", even.Max(), even.Count(), even.Mean())
	}
	var none Histogram
	if none.Quantile(0.5) != 0 || none.Mean() != 0 {
		t.Error("an empty histogram has figures")
	}
	none.Record(-time.Second)
	if none.Max() != 0 || none.Count() != 1 {
		t.Errorf("a negative duration counts as %v", none.Max())
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	d := time.Duration(1)
	for b.Loop() {
		h.Record(d)
		d = d*3 + 1
	}
}
