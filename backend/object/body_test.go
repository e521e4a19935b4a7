package object_test

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/disk"
)

// wire is a connection on which a test says exactly what it wants.
type wire struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, url string) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{conn, bufio.NewReader(conn)}
}

func (w *wire) say(t *testing.T, lines ...string) {
	t.Helper()
	if _, err := io.WriteString(w, strings.Join(lines, "\r\n")); err != nil {
		t.Fatal(err)
	}
}

func (w *wire) hear(t *testing.T, method string) answer {
	t.Helper()
	resp, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestRefusalsComeBeforeTheBody(t *testing.T) {
	n := newNode(t, nil)
	url := listen(t, n)
	do(t, n, "PUT", path, "there", "X-Timestamp", "1795000005", "Content-Type", "a/b").expect(t, 201)
	for _, tc := range []struct {
		name, path string
		headers    []string
		want       int
	}{
		{"accepted", "/sdb1/1/a/c/o", []string{"X-Timestamp: 1795000000", "Content-Type: a/b"}, 100},
		{"older than what is stored", path, []string{"X-Timestamp: 1795000005", "Content-Type: a/b"}, 409},
		{"exists", path, []string{"X-Timestamp: 1795000006", "Content-Type: a/b", "If-None-Match: *"}, 412},
		{"no device", "/sdz/1/a/c/o", []string{"X-Timestamp: 1795000000", "Content-Type: a/b"}, 507},
		{"no timestamp", path, []string{"Content-Type: a/b"}, 400},
		{"two phases", path, []string{"X-Timestamp: 1795000006", "Content-Type: a/b", "X-Backend-Obj-Multiphase-Commit: yes",
			"X-Backend-Obj-Multipart-Mime-Boundary: b"}, 501},
		{"footer without boundary", path, []string{"X-Timestamp: 1795000006", "Content-Type: a/b", "X-Backend-Obj-Metadata-Footer: yes"}, 400},
		{"erasure coded policy", path, []string{"X-Timestamp: 1795000006", "Content-Type: a/b", "X-Backend-Storage-Policy-Index: 2"}, 501},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := dial(t, url)
			w.say(t, append([]string{"PUT " + tc.path + " HTTP/1.1", "Host: h", "Content-Length: 5", "Expect: 100-continue"},
				append(tc.headers, "", "")...)...)
			if got := w.hear(t, "PUT"); got.status != tc.want {
				t.Fatalf("first answer %d %q, want %d", got.status, got.body, tc.want)
			}
			if tc.want == 100 {
				w.say(t, "hello")
				w.hear(t, "PUT").expect(t, 201)
			}
		})
	}
}

func TestMissingLengthIsRefused(t *testing.T) {
	w := dial(t, listen(t, newNode(t, nil)))
	w.say(t, "PUT /sdb1/1/a/c/o HTTP/1.1", "Host: h", "X-Timestamp: 1795000000", "Content-Type: a/b", "", "")
	w.hear(t, "PUT").expect(t, 411)
}

func TestBrokenUploadsLeaveNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lines  []string
		hangUp bool
		want   int
	}{
		{"fewer bytes than announced", []string{"Content-Length: 10", "", "half"}, true, 499},
		{"client stops sending", []string{"Content-Length: 10", "", "half"}, false, 408},
		{"chunks break off", []string{"Transfer-Encoding: chunked", "", "5", "hello", "5", "he"}, true, 499},
		{"chunks do not add up to the hint", []string{"Transfer-Encoding: chunked", "X-Backend-Obj-Content-Length: 10", "", "5", "hello", "0", "", ""}, false, 499},
		{"wrong MD5", []string{"Content-Length: 5", "ETag: 00000000000000000000000000000000", "", "hello"}, false, 422},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := newNode(t, func(c *object.Config, _ *object.Deps) { c.ClientTimeout = config.Seconds(0.2) })
			w := dial(t, listen(t, n))
			w.say(t, append([]string{"PUT /sdb1/1/a/c/o HTTP/1.1", "Host: h", "X-Timestamp: 1795000000", "Content-Type: a/b"}, tc.lines...)...)
			if tc.hangUp {
				if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			w.hear(t, "PUT").expect(t, tc.want)
			got := do(t, n, "GET", "/sdb1/1/a/c/o", "").expect(t, 404)
			if at := got.header.Get("X-Backend-Timestamp"); at != "" {
				t.Errorf("something of time %s is there", at)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	put := func(n *node) answer {
		return do(t, n, "PUT", path, "hello", "X-Timestamp", "1795000000", "Content-Type", "a/b")
	}
	n := newNode(t, nil)
	n.memory.SetSpace(disk.Space{Total: 1000, Free: 16})
	put(n).expect(t, 201)
	n = newNode(t, nil)
	n.memory.SetSpace(disk.Space{Total: 1000, Free: 15})
	got := put(n).expect(t, 507)
	if !strings.Contains(got.body, "Drive: sdb1") {
		t.Errorf("507 says %q, want the drive", got.body)
	}
	for _, kind := range []string{"write", "sync", "setxattr", "link", "mkdir", "unnamed", "allocate"} {
		n := newNode(t, nil)
		n.faults.SetHook(func(op disk.Op) error {
			if op.Kind == kind {
				return syscall.ENOSPC
			}
			return nil
		})
		if got := put(n); got.status != 507 {
			t.Errorf("no space at %s: status %d, want 507", kind, got.status)
		}
		n.faults.SetHook(nil)
		do(t, n, "GET", path, "").expect(t, 404)
	}
}

func TestDiskErrorsAreNotAcknowledged(t *testing.T) {
	for _, kind := range []string{"write", "sync", "syncdir", "link", "setxattr", "names"} {
		n := newNode(t, nil)
		var failed atomic.Bool
		n.faults.SetHook(func(op disk.Op) error {
			if op.Kind == kind {
				failed.Store(true)
				return syscall.EIO
			}
			return nil
		})
		got := do(t, n, "PUT", path, "hello", "X-Timestamp", "1795000000", "Content-Type", "a/b")
		// Listing the directory for cleaning up comes when the object is safe; but the first look is refused.
		if !failed.Load() || got.status < 500 {
			t.Errorf("EIO at %s: status %d, happened %v; want a failure", kind, got.status, failed.Load())
		}
	}
}

func mime(boundary, body, footer string, pairs ...string) string {
	sum := md5.Sum([]byte(footer))
	head := "Content-MD5: " + hex.EncodeToString(sum[:])
	if len(pairs) > 0 {
		head = pairs[0]
	}
	return strings.Join([]string{"--" + boundary, "X-Document: object body", "", body, "--" + boundary, "X-Document: object metadata",
		head, "", footer, "--" + boundary + "--"}, "\r\n")
}

func chunked(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), 37) // cuts through everything
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, s[:n])
		s = s[n:]
	}
	return b.String() + "0\r\n\r\n"
}

func TestFooters(t *testing.T) {
	const boundary = "7d6b0c5e"
	body := "line\r\n--7d6b0c5\r\n\x00binary"
	sum := md5.Sum([]byte(body))
	good := fmt.Sprintf(`{"Etag": "%X", "X-Object-Sysmeta-Crypto": "caf\u00c3\u00a9", "X-Object-Meta-A": "2", "X-Foo": "dropped",
		"X-Object-Sysmeta-Container-Update-Override-Size": "99"}`, sum)
	for _, tc := range []struct {
		name, body string
		want       int
	}{
		{"good", mime(boundary, body, good), 201},
		{"wrong MD5 of the footer", mime(boundary, body, good, "Content-MD5: 0"), 422},
		{"no MD5 of the footer", mime(boundary, body, good, "X-Other: 0"), 400},
		{"no JSON", mime(boundary, body, "{"), 400},
		{"wrong MD5 of the body", mime(boundary, body, `{"Etag": "00000000000000000000000000000000"}`), 422},
		{"no footer", "--" + boundary + "\r\nX-Document: object body\r\n\r\nhello\r\n--" + boundary + "--", 400},
		{"cut off", mime(boundary, body, good)[:60], 499},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &containers{}
			n := newTelling(t, f)
			w := dial(t, listen(t, n))
			w.say(t, "PUT "+path+" HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", "Expect: 100-continue", "X-Timestamp: 1795000000",
				"Content-Type: a/b", "X-Object-Meta-A: 1", "X-Backend-Obj-Metadata-Footer: yes", "X-Container-Partition: 6",
				"X-Container-Host: h:1", "X-Container-Device: sda", "X-Backend-Obj-Multipart-Mime-Boundary: "+boundary, "", "")
			first := w.hear(t, "PUT").expect(t, 100)
			if first.header.Get("X-Obj-Metadata-Footer") != "yes" {
				t.Errorf("100 Continue has %v, want X-Obj-Metadata-Footer", first.header)
			}
			w.say(t, chunked(tc.body))
			got := w.hear(t, "PUT").expect(t, tc.want)
			if got.header.Get("X-Obj-Metadata-Footer") != "" {
				t.Error("the final answer has the header of the first")
			}
			if tc.want != 201 {
				do(t, n, "GET", path, "").expect(t, 404)
				return
			}
			stored := do(t, n, "GET", path, "").expect(t, 200)
			if stored.body != body || stored.header.Get("X-Object-Meta-A") != "2" || stored.header.Get("X-Foo") != "" ||
				stored.header.Get("X-Object-Sysmeta-Crypto") != "caf\xc3\xa9" {
				t.Errorf("stored %q with %v", stored.body, stored.header)
			}
			if told := f.take(); len(told) != 1 || !strings.Contains(told[0], "X-Size=99") {
				t.Errorf("told %q, want the footer's size", told)
			}
		})
	}
}

func TestStalledFooterTimesOut(t *testing.T) {
	n := newNode(t, func(c *object.Config, _ *object.Deps) { c.ClientTimeout = config.Seconds(0.2) })
	w := dial(t, listen(t, n))
	part := "--b\r\nX-Document: object body\r\n\r\nhello\r\n--b\r\nX-Doc"
	w.say(t, "PUT "+path+" HTTP/1.1", "Host: h", "Transfer-Encoding: chunked", "X-Timestamp: 1795000000", "Content-Type: a/b",
		"X-Backend-Obj-Metadata-Footer: yes", "X-Backend-Obj-Multipart-Mime-Boundary: b", "",
		fmt.Sprintf("%x", len(part)), part, "")
	w.hear(t, "PUT").expect(t, 408)
	do(t, n, "GET", path, "").expect(t, 404)
}

func TestDamagedBodyIsFoundWhenAsked(t *testing.T) {
	n := newNode(t, func(c *object.Config, _ *object.Deps) { c.ETagValidatePct = 100 })
	do(t, n, "PUT", path, "hello", "X-Timestamp", "1795000000", "Content-Type", "a/b").expect(t, 201)
	name := "/srv/node/sdb1/objects/13/113/d575ab15bbd6f0c3e3663a53d7a78113/1795000000.00000.data"
	f, err := n.memory.Open(name, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("HELLO")); err != nil {
		t.Fatal(err)
	}
	// What has not left a buffer yet does not leave it any more: the answer is cut, not ended.
	resp, err := http.Get(listen(t, n) + path)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the damaged body was sent to its end")
	}
	do(t, n, "GET", path, "").expect(t, 404)
	if names, err := n.memory.Names("/srv/node/sdb1/quarantined/objects", nil); err != nil || len(names) != 1 {
		t.Errorf("quarantined %q, %v; want one", names, err)
	}
}

func TestUnimplementedVerbsSaySo(t *testing.T) {
	n := newNode(t, nil)
	for _, verb := range []string{"REPLICATE", "SSYNC"} {
		got := do(t, n, verb, "/sdb1/1", "").expect(t, 501)
		if want := verb + " is not implemented by this server"; got.body != want {
			t.Errorf("%s says %q, want %q", verb, got.body, want)
		}
	}
}

// taker is a ResponseWriter that takes a body as net/http's does, and remembers what it was given.
type taker struct {
	sink
	from io.Reader
}

func (w *taker) ReadFrom(r io.Reader) (int64, error) {
	w.from = r
	return io.Copy(&w.sink, r)
}

// TestKernelCanSendBodies checks that the writer is given a reader that net/http recognises as a file, except for small
// parts, which are written at once.
func TestKernelCanSendBodies(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/sdb1", 0o755); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(c *object.Config, _ *object.Deps) { c.Devices = dir })
	do(t, s, "PUT", path, strings.Repeat("0123456789", 10000), "X-Timestamp", "1795000000", "Content-Type", "a/b").expect(t, 201)
	for _, tc := range []struct {
		ranges string
		want   int64
		small  bool
	}{{"", 100000, false}, {"bytes=2-65537", 65536, false}, {"bytes=2-65536", 65535, true}} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Range", tc.ranges)
		w := &taker{sink: sink{h: http.Header{}}}
		s.ServeHTTP(w, r)
		if tc.small {
			if w.from != nil || w.bytes != tc.want {
				t.Errorf("range %q: the writer was given a %T and got %d bytes, want a Write of %d", tc.ranges, w.from, w.bytes, tc.want)
			}
			continue
		}
		limited, ok := w.from.(*io.LimitedReader)
		if !ok {
			t.Fatalf("range %q: the writer was given a %T, want a *io.LimitedReader", tc.ranges, w.from)
		}
		if _, ok := limited.R.(*os.File); !ok || w.bytes != tc.want {
			t.Errorf("range %q: the reader reads a %T and gave %d bytes, want a *os.File and %d", tc.ranges, limited.R, w.bytes, tc.want)
		}
	}
}

// Uploads at the same time share syncs, unless that is turned off.
func TestSharedSyncs(t *testing.T) {
	for _, on := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, func(c *object.Config, _ *object.Deps) { c.SharedSyncs = on })
			var shared atomic.Int64
			n.faults.SetHook(func(op disk.Op) error {
				if op.Kind == "syncvolume" {
					shared.Add(1)
				}
				if op.Kind == "sync" {
					time.Sleep(time.Millisecond) // so that they meet
				}
				return nil
			})
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					got := do(t, n, "PUT", fmt.Sprint(path, i), "body", "Content-Type", "a/b", "X-Timestamp", "1795000001.00000")
					if got.status != 201 {
						t.Errorf("PUT: %d", got.status)
					}
				})
			}
			wg.Wait()
			if (shared.Load() > 0) != on {
				t.Errorf("shared_syncs %v: %d shared syncs", on, shared.Load())
			}
		})
	}
}
