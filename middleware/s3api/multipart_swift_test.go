package s3api_test

import (
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestUploadsInPartsAreThoseOfSwift replays what testdata/multipart.py recorded of OpenStack Swift.
func TestUploadsInPartsAreThoseOfSwift(t *testing.T) {
	c := conversation("testdata/multipart.json", 90)
	c.Sections = "[filter.s3api]\nmin_segment_size = 5\n"
	replay.Run(t, c)
}
