package nodes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A script is a node that answers each connection's requests with the next of its texts, whatever is asked. An empty text
// closes the connection.
type script struct {
	net.Listener
	accepted atomic.Int32
	over     sync.WaitGroup
}

func play(t *testing.T, answers ...string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{Listener: l}
	next := make(chan string, len(answers))
	for _, a := range answers {
		next <- a
	}
	s.over.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.over.Go(func() { defer c.Close(); converse(c, next) })
		}
	})
	t.Cleanup(func() { l.Close(); s.over.Wait() })
	return s
}

func converse(c net.Conn, next <-chan string) {
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Header.Get("Expect") == "" {
			io.Copy(io.Discard, req.Body)
		}
		select {
		case text := <-next:
			if text == "" {
				return
			}
			io.WriteString(c, text)
		default:
			return
		}
	}
}

func ask(t *testing.T, ctx context.Context, method string, s net.Listener) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.Addr().String()+"/sdb1/1/a/c/o", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func transport(t *testing.T) *TCP {
	tr := NewTCP(TCPOptions{})
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestConnectionsAreUsedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer string
		conns  int32
	}{
		{"a body of known length", ok, 1},
		{"a body in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", 1},
		{"a node that wants no more", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 3},
		{"more than was announced", ok + "?", 3},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3},
	} {
		s := play(t, c.answer, c.answer, c.answer)
		tr := transport(t)
		for range 3 {
			resp, err := tr.RoundTrip(ask(t, t.Context(), "GET", s))
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if got := s.accepted.Load(); got != c.conns {
			t.Errorf("%s: %d connections, want %d", c.name, got, c.conns)
		}
	}
}

func TestAConnectionThatTheNodeHasClosedIsNotUsed(t *testing.T) {
	s := play(t, ok, "", ok)
	tr := transport(t)
	first, err := tr.RoundTrip(ask(t, t.Context(), "GET", s))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, first.Body)
	// The second request is on its way when the connection ends: a read is sent again, a write is not.
	resp, err := tr.RoundTrip(ask(t, t.Context(), "GET", s))
	if err != nil {
		t.Fatalf("GET on a connection that ended: %v", err)
	}
	io.Copy(io.Discard, resp.Body)

	s = play(t, ok, "", ok)
	resp, err = tr.RoundTrip(ask(t, t.Context(), "GET", s))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	if resp, err := tr.RoundTrip(ask(t, t.Context(), "DELETE", s)); err == nil {
		resp.Body.Close()
		t.Error("DELETE was sent a second time without anybody knowing what became of the first")
	}

	// One that ended while it was idle is noticed beforehand, and so good for writes too.
	var conns []net.Conn
	var mu sync.Mutex
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	srv.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if mu.Lock(); state == http.StateNew {
			conns = append(conns, c)
		}
		mu.Unlock()
	}
	srv.Start()
	defer srv.Close()
	for i := range 3 {
		resp, err := tr.RoundTrip(ask(t, t.Context(), "DELETE", srv.Listener))
		if err != nil {
			t.Fatalf("DELETE %d: %v", i, err)
		}
		io.Copy(io.Discard, resp.Body)
		mu.Lock()
		for _, c := range conns {
			c.(*net.TCPConn).CloseWrite()
		}
		mu.Unlock()
	}
}

func TestNobodyWritesBetweenTheLinesOfAHead(t *testing.T) {
	s := play(t, ok)
	tr := transport(t)
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("X-Object-Meta-A", "b\r\nX-Timestamp: 1") },
		func(r *http.Request) { r.Header["X-A\r\nX-Timestamp"] = []string{"1"} },
		func(r *http.Request) { r.Header[""] = []string{"1"} },
		func(r *http.Request) { r.Header["X: A"] = []string{"1"} },
		func(r *http.Request) { r.Host = "a\r\nX-Timestamp: 1" },
		func(r *http.Request) { r.Method = "GET /x" },
		func(r *http.Request) { r.URL.RawQuery = "a=b HTTP/1.1\r\nX-Timestamp: 1" },
		func(r *http.Request) { r.Header.Set("X-Object-Meta-A", "nul\x00") },
	} {
		r := ask(t, t.Context(), "GET", s)
		change(r)
		if resp, err := tr.RoundTrip(r); err == nil {
			resp.Body.Close()
			t.Errorf("sent: %s %s %q", r.Method, r.URL, r.Header)
		}
	}
}

func TestHeadsOfAnswersAreBounded(t *testing.T) {
	for name, head := range map[string]string{
		"one long line":  "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20),
		"many lines":     "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 300000),
		"no end of 100s": strings.Repeat("HTTP/1.1 102 Processing\r\nX-A: "+strings.Repeat("a", 1000)+"\r\n\r\n", 10) + "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20),
		"not HTTP":       "SSH-2.0-OpenSSH\r\n\r\n",
	} {
		s := play(t, head+"\r\nContent-Length: 0\r\n\r\n")
		if resp, err := transport(t).RoundTrip(ask(t, t.Context(), "GET", s)); err == nil {
			resp.Body.Close()
			t.Errorf("%s: taken", name)
		}
	}
}

func TestARequestEndsWithItsContext(t *testing.T) {
	block := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("body") != "" {
			w.Header().Set("Content-Length", "1000000")
			io.WriteString(w, "begin")
			http.NewResponseController(w).Flush()
		}
		<-block
	}))
	defer s.Close()
	defer close(block)
	tr := transport(t)
	cause := errors.New("out of patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	if _, err := tr.RoundTrip(ask(t, ctx, "GET", s.Listener)); !errors.Is(err, cause) {
		t.Errorf("waiting for the head: %v, want the cause", err)
	}

	for name, read := range map[string]func(*http.Response) error{
		"read": func(r *http.Response) error { _, err := io.Copy(io.Discard, struct{ io.Reader }{r.Body}); return err },
		"copy": func(r *http.Response) error { _, err := r.Body.(Copier).CopyTo(io.Discard, time.Minute); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		r := ask(t, ctx, "GET", s.Listener)
		r.URL.RawQuery = "body=1"
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := read(resp); err == nil {
			t.Errorf("%s: a body that was cancelled ended well", name)
		}
		resp.Body.Close()
		cancel()
	}
}

func TestCopyTellsWhoFailed(t *testing.T) {
	const size = 4 << 20
	block := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(make([]byte, size/2))
		http.NewResponseController(w).Flush()
		if r.URL.Query().Get("stall") != "" {
			<-block
		}
	}))
	defer s.Close()
	defer close(block)
	get := func(query string) Copier {
		r := ask(t, t.Context(), "GET", s.Listener)
		r.URL.RawQuery = query
		resp, err := transport(t).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp.Body.(Copier)
	}
	n, err := get("").CopyTo(io.Discard, time.Minute)
	if n != size/2 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a node that breaks off: %d bytes, %v", n, err)
	}
	n, err = get("stall=1").CopyTo(io.Discard, 300*time.Millisecond)
	if n > size/2 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a node that stalls: %d bytes, %v", n, err)
	}
	_, err = get("").CopyTo(brokenWriter{}, time.Minute)
	if d := (*DestinationError)(nil); !errors.As(err, &d) || d.Err != errBroken {
		t.Errorf("a client that has gone: %v", err)
	}
}

// TestPatienceEndsWithTheBody has a write use a connection on which a body has been read that was there at once.
func TestPatienceEndsWithTheBody(t *testing.T) {
	s := play(t, ok, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	tr := transport(t)
	resp, err := tr.RoundTrip(ask(t, t.Context(), "GET", s))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := resp.Body.(Copier).CopyTo(io.Discard, time.Nanosecond); n != 2 || err != nil {
		t.Fatalf("copy a body that is there: got %d bytes, %v, want 2", n, err)
	}
	resp, err = tr.RoundTrip(ask(t, t.Context(), "PUT", s))
	if err != nil {
		t.Fatalf("PUT on the same connection: %v", err)
	}
	resp.Body.Close()
	if got := s.accepted.Load(); got != 1 || resp.StatusCode != http.StatusCreated {
		t.Errorf("PUT: status %d on connection %d, want 201 on the first", resp.StatusCode, got)
	}
}

var errBroken = errors.New("client has gone")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestBodiesGoFromSocketToSocket checks every byte of what the kernel has moved, behind a part that had been read already.
func TestBodiesGoFromSocketToSocket(t *testing.T) {
	data := make([]byte, 3<<20+17)
	for i := range data {
		data[i] = byte(i>>12 ^ i)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		w.Write(data)
	}))
	defer s.Close()
	tr := transport(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := tr.RoundTrip(ask(t, r.Context(), "GET", s.Listener))
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		if n, err := resp.Body.(Copier).CopyTo(w, time.Minute); n != int64(len(data)) || err != nil {
			t.Errorf("copied %d bytes, %v", n, err)
		}
	}))
	defer proxy.Close()
	for range 3 {
		resp, err := proxy.Client().Get(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, equal: %v, %v", len(got), bytes.Equal(got, data), err)
		}
	}
}

// endless is a body that blocks once its first bytes have been read, until it is closed.
type endless struct {
	first  []byte
	closed chan struct{}
	once   sync.Once
}

func (b *endless) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	<-b.closed
	return 0, errors.New("closed")
}

func (b *endless) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func TestANodeMayRefuseInTheMiddleOfABody(t *testing.T) {
	s := play(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 507 Insufficient Storage\r\nContent-Length: 4\r\n\r\nfull")
	body := &endless{first: make([]byte, 1000), closed: make(chan struct{})}
	r := ask(t, t.Context(), "PUT", s)
	r.Body, r.ContentLength = body, 1<<20
	r.Header.Set("Expect", "100-continue")
	resp, err := transport(t).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 507 || string(text) != "full" || err != nil {
		t.Errorf("got %d %q, %v", resp.StatusCode, text, err)
	}
	select {
	case <-body.closed:
	default:
		t.Error("the body was not closed")
	}
}

func TestTracesSeeConnectionAndContinue(t *testing.T) {
	s := play(t, "HTTP/1.1 100 Continue\r\nX-Obj-Metadata-Footer: yes\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
	refused := errors.New("refused")
	for _, want := range []error{nil, refused} {
		var footer string
		conns := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { conns++ },
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				footer = fmt.Sprint(code, h.Get("X-Obj-Metadata-Footer"))
				return want
			},
		})
		if want != nil {
			s = play(t, "HTTP/1.1 100 Continue\r\nX-Obj-Metadata-Footer: yes\r\n\r\n")
		}
		r := ask(t, ctx, "PUT", s)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("data")), 4
		r.Header.Set("Expect", "100-continue")
		resp, err := transport(t).RoundTrip(r)
		if err == nil {
			resp.Body.Close()
		}
		if footer != "100yes" || conns != 1 || !errors.Is(err, want) {
			t.Errorf("saw %q and %d connections, %v; want 100yes, 1, %v", footer, conns, err, want)
		}
	}
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	defer s.Close()
	tr := NewTCP(TCPOptions{IdlePerNode: 2})
	var bodies []io.ReadCloser
	for range 5 {
		resp, err := tr.RoundTrip(ask(t, t.Context(), "GET", s.Listener))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, resp.Body)
	}
	for _, b := range bodies {
		io.Copy(io.Discard, b)
		b.Close()
	}
	count := func() (n int) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		for _, list := range tr.idle {
			n += len(list)
		}
		return n
	}
	if got := count(); got != 2 {
		t.Errorf("%d idle connections, want 2", got)
	}
	tr.CloseIdleConnections()
	if got := count(); got != 0 || tr.reaper != nil {
		t.Errorf("%d idle connections after they were closed", got)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	data := make([]byte, 4096)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Length"] = []string{"4096"}
		w.Write(data)
	}))
	defer s.Close()
	for name, rt := range map[string]http.RoundTripper{"ours": NewTCP(TCPOptions{}), "net-http": &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, _ := http.NewRequest("GET", s.URL+"/sdb1/1/a/c/o", nil)
				resp, err := rt.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

// TestABodyThatWasClosedHasNoEnd: who reads on must not take what broke off for whole.
func TestABodyThatWasClosedHasNoEnd(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"HTTP/1.0 200 OK\r\n\r\nhalf",
	} {
		resp, err := transport(t).RoundTrip(ask(t, t.Context(), "GET", play(t, answer)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
			t.Errorf("%q: got %d, %v after it was closed", answer, n, err)
		}
	}
}

func TestAHostNeedNotHaveAPort(t *testing.T) {
	for host, want := range map[string]string{
		"store.example.net": "store.example.net:80", "store.example.net:8080": "store.example.net:8080",
		"192.0.2.1": "192.0.2.1:80", "[2001:db8::1]": "[2001:db8::1]:80", "[2001:db8::1]:8080": "[2001:db8::1]:8080",
	} {
		if got := address(host); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
}

func TestUnusedConnectionsAreNotKeptForLong(t *testing.T) {
	s := play(t, ok, ok)
	tr := NewTCP(TCPOptions{IdleTimeout: time.Nanosecond})
	t.Cleanup(tr.CloseIdleConnections)
	for range 2 {
		resp, err := tr.RoundTrip(ask(t, t.Context(), "GET", s))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if got := s.accepted.Load(); got != 2 {
		t.Errorf("%d connections, want 2", got)
	}
}
