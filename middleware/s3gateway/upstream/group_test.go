package upstream

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// order is in which order stores are asked.
type order struct {
	mu  sync.Mutex // guards all
	all []int
}

func (o *order) add(i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, i)
}

func (o *order) list() []int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

func (o *order) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = nil
}

// members opens a group of stores, each of which answers with a function, and notes the order in which they are asked.
func members(t *testing.T, policy route.Policy, answers ...http.HandlerFunc) (g *Group, asked *order) {
	t.Helper()
	asked = &order{}
	var all []*Upstream
	for i, answer := range answers {
		endpoint := "http://127.0.0.1:1" // nobody
		if answer != nil {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.add(i)
				answer(w, r)
			}))
			t.Cleanup(s.Close)
			endpoint = s.URL
		}
		c := base(endpoint)
		c.Payload, c.ExpectAbove, c.BreakerFailures = payloadUnsigned, 1000, 0
		u, err := New(fmt.Sprint(i), c, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
		all = append(all, u)
	}
	g = NewGroup(policy, all)
	return g, asked
}

func answer(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, "answer")
	}
}

func cut(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }

func hang(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func takeAndCut(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

func slow(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(503)
	io.WriteString(w, "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>")
}

func take(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }

func TestFailover(t *testing.T) {
	read, head, remove := get("k"), Call{Method: "HEAD", Bucket: "b", Key: "k"}, Call{Method: "DELETE", Bucket: "b", Key: "k"}
	initiate, mkcol := Call{Method: "POST", Bucket: "b", Key: "k", Query: "uploads"}, Call{Method: "PUT", Bucket: "b"}
	small := func() Call { return put("k", "small") }
	large := func() Call { return put("k", strings.Repeat("x", 5000)) }
	for _, test := range []struct {
		name  string
		call  Call
		first http.HandlerFunc
		asked []int
		want  any // status or kind
	}{
		{"an answer", read, answer(200), []int{0}, 200},
		{"what is not there is an answer", read, answer(404), []int{0}, 404},
		{"a refusal is an answer", read, answer(403), []int{0}, 403},
		{"what a store cannot do is an answer", read, answer(501), []int{0}, 501},
		{"nobody listens", read, nil, []int{1}, 200},
		{"nobody listens to a small body", small(), nil, []int{1}, 200},
		{"nobody listens to a large body", large(), nil, []int{1}, 200},
		{"nobody listens to an action", initiate, nil, []int{1}, 200},
		{"read from a store that cuts", read, cut, []int{0, 1}, 200},
		{"read from a store that hangs", read, hang, []int{0, 1}, 200},
		{"read from a store that fails", read, answer(500), []int{0, 1}, 200},
		{"head of a store that fails", head, answer(502), []int{0, 1}, 200},
		{"read from a store that is busy", read, slow, []int{0, 1}, 200},
		{"delete in a store that cuts", remove, cut, []int{0, 1}, 200},
		{"delete in a store that fails", remove, answer(500), []int{0}, 500},
		{"an action that may have been done", initiate, cut, []int{0}, Broken},
		{"a copy that may have been made", mkcol, cut, []int{0}, Broken},
		{"a copy that may be made yet", mkcol, hang, []int{0}, Timeout},
		{"an action that failed", initiate, answer(503), []int{0}, 503},
		{"a small body that was sent", small(), takeAndCut, []int{0}, Broken},
		{"a large body that was sent", large(), takeAndCut, []int{0}, Broken},
		{"a large body that was refused", large(), answer(500), []int{0, 1}, 200},
		{"a large body that is unwelcome", large(), answer(503), []int{0, 1}, 200},
		{"a large body that a busy store does not want", large(), slow, []int{0}, 503},
		{"the same, by header", large(), answer(503, "Retry-After", "1"), []int{0}, 503},
		{"a large body that is forbidden", large(), answer(403), []int{0}, 403},
		{"a large body that is to go elsewhere", large(), answer(307), []int{0}, 307},
	} {
		g, asked := members(t, route.Failover, test.first, take)
		if strings.Contains(test.name, "hangs") || test.want == Timeout {
			g.all[0].config.ResponseTimeout.Duration = 2 * time.Second
			g.all[0].transport.ResponseHeaderTimeout = 2 * time.Second
		}
		resp, u, err := g.Do(t.Context(), test.call)
		var got any
		if err != nil {
			if e, ok := err.(*Error); ok {
				got = e.Kind
			} else {
				got = err
			}
		} else {
			got = resp.StatusCode
			if b, err := io.ReadAll(resp.Body); err != nil || test.want == 503 && !strings.Contains(string(b), "SlowDown") && string(b) != "answer" {
				t.Errorf("%s: body %q, %v", test.name, b, err)
			}
			resp.Body.Close()
		}
		if got != test.want || !slices.Equal(asked.list(), test.asked) || u.Name() != fmt.Sprint(test.asked[len(test.asked)-1]) {
			t.Errorf("%s: %v of %s, asked %v; want %v, %v", test.name, got, u.Name(), asked.list(), test.want, test.asked)
		}
	}
}

// TestBodyArrivesAtTheOther sends a body that one store does not take to another one.
func TestBodyArrivesAtTheOther(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	var got string
	g, _ := members(t, route.Failover, nil, answer(502), func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = string(b)
	})
	resp, u, err := g.Do(t.Context(), put("k", body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if u.Name() != "2" || got != body {
		t.Errorf("%s has %d bytes", u.Name(), len(got))
	}
}

func TestAllFail(t *testing.T) {
	g, asked := members(t, route.Failover, answer(500), answer(502, "X-Last", "1"))
	resp, u, err := g.Do(t.Context(), get("k"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 502 || u.Name() != "1" || len(asked.list()) != 2 {
		t.Errorf("got %d of %s, asked %v", resp.StatusCode, u.Name(), asked.list())
	}
	g, _ = members(t, route.Failover, nil, nil)
	if _, _, err = g.Do(t.Context(), get("k")); err == nil || err.(*Error).Kind != Connect {
		t.Errorf("got %v", err)
	}
}

func TestRoundRobin(t *testing.T) {
	g, asked := members(t, route.RoundRobin, take, take, take)
	for range 6 {
		resp, _, err := g.Do(t.Context(), get("k"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if want := []int{0, 1, 2, 0, 1, 2}; !slices.Equal(asked.list(), want) {
		t.Errorf("asked %v, want %v", asked.list(), want)
	}
	g.all[1].watch.sick = true
	asked.reset()
	for range 4 {
		resp, _, err := g.Do(t.Context(), get("k"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if slices.Contains(asked.list(), 1) || !slices.Contains(asked.list(), 0) || !slices.Contains(asked.list(), 2) {
		t.Errorf("asked %v, one of which is down", asked.list())
	}
}

func TestMirror(t *testing.T) {
	g, asked := members(t, route.Mirror, nil, take)
	if _, _, err := g.Do(t.Context(), put("k", "x")); err == nil || len(asked.list()) > 0 {
		t.Errorf("a write went to the old store: %v, %v", err, asked.list())
	}
	if _, _, err := g.Primary().Do(t.Context(), get("k")); err == nil || len(asked.list()) > 0 {
		t.Errorf("the primary is %v", asked.list())
	}
	for _, do := range []*Group{g, g.Secondary()} {
		resp, u, err := do.Do(t.Context(), get("k"))
		if err != nil || u.Name() != "1" {
			t.Fatalf("a read: %v of %s", err, u.Name())
		}
		resp.Body.Close()
	}
}

// TestRest leaves a store alone that has asked for fewer requests, as long as there is another one.
func TestRest(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	g, asked := members(t, route.Failover, slow, take)
	for _, u := range g.all {
		u.clock = clockFunc(func() time.Time { return at })
	}
	do := func() {
		t.Helper()
		resp, _, err := g.Do(t.Context(), get("k"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	do()
	do()
	if want := []int{0, 1, 1}; !slices.Equal(asked.list(), want) {
		t.Errorf("asked %v, want %v", asked.list(), want)
	}
	at = at.Add(time.Second)
	do()
	if want := []int{0, 1, 1, 0, 1}; !slices.Equal(asked.list(), want) {
		t.Errorf("a second later asked %v, want %v", asked.list(), want)
	}
}

type clockFunc func() time.Time

func (f clockFunc) Now() time.Time { return f() }

// TestReadsWhileAStoreDies reads from two stores, one of which is killed: no read is lost.
func TestReadsWhileAStoreDies(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dying := &http.Server{Handler: answer(200)}
	go dying.Serve(l)
	c := base("http://" + l.Addr().String())
	u := open(t, c, Deps{})
	healthy := httptest.NewServer(answer(200))
	defer healthy.Close()
	other := open(t, base(healthy.URL), Deps{})
	g := NewGroup(route.RoundRobin, []*Upstream{u, other})
	failed := make(chan error, 1000)
	for range 4 {
		go func() {
			for range 100 {
				resp, _, err := g.Do(t.Context(), get("k"))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				failed <- err
			}
		}()
	}
	for i := range 400 {
		if err := <-failed; err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if i == 100 {
			dying.Close()
		}
	}
}
