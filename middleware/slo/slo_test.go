package slo

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { middlewaretest.Conform(t, Filter, middlewaretest.MaxAllocs(1)) }

const film = "/v1/AUTH_test/c/film"

func hash(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// A store is an app that keeps objects with their headers, as a cluster would.
type store struct {
	mu      sync.Mutex
	objects map[string]object
	calls   []string
	denied  map[string]int // "METHOD path": status
	headers map[string]http.Header
}

// has says whether an object is there.
func (s *store) has(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.objects[path]
	return there
}

type object struct {
	body   string
	header http.Header
}

func newStore() *store {
	return &store{objects: map[string]object{}, denied: map[string]int{}, headers: map[string]http.Header{}}
}

func (s *store) set(path, body string, header ...string) *store {
	h := http.Header{"Etag": {hash(body)}, "Content-Type": {"text/plain; charset=x"}, "Last-Modified": {"Sun, 01 Feb 2026 01:02:03 GMT"},
		"X-Backend-Timestamp": {"0000000001.00000"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
		if header[i+1] == "" {
			h.Del(header[i])
		}
	}
	s.objects[path] = object{body, h}
	return s
}

// manifest stores a manifest with what belongs to it.
func (s *store) manifest(path, body string, header ...string) *store {
	return s.set(path, body, append([]string{"X-Static-Large-Object", "True"}, header...)...)
}

func (s *store) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	s.headers[r.Method+" "+r.URL.Path] = r.Header.Clone()
	code := s.denied[r.Method+" "+r.URL.Path]
	o, ok := s.objects[r.URL.Path]
	s.mu.Unlock()
	r = r.Clone(r.Context()) // headers are changed below
	switch {
	case code != 0:
		w.WriteHeader(code)
	case r.Method == http.MethodPut || r.Method == "UPDATE":
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.objects[r.URL.Path] = object{string(body), r.Header.Clone()}
		s.mu.Unlock()
		w.Header().Set("Last-Modified", "Sun, 01 Feb 2026 01:02:03 GMT")
		w.WriteHeader(http.StatusCreated)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		_, ok = s.objects[r.URL.Path] // another may have come first
		delete(s.objects, r.URL.Path)
		s.mu.Unlock()
		w.WriteHeader(map[bool]int{true: http.StatusNoContent, false: http.StatusNotFound}[ok])
	default:
		maps.Copy(w.Header(), o.header)
		if r.Header.Get("X-Backend-Ignore-Range-If-Metadata-Present") != "" && o.header.Get("X-Static-Large-Object") != "" {
			r.Header.Del("Range")
		}
		etag := o.header.Get("Etag")
		if r.Header.Get("X-Backend-Etag-Is-At") != "" {
			etag = o.header.Get(r.Header.Get("X-Backend-Etag-Is-At"))
		}
		w.Header().Set("Etag", `"`+etag+`"`)
		if r.Header.Get("If-None-Match") != "" {
			r.Header.Set("If-None-Match", `"`+strings.Trim(r.Header.Get("If-None-Match"), `"`)+`"`)
		}
		http.ServeContent(quoteless{w, o.header.Get("Etag")}, r, "", time.Time{}, strings.NewReader(o.body))
	}
}

// quoteless writes the stored ETag, without the quotes that http.ServeContent wants.
type quoteless struct {
	http.ResponseWriter
	etag string
}

func (w quoteless) WriteHeader(code int) {
	w.Header().Set("Etag", w.etag)
	w.ResponseWriter.WriteHeader(code)
}

func seg(name, body string) string {
	return fmt.Sprintf(`{"name": "/s/%s", "bytes": %d, "hash": "%s", "content_type": "t", "last_modified": "d"}`, name, len(body), hash(body))
}

func sub(name string, size int) string {
	return fmt.Sprintf(`{"name": "/c/%s", "bytes": %d, "hash": "", "sub_slo": true}`, name, size)
}

func TestWhatIsStored(t *testing.T) {
	s := newStore().set("/v1/AUTH_test/s/ä 1", "aaaaa").set("/v1/AUTH_test/s/b", "bbbbb").
		manifest("/v1/AUTH_test/s/m", "["+seg("b", "bbbbb")+"]", headerETag, "inner", headerSize, "77")
	h := middlewaretest.Build(t, Filter, "", s)
	res := middlewaretest.Do(t, h, "PUT", film+".html?multipart-manifest=put",
		middlewaretest.Body(`[{"path": "/s/ä 1"}, {"path": "s/b", "range": "1-2"}, {"data": "eHg="}, {"path": "/s/m", "size_bytes": 77, "etag": "inner"}]`))
	etag := hash(hash("aaaaa") + hash("bbbbb") + ":1-2;" + hash("xx") + "inner")
	if res.Code != 201 || res.Header.Get("Etag") != `"`+etag+`"` {
		t.Fatalf("%d %v %s", res.Code, res.Header, res.Body)
	}
	got := s.objects[film+".html"]
	want := `[{"name": "/s/\u00e4 1", "bytes": 5, "hash": "` + hash("aaaaa") + `", "content_type": "text/plain", "last_modified": "2026-02-01T01:02:03.000000"}, ` +
		`{"name": "/s/b", "bytes": 5, "hash": "` + hash("bbbbb") + `", "content_type": "text/plain", "last_modified": "2026-02-01T01:02:03.000000", "range": "1-2"}, ` +
		`{"data": "eHg="}, ` +
		`{"name": "/s/m", "bytes": 77, "hash": "inner", "content_type": "text/plain", "last_modified": "2026-02-01T01:02:03.000000", "sub_slo": true}]`
	if got.body != want {
		t.Errorf("body\n%s\nwant\n%s", got.body, want)
	}
	for name, want := range map[string]string{
		"X-Object-Sysmeta-Slo-Etag": etag, "X-Object-Sysmeta-Slo-Size": "86", "X-Static-Large-Object": "True", "Etag": hash(want),
		"Content-Type": "text/html;swift_bytes=86", "Content-Length": strconv.Itoa(len(want)),
		"X-Object-Sysmeta-Container-Update-Override-Etag": hash(want) + "; slo_etag=" + etag,
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
	if n := len(s.asked()); n != 4 { // three HEADs and the PUT
		t.Errorf("%d requests, want 4", n)
	}
}

func TestAnOverrideFromFurtherLeftStays(t *testing.T) {
	s := newStore().set("/v1/AUTH_test/s/a", "a")
	h := middlewaretest.Build(t, Filter, "", s)
	const name = "X-Object-Sysmeta-Container-Update-Override-Etag"
	middlewaretest.Do(t, h, "PUT", film+"?multipart-manifest=put", middlewaretest.Body(`[{"path": "/s/a"}]`), middlewaretest.Header(name, "x; y=z"))
	if got, want := s.objects[film].header.Get(name), "x; y=z; slo_etag="+hash(hash("a")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSegmentsAreLookedAtAsTheClientAndOnce(t *testing.T) {
	s := newStore().set("/v1/AUTH_test/s/a", "a")
	h := middlewaretest.Build(t, Filter, "concurrency = 3", s)
	middlewaretest.Do(t, h, "PUT", film+"?multipart-manifest=put", middlewaretest.Header("User-Agent", "u"), middlewaretest.Header("X-Auth-Token", "t"),
		middlewaretest.Body("["+strings.Repeat(`{"path": "/s/a"}, `, 50)+`{"path": "/s/a"}]`))
	if calls := s.asked(); !slices.Equal(calls, []string{"HEAD /v1/AUTH_test/s/a", "PUT " + film}) {
		t.Error(calls)
	}
	if head := s.headers["HEAD /v1/AUTH_test/s/a"]; head.Get("User-Agent") != "u SLO MultipartPUT" || head.Get("X-Auth-Token") != "t" {
		t.Error(head)
	}
}

func TestPutsThatAreRefusedBeforeAnythingIsAsked(t *testing.T) {
	long := `[{"data": "` + strings.Repeat("A", 2000) + `"}]`
	for _, test := range []struct {
		name, body string
		header     string
		length     int64
		code       int
	}{
		{"longer than allowed", long, "", int64(len(long)), 413},
		{"longer than allowed, in chunks", long, "", -1, 413},
		{"lying about its length", long, "", 10, 400},
		{"too many segments", "[" + strings.Repeat(`{"path": "/s/a"}, `, 3) + `{"path": "/s/a"}]`, "", 70, 413},
		{"a copy", "", "X-Copy-From", 0, 405},
		{"deep", strings.Repeat("[", 900), "", 900, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore()
			h := middlewaretest.Build(t, Filter, "max_manifest_size = 1000\nmax_manifest_segments = 3", s)
			r := httptest.NewRequestWithContext(t.Context(), "PUT", film+"?multipart-manifest=put", strings.NewReader(test.body))
			if r.ContentLength = test.length; test.length == 10 {
				r.Body = io.NopCloser(io.LimitReader(r.Body, 10))
			}
			if test.header != "" {
				r.Header.Set(test.header, "c/o")
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != test.code || len(s.asked()) > 0 {
				t.Errorf("%d %s; want %d and nothing asked", rec.Code, rec.Body, test.code)
			}
		})
	}
}

func TestFaultsAreNotToldWithoutEnd(t *testing.T) {
	_, err := parseInput([]byte("["+strings.Repeat("1,", 100_000)+"1]"), apipath.Path{})
	if e := reply.As(err); e.Code != 400 || strings.Count(e.Body, "\n") != maxFaults {
		t.Errorf("%d with %d lines", e.Code, strings.Count(e.Body, "\n"))
	}
}

// A client that may not write gets no answers about segments, and its body is not read.
func TestNobodyIsServedBeforeItIsAllowed(t *testing.T) {
	s := newStore().set("/v1/AUTH_test/s/a", "a")
	h := middlewaretest.Build(t, Filter, "", s)
	const manifest = `[{"path": "/s/a"}]`
	body := strings.NewReader(manifest)
	r := httptest.NewRequestWithContext(t.Context(), "PUT", film+"?multipart-manifest=put", body)
	r = request.With(r, &request.State{Infos: &request.Infos{}, Authorize: func(*http.Request) error { return reply.Status(403) }})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if calls := s.asked(); rec.Code != 403 || body.Len() != len(manifest) || !slices.Equal(calls, []string{"HEAD /v1/AUTH_test/c"}) {
		t.Errorf("%d after %q, %d bytes unread", rec.Code, calls, body.Len())
	}
}

func TestHeartbeat(t *testing.T) {
	s := newStore().set("/v1/AUTH_test/s/a", "a")
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			time.Sleep(35 * time.Second)
		}
		s.ServeHTTP(w, r)
	})
	h := middlewaretest.Build(t, Filter, "", slow)
	synctest.Test(t, func(t *testing.T) {
		res := middlewaretest.Do(t, h, "PUT", film+"?multipart-manifest=put&heartbeat=on", middlewaretest.Body(`[{"path": "/s/a"}]`))
		want := "    \r\n\r\nEtag: \"" + hash(hash("a")) + "\"\nLast Modified: Sun, 01 Feb 2026 01:02:03 GMT\nResponse Body: \nResponse Status: 201 Created\nErrors:\n"
		if res.Code != 202 || res.Body != want {
			t.Errorf("%d %q, want %q", res.Code, res.Body, want)
		}
	})
}

func TestDelete(t *testing.T) {
	const del = film + "?multipart-manifest=delete"
	for _, test := range []struct {
		name  string
		store *store
		toml  string
		want  string
		left  []string
	}{
		{"segments, manifests and no data", largeStore(), "", "Number Deleted: 5\nNumber Not Found: 3\nResponse Body: \nResponse Status: 200 OK\nErrors:\n", nil},
		{"no segment may be deleted", func() *store {
			s := largeStore().manifest(film, "["+seg("a", "aaaaa")+"]")
			s.denied["DELETE /v1/AUTH_test/s/a"] = 403
			return s
		}(), "", "Number Deleted: 1\nNumber Not Found: 0\nResponse Body: \nResponse Status: 400 Bad Request\nErrors:\n/s/a, 403 Forbidden\n",
			[]string{"/v1/AUTH_test/c/inner", "/v1/AUTH_test/s/a", "/v1/AUTH_test/s/b", "/v1/AUTH_test/s/e"}},
		{"a server fails", func() *store {
			s := newStore().set("/v1/AUTH_test/s/a", "a").manifest(film, "["+seg("a", "a")+"]")
			s.denied["DELETE /v1/AUTH_test/s/a"] = 503
			return s
		}(), "", "Number Deleted: 1\nNumber Not Found: 0\nResponse Body: \nResponse Status: 502 Bad Gateway\nErrors:\n/s/a, 503 Service Unavailable\n", []string{"/v1/AUTH_test/s/a"}},
		{"the manifest may not be read", func() *store {
			s := newStore().manifest(film, "[]")
			s.denied["GET "+film] = 401
			return s
		}(), "", "Number Deleted: 0\nNumber Not Found: 0\nResponse Body: \nResponse Status: 400 Bad Request\nErrors:\n/c/film, 401 Unauthorized\n", []string{film}},
		{"too many segments", newStore().manifest(film, "["+strings.Repeat(seg("a", "a")+", ", 20)+seg("a", "a")+"]"), "max_manifest_segments = 2",
			"Number Deleted: 0\nNumber Not Found: 0\nResponse Body: Too many buffered slo segments to delete.\nResponse Status: 400 Bad Request\nErrors:\n", []string{film}},
		{"a manifest in itself that cannot be deleted", func() *store {
			s := newStore().manifest(film, "["+sub("film", 1)+"]")
			s.denied["DELETE "+film] = 403
			return s
		}(), "", "Number Deleted: 0\nNumber Not Found: 0\nResponse Body: \nResponse Status: 400 Bad Request\nErrors:\n" +
			"/c/film, 403 Forbidden\n", []string{film}},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, test.toml, test.store), "DELETE", del)
			got := res.Body
			if strings.Contains(test.name, "in itself") {
				// Once for each level, and the level that is too deep.
				if n := strings.Count(got, "/c/film, 403 Forbidden\n"); n != maxDepth || strings.Count(got, "nested too deep") != 1 {
					t.Errorf("got %s", got)
				}
			} else if res.Code != 200 || got != test.want {
				t.Errorf("%d\n%s\nwant\n%s", res.Code, got, test.want)
			}
			if left := slices.Sorted(maps.Keys(test.store.objects)); !slices.Equal(left, test.left) {
				t.Errorf("left are %q, want %q", left, test.left)
			}
		})
	}
}

func TestDeleteKeepsTheConnectionAlive(t *testing.T) {
	s := newStore().set("/v1/AUTH_test/s/a", "a")
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			time.Sleep(15 * time.Second)
		}
		s.ServeHTTP(w, r)
	})
	for accept, want := range map[string]string{"text/plain": " \r\n\r\nNumber", "text/xml": "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\r\n\r\n<delete>"} {
		s.manifest(film, "[]")
		h := middlewaretest.Build(t, Filter, "", slow)
		synctest.Test(t, func(t *testing.T) {
			res := middlewaretest.Do(t, h, "DELETE", film+"?multipart-manifest=delete", middlewaretest.Header("Accept", accept))
			if !strings.HasPrefix(res.Body, want) {
				t.Errorf("%s: %q, want %q...", accept, res.Body, want)
			}
		})
	}
}

func TestAsyncDelete(t *testing.T) {
	const del = film + "?multipart-manifest=delete&async=on"
	for _, test := range []struct {
		name, body string
		fail       bool
		code       int
		text       string
	}{
		{"one container", "[" + seg("a", "a") + ", " + seg("b/c", "b") + "]", false, 204, ""},
		{"nothing but data", `[{"data": "YQ=="}]`, false, 204, ""},
		{"two containers", "[" + seg("a", "a") + `, {"name": "/t/x", "bytes": 1, "hash": ""}]`, false, 400, `All segments must be in one container. Found segments in "s", "t"`},
		{"large segments", "[" + sub("inner", 1) + "]", false, 400, "No segments may be large objects."},
		{"no queue", "[" + seg("a", "a") + "]", true, 503, "*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore().manifest(film, test.body)
			var queue string
			app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "UPDATE" {
					if queue = r.URL.Path; test.fail {
						w.WriteHeader(503)
						return
					}
				}
				s.ServeHTTP(w, r)
			})
			res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "", app), "DELETE", del)
			if res.Code != test.code || test.text != "*" && res.Body != test.text {
				t.Errorf("%d %q, want %d %q", res.Code, res.Body, test.code, test.text)
			}
			if _, there := s.objects[film]; there != (test.code != 204) {
				t.Errorf("manifest is there: %v", there)
			}
			if test.name == "one container" {
				at := s.headers["DELETE "+film].Get("X-Timestamp")
				row := `{"name": "` + at + `-AUTH_test/s/%s", "deleted": 0, "created_at": "` + at + `", "etag": "d41d8cd98f00b204e9800998ecf8427e", "size": 0, "storage_policy_index": 0, "content_type": "application/async-deleted"}`
				want := "[" + fmt.Sprintf(row, "a") + ", " + fmt.Sprintf(row, "b/c") + "]"
				if diff := cmp.Diff(want, s.objects[queue].body); diff != "" || !strings.HasPrefix(queue, "/v1/.expiring_objects/") {
					t.Errorf("%s\n%s", queue, diff)
				}
			}
		})
	}
}

func TestAsyncDeleteMayBeForbidden(t *testing.T) {
	s := largeStore()
	res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "allow_async_delete = false\ndelete_concurrency = 1", s), "DELETE", film+"?multipart-manifest=delete&async=on")
	if res.Code != 200 || !strings.Contains(res.Body, "Number Deleted: 5") {
		t.Errorf("%d %q: want a deletion at once", res.Code, res.Body)
	}
}

func TestListings(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"a large object", `[{"hash": "h; slo_etag=e", "name": "n"}]`, `[{"hash": "h", "name": "n", "slo_etag": "\"e\""}]`},
		{"other parameters", `[{"hash": "h; a=b; slo_etag=e; c=d"}]`, `[{"hash": "h; a=b; c=d", "slo_etag": "\"e\""}]`},
		{"none", `[{"hash":"h"},{"subdir":"slo_etag/"}]`, `[{"hash": "h"}, {"subdir": "slo_etag/"}]`},
		{"no listing", `{"slo_etag"`, `{"slo_etag"`},
	} {
		app := middlewaretest.NewApp().On("GET /v1/AUTH_test/c", middlewaretest.Answer{Body: test.body, Header: map[string]string{"Content-Type": "application/json; charset=utf-8"}})
		res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", app), "/v1/AUTH_test/c")
		if res.Body != test.want || res.Header.Get("Content-Length") != strconv.Itoa(len(test.want)) {
			t.Errorf("%s: %s (length %s), want %s", test.name, res.Body, res.Header.Get("Content-Length"), test.want)
		}
	}
}

func TestIntegerIsPythons(t *testing.T) {
	for raw, want := range map[string]string{
		"5": "5", `"5"`: "5", `" 5 "`: "5", `"+5"`: "5", `"-5"`: "-5", `"1_0"`: "10", `"_1"`: "", `"1__0"`: "", `"5.0"`: "", "5.9": "5", "1e3": "1000",
		"true": "1", "false": "0", "null": "", "[]": "", "{}": "", `""`: "", "99999999999999999999": "9223372036854775807", "-1e30": "-9223372036854775808",
	} {
		n, ok := integer([]byte(raw))
		if got := strconv.FormatInt(n, 10); ok != (want != "") || ok && got != want {
			t.Errorf("%s: got %s, %v, want %q", raw, got, ok, want)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, toml := range []string{"max_manifest_segments = 0", "max_manifest_size = 0", "rate_limit_under_size = -1", "rate_limit_after_segment = -1",
		"rate_limit_segments_per_sec = -1", "max_get_time = 0", "concurrency = 0", "concurrency = 1001", "delete_concurrency = -1", "yield_frequency = 0",
		`expiring_objects_account_name = ""`, "expiring_objects_container_divisor = 100"} {
		if p, err := middlewaretest.TryBuild(middlewaretest.Host(t), Filter, toml, http.NotFoundHandler()); err == nil {
			p.Close()
			t.Errorf("%s was taken", toml)
		}
	}
}

func FuzzInput(f *testing.F) {
	for _, s := range []string{`[]`, `[{"path": "/c/o", "etag": "e", "size_bytes": "5", "range": "1-"}]`, `[{"data": "YQ=="}, {"path": "c/o"}]`, `{`, `[[]]`, `[{"path": 1}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		inputs, err := parseInput(body, apipath.Path{Version: "v1", Account: "a", Container: "c", Object: "o"})
		if err != nil {
			if e := reply.As(err); e.Code != 400 {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		for _, in := range inputs {
			if in.data == nil && !strings.Contains(in.object(), "/") || in.data != nil && len(in.data) == 0 {
				t.Errorf("%q: %+v", body, in)
			}
		}
	})
}

func FuzzStored(f *testing.F) {
	for _, s := range []string{`[]`, "[" + seg("a", "a") + "]", "[" + sub("a", 5) + `, {"data": "YQ"}]`, `[{"name": "/c/o", "bytes": "5", "range": "0-3", "hash": "h"}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		parts, err := parseStored(body)
		raw(body)
		if err != nil {
			return
		}
		if n, err := total(parts); err == nil && n < 0 {
			t.Errorf("%q has %d bytes", body, n)
		}
		again, err := parseStored(encode(parts))
		if err != nil || sum(again) != sum(parts) {
			t.Errorf("%q: %v", body, err)
		}
	})
}

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, "", nil) }

func BenchmarkPutManifest(b *testing.B) {
	s := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["Content-Length"] = []string{"5"}
		w.Header()["Etag"] = []string{"x"}
		w.WriteHeader(200)
	})
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `{"path": "/s/%d"},`, i)
	}
	h := middlewaretest.Build(b, Filter, "", s)
	text := "[" + strings.TrimSuffix(body.String(), ",") + "]"
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("PUT", film+"?multipart-manifest=put", strings.NewReader(text))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
