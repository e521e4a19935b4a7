package fanout

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestQuorum(t *testing.T) {
	for n, want := range []int{0, 1, 1, 2, 2, 3} {
		if got := Quorum(n); got != want {
			t.Errorf("Quorum(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestWriteStatuses(t *testing.T) {
	const dead = 0
	for _, c := range []struct {
		nodes []int // of the primaries; handoffs are down
		want  int
	}{
		{[]int{201}, 201}, {[]int{404}, 404}, {[]int{dead}, 503}, {[]int{507}, 503},
		{[]int{201, 201}, 201}, {[]int{201, dead}, 201}, {[]int{dead, dead}, 503}, {[]int{201, 404}, 201}, {[]int{404, dead}, 404},
		{[]int{201, 201, 201}, 201}, {[]int{201, 202, dead}, 202}, {[]int{201, dead, dead}, 503}, {[]int{201, 404, 404}, 404},
		{[]int{201, 404, dead}, 503}, {[]int{404, 409, dead}, 409}, {[]int{301, 307, 201}, 307}, {[]int{500, 503, 507}, 503},
		{[]int{201, 201, dead, dead}, 201}, {[]int{201, dead, dead, dead}, 503}, {[]int{201, 201, 404, 404}, 201},
		{[]int{201, 201, 404, 404, dead}, 503}, {[]int{201, 201, 201, dead, dead}, 201}, {[]int{404, 404, 404, 201, 201}, 404},
	} {
		t.Run(fmt.Sprint(c.nodes), func(t *testing.T) {
			both(t, 2*len(c.nodes), len(c.nodes), func(t *testing.T, f *fake) {
				f.all(die, 0, len(f.nodes))
				for i, code := range c.nodes {
					if code != dead {
						f.nodes[i].serve = answer(code, "")
					}
				}
				a := f.d.Write(t.Context(), f.target(), Write{Method: http.MethodPut, Headers: f.headers(len(c.nodes))})
				if a.Status != c.want {
					t.Errorf("got %d of %v, want %d", a.Status, a.Statuses, c.want)
				}
			})
		})
	}
}

func TestWriteFallsBackToHandoffs(t *testing.T) {
	both(t, 6, 3, func(t *testing.T, f *fake) {
		f.all(answer(503, ""), 0, 3)
		f.all(answer(201, "ok", "X-From: handoff"), 3, 6)
		a := f.d.Write(t.Context(), f.target(), Write{Method: http.MethodPut, Headers: f.headers(3), Body: []byte("data")})
		if a.Status != 201 || a.Header.Get("X-From") != "handoff" || a.Text() != "ok" {
			t.Errorf("got %d %v %q", a.Status, a.Header, a.Text())
		}
		if got := f.asked(); !slices.Equal(got, []int{1, 1, 1, 1, 1, 1}) {
			t.Errorf("asked %v", got)
		}
	})
}

func TestWriteSendsEachItsOwnHeadersAndTheBody(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		hs := f.headers(3)
		for i := range hs {
			hs[i].Set("X-Container-Device", fmt.Sprint(i))
		}
		for _, n := range f.nodes {
			n.serve = n.store(201, "x")
		}
		f.d.Write(t.Context(), f.target(), Write{Method: "UPDATE", Headers: hs, Body: []byte("rows")})
		f.d.Wait()
		var devices []string
		for _, n := range f.nodes {
			if !slices.Equal(n.bodies(), []string{"rows"}) || n.seen[0].Method != "UPDATE" || n.seen[0].URL.Path != "/"+n.device.Name+"/0/a/c/o" {
				t.Errorf("got %s %s with %q", n.seen[0].Method, n.seen[0].URL, n.bodies())
			}
			devices = append(devices, n.seen[0].Header.Get("X-Container-Device"))
		}
		slices.Sort(devices)
		if !slices.Equal(devices, []string{"0", "1", "2"}) {
			t.Errorf("headers went to %v", devices)
		}
	})
}

func TestDeleteTakes404For204OnlyWithoutAgreement(t *testing.T) {
	for _, c := range []struct {
		nodes []int
		want  int
	}{
		{[]int{204, 204, 404}, 204}, {[]int{204, 404, 404}, 404}, {[]int{404, 404, 404}, 404}, {[]int{204, 404, 0}, 204}, {[]int{404, 0, 0}, 503},
		{[]int{409, 204, 0}, 503}, {[]int{409, 409, 204}, 409},
	} {
		t.Run(fmt.Sprint(c.nodes), func(t *testing.T) {
			both(t, 3, 3, func(t *testing.T, f *fake) {
				f.all(die, 0, 3)
				for i, code := range c.nodes {
					if code != 0 {
						f.nodes[i].serve = answer(code, "")
					}
				}
				a := f.d.Write(t.Context(), f.target(), Write{
					Method: http.MethodDelete, Headers: f.headers(3), Overrides: map[int]int{404: 204},
				})
				if a.Status != c.want {
					t.Errorf("got %d, want %d", a.Status, c.want)
				}
			})
		})
	}
}

func TestWriteToMoreNodesWhenAsked(t *testing.T) {
	both(t, 6, 3, func(t *testing.T, f *fake) {
		f.all(answer(404, ""), 0, 2)
		f.all(answer(202, ""), 2, 6)
		a := f.d.Write(t.Context(), f.target(), Write{Method: http.MethodPost, Headers: f.headers(3), Extra: func(s []int) int {
			if !slices.Contains(s, 202) || len(s) != 3 {
				t.Errorf("asked with %v", s)
			}
			return 2
		}})
		if a.Status != 202 || len(a.Statuses) != 5 {
			t.Errorf("got %d of %v", a.Status, a.Statuses)
		}
	})
}

func TestSlowNodesAreNotWaitedFor(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		f.options.PostQuorumTimeout = 20 * time.Millisecond
		release := make(chan struct{})
		f.all(answer(201, ""), 0, 2)
		f.nodes[2].serve = func(w http.ResponseWriter, r *http.Request) {
			<-release
			w.WriteHeader(201)
		}
		if a := f.d.Write(t.Context(), f.target(), Write{Method: http.MethodPut, Headers: f.headers(3)}); a.Status != 201 {
			t.Errorf("got %d", a.Status)
		}
		close(release)
		f.d.Wait()
		if f.nodes[2].requests() != 1 || f.limiter.nodes[keyOf(f.nodes[2].device)] != nil {
			t.Error("the slow node was given up")
		}
	})
}

func TestHungNodesAreGivenUp(t *testing.T) {
	both(t, 4, 3, func(t *testing.T, f *fake) {
		f.impatient()
		f.all(hang, 0, 2)
		f.all(answer(201, ""), 2, 4)
		if a := f.d.Write(t.Context(), f.target(), Write{Method: http.MethodPut, Headers: f.headers(3)}); a.Status != 201 {
			t.Errorf("got %d: %v", a.Status, a.Statuses)
		}
	})
}

func TestWriteGoesOnWithoutTheClient(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		ctx, cancel := context.WithCancel(t.Context())
		f.all(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(201)
		}, 0, 3)
		if a := f.d.Write(ctx, f.target(), Write{Method: http.MethodPut, Headers: f.headers(3)}); a.Status != 201 {
			t.Errorf("got %d", a.Status)
		}
	})
}

func TestDeleteReachesLocalHandoffs(t *testing.T) {
	f := newFake(t, "direct", 6, 2)
	var err error
	if f.options.WriteAffinity, err = ParseWriteAffinity("r1z4, r1z5"); err != nil {
		t.Fatal(err)
	}
	f.all(answer(204, ""), 0, 6)
	target := f.target()
	if got := target.LocalHandoffs(); got != 2 {
		t.Fatalf("LocalHandoffs() = %d, want 2: no primary is local", got)
	}
	f.d.Write(t.Context(), target, Write{Method: http.MethodDelete, Headers: f.headers(4)})
	f.d.Wait()
	if got := f.asked(); !slices.Equal(got, []int{1, 1, 0, 0, 1, 1}) {
		t.Errorf("asked %v", got)
	}
}

func BenchmarkWrite(b *testing.B) {
	f := newFake(b, "direct", 3, 3)
	f.all(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 0, 3)
	target, hs := f.target(), f.headers(3)
	b.ReportAllocs()
	for b.Loop() {
		for _, n := range f.nodes {
			n.mu.Lock()
			n.seen = n.seen[:0]
			n.mu.Unlock()
		}
		if a := f.d.Write(b.Context(), target, Write{Method: http.MethodDelete, Headers: hs}); a.Status != 204 {
			b.Fatal(a.Status)
		}
	}
}
