package assembly

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// withPatience is bare with a client_timeout.
func withPatience(t testing.TB, timeout string) string {
	t.Helper()
	b, err := os.ReadFile(bare(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "proxy.toml")
	text := strings.Replace(string(b), "bind_port = 8080", "bind_port = 8080\nclient_timeout = "+timeout, 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// dial opens a connection that does not outlive the test.
func dial(t testing.TB, url string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn)
}

// objectFiles are the files below the devices that belong to objects, temporary ones included.
func objectFiles(t testing.TB, data string) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(data), "devices", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (strings.Contains(path, "/objects") || strings.Contains(path, "/tmp")) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestUploadsThatDoNotArrive stops in the middle of uploads: the client hears of it if it still can, and nothing is left.
func TestUploadsThatDoNotArrive(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	const length = "Content-Length: 1000000\r\n\r\n"
	for _, tc := range []struct {
		name, body string
		end        func(*net.TCPConn) error // nil: the client stays, and sends nothing more
		want       int
	}{
		{"a length, and no body", length, nil, 408},
		{"a length, and some of the body", length + strings.Repeat("x", 70_000), nil, 408},
		{"a chunk without its end", "Transfer-Encoding: chunked\r\n\r\n10000\r\nxxx", nil, 408},
		{"chunks without a last one", "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n", nil, 408},
		{"a length of a chunk without its line's end", "Transfer-Encoding: chunked\r\n\r\n3", nil, 408},
		{"half closed after some of the body", length + strings.Repeat("x", 70_000), (*net.TCPConn).CloseWrite, 499},
		{"half closed after a chunk", "Transfer-Encoding: chunked\r\n\r\n3\r\nxxx\r\n", (*net.TCPConn).CloseWrite, 499},
		{"closed after some of the body", length + strings.Repeat("x", 70_000), (*net.TCPConn).Close, 0},
		{"reset after some of the body", length + strings.Repeat("x", 70_000), func(c *net.TCPConn) error {
			c.SetLinger(0)
			return c.Close()
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := t.TempDir()
			t.Run("upload", func(t *testing.T) {
				_, url := start(t, EmbeddedOptions{Data: data, Config: withPatience(t, "0.2"), Devices: 3, Replicas: 3})
				do(t, "PUT", url+"/v1/AUTH_a/c", "")
				c := dial(t, url)
				fmt.Fprintf(c, "PUT /v1/AUTH_a/c/o HTTP/1.1\r\nHost: h\r\n%s", tc.body)
				if tc.end != nil {
					if err := tc.end(c); err != nil {
						t.Fatal(err)
					}
				}
				if tc.want != 0 {
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					if resp.StatusCode != tc.want {
						t.Errorf("got %s, want %d", resp.Status, tc.want)
					}
					if _, err := io.Copy(io.Discard, c); err != nil {
						t.Errorf("the connection stays open: %v", err)
					}
				}
				if resp, _ := do(t, "GET", url+"/v1/AUTH_a/c/o", ""); resp.StatusCode != 404 {
					t.Errorf("the object is there: %s", resp.Status)
				}
				if _, list := do(t, "GET", url+"/v1/AUTH_a/c", ""); strings.Contains(list, "o\n") {
					t.Errorf("the object is listed: %q", list)
				}
			})
			// The server has stopped: what is there now stays.
			if files := objectFiles(t, data); len(files) > 0 {
				t.Errorf("left behind: %q", files)
			}
		})
	}
}

// TestClientsThatBreakOffDownloads leaves a large object unread, or goes away in the middle of it.
func TestClientsThatBreakOffDownloads(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("cluster", func(t *testing.T) {
		_, url := start(t, EmbeddedOptions{Config: withPatience(t, "0.2")})
		do(t, "PUT", url+"/v1/AUTH_a/c", "")
		do(t, "PUT", url+"/v1/AUTH_a/c/o", strings.Repeat("x", 32<<20))
		for range 3 {
			c := dial(t, url)
			io.WriteString(c, "GET /v1/AUTH_a/c/o HTTP/1.1\r\nHost: h\r\n\r\n")
			if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			c.Close()
			// This one is never read, and closed by nobody before the server stops.
			io.WriteString(dial(t, url), "GET /v1/AUTH_a/c/o HTTP/1.1\r\nHost: h\r\n\r\n")
		}
		if resp, body := do(t, "GET", url+"/v1/AUTH_a/c/o", ""); resp.StatusCode != 200 || len(body) != 32<<20 {
			t.Errorf("got %s and %d bytes", resp.Status, len(body))
		}
		// The server stops in good order, which it does not while a client is being written to.
	})
}

// TestSlowHeads send a request's head too slowly, or not at all: the connection ends.
func TestSlowHeads(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("cluster", func(t *testing.T) {
		_, url := start(t, EmbeddedOptions{Config: withPatience(t, "0.2")})
		for name, head := range map[string]string{
			"nothing": "", "a method": "GET", "a request line": "GET / HTTP/1.1\r\n", "a header": "GET / HTTP/1.1\r\nHost: h\r\n",
			"a request before": "GET /info HTTP/1.1\r\nHost: h\r\n\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				c := dial(t, url)
				io.WriteString(c, head)
				if _, err := io.Copy(io.Discard, c); err != nil {
					t.Errorf("the connection stays open: %v", err)
				}
			})
		}
	})
}
