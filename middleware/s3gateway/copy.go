package s3gateway

import (
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/gate"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
	"github.com/apus-storage/apus/middleware/s3gateway/upstream"
)

// copy answers a request that copies an object, or a part from one. The store copies by itself if it has both; otherwise the
// bytes go from store to store through here.
func (x *exchange) copy(from gate.Source) error {
	source := x.find(route.Target{Bucket: from.Bucket, Key: from.Key}, http.MethodGet, x.caller.Identity.Name)
	if source == nil {
		return s3err.AccessDenied.With().Because(errNoRoute)
	}
	if err := x.accepts(source); err != nil {
		return err
	}
	if x.way.mirrors() && conditional(x.r.Header) && !x.query.Has("partNumber") {
		if err := x.bringTarget(); err != nil {
			return err
		}
	}
	c, err := x.call()
	if err != nil {
		return err
	}
	if !x.way.sameStores(source) {
		return x.carry(c, source, from)
	}
	if source.mirrors() && from.Version == "" { // versions are those of the new store
		if err := x.bring(source, from.Bucket, from.Key); err != nil {
			return err
		}
	}
	c.Header = c.Header.Clone()
	delete(c.Header, "X-Amz-Rename-Source")
	c.Header.Set("X-Amz-Copy-Source", from.Header(source.route.Bucket(from.Bucket)))
	resp, store, err := x.send(c)
	if err != nil {
		return x.unanswered(err)
	}
	return x.answer(resp, store)
}

// sameStores says whether two ways lead to the same stores, in the same order.
func (w *way) sameStores(other *way) bool {
	mine, others := w.group.Upstreams(), other.group.Upstreams()
	if len(mine) != len(others) {
		return false
	}
	for i := range mine {
		if mine[i] != others[i] {
			return false
		}
	}
	return true
}

// sourceHeaders are those of a copy that say something of its source, and how they are called when it is read.
var sourceHeaders = map[string]string{
	"X-Amz-Copy-Source-If-Match":                                  "If-Match",
	"X-Amz-Copy-Source-If-None-Match":                             "If-None-Match",
	"X-Amz-Copy-Source-If-Modified-Since":                         "If-Modified-Since",
	"X-Amz-Copy-Source-If-Unmodified-Since":                       "If-Unmodified-Since",
	"X-Amz-Source-Expected-Bucket-Owner":                          "X-Amz-Expected-Bucket-Owner",
	"X-Amz-Copy-Source-Range":                                     "Range",
	"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm": "X-Amz-Server-Side-Encryption-Customer-Algorithm",
	"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key":       "X-Amz-Server-Side-Encryption-Customer-Key",
	"X-Amz-Copy-Source-Server-Side-Encryption-Customer-Key-Md5":   "X-Amz-Server-Side-Encryption-Customer-Key-Md5",
}

// copied are the headers of an object that a copy keeps, beside its metadata.
var copied = []string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"}

// carry reads an object from one store and writes it to another.
func (x *exchange) carry(to upstream.Call, source *way, from gate.Source) error {
	part := x.query.Has("partNumber")
	wanted, err := x.carried(part)
	if err != nil {
		return err
	}
	get := x.own(http.MethodGet, source, from.Bucket, from.Key)
	if from.Version != "" {
		get.Query = "versionId=" + url.QueryEscape(from.Version)
	}
	for name, as := range sourceHeaders {
		if values := x.r.Header[name]; values != nil {
			get.Header[as] = values
		}
	}
	// What the source is compressed with is its own business.
	get.Header.Set("Accept-Encoding", "identity")
	resp, store, err := x.either(source, get)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := x.refused(resp, store); err != nil {
		return err
	}
	if err := sourceFault(resp, wanted, from); err != nil {
		return err
	}
	put := to
	put.Header = x.writeHeaders(to.Header, resp.Header, part)
	if !part && !x.replaces("Tagging") {
		tags, err := x.tagsOf(source, store, get)
		if err != nil {
			return err
		}
		if tags != "" {
			put.Header.Set("X-Amz-Tagging", tags)
		}
	}
	put.Length, put.SHA256, put.Checksum = resp.ContentLength, "", ""
	put.Body = resp.Body
	if put.Length == 0 {
		put.Body = nil
	}
	x.state.Log.AddInfo("s3gateway:source=" + store.Name())
	return x.patiently(func() ([]byte, http.Header, error) { return x.put(put, resp.Header, part) })
}

// carried checks what the request says of how to copy, and returns the range of the source that it wants, nil for all of it.
func (x *exchange) carried(part bool) (*ranges.Range, error) {
	for name := range x.query {
		if folded := strings.ToLower(name); strings.HasPrefix(folded, "x-amz-") && folded != "x-amz-user-agent" {
			return nil, s3err.NotImplemented.Say("A copy from another store takes this as a header.", "Parameter", name)
		}
	}
	for _, of := range []string{"Metadata", "Tagging"} {
		name := "X-Amz-" + of + "-Directive"
		if v := x.r.Header.Get(name); v != "" && !strings.EqualFold(v, "COPY") && !strings.EqualFold(v, "REPLACE") {
			return nil, s3err.InvalidArgument.Say("Unknown directive.", "ArgumentName", strings.ToLower(name), "ArgumentValue", v)
		}
	}
	lines, given := x.r.Header["X-Amz-Copy-Source-Range"]
	if !given {
		return nil, nil
	}
	line := strings.Join(lines, ", ")
	bad := func(why string) error {
		return s3err.InvalidArgument.Say(why, "ArgumentName", "x-amz-copy-source-range", "ArgumentValue", line)
	}
	if !part {
		return nil, bad("Illegal copy header")
	}
	set, ok := ranges.Parse(line)
	if !ok || len(set) != 1 || set[0].First == ranges.None || set[0].Last == ranges.None || set.String() != line {
		return nil, bad("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are " +
			"the zero-based offsets of the first and last bytes to copy")
	}
	return &ranges.Range{Start: set[0].First, End: set[0].Last + 1}, nil
}

// replaces says whether the request gives the copy new metadata or tags, in place of the source's.
func (x *exchange) replaces(what string) bool {
	return strings.EqualFold(x.r.Header.Get("X-Amz-"+what+"-Directive"), "REPLACE")
}

// sourceFault is why the answer about a source is not what is to be copied, nil if it is: all of the object, or just the range.
func sourceFault(resp *http.Response, wanted *ranges.Range, from gate.Source) error {
	odd := func(why string) error {
		return s3err.InternalError.With().WithStatus(http.StatusBadGateway).Because(errors.New("read a copy's source: " + why))
	}
	switch status := resp.StatusCode; {
	case status == http.StatusNotModified || status == http.StatusPreconditionFailed:
		return s3err.PreconditionFailed.With("Condition", "x-amz-copy-source-If")
	case status >= http.StatusMultipleChoices:
		return sourceError(status, from)
	case resp.ContentLength < 0:
		return odd("its length is not known")
	case wanted == nil && status == http.StatusOK:
		return nil
	case wanted != nil && status == http.StatusOK && resp.ContentLength < wanted.End:
		return s3err.InvalidRange.With() // such as of an empty object
	case wanted == nil || status != http.StatusPartialContent:
		return odd("the store answers " + resp.Status)
	}
	got, size, err := ranges.ParseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case err != nil:
		return odd(err.Error())
	case size != ranges.None && size < wanted.End:
		return s3err.InvalidRange.With()
	case got != *wanted || resp.ContentLength != wanted.Len():
		return odd("the store gives another range")
	}
	return nil
}

// sourceError is what a client is told of a source that cannot be read.
func sourceError(status int, from gate.Source) error {
	switch {
	case status == http.StatusNotFound && from.Version != "":
		return s3err.NoSuchVersion.With("Key", from.Key, "VersionId", from.Version)
	case status == http.StatusNotFound:
		return s3err.NoSuchKey.With("Key", from.Key)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return s3err.InvalidRange.With()
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return s3err.AccessDenied.With()
	case status >= http.StatusInternalServerError:
		return s3err.ServiceUnavailable.With()
	}
	return s3err.InvalidRequest.Say("The copy source cannot be read.")
}

// writeHeaders are those of the request that stores the copy.
func (x *exchange) writeHeaders(client, source http.Header, part bool) http.Header {
	h := client.Clone()
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Copy-Source") || name == "X-Amz-Source-Expected-Bucket-Owner" {
			delete(h, name)
		}
	}
	replace := strings.EqualFold(h.Get("X-Amz-Metadata-Directive"), "REPLACE")
	if part || !strings.EqualFold(h.Get("X-Amz-Tagging-Directive"), "REPLACE") {
		delete(h, "X-Amz-Tagging")
	}
	for _, name := range []string{"X-Amz-Metadata-Directive", "X-Amz-Tagging-Directive", "Content-Md5"} {
		delete(h, name)
	}
	if part || replace {
		return h
	}
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			delete(h, name)
		}
	}
	for _, name := range copied {
		if h[name] = source[name]; h[name] == nil {
			delete(h, name)
		}
	}
	for name, values := range source {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			h[name] = values
		}
	}
	return h
}

// put stores the copy, and makes the document of it.
func (x *exchange) put(c upstream.Call, source http.Header, part bool) ([]byte, http.Header, error) {
	resp, store, err := x.send(c)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	x.asked = store.Name()
	if resp.StatusCode >= 300 {
		return nil, nil, x.wrong(resp, store)
	}
	result := copyResult{XMLName: xml.Name{Local: "CopyObjectResult"}, ETag: resp.Header.Get("Etag"), LastModified: x.clock.Now().UTC().Format(time.RFC3339)}
	if part {
		result.XMLName.Local = "CopyPartResult"
	}
	document, err := xml.Marshal(result)
	h := make(http.Header)
	for _, name := range []string{"X-Amz-Version-Id", "X-Amz-Server-Side-Encryption"} {
		if v := resp.Header[name]; v != nil {
			h[strings.ToLower(name)] = v
		}
	}
	if v := source["X-Amz-Version-Id"]; v != nil {
		h["x-amz-copy-source-version-id"] = v
	}
	return append([]byte(xmlHead), document...), h, err
}

type copyResult struct {
	XMLName      xml.Name
	ETag         string `xml:"ETag"`
	LastModified string `xml:"LastModified"`
}

// patience is how long a client waits for the first byte of an answer. After that it gets white space, as from AWS.
const patience = 10 * time.Second

// patiently answers with a document that takes its time. Once it has begun to answer, an error is a document too.
func (x *exchange) patiently(work func() ([]byte, http.Header, error)) error {
	type done struct {
		document []byte
		header   http.Header
		err      error
	}
	end := make(chan done, 1)
	go func() {
		document, header, err := work()
		end <- done{document, header, err}
	}()
	begun := false
	ticker := time.NewTicker(patience)
	defer ticker.Stop()
	for {
		select {
		case d := <-end:
			if !begun {
				if d.err != nil {
					return d.err
				}
				for name, values := range d.header {
					x.w.Header()[name] = values
				}
				x.write(http.StatusOK, d.document)
				return nil
			}
			if d.err != nil {
				e := s3err.From(d.err)
				d.document = e.Document(x.r.URL.Path, x.state.TransID)
				x.state.Log.AddInfo("s3gateway:err=" + string(e.Code))
			}
			// The declaration went out with the first byte.
			x.w.Write([]byte(strings.TrimPrefix(string(d.document), xmlHead))) // the client may have gone
			return nil
		case <-ticker.C:
			if !begun {
				begun = true
				x.w.Header().Set("Content-Type", typeXML)
				x.begin(http.StatusOK)
				x.w.Write([]byte(xmlHead)) // the client may have gone
			}
			x.w.Write([]byte(" "))
			http.NewResponseController(x.w).Flush() // so may it here
		case <-x.r.Context().Done():
			<-end // the work ends with the client
			return x.r.Context().Err()
		}
	}
}
