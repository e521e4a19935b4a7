package fanout

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestSmallPut(t *testing.T) {
	for _, c := range []struct {
		name   string
		nodes  []http.HandlerFunc // nil stores
		status int
		err    error
		stored int
		slow   bool
	}{
		{"all nodes are well", nil, 201, nil, 3, false},
		{"one node is down, a handoff takes its place", []http.HandlerFunc{die}, 201, nil, 3, false},
		{"one node has no disk", []http.HandlerFunc{answer(507, "")}, 201, nil, 3, false},
		{"one node is asked for too much", []http.HandlerFunc{answer(529, "Too Many Backend Requests")}, 201, nil, 3, false},
		{"one node hangs", []http.HandlerFunc{hang}, 201, nil, 3, true},
		{"one node breaks off in mid-body", []http.HandlerFunc{halfway}, 201, nil, 3, false},
		{"all nodes are down", []http.HandlerFunc{die, die, die, die, die, die}, 0, ErrNoQuorum, 0, false},
		{"only one node is up", []http.HandlerFunc{nil, die, die, die, die, die}, 0, ErrNoQuorum, 1, false},
		{"all refuse", []http.HandlerFunc{answer(400, "bad"), answer(400, "bad"), answer(400, "bad")}, 400, nil, 0, false},
		{"the bytes are not those announced", []http.HandlerFunc{answer(422, ""), answer(422, ""), answer(422, "")}, 422, nil, 0, false},
		{"all have a newer object", []http.HandlerFunc{answer(409, ""), answer(409, ""), answer(409, "")}, 0, ErrConflict, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies := []string{"", "x", strings.Repeat("y", smallBody)}
			if c.slow {
				bodies = bodies[1:2]
			}
			for _, body := range bodies {
				both(t, 6, 3, func(t *testing.T, f *fake) {
					if c.slow {
						f.impatient()
						f.options.PostQuorumTimeout = f.options.NodeTimeout * 2
					}
					f.stored("x")
					for i, h := range c.nodes {
						if h != nil {
							f.nodes[i].serve = h
						}
					}
					a, err := f.d.Put(t.Context(), f.target(), Put{
						Headers: f.headers(3), Body: strings.NewReader(body), Length: int64(len(body)), Whole: true,
					})
					if !errors.Is(err, c.err) || err == nil && a.Status != c.status {
						t.Fatalf("%d bytes: got %+v, %v; want %d, %v", len(body), a, err, c.status, c.err)
					}
					if c.status == 201 && a.Header.Get("Etag") != "x" {
						t.Errorf("%d bytes: Etag is %q", len(body), a.Header.Get("Etag"))
					}
					f.d.Wait()
					stored := 0
					for _, n := range f.nodes {
						for _, got := range n.bodies() {
							if got != body {
								t.Errorf("a node kept %d bytes of %d", len(got), len(body))
							}
							stored++
						}
					}
					if stored != c.stored {
						t.Errorf("%d bytes: stored on %d nodes, want %d", len(body), stored, c.stored)
					}
				})
			}
		})
	}
}

func TestSmallPutOfDifferentBytesIsAnError(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		for i, n := range f.nodes {
			n.serve = n.store(201, []string{"a", "b", "a"}[i])
		}
		a, err := f.d.Put(t.Context(), f.target(), Put{Headers: f.headers(3), Body: strings.NewReader("data"), Length: 4, Whole: true})
		if !errors.Is(err, ErrEtags) {
			t.Errorf("got %+v, %v, want %v", a, err, ErrEtags)
		}
	})
}

func TestNoNodeIsAskedWithoutTheWholeOfASmallBody(t *testing.T) {
	late := errors.New("not what was signed")
	for _, c := range []struct {
		name string
		body func() io.Reader
		want error
	}{
		{"client breaks off", func() io.Reader { return broken("abc") }, errBroken},
		{"client breaks off before it begins", func() io.Reader { return broken("") }, errBroken},
		{"filter says no at the very end", func() io.Reader {
			return io.MultiReader(strings.NewReader("0123456789"), readerFunc(func([]byte) (int, error) { return 0, late }))
		}, late},
		{"too short", func() io.Reader { return strings.NewReader("012345678") }, errLength},
		{"too long", func() io.Reader { return strings.NewReader("0123456789a") }, errLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, 3, 3, func(t *testing.T, f *fake) {
				f.stored("x")
				_, err := f.d.Put(t.Context(), f.target(), Put{Headers: f.headers(3), Body: c.body(), Length: 10, Whole: true})
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				for i, n := range f.asked() {
					if n > 0 {
						t.Errorf("node %d was asked", i)
					}
				}
			})
		})
	}
}

// TestConditionalPutAsksFirst checks that a node that has the object keeps the others from storing a new one.
func TestConditionalPutAsksFirst(t *testing.T) {
	both(t, 3, 3, func(t *testing.T, f *fake) {
		f.stored("x")
		f.nodes[1].serve = answer(412, "")
		_, err := f.d.Put(t.Context(), f.target(), Put{
			Headers: f.headers(3), Body: strings.NewReader("data"), Length: 4, Whole: true, IfNoneMatch: true,
		})
		if !errors.Is(err, ErrPrecondition) {
			t.Errorf("got %v, want %v", err, ErrPrecondition)
		}
		f.d.Wait()
		for i, n := range f.nodes {
			if len(n.bodies()) > 0 {
				t.Errorf("node %d has stored", i)
			}
		}
	})
}
