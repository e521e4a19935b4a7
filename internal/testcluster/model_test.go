package testcluster

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/disk"
)

var (
	seedFlag  = flag.Uint64("testcluster.seed", 0, "seed of the model tests; 0: the built-in ones")
	stepsFlag = flag.Int("testcluster.steps", 0, "steps of each client in the model tests; 0: few enough for every day")
	logFlag   = flag.Bool("testcluster.log", false, "log what the servers say in the model tests")
)

// write is something that a client wanted to change about an object.
type write struct {
	id    int
	kind  string // PUT, DELETE, POST
	etag  string // of a PUT
	body  []byte
	start int64 // on the model's own clock
	end   int64 // when the answer came; 0: not yet
	acked bool  // otherwise it is in doubt
}

// subject is what the model knows of one name.
type subject struct {
	container, name string
	mu              sync.Mutex // guards writes
	writes          []*write
}

func (o *subject) path() string { return "/v1/AUTH_model/" + o.container + "/" + o.name }

// begin notes a write before it is sent.
func (m *model) begin(o *subject, w *write) *write {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.start = m.now.Add(1)
	o.writes = append(o.writes, w)
	return w
}

func (m *model) end(o *subject, w *write, acked bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.end, w.acked = m.now.Add(1), acked
}

// candidates are the writes that may have been the last: no acknowledged one began after they had ended.
func (o *subject) candidates() []*write {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []*write
	for _, w := range o.writes {
		if w.kind == http.MethodPost {
			continue
		}
		if !slices.ContainsFunc(o.writes, func(v *write) bool {
			return v.acked && v.kind != http.MethodPost && w.end != 0 && v.start > w.end
		}) {
			out = append(out, w)
		}
	}
	return out
}

// mayBeMissing says whether one of the candidates leaves the name without an object.
func (o *subject) mayBeMissing() bool {
	cs := o.candidates()
	return !slices.ContainsFunc(cs, func(w *write) bool { return w.acked && w.kind == http.MethodPut }) ||
		slices.ContainsFunc(cs, func(w *write) bool { return w.kind == http.MethodDelete })
}

// find returns the PUT that a representation is of, by its Etag and metadata, or nil and what is wrong.
func (o *subject) find(h http.Header) (*write, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	etag := strings.Trim(h.Get("Etag"), `"`)
	problem := "Etag " + etag + " is that of no PUT"
	for _, w := range slices.Backward(o.writes) {
		if w.kind != http.MethodPut || w.etag != etag {
			continue
		}
		if problem = o.checkMeta(w, h); problem == "" {
			return w, ""
		}
	}
	return nil, problem
}

// checkMeta says what is wrong with the metadata of a version.
func (o *subject) checkMeta(v *write, h http.Header) string {
	put, post := h.Get("X-Object-Meta-Put"), h.Get("X-Object-Meta-Post")
	switch {
	case put != "" && post != "":
		return fmt.Sprintf("metadata is a mix of PUT %s and POST %s", put, post)
	case put == strconv.Itoa(v.id):
		return ""
	case put != "":
		return fmt.Sprintf("metadata of PUT %s with the body of PUT %d", put, v.id)
	case post == "":
		return "no metadata at all"
	}
	for _, w := range o.writes {
		if w.kind == http.MethodPost && strconv.Itoa(w.id) == post {
			if w.end != 0 && w.end < v.start {
				return fmt.Sprintf("POST %s is older than PUT %d", post, v.id)
			}
			return ""
		}
	}
	return "metadata of no POST: " + post
}

// newestMeta says whether metadata is that of the last acknowledged write.
func (o *subject) newestMeta(h http.Header) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range slices.Backward(o.writes) {
		if w.acked {
			return h.Get("X-Object-Meta-Put") == strconv.Itoa(w.id) || h.Get("X-Object-Meta-Post") == strconv.Itoa(w.id)
		}
	}
	return false
}

// written says whether a PUT of that content was ever made.
func (o *subject) written(etag string, size int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.writes, func(w *write) bool { return w.kind == http.MethodPut && w.etag == etag && len(w.body) == size })
}

// model is one run.
type model struct {
	*testing.T
	c       *Cluster
	now     atomic.Int64
	seed    uint64
	steps   int
	objects []*subject // those that all clients write to
	private [][]*subject
	mu      sync.Mutex // guards seen and held while the nodes' states are changed
	seen    map[string]int
	calm    bool // there are no faults, so nothing may fail
}

// fail reports a broken promise.
func (m *model) fail(o *subject, format string, args ...any) {
	m.Helper()
	m.c.options.Log.Error("a promise is broken", "what", fmt.Sprintf(format, args...))
	var b strings.Builder
	if o != nil {
		o.mu.Lock()
		for _, w := range o.writes[max(0, len(o.writes)-12):] {
			fmt.Fprintf(&b, "\n  %s %d from %d to %d, acknowledged: %v, %s, %d bytes", w.kind, w.id, w.start, w.end, w.acked, w.etag, len(w.body))
		}
		o.mu.Unlock()
		format = o.container + "/" + o.name + ": " + format
	}
	m.Errorf("%s\nreproduce with -testcluster.seed=%d -testcluster.steps=%d%s", fmt.Sprintf(format, args...), m.seed, m.steps, b.String())
}

func (m *model) count(what string, r Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[fmt.Sprintf("%s %d", what, r.Status)]++
}

var sizes = []int{0, 1, 200, 4096, 65536, 70_000, 300_000}

// client makes the steps of one client.
func (m *model) client(ctx context.Context, number, round int) {
	rng := newRand(m.seed, uint64(number+100*round), "client")
	for step := range m.steps {
		if m.Failed() {
			return
		}
		if m.c.options.Kind == Direct {
			// Let some of the bubble's time go by, so that nodes that were left out are asked again.
			time.Sleep(time.Duration(rng.IntN(4000)) * time.Millisecond)
		}
		pool := m.private[number]
		if rng.IntN(5) == 0 {
			pool = m.objects
		}
		o := pool[rng.IntN(len(pool))]
		id := number*1_000_000 + round*100_000 + step + 1
		switch n := rng.IntN(100); {
		case n < 33:
			m.put(ctx, o, id, rng)
		case n < 43:
			m.post(ctx, o, id)
		case n < 54:
			m.delete(ctx, o, id)
		case n < 85:
			m.get(ctx, o, rng)
		case n < 93:
			m.list(ctx, o.container, rng)
		case n < 96:
			m.count("container POST", m.c.Do(ctx, Request{Method: "POST", Path: "/v1/AUTH_model/" + o.container,
				Header: map[string]string{"X-Container-Meta-Step": strconv.Itoa(id)}}))
		case n < 98:
			m.count("account POST", m.c.Do(ctx, Request{Method: "POST", Path: "/v1/AUTH_model",
				Header: map[string]string{"X-Account-Meta-Step": strconv.Itoa(id)}}))
		default:
			m.scratch(ctx, number)
		}
	}
}

func (m *model) put(ctx context.Context, o *subject, id int, rng *rand.Rand) {
	body := make([]byte, sizes[rng.IntN(len(sizes))])
	for i := range body {
		body[i] = byte(rng.Uint32())
	}
	copy(body, fmt.Sprintf("%s/%s %d ", o.container, o.name, id))
	sum := md5.Sum(body)
	r := Request{Method: "PUT", Path: o.path(), Body: body, Header: map[string]string{"X-Object-Meta-Put": strconv.Itoa(id)}}
	if len(body) > 1 && rng.IntN(12) == 0 {
		r.Abort = 1 + rng.Int64N(int64(len(body)-1))
	}
	if rng.IntN(3) == 0 {
		r.Header["Etag"] = hex.EncodeToString(sum[:])
	}
	w := m.begin(o, &write{id: id, kind: "PUT", etag: hex.EncodeToString(sum[:]), body: body})
	res := m.c.Do(ctx, r)
	m.end(o, w, res.OK() && res.Status == 201)
	m.count("PUT", res)
	switch {
	case res.Status == 201 && r.Abort != 0:
		m.fail(o, "PUT %d of which only %d bytes were sent: %v", id, r.Abort, res)
	case res.Status == 201 && strings.Trim(res.Header.Get("Etag"), `"`) != w.etag && res.Header.Get("Etag") != "":
		m.fail(o, "PUT %d: Etag %s, want %s", id, res.Header.Get("Etag"), w.etag)
	case res.Status == 202 && slices.Contains(m.objects, o):
		// Somebody else's PUT was later and faster.
	case res.Err == nil && (res.Status/100 != 5 && res.Status != 201 && res.Status != 499 && res.Status != 408 || m.calm && r.Abort == 0 && res.Status != 201):
		m.fail(o, "PUT %d: %v %s", id, res, res.Body)
	}
}

func (m *model) post(ctx context.Context, o *subject, id int) {
	w := m.begin(o, &write{id: id, kind: "POST"})
	res := m.c.Do(ctx, Request{Method: "POST", Path: o.path(), Header: map[string]string{"X-Object-Meta-Post": strconv.Itoa(id)}})
	m.end(o, w, res.OK())
	m.count("POST", res)
	if res.Err == nil && (res.Status/100 != 5 && res.Status != 202 && res.Status != 404 && res.Status != 409 || m.calm && res.Status/100 == 5) {
		m.fail(o, "POST %d: %v %s", id, res, res.Body)
	}
}

func (m *model) delete(ctx context.Context, o *subject, id int) {
	w := m.begin(o, &write{id: id, kind: "DELETE"})
	res := m.c.Do(ctx, Request{Method: "DELETE", Path: o.path()})
	// Nodes that have no object leave a tombstone as well, so a 404 is as good.
	m.end(o, w, res.Err == nil && (res.Status == 204 || res.Status == 404))
	m.count("DELETE", res)
	if res.Err == nil && (res.Status/100 != 5 && res.Status != 204 && res.Status != 404 && res.Status != 409 || m.calm && res.Status/100 == 5) {
		m.fail(o, "DELETE %d: %v %s", id, res, res.Body)
	}
}

func (m *model) get(ctx context.Context, o *subject, rng *rand.Rand) {
	r := Request{Method: "GET", Path: o.path(), Header: map[string]string{}}
	if rng.IntN(4) == 0 {
		r.Method = "HEAD"
	}
	if rng.IntN(3) == 0 {
		r.Header["X-Newest"] = "true"
	}
	var from, to int
	if rng.IntN(4) == 0 {
		from = rng.IntN(80_000)
		to = from + rng.IntN(80_000)
		r.Header["Range"] = fmt.Sprintf("bytes=%d-%d", from, to)
	}
	if rng.IntN(12) == 0 {
		r.Abort = 1 + rng.Int64N(100_000)
	}
	res := m.c.Do(ctx, r)
	m.count(r.Method, res)
	m.checkRead(o, r, res)
	if m.calm && r.Abort == 0 && (res.Err != nil || res.Status/100 == 5) {
		m.fail(o, "%s: %v", r.Method, res)
	}
}

// checkRead checks what holds for every read, whatever happens to the nodes: what the client got whole is one version,
// and that was written under this name.
func (m *model) checkRead(o *subject, r Request, res Result) *write {
	if res.Status == 0 || res.Status/100 == 5 || res.Status == 404 || res.Status == 416 {
		return nil
	}
	v, problem := o.find(res.Header)
	if v == nil {
		m.fail(o, "%s %v: %v: %s", r.Method, r.Header, res, problem)
		return nil
	}
	want := v.body
	switch res.Status {
	case 200:
		if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(want)) && !m.lies(r) {
			m.fail(o, "%s: Content-Length %s of %d bytes", r.Method, got, len(want))
		}
	case 206:
		var from, to int
		fmt.Sscanf(r.Header["Range"], "bytes=%d-%d", &from, &to)
		want = want[min(from, len(want)):min(to+1, len(want))]
	default:
		m.fail(o, "%s: %v", r.Method, res)
	}
	if r.Method == "HEAD" {
		return v
	}
	if res.Err != nil && !bytes.HasPrefix(want, res.Body) || res.Err == nil && !bytes.Equal(want, res.Body) {
		m.fail(o, "%s %v: %v, which are not the %d of version %d", r.Method, r.Header, res, len(want), v.id)
	}
	return v
}

// lies says whether a node may have lied about a length: over a connection that shows when its body ends too early.
func (m *model) lies(Request) bool { return !m.calm }

type listed struct {
	Name  string `json:"name"`
	Hash  string `json:"hash"`
	Bytes int    `json:"bytes"`
}

func (m *model) list(ctx context.Context, container string, rng *rand.Rand) {
	limit := 1 + rng.IntN(20)
	res := m.c.Do(ctx, Request{Method: "GET", Path: "/v1/AUTH_model/" + container, Query: fmt.Sprintf("format=json&limit=%d", limit)})
	m.count("list", res)
	if res.Status != 200 || res.Err != nil {
		if m.calm {
			m.fail(nil, "list %s: %v", container, res)
		}
		return
	}
	m.checkListing(container, res.Body, limit)
}

// checkListing checks what holds for every listing: it is in order and each row is that of something written.
func (m *model) checkListing(container string, body []byte, limit int) map[string]listed {
	var rows []listed
	if err := json.Unmarshal(body, &rows); err != nil {
		m.fail(nil, "list %s: %v", container, err)
		return nil
	}
	if len(rows) > limit || !slices.IsSortedFunc(rows, func(a, b listed) int { return strings.Compare(a.Name, b.Name) }) {
		m.fail(nil, "list %s: %d rows, at most %d wanted, in the order %v", container, len(rows), limit, rows)
	}
	out := map[string]listed{}
	for _, row := range rows {
		out[row.Name] = row
		o := m.lookup(container, row.Name)
		if o == nil {
			m.fail(nil, "list %s: %s was never written", container, row.Name)
			continue
		}
		if !o.written(row.Hash, row.Bytes) {
			m.fail(o, "listed as %+v, which was never written", row)
		}
	}
	return out
}

func (m *model) lookup(container, name string) *subject {
	for _, pool := range append(slices.Clone(m.private), m.objects) {
		for _, o := range pool {
			if o.container == container && o.name == name {
				return o
			}
		}
	}
	return nil
}

// scratch makes and removes a container that holds nothing.
func (m *model) scratch(ctx context.Context, number int) {
	path := fmt.Sprintf("/v1/AUTH_model/scratch%d", number)
	for _, method := range []string{"PUT", "DELETE"} {
		res := m.c.Do(ctx, Request{Method: method, Path: path})
		m.count("container "+method, res)
		if res.Err == nil && (res.Status/100 == 4 && res.Status != 404 && res.Status != 409 || m.calm && res.Status/100 != 2) {
			m.fail(nil, "%s %s: %v", method, path, res)
		}
	}
}

// verify checks all objects when all nodes are well: the newest version can be read.
func (m *model) verify(ctx context.Context, stage string) {
	for _, pool := range append(slices.Clone(m.private), m.objects) {
		for _, o := range pool {
			r := Request{Method: "GET", Path: o.path(), Header: map[string]string{"X-Newest": "true"}}
			res := m.c.Do(ctx, r)
			for tries := 0; res.Status == 503 && m.c.options.Kind != Direct && tries < 20; tries++ {
				res = m.c.Do(ctx, r) // the time-outs are real, and the machine may be busy
			}
			cs := o.candidates()
			switch {
			case res.Err != nil || res.Status != 200 && res.Status != 404:
				m.fail(o, "%s: %v", stage, res)
			case res.Status == 404 && !o.mayBeMissing():
				m.fail(o, "%s: LOST: %v", stage, res)
			case m.calm && res.Status == 200 && !slices.Contains(m.objects, o) && !o.newestMeta(res.Header):
				m.fail(o, "%s: metadata %s %s is not the newest", stage, res.Header.Get("X-Object-Meta-Put"), res.Header.Get("X-Object-Meta-Post"))
			case res.Status == 200:
				v := m.checkRead(o, r, res)
				if v != nil && !slices.ContainsFunc(cs, func(w *write) bool { return w.kind == http.MethodPut && w.etag == v.etag }) {
					m.fail(o, "%s: version %d, which has been replaced or deleted", stage, v.id)
				}
			}
		}
	}
}

// verifyListings checks listings and totals when the updaters have run and containers are the same everywhere.
func (m *model) verifyListings(ctx context.Context) {
	byContainer := map[string][]*subject{}
	for _, pool := range append(slices.Clone(m.private), m.objects) {
		for _, o := range pool {
			byContainer[o.container] = append(byContainer[o.container], o)
		}
	}
	sums := map[string][2]int64{}
	for container, all := range byContainer {
		if err := m.c.ReplicateContainer("AUTH_model", container); err != nil {
			m.fail(nil, "%v", err)
		}
		res := m.c.Do(ctx, Request{Method: "GET", Path: "/v1/AUTH_model/" + container, Query: "format=json"})
		if !res.OK() {
			m.fail(nil, "list %s: %v", container, res)
			continue
		}
		rows := m.checkListing(container, res.Body, 10000)
		n, b := 0, 0
		for _, row := range rows {
			n, b = n+1, b+row.Bytes
		}
		if got := res.Header.Get("X-Container-Object-Count") + " " + res.Header.Get("X-Container-Bytes-Used"); got != fmt.Sprint(n, b) {
			m.fail(nil, "container %s has %s, its listing %d %d", container, got, n, b)
		}
		sums[container] = [2]int64{int64(n), int64(b)}
		for _, o := range all {
			res := m.c.Do(ctx, Request{Method: "HEAD", Path: o.path(), Header: map[string]string{"X-Newest": "true"}})
			row, listed := rows[o.name]
			etag := strings.Trim(res.Header.Get("Etag"), `"`)
			if (res.Status == 200) != listed || listed && row.Hash != etag {
				m.fail(o, "HEAD gives %d with Etag %s, the listing %v %s", res.Status, etag, listed, row.Hash)
			}
		}
	}
	// A report is done when a majority of the account's replicas has it; the rest is for their replicator. A busy machine may
	// let a report's time-out run out.
	problem := "not looked"
	for tries := 0; problem != "" && tries < 10; tries++ {
		if err := m.c.RunUpdaters(ctx); err != nil {
			m.Log(err)
		}
		problem = m.totals(sums)
		m.c.Clock.Advance(5 * time.Minute)
	}
	if problem != "" {
		m.fail(nil, "%s", problem)
	}
}

// totals says what is wrong with what the account knows of its containers.
func (m *model) totals(sums map[string][2]int64) string {
	for container, want := range sums {
		got, err := m.c.Totals("AUTH_model", container)
		right := 0
		for _, have := range got {
			if have == want {
				right++
			}
		}
		if err != nil || right < 2 {
			return fmt.Sprintf("container %s has %v; the account's replicas say %v, %v", container, want, got, err)
		}
	}
	return ""
}

// chaos changes the nodes' states until stop is closed. At most one node is unwell at a time.
func (m *model) chaos(ctx context.Context, stop <-chan struct{}) {
	rng := newRand(m.seed, 0, "chaos")
	for round := uint64(0); ; round++ {
		n := m.c.Nodes[rng.IntN(len(m.c.Nodes))]
		what := rng.IntN(6)
		var err error
		switch what {
		case 0:
			err = n.Stop()
		case 1:
			err = n.Unmount()
		case 2:
			n.Disk.SetHook(flaky(newRand(m.seed, round, "disk"), 10))
		case 3:
			k := rng.Int64N(400)
			n.Disk.SetHook(disk.CrashAt(k))
		case 4:
			err = n.Crash(rng.Uint64())
		}
		m.pause(ctx, stop, time.Duration(1+rng.IntN(20))*m.c.options.NodeTimeout/10)
		if err == nil && n.Disk.Crashed() {
			err = n.Crash(rng.Uint64())
		}
		if err := n.Heal(); err != nil {
			m.fail(nil, "heal %s after fault %d: %v", n.Device, what, err)
		}
		if err != nil {
			m.fail(nil, "fault %d of %s: %v", what, n.Device, err)
		}
		select {
		case <-stop:
			return
		default:
		}
		m.pause(ctx, stop, time.Duration(rng.IntN(60))*m.c.options.NodeTimeout/10)
	}
}

func (m *model) pause(ctx context.Context, stop <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stop:
	case <-ctx.Done():
	}
}

// flaky is a disk on which one operation of a hundred, times percent, fails or is slow.
func flaky(rng *rand.Rand, percent int) func(disk.Op) error {
	var mu sync.Mutex
	return func(op disk.Op) error {
		mu.Lock()
		bad, kind := rng.IntN(100) < percent, rng.IntN(3)
		mu.Unlock()
		switch {
		case !bad:
			return nil
		case kind == 0:
			time.Sleep(50 * time.Millisecond)
			return nil
		case kind == 1:
			return syscall.EIO
		}
		return syscall.ENOSPC
	}
}

// run makes the whole run: clients and chaos in a few rounds, each followed by a check.
func (m *model) run(o Options, clients, rate int) {
	ctx := context.Background()
	if *logFlag {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	m.c, m.seen, m.calm = New(m.T, o), map[string]int{}, rate == 0
	for i := range clients {
		var pool []*subject
		for j := range 8 {
			pool = append(pool, &subject{container: fmt.Sprintf("c%d", i), name: fmt.Sprintf("o%d", j)})
		}
		m.private = append(m.private, pool)
	}
	for j := range 4 {
		m.objects = append(m.objects, &subject{container: "shared", name: fmt.Sprintf("o%d", j)})
	}
	for i := range clients + 1 {
		name := fmt.Sprintf("c%d", i)
		if i == clients {
			name = "shared"
		}
		m.c.Must(ctx, Request{Method: "PUT", Path: "/v1/AUTH_model/" + name})
	}
	const rounds = 3
	total := m.steps
	for round := range rounds {
		m.steps = total / rounds
		var all, chaos sync.WaitGroup
		stop := make(chan struct{})
		if rate > 0 {
			m.c.SetFaults((&Schedule{Seed: m.seed + uint64(round), Rate: rate}).Fault)
			chaos.Go(func() { m.chaos(ctx, stop) })
		}
		for i := range clients {
			all.Go(func() { m.client(ctx, i, round) })
		}
		all.Wait()
		close(stop)
		chaos.Wait()
		if err := m.c.Heal(); err != nil {
			m.Fatal(err)
		}
		m.verify(ctx, fmt.Sprintf("after round %d", round))
	}
	m.steps = total
	if err := m.c.RunUpdaters(ctx); err != nil {
		m.Fatal(err)
	}
	m.verify(ctx, "at the end")
	m.verifyListings(ctx)
	m.Logf("seed %d: %v", m.seed, m.seen)
}

// seeds are those that a test runs with.
func seeds(builtin ...uint64) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	return builtin
}

func steps(n int) int {
	if *stepsFlag != 0 {
		return *stepsFlag
	}
	return n
}

func TestNothingFailsWithoutFaults(t *testing.T) {
	for _, seed := range seeds(1) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				(&model{T: t, seed: seed, steps: steps(120)}).run(Options{Seed: seed}, 3, 0)
			})
		})
	}
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	for _, memory := range []bool{false, true} {
		for _, seed := range seeds(1, 2) {
			t.Run(fmt.Sprintf("memory %v, seed %d", memory, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					(&model{T: t, seed: seed, steps: steps(240)}).run(Options{Seed: seed, Memory: memory}, 4, 60)
				})
			})
		}
	}
}

// TestOverConnections has real time-outs and connections, so it is shorter.
func TestOverConnections(t *testing.T) {
	for _, kind := range []Kind{TCP, Mixed} {
		for _, seed := range seeds(1) {
			t.Run(fmt.Sprintf("%s, seed %d", kind, seed), func(t *testing.T) {
				t.Parallel()
				o := Options{Seed: seed, Kind: kind, Memory: true, NodeTimeout: time.Second, Proxy: "error_suppression_interval = 0"}
				(&model{T: t, seed: seed, steps: steps(40)}).run(o, 6, 30)
			})
		}
	}
}
