package awschunked_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/sigv4"
)

const docSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func parse(t *testing.T, text, secret string, at time.Time) (*http.Request, *sigv4.Signature, sigv4.Key) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	if at.IsZero() {
		if at, err = time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil {
			t.Fatal(err)
		}
	}
	sig, err := sigv4.Parse(r, sigv4.Rules{Now: at})
	if err != nil {
		t.Fatal(err)
	}
	key := sigv4.Derive(secret, sig.Scope)
	if err := sig.Verify(key); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r, sig, key
}

// options are what the head of a request says.
func options(t *testing.T, r *http.Request, sig *sigv4.Signature, key sigv4.Key) awschunked.Options {
	t.Helper()
	o, err := awschunked.FromHeader(r.Header, sig.Payload, sig.Chain(key))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestDocumented takes the examples of AWS's documentation of streamed uploads, with and without a trailer.
func TestDocumented(t *testing.T) {
	const body = 66560
	head := func(payload, length, more, signed, signature string) string {
		return "PUT /examplebucket/chunkObject.txt HTTP/1.1\r\nHost: s3.amazonaws.com\r\nx-amz-date: 20130524T000000Z\r\n" +
			"x-amz-storage-class: REDUCED_REDUNDANCY\r\nx-amz-content-sha256: " + payload + "\r\nContent-Encoding: aws-chunked\r\n" +
			"x-amz-decoded-content-length: 66560\r\n" + length + more +
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed + ",Signature=" + signature + "\r\n\r\n"
	}
	chunk := func(n int, signature string) string {
		text := strconv.FormatInt(int64(n), 16) + ";chunk-signature=" + signature + "\r\n"
		if n > 0 {
			text += strings.Repeat("a", n) + "\r\n"
		}
		return text
	}
	for _, c := range []struct{ name, head, body string }{
		{"signed", head("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "Content-Length: 66824\r\n", "",
			"content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
			chunk(65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648") +
				chunk(1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497") +
				chunk(0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9") + "\r\n"},
		{"with a trailer", head("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "", "x-amz-trailer: x-amz-checksum-crc32c\r\n",
			"content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"),
			chunk(65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2") +
				chunk(1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7") +
				chunk(0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992") +
				"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, sig, key := parse(t, c.head, docSecret, time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
			got, err := io.ReadAll(awschunked.NewReader(strings.NewReader(c.body), options(t, r, sig, key)))
			if err != nil || string(got) != strings.Repeat("a", body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			// The encoder makes the same bytes.
			e := awschunked.Encoding{Chain: sig.Chain(key), Length: body}
			if sig.Payload.HasTrailer() {
				e.Checksum = "CRC32C"
			}
			if e.Mode(true) != sig.Payload.String() {
				t.Errorf("mode %s", e.Mode(true))
			}
			text, err := io.ReadAll(awschunked.NewWriter(strings.NewReader(strings.Repeat("a", body)), e))
			if err != nil || string(text) != c.body {
				t.Errorf("encoded otherwise, %v:\n%.200s\n%s", err, text, text[len(text)-400:])
			}
		})
	}
}

var run = regexp.MustCompile(`\{[0-9]+\}`)

// TestBotocore takes what boto3 sends over TLS, as sigv4/testdata/record.py recorded it.
func TestBotocore(t *testing.T) {
	raw, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name, Head, Body string
		Size             int
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 15 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		r, sig, key := parse(t, row.Head, "secret/of+the/example", time.Time{})
		body := run.ReplaceAllStringFunc(row.Body, func(n string) string {
			count, _ := strconv.Atoi(n[1 : len(n)-1])
			return strings.Repeat("a", count)
		})
		got, err := io.ReadAll(awschunked.NewReader(strings.NewReader(body), options(t, r, sig, key)))
		if err != nil || string(got) != strings.Repeat("a", row.Size) {
			t.Errorf("%s: %d bytes, %v", row.Name, len(got), err)
		}
		if row.Size == 0 {
			continue
		}
		wrong := strings.Replace(body, "a\r\n", "b\r\n", 1)
		got, err = io.ReadAll(awschunked.NewReader(strings.NewReader(wrong), options(t, r, sig, key)))
		if !errors.Is(err, awserr.BadDigest) || len(got) == row.Size {
			t.Errorf("%s: of a wrong body %d bytes, %v", row.Name, len(got), err)
		}
	}
}
