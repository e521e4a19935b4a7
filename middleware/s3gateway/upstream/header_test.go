package upstream

import (
	"net/http"
	"slices"
	"testing"
)

func TestHeaders(t *testing.T) {
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-Amz-Id-2", "kept")
		w.Header().Set("Connection", "X-Hop, X-Amz-Id-2")
	})
	u := open(t, base(s.URL), Deps{})
	c := get("k")
	c.Header = http.Header{
		// What a store is to see.
		"Range": {"bytes=0-1"}, "If-Match": {`"a"`}, "Content-Type": {"text/plain"}, "X-Amz-Meta-Under_score": {"kept"}, "X-Amz-Meta-A": {"  a  b ", "c"},
		"X-Amz-Acl": {"private"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"client/1"}, "Content-Encoding": {"aws-chunked, gzip"}, "X-Amz-Meta-Empty": {""},
		"x-amz-meta-lower": {"kept"}, "X-Amz-Copy-Source-Range": {"bytes=0-9"},
		// What is none of its business. Swift would copy, or read, from elsewhere.
		"X-Copy-From": {"/payroll/all.csv"}, "X-Copy-From-Account": {"AUTH_other"}, "X-Object-Manifest": {"payroll/"}, "X-Symlink-Target": {"payroll/all.csv"},
		"X-Fresh-Metadata": {"true"}, "Destination": {"/payroll/x"}, "X-Object-Meta-A": {"b"}, "X-Container-Read": {".r:*"}, "X-Versions-Location": {"v"},
		"X-Object-Sysmeta-A": {"b"}, "X-Backend-Storage-Policy-Index": {"1"}, "X-Timestamp": {"1"}, "X-Delete-At": {"1"}, "Etag": {"e"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=client"}, "X-Amz-Date": {"20200101T000000Z"}, "X-Amz-Content-Sha256": {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
		"X-Amz-Security-Token": {"client's"}, "X-Amz-Decoded-Content-Length": {"10"}, "X-Amz-Trailer": {"x-amz-checksum-crc32"}, "Expect": {"100-continue"},
		"X-Forwarded-For": {"10.0.0.1"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=10.0.0.1"}, "Via": {"1.1 proxy"}, "X-Real-Ip": {"10.0.0.1"},
		"Connection": {"X-Mine, Range-Not, X-Amz-Acl"}, "X-Mine": {"1"}, "Te": {"trailers"}, "Trailer": {"X"}, "Upgrade": {"h2c"}, "Proxy-Authorization": {"secret"},
		"Transfer-Encoding": {"chunked"}, "Content-Length": {"7"}, "Host": {"smuggled"}, "Cookie": {"a=b"}, "Keep-Alive": {"1"},
		"X_amz_copy_source": {"/other/key"}, "X-Amz_acl": {"public-read"}, "X-Amz-Meta-(": {"no token"}, "X-Amz-Acl=": {"public-read"}, "Date": {"Mon, 01 Jan 2001 00:00:00 GMT"},
	}
	resp, _ := send(t, u, c)
	got := <-s.got
	wants := map[string][]string{
		"Range": {"bytes=0-1"}, "If-Match": {`"a"`}, "Content-Type": {"text/plain"}, "X-Amz-Meta-Under_score": {"kept"}, "X-Amz-Meta-A": {"a  b", "c"}, "X-Amz-Acl": {"private"},
		"Accept-Encoding": {"gzip"}, "User-Agent": {"client/1"}, "Content-Encoding": {"gzip"}, "X-Amz-Meta-Empty": {""}, "X-Amz-Meta-Lower": {"kept"}, "X-Amz-Copy-Source-Range": {"bytes=0-9"},
	}
	for name, want := range wants {
		if !slices.Equal(got.Header[name], want) {
			t.Errorf("%s: %q, want %q", name, got.Header[name], want)
		}
	}
	ours := []string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"}
	for name, v := range got.Header {
		_, wanted := wants[name]
		if !wanted && !slices.Contains(ours, name) || slices.Contains(ours, name) && slices.Equal(v, c.Header[name]) {
			t.Errorf("%s: %q was passed on", name, v)
		}
	}
	if got.Host == "smuggled" || c.Header.Get("Authorization") == "" {
		t.Errorf("host %s, or the call was changed", got.Host)
	}
	if resp.Header.Get("X-Hop") != "" || resp.Header.Get("Keep-Alive") != "" || resp.Header.Get("Connection") != "" || resp.Header.Get("X-Amz-Id-2") != "kept" {
		t.Errorf("the answer has %v", resp.Header)
	}
}

func TestNoHeaders(t *testing.T) {
	s := newStore(t, nil)
	u := open(t, base(s.URL), Deps{})
	send(t, u, get("k"))
	got := <-s.got
	for name := range got.Header {
		if !slices.Contains([]string{"Authorization", "X-Amz-Date", "X-Amz-Content-Sha256"}, name) {
			t.Errorf("%s: %q was made up", name, got.Header[name])
		}
	}
}

// TestKeptFraming has a store answer with the framing that an object's body came with, as Ceph 16 does.
func TestKeptFraming(t *testing.T) {
	cases := []struct {
		name        string
		given, want []string
	}{
		{"nothing else", []string{"aws-chunked"}, nil},
		{"before the client's own", []string{"aws-chunked,gzip"}, []string{"gzip"}},
		{"in another case of letters, between others", []string{"a, AWS-Chunked, b"}, []string{"a,b"}},
		{"in a line of its own", []string{"gzip", "aws-chunked"}, []string{"gzip"}},
		{"none", nil, nil},
		{"others alone", []string{"gzip, br"}, []string{"gzip, br"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Encoding"] = c.given
				w.Write([]byte("body"))
			})
			resp, body := send(t, open(t, base(s.URL), Deps{}), get("k"))
			if got := resp.Header["Content-Encoding"]; !slices.Equal(got, c.want) || body != "body" {
				t.Errorf("an answer with %q: %q and body %q, want %q", c.given, got, body, c.want)
			}
		})
	}
}
