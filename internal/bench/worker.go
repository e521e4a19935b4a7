package bench

import (
	"context"
	"crypto/md5"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// readSize is the buffer with which a worker reads bodies.
const readSize = 128 << 10

// giveUpAfter is the number of errors in a row after which a worker ends its phase.
const giveUpAfter = 100

// worker sends one request after the other for the objects of its share.
type worker struct {
	r     *Runner
	id    int
	share *share
	buf   []byte
	sums  map[int32][md5.Size]byte // of contents, under Verify

	// Of the phase that runs:
	rng     *rand.Rand
	tallies [opCount]*tally
	end     phaseEnd
	inRow   int // errors without a success between

	// What the progress line reads meanwhile.
	done, errors, bytes atomic.Int64
}

// phaseEnd says why a worker stopped before its quota or the time was over.
type phaseEnd uint8

const (
	endPlanned   phaseEnd = iota
	endExhausted          // no object is left that the operation could be about
	endGaveUp             // too many errors in a row
)

// begin readies the worker for a phase. The random sequence depends on nothing but seed, phase, round and worker.
func (w *worker) begin(phase, round int) {
	w.rng = rand.New(rand.NewPCG(w.r.cfg.Seed, uint64(round)<<40|uint64(phase)<<20|uint64(w.id)))
	w.tallies = [opCount]*tally{}
	w.end = endPlanned
	w.inRow = 0
}

// limits are when a worker ends: after quota operations (below 0 is no limit), or when it is later than deadline (zero
// is no limit).
type limits struct {
	quota    int
	deadline time.Time
}

// run works through a phase until its limits, its objects or ctx end it.
func (w *worker) run(ctx context.Context, p Phase, l limits) {
	for n := 0; n != l.quota; n++ {
		if ctx.Err() != nil || w.late(l) {
			return
		}
		op, id, ok := w.choose(p)
		if !ok {
			w.end = endExhausted
			return
		}
		kind, ok := w.do(ctx, op, id)
		if ctx.Err() != nil {
			return
		}
		if ok {
			w.inRow = 0
			continue
		}
		w.inRow++
		if w.inRow >= giveUpAfter && !w.r.cfg.Persist {
			w.end = endGaveUp
			return
		}
		w.backOff(ctx, kind, l)
	}
}

func (w *worker) late(l limits) bool {
	return !l.deadline.IsZero() && !w.r.clock.Now().Before(l.deadline)
}

// backOff waits a little after an error of the connection: a server that is down would otherwise be asked, and the error
// be counted, tens of thousands of times a second.
func (w *worker) backOff(ctx context.Context, kind string, l limits) {
	switch kind {
	case faultRefused, faultReset, faultCutOff, faultConnection:
	default:
		return
	}
	wait := min(time.Millisecond<<min(w.inRow, 10), time.Second)
	if !l.deadline.IsZero() {
		wait = min(wait, l.deadline.Sub(w.r.clock.Now()))
	}
	pause(ctx, wait)
}

// choose picks operation and object. In a mix, an operation for which no object is there becomes a PUT if the mix has
// PUTs, so that a mix with DELETEs keeps going.
func (w *worker) choose(p Phase) (Op, int32, bool) {
	op := p.pick(w.rng)
	if op == List {
		return op, int32(w.rng.IntN(w.r.cfg.Containers)), true
	}
	id, ok := w.share.claim(op, w.rng)
	if !ok && op != Put && p.has(Put) {
		op = Put
		id, ok = w.share.claim(op, w.rng)
	}
	return op, id, ok
}

// do sends one request, counts what came of it and files the object. It returns the fault's kind if it went wrong.
func (w *worker) do(ctx context.Context, op Op, id int32) (string, bool) {
	t := w.tallies[op]
	if t == nil {
		t = new(tally)
		w.tallies[op] = t
	}
	ex := w.exchange(ctx, op, id)
	ok := ex.fault == ""
	w.share.settle(op, id, ok)
	switch {
	case ok:
		t.latency.Record(ex.took)
		t.bytes += ex.bytes
		w.done.Add(1)
		w.bytes.Add(ex.bytes)
	case ctx.Err() != nil:
		// The run was stopped under this request: neither an operation nor an error.
	default:
		t.fail(ex.fault, ex.detail)
		w.errors.Add(1)
	}
	return ex.fault, ok
}

// sum is the MD5 of an object's content, computed once per object.
func (w *worker) sum(id int32) [md5.Size]byte {
	sum, ok := w.sums[id]
	if !ok {
		sum = w.r.content(id).Sum()
		if w.sums == nil {
			w.sums = make(map[int32][md5.Size]byte)
		}
		w.sums[id] = sum
	}
	return sum
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
