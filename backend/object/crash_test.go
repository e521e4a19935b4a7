package object_test

import (
	"fmt"
	"testing"

	"github.com/apus-storage/apus/internal/disk"
)

// change is a request and what a GET finds after it.
type change struct {
	method, body string
	headers      []string
	want         string
}

// seen tells in one line what a GET finds.
func (n *node) seen(t *testing.T) string {
	t.Helper()
	got := do(t, n, "GET", path, "")
	h := got.header
	switch got.status {
	case 200:
		return fmt.Sprintf("%q %s %s %s %s", got.body, h.Get("Content-Type"), h.Get("X-Object-Meta-A"), h.Get("X-Backend-Data-Timestamp"),
			h.Get("X-Backend-Timestamp"))
	case 404:
		return "404 " + h.Get("X-Backend-Timestamp")
	}
	return fmt.Sprintf("%d %q", got.status, got.body)
}

// TestAcknowledgedRequestsSurvive lets the power fail at every operation on the disk during a sequence of requests: what
// was answered with success is there afterwards, and the request that was under way is there as a whole or not at all.
func TestAcknowledgedRequestsSurvive(t *testing.T) {
	// The last change makes the container update fail, so that saving it is part of the sequence.
	down := &containers{answer: nil}
	at := func(n int) string { return fmt.Sprintf("17950000%02d.00000", n) }
	changes := []change{
		{"PUT", "first", []string{"Content-Type", "a/b", "X-Timestamp", at(1), "X-Object-Meta-A", "1"},
			fmt.Sprintf("%q a/b 1 %s %s", "first", at(1), at(1))},
		{"POST", "", []string{"X-Timestamp", at(2), "X-Object-Meta-A", "2", "Content-Type", "c/d"},
			fmt.Sprintf("%q c/d 2 %s %s", "first", at(1), at(2))},
		{"PUT", "second", []string{"Content-Type", "a/b", "X-Timestamp", at(3)}, fmt.Sprintf("%q a/b  %s %s", "second", at(3), at(3))},
		{"DELETE", "", []string{"X-Timestamp", at(4)}, "404 " + at(4)},
		{"PUT", "third", []string{"Content-Type", "a/b", "X-Timestamp", at(5), "X-Container-Partition", "6"},
			fmt.Sprintf("%q a/b  %s %s", "third", at(5), at(5))},
	}
	run := func(n *node) (acknowledged, next string) {
		acknowledged = "404 "
		for _, c := range changes {
			if got := do(t, n, c.method, path, c.body, c.headers...); got.status >= 300 || n.faults.Crashed() {
				return acknowledged, c.want
			}
			acknowledged = c.want
		}
		return acknowledged, acknowledged
	}
	n := newTelling(t, down)
	n.faults.SetHook(nil)
	if acknowledged, _ := run(n); acknowledged != changes[len(changes)-1].want || n.seen(t) != acknowledged {
		t.Fatalf("without a failure: %s, want %s", acknowledged, changes[len(changes)-1].want)
	}
	total := n.faults.Count()
	for op := range total {
		for seed := range uint64(8) {
			n := newTelling(t, down)
			n.faults.SetHook(disk.CrashAt(op))
			acknowledged, next := run(n)
			n.faults.PowerOff()
			n.memory.Crash(seed)
			n.restart(t, nil)
			if got := n.seen(t); got != acknowledged && got != next {
				t.Fatalf("crash at operation %d, seed %d:\n got %s\nhad %s\n or %s", op, seed, got, acknowledged, next)
			}
			if acknowledged == changes[len(changes)-1].want && len(n.saved(t, "async_pending")) != 1 {
				t.Fatalf("crash at operation %d, seed %d: the container update of an answered PUT is lost", op, seed)
			}
		}
	}
	t.Logf("%d operations", total)
}
