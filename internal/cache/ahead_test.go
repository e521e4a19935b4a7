package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
)

// companion counts the questions that it is asked. It keeps keys that begin with "far" on another server.
type companion struct {
	cache.Cache
	mu    sync.Mutex
	items map[string]string
	asked []string
}

func (c *companion) value(key string) (cache.Value, bool) {
	v, ok := c.items[key]
	return cache.Text(v), ok
}

func (c *companion) Get(_ context.Context, key string) (cache.Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, key)
	if v, ok := c.value(key); ok {
		return v, nil
	}
	return cache.Value{}, cache.ErrMiss
}

func (c *companion) GetWith(_ context.Context, key string, others []string) (cache.Value, []cache.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, fmt.Sprint(key, "+", others))
	if c.items == nil {
		return cache.Value{}, nil, cache.ErrMiss
	}
	var answers []cache.Answer
	for _, k := range others {
		if k == "far" {
			continue
		}
		v, ok := c.value(k)
		answers = append(answers, cache.Answer{Key: k, Value: v, Found: ok})
	}
	if v, ok := c.value(key); ok {
		return v, answers, nil
	}
	return cache.Value{}, answers, cache.ErrMiss
}

func (c *companion) Set(_ context.Context, key string, v cache.Value, _ time.Duration) error {
	c.items[key] = string(v.Data)
	return nil
}

func (c *companion) Delete(_ context.Context, key string) error {
	delete(c.items, key)
	return nil
}

func TestTheFirstQuestionTakesTheOthersAlong(t *testing.T) {
	get := func(k string) func(*testing.T, cache.Cache) string {
		return func(t *testing.T, c cache.Cache) string {
			v, err := c.Get(t.Context(), k)
			if err != nil {
				if !errors.Is(err, cache.ErrMiss) {
					t.Errorf("get %s: %v, want ErrMiss", k, err)
				}
				return "-"
			}
			return string(v.Data)
		}
	}
	set := func(k, v string) func(*testing.T, cache.Cache) string {
		return func(t *testing.T, c cache.Cache) string { c.Set(t.Context(), k, cache.Text(v), 0); return "" }
	}
	del := func(k string) func(*testing.T, cache.Cache) string {
		return func(t *testing.T, c cache.Cache) string { c.Delete(t.Context(), k); return "" }
	}
	for _, tc := range []struct {
		name  string
		do    []func(*testing.T, cache.Cache) string
		want  []string
		asked []string
	}{
		{"one question for both", []func(*testing.T, cache.Cache) string{get("token"), get("container")}, []string{"t", "c"}, []string{"token+[container far]"}},
		{"each answer serves once", []func(*testing.T, cache.Cache) string{get("token"), get("container"), get("container")}, []string{"t", "c", "c"}, []string{"token+[container far]", "container"}},
		{"absence comes along too", []func(*testing.T, cache.Cache) string{del("container"), get("token"), get("container")}, []string{"", "t", "-"}, []string{"token+[far]", "container"}},
		{"what is kept elsewhere is asked for there", []func(*testing.T, cache.Cache) string{get("token"), get("far")}, []string{"t", "f"}, []string{"token+[container far]", "far"}},
		{"the other one first", []func(*testing.T, cache.Cache) string{get("container"), get("token")}, []string{"c", "t"}, []string{"container+[far]", "token"}},
		{"a missing token brings the rest", []func(*testing.T, cache.Cache) string{get("no"), get("container")}, []string{"-", "c"}, []string{"no+[container far]"}},
		{"the request's own write is seen", []func(*testing.T, cache.Cache) string{get("token"), set("container", "new"), get("container")}, []string{"t", "", "new"}, []string{"token+[container far]", "container"}},
		{"the request's own removal is seen", []func(*testing.T, cache.Cache) string{get("token"), del("container"), get("container")}, []string{"t", "", "-"}, []string{"token+[container far]", "container"}},
	} {
		c := &companion{items: map[string]string{"token": "t", "container": "c", "far": "f"}}
		view := cache.NewMemo(c).Ahead("container", "far")
		for i, do := range tc.do {
			if got := do(t, view); got != tc.want[i] {
				t.Errorf("%s: step %d: got %q, want %q", tc.name, i, got, tc.want[i])
			}
		}
		if !slices.Equal(c.asked, tc.asked) {
			t.Errorf("%s: asked %q, want %q", tc.name, c.asked, tc.asked)
		}
	}
}

func TestABrokenCacheIsAMissForAll(t *testing.T) {
	c := &companion{}
	view := cache.NewMemo(c).Ahead("container")
	for _, k := range []string{"token", "container"} {
		if _, err := view.Get(t.Context(), k); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("get %s: %v", k, err)
		}
	}
}

func TestWhatComesAlongIsDecodedOnce(t *testing.T) {
	c := &companion{items: map[string]string{"token": "t", "container": "c"}}
	m := cache.NewMemo(c)
	for range 3 {
		view := m.Ahead("container")
		view.Get(t.Context(), "token")
		v, err := view.(cache.Decoder).Decoded(t.Context(), "container", func(v cache.Value) (any, error) { return "made of " + string(v.Data), nil })
		if v != "made of c" || err != nil {
			t.Errorf("decoded: %v, %v", v, err)
		}
	}
}

func TestACacheInTheProcessNeedsNoView(t *testing.T) {
	m := cache.NewMemo(struct{ cache.Cache }{})
	if m.Ahead("container") != cache.Cache(m) {
		t.Error("a view was made over a cache that cannot be asked for several keys")
	}
}
