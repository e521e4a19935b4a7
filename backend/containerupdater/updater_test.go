package containerupdater

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/recon"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/ring"
)

// A cluster is three account servers and one device of a container server.
type cluster struct {
	t      *testing.T
	dir    string
	pool   *broker.Pool
	hasher hashpath.Hasher
	cfg    Config
	deps   Deps
	now    time.Time

	mu    sync.Mutex // guards the rest
	seen  []*http.Request
	codes [3]int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), cfg: Defaults(), codes: [3]int{201, 201, 201}, now: time.Unix(1700001000, 0)}
	c.pool = broker.NewPool(broker.Options{Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { c.pool.Close() })
	if err := os.Mkdir(filepath.Join(c.dir, "sdb"), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.hasher, err = hashpath.New([]byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	d := nodes.NewDirect(nil)
	var devs []*ring.Device
	for i := range 3 {
		host := fmt.Sprintf("10.0.0.%d", i+1)
		devs = append(devs, &ring.Device{ID: i, Region: 1, IP: "192.0.2.1", Port: 1, ReplicationIP: host, ReplicationPort: 6202, Name: "sda", Weight: 1})
		d.Handle(host+":6202", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.seen = append(c.seen, r)
			w.WriteHeader(c.codes[i])
		}))
	}
	r, err := ring.New(ring.Parts{NextPartPower: -1, Devices: devs, Assignments: [][]uint32{{0}, {1}, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	c.cfg.Devices, c.cfg.MountCheck, c.cfg.ReconCachePath, c.cfg.ContainersPerSecond = c.dir, false, t.TempDir(), 0
	c.deps = Deps{Databases: c.pool, Accounts: ring.Fixed(r), Hasher: c.hasher, Transport: d, Clock: clock.Func(func() time.Time { return c.now })}
	return c
}

func stamp(t *testing.T, s string) timestamp.Timestamp {
	t.Helper()
	at, err := timestamp.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (c *cluster) container(account, name, put string, objects int) *broker.Container {
	c.t.Helper()
	b := c.pool.Container(broker.Place{Device: filepath.Join(c.dir, "sdb"), Partition: "0", Hash: c.hasher.Sum(account, name).Hex()}, account, name)
	if err := b.Create(stamp(c.t, put), 1); err != nil {
		c.t.Fatal(err)
	}
	for i := range objects {
		row := broker.ObjectRow{Name: fmt.Sprint("o", i), CreatedAt: "1700000001.00000", Size: 10, ContentType: "x", ETag: "x", Policy: 1}
		if err := b.PutObject(row); err != nil {
			c.t.Fatal(err)
		}
	}
	return b
}

// pass makes one pass of the updater and returns its figures.
func (c *cluster) pass(u *Updater) map[string]int64 {
	c.t.Helper()
	figures := map[string]int64{}
	o := c.cfg.Options(recon.ContainerFile)
	o.Log = slog.New(slog.DiscardHandler)
	d, err := daemon.New(looker{u, func(p *daemon.Progress) {
		for _, f := range []string{successes, failures, noChanges, quarantines, suppressed, errorsFigure} {
			if n := p.Counted(f); n != 0 {
				figures[f] = n
			}
		}
	}}, o)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := d.Once(c.t.Context()); err != nil {
		c.t.Error(err)
	}
	return figures
}

func (c *cluster) updater() *Updater {
	c.t.Helper()
	u, err := New(c.cfg, c.deps)
	if err != nil {
		c.t.Fatal(err)
	}
	return u
}

// looker looks at the figures of a pass at its end.
type looker struct {
	daemon.Task
	look func(*daemon.Progress)
}

func (l looker) Pass(ctx context.Context, p *daemon.Progress) error {
	err := l.Task.Pass(ctx, p)
	l.look(p)
	return err
}

func check[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", what, diff)
	}
}

func TestChangesAreReportedOnce(t *testing.T) {
	c := newCluster(t)
	b := c.container("AUTH_a", "c é", "1700000000.00000", 2)
	c.container("AUTH_a", "auto", "0", 1)
	u := c.updater()
	check(t, "figures", c.pass(u), map[string]int64{successes: 1})
	check(t, "requests", len(c.seen), 3)
	r := c.seen[0]
	check(t, "request", r.Method+" "+r.URL.Path, "PUT /sda/0/AUTH_a/c é")
	h := r.Header.Clone()
	h.Del("User-Agent")
	check(t, "headers", h, http.Header{"X-Put-Timestamp": {"1700000000.00000"}, "X-Delete-Timestamp": {"0"}, "X-Object-Count": {"2"},
		"X-Bytes-Used": {"20"}, "X-Account-Override-Deleted": {"yes"}, "X-Backend-Storage-Policy-Index": {"1"}})
	check(t, "figures without a change", c.pass(u), map[string]int64{noChanges: 1})
	if err := b.Delete(stamp(t, "1700000100.00000")); err != nil {
		t.Fatal(err)
	}
	check(t, "figures after a deletion", c.pass(u), map[string]int64{successes: 1})
	check(t, "deletion", c.seen[len(c.seen)-1].Header.Get("X-Delete-Timestamp"), "1700000100.00000")
	cache, err := recon.File(filepath.Join(c.cfg.ReconCachePath, "container.recon")).Load()
	if err != nil || cache["container_updater_sweep"] == nil {
		t.Errorf("recon %v, %v", cache, err)
	}
}

func TestAMajorityDecides(t *testing.T) {
	for name, test := range map[string]struct {
		codes       [3]int
		want, again map[string]int64 // figures of this pass, and of the next when all is well
		quarantined bool
	}{
		"two of three":            {[3]int{201, 503, 204}, map[string]int64{successes: 1}, map[string]int64{noChanges: 1}, false},
		"one of three":            {[3]int{201, 503, 404}, map[string]int64{failures: 1}, map[string]int64{suppressed: 1}, false},
		"two know no account":     {[3]int{404, 503, 404}, map[string]int64{failures: 1}, map[string]int64{suppressed: 1}, false},
		"nobody knows an account": {[3]int{404, 404, 404}, map[string]int64{failures: 1, quarantines: 1}, map[string]int64{}, true},
	} {
		c := newCluster(t)
		b := c.container("AUTH_a", "c", "1700000000.00000", 1)
		u := c.updater()
		c.codes = test.codes
		check(t, name, c.pass(u), test.want)
		c.codes = [3]int{201, 201, 201}
		check(t, name+": the next pass", c.pass(u), test.again)
		_, err := os.Stat(filepath.Join(c.dir, "sdb/quarantined/containers", c.hasher.Sum("AUTH_a", "c").Hex()))
		check(t, name+": quarantined", err == nil, test.quarantined)
		if info, err := b.Info(broker.StaleOK); !test.quarantined && (err != nil || info.NeedsReport() != (test.again[noChanges] == 0)) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		c.now = c.now.Add(61 * time.Second)
		if test.again[suppressed] > 0 {
			check(t, name+": a minute later", c.pass(u), map[string]int64{successes: 1})
		}
	}
}

func TestShardsReportNoObjects(t *testing.T) {
	for name, test := range map[string]struct{ key, root, want string }{
		"a shard":                  {"X-Container-Sysmeta-Shard-Quoted-Root", "AUTH_a/big%20one", "0"},
		"a shard of an older time": {"X-Container-Sysmeta-Shard-Root", "AUTH_a/big", "0"},
		"its own root":             {"X-Container-Sysmeta-Shard-Quoted-Root", ".shards_AUTH_a/c%201", "2"},
	} {
		c := newCluster(t)
		b := c.container(".shards_AUTH_a", "c 1", "1700000000.00000", 2)
		if err := b.UpdateMetadata(broker.Metadata{test.key: {Value: test.root, Timestamp: "1700000000.00000"}}, nil); err != nil {
			t.Fatal(err)
		}
		check(t, name, c.pass(c.updater()), map[string]int64{successes: 1})
		check(t, name+": objects", c.seen[0].Header.Get("X-Object-Count"), test.want)
	}
}

func TestWhatIsNoDatabase(t *testing.T) {
	c := newCluster(t)
	hash := strings.Repeat("a", 32)
	for _, dir := range []string{"sdb/containers/1/aaa/" + hash, "sdb/containers/1/bbb/" + hash, "sdb/containers/1/aaa/x", "sdb/accounts"} {
		if err := os.MkdirAll(filepath.Join(c.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	check(t, "figures without a database", c.pass(c.updater()), map[string]int64{})
	if err := os.WriteFile(filepath.Join(c.dir, "sdb/containers/1/aaa", hash, hash+".db"), []byte(strings.Repeat("no SQLite", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	check(t, "figures with a damaged one", c.pass(c.updater()), map[string]int64{errorsFigure: 1})
}

func TestValidate(t *testing.T) {
	c := Defaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c = Config{ContainersPerSecond: -1}
	c.AccountSuppressionTime.Duration = -1
	err := c.Validate()
	for _, key := range []string{"concurrency", "containers_per_second", "node_timeout", "conn_timeout", "account_suppression_time", "report_interval"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("Validate = %v, want a word on %s", err, key)
		}
	}
	if _, err := New(Defaults(), Deps{}); err == nil {
		t.Error("New without a ring succeeded")
	}
}
