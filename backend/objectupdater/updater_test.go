package objectupdater

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/backend/updates"
	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/recon"
	"github.com/apus-storage/apus/ring"
)

// A cluster is three container servers and the devices of one object server.
type cluster struct {
	t      testing.TB
	fs     disk.FS
	memory *disk.Memory
	hasher hashpath.Hasher
	direct *nodes.Direct
	ring   *ring.Live
	cfg    Config

	mu   sync.Mutex // guards the rest
	seen []string   // "node method path", in order of path and node
	last http.Header
	// answer decides what a node says; nil means 201.
	answer func(node int, r *http.Request, h http.Header) int
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, memory: disk.NewMemory(disk.Space{}), direct: nodes.NewDirect(nil), cfg: Defaults()}
	c.fs = c.memory
	var err error
	if c.hasher, err = hashpath.New([]byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	var devs []*ring.Device
	for i := range 3 {
		host := fmt.Sprintf("10.0.0.%d", i+1)
		devs = append(devs, &ring.Device{ID: i, Region: 1, IP: "192.0.2.1", Port: 1, ReplicationIP: host, ReplicationPort: 6201, Name: "sdc", Weight: 1})
		c.direct.Handle(host+":6201", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(i, w, r) }))
	}
	r, err := ring.New(ring.Parts{NextPartPower: -1, Devices: devs, Assignments: [][]uint32{{0}, {1}, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	c.ring = ring.Fixed(r)
	if _, err := disk.MkdirAll(c.memory, "/srv/sda"); err != nil {
		t.Fatal(err)
	}
	c.cfg.Devices, c.cfg.MountCheck, c.cfg.ReconCachePath, c.cfg.ObjectsPerSecond = "/srv", false, "", 0
	return c
}

func (c *cluster) serve(node int, w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, fmt.Sprintf("%d %s %s", node, r.Method, r.URL.Path))
	c.last = r.Header
	code := 201
	if c.answer != nil {
		code = c.answer(node, r, w.Header())
	}
	w.WriteHeader(code)
}

func (c *cluster) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Sorted(slices.Values(c.seen))
	c.seen = nil
	return out
}

func (c *cluster) save(p policy.Index, u updates.Update) {
	c.t.Helper()
	if err := updates.NewQueue(c.memory, "/srv", c.hasher).Save("sda", p, u); err != nil {
		c.t.Fatal(err)
	}
}

func update(object, at string) updates.Update {
	return updates.Update{Op: "PUT", Account: "a", Container: "c", Object: object, Headers: []updates.Header{
		{Name: "X-Timestamp", Value: at}, {Name: "X-Size", Value: "7"}, {Name: "User-Agent", Value: "object-server 1"},
	}}
}

func (c *cluster) pass() (figures map[string]int64, err error) {
	c.t.Helper()
	set, err := policy.NewSet(policy.Policy{Index: 0, Name: "gold", Default: true}, policy.Policy{Index: 1, Name: "silver"})
	if err != nil {
		c.t.Fatal(err)
	}
	u, err := New(c.cfg, Deps{FS: c.fs, Containers: c.ring, Hasher: c.hasher, Policies: set, Transport: c.direct})
	if err != nil {
		c.t.Fatal(err)
	}
	o := c.cfg.Options(recon.ObjectFile)
	o.Log = slog.New(slog.DiscardHandler)
	figures = map[string]int64{}
	d, err := daemon.New(taskFunc{u, func(p *daemon.Progress) {
		for _, f := range []string{successes, failures, quarantines, unlinks, errorsFigure, redirects, skips, deferrals, drains} {
			if n := p.Counted(f); n != 0 {
				figures[f] = n
			}
		}
	}}, o)
	if err != nil {
		c.t.Fatal(err)
	}
	return figures, d.Once(c.t.Context())
}

// taskFunc looks at the figures of a pass at its end.
type taskFunc struct {
	daemon.Task
	look func(*daemon.Progress)
}

func (f taskFunc) Pass(ctx context.Context, p *daemon.Progress) error {
	err := f.Task.Pass(ctx, p)
	f.look(p)
	return err
}

// files returns what waits, decoded.
func (c *cluster) files() map[string]updates.Update {
	c.t.Helper()
	out := map[string]updates.Update{}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := c.memory.Names(dir, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, n := range names {
			file := dir + "/" + n
			if info, _ := c.memory.Stat(file); info.IsDir {
				walk(file)
				continue
			}
			data, err := disk.ReadFile(c.memory, file)
			if err != nil {
				c.t.Fatal(err)
			}
			u, _ := updates.Decode(data)
			out[strings.TrimPrefix(file, "/srv/sda/")] = u
		}
	}
	walk("/srv/sda")
	return out
}

func check[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", what, diff)
	}
}

func TestDeliveredToEverybody(t *testing.T) {
	c := newCluster(t)
	c.cfg.ReconCachePath = t.TempDir()
	c.save(1, update("o é", "1700000000.00000"))
	figures, err := c.pass()
	check(t, "error", err, nil)
	check(t, "figures", figures, map[string]int64{successes: 1, unlinks: 1})
	check(t, "requests", c.requests(), []string{"0 PUT /sdc/0/a/c/o é", "1 PUT /sdc/0/a/c/o é", "2 PUT /sdc/0/a/c/o é"})
	c.last.Del("User-Agent")
	check(t, "headers", c.last, http.Header{"X-Timestamp": {"1700000000.00000"}, "X-Size": {"7"}, "X-Backend-Storage-Policy-Index": {"1"},
		"X-Backend-Accept-Redirect": {"true"}, "X-Backend-Accept-Quoted-Location": {"true"}})
	check(t, "files left", c.files(), map[string]updates.Update{})
	if names, _ := c.memory.Names("/srv/sda/async_pending-1", nil); len(names) > 0 {
		t.Errorf("directories left: %q", names)
	}
	cache, err := recon.File(filepath.Join(c.cfg.ReconCachePath, "object.recon")).Load()
	if err != nil || cache["object_updater_sweep"] == nil {
		t.Errorf("recon %v, %v", cache, err)
	}
}

func TestSomeTakeItNow(t *testing.T) {
	c := newCluster(t)
	c.save(0, update("o", "1"))
	c.answer = func(node int, _ *http.Request, _ http.Header) int { return []int{201, 503, 404}[node] }
	figures, _ := c.pass()
	check(t, "figures", figures, map[string]int64{failures: 1})
	c.requests()
	for name, u := range c.files() {
		check(t, "successes in "+name, u.Successes, []int64{0})
	}
	c.answer = nil
	figures, _ = c.pass()
	check(t, "figures of the second pass", figures, map[string]int64{successes: 1, unlinks: 1})
	check(t, "requests of the second pass", c.requests(), []string{"1 PUT /sdc/0/a/c/o", "2 PUT /sdc/0/a/c/o"})
	check(t, "files left", len(c.files()), 0)
}

func TestTheNewestOfAnObjectIsSent(t *testing.T) {
	c := newCluster(t)
	for _, at := range []string{"1700000000.00000", "1700000002.00000_0000000000000001", "1700000002.00000"} {
		c.save(0, update("o", at))
	}
	c.save(0, update("other", "1"))
	figures, _ := c.pass()
	check(t, "figures", figures, map[string]int64{successes: 2, unlinks: 4})
	check(t, "requests", len(c.requests()), 6)
	check(t, "files left", len(c.files()), 0)
}

func redirectTo(path, at string) func(http.Header) {
	return func(h http.Header) {
		h.Set("Location", path)
		h.Set("X-Backend-Location-Is-Quoted", "true")
		h.Set("X-Backend-Redirect-Timestamp", at)
	}
}

func TestRedirects(t *testing.T) {
	c := newCluster(t)
	u := update("o", "1700000000.00000")
	u.Successes = []int64{9}
	c.save(0, u)
	c.answer = func(node int, r *http.Request, h http.Header) int {
		if r.URL.Path == "/sdc/0/a/c/o" {
			redirectTo([]string{"http://h/.shards_a/old/o", "/.shards_a/new%20one/o?x", "/.shards_a/old/o"}[node], []string{"1", "2", "1"}[node])(h)
			return 301
		}
		return []int{201, 500, 201}[node]
	}
	figures, _ := c.pass()
	check(t, "figures", figures, map[string]int64{redirects: 1, failures: 1})
	check(t, "requests after the redirect", c.requests()[3:], []string{"1 PUT /sdc/0/a/c/o", "2 PUT /sdc/0/.shards_a/new one/o", "2 PUT /sdc/0/a/c/o"})
	for name, u := range c.files() {
		check(t, "shard in "+name, u.ContainerPath, ".shards_a/new one")
		check(t, "successes in "+name, u.Successes, []int64{0, 2})
		check(t, "history in "+name, u.RedirectHistory, []string{".shards_a/new one"})
	}
	// The shard sends it on to where it has been: back to the root.
	c.answer = func(_ int, r *http.Request, h http.Header) int {
		if strings.Contains(r.URL.Path, ".shards_a") {
			redirectTo("/.shards_a/new%20one/o", "3")(h)
			return 301
		}
		return 201
	}
	figures, _ = c.pass()
	check(t, "figures of the second pass", figures, map[string]int64{redirects: 1, successes: 1, unlinks: 1})
	check(t, "files left", len(c.files()), 0)
}

func TestARedirectThatLeadsNowhereIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(h http.Header)
		want   string
	}{
		"to a shard that is down": {redirectTo("/.shards_a/s/o", "1"), ".shards_a/s"},
		"without a location":      {func(http.Header) {}, ""},
		"to no container":         {redirectTo("/.shards_a", "1"), ""},
		"without a time":          {redirectTo("/.shards_a/s/o", ""), ""},
	} {
		c := newCluster(t)
		c.save(0, update("o", "1"))
		c.answer = func(_ int, r *http.Request, h http.Header) int {
			if strings.Contains(r.URL.Path, ".shards_a") {
				return 503
			}
			test.answer(h)
			return 301
		}
		c.pass()
		files := c.files()
		check(t, name+": files", len(files), 1)
		for _, u := range files {
			check(t, name+": shard", u.ContainerPath, test.want)
		}
	}
}

func (c *cluster) put(name, content string) {
	c.t.Helper()
	if _, err := disk.MkdirAll(c.memory, filepath.Dir(name)); err != nil {
		c.t.Fatal(err)
	}
	f, err := c.memory.Open(name, 0o101, 0o600) // O_WRONLY|O_CREATE
	if err != nil {
		c.t.Fatal(err)
	}
	f.Write([]byte(content))
	if err := f.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func TestWhatIsNoUpdate(t *testing.T) {
	c := newCluster(t)
	hash := strings.Repeat("0", 29) + "abc"
	c.put("/srv/sda/async_pending/abc/"+hash+"-0000000002.00000", "no pickle")
	c.put("/srv/sda/async_pending/abc/stray-name-here", "x")
	c.put("/srv/sda/async_pending/file", "x")
	c.put("/srv/sda/async_pending-7/abc/"+hash+"-0000000001.00000", "x")
	c.put("/srv/sda/async_pending-x/abc/y", "x")
	c.put("/srv/file", "x")
	figures, err := c.pass()
	check(t, "error", err, nil)
	check(t, "figures", figures, map[string]int64{quarantines: 1, errorsFigure: 1})
	got := slices.Sorted(maps.Keys(c.files()))
	check(t, "files", got, []string{"async_pending-7/abc/" + hash + "-0000000001.00000", "async_pending-x/abc/y",
		"async_pending/abc/stray-name-here", "async_pending/file", "quarantined/objects/" + hash + "-0000000002.00000"})
}

func TestBusyContainersArePutOff(t *testing.T) {
	for name, test := range map[string]struct {
		room     int
		interval time.Duration
		want     map[string]int64
	}{
		"all are sent in the end":       {100, time.Minute, map[string]int64{successes: 5, unlinks: 5, deferrals: 4, drains: 4}},
		"no room to put off":            {0, time.Minute, map[string]int64{successes: 1, unlinks: 1, deferrals: 4, skips: 4}},
		"room for some":                 {3, time.Minute, map[string]int64{successes: 4, unlinks: 4, deferrals: 4, drains: 3, skips: 1}},
		"the interval is over too soon": {100, 3500 * time.Millisecond, map[string]int64{successes: 3, unlinks: 3, deferrals: 4, drains: 2, skips: 2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			c.cfg.MaxObjectsPerContainerPerSecond, c.cfg.MaxDeferredUpdates = 0.5, test.room
			c.cfg.Interval.Duration = test.interval
			for i := range 5 {
				c.save(0, update(fmt.Sprint("o", i), "1"))
			}
			figures, _ := c.pass()
			check(t, name, figures, test.want)
			check(t, name+": files left", int64(len(c.files())), 5-test.want[unlinks])
		})
	}
}

// A machine that loses power at any point must not lose an update that somebody has not got.
func TestPowerLoss(t *testing.T) {
	for n := int64(0); ; n++ {
		c := newCluster(t)
		c.save(0, update("o", "1"))
		if err := disk.SyncDirs(c.memory, "/srv/sda/async_pending", 3); err != nil {
			t.Fatal(err)
		}
		first := true
		has := map[int]bool{}
		c.answer = func(node int, _ *http.Request, _ http.Header) int {
			if node == 1 && first {
				return 503
			}
			has[node] = true
			return 201
		}
		faults := disk.NewFaults(c.memory, disk.CrashAt(n))
		c.fs = faults
		c.pass()
		first = false
		c.pass()
		if faults.Count() <= n {
			return
		}
		c.memory.Crash(uint64(n))
		left := len(c.files())
		if left == 0 && len(has) < 3 {
			t.Fatalf("power lost at operation %d: no file is left, and only %v have the update", n, has)
		}
		c.fs = c.memory
		if c.pass(); len(has) < 3 {
			t.Fatalf("power lost at operation %d: only %v have the update in the end", n, has)
		}
	}
}

func TestValidate(t *testing.T) {
	c := Defaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c = Config{MaxDeferredUpdates: -1, ObjectsPerSecond: -1, MaxObjectsPerContainerPerSecond: -1}
	err := c.Validate()
	for _, key := range []string{"concurrency", "updater_workers", "per_container_ratelimit_buckets", "max_deferred_updates",
		"objects_per_second", "max_objects_per_container_per_second", "node_timeout", "conn_timeout", "report_interval"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("Validate = %v, want a word on %s", err, key)
		}
	}
	if _, err := New(c, Deps{}); err == nil {
		t.Error("New took it")
	}
	if _, err := New(Defaults(), Deps{}); err == nil || errors.Is(err, daemon.ErrStopped) {
		t.Errorf("New without a ring: %v", err)
	}
}
