package s3api_test

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/replay"
)

// TestGrantsAreThoseOfSwift replays what testdata/acl_record.py recorded of OpenStack Swift's s3api with s3_acl.
func TestGrantsAreThoseOfSwift(t *testing.T) {
	replay.Run(t, replay.Conversation{File: "testdata/acl.json", Reduce: reduced, AtLeast: 250, Ignore: notCompared})
}

var notCompared = map[string]string{
	"Content-Length": "documents are written otherwise", "Accept-Ranges": "AWS says so of all objects",
	"X-Amz-Bucket-Region": "AWS says so", "Last-Modified": "AWS does not say so of buckets, nor when something is stored",
}

// reduced is the code of an error, other documents without what XML leaves to whoever writes it, and anything else as it is.
func reduced(header map[string]string, text string) string {
	if text != "" && !strings.HasPrefix(text, "<?xml") {
		return text
	}
	delete(header, "Content-Type") // Swift calls documents of ACLs HTML, and gives one to nothing
	var e struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}
	if xml.Unmarshal([]byte(text), &e) == nil {
		return e.Code
	}
	var b bytes.Buffer
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return b.String()
		}
		switch token := token.(type) {
		case xml.StartElement:
			b.WriteString("<" + token.Name.Local)
			for _, a := range token.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					b.WriteString(" " + a.Name.Space + a.Name.Local + "=" + a.Value)
				}
			}
			b.WriteString(">")
		case xml.EndElement:
			b.WriteString("</" + token.Name.Local + ">")
		case xml.CharData:
			if !strings.HasSuffix(b.String(), "<CreationDate>") { // Swift makes one up
				b.Write(bytes.TrimRight(bytes.TrimSpace(token), ".")) // of messages
			}
		}
	}
}
