package tempauth_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestServersAnswerAsSwift replays, in order, what testdata/http_record.py recorded of OpenStack Swift.
func TestServersAnswerAsSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:    "testdata/http.json",
		AtLeast: 140,
		Ignore:  map[string]string{"X-Auth-Token-Expires": "counts down"},
	})
}
