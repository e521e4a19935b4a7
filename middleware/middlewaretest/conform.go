package middlewaretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

type suite struct {
	patience time.Duration // bounds waits that end at once unless something is wrong

	host   middleware.Host
	filter *middleware.Definition
	toml   string
	header http.Header
	path   string
	bodies bool
	allocs float64
}

// A Relaxation says what the suite cannot ask of a filter.
type Relaxation func(*suite)

// LooksAtBodies says that the filter has to read the bodies of responses, so that files cannot be sent by the kernel.
func LooksAtBodies() Relaxation { return func(s *suite) { s.bodies = true } }

// MaxAllocs bounds the allocations that the filter may add to a GET that is none of its business.
func MaxAllocs(n float64) Relaxation { return func(s *suite) { s.allocs = n } }

// Path is the object that the suite's requests are for, instead of /v1/AUTH_test/c/o.
func Path(path string) Relaxation { return func(s *suite) { s.path = path } }

// Conform runs the suite that every filter passes, with the filter's defaults, on requests for an object that are none
// of the filter's business.
func Conform(t *testing.T, filter *middleware.Definition, relax ...Relaxation) {
	t.Helper()
	ConformWith(t, Host(t), filter, "", nil, relax...)
}

// ConformWith is Conform for a filter that needs a certain host, configuration (the text of its section), or headers in
// requests to let them through.
func ConformWith(t *testing.T, host middleware.Host, filter *middleware.Definition, toml string, header http.Header, relax ...Relaxation) {
	t.Helper()
	s := newSuite(host, filter)
	s.toml, s.header = toml, header
	for _, r := range relax {
		r(s)
	}
	s.run(t)
}

func newSuite(host middleware.Host, filter *middleware.Definition) *suite {
	return &suite{patience: 10 * time.Second, host: host, filter: filter, path: "/v1/AUTH_test/c/o", allocs: -1}
}

func (s *suite) run(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"two of a kind stand in one pipeline", s.twoOfAKind},
		{"an unknown option is refused", s.unknownOption},
		{"answers go through untouched", s.answers},
		{"a large body of a GET goes through", s.largeGet},
		{"a large body of a PUT goes through", s.largePut},
		{"a flush reaches the client before the handler is done", s.flush},
		{"a file reaches the client's ReadFrom", s.sendfile},
		{"an aborted answer stays broken", s.aborted},
		{"a short answer stays broken", s.short},
		{"a request whose body breaks off does not succeed", s.brokenRequest},
		{"a cancelled request returns", s.cancelled},
		{"no goroutine is left after Close", s.goroutines},
		{"a passing GET costs little", s.costs},
	} {
		t.Run(c.name, c.run)
	}
}

func (s *suite) build(t *testing.T, app http.HandlerFunc) http.Handler {
	t.Helper()
	return BuildOn(t, s.host, s.filter, s.toml, app)
}

// serve puts the pipeline behind a real server.
func (s *suite) serve(t *testing.T, app http.HandlerFunc) (url string, client *http.Client) {
	t.Helper()
	srv := httptest.NewUnstartedServer(s.build(t, app))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	client = srv.Client()
	client.Timeout = s.patience
	client.Transport.(*http.Transport).DisableCompression = true
	t.Cleanup(func() {
		client.CloseIdleConnections()
		srv.Close()
	})
	return srv.URL, client
}

func (s *suite) request(t *testing.T, method, base string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, base+s.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range s.header {
		r.Header[k] = v
	}
	return r
}

func (s *suite) twoOfAKind(t *testing.T) {
	kind := s.filter.Kind()
	file := "[pipeline.main]\npipeline = [\"one\", \"two\", \"app\"]\n[app.app]\n"
	for _, section := range []string{"one", "two"} {
		file += fmt.Sprintf("[filter.%s]\nuse = %q\n%s\n", section, kind, s.toml)
	}
	app := NewApp().On("GET "+s.path, Answer{Body: "content"})
	h := BuildOn(t, s.host, s.filter, file, app)
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, s.path, nil)
	for k, v := range s.header {
		r.Header[k] = v
	}
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK || rec.Body.String() != "content" {
		t.Errorf("GET %s through two: %d %q, want 200 %q", s.path, rec.Code, rec.Body, "content")
	}
	if n := len(app.Calls()); n == 0 {
		t.Error("the app was not asked")
	}
}

func (s *suite) unknownOption(t *testing.T) {
	const key = "no_such_option_anywhere"
	p, err := TryBuild(s.host, s.filter, key+" = 1\n"+s.toml, http.NotFoundHandler())
	if err == nil {
		p.Close()
		t.Fatalf("%s = 1 was taken; unknown options must be refused, beware of keys that match all", key)
	}
	e, ok := errors.AsType[*config.Error](err)
	if want := "filter." + s.filter.Kind() + "." + key; !ok || e.File == "" || e.Line != 6 || e.Key != want {
		t.Errorf("unknown option: got %v, want an error at test.toml:6 about %s", err, want)
	}
}

// answers checks that status, headers and body of all sorts of answers are the client's.
func (s *suite) answers(t *testing.T) {
	for _, want := range []struct {
		method string
		code   int
		body   string
	}{
		{"GET", 200, "content"}, {"GET", 206, "ten"}, {"GET", 304, ""}, {"GET", 404, "gone"}, {"GET", 503, "busy"},
		{"HEAD", 200, ""}, {"PUT", 201, ""}, {"POST", 202, "accepted"}, {"DELETE", 204, ""},
	} {
		base, client := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("X-Object-Meta-Colour", "blue")
			w.Header().Set("Etag", "d41d8cd98f00b204e9800998ecf8427e")
			w.Header().Set("Content-Type", "application/x-test")
			if want.code != 204 && want.code != 304 {
				w.Header().Set("Content-Length", strconv.Itoa(len(want.body)))
			}
			w.WriteHeader(want.code)
			io.WriteString(w, want.body)
		})
		res, err := client.Do(s.request(t, want.method, base, nil))
		if err != nil {
			t.Errorf("%s %d: %v", want.method, want.code, err)
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != want.code || string(body) != want.body ||
			res.Header.Get("X-Object-Meta-Colour") != "blue" ||
			want.code != 304 && res.Header.Get("Content-Type") != "application/x-test" { // net/http drops it with 304
			t.Errorf("%s: got %d %v %q, %v; want %d with the app's headers and %q",
				want.method, res.StatusCode, res.Header, body, err, want.code, want.body)
		}
	}
}

// content is not the same at any two places that a lost or doubled buffer would bring together.
func content(n int) []byte {
	b := make([]byte, 0, n+16)
	for i := 0; len(b) < n; i++ {
		b = strconv.AppendInt(b, int64(i), 10)
	}
	return b[:n]
}

func (s *suite) largeGet(t *testing.T) {
	want := content(3<<20 + 17)
	for _, length := range []string{strconv.Itoa(len(want)), ""} {
		base, client := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			io.Copy(w, bytes.NewReader(want))
		})
		res, err := client.Do(s.request(t, http.MethodGet, base, nil))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(got, want) || res.Header.Get("Content-Length") != length {
			t.Errorf("GET: %d bytes of %d, equal %v, Content-Length %q, want %q, %v",
				len(got), len(want), bytes.Equal(got, want), res.Header.Get("Content-Length"), length, err)
		}
	}
}

func (s *suite) largePut(t *testing.T) {
	want := content(3<<20 + 17)
	base, client := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("PUT: the app read %d bytes of %d, equal %v, %v", len(got), len(want), bytes.Equal(got, want), err)
		}
		w.WriteHeader(http.StatusCreated)
	})
	for _, chunked := range []bool{false, true} {
		r := s.request(t, http.MethodPut, base, bytes.NewReader(want))
		if chunked {
			r.ContentLength = -1
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Errorf("PUT, chunked %v: %d, want 201", chunked, res.StatusCode)
		}
	}
}

func (s *suite) flush(t *testing.T) {
	got := make(chan struct{})
	base, client := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, "first")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		select {
		case <-got:
		case <-r.Context().Done():
		}
		io.WriteString(w, "second")
	})
	res, err := client.Do(s.request(t, http.MethodGet, base, nil))
	if err != nil {
		t.Fatalf("the head did not come before the handler was done: %v", err)
	}
	defer res.Body.Close()
	buf := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != "first" {
		t.Fatalf("what was flushed did not come before the handler was done: %q, %v", buf, err)
	}
	close(got)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "second" {
		t.Errorf("rest %q, %v; want %q", rest, err, "second")
	}
}

func (s *suite) sendfile(t *testing.T) {
	if s.bodies {
		t.Skip("the filter looks at bodies")
	}
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, content(100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	h := s.build(t, func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(name)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		w.Header().Set("Content-Length", "99999")
		if _, err := respw.Copy(w, io.LimitReader(f, 99999)); err != nil {
			t.Errorf("copy a file to the client: %v", err)
		}
	})
	w := &sink{}
	h.ServeHTTP(w, s.local(t.Context()))
	if w.files != 1 || w.body.Len() != 99999 || w.writes != 0 {
		t.Errorf("a *os.File in an *io.LimitedReader: %d reached ReadFrom as such, %d bytes, %d writes; want 1, 99999, 0",
			w.files, w.body.Len(), w.writes)
	}
}

// local is a GET for a pipeline without a network.
func (s *suite) local(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, s.path, nil)
	for k, v := range s.header {
		r.Header[k] = v
	}
	return r
}

// A sink is the client's end: it counts what net/http would send with sendfile.
type sink struct {
	header http.Header
	body   bytes.Buffer
	files  int
	writes int
}

// Header returns the header map.
func (w *sink) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader does nothing: the suite looks at bodies.
func (w *sink) WriteHeader(int) {}

// Write counts.
func (w *sink) Write(p []byte) (int, error) {
	w.writes++
	return w.body.Write(p)
}

// ReadFrom looks at what kind of reader it gets, as net/http does.
func (w *sink) ReadFrom(r io.Reader) (int64, error) {
	if l, ok := r.(*io.LimitedReader); ok {
		if _, ok := l.R.(*os.File); ok {
			w.files++
		}
	}
	return w.body.ReadFrom(r)
}

func (s *suite) aborted(t *testing.T) {
	s.mustBreak(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, "some")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	s.mustBreak(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

func (s *suite) short(t *testing.T) {
	s.mustBreak(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, "only ten b")
	})
}

// mustBreak checks that a client does not take the app's broken answer for a whole one.
func (s *suite) mustBreak(t *testing.T, app http.HandlerFunc) {
	t.Helper()
	base, client := s.serve(t, app)
	res, err := client.Do(s.request(t, http.MethodGet, base, nil))
	if err != nil {
		return
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil && res.StatusCode < 300 {
		t.Errorf("the client got a whole answer: %d %q; want a connection cut, or an error", res.StatusCode, body)
	}
}

func (s *suite) brokenRequest(t *testing.T) {
	base, _ := s.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	for _, head := range []string{"Content-Length: 100\r\n\r\nten bytes.", "Transfer-Encoding: chunked\r\n\r\na\r\nten bytes.\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(s.patience))
		var b strings.Builder
		fmt.Fprintf(&b, "PUT %s HTTP/1.1\r\nHost: test\r\n", s.path)
		s.header.Write(&b)
		io.WriteString(conn, b.String()+head)
		conn.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Errorf("PUT of a body that breaks off, %q: %v", head, err)
		}
		if strings.HasPrefix(string(got), "HTTP/1.1 2") {
			t.Errorf("PUT of a body that breaks off, %q: got %q, want an error or nothing", head, got)
		}
	}
}

func (s *suite) cancelled(t *testing.T) {
	h := s.build(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { recover() }() // the panic is the app's way to end it
		h.ServeHTTP(&sink{}, s.local(ctx))
	}()
	cancel()
	select {
	case <-done:
	case <-time.After(s.patience):
		t.Fatal("a request whose context is cancelled has not returned; does the filter pass the context on?")
	}
}

func (s *suite) goroutines(t *testing.T) {
	before := goleak.IgnoreCurrent()
	p, err := TryBuild(s.host, s.filter, s.toml, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "content")
	}))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.ServeHTTP(&sink{}, s.local(t.Context()))
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func (s *suite) costs(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(nil) })
	bare := pass(s.header)
	host := s.host
	Capture(&host) // the test's output is not what costs are about
	with := BuildOn(t, host, s.filter, s.toml, app)
	without := BuildOn(t, host, middleware.Define("nothing", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return next }}, nil
	}), "", app)
	n := testing.AllocsPerRun(200, func() { bare(with, s.path) }) - testing.AllocsPerRun(200, func() { bare(without, s.path) })
	t.Logf("%s adds %.0f allocations to a GET", s.filter.Kind(), n)
	if s.allocs >= 0 && n > s.allocs && !raceDetector {
		t.Errorf("%s adds %.0f allocations to a GET, allowed are %.0f", s.filter.Kind(), n, s.allocs)
	}
}

// pass returns a function that sends a GET through a handler at the least cost of its own.
func pass(header http.Header) func(http.Handler, string) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for k, v := range header {
		r.Header[k] = v
	}
	keep := r.Header.Clone()
	w := &nothing{header: http.Header{}}
	return func(h http.Handler, path string) {
		r.URL.Path = path
		r.RequestURI = path
		if len(r.Header) != len(keep) {
			r.Header = keep.Clone()
		}
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

type nothing struct{ header http.Header }

// Header returns the header map.
func (w *nothing) Header() http.Header { return w.header }

// WriteHeader drops the status.
func (w *nothing) WriteHeader(int) {}

// Write drops p.
func (w *nothing) Write(p []byte) (int, error) { return len(p), nil }

// Benchmark measures a GET that is none of the filter's business.
func Benchmark(b *testing.B, filter *middleware.Definition, toml string, header http.Header) {
	host := Host(b)
	Capture(&host)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(nil) })
	h := BuildOn(b, host, filter, toml, app)
	send := pass(header)
	b.ReportAllocs()
	for b.Loop() {
		send(h, "/v1/AUTH_test/c/o")
	}
}
