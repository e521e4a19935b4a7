package cache_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memory"
)

type point struct{ X, Y int }

func TestSharedValuesFollowTheCache(t *testing.T) {
	ctx := context.Background()
	for _, tc := range []struct {
		name string
		c    cache.Cache
		same bool // a second reader gets the same value
	}{
		{"plain cache", memory.New(memory.Options{}), false},
		{"memo", cache.NewMemo(memory.New(memory.Options{})), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			read := func(want point) *point {
				t.Helper()
				p, err := cache.GetShared[point](ctx, tc.c, "k")
				if err != nil || *p != want {
					t.Fatalf("got %v, %v, want %v", p, err, want)
				}
				return p
			}
			set := func(v any) {
				t.Helper()
				if err := cache.SetJSON(ctx, tc.c, "k", v, time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			set(point{1, 2})
			first := read(point{1, 2})
			if same := first == read(point{1, 2}); same != tc.same {
				t.Errorf("second reader got the same value: %v, want %v", same, tc.same)
			}
			set(point{3, 4})
			read(point{3, 4})
			if *first != (point{1, 2}) {
				t.Errorf("a value that was given out has become %v", *first)
			}
			if m, err := cache.GetShared[map[string]int](ctx, tc.c, "k"); err != nil || (*m)["Y"] != 4 {
				t.Errorf("read as a map: %v, %v", m, err)
			}
			if err := tc.c.Set(ctx, "k", cache.Text(`{"X":3,"Y":4}`), time.Minute); err != nil {
				t.Fatal(err)
			}
			if p, err := cache.GetShared[point](ctx, tc.c, "k"); !errors.Is(err, cache.ErrMiss) {
				t.Errorf("raw text: got %v, %v, want a miss", p, err)
			}
			set("no point")
			if p, err := cache.GetShared[point](ctx, tc.c, "k"); !errors.Is(err, cache.ErrMiss) {
				t.Errorf("a string: got %v, %v, want a miss", p, err)
			}
			if err := tc.c.Delete(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			if p, err := cache.GetShared[point](ctx, tc.c, "k"); !errors.Is(err, cache.ErrMiss) {
				t.Errorf("deleted: got %v, %v, want a miss", p, err)
			}
		})
	}
}
