package object

import (
	"fmt"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/timestamp"
)

// TestReservationsAreBounded fills several generations: the memory is bounded, and what has been forgotten is refused rather
// than allowed.
func TestReservationsAreBounded(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	now := start
	r := newReservations(clock.Func(func() time.Time { return now }))
	at := func(seconds int) timestamp.Timestamp {
		return timestamp.FromTime(start.Add(time.Duration(seconds) * time.Second))
	}
	name := func(i int) subject { return subject{device: fmt.Sprint(i)} }
	const count = 3*generation + 10
	for i := range count {
		now = start.Add(time.Duration(i+2) * time.Second)
		if _, ok := r.take(name(i), at(i+1)); !ok {
			t.Fatalf("name %d was refused", i)
		}
		r.remember(name(i), at(i+1))
		r.release(name(i))
		if len(r.young)+len(r.old) > 2*generation || len(r.held) > 0 {
			t.Fatalf("%d, %d and %d names", len(r.young), len(r.old), len(r.held))
		}
	}
	for _, i := range []int{0, generation, 2*generation - 1, 2 * generation, count - 1} {
		if last, ok := r.take(name(i), at(i+1)); ok || last.Before(at(i+1)) {
			t.Errorf("name %d was reserved for its old time again, %v", i, last)
		}
	}
	if _, ok := r.take(name(0), at(count+1)); !ok {
		t.Error("a new time was refused")
	}
	r.remember(name(0), at(count+1))
	if _, ok := r.take(name(0), at(count+2)); ok {
		t.Error("reserved twice at once")
	}
}
