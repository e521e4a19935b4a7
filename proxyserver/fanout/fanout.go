// Package fanout sends one client request to several storage nodes and makes one answer of theirs. It knows rings,
// nodes, quorums and time-outs; what the verbs of the Swift API mean is the controllers' business.
//
// There are three shapes of a request:
//
//   - [Dispatcher.Read] asks one node after another until one has a good answer, and goes on with another node when one
//     breaks off in mid-body.
//   - [Dispatcher.Write] sends a small request to every replica at once and waits for a quorum.
//   - [Dispatcher.Put] streams one body to every replica and needs a quorum at the start, during, and at the end.
//
// All of them take nodes in the same order: the partition's primaries, shuffled or sorted as the policy says, then its
// handoffs; nodes with too many recent errors are left out. Nothing here retries what may have been carried out, except
// on another node.
package fanout

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/ring"
)

// Headers that pass between proxy and nodes.
const (
	headerTimestamp     = "X-Timestamp"
	headerBackendTime   = "X-Backend-Timestamp"
	headerPutTime       = "X-Put-Timestamp"
	headerReplicatonNet = "X-Backend-Use-Replication-Network"
)

// Options tune how nodes are chosen and waited for. They may differ between policies.
type Options struct {
	NodeTimeout            time.Duration // for an answer's head, and between pieces of a body
	RecoverableNodeTimeout time.Duration // the same for reads of objects, which can go on elsewhere
	PostQuorumTimeout      time.Duration // for those still to answer after a quorum
	ConcurrencyTimeout     time.Duration // before a further node is asked, with ConcurrentGets
	ConcurrentGets         bool
	RequestNodeCount       func(replicas int) int // how many nodes are tried for one request at most
	// RebalanceMissing is how many primaries may say 404 without knowing of a deletion before that counts: after
	// a rebalance they may not have their data yet.
	RebalanceMissing int
	Sorting          Sorting
	ReadAffinity     Affinity // with SortAffinity
	WriteAffinity    Affinity // local nodes, which a PUT tries first
	WriteLocalCount  func(replicas int) int
	// DeleteHandoffs is how many local handoffs get a DELETE, with WriteAffinity; negative for as many as there are
	// primaries elsewhere.
	DeleteHandoffs int
	TimingExpiry   time.Duration
}

// A Dispatcher sends requests to nodes. It is safe for concurrent use.
type Dispatcher struct {
	transport http.RoundTripper
	limiter   *Limiter
	timings   timings
	log       *slog.Logger
	clock     clock.Clock
	handoffs  bool // warn about their use
	shuffle   func(n int, swap func(i, j int))
	// interruptible says that the transport gives up when a request's context ends.
	interruptible bool
	inProcess     bool           // nodes take the MD5 of what they get
	strays        sync.WaitGroup // requests that outlive the call that made them
}

// Config is what a Dispatcher is made of.
type Config struct {
	Transport   http.RoundTripper
	Limiter     *Limiter
	Log         *slog.Logger
	Clock       clock.Clock
	LogHandoffs bool
	// Interruptible says that the transport gives up a request soon after its context has ended, so that a time-out needs no
	// goroutine that can be left behind. A transport to nodes in this process cannot.
	Interruptible bool
	// InProcess says that the transport is to nodes in this process, which take the MD5 of an upload from here; see [nodes.Hashed].
	InProcess bool
	// Shuffle permutes primaries; nil means at random.
	Shuffle func(n int, swap func(i, j int))
}

// New makes a Dispatcher.
func New(c Config) *Dispatcher {
	if c.Shuffle == nil {
		c.Shuffle = rand.Shuffle
	}
	return &Dispatcher{
		transport: c.Transport, limiter: c.Limiter, log: c.Log, clock: c.Clock, handoffs: c.LogHandoffs, shuffle: c.Shuffle,
		interruptible: c.Interruptible, inProcess: c.InProcess,
		timings: timings{byIP: map[string]timing{}},
	}
}

// Wait waits for requests that were left behind when a quorum had answered. Call it when no call of another method is
// under way and none will come.
func (d *Dispatcher) Wait() { d.strays.Wait() }

// A Target is what a request is about, and where that is kept.
type Target struct {
	Kind    string // "Account", "Container", "Object": for the log, and objects know 416
	Ring    *ring.Ring
	Part    uint32
	Path    string // decoded: /account[/container[/object]]
	Query   string // raw
	Options *Options
}

// Replicas returns how many nodes hold the partition.
func (t Target) Replicas() int {
	var room [16]ring.Node
	return len(t.Ring.AppendPrimaries(room[:0], t.Part))
}

// LocalHandoffs returns how many handoffs get a DELETE besides the primaries: those where a PUT with WriteAffinity may
// have put the object.
func (t Target) LocalHandoffs() int {
	switch {
	case len(t.Options.WriteAffinity) == 0:
		return 0
	case t.Options.DeleteHandoffs >= 0:
		return t.Options.DeleteHandoffs
	}
	var room [16]ring.Node
	n := 0
	for _, node := range t.Ring.AppendPrimaries(room[:0], t.Part) {
		if !t.Options.WriteAffinity.local(node) {
			n++
		}
	}
	return n
}

// Quorum is how many of n nodes must agree: half of them, rounded up.
func Quorum(n int) int { return (n + 1) / 2 }

// An Answer is the outcome of a request: one node's answer, or one made up of several. Its header belongs to the caller.
type Answer struct {
	Status int
	Header http.Header
	Body   Body // never nil
	// Good says that a node has given what was asked for; its head is to be passed on. Otherwise Status is what nodes
	// have agreed upon, or 503.
	Good bool
	// NoQuorum says that they have not agreed upon anything: Status is 503, and there is no text.
	NoQuorum bool
	// Statuses are those of all nodes that a Write was decided by, 503 for each that did not answer.
	Statuses []int
}

// Text returns the body of an answer that is not Good.
func (a *Answer) Text() string {
	t, _ := a.Body.(textBody)
	return t.text
}

// request makes the request to one node. h is shared by all nodes and not changed by any.
func (t Target) request(ctx context.Context, n ring.Node, method string, h http.Header) *http.Request {
	host := n.HostPort()
	if v := h[headerReplicatonNet]; len(v) > 0 && truthy(v[0]) {
		host = n.ReplicationHostPort()
	}
	path := "/" + n.Name + "/" + decimal(t.Part) + t.Path
	u := &url.URL{Scheme: "http", Host: host, Path: path, RawPath: apipath.Quote(path), RawQuery: t.Query}
	if v := h["Host"]; len(v) > 0 {
		host = v[0] // the client's, for the node's log
	}
	return (&http.Request{
		Method: method, URL: u, Host: host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
}

// fault counts an error of a node and says so.
func (d *Dispatcher) fault(n ring.Node, t Target, method, what string, err error) {
	d.limiter.Error(n)
	d.log.Warn("storage node failed", "node", n.HostPort(), "device", n.Name, "method", method, "path", t.Path,
		"doing", what, "err", err)
}

// reject notes a node's answer that stops the node from being used.
func (d *Dispatcher) reject(n ring.Node, t Target, method string, status int) {
	if status == http.StatusInsufficientStorage {
		d.limiter.Limit(n)
		d.log.Warn("storage node has no such device or no room", "node", n.HostPort(), "device", n.Name, "method", method, "path", t.Path)
		return
	}
	d.limiter.Error(n)
	d.log.Warn("storage node answered with an error", "node", n.HostPort(), "device", n.Name, "method", method,
		"path", t.Path, "status", status)
}
