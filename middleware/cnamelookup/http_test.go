package cnamelookup_test

import (
	"fmt"
	"testing"

	"github.com/apus-storage/apus/internal/replay"
	"github.com/apus-storage/apus/middleware/cnamelookup"
)

// TestServersAnswerAsSwift replays, in order, what testdata/http_record.py recorded of OpenStack Swift.
func TestServersAnswerAsSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:     "testdata/http.json",
		Pipeline: []string{"catch_errors", "gatekeeper", "healthcheck", "proxy-logging", "cache", "cname_lookup", "domain_remap", "listing_formats", "tempauth"},
		Sections: fmt.Sprintf(`
[filter.cname_lookup]
storage_domain = ["example.com", ".example.net"]
lookup_depth = 3
nameservers = %q
[filter.domain_remap]
storage_domain = ["example.com", ".example.net"]`, cnamelookup.ServeZone(t)),
		AtLeast: 45,
	})
}
