package fanout

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// promising is a node that reserves the object, having a version of the time, and then does what then does.
func promising(stored string, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend-Reserved", stored)
		w.WriteHeader(http.StatusContinue)
		w.Header().Del("X-Backend-Reserved")
		then(w, r)
	}
}

// gone is a node that cuts the connection. After a panic a server would wait for a short body first.
func gone(w http.ResponseWriter, _ *http.Request) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
		return
	}
	panic(http.ErrAbortHandler)
}

// late reads all of the body and then does what then does.
func (n *fakeNode) late(then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.store(0, "")(discardHead{w}, r)
		then(w, r)
	}
}

// discardHead lets a handler run for what it does beside answering.
type discardHead struct{ http.ResponseWriter }

func (discardHead) WriteHeader(int) {}

func TestWriteIf(t *testing.T) {
	const none, inDoubt = "0000000000.00000", -1
	type does func(*fakeNode) http.HandlerFunc
	free := func(n *fakeNode) http.HandlerFunc { return promising(none, n.store(201, "x")) }
	has := func(at string) does {
		return func(n *fakeNode) http.HandlerFunc { return promising(at, n.store(201, "x")) }
	}
	says := func(code int, headers ...string) does {
		return func(*fakeNode) http.HandlerFunc { return answer(code, "", headers...) }
	}
	// A node of whose version, which has the time, the condition does not hold.
	behind := func(at string) does {
		return func(n *fakeNode) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if newest := r.Header.Get("X-Backend-If-Behind"); newest != "" && at < newest {
					promising(at, n.store(201, "x"))(w, r)
					return
				}
				answer(412, "", "X-Backend-Timestamp: "+at)(w, r)
			}
		}
	}
	then := func(code int) does {
		return func(n *fakeNode) http.HandlerFunc { return promising(none, n.late(answer(code, ""))) }
	}
	always := func(h http.HandlerFunc) does { return func(*fakeNode) http.HandlerFunc { return h } }
	down := always(gone)
	python := func(n *fakeNode) http.HandlerFunc { return n.store(201, "x") }
	breaks := always(promising(none, halfway))
	for _, c := range []struct {
		name   string
		nodes  []does
		status int
		err    error
		stored int  // how many nodes have the whole body in the end
		body   bool // the body has been read
	}{
		{"all reserve", []does{free, free, free}, 201, nil, 3, true},
		{"one of one", []does{free}, 201, nil, 1, true},
		{"two of two", []does{free, free}, 201, nil, 2, true},
		{"one of two is not enough", []does{free, down}, 0, ErrNoQuorum, 0, false},
		{"two of four are not enough", []does{free, free, down, down}, 0, ErrNoQuorum, 0, false},
		{"three of five", []does{down, free, down, free, free}, 201, nil, 3, true},
		{"the first is down", []does{down, free, free}, 201, nil, 2, true},
		{"two are down", []does{down, down, free}, 0, ErrNoQuorum, 0, false},
		{"the first is reserved", []does{says(409), free, free}, 0, ErrConflict, 0, false},
		{"another one is reserved", []does{free, says(409), free}, 201, nil, 2, true},
		{"another one has something newer", []does{free, says(409, "X-Backend-Timestamp: 1700000009.00000"), free}, 0, ErrConflict, 0, false},
		{"two others are reserved", []does{free, says(409), says(409)}, 0, ErrConflict, 0, false},
		{"all have it", []does{says(412), says(412), says(412)}, 0, ErrPrecondition, 0, false},
		{"one has it, since later than the others know", []does{free, free, says(412, "X-Backend-Timestamp: 1600000000.00000")}, 0, ErrConflict, 0, false},
		{"one has it still", []does{says(412, "X-Backend-Timestamp: 1600000000.00000"), free, has("1600000001.00000")}, 201, nil, 2, true},
		{"one has it, who knows since when", []does{free, has("1600000001.00000"), says(412)}, 0, ErrConflict, 0, false},
		{"one has it still, one is down", []does{says(412, "X-Backend-Timestamp: 1600000000.00000"), down, has("1600000001.00000")}, 0, ErrConflict, 0, false},
		{"two are behind", []does{behind("1600000000.00000"), has("1600000001.00000"), behind(none)}, 201, nil, 3, true},
		{"two are behind, the last knows", []does{behind("1600000000.00000"), behind(none), has("1600000001.00000")}, 201, nil, 3, true},
		{"one is behind, one is down", []does{behind(none), down, has("1600000001.00000")}, 201, nil, 2, true},
		{"one is behind, one is ahead", []does{behind(none), has("1600000001.00000"), behind("1600000002.00000")}, 0, ErrConflict, 0, false},
		{"two have it, one is down", []does{says(412), down, says(412)}, 0, ErrPrecondition, 0, false},
		{"one has it, one is down", []does{says(412), down, free}, 0, ErrConflict, 0, false},
		{"two of four have it", []does{says(412), says(412), free, free}, 0, ErrConflict, 0, false},
		{"one is behind, the others are down", []does{behind(none), down, down}, 0, ErrNoQuorum, 0, false},
		{"all are the same", []does{behind(none), behind(none), behind(none)}, 0, ErrPrecondition, 0, false},
		{"one does not promise", []does{python, free, free}, 201, nil, 2, true},
		{"two do not promise", []does{python, free, python}, 0, ErrUnpromised, 0, false},
		{"none promises", []does{python, python, python}, 0, ErrUnpromised, 0, false},
		{"two do not promise, the other has it", []does{python, says(412), python}, 0, ErrPrecondition, 0, false},
		{"all refuse", []does{says(400), says(400), says(400)}, 400, nil, 0, false},
		{"one breaks off in mid-body", []does{free, breaks, free}, 201, nil, 2, true},
		{"two break off in mid-body", []does{free, breaks, breaks}, 0, ErrNoQuorum, inDoubt, true},
		{"one commits, two do not say", []does{free, then(500), then(500)}, 0, ErrNoQuorum, 3, true},
		{"one commits, two refuse in the end", []does{free, then(412), then(412)}, 0, ErrNoQuorum, 3, true},
		{"two commit, one refuses in the end", []does{free, free, then(412)}, 201, nil, 3, true},
		{"all refuse in the end", []does{then(412), then(409), then(412)}, 0, ErrPrecondition, 3, true},
		{"all are overtaken in the end", []does{then(409), then(409), then(409)}, 0, ErrConflict, 3, true},
		{"all find the body wrong", []does{then(422), then(422), then(422)}, 422, nil, 3, true},
	} {
		for _, body := range []string{strings.Repeat("0123456789abcdef", 6000), ""} {
			if body == "" && strings.Contains(c.name, "mid-body") {
				continue
			}
			t.Run(fmt.Sprintf("%s, %d bytes", c.name, len(body)), func(t *testing.T) {
				both(t, len(c.nodes)+2, len(c.nodes), func(t *testing.T, f *fake) {
					f.stored("handoff")
					for i, n := range c.nodes {
						f.nodes[i].serve = n(f.nodes[i])
					}
					b := &touchy{Reader: strings.NewReader(body)}
					a, err := f.d.PutIf(t.Context(), f.target(), Put{Headers: f.headers(len(c.nodes)), Body: b, Length: int64(len(body))})
					if !errors.Is(err, c.err) || err == nil && a.Status != c.status {
						t.Fatalf("got %+v, %v; want %d, %v", a, err, c.status, c.err)
					}
					if b.touched != c.body {
						t.Errorf("the body was read: %v", b.touched)
					}
					f.d.Wait()
					stored := 0
					for _, n := range f.nodes {
						for _, got := range n.bodies() {
							if stored++; got != body {
								t.Errorf("a node took %d bytes of %d for the whole", len(got), len(body))
							}
						}
					}
					if stored != c.stored && c.stored != inDoubt {
						t.Errorf("%d nodes got the whole, want %d", stored, c.stored)
					}
					if got := f.asked()[len(c.nodes):]; got[0]+got[1] > 0 {
						t.Error("a handoff was asked")
					}
				})
			})
		}
	}
}

func TestWritersMeetAtTheFirstNode(t *testing.T) {
	both(t, 4, 3, func(t *testing.T, f *fake) {
		f.all(answer(409, ""), 0, 3)
		f.d.shuffle = func(int, func(i, j int)) { t.Error("primaries were shuffled") }
		_, err := f.d.PutIf(t.Context(), f.target(), Put{Headers: f.headers(3), Body: strings.NewReader("x"), Length: 1})
		if got := fmt.Sprint(f.asked()); !errors.Is(err, ErrConflict) || got != "[1 0 0 0]" {
			t.Errorf("asked %s, %v; want the first only", got, err)
		}
	})
}

func TestABrokenBodyIsStoredNowhere(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		for _, n := range f.nodes {
			n.serve = promising("0", n.store(201, "x"))
		}
		body := strings.Repeat("0123456789abcdef", 20000)
		_, err := f.d.PutIf(t.Context(), f.target(), Put{Headers: f.headers(3), Body: broken(body), Length: -1})
		if !errors.Is(err, errBroken) {
			t.Errorf("got %v", err)
		}
		f.d.Wait()
		for i, n := range f.nodes {
			if len(n.bodies()) > 0 {
				t.Errorf("node %d has it", i)
			}
		}
	})
}

func TestDeleteIf(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		for i, n := range f.nodes {
			n.serve = promising("1600000000.00000", n.store([]int{204, 204, 412}[i], ""))
		}
		headers := f.headers(3)
		for _, h := range headers {
			h.Set("X-Timestamp", "1700000000.00000")
		}
		before := fmt.Sprint(headers)
		a, err := f.d.DeleteIf(t.Context(), f.target(), headers)
		if err != nil || a.Status != 204 {
			t.Fatalf("got %+v, %v", a, err)
		}
		f.d.Wait()
		if after := fmt.Sprint(headers); after != before {
			t.Errorf("the caller's headers %s have become %s", before, after)
		}
		for i, n := range f.nodes {
			if n.seen[0].Method != "DELETE" || len(n.bodies()) != 1 || n.bodies()[0] != "" {
				t.Errorf("node %d got %s with %q", i, n.seen[0].Method, n.bodies())
			}
		}
	})
}

func TestAConditionWithFooters(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		for _, n := range f.nodes {
			store := n.store(201, "x")
			n.serve = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Obj-Metadata-Footer", "yes")
				promising("0", store)(w, r)
			}
		}
		a, err := f.d.PutIf(t.Context(), f.target(), Put{
			Headers: f.headers(3), Body: strings.NewReader("data"), Length: 4,
			Footers: func() http.Header { return http.Header{"X-Object-Sysmeta-A": {"b"}} },
		})
		if err != nil || a.Status != 201 {
			t.Fatalf("got %+v, %v", a, err)
		}
		f.d.Wait()
		for i, n := range f.nodes {
			if got := n.bodies(); len(got) != 1 || !strings.Contains(got[0], "data") || !strings.Contains(got[0], `"X-Object-Sysmeta-A":"b"`) {
				t.Errorf("node %d has %q", i, got)
			}
		}
	})
}

// TestDeleteIfLeavesNodesAloneThatPromiseNothing has nodes that delete whatever has a time, as Swift's do, without waiting for a word more:
// what is refused must be there still.
func TestDeleteIfLeavesNodesAloneThatPromiseNothing(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		var deleted atomic.Int64
		swift := func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Timestamp") == "" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			deleted.Add(1)
			w.WriteHeader(http.StatusNoContent)
		}
		f.all(swift, 0, 3)
		headers := f.headers(3)
		for _, h := range headers {
			h.Set("X-Timestamp", "1700000000.00000")
		}
		a, err := f.d.DeleteIf(t.Context(), f.target(), headers)
		f.d.Wait()
		if !errors.Is(err, ErrUnpromised) || deleted.Load() > 0 {
			t.Errorf("got %+v, %v; %d nodes have deleted", a, err, deleted.Load())
		}
	})
}
