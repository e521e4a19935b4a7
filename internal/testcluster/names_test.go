package testcluster

import (
	"bytes"
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

	"golang.org/x/sys/unix"

	"github.com/apus-storage/apus/internal/nodes"
)

// Swift's s3api stores a_b of S3 as A=5Fb. Such names are stored, shown and copied whatever lies between client, proxy and
// nodes, with the bytes that Swift has.
func TestNamesWithEqualsSigns(t *testing.T) {
	for _, kind := range []Kind{Direct, TCP, Mixed} {
		t.Run(string(kind), func(t *testing.T) { namesWithSigns(t, kind) })
	}
}

func namesWithSigns(t *testing.T, kind Kind) {
	c := New(t, Options{Kind: kind})
	f := c.proxyWithCopy(t)
	if kind != Direct {
		client := nodes.NewTCP(nodes.TCPOptions{}) // net/http's does not send such names
		defer client.CloseIdleConnections()
		f.client = client
	}
	const a, b, plain = "X-Object-Meta-A=5Fb", "X-Object-Meta-B=5Fc", "X-Object-Meta-P|q"
	for _, step := range []struct {
		method, path string
		header       map[string]string
		status       int
		want         map[string]string
	}{
		{"PUT", "/v1/AUTH_t/c=d", map[string]string{"X-Container-Meta-A=5Fb": "1"}, 201, nil},
		{"HEAD", "/v1/AUTH_t/c=d", nil, 204, map[string]string{"X-Container-Meta-A=5Fb": "1"}},
		{"POST", "/v1/AUTH_t", map[string]string{"X-Account-Meta-A=5Fb": "2"}, 204, nil},
		{"GET", "/v1/AUTH_t", nil, 200, map[string]string{"X-Account-Meta-A=5Fb": "2"}},
		{"PUT", "/v1/AUTH_t/c=d/o", map[string]string{a: "a=b|c"}, 201, nil},
		{"GET", "/v1/AUTH_t/c=d/o", nil, 200, map[string]string{a: "a=b|c"}},
		{"HEAD", "/v1/AUTH_t/c=d/o", nil, 200, map[string]string{a: "a=b|c"}},
		{"COPY", "/v1/AUTH_t/c=d/o", map[string]string{"Destination": "c=d/copy", b: "new"}, 201, map[string]string{a: "a=b|c", b: "new"}},
		{"GET", "/v1/AUTH_t/c=d/copy", nil, 200, map[string]string{a: "a=b|c", b: "new"}},
		{"POST", "/v1/AUTH_t/c=d/o", map[string]string{b: "posted"}, 202, nil},
		{"GET", "/v1/AUTH_t/c=d/o", nil, 200, map[string]string{a: "", b: "posted"}},
		{"PUT", "/v1/AUTH_t/c=d/bar", map[string]string{plain: "p"}, 201, nil},
		{"GET", "/v1/AUTH_t/c=d/bar", nil, 200, map[string]string{plain: "p"}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), step.method, f.url+step.path+"?format=json", nil)
		if err != nil {
			t.Fatal(err)
		}
		if step.method == "PUT" {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("X=y: z\r\n\r\n")), 10
			if !strings.Contains(step.path, "/o") && !strings.Contains(step.path, "/bar") {
				r.Body, r.ContentLength = http.NoBody, 0
			}
		}
		for k, v := range step.header {
			r.Header[k] = []string{v}
		}
		resp, err := f.client.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s %s: %v", step.method, step.path, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != step.status || err != nil {
			t.Errorf("%s %s: got %d %q, %v, want %d", step.method, step.path, resp.StatusCode, body, err, step.status)
		}
		for k, v := range step.want {
			if got := strings.Join(resp.Header[k], ","); got != v {
				t.Errorf("%s %s: %s is %q, want %q; all: %q", step.method, step.path, k, got, v, resp.Header)
			}
		}
		if step.method == "GET" && strings.Count(step.path, "/") > 3 && string(body) != "X=y: z\r\n\r\n" {
			t.Errorf("%s %s: body %q", step.method, step.path, body)
		}
	}
	c.seeMetadataOnDisk(t, a, b)
	if kind != Direct {
		seeOnTheWire(t, strings.TrimPrefix(f.url, "http://"), "/v1/AUTH_t/c=d/copy", a+": a=b|c")
	}
}

// proxyWithCopy starts another proxy, which has the copy filter.
func (c *Cluster) proxyWithCopy(t *testing.T) front {
	t.Helper()
	etc := filepath.Join(c.dir, "etc")
	text, err := os.ReadFile(filepath.Join(etc, "proxy-server.toml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(etc, "copying.toml")
	copying := strings.Replace(string(text), `"proxy-server"]`, `"copy", "proxy-server"]`+"\n[filter.copy]", 1)
	if err := os.WriteFile(path, []byte(copying), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := c.startProxy(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// seeMetadataOnDisk looks for names in the metadata of all objects' files.
func (c *Cluster) seeMetadataOnDisk(t *testing.T, names ...string) {
	t.Helper()
	found := map[string]int{}
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".data") && !strings.HasSuffix(path, ".meta") {
			return err
		}
		buf := make([]byte, 64<<10)
		n, err := unix.Getxattr(path, "user.swift.metadata", buf)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, name := range names {
			if bytes.Contains(buf[:n], []byte(name)) {
				found[name]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if found[name] < 3 {
			t.Errorf("%s is in the metadata of %d files, want one for each replica", name, found[name])
		}
	}
}

// seeOnTheWire looks for a line in the head of an answer as it comes.
func seeOnTheWire(t *testing.T, addr, path, line string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "HEAD %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", path)
	if head, err := io.ReadAll(conn); err != nil || !bytes.Contains(head, []byte("\r\n"+line+"\r\n")) {
		t.Errorf("got %q, %v, want the line %q", head, err, line)
	}
}
