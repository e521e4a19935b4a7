package upstream

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

// FuzzParseProfile reads credentials files. What comes out was in the file, and can be put into a header.
func FuzzParseProfile(f *testing.F) {
	f.Add("[default]\naws_access_key_id=A1\naws_secret_access_key = s1\n", "default")
	f.Add("# c\n[profile x] ; c\r\nAWS_ACCESS_KEY_ID = A2\naws_secret_access_key = s=2\n aws_session_token = tok\n", "x")
	f.Add("[x\n", "x")
	f.Add("[]]\na\n", "")
	f.Fuzz(func(t *testing.T, text, profile string) {
		k, err := parseProfile([]byte(text), profile)
		if err != nil {
			if k != (keys{}) {
				t.Error("keys and an error")
			}
			return
		}
		for _, s := range []string{k.accessKey, k.secret, k.token} {
			if !strings.Contains(text, s) || strings.ContainsAny(s, "\r\n\x00") {
				t.Errorf("%q is not from the file, or no value", s)
			}
		}
		if k.accessKey == "" || k.secret == "" {
			t.Error("half a key pair")
		}
	})
}

// FuzzParseToken reads answers of token endpoints. A token can be put into a header and has an end within a year.
func FuzzParseToken(f *testing.F) {
	f.Add([]byte(`{"access_token": "a", "expires_in": 60}`))
	f.Add([]byte(`{"access_token": "a", "expiration": 1800000100}`))
	f.Add([]byte(`{"access_token": "a\r\n", "expires_in": 1e400}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Unix(1_800_000_000, 0)
		token, until, err := parseToken(body, now)
		if err != nil {
			return
		}
		if token == "" || strings.ContainsAny(token, " \r\n\x00") || !until.After(now) || until.Sub(now) > 366*24*time.Hour {
			t.Errorf("%q until %v", token, until)
		}
	})
}

// FuzzEncodeQuery writes queries anew. They mean the same, and writing them again changes nothing.
func FuzzEncodeQuery(f *testing.F) {
	f.Add("acl&prefix=a+b%2fc&x=&&=y")
	f.Add("%zz")
	f.Add("a;b=c\xff")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := encodeQuery(raw)
		if err != nil {
			if e, ok := errors.AsType[*awserr.Error](err); !ok || e.Code != awserr.InvalidURI {
				t.Errorf("%v", err)
			}
			return
		}
		if again, err := encodeQuery(got); err != nil || again != got {
			t.Errorf("%q became %q, and that %q, %v", raw, got, again, err)
		}
		// net/url takes no semicolons, which are one of many characters to S3.
		was, err1 := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
		is, err2 := url.ParseQuery(got)
		if err1 != nil || err2 != nil || was.Encode() != is.Encode() {
			t.Errorf("%q became %q: %v, %v", raw, got, err1, err2)
		}
	})
}

// FuzzRedirection reads Location headers. Credentials go nowhere but below the store's names.
func FuzzRedirection(f *testing.F) {
	f.Add("https://bucket.eu-2.store.test/k", "eu-2")
	f.Add("//evil.test/", "")
	f.Add("http://s3.test@evil.test", "x")
	c := base("https://s3.test")
	c.RedirectDomains = []string{"store.test"}
	u := open(f, c, Deps{})
	f.Fuzz(func(t *testing.T, location, region string) {
		at, err := u.address(get("k"))
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: 307, Request: &http.Request{URL: at}, Header: http.Header{
			"Location": {location}, "X-Amz-Bucket-Region": {region},
		}}
		p, ok := u.Redirection(resp, get("k"))
		if !ok {
			return
		}
		if strings.ContainsAny(p.Region, "/ ,\r\n") {
			t.Errorf("region %q", p.Region)
		}
		if p.Endpoint == nil {
			return
		}
		host := strings.ToLower(p.Endpoint.Hostname())
		if p.Endpoint.Scheme != "https" || p.Endpoint.User != nil || p.Endpoint.Port() != "" ||
			host != "s3.test" && host != "store.test" && !strings.HasSuffix(host, ".s3.test") && !strings.HasSuffix(host, ".store.test") {
			t.Errorf("%q leads to %s", location, p.Endpoint)
		}
	})
}

// FuzzWhole reads bodies in any pieces. Nobody gets all bytes of one that is not whole.
func FuzzWhole(f *testing.F) {
	f.Add([]byte("hello"), int64(5), uint8(0), uint8(3))
	f.Add([]byte("hello"), int64(4), uint8(1), uint8(1))
	f.Add([]byte("hello"), int64(5), uint8(2), uint8(100))
	f.Fuzz(func(t *testing.T, data []byte, length int64, how, size uint8) {
		if length < 1 || length > 1<<20 || size == 0 {
			return
		}
		var body io.Reader = bytes.NewReader(data)
		good := int64(len(data)) == length
		if how&1 > 0 {
			body, good = io.MultiReader(body, failing{io.ErrUnexpectedEOF}), false
		}
		if how&2 > 0 {
			body = iotest.OneByteReader(body)
		}
		if how&4 > 0 {
			body = iotest.DataErrReader(body)
		}
		w := &whole{body: body, left: length}
		var got []byte
		var err error
		for buf := make([]byte, size); err == nil; {
			var n int
			n, err = w.Read(buf)
			got = append(got, buf[:n]...)
		}
		if good != (err == io.EOF) || good && !bytes.Equal(got, data) || !good && int64(len(got)) >= length {
			t.Errorf("%d bytes, said to be %d, whole %t: got %d, %v", len(data), length, good, len(got), err)
		}
		if n, again := w.Read(make([]byte, 1)); n > 0 || again == nil {
			t.Errorf("after the end: %d, %v", n, again)
		}
	})
}
