package slo

import (
	"context"
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

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// large is a store with a manifest of a manifest and everything that belongs to it.
func largeStore() *store {
	return newStore().set("/v1/AUTH_test/s/a", "aaaaa").set("/v1/AUTH_test/s/b", "bbbbb").set("/v1/AUTH_test/s/e", "").
		manifest("/v1/AUTH_test/c/inner", "["+seg("a", "aaaaa")+", "+seg("b", "bbbbb")+"]").
		manifest(film, `[`+sub("inner", 10)+`, {"data": "LS0="}, {"name": "/c/inner", "bytes": 10, "sub_slo": "true", "range": "3-6"}, `+seg("e", "")+`]`,
			headerETag, "slo", headerSize, "16")
}

func TestRangesOfNestedManifests(t *testing.T) {
	const all = "aaaaabbbbb--aabb"
	for first := range int64(len(all)) {
		for last := first; last < int64(len(all)); last++ {
			res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "rate_limit_segments_per_sec = 0", largeStore()), film,
				middlewaretest.Header("Range", fmt.Sprintf("bytes=%d-%d", first, last)))
			if want := all[first : last+1]; res.Code != 206 || res.Body != want || res.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/16", first, last) {
				t.Fatalf("%d-%d: %d %q %v, want %q", first, last, res.Code, res.Body, res.Header, want)
			}
		}
	}
}

func TestOnlyWhatIsNeededIsAskedFor(t *testing.T) {
	s := largeStore()
	h := middlewaretest.Build(t, Filter, "", s)
	for _, test := range []struct {
		name, method, header, value string
		want                        []string
	}{
		{"HEAD", "HEAD", "", "", []string{"HEAD " + film}},
		{"a range of data", "GET", "Range", "bytes=10-11", []string{"GET " + film}},
		{"a range behind data", "GET", "Range", "bytes=12-13", []string{"GET " + film, "GET /v1/AUTH_test/c/inner", "GET /v1/AUTH_test/s/a"}},
		{"a condition that is not met", "GET", "If-None-Match", "slo", []string{"GET " + film}},
		{"an unsatisfiable range", "GET", "Range", "bytes=16-", []string{"GET " + film}},
		{"all: a manifest is read once, and nothing that is empty", "GET", "", "", []string{"GET " + film, "GET /v1/AUTH_test/c/inner",
			"GET /v1/AUTH_test/s/a", "GET /v1/AUTH_test/s/b", "GET /v1/AUTH_test/s/a", "GET /v1/AUTH_test/s/b"}},
	} {
		middlewaretest.Do(t, h, test.method, film, func(r *http.Request) {
			if test.header != "" {
				r.Header.Set(test.header, test.value)
			}
		})
		if got := s.asked(); !slices.Equal(got, test.want) {
			t.Errorf("%s: asked %q, want %q", test.name, got, test.want)
		}
	}
}

func TestOldManifestsHaveNoSysmeta(t *testing.T) {
	body := "[" + seg("a", "aaaaa") + ", " + `{"name": "/c/inner", "bytes": 300, "hash": "h", "content_type": "t;swift_bytes=10", "sub_slo": true}` + "]"
	etag := hash(hash("aaaaa") + "h")
	for _, test := range []struct {
		method, header, value string
		code                  int
		length, body          string
	}{
		{"HEAD", "X-A", "b", 200, "15", ""},
		{"GET", "X-A", "b", 200, "15", "aaaaaaaaaabbbbb"},
		{"GET", "Range", "bytes=4-5", 206, "2", "aa"},
		{"GET", "If-None-Match", etag, 304, "0", ""},
		{"GET", "If-Match", "other", 412, "0", ""},
		{"HEAD", "If-None-Match", etag, 304, "0", ""},
	} {
		s := largeStore().manifest(film, body)
		res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "", s), test.method, film, middlewaretest.Header(test.header, test.value))
		if res.Code != test.code || res.Body != test.body || res.Header.Get("Content-Length") != test.length || res.Header.Get("Etag") != `"`+etag+`"` ||
			res.Header.Get("X-Manifest-Etag") != hash(body) {
			t.Errorf("%+v: got %d %q %v", test, res.Code, res.Body, res.Header)
		}
	}
}

// The client has the first segment, if that fills net/http's buffer, while the second is not there yet, and when it goes away
// nothing goes on.
func TestTheFirstByteDoesNotWaitForTheSecondSegment(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan error, 1)
	body := strings.Repeat("a", 64<<10)
	s := newStore().set("/v1/AUTH_test/s/a", body).manifest(film, "["+seg("a", body)+", "+seg("b", "bbbbb")+"]")
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/AUTH_test/s/b" {
			s.ServeHTTP(w, r)
			return
		}
		close(asked)
		<-r.Context().Done()
		gone <- r.Context().Err()
	})
	srv := httptest.NewServer(middlewaretest.Build(t, Filter, "", app))
	defer srv.Close()
	srv.Client().Timeout = 10 * time.Second
	res, err := srv.Client().Get(srv.URL + film)
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

// A manifest that is replaced while it is looked at.
func TestRefetch(t *testing.T) {
	for _, test := range []struct {
		name   string
		second middlewaretest.Answer
		code   int
		body   string
	}{
		{"a newer object that is no manifest is served", middlewaretest.Answer{Body: "plain", Header: map[string]string{"X-Backend-Timestamp": "0000000002.00000"}}, 200, "plain"},
		{"a newer deletion is served", middlewaretest.Answer{Code: 404, Header: map[string]string{"X-Backend-Timestamp": "0000000002.00000"}}, 404, ""},
		{"something older is a failure", middlewaretest.Answer{Code: 404}, 503, ""},
		{"an older object is a failure", middlewaretest.Answer{Body: "plain", Header: map[string]string{"X-Backend-Timestamp": "0000000000.50000"}}, 503, ""},
	} {
		first := middlewaretest.Answer{Code: 206, Body: "[", Header: map[string]string{"X-Static-Large-Object": "True", "X-Backend-Timestamp": "0000000001.00000", "Content-Range": "bytes 0-0/2"}}
		app := middlewaretest.NewApp().On("GET "+film, first, test.second)
		res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", app), film, middlewaretest.Header("Range", "bytes=0-0"))
		if res.Code != test.code || test.code != 503 && res.Body != test.body {
			t.Errorf("%s: %d %q, want %d %q", test.name, res.Code, res.Body, test.code, test.body)
		}
	}
}

func TestManifestsThatCannotBeRead(t *testing.T) {
	for _, body := range []string{"", "{", "{}", "[1]", "[{}]", `[{"name": "/c", "bytes": 1}]`, `[{"name": "/c/o", "bytes": -1}]`, `[{"name": "/c/o", "bytes": "x"}]`,
		`[{"name": "/c/o", "bytes": 1, "range": "5-4"}]`, `[{"name": "/c/o", "bytes": 1, "range": "x"}]`, `[{"name": "/c/o", "bytes": 1, "range": "0-9223372036854775807"}]`,
		`[{"data": "?"}]`, `[{"name": "/c/o", "bytes": 9223372036854775807}, {"name": "/c/o", "bytes": 1}]`, strings.Repeat(" ", 1<<16)} {
		for _, query := range []string{"", "?multipart-manifest=get&format=raw"} {
			if query != "" && strings.HasPrefix(body, "[{") {
				continue // is shown as it is
			}
			s := newStore().manifest(film, body)
			res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "max_manifest_size = 10\nmax_manifest_segments = 1", s), film+query)
			if res.Code != 500 || res.Body != "Unable to load SLO manifest" {
				t.Errorf("%.40q%s: %d %q", body, query, res.Code, res.Body)
			}
		}
	}
}

// What a manifest says about others is not believed.
func TestAttacksThroughManifests(t *testing.T) {
	loop := "[" + sub("film", 5) + "]"
	for _, test := range []struct {
		name  string
		store *store
		code  int
		cut   bool
	}{
		{"it points to itself", newStore().manifest(film, loop, headerETag, "e", headerSize, "5"), 409, false},
		{"two point to each other", newStore().manifest(film, "["+sub("other", 5)+"]", headerETag, "e", headerSize, "5").
			manifest("/v1/AUTH_test/c/other", strings.Repeat(" ", 9)+loop), 409, false},
		{"it points to itself later", newStore().set("/v1/AUTH_test/s/a", "a").manifest(film, "["+seg("a", "a")+", "+sub("film", 50)+"]", headerETag, "e", headerSize, "51"), 200, true},
		{"a segment grew", newStore().set("/v1/AUTH_test/s/a", "aa").manifest(film, "["+seg("a", "a")+"]", headerETag, "e", headerSize, "1"), 409, false},
		{"a segment grew but kept its ETag", newStore().set("/v1/AUTH_test/s/a", "aa", "Etag", hash("a")).manifest(film, "["+seg("a", "a")+"]", headerETag, "e", headerSize, "1"), 409, false},
		{"so did a later one", newStore().set("/v1/AUTH_test/s/b", "b").set("/v1/AUTH_test/s/a", "aa", "Etag", hash("a")).
			manifest(film, "["+seg("b", "b")+", "+seg("a", "a")+"]", headerETag, "e", headerSize, "2"), 200, true},
		{"an inner manifest is longer than was said", newStore().set("/v1/AUTH_test/s/a", "aa").manifest("/v1/AUTH_test/c/inner", "["+seg("a", "aa")+"]").
			manifest(film, "["+sub("inner", 1)+"]", headerETag, "e", headerSize, "1"), 200, false},
		{"an inner manifest is shorter than was said", newStore().set("/v1/AUTH_test/s/a", "aa").manifest("/v1/AUTH_test/c/inner", "["+seg("a", "aa")+"]").
			manifest(film, "["+sub("inner", 3)+"]", headerETag, "e", headerSize, "3"), 200, true},
		{"an inner manifest is another now", newStore().set("/v1/AUTH_test/s/a", "aa").manifest("/v1/AUTH_test/c/inner", "["+seg("a", "aa")+"]", headerETag, "new").
			manifest(film, `[{"name": "/c/inner", "bytes": 2, "hash": "old", "sub_slo": true}]`, headerETag, "e", headerSize, "2"), 409, false},
		{"an inner manifest is no manifest", newStore().set("/v1/AUTH_test/c/inner", "plain").manifest(film, "["+sub("inner", 1)+"]", headerETag, "e", headerSize, "1"), 409, false},
		{"an inner manifest is endless", newStore().set("/v1/AUTH_test/c/inner", strings.Repeat(" ", 200<<10)).manifest(film, "["+sub("inner", 1)+"]", headerETag, "e", headerSize, "1"), 409, false},
		{"it says less than it has", newStore().set("/v1/AUTH_test/s/a", "aa").manifest(film, "["+seg("a", "aa")+"]", headerETag, "e", headerSize, "1"), 200, true},
		{"it says more than it has", newStore().set("/v1/AUTH_test/s/a", "aa").manifest(film, "["+seg("a", "aa")+"]", headerETag, "e", headerSize, "100"), 200, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := httptest.NewServer(middlewaretest.Build(t, Filter, "max_manifest_size = 1000\nmax_manifest_segments = 2\nrate_limit_segments_per_sec = 0", test.store))
			defer srv.Close()
			res, err := srv.Client().Get(srv.URL + film)
			if err != nil {
				if !test.cut {
					t.Fatal(err)
				}
				return
			}
			defer res.Body.Close()
			if _, err = io.ReadAll(res.Body); res.StatusCode != test.code || (err != nil) != test.cut {
				t.Errorf("%d, %v; want %d, cut %v", res.StatusCode, err, test.code, test.cut)
			}
			if n := len(test.store.asked()); n > 25 {
				t.Errorf("%d requests were made", n)
			}
		})
	}
}

func TestTenLevelsCanBeRead(t *testing.T) {
	for depth, want := range map[int]int{9: 200, 10: 409} {
		s := newStore().set("/v1/AUTH_test/s/a", "a").manifest("/v1/AUTH_test/c/0", "["+seg("a", "a")+"]")
		for i := range depth {
			s.manifest(fmt.Sprintf("/v1/AUTH_test/c/%d", i+1), "["+sub(strconv.Itoa(i), 1)+"]", headerETag, "e", headerSize, "1")
			s.objects[fmt.Sprintf("/v1/AUTH_test/c/%d", i)].header.Del(headerETag)
		}
		s.objects[fmt.Sprintf("/v1/AUTH_test/c/%d", depth)].header.Set(headerETag, "e")
		res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", s), fmt.Sprintf("/v1/AUTH_test/c/%d", depth))
		if res.Code != want {
			t.Errorf("%d manifests within manifests: %d, want %d", depth, res.Code, want)
		}
	}
}

// What the proxy's controller grants to the manifest while it serves it is not granted to the segments.
func TestRightsOnTheManifestAreNotThoseOnSegments(t *testing.T) {
	s := largeStore()
	unguarded := []string{}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := request.From(r.Context())
		if state.Authorize == nil {
			unguarded = append(unguarded, r.URL.Path)
		}
		again := state.Authorize
		state.Authorize = nil
		defer func() { state.Authorize = again }()
		s.ServeHTTP(w, r)
	})
	h := middlewaretest.Build(t, Filter, "", app)
	r := request.With(httptest.NewRequestWithContext(t.Context(), "GET", film, nil),
		&request.State{Infos: &request.Infos{}, Authorize: func(*http.Request) error { return nil }})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Body.String() != "aaaaabbbbb--aabb" || len(unguarded) > 0 {
		t.Errorf("%q; not guarded: %q", rec.Body, unguarded)
	}
}

func TestSmallSegmentsAreReadAtALimitedRate(t *testing.T) {
	body := "[" + strings.Repeat(seg("a", "aaaaa")+", ", 25) + `{"data": "YQ=="}]`
	for toml, want := range map[string]time.Duration{"": 14 * time.Second, "rate_limit_under_size = 5": 0, "rate_limit_after_segment = 20": 4 * time.Second} {
		h := middlewaretest.Build(t, Filter, toml, largeStore().manifest(film, body))
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			res := middlewaretest.Get(t, h, film)
			if took := time.Since(start); took != want || len(res.Body) != 126 {
				t.Errorf("%q: %d bytes took %s, want %s", toml, len(res.Body), took, want)
			}
		})
	}
}
