// Package clock is where the program asks for the time. Everything that decides by time takes a [Clock], so that a
// test can hold it still, move it, or run a whole cluster under a simulated one.
package clock

import "time"

// A Clock tells the time. Implementations are safe for concurrent use.
type Clock interface {
	// Now returns the current time.
	Now() time.Time
}

// System is the machine's clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time { return time.Now() }

// Func makes a Clock of a function.
type Func func() time.Time

// Now calls f.
func (f Func) Now() time.Time { return f() }
