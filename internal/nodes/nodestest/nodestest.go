// Package nodestest is the conformance suite of transports to storage nodes: what callers rely on, whatever lies
// between them and the node.
package nodestest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/headname"
)

// Run runs the suite. Start makes h a node and returns a transport and the address under which it reaches the node.
func Run(t *testing.T, start func(t *testing.T, h http.Handler) (rt http.RoundTripper, addr string)) {
	t.Run("head and body arrive", func(t *testing.T) { headAndBody(t, start) })
	t.Run("a refusal leaves the body untouched", func(t *testing.T) { refusal(t, start) })
	t.Run("a wanted body arrives whole, of known length or not", func(t *testing.T) { upload(t, start) })
	t.Run("a body that fails at its very end is not whole to the node", func(t *testing.T) { failingBody(t, start) })
	t.Run("an aborted answer does not end cleanly", func(t *testing.T) { aborted(t, start) })
	t.Run("closing early cancels the node's request", func(t *testing.T) { closedEarly(t, start) })
	t.Run("HEAD has a length and no body", func(t *testing.T) { head(t, start) })
	t.Run("the path arrives as it was quoted", func(t *testing.T) { quoted(t, start) })
	t.Run("names of headers may have delimiters", func(t *testing.T) { signs(t, start) })
}

type starter = func(*testing.T, http.Handler) (http.RoundTripper, string)

func request(t *testing.T, method, addr, path string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func send(t *testing.T, rt http.RoundTripper, r *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func headAndBody(t *testing.T, start starter) {
	want := strings.Repeat("0123456789", 20000)
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend-Timestamp", "1700000000.00000")
		w.Header().Set("X-Seen", r.Method+" "+r.Header.Get("X-Trans-Id"))
		w.WriteHeader(203)
		io.WriteString(w, want)
	}))
	r := request(t, "GET", addr, "/sdb1/1/a/c/o", nil)
	r.Header.Set("X-Trans-Id", "tx1")
	resp := send(t, rt, r)
	got, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 203 || resp.Header.Get("X-Seen") != "GET tx1" || string(got) != want || err != nil {
		t.Errorf("got %d, %v, %d bytes, %v", resp.StatusCode, resp.Header, len(got), err)
	}
}

type touchy struct {
	io.Reader
	touched bool
}

func (b *touchy) Read(p []byte) (int, error) {
	b.touched = true
	return b.Reader.Read(p)
}

func refusal(t *testing.T, start starter) {
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInsufficientStorage)
	}))
	body := &touchy{Reader: strings.NewReader("data")}
	r := request(t, "PUT", addr, "/sdb1/1/a/c/o", body)
	r.ContentLength = 4
	r.Header.Set("Expect", "100-continue")
	if resp := send(t, rt, r); resp.StatusCode != 507 || body.touched {
		t.Errorf("got %d, body touched: %v", resp.StatusCode, body.touched)
	}
}

func upload(t *testing.T, start starter) {
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(499)
			return
		}
		w.WriteHeader(201)
		w.Write(b)
	}))
	data := bytes.Repeat([]byte("x"), 300000)
	for _, length := range []int64{300000, -1} {
		body := &touchy{Reader: bytes.NewReader(data)}
		r := request(t, "PUT", addr, "/sdb1/1/a/c/o", body)
		r.ContentLength = length
		r.Header.Set("Expect", "100-continue")
		resp := send(t, rt, r)
		if b, err := io.ReadAll(resp.Body); resp.StatusCode != 201 || !bytes.Equal(b, data) || err != nil {
			t.Errorf("length %d: got %d, %d bytes, %v", length, resp.StatusCode, len(b), err)
		}
	}
}

// failing is a body that turns out to be wrong when all of it has been read.
type failing struct{ io.Reader }

var errWrong = errors.New("wrong checksum")

func (b failing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errWrong
	}
	return n, err
}

func failingBody(t *testing.T, start starter) {
	seen := make(chan error, 1)
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		seen <- err
		w.WriteHeader(201)
	}))
	for _, size := range []int{10, 64 << 10, 300000} {
		for _, length := range []int64{int64(size), -1} {
			for _, expect := range []string{"", "100-continue"} {
				r := request(t, "PUT", addr, "/sdb1/1/a/c/o", failing{bytes.NewReader(make([]byte, size))})
				r.ContentLength = length
				if expect != "" {
					r.Header.Set("Expect", expect)
				}
				resp, err := rt.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
				}
				select {
				case err := <-seen:
					if err == nil {
						t.Errorf("%d bytes announced as %d, expect %q: the node has taken it for whole", size, length, expect)
					}
				case <-time.After(50 * time.Millisecond):
					// Nothing has been sent at all, which is as good.
					if err == nil {
						t.Errorf("%d bytes announced as %d, expect %q: no error, and the node has not seen it", size, length, expect)
					}
				}
			}
		}
	}
}

func aborted(t *testing.T, start starter) {
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	resp := send(t, rt, request(t, "GET", addr, "/sdb1/1/a/c/o", nil))
	if b, err := io.ReadAll(resp.Body); string(b) != "half" || err == nil {
		t.Errorf("read %q, %v", b, err)
	}
}

func closedEarly(t *testing.T, start starter) {
	over := make(chan error, 1)
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 64<<10))
		}
		over <- err
	}))
	resp := send(t, rt, request(t, "GET", addr, "/sdb1/1/a/c/o", nil))
	io.ReadFull(resp.Body, make([]byte, 10))
	resp.Body.Close()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Error("the node goes on writing")
	}
}

func head(t *testing.T, start starter) {
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(200)
	}))
	resp := send(t, rt, request(t, "HEAD", addr, "/sdb1/1/a/c/o", nil))
	if b, err := io.ReadAll(resp.Body); resp.ContentLength != 1000 || len(b) > 0 || err != nil {
		t.Errorf("length %d, body %q, %v", resp.ContentLength, b, err)
	}
}

func quoted(t *testing.T, start starter) {
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	}))
	resp := send(t, rt, request(t, "GET", addr, "/sdb1/1/a/c/o%2F%20%3F//%C3%A9%00", nil))
	if b, _ := io.ReadAll(resp.Body); string(b) != "/sdb1/1/a/c/o/ ?//é\x00" {
		t.Errorf("got %q", b)
	}
}

// signs needs a node whose connections carry such names.
func signs(t *testing.T, start starter) {
	const key, body = "X-Object-Meta-A=5Fb", "x\r\nA=b: c=d\r\n\r\ne=f"
	rt, addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		for k, vs := range r.Header {
			if strings.HasPrefix(k, "X-Object-Meta-") {
				w.Header()[k] = vs
			}
		}
		headname.Send(r, w.Header())
		w.WriteHeader(201)
		w.Write(b)
	}))
	for _, tc := range []struct {
		expect string
		header http.Header
	}{
		{"", http.Header{key: {"a=b|c"}}},
		{"", http.Header{"X-Object-Meta-A|b": {"a=b|c"}}},
		{"100-continue", http.Header{key: {"v"}, "X-Object-Meta-Plain": {"w"}, "X-Object-Meta-=3D=": {"z"}}},
		{"100-continue", http.Header{"X-Object-Meta-Plain": {"w"}}},
		{"", http.Header{"X-Object-Meta-A|b": {"1"}, "X-Object-Meta-A(B": {"2"}, `X-Object-Meta-A"B`: {"3"}, "X-Object-Meta-(),/;<=>?@[\\]{}": {"4"}}},
	} {
		r := request(t, "PUT", addr, "/sdb1/1/a/c/o?x=y", strings.NewReader(body))
		for k, vs := range tc.header {
			r.Header[k] = vs
		}
		if tc.expect != "" {
			r.Header.Set("Expect", tc.expect)
		}
		resp := send(t, rt, r)
		b, err := io.ReadAll(resp.Body)
		got := http.Header{}
		for k, vs := range resp.Header {
			if strings.HasPrefix(k, "X-Object-Meta-") {
				got[k] = vs
			}
		}
		if resp.StatusCode != 201 || !reflect.DeepEqual(got, tc.header) || string(b) != body || err != nil {
			t.Errorf("sent %q: got %d, %q, body %q, %v", tc.header, resp.StatusCode, got, b, err)
		}
	}
}

// Refused asserts that nobody answers at addr.
func Refused(t *testing.T, rt http.RoundTripper, addr string) {
	t.Helper()
	resp, err := rt.RoundTrip(request(t, "GET", addr, "/", nil))
	if err == nil {
		resp.Body.Close()
		t.Error("somebody answered")
	} else if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the refusal took too long")
	}
}
