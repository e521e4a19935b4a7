package testcluster

import (
	"sync"
	"time"
)

// tick is the unit of Swift's timestamps.
const tick = 10 * time.Microsecond

// A Clock goes with the runtime's, which stands still in a bubble of synctest, but never gives the same tick twice: two
// requests have different times whatever happens. It can be advanced.
type Clock struct {
	mu     sync.Mutex // guards the rest
	offset time.Duration
	last   time.Time
}

func newClock() *Clock { return &Clock{} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().Add(c.offset)
	if least := c.last.Add(tick); now.Before(least) {
		now = least
	}
	c.last = now
	return now
}

// Advance moves the time on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}
