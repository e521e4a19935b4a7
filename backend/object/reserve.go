package object

import (
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/conditional"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/timestamp"
)

// reservations are what conditional writes have while they are under way: one for each object and device. They also
// remember for which time an object was reserved last, for a write with an older time must not succeed after one that
// may have: it would be acknowledged, and then replaced. docs/conditional-writes.md has the whole protocol.
type reservations struct {
	clock clock.Clock

	mu   sync.Mutex // guards the rest
	held map[subject]bool
	// Times are remembered in two generations. When the younger one is full the older one is forgotten.
	young, old map[subject]timestamp.Timestamp
	closed     timestamp.Timestamp // when the older one became that
	floor      timestamp.Timestamp // of what has been forgotten: nothing was reserved for a later time
}

// subject is an object on a device. Its partition may change while a ring is being grown.
type subject struct {
	device string
	policy policy.Index
	sum    hashpath.Sum
}

// generation is how many objects one has.
const generation = 32 << 10

// newReservations returns those of a server that starts now. What its last life has reserved was reserved for times before.
func newReservations(c clock.Clock) *reservations {
	now := timestamp.FromTime(c.Now())
	return &reservations{
		clock: c, held: map[subject]bool{}, young: map[subject]timestamp.Timestamp{}, closed: now, floor: now,
	}
}

// take reserves an object for a write with a time. If that cannot be, it returns the time that has been before.
func (r *reservations) take(s subject, at timestamp.Timestamp) (timestamp.Timestamp, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.young[s]
	if !ok {
		if last, ok = r.old[s]; !ok {
			last = r.floor
		}
	}
	if r.held[s] || !last.Before(at) {
		return last, false
	}
	r.held[s] = true
	return timestamp.Timestamp{}, true
}

// remember notes for which time an object has been reserved, once that is to be promised: a write that is refused leaves no
// trace.
func (r *reservations) remember(s subject, at timestamp.Timestamp) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.young) >= generation {
		now := timestamp.FromTime(r.clock.Now())
		r.floor, r.closed, r.old, r.young = r.closed, now, r.young, map[subject]timestamp.Timestamp{}
	}
	r.young[s] = at
}

func (r *reservations) release(s subject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.held, s)
}

// condition is that of a write, with the reservation that the write has. A nil one is that of an ordinary write.
type condition struct {
	conditional.Write
	isAt   string
	behind timestamp.Timestamp // what is older than this does not count
	stored timestamp.Timestamp // of what is here, object or tombstone
	name   subject
	from   *reservations
}

func (d *condition) release() {
	if d != nil {
		d.from.release(d.name)
	}
}

// reserve reserves the object if the request is conditional. Release the reservation.
func (s *Server) reserve(c *call) (*condition, error) {
	w, ok, err := conditional.ParseWrite(c.r.Header)
	if err != nil {
		return nil, text(http.StatusBadRequest, "Invalid condition: "+err.Error())
	}
	if !ok {
		return nil, nil
	}
	var behind timestamp.Timestamp
	if v := c.r.Header.Get(conditional.HeaderBehind); v != "" {
		if behind, err = timestamp.Parse(v); err != nil {
			return nil, text(http.StatusBadRequest, "Invalid condition: "+conditional.HeaderBehind+" is not a time")
		}
	}
	key := subject{c.object.Device, c.object.Policy, s.deps.Cluster.Hasher.Sum(c.object.Account, c.object.Container, c.object.Name)}
	if last, ok := s.reserved.take(key, c.at); !ok {
		// Without the time of a version: there may never be one of that time, if a majority of the others do not know of it.
		return nil, reply.Status(http.StatusConflict).Because(fmt.Errorf("reserved for another write, the last at %s", last.Internal()))
	}
	return &condition{Write: w, isAt: c.r.Header.Get(conditional.HeaderEtagIsAt), behind: behind, name: key, from: s.reserved}, nil
}

// check refuses the request if the condition does not hold of what is here.
func (d *condition) check(c *call, info *store.Info, stored timestamp.Timestamp) error {
	if d == nil {
		return nil
	}
	d.stored = stored
	var v *conditional.Version
	if info != nil {
		v = &conditional.Version{ETag: info.ETag, Data: info.Data}
		if etag, ok := conditional.AlternativeETag(d.isAt, lookup(info.Metadata)); ok {
			v.ETag = etag
		}
	}
	if !d.Holds(v) && !stored.Before(d.behind) {
		return reply.Status(http.StatusPreconditionFailed).With("X-Backend-Timestamp", stored.Internal())
	}
	if !stored.Before(c.at) {
		return conflict(stored)
	}
	d.from.remember(d.name, c.at)
	return nil
}

// guard is for the store, to check again when the change is about to become visible; nil if it need not be.
func (d *condition) guard(c *call) store.Guard {
	if d == nil {
		return nil
	}
	return func(current *store.Info, deleted timestamp.Timestamp) error {
		if current != nil {
			deleted = current.Data
		}
		return d.check(c, current, deleted)
	}
}

// awaitCommit checks the condition of a DELETE, says that the object is reserved, and waits for the proxy to end the request's
// empty body: that is its word to go on.
func (s *Server) awaitCommit(c *call, cond *condition, info *store.Info, stored timestamp.Timestamp) error {
	if err := cond.check(c, info, stored); err != nil {
		return err
	}
	s.beginRead(c)
	c.consent(&footer{}, cond)
	n, err := io.Copy(io.Discard, io.LimitReader(c.r.Body, 1))
	switch {
	case err != nil:
		return readFailure(err)
	case n > 0:
		return reply.Status(http.StatusBadRequest).Because(fmt.Errorf("body of a conditional %s", c.r.Method))
	}
	return nil
}
