package assembly

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
)

// start runs an embedded cluster on a listener and returns its base URL.
func start(t testing.TB, o EmbeddedOptions) (*Embedded, string) {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	o.Log, o.Clock = slog.New(slog.DiscardHandler), clock.System
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	e, err := OpenEmbedded(o)
	if err != nil {
		t.Fatal(err)
	}
	e.Setup.Server.BindIP, e.Setup.Server.BindPort = "127.0.0.1", 0
	l, err := e.Setup.Server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, "http://" + l.Addr().String()
}

// bare is a proxy without authentication.
func bare(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "proxy.toml")
	text := "[DEFAULT]\nbind_port = 8080\n[pipeline.main]\npipeline = [\"cache\", \"proxy-server\"]\n[filter.cache]\nbackend = \"memory\"\n[app.proxy-server]\naccount_autocreate = true\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func do(t testing.TB, method, url, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestDataOutlivesTheProcess(t *testing.T) {
	for _, n := range []struct{ devices, replicas int }{{1, 1}, {4, 3}} {
		t.Run(fmt.Sprintf("%d devices, %d replicas", n.devices, n.replicas), func(t *testing.T) {
			data, config := t.TempDir(), bare(t)
			t.Run("first life", func(t *testing.T) {
				_, url := start(t, EmbeddedOptions{Data: data, Config: config, Devices: n.devices, Replicas: n.replicas})
				if resp, _ := do(t, "PUT", url+"/v1/AUTH_a/c", ""); resp.StatusCode != 201 {
					t.Fatalf("container PUT: %s", resp.Status)
				}
				for i := range 20 {
					if resp, _ := do(t, "PUT", fmt.Sprintf("%s/v1/AUTH_a/c/o%02d", url, i), strings.Repeat("x", i)); resp.StatusCode != 201 {
						t.Fatalf("object PUT: %s", resp.Status)
					}
				}
			})
			t.Run("second life", func(t *testing.T) {
				_, url := start(t, EmbeddedOptions{Data: data, Config: config})
				resp, list := do(t, "GET", url+"/v1/AUTH_a/c", "")
				if n := strings.Count(list, "\n"); n != 20 || resp.Header.Get("X-Container-Bytes-Used") != "190" {
					t.Errorf("listing has %d names, %s bytes used", n, resp.Header.Get("X-Container-Bytes-Used"))
				}
				if _, body := do(t, "GET", url+"/v1/AUTH_a/c/o07", ""); body != "xxxxxxx" {
					t.Errorf("object: %q", body)
				}
			})
		})
	}
}

func TestOneProcessPerDataDirectory(t *testing.T) {
	data, config := t.TempDir(), bare(t)
	start(t, EmbeddedOptions{Data: data, Config: config})
	_, err := OpenEmbedded(EmbeddedOptions{Data: data, Config: config, Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("got %v", err)
	}
}

func TestOtherNumbersOfDevicesAreRefused(t *testing.T) {
	data, config := t.TempDir(), bare(t)
	t.Run("first", func(t *testing.T) { start(t, EmbeddedOptions{Data: data, Config: config}) })
	_, err := OpenEmbedded(EmbeddedOptions{Data: data, Config: config, Devices: 2, Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}})
	if err == nil || !strings.Contains(err.Error(), "--devices 1 --replicas 1") {
		t.Errorf("got %v", err)
	}
}

func TestPoliciesOfANewDirectory(t *testing.T) {
	data, config := t.TempDir(), bare(t)
	t.Run("containers are of one", func(t *testing.T) {
		_, url := start(t, EmbeddedOptions{Data: data, Config: config, Policies: []string{"gold", "silver"}})
		for name, want := range map[string]string{"": "gold", "silver": "silver"} {
			r, err := http.NewRequest("PUT", url+"/v1/AUTH_a/c"+name, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Storage-Policy", name)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp, _ := do(t, "PUT", url+"/v1/AUTH_a/c"+name+"/o", "x"); resp.StatusCode != 201 {
				t.Errorf("object PUT: %s", resp.Status)
			}
			if resp, _ := do(t, "HEAD", url+"/v1/AUTH_a/c"+name, ""); resp.Header.Get("X-Storage-Policy") != want {
				t.Errorf("policy %q: got %q, want %q", name, resp.Header.Get("X-Storage-Policy"), want)
			}
		}
		if objects, _ := filepath.Glob(filepath.Join(data, "devices", "d1", "objects-1", "*", "*", "*", "*.data")); len(objects) != 1 {
			t.Errorf("objects of the second policy: %q", objects)
		}
	})
	for _, tc := range []struct {
		data, want string
		policies   []string
	}{
		{data, "--policies gold,silver", []string{"gold"}},
		{t.TempDir(), "silver", []string{"silver", "silver"}},
		{t.TempDir(), "bad name", []string{"bad name"}},
	} {
		_, err := OpenEmbedded(EmbeddedOptions{
			Data: tc.data, Config: config, Policies: tc.policies, Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{},
		})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("policies %q: got %v", tc.policies, err)
		}
	}
}

func TestAnotherClustersFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy.toml")
	text := "[DEFAULT]\nbind_port = 8080\nswift_dir = \"/etc/swift\"\n[pipeline.main]\npipeline = [\"proxy-server\"]\n[app.proxy-server]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenEmbedded(EmbeddedOptions{Data: t.TempDir(), Config: path, Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}})
	if err == nil || !strings.Contains(err.Error(), path+":3: DEFAULT.swift_dir") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkServe measures whole requests over a connection, by a client that costs next to nothing.
func BenchmarkServe(b *testing.B) {
	for _, bc := range []struct {
		name   string
		method string
		fresh  bool // a new object each time
		body   int
	}{{"GET 4 KiB", "GET", false, 0}, {"HEAD", "HEAD", false, 0}, {"PUT 4 KiB", "PUT", true, 4096}} {
		b.Run(bc.name, func(b *testing.B) {
			_, url := start(b, EmbeddedOptions{Config: bare(b)})
			do(b, "PUT", url+"/v1/AUTH_a/c", "")
			do(b, "PUT", url+"/v1/AUTH_a/c/o", strings.Repeat("x", 4096))
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			br := bufio.NewReader(conn)
			body := strings.Repeat("x", bc.body)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				name := "o"
				if bc.fresh {
					name = fmt.Sprintf("o%d", i)
				}
				fmt.Fprintf(conn, "%s /v1/AUTH_a/c/%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", bc.method, name, len(body), body)
				length := 0
				for {
					line, err := br.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if len(line) == 2 {
						break
					}
					if strings.HasPrefix(string(line), "Content-Length: ") {
						fmt.Sscanf(string(line[16:]), "%d", &length)
					}
				}
				if bc.method != "HEAD" {
					br.Discard(length)
				}
			}
		})
	}
}
