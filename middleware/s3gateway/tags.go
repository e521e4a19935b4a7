package s3gateway

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// tagsOf returns the tags of the object that a call reads, as x-amz-tagging has them; empty for none. A store that does not know tags
// has none. One that does not tell them is an error, so that a copy does not lose them unnoticed.
func (x *exchange) tagsOf(w *way, store *upstream.Upstream, read upstream.Call) (string, error) {
	c := read
	c.Header, c.Query = make(http.Header), strings.TrimSuffix("tagging&"+read.Query, "&")
	resp, _, err := x.ask(x.r.Context(), w.only(store), c)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	x.asked = store.Name()
	switch resp.StatusCode {
	case http.StatusOK:
		return readTags(resp.Body)
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return "", nil
	case http.StatusForbidden, http.StatusUnauthorized:
		return "", s3err.AccessDenied.Say("The store of the copy source does not tell its tags. Give the copy tags of its own, or none, with x-amz-tagging-directive: REPLACE.")
	}
	fault := s3err.From(storeError(resp))
	if fault.Code == s3err.NoSuchTagSet {
		return "", nil
	}
	return "", s3err.ServiceUnavailable.Say("The tags of the copy source cannot be read.").Because(fmt.Errorf("read tags: %w", fault))
}

// readTags reads the document that GetObjectTagging answers with.
func readTags(document io.Reader) (string, error) {
	var tagging struct {
		XMLName xml.Name `xml:"Tagging"`
		Tags    []struct {
			Key   string `xml:"Key"`
			Value string `xml:"Value"`
		} `xml:"TagSet>Tag"`
	}
	if err := xml.NewDecoder(io.LimitReader(document, small)).Decode(&tagging); err != nil {
		return "", s3err.InternalError.With().WithStatus(http.StatusBadGateway).Because(fmt.Errorf("read a store's tags: %w", err))
	}
	var tags []string
	for _, tag := range tagging.Tags {
		tags = append(tags, url.QueryEscape(tag.Key)+"="+url.QueryEscape(tag.Value))
	}
	// A blank as %20 is one for every store, and a + not.
	return strings.ReplaceAll(strings.Join(tags, "&"), "+", "%20"), nil
}
