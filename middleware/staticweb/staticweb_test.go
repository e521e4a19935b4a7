package staticweb

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/pull"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// by makes the request one that an auth filter has looked at. It lets everybody do everything.
func by(user string) mt.Option {
	return func(r *http.Request) {
		*r = *request.With(r, &request.State{User: user, Infos: &request.Infos{}, Authorize: func(*http.Request) error { return nil }})
	}
}

var anonymous = by("")

// site is an app with a container that looks as the pairs of names and values say.
func site(pairs ...string) *mt.App {
	h := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		h["X-Container-Meta-Web-"+pairs[i]] = pairs[i+1]
	}
	return mt.NewApp().On("HEAD /v1/a", mt.Answer{Code: 204}).On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: h}).
		On("GET /v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": "application/json"}, Body: "[]"})
}

func stored(body string) mt.Answer {
	return mt.Answer{Header: map[string]string{"Content-Type": "text/html"}, Body: body}
}

func TestWhatIsNoSite(t *testing.T) {
	auth := func(r *http.Request) { r.Header.Set("X-Auth-Token", "x") }
	for _, tc := range []struct {
		name, method, target string
		option               mt.Option
	}{
		{"a user's request", "GET", "/v1/a/c", by("a:b,a")},
		{"a user's request with a web mode of no", "GET", "/v1/a/c", func(r *http.Request) { by("a:b,a")(r); r.Header.Set("X-Web-Mode", "false") }},
		{"a subrequest of a filter to the left", "GET", "/v1/a/c", by(request.PreAuthed)},
		{"a request that no auth filter has seen", "GET", "/v1/a/c", auth},
		{"a write", "PUT", "/v1/a/c/o", anonymous},
		{"OPTIONS", "OPTIONS", "/v1/a/c/o", anonymous},
		{"an account", "GET", "/v1/a", anonymous},
		{"an account with a slash", "GET", "/v1/a/", anonymous},
		{"another version", "GET", "/v9/a/c", anonymous},
		{"another path", "GET", "/info", anonymous},
		{"an empty container", "GET", "/v1/a//o", anonymous},
	} {
		app := site("Listings", "true", "Index", "i").Otherwise(mt.Answer{Code: 299})
		app.On("GET /v1/a/c", mt.Answer{Code: 299})
		got := mt.Do(t, mt.Build(t, Filter, "", app), tc.method, tc.target, tc.option)
		if uris := app.URIs(); got.Code != 299 || !slices.Equal(uris, []string{tc.method + " " + tc.target}) {
			t.Errorf("%s: got %d, the app was asked for %q", tc.name, got.Code, uris)
		}
	}
}

func TestItSaysOnceThatThereIsNoAuthFilter(t *testing.T) {
	host := mt.Host(t)
	log := mt.Capture(&host)
	h := mt.BuildOn(t, host, Filter, "", mt.NewApp())
	for range 3 {
		mt.Get(t, h, "/v1/a/c")
		mt.Get(t, h, "/v1/a/c/o")
	}
	if lines := log.Lines(); len(lines) != 1 || !strings.Contains(lines[0], "no auth filter") {
		t.Errorf("log: %q", lines)
	}
}

func TestWhereRedirectsLead(t *testing.T) {
	for _, tc := range []struct{ base, host, want string }{
		{"", "example.com", "http://example.com/v1/a/c/"},
		{"", "example.com:80", "http://example.com/v1/a/c/"},
		{"", "example.com:443", "http://example.com:443/v1/a/c/"},
		{"", "[::1]:8080", "http://[::1]:8080/v1/a/c/"},
		{"", "", "/v1/a/c/"},
		{"https://www.example.org", "example.com:8080", "https://www.example.org/v1/a/c/"},
		{"https://www.example.org:444/", "example.com:8080", "https://www.example.org:444/v1/a/c/"},
		{"https:", "example.com:443", "https://example.com/v1/a/c/"},
		{"//www.example.org:99", "example.com", "http://www.example.org:99/v1/a/c/"},
	} {
		config := ""
		if tc.base != "" {
			config = fmt.Sprintf("url_base = %q", tc.base)
		}
		got := mt.Get(t, mt.Build(t, Filter, config, site("Listings", "true")), "/v1/a/c?x=y", anonymous, func(r *http.Request) { r.Host = tc.host })
		if l := got.Header.Get("Location"); got.Code != 301 || l != tc.want {
			t.Errorf("url_base %q, host %q: got %d %s, want %s", tc.base, tc.host, got.Code, l, tc.want)
		}
	}
}

func TestBadBasesAreRefused(t *testing.T) {
	for _, base := range []string{"www.example.org", "ftp://www.example.org", "https://u:p@www.example.org", "https://h/path", "https://h?x", "https://h/#f", "https:x", "://", "/x", "%"} {
		p, err := mt.TryBuild(mt.Host(t), Filter, fmt.Sprintf("url_base = %q", base), mt.NewApp())
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "test.toml:6") || !strings.Contains(err.Error(), "url_base") {
			t.Errorf("url_base %q: got %v, want an error of line 6", base, err)
		}
	}
}

func TestInfo(t *testing.T) {
	got, err := json.Marshal(mt.BuildOn(t, mt.Host(t), Filter, "", mt.NewApp()).Info().Public["staticweb"])
	if err != nil || string(got) != "{}" {
		t.Errorf("/info: got %s, %v", got, err)
	}
}

// TestSubrequests checks what the rest of the pipeline is asked, and in whose name.
func TestSubrequests(t *testing.T) {
	for _, tc := range []struct {
		name, target string
		want         []string // without the lookups
	}{
		{"a listing", "/v1/a/c/", []string{"GET /v1/a/c/index", "GET /v1/a/c?delimiter=%2F"}},
		{"a directory", "/v1/a/c/d/", []string{"GET /v1/a/c/d/", "GET /v1/a/c/d/index", "GET /v1/a/c?delimiter=%2F&prefix=d%2F", "GET /v1/a/c/404error"}},
		{"what may be one", "/v1/a/c/d", []string{"GET /v1/a/c/d", "HEAD /v1/a/c/d/index", "GET /v1/a/c?delimiter=%2F&limit=1&prefix=d%2F", "GET /v1/a/c/404error"}},
	} {
		app := site("Listings", "true", "Index", "index", "Error", "error")
		mt.Get(t, mt.Build(t, Filter, "", app), tc.target, anonymous, mt.Header("User-Agent", "curl"), mt.Header("X-Auth-Token", "t"),
			mt.Header("Range", "bytes=0-1"), mt.Header("Referer", "http://r/"))
		var asked []string
		for _, c := range app.Calls() {
			if c.State.User == request.PreAuthed {
				continue
			}
			asked = append(asked, c.Method+" "+c.URI)
			own := c.URI != tc.target && !strings.HasSuffix(c.URI, "/index") || c.Method == "HEAD"
			if own && (c.State.Log.Source != "SW" || c.Header.Get("User-Agent") != "curl StaticWeb" || c.Header.Get("Range") != "") {
				t.Errorf("%s: %s has source %q and %v", tc.name, c.URI, c.State.Log.Source, c.Header)
			}
			if !own && c.Header.Get("Range") == "" {
				t.Errorf("%s: %s has no range, %v", tc.name, c.URI, c.Header)
			}
			if c.Header.Get("X-Auth-Token") != "t" || c.Header.Get("Referer") != "http://r/" || c.State.AuthOverride || c.State.Authorize == nil {
				t.Errorf("%s: %s is not asked in the client's name: %v", tc.name, c.URI, c.Header)
			}
		}
		if !slices.Equal(asked, tc.want) {
			t.Errorf("%s: the app was asked for %q, want %q", tc.name, asked, tc.want)
		}
	}
}

func TestTheIndexIsAskedForAsTheClientAsked(t *testing.T) {
	app := site("Index", "index").On("GET /v1/a/c/d/", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Backend-Etag-Is-At", "x")
		reply.Write(w, r, reply.Status(http.StatusNotFound))
	}})
	mt.Get(t, mt.Build(t, Filter, "", app), "/v1/a/c/d/?x=y", anonymous, mt.Header("If-None-Match", "e"))
	last := app.Last()
	if last.URI != "/v1/a/c/d/index?x=y" || last.Header.Get("If-None-Match") != "e" || last.Header.Get("X-Backend-Etag-Is-At") != "" {
		t.Errorf("%s with %v", last.URI, last.Header)
	}
}

// TestEveryStepIsDecidedByTheAuthFilter lets it refuse one path after the other.
func TestEveryStepIsDecidedByTheAuthFilter(t *testing.T) {
	for _, tc := range []struct {
		denied, target string
		code           int
		body           string
	}{
		{"", "/v1/a/c/", 200, "top"},
		{"/v1/a/c", "/v1/a/c/", 401, "401 page"},
		{"/v1/a/c/index", "/v1/a/c/", 401, "401 page"},
		{"/v1/a/c /v1/a/c/401error", "/v1/a/c/", 401, "<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>"},
		{"/v1/a/c", "/v1/a/c/d/", 401, "401 page"},
		{"/v1/a/c/404error", "/v1/a/c/d/", 404, "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"},
		{"/v1/a/c", "/v1/a/c/d", 404, "404 page"},
		{"/v1/a/c/d/index", "/v1/a/c/d", 401, "<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>"},
	} {
		state := &request.State{Infos: &request.Infos{}, Authorize: func(r *http.Request) error {
			if slices.Contains(strings.Fields(tc.denied), strings.TrimSuffix(r.URL.Path, "/")) {
				return reply.Status(http.StatusUnauthorized)
			}
			return nil
		}}
		pages := map[string]string{"/v1/a/c/index": "top", "/v1/a/c/404error": "404 page", "/v1/a/c/401error": "401 page", "/v1/a/c": "[]"}
		app := mt.NewApp().On("HEAD /v1/a", mt.Answer{Code: 204}).On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{
			"X-Container-Meta-Web-Index": "index", "X-Container-Meta-Web-Listings": "on", "X-Container-Meta-Web-Error": "error"}})
		app.Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			if err := request.From(r.Context()).Authorize(r); err != nil {
				reply.Write(w, r, err)
				return
			}
			if body, ok := pages[r.URL.Path]; ok {
				io.WriteString(w, body)
				return
			}
			reply.Write(w, r, reply.Status(http.StatusNotFound))
		}})
		got := mt.Get(t, mt.Build(t, Filter, "", app), tc.target, func(r *http.Request) { *r = *request.With(r, state) })
		if got.Code != tc.code || got.Body != tc.body {
			t.Errorf("%s, %q denied: got %d %q, want %d %q", tc.target, tc.denied, got.Code, got.Body, tc.code, tc.body)
		}
	}
}

func TestAFailureIsNoAbsence(t *testing.T) {
	for _, tc := range []struct {
		name, target string
		change       func(*mt.App)
		code         int
	}{
		{"the listing fails", "/v1/a/c/", func(a *mt.App) { a.On("GET /v1/a/c", mt.Answer{Code: 503}) }, 503},
		{"the listing fails when a directory is looked for", "/v1/a/c/d", func(a *mt.App) { a.On("GET /v1/a/c", mt.Answer{Code: 503}) }, 503},
		{"the listing is no JSON", "/v1/a/c/", func(a *mt.App) { a.On("GET /v1/a/c", mt.Answer{Body: "{"}) }, 500},
		{"the listing breaks off", "/v1/a/c/", func(a *mt.App) {
			a.On("GET /v1/a/c", mt.Answer{Header: map[string]string{"Content-Length": "9"}, Body: "[]"})
		}, 500},
		{"the index fails", "/v1/a/c/", func(a *mt.App) { a.On("GET /v1/a/c/index", mt.Answer{Code: 503}) }, 503},
		{"the index of a directory fails", "/v1/a/c/d/", func(a *mt.App) { a.On("GET /v1/a/c/d/index", mt.Answer{Code: 503}) }, 503},
		{"the index fails when a directory is looked for", "/v1/a/c/d", func(a *mt.App) { a.On("HEAD /v1/a/c/d/index", mt.Answer{Code: 503}) }, 503},
		{"the object fails", "/v1/a/c/d", func(a *mt.App) { a.On("GET /v1/a/c/d", mt.Answer{Code: 503}) }, 503},
		{"an error is long", "/v1/a/c/", func(a *mt.App) { a.On("GET /v1/a/c/index", mt.Answer{Code: 503, Body: strings.Repeat("x", 1<<20)}) }, 503},
	} {
		app := site("Listings", "true", "Index", "index")
		tc.change(app)
		got := mt.Get(t, mt.Build(t, Filter, "", app), tc.target, anonymous)
		if got.Code != tc.code || len(got.Body) > maxKept {
			t.Errorf("%s: got %d and %d bytes, want %d", tc.name, got.Code, len(got.Body), tc.code)
		}
	}
}

// TestBodiesStream checks that nothing of what is stored is held: the client has the first bytes before the last are there.
func TestBodiesStream(t *testing.T) {
	for _, tc := range []struct{ name, target, streams string }{
		{"an object", "/v1/a/c/o", "/v1/a/c/o"},
		{"an index", "/v1/a/c/", "/v1/a/c/index"},
		{"the index of a directory", "/v1/a/c/d/", "/v1/a/c/d/index"},
		{"an error page", "/v1/a/c/nothing", "/v1/a/c/404error"},
	} {
		app := site("Index", "index", "Error", "error")
		pages := 0
		app.On("GET "+tc.streams, mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			for ; pages < 100; pages++ {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}})
		r := httptest.NewRequestWithContext(t.Context(), "GET", tc.target, nil)
		anonymous(r)
		res, err := pull.Do(mt.Build(t, Filter, "", app), r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil || pages > 1 {
			t.Errorf("%s: %d writes before the first byte was read, %v", tc.name, pages, err)
		}
		n, err := io.Copy(io.Discard, struct{ io.Reader }{res.Body})
		if err != nil || n != 100*64<<10-1 {
			t.Errorf("%s: got %d bytes, %v", tc.name, n, err)
		}
		res.Body.Close()
	}
}

func TestHeadsAreThoseOfGet(t *testing.T) {
	for _, target := range []string{"/v1/a/c/", "/v1/a/c/d/", "/v1/a/c/x/", "/v1/a/c/nothing", "/v1/a/c/i/"} {
		app := site("Listings", "true", "Index", "index", "Error", "error").
			On("GET /v1/a/c?delimiter=/", mt.Answer{Body: `[{"subdir": "d/"}]`}).
			On("GET /v1/a/c?delimiter=/&prefix=d/", mt.Answer{Body: `[{"subdir": "d/e/"}]`})
		for _, method := range []string{"GET ", "HEAD "} {
			app.On(method+"/v1/a/c/404error", stored("<h1>not found</h1>")).On(method+"/v1/a/c/i/index", stored("<h1>index</h1>"))
		}
		h := mt.Build(t, Filter, "", app)
		get, head := mt.Get(t, h, target, anonymous), mt.Do(t, h, "HEAD", target, anonymous)
		if head.Code != get.Code || !maps.EqualFunc(head.Header, get.Header, slices.Equal) || head.Body != "" {
			t.Errorf("%s: HEAD %d %v %q, GET %d %v", target, head.Code, head.Header, head.Body, get.Code, get.Header)
		}
		if n := get.Header.Get("Content-Length"); n != fmt.Sprint(len(get.Body)) {
			t.Errorf("%s: Content-Length %s of %d bytes", target, n, len(get.Body))
		}
	}
}
