package upstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"encoding/pem"

	"github.com/apus-storage/apus/internal/awschunked"
	"github.com/apus-storage/apus/internal/awserr"
	"github.com/apus-storage/apus/internal/checksum"
	"github.com/apus-storage/apus/internal/sigv4"
)

var errTest = errors.New("the body turned out to be wrong")

// stored is what a store that checks everything has stored, or why it has not.
type stored struct {
	body   []byte
	header http.Header
	err    error
}

// checking is a store that checks signatures of heads and bodies, lengths and checksums, as a real one does.
func checking(t *testing.T, secure bool) (*httptest.Server, chan stored) {
	t.Helper()
	got := make(chan stored, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := decode(r)
		got <- stored{body, r.Header, err}
		if err != nil {
			w.WriteHeader(400)
		}
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, got
}

func decode(r *http.Request) ([]byte, error) {
	sig, err := sigv4.Parse(r, sigv4.Rules{Now: time.Now()})
	if err != nil {
		return nil, err
	}
	key := sigv4.Derive(testSecret, sig.Scope)
	if err := sig.Verify(key); err != nil {
		return nil, err
	}
	if !sig.Payload.Streaming() {
		return io.ReadAll(sig.Payload.Body(r.Body))
	}
	o, err := awschunked.FromHeader(r.Header, sig.Payload, sig.Chain(key))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(awschunked.NewReader(r.Body, o))
}

// caFile writes the certificate of a test server.
func caFile(t testing.TB, s *httptest.Server) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestPayloads(t *testing.T) {
	for _, test := range []struct {
		policy         string
		tls            bool
		trailers       bool // the store's
		chunks         bool
		sum            bool // the client's
		trailer        bool
		mode           string // "" for refused, "sum" for the client's
		trailerArrives bool
	}{
		{policy: "auto", sum: true, mode: "sum"},
		{policy: "auto", tls: true, sum: true, chunks: true, trailers: true, mode: "sum"},
		{policy: "auto", tls: true, mode: sigv4.UnsignedPayload},
		{policy: "auto", tls: true, trailer: true, mode: sigv4.UnsignedPayload},
		{policy: "auto", tls: true, trailer: true, trailers: true, mode: sigv4.StreamingUnsignedTrailer, trailerArrives: true},
		{policy: "auto"},
		{policy: "auto", trailer: true, trailers: true},
		{policy: "auto", chunks: true, mode: sigv4.StreamingSigned},
		{policy: "auto", chunks: true, trailer: true, mode: sigv4.StreamingSigned},
		{policy: "auto", chunks: true, trailer: true, trailers: true, mode: sigv4.StreamingSignedTrailer, trailerArrives: true},
		{policy: "signed", sum: true, mode: "sum"},
		{policy: "signed", tls: true},
		{policy: "signed", tls: true, chunks: true, mode: sigv4.StreamingSigned},
		{policy: "unsigned", sum: true, mode: sigv4.UnsignedPayload},
		{policy: "unsigned", tls: true, mode: sigv4.UnsignedPayload},
		{policy: "unsigned", tls: true, trailer: true, trailers: true, mode: sigv4.StreamingUnsignedTrailer, trailerArrives: true},
		{policy: "chunked", chunks: true, sum: true, mode: sigv4.StreamingSigned},
		{policy: "chunked", chunks: true, tls: true, trailer: true, trailers: true, mode: sigv4.StreamingSignedTrailer, trailerArrives: true},
	} {
		s, got := checking(t, test.tls)
		c := base(s.URL)
		c.Payload, c.TrailingChecksums, c.SignedChunks = test.policy, test.trailers, test.chunks
		if test.tls {
			c.CAFile = caFile(t, s)
		}
		u := open(t, c, Deps{})
		for _, size := range []int{1, 10, 64 << 10, 64<<10 + 1, 2 << 20} {
			name := fmt.Sprintf("%+v, %d bytes", test, size)
			body := strings.Repeat("z", size)
			call := put("k", body)
			call.Header = http.Header{"Content-Encoding": {"aws-chunked,gzip"}, "X-Amz-Sdk-Checksum-Algorithm": {"CRC32C"}}
			want := test.mode
			if test.sum {
				call.SHA256 = strings.ToUpper(sha(body))
			}
			if want == "sum" {
				want = sha(body)
			}
			if test.trailer {
				call.Checksum = checksum.CRC32C
			}
			resp, err := u.Send(t.Context(), call)
			if want == "" {
				if !is(err, awserr.NotImplemented) {
					t.Errorf("%s: %v, want a refusal", name, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			resp.Body.Close()
			there := <-got
			if there.err != nil || string(there.body) != body {
				t.Errorf("%s: %d bytes were stored: %v", name, len(there.body), there.err)
			}
			if mode := there.header.Get("X-Amz-Content-Sha256"); mode != want {
				t.Errorf("%s: %s, want %s", name, mode, want)
			}
			arrived := there.header.Get("X-Amz-Trailer") == "x-amz-checksum-crc32c"
			if arrived != test.trailerArrives || test.trailer && (there.header.Get("X-Amz-Sdk-Checksum-Algorithm") != "") != arrived {
				t.Errorf("%s: the trailer is announced as %q of %q", name, there.header.Get("X-Amz-Trailer"), there.header.Get("X-Amz-Sdk-Checksum-Algorithm"))
			}
			encoding := "gzip"
			if strings.HasPrefix(want, "STREAMING") {
				encoding = "aws-chunked,gzip"
			}
			if e := there.header.Get("Content-Encoding"); e != encoding {
				t.Errorf("%s: encoding %q, want %q", name, e, encoding)
			}
		}
	}
}

func TestEmptyBodies(t *testing.T) {
	s, got := checking(t, false)
	c := base(s.URL)
	c.Payload, c.SignedChunks, c.TrailingChecksums = "chunked", true, true
	u := open(t, c, Deps{})
	call := put("k", "")
	call.Checksum = checksum.CRC32
	send(t, u, call)
	there := <-got
	if there.err != nil || len(there.body) > 0 || there.header.Get("X-Amz-Content-Sha256") != sigv4.EmptyPayload || there.header.Get("X-Amz-Checksum-Crc32") != "AAAAAA==" {
		t.Errorf("%v", there)
	}
}

// handlers counts handlers that run. Unlike a sync.WaitGroup it bears with one that begins while others are waited for.
type handlers struct {
	mu   sync.Mutex // guards n
	n    int
	rest sync.Cond // n has become 0
}

func (h *handlers) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rest.L = &h.mu
	if h.n += n; h.n == 0 {
		h.rest.Broadcast()
	}
}

func (h *handlers) wait() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rest.L = &h.mu
	for h.n > 0 {
		h.rest.Wait()
	}
}

// TestWrongBodies proves that a body that turns out wrong at its end never becomes an object: the store has an incomplete request.
func TestWrongBodies(t *testing.T) {
	type maker func(size int64) io.Reader
	x := func(n int64) io.Reader { return io.LimitReader(repeat('x'), n) }
	kinds := map[string]maker{
		"an error in place of the end": func(n int64) io.Reader { return io.MultiReader(x(n), failing{errTest}) },
		"an error with the last byte":  func(n int64) io.Reader { return iotest.DataErrReader(io.MultiReader(x(n), failing{errTest})) },
		"cut short":                    func(n int64) io.Reader { return io.MultiReader(x(n-1), failing{io.ErrUnexpectedEOF}) },
		"cut at its end":               func(n int64) io.Reader { return io.MultiReader(x(n), failing{io.ErrUnexpectedEOF}) },
		"too short":                    func(n int64) io.Reader { return x(n - 1) },
		"too long":                     func(n int64) io.Reader { return x(n + 1) },
		"an error at once":             func(int64) io.Reader { return failing{errTest} },
		"byte by byte": func(n int64) io.Reader {
			return iotest.OneByteReader(io.MultiReader(x(min(n, 9999)), failing{errTest}))
		},
	}
	for _, secure := range []bool{false, true} {
		for _, h2 := range []bool{false, true} {
			if h2 && !secure {
				continue
			}
			s := httptest.NewUnstartedServer(nil)
			var whole sync.Map    // sizes of what would have been stored
			var handlers handlers // of HTTP/2, which the server does not wait for
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handlers.count(1)
				defer handlers.count(-1)
				n, err := io.Copy(io.Discard, r.Body) // as one that checks nothing
				if err == nil && n == r.ContentLength {
					whole.Store(n, true)
				}
			})
			s.EnableHTTP2 = h2
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			for _, policy := range []string{payloadUnsigned, payloadChunked, payloadSigned} {
				c := base(s.URL)
				c.Payload, c.SignedChunks, c.HTTP2 = policy, true, h2
				if secure {
					c.CAFile = caFile(t, s)
				}
				u := open(t, c, Deps{})
				for kind, body := range kinds {
					for _, size := range []int64{1, 2, 1000, 64 << 10, 100 << 10, 2 << 20} {
						call := Call{Method: "PUT", Bucket: "bucket", Key: "k", Body: body(size), Length: size}
						if policy == payloadSigned {
							call.SHA256 = sha("")
						}
						resp, err := u.Send(t.Context(), call)
						name := fmt.Sprintf("%s, %d bytes, %s, h2 %t", kind, size, policy, h2)
						if err == nil {
							t.Errorf("%s: answered %d", name, resp.StatusCode)
							resp.Body.Close()
						} else if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Canceled || !e.Started {
							t.Errorf("%s: %v", name, err)
						}
					}
				}
				u.Close()
			}
			s.Close()
			handlers.wait()
			whole.Range(func(n, _ any) bool {
				t.Errorf("an object of %d bytes would have been stored (TLS %t, h2 %t)", n, secure, h2)
				return true
			})
		}
	}
}

// TestRefusedBodies has a body's own error come out as it is, for the client.
func TestRefusedBodies(t *testing.T) {
	s, _ := checking(t, false)
	c := base(s.URL)
	c.Payload = payloadUnsigned
	u := open(t, c, Deps{})
	call := put("k", "123")
	call.Body = io.MultiReader(strings.NewReader("123"), failing{awserr.New(awserr.BadDigest, "no")})
	if _, err := u.Send(t.Context(), call); !is(err, awserr.BadDigest) {
		t.Errorf("got %v", err)
	}
}

type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

// raw is a server that answers connections with a function.
func raw(t testing.TB, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				closed := context.AfterFunc(ctx, func() { conn.Close() })
				defer closed()
				defer conn.Close()
				answer(conn)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// readHead reads a request's head.
func readHead(conn net.Conn) string {
	var b bytes.Buffer
	one := make([]byte, 1)
	for !bytes.HasSuffix(b.Bytes(), []byte("\r\n\r\n")) {
		if _, err := conn.Read(one); err != nil {
			return ""
		}
		b.Write(one)
	}
	return b.String()
}

// TestRefusedBeforeTheBody has stores refuse what is announced: not a byte of the body is read, and the answer arrives whole.
func TestRefusedBeforeTheBody(t *testing.T) {
	long := strings.Repeat("why ", 20<<10)
	for _, status := range []string{"403 Forbidden", "307 Temporary Redirect", "503 Slow Down", "404 Not Found"} {
		for _, text := range []string{"", "short", long} {
			endpoint := raw(t, func(conn net.Conn) {
				if head := readHead(conn); !strings.Contains(head, "Expect: 100-continue\r\n") {
					t.Errorf("the body is not announced: %s", head)
				}
				fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(text), text) // and the connection stays open
				if n, _ := io.Copy(io.Discard, conn); n > 0 {
					t.Errorf("%s: %d bytes of the body were sent", status, n)
				}
			})
			c := base(endpoint)
			c.Payload = payloadUnsigned
			u := open(t, c, Deps{})
			body := &countingReader{Reader: repeat('x')}
			resp, got := send(t, u, Call{Method: "PUT", Bucket: "bucket", Key: "k", Body: body, Length: 10 << 20})
			if resp.Status != status || got != text || body.n > 0 {
				t.Errorf("%s: got %s with %d bytes, want %d; %d bytes of the body were read", status, resp.Status, len(got), len(text), body.n)
			}
		}
	}
}

// TestNobodyAsksForTheBody has a store that knows nothing of Expect: it gets the body a little later.
func TestNobodyAsksForTheBody(t *testing.T) {
	const size = 2 << 20
	endpoint := raw(t, func(conn net.Conn) {
		readHead(conn)
		n, _ := io.CopyN(io.Discard, conn, size)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Got: %d\r\n\r\n", n)
	})
	c := base(endpoint)
	c.Payload, c.ExpectTimeout = payloadUnsigned, ms(20)
	u := open(t, c, Deps{})
	resp, _ := send(t, u, Call{Method: "PUT", Bucket: "bucket", Key: "k", Body: io.LimitReader(repeat('x'), size), Length: size})
	if resp.Header.Get("X-Got") != fmt.Sprint(size) {
		t.Errorf("the store has %s bytes", resp.Header.Get("X-Got"))
	}
}
