package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/awserr"
)

// wire is a server that notes the first line and the host of each request as they are on the wire.
func wire(t *testing.T) (endpoint string, lines chan [2]string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines = make(chan [2]string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := bufio.NewReader(conn)
			first, _ := b.ReadString('\n')
			host := ""
			for line := ""; line != "\r\n"; {
				if line, err = b.ReadString('\n'); err != nil {
					break
				}
				if v, ok := strings.CutPrefix(line, "Host: "); ok {
					host = strings.TrimSpace(v)
				}
			}
			lines <- [2]string{strings.TrimSpace(first), host}
			io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String(), lines
}

func TestAddressOnTheWire(t *testing.T) {
	endpoint, lines := wire(t)
	address := strings.TrimPrefix(endpoint, "http://")
	toServer := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	for _, test := range []struct {
		name, endpoint, addressing string
		call                       Call
		path, host                 string
	}{
		{"a key", "http://s3.test", "path", Call{Bucket: "bucket", Key: "a/b.txt"}, "/bucket/a/b.txt", "s3.test"},
		{"a port", "http://s3.test:9000", "path", Call{Bucket: "bucket"}, "/bucket", "s3.test:9000"},
		{"the port that is understood", "http://s3.test:80", "path", Call{Bucket: "bucket"}, "/bucket", "s3.test"},
		{"all buckets", "http://s3.test", "path", Call{}, "/", "s3.test"},
		{"a base path", "http://s3.test/base/", "path", Call{Bucket: "bucket", Key: "k"}, "/base/bucket/k", "s3.test"},
		{"all buckets below a base path", "http://s3.test/base", "path", Call{}, "/base/", "s3.test"},
		{"a virtual host", "http://s3.test", "virtual", Call{Bucket: "bucket", Key: "k"}, "/k", "bucket.s3.test"},
		{"a virtual host with a port", "http://s3.test:81", "virtual", Call{Bucket: "bucket"}, "/", "bucket.s3.test:81"},
		{"a virtual host and a base path", "http://s3.test/base", "virtual", Call{Bucket: "bucket", Key: "k"}, "/base/k", "bucket.s3.test"},
		{"a bucket that is no host", "http://s3.test", "virtual", Call{Bucket: "My_Bucket", Key: "k"}, "/My_Bucket/k", "s3.test"},
		{"a bucket with two dots", "http://s3.test", "virtual", Call{Bucket: "a..b", Key: "k"}, "/a..b/k", "s3.test"},
		{"a bucket that looks like an address", "http://s3.test", "virtual", Call{Bucket: "192.168.1.1", Key: "k"}, "/192.168.1.1/k", "s3.test"},
		{"no host name at all", "http://127.0.0.1", "virtual", Call{Bucket: "bucket", Key: "k"}, "/bucket/k", "127.0.0.1"},
		{"empty segments", "http://s3.test", "path", Call{Bucket: "bucket", Key: "a//b/"}, "/bucket/a//b/", "s3.test"},
		{"a key that begins with a slash", "http://s3.test", "path", Call{Bucket: "bucket", Key: "/a"}, "/bucket//a", "s3.test"},
		{"the same in a virtual host", "http://s3.test", "virtual", Call{Bucket: "bucket", Key: "/a"}, "//a", "bucket.s3.test"},
		{"dots", "http://s3.test", "path", Call{Bucket: "bucket", Key: "../x/./.."}, "/bucket/../x/./..", "s3.test"},
		{"bytes of any kind", "http://s3.test", "path", Call{Bucket: "bucket", Key: "a b+c%2Fd?e#f&é\x01\xff;=:@~*'"},
			"/bucket/a%20b%2Bc%252Fd%3Fe%23f%26%C3%A9%01%FF%3B%3D%3A%40~%2A%27", "s3.test"},
		{"a query as it was", "http://s3.test", "path", Call{Bucket: "bucket", Query: "uploads&prefix=b&acl=&a=2&a=1"}, "/bucket?uploads&prefix=b&acl=&a=2&a=1", "s3.test"},
		{"a query to encode anew", "http://s3.test", "path", Call{Bucket: "bucket", Query: "&prefix=a+b%2fc;d&&marker=%41/é=1"},
			"/bucket?prefix=a%20b%2Fc%3Bd&marker=A%2F%C3%A9%3D1", "s3.test"},
		{"another region's endpoint", "http://s3.test", "path", Call{Bucket: "bucket", Key: "k", Place: &Place{Endpoint: &url.URL{Scheme: "http", Host: "eu.s3.test"}}}, "/bucket/k", "eu.s3.test"},
		{"the bucket's own endpoint", "http://s3.test", "path",
			Call{Bucket: "bucket", Key: "k", Place: &Place{Virtual: true, Endpoint: &url.URL{Scheme: "http", Host: "bucket.eu.s3.test"}}}, "/k", "bucket.eu.s3.test"},
	} {
		c := base(test.endpoint)
		c.Addressing = test.addressing
		u := open(t, c, Deps{Dial: toServer})
		test.call.Method = "GET"
		resp, err := u.Send(t.Context(), test.call)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		resp.Body.Close()
		if got, want := <-lines, [2]string{"GET " + test.path + " HTTP/1.1", test.host}; got != want {
			t.Errorf("%s: got %q, want %q", test.name, got, want)
		}
	}
}

// TestKeysAreSigned sends what TestAddressOnTheWire does to a server that checks the signature.
func TestKeysAreSigned(t *testing.T) {
	s := newStore(t, nil)
	u := open(t, base(s.URL), Deps{})
	for _, key := range []string{"a//b", "/a", "//", "..", "../x/./..", "a b+c%2Fd?e#f&é\x01\xff;=:@~*'", "%", "日本語", "a%00b", strings.Repeat("x", 1024)} {
		send(t, u, get(key))
		if got := <-s.got; got.URL.Path != "/bucket/"+key {
			t.Errorf("got %q, want %q", got.URL.Path, key)
		}
	}
	for _, query := range []string{"acl", "acl=", "uploads&b=2&a=1", "prefix=a+b%20c%2B;&x", "a=2&a=1&A=0", "versionId=%C3%A9&partNumber=1&uploadId=a%2Fb%3D%3D"} {
		send(t, u, Call{Method: "GET", Bucket: "bucket", Query: query})
		<-s.got
	}
}

func TestBadAddresses(t *testing.T) {
	u := open(t, base("http://127.0.0.1:1"), Deps{})
	for name, test := range map[string]struct {
		call Call
		code awserr.Code
	}{
		"a bucket with a slash":    {Call{Bucket: "a/b"}, "InvalidBucketName"},
		"a bucket that climbs":     {Call{Bucket: ".."}, "InvalidBucketName"},
		"a key without bucket":     {Call{Key: "k"}, awserr.InvalidRequest},
		"a bad escape":             {Call{Bucket: "b", Query: "a=%zz"}, awserr.InvalidURI},
		"a signature in the query": {Call{Bucket: "b", Query: "X-Amz-Signature=1"}, awserr.InvalidRequest},
		"a body of unknown length": {Call{Bucket: "b", Length: -1}, awserr.MissingContentLength},
	} {
		test.call.Method = "GET"
		if _, err := u.Send(t.Context(), test.call); !is(err, test.code) {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
}

func is(err error, code awserr.Code) bool {
	e, ok := err.(*awserr.Error)
	return ok && e.Code == code
}

func TestRedirection(t *testing.T) {
	c := base("https://s3.eu-1.example.net")
	c.RedirectDomains = []string{"store.test"}
	secure := open(t, c, Deps{})
	plain := open(t, base("http://127.0.0.1:9000"), Deps{})
	call := get("k")
	for _, test := range []struct {
		name             string
		u                *Upstream
		status           int
		region, location string
		want             string // region, endpoint, virtual
	}{
		{"a region", secure, 301, "eu-2", "", "eu-2  false"},
		{"a region in a refusal", secure, 400, "eu-2", "", "eu-2  false"},
		{"the same region", secure, 301, "us-east-1", "", ""},
		{"a region that is none", secure, 301, "eu/2", "", ""},
		{"no redirect", secure, 404, "eu-2", "https://eu-2.store.test/", ""},
		{"below the own host", secure, 307, "", "https://x.s3.eu-1.example.net/bucket/k", " https://x.s3.eu-1.example.net false"},
		{"a domain of the store's", secure, 307, "eu-2", "https://bucket.eu-2.store.test/k", "eu-2 https://bucket.eu-2.store.test true"},
		{"beside the own host", secure, 307, "", "https://s3.eu-2.example.net/bucket/k", ""},
		{"a host that ends alike", secure, 307, "", "https://evilstore.test/k", ""},
		{"another port", secure, 307, "", "https://a.store.test:22/k", ""},
		{"out of TLS", secure, 307, "", "http://a.store.test/k", ""},
		{"credentials in it", secure, 307, "", "https://u:p@a.store.test/k", ""},
		{"elsewhere, with a region", secure, 301, "eu-2", "https://evil.test/", ""},
		{"the same place", secure, 307, "", "/bucket/k", ""},
		{"to TLS", plain, 301, "", "https://127.0.0.1:9000/bucket/k", " https://127.0.0.1:9000 false"},
		{"to the machine's other ports", plain, 301, "", "http://127.0.0.1:25/", ""},
		{"no URL", plain, 301, "", "http://[", ""},
	} {
		at, err := test.u.address(call)
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: test.status, Header: http.Header{}, Request: &http.Request{URL: at}}
		if test.region != "" {
			resp.Header.Set("X-Amz-Bucket-Region", test.region)
		}
		if test.location != "" {
			resp.Header.Set("Location", test.location)
		}
		p, ok := test.u.Redirection(resp, call)
		got := ""
		if ok {
			got = p.Region + " "
			if p.Endpoint != nil {
				got += p.Endpoint.String()
			}
			got += map[bool]string{true: " true", false: " false"}[p.Virtual]
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TestRedirectsAreAnswers has a store redirect to a server that must not be asked.
func TestRedirectsAreAnswers(t *testing.T) {
	other := newStore(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/", http.StatusTemporaryRedirect)
	})
	u := open(t, base(s.URL), Deps{})
	resp, _ := send(t, u, get("k"))
	if resp.StatusCode != 307 || resp.Header.Get("Location") != other.URL+"/" {
		t.Errorf("got %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if p, ok := u.Redirection(resp, get("k")); ok {
		t.Errorf("it is said to lead to %v", p.Endpoint)
	}
}

// TestAnotherRegion asks a store that has a bucket in another region.
func TestAnotherRegion(t *testing.T) {
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/eu-2/s3/") {
			w.Header().Set("X-Amz-Bucket-Region", "eu-2")
			w.WriteHeader(301)
		}
	})
	u := open(t, base(s.URL), Deps{})
	c := get("k")
	resp, _ := send(t, u, c)
	p, ok := u.Redirection(resp, c)
	if !ok {
		t.Fatal("the region was not understood")
	}
	c.Place = &p
	if resp, _ = send(t, u, c); resp.StatusCode != 200 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestPresign(t *testing.T) {
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Range")) })
	u := open(t, base(s.URL), Deps{})
	c := get("a//b c")
	c.Header = http.Header{"X-Forwarded-For": {"10.1.1.1"}, "Authorization": {"secret"}}
	link, header, err := u.Presign(t.Context(), c, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", link, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range header {
		if name != "Host" {
			r.Header[name] = v
		}
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := <-s.got; got.URL.Path != "/bucket/a//b c" || resp.StatusCode != 200 {
		t.Errorf("%d, got %q", resp.StatusCode, got.URL.Path)
	}
}
