package dlo

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { middlewaretest.Conform(t, Filter, middlewaretest.MaxAllocs(1)) }

const manifestPath = "/v1/AUTH_test/c/film"

// manifest is the answer for a manifest of the objects s/film/*.
func manifest(body string) middlewaretest.Answer {
	return middlewaretest.Answer{Body: body, Header: map[string]string{"X-Object-Manifest": "s/film/", "Etag": "x", "Content-Type": "text/x"}}
}

func listed(names ...string) middlewaretest.Answer {
	var rows []string
	for _, n := range names {
		rows = append(rows, fmt.Sprintf(`{"name": "film/%s", "bytes": 5, "hash": "%s", "content_type": "t", "last_modified": "d"}`, n, sum(strings.Repeat(n, 5))))
	}
	return middlewaretest.Answer{Body: "[" + strings.Join(rows, ", ") + "]", Header: map[string]string{"Content-Type": "application/json"}}
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// cluster has the manifest and the segments given, five letters each, in pages of two.
func cluster(names ...string) *middlewaretest.App {
	app := middlewaretest.NewApp().On("GET "+manifestPath, manifest("")).On("HEAD "+manifestPath, manifest(""))
	marker := ""
	for page := range slices.Chunk(names, 2) {
		app.On("GET /v1/AUTH_test/s?"+marker+"prefix=film%2F", listed(page...))
		marker = "marker=film%2F" + page[len(page)-1] + "&"
	}
	if len(names)%2 == 0 {
		app.On("GET /v1/AUTH_test/s?"+marker+"prefix=film%2F", listed())
	}
	for _, n := range names {
		app.On("GET /v1/AUTH_test/s/film/"+n, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", sum(strings.Repeat(n, 5)))
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(strings.Repeat(n, 5)))
		}})
	}
	return app
}

// small is a host whose listings have two entries a page.
func small(t testing.TB) middleware.Host {
	host := middlewaretest.Host(t)
	c := *host.Cluster
	c.Limits.ContainerListingLimit = 2
	host.Cluster = &c
	return host
}

func TestSeveralPages(t *testing.T) {
	for _, test := range []struct {
		name   string
		names  string
		method string
		rng    string
		code   int
		length string
		body   string
		etag   string
		asked  int // requests to the rest
	}{
		{"all of it has no length", "abcde", "GET", "", 200, "", "aaaaabbbbbcccccdddddeeeee", "x", 9},
		{"full pages to the end", "abcd", "GET", "", 200, "", "aaaaabbbbbcccccddddd", "x", 8},
		{"HEAD looks at one page", "abcde", "HEAD", "", 200, "", "", "x", 2},
		{"a range within the first page", "abcde", "GET", "bytes=3-6", 206, "4", "aabb", "x", 4},
		{"a range up to the end of the first page is not known to end there", "abc", "GET", "bytes=3-9", 200, "", "aaaaabbbbbccccc", "x", 6},
		{"a range beyond the first page", "abc", "GET", "bytes=3-12", 200, "", "aaaaabbbbbccccc", "x", 6},
		{"a range without an end", "abc", "GET", "bytes=3-", 200, "", "aaaaabbbbbccccc", "x", 6},
		{"the last bytes", "abc", "GET", "bytes=-3", 200, "", "aaaaabbbbbccccc", "x", 6},
		{"HEAD with a range within the first page", "abc", "HEAD", "bytes=3-6", 200, "", "", "x", 2},
		{"one page is complete", "a", "GET", "", 200, "5", "aaaaa", `"` + sum(sum("aaaaa")) + `"`, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := cluster(strings.Split(test.names, "")...)
			h := middlewaretest.BuildOn(t, small(t), Filter, "", app)
			res := middlewaretest.Do(t, h, test.method, manifestPath, middlewaretest.Header("Range", test.rng))
			if res.Code != test.code || res.Body != test.body || res.Header.Get("Content-Length") != test.length || res.Header.Get("Etag") != test.etag {
				t.Errorf("got %d %v %q, want %d, length %q, ETag %s, %q", res.Code, res.Header, res.Body, test.code, test.length, test.etag, test.body)
			}
			if n := len(app.Calls()); n != test.asked {
				t.Errorf("%d requests, want %d: %q", n, test.asked, app.URIs())
			}
		})
	}
}

func TestSubrequestsAreTheClients(t *testing.T) {
	app := cluster("a")
	h := middlewaretest.BuildOn(t, small(t), Filter, "", app)
	middlewaretest.Get(t, h, manifestPath, middlewaretest.Header("X-Auth-Token", "t"), middlewaretest.Header("User-Agent", "u"),
		middlewaretest.Header("If-None-Match", "y"))
	for _, c := range app.Calls()[1:] {
		if c.State.Log.Source != "DLO" || c.Header.Get("User-Agent") != "u DLO MultipartGET" || c.Header.Get("X-Auth-Token") != "t" ||
			c.Header.Get("If-None-Match") != "" || c.State.AuthOverride {
			t.Errorf("%s: source %q, headers %v", c.URI, c.State.Log.Source, c.Header)
		}
	}
}

// What the proxy's controller grants to the manifest while it serves it is not granted to the segments.
func TestRightsOnTheManifestAreNotThoseOnSegments(t *testing.T) {
	app := cluster("a")
	denied := reply.Status(http.StatusForbidden)
	app.On("GET "+manifestPath, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		s := request.From(r.Context())
		again := s.Authorize
		s.Authorize = nil
		defer func() { s.Authorize = again }()
		w.Header().Set("X-Object-Manifest", "s/film/")
		w.WriteHeader(http.StatusOK)
	}})
	h := middlewaretest.BuildOn(t, small(t), Filter, "", app)
	r := request.With(httptest.NewRequestWithContext(t.Context(), "GET", manifestPath, nil),
		&request.State{Infos: &request.Infos{}, Authorize: func(*http.Request) error { return denied }})
	h.ServeHTTP(httptest.NewRecorder(), r)
	for _, c := range app.Calls()[1:] {
		if c.State.Authorize == nil {
			t.Errorf("%s is not guarded", c.URI)
		}
	}
}

func TestSegmentsThatAreWrong(t *testing.T) {
	text := func(s string, code int, header ...string) middlewaretest.Answer {
		a := middlewaretest.Answer{Code: code, Body: s, Header: map[string]string{"Etag": sum(s)}}
		for i := 0; i < len(header); i += 2 {
			a.Header[header[i]] = header[i+1]
		}
		return a
	}
	for _, test := range []struct {
		name string
		n    string // of the segment that is wrong
		is   middlewaretest.Answer
		code int
		cut  bool
	}{
		{"the first is missing", "a", text("", 404), 409, false},
		{"the first may not be read", "a", text("", 403), 409, false},
		{"the first cannot be read now", "a", text("", 503), 503, false},
		{"the first is longer than listed", "a", text("aaaaaaaaaaaaaaaaaaaa", 200), 200, true},
		{"the second is missing", "b", text("", 404), 200, true},
		{"the second cannot be read now", "b", text("", 503), 200, true},
		{"the second is longer than listed", "b", text("bbbbbb", 200), 200, true},
		{"the second is shorter than listed", "b", text("bbbb", 200), 200, true},
		{"the second is shorter than it says", "b", text("bbbb", 200, "Content-Length", "5"), 200, true},
		{"the second breaks off", "b", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "bb")
			panic(http.ErrAbortHandler)
		}}, 200, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := middlewaretest.Host(t)
			log := middlewaretest.Capture(&host)
			app := cluster("a", "b").On("GET /v1/AUTH_test/s?prefix=film%2F", listed("a", "b"))
			app.On("GET /v1/AUTH_test/s/film/"+test.n, test.is)
			srv := httptest.NewServer(middlewaretest.BuildOn(t, host, Filter, "", app))
			defer srv.Close()
			res, err := srv.Client().Get(srv.URL + manifestPath)
			if err != nil {
				if test.cut && test.n == "a" {
					return // before anything was sent
				}
				t.Fatal(err)
			}
			defer res.Body.Close()
			_, err = io.ReadAll(res.Body)
			if res.StatusCode != test.code || (err != nil) != test.cut {
				t.Errorf("got %d, %v; want %d, cut %v", res.StatusCode, err, test.code, test.cut)
			}
			if !strings.Contains(log.String(), "/v1/AUTH_test/s/film/"+test.n) {
				t.Errorf("the log does not name the segment: %q", log)
			}
		})
	}
}

func TestAListingThatFailsOnTheWayCuts(t *testing.T) {
	for _, answer := range []middlewaretest.Answer{{Code: 503}, {Body: "[}"}, {Body: `[{"name": "x"}]`}} {
		app := cluster("a", "b", "c").On("GET /v1/AUTH_test/s?marker=film%2Fb&prefix=film%2F", answer)
		srv := httptest.NewServer(middlewaretest.BuildOn(t, small(t), Filter, "", app))
		res, err := srv.Client().Get(srv.URL + manifestPath)
		if err == nil {
			if body, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%+v: got all of %q", answer, body)
			}
			res.Body.Close()
		}
		srv.Close()
	}
}

func TestAListingThatIsNoneIsAnError(t *testing.T) {
	for _, body := range []string{"", "{}", "[1]", `[{"name": 1, "bytes": 1, "hash": ""}]`, `[{"name": "a", "bytes": -1, "hash": ""}]`,
		`[{"name": "a", "bytes": 9223372036854775807, "hash": ""}, {"name": "b", "bytes": 1, "hash": ""}]`,
		strings.Repeat(" ", 2*entrySize+1)} {
		app := cluster("a").On("GET /v1/AUTH_test/s?prefix=film%2F", middlewaretest.Answer{Body: body})
		res := middlewaretest.Get(t, middlewaretest.BuildOn(t, small(t), Filter, "", app), manifestPath)
		if res.Code != http.StatusInternalServerError {
			t.Errorf("%.60q: %d, want 500", body, res.Code)
		}
	}
}

func TestWhatTheManifestContainsIsNotRead(t *testing.T) {
	var failed error
	app := cluster("a").On("GET "+manifestPath, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Object-Manifest", "s/film/")
		n := 0
		for ; failed == nil && n < 1<<30; n += 4096 {
			_, failed = w.Write(make([]byte, 4096))
		}
		if n > 2*maxManifest {
			t.Errorf("%d bytes were taken", n)
		}
		panic(http.ErrAbortHandler) // as the proxy does
	}})
	res := middlewaretest.Get(t, middlewaretest.BuildOn(t, small(t), Filter, "", app), manifestPath)
	if res.Code != 200 || res.Body != "aaaaa" || failed == nil {
		t.Errorf("got %d %q, the write failed with %v", res.Code, res.Body, failed)
	}
}

func TestManifestsThatAPostHasSpoiled(t *testing.T) {
	for _, value := range []string{"film", "/film", "%2Ffilm"} {
		app := middlewaretest.NewApp().On("GET "+manifestPath, middlewaretest.Answer{Header: map[string]string{"X-Object-Manifest": value}})
		if res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", app), manifestPath); res.Code != http.StatusConflict {
			t.Errorf("%q: %d, want 409", value, res.Code)
		}
	}
}

// The client has the first segment while the second is not there yet, and when it goes away nothing goes on.
func TestTheFirstByteDoesNotWaitForTheSecondSegment(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan error, 1)
	app := cluster("a", "b").On("GET /v1/AUTH_test/s?prefix=film%2F", listed("a", "b"))
	app.On("GET /v1/AUTH_test/s/film/a", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "aaaaa")
		http.NewResponseController(w).Flush()
	}})
	app.On("GET /v1/AUTH_test/s/film/b", middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		gone <- r.Context().Err()
	}})
	srv := httptest.NewServer(middlewaretest.Build(t, Filter, "", app))
	defer srv.Close()
	srv.Client().Timeout = 10 * time.Second
	res, err := srv.Client().Get(srv.URL + manifestPath)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, buf); err != nil || string(buf) != "aaaaa" {
		t.Fatalf("%q, %v", buf, err)
	}
	<-asked
	res.Body.Close()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTimesAreLimited(t *testing.T) {
	var names []string
	for i := range 26 {
		names = append(names, string(rune('a'+i)))
	}
	for _, test := range []struct {
		name, toml string
		took       time.Duration
		cut        bool
	}{
		{"by default after ten", "", 15 * time.Second, false},
		{"not at all", "rate_limit_segments_per_sec = 0", 0, false},
		{"by two a second after six", "rate_limit_segments_per_sec = 2\nrate_limit_after_segment = 6", 9500 * time.Millisecond, false},
		{"at all", "max_get_time = 3.5", 3500 * time.Millisecond, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := cluster(names...).On("GET /v1/AUTH_test/s?prefix=film%2F", listed(names...))
			h := middlewaretest.Build(t, Filter, test.toml, app)
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				cut := false
				func() {
					defer func() { cut = recover() == http.ErrAbortHandler }()
					middlewaretest.Get(t, h, manifestPath)
				}()
				if took := time.Since(start); took != test.took && !test.cut || took > test.took || cut != test.cut {
					t.Errorf("took %s, cut %v; want %s, %v", took, cut, test.took, test.cut)
				}
			})
		})
	}
}

func TestManyTinySegmentsKeepMemoryFlat(t *testing.T) {
	const n = 5000
	var rows strings.Builder
	for i := range n {
		if i > 0 {
			rows.WriteString(", ")
		}
		fmt.Fprintf(&rows, `{"name": "film/%05d", "bytes": 1, "hash": "x"}`, i)
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == manifestPath:
			w.Header().Set("X-Object-Manifest", "s/film/")
		case r.URL.Path == "/v1/AUTH_test/s":
			io.WriteString(w, "["+rows.String()+"]")
		default:
			w.Header().Set("Content-Length", "1")
			io.WriteString(w, "x")
		}
	})
	res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "rate_limit_segments_per_sec = 0", app), manifestPath)
	if res.Code != 200 || len(res.Body) != n || res.Header.Get("Content-Length") != strconv.Itoa(n) {
		t.Errorf("%d with %d bytes, want %d", res.Code, len(res.Body), n)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, toml := range []string{"rate_limit_after_segment = -1", "rate_limit_segments_per_sec = -1", "max_get_time = 0"} {
		if p, err := middlewaretest.TryBuild(middlewaretest.Host(t), Filter, toml, http.NotFoundHandler()); err == nil {
			p.Close()
			t.Errorf("%s was taken", toml)
		}
	}
}

func FuzzManifestHeader(f *testing.F) {
	for _, s := range []string{"", "/", "c/p", "c//p", "c/p?x", "%2F", "c%2Fp", "c/%ZZ", "c/\x00", "a/b/c&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		container, prefix, ok := parseManifest(s)
		if ok && (container == "" || strings.Contains(container, "/")) {
			t.Errorf("%q: container %q, prefix %q", s, container, prefix)
		}
		if validManifest(s) && !strings.Contains(s, "%") && (!ok || prefix == "") {
			t.Errorf("%q may be stored but not read", s)
		}
	})
}

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, "", nil) }

func BenchmarkSegments(b *testing.B) {
	body := strings.Repeat("x", 64<<10)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case manifestPath:
			w.Header()["X-Object-Manifest"] = []string{"s/film/"}
		case "/v1/AUTH_test/s":
			io.WriteString(w, `[`+strings.Repeat(`{"name": "film/a", "bytes": 65536, "hash": "x"}, `, 9)+`{"name": "film/a", "bytes": 65536, "hash": "x"}]`)
		default:
			w.Header()["Content-Length"] = []string{"65536"}
			io.WriteString(w, body)
		}
	})
	h := middlewaretest.Build(b, Filter, "rate_limit_segments_per_sec = 0", app)
	r := httptest.NewRequest("GET", manifestPath, nil)
	b.SetBytes(10 * 64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		rec.Body = nil
		h.ServeHTTP(rec, r)
	}
}
