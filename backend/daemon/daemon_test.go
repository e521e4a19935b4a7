package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/recon"
)

type funcTask func(ctx context.Context, p *Progress) error

func (f funcTask) Name() string                                { return "tester" }
func (f funcTask) Pass(ctx context.Context, p *Progress) error { return f(ctx, p) }

func start(t *testing.T, task funcTask, o Options) *Daemon {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d, err := New(task, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPassesKeepTheInterval(t *testing.T) {
	for name, test := range map[string]struct {
		scatter bool
		fails   bool
		takes   time.Duration
		want    []time.Duration // starts of the passes
	}{
		"a pass within the interval":            {false, true, 10 * time.Second, []time.Duration{50 * time.Second, 150 * time.Second, 250 * time.Second}},
		"a pass that takes longer":              {false, false, 110 * time.Second, []time.Duration{50 * time.Second, 160 * time.Second, 270 * time.Second}},
		"a long pass that fails":                {false, true, 110 * time.Second, []time.Duration{50 * time.Second, 161 * time.Second, 272 * time.Second}},
		"waits of a random part of what's left": {true, true, 20 * time.Second, []time.Duration{50 * time.Second, 110 * time.Second, 170 * time.Second}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			begin := time.Now()
			var got []time.Duration
			d := start(t, func(context.Context, *Progress) error {
				got = append(got, time.Since(begin))
				time.Sleep(test.takes)
				if len(got) == 3 {
					cancel()
				}
				if test.fails {
					return errors.New("a failed pass is followed by the next")
				}
				return nil
			}, Options{Interval: 100 * time.Second, ScatterWaits: test.scatter, Random: func() float64 { return 0.5 }})
			if err := d.Run(ctx); err != nil {
				t.Error(err)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s of %v: passes began at %v, want %v", name, test.takes, got, test.want)
			}
		})
	}
}

func TestRunStopsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d := start(t, func(context.Context, *Progress) error { t.Error("a pass was made"); return nil },
			Options{Interval: time.Hour, Random: func() float64 { return 0.5 }})
		begin := time.Now()
		d.Run(ctx)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("Run returned after %v, want 1s", took)
		}
	})
}

func TestStopLetsItemsFinish(t *testing.T) {
	for name, test := range map[string]struct {
		item     time.Duration
		finished int
		cut      bool
	}{
		"items that finish in time":    {4 * time.Second, 2, false},
		"items that take far too long": {time.Hour, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			finished, cut := 0, false
			d := start(t, func(ctx context.Context, p *Progress) error {
				done := make(chan bool, 10)
				err := Each(ctx, p, slices.Values([]int{1, 2, 3, 4}), Limits{Workers: 2}, func(ctx context.Context, _ int) {
					select {
					case <-time.After(test.item):
						done <- true
					case <-ctx.Done():
						done <- false
					}
				})
				close(done)
				for ok := range done {
					if ok {
						finished++
					} else {
						cut = true
					}
				}
				return err
			}, Options{StopTimeout: 5 * time.Second})
			begin := time.Now()
			if err := d.Once(ctx); !errors.Is(err, ErrStopped) {
				t.Errorf("%s: Once = %v, want ErrStopped", name, err)
			}
			if finished != test.finished || cut != test.cut || time.Since(begin) > 6*time.Second {
				t.Errorf("%s: %d items finished, cut off %v, after %v; want %d, %v, within 6s", name, finished, cut, time.Since(begin), test.finished, test.cut)
			}
		})
	}
}

func TestEachKeepsItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := start(t, func(ctx context.Context, p *Progress) error {
			begin := time.Now()
			if err := Each(ctx, p, slices.Values(make([]int, 101)), Limits{Workers: 1, PerSecond: 10}, func(context.Context, int) {}); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin).Round(time.Millisecond); took != 10*time.Second {
				t.Errorf("101 items at 10 a second took %v, want 10s", took)
			}
			begin = time.Now()
			Each(ctx, p, slices.Values(make([]int, 10)), Limits{Workers: 5}, func(context.Context, int) { time.Sleep(time.Second) })
			if took := time.Since(begin); took != 2*time.Second {
				t.Errorf("10 items of 1s on 5 workers took %v, want 2s", took)
			}
			return nil
		}, Options{})
		if err := d.Once(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestPanicsEndThePassOnly(t *testing.T) {
	var log bytes.Buffer
	d := start(t, func(ctx context.Context, p *Progress) error {
		err := Each(ctx, p, slices.Values([]int{1, 0}), Limits{}, func(_ context.Context, n int) { _ = 1 / n })
		if err != nil || p.Counted("errors") != 1 {
			t.Errorf("Each = %v, %d errors; want 1", err, p.Counted("errors"))
		}
		panic("oh no")
	}, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := d.Once(t.Context()); err == nil || err.Error() != "panic: oh no" {
		t.Errorf("Once = %v", err)
	}
	if !strings.Contains(log.String(), "daemon_test.go") || !strings.Contains(log.String(), "pass failed") {
		t.Errorf("the log has no stack: %s", log.String())
	}
}

func TestOneLineAPeriodAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := start(t, func(ctx context.Context, p *Progress) error {
			for range 5 {
				p.Count("successes", 2)
				time.Sleep(time.Minute)
			}
			p.Count("failures", 1)
			return nil
		}, Options{ReportInterval: 2*time.Minute - time.Second, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == "time" || a.Key == "level" {
					return slog.Attr{}
				}
				return a
			}}))})
		d.Once(t.Context())
		want := `msg="pass begins" daemon=tester
msg="pass under way" daemon=tester took=1m59s successes=4
msg="pass under way" daemon=tester took=3m58s successes=8
msg="pass completed" daemon=tester took=5m0s failures=1 successes=10
`
		if diff := cmp.Diff(want, log.String()); diff != "" {
			t.Errorf("log, -want +got:\n%s", diff)
		}
	})
}

func TestMetricsAreShared(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	fail := errors.New("no")
	for _, err := range []error{nil, fail, ErrStopped} {
		d := start(t, func(_ context.Context, p *Progress) error { p.Count("successes", 2); return err }, Options{Metrics: reg})
		if got := d.Once(t.Context()); got != err {
			t.Errorf("Once = %v, want %v", got, err)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			if m.Counter != nil {
				got[key] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"apus_daemon_items_total tester successes": 6, "apus_daemon_passes_total tester completed": 1,
		"apus_daemon_passes_total tester failed": 1, "apus_daemon_passes_total tester stopped": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics, -want +got:\n%s", diff)
	}
}

func TestConfigMakesOptions(t *testing.T) {
	c := Defaults()
	c.ReconCachePath = t.TempDir()
	o := c.Options(recon.ObjectFile)
	d := start(t, func(ctx context.Context, p *Progress) error {
		p.Recon(ctx, map[string]any{"swept": true})
		return nil
	}, o)
	if err := d.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := recon.File(filepath.Join(c.ReconCachePath, "object.recon")).Load()
	if diff := cmp.Diff(map[string]any{"swept": true}, got); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	c.Interval.Duration, c.ReportInterval.Duration = -1, 0
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "interval: ") || !strings.Contains(err.Error(), "report_interval: ") {
		t.Errorf("Validate = %v", err)
	}
}
