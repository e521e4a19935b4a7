package listingformats_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestListingsAreThoseOfSwift replays, in order, what testdata/record.py recorded of OpenStack Swift.
func TestListingsAreThoseOfSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{File: "testdata/conversation.json", AtLeast: 200})
}
