package testcluster

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/proxyserver"
)

var (
	rounds  = flag.Int("testcluster.rounds", 21, "rounds of writers for one name")
	writers = flag.Int("testcluster.writers", 64, "writers in a round")
)

// contest is a round: many writers for one name, at most one of whom may succeed.
type contest struct {
	*testing.T
	c      *Cluster
	apps   []http.Handler // proxies without filters, for headers that only filters send
	round  int
	random *rand.Rand
	name   string
	header map[string]string
	method string
	faulty bool
}

// outcome is what a writer was told.
type outcome struct {
	status int // 0 if there was no answer
	body   string
}

func (o outcome) ok() bool { return o.status == 200 || o.status == 201 || o.status == 204 }

// TestOfManyWritersAtMostOneSucceeds lets writers create one name, replace one version, or delete it, through two proxies,
// while nodes fail in many ways. docs/conditional-writes.md has the promise.
func TestOfManyWritersAtMostOneSucceeds(t *testing.T) {
	t.Run("direct", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { contests(t, Options{Memory: true, Proxies: 2}) })
	})
	t.Run("tcp", func(t *testing.T) {
		contests(t, Options{Memory: true, Proxies: 2, Kind: TCP, NodeTimeout: 3 * time.Second})
	})
	t.Run("four replicas", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { contests(t, Options{Memory: true, Proxies: 2, Devices: 5, Replicas: 4}) })
	})
}

func contests(t *testing.T, o Options) {
	c := New(t, o)
	defer c.Close()
	c.Must(t.Context(), Request{Method: "PUT", Path: "/v1/AUTH_t/c"})
	apps := []http.Handler{bareProxy(t, c), bareProxy(t, c)}
	told, won := map[int]int{}, 0
	for round := range *rounds {
		x := &contest{
			T: t, c: c, apps: apps, round: round, random: newRand(*seedFlag, uint64(round), "contest"), name: fmt.Sprint("o", round),
			header: map[string]string{"If-None-Match": "*"}, method: "PUT",
		}
		if x.run(told) {
			won++
		}
		if t.Failed() {
			t.Fatalf("round %d with -testcluster.seed=%d; so far clients were told %v", round, *seedFlag, told)
		}
	}
	t.Logf("%d of %d rounds had a winner; clients were told %v", won, *rounds, told)
	if told[201]+told[204] == 0 {
		t.Error("nobody ever succeeded")
	}
}

// bareProxy is a proxy without filters.
func bareProxy(t *testing.T, c *Cluster) http.Handler {
	config := proxyserver.DefaultConfig()
	config.AccountAutocreate = true
	config.NodeTimeout.Duration = c.options.NodeTimeout
	in, err := proxyserver.New(middleware.Host{
		Section: "proxy-server", Server: "proxy", Log: slog.New(slog.DiscardHandler), Clock: c.Clock, Dir: c.dir, Cluster: c.Conf,
		Metrics: prometheus.NewRegistry(), Info: func() middleware.Infos { return middleware.Infos{} },
	}, config, proxyserver.Deps{Transport: c.Transport(), Version: "test", Rings: c.Rings})
	if err != nil {
		t.Fatal(err)
	}
	c.closers = append(c.closers, func() { in.Close() })
	return in.App
}

// bare sends a request to a proxy without filters.
func bare(ctx context.Context, app http.Handler, method, path string, h map[string]string, body string) outcome {
	r := httptest.NewRequest(method, path, io.NopCloser(strings.NewReader(body)))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	for k, v := range h {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, request.With(r.WithContext(ctx), &request.State{Infos: &request.Infos{}, Owner: true}))
	return outcome{w.Code, body}
}

// write is a writer's attempt.
func (x *contest) write(i int, body string) outcome {
	if x.header["If-None-Match"] != "" {
		r := x.c.Do(x.Context(), Request{Method: x.method, Path: "/v1/AUTH_t/c/" + x.name, Header: x.header, Body: []byte(body), Proxy: i % 2})
		if r.Err != nil {
			r.Status = 0
		}
		return outcome{r.Status, body}
	}
	return bare(x.Context(), x.apps[i%2], x.method, "/v1/AUTH_t/c/"+x.name, x.header, body)
}

// run has one round. It says whether a writer succeeded.
func (x *contest) run(told map[int]int) (won bool) {
	const before = "what was there before"
	if kind := x.round % 3; kind > 0 {
		x.c.Must(x.Context(), Request{Method: "PUT", Path: "/v1/AUTH_t/c/" + x.name, Body: []byte(before)})
		replicas := x.replicas()
		x.header = map[string]string{"X-Backend-If-Data-Timestamp": replicas[0].At}
		if kind == 2 {
			x.header = map[string]string{"X-Backend-If-Match": `"` + md5Of(before) + `"`}
			if x.round%2 == 0 {
				x.method = "DELETE"
			}
		}
	}
	var faults sync.WaitGroup
	kind := x.round / 3 % troubles
	x.faulty = kind > 0
	trouble{x.T, x.c, x.random, "AUTH_t", "c", x.name}.begin(kind, *seedFlag+uint64(x.round), &faults)
	outcomes := make([]outcome, *writers)
	var wg sync.WaitGroup
	sizes := make([]int, *writers)
	for i := range sizes {
		sizes[i] = x.random.IntN(200_000) >> x.random.IntN(17)
	}
	for i := range outcomes {
		wg.Go(func() {
			body := fmt.Sprintf("writer %d of round %d%s", i, x.round, strings.Repeat(".", sizes[i]))
			if x.method == "DELETE" {
				body = ""
			}
			outcomes[i] = x.write(i, body)
		})
	}
	wg.Wait()
	faults.Wait()
	if err := x.c.Heal(); err != nil {
		x.Fatal(err)
	}
	for _, o := range outcomes {
		told[o.status]++
		won = won || o.ok()
	}
	x.check(outcomes, before)
	return won
}

func (x *contest) replicas() []Replica {
	replicas, err := x.c.Replicas(x.Context(), "AUTH_t", "c", x.name)
	if err != nil {
		x.Fatal(err)
	}
	return replicas
}

// check compares what the writers were told with what there is.
func (x *contest) check(outcomes []outcome, before string) {
	var winner *outcome
	doubtful := map[string]bool{}
	for i := range outcomes {
		switch o := &outcomes[i]; o.status {
		case 201, 204:
			if winner != nil {
				x.Errorf("two writers were told that they succeeded: %.40q and %.40q", winner.body, o.body)
			}
			winner = o
		case 409, 412:
		case 0, 500, 503:
			doubtful[o.body] = true
		default:
			x.Errorf("a writer was told %d", o.status)
		}
	}
	if winner == nil && !x.faulty && len(doubtful) == 0 {
		x.Error("nobody succeeded, although nothing failed")
	}
	if x.method == "DELETE" {
		x.checkDeleted(winner != nil, len(doubtful) > 0)
		return
	}
	changed := false
	for _, r := range x.replicas() {
		body := string(r.Body)
		if mine := winner != nil && body == winner.body; r.Status == 200 && body != before && !mine && !doubtful[body] {
			x.Errorf("%s has what was refused: %.40q", r.Node.Device, body)
		}
		changed = changed || r.Status == 200 && body != before
	}
	if winner == nil {
		// A later writer alone succeeds, unless it finds what is in doubt.
		late := x.write(0, "late")
		for tries := 0; late.status == 409 && tries < 500; tries++ {
			time.Sleep(10 * time.Millisecond) // until the nodes have noticed that the last one broke off
			late = x.write(tries, "late")
		}
		if late.status != 201 && !(changed && (late.status == 412 || late.status == 409)) {
			x.Errorf("a later writer was told %d", late.status)
		}
		if late.ok() {
			winner = &late
		}
	}
	if err := x.c.ReplicateObject(x.Context(), "AUTH_t", "c", x.name); err != nil {
		x.Error(err)
	}
	replicas := x.replicas()
	for _, r := range replicas {
		if winner != nil && string(r.Body) != winner.body || !bytes.Equal(r.Body, replicas[0].Body) || r.Status != 200 {
			x.Errorf("in the end %s has %d %.40q", r.Node.Device, r.Status, r.Body)
		}
	}
}

// checkDeleted checks that an object has gone if a writer was told so, and only then or if it is in doubt.
func (x *contest) checkDeleted(done, doubt bool) {
	gone := 0
	replicas := x.replicas()
	for _, r := range replicas {
		if r.Status == 404 {
			gone++
		}
	}
	if done && gone <= len(replicas)/2 || gone > 0 && !done && !doubt {
		x.Errorf("deleted %v, in doubt %v: gone from %d of %d replicas", done, doubt, gone, len(replicas))
	}
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
