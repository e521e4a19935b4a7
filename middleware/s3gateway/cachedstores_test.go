package s3gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEachStoreHasItsOwnBodies has two stores with different objects of one name.
func TestEachStoreHasItsOwnBodies(t *testing.T) {
	for _, policy := range []string{"failover", "round_robin"} {
		t.Run(policy, func(t *testing.T) {
			one, two := newStore(t), newStore(t)
			fast := "health_interval = 0.05\nhealth_down = 2"
			g := newGateway(t, one.upstream("one", fast), two.upstream("two", fast), clients, cacheIn(t),
				"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['one', 'two']\npolicy = '"+policy+"'\n")
			for _, s := range []*store{one, two} {
				s.want(200, "PUT", "/photos", "")
			}
			one.want(200, "PUT", "/photos/x", "from one")
			two.want(200, "PUT", "/photos/x", "from two")
			if policy == "round_robin" {
				for range 20 {
					if a := g.want(200, "GET", "/photos/x", ""); a.body != "from one" && a.body != "from two" {
						t.Errorf("got %v", a)
					}
				}
				g.settle()
				n := 0
				for _, r := range append(one.requests(), two.requests()...) {
					if strings.HasPrefix(r, "GET") {
						n++
					}
				}
				if n > 2 {
					t.Errorf("20 reads took %d bodies from the stores, want 2 at most", n)
				}
				return
			}
			g.warm("/photos/x", "from one", one, two)
			g.has("/photos/x", "from one")
			one.asked("HEAD /photos/x")
			two.asked()
			one.meet(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
			for range 3 {
				g.has("/photos/x", "from two")
			}
			one.meet(nil)
			for range 500 {
				if a := g.want(200, "GET", "/photos/x", ""); a.body == "from one" {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Error("the first store is not asked again")
		})
	}
}

func TestAMirrorCachesWhatTheNewStoreHas(t *testing.T) {
	fresh, old := newStore(t), newStore(t)
	g := newGateway(t, fresh.upstream("fresh"), old.upstream("old"), clients, cacheIn(t, "trust_for = 3600"),
		"[[filter.s3gateway.route]]\nbucket = 'photos'\nupstreams = ['fresh', 'old']\npolicy = 'mirror'\n")
	fresh.want(200, "PUT", "/photos", "")
	old.want(200, "PUT", "/photos", "")
	old.want(200, "PUT", "/photos/x", "bytes")
	g.warm("/photos/x", "bytes", fresh, old) // copied, from the old
	g.has("/photos/x", "bytes")
	old.asked()
	fresh.asked("GET /photos/x") // and kept
	g.settle()
	g.has("/photos/x", "bytes")
	fresh.asked()
	g.want(204, "DELETE", "/photos/x", "")
	g.want("NoSuchKey", "GET", "/photos/x", "")

	// What is brought over for a copy counts from then on, trust or not.
	fresh.want(200, "PUT", "/photos/y", "new")
	g.warm("/photos/y", "new", fresh, old)
	fresh.want(204, "DELETE", "/photos/y", "")
	old.want(200, "PUT", "/photos/y", "old")
	g.want(200, "PUT", "/photos/z", "", "x-amz-copy-source", "/photos/y")
	g.has("/photos/y", "old")
	g.has("/photos/z", "old")
}
