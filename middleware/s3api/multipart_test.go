package s3api

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

const (
	testUpload = "MmU4NjFiZTMtNGUzYy00NDU5LThhZTUtMGEwNDg5ODIzNzE2"
	testMarker = "/v1/AUTH_test/bucket+segments/key/" + testUpload
	testTag    = "0cc175b9c0f1b6a831c399e269772661"
)

// An uploadBench is a bench with a bucket and an upload to "key" that is under way.
type uploadBench struct {
	*bench
	now time.Time
}

func newUploadBench(t testing.TB, toml string, marker map[string]string) *uploadBench {
	b := &uploadBench{now: time.Unix(1_800_000_000, 0)}
	b.bench = newBenchAt(t, toml, clock.Func(func() time.Time { return b.now }))
	b.On("HEAD /v1/AUTH_test/bucket", middlewaretest.Answer{Code: 204})
	b.On("HEAD "+testMarker, middlewaretest.Answer{Header: marker})
	b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 404})
	return b
}

// slo makes the app answer the PUT of a manifest.
func (b *uploadBench) slo(do func(w http.ResponseWriter, r *http.Request, m *request.Manifest)) {
	b.On("PUT /v1/AUTH_test/bucket/key", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		do(w, r, request.From(r.Context()).Manifest)
	}})
}

func (b *uploadBench) complete(options ...middlewaretest.Option) middlewaretest.Response {
	body := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + testTag + "</ETag></Part></CompleteMultipartUpload>"
	return b.do("POST", "/bucket/key?uploadId="+testUpload, append(options, middlewaretest.Body(body))...)
}

// good is a manifest that was stored.
func good(w http.ResponseWriter, _ *http.Request, m *request.Manifest) {
	w.WriteHeader(http.StatusAccepted)
	m.Stored = http.Header{"X-Object-Version-Id": {"17"}}
	fmt.Fprint(w, " \r\n\r\n", `{"Response Status": "201 Created", "Errors": []}`)
}

func TestACompletionThatTakesLongKeepsTheClientWaiting(t *testing.T) {
	for _, c := range []struct {
		name, report string
		want         string // code of the error, "" if there is none
	}{
		{"and succeeds", `{"Response Status": "201 Created", "Errors": []}`, ""},
		{"and fails at a part", `{"Response Status": "400 Bad Request", "Errors": [["/bucket%2Bsegments/key/x/1", "Etag Mismatch"]]}`, "InvalidPart"},
		{"and fails", `{"Response Status": "503 Service Unavailable", "Errors": []}`, "ServiceUnavailable"},
		{"and breaks off", `{"Response Status": `, "InternalError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newUploadBench(t, "", nil)
			b.slo(func(w http.ResponseWriter, _ *http.Request, _ *request.Manifest) {
				w.WriteHeader(http.StatusAccepted)
				fmt.Fprint(w, " ")
				b.now = b.now.Add(10 * time.Second)
				fmt.Fprint(w, " ")
				b.now = b.now.Add(10 * time.Second)
				fmt.Fprint(w, " ")
				fmt.Fprint(w, "\r\n\r\n", c.report)
			})
			r := b.complete()
			if r.Code != 200 || code(r) != c.want {
				t.Errorf("got %d %s, want 200 and the code %q", r.Code, r.Body, c.want)
			}
			if !strings.HasPrefix(r.Body, "<?xml") || strings.Count(r.Body, "<?xml") != 1 || !strings.Contains(r.Body, "  \n<") {
				t.Errorf("no declaration with two spaces after it in %q", r.Body)
			}
			var any struct{ XMLName xml.Name }
			if err := xml.Unmarshal([]byte(r.Body), &any); err != nil {
				t.Errorf("%q: %v", r.Body, err)
			}
		})
	}
}

func TestACompletionThatIsShortHasTheStatusOfItsError(t *testing.T) {
	for report, want := range map[string]struct {
		status int
		code   string
	}{
		`{"Response Status": "400 Bad Request", "Errors": [["/bucket%2Bsegments/key/x/1", "404 Not Found"]]}`: {400, "InvalidPart"},
		`{"Response Status": "400 Bad Request", "Errors": [["x/1", "Too small; each segment must be"]]}`:      {400, "EntityTooSmall"},
		`{"Response Status": "400 Bad Request", "Errors": [["x/1", "503 Service Unavailable"]]}`:              {503, "ServiceUnavailable"},
		`{"Response Status": "400 Bad Request", "Errors": [["x/1", "Unsatisfiable Range"]]}`:                  {400, "InvalidRequest"},
		`{"Response Status": "412 Precondition Failed", "Errors": []}`:                                        {412, "PreconditionFailed"},
		`{"Response Status": "401 Unauthorized", "Errors": []}`:                                               {403, "AccessDenied"},
		`{"Response Status": "413 Too Large", "Response Body": "Upload exceeds quota."}`:                      {400, "EntityTooLarge"},
	} {
		b := newUploadBench(t, "", nil)
		b.slo(func(w http.ResponseWriter, _ *http.Request, _ *request.Manifest) {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, " ", "\r\n\r\n", report)
		})
		b.want(b.complete(), want.status, want.code)
	}
	b := newUploadBench(t, "", nil)
	b.slo(func(w http.ResponseWriter, _ *http.Request, _ *request.Manifest) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	b.want(b.complete(), 400, "EntityTooLarge")
}

func TestACompletionStoresWhatTheUploadWasBegunWith(t *testing.T) {
	b := newUploadBench(t, "", map[string]string{
		"Content-Type": "application/directory", "X-Object-Sysmeta-S3api-Has-Content-Type": "yes", "X-Object-Sysmeta-S3api-Content-Type": "text/x",
		"X-Object-Meta-A=5Fb": "c", "Cache-Control": "no-cache", "X-Delete-At": "1900000000", "X-Object-Sysmeta-S3api-Tmpacl": "[]",
		"Etag": "d41d8cd98f00b204e9800998ecf8427e", "X-Timestamp": "1700000000.00000", "X-Object-Sysmeta-Other": "not this",
	})
	var sent http.Header
	b.slo(func(w http.ResponseWriter, r *http.Request, m *request.Manifest) {
		sent = r.Header.Clone()
		good(w, r, m)
	})
	r := b.complete(middlewaretest.Header("If-None-Match", "*"))
	b.want(r, 200, "")
	binary, _ := hex.DecodeString(testTag)
	sum := md5.Sum(binary)
	etag := hex.EncodeToString(sum[:]) + "-1"
	for name, want := range map[string]string{
		"Content-Type": "text/x", "X-Object-Meta-A=5Fb": "c", "Cache-Control": "no-cache", "X-Delete-At": "1900000000", "If-None-Match": "*",
		"X-Object-Sysmeta-S3api-Acl": "[]", "X-Object-Sysmeta-S3api-Upload-Id": testUpload, "X-Object-Sysmeta-S3api-Etag": etag,
		"X-Object-Sysmeta-Container-Update-Override-Etag": "; s3_etag=" + etag, "Etag": "", "X-Timestamp": "",
		"X-Object-Sysmeta-Other": "", "X-Object-Sysmeta-S3api-Tmpacl": "",
	} {
		if got := strings.Join(sent[name], ""); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(r.Body, etag) || amz(r, "x-amz-version-id") != "17" {
		t.Errorf("no ETag %s or version 17 in %v %s", etag, r.Header, r.Body)
	}
	if last := b.Last(); last.Method != "DELETE" || last.URI != testMarker {
		t.Errorf("the marker is not deleted at the end, but: %s %s", last.Method, last.URI)
	}
}

func TestConditionsOfACompletion(t *testing.T) {
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		b := newUploadBench(t, "", nil)
		b.want(b.complete(middlewaretest.Header(name, "x")), 501, "NotImplemented")
	}
	b := newUploadBench(t, "", nil)
	b.want(b.complete(middlewaretest.Header("If-None-Match", `"x"`)), 501, "NotImplemented")

	for _, c := range []struct{ status, code string }{{"201 Created", ""}, {"412 Precondition Failed", "PreconditionFailed"}, {"409 Conflict", "ConditionalRequestConflict"}} {
		b = newUploadBench(t, "", nil)
		sent := ""
		b.slo(func(w http.ResponseWriter, r *http.Request, m *request.Manifest) {
			sent = r.Header.Get("X-Backend-If-Match")
			w.WriteHeader(http.StatusAccepted)
			m.Stored = http.Header{}
			fmt.Fprintf(w, ` {"Response Status": %q, "Errors": []}`, c.status)
		})
		b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{"Etag": "x"}})
		if r := b.complete(middlewaretest.Header("If-Match", `"x"`)); code(r) != c.code || sent != `"x"` {
			t.Errorf("after %s: got %s with %q sent on, want %q", c.status, r.Body, sent, c.code)
		}
	}
}

func TestAnUploadFromTheFutureWaits(t *testing.T) {
	b := newUploadBench(t, "", map[string]string{"X-Timestamp": "1800000001.00000"})
	b.want(b.complete(), 503, "ServiceUnavailable")
}

// The parts of the object in TestChecksumsOfACompletion.
func checkedSegments(sums ...checksum.Value) []request.Segment {
	var list []request.Segment
	for _, v := range sums {
		h := http.Header{}
		if v.Algorithm != "" {
			h.Set("X-Object-Sysmeta-S3api-Checksum", storedChecksum(v, checksum.FullObject))
		}
		list = append(list, request.Segment{Path: "x/1", Size: 1, Header: h})
	}
	return list
}

func TestChecksumsOfACompletion(t *testing.T) {
	value := func(a checksum.Algorithm, text string) checksum.Value {
		h := a.New()
		h.Write([]byte(text))
		return checksum.Of(a, h)
	}
	crc, sha := value(checksum.CRC32, "a"), value(checksum.SHA256, "a")
	composite := checksum.Whole(checksum.SHA256, checksum.Composite, []checksum.Part{{Value: sha, Size: 1}}).String()
	for _, c := range []struct {
		name, algorithm string
		stored          checksum.Value
		part            string // XML
		head            map[string]string
		code            string
		kept            string
	}{
		{"none", "", checksum.Value{}, "", nil, "", ""},
		{"of the part alone", "", sha, "", nil, "", ""},
		{"of bytes", "CRC32;FULL_OBJECT", crc, "", nil, "", "CRC32=" + crc.String() + ";FULL_OBJECT;1"},
		{"of bytes, right", "CRC32;FULL_OBJECT", crc, "", map[string]string{"x-amz-checksum-crc32": crc.String()}, "", "CRC32=" + crc.String() + ";FULL_OBJECT;1"},
		{"of bytes, wrong", "CRC32;FULL_OBJECT", crc, "", map[string]string{"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest", ""},
		{"of another algorithm", "CRC32;FULL_OBJECT", crc, "", map[string]string{"x-amz-checksum-sha256": sha.String()}, "InvalidRequest", ""},
		{"of another type", "CRC32;FULL_OBJECT", crc, "", map[string]string{"x-amz-checksum-type": "COMPOSITE"}, "InvalidRequest", ""},
		{"of two algorithms", "", crc, "", map[string]string{"x-amz-checksum-sha256": sha.String(), "x-amz-checksum-crc32": crc.String()}, "InvalidRequest", ""},
		{"of parts", "SHA256;COMPOSITE", sha, "<ChecksumSHA256>" + sha.String() + "</ChecksumSHA256>", nil, "", "SHA256=" + composite + ";COMPOSITE;1"},
		{"of parts, none named", "SHA256;COMPOSITE", sha, "", nil, "InvalidRequest", ""},
		{"of parts, a wrong one", "SHA256;COMPOSITE", sha, "<ChecksumSHA256>AAAA</ChecksumSHA256>", nil, "InvalidPart", ""},
		{"of a part that has none", "", checksum.Value{}, "<ChecksumSHA256>" + sha.String() + "</ChecksumSHA256>", nil, "InvalidPart", ""},
		{"of parts by somebody else", "SHA256;COMPOSITE", checksum.Value{}, "", nil, "", ""},
		{"that cannot be verified", "", checksum.Value{}, "", map[string]string{"x-amz-checksum-crc32": crc.String()}, "InvalidRequest", ""},
		{"that was not begun with", "", crc, "", map[string]string{"x-amz-checksum-crc32": crc.String(), "x-amz-checksum-type": "FULL_OBJECT"}, "", "CRC32=" + crc.String() + ";FULL_OBJECT;1"},
		{"and the size, right", "", crc, "", map[string]string{"x-amz-mp-object-size": "1"}, "", ""},
		{"and the size, wrong", "", crc, "", map[string]string{"x-amz-mp-object-size": "2"}, "InvalidRequest", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newUploadBench(t, "", map[string]string{"X-Object-Sysmeta-S3api-Checksum-Algorithm": c.algorithm})
			kept := http.Header{}
			b.slo(func(w http.ResponseWriter, r *http.Request, m *request.Manifest) {
				if complaints := m.Check(checkedSegments(c.stored), kept); len(complaints) > 0 {
					w.WriteHeader(http.StatusAccepted)
					fmt.Fprintf(w, `{"Response Status": "400 Bad Request", "Errors": [["x/1", %q]]}`, complaints[0].Text)
					return
				}
				good(w, r, m)
			})
			options := []middlewaretest.Option{middlewaretest.Body("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;" + testTag +
				"&quot;</ETag>" + c.part + "</Part></CompleteMultipartUpload>")}
			for name, v := range c.head {
				options = append(options, middlewaretest.Header(name, v))
			}
			r := b.do("POST", "/bucket/key?uploadId="+testUpload, options...)
			if code(r) != c.code {
				t.Errorf("got %d %s, want the code %q", r.Code, r.Body, c.code)
			}
			if got := kept.Get("X-Object-Sysmeta-S3api-Checksum"); got != c.kept {
				t.Errorf("kept %q, want %q", got, c.kept)
			}
			if c.kept != "" && !strings.Contains(r.Body, "<ChecksumType>") {
				t.Errorf("the checksum is not told: %s", r.Body)
			}
		})
	}
}

func TestPartsThatAreTooSmall(t *testing.T) {
	b := newUploadBench(t, `min_segment_size = 5`, nil)
	b.slo(func(w http.ResponseWriter, r *http.Request, m *request.Manifest) {
		segments := []request.Segment{{Path: "x/1", Size: 4}, {Path: "x/2", Size: 4}}
		if len(m.Check(segments, http.Header{})) == 0 {
			t.Error("no complaint")
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"Response Status": "400 Bad Request", "Errors": [["x/1", "EntityTooSmall"]]}`)
	})
	r := b.complete()
	b.want(r, 400, "EntityTooSmall")
	if !strings.Contains(r.Body, "<ProposedSize>4</ProposedSize>") || !strings.Contains(r.Body, "<MinSizeAllowed>5</MinSizeAllowed>") {
		t.Errorf("the sizes are not told: %s", r.Body)
	}
}

func TestIDsOfUploads(t *testing.T) {
	for id, want := range map[string]bool{
		testUpload: true, newUploadID(): true, "a-b_c=": true, "1a": true,
		"": false, "1": false, "0123": false, "a/1": false, "..": false, "a b": false, "é": false, strings.Repeat("a", 256): false,
	} {
		if got := validUploadID(id); got != want {
			t.Errorf("%q: got %t, want %t", id, got, want)
		}
	}
}

func TestRangesOfSources(t *testing.T) {
	for value, want := range map[string]string{
		"bytes=0-9": "0 10", "bytes=3-3": "3 4", "bytes=0-10": "", "bytes=3-": "", "bytes=-3": "", "bytes=4-3": "", "0-3": "", "bytes=0-1,2-3": "",
		"bytes= 0-3": "", "bytes=+0-3": "", "bytes=0-99999999999999999999": "", "": "",
	} {
		got := ""
		if r, err := sourceRange(value, 10); err == nil {
			got = fmt.Sprint(r.Start, r.End)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func TestUploadsCanBeSwitchedOff(t *testing.T) {
	b := newUploadBench(t, `allow_multipart_uploads = false`, nil)
	b.want(b.do("POST", "/bucket/key?uploads"), 501, "NotImplemented")
	b.want(b.complete(), 501, "NotImplemented")
}

func TestAnAbortGoesBeforeACompletion(t *testing.T) {
	aborting := map[string]string{sysmetaAborting: "yes"}
	b := newUploadBench(t, "", aborting)
	b.want(b.complete(), 404, "NoSuchUpload")
	b.want(b.do("PUT", "/bucket/key?partNumber=1&uploadId="+testUpload), 404, "NoSuchUpload")

	// It comes when the object has been stored: what counts is whether its parts are there.
	for name, c := range map[string]struct {
		part   int
		status int
		code   string
		undone bool
	}{
		"parts are gone":    {404, 404, "NoSuchUpload", true},
		"it has not begun":  {200, 409, "OperationAborted", false},
		"nobody knows that": {503, 503, "ServiceUnavailable", false},
	} {
		b := newUploadBench(t, "", nil)
		b.On("HEAD "+testMarker, middlewaretest.Answer{}, middlewaretest.Answer{Header: aborting})
		b.On("HEAD "+testMarker+"/1", middlewaretest.Answer{Code: c.part, Header: map[string]string{"Etag": testTag}})
		b.slo(func(w http.ResponseWriter, r *http.Request, m *request.Manifest) {
			b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Header: map[string]string{sysmetaUpload: testUpload}})
			b.On("DELETE /v1/AUTH_test/bucket/key", middlewaretest.Answer{Do: func(w http.ResponseWriter, _ *http.Request) {
				b.On("HEAD /v1/AUTH_test/bucket/key", middlewaretest.Answer{Code: 404})
				w.WriteHeader(http.StatusNoContent)
			}})
			good(w, r, m)
			m.Stored = http.Header{} // no versions are kept
		})
		b.want(b.complete(), c.status, c.code)
		undone := false
		for _, call := range b.Calls() {
			undone = undone || call.Method == "DELETE" && strings.HasPrefix(call.URI, "/v1/AUTH_test/bucket/key")
		}
		if undone != c.undone {
			t.Errorf("%s: the object was deleted: %t, want %t", name, undone, c.undone)
		}
	}
}

func FuzzCompletion(f *testing.F) {
	f.Add([]byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + testTag + "</ETag></Part></CompleteMultipartUpload>"))
	f.Add([]byte(`<CompleteMultipartUpload xmlns="x"><Part><PartNumber>-1</PartNumber></Part></CompleteMultipartUpload>`))
	m := &multipart{id: testUpload, marker: resource{bucket: "b+segments", key: "k/" + testUpload}}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := parseCompletion(body)
		if err != nil {
			return
		}
		o, err := m.order(doc)
		if err != nil {
			return
		}
		before := 0
		for _, p := range o.parts {
			if p.Number <= before || len(p.ETag) != 2*md5.Size {
				t.Errorf("%q: part %d after %d, with ETag %q", body, p.Number, before, p.ETag)
			}
			before = p.Number
		}
	})
}
