package proxyserver

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/meta"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
	"github.com/apus-storage/apus/proxyserver/fanout"
	"github.com/apus-storage/apus/ring"
)

var objectController = controller{cors: true, handlers: []handler{
	{method: http.MethodGet, serve: (*exchange).getObject, delayed: true},
	{method: http.MethodHead, serve: (*exchange).getObject, delayed: true},
	{method: http.MethodPut, serve: (*exchange).putObject, delayed: true},
	{method: http.MethodPost, serve: (*exchange).postObject, delayed: true},
	{method: http.MethodDelete, serve: (*exchange).deleteObject, delayed: true},
	{method: http.MethodOptions, serve: (*exchange).options, delayed: true},
}}

const (
	headerCleanQueue  = "X-Backend-Clean-Expiring-Object-Queue"
	headerOpenExpired = "X-Backend-Open-Expired"
)

// place is where an object belongs: its container, its policy, and the nodes that keep it.
type place struct {
	container *lookup.Container
	policy    policy.Policy
	target    fanout.Target
}

// locate finds an object's place. A container that cannot be looked up is a 503; one that is missing is for the
// handler to decide, after it has asked for permission.
func (x *exchange) locate() (*place, error) {
	c := x.container()
	if c.Status >= 500 {
		return nil, reply.Status(http.StatusServiceUnavailable)
	}
	index := string(c.Policy)
	if v := x.r.Header.Get(headerPolicy); v != "" {
		index = v
	}
	i, ok := policy.ParseIndex(index)
	p, known := x.cluster.Policies.ByIndex(i)
	if !ok || !known {
		return nil, reply.Raw(http.StatusServiceUnavailable, "Unknown Storage Policy")
	}
	x.policy = p.Index.String()
	live, err := x.rings.Object(p.Index)
	if err != nil {
		return nil, err
	}
	r := live.Ring()
	hash := x.cluster.Hasher.Sum(x.path.Account, x.path.Container, x.path.Object)
	return &place{c, p, fanout.Target{
		Kind: "Object", Ring: r, Part: r.Partition(hash), Path: x.path.Entity(), Options: x.nodeOptions(p.Index),
	}}, nil
}

// checkUnsharded refuses writes that would have to tell a shard, which is not implemented.
func (p *place) checkUnsharded() error {
	switch strings.ToLower(string(p.container.ShardingState)) {
	case "sharding", "sharded":
		return errNoShards("Writing objects to sharded containers is not implemented.")
	}
	return nil
}

// objectHeaders are those of any request for an object.
func (x *exchange) objectHeaders(p *place) http.Header {
	h := x.clientHeaders()
	h[headerPolicy] = []string{p.policy.Index.String()}
	delete(h, "X-Open-Expired")
	if x.config.AllowOpenExpired && truthy(x.r, "X-Open-Expired") {
		h[headerOpenExpired] = []string{"true"}
	}
	return h
}

func (x *exchange) getObject() (*response, error) {
	p, err := x.locate()
	if err != nil {
		return nil, err
	}
	if err := x.authorize(p.container.ReadACL); err != nil {
		return nil, err
	}
	t := p.target
	t.Query = x.r.URL.RawQuery
	resp := x.read(t, x.sign(x.objectHeaders(p), x.r.URL.RawQuery))
	if v := resp.header["Content-Type"]; len(v) > 0 && strings.Contains(v[0], ";") {
		resp.header["Content-Type"] = []string{withoutSwiftParams(v[0])}
	}
	return resp, nil
}

// withoutSwiftParams drops a last parameter of a content type that is for listings. Swift's other one, which marks a
// deletion, is the type's meaning.
func withoutSwiftParams(contentType string) string {
	if i := strings.LastIndexByte(contentType, ';'); strings.HasPrefix(strings.TrimLeft(contentType[i+1:], " \t"), "swift_bytes=") {
		return strings.TrimRight(contentType[:i], " \t")
	}
	return contentType
}

func (x *exchange) postObject() (*response, error) {
	if err := x.refuseCondition(); err != nil {
		return nil, err
	}
	p, err := x.locate()
	if err != nil {
		return nil, err
	}
	if err := x.authorize(p.container.WriteACL); err != nil {
		return nil, err
	}
	if !p.container.Exists() {
		return nil, reply.Status(http.StatusNotFound)
	}
	if err := p.checkUnsharded(); err != nil {
		return nil, err
	}
	if err := x.checkMeta(meta.Object); err != nil {
		return nil, err
	}
	h := x.objectHeaders(p)
	now, err := x.stamp(h)
	if err != nil {
		return nil, err
	}
	queue, err := x.resolveExpiry(h, now)
	if err != nil {
		return nil, err
	}
	hs := x.spreadUpdates(x.sign(h, x.r.URL.RawQuery), p, p.target.Replicas(), queue)
	ans := x.nodes.Write(x.r.Context(), p.target, fanout.Write{Method: http.MethodPost, Headers: hs, Extra: handoffsForMixed})
	if ans.Status == http.StatusNotFound && count(ans.Statuses, http.StatusAccepted) > 0 {
		// Somewhere the object is, and its new metadata too: saying that it is not would be wrong.
		return nil, reply.Status(http.StatusServiceUnavailable)
	}
	return x.fromVerdict(ans), nil
}

// handoffsForMixed sends a POST to as many handoffs as primaries do not have the object that others have: it may not
// have been moved yet.
func handoffsForMixed(statuses []int) int {
	if count(statuses, http.StatusAccepted) == 0 {
		return 0
	}
	return count(statuses, http.StatusNotFound)
}

func count(statuses []int, code int) (n int) {
	for _, s := range statuses {
		if s == code {
			n++
		}
	}
	return n
}

func (x *exchange) deleteObject() (*response, error) {
	cond, err := x.condition()
	if err != nil {
		return nil, err
	}
	p, err := x.locate()
	if err != nil {
		return nil, err
	}
	if err := x.authorize(p.container.WriteACL); err != nil {
		return nil, err
	}
	if !p.container.Exists() {
		return nil, reply.Status(http.StatusNotFound)
	}
	if err := p.checkUnsharded(); err != nil {
		return nil, err
	}
	h := x.objectHeaders(p)
	if _, err := x.stamp(h); err != nil {
		return nil, err
	}
	if cond.set {
		return x.deleteIf(p, h)
	}
	n := p.target.Replicas() + p.target.LocalHandoffs()
	hs := x.spreadUpdates(x.sign(h, x.r.URL.RawQuery), p, n, nil)
	return x.write(p.target, fanout.Write{
		Method: http.MethodDelete, Headers: hs, Overrides: map[int]int{http.StatusNotFound: http.StatusNoContent},
	}), nil
}

// stamp gives the request its time, unless somebody within the cluster has.
func (x *exchange) stamp(h http.Header) (timestamp.Timestamp, error) {
	given := h.Get("X-Timestamp")
	if given == "" {
		now := x.now()
		h["X-Timestamp"] = []string{now.Internal()}
		return now, nil
	}
	t, err := timestamp.Parse(given)
	if err != nil {
		return t, plain(http.StatusBadRequest,
			"X-Timestamp should be a UNIX timestamp float value; was '"+given+"'").Because(err)
	}
	h["X-Timestamp"] = []string{t.Internal()}
	return t, nil
}

// spreadUpdates makes the headers of n requests to object nodes. Each names container nodes that are to get the
// object's row, and those of the expiry queue, so that the update survives if the write itself has a quorum.
func (x *exchange) spreadUpdates(h http.Header, p *place, n int, queue *queueEntry) []http.Header {
	t := x.containerTarget(x.path.Account, x.path.Container, "")
	containers := t.Ring.AppendPrimaries(nil, t.Part)
	if next, ok := p.target.Ring.NextPartPower(); ok {
		h["X-Backend-Next-Part-Power"] = []string{strconv.FormatUint(uint64(next), 10)}
	}
	hs := make([]http.Header, n)
	for i := range hs {
		hs[i] = cloneShallow(h)
	}
	replication := truthy(x.r, "X-Backend-Use-Replication-Network")
	updates := max(len(containers), fanout.Quorum(len(containers))+n-p.policy.Quorum(p.target.Replicas()))
	for i := range updates {
		spread(hs[i%n], "X-Container", t.Part, containers[i%len(containers)], replication)
		if queue != nil {
			queue.spread(hs[n-1-i%n], i, replication)
		}
	}
	// Two removals from the queue are enough: they are a nicety, and each keeps the updaters busy.
	for i, h := range hs {
		if len(h[headerCleanQueue]) == 0 {
			h[headerCleanQueue] = []string{[]string{"t", "f"}[min(i/2, 1)]}
		}
	}
	return hs
}

// cloneShallow copies the map but not the lists, which nobody changes in place.
func cloneShallow(h http.Header) http.Header {
	c := make(http.Header, len(h)+6)
	for k, v := range h {
		c[k] = v
	}
	return c
}

// queueEntry is where the cluster keeps the note that an object is to expire.
type queueEntry struct {
	container string
	part      uint32
	nodes     []ring.Node
}

// resolveExpiry checks the expiry headers and finds their queue; nil if the object does not expire.
func (x *exchange) resolveExpiry(h http.Header, now timestamp.Timestamp) (*queueEntry, error) {
	if err := meta.ResolveDelete(h, now.Time()); err != nil {
		return nil, textError(err)
	}
	if _, ok := h["X-Delete-At"]; !ok {
		return nil, nil
	}
	at, _ := meta.DeleteAt(meta.Value(h, "X-Delete-At"))
	value := padded(at)
	h["X-Delete-At"] = []string{value}
	x.state.Log.AddInfo("x-delete-at:" + strconv.FormatInt(at, 10))
	hash := x.cluster.Hasher.Sum(x.path.Account, x.path.Container, x.path.Object)
	start := at/x.config.ExpiringDivisor*x.config.ExpiringDivisor - int64(mod100(hash[:]))
	account := x.cluster.Limits.AutoCreateAccountPrefix + x.config.ExpiringAccount
	q := &queueEntry{container: padded(max(start, 0))}
	t := x.containerTarget(account, q.container, "")
	q.part, q.nodes = t.Part, t.Ring.AppendPrimaries(nil, t.Part)
	return q, nil
}

func (q *queueEntry) spread(h http.Header, i int, replication bool) {
	h["X-Delete-At-Container"] = []string{q.container}
	spread(h, "X-Delete-At", q.part, q.nodes[i%len(q.nodes)], replication)
}

// padded writes seconds with ten digits.
func padded(seconds int64) string {
	s := strconv.FormatInt(seconds, 10)
	return strings.Repeat("0", max(0, 10-len(s))) + s
}

// mod100 is the remainder of the number that the bytes make, the first the most significant.
func mod100(b []byte) int {
	n := 0
	for _, c := range b {
		n = (n*256 + int(c)) % 100
	}
	return n
}
