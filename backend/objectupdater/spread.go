package objectupdater

import (
	"container/heap"
	"context"
	"hash/maphash"
	"iter"
	"time"
)

// A spreader keeps a busy container from holding up the updates of all others: what is above a container's rate is put
// off until all other updates have been sent, and then sent as the rate allows for as long as the sweep may last.
// Containers share buckets, by a hash that differs from sweep to sweep so that no two are always together.
type spreader struct {
	s       *sweep
	gap     time.Duration // between two updates of a bucket
	seed    maphash.Seed
	buckets []bucket
	// putOff has the bucket of each update that was put off, in the order in which they were.
	putOff []*bucket
}

type bucket struct {
	ready   time.Time // when the next update may be sent
	waiting []pending // the newest last
}

func newSpreader(s *sweep, perSecond float64) *spreader {
	return &spreader{
		s: s, gap: time.Duration(float64(time.Second) / perSecond), seed: maphash.MakeSeed(),
		buckets: make([]bucket, s.u.cfg.PerContainerRatelimitBuckets),
	}
}

func (l *spreader) bucket(i *pending) *bucket {
	account, container := target(&i.update)
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(account + "/" + container)
	return &l.buckets[h.Sum64()%uint64(len(l.buckets))]
}

// spread yields the updates that may be sent now, then those that were put off.
func (l *spreader) spread(ctx context.Context, items iter.Seq[pending]) iter.Seq[pending] {
	return func(yield func(pending) bool) {
		for i := range items {
			b := l.bucket(&i)
			now := l.s.u.deps.Clock.Now()
			if b.ready.After(now) {
				l.put(b, i)
				continue
			}
			b.ready = now.Add(l.gap)
			if !yield(i) {
				return
			}
		}
		l.drain(ctx, yield)
	}
}

// put puts an update off. If there is no room the one that has waited longest goes: it is the likeliest to have been
// overtaken by a newer one.
func (l *spreader) put(b *bucket, i pending) {
	l.s.p.Count(deferrals, 1)
	room := l.s.u.cfg.MaxDeferredUpdates
	if room == 0 {
		l.s.p.Count(skips, 1)
		return
	}
	if len(l.putOff) >= room {
		oldest := l.putOff[0]
		l.putOff = l.putOff[1:]
		oldest.waiting = oldest.waiting[1:]
		l.s.p.Count(skips, 1)
	}
	b.waiting = append(b.waiting, i)
	l.putOff = append(l.putOff, b)
}

// drain yields what was put off, until the sweep's time is up.
func (l *spreader) drain(ctx context.Context, yield func(pending) bool) {
	var order byReady
	for i := range l.buckets {
		if len(l.buckets[i].waiting) > 0 {
			order = append(order, &l.buckets[i])
		}
	}
	heap.Init(&order)
	deadline := l.s.u.deadline(l.s.p)
	for len(order) > 0 {
		b := order[0]
		now := l.s.u.deps.Clock.Now()
		wait := b.ready.Sub(now)
		if !now.Before(deadline) || !l.s.p.Sleep(ctx, wait) {
			break
		}
		last := len(b.waiting) - 1
		i := b.waiting[last]
		b.waiting = b.waiting[:last]
		b.ready = now.Add(max(wait, 0) + l.gap)
		if last == 0 {
			heap.Pop(&order)
		} else {
			heap.Fix(&order, 0)
		}
		l.s.p.Count(drains, 1)
		if !yield(i) {
			break
		}
	}
	for _, b := range order {
		l.s.p.Count(skips, len(b.waiting))
	}
}

// byReady is a heap of buckets, the one that is ready first on top.
type byReady []*bucket

func (h byReady) Len() int           { return len(h) }
func (h byReady) Less(i, j int) bool { return h[i].ready.Before(h[j].ready) }
func (h byReady) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byReady) Push(b any)        { *h = append(*h, b.(*bucket)) }

// Pop removes the last bucket.
func (h *byReady) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
