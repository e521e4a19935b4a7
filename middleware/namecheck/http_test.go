package namecheck_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestServersAnswerAsSwift replays, in order, what testdata/http_record.py recorded of OpenStack Swift.
func TestServersAnswerAsSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:     "testdata/http.json",
		Pipeline: []string{"catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "listing_formats", "name_check", "tempauth", "copy"},
		Sections: "[filter.name_check]",
		AtLeast:  50,
	})
}
