package versionedwrites

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// The suite does not know the lookup that comes before what is done to an object, so it is run on a container.
func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0), mt.Path("/v1/AUTH_test/c")) }

// alone is object versioning without the older way, and without symlink, so that the suite can run it.
var alone = middleware.Define("objects", struct{}{}, func(h middleware.Host, _ struct{}) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler { return newObjects(h, nil, next) }}, nil
})

func TestObjectVersioningConforms(t *testing.T) {
	mt.Conform(t, alone, mt.MaxAllocs(6), mt.Path("/v1/AUTH_test/c"))
}

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func BenchmarkObjectVersioningPass(b *testing.B) { mt.Benchmark(b, alone, "", nil) }

func TestConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  `{}`,
		"allow_versioned_writes = true":     `{"versioned_writes":{"allowed_flags":["x-versions-location","x-history-location"]}}`,
		"allow_versioned_writes = \"on\"":   `{"versioned_writes":{"allowed_flags":["x-versions-location","x-history-location"]}}`,
		"allow_versioned_writes = false":    `{}`,
		"allow_versioned_writes = \"\"":     `{}`,
		"allow_versioned_writes = \"some\"": "",
		"allow_object_versioning = true":    "object versioning requires symlinks",
		"allow_object_versioning = 2":       "",
	} {
		p, err := mt.TryBuild(mt.Host(t), Filter, text, http.NotFoundHandler())
		if err != nil {
			if want != "" && !strings.Contains(err.Error(), want) || strings.HasPrefix(want, "{") {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			continue
		}
		if got, _ := json.Marshal(p.Info().Public); string(got) != want {
			t.Errorf("%s: /info has %s, want %s", text, got, want)
		}
		p.Close()
	}
}

// What container servers with allow_versions have stored counts if nothing is said of the older way.
func TestLocationStoredByContainerServers(t *testing.T) {
	for _, tc := range []struct {
		config, stored string
		kept           bool
	}{
		{"", "X-Versions-Location", true},
		{"allow_versioned_writes = true", "X-Versions-Location", true},
		{"allow_versioned_writes = false", "X-Versions-Location", false},
		{"", "X-Container-Sysmeta-Versions-Location", false},
		{"allow_versioned_writes = true", "X-Container-Sysmeta-Versions-Location", true},
		{"allow_versioned_writes = false", "X-Container-Sysmeta-Versions-Location", false},
	} {
		app := mt.NewApp().
			On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{tc.stored: "old%20ones/x"}}).
			On("GET /v1/a/c/o", mt.Answer{Body: "old", Header: map[string]string{"X-Timestamp": "1700000000.00000", "X-Backend-Timestamp": "1"}}).
			Otherwise(mt.Answer{Code: 201})
		res := mt.Do(t, mt.Build(t, Filter, tc.config, app), "PUT", "/v1/a/c/o", mt.Body("new"))
		puts := map[string]mt.Call{}
		for _, c := range app.Calls() {
			if c.Method == "PUT" {
				puts[c.Path] = c
			}
		}
		copied, ok := puts["/v1/a/old ones/001o/1700000000.00000"]
		if res.Code != 201 || puts["/v1/a/c/o"].Body != "new" || ok != tc.kept {
			t.Errorf("%q with %s: %d after %q; kept %v, want %v", tc.config, tc.stored, res.Code, app.URIs(), ok, tc.kept)
		}
		if ok && (copied.Body != "old" || copied.Header.Get("X-Backend-Timestamp") != "" || copied.Header.Get("X-Timestamp") != "" || !copied.State.AuthOverride) {
			t.Errorf("%q: the copy is %q with %v", tc.config, copied.Body, copied.Header)
		}
	}
}

// A client must not reach hidden containers by naming one.
func TestLocationsAreNoWayToReservedNames(t *testing.T) {
	app := mt.NewApp().
		On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{sysLocation: "%00versions%00other"}}).
		On("GET /v1/a/c/o", mt.Answer{Body: "old"}).Otherwise(mt.Answer{Code: 201})
	h := mt.Build(t, Filter, "allow_versioned_writes = true", app)
	for _, method := range []string{"PUT", "DELETE"} {
		mt.Do(t, h, method, "/v1/a/c/o")
	}
	reached := 0
	for _, c := range app.Calls() {
		if strings.HasPrefix(c.Path, "/v1/a/\x00") {
			reached++
			if c.Header.Get(headerAllowReserved) != "" {
				t.Errorf("%s %q is let through", c.Method, c.Path)
			}
		}
	}
	if reached == 0 {
		t.Errorf("only %q", app.URIs())
	}
}

func TestSettingsAreRefusedWhereSwitchedOff(t *testing.T) {
	for header, want := range map[string]int{"X-Versions-Location": 412, "X-History-Location": 412, "X-Remove-Versions-Location": 201, "X-Container-Meta-A": 201} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 201})
		res := mt.Do(t, mt.Build(t, Filter, "allow_versioned_writes = false", app), "PUT", "/v1/a/c", mt.Header(header, "x"))
		if res.Code != want || want == 412 && (res.Body != "Versioned Writes is disabled" || len(app.Calls()) > 0) {
			t.Errorf("%s: %d %q after %q, want %d", header, res.Code, res.Body, app.URIs(), want)
		}
	}
}

// versioned answers as a container with versions does.
func versioned(extra map[string]string) *mt.App {
	h := map[string]string{"X-Container-Sysmeta-Versions-Enabled": "True", "X-Container-Sysmeta-Versions-Container": "%00versions%00c"}
	maps.Copy(h, extra)
	return mt.NewApp().On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: h}).On("HEAD /v1/a/\x00versions\x00c", mt.Answer{Code: 204})
}

// put uploads to a container with versions.
func put(t *testing.T, app http.Handler, options ...mt.Option) mt.Response {
	return mt.Do(t, mt.Build(t, alone, "", app), "PUT", "/v1/a/c/o", append([]mt.Option{mt.Body("new")}, options...)...)
}

func TestFailuresOfUploads(t *testing.T) {
	const text = "The versions container does not exist. You may want to re-enable object versioning."
	abort := mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "12345")
		panic(http.ErrAbortHandler)
	}}
	for _, tc := range []struct {
		name    string
		current mt.Answer // what is under the object's name
		store   mt.Answer // what becomes of the version
		code    int
		body    string
	}{
		{"no object yet", mt.Answer{Code: 404}, mt.Answer{Code: 201}, 201, ""},
		{"a link", mt.Answer{Header: map[string]string{"X-Object-Sysmeta-Versions-Symlink": "true"}}, mt.Answer{Code: 201}, 201, ""},
		{"the nodes do not say what there is", mt.Answer{Code: 503}, mt.Answer{Code: 201}, 503, ""},
		{"an object of unknown length", mt.Answer{Header: map[string]string{"Content-Length": "-"}}, mt.Answer{Code: 201}, 413, ""},
		{"an object that breaks off", abort, mt.Answer{Code: 201}, 503, ""},
		{"no hidden container", mt.Answer{Code: 404}, mt.Answer{Code: 404}, 500, text},
		{"a full disk", mt.Answer{Code: 404}, mt.Answer{Code: 507}, 503, ""},
		{"a wrong ETag", mt.Answer{Code: 404}, mt.Answer{Code: 422, Body: "unprocessable"}, 422, "unprocessable"},
		{"a version of the same time", mt.Answer{Code: 404}, mt.Answer{Code: 202}, 503, ""},
	} {
		linked := false
		app := versioned(nil).On("GET /v1/a/c/o", tc.current).Otherwise(tc.store).
			On("PUT /v1/a/c/o", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				linked = true
				w.WriteHeader(201)
			}})
		res := put(t, app)
		if res.Code != tc.code || tc.body != "" && res.Body != tc.body || linked != (tc.code == 201) {
			t.Errorf("%s: %d %q, linked %v; want %d %q", tc.name, res.Code, res.Body, linked, tc.code, tc.body)
		}
	}
}

// What is to happen to the link, and what to the version, is said by headers that must not be mixed up.
func TestHeadersOfVersionAndLink(t *testing.T) {
	app := versioned(nil).Otherwise(mt.Answer{Code: 201, Header: map[string]string{"Etag": "tag"}}).On("GET /v1/a/c/o", mt.Answer{Code: 404})
	res := put(t, app, mt.Header("Etag", "tag"), mt.Header("X-Delete-After", "9"), mt.Header("X-Object-Meta-A", "b"), mt.Header("Content-Type", "text/x; y=z"),
		mt.Header("X-Object-Manifest", "c/x"), mt.Header("X-Timestamp", "1700000000.00000"), mt.Header("X-Auth-Token", "secret"))
	if res.Code != 201 || res.Header.Get("X-Object-Version-Id") != "1700000000.00000" || res.Header.Get("Etag") != "tag" {
		t.Errorf("%d %v", res.Code, res.Header)
	}
	var version, link http.Header
	for _, c := range app.Calls() {
		switch {
		case c.Method == "PUT" && strings.HasPrefix(c.Path, "/v1/a/\x00"):
			version = c.Header
			if c.Body != "new" || !c.State.AuthOverride {
				t.Errorf("the version is %q", c.Body)
			}
		case c.Method == "PUT":
			link = c.Header
			if c.Body != "" || c.State.AuthOverride {
				t.Errorf("the link is %q, in the filter's right: %v", c.Body, c.State.AuthOverride)
			}
		}
	}
	for name, want := range map[string][2]string{
		"Etag": {"tag", ""}, "X-Delete-After": {"", "9"}, "X-Object-Meta-A": {"b", "b"}, "Content-Type": {"text/x; y=z", "text/x"},
		"X-Object-Manifest": {"c/x", ""}, "X-Timestamp": {"1700000000.00000", "1700000000.00000_0000000000000001"}, "X-Auth-Token": {"", "secret"},
		"X-Object-Sysmeta-Symlink-Target-Bytes": {"", "3"}, "X-Object-Sysmeta-Symlink-Target-Etag": {"", "tag"},
		"X-Symlink-Target": {"", "%00versions%00c/%00o%008299999999.99999"},
	} {
		if got := [2]string{version.Get(name), link.Get(name)}; got != want {
			t.Errorf("%s of version and link: %q, want %q", name, got, want)
		}
	}
}

// Nothing is read, kept or changed for who may not write.
func TestRefusedBeforeAnythingIsDone(t *testing.T) {
	for _, tc := range []struct{ method, target string }{
		{"PUT", "/v1/a/c/o"}, {"DELETE", "/v1/a/c/o"}, {"PUT", "/v1/a/c/o?version-id=1"}, {"DELETE", "/v1/a/c/o?version-id=1"},
		{"PUT", "/v1/a/c"}, {"POST", "/v1/a/c"}, {"DELETE", "/v1/a/c"},
	} {
		app := versioned(nil).Otherwise(mt.Answer{Code: 201})
		h := mt.Build(t, alone, "", app)
		r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.target, iotest.ErrReader(errors.New("read")))
		r.Header.Set("X-Versions-Enabled", "true")
		r.ContentLength = 5
		var lists []string
		state := &request.State{Infos: &request.Infos{}}
		state.Authorize = func(*http.Request) error {
			lists = append(lists, state.ACL)
			return reply.Status(http.StatusForbidden)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, request.With(r, state))
		if rec.Code != 403 || len(lists) != 1 {
			t.Errorf("%s %s: %d, asked %d times, want a 403 at once", tc.method, tc.target, rec.Code, len(lists))
		}
		for _, c := range app.Calls() {
			if c.Method != "HEAD" {
				t.Errorf("%s %s: made %s %q", tc.method, tc.target, c.Method, c.URI)
			}
		}
	}
}

func TestDeletionIsToldToFiltersToTheLeft(t *testing.T) {
	for _, code := range []int{204, 404, 503} {
		app := versioned(nil).Otherwise(mt.Answer{Code: 201}).On("GET /v1/a/c/o", mt.Answer{Code: 404}).On("DELETE /v1/a/c/o", mt.Answer{Code: code})
		res := mt.Do(t, mt.Build(t, alone, "", app), "DELETE", "/v1/a/c/o")
		told := res.Header.Get("X-Backend-Content-Type") == markerType && res.Header.Get("X-Object-Version-Id") != ""
		if res.Code != code || told != (code != 503) {
			t.Errorf("%d with %v, want %d", res.Code, res.Header, code)
		}
	}
}

// A hidden container stays unless it and the one it belongs to are empty.
func TestContainersAreDeletedTogether(t *testing.T) {
	for _, tc := range []struct {
		own, versions string
		hidden        int // status of HEAD
		deleted       bool
		code          int
	}{
		{"0", "0", 204, true, 204}, {"0", "1", 204, false, 409}, {"1", "0", 204, false, 204}, {"0", "0", 404, true, 204}, {"0", "0", 503, false, 500},
	} {
		app := versioned(map[string]string{"X-Container-Object-Count": tc.own}).Otherwise(mt.Answer{Code: 204}).
			On("HEAD /v1/a/\x00versions\x00c", mt.Answer{Code: tc.hidden, Header: map[string]string{"X-Container-Object-Count": tc.versions}})
		res := mt.Do(t, mt.Build(t, alone, "", app), "DELETE", "/v1/a/c")
		deleted := slices.Contains(app.URIs(), "DELETE /v1/a/\x00versions\x00c")
		if res.Code != tc.code || deleted != tc.deleted {
			t.Errorf("%s objects, %s versions, %d: %d, hidden one deleted: %v; want %d, %v", tc.own, tc.versions, tc.hidden, res.Code, deleted, tc.code, tc.deleted)
		}
	}
}

// If a container cannot be made, the hidden one goes again, unless it was there before.
func TestSwitchingOnIsUndone(t *testing.T) {
	for _, tc := range []struct {
		made int
		code int
		undo bool
	}{{201, 201, false}, {201, 507, true}, {202, 507, false}, {409, 204, false}, {503, 500, false}} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 204}).On("HEAD /v1/a/c", mt.Answer{Code: 404}).
			On("PUT /v1/a/\x00versions\x00c", mt.Answer{Code: tc.made}).On("PUT /v1/a/c", mt.Answer{Code: tc.code})
		res := mt.Do(t, mt.Build(t, alone, "", app), "PUT", "/v1/a/c", mt.Header("X-Versions-Enabled", "1"))
		undone := slices.Contains(app.URIs(), "DELETE /v1/a/\x00versions\x00c")
		if res.Code != tc.code || undone != tc.undo {
			t.Errorf("hidden %d, own %d: %d, undone %v, want %v", tc.made, tc.code, res.Code, undone, tc.undo)
		}
	}
}

func TestVersionIdsAreUnique(t *testing.T) {
	host := mt.Host(t)
	o := newObjects(host, nil, nil)
	seen := map[string]bool{}
	var mu sync.Mutex // guards seen
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				id := o.now().Internal()
				mu.Lock()
				if seen[id] {
					t.Errorf("%s twice", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func TestAccountListings(t *testing.T) {
	const (
		own    = `[{"name": "a", "count": 1, "bytes": 1, "last_modified": "t"}, {"subdir": "b/"}, {"name": "c", "count": 1, "bytes": 2, "last_modified": "t"}]`
		hidden = `[{"name": "\u0000versions\u0000c", "count": 5, "bytes": 40, "last_modified": "t"}, {"name": "\u0000versions\u0000bb", "count": 7, "bytes": 70, "last_modified": "t"}, {"name": "\u0000other\u0000c", "bytes": 1}]`
	)
	for _, tc := range []struct{ query, hidden, want string }{
		{"format=json", "format=json&prefix=%00versions", `[{"name": "a", "count": 1, "bytes": 1, "last_modified": "t"}, {"subdir": "b/"}, ` +
			`{"name": "bb", "count": 0, "bytes": 70, "last_modified": "t"}, {"name": "c", "count": 1, "bytes": 42, "last_modified": "t"}]`},
		{"limit=2&prefix=x&marker=a+b", "limit=2&marker=%00versions%00a+b&prefix=%00versions%00x", `[{"name": "a", "count": 1, "bytes": 1, "last_modified": "t"}, {"subdir": "b/"}]`},
		{"reverse=on&limit=1&end_marker=a", "end_marker=%00versions%00a&limit=1&prefix=%00versions&reverse=on", `[{"name": "c", "count": 1, "bytes": 42, "last_modified": "t"}]`},
	} {
		asked := ""
		app := mt.NewApp().On("GET /v1/a", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			body := own
			if r.Header.Get("X-Backend-Allow-Reserved-Names") != "" {
				body, asked = hidden, r.URL.RawQuery
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			io.WriteString(w, body)
		}})
		res := mt.Get(t, mt.Build(t, alone, "", app), "/v1/a?"+tc.query)
		if res.Body != tc.want || asked != tc.hidden || res.Header.Get("Content-Length") != strconv.Itoa(len(tc.want)) {
			t.Errorf("%s: asked for %s, want %s; got\n%s, want\n%s", tc.query, asked, tc.hidden, res.Body, tc.want)
		}
	}
}

// Versions are stored again only for S3: other clients know none that change.
func TestVersionsAreRewrittenForS3Only(t *testing.T) {
	for _, s3 := range []bool{false, true} {
		app := versioned(nil).Otherwise(mt.Answer{Code: 201, Header: map[string]string{"X-Backend-Data-Timestamp": "1.00000"}})
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/a/c/o?version-id=1.00000", nil)
		r.Header.Set("X-Backend-Rewrite-Version", "true")
		rec := httptest.NewRecorder()
		mt.Build(t, alone, "", app).ServeHTTP(rec, request.With(r, &request.State{NullVersions: s3, Infos: &request.Infos{}}))
		want := map[bool]int{false: 400, true: 202}[s3]
		if stored := slices.Contains(app.URIs(), "PUT /v1/a/\x00versions\x00c/\x00o\x009999999998.99999"); rec.Code != want || stored != s3 {
			t.Errorf("of S3 %v: %d, stored %v, want %d, after %q", s3, rec.Code, stored, want, app.URIs())
		}
	}
}

// Operators are told what is listed as a version although it is none.
func TestWhatIsLeftIsLogged(t *testing.T) {
	for _, tc := range []struct {
		method, header, value string
		own                   int // status of the write to the object's name
		logged                string
	}{
		{"PUT", "If-None-Match", "*", 412, "what is no version could not be removed"},
		{"DELETE", "X-Backend-If-Match", "*", 409, "what is no version could not be removed"},
		{"DELETE", "", "", 503, "an object that may be there is marked as deleted"},
		{"PUT", "", "", 503, ""},
		{"DELETE", "", "", 404, ""},
	} {
		app := versioned(nil).Otherwise(mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(map[string]int{"PUT": 201, "DELETE": 503}[r.Method])
		}}).On("GET /v1/a/c/o", mt.Answer{Header: map[string]string{"X-Object-Sysmeta-Versions-Symlink": "true"}}).
			On("DELETE /v1/a/c/o", mt.Answer{Code: tc.own}).On("PUT /v1/a/c/o", mt.Answer{Code: tc.own})
		if tc.value == "*" && tc.method == "PUT" {
			app.On("GET /v1/a/c/o", mt.Answer{Code: 404})
		}
		host := mt.Host(t)
		log := mt.Capture(&host)
		res := mt.Do(t, mt.BuildOn(t, host, alone, "", app), tc.method, "/v1/a/c/o", mt.Header(tc.header, tc.value), mt.Body("new"))
		lines := strings.Join(log.Lines(), "\n")
		if res.Code != tc.own || strings.Contains(lines, "WARN") != (tc.logged != "") || !strings.Contains(lines, tc.logged) {
			t.Errorf("%s with %s, %d: %d, logged %q, want %q", tc.method, tc.header, tc.own, res.Code, lines, tc.logged)
		}
	}
}
