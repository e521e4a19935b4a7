package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/constraint"
)

func TestHostsOfAnyBytes(t *testing.T) {
	c := Defaults()
	c.BindIP, c.CutStalled, c.ClientTimeout = "127.0.0.1", true, config.Seconds(5)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	h := Bound(constraint.Default(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%q %q", r.Host, body)
	}))
	wrapped, err := c.Wrap(l)
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- c.Run(ctx, wrapped, h, slog.New(slog.DiscardHandler)) }()
	defer func() { stop(); <-done }()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	answers := bufio.NewReader(conn)
	for _, tc := range []struct {
		name, request string
		status        int
		want          string
	}{
		{"plain", "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n", 200, `"a.example.com" ""`},
		{"bytes that are not ASCII", "GET / HTTP/1.1\r\nhost: c\xc3\xa9.example.com:80\r\nX-A: b\r\n\r\n", 200, `"cé.example.com:80" ""`},
		{"a body that looks like a head", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nx\r\nHost: \xc3\xa9\r\n\r\nmore..", 200, `"a" "x\r\nHost: é\r\n\r\nmore.."`},
		{"both", "PUT / HTTP/1.1\r\nHost: \xc3\xa9\r\nContent-Length: 2\r\n\r\n\xc3\xa9", 200, `"é" "é"`},
		{"a long one", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("\xc3\xa9", 1500) + "\r\n\r\n", 200, `"` + strings.Repeat("é", 1500) + `" ""`},
		{"other headers keep theirs", "GET / HTTP/1.1\r\nX-A: \xc3\xa9\r\nHost: a%C3%A9\r\n\r\n", 200, `"aé" ""`},
		{"what the client has escaped stays", "GET / HTTP/1.1\r\nHost: a%41%2f%zz%\r\n\r\n", 200, `"a%41%2f%zz%" ""`},
	} {
		if _, err := io.WriteString(conn, tc.request); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != tc.status || string(body) != tc.want {
			t.Errorf("%s: got %d %.100s, %v; want %d %.100s", tc.name, resp.StatusCode, body, err, tc.status, tc.want)
		}
	}
}

func FuzzHost(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: c\xc3\xa9\r\n\r\nbody"), 64)
	f.Add([]byte("\nhost:\xff\r\n"), 8)
	f.Fuzz(func(t *testing.T, data []byte, room int) {
		if len(data) < 2 || room < len(data) || room > 1<<16 {
			return
		}
		p := make([]byte, room)
		n := copy(p, data)
		var h hostReader
		h.inHead.Store(true)
		n = h.look(p, n)
		got := append(p[:n:n], h.rest...)
		// Nothing but the Host line changes, and that comes back.
		start := hostValue(data)
		if !h.escaped.Load() {
			if string(got) != string(data) {
				t.Fatalf("changed %q to %q", data, got)
			}
			return
		}
		end := start + strings.Index(string(data[start:]), "\r\n")
		if want := string(data[:start]) + string(appendEscaped(nil, data[start:end])) + string(data[end:]); string(got) != want {
			t.Fatalf("%q became %q, want %q", data, got, want)
		}
	})
}
