package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/config"
)

// hesitant is a connection that takes so many bytes before each deadline.
type hesitant struct {
	tcpConn
	takes     []int
	got       bytes.Buffer
	deadlines int
	lossy     bool // its ReadFrom reads more than it sends
}

func (h *hesitant) SetWriteDeadline(time.Time) error {
	h.deadlines++
	return nil
}

func (h *hesitant) take() int {
	if len(h.takes) == 0 {
		return 1 << 30
	}
	n := h.takes[0]
	h.takes = h.takes[1:]
	return n
}

func (h *hesitant) Write(p []byte) (int, error) {
	n := min(h.take(), len(p))
	h.got.Write(p[:n])
	if n < len(p) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (h *hesitant) ReadFrom(r io.Reader) (int64, error) {
	n := h.take()
	m, err := io.Copy(&h.got, io.LimitReader(r, int64(n)))
	if err == nil && m == int64(n) {
		err = os.ErrDeadlineExceeded
	}
	if h.lossy {
		io.CopyN(io.Discard, r, 1)
	}
	return m, err
}

func TestPatienceWithSlowClients(t *testing.T) {
	const text = "0123456789"
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T) *os.File {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, tc := range []struct {
		name  string
		takes []int
		lossy bool
		want  string
		slow  bool
	}{
		{"takes all", nil, false, text, false},
		{"takes it bit by bit", []int{3, 1, 2}, false, text, false},
		{"stops", []int{3, 0}, false, "012", true},
		{"never begins", []int{0}, false, "", true},
		{"what was read and not sent is not made up for", []int{3}, true, "012", true},
	} {
		for how, write := range map[string]func(*testing.T, *patientConn) (int64, error){
			"bytes": func(_ *testing.T, c *patientConn) (int64, error) {
				n, err := c.Write([]byte(text))
				return int64(n), err
			},
			"a file":           func(t *testing.T, c *patientConn) (int64, error) { return c.ReadFrom(open(t)) },
			"a part of a file": func(t *testing.T, c *patientConn) (int64, error) { return c.ReadFrom(io.LimitReader(open(t), 10)) },
			"another reader":   func(_ *testing.T, c *patientConn) (int64, error) { return c.ReadFrom(strings.NewReader(text)) },
		} {
			if tc.lossy && !strings.Contains(how, "file") {
				continue
			}
			t.Run(tc.name+", "+how, func(t *testing.T) {
				h := &hesitant{takes: tc.takes, lossy: tc.lossy}
				n, err := write(t, &patientConn{tcpConn: h, limit: time.Minute})
				if h.got.String() != tc.want || n != int64(len(tc.want)) || errors.Is(err, os.ErrDeadlineExceeded) != tc.slow || h.deadlines == 0 {
					t.Errorf("got %q, %d, %v after %d deadlines, want %q, slow %v", h.got.String(), n, err, h.deadlines, tc.want, tc.slow)
				}
			})
		}
	}
}

func TestClientsThatDoNotReadAreCutOff(t *testing.T) {
	c := Defaults()
	c.BindIP, c.BindPort, c.ClientTimeout = "127.0.0.1", 0, config.Duration{Duration: 50 * time.Millisecond}
	c.CutStalled = true
	l, err := c.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- c.Run(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for err == nil {
				_, err = w.Write(make([]byte, 1<<20))
			}
			ended <- err
		}), slog.New(slog.DiscardHandler))
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing to a client that does not read ended with %v", err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestSocketsArePassedOnWithinTheKernel sends from one socket to another whose client takes at full speed, and checks all of it.
func TestSocketsArePassedOnWithinTheKernel(t *testing.T) {
	data := make([]byte, 3<<20+5)
	for i := range data {
		data[i] = byte(i>>10 ^ i)
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	nodes, clients := listen(), patience{listen(), 20 * time.Millisecond}
	go func() {
		if c, err := nodes.Accept(); err == nil {
			c.Write(data)
			c.Close()
		}
	}()
	sent := make(chan error, 1)
	go func() {
		client, err := clients.Accept()
		if err != nil {
			sent <- err
			return
		}
		defer client.Close()
		node, err := net.Dial("tcp", nodes.Addr().String())
		if err != nil {
			sent <- err
			return
		}
		defer node.Close()
		n, err := client.(io.ReaderFrom).ReadFrom(&io.LimitedReader{R: node, N: int64(len(data))})
		if err == nil && n != int64(len(data)) {
			err = io.ErrShortWrite
		}
		sent <- err
	}()
	c, err := net.Dial("tcp", clients.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, equal: %v, %v", len(got), bytes.Equal(got, data), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
