package ratelimit_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestServersAnswerAsSwift replays, in order, what testdata/http_record.py recorded of OpenStack Swift. At one request in a
// thousand seconds it does not matter how long a replay takes.
func TestServersAnswerAsSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:     "testdata/http.json",
		Pipeline: []string{"catch_errors", "gatekeeper", "healthcheck", "cache", "listing_formats", "tempauth", "ratelimit", "copy", "slo", "dlo"},
		Sections: `
[filter.ratelimit]
account_ratelimit = 0.001
max_sleep_time_seconds = 5
container_ratelimit_1 = "0.001"
container_listing_ratelimit_1 = "0.001"
account_whitelist = "AUTH_test6"
account_blacklist = "AUTH_test5"`,
		AtLeast: 40,
	})
}
