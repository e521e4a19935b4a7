package bulk

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// TestBodyIsReadWhileTheAnswerBegins needs a connection: net/http by itself throws a body away when an answer begins.
func TestBodyIsReadWhileTheAnswerBegins(t *testing.T) {
	noise := make([]byte, 1<<20) // more than net/http reads ahead
	rand.NewChaCha8([32]byte{}).Read(noise)
	archive := pack(t, entry{name: "c/a", body: "a"}, entry{name: "c/b", body: string(noise)}) + strings.Repeat("\x00", 10240)
	srv := httptest.NewServer(request.Begin(mt.Build(t, Filter, "yield_frequency = 0.01", reads{}), nil))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "PUT /v1/AUTH_t?extract-archive=tar HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(archive), archive[:1024])
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 1); func() bool { _, err := io.ReadFull(res.Body, b); return err != nil || b[0] != ' ' }() {
		t.Fatalf("the answer begins with %q", b)
	}
	if _, err := io.WriteString(conn, archive[1024:]); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(res.Body)
	if got := strings.TrimLeft(string(rest), " "); err != nil || got != "\r\n\r\n"+text(2, "201 Created", "") {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNoRequestIsSmuggled sends a request inside a body that is not read, after an answer that began before or did not.
func TestNoRequestIsSmuggled(t *testing.T) {
	for _, frequency := range []string{"0.01", "10"} {
		seen := make(chan string, 9)
		h := request.Begin(mt.Build(t, Filter, "client_timeout = 0.1\nyield_frequency = "+frequency, stores()), nil)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Method + " " + r.URL.Path
			h.ServeHTTP(w, r)
		}))
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		const inner = "GET /inner HTTP/1.1\r\nHost: h\r\n\r\n"
		fmt.Fprintf(conn, "PUT /v1/AUTH_t?extract-archive=tar HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nx", 1+len(inner))
		answers := bufio.NewReader(conn)
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || !strings.HasSuffix(string(got), text(0, "408 Request Timeout", "")) {
			t.Errorf("%q, %v", got, err)
		}
		_, _ = io.WriteString(conn, inner) // the connection may be closed already
		if line, err := answers.ReadString('\n'); err == nil {
			t.Errorf("another answer: %q", line)
		}
		conn.Close()
		srv.Close()
		if close(seen); len(seen) != 1 {
			t.Errorf("%d requests were seen", len(seen))
		}
	}
}

// TestConnectionGoesOn looks at what follows requests of which not everything is read.
func TestConnectionGoesOn(t *testing.T) {
	srv := httptest.NewServer(request.Begin(mt.Build(t, Filter, "", reads{}), nil))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	answers := bufio.NewReader(conn)
	for _, test := range []struct{ head, body, want string }{
		{"PUT /v1/AUTH_t?extract-archive=tar", pack(t, entry{name: "c/a"}) + strings.Repeat("\x00", 10240), text(1, "201 Created", "")},
		{"PUT /v1/AUTH_t?extract-archive=tar", strings.Repeat("x", 10240), text(0, "400 Bad Request", "Invalid Tar File: invalid header")},
		{"PUT /v1?extract-archive=tar", strings.Repeat("x", 10240), text(0, "404 Not Found", "")},
		{"POST /v1/AUTH_t?bulk-delete", strings.Repeat("x", 10240), deleted(0, 0, "400 Bad Request", "Invalid File Name")},
		{"POST /v1/AUTH_t?bulk-delete", "c/o", deleted(1, 0, "200 OK", "")},
	} {
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", test.head, len(test.body), test.body)
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s: %v", test.head, err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || string(got) != test.want || res.Close {
			t.Errorf("%s: %s, %v, closed: %t", test.head, got, err, res.Close)
		}
	}
}

func TestClientGoesAway(t *testing.T) {
	archive := pack(t, entry{name: "c/a", body: "a"}, entry{name: "c/b", body: strings.Repeat("b", 10000)}, entry{name: "c/c"})
	for name, head := range map[string]string{
		"extract": fmt.Sprintf("PUT /v1/AUTH_t?extract-archive=tar HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(archive), archive[:2000]),
		"delete":  "POST /v1/AUTH_t?bulk-delete HTTP/1.1\r\nHost: h\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("c/o\nc/p\nc/q\n", 25),
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			begun, ended := make(chan struct{}, 400), make(chan struct{})
			app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				switch {
				case r.Method == http.MethodPut && r.ContentLength > 1:
					begun <- struct{}{}
					reads{}.ServeHTTP(w, r)
				case r.Method == http.MethodDelete:
					begun <- struct{}{}
					<-r.Context().Done()
				}
			})
			h := request.Begin(mt.Build(t, Filter, "", app), nil)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				h.ServeHTTP(w, r)
			}))
			defer srv.Close()
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, head); err != nil {
				t.Fatal(err)
			}
			<-begun
			conn.Close()
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatal("the work goes on")
			}
			if n := calls.Load(); n > 4 {
				t.Errorf("%d requests were made", n)
			}
		})
	}
}

// TestBodyIsNotAskedForInVain looks at what a client that waits for 100-continue gets.
func TestBodyIsNotAskedForInVain(t *testing.T) {
	srv := httptest.NewServer(request.Begin(mt.Build(t, Filter, "", mt.NewApp()), nil))
	defer srv.Close()
	for _, test := range []struct{ head, want string }{
		{"PUT /v1/AUTH_t?extract-archive=zip HTTP/1.1\r\n", "HTTP/1.1 400 "},
		{"PUT /v1/AUTH_t?extract-archive=tar HTTP/1.1\r\nAccept: image/png\r\n", "HTTP/1.1 200 "},
		{"POST /v1?bulk-delete HTTP/1.1\r\n", "HTTP/1.1 200 "},
		{"POST /v1/AUTH_t?bulk-delete HTTP/1.1\r\nContent-Type: a/b\r\n", "HTTP/1.1 200 "},
		{"POST /v1/AUTH_t?bulk-delete HTTP/1.1\r\n", "HTTP/1.1 100 "},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%sHost: h\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n", test.head)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, test.want) {
			t.Errorf("%q: %q, %v", test.head, line, err)
		}
		conn.Close()
	}
}

func TestSlowClient(t *testing.T) {
	srv := httptest.NewServer(request.Begin(mt.Build(t, Filter, "client_timeout = 0.05", stores()), nil))
	defer srv.Close()
	for _, test := range []struct{ head, want string }{
		{"PUT /v1/AUTH_t?extract-archive=tar", text(0, "408 Request Timeout", "")},
		{"POST /v1/AUTH_t?bulk-delete", deleted(0, 0, "408 Request Timeout", "")},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nc/o", test.head)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v", test.head, got, err)
		}
	}
}
