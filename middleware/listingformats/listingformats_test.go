package listingformats

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// recorded are answers of OpenStack Swift, with what its listing in JSON was.
type recorded struct {
	Method, Path, Query string
	Accept              []string
	Inner               struct {
		Status     int
		Type, Body string
	}
	Status int
	Header map[string]string
	Body   string
}

func TestAnswersAreSwifts(t *testing.T) {
	data, err := os.ReadFile("testdata/swift.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []recorded
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, tc := range cases {
		path, err := url.PathUnescape(tc.Path)
		if err != nil {
			t.Fatal(err)
		}
		app := mt.NewApp().
			On("GET "+path, mt.Answer{Code: tc.Inner.Status, Header: map[string]string{"Content-Type": tc.Inner.Type}, Body: tc.Inner.Body})
		if head := (mt.Answer{Code: tc.Inner.Status, Header: map[string]string{"Content-Type": tc.Inner.Type, "Content-Length": "0"}}); tc.Inner.Status == 200 {
			head.Code = 204
			app.On("HEAD "+path, head)
		} else {
			app.On("HEAD "+path, head)
		}
		accept := func(r *http.Request) { r.Header["Accept"] = tc.Accept }
		got := mt.Do(t, mt.Build(t, Filter, "", app), tc.Method, tc.Path+"?"+tc.Query, accept)
		name := fmt.Sprintf("%s %s?%s Accept %q", tc.Method, tc.Path, tc.Query, tc.Accept)
		if got.Code != tc.Status || got.Body != tc.Body {
			t.Errorf("%s:\n got %d %q\nwant %d %q", name, got.Code, got.Body, tc.Status, tc.Body)
		}
		for _, h := range []string{"Content-Type", "Content-Length", "Vary"} {
			if g := got.Header.Get(h); g != tc.Header[h] {
				t.Errorf("%s: %s is %q, want %q", name, h, g, tc.Header[h])
			}
		}
		if tc.Status == 200 && !strings.Contains(app.Last().URI, "format=json") {
			t.Errorf("%s: the app was asked for %s", name, app.Last().URI)
		}
	}
}

const page = `[{"name": "one", "hash": "h", "bytes": 1, "content_type": "t", "last_modified": "m"}]`

func TestWhatIsNoListingGoesThroughUntouched(t *testing.T) {
	jsonType := "application/json; charset=utf-8"
	for _, tc := range []struct {
		name, method, target string
		answer               mt.Answer
		vary                 string
	}{
		{"an object", "GET", "/v1/a/c/o", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: page}, ""},
		{"another version", "GET", "/v2/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: page}, ""},
		{"a version alone", "GET", "/v1", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: page}, ""},
		{"another method", "POST", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: page}, ""},
		{"another status", "GET", "/v1/a/c", mt.Answer{Code: 503, Header: map[string]string{"Content-Type": jsonType}, Body: page}, ""},
		{"another type", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": "text/html"}, Body: page}, "Accept"},
		{"another type, with Vary", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": "text/html", "Vary": "Origin"}, Body: page}, "Origin, Accept"},
		{"another type, with this Vary", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": "text/html", "Vary": "x, accept"}, Body: page}, "x, accept"},
		{"no length", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType, "Content-Length": "-"}, Body: page}, "Accept"},
		{"too long", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: strings.Repeat(" ", maxLength+1)}, "Accept"},
		{"no list", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: `{"a": 1}`}, "Accept"},
		{"a list of others", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: `["a"]`}, "Accept"},
		{"no JSON", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: `[`}, "Accept"},
		{"entries without names", "GET", "/v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: `[{"bytes": 1}]`}, "Accept"},
		{"entries without what XML shows", "GET", "/v1/a/c?format=xml", mt.Answer{Header: map[string]string{"Content-Type": jsonType}, Body: `[{"name": "x"}]`}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			app := mt.NewApp().Otherwise(tc.answer)
			got := mt.Do(t, mt.Build(t, Filter, "", app), tc.method, tc.target)
			code := max(tc.answer.Code, 200)
			if got.Code != code || got.Body != tc.answer.Body || got.Header.Get("Content-Type") != tc.answer.Header["Content-Type"] ||
				strings.Join(got.Header["Vary"], ";") != tc.vary {
				t.Errorf("%s %s: %d %.100q %v; want it as it came, Vary %q", tc.method, tc.target, got.Code, got.Body, got.Header, tc.vary)
			}
		})
	}
}

func TestReservedNamesAreLeftOut(t *testing.T) {
	const rows = `[{"name": "\u0000hidden", "hash": "h", "bytes": 1, "content_type": "t", "last_modified": "m"}, ` +
		`{"subdir": "a\u0000/"}, {"name": "seen", "hash": "h", "bytes": 1, "content_type": "t", "last_modified": "m"}]`
	host := mt.Host(t)
	logged := mt.Capture(&host)
	app := mt.NewApp().On("GET /v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": "application/json"}, Body: rows})
	h := mt.BuildOn(t, host, Filter, "", app)
	if got := mt.Get(t, h, "/v1/a/c"); got.Body != "seen\n" || got.Header.Get("Content-Length") != "5" {
		t.Errorf("%q %v, want one name", got.Body, got.Header)
	}
	if n := len(logged.Lines()); n != 2 {
		t.Errorf("%d lines logged, want 2: %s", n, logged)
	}
	if got := mt.Get(t, h, "/v1/a/c", mt.Header("X-Backend-Allow-Reserved-Names", "true")); got.Body != "\x00hidden\na\x00/\nseen\n" {
		t.Errorf("%q, want all names for one who may see them", got.Body)
	}
}

func TestTheClientsRequestIsNotChanged(t *testing.T) {
	r := httptest.NewRequest("GET", "/v1/a?prefix=x&format=xml", nil)
	inner := asJSON(r)
	if r.URL.RawQuery != "prefix=x&format=xml" || inner.URL.RawQuery != "prefix=x&format=json" {
		t.Errorf("outer %q, inner %q", r.URL.RawQuery, inner.URL.RawQuery)
	}
}

// A filter to the right may have a listing that has no other form, and refuses clients that want one.
func TestListingsOfAFormOfTheirOwn(t *testing.T) {
	const body = `[{"version_id": "1"}]`
	for _, tc := range []struct{ query, accept, seen string }{
		{"", "", ""}, {"", "text/xml", "text/xml"}, {"?format=xml", "", "application/xml"}, {"?format=plain", "text/xml", "text/plain"},
		{"?format=json", "text/xml", "application/json"}, {"?format=json", "", ""},
	} {
		var seen string
		app := mt.NewApp().On("GET /v1/a/c", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
			seen = r.Header.Get("Accept")
			request.From(r.Context()).RawListing = true
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			io.WriteString(w, body)
		}})
		res := mt.Get(t, mt.Build(t, Filter, "", app), "/v1/a/c"+tc.query, func(r *http.Request) {
			if tc.accept != "" {
				r.Header.Set("Accept", tc.accept)
			}
		})
		if seen != tc.seen || res.Body != body || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s, %s: the filter sees %q, want %q; the client gets %q %v", tc.query, tc.accept, seen, tc.seen, res.Body, res.Header)
		}
	}
}

func TestForceJSON(t *testing.T) {
	for _, tc := range []struct{ query, want string }{
		{"", "format=json"},
		{"format=xml", "format=json"},
		{"format=xml&prefix=a%26b&format=json", "prefix=a%26b&format=json"},
		{"fo%72mat=xml&limit=2", "limit=2&format=json"},
		{"&&marker=a+b&", "marker=a+b&format=json"},
		{"prefix=%zz&reverse", "prefix=%zz&reverse&format=json"},
	} {
		if got := forceJSON(tc.query); got != tc.want {
			t.Errorf("forceJSON(%q) = %q, want %q", tc.query, got, tc.want)
		}
	}
}

// TestHalfAListingIsNoListing has nodes break off in the middle.
func TestHalfAListingIsNoListing(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a short body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
			io.WriteString(w, page[:20])
		},
		"a panic in the body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(page)))
			io.WriteString(w, page[:20])
			panic(http.ErrAbortHandler)
		},
		"a panic before the head": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"a panic in a body that is no listing": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, page[:20])
			panic(http.ErrAbortHandler)
		},
	} {
		for _, format := range []string{"plain", "xml", "json"} {
			srv := httptest.NewUnstartedServer(mt.Build(t, Filter, "", answer))
			srv.Start()
			res, err := srv.Client().Get(srv.URL + "/v1/a/c?format=" + format)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(res.Body)
				res.Body.Close()
				if err == nil {
					t.Errorf("%s as %s: the client got a whole answer: %d %q", name, format, res.StatusCode, body)
				}
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s as %s: %v", name, format, err)
			}
			srv.Close()
		}
	}
}

// TestJSONIsNotHeld has the app wait until the client has the first half of the page.
func TestJSONIsNotHeld(t *testing.T) {
	seen := make(chan struct{})
	srv := httptest.NewServer(mt.Build(t, Filter, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		io.WriteString(w, page[:20])
		http.NewResponseController(w).Flush()
		select {
		case <-seen:
		case <-r.Context().Done():
		}
		io.WriteString(w, page[20:])
	})))
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + "/v1/a/c?format=json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	first := make([]byte, 20)
	if _, err := io.ReadFull(res.Body, first); err != nil {
		t.Fatal(err)
	}
	close(seen)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(first)+string(rest) != page || res.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%q, %v, %v", string(first)+string(rest), res.Header, err)
	}
}

// rows is a page of n objects in JSON.
func rows(n int) []byte {
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, listing.Separator...)
		}
		b = listing.AppendObject(b, listing.Object{
			Name: fmt.Sprintf("2024/photos/é-%08d.jpg", i), Hash: "d41d8cd98f00b204e9800998ecf8427e",
			ContentType: "image/jpeg", LastModified: "2026-11-21T23:44:41.127910", Bytes: int64(i),
		})
	}
	return append(b, ']')
}

func BenchmarkPage10000(b *testing.B) {
	body := rows(10000)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
	for _, format := range []string{"json", "plain", "xml"} {
		b.Run(format, func(b *testing.B) {
			h := mt.Build(b, Filter, "", app)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&discard{}, httptest.NewRequest("GET", "/v1/a/c?format="+format, nil))
			}
		})
	}
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header {
	if d.h == nil {
		d.h = http.Header{}
	}
	return d.h
}
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// FuzzListing holds that whatever a node says, the client gets an answer of the declared length.
func FuzzListing(f *testing.F) {
	f.Add(page, "format=xml", "")
	f.Add(`[{"subdir": "a/"}]`, "", "text/*")
	f.Add(`[{"name": null}]`, "format=plain", "")
	f.Fuzz(func(t *testing.T, body, query, accept string) {
		app := mt.NewApp().On("GET /v1/a/c", mt.Answer{Header: map[string]string{"Content-Type": "application/json"}, Body: body})
		r := httptest.NewRequest("GET", "/v1/a/c", nil)
		r.URL.RawQuery = query
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		mt.Build(t, Filter, "", app).ServeHTTP(w, r)
		if !slices.Contains([]int{200, 204, 400, 406}, w.Code) {
			t.Errorf("status %d", w.Code)
		}
		if n := w.Header().Get("Content-Length"); n != strconv.Itoa(w.Body.Len()) {
			t.Errorf("length %s, body %q", n, w.Body)
		}
	})
}
