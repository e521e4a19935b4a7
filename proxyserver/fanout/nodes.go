package fanout

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/ring"
)

func truthy(s string) bool { return config.Truthy(s) }

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// Sorting says in what order primaries are asked.
type Sorting string

// The orders.
const (
	SortShuffle  Sorting = "shuffle"  // at random
	SortTiming   Sorting = "timing"   // the quickest of late first
	SortAffinity Sorting = "affinity" // as ReadAffinity says
)

// An Affinity prefers regions and zones: the lower the number, the earlier.
type Affinity []preference

type preference struct {
	region, zone int // zone -1: the whole region
	priority     int
}

// ParseReadAffinity reads "r1z1=100, r2=200".
func ParseReadAffinity(s string) (Affinity, error) {
	var a Affinity
	for _, part := range config.SplitList(s) {
		place, number, ok := strings.Cut(part, "=")
		p, err := parsePlace(strings.TrimSpace(place))
		n, numErr := strconv.Atoi(strings.TrimSpace(number))
		if !ok || err != nil || numErr != nil {
			return nil, fmt.Errorf("want r<region>[z<zone>]=<number>, have %q", part)
		}
		p.priority = n
		a = append(a, p)
	}
	return a, nil
}

// ParseWriteAffinity reads "r1, r2z3".
func ParseWriteAffinity(s string) (Affinity, error) {
	var a Affinity
	for _, part := range config.SplitList(s) {
		p, err := parsePlace(part)
		if err != nil {
			return nil, fmt.Errorf("want r<region>[z<zone>], have %q", part)
		}
		a = append(a, p)
	}
	return a, nil
}

var errPlace = errors.New("not a region or zone")

func parsePlace(s string) (preference, error) {
	rest, ok := strings.CutPrefix(s, "r")
	if !ok {
		return preference{}, errPlace
	}
	region, zone, hasZone := strings.Cut(rest, "z")
	r, err := strconv.Atoi(region)
	z := -1
	if err == nil && hasZone {
		z, err = strconv.Atoi(zone)
	}
	if err != nil || r < 0 || hasZone && z < 0 {
		return preference{}, errPlace
	}
	return preference{region: r, zone: z}, nil
}

// priority of a node; what is not mentioned comes last.
func (a Affinity) priority(n ring.Node) int {
	best := 1<<31 - 1
	for _, p := range a {
		if p.region == n.Region && (p.zone < 0 || p.zone == n.Zone) {
			// The zone's own number beats the region's.
			if p.zone >= 0 {
				return p.priority
			}
			best = p.priority
		}
	}
	return best
}

// local says whether the node is in one of the places.
func (a Affinity) local(n ring.Node) bool {
	return slices.ContainsFunc(a, func(p preference) bool {
		return p.region == n.Region && (p.zone < 0 || p.zone == n.Zone)
	})
}

// order says what nodes are wanted for.
type order int

const (
	forRead   order = iota
	forPut          // local nodes first, with WriteAffinity
	forDelete       // primaries, then local handoffs
	forPost         // primaries
)

// nodeIter hands out the nodes of a partition, each once, to any number of goroutines.
type nodeIter struct {
	d        *Dispatcher
	target   Target
	mu       sync.Mutex
	queue    []ring.Node
	next     func() (ring.Node, bool) // handoffs
	stop     func()
	left     int       // nodes still to be handed out at most
	last     ring.Node // handed out
	expected int       // handoffs that are no surprise
	room     [8]ring.Node
}

// nodes starts an iteration over a partition. Close it.
func (d *Dispatcher) nodes(t Target, o order) *nodeIter {
	it := &nodeIter{d: d, target: t}
	it.queue = t.Ring.AppendPrimaries(it.room[:0], t.Part)
	it.left = t.Options.RequestNodeCount(len(it.queue))
	it.expected = max(0, it.left-len(it.queue))
	d.sort(it.queue, t.Options)
	if t.Kind == "Object" && len(t.Options.WriteAffinity) > 0 {
		switch o {
		case forPut:
			it.localFirst()
		case forDelete:
			it.localHandoffs()
		}
	}
	return it
}

func (d *Dispatcher) sort(nodes []ring.Node, o *Options) {
	if len(nodes) < 2 {
		return
	}
	d.shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	switch o.Sorting {
	case SortTiming:
		took := make(map[int]time.Duration, len(nodes))
		for _, n := range nodes {
			took[n.ID] = d.timings.get(n.IP, d.clock.Now())
		}
		slices.SortStableFunc(nodes, func(a, b ring.Node) int { return int(took[a.ID] - took[b.ID]) })
	case SortAffinity:
		slices.SortStableFunc(nodes, func(a, b ring.Node) int {
			return o.ReadAffinity.priority(a) - o.ReadAffinity.priority(b)
		})
	}
}

// localFirst puts local nodes, primaries and then handoffs, before all others, up to the number wanted.
func (it *nodeIter) localFirst() {
	o := it.target.Options
	want := o.WriteLocalCount(len(it.queue))
	var local, remote []ring.Node
	for _, n := range it.queue {
		if o.WriteAffinity.local(n) && len(local) < want {
			local = append(local, n)
		} else {
			remote = append(remote, n)
		}
	}
	for n := range it.target.Ring.Handoffs(it.target.Part) {
		if len(local) >= want {
			break
		}
		if o.WriteAffinity.local(n) {
			local = append(local, n)
		}
	}
	it.queue = append(local, remote...)
	it.skipQueued()
}

// localHandoffs puts local handoffs right after the primaries.
func (it *nodeIter) localHandoffs() {
	want := it.target.LocalHandoffs()
	it.left = max(it.left, len(it.queue)+want)
	queue := slices.Clone(it.queue)
	for n := range it.target.Ring.Handoffs(it.target.Part) {
		if want == 0 {
			break
		}
		if it.target.Options.WriteAffinity.local(n) {
			queue = append(queue, n)
			want--
		}
	}
	it.queue = queue
	it.skipQueued()
}

// skipQueued leaves out of the handoffs to come those that are in the queue already.
func (it *nodeIter) skipQueued() {
	var used []int
	for _, n := range it.queue {
		if n.Handoff {
			used = append(used, n.ID)
		}
	}
	it.next, it.stop = iter.Pull(func(yield func(ring.Node) bool) {
		for n := range it.target.Ring.Handoffs(it.target.Part) {
			if !slices.Contains(used, n.ID) && !yield(n) {
				return
			}
		}
	})
}

// take returns the next usable node.
func (it *nodeIter) take() (ring.Node, bool) {
	it.mu.Lock()
	defer it.mu.Unlock()
	// A node that turned out to be full or missing makes room for one more.
	if it.last.Device != nil && it.left >= 0 && it.d.limiter.Limited(it.last) {
		it.left++
	}
	it.last = ring.Node{}
	for it.left > 0 {
		n, ok := it.pop()
		if !ok {
			return ring.Node{}, false
		}
		if it.d.limiter.Limited(n) {
			continue
		}
		it.left--
		it.last = n
		if n.Handoff {
			it.handoffUsed(n)
		}
		return n, true
	}
	return ring.Node{}, false
}

func (it *nodeIter) pop() (ring.Node, bool) {
	if len(it.queue) > 0 {
		n := it.queue[0]
		it.queue = it.queue[1:]
		return n, true
	}
	if it.next == nil {
		it.next, it.stop = iter.Pull(it.target.Ring.Handoffs(it.target.Part))
	}
	return it.next()
}

func (it *nodeIter) handoffUsed(n ring.Node) {
	if it.expected > 0 {
		it.expected--
		return
	}
	if it.d.handoffs {
		it.d.log.Warn("handoff requested", "handoff", n.Index, "node", n.HostPort(), "device", n.Name, "partition", it.target.Part)
	}
}

// close ends the iteration.
func (it *nodeIter) close() {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.left = -1
	if it.stop != nil {
		it.stop()
	}
}

// timings remembers how long nodes took to accept a request, for SortTiming.
type timings struct {
	mu   sync.Mutex
	byIP map[string]timing
}

type timing struct {
	took  time.Duration
	until time.Time
}

func (t *timings) set(ip string, took, expiry time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byIP[ip] = timing{took, now.Add(expiry)}
}

// get returns a node's time; one not known of late comes first, so that it becomes known.
func (t *timings) get(ip string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v, ok := t.byIP[ip]; ok && now.Before(v.until) {
		return v.took
	}
	return -1
}
