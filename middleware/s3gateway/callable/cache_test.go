package callable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var usual = CacheConfig{TTL: time.Minute, NegativeTTL: 5 * time.Second, ErrorTTL: time.Second}

// counting returns an Authorize that says yes to what allow has, and the paths that it was asked about.
func counting(allow func(ctx context.Context, path string) (bool, error)) (Functions, func() string) {
	var mu sync.Mutex
	var asked []string
	return Functions{Authorize: func(ctx context.Context, token, bucket, method, path string) (bool, error) {
			mu.Lock()
			asked = append(asked, strings.Join([]string{token, bucket, method, path}, ","))
			mu.Unlock()
			return allow(ctx, path)
		}}, func() string {
			mu.Lock()
			defer mu.Unlock()
			s := strings.Join(asked, " ")
			asked = nil
			return s
		}
}

func yes(context.Context, string) (bool, error) { return true, nil }

func TestAnAnswerIsKeptForWhatWasAsked(t *testing.T) {
	f, asked := counting(yes)
	c := Cached(f, usual, nil)
	for range 2 {
		for _, q := range [][4]string{
			{"t", "b", "GET", "x/y"}, {"t2", "b", "GET", "x/y"}, {"t", "b2", "GET", "x/y"}, {"t", "b", "PUT", "x/y"}, {"t", "b", "GET", "x/"},
			{"t", "b", "GET", ""}, {"tb", "", "GET", "x/y"},
		} {
			if ok, err := c.Authorize(t.Context(), q[0], q[1], q[2], q[3]); !ok || err != nil {
				t.Errorf("%v: %v, %v", q, ok, err)
			}
		}
	}
	if got, want := asked(), "t,b,GET,x/y t2,b,GET,x/y t,b2,GET,x/y t,b,PUT,x/y t,b,GET,x/ t,b,GET, tb,,GET,x/y"; got != want {
		t.Errorf("asked %s\nwant  %s", got, want)
	}
}

func TestHowLongAnswersAreKept(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		yes  bool
		err  error
		ttl  time.Duration
	}{
		{"a yes", true, nil, time.Minute}, {"a no", false, nil, 5 * time.Second}, {"an unknown", false, ErrUnknown, 5 * time.Second},
		{"a failure", true, broken, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, asked := counting(func(context.Context, string) (bool, error) { return c.yes, c.err })
				cached := Cached(f, usual, nil)
				call := func() {
					t.Helper()
					ok, err := cached.Authorize(t.Context(), "t", "b", "GET", "x")
					if ok != (c.yes && c.err == nil) || (err != nil) != (c.err == broken) {
						t.Errorf("%v, %v", ok, err)
					}
				}
				call()
				time.Sleep(c.ttl - time.Millisecond)
				asked()
				call()
				if got := asked(); got != "" {
					t.Errorf("asked again before the time: %s", got)
				}
				time.Sleep(time.Millisecond)
				call()
				if asked() == "" {
					t.Error("not asked again after the time")
				}
			})
		})
	}
}

func TestNothingIsKeptWithoutTTL(t *testing.T) {
	f, asked := counting(yes)
	c := Cached(f, CacheConfig{}, nil)
	for range 2 {
		if ok, err := c.Authorize(t.Context(), "t", "b", "GET", "x"); !ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
	}
	if got := asked(); got != "t,b,GET,x t,b,GET,x" {
		t.Errorf("asked %s", got)
	}
}

// TestFolders asks for paths in order, and says which of them the function was asked about.
func TestFolders(t *testing.T) {
	for _, c := range []struct {
		name  string
		depth int
		holds string // what the function says that its answer holds for, "-" for nothing
		paths []string
		asked string
	}{
		{"alone", 0, "-", []string{"a/1", "a/2", "a/1"}, "a/1 a/2"},
		{"cut after one folder", 1, "-", []string{"a/1", "a/2", "a/b/3", "a", "ab/1"}, "a/ a ab/"},
		{"cut after two folders", 2, "-", []string{"a/b/1", "a/b/c/2", "a/1", "a/c/2"}, "a/b/ a/1 a/c/"},
		{"not cut where folders may be others", 1, "-", []string{"a/1", "a/../s", "a//s", "a/./s", "./a/s", "/a/s"}, "a/ a/../s a//s a/./s ./a/s /a/s"},
		{"the function's word for a folder", 0, "a/", []string{"a/1", "a/2", "a/b/3", "ab", "b/1"}, "a/1 ab b/1"},
		{"the function's word for the bucket", 0, "", []string{"a/1", "b", "", "b/"}, "a/1"},
		{"the function's word does not cover other places", 0, "a/", []string{"a/1", "a/../s", "a//s"}, "a/1 a/../s a//s"},
		{"no word for what was not asked", 0, "b/", []string{"a/1", "b", "b"}, "a/1 b"},
		{"no word for half a name", 0, "a/b", []string{"a/bc", "a/bd"}, "a/bc a/bd"},
		{"its word within what it was asked", 2, "a/", []string{"a/b/1", "a/c/1", "b/c/1"}, "a/b/ b/c/"},
		{"no word from a strange path", 0, "", []string{"../x", "a", "b"}, "../x a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, asked := counting(func(ctx context.Context, path string) (bool, error) {
				if c.holds != "-" {
					HoldsFor(ctx, c.holds)
				}
				return true, nil
			})
			config := usual
			config.PathDepth = c.depth
			cached := Cached(f, config, nil)
			for _, p := range c.paths {
				if ok, err := cached.Authorize(t.Context(), "t", "b", "GET", p); !ok || err != nil {
					t.Errorf("%s: %v, %v", p, ok, err)
				}
			}
			if ok, err := cached.Authorize(t.Context(), "other", "b", "GET", c.paths[0]); !ok || err != nil {
				t.Errorf("other token: %v, %v", ok, err)
			}
			got := asked()
			if !strings.Contains(got, " other,b,GET,") {
				t.Errorf("another token was let in on this one's answer: %s", got)
			}
			got = strings.ReplaceAll(got[:strings.Index(got, " other,")], "t,b,GET,", "")
			if got != c.asked {
				t.Errorf("asked about %s\nwant %s", got, c.asked)
			}
		})
	}
}

// TestNoYesLeaks compares what the cache says with what a function says that tells truthfully where its answers hold.
func TestNoYesLeaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.StringMatching(`([abc.]{0,2}/){0,3}[abc.]{0,2}`)
		rules := rapid.SliceOfN(rapid.StringMatching(`([abc]/){1,3}`), 0, 4).Draw(t, "rules")
		// Allowed is what lies below a rule: the answer holds for the rule, or for nothing but the path itself.
		f := Functions{Authorize: func(ctx context.Context, _, _, _, path string) (bool, error) {
			for _, r := range rules {
				if strings.HasPrefix(path, r) {
					HoldsFor(ctx, r)
					return true, nil
				}
			}
			return false, nil
		}}
		cached := Cached(f, usual, nil)
		for range 30 {
			p := path.Draw(t, "path")
			want, _ := f.Authorize(context.Background(), "", "", "", p)
			if got, err := cached.Authorize(context.Background(), "t", "b", "GET", p); got != want || err != nil {
				t.Fatalf("%q: got %v, %v, want %v", p, got, err, want)
			}
		}
	})
}

func TestHoldsForOutsideOfACall(t *testing.T) {
	if HoldsFor(t.Context(), "") {
		t.Error("HoldsFor without a cache says that it keeps")
	}
}

func TestConcurrentCallsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		c := Cached(Functions{Secret: func(ctx context.Context, key string) (string, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			return "s of " + key, ctx.Err()
		}}, usual, nil)
		first, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := c.Secret(first, "k")
			gone <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() {
				if s, err := c.Secret(t.Context(), "k"); s != "s of k" || err != nil {
					t.Errorf("%q, %v", s, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller who went away: %v", err)
		}
		wg.Wait()
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestFunctionsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		config := usual
		config.CallTimeout, config.MaxCalls = time.Second, 2
		c := Cached(Functions{Secret: func(ctx context.Context, key string) (string, error) {
			calls.Add(1)
			switch key {
			case "deaf":
				<-release
				return "late", nil
			case "waits":
				<-ctx.Done()
				return "", fmt.Errorf("at line 7: %w", ctx.Err())
			}
			return "s", nil
		}}, config, nil)
		start := time.Now()
		if _, err := c.Secret(t.Context(), "waits"); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "at line 7") {
			t.Errorf("one that heeds its context: %v", err)
		}
		for range 3 { // two take the slots for good, the third finds none
			if _, err := c.Secret(t.Context(), "deaf"); !errors.Is(err, ErrTimeout) && !errors.Is(err, ErrBusy) {
				t.Errorf("one that does not: %v", err)
			}
		}
		if _, err := c.Secret(t.Context(), "good"); !errors.Is(err, ErrBusy) {
			t.Errorf("with all calls hanging: %v", err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %v", took)
		}
		close(release)
		synctest.Wait()
		if s, err := c.Secret(t.Context(), "good"); s != "s" || err != nil {
			t.Errorf("afterwards: %q, %v", s, err)
		}
		if n := calls.Load(); n != 4 {
			t.Errorf("%d calls, want 4", n)
		}
	})
}

func TestWrongAnswers(t *testing.T) {
	c := Cached(Functions{
		Secret: func(ctx context.Context, key string) (string, error) {
			if key == "panics" {
				var list []string
				return list[len(key)], nil
			}
			return "", nil
		},
		Credentials: func(context.Context, string, string) (Credentials, error) { return Credentials{AccessKey: "a"}, nil },
	}, usual, nil)
	if c.Authorize != nil {
		t.Error("there is an Authorize where none was given")
	}
	if _, err := c.Secret(t.Context(), "k"); err == nil || !strings.Contains(err.Error(), "secret: secret is empty") {
		t.Errorf("empty secret: %v", err)
	}
	if _, err := c.Secret(t.Context(), "panics"); err == nil || !strings.Contains(err.Error(), "out of range") || !strings.Contains(err.Error(), "cache_test.go") {
		t.Errorf("panic: %v", err)
	}
	if _, err := c.Credentials(t.Context(), "t", "b"); err == nil || !strings.Contains(err.Error(), "go together") {
		t.Errorf("half a key pair: %v", err)
	}
}

func TestCredentialsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		config := usual
		config.TTL = time.Hour
		c := Cached(Functions{Credentials: func(context.Context, string, string) (Credentials, error) {
			calls++
			return Credentials{Bearer: fmt.Sprint(calls), Expires: time.Now().Add(10 * time.Minute)}, nil
		}}, config, nil)
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "1"}, {9*time.Minute - 1, "1"}, {1, "2"}} {
			time.Sleep(step.after)
			if got, err := c.Credentials(t.Context(), "t", "b"); got.Bearer != step.want || err != nil {
				t.Errorf("after %v: %q, %v, want %q", step.after, got.Bearer, err, step.want)
			}
		}
	})
}

func TestANewVersionForgets(t *testing.T) {
	var version atomic.Uint64
	f, asked := counting(yes)
	f.Version = version.Load
	c := Cached(f, usual, nil)
	for range 2 {
		for range 2 {
			if ok, err := c.Authorize(t.Context(), "t", "b", "GET", "x"); !ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		}
		if got := asked(); got != "t,b,GET,x" {
			t.Errorf("version %d: asked %q", version.Load(), got)
		}
		version.Add(1)
	}
}

func TestEntriesAreBounded(t *testing.T) {
	config := usual
	config.MaxEntries = 100
	for size, most := range map[int]int{1: 100, 4096: 20} {
		m := remember(Functions{Secret: func(context.Context, string) (string, error) { return strings.Repeat("s", size), nil }}, config, nil)
		for i := range 5000 {
			if _, err := m.secret(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		m.answers.CleanUp()
		if n := m.answers.EstimatedSize(); n > most || n < most/2 {
			t.Errorf("%d answers of %d bytes are kept, want about %d", n, size, most)
		}
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	c := Credentials{AccessKey: "hush", Secret: "hush", SessionToken: "hush", APIKey: "hush", Bearer: "hush"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "c", c, "p", &c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c, "p", &c)
	j, err := json.Marshal(map[string]any{"c": c, "p": &c})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q %v", c, c, c, c, c, &c), log.String(), string(j)} {
		if strings.Contains(s, "hush") {
			t.Errorf("printed %s", s)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	f, _ := counting(yes)
	c := Cached(f, usual, nil)
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := c.Authorize(b.Context(), "t", "b", "GET", "a/b/c"); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
