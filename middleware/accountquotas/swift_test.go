package accountquotas_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestAnswersAreThoseOfSwift replays, in order, what testdata/record.py recorded of OpenStack Swift.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{Ignore: map[string]string{"X-Account-Quota-Bytes": "is newer than what was recorded"}})
}
