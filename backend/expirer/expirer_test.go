package expirer

import (
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/backend/daemon"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/recon"
	"github.com/apus-storage/apus/ring"
)

// now is the time of all tests.
var now = time.Unix(1700001000, 0)

// A cluster is a pipeline and three container servers in front of one queue.
type cluster struct {
	t    *testing.T
	cfg  Config
	deps Deps

	mu      sync.Mutex // guards the rest
	queue   map[string][]string
	types   map[string]string // content type by row
	deleted []string          // objects, in the order of the requests
	headers map[string]http.Header
	gone    []string // rows and containers of the queue
	codes   map[string][]int
	page    int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, cfg: Defaults(), queue: map[string][]string{}, types: map[string]string{}, headers: map[string]http.Header{}, codes: map[string][]int{}, page: 2}
	c.cfg.DequeueFromLegacy, c.cfg.TasksPerSecond, c.cfg.ReconCachePath = true, 0, ""
	d := nodes.NewDirect(nil)
	var devs []*ring.Device
	for i := range 3 {
		host := fmt.Sprintf("10.0.0.%d", i+1)
		devs = append(devs, &ring.Device{ID: i, Region: 1, IP: "192.0.2.1", Port: 1, ReplicationIP: host, ReplicationPort: 6201, Name: "sda", Weight: 1})
		if i < 2 { // the third is down
			d.Handle(host+":6201", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.node(i, w, r) }))
		}
	}
	r, err := ring.New(ring.Parts{NextPartPower: -1, Devices: devs, Assignments: [][]uint32{{0}, {1}, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := hashpath.New([]byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.deps = Deps{Pipeline: http.HandlerFunc(c.pipeline), Containers: ring.Fixed(r), Hasher: h, Transport: d, Clock: clock.Func(func() time.Time { return now })}
	return c
}

// node deletes rows.
func (c *cluster) node(node int, w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest, ok := strings.CutPrefix(r.URL.Path, "/sda/0/.expiring_objects/")
	if r.Method != "DELETE" || !ok || r.Header.Get("X-Timestamp") != "1700001000.00000" {
		c.t.Errorf("node got %s %s %v", r.Method, r.URL.Path, r.Header)
	}
	if node == 0 {
		c.gone = append(c.gone, rest)
	}
	w.WriteHeader(204)
}

func (c *cluster) pipeline(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Header.Get("X-Backend-Allow-Reserved-Names") != "true" || r.Header.Get("X-Backend-Use-Replication-Network") != "true" {
		c.t.Errorf("%s %s: headers %v", r.Method, r.URL.Path, r.Header)
	}
	key := r.Method + " " + r.URL.Path
	if codes := c.codes[key]; len(codes) > 0 {
		c.codes[key] = codes[1:]
		if codes[0] == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(codes[0])
		return
	}
	account, container, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	switch {
	case account != ".expiring_objects":
		c.deleted = append(c.deleted, account+"/"+container)
		c.headers[account+"/"+container] = r.Header
		w.WriteHeader(204)
	case r.Method == "HEAD":
		w.Header().Set("X-Account-Container-Count", fmt.Sprint(len(c.queue)))
		w.WriteHeader(204)
	case r.Method == "GET":
		c.listing(w, r, container)
	case r.Method == "DELETE":
		c.gone = append(c.gone, container)
		w.WriteHeader(409)
	}
}

func (c *cluster) listing(w http.ResponseWriter, r *http.Request, container string) {
	var names []string
	for name := range c.queue {
		names = append(names, name)
	}
	if container != "" {
		names = slices.Clone(c.queue[container])
	}
	slices.Sort(names)
	marker := r.URL.Query().Get("marker")
	body := []byte("[")
	n := 0
	for _, name := range names {
		if name <= marker || n == c.page {
			continue
		}
		if n++; n > 1 {
			body = append(body, ',')
		}
		var e listing.Entry
		e.SetText("name", name)
		e.SetText("content_type", c.types[name])
		body = e.Append(body)
	}
	w.Write(append(body, ']'))
}

func (c *cluster) pass() (objectsDone int64, err error) {
	c.t.Helper()
	e, err := New(c.cfg, c.deps)
	if err != nil {
		c.t.Fatal(err)
	}
	o := c.cfg.Options(recon.ObjectFile)
	o.Log = slog.New(slog.DiscardHandler)
	o.Recon = recon.File(filepath.Join(c.t.TempDir(), "object.recon"))
	d, err := daemon.New(e, o)
	if err != nil {
		c.t.Fatal(err)
	}
	err = d.Once(c.t.Context())
	cache, loadErr := o.Recon.Load()
	if loadErr != nil {
		c.t.Error(loadErr)
	}
	if n, ok := cache["expired_last_pass"].(interface{ Int64() (int64, error) }); ok {
		objectsDone, _ = n.Int64()
	}
	return objectsDone, err
}

func check[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", what, diff)
	}
}

func TestWhatIsDueIsDeleted(t *testing.T) {
	c := newCluster(t)
	c.queue = map[string][]string{
		"1699999999": {"1699999990-a/c/x/y é", "1700000990-a/c/later", "1700001001-a/c/not yet", "nonsense", "1699999991-a/c"},
		"1700000999": {"1700000999.12345-a/d/bulk"},
		"1600000000": nil,
		"1700001001": {"1700000000-a/c/not looked at"},
		"zzz":        {"1700000000-a/c/no time"},
	}
	c.types["1700000999.12345-a/d/bulk"] = "application/async-deleted"
	n, err := c.pass()
	check(t, "error", err, nil)
	check(t, "objects", n, 3)
	check(t, "deleted", c.deleted, []string{"a/c/x/y é", "a/d/bulk", "a/c/later"})
	check(t, "gone from the queue", c.gone, []string{"1600000000", "1699999999/1699999990-a/c/x/y é", "1700000999/1700000999.12345-a/d/bulk", "1699999999/1700000990-a/c/later"})
	c.headers["a/c/later"].Del("User-Agent")
	check(t, "headers", c.headers["a/c/later"], http.Header{"X-Timestamp": {"1700000990.00000"}, "X-If-Delete-At": {"1700000990.00000"},
		"X-Backend-Clean-Expiring-Object-Queue": {"no"}, "X-Backend-Allow-Reserved-Names": {"true"}, "X-Backend-Use-Replication-Network": {"true"}})
	check(t, "condition of a bulk delete", c.headers["a/d/bulk"].Values("X-If-Delete-At"), nil)
	check(t, "time of a bulk delete", c.headers["a/d/bulk"].Get("X-Timestamp"), "1700000999.12345")
}

func TestStatusesDecideAboutTheRow(t *testing.T) {
	const recent, old = "1700000000-a/c/o", "1600000000-a/c/o"
	for name, test := range map[string]struct {
		row   string
		async bool
		codes []int
		gone  bool
	}{
		"deleted":                                  {recent, false, []int{204}, true},
		"overtaken by a newer object":              {recent, false, []int{409}, true},
		"missing since a short time":               {recent, false, []int{404}, false},
		"missing for long":                         {old, false, []int{404}, true},
		"another time since a short time":          {recent, false, []int{412}, false},
		"another time for long":                    {old, false, []int{412}, true},
		"a bulk delete of what is missing":         {recent, true, []int{404}, true},
		"a bulk delete with a strange condition":   {recent, true, []int{412}, false},
		"forbidden":                                {old, false, []int{403}, false},
		"trouble twice":                            {recent, false, []int{503, 0, 204}, true},
		"trouble all the time":                     {old, false, []int{503, 500, 0, 204}, false},
		"trouble, then missing since a short time": {recent, false, []int{503, 404, 204}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			c.queue["1600000000"] = []string{test.row}
			if test.async {
				c.types[test.row] = asyncDelete
			}
			c.codes["DELETE /v1/a/c/o"] = test.codes
			n, err := c.pass()
			if want := map[bool]int64{true: 1}[test.gone]; n != want || (len(c.gone) > 0) != test.gone || err != nil {
				t.Errorf("%s: row %q, statuses %v: %d objects, gone %q, %v; want gone %v", name, test.row, test.codes, n, c.gone, err, test.gone)
			}
		})
	}
}

func TestDelays(t *testing.T) {
	c := newCluster(t)
	c.cfg.DelayReaping = map[string]config.Duration{"a%20b": config.Seconds(500), "a%20b/quick": config.Seconds(0), "x/c%2525": config.Seconds(100000)}
	bulk := "1700000900-a b/c/bulk"
	c.types[bulk] = asyncDelete
	c.queue["1600000000"] = []string{"1700000400-a b/c/long ago", "1700000501-a b/c/o", "1700000900-a b/quick/o", "1700000900-x/c/o", "1700000900-x/c%25/o", bulk}
	if _, err := c.pass(); err != nil {
		t.Error(err)
	}
	slices.Sort(c.deleted)
	check(t, "deleted", c.deleted, []string{"a b/c/bulk", "a b/c/long ago", "a b/quick/o", "x/c/o"})
}

func TestExpirersDivideTheQueue(t *testing.T) {
	var all []string
	for i := range 50 {
		all = append(all, fmt.Sprintf("1700000000-a/c/o%02d", i))
	}
	var done []string
	for process := range 3 {
		c := newCluster(t)
		c.page = 100
		c.queue["1600000000"] = all
		c.cfg.Processes, c.cfg.Process = 3, process
		if _, err := c.pass(); err != nil {
			t.Error(err)
		}
		for _, o := range c.deleted {
			row := "1600000000/1700000000-" + o
			sum := md5.Sum([]byte(row))
			want := new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), big.NewInt(3)).Int64()
			if want != int64(process) {
				t.Errorf("process %d took %q, want %d to", process, row, want)
			}
			done = append(done, "1700000000-"+o)
		}
	}
	slices.Sort(done)
	check(t, "all together", done, all)
}

func TestContainersTakeTurns(t *testing.T) {
	rows := func(containers string) []task {
		var ts []task
		for i, c := range containers {
			ts = append(ts, task{account: "a", container: string(c), object: fmt.Sprint(i)})
		}
		return ts
	}
	for _, test := range []struct {
		in   string
		size int
		want string
	}{
		{"aaabbc", 100, "a0 b3 c5 a1 b4 a2"},
		{"aaabbc", 3, "a0 a1 a2 b3 c5 b4"},
		{"aab", 1, "a0 a1 b2"},
		{"", 5, ""},
	} {
		var got []string
		for t := range roundRobin(slices.Values(rows(test.in)), test.size) {
			got = append(got, t.container+t.object)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%q with room for %d: got %q, want %q", test.in, test.size, got, test.want)
		}
	}
	for range roundRobin(slices.Values(rows("ab")), 9) {
		break // must not panic
	}
}

func TestTroubleWithListings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.codes["HEAD /v1/.expiring_objects"] = []int{404}
		if n, err := c.pass(); n != 0 || err != nil {
			t.Errorf("without a queue: %d, %v", n, err)
		}
		c.codes["HEAD /v1/.expiring_objects"] = []int{503, 503, 503}
		if _, err := c.pass(); err == nil {
			t.Error("with a broken queue: no error")
		} else if s, ok := errors.AsType[*StatusError](err); !ok || s.Code != 503 {
			t.Errorf("with a broken queue: %v", err)
		}
		c.queue["1600000000"] = []string{"1600000000-a/c/o1"}
		c.queue["1600000001"] = []string{"1600000000-a/c/o2"}
		c.codes["GET /v1/.expiring_objects/1600000000"] = []int{403}
		n, err := c.pass()
		if err == nil || n != 0 {
			t.Errorf("with a broken container: %d, %v; want an error and no report", n, err)
		}
		check(t, "deleted", c.deleted, []string{"a/c/o2"})
		check(t, "gone", c.gone, []string{"1600000001/1600000000-a/c/o2"})
	})
}

func TestOnlyThoseToldToDequeue(t *testing.T) {
	c := newCluster(t)
	c.cfg.DequeueFromLegacy = false
	c.queue["1600000000"] = []string{"1600000000-a/c/o"}
	if n, err := c.pass(); n != 0 || err != nil || len(c.deleted) > 0 {
		t.Errorf("%d, %v, %q", n, err, c.deleted)
	}
}

func TestConfig(t *testing.T) {
	c := Defaults()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c = Config{Processes: 2, Process: 2, TasksPerSecond: -1, DelayReaping: map[string]config.Duration{"a/": {}, "/c": {}, "a/b/c": {}, "neg": {Duration: -1}}}
	c.ReclaimAge.Duration = -1
	err := c.Validate()
	for _, key := range []string{"concurrency", "request_tries", "process", "round_robin_task_cache_size", "tasks_per_second", "reclaim_age",
		"expiring_objects_account_name", "delay_reaping_a/", "delay_reaping_/c", "delay_reaping_a/b/c", "delay_reaping_neg", "report_interval"} {
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("Validate = %v, want a word on %s", err, key)
		}
	}
	file, err := config.Parse("f", []byte("[object-expirer]\n\"delay_reaping_AUTH_test/c%20d\" = 60\ninterval = 5\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := file.Section(Name)
	got := Defaults()
	if _, err := s.Decode(&got, config.Section{}); err != nil || got.DelayReaping["AUTH_test/c%20d"].Duration != time.Minute || got.Interval.Duration != 5*time.Second {
		t.Errorf("decoded %+v, %v", got, err)
	}
	if _, err := New(Defaults(), Deps{}); err == nil {
		t.Error("New without a ring succeeded")
	}
}

func FuzzParseTask(f *testing.F) {
	f.Add("1700000000-a/c/o")
	f.Add("1700000000.12345-a/c/o/-/")
	f.Fuzz(func(t *testing.T, row string) {
		task, err := parseTask(row)
		if err != nil {
			return
		}
		if task.account == "" || task.container == "" || task.object == "" || !strings.HasSuffix(row, "-"+task.account+"/"+task.container+"/"+task.object) {
			t.Errorf("%q becomes %+v", row, task)
		}
		if _, err := url.Parse("/v1/" + url.PathEscape(task.object)); err != nil {
			t.Errorf("%q: %v", row, err)
		}
	})
}
