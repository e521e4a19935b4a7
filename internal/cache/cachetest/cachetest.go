// Package cachetest is the conformance suite of cache.Cache. Every implementation runs it from its own tests:
//
//	func TestConformance(t *testing.T) {
//		cachetest.Run(t, func(t *testing.T) cachetest.Subject {
//			return cachetest.Subject{Cache: memory.New(memory.Options{Clock: clk}), Advance: clk.Advance, MaxItem: 1 << 20}
//		})
//	}
package cachetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache"
)

// A Subject is an empty cache to be tested.
type Subject struct {
	Cache cache.Cache
	// Advance moves the cache's time on. Nil when it cannot be moved; what needs it is skipped.
	Advance func(time.Duration)
	// MaxItem is a number of bytes that one item certainly cannot have. 0 when there is no limit to test.
	MaxItem int
}

// Run tests what open returns, which is called once per case.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"an absent key is a miss", testMiss},
		{"a value comes back with its kind", testRoundTrip},
		{"keys may hold any bytes", testKeys},
		{"the later of two sets wins", testOverwrite},
		{"the cache keeps a copy", testCopy},
		{"a deleted key is a miss", testDelete},
		{"json helpers", testJSON},
		{"counting up and down", testIncr},
		{"counting what is no number is refused", testIncrText},
		{"concurrent counts all count", testIncrConcurrent},
		{"groups of items", testMulti},
		{"several keys in one question", testCompanion},
		{"time to live", testTTL},
		{"a counter keeps its time to live", testIncrTTL},
		{"an expired time to live", testNegativeTTL},
		{"too large an item is refused", testTooLarge},
		{"a cancelled read is a miss", testCancelled},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func testCompanion(t *testing.T, s Subject) {
	c, ok := s.Cache.(cache.Companion)
	if !ok {
		return // it is an optimisation
	}
	keys := []string{"a", "b", "c", "d", "e", "f"}
	for _, k := range keys[:4] {
		mustSet(t, s.Cache, k, cache.Text("value of "+k), time.Minute)
	}
	for _, key := range keys {
		v, answers, err := c.GetWith(t.Context(), key, keys)
		if present := slices.Contains(keys[:4], key); present != (err == nil) || present && string(v.Data) != "value of "+key {
			t.Errorf("GetWith(%s): %q, %v", key, v.Data, err)
		}
		if !slices.ContainsFunc(answers, func(a cache.Answer) bool { return a.Key == key }) {
			t.Errorf("GetWith(%s): the key's own server was not asked for it: %v", key, answers)
		}
		for _, a := range answers {
			if present := slices.Contains(keys[:4], a.Key); present != a.Found || present && string(a.Value.Data) != "value of "+a.Key {
				t.Errorf("GetWith(%s): answer %s: %q, found %v", key, a.Key, a.Value.Data, a.Found)
			}
		}
	}
}

func mustSet(t *testing.T, c cache.Cache, key string, v cache.Value, ttl time.Duration) {
	t.Helper()
	if err := c.Set(t.Context(), key, v, ttl); err != nil {
		t.Fatalf("Set(%q, %q, %v): %v", key, v.Data, ttl, err)
	}
}

func wantValue(t *testing.T, c cache.Cache, key string, want cache.Value) {
	t.Helper()
	got, err := c.Get(t.Context(), key)
	if err != nil || got.JSON != want.JSON || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("Get(%q)\n got %q, json %v, error %v\nwant %q, json %v", key, got.Data, got.JSON, err, want.Data, want.JSON)
	}
}

func wantMiss(t *testing.T, c cache.Cache, key string) {
	t.Helper()
	if got, err := c.Get(t.Context(), key); !errors.Is(err, cache.ErrMiss) || got.Data != nil {
		t.Errorf("Get(%q): got %q, %v, want ErrMiss", key, got.Data, err)
	}
}

func wantIncr(t *testing.T, c cache.Cache, key string, delta int64, want uint64) {
	t.Helper()
	if got, err := c.Incr(t.Context(), key, delta, 0); err != nil || got != want {
		t.Errorf("Incr(%q, %d): got %d, %v, want %d", key, delta, got, err, want)
	}
}

func testMiss(t *testing.T, s Subject) {
	wantMiss(t, s.Cache, "absent")
	if _, err := s.Cache.Get(t.Context(), "absent"); errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("Get of an absent key: got %v, which blames the server", err)
	}
}

func testRoundTrip(t *testing.T, s Subject) {
	for key, v := range map[string]cache.Value{
		"json":     {Data: []byte(`{"status": 204}`), JSON: true},
		"text":     cache.Text("1795292775844"),
		"empty":    {Data: []byte{}},
		"newlines": cache.Text("a\r\nEND\r\nb"),
		"binary":   {Data: []byte{0, 0xff, '\n', 0}},
		"large":    {Data: bytes.Repeat([]byte("x"), 500_000)},
	} {
		mustSet(t, s.Cache, key, v, time.Minute)
		wantValue(t, s.Cache, key, v)
	}
}

func testKeys(t *testing.T, s Subject) {
	keys := []string{"", " ", "container/AUTH_\u2603/caf\u00e9", "a\r\nb", "\x00\xff", strings.Repeat("k", 1000)}
	for _, key := range keys {
		mustSet(t, s.Cache, key, cache.Text("of "+key), 0)
	}
	for _, key := range keys {
		wantValue(t, s.Cache, key, cache.Text("of "+key))
	}
}

func testOverwrite(t *testing.T, s Subject) {
	mustSet(t, s.Cache, "k", cache.Text("first"), 0)
	second := cache.Value{Data: []byte(`"second"`), JSON: true}
	mustSet(t, s.Cache, "k", second, 0)
	wantValue(t, s.Cache, "k", second)
}

func testCopy(t *testing.T, s Subject) {
	data := []byte("before")
	mustSet(t, s.Cache, "k", cache.Value{Data: data}, 0)
	copy(data, "after!")
	wantValue(t, s.Cache, "k", cache.Text("before"))
}

func testDelete(t *testing.T, s Subject) {
	mustSet(t, s.Cache, "k", cache.Text("v"), 0)
	for range 2 {
		if err := s.Cache.Delete(t.Context(), "k"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantMiss(t, s.Cache, "k")
	}
}

func testJSON(t *testing.T, s Subject) {
	type info struct {
		Status int     `json:"status"`
		Count  *string `json:"object_count"`
	}
	if err := cache.SetJSON(t.Context(), s.Cache, "k", info{Status: 404}, time.Minute); err != nil {
		t.Fatalf("SetJSON: %v", err)
	}
	wantValue(t, s.Cache, "k", cache.Value{Data: []byte(`{"status": 404, "object_count": null}`), JSON: true})
	var got info
	if err := cache.GetJSON(t.Context(), s.Cache, "k", &got); err != nil || got != (info{Status: 404}) {
		t.Errorf("GetJSON: got %+v, %v, want status 404", got, err)
	}

	mustSet(t, s.Cache, "text", cache.Text("{}"), 0)
	mustSet(t, s.Cache, "broken", cache.Value{Data: []byte("{"), JSON: true}, 0)
	for _, key := range []string{"absent", "text", "broken"} {
		if err := cache.GetJSON(t.Context(), s.Cache, key, &got); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("GetJSON(%q): got %v, want ErrMiss", key, err)
		}
	}
}

func testIncr(t *testing.T, s Subject) {
	wantIncr(t, s.Cache, "new", 10, 10)
	wantIncr(t, s.Cache, "new", 10, 20)
	wantIncr(t, s.Cache, "new", 0, 20)
	wantIncr(t, s.Cache, "new", -11, 9)
	if v, err := s.Cache.Get(t.Context(), "new"); err != nil || v.JSON {
		t.Errorf("Get of a counter: got %q, json %v, %v, want raw text", v.Data, v.JSON, err)
	} else if n, ok := v.Count(); n != 9 || !ok {
		t.Errorf("Count of %q: got %d, %v, want 9", v.Data, n, ok)
	}
	wantIncr(t, s.Cache, "new", -100, 0)
	wantIncr(t, s.Cache, "below zero", -5, 0)
	wantIncr(t, s.Cache, "below zero", 3, 3)

	mustSet(t, s.Cache, "set", cache.Text("1795292775844"), 0)
	wantIncr(t, s.Cache, "set", 10, 1795292775854)
	mustSet(t, s.Cache, "full", cache.Text("18446744073709551615"), 0)
	wantIncr(t, s.Cache, "full", 3, 2)
	mustSet(t, s.Cache, "lowest", cache.Text("9223372036854775809"), 0)
	wantIncr(t, s.Cache, "lowest", -1<<63, 1)
}

func testIncrText(t *testing.T, s Subject) {
	mustSet(t, s.Cache, "k", cache.Text("ten"), 0)
	for _, delta := range []int64{1, -1} {
		if n, err := s.Cache.Incr(t.Context(), "k", delta, 0); !errors.Is(err, cache.ErrRefused) {
			t.Errorf("Incr(ten, %d): got %d, %v, want ErrRefused", delta, n, err)
		}
	}
	wantValue(t, s.Cache, "k", cache.Text("ten"))
}

func testIncrConcurrent(t *testing.T, s Subject) {
	const workers, rounds = 8, 50
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				if _, err := s.Cache.Incr(t.Context(), "k", 1, time.Minute); err != nil {
					t.Errorf("Incr: %v", err)
				}
			}
		})
	}
	wg.Wait()
	wantIncr(t, s.Cache, "k", 0, workers*rounds)
}

func testMulti(t *testing.T, s Subject) {
	ctx, group := t.Context(), "account/AUTH_test"
	items := []cache.Item{
		{Key: "one", Value: cache.Text("1")},
		{Key: "two", Value: cache.Value{Data: []byte("[2]"), JSON: true}},
		{Key: "three", Value: cache.Text("3")},
	}
	if err := s.Cache.SetMulti(ctx, group, items, time.Minute); err != nil {
		t.Fatalf("SetMulti: %v", err)
	}
	keys := []string{"three", "absent", "two", "one"}
	got, err := s.Cache.GetMulti(ctx, group, keys)
	if err != nil || len(got) != len(items) {
		t.Fatalf("GetMulti(%q): got %d values, %v, want %d", keys, len(got), err, len(items))
	}
	for _, it := range items {
		if v := got[it.Key]; v.JSON != it.Value.JSON || !bytes.Equal(v.Data, it.Value.Data) {
			t.Errorf("GetMulti: %q: got %q, json %v, want %q, json %v", it.Key, v.Data, v.JSON, it.Value.Data, it.Value.JSON)
		}
	}
	if err := s.Cache.DeleteMulti(ctx, group, []string{"absent", "one", "three"}); err != nil {
		t.Fatalf("DeleteMulti: %v", err)
	}
	got, err = s.Cache.GetMulti(ctx, group, keys)
	if _, ok := got["two"]; err != nil || !ok || len(got) != 1 {
		t.Errorf("GetMulti after DeleteMulti: got %v, %v, want only two", got, err)
	}
	if got, err := s.Cache.GetMulti(ctx, group, nil); err != nil || len(got) != 0 {
		t.Errorf("GetMulti of nothing: got %v, %v, want nothing", got, err)
	}
	if err := s.Cache.SetMulti(ctx, group, nil, 0); err != nil {
		t.Errorf("SetMulti of nothing: %v", err)
	}
}

func testTTL(t *testing.T, s Subject) {
	if s.Advance == nil {
		t.Skip("the time of this cache cannot be moved")
	}
	v := cache.Text("v")
	const month = 30 * 24 * time.Hour
	mustSet(t, s.Cache, "for ever", v, 0)
	mustSet(t, s.Cache, "fraction", v, time.Millisecond)
	mustSet(t, s.Cache, "cut", v, 6900*time.Millisecond)
	mustSet(t, s.Cache, "month", v, month)
	mustSet(t, s.Cache, "longest", v, 1<<63-1)
	mustSet(t, s.Cache, "two months", v, 2*month)
	mustSet(t, s.Cache, "refreshed", v, 2*time.Second)
	mustSet(t, s.Cache, "refreshed", v, month)
	present := []string{"for ever", "fraction", "cut", "month", "two months", "refreshed", "longest"}
	for _, step := range []struct {
		move time.Duration
		gone []string
	}{
		{0, nil},
		{time.Second, []string{"fraction"}},
		{4900 * time.Millisecond, nil},
		{100 * time.Millisecond, []string{"cut"}},
		{month, []string{"month", "refreshed"}},
		{month, []string{"two months"}},
		{10 * 365 * 24 * time.Hour, nil},
	} {
		s.Advance(step.move)
		for _, key := range step.gone {
			wantMiss(t, s.Cache, key)
		}
		present = slices.DeleteFunc(present, func(k string) bool { return slices.Contains(step.gone, k) })
		for _, key := range present {
			wantValue(t, s.Cache, key, v)
		}
	}
}

func testIncrTTL(t *testing.T, s Subject) {
	if s.Advance == nil {
		t.Skip("the time of this cache cannot be moved")
	}
	incr := func(want uint64) {
		t.Helper()
		if got, err := s.Cache.Incr(t.Context(), "k", 1, 3*time.Second); err != nil || got != want {
			t.Errorf("Incr: got %d, %v, want %d", got, err, want)
		}
	}
	incr(1)
	s.Advance(2 * time.Second)
	incr(2)
	s.Advance(time.Second)
	incr(1)
}

func testNegativeTTL(t *testing.T, s Subject) {
	mustSet(t, s.Cache, "k", cache.Text("old"), 0)
	mustSet(t, s.Cache, "k", cache.Text("new"), -time.Second)
	wantMiss(t, s.Cache, "k")
}

func testTooLarge(t *testing.T, s Subject) {
	if s.MaxItem == 0 {
		t.Skip("this cache has no largest item")
	}
	big := cache.Value{Data: make([]byte, s.MaxItem)}
	if err := s.Cache.Set(t.Context(), "k", big, 0); !errors.Is(err, cache.ErrRefused) {
		t.Errorf("Set of %d bytes: got %v, want ErrRefused", s.MaxItem, err)
	}
	items := []cache.Item{{Key: "k", Value: big}, {Key: "small", Value: cache.Text("v")}}
	if err := s.Cache.SetMulti(t.Context(), "g", items, 0); !errors.Is(err, cache.ErrRefused) {
		t.Errorf("SetMulti of %d bytes: got %v, want ErrRefused", s.MaxItem, err)
	}
	got, err := s.Cache.GetMulti(t.Context(), "g", []string{"k", "small"})
	if _, ok := got["small"]; err != nil || !ok || len(got) != 1 {
		t.Errorf("GetMulti after a refusal: got %d values, %v, want only the small one", len(got), err)
	}
}

func testCancelled(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Cache.Get(ctx, "absent"); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("Get with a cancelled context: got %v, want ErrMiss", err)
	}
}
