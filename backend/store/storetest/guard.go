package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apus-storage/apus/backend/store"
	"github.com/apus-storage/apus/internal/timestamp"
)

var errGuard = errors.New("the guard says no")

// absent is a guard that wants no object and nothing newer than at.
func absent(at timestamp.Timestamp) store.Guard {
	return func(current *store.Info, deleted timestamp.Timestamp) error {
		if current != nil || !deleted.Before(at) {
			return errGuard
		}
		return nil
	}
}

func testGuard(t *testing.T, s store.Store) {
	ctx, o := context.Background(), Name("o")
	nothing, deleted := "deleted at "+timestamp.Timestamp{}.Internal(), "deleted at "+At(7).Internal()
	for n, step := range []struct {
		name   string
		remove bool
		allow  bool
		saw    string // what the guard was asked about
		want   string // what is there then
	}{
		1: {"do not create", false, false, nothing, "nothing"},
		2: {"do not delete nothing", true, false, nothing, "nothing"},
		3: {"create", false, true, nothing, Plain(3, "body 3")},
		4: {"do not replace", false, false, "body 3", Plain(3, "body 3")},
		5: {"replace", false, true, "body 3", Plain(5, "body 5")},
		6: {"do not delete", true, false, "body 5", Plain(5, "body 5")},
		7: {"delete", true, true, "body 5", "deleted " + At(7).Internal()},
		8: {"do not create again", false, false, deleted, "deleted " + At(7).Internal()},
		9: {"create again", false, true, deleted, Plain(9, "body 9")},
	} {
		if n == 0 {
			continue
		}
		saw := "not asked"
		guard := func(current *store.Info, deleted timestamp.Timestamp) error {
			saw = "deleted at " + deleted.Internal()
			for m := range int64(n) {
				if current != nil && current.Data == At(m) && current.Metadata.Get("ETag") == current.ETag {
					saw = fmt.Sprint("body ", m)
				}
			}
			if step.allow {
				return nil
			}
			return errGuard
		}
		var err error
		if step.remove {
			err = s.DeleteIf(ctx, o, At(int64(n)), guard)
		} else {
			err = PutIf(s, o, At(int64(n)), fmt.Sprint("body ", n), guard)
		}
		if saw != step.saw || errors.Is(err, errGuard) == step.allow || step.allow && err != nil {
			t.Errorf("%s: the guard saw %q, want %q; allowed %v, got %v", step.name, saw, step.saw, step.allow, err)
		}
		want(t, s, o, step.want)
	}
}

func testGuardedCreations(t *testing.T, s store.Store) {
	const writers = 16
	for round := range 10 {
		o := Name(fmt.Sprint("o", round))
		var created, last atomic.Int64
		var wg sync.WaitGroup
		for w := range int64(writers) {
			wg.Go(func() {
				switch err := PutIf(s, o, At(w), fmt.Sprint("body ", w), absent(At(w))); {
				case err == nil:
					created.Add(1)
					last.Store(w)
				case !errors.Is(err, errGuard):
					t.Errorf("writer %d: %v", w, err)
				}
			})
		}
		wg.Wait()
		if created.Load() != 1 {
			t.Fatalf("%d writers created the object", created.Load())
		}
		want(t, s, o, Plain(last.Load(), fmt.Sprint("body ", last.Load())))
	}
}

// testGuardsAndOthers lets an ordinary write run against a guarded one with a newer time: the guarded one may be allowed only
// if the other was not there yet, so if both succeed the guarded one must have been first.
func testGuardsAndOthers(t *testing.T, s store.Store) {
	for round := range 20 {
		o := Name(fmt.Sprint("o", round))
		var visible atomic.Bool // the ordinary write has returned
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := Put(s, o, At(1), "plain"); err != nil {
				t.Error(err)
			}
			visible.Store(true)
		})
		wg.Go(func() {
			late := false
			err := PutIf(s, o, At(2), "guarded", func(current *store.Info, deleted timestamp.Timestamp) error {
				late = visible.Load()
				return absent(At(2))(current, deleted)
			})
			if err == nil && late {
				t.Error("a guard did not see what had been put before")
			}
			if err != nil && !errors.Is(err, errGuard) {
				t.Error(err)
			}
		})
		wg.Wait()
	}
}
