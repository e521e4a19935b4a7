package recon_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestProxiesAnswerAsSwifts replays, in order, what testdata/http_record.py recorded of OpenStack Swift. What a machine has to
// report differs, so that of bodies the shape is compared.
func TestProxiesAnswerAsSwifts(t *testing.T) {
	replay.Run(t, replay.Conversation{
		File:     "testdata/http.json",
		Pipeline: []string{"catch_errors", "gatekeeper", "healthcheck", "recon", "cache", "listing_formats", "tempauth"},
		Sections: "[filter.recon]",
		AtLeast:  40,
		Reduce: func(header map[string]string, text string) string {
			delete(header, "Content-Length")
			var v any
			if json.Unmarshal([]byte(text), &v) != nil {
				return fraction.ReplaceAllString(text, "{epoch}") // the time
			}
			return shape(v)
		},
	})
}

// One time in ten has five digits and looks like a timestamp.
var fraction = regexp.MustCompile(`^(\{epoch\}\.\d+|\{timestamp\})$`)

// shape tells what kinds of values there are, by the names in objects.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var out []string
		for name, v := range v {
			out = append(out, name[strings.LastIndexByte(name, '/')+1:]+": "+shape(v))
		}
		slices.Sort(out)
		return "{" + strings.Join(out, ", ") + "}"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shape(v[0]) + "]"
	}
	return fmt.Sprintf("%T", v)
}
