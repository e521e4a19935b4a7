package testcluster

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// trouble is what goes wrong with the nodes of an object while many write it.
type trouble struct {
	*testing.T
	c      *Cluster
	random *rand.Rand

	account, container, object string
}

// troubles is how many kinds there are; 0 is none.
const troubles = 7

// begin lets something go wrong, at once or when the nodes have had some of the writers' requests. What begins later is waited for by wg.
func (x trouble) begin(kind int, seed uint64, wg *sync.WaitGroup) {
	primaries := x.c.Primaries(x.account, x.container, x.object)
	x.random.Shuffle(len(primaries), func(i, j int) { primaries[i], primaries[j] = primaries[j], primaries[i] })
	stop := func(n *Node) {
		if err := n.Stop(); err != nil {
			x.Error(err)
		}
	}
	switch moment := 1 + x.random.IntN(12); kind {
	case 1:
		stop(primaries[0])
	case 2:
		x.after(moment, wg, func() { stop(primaries[0]) })
	case 3:
		x.after(moment, wg, func() { stop(primaries[0]); stop(primaries[1]) })
	case 4:
		x.after(moment, wg, func() {
			if err := primaries[0].Crash(uint64(moment)); err != nil {
				x.Log("crash:", err) // what the dead node could not close
			}
			if err := primaries[0].Start(); err != nil {
				x.Error(err)
			}
		})
	case 5:
		s := &Schedule{Seed: seed, Rate: 200, Harmless: true}
		x.c.SetFaults(func(n *Node, r *http.Request) Fault {
			f := s.Fault(n, r)
			if slow := f.What == Hang || f.What == LateHang || f.What == Deaf || f.What == Delay; slow && x.c.options.Kind == TCP {
				f = Fault{What: Lose} // there time-outs take their time
			}
			return f
		})
	case 6:
		x.stall(primaries[0], moment)
	}
}

// writes counts the writers' requests to nodes, and says of each which one it is, or 0 if it is none of them.
func (x trouble) writes() func(*http.Request) int {
	var mu sync.Mutex
	count := 0
	return func(r *http.Request) int {
		if r.Method != http.MethodPut && r.Method != http.MethodDelete || !strings.HasSuffix(r.URL.Path, "/"+x.object) {
			return 0
		}
		mu.Lock()
		defer mu.Unlock()
		count++
		return count
	}
}

// after runs something when the nodes have had that many of the writers' requests.
func (x trouble) after(least int, wg *sync.WaitGroup, do func()) {
	number := x.writes()
	x.c.SetFaults(func(_ *Node, r *http.Request) Fault {
		if number(r) == least {
			wg.Go(do)
		}
		return Fault{}
	})
}

// stall lets a node stand still after that many of the writers' requests: for the next of them it does nothing, or hears of
// the body no more, for a time that is shorter or longer than proxies wait.
func (x trouble) stall(n *Node, least int) {
	number := x.writes()
	wait := time.Duration(x.random.Int64N(int64(2 * x.c.options.NodeTimeout)))
	f := Fault{What: Delay, Wait: wait}
	if x.random.IntN(3) == 0 {
		f = Fault{What: Deaf, N: int64(x.random.IntN(2000))}
	}
	x.c.SetFaults(func(to *Node, r *http.Request) Fault {
		if i := number(r); i >= least && i < least+16 && to == n {
			return f
		}
		return Fault{}
	})
}
