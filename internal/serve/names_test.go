package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/headname"
)

// dialServer starts a server and returns a connection to it.
func dialServer(t *testing.T, c Config, h http.HandlerFunc) net.Conn {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	l, err := c.Wrap(s.Listener)
	if err != nil {
		t.Fatal(err)
	}
	s.Listener, s.Config = l, c.Server(Bound(constraint.Default(), h), slog.New(slog.DiscardHandler))
	s.Start()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); s.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// configs are those of a storage node and of a proxy.
func configs() map[string]Config {
	node := Defaults()
	proxy := node
	proxy.CutStalled, proxy.ClientTimeout = true, config.Seconds(5)
	return map[string]Config{"node": node, "proxy": proxy}
}

func TestNamesHaveDelimiters(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) { namesHaveSigns(t, c) })
	}
}

func namesHaveSigns(t *testing.T, c Config) {
	conn := dialServer(t, c, func(w http.ResponseWriter, r *http.Request) {
		var seen []string
		body, _ := io.ReadAll(r.Body)
		for k, vs := range r.Header {
			if strings.HasPrefix(k, "X-Meta-") {
				seen = append(seen, k)
				w.Header()[k] = vs
			}
		}
		slices.Sort(seen)
		headname.Send(r, w.Header())
		w.Header()["Date"] = nil
		fmt.Fprintf(w, "%q %q A|b: c", seen, body)
	})
	answers := bufio.NewReader(conn)
	for _, tc := range []struct {
		name, request, head, body string
	}{
		{"a name with a sign", "PUT /a=b HTTP/1.1\r\nHost: h\r\nx-meta-a=5fb: c=d\r\nContent-Length: 6\r\n\r\nA=b: c", "X-Meta-A=5Fb: c=d\r\n", `["X-Meta-A=5Fb"] "A=b: c" A|b: c`},
		{"none", "GET /a=b HTTP/1.1\r\nHost: h\r\nX-Meta-A: c=d|e\r\n\r\n", "X-Meta-A: c=d|e\r\n", `["X-Meta-A"] "" A|b: c`},
		{"a bar", "GET / HTTP/1.1\r\nHost: h\r\nX-Meta-A|b: c\r\n\r\n", "X-Meta-A|b: c\r\n", `["X-Meta-A|b"] "" A|b: c`},
		{"a bracket and a bar", "GET / HTTP/1.1\r\nHost: h\r\nX-Meta-A(b: c\r\nx-meta-a|B: d\r\n\r\n", "X-Meta-A(B: c\r\nX-Meta-A|b: d\r\n", `["X-Meta-A(B" "X-Meta-A|b"] "" A|b: c`},
		{"an interim answer", "PUT / HTTP/1.1\r\nHost: h\r\nX-Meta-=: c\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n=", "X-Meta-=: c\r\n", `["X-Meta-="] "=" A|b: c`},
		{"in chunks", "POST / HTTP/1.1\r\nHost: h\r\nX-Meta-A=: c\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nA=b\r\n0\r\n\r\n", "X-Meta-A=: c\r\n", `["X-Meta-A="] "A=b" A|b: c`},
		{"a long head", "GET / HTTP/1.1\r\nHost: h\r\nX-Meta-L=: " + strings.Repeat("=|", 3500) + "\r\n\r\n", "X-Meta-L=: " + strings.Repeat("=|", 3500) + "\r\n", `["X-Meta-L="] "" A|b: c`},
	} {
		for _, pieces := range []int{len(tc.request), 7} {
			for rest := tc.request; rest != ""; {
				n := min(pieces, len(rest))
				if _, err := io.WriteString(conn, rest[:n]); err != nil {
					t.Fatalf("%s: %v", tc.name, err)
				}
				rest = rest[n:]
			}
			head, body := readAnswer(t, answers)
			if !strings.Contains(head, "\r\n"+tc.head) || body != tc.body {
				t.Errorf("%s, %d bytes at a time: got %.200q %.200q, want %.200q %.200q", tc.name, pieces, head, body, tc.head, tc.body)
			}
		}
	}
}

// readAnswer reads an answer as it is on the wire, after interim ones.
func readAnswer(t *testing.T, r *bufio.Reader) (head, body string) {
	t.Helper()
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %q: %v", head, err)
		}
		head += line
		fmt.Sscanf(line, "Content-Length: %d", &length)
		switch {
		case line != "\r\n":
		case strings.HasPrefix(head, "HTTP/1.1 100"):
			head = ""
		default:
			b := make([]byte, length)
			if _, err := io.ReadFull(r, b); err != nil {
				t.Fatal(err)
			}
			return head, string(b)
		}
	}
}

// A server that has read more than it asked for does not know where a head begins: then names stay what they are to
// net/http, and above all bodies stay as they are.
func TestRequestsSentAheadKeepTheirBodies(t *testing.T) {
	const lines = "\r\n\r\nA=b: c\r\nD=e: f\r\n\r\n"
	ready := make(chan struct{})
	conn := dialServer(t, Defaults(), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
		if r.URL.Path == "/first" {
			<-ready
		}
	})
	second := fmt.Sprintf("PUT /second HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(lines), lines)
	answers := bufio.NewReader(conn)
	for cut := range len(second) {
		io.WriteString(conn, "GET /first HTTP/1.1\r\nHost: h\r\n\r\n"+second[:cut])
		ready <- struct{}{}
		readAnswer(t, answers)
		io.WriteString(conn, second[cut:])
		if _, body := readAnswer(t, answers); body != lines {
			t.Fatalf("cut at %d: the body %q has become %q", cut, lines, body)
		}
	}
}

// Files still go from the page cache to the socket, and what is no file comes whole.
func TestNamedConnectionsSendFiles(t *testing.T) {
	data := bytes.Repeat([]byte("A|b: c=d\r\n\r\n"), 100000)
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	conn := dialServer(t, Defaults(), func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X=y"] = []string{"z"}
		headname.Send(r, w.Header())
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if r.URL.Path == "/reader" {
			io.Copy(w, iotest.HalfReader(bytes.NewReader(data)))
			return
		}
		f, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		io.Copy(w, f)
	})
	answers := bufio.NewReader(conn)
	for _, p := range []string{"/file", "/reader"} {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", p)
		if head, body := readAnswer(t, answers); !strings.Contains(head, "\r\nX=y: z\r\n") || body != string(data) {
			t.Errorf("%s: head %q, %d bytes, equal: %v", p, head, len(body), body == string(data))
		}
	}
}
