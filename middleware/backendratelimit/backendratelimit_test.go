// There is no recording of OpenStack Swift here: the filter is newer than the release that the others were made with, 2.30.
package backendratelimit

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// host is a storage node whose time stands still.
func host(t testing.TB) (middleware.Host, *time.Time) {
	h := mt.Host(t)
	h.Server = "object"
	now := time.Unix(1700000000, 0)
	h.Clock = clock.Func(func() time.Time { return now })
	return h, &now
}

func TestConform(t *testing.T) {
	h := mt.Host(t)
	h.Server = "object"
	const config = "requests_per_device_per_second = 1000000\nput_requests_per_device_per_second = 1000000"
	mt.ConformWith(t, h, Filter, config, nil, mt.MaxAllocs(0), mt.Path("/sdb1/12/AUTH_test/c/o"))
}

func BenchmarkPass(b *testing.B) {
	h := mt.Host(b)
	h.Server = "object"
	f := mt.BuildOn(b, h, Filter, "requests_per_device_per_second = 100000000\nget_requests_per_device_per_second = 100000000", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/sdb1/12/a/c/o", nil)
	b.ReportAllocs()
	for b.Loop() {
		f.ServeHTTP(nil, r)
	}
}

// passed sends n requests at once and counts those that are let in.
func passed(t *testing.T, h http.Handler, method, path string, n int) int {
	t.Helper()
	in := 0
	for range n {
		switch got := mt.Do(t, h, method, path); {
		case got.Code == 200:
			in++
		case got.Code != 529 || got.Body != "Too Many Backend Requests" && method != "HEAD":
			t.Errorf("%s %s: got %d %q, want 200 or 529", method, path, got.Code, got.Body)
		}
	}
	return in
}

func TestRates(t *testing.T) {
	type step struct {
		after        time.Duration
		method, path string
		send, want   int
	}
	for _, tc := range []struct {
		name, config string
		steps        []step
	}{
		{"no rate", "", []step{{0, "GET", "/sdb1/1/a", 50, 50}}},
		{"a burst after idling, then the rate", "requests_per_device_per_second = 10", []step{
			{0, "GET", "/sdb1/1/a", 50, 11}, {0, "PUT", "/sdb1/2/b", 5, 0}, {100 * time.Millisecond, "GET", "/sdb1/1/a", 5, 1},
			{500 * time.Millisecond, "GET", "/sdb1/1/a", 50, 5}, {time.Hour, "GET", "/sdb1/1/a", 50, 11}}},
		{"no burst", "requests_per_device_per_second = 10\nrequests_per_device_rate_buffer = 0", []step{
			{0, "GET", "/sdb1/1/a", 5, 1}, {99 * time.Millisecond, "GET", "/sdb1/1/a", 5, 0}, {time.Millisecond, "GET", "/sdb1/1/a", 5, 1}, {time.Hour, "GET", "/sdb1/1/a", 5, 1}}},
		{"a long burst", "requests_per_device_per_second = 10\nrequests_per_device_rate_buffer = 2.5", []step{{0, "GET", "/sdb1/1/a", 50, 26}}},
		{"each device by itself", "requests_per_device_per_second = 4", []step{
			{0, "GET", "/sdb1/1/a", 9, 5}, {0, "GET", "/sdb2/1/a", 9, 5}, {0, "GET", "/sdb1/7/a/c/o", 9, 0}}},
		{"one method", "put_requests_per_device_per_second = 4", []step{
			{0, "PUT", "/sdb1/1/a", 9, 5}, {0, "GET", "/sdb1/1/a", 9, 9}, {0, "DELETE", "/sdb1/1/a", 9, 9}}},
		{"the sum and a method", "requests_per_device_per_second = 9\nget_requests_per_device_per_second = 3", []step{
			{0, "GET", "/sdb1/1/a", 6, 4}, {0, "PUT", "/sdb1/1/a", 9, 4}}},
		{"backend methods", "replicate_requests_per_device_per_second = 1\nupdate_requests_per_device_per_second = 2\nhead_requests_per_device_per_second = 3\npost_requests_per_device_per_second = 4\ndelete_requests_per_device_per_second = 5", []step{
			{0, "REPLICATE", "/sdb1/1/abc", 9, 2}, {0, "UPDATE", "/sdb1/1/a", 9, 3}, {0, "HEAD", "/sdb1/1/a", 9, 4}, {0, "POST", "/sdb1/1/a", 9, 5}, {0, "DELETE", "/sdb1/1/a", 9, 6}}},
		{"other paths", "requests_per_device_per_second = 1\nrequests_per_device_rate_buffer = 0", []step{
			{0, "GET", "/recon/mem", 9, 9}, {0, "GET", "/healthcheck", 9, 9}, {0, "GET", "/sdb1/x1/a", 9, 9}, {0, "GET", "/sdb1", 9, 9}, {0, "GET", "/", 9, 9}, {0, "GET", "/sdb1/", 9, 9}, {0, "GET", "//1/a", 9, 9},
			{0, "GET", "/sdb1/1", 9, 1}}},
		{"a rate below one", "requests_per_device_per_second = 0.5\nrequests_per_device_rate_buffer = 0", []step{
			{0, "GET", "/sdb1/1/a", 2, 1}, {time.Second, "GET", "/sdb1/1/a", 2, 0}, {time.Second, "GET", "/sdb1/1/a", 2, 1}}},
		{"hardly any rate", "requests_per_device_per_second = 1e-300", []step{{0, "GET", "/sdb1/1/a", 3, 1}, {time.Hour, "GET", "/sdb1/1/a", 3, 0}}},
	} {
		h, now := host(t)
		p := mt.BuildOn(t, h, Filter, tc.config, mt.NewApp().Otherwise(mt.Answer{}))
		for i, s := range tc.steps {
			*now = now.Add(s.after)
			if got := passed(t, p, s.method, s.path, s.send); got != s.want {
				t.Errorf("%s, step %d: of %d %s %s %d were let in, want %d", tc.name, i, s.send, s.method, s.path, got, s.want)
			}
		}
	}
}

// TestEveryOption sets each rate, in the filter's section and in the file, to 4 with the default burst of a second.
func TestEveryOption(t *testing.T) {
	methods := []string{"GET", "HEAD", "PUT", "POST", "DELETE", "UPDATE", "REPLICATE"}
	options := map[string][]string{"requests_per_device_per_second": append(methods, "BREW")} // what they limit
	for _, m := range methods {
		options[strings.ToLower(m)+"_requests_per_device_per_second"] = []string{m}
	}
	for option, limits := range options {
		for _, where := range []string{"section", "file"} {
			for _, method := range append(methods, "BREW") {
				h, _ := host(t)
				section := option + " = 4"
				if where == "file" {
					if err := os.WriteFile(filepath.Join(h.Dir, "backend-ratelimit.conf"), []byte("[backend_ratelimit]\n"+section), 0o600); err != nil {
						t.Fatal(err)
					}
					section = option + " = 2"
				}
				want := 9
				if slices.Contains(limits, method) {
					want = 5
				}
				p := mt.BuildOn(t, h, Filter, section, mt.NewApp().Otherwise(mt.Answer{}))
				if got := passed(t, p, method, "/sdb1/1/a", 9); got != want {
					t.Errorf("%s in the %s: of 9 %s %d were let in, want %d", option, where, method, got, want)
				}
			}
		}
	}
}

func TestNothingIsTold(t *testing.T) {
	h, _ := host(t)
	p, err := mt.TryBuild(h, Filter, "requests_per_device_per_second = 4", mt.NewApp())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if info := p.Info(); len(info.Public)+len(info.Admin) != 0 {
		t.Errorf("/info has %v, want nothing", info)
	}
}

func TestItCounts(t *testing.T) {
	h, _ := host(t)
	var sent []string
	h.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) { sent = append(sent, packet) })
	p := mt.BuildOn(t, h, Filter, "requests_per_device_per_second = 1", mt.NewApp().Otherwise(mt.Answer{}))
	passed(t, p, "GET", "/sdb1/1/a", 4)
	if len(sent) != 2 || !strings.Contains(sent[0], "backend.ratelimit:1|c") {
		t.Errorf("metrics %q, want two", sent)
	}
}

func TestTheFile(t *testing.T) {
	h, now := host(t)
	log := mt.Capture(&h)
	path := filepath.Join(h.Dir, "backend-ratelimit.conf")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := mt.BuildOn(t, h, Filter, "requests_per_device_per_second = 10\nrequests_per_device_rate_buffer = 1", mt.NewApp().Otherwise(mt.Answer{}))
	check := func(what string, want int) {
		t.Helper()
		if got := passed(t, p, "GET", "/sdb1/1/a", 50); got != want {
			t.Errorf("%s: %d were let in, want %d", what, got, want)
		}
		*now = now.Add(61 * time.Second)
	}
	check("without a file", 11)
	check("still without", 11)
	if strings.Contains(log.String(), "missing") {
		t.Errorf("a file that nobody asked for is missed: %s", log)
	}
	write("[backend_ratelimit]\nrequests_per_device_per_second = 5\n")
	check("with a file", 6)
	write("[backend_ratelimit]\nrequests_per_device_per_second = five\n")
	check("with a bad one", 6)
	if !strings.Contains(log.String(), "backend-ratelimit.conf:2: backend_ratelimit.requests_per_device_per_second") {
		t.Errorf("the fault is not logged: %s", log)
	}
	write("[backend_ratelimit]\nget_requests_per_device_per_second = 3\n")
	check("an option that is gone, and another", 4)
	os.Remove(path)
	check("without the file again", 4)
	if !strings.Contains(log.String(), "missing") {
		t.Errorf("a file that was there is not missed: %s", log)
	}
	write("[backend_ratelimit]\nrequests_per_device_rate_buffer = 2.5\n")
	check("the burst, and the filter's rate again", 26)
	write("[backend_ratelimit]\nrequests_per_device_per_second = 0\n")
	*now = now.Add(-time.Second - time.Nanosecond)
	check("before it is time", 26)
	check("without a rate", 50)
}

func TestTheFileIsReadEachInterval(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		interval     time.Duration
	}{{"by default", "", 60 * time.Second}, {"another", "config_reload_interval = 2.5", 2500 * time.Millisecond}} {
		h, now := host(t)
		p := mt.BuildOn(t, h, Filter, tc.config+"\nrequests_per_device_rate_buffer = 0", mt.NewApp().Otherwise(mt.Answer{}))
		if err := os.WriteFile(filepath.Join(h.Dir, "backend-ratelimit.conf"), []byte("[backend_ratelimit]\nrequests_per_device_per_second = 5\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		*now = now.Add(tc.interval - time.Nanosecond)
		if got := passed(t, p, "GET", "/sdb1/1/a", 3); got != 3 {
			t.Errorf("%s, just before: %d were let in, want 3", tc.name, got)
		}
		*now = now.Add(time.Nanosecond)
		if got := passed(t, p, "GET", "/sdb1/1/a", 3); got != 1 {
			t.Errorf("%s, in time: %d were let in, want 1", tc.name, got)
		}
	}
}

func TestTheFileIsReadOnceWithoutAnInterval(t *testing.T) {
	h, now := host(t)
	path := filepath.Join(t.TempDir(), "rates")
	os.WriteFile(path, []byte("[backend_ratelimit]\nrequests_per_device_per_second = 5\n"), 0o600)
	p := mt.BuildOn(t, h, Filter, "config_reload_interval = 0\nbackend_ratelimit_conf_path = "+strconv.Quote(path), mt.NewApp().Otherwise(mt.Answer{}))
	os.Remove(path)
	*now = now.Add(time.Hour)
	if got := passed(t, p, "GET", "/sdb1/1/a", 50); got != 6 {
		t.Errorf("%d were let in, want 6", got)
	}
}

func TestWhatIsRefused(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "rates")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "backend_ratelimit_conf_path = " + strconv.Quote(path)
	}
	for _, tc := range []struct{ name, config, want string }{
		{"a negative rate", "get_requests_per_device_per_second = -1", "test.toml:6"},
		{"a rate that is no number", "get_requests_per_device_per_second = nan", "test.toml:6"},
		{"a rate without end", "put_requests_per_device_per_second = inf", "test.toml:6"},
		{"a negative buffer", "requests_per_device_rate_buffer = -1", "test.toml:6"},
		{"a negative interval", "config_reload_interval = -1", "test.toml:6"},
		{"a file without the section", file("[other]\n"), "no section"},
		{"a file with an unknown option", file("[backend_ratelimit]\n\nx = 1\n"), "rates:3: backend_ratelimit.x: unknown"},
		{"a file with a bad rate", file("[backend_ratelimit]\nput_requests_per_device_per_second = -1\n"), "rates:2"},
		{"a file that is none", file("x"), "rates:1"},
	} {
		h, _ := host(t)
		p, err := mt.TryBuild(h, Filter, tc.config, mt.NewApp())
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error with %q", tc.name, err, tc.want)
		}
	}
	if _, err := mt.TryBuild(mt.Host(t), Filter, "", mt.NewApp()); err == nil || !strings.Contains(err.Error(), "storage nodes") {
		t.Errorf("in a proxy: %v, want an error", err)
	}
}

func TestAFileThatWasAskedForIsMissed(t *testing.T) {
	h, _ := host(t)
	log := mt.Capture(&h)
	mt.BuildOn(t, h, Filter, `backend_ratelimit_conf_path = "/nonexistent/rates"`, mt.NewApp())
	if !strings.Contains(log.String(), "missing") {
		t.Errorf("log: %s", log)
	}
}

func TestDevicesThatDoNotExistTakeLittleMemory(t *testing.T) {
	h, _ := host(t)
	i, err := build(h, Config{Requests: 1})
	if err != nil {
		t.Fatal(err)
	}
	n := i.Wrap(nil).(*filter).node
	for d := range 2*maxLimiters + 10 {
		n.limiter(limited{strconv.Itoa(d), ""})
	}
	if len(n.limiters) > maxLimiters {
		t.Errorf("%d limiters, want at most %d", len(n.limiters), maxLimiters)
	}
}

func TestManyAtOnce(t *testing.T) {
	h, _ := host(t)
	p := mt.BuildOn(t, h, Filter, "requests_per_device_per_second = 100\nconfig_reload_interval = 1e-9", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var all sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for range 8 {
		all.Go(func() {
			for range 50 {
				rec := httptest.NewRecorder()
				p.ServeHTTP(rec, httptest.NewRequest("GET", "/sdb1/1/a", nil))
				mu.Lock()
				if rec.Code == 200 {
					in++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if in != 101 {
		t.Errorf("%d of 400 were let in, want 101", in)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("[backend_ratelimit]\nrequests_per_device_per_second = 5\n")
	f.Add("[DEFAULT]\nx=1\n[backend_ratelimit]\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "rates")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := defaults().withFile(path); err == nil && c.Validate() != nil {
			t.Errorf("%q: taken, but %v", text, c.Validate())
		}
	})
}
