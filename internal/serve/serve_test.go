package serve

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/constraint"
)

// exchange sends a request as it is and returns the answer and what the handler saw.
func exchange(t *testing.T, head string) (*http.Response, *http.Request) {
	t.Helper()
	var seen *http.Request
	s := httptest.NewServer(Bound(constraint.Default(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, head)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp, seen
}

func TestBoundRefusesHeadsOverTheLimits(t *testing.T) {
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "X-H%d: v\r\n", i)
		}
		return b.String()
	}
	for _, tc := range []struct {
		name, head string
		want       int
	}{
		{"a request line below the limit", "GET /" + strings.Repeat("p", 8175) + " HTTP/1.1\r\nHost: h\r\n\r\n", 200},
		{"a request line of the limit", "GET /" + strings.Repeat("p", 8176) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"a header line below the limit", "GET / HTTP/1.1\r\nHost: h\r\nX-Test: " + strings.Repeat("v", 8181) + "\r\n\r\n", 200},
		{"a header line of the limit", "GET / HTTP/1.1\r\nHost: h\r\nX-Test: " + strings.Repeat("v", 8182) + "\r\n\r\n", 400},
		{"as many headers as may be", "GET / HTTP/1.1\r\nHost: h\r\n" + lines(126) + "\r\n", 200},
		{"a header too many", "GET / HTTP/1.1\r\nHost: h\r\n" + lines(127) + "\r\n", 400},
		{"a header too many, all of one name", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X-H: v\r\n", 127) + "\r\n", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, seen := exchange(t, tc.head)
			if resp.StatusCode != tc.want || (seen != nil) != (tc.want == 200) || resp.Close != (tc.want != 200) {
				t.Errorf("got %s, closing %v, handler called %v, want %d", resp.Status, resp.Close, seen != nil, tc.want)
			}
		})
	}
}

func TestBoundJoinsHeadersOnSeveralLines(t *testing.T) {
	_, seen := exchange(t, "GET / HTTP/1.1\r\nHost: h\r\nX-Auth-Token: a\r\nX-One: 1\r\nx-auth-token: b\r\nContent-Type: t/a\r\nContent-Type: t/b\r\n\r\n")
	if got := seen.Header["Content-Type"]; len(got) != 1 || got[0] != "t/a" {
		t.Errorf("handler saw types %q, want the first", got)
	}
	if got := seen.Header["X-Auth-Token"]; len(got) != 1 || got[0] != "a,b" || seen.Header.Get("X-One") != "1" {
		t.Errorf("handler saw %q", seen.Header)
	}
}

func TestBoundNamesTheHost(t *testing.T) {
	if _, seen := exchange(t, "GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(seen.Host, "127.0.0.1:") {
		t.Errorf("a request without Host has %q", seen.Host)
	}
	if _, seen := exchange(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); seen.Host != "h" {
		t.Errorf("a request for h has %q", seen.Host)
	}
}

func TestHeaderNamesHaveHyphens(t *testing.T) {
	_, seen := exchange(t, "GET / HTTP/1.1\r\nHost: h\r\nX_Backend_Etag: a\r\nX-Both: own\r\nX_Both: other\r\nX-Amz-Meta-A_b: 1\r\nTransfer_Encoding: chunked\r\n\r\n")
	if seen == nil {
		t.Fatal("refused")
	}
	for name, want := range map[string]string{"X-Backend-Etag": "a", "X-Both": "own", "Transfer-Encoding": "", "X-Amz-Meta-A_b": "1"} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name := range seen.Header {
		if strings.Contains(name, "_") && name != "X-Amz-Meta-A_b" {
			t.Errorf("%s is left", name)
		}
	}
}
