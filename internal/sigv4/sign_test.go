package sigv4_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"

	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/sigv4"
)

// overTheWire is the request as a server reads it that a client sends.
func overTheWire(t interface{ Fatal(...any) }, r *http.Request) *http.Request {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := readRequest(strings.TrimSuffix(b.String(), "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestSignThenCheck signs any request, or has the SDK presign it, sends it, and checks it with what this package makes of AWS's rules.
func TestSignThenCheck(t *testing.T) {
	name := rapid.StringOfN(rapid.RuneFrom([]rune("ab/.+ %é€&=?;#'!*~\x00\x7f$@:")), 0, 12, -1)
	value := rapid.StringMatching(`[ -~]{0,12}`)
	rapid.Check(t, func(rt *rapid.T) {
		query := url.Values{}
		for range rapid.IntRange(0, 3).Draw(rt, "parameters") {
			query.Add(name.Draw(rt, "parameter"), name.Draw(rt, "value"))
		}
		r := &http.Request{
			Method: rapid.SampledFrom([]string{"GET", "PUT", "DELETE", "HEAD", "POST"}).Draw(rt, "method"),
			URL:    &url.URL{Scheme: "http", Host: "store:9000", Path: "/" + name.Draw(rt, "path"), RawQuery: query.Encode()},
			Header: http.Header{"X-Amz-Meta-A": {value.Draw(rt, "header")}, "Content-Type": {"a/b"}},
		}
		token := rapid.SampledFrom([]string{"", "to+ken"}).Draw(rt, "token")
		s := sigv4.NewSigner("AKID", "s3cret", token, "Region-1")
		if rapid.Bool().Draw(rt, "presign") {
			link, header, err := s.Presign(r, time.Minute, now)
			if err != nil {
				rt.Fatal(err)
			}
			if r.URL, err = url.Parse(link); err != nil {
				rt.Fatal(err)
			}
			r.Header = header
			r.Host, r.Header["Host"] = header.Get("Host"), nil
		} else if _, err := s.Sign(r, sigv4.UnsignedPayload, now); err != nil {
			rt.Fatal(err)
		}
		got := overTheWire(rt, r)
		sig, err := sigv4.Parse(got, rules())
		if err != nil {
			rt.Fatal(err)
		}
		if err := sig.Verify(sigv4.Derive("s3cret", sig.Scope)); err != nil {
			rt.Fatalf("%v\n%s", err, got.URL)
		}
		if sig.SecurityToken != token {
			rt.Fatalf("token %q, want %q", sig.SecurityToken, token)
		}
		for name, values := range query {
			g := got.URL.Query()[name]
			slices.Sort(values) // the SDK sorts those of one name, encoded
			slices.Sort(g)
			if !slices.Equal(g, values) {
				rt.Fatalf("parameter %q became %q, want %q", name, g, values)
			}
		}
	})
}

// TestSignAsTheSDK has the SDK sign any request that has been signed here: it comes to the same, to the byte.
func TestSignAsTheSDK(t *testing.T) {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab/.+ %é€&=?#'!*~\x00\x7f$@:-_")), 0, 12, -1)
	line := rapid.StringMatching(`[ -~]{0,12}`)
	names := []string{"Content-Type", "Range", "If-Match", "User-Agent", "Accept-Encoding", "X-Amz-Meta-A", "X-Amz-Meta-A-B", "X-Amz-Meta-Ab", "X-Amz-Acl", "Expect",
		"x-amz-meta-low", "X-Amzn-Trace-Id", "Content-Length", "Cache-Control", "X-Amz-Date"}
	sdk := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	rapid.Check(t, func(rt *rapid.T) {
		query := url.Values{}
		for range rapid.IntRange(0, 4).Draw(rt, "parameters") {
			query.Add(text.Draw(rt, "parameter"), text.Draw(rt, "value"))
		}
		host := rapid.SampledFrom([]string{"store:9000", "store", "store:80", "store:443", "[::1]:80", "[::1]", "10.0.0.1:443"}).Draw(rt, "host")
		r := &http.Request{
			Method: rapid.SampledFrom([]string{"GET", "PUT", "DELETE", "HEAD", "POST"}).Draw(rt, "method"), Header: http.Header{},
			URL: &url.URL{
				Scheme: rapid.SampledFrom([]string{"http", "https"}).Draw(rt, "scheme"), Host: host,
				Path: "/" + text.Draw(rt, "path"), RawQuery: query.Encode(),
			},
			ContentLength: rapid.Int64Range(-1, 20).Draw(rt, "length"),
		}
		if rapid.Bool().Draw(rt, "host given") {
			r.Host = host
		}
		for range rapid.IntRange(0, 6).Draw(rt, "headers") {
			name := rapid.SampledFrom(names).Draw(rt, "name")
			r.Header[name] = append(r.Header[name], line.Draw(rt, "line"))
		}
		payload := rapid.SampledFrom([]string{sigv4.UnsignedPayload, sigv4.EmptyPayload, sigv4.StreamingSigned}).Draw(rt, "payload")
		token := rapid.SampledFrom([]string{"", "to+ken"}).Draw(rt, "token")
		if _, err := sigv4.NewSigner("AK/ID", "s3cret", token, "Region-1").Sign(r, payload, now); err != nil {
			rt.Fatal(err)
		}
		theirs := r.Clone(rt.Context())
		theirs.Header.Del("Authorization")
		credentials := aws.Credentials{AccessKeyID: "AK/ID", SecretAccessKey: "s3cret", SessionToken: token}
		if err := sdk.SignHTTP(rt.Context(), credentials, theirs, payload, "s3", "Region-1", now); err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(theirs.Header, r.Header) || theirs.URL.String() != r.URL.String() || theirs.Host != r.Host {
			rt.Fatalf("got  %s %s %v\nwant %s %s %v", r.Host, r.URL, r.Header, theirs.Host, theirs.URL, theirs.Header)
		}
	})
}

// TestSignDocumented signs the examples of AWS's documentation that have nothing but what is signed here.
func TestSignDocumented(t *testing.T) {
	for _, i := range []int{0, 2, 3} {
		r := request(t, documented[i].text)
		r.RequestURI = ""
		want := r.Header.Get("Authorization")
		payload := r.Header.Get("X-Amz-Content-Sha256")
		for _, name := range []string{"Authorization", "X-Amz-Content-Sha256", "X-Amz-Date"} {
			r.Header.Del(name)
		}
		s := sigv4.NewSigner(docKey, docSecret, "", "us-east-1")
		if _, err := s.Sign(r, payload, docTime); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(r.Header.Get("Authorization"), ", ", ","); got != want {
			t.Errorf("%s: got %s, want %s", documented[i].name, got, want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	for name, edit := range map[string]func(*http.Request){
		"a query that net/url cannot read": func(r *http.Request) { r.URL.RawQuery = "a=1;b=2" },
		"a bad escape":                     func(r *http.Request) { r.URL.RawQuery = "a=%zz" },
		"a signature in the query":         func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=1" },
		"a header of the connection":       header("Connection", "close"),
	} {
		r := httptest.NewRequest("GET", "/b/k", nil)
		edit(r)
		if _, err := signer().Sign(r, sigv4.UnsignedPayload, now); err == nil {
			t.Errorf("%s was signed", name)
		}
		if _, _, err := signer().Presign(r, time.Minute, now); err == nil {
			t.Errorf("%s was presigned", name)
		}
	}
	r := httptest.NewRequest("GET", "/b/k", nil)
	if _, err := signer().Sign(r, "x", now); !is(err, awserr.InvalidArgument) {
		t.Errorf("payload x: %v", err)
	}
	for _, d := range []time.Duration{0, -time.Second, sigv4.MaxExpires + 1} {
		if _, _, err := signer().Presign(r, d, now); err == nil {
			t.Errorf("presigned for %v", d)
		}
	}
}

// TestPathsAsKept signs paths that others would tidy up.
func TestPathsAsKept(t *testing.T) {
	for path, want := range map[string]string{
		"/b//k": "/b//k", "/b/../k": "/b/../k", "/b/./": "/b/./", "/b/a+b": "/b/a%2Bb", "/b/a b!": "/b/a%20b%21", "/b/%41": "/b/%2541", "": "/",
	} {
		r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h", Path: path}, Header: http.Header{}}
		if _, err := signer().Sign(r, sigv4.UnsignedPayload, now); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got := overTheWire(t, r)
		if got.RequestURI != want {
			t.Errorf("%s: sent as %s, want %s", path, got.RequestURI, want)
		}
		if err := check(got, rules()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
