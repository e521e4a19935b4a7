package containersync_test

import (
	"os"
	"testing"

	"github.com/apus-storage/apus/internal/realms"
	"github.com/apus-storage/apus/internal/replay"
)

// TestAnswersAreThoseOfSwift replays what testdata/record.py recorded, with allow_full_urls and without.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	text, err := os.ReadFile("testdata/realms.conf")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{realms.FileName: string(text)}
	ignore := map[string]string{"Content-Length": "package reply: an answer without a body has the length 0"}
	t.Run("full URLs", func(t *testing.T) { replay.Run(t, replay.Conversation{Files: files, Ignore: ignore, AtLeast: 90}) })
	t.Run("realms only", func(t *testing.T) {
		replay.Run(t, replay.Conversation{
			File: "testdata/strict.json", Files: files, Ignore: ignore, AtLeast: 13, Sections: "[filter.container_sync]\nallow_full_urls = false",
		})
	})
}
