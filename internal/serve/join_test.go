package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// writes counts the writes of a listener's connections.
type writes struct {
	net.Listener
	n *atomic.Int64
}

func (l writes) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &writesConn{c.(*net.TCPConn), l.n}, nil
}

type writesConn struct {
	*net.TCPConn
	n *atomic.Int64
}

func (c *writesConn) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.TCPConn.Write(p)
}

// Answers of every size around those that are joined arrive whole, one after the other on one connection, and those of
// 4 KiB in one write.
func TestAnswersAreJoined(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	cfg := Defaults()
	l, err = cfg.Wrap(writes{l, &n})
	if err != nil {
		t.Fatal(err)
	}
	body := func(size int) []byte { return bytes.Repeat([]byte{byte(size)}, size) }
	s := cfg.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var size, parts int
		if _, err := fmt.Sscan(r.URL.Query().Get("size"), &size); err != nil {
			t.Error(err)
		}
		if _, err := fmt.Sscan(r.URL.Query().Get("parts"), &parts); err != nil {
			t.Error(err)
		}
		if r.URL.Query().Get("length") != "" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		all := body(size)
		for i := range parts {
			w.Write(all[i*size/parts : (i+1)*size/parts])
			if r.URL.Query().Get("flush") != "" {
				w.(http.Flusher).Flush()
			}
		}
	}), slog.New(slog.DiscardHandler))
	go s.Serve(l)
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	get := func(size int, more string) int64 {
		t.Helper()
		before := n.Load()
		resp, err := client.Get(fmt.Sprintf("http://%s/?size=%d&%s", l.Addr(), size, more))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body(size)) {
			t.Fatalf("size %d, %s: %d bytes, %v", size, more, len(got), err)
		}
		return n.Load() - before
	}
	for size := httpBuffer - 200; size <= httpBuffer+200; size++ {
		get(size, "parts=1&length=1")
	}
	for _, size := range []int{0, 1, 100, 8 << 10, joinUpTo - 1, joinUpTo, joinUpTo + 1, 100 << 10} {
		for _, more := range []string{"parts=1&length=1", "parts=3&length=1", "parts=1", "parts=7", "parts=3&length=1&flush=1", "parts=3&flush=1"} {
			get(size, more)
		}
	}
	if got := get(httpBuffer, "parts=1&length=1"); got != 1 {
		t.Errorf("an answer of 4 KiB took %d writes, want 1", got)
	}
}

// The length of an answer that has no body says nothing of what is to come, whatever the length of its head is.
func TestAnswersWithoutBodiesAreSent(t *testing.T) {
	conn := dialServer(t, Defaults(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5000")
		w.Header().Set("X-Pad", strings.Repeat("x", len(r.Header.Get("X-Pad"))))
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusNotModified)
		}
	})
	answers := bufio.NewReader(conn)
	for _, method := range []string{"HEAD", "GET"} {
		pad, exact := httpBuffer-300, false
		for ; pad < httpBuffer; pad++ {
			fmt.Fprintf(conn, "%s / HTTP/1.1\r\nHost: h\r\nX-Pad: %s\r\n\r\n", method, strings.Repeat("x", pad))
			head := 0
			for line := ""; line != "\r\n"; head += len(line) {
				var err error
				if line, err = answers.ReadString('\n'); err != nil {
					t.Fatalf("%s with %d bytes more: %v", method, pad, err)
				}
			}
			exact = exact || head == httpBuffer
		}
		if !exact {
			t.Errorf("no head to %s had %d bytes", method, httpBuffer)
		}
	}
}

func TestGoesOn(t *testing.T) {
	full := func(head string) []byte {
		return append([]byte(head), bytes.Repeat([]byte("x"), httpBuffer-len(head))...)
	}
	for head, want := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n":                                                         true,
		"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 16384\r\nC: d\r\n\r\n":                                        true,
		"HTTP/1.1 200 OK\r\nContent-Length: 16385\r\n\r\n":                                                        false, // not small
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n":                                         false,
		"HTTP/1.1 200 OK\r\nContent-Length: 4055\r\n\r\n":                                                         false, // all is there
		"HTTP/1.1 200 OK\r\nContent-Length: 4056\r\n\r\n":                                                         true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n":                                                   false,
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nA: " + strings.Repeat("a", httpBuffer-53) + "\r\n\r\n": false, // a head alone
		"HTTP/1.1 200 OK\r\n\r\n\r\nContent-Length: 4096\r\n\r\n":                                                 false, // of the body
		"TTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n":                                                          false,
		"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\nA: " + strings.Repeat("a", httpBuffer-44):                     false, // no end of the head
	} {
		if got := goesOn(full(head)[:httpBuffer]); got != want {
			t.Errorf("goesOn(%.60q...) = %v, want %v", head, got, want)
		}
	}
	if goesOn(full("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")[:httpBuffer-1]) {
		t.Error("a buffer that is not full was taken for one that is")
	}
}
