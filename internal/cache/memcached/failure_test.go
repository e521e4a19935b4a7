package memcached

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/config"
	"github.com/bradfitz/gomemcache/memcache"
)

// cluster starts n servers and returns them in the order in which they are tried for key.
func cluster(t *testing.T, n int, key string) (order []*fakeServer, names []string) {
	t.Helper()
	byName := map[string]*fakeServer{}
	for range n {
		f := newFake(t)
		byName[f.addr()] = f
		names = append(names, f.addr())
	}
	for i := range newRing(names, n).walk(sumKey(key)) {
		order = append(order, byName[names[i]])
	}
	return order, names
}

func TestTheNextServerIsTried(t *testing.T) {
	order, names := cluster(t, 4, "k")
	order[0].stop()
	order[1].answerWith(func(string) string { return hangUp })
	c := open(t, names, nil)
	ctx, v := t.Context(), cache.Text("v")

	if err := c.Set(ctx, "k", v, 0); err != nil {
		t.Fatalf("Set: %v", err)
	}
	if got, err := c.Get(ctx, "k"); err != nil || string(got.Data) != "v" {
		t.Errorf("Get: got %q, %v, want v", got.Data, err)
	}
	if n, err := c.Incr(ctx, "k", 1, 0); !errors.Is(err, cache.ErrRefused) {
		t.Errorf("Incr: got %d, %v, want the third server's refusal", n, err)
	}
	if len(order[2].commands()) == 0 || len(order[3].commands()) != 0 {
		t.Error("want the third server asked, and not the fourth")
	}

	order[2].stop()
	_, getErr := c.Get(ctx, "k")
	_, multiErr := c.GetMulti(ctx, "k", []string{"k"})
	if !errors.Is(getErr, cache.ErrMiss) || !errors.Is(multiErr, cache.ErrMiss) {
		t.Errorf("reads without servers: got %v and %v, want ErrMiss", getErr, multiErr)
	}
	_, incrErr := c.Incr(ctx, "k", 1, 0)
	for op, err := range map[string]error{
		"Get": getErr, "GetMulti": multiErr, "Incr": incrErr,
		"Set":         c.Set(ctx, "k", v, 0),
		"SetMulti":    c.SetMulti(ctx, "k", []cache.Item{{Key: "x", Value: v}}, 0),
		"Delete":      c.Delete(ctx, "k"),
		"DeleteMulti": c.DeleteMulti(ctx, "k", []string{"x"}),
	} {
		if !errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrRefused) {
			t.Errorf("%s without servers: got %v, want ErrUnavailable", op, err)
		}
	}
	if len(order[3].commands()) != 0 {
		t.Error("the fourth server was asked although tries is 3")
	}
}

func TestARefusalIsNotTriedElsewhere(t *testing.T) {
	order, names := cluster(t, 2, "k")
	c := open(t, names, nil)
	for _, reply := range []string{"SERVER_ERROR out of memory storing object\r\n", "NOT_STORED\r\n", "ERROR\r\n"} {
		order[0].answerWith(func(string) string { return reply })
		for range 20 {
			if err := c.Set(t.Context(), "k", cache.Text("v"), 0); !errors.Is(err, cache.ErrRefused) {
				t.Fatalf("Set answered by %q: got %v, want ErrRefused", reply, err)
			}
		}
	}
	if got := order[1].commands(); len(got) != 0 {
		t.Errorf("the second server heard %q, want nothing", got)
	}
}

func TestABadAnswerIsTheServersFault(t *testing.T) {
	order, names := cluster(t, 2, "k")
	var log bytes.Buffer
	c := open(t, names, func(_ *Config, o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	order[0].answerWith(func(string) string { return "secret\r\n" })
	if _, err := c.Get(t.Context(), "k"); err != cache.ErrMiss {
		t.Errorf("Get: got %v, want the second server's ErrMiss", err)
	}
	if err := c.Delete(t.Context(), "k"); err != nil {
		t.Errorf("Delete: got %v, want the second server's answer", err)
	}
	if s := log.String(); !strings.Contains(s, "unexpected answer") || strings.Contains(s, "secret") {
		t.Errorf("log: got %q, want the fault without what was said", s)
	}
}

func TestARestartedServerIsNotBlamed(t *testing.T) {
	f := newFake(t)
	var log bytes.Buffer
	c := open(t, []string{f.addr()}, func(_ *Config, o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 20 {
		if err := c.Set(t.Context(), "k", cache.Text("v"), 0); err != nil {
			t.Fatal(err)
		}
		f.dropConnections()
	}
	if log.Len() != 0 {
		t.Errorf("log after restarts: got %q, want nothing", log.String())
	}
}

func TestFailingServersAreSkipped(t *testing.T) {
	f := newFake(t)
	clk := newClock()
	var log bytes.Buffer
	c := open(t, []string{f.addr()}, func(_ *Config, o *Options) {
		o.Clock, o.Logger = clk, slog.New(slog.NewTextHandler(&log, nil))
	})
	f.answerWith(func(string) string { return "nonsense\r\n" })
	asked := func() int {
		t.Helper()
		f.commands()
		if _, err := c.Get(t.Context(), "k"); !errors.Is(err, cache.ErrMiss) {
			t.Fatalf("Get: got %v, want ErrMiss", err)
		}
		return len(f.commands())
	}
	for i := range 10 {
		if asked() != 1 {
			t.Fatalf("server not asked after %d errors", i)
		}
		clk.Advance(time.Second)
	}
	clk.Advance(51 * time.Second) // the first two errors are forgotten
	for i := range 3 {
		if asked() != 1 {
			t.Fatalf("server not asked after %d errors in a minute", 8+i)
		}
	}
	if n := asked(); n != 0 {
		t.Errorf("server asked %d times after 11 errors in a minute, want 0", n)
	}
	clk.Advance(60*time.Second - 1)
	if n := asked(); n != 0 {
		t.Errorf("server asked %d times within the minute after, want 0", n)
	}
	clk.Advance(1)
	f.answerWith(nil)
	if n := asked(); n != 1 {
		t.Errorf("server asked %d times after the minute, want 1", n)
	}
	if n := strings.Count(log.String(), "is skipped"); n != 1 {
		t.Errorf("log says %d times that the server is skipped, want once", n)
	}
}

func TestErrorLimitingCanBeTurnedOff(t *testing.T) {
	f := newFake(t)
	c := open(t, []string{f.addr()}, func(cfg *Config, _ *Options) { cfg.ErrorSuppressionInterval = config.Duration{} })
	f.answerWith(func(string) string { return "nonsense\r\n" })
	for range 30 {
		_, _ = c.Get(t.Context(), "k")
	}
	if n := len(f.commands()); n != 30 {
		t.Errorf("server asked %d times, want 30", n)
	}
}

func TestSlowServersTimeOut(t *testing.T) {
	f := newFake(t)
	c := open(t, []string{f.addr()}, func(cfg *Config, _ *Options) { cfg.IOTimeout = config.Seconds(0.01) })
	release := make(chan struct{})
	f.answerWith(func(string) string { <-release; return hangUp })
	_, err := c.Get(t.Context(), "k")
	close(release)
	if !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("Get from a server that does not answer: got %v, want ErrUnavailable", err)
	}
}

func TestGroupsGoToOneServer(t *testing.T) {
	order, names := cluster(t, 4, "group")
	c := open(t, names, nil)
	var items []cache.Item
	var keys []string
	for i := range 20 {
		keys = append(keys, fmt.Sprint("item", i))
		items = append(items, cache.Item{Key: keys[i], Value: cache.Text("v")})
	}
	if err := c.SetMulti(t.Context(), "group", items, time.Minute); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetMulti(t.Context(), "group", keys)
	if err != nil || len(got) != 20 {
		t.Errorf("GetMulti: got %d values, %v, want 20", len(got), err)
	}
	if n := len(order[0].commands()); n != 21 {
		t.Errorf("the group's server heard %d commands, want 20 sets and one get", n)
	}
}

func TestWaitingForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Defaults()
		s, err := newServer("127.0.0.1:1", &cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range cap(s.slots) {
			if err := s.acquire(t.Context()); err != nil {
				t.Fatalf("acquire a free slot: %v", err)
			}
		}
		start := time.Now()
		if err := s.acquire(t.Context()); err != errPoolTimeout || time.Since(start) != time.Second {
			t.Errorf("acquire without a free slot: got %v after %v, want a timeout after 1s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := s.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("acquire with an ending context: got %v, want its error", err)
		}
		time.AfterFunc(time.Millisecond, func() { <-s.slots })
		if err := s.acquire(t.Context()); err != nil {
			t.Errorf("acquire a slot that becomes free: %v", err)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	f := newFake(t)
	c := open(t, []string{f.addr()}, func(cfg *Config, _ *Options) { cfg.MaxConnections, cfg.PoolTimeout = 1, config.Seconds(60) })
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				if err := c.Set(t.Context(), "k", cache.Text("v"), 0); err != nil {
					t.Errorf("Set: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got, want := f.connections(), cap(c.servers[0].slots); got > want {
		t.Errorf("connections opened: got %d, want at most %d", got, want)
	}
}

func TestACancelledRequestBlamesNobody(t *testing.T) {
	order, names := cluster(t, 2, "k")
	var log bytes.Buffer
	c := open(t, names, func(_ *Config, o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Set(ctx, "k", cache.Text("v"), 0); !errors.Is(err, cache.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Set: got %v, want ErrUnavailable by cancellation", err)
	}
	if n := len(order[0].commands()) + len(order[1].commands()); n != 0 || log.Len() != 0 {
		t.Errorf("got %d commands and log %q, want none", n, log.String())
	}
}

func TestLargeItemsAreWarnedOf(t *testing.T) {
	f := newFake(t)
	for _, tt := range []struct {
		threshold, size int
		warns           bool
	}{{-1, 1000, false}, {0, 0, true}, {10, 9, false}, {10, 10, true}} {
		var log bytes.Buffer
		c := open(t, []string{f.addr()}, func(cfg *Config, o *Options) {
			cfg.ItemSizeWarningThreshold = tt.threshold
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		if err := c.Set(t.Context(), "k", cache.Value{Data: make([]byte, tt.size)}, 0); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "large item"); got != tt.warns {
			t.Errorf("threshold %d, item of %d: got warning %v, want %v", tt.threshold, tt.size, got, tt.warns)
		}
	}
}

// TestACounterThatKeepsVanishing covers add losing to another client, and then to a delete.
func TestACounterThatKeepsVanishing(t *testing.T) {
	f := newFake(t)
	c := open(t, []string{f.addr()}, nil)
	for _, tt := range []struct {
		replies []string
		want    uint64
		err     error
	}{
		{[]string{"NOT_FOUND\r\n", "NOT_STORED\r\n", "7\r\n"}, 7, nil},
		{[]string{"NOT_FOUND\r\n", "NOT_STORED\r\n", "NOT_FOUND\r\n"}, 0, cache.ErrUnavailable},
	} {
		replies := slices.Clone(tt.replies)
		f.answerWith(func(string) string { r := replies[0]; replies = replies[1:]; return r })
		n, err := c.Incr(t.Context(), "k", 1, 0)
		if n != tt.want || !errors.Is(err, tt.err) || errors.Is(err, memcache.ErrNotStored) {
			t.Errorf("Incr answered by %q: got %d, %v, want %d, %v", tt.replies, n, err, tt.want, tt.err)
		}
	}
}
