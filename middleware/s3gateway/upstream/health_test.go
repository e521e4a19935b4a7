package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pipes is a network in memory, which synctest's clock waits for.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	down   atomic.Bool // nobody listens
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if p.down.Load() {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	mine, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inMemory opens an upstream on a handler in the test's bubble.
func inMemory(t *testing.T, c Config, deps Deps, h http.HandlerFunc) (*Upstream, *pipes) {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(p) }()
	deps.Dial = p.dial
	u, err := New("store", c, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close(); close(p.closed); s.Close(); <-done })
	return u, p
}

func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status, asked atomic.Int32
		status.Store(200)
		c := base("http://store.test")
		c.HealthPath = "/healthz?deep"
		log, text := logged()
		registry := prometheus.NewRegistry()
		u, p := inMemory(t, c, Deps{Log: log, Metrics: registry}, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.Method != "HEAD" || r.RequestURI != "/healthz?deep" || r.Header.Get("Authorization") != "" {
				t.Errorf("asked with %s %s", r.Method, r.RequestURI)
			}
			switch s := status.Load(); s {
			case 0:
				<-r.Context().Done()
			case -1:
				panic(http.ErrAbortHandler)
			default:
				w.WriteHeader(int(s))
			}
		})
		// after is whether it is healthy after so many more checks.
		after := func(checks int, what string, want bool) {
			t.Helper()
			time.Sleep(time.Duration(checks) * 5 * time.Second)
			synctest.Wait()
			if u.Healthy() != want {
				t.Errorf("%s, after %d checks: healthy %t", what, checks, !want)
			}
			if gauge := numbers(t, registry)["healthy store"]; (gauge == 1) != want {
				t.Errorf("%s: the gauge is at %v", what, gauge)
			}
		}
		time.Sleep(time.Second) // out of step with the checks, the first of which was at once
		synctest.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times at the start", asked.Load())
		}
		for _, fine := range []int32{200, 403, 404, 301} {
			status.Store(fine)
			after(3, "an answer", true)
		}
		if asked.Load() != 13 {
			t.Errorf("asked %d times", asked.Load())
		}
		status.Store(500)
		after(2, "failures", true)
		status.Store(403)
		after(1, "one that is none", true)
		status.Store(503)
		after(2, "failures", true)
		after(1, "failures", false)
		status.Store(200)
		after(1, "it is back", false)
		status.Store(500)
		after(1, "not yet", false)
		status.Store(200)
		after(1, "it is back", false)
		after(1, "it is back", true)
		status.Store(-1)
		after(3, "cut connections", false)
		status.Store(200)
		after(2, "it is back", true)
		p.down.Store(true)
		u.transport.CloseIdleConnections()
		after(3, "nobody listens", false)
		p.down.Store(false)
		after(2, "it is back", true)
		status.Store(0)
		time.Sleep(3 * time.Second) // that a check may take
		after(3, "hanging", false)
		if s := text.String(); strings.Count(s, "not healthy") != 4 || strings.Count(s, "healthy again") != 3 {
			t.Errorf("the log has\n%s", s)
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status, asked atomic.Int32
		c := base("http://store.test")
		c.BreakerFailures = 3
		log, text := logged()
		u, p := inMemory(t, c, Deps{Log: log}, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if r.URL.Path == "/bucket/hang" {
				<-r.Context().Done()
				return
			}
			if r.URL.Path == "/bucket/break" {
				w.Header().Set("Content-Length", "10")
				return
			}
			w.WriteHeader(int(status.Load()))
		})
		do := func(want any) {
			t.Helper()
			resp, err := u.Send(t.Context(), get("k"))
			var got any
			if e, ok := errors.AsType[*Error](err); ok {
				got = e.Kind
			} else if err == nil {
				got = resp.StatusCode
				resp.Body.Close()
			}
			if got != want {
				t.Errorf("got %v, want %v (%v)", got, want, err)
			}
		}
		trip := func() {
			t.Helper()
			status.Store(500)
			for range 3 {
				do(500)
			}
			do(Refused)
			if u.Healthy() {
				t.Error("healthy with an open breaker")
			}
		}
		status.Store(500)
		do(500)
		do(500)
		status.Store(501) // what it cannot do is no failure
		do(501)
		trip()
		before := asked.Load()
		time.Sleep(10*time.Second - 1)
		do(Refused)
		if asked.Load() != before {
			t.Error("the store was asked with an open breaker")
		}
		time.Sleep(time.Nanosecond)
		if !u.Healthy() {
			t.Error("not healthy, though it would let one through")
		}
		do(500) // the probe
		do(Refused)
		time.Sleep(10 * time.Second)
		status.Store(200)
		do(200)
		status.Store(500)
		do(500) // it is closed again, and counts from the start
		do(500)
		status.Store(200)
		do(200)

		// Connections that are refused count, and answers that break off.
		p.down.Store(true)
		u.transport.CloseIdleConnections()
		for range 3 {
			do(Connect)
		}
		do(Refused)
		p.down.Store(false)
		time.Sleep(10 * time.Second)
		do(200)
		for range 3 {
			resp, err := u.Send(t.Context(), get("break"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Read(make([]byte, 1))
			resp.Body.Close()
		}
		do(Refused)

		// One probe at a time; when its client goes away, the next one is one.
		time.Sleep(10 * time.Second)
		ctx, stop := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			u.Send(ctx, get("hang"))
		}()
		synctest.Wait()
		do(Refused)
		if u.Healthy() {
			t.Error("healthy while a probe is on its way")
		}
		stop()
		<-gone
		do(200)
		if n := strings.Count(text.String(), "failed in a row"); n != 3 {
			t.Errorf("the log says so %d times:\n%s", n, text)
		}
	})
}

// TestBreakerIgnoresThePast has an answer to a request from before the breaker opened.
func TestBreakerIgnoresThePast(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	b := &breaker{failures: 1, cooldown: time.Second, clock: clockFunc(func() time.Time { return at }), changed: func(bool) {}}
	early, _ := b.admit()
	other, _ := b.admit()
	other.done(bad)
	early.done(good)
	if _, ok := b.admit(); ok {
		t.Error("an old answer has closed the breaker")
	}
	never := &breaker{clock: b.clock, changed: b.changed}
	for range 100 {
		n, ok := never.admit()
		if !ok {
			t.Fatal("a breaker that is off has opened")
		}
		n.done(bad)
	}
}

// TestCloseEndsChecks closes an upstream in the middle of a check.
func TestCloseEndsChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := base("http://store.test")
		c.HealthPath = "/"
		log, text := logged()
		u, _ := inMemory(t, c, Deps{Log: log}, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		synctest.Wait()
		begin := time.Now()
		u.Close()
		u.Close()
		if took := time.Since(begin); took > 0 || text.Len() > 0 {
			t.Errorf("took %v, said %s", took, text)
		}
	})
}
