package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// A Group are the upstreams of one route.
type Group struct {
	policy route.Policy
	all    []*Upstream
	next   atomic.Uint32
}

// NewGroup returns a group of at least one upstream, of a mirror of at least two. It does not own them.
func NewGroup(policy route.Policy, all []*Upstream) *Group {
	return &Group{policy: policy, all: slices.Clone(all)}
}

// Upstreams returns the members in the operator's order.
func (g *Group) Upstreams() []*Upstream { return slices.Clone(g.all) }

// Only is a group of one of the upstreams; of what is known there alone, such as where a list goes on.
func Only(u *Upstream) *Group { return &Group{policy: route.Failover, all: []*Upstream{u}} }

// Primary is the upstream that a mirror fills and that has the last word; as a group, with all that Do does.
func (g *Group) Primary() *Group { return Only(g.all[0]) }

// Secondary are the upstreams that a mirror is filled from, in their order.
func (g *Group) Secondary() *Group { return &Group{policy: route.Failover, all: g.all[1:]} }

// Healthy says whether requests can be answered: by any upstream, but of a mirror by the first, which has the last word.
func (g *Group) Healthy() bool {
	if g.policy == route.Mirror {
		return g.all[0].Healthy()
	}
	return slices.ContainsFunc(g.all, (*Upstream).Healthy)
}

// Order returns the upstreams in the order in which a call should try them: healthy ones, then those that have asked for fewer
// requests, then, as the last resort, those that seem to be down. A mirror's writes have its first upstream alone. Nobody may
// change what is returned.
func (g *Group) Order(c Call) []*Upstream {
	if len(g.all) == 1 {
		return g.all
	}
	order := slices.Clone(g.all)
	switch {
	case g.policy == route.RoundRobin:
		at := int(g.next.Add(1)-1) % len(order)
		order = append(order[at:], order[:at]...)
	case g.policy == route.Mirror && !reads(c.Method):
		return order[:1]
	}
	rank := make(map[*Upstream]int, len(order))
	for _, u := range order {
		switch {
		case !u.Healthy():
			rank[u] = 2
		case u.resting():
			rank[u] = 1
		}
	}
	slices.SortStableFunc(order, func(a, b *Upstream) int { return rank[a] - rank[b] })
	return order
}

func reads(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// Do sends a call to the upstreams in order until one answers, and returns its answer and which it was. It asks another one
//
//   - after any failure of a GET, HEAD, OPTIONS or DELETE, and after answers of 500, 502, 503 and 504 to the first three;
//   - of other requests only if the store cannot have acted: it saw nothing of the request, or nothing of its body.
//     An answer of 500, 502, 503 or 504 counts as such if it came before the body, but 503 that asks for fewer requests is the client's to
//     act upon.
//
// The error is that of the last upstream that was asked. The answer of the last one is an answer, whatever it says.
func (g *Group) Do(ctx context.Context, c Call) (*http.Response, *Upstream, error) {
	order := g.Order(c)
	once := c.Body
	for i, u := range order {
		last := i == len(order)-1
		var guard *noted
		if once != nil {
			guard = &noted{Reader: once}
			c.Body = guard
		}
		resp, err := u.Send(ctx, c)
		if err != nil && staleConnection(c, err) {
			resp, err = u.Send(ctx, c)
		}
		if last || ctx.Err() != nil || !g.another(c, guard, resp, err) {
			return resp, u, err
		}
		if resp != nil {
			resp.Body.Close()
		}
	}
	return nil, nil, errors.New("a group without upstreams")
}

// staleConnection says whether the store closed a connection that had been idle just as the request was sent, and cannot have
// acted on it, or may act on it twice: it can be sent again.
func staleConnection(c Call, err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.stale && e.Kind == Broken && !e.Started && (c.Length > 0 || !e.Sent || reads(c.Method) || c.Method == http.MethodDelete)
}

// another says whether a call may go to another upstream after this.
func (g *Group) another(c Call, body *noted, resp *http.Response, err error) bool {
	if body != nil && body.read.Load() {
		return false
	}
	if err != nil {
		if _, refused := errors.AsType[*awserr.Error](err); refused {
			return false
		}
		e, ok := errors.AsType[*Error](err)
		switch {
		case !ok || e.Kind == Canceled || e.Started:
			return false
		case reads(c.Method) || c.Method == http.MethodDelete:
			return true
		}
		return !e.Sent || c.Length > 0
	}
	if judge(resp.StatusCode) != bad {
		return false
	}
	if reads(c.Method) {
		return true
	}
	return c.Length > 0 && (resp.StatusCode != http.StatusServiceUnavailable || !isSlowDown(resp))
}

// noted notes whether a body has been asked for.
type noted struct {
	io.Reader
	read atomic.Bool
}

func (s *noted) Read(p []byte) (int, error) {
	s.read.Store(true)
	return s.Reader.Read(p)
}
