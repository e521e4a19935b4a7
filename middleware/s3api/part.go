package s3api

import (
	"encoding/xml"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/ranges"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/subreq"
)

// partType is the content type of parts, which nobody sees.
const partType = "application/octet-stream"

// uploadPart stores a part, or copies one.
func (x *exchange) uploadPart() error {
	n, err := strconv.Atoi(x.query.get("partNumber"))
	if err != nil || n < 1 || n > x.config.MaxUploadPartNum {
		return s3err.InvalidArgument.Say("Part number must be an integer between 1 and "+strconv.Itoa(x.config.MaxUploadPartNum)+", inclusive",
			"ArgumentName", "partNumber", "ArgumentValue", x.query.get("partNumber"))
	}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if x.r.Header.Get(name) != "" {
			return s3err.NotImplemented.With("Header", name)
		}
	}
	m, err := x.underWay()
	if err != nil {
		return err
	}
	if _, ok := x.r.Header["X-Amz-Copy-Source"]; ok {
		return x.copyPart(m, n)
	}
	if x.r.Header.Get("X-Amz-Copy-Source-Range") != "" {
		return s3err.InvalidRequest.Say("x-amz-copy-source-range needs x-amz-copy-source")
	}
	u, err := x.upload()
	if err != nil {
		return err
	}
	if u.length < 0 && x.r.ContentLength < 0 && len(x.r.TransferEncoding) == 0 {
		return s3err.MissingContentLength.With()
	}
	computed, err := m.checksumOf(u)
	if err != nil {
		return err
	}
	h := http.Header{"Content-Type": {partType}}
	if u.md5 != "" {
		h.Set("Etag", u.md5)
	}
	c := call{method: put, on: m.part(n), header: h, body: u, length: u.length}
	var resp *swiftAnswer
	if computed != nil {
		u.body = io.TeeReader(u.body, computed)
		resp, err = x.storeSummed(c, m.algorithm, computed)
	} else {
		resp, err = x.store(c, u)
	}
	if err != nil {
		return err
	}
	out := x.w.Header()
	for _, name := range []string{"ETag", "Last-Modified"} {
		out[name] = fromSwift(resp.Header).header[name]
	}
	out.Set("Content-Type", typeNothing)
	if v, ok := u.checksum(); ok {
		out[v.Algorithm.Header()] = []string{v.String()}
	} else if computed != nil {
		out[m.algorithm.Header()] = []string{checksum.Of(m.algorithm, computed).String()}
	}
	return x.finish(http.StatusOK)
}

// checksumOf compares the checksum that a part comes with with what the upload was begun for. The checksum of the whole of the
// parts' bytes does not need the client's: then the part's is to be computed.
func (m *multipart) checksumOf(u *upload) (computed hash.Hash, err error) {
	given := u.sum.Algorithm
	if given == "" {
		given = u.trailer
	}
	switch {
	case m.algorithm == "" || given == m.algorithm:
		return nil, nil
	case given == "" && m.kind == checksum.FullObject:
		return m.algorithm.New(), nil
	case given == "":
		given = "null"
	}
	return nil, s3err.InvalidRequest.Say("Checksum Type mismatch occurred, expected checksum Type: " + strings.ToLower(string(m.algorithm)) +
		", actual checksum Type: " + strings.ToLower(string(given)))
}

// storeSummed sends a PUT, and keeps with it a checksum that is known when the body has been read.
func (x *exchange) storeSummed(c call, a checksum.Algorithm, sum hash.Hash) (*swiftAnswer, error) {
	r := x.newRequest(c)
	state := request.From(r.Context())
	state.Footers = append(state.Footers, func(footer http.Header) {
		footer.Set(sysmetaChecksum, storedChecksum(checksum.Of(a, sum), checksum.FullObject))
	})
	return x.answerOf(c, r)
}

type copyPartResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
	LastModified string   `xml:"LastModified"`
	ETag         string   `xml:"ETag"`
	checksumXML
}

// copyPart stores a part that is an object, or a range of it. It is read and written here, so that a checksum can be made.
func (x *exchange) copyPart(m *multipart, n int) error {
	if x.r.ContentLength > 0 || x.payload().Streaming() {
		return s3err.InvalidRequest.Say("A copy request has no body")
	}
	src, a, err := x.source()
	if err != nil {
		return err
	}
	h := http.Header{}
	size := a.size
	if value := x.r.Header.Get("X-Amz-Copy-Source-Range"); value != "" {
		part, err := sourceRange(value, a.size)
		if err != nil {
			return err
		}
		size = part.Len()
		h.Set("Range", value)
	}
	// What is copied is what the conditions were about.
	h.Set("If-Match", `"`+a.etag+`"`)
	readConditions(h)
	from := call{method: get, on: src, header: h}
	resp, err := subreq.Open(x.next, x.newRequest(from))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		return x.swiftError(from, resp.StatusCode, nil)
	}
	if resp.ContentLength != size {
		return s3err.ServiceUnavailable.With() // it has been replaced
	}
	return x.storeCopy(m, n, resp.Body, src, size)
}

// storeCopy stores a part that is read from the source.
func (x *exchange) storeCopy(m *multipart, n int, from io.Reader, src resource, size int64) error {
	body := &sourceReader{Reader: from}
	c := call{method: put, on: m.part(n), header: http.Header{"Content-Type": {partType}}, body: body, length: size}
	var resp *swiftAnswer
	var err error
	var sum hash.Hash
	if m.algorithm != "" {
		sum = m.algorithm.New()
		body.Reader = io.TeeReader(from, sum)
		resp, err = x.storeSummed(c, m.algorithm, sum)
	} else {
		resp, err = x.ask(c)
	}
	if body.err != nil {
		return s3err.ServiceUnavailable.With().Because(body.err)
	}
	if err != nil {
		return err
	}
	result := copyPartResult{
		LastModified: x.clock.Now().UTC().Truncate(time.Second).Format(isoMillis),
		ETag:         `"` + fromSwift(resp.Header).etag + `"`,
	}
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		x.w.Header().Set("Last-Modified", resp.Header.Get("Last-Modified"))
		result.LastModified = t.UTC().Format(isoMillis)
	}
	if sum != nil {
		result.set(m.algorithm, checksum.Of(m.algorithm, sum).String())
	}
	setAmz(x.w.Header(), "x-amz-copy-source-version-id", src.version)
	return x.document(result)
}

const isoMillis = "2006-01-02T15:04:05.000Z"

// A sourceReader keeps what was wrong with the source: to whom the part is sent it is a client that has gone away.
type sourceReader struct {
	io.Reader
	err error
}

// Read reads the source.
func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// sourceRange reads the range of a source. It is stricter than Range: both ends are there, and within the object.
func sourceRange(value string, size int64) (ranges.Range, error) {
	invalid := func(text string) (ranges.Range, error) {
		return ranges.Range{}, s3err.InvalidArgument.Say(text, "ArgumentName", "x-amz-copy-source-range", "ArgumentValue", value)
	}
	const form = "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are " +
		"the zero-based offsets of the first and last bytes to copy"
	spec, ok := strings.CutPrefix(value, "bytes=")
	first, last, _ := strings.Cut(spec, "-")
	a, err := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	switch {
	case !ok || err != nil || err2 != nil || a < 0 || b < a || strings.ContainsAny(spec, "+ "):
		return invalid(form)
	case b >= size:
		return invalid("Range specified is not valid for source object of size: " + strconv.FormatInt(size, 10))
	}
	return ranges.Range{Start: a, End: b + 1}, nil
}

// checksumXML are the elements of a checksum in documents, of which one is there at most.
type checksumXML struct {
	CRC32     string `xml:"ChecksumCRC32,omitempty"`
	CRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	CRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	SHA1      string `xml:"ChecksumSHA1,omitempty"`
	SHA256    string `xml:"ChecksumSHA256,omitempty"`
	SHA512    string `xml:"ChecksumSHA512,omitempty"`
	MD5       string `xml:"ChecksumMD5,omitempty"`
	XXHash64  string `xml:"ChecksumXXHASH64,omitempty"`
	XXHash3   string `xml:"ChecksumXXHASH3,omitempty"`
	XXHash128 string `xml:"ChecksumXXHASH128,omitempty"`
}

func (c *checksumXML) field(a checksum.Algorithm) *string {
	switch a {
	case checksum.CRC32:
		return &c.CRC32
	case checksum.CRC32C:
		return &c.CRC32C
	case checksum.CRC64NVME:
		return &c.CRC64NVME
	case checksum.SHA1:
		return &c.SHA1
	case checksum.SHA256:
		return &c.SHA256
	case checksum.SHA512:
		return &c.SHA512
	case checksum.MD5:
		return &c.MD5
	case checksum.XXHash64:
		return &c.XXHash64
	case checksum.XXHash3:
		return &c.XXHash3
	case checksum.XXHash128:
		return &c.XXHash128
	}
	panic("s3api: no element for the checksum " + string(a))
}

func (c *checksumXML) set(a checksum.Algorithm, value string) { *c.field(a) = value }
