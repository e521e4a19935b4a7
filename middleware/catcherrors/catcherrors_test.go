package catcherrors

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/respw"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(2)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func TestTransactionIDs(t *testing.T) {
	for _, tc := range []struct {
		name, config, extra string
		want                string // what follows the random digits
	}{
		{"plain", "", "", "-006b022c23"},
		{"with a suffix", `trans_id_suffix = "-eu1"`, "", "-006b022c23-eu1"},
		{"with a suffix to be quoted", `trans_id_suffix = " eü:"`, "", "-006b022c23%20e%C3%83%C2%BC%3A"},
		{"with something from the client", "", "mine", "-006b022c23-mine"},
		{"with both", `trans_id_suffix = "-eu1"`, "mine", "-006b022c23-eu1-mine"},
		// The right side is what OpenStack Swift answered to this header.
		{"with too much from the client", "", "a b/\xc3\xbc~:x\"0123456789012345678901234567890",
			"-006b022c23-a%20b/%C3%83%C2%BC~%3Ax%220123456789012345678901"},
	} {
		host := mt.Host(t)
		host.Clock = clock.Func(func() time.Time { return time.Unix(0x6b022c23, 999e6) })
		app := mt.NewApp().On("GET /v1/a", mt.Answer{Code: 404, Header: map[string]string{"X-Trans-Id": "a node's"}})
		h := mt.BuildOn(t, host, Filter, tc.config, app)
		got := mt.Get(t, h, "/v1/a", mt.Header("X-Trans-Id-Extra", tc.extra))
		id := got.Header.Get("X-Trans-Id")
		if !regexp.MustCompile(`^tx[0-9a-f]{21}`+regexp.QuoteMeta(tc.want)+`$`).MatchString(id) || len(got.Header["X-Trans-Id"]) != 1 {
			t.Errorf("%s: id %q, want tx, 21 digits and %s", tc.name, got.Header["X-Trans-Id"], tc.want)
		}
		if other := got.Header.Get("X-Openstack-Request-Id"); other != id {
			t.Errorf("%s: X-Openstack-Request-Id %q, want %q", tc.name, other, id)
		}
		if seen := app.Last().State.TransID; seen != id {
			t.Errorf("%s: the app saw %q, want %q", tc.name, seen, id)
		}
		if again := mt.Get(t, h, "/v1/a").Header.Get("X-Trans-Id"); again[:23] == id[:23] {
			t.Errorf("%s: two requests are called %s", tc.name, id)
		}
	}
}

func TestPanics(t *testing.T) {
	host := mt.Host(t)
	logged := mt.Capture(&host)
	app := mt.NewApp().
		On("GET /early", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Etag", "x")
			panic("out of luck")
		}}).
		On("HEAD /early", mt.Answer{Do: func(http.ResponseWriter, *http.Request) { panic(errors.New("out of luck")) }}).
		On("GET /late", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			panic("out of luck")
		}}).
		On("GET /abort", mt.Answer{Do: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	srv := serve(t, mt.BuildOn(t, host, Filter, "", app))

	for method, body := range map[string]string{"GET": "An error occurred", "HEAD": ""} {
		got, gotBody, err := fetch(srv, method, "/early")
		id := got.Header.Get("X-Trans-Id")
		if err != nil || got.StatusCode != 500 || gotBody != body || got.Header.Get("Content-Type") != "text/plain" ||
			got.Header.Get("Content-Length") != "17" || got.Header.Get("Etag") != "" || id == "" {
			t.Errorf("%s: panic before the head: %v %q, %v", method, got, gotBody, err)
		}
		if s := logged.String(); !strings.Contains(s, id) || !strings.Contains(s, "out of luck") || !strings.Contains(s, "catcherrors_test.go") {
			t.Errorf("log has not the id, the cause and the stack:\n%s", s)
		}
	}
	before := len(logged.Lines())
	if _, body, err := fetch(srv, "GET", "/late"); err == nil {
		t.Errorf("panic after the head: the client got a whole answer %q", body)
	}
	if after := len(logged.Lines()); after != before+1 {
		t.Errorf("panic after the head: %d lines logged, want 1", after-before)
	}
	if _, body, err := fetch(srv, "GET", "/abort"); err == nil {
		t.Errorf("http.ErrAbortHandler: the client got a whole answer %q", body)
	}
	if after := len(logged.Lines()); after != before+1 {
		t.Errorf("http.ErrAbortHandler was logged: %d lines more", after-before-1)
	}
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func fetch(srv *httptest.Server, method, path string) (*http.Response, string, error) {
	r, err := http.NewRequest(method, srv.URL+path, nil)
	if err != nil {
		return nil, "", err
	}
	r.Close = true // a client repeats a GET when a connection that it has used before breaks
	res, err := srv.Client().Do(r)
	if err != nil {
		return &http.Response{Header: http.Header{}}, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// TestSurplusIsCut sends a body that is too long in every way a handler has, and looks at the bytes on the wire: nothing
// may come after the declared length, not even when the next request comes over the same connection.
func TestSurplusIsCut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content and surplus"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(limit int64) io.Reader {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if limit > 0 {
			return &io.LimitedReader{R: f, N: limit}
		}
		return f
	}
	for name, send := range map[string]func(w http.ResponseWriter) error{
		"one write": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "content and surplus"); return err },
		"two writes": func(w http.ResponseWriter) error {
			io.WriteString(w, "content")
			_, err := io.WriteString(w, "x")
			return err
		},
		"a whole file":   func(w http.ResponseWriter) error { _, err := respw.Copy(w, open(0)); return err },
		"a limited file": func(w http.ResponseWriter) error { _, err := respw.Copy(w, open(15)); return err },
		"another reader": func(w http.ResponseWriter) error {
			_, err := respw.Copy(w, strings.NewReader("content and surplus"))
			return err
		},
		"a reader, slowly": func(w http.ResponseWriter) error { _, err := respw.Copy(w, iotest.OneByteReader(open(0))); return err },
	} {
		t.Run(name, func(t *testing.T) {
			host := mt.Host(t)
			logged := mt.Capture(&host)
			var sendErr error
			app := mt.NewApp().Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "7")
				sendErr = send(w)
			}})
			srv := serve(t, mt.BuildOn(t, host, Filter, "", app))
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for range 2 {
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				if err != nil || string(body) != "content" || in.Buffered() != 0 {
					t.Errorf("got %q, %v and %d bytes more; want %q and no more", body, err, in.Buffered(), "content")
				}
			}
			if !errors.Is(sendErr, http.ErrContentLength) {
				t.Errorf("the handler got %v, want %v", sendErr, http.ErrContentLength)
			}
			if n := strings.Count(logged.String(), "longer than its length"); n != 2 {
				t.Errorf("%d lines about it, want 2:\n%s", n, logged)
			}
		})
	}
}

func TestALengthThatFitsIsLeftAlone(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter) error{
		"a write":  func(w http.ResponseWriter) error { _, err := io.WriteString(w, "content"); return err },
		"a reader": func(w http.ResponseWriter) error { _, err := respw.Copy(w, strings.NewReader("content")); return err },
		"a limited reader": func(w http.ResponseWriter) error {
			_, err := respw.Copy(w, io.LimitReader(strings.NewReader("content..."), 7))
			return err
		},
		"two limited halves": func(w http.ResponseWriter) error {
			respw.Copy(w, io.LimitReader(strings.NewReader("cont..."), 4))
			_, err := respw.Copy(w, strings.NewReader("ent"))
			return err
		},
	} {
		host := mt.Host(t)
		logged := mt.Capture(&host)
		app := mt.NewApp().Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "7")
			if err := send(w); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}})
		if got := mt.Get(t, mt.BuildOn(t, host, Filter, "", app), "/"); got.Body != "content" || len(logged.Lines()) != 0 {
			t.Errorf("%s: %q, log %q", name, got.Body, logged.Lines())
		}
	}
}

func TestShortAnswersAndHead(t *testing.T) {
	host := mt.Host(t)
	logged := mt.Capture(&host)
	app := mt.NewApp().Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(100))
		io.WriteString(w, "ten bytes.")
	}})
	srv := serve(t, mt.BuildOn(t, host, Filter, "", app))
	if _, body, err := fetch(srv, "GET", "/"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a short answer: %q, %v; want %v", body, err, io.ErrUnexpectedEOF)
	}
	if s := logged.String(); !strings.Contains(s, "shorter than its length") || !strings.Contains(s, "missing=90") {
		t.Errorf("log %q", s)
	}
	before := len(logged.Lines())
	res, body, err := fetch(srv, "HEAD", "/")
	if err != nil || body != "" || res.ContentLength != 100 || len(logged.Lines()) != before {
		t.Errorf("HEAD: %q, length %d, %v, log %q; want no body, length 100, nothing logged", body, res.ContentLength, err, logged.Lines()[before:])
	}
}
