package sigv4

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/headname"
	"github.com/apus-storage/apus/internal/meta"
)

// FuzzParse gives any texts to the parser: it must not panic, and a signature that was not made with the key is never right.
func FuzzParse(f *testing.F) {
	f.Add("/b/k", "a=b", "AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00", "20130524T000000Z", "x")
	f.Add("/%00//%zz", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"+
		"&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=00", "", "", UnsignedPayload)
	f.Fuzz(func(t *testing.T, path, query, authorization, date, payload string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path, RawQuery: query}, Host: "h", Header: http.Header{}}
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Date": date, "X-Amz-Content-Sha256": payload} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		Recognise(r)
		now := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
		sig, err := Parse(r, Rules{Now: now})
		if err != nil {
			return
		}
		key := Derive("secret", sig.Scope)
		if err := sig.Verify(key); err == nil && sig.given != key.Sign(sig.StringToSign()) && sig.canonical.sent == "" {
			t.Fatalf("taken: %q", authorization)
		}
		sig.given = key.Sign(sig.StringToSign())
		if err := sig.Verify(key); err != nil {
			t.Fatalf("refused the right signature: %v", err)
		}
	})
}

// FuzzQuery compares the canonical query with what net/url makes of it.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "a", "a=", "a=1&b=2&a=0", "%C3%a9=%2f", "a+b=c+d", "&&=", "a=b=c", "%", "%zz", "~-._=!'()*", "%00=%FF"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw)
		want, urlErr := url.ParseQuery(raw)
		if err != nil {
			if urlErr == nil {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		text := string(q.append(nil, false))
		again, err := parseQuery(text)
		if err != nil || string(again.append(nil, false)) != text {
			t.Fatalf("%q became %q, and then %q, %v", raw, text, again.append(nil, false), err)
		}
		if again.asSent() != nil {
			t.Fatalf("%q: %q is not canonical", raw, text)
		}
		if urlErr != nil {
			return // a semicolon, which is no separator here
		}
		got, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %q has other parameters", raw, text)
		}
		for name := range want {
			if len(got[name]) != len(want[name]) {
				t.Fatalf("%q: %q has other values of %q", raw, text, name)
			}
		}
	})
}

// FuzzPath compares the canonical path with the path that it stands for.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/a//b", "/%2F", "/a+b", "/%c3%A9", "/%", "/~!'()*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		want, wantErr := url.PathUnescape(raw)
		got, err := recode(raw, true)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, net/url says %v", raw, err, wantErr)
		}
		if err != nil {
			return
		}
		if back, err := url.PathUnescape(got); err != nil || back != want {
			t.Fatalf("%q became %q, which is %q, %v; want %q", raw, got, back, err, want)
		}
		if again, err := recode(got, true); again != got || err != nil || strings.Contains(got, "%2F") {
			t.Fatalf("%q is not canonical: %q, %v", got, again, err)
		}
	})
}

// BenchmarkSign signs a small request, here and as the SDK does.
func BenchmarkSign(b *testing.B) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	s := NewSigner("AKID", "secret", "", "us-east-1")
	request := func() *http.Request {
		return &http.Request{
			Method: "GET", Host: "store.example.com", URL: &url.URL{Scheme: "http", Host: "store.example.com", Path: "/photos/a/small/object"},
			Header: http.Header{
				"User-Agent": {"aws-sdk"}, "Amz-Sdk-Invocation-Id": {"4d8ab6a3-4d2c-4f36-b9a2-0d9b8c3e6f55"}, "Amz-Sdk-Request": {"attempt=1; max=3"},
				"X-Amz-Checksum-Mode": {"ENABLED"},
			},
		}
	}
	b.Run("here", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Sign(request(), EmptyPayload, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("SDK", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := request()
			r.Header.Set("X-Amz-Content-Sha256", EmptyPayload)
			if err := s.sdk.SignHTTP(b.Context(), s.credentials, r, EmptyPayload, s.service, s.region, now); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("no signature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			request()
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	r := &http.Request{
		Method: "GET", Host: "bucket.example.com", Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: "bucket.example.com", Path: "/a/small/object", RawQuery: "versionId=abc"},
	}
	if _, err := NewSigner("AKID", "secret", "", "us-east-1").Sign(r, EmptyPayload, now); err != nil {
		b.Fatal(err)
	}
	keys := NewKeys(100)
	b.ReportAllocs()
	for b.Loop() {
		sig, err := Parse(r, Rules{Now: now, Region: "us-east-1"})
		if err != nil {
			b.Fatal(err)
		}
		if err := sig.Verify(keys.Get("secret", sig.Scope)); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzKeys compares the keys of headers with those that net/http has for names in lower case, or package headname.
func FuzzKeys(f *testing.F) {
	for _, name := range []string{"host", "x-amz-content-sha256", "x-amz-meta-a_b", "te", "-x", "a b", "a=b", "x--y", "ü"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name != strings.ToLower(name) {
			return
		}
		want := textproto.CanonicalMIMEHeaderKey(name)
		if headname.Odd(name) {
			want = meta.Title(name)
		}
		if got := string(appendKey(nil, name)); got != want {
			t.Errorf("the key of %q is %q, want %q", name, got, want)
		}
	})
}
