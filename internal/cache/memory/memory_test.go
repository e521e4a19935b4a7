package memory_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/cachetest"
	"github.com/apus-storage/apus/internal/cache/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stepClock moves only when told to.
type stepClock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stepClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *stepClock { return &stepClock{now: time.Unix(1_795_292_775, 0)} }

func TestConformance(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cachetest.Subject {
		clk := newClock()
		return cachetest.Subject{
			Cache:   memory.New(memory.Options{Clock: clk}),
			Advance: clk.Advance,
			MaxItem: memory.DefaultMaxItem + 1,
		}
	})
}

func TestBounds(t *testing.T) {
	tests := []struct {
		name   string
		opts   memory.Options
		item   int // bytes of each item
		atMost int
	}{
		{"by number", memory.Options{MaxItems: 100, MaxBytes: 1 << 20}, 10, 100},
		{"by bytes", memory.Options{MaxItems: 1_000_000, MaxBytes: 1 << 20}, 10_000, 104},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := memory.New(tt.opts)
			for i := range 2000 {
				v := cache.Value{Data: make([]byte, tt.item)}
				if err := c.Set(t.Context(), strconv.Itoa(i), v, time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			left := 0
			for i := range 2000 {
				if _, err := c.Get(t.Context(), strconv.Itoa(i)); err == nil {
					left++
				}
			}
			if left > tt.atMost || left < tt.atMost*9/10 {
				t.Errorf("items left of 2000: got %d, want at most %d and not much less", left, tt.atMost)
			}
		})
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	c := memory.New(memory.Options{})
	if err := c.Set(t.Context(), "k", cache.Text("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if n := testing.AllocsPerRun(1000, func() { _, _ = c.Get(ctx, "k") }); n != 0 {
		t.Errorf("allocations of a hit: got %v, want none", n)
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = c.Get(ctx, "absent") }); n != 0 {
		t.Errorf("allocations of a miss: got %v, want none", n)
	}
}

func BenchmarkGet(b *testing.B) {
	c := memory.New(memory.Options{})
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = "container/AUTH_test/" + strconv.Itoa(i)
		if err := c.Set(b.Context(), keys[i], cache.Value{Data: make([]byte, 450), JSON: true}, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := c.Get(ctx, keys[i%len(keys)]); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	c := memory.New(memory.Options{})
	v := cache.Value{Data: make([]byte, 450), JSON: true}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Set(b.Context(), "container/AUTH_test/c", v, time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkIncr(b *testing.B) {
	c := memory.New(memory.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Incr(b.Context(), "ratelimit/AUTH_test", 10, 0); err != nil {
			b.Fatal(err)
		}
	}
}
