package versionedwrites_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestAnswersAreThoseOfSwift replays, in order, what testdata/record.py recorded of OpenStack Swift.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	ignore := map[string]string{}
	for _, name := range []string{"", "Storage-Policy-Gold-", "Storage-Policy-Silver-"} {
		for _, what := range []string{"Container-Count", "Object-Count", "Bytes-Used"} {
			ignore["X-Account-"+name+what] = "comes to be known some time later, and the account was not empty"
		}
	}
	replay.Run(t, replay.Conversation{AtLeast: 250, Ignore: ignore})
}
