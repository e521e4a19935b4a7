package serve

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// TestARefusalArrivesBeforeTheBody has a client send on after it has been refused, in every manner of keeping a connection.
func TestARefusalArrivesBeforeTheBody(t *testing.T) {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusRequestEntityTooLarge) })
	for _, keepalive := range []time.Duration{-1, 0} {
		c := Defaults()
		c.KeepaliveTimeout = config.Duration{Duration: keepalive}
		s := c.Server(refuse, slog.New(slog.DiscardHandler))
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(l)
		t.Cleanup(func() { s.Close() })
		for _, head := range []string{"PUT / HTTP/1.1\r\nHost: h\r\n", "PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", "PUT / HTTP/1.0\r\n",
			"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"} {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\nthe first of it", head, 1<<20)
			answered := bufio.NewReader(conn)
			if _, err := answered.Peek(1); err != nil {
				t.Fatal(err)
			}
			for range 20 {
				if _, err := io.WriteString(conn, strings.Repeat("x", 1000)); err != nil {
					t.Errorf("keepalive %v, %q: sending on: %v", keepalive, head, err)
				}
				time.Sleep(time.Millisecond)
			}
			resp, err := http.ReadResponse(answered, nil)
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("keepalive %v, %q: got %v, %v", keepalive, head, resp, err)
			}
			conn.Close()
		}
	}
}
