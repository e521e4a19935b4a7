package s3gateway

import (
	"context"
	"sync"
)

// copies keeps the copying of a mirror and its deletions apart: what is read from an old store before its object is deleted must not
// be stored at the new one afterwards. It knows of what goes on in this process.
type copies struct {
	mu sync.Mutex // guards what follows, and what copyings say that it does
	at map[object]*traffic
	// tagless are the stores that take no tags.
	tagless map[string]bool
}

// An object is one of a mirror, by its new store.
type object struct{ store, bucket, key string }

// traffic is what goes on with an object.
type traffic struct {
	deletions int
	free      chan struct{} // closed when there are none any more
	copyings  map[*copying]struct{}
}

// A copying is an attempt to copy an object to the new store, from before the old one is asked for it until it is stored or not.
type copying struct {
	of   *copies
	what object
	done chan struct{}

	// guarded by the copies' mutex
	stopped bool
	ended   bool
	stop    func() // nil until there is something to be stopped
}

func newCopies() *copies {
	return &copies{at: make(map[object]*traffic), tagless: make(map[string]bool)}
}

// traffic is for who has the mutex.
func (c *copies) traffic(what object) *traffic {
	t := c.at[what]
	if t == nil {
		t = &traffic{copyings: make(map[*copying]struct{})}
		c.at[what] = t
	}
	return t
}

func (c *copies) tidy(what object) {
	if t := c.at[what]; t.deletions == 0 && len(t.copyings) == 0 {
		delete(c.at, what)
	}
}

// begin begins a copying, which must be ended. While the object is deleted it is one that has been stopped.
func (c *copies) begin(what object) *copying {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.traffic(what)
	j := &copying{of: c, what: what, done: make(chan struct{}), stopped: t.deletions > 0}
	t.copyings[j] = struct{}{}
	return j
}

// await is begin once nobody deletes the object.
func (c *copies) await(ctx context.Context, what object) (*copying, error) {
	for {
		j := c.begin(what)
		c.mu.Lock()
		stopped, free := j.stopped, c.at[what].free
		c.mu.Unlock()
		if !stopped {
			return j, nil
		}
		j.end()
		select {
		case <-free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// hold stops the copying of objects, and lets none begin until release is called. A copy of which the new store has all is waited for.
func (c *copies) hold(ctx context.Context, objects []object) (release func(), err error) {
	var storing []*copying
	c.mu.Lock()
	for _, what := range objects {
		t := c.traffic(what)
		if t.deletions++; t.deletions == 1 {
			t.free = make(chan struct{})
		}
		for j := range t.copyings {
			if j.stopped = true; j.stop != nil {
				storing = append(storing, j)
			}
		}
	}
	c.mu.Unlock()
	for _, j := range storing {
		j.stop()
	}
	for _, j := range storing {
		select {
		case <-j.done:
		case <-ctx.Done():
			c.release(objects)
			return nil, ctx.Err()
		}
	}
	return func() { c.release(objects) }, nil
}

func (c *copies) release(objects []object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, what := range objects {
		t := c.at[what]
		if t.deletions--; t.deletions == 0 {
			close(t.free)
		}
		c.tidy(what)
	}
}

// store says whether the object may be stored. From then on stop may be called, by several: it breaks off what has not yet come to its
// end.
func (j *copying) store(stop func()) bool {
	j.of.mu.Lock()
	defer j.of.mu.Unlock()
	if j.stopped {
		return false
	}
	j.stop = stop
	return true
}

// wasStopped says whether the object has been deleted since, or is about to be.
func (j *copying) wasStopped() bool {
	j.of.mu.Lock()
	defer j.of.mu.Unlock()
	return j.stopped
}

// end says that nothing is on its way to the new store any more. It may be called again.
func (j *copying) end() {
	j.of.mu.Lock()
	defer j.of.mu.Unlock()
	if j.ended {
		return
	}
	j.ended = true
	close(j.done)
	delete(j.of.at[j.what].copyings, j)
	j.of.tidy(j.what)
}

// setTagless notes that a store takes no tags of objects.
func (c *copies) setTagless(store string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tagless[store] = true
}

// isTagless says whether a store has said that it takes no tags of objects.
func (c *copies) isTagless(store string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tagless[store]
}
