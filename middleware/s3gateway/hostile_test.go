package s3gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/sigv4"
)

// A wire is a store that notes the heads of requests as they come over the wire, and answers each with 200 when it has its body.
type wire struct {
	address string

	mu    sync.Mutex // guards what follows
	heads []string
	open  int // connections
}

func newWire(t *testing.T, body int) *wire {
	t.Helper()
	s := new(wire)
	s.address = raw(t, func(c net.Conn) {
		s.count(1)
		defer s.count(-1)
		// A read that has ended is all that tells of a gateway that has gone.
		in := bufio.NewReader(c)
		for {
			text, err := readHead(in)
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(text), in)))
			if err != nil {
				return
			}
			s.mu.Lock()
			s.heads = append(s.heads, text)
			s.mu.Unlock()
			if r.Header.Get("Expect") != "" {
				io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			}
			if _, err := io.CopyN(io.Discard, in, max(r.ContentLength, 0)); err != nil {
				return
			}
			if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", body); err != nil {
				return
			}
			if _, err := io.CopyN(c, zeros{}, int64(body)); err != nil {
				return
			}
		}
	})
	return s
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// readHead reads a head to its empty line.
func readHead(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

func (s *wire) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
}

// seen returns the heads so far.
func (s *wire) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.heads
	s.heads = nil
	return seen
}

// idle waits until the store has no more than so many connections.
func (s *wire) idle(t *testing.T, most int) {
	t.Helper()
	for range 1000 {
		s.mu.Lock()
		open := s.open
		s.mu.Unlock()
		if open <= most {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a connection to the store is held on")
}

// A front is a gateway with the listener and the server of `apus gateway`.
type front struct {
	*gateway
	address string
}

const shortly = time.Second

func newFront(t *testing.T, s *wire, more ...string) *front {
	t.Helper()
	tables := append([]string{"[filter.s3gateway]\nclient_timeout = 1\n[filter.s3gateway.upstream.wire]\nendpoint = 'http://" + s.address +
		"'\naccess_key = 'k'\nsecret = 'the secret of the store'\nhealth_path = ''\npayload = 'unsigned'\n", clients,
		"[[filter.s3gateway.route]]\nbucket = '*'\nupstreams = ['wire']\n"}, more...)
	g := newGateway(t, tables...)
	file, err := config.Parse("s3-gateway.toml", []byte(whole(tables...)))
	if err != nil {
		t.Fatal(err)
	}
	setup, err := assembly.ReadFile(file, assembly.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	setup.Server.ClientTimeout = config.Duration{Duration: shortly}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := setup.Server.Wrap(l)
	if err != nil {
		t.Fatal(err)
	}
	server := setup.Server.Server(g.server, slog.New(slog.DiscardHandler))
	go server.Serve(wrapped) // until it is closed
	t.Cleanup(func() { server.Close() })
	return &front{g, l.Addr().String()}
}

// dial connects; nothing takes longer than patience.
func (f *front) dial() net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		f.t.Fatal(err)
	}
	return c
}

// head is the head of a request that alice has signed, without its empty line. Headers are pairs and are signed.
func (f *front) head(method, target string, length int, headers ...string) string {
	f.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	r := &http.Request{Method: method, Host: f.address, Header: make(http.Header), URL: &url.URL{Scheme: "http", Host: f.address, RawQuery: query}}
	var err error
	if r.URL.Path, err = url.PathUnescape(path); err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if _, err := sigv4.NewSigner(alice, secrets[alice], "", "us-east-1").Sign(r, sigv4.UnsignedPayload, time.Now()); err != nil {
		f.t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, r.URL.RequestURI(), f.address)
	if length >= 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	if err := r.Header.Write(&b); err != nil {
		f.t.Fatal(err)
	}
	return b.String()
}

// answers reads all answers of a connection, and their statuses.
func answers(c net.Conn) (statuses []int, err error) {
	in := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return statuses, err
		}
		if resp.StatusCode >= 200 {
			statuses = append(statuses, resp.StatusCode)
		}
	}
}

// TestSlowClients has clients that stop sending, or taking, at each place. Each is given up within client_timeout or so, and
// with it the connection to the store.
func TestSlowClients(t *testing.T) {
	s := newWire(t, 64<<20)
	f := newFront(t, s)
	bad := strings.Replace(f.head("PUT", "/photos/x", 1000), "Signature=", "Signature=0", 1)
	for _, test := range []struct {
		name, sends string
		status      int // of the answer, 0 for none but an error of the server's own
		store       bool
	}{
		{"nothing", "", 0, false},
		{"half a head", f.head("GET", "/photos/x", -1), 0, false},
		{"half a line", "GET /pho", 0, false},
		{"no body", f.head("PUT", "/photos/x", 1000) + "\r\n", 400, true},
		{"half a body", f.head("PUT", "/photos/x", 1000) + "\r\n" + strings.Repeat("x", 500), 400, true},
		{"half of a body that is announced", f.head("PUT", "/photos/x", 2<<20) + "Expect: 100-continue\r\n\r\n" + strings.Repeat("x", 500), 400, true},
		{"no body of a request that is refused", bad + "\r\n", 403, false},
		{"half a body in chunks", f.head("PUT", "/photos/x", -1, "X-Amz-Decoded-Content-Length", "9") + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", 411, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := f.dial()
			if _, err := io.WriteString(c, test.sends); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			statuses, err := answers(c)
			if took := time.Since(began); took > 20*shortly {
				t.Errorf("it took %v", took)
			}
			if test.status == 0 && len(statuses) > 0 && statuses[0] != 400 && statuses[0] != 408 || test.status != 0 && (len(statuses) != 1 || statuses[0] != test.status) {
				t.Errorf("answered %v, %v; want %d", statuses, err, test.status)
			}
			f.settle()
			s.idle(t, 1) // one may wait for the next request
			if seen := s.seen(); len(seen) > 0 && !test.store {
				t.Errorf("the store got %q", seen)
			}
		})
	}
	t.Run("an answer that is not taken", func(t *testing.T) {
		c := f.dial()
		if _, err := io.WriteString(c, f.head("GET", "/photos/x", -1)+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		f.settle()
		s.idle(t, 0)
	})
}

// TestIdleClients has a thousand clients stay connected: others are served, and they are let go.
func TestIdleClients(t *testing.T) {
	f := newFront(t, newWire(t, 10))
	all := make([]net.Conn, 1000)
	for i := range all {
		all[i] = f.dial()
		if i%2 == 0 {
			continue // it never says anything
		}
		if _, err := io.WriteString(all[i], f.head("GET", "/photos/x", -1)+"\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(all[i], 1<<10), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("client %d: %v, %v", i, resp, err)
		}
	}
	for _, c := range all {
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("an idle connection is not closed: %v", err)
		}
	}
}

// TestDesync sends requests that servers could take for other requests than the gateway does, each with one behind it.
// The store gets none but those that were meant, each in one way alone.
func TestDesync(t *testing.T) {
	s := newWire(t, 10)
	f := newFront(t, s)
	hidden := f.head("DELETE", "/photos/hidden", -1) + "\r\n"
	put := func(length int, headers ...string) string { return f.head("PUT", "/photos/x", length, headers...) }
	get := f.head("GET", "/photos/x", -1)
	bad := func(head string) string { return strings.Replace(head, "Signature=", "Signature=0", 1) }
	long := strings.Repeat("y", 300<<10) + hidden
	for _, test := range []struct {
		name, sends string
		passes      bool // the store may get the request that comes first
	}{
		{"a length and chunks", put(5) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		{"a length and chunks, with a request in it", put(len(hidden)) + "Transfer-Encoding: chunked\r\n\r\n" + hidden, false},
		{"two lengths", put(5) + "Content-Length: 0\r\n\r\nhello", false},
		{"the same length twice", put(5) + "Content-Length: 5\r\n\r\nhello", true},
		{"a list of lengths", put(-1) + "Content-Length: 5, 5\r\n\r\nhello", true},
		{"a length with a sign", put(-1) + "Content-Length: +5\r\n\r\nhello", false},
		{"a length in hexadecimal", put(-1) + "Content-Length: 0x5\r\n\r\nhello", false},
		{"a negative length", put(-1) + "Content-Length: -5\r\n\r\nhello", false},
		{"a blank before the colon", put(-1) + "Content-Length : 5\r\n\r\nhello", false},
		{"an unknown coding", put(5) + "Transfer-Encoding: xchunked\r\n\r\nhello", false},
		{"two codings", put(5) + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", false},
		{"a coding with a control character", put(5) + "Transfer-Encoding: \x0bchunked\r\n\r\nhello", false},
		{"a coding with an underscore", put(5) + "Transfer_Encoding: chunked\r\n\r\nhello", true},
		{"a folded coding", put(5) + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", false},
		{"a folded header", get + "X-Folded: a\r\n DELETE /photos/hidden HTTP/1.1\r\n\r\n", true},
		{"a folded header with a header in it", get + "X-Folded: a\r\n\tX-Evil: b\r\n\r\n", true},
		{"lines that end with a line feed", strings.ReplaceAll(get, "\r\n", "\n") + "\n", true},
		{"a carriage return in a header", get + "X-Split: a\rX-Evil: b\r\n\r\n", false},
		{"a NUL in a header", get + "X-Nul: a\x00b\r\n\r\n", false},
		{"a header without a name", get + ": X-Evil\r\n\r\n", false},
		{"a line without a colon", get + "X-Evil\r\n\r\n", false},
		{"an unsigned header of S3", get + "X-Amz-Acl: public-read\r\n\r\n", false},
		{"an unsigned header of S3 with an underscore", get + "X_Amz_Acl: public-read\r\n\r\n", false},
		{"a connection's header of S3", f.head("PUT", "/photos/x", 5, "X-Amz-Acl", "private") + "Connection: x-amz-acl, keep-alive\r\n\r\nhello", true},
		{"a connection's signature", get + "Connection: authorization, x-amz-date, x-amz-content-sha256, host\r\n\r\n", true},
		{"a connection's length", put(5) + "Connection: content-length\r\n\r\nhello", true},
		{"an upgrade", get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", true},
		{"another method in a header", get + "X-HTTP-Method-Override: DELETE\r\n\r\n", true},
		{"another path in a header", get + "X-Original-URL: /photos/hidden\r\nX-Rewrite-URL: /photos/hidden\r\n\r\n", true},
		{"another host in the request line", strings.Replace(get, "GET /", "GET http://hidden.example.com/", 1) + "\r\n", false},
		{"two hosts", get + "Host: hidden.example.com\r\n\r\n", false},
		{"a protocol too much", strings.Replace(get, " HTTP/1.1", " HTTP/1.1 HTTP/1.1", 1) + "\r\n", false},
		// Version 1.0 knows no chunks: these are five bytes, and the connection ends with them.
		{"an older protocol, with chunks", strings.Replace(put(5), " HTTP/1.1", " HTTP/1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"a line's end in the key", f.head("GET", "/photos/a%0d%0aX-Evil:%20b", -1) + "\r\n", true},
		{"a line's end in the query", f.head("GET", "/photos/a?versionId=%0d%0aX-Evil:%20b", -1) + "\r\n", true},
		{"a request as the body of a GET", f.head("GET", "/photos/x", len(hidden)) + "\r\n" + hidden, true},
		{"a request as the body", put(len(hidden)) + "\r\n" + hidden, true},
		{"a request as the body of one that is refused", bad(put(len(hidden))) + "\r\n" + hidden, false},
		{"a request at the end of a large body that is refused", bad(put(len(long))) + "\r\n" + long, false},
		{"a request as the body of a refused one that is announced", bad(put(len(hidden))) + "Expect: 100-continue\r\n\r\n" + hidden, false},
		{"a request as the body of a bad expectation", put(len(hidden)) + "Expect: 200-ok\r\n\r\n" + hidden, false},
		{"chunks with extensions", bad(put(-1)) + "Transfer-Encoding: chunked\r\n\r\n5;a=\"\r\n\r\n\"\r\nhello\r\n0\r\n\r\n", false},
		{"a chunk of an odd size", bad(put(-1)) + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", false},
		{"a trailer that is a header of S3", put(-1) + "Transfer-Encoding: chunked\r\nTrailer: X-Amz-Acl\r\n\r\n5\r\nhello\r\n0\r\nX-Amz-Acl: public-read\r\n\r\n", false},
		{"ten thousand headers", get + strings.Repeat("X-Evil: b\r\n", 10_000) + "\r\n", false},
		{"many names of headers", get + many(5000) + "\r\n", false},
		{"a head of two megabytes", get + "X-Large: " + strings.Repeat("X-Evil: b", 250_000) + "\r\n\r\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := f.dial()
			go io.WriteString(c, test.sends+f.head("GET", "/photos/last", -1)+"Connection: close\r\n\r\n") // it may be closed before it has all
			statuses, err := answers(c)
			if err == nil || len(statuses) > 3 {
				t.Errorf("answered %v, %v", statuses, err)
			}
			if !test.passes && len(statuses) > 0 && statuses[0] < 400 {
				t.Errorf("answered %v", statuses)
			}
			f.settle()
			checkHeads(t, s.seen(), test.passes)
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-Evil-%d: b\r\n", i)
	}
	return b.String()
}

// checkHeads looks at what has reached the store: the request that was meant, if it passes, and the one behind it.
func checkHeads(t *testing.T, heads []string, passes bool) {
	t.Helper()
	for i, head := range heads {
		lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
		last := lines[0] == "GET /photos/last HTTP/1.1"
		first := strings.HasPrefix(lines[0], "GET /photos/x ") || strings.HasPrefix(lines[0], "PUT /photos/x ") || strings.HasPrefix(lines[0], "GET /photos/a")
		if !last && (!first || !passes || i > 0) {
			t.Errorf("the store got %q", lines[0])
		}
		count := make(map[string]int)
		for _, line := range lines[1:] {
			name, value, ok := strings.Cut(line, ": ")
			count[strings.ToLower(name)]++
			if !ok || name == "" || strings.ContainsAny(name, " \t_") || strings.HasPrefix(strings.ToLower(name), "x-evil") || strings.ContainsAny(value, "\r\n\x00") {
				t.Errorf("the store got the line %q", line)
			}
			if strings.EqualFold(name, "X-Amz-Acl") && value != "private" || strings.EqualFold(name, "Host") && strings.Contains(value, "hidden") {
				t.Errorf("the store got the line %q", line)
			}
		}
		if count["content-length"] > 1 || count["transfer-encoding"] > 0 || count["upgrade"] > 0 || count["x-http-method-override"] > 0 ||
			count["x-original-url"] > 0 || count["trailer"] > 0 || count["host"] != 1 || count["authorization"] != 1 || count["x-amz-date"] != 1 {
			t.Errorf("the store got %q", head)
		}
	}
}
