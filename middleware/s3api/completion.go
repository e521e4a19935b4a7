package s3api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/internal/subreq"
	"github.com/apus-storage/apus/middleware/s3api/s3xml"
)

// A carrier sends the manifest of a completion, which may take long, and answers meanwhile.
type carrier struct {
	*exchange
	order   *order
	since   time.Time
	begun   bool   // 200 and white space have been sent
	refusal error  // what is wrong with the parts
	sum     string // the object's checksum, as it is stored
}

// carryThrough stores the manifest and answers.
func (x *exchange) carryThrough(c call, o *order) error {
	k := &carrier{exchange: x, order: o, since: x.clock.Now()}
	doc, err := k.store(c)
	if errors.Is(err, s3err.NoSuchUpload) { // or another completion was faster
		doc, err = x.completedBefore(o, err)
	}
	if !k.begun {
		if err != nil {
			return err
		}
		return x.document(doc)
	}
	var body []byte
	if err != nil {
		body = x.lateError(err)
	} else if body, err = s3xml.Encode(doc); err != nil {
		body = x.lateError(err)
	}
	// The declaration was sent before the white space.
	x.w.Write(append([]byte("\n"), bytes.TrimPrefix(body, []byte(s3xml.Header))...)) // the client may have gone
	return nil
}

// store has the manifest stored, and ends the upload.
func (k *carrier) store(c call) (*completedXML, error) {
	r := k.newRequest(c)
	manifest := &request.Manifest{Check: k.check}
	request.From(r.Context()).Manifest = manifest
	resp, err := subreq.Open(k.next, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, small)) // the status is enough
		return nil, k.unmet(k.swiftError(c, resp.StatusCode, text), c.header)
	}
	report, err := k.wait(resp.Body)
	if err != nil {
		return nil, err
	}
	if err := k.judge(c, report); err != nil {
		return nil, err
	}
	version := fromSwift(manifest.Stored).version
	if err := k.settle(k.order, version); err != nil {
		return nil, err
	}
	if !k.begun {
		setAmz(k.w.Header(), "x-amz-version-id", version)
	}
	return k.completed(k.order, k.sum), nil
}

// maxReport is how long the report on a manifest may be: it names all parts, if all are wrong.
const maxReport = 64 << 20

// wait reads the report, and keeps the client waiting with the white space that comes before it.
func (k *carrier) wait(body io.Reader) ([]byte, error) {
	var report []byte
	buf := make([]byte, 4096)
	for {
		n, err := body.Read(buf)
		piece := buf[:n]
		switch {
		case len(report) > 0 || len(bytes.TrimSpace(piece)) > 0:
			report = append(report, piece...)
		case n > 0 && k.clock.Now().Sub(k.since) >= patience:
			if err := k.beat(); err != nil {
				return nil, err
			}
		}
		switch {
		case err == io.EOF:
			return report, nil
		case err != nil:
			return nil, err
		case len(report) > maxReport:
			return nil, errors.New("the report on a manifest is too long")
		}
	}
}

// beat sends white space. A document may have none before its declaration.
func (k *carrier) beat() error {
	text := " "
	if !k.begun {
		k.begun = true
		k.w.Header().Set("Content-Type", typeXML)
		k.w.WriteHeader(http.StatusOK)
		text = s3xml.Header + text
	}
	if _, err := io.WriteString(k.w, text); err != nil {
		return err
	}
	return http.NewResponseController(k.w).Flush()
}

// judge says what the report on the manifest means.
func (k *carrier) judge(c call, report []byte) error {
	var result struct {
		Status string     `json:"Response Status"`
		Body   string     `json:"Response Body"`
		Errors [][]string `json:"Errors"`
	}
	if err := json.Unmarshal(report, &result); err != nil {
		return fmt.Errorf("read the report on a manifest: %w", err)
	}
	digits, _, _ := strings.Cut(result.Status, " ")
	status, _ := strconv.Atoi(digits)
	switch {
	case status >= 200 && status < 300:
		return nil
	case k.refusal != nil:
		return k.refusal
	case len(result.Errors) == 0:
		return k.unmet(k.swiftError(c, status, []byte(result.Body)), c.header)
	}
	var texts []string
	for _, e := range result.Errors {
		if len(e) != 2 {
			continue
		}
		switch {
		case strings.HasPrefix(e[1], "Etag Mismatch"), strings.HasPrefix(e[1], "404 "):
			return k.order.invalidPart(k.order.at(e[0]))
		case strings.HasPrefix(e[1], "Too small"):
			return s3err.EntityTooSmall.With("PartNumber", strconv.Itoa(k.order.at(e[0]).Number), "ProposedSize", "0")
		case strings.HasPrefix(e[1], "5"):
			return s3err.ServiceUnavailable.With().Because(errors.New(e[1]))
		}
		texts = append(texts, e[0]+": "+e[1])
	}
	return s3err.InvalidRequest.Say(strings.Join(texts, "\n"))
}

// at returns the part whose path ends as the given one does.
func (o *order) at(path string) completedPart {
	n, _ := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	for _, p := range o.parts {
		if p.Number == n {
			return p
		}
	}
	return completedPart{Number: n}
}

// check looks at the parts that were found, before the manifest is stored, and makes the checksum of the whole.
func (k *carrier) check(segments []request.Segment, h http.Header) []request.Complaint {
	path, err := k.checkSizes(segments)
	if err == nil {
		path, err = k.checkSums(segments)
	}
	if err == nil { // an abort from now on undoes what is about to be stored, which replaces an object
		err = k.locate(k.order.multipart, true)
	}
	if err != nil {
		k.refusal = err
		return []request.Complaint{{Path: path, Text: string(s3err.From(err).Code)}}
	}
	if k.sum != "" {
		var size int64
		for _, s := range segments {
			size += s.Size
		}
		h.Set(sysmetaChecksum, ofSize(k.sum, size))
	}
	return nil
}

// checkSizes refuses parts that are too small. The last may be.
func (k *carrier) checkSizes(segments []request.Segment) (path string, err error) {
	var total int64
	for i, s := range segments {
		total += s.Size
		if i < len(segments)-1 && s.Size < int64(k.config.MinSegmentSize) {
			p := k.order.parts[i]
			return s.Path, s3err.EntityTooSmall.With("ProposedSize", strconv.FormatInt(s.Size, 10),
				"MinSizeAllowed", strconv.FormatInt(int64(k.config.MinSegmentSize), 10),
				"PartNumber", strconv.Itoa(p.Number), "ETag", p.ETag)
		}
	}
	if v := k.r.Header.Get("X-Amz-Mp-Object-Size"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n != total {
			return "", s3err.InvalidRequest.Say("The provided 'x-amz-mp-object-size' header value " + v +
				" does not match what was computed: " + strconv.FormatInt(total, 10))
		}
	}
	return "", nil
}

// checkSums compares the checksums that the client names with those of the parts, and makes that of the object, if there is
// to be one and all parts have theirs.
func (k *carrier) checkSums(segments []request.Segment) (path string, err error) {
	want, kind, err := k.wanted()
	if err != nil {
		return "", err
	}
	parts := make([]checksum.Part, 0, len(segments))
	for i, s := range segments {
		p := k.order.parts[i]
		name, value, _, ok := parseStoredChecksum(s.Header.Get(sysmetaChecksum))
		given := &p.checksumXML
		for _, a := range checksum.All() {
			if v := *given.field(a); v != "" && (!ok || name != a || v != value) {
				return s.Path, k.order.invalidPart(p)
			}
		}
		if !ok || name != want.Algorithm {
			continue // stored by who does not keep checksums
		}
		if kind == checksum.Composite && *given.field(name) == "" {
			lower := strings.ToLower(string(name))
			return s.Path, s3err.InvalidRequest.Say("The upload was created using a " + lower + " checksum. The complete request must include " +
				"the checksum for each part. It was missing for part " + strconv.Itoa(p.Number) + " in the request.")
		}
		if v, err := checksum.ParseValue(name, value); err == nil {
			parts = append(parts, checksum.Part{Value: v, Size: s.Size})
		}
	}
	if want.Algorithm == "" {
		return "", nil
	}
	if len(parts) < len(segments) {
		if want.Sum != "" {
			return "", s3err.InvalidRequest.Say("The checksum of the object cannot be verified: not all parts have one.")
		}
		return "", nil
	}
	made := checksum.Whole(want.Algorithm, kind, parts)
	if want.Sum != "" && (made.Sum != want.Sum || want.Parts != 0 && want.Parts != made.Parts) {
		return "", checksum.Mismatch(want.Algorithm)
	}
	k.sum = string(want.Algorithm) + "=" + made.String() + ";" + string(kind)
	return "", nil
}

// wanted is which checksum the object is to have, and its value if the client names it.
func (k *carrier) wanted() (want checksum.Object, kind checksum.Type, err error) {
	want.Algorithm, kind = k.order.algorithm, k.order.kind
	h := k.r.Header
	for _, a := range checksum.All() {
		text := h.Get(a.Header())
		switch {
		case text == "":
			continue
		case want.Sum != "":
			return want, kind, s3err.InvalidRequest.Say("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		case want.Algorithm != "" && want.Algorithm != a:
			return want, kind, s3err.InvalidRequest.Say("Checksum Type mismatch occurred, expected checksum Type: " +
				strings.ToLower(string(want.Algorithm)) + ", actual checksum Type: " + strings.ToLower(string(a)))
		}
		if want, err = checksum.ParseObject(a, text); err != nil {
			return want, kind, err
		}
	}
	given := h.Get("X-Amz-Checksum-Type")
	switch {
	case given == "" && kind == "" && want.Algorithm != "":
		kind = want.Algorithm.Default()
		if want.Parts > 0 {
			kind = checksum.Composite
		}
	case given == "":
	case want.Algorithm == "":
		return want, kind, s3err.InvalidRequest.Say("The upload was not created with a checksum type.")
	default:
		t, err := checksum.ParseType(want.Algorithm, given)
		if err != nil {
			return want, kind, err
		}
		if kind != "" && t != kind {
			return want, kind, s3err.InvalidRequest.Say("The upload was created using the " + string(kind) + " checksum mode. The complete request must use the same checksum mode.")
		}
		kind = t
	}
	return want, kind, nil
}

// lateError is the document of an error that comes after the status.
func (x *exchange) lateError(err error) []byte {
	e := s3err.From(err)
	x.report(e, err)
	return e.Document(x.r.URL.Path, x.state.TransID)
}
