package s3api_test

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestAnswersAreThoseOfSwift replays what testdata/record.py recorded of OpenStack Swift. Of documents, what they say is
// compared, in any order; of errors the code alone, since AWS's texts and details are not those of Swift.
func TestAnswersAreThoseOfSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{
		AtLeast: 120,
		Reduce: func(header map[string]string, text string) string {
			if t := header["Content-Type"]; text == "" && (strings.HasPrefix(t, "text/html") || strings.HasPrefix(t, "application/")) {
				delete(header, "Content-Type") // of nothing
			}
			return reduce(text)
		},
		Ignore: map[string]string{
			"Content-Length":      "documents of the same content are written in other ways",
			"Accept-Ranges":       "AWS sends it, Swift's s3api does not",
			"X-Amz-Bucket-Region": "AWS sends it, Swift's s3api does not",
			"Allow":               "says which methods there are with 405, Swift's s3api does not",
			"X-Amz-Delete-Marker": "AWS sends it with 404 too, Swift 2.30 does not",
			"X-Container-*":       "Swift's s3api lets them through on HEAD of a bucket",
			"X-Storage-Policy":    "Swift's s3api lets it through on HEAD of a bucket",
		},
	})
}

// reduce makes lines of a document: each element that holds text, by its path.
func reduce(text string) string {
	if !strings.HasPrefix(text, "<?xml") {
		return text
	}
	var lines, path []string
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return text
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if s := strings.TrimSpace(string(token)); s != "" {
				lines = append(lines, strings.Join(path, "/")+" "+s)
			}
		}
	}
	if len(lines) > 0 && strings.HasPrefix(lines[0], "Error/Code ") {
		return strings.TrimPrefix(lines[0], "Error/")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
