package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

func ms(n int) config.Duration {
	return config.Duration{Duration: time.Duration(n) * time.Millisecond}
}

// hold keeps a connection open until the other side closes it.
func hold(conn net.Conn) { io.Copy(io.Discard, conn) }

// TestFaults asks stores that misbehave before their answer has begun.
func TestFaults(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told of the failure too
	secure.StartTLS()
	defer secure.Close()
	nobody := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "store.test", IsNotFound: true}}
	}
	never := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	for _, test := range []struct {
		name     string
		endpoint string
		answer   func(net.Conn)
		dial     func(context.Context, string, string) (net.Conn, error)
		kind     Kind
		sent     bool
	}{
		{name: "nobody listens", endpoint: "http://" + closed.Addr().String(), kind: Connect},
		{name: "no such host", dial: nobody, kind: Resolve},
		{name: "no connection in time", dial: never, kind: Timeout},
		{name: "an unknown authority", endpoint: secure.URL, kind: TLS},
		{name: "no TLS", endpoint: strings.Replace(raw(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); hold(c) }), "http:", "https:", 1), kind: TLS},
		{name: "closed in the TLS handshake", endpoint: strings.Replace(raw(t, func(c net.Conn) { c.Read(make([]byte, 1)) }), "http:", "https:", 1), kind: Broken},
		{name: "hanging in the TLS handshake", endpoint: strings.Replace(raw(t, hold), "http:", "https:", 1), kind: Timeout},
		{name: "closed without an answer", answer: func(c net.Conn) { readHead(c) }, kind: Broken, sent: true},
		{name: "closed within the head", answer: func(c net.Conn) { readHead(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le") }, kind: Broken, sent: true},
		{name: "no HTTP", answer: func(c net.Conn) { readHead(c); io.WriteString(c, "SSH-2.0-x\r\n\r\n") }, kind: Broken, sent: true},
		{name: "two lengths", answer: func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
		}, kind: Broken, sent: true},
		{name: "no answer", answer: func(c net.Conn) { hold(c) }, kind: Timeout, sent: true},
		{name: "an answer that drips", answer: func(c net.Conn) {
			readHead(c)
			for {
				if _, err := io.WriteString(c, "H"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, kind: Timeout, sent: true},
		{name: "a head that drips", answer: func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "A: b\r\n"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, kind: Timeout, sent: true},
		{name: "a head without end", answer: func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, strings.Repeat("A: b\r\n", 1000)); err != nil {
					return
				}
			}
		}, kind: Broken, sent: true},
	} {
		endpoint := test.endpoint
		if test.answer != nil {
			endpoint = raw(t, test.answer)
		} else if endpoint == "" {
			endpoint = "http://store.test"
		}
		c := base(endpoint)
		if test.kind == Timeout {
			c.ConnectTimeout, c.ResponseTimeout = ms(300), ms(300)
		} else {
			c.ConnectTimeout = config.Seconds(60)
		}
		u := open(t, c, Deps{Dial: test.dial})
		begin := time.Now()
		resp, err := u.Send(t.Context(), get("k"))
		if err == nil {
			resp.Body.Close()
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Kind != test.kind || e.Sent != test.sent || e.Started || e.Upstream != "store" {
			t.Errorf("%s: %v %+v, want %s, sent %t", test.name, err, e, test.kind, test.sent)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%s: took %v", test.name, took)
		}
	}
}

// TestBrokenAnswers asks stores that misbehave when their answer has begun: its body never ends cleanly.
func TestBrokenAnswers(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		hang         bool
		kind         Kind
		body         string
	}{
		{"shorter than said", "Content-Length: 10\r\n\r\nhello", false, Broken, "hello"},
		{"no byte of it", "Content-Length: 10\r\n\r\n", false, Broken, ""},
		{"hanging", "Content-Length: 10\r\n\r\nhello", true, Timeout, "hello"},
		{"no last chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false, Broken, "hello"},
		{"a bad chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", false, Broken, "hello"},
		{"hanging between chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, Timeout, "hello"},
	} {
		endpoint := raw(t, func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+test.answer)
			if test.hang {
				hold(c)
			}
		})
		c := base(endpoint)
		c.StallTimeout = ms(200)
		u := open(t, c, Deps{})
		resp, err := u.Send(t.Context(), get("k"))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Kind != test.kind || string(body) != test.body {
			t.Errorf("%s: %q, %v, want %s", test.name, body, err, test.kind)
		}
		if n, err := resp.Body.Read(make([]byte, 1)); n > 0 || err == nil || err == io.EOF {
			t.Errorf("%s: after the error %d, %v", test.name, n, err)
		}
		resp.Body.Close()
	}
}

// TestStalledUpload sends to a store that stops reading, and from a client that is slow, which is not the store's fault.
func TestStalledUpload(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	endpoint := raw(t, func(c net.Conn) {
		readHead(c)
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		<-over
	})
	c := base(endpoint)
	c.Payload, c.StallTimeout = payloadUnsigned, ms(200)
	u := open(t, c, Deps{})
	_, err := u.Send(t.Context(), Call{Method: "PUT", Bucket: "b", Key: "k", Body: repeat('x'), Length: 1 << 40})
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Timeout || !e.Started || !e.Sent {
		t.Errorf("got %v", err)
	}
	s, got := checking(t, false)
	c.Endpoint = s.URL
	u = open(t, c, Deps{})
	r, w := io.Pipe()
	go func() {
		for range 4 {
			io.WriteString(w, "x")
			time.Sleep(150 * time.Millisecond)
		}
		time.Sleep(400 * time.Millisecond)
		w.Close()
	}()
	send(t, u, Call{Method: "PUT", Bucket: "b", Key: "k", Body: r, Length: 4})
	if there := <-got; string(there.body) != "xxxx" {
		t.Errorf("the slow client's object is %q, %v", there.body, there.err)
	}
}

// TestClientGoesAway cancels a request before its answer, within it, and within the request's body: the work behind it stops.
func TestClientGoesAway(t *testing.T) {
	gone := make(chan struct{}, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bucket/within":
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
		case "/bucket/body":
			io.Copy(io.Discard, r.Body)
			gone <- struct{}{}
			return
		}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	defer s.Close()
	c := base(s.URL)
	c.Payload, c.BreakerFailures = payloadUnsigned, 1
	u := open(t, c, Deps{})
	canceled := func(err error) {
		t.Helper()
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Canceled {
			t.Errorf("got %v, want that it was canceled", err)
		}
		<-gone
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	time.AfterFunc(50*time.Millisecond, stop)
	_, err := u.Send(ctx, get("before"))
	canceled(err)

	ctx, stop = context.WithCancel(t.Context())
	resp, err := u.Send(ctx, get("within"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	stop()
	_, err = resp.Body.Read(make([]byte, 1))
	canceled(err)
	resp.Body.Close()

	ctx, stop = context.WithCancel(t.Context())
	body, w := io.Pipe()
	go func() { io.WriteString(w, "xxx"); stop() }()
	_, err = u.Send(ctx, Call{Method: "PUT", Bucket: "bucket", Key: "body", Body: body, Length: 10})
	w.Close()
	canceled(err)
	if !u.Healthy() {
		t.Error("clients that go away are taken for failures of the store")
	}
}

// TestConnectionsThatWereClosed has a store close connections after each answer without a word: what can be sent again is.
func TestConnectionsThatWereClosed(t *testing.T) {
	endpoint := raw(t, func(conn net.Conn) {
		b := bufio.NewReader(conn)
		r, err := http.ReadRequest(b)
		if err != nil {
			return
		}
		if r.Header.Get("Expect") != "" {
			io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	c := base(endpoint)
	c.Payload, c.ExpectAbove = payloadUnsigned, 1
	u := open(t, c, Deps{})
	g := NewGroup(route.Failover, []*Upstream{u})
	for i := range 50 {
		for _, call := range []Call{get("k"), put("k", "body"), {Method: "DELETE", Bucket: "bucket", Key: "k"}} {
			resp, _, err := g.Do(t.Context(), call)
			if err != nil {
				t.Fatalf("%d: %s: %v", i, call.Method, err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
}

// TestDeletionsSayThatTheyHaveNoBody has a store wait for a body that no length rules out.
func TestDeletionsSayThatTheyHaveNoBody(t *testing.T) {
	heads := make(chan string, 10)
	u := open(t, base(raw(t, func(conn net.Conn) {
		b := bufio.NewReader(conn)
		var head strings.Builder
		for line := ""; line != "\r\n"; head.WriteString(line) {
			var err error
			if line, err = b.ReadString('\n'); err != nil {
				return
			}
		}
		heads <- head.String()
		io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})), Deps{})
	for method, want := range map[string]bool{"DELETE": true, "PUT": true, "GET": false, "HEAD": false} {
		send(t, u, Call{Method: method, Bucket: "bucket", Key: "k", Query: "versionId=1"})
		if head := <-heads; strings.Contains(head, "\r\nContent-Length: 0\r\n") != want || strings.Contains(head, "Transfer-Encoding") {
			t.Errorf("the length of nothing is told: %v is wanted; got %q", want, head)
		}
	}
}

func TestMaxRequests(t *testing.T) {
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	c := base(s.URL)
	c.MaxRequests, c.ConnectTimeout = 2, ms(100)
	u := open(t, c, Deps{})
	var held []*http.Response
	for range 2 {
		resp, err := u.Send(t.Context(), get("k"))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, resp)
	}
	_, err := u.Send(t.Context(), get("k"))
	if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Refused || e.Sent {
		t.Errorf("a third: %v", err)
	}
	held[0].Body.Close()
	send(t, u, get("k"))
	io.Copy(io.Discard, held[1].Body) // to the end is enough
	held[1].Body.Close()
	for range 3 {
		send(t, u, get("k"))
	}
}

// TestStoreDiesWhileTheClientIsSilent cuts the store's connection while the client sends nothing: that is noticed at once.
func TestStoreDiesWhileTheClientIsSilent(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s := httptest.NewUnstartedServer(nil)
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.ReadFull(r.Body, make([]byte, 3))
			if h, ok := w.(http.Hijacker); ok { // a panic would read the rest of the body first
				if conn, _, err := h.Hijack(); err == nil {
					conn.Close()
				}
				return
			}
			panic(http.ErrAbortHandler)
		})
		s.EnableHTTP2 = h2
		s.StartTLS()
		defer s.Close()
		c := base(s.URL)
		c.Payload, c.CAFile, c.HTTP2 = payloadUnsigned, caFile(t, s), h2
		u := open(t, c, Deps{})
		body, w := io.Pipe()
		go io.WriteString(w, "xxx")
		_, err := u.Send(t.Context(), Call{Method: "PUT", Bucket: "b", Key: "k", Body: body, Length: 10})
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Broken || !e.Started {
			t.Errorf("h2 %t: %v", h2, err)
		}
		w.Close()
	}
}

// TestAnswersAreClosedWhileTheyAreRead is what becomes of the source of a copy that is refused: another goroutine still waits for it.
func TestAnswersAreClosedWhileTheyAreRead(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		gone := make(chan struct{})
		u := open(t, base(raw(t, func(conn net.Conn) {
			b := bufio.NewReader(conn)
			if _, err := http.ReadRequest(b); err != nil {
				return
			}
			io.WriteString(conn, head)
			io.Copy(io.Discard, b)
			close(gone)
		})), Deps{})
		resp, err := u.Send(t.Context(), get("k"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond) // it need not wait yet; then the test says less
		resp.Body.Close()
		if err := <-ended; err == nil || err == io.EOF {
			t.Errorf("%q: a read of a closed answer says %v", head, err)
		}
		<-gone
	}
}
