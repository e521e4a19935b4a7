package callable

import (
	"errors"
	"time"
)

// An Outcome is what came of a call of a function.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // a secret, credentials, or yes
	No       Outcome = "no"
	Unknown  Outcome = "unknown" // no such access key, token or bucket
	Failed   Outcome = "failed"
	TimedOut Outcome = "timeout"
	Busy     Outcome = "busy" // it was not called: too many calls were under way
)

// An Observer is told what [Cached] functions do. The function is "secret", "credentials" or "authorize". Fields that are nil are
// told nothing.
type Observer struct {
	// Called is told of each call, and how long it took; of one that does not end, when nobody waits for it any more.
	Called func(function string, o Outcome, took time.Duration)
	// Remembered is told of each answer that needed no call.
	Remembered func(function string)
}

func (o Observer) called(what kind, as Outcome, took time.Duration) {
	if o.Called != nil {
		o.Called(string(what), as, took)
	}
}

func (o Observer) remembered(what kind) {
	if o.Remembered != nil {
		if what == folderAllowed {
			what = allowed
		}
		o.Remembered(string(what))
	}
}

// watch begins a call, and returns what is to be called with its answer.
func (m *memory) watch(what kind) func(answer) {
	if m.Observer.Called == nil {
		return func(answer) {}
	}
	began := m.clock.Now()
	late := time.AfterFunc(m.CallTimeout+grace, func() { m.Observer.called(what, TimedOut, m.CallTimeout+grace) })
	return func(a answer) {
		if late.Stop() {
			m.Observer.called(what, outcome(what, a), m.clock.Now().Sub(began))
		}
	}
}

func outcome(what kind, a answer) Outcome {
	switch {
	case errors.Is(a.err, ErrTimeout):
		return TimedOut
	case errors.Is(a.err, ErrUnknown):
		return Unknown
	case a.err != nil:
		return Failed
	case what == allowed && !a.yes:
		return No
	}
	return Answered
}
