package fanout

import (
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/ring"
)

// A Limiter keeps nodes that make errors from being asked for a while. A node is a device at an address: one bad disk
// does not take its server along.
type Limiter struct {
	interval time.Duration
	limit    int
	clock    clock.Clock

	mu    sync.RWMutex // guards nodes
	nodes map[nodeKey]*record
}

type nodeKey struct {
	ip, device string
	port       int
}

type record struct {
	count int
	last  time.Time
}

// NewLimiter makes a Limiter that leaves out a node with more than limit errors of which the newest is not older than
// interval. An interval of 0 leaves none out.
func NewLimiter(interval time.Duration, limit int, c clock.Clock) *Limiter {
	return &Limiter{interval: interval, limit: limit, clock: c, nodes: map[nodeKey]*record{}}
}

func keyOf(n ring.Node) nodeKey { return nodeKey{n.IP, n.Name, n.Port} }

// Error counts one error of a node.
func (l *Limiter) Error(n ring.Node) { l.add(n, 1) }

// Limit leaves a node out at once.
func (l *Limiter) Limit(n ring.Node) { l.add(n, l.limit+1) }

func (l *Limiter) add(n ring.Node, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.nodes[keyOf(n)]
	if e == nil {
		e = &record{}
		l.nodes[keyOf(n)] = e
	}
	e.count += count
	e.last = l.clock.Now()
}

// Limited says whether a node is left out.
func (l *Limiter) Limited(n ring.Node) bool {
	l.mu.RLock()
	e := l.nodes[keyOf(n)]
	if e == nil || l.interval <= 0 {
		l.mu.RUnlock()
		return false
	}
	old, over := l.clock.Now().Sub(e.last) > l.interval, e.count > l.limit
	l.mu.RUnlock()
	if !old {
		return over
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.nodes[keyOf(n)]; e != nil && l.clock.Now().Sub(e.last) > l.interval {
		delete(l.nodes, keyOf(n))
	}
	return false
}
