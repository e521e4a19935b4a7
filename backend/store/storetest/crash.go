package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/apus-storage/apus/backend/store"
)

// step is a change and the state that it leaves.
type step struct {
	name  string
	do    func(s store.Store) error
	state string
}

func crashSteps(o store.Object) []step {
	ctx := context.Background()
	changed := fmt.Sprintf("%s image/png@%s changed %s [X-Object-Meta-A=1] %q",
		At(2).Internal(), At(3).Internal(), At(3).Internal(), "second body")
	return []step{
		{"put", func(s store.Store) error { return Put(s, o, At(1), "first") }, Plain(1, "first")},
		{"put over it", func(s store.Store) error { return Put(s, o, At(2), "second body") }, Plain(2, "second body")},
		{"set metadata", func(s store.Store) error {
			return s.SetMetadata(ctx, o, store.MetadataChange{At: At(3), ContentType: "image/png", ContentTypeAt: At(3),
				Metadata: store.Metadata{{Key: "X-Object-Meta-A", Value: "1"}}})
		}, changed},
		{"sum up", func(s store.Store) error {
			_, err := s.SuffixHashes(ctx, store.Partition{Device: o.Device, Partition: o.Partition}, nil)
			return err
		}, changed},
		{"delete", func(s store.Store) error { return s.Delete(ctx, o, At(4)) }, "deleted " + At(4).Internal()},
		{"put again", func(s store.Store) error { return Put(s, o, At(5), "third") }, Plain(5, "third")},
	}
}

// testCrash lets the power fail at every operation in turn, with several outcomes for what was under way.
func testCrash(t *testing.T, newMedium func(t *testing.T) Medium) {
	const outcomes = 12
	o := Name("o")
	steps := crashSteps(o)
	m := newMedium(t)
	s := m.Start(t)
	m.CrashAt(1 << 60)
	for _, step := range steps {
		must(t, step.do(s))
	}
	total := m.Ops()
	for n := range total {
		for seed := range uint64(outcomes) {
			if !crashOnce(t, newMedium(t), n, seed, steps) {
				return
			}
		}
	}
	t.Logf("%d operations, each with %d outcomes", total, outcomes)
}

// crashOnce crashes at operation n and compares what is left with what may be; false ends the test.
func crashOnce(t *testing.T, m Medium, n int64, seed uint64, steps []step) bool {
	t.Helper()
	o := Name("o")
	s := m.Start(t)
	m.CrashAt(n)
	acknowledged, next := "nothing", ""
	at := "the end"
	for _, step := range steps {
		if step.do(s) != nil {
			next, at = step.state, step.name
			break
		}
		acknowledged = step.state
	}
	m.Recover(seed)
	s = m.Start(t)
	got, err := State(s, o)
	if err != nil || (got != acknowledged && got != next) {
		t.Errorf("crash at operation %d (%s), seed %d:\n      got %s, %v\n had been %s\nor become %s", n, at, seed, got, err,
			acknowledged, next)
		return false
	}
	// The medium must be fit for use, whatever lies around on it.
	if err := Put(s, o, At(50), "after"); err != nil {
		t.Errorf("put after crash at operation %d (%s), seed %d: %v", n, at, seed, err)
		return false
	}
	sums, err := s.SuffixHashes(context.Background(), store.Partition{Device: o.Device, Partition: o.Partition}, nil)
	if got, errState := State(s, o); got != Plain(50, "after") || err != nil || len(sums) != 1 {
		t.Errorf("after crash at operation %d (%s), seed %d, and a put: %s, %v; summaries %v, %v", n, at, seed, got, errState,
			sums, err)
		return false
	}
	return true
}
