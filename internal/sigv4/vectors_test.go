package sigv4_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/sigv4"
)

// The access key of AWS's documentation.
const (
	docKey    = "AKIAIOSFODNN7EXAMPLE"
	docSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var docTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

func docRules() sigv4.Rules { return sigv4.Rules{Now: docTime, Region: "us-east-1"} }

// request reads a request as a server does.
func request(t testing.TB, text string) *http.Request {
	t.Helper()
	r, err := readRequest(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

func readRequest(text string) (*http.Request, error) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	return http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n")))
}

// documented are examples of AWS's documentation of signatures of S3.
var documented = []struct{ name, text string }{
	{"get object", `GET /test.txt HTTP/1.1
Host: examplebucket.s3.amazonaws.com
Range: bytes=0-9
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
x-amz-date: 20130524T000000Z
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41
`},
	{"put object", `PUT /test$file.text HTTP/1.1
Host: examplebucket.s3.amazonaws.com
Date: Fri, 24 May 2013 00:00:00 GMT
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd
`},
	{"get bucket lifecycle", `GET /?lifecycle HTTP/1.1
Host: examplebucket.s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543
`},
	{"list objects", `GET /?max-keys=2&prefix=J HTTP/1.1
Host: examplebucket.s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7
`},
	{"presigned", `GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1
Host: examplebucket.s3.amazonaws.com
`},
	{"streamed", `PUT /examplebucket/chunkObject.txt HTTP/1.1
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
Content-Length: 66824
Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9
`},
}

func TestDocumented(t *testing.T) {
	for _, c := range documented {
		sig, err := sigv4.Parse(request(t, c.text), docRules())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if sig.AccessKey != docKey || !sig.Time.Equal(docTime) || sig.Scope != sigv4.NewScope(docTime, "us-east-1", "s3") {
			t.Errorf("%s: read as %+v", c.name, sig)
		}
		if err := sig.Verify(sigv4.Derive(docSecret, sig.Scope)); err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, sig.StringToSign())
		}
		if err := sig.Verify(sigv4.Derive(docSecret+"x", sig.Scope)); !errors.Is(err, awserr.SignatureDoesNotMatch) {
			t.Errorf("%s: with another secret %v, want SignatureDoesNotMatch", c.name, err)
		}
	}
}

func TestDocumentedKey(t *testing.T) {
	// The derived key of the general documentation of version 4.
	key := sigv4.Derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", sigv4.Scope{Date: "20150830", Region: "us-east-1", Service: "iam"})
	text := "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\nf536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
	if got, want := key.Sign(text), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

const (
	secret = "secret/of+the/example"
	region = "eu-west-3"
)

// TestBotocore takes what botocore signed; testdata/record.py recorded it.
func TestBotocore(t *testing.T) {
	raw, err := os.ReadFile("testdata/botocore.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name, Head string
		Body       string
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 100 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		r := request(t, strings.TrimSuffix(row.Head, "\r\n"))
		if !sigv4.Recognise(r) {
			t.Errorf("%s: not recognised", row.Name)
		}
		rules := sigv4.Rules{Region: region, Now: timeOf(t, r)}
		sig, err := sigv4.Parse(r, rules)
		if err != nil {
			t.Errorf("%s: %v", row.Name, err)
			continue
		}
		key := sigv4.Derive(secret, sig.Scope)
		if err := sig.Verify(key); err != nil {
			t.Errorf("%s: %v\n%s\n%q", row.Name, err, sig.StringToSign(), row.Head)
		}
		if want := strings.Contains(row.Name, "token"); (sig.SecurityToken == "a+token/with=signs") != want {
			t.Errorf("%s: token %q", row.Name, sig.SecurityToken)
		}
		if sig.Presigned != strings.HasPrefix(row.Name, "query") {
			t.Errorf("%s: presigned is %v", row.Name, sig.Presigned)
		}
		body, err := base64.StdEncoding.DecodeString(row.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(sig.Payload.Body(strings.NewReader(string(body)))); err != nil || string(got) != string(body) {
			t.Errorf("%s: body %q, %v", row.Name, got, err)
		}
		r.Method = "POST"
		if sig, err = sigv4.Parse(r, rules); err != nil {
			t.Fatal(err)
		}
		if err := sig.Verify(key); !errors.Is(err, awserr.SignatureDoesNotMatch) {
			t.Errorf("%s: with another method %v, want SignatureDoesNotMatch", row.Name, err)
		}
	}
}

// timeOf is when a recorded request was made.
func timeOf(t *testing.T, r *http.Request) time.Time {
	t.Helper()
	text := r.Header.Get("X-Amz-Date")
	if text == "" {
		text = r.URL.Query().Get("X-Amz-Date")
	}
	at, err := time.Parse("20060102T150405Z", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
