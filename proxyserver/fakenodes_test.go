package proxyserver_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/apus-storage/apus/internal/nodes"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/proxyserver"
	"github.com/apus-storage/apus/ring"
)

// sent is a request that a fake node got.
type sent struct {
	server string // "account", "container", "object"
	*http.Request
	body string
}

// entity is the path without device and partition.
func (s sent) entity() string { return "/" + strings.SplitN(s.URL.Path, "/", 4)[3] }

// brokenOff is the code of an answer that ends in mid-body.
const brokenOff = -1

// nodeAnswer is what fake nodes say.
type nodeAnswer struct {
	code   int
	header map[string]string
	body   string
}

// fakeCluster is an app in front of nodes that say what the test wants.
type fakeCluster struct {
	t     testing.TB
	app   http.Handler
	in    middleware.Instance
	state func() *request.State // of each request

	mu      sync.Mutex
	answers map[string][]nodeAnswer // by "server METHOD /entity"; each node in turn gets the next, the last for ever
	calls   []sent
}

func newFakeCluster(t testing.TB, replicas int, cluster *swiftconf.Cluster, change func(*proxyserver.Config)) *fakeCluster {
	t.Helper()
	f := &fakeCluster{t: t, answers: map[string][]nodeAnswer{}}
	f.state = func() *request.State { return &request.State{Infos: &request.Infos{}, Owner: true} }
	direct := nodes.NewDirect(nil)
	for server, addr := range map[string]string{"account": accountAddr, "container": containerAddr, "object": objectAddr} {
		direct.Handle(addr, f.node(server))
	}
	c := proxyserver.DefaultConfig()
	if change != nil {
		change(&c)
	}
	fatal(t, c.Validate())
	var in middleware.Instance
	host := testHost(t, cluster, slog.New(slog.DiscardHandler))
	host.Info = func() middleware.Infos { return middleware.Infos{Public: in.Info, Admin: map[string]any{"secret": 1}} }
	in, err := proxyserver.New(host, c, proxyserver.Deps{
		Transport: direct, Version: "2.38", Rings: fixedRings{
			makeRing(t, 6202, replicas, replicas), makeRing(t, 6201, replicas, replicas),
			[]*ring.Live{makeRing(t, 6200, replicas, replicas), makeRing(t, 6200, replicas, replicas)},
		},
	})
	fatal(t, err)
	f.in, f.app = in, in.App
	t.Cleanup(func() { in.Close() })
	f.say("account HEAD /a", nodeAnswer{code: 204, header: map[string]string{"X-Timestamp": "1700000000.00000", "X-Account-Container-Count": "3"}})
	f.say("container HEAD /a/c", nodeAnswer{code: 204, header: map[string]string{"X-Timestamp": "1700000000.00000", "X-Backend-Storage-Policy-Index": "0"}})
	return f
}

// say sets what nodes answer to a request such as "object GET /a/c/o".
func (f *fakeCluster) say(what string, answers ...nodeAnswer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[what] = answers
}

func (f *fakeCluster) node(server string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sent{server: server, Request: r}
		a := f.next(server + " " + r.Method + " " + s.entity())
		if a.code < 300 || a.code == http.StatusUnprocessableEntity {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			s.body = string(b)
		}
		f.mu.Lock()
		f.calls = append(f.calls, s)
		f.mu.Unlock()
		for k, v := range a.header {
			w.Header().Set(k, v)
		}
		if a.code == brokenOff {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.code)
		if r.Method != http.MethodHead {
			io.WriteString(w, a.body)
		}
	})
}

func (f *fakeCluster) next(what string) nodeAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.answers[what]
	if len(list) == 0 {
		return nodeAnswer{code: 404}
	}
	if len(list) > 1 {
		f.answers[what] = list[1:]
	}
	return list[0]
}

// sent returns the requests for "server METHOD /entity" so far, and forgets none.
func (f *fakeCluster) sent(what string) []sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(s sent) bool { return s.server+" "+s.Method+" "+s.entity() != what })
}

func (f *fakeCluster) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

// do serves a request; headers are "Name: value". A body of "-" is none at all, without a length.
func (f *fakeCluster) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	if body == "-" {
		r = httptest.NewRequest(method, target, nil)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		if k == "Host" {
			r.Host = v
			continue
		}
		r.Header.Add(k, v)
	}
	w := httptest.NewRecorder()
	f.app.ServeHTTP(w, request.With(r.WithContext(f.context()), f.state()))
	return w
}

func (f *fakeCluster) context() context.Context { return f.t.Context() }
