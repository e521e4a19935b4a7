package ratelimit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

// counting is a request for an account and container that are known.
func counting(r *http.Request, shared cache.Cache, global string, size int) *http.Request {
	state := &request.State{Cache: shared, Infos: &request.Infos{}}
	for _, a := range []string{"a", "b", "c", "w"} {
		state.Infos.Put(lookup.AccountKey(a), &lookup.Account{Status: 204, Sysmeta: map[string]string{"global-write-ratelimit": global}})
	}
	path := strings.Split(r.URL.Path, "/")
	if len(path) > 3 {
		info := &lookup.Container{Status: 204, Objects: lookup.Text(strconv.Itoa(size))}
		state.Infos.Put(lookup.ContainerKey(path[2], path[3]), info)
	}
	return request.With(r, state)
}

func BenchmarkPass(b *testing.B) {
	h := mt.Build(b, Filter, "account_ratelimit = 1\ncontainer_ratelimit_10 = 5", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := counting(httptest.NewRequest("GET", "/v1/a/c/o", nil), memory.New(memory.Options{}), "", 50)
	state := request.From(r.Context())
	b.ReportAllocs()
	for b.Loop() {
		state.Ratelimited = false
		h.ServeHTTP(nil, r)
	}
}

type scenario struct {
	Name   string
	Config map[string]string
	Rows   []struct {
		Wait, Slept                float64
		Method, Path, Global, Text string
		Size, Status               int
		Counters                   map[string]int64
	}
}

// TestItCountsAsSwift replays what testdata/record.py recorded: answers, delays, and the counters in the cache.
func TestItCountsAsSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Scenarios []scenario }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Scenarios) < 20 {
		t.Fatalf("only %d scenarios were recorded", len(golden.Scenarios))
	}
	for _, s := range golden.Scenarios {
		t.Run(s.Name, func(t *testing.T) { synctest.Test(t, s.replay) })
	}
}

func (s scenario) replay(t *testing.T) {
	config := ""
	for k, v := range s.Config {
		config += fmt.Sprintf("%s = %q\n", k, v)
	}
	var offset time.Duration // a clock may go back, a timer does not
	host := mt.Host(t)
	host.Clock = clock.Func(func() time.Time { return time.Now().Add(offset) })
	h := mt.BuildOn(t, host, Filter, config, mt.NewApp().Otherwise(mt.Answer{}))
	shared := memory.New(memory.Options{})
	for i, row := range s.Rows {
		offset += time.Duration(math.Round(row.Wait*1e6)) * time.Microsecond
		before := time.Now()
		got := mt.Do(t, h, row.Method, row.Path, func(r *http.Request) { *r = *counting(r, shared, row.Global, row.Size) })
		slept := time.Since(before).Seconds()
		if got.Code != row.Status || got.Body != row.Text && row.Method != "HEAD" || math.Abs(slept-row.Slept) > 1e-6 {
			t.Errorf("row %d: %s %s after %gs, size %d, global %q: got %d %q after %gs, want %d %q after %gs",
				i, row.Method, row.Path, row.Wait, row.Size, row.Global, got.Code, got.Body, slept, row.Status, row.Text, row.Slept)
		}
		for key, want := range row.Counters {
			v, err := shared.Get(t.Context(), key)
			if n, _ := v.Count(); err != nil || int64(n) != want {
				t.Errorf("row %d: counter %s is %d, %v; want %d", i, key, n, err, want)
			}
		}
	}
}

func TestARequestCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := "[pipeline.main]\npipeline = [\"one\", \"two\", \"app\"]\n[app.app]\n" +
			"[filter.one]\nuse = \"ratelimit\"\naccount_ratelimit = 1\n[filter.two]\nuse = \"ratelimit\"\naccount_ratelimit = 1\n"
		h := mt.Build(t, Filter, file, mt.NewApp().Otherwise(mt.Answer{}))
		shared := memory.New(memory.Options{})
		start := time.Now()
		for range 3 {
			mt.Do(t, h, "PUT", "/v1/a/c", func(r *http.Request) { *r = *counting(r, shared, "", 0) })
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("three requests at one a second took %v, want 2s", got)
		}
	})
}

func TestWithoutACacheItWarnsOnce(t *testing.T) {
	host := mt.Host(t)
	log := mt.Capture(&host)
	h := mt.BuildOn(t, host, Filter, "account_ratelimit = 1", mt.NewApp().Otherwise(mt.Answer{}))
	for range 3 {
		if got := mt.Do(t, h, "PUT", "/v1/a/c"); got.Code != 200 {
			t.Errorf("got %d, want 200", got.Code)
		}
	}
	if n := strings.Count(log.String(), "no cache"); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, log)
	}
}

type broken struct{ cache.Cache }

func (broken) Get(context.Context, string) (cache.Value, error) { return cache.Value{}, cache.ErrMiss }
func (broken) Incr(context.Context, string, int64, time.Duration) (uint64, error) {
	return 0, cache.ErrUnavailable
}

func TestABrokenCacheLimitsNobody(t *testing.T) {
	h := mt.Build(t, Filter, "account_ratelimit = 0.001", mt.NewApp().Otherwise(mt.Answer{}))
	for range 3 {
		got := mt.Do(t, h, "PUT", "/v1/a/c", func(r *http.Request) { *r = *counting(r, broken{}, "", 0) })
		if got.Code != 200 {
			t.Errorf("got %d %q, want 200", got.Code, got.Body)
		}
	}
}

func TestAClientThatGoesAwayIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := mt.NewApp().Otherwise(mt.Answer{})
		h := mt.Build(t, Filter, "account_ratelimit = 0.1", app)
		shared := memory.New(memory.Options{})
		do := func(ctx context.Context) mt.Response {
			return mt.Do(t, h, "PUT", "/v1/a/c", func(r *http.Request) { *r = *counting(r.WithContext(ctx), shared, "", 0) })
		}
		do(t.Context())
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("gone"))
		defer cancel()
		start := time.Now()
		if got := do(ctx); got.Code != 499 || time.Since(start) != time.Second || len(app.Calls()) != 1 {
			t.Errorf("got %d after %v, %d requests at the app; want 499 after 1s, 1", got.Code, time.Since(start), len(app.Calls()))
		}
	})
}

func TestLookups(t *testing.T) {
	app := mt.NewApp().On("HEAD /v1/a", mt.Answer{Code: 404}).On("HEAD /v1/a/c", mt.Answer{Code: 404}).Otherwise(mt.Answer{})
	h := mt.Build(t, Filter, "container_ratelimit_0 = 0.001", app)
	shared := memory.New(memory.Options{})
	for range 3 {
		got := mt.Do(t, h, "PUT", "/v1/a/c/o", func(r *http.Request) {
			*r = *request.With(r, &request.State{Cache: shared, Infos: &request.Infos{}})
		})
		if got.Code != 200 {
			t.Errorf("a missing container: got %d, want 200: nothing is limited", got.Code)
		}
	}
	for _, c := range app.Calls() {
		if c.Method == "HEAD" && c.State.Log.Source != "RL" {
			t.Errorf("lookup with source %q, want RL", c.State.Log.Source)
		}
	}
}

func TestWhatIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := mt.Host(t)
		log := mt.Capture(&host)
		h := mt.BuildOn(t, host, Filter, "account_ratelimit = 1\nlog_sleep_time_seconds = 0.5\nmax_sleep_time_seconds = 3\naccount_blacklist = \"b\"", mt.NewApp().Otherwise(mt.Answer{}))
		shared := memory.New(memory.Options{})
		now := time.Now()
		shared.Set(t.Context(), "ratelimit/a", cache.Text(strconv.FormatInt(now.UnixMilli()+1000, 10)), 0)
		shared.Set(t.Context(), "ratelimit/c", cache.Text(strconv.FormatInt(now.UnixMilli()+9000, 10)), 0)
		for _, a := range []string{"a", "b", "c"} {
			mt.Do(t, h, "PUT", "/v1/"+a+"/x", func(r *http.Request) { *r = *counting(r, shared, "", 0) })
		}
		for _, want := range []string{"option=account_blacklist", "request is held up", "the account is blacklisted", "requests come too fast"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, log)
			}
		}
	})
}

func TestInfo(t *testing.T) {
	config := "account_ratelimit = 2\ncontainer_ratelimit_200 = 5\ncontainer_ratelimit_100 = 7.5\ncontainer_listing_ratelimit_1 = 3"
	p := mt.BuildOn(t, mt.Host(t), Filter, config, mt.NewApp())
	got, err := json.Marshal(p.Info().Public["ratelimit"])
	const want = `{"account_ratelimit":2.0,"container_listing_ratelimits":[[1,3.0]],"container_ratelimits":[[100,7.5],[200,5.0]],"max_sleep_time_seconds":60.0}`
	if err != nil || string(got) != want {
		t.Errorf("/info: got %s, %v; want %s", got, err, want)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, config := range []string{
		"account_ratelimit = -1", "account_ratelimit = nan", "container_ratelimit_x = 5", "container_ratelimit_-1 = 5",
		"container_ratelimit_1 = -5", `container_ratelimit_1 = "fast"`, `container_listing_ratelimit_ = "1"`,
		"container_ratelimit_010 = 1\ncontainer_ratelimit_10 = 1", "max_sleep_time_seconds = -1", "log_sleep_time_seconds = -1", "clock_accuracy = 0", "rate_buffer_seconds = -1",
	} {
		p, err := mt.TryBuild(mt.Host(t), Filter, config, mt.NewApp())
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "test.toml:") {
			t.Errorf("%s: got %v, want an error with its line", config, err)
		}
	}
}

func FuzzCurve(f *testing.F) {
	f.Add("10", "5", "20", "1", int64(15))
	f.Fuzz(func(t *testing.T, s1, r1, s2, r2 string, size int64) {
		c, err := newCurve(map[string]string{s1: r1, s2: r2})
		if err != nil {
			return
		}
		low, high := math.Inf(1), 0.0
		for _, p := range c {
			low, high = min(low, p.rate), max(high, p.rate)
		}
		got := c.at(max(size, 0))
		if got != 0 && (got < low*(1-1e-9) || got > high*(1+1e-9)) {
			t.Errorf("%v at %d: %g", c, size, got)
		}
	})
}
