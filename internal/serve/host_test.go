package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/constraint"
)

func TestHostsOfAnyBytes(t *testing.T) {
	for name, c := range configs() {
		conn := dialServer(t, c, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			answer := fmt.Sprintf("%q %q", r.Host, body)
			w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
			io.WriteString(w, answer)
		})
		answers := bufio.NewReader(conn)
		for _, tc := range []struct{ name, request, want string }{
			{"plain", "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", `"a.example.com" ""`},
			{"bytes that are not ASCII", "GET / HTTP/1.1\r\nhost: c\xc3\xa9.example.com:80\r\nX-A: b\r\n\r\n", `"cé.example.com:80" ""`},
			{"lines without CR", "GET / HTTP/1.1\nHOST:\xc3\xa9\nX-A: b\n\n", `"é" ""`},
			{"a body that looks like a head", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nx\r\nHost: \xc3\xa9\r\n\r\nmore..", `"a" "x\r\nHost: é\r\n\r\nmore.."`},
			{"such a body without CR", "PUT / HTTP/1.1\nHost: a\nContent-Length: 12\n\nx\nHost: \xc3\xa9\n\n", `"a" "x\nHost: é\n\n"`},
			{"both", "PUT / HTTP/1.1\r\nHost: \xc3\xa9\r\nContent-Length: 2\r\n\r\n\xc3\xa9", `"é" "é"`},
			{"a long one", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("\xc3\xa9", 3000) + "\r\n\r\n", `"` + strings.Repeat("é", 3000) + `" ""`},
			{"other headers keep theirs", "GET / HTTP/1.1\r\nX-A: \xc3\xa9\r\nHost: a\r\n\r\n", `"a" ""`},
			{"what the client has escaped stays", "GET / HTTP/1.1\r\nHost: a%41%C3%A9%zz%\r\n\r\n", `"a%41%C3%A9%zz%" ""`},
			{"an absolute URL counts instead", "GET http://b/ HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", `"b" ""`},
			{"an absolute URL that looks like it", "GET http://!!/ HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", `"!!" ""`},
		} {
			if _, err := io.WriteString(conn, tc.request); err != nil {
				t.Fatalf("%s, %s: %v", name, tc.name, err)
			}
			if head, body := readAnswer(t, answers); !strings.HasPrefix(head, "HTTP/1.1 200") || body != tc.want {
				t.Errorf("%s, %s: got %.100q %.100s, want %.100s", name, tc.name, head, body, tc.want)
			}
		}
	}
}

// piecemeal is a connection whose client's bytes are read in given pieces. It ends when they have been.
type piecemeal struct {
	net.Conn
	pieces []string
	sent   bytes.Buffer
}

func (c *piecemeal) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; c.pieces[0] == "" {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

func (c *piecemeal) Write(p []byte) (int, error)         { return c.sent.Write(p) }
func (c *piecemeal) ReadFrom(r io.Reader) (int64, error) { return c.sent.ReadFrom(r) }
func (c *piecemeal) CloseWrite() error                   { return nil }
func (c *piecemeal) Close() error                        { return nil }
func (c *piecemeal) LocalAddr() net.Addr                 { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
func (c *piecemeal) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1234}
}
func (c *piecemeal) SetDeadline(time.Time) error      { return nil }
func (c *piecemeal) SetReadDeadline(time.Time) error  { return nil }
func (c *piecemeal) SetWriteDeadline(time.Time) error { return nil }

// once is a listener with one connection.
type once struct{ conns chan net.Conn }

func (l once) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l once) Close() error   { return nil }
func (l once) Addr() net.Addr { return &net.TCPAddr{} }

// served is what a proxy's handlers see of requests that arrive in pieces on one connection.
func served(t *testing.T, pieces ...string) (seen []string) {
	t.Helper()
	c := configs()["proxy"]
	closed := make(chan struct{})
	s := c.Server(Bound(constraint.Default(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		names := ""
		for _, k := range slices.Sorted(maps.Keys(r.Header)) {
			if strings.HasPrefix(k, "X-") {
				names += k
			}
		}
		seen = append(seen, fmt.Sprintf("%s %s %q%s %q", r.Method, r.URL, r.Host, names, body))
	})), slog.New(slog.DiscardHandler))
	state := s.ConnState
	s.ConnState = func(c net.Conn, to http.ConnState) {
		state(c, to)
		if to == http.StateClosed {
			close(closed)
		}
	}
	one := make(chan net.Conn, 1)
	one <- &piecemeal{pieces: pieces}
	l, err := c.Wrap(once{one})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	<-closed
	close(one)
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	return seen
}

// What a body looks like is nobody's business: however requests arrive, nothing behind a head is changed or taken for another
// request.
func TestBodiesAreNoHeads(t *testing.T) {
	const inner = "\r\nGET / HTTP/1.1\r\nHost: x \xc3\xa9y\r\nHost: \xc3\xa9\r\nX-A=b: c\r\n\r\n\nPUT / HTTP/1.1\nHost: \xc3\xa9\nX-A=b: c\n\n"
	body := fmt.Sprintf("%q", inner)
	chunks := fmt.Sprintf("%x\r\n%s\r\n%x;e=f\r\n%s\r\n0\r\n\r\n", len(inner[:40]), inner[:40], len(inner[40:]), inner[40:])
	for _, tc := range []struct {
		name, message string
		want          []string
	}{
		{"with a length",
			fmt.Sprintf("PUT /1 HTTP/1.1\r\nHost: \xc3\xa9\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner), []string{`PUT /1 "é" ` + body}},
		{"in chunks", "PUT /1 HTTP/1.1\r\nHost: \xc3\xa9\r\nX-=: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, []string{`PUT /1 "é"X-= ` + body}},
		{"without CR", fmt.Sprintf("PUT /1 HTTP/1.1\nHost: \xc3\xa9\nContent-Length: %d\n\n%s", len(inner), inner), []string{`PUT /1 "é" ` + body}},
		{"behind another", fmt.Sprintf("GET /1 HTTP/1.1\r\nHost: \xc3\xa9\r\nX-|: 1\r\nX-=: 2\r\n\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nX-|: 3\r\nContent-Length: %d\r\n\r\n%s", len(inner), inner),
			[]string{`GET /1 "é"X-=X-| ""`, `PUT /2 "h"X-| ` + body}},
		{"behind another with a body", "POST /1 HTTP/1.1\r\nHost: \xc3\xa9\r\nContent-Length: 3\r\n\r\nabc\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
			fmt.Sprintf("PUT /3 HTTP/1.1\nHost: h\nContent-Length: %d\n\n%s", len(inner), inner),
			[]string{`POST /1 "é" "abc"`, `PUT /2 "h" ` + body, `PUT /3 "h" ` + body}},
	} {
		for cut := range len(tc.message) + 1 {
			for _, pieces := range [][]string{
				{tc.message[:cut], tc.message[cut:]},
				// The last byte of the first piece alone is what net/http reads while a handler is busy.
				{tc.message[:max(cut-1, 0)], tc.message[max(cut-1, 0):cut], tc.message[cut:]},
			} {
				got := served(t, slices.DeleteFunc(pieces, func(p string) bool { return p == "" })...)
				if !slices.Equal(got, tc.want) {
					t.Fatalf("%s, cut at %d: got\n%s\nwant\n%s", tc.name, cut, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
				}
			}
		}
		if got := served(t, strings.Split(tc.message, "")...); !slices.Equal(got, tc.want) {
			t.Errorf("%s, byte by byte: got\n%s\nwant\n%s", tc.name, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
		}
	}
}
