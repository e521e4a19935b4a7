package segments

import (
	"context"
	"iter"

	"golang.org/x/time/rate"
)

// A Pace bounds how fast segments are read, so that large objects of small segments do not keep the cluster busy.
type Pace struct {
	// After is how many segments are free.
	After int
	// PerSecond is how many segments a second may follow; 0 means any.
	PerSecond int
}

// Limit slows the list down. Segments that counts does not say yes to pass freely; nil counts all.
func (p Pace) Limit(ctx context.Context, list iter.Seq2[Segment, error], counts func(Segment) bool) iter.Seq2[Segment, error] {
	if p.PerSecond <= 0 {
		return list
	}
	return func(yield func(Segment, error) bool) {
		free, limiter := p.After, rate.NewLimiter(rate.Limit(p.PerSecond), 1)
		for s, err := range list {
			if err == nil && (counts == nil || counts(s)) {
				if free > 0 {
					free--
				} else if e := limiter.Wait(ctx); e != nil {
					yield(Segment{}, e)
					return
				}
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}
