package readonly_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// What testdata/http_record.py recorded of OpenStack Swift is replayed, in order: accounts that are read only by what their
// metadata say, which a client may set here since there is no gatekeeper; and all of them by the configuration.
func TestAccountsAnswerAsSwifts(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:     "testdata/http.json",
		Pipeline: []string{"catch_errors", "healthcheck", "proxy-logging", "cache", "listing_formats", "tempauth", "read_only", "copy", "slo", "dlo"},
		Sections: "[filter.read_only]",
		AtLeast:  50,
	})
}

func TestServersAnswerAsSwifts(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:     "testdata/on.json",
		Pipeline: []string{"catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "listing_formats", "tempauth", "read_only", "copy", "slo", "dlo"},
		Sections: "[filter.read_only]\nread_only = true\nallow_deletes = true",
	})
}
