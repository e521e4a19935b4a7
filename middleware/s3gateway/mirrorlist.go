package s3gateway

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/apus-storage/apus/internal/s3err"
)

// objects is ListBucketResult, of both versions.
type objects struct {
	Contents []struct {
		Key string `xml:"Key"`
		All string `xml:",innerxml"`
	} `xml:"Contents"`
	CommonPrefixes []struct {
		Prefix string `xml:"Prefix"`
	} `xml:"CommonPrefixes"`
	IsTruncated bool `xml:"IsTruncated"`
}

// An item is an object or a common prefix of a listing.
type item struct {
	name   string // decoded
	prefix bool
	text   string // as it stands in the document
}

// listsObjects says whether the request lists objects, and not versions, uploads, or something of the bucket's own.
func (x *exchange) listsObjects() bool {
	o := x.caller.Operation
	return o.Listing && !x.query.Has("versions") && !x.query.Has("uploads")
}

// above is more than every character of a key, so that a listing after a common prefix does not show it again.
const above = "\U0010FFFF"

// pageToken begins the token of a merged listing.
const pageToken = "m-"

// listMerged lists what any store of a mirror has. What several have is shown as the first has it.
func (x *exchange) listMerged() error {
	query := maps.Clone(x.query)
	v2 := query.Get("list-type") == "2"
	after, err := resume(query, v2)
	if err != nil {
		return err
	}
	query.Del("continuation-token")
	if after != "" {
		query.Set(map[bool]string{true: "start-after", false: "marker"}[v2], after)
	}
	c, err := x.call()
	if err != nil {
		return err
	}
	c.Query = strings.ReplaceAll(query.Encode(), "+", "%20")
	most := 1000
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil && n >= 0 && n < most {
		most = n
	}
	merged := merging{most: most}
	var missing *http.Response // the new store's answer, if that has no such bucket
	found := false
	for i, u := range x.way.group.Upstreams() {
		resp, store, err := x.ask(x.r.Context(), x.way.only(u), c)
		if err != nil {
			return x.unanswered(err)
		}
		switch {
		case resp.StatusCode == http.StatusNotFound && i == 0:
			missing = resp
			defer missing.Body.Close()
			continue
		case resp.StatusCode == http.StatusNotFound:
			resp.Body.Close()
			continue
		case resp.StatusCode != http.StatusOK:
			return x.answer(resp, store)
		}
		if err := merged.add(resp, query.Get("encoding-type") == "url"); err != nil {
			return err
		}
		found, x.asked = true, store.Name()
	}
	if !found {
		return x.answer(missing, x.way.newest())
	}
	x.write(http.StatusOK, merged.document(x.target.Bucket, x.query, v2))
	return nil
}

// resume returns the key after which a listing begins, and takes what says so out of the query.
func resume(query url.Values, v2 bool) (string, error) {
	after := query.Get("marker")
	if v2 {
		after = query.Get("start-after")
	} else if d := query.Get("delimiter"); d != "" && strings.HasSuffix(after, d) && len(after) > len(query.Get("prefix")) {
		after += above // it was a common prefix
	}
	token := query.Get("continuation-token")
	if !v2 || token == "" {
		return after, nil
	}
	text, ok := strings.CutPrefix(token, pageToken)
	name, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil {
		return "", s3err.InvalidArgument.Say("The continuation token provided is incorrect.", "ArgumentName", "continuation-token", "ArgumentValue", token)
	}
	return string(name), nil
}

// merging puts listings together.
type merging struct {
	most      int
	items     []item
	truncated bool
	bound     string // up to where all of the listings say what there is
}

// add reads the listing of one more store.
func (m *merging) add(resp *http.Response, encoded bool) error {
	defer resp.Body.Close()
	var page objects
	if err := xml.NewDecoder(io.LimitReader(resp.Body, longestListing)).Decode(&page); err != nil {
		return s3err.InternalError.With().WithStatus(http.StatusBadGateway).Because(fmt.Errorf("read a store's listing: %w", err))
	}
	last := ""
	put := func(i item, written string) {
		i.name = written
		if name, err := url.QueryUnescape(written); encoded && err == nil {
			i.name = name
		}
		last = max(last, i.name)
		m.items = append(m.items, i)
	}
	for _, c := range page.Contents {
		put(item{text: "<Contents>" + c.All + "</Contents>"}, c.Key)
	}
	for _, p := range page.CommonPrefixes {
		put(item{prefix: true, text: "<CommonPrefixes><Prefix>" + escape(p.Prefix) + "</Prefix></CommonPrefixes>"}, p.Prefix)
	}
	if page.IsTruncated {
		if !m.truncated || last < m.bound {
			m.bound = last
		}
		m.truncated = true
	}
	return nil
}

// page are the items of the page, in order.
func (m *merging) page() []item {
	slices.SortStableFunc(m.items, func(a, b item) int { return strings.Compare(a.name, b.name) })
	items := slices.CompactFunc(m.items, func(a, b item) bool { return a.name == b.name && a.prefix == b.prefix })
	if m.truncated {
		items = slices.DeleteFunc(items, func(i item) bool { return i.name > m.bound })
	}
	if len(items) > m.most {
		items, m.truncated = items[:m.most], m.most > 0
	}
	return items
}

// document is the page as the client gets it.
func (m *merging) document(bucket string, query url.Values, v2 bool) []byte {
	items := m.page()
	if m.most == 0 {
		m.truncated = false
	}
	written := func(text string) string {
		if query.Get("encoding-type") == "url" {
			text = strings.ReplaceAll(url.QueryEscape(text), "%2F", "/")
		}
		return escape(text)
	}
	var b strings.Builder
	b.WriteString(xmlHead + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	element := func(name, value string) { b.WriteString("<" + name + ">" + value + "</" + name + ">") }
	element("Name", escape(bucket))
	element("Prefix", written(query.Get("prefix")))
	element("MaxKeys", strconv.Itoa(m.most))
	for _, p := range []struct{ name, parameter string }{{"Delimiter", "delimiter"}, {"EncodingType", "encoding-type"}} {
		if query.Get(p.parameter) != "" {
			element(p.name, written(query.Get(p.parameter)))
		}
	}
	element("IsTruncated", strconv.FormatBool(m.truncated))
	if v2 {
		element("KeyCount", strconv.Itoa(len(items)))
		if token := query.Get("continuation-token"); token != "" {
			element("ContinuationToken", escape(token))
		} else if first := query.Get("start-after"); first != "" {
			element("StartAfter", written(first))
		}
	} else {
		element("Marker", written(query.Get("marker")))
	}
	if m.truncated && len(items) > 0 {
		last := items[len(items)-1]
		switch {
		case v2 && last.prefix:
			element("NextContinuationToken", pageToken+base64.RawURLEncoding.EncodeToString([]byte(last.name+above)))
		case v2:
			element("NextContinuationToken", pageToken+base64.RawURLEncoding.EncodeToString([]byte(last.name)))
		default:
			element("NextMarker", written(last.name))
		}
	}
	for _, prefixes := range []bool{false, true} {
		for _, i := range items {
			if i.prefix == prefixes {
				b.WriteString(i.text)
			}
		}
	}
	b.WriteString("</ListBucketResult>")
	return []byte(b.String())
}

// escape writes a text into a document.
func escape(text string) string {
	var b strings.Builder
	// Writing to a builder cannot fail; what XML cannot hold becomes U+FFFD.
	xml.EscapeText(&b, []byte(text))
	return b.String()
}
