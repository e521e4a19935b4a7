package servercopy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { middlewaretest.Conform(t, Filter, middlewaretest.MaxAllocs(0)) }

const (
	src = "/v1/AUTH_test/c/o"
	dst = "/v1/AUTH_test/d/p"
)

// run copies src to dst over an app that answers the GET as told, and returns the answer, the GET and the PUT.
func run(t *testing.T, source middlewaretest.Answer, query string, options ...middlewaretest.Option) (res middlewaretest.Response, get, put middlewaretest.Call) {
	t.Helper()
	app := middlewaretest.NewApp().On("GET "+src, source).On("PUT "+dst, middlewaretest.Answer{Code: http.StatusCreated})
	h := middlewaretest.Build(t, Filter, "", app)
	res = middlewaretest.Do(t, h, "COPY", src+query, append(options, middlewaretest.Header("Destination", "d/p"))...)
	for _, c := range app.Calls() {
		if c.Method == http.MethodGet {
			get = c
		} else {
			put = c
		}
	}
	return res, get, put
}

func TestWhatIsAskedOfTheRest(t *testing.T) {
	const etag = "9a0364b9e99bb480dd25e1f0284c8555" // of "content"
	with := func(pairs ...string) map[string]string {
		h := map[string]string{"Etag": etag, "Content-Type": "text/x", "X-Object-Sysmeta-Container-Update-Override-Etag": "o",
			"X-Object-Sysmeta-A": "a", "X-Object-Transient-Sysmeta-B": "b", "X-Backend-Timestamp": "1", "X-Timestamp": "1", "X-Trans-Id": "tx"}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = pairs[i+1]
		}
		return h
	}
	for _, test := range []struct {
		name     string
		source   middlewaretest.Answer
		query    string
		header   []string
		getQuery string
		putQuery string
		put      map[string]string // "" for headers that must not be there
	}{
		{
			name: "plain object", source: middlewaretest.Answer{Body: "content", Header: with()},
			put: map[string]string{"Etag": etag, "Content-Type": "text/x", "X-Object-Sysmeta-A": "a", "X-Object-Transient-Sysmeta-B": "b",
				"X-Object-Sysmeta-Container-Update-Override-Etag": "o", "X-Backend-Timestamp": "", "X-Timestamp": "", "X-Trans-Id": "", "X-Newest": "",
				"Destination": "", "Content-Length": "7"},
		},
		{
			name: "quoted ETag", source: middlewaretest.Answer{Body: "content", Header: with("Etag", `"`+etag+`"`)}, put: map[string]string{"Etag": etag},
		},
		{
			name: "no ETag", source: middlewaretest.Answer{Body: "content", Header: with("Etag", "")}, header: []string{"Etag", "client"}, put: map[string]string{"Etag": ""},
		},
		{
			name: "part", source: middlewaretest.Answer{Code: 206, Body: "content", Header: with("Content-Range", "bytes 0-6/9")}, header: []string{"Etag", "client"},
			put: map[string]string{"Etag": "client", "X-Object-Sysmeta-Container-Update-Override-Etag": "", "X-Object-Sysmeta-A": "a", "Content-Range": ""},
		},
		{
			name: "large object", source: middlewaretest.Answer{Body: "content", Header: with("X-Static-Large-Object", "True")},
			put: map[string]string{"Etag": "", "X-Static-Large-Object": "", "X-Object-Sysmeta-Container-Update-Override-Etag": ""},
		},
		{
			name: "manifest of a static large object", source: middlewaretest.Answer{Body: "content", Header: with("X-Static-Large-Object", "True")},
			query: "?multipart-manifest=get", getQuery: "?format=raw&multipart-manifest=get", putQuery: "?multipart-manifest=put",
			put: map[string]string{"Etag": "", "X-Static-Large-Object": "", "X-Object-Sysmeta-Container-Update-Override-Etag": ""},
		},
		{
			name: "dynamic large object", source: middlewaretest.Answer{Body: "content", Header: with("X-Object-Manifest", "s/p")},
			put: map[string]string{"Etag": "", "X-Object-Manifest": ""},
		},
		{
			name: "manifest of a dynamic large object", source: middlewaretest.Answer{Body: "content", Header: with("X-Object-Manifest", "s/p")},
			query: "?multipart-manifest=get&x=1", getQuery: "?format=raw&multipart-manifest=get&x=1", putQuery: "?x=1",
			put: map[string]string{"Etag": etag, "X-Object-Manifest": "s/p"},
		},
		{
			name: "version", source: middlewaretest.Answer{Body: "content", Header: with("X-Object-Version-Id", "v1")},
			query: "?version-id=v1", getQuery: "?version-id=v1", put: map[string]string{"Etag": etag},
		},
		{
			name: "link", source: middlewaretest.Answer{Header: with("X-Symlink-Target", "c/target")}, query: "?symlink=get",
			getQuery: "?symlink=get", putQuery: "?symlink=get", put: map[string]string{"X-Symlink-Target": "c/target"},
		},
		{
			name: "fresh metadata keeps what the cluster knows", source: middlewaretest.Answer{Body: "content", Header: with("X-Object-Meta-M", "m", "X-Delete-At", "1999999999")},
			header: []string{"X-Fresh-Metadata", "true", "X-Object-Sysmeta-A", "mine"},
			put: map[string]string{"X-Object-Sysmeta-A": "mine", "X-Object-Sysmeta-Container-Update-Override-Etag": "o",
				"X-Object-Transient-Sysmeta-B": "", "X-Object-Meta-M": "", "X-Delete-At": "", "Content-Type": "text/x"},
		},
		{
			name: "policy of the destination", source: middlewaretest.Answer{Body: "content", Header: with("X-Backend-Storage-Policy-Index", "0")},
			header: []string{"X-Backend-Storage-Policy-Index", "1", "Expect", "100-continue"},
			put:    map[string]string{"X-Backend-Storage-Policy-Index": "1", "Expect": ""},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var options []middlewaretest.Option
			for i := 0; i < len(test.header); i += 2 {
				options = append(options, middlewaretest.Header(test.header[i], test.header[i+1]))
			}
			res, get, put := run(t, test.source, test.query, options...)
			if res.Code != http.StatusCreated || put.Body != test.source.Body {
				t.Fatalf("got %d, PUT of %q", res.Code, put.Body)
			}
			if get.URI != src+test.getQuery || put.URI != dst+test.putQuery {
				t.Errorf("asked GET %s, PUT %s; want %s and %s", get.URI, put.URI, src+test.getQuery, dst+test.putQuery)
			}
			if get.Header.Get("X-Newest") != "true" || get.Header.Get("X-Backend-Storage-Policy-Index") != "" {
				t.Errorf("GET has headers %v", get.Header)
			}
			for name, want := range test.put {
				if got := put.Header.Get(name); got != want {
					t.Errorf("PUT's %s: got %q, want %q", name, got, want)
				}
			}
			if want := test.source.Header["X-Object-Version-Id"]; res.Header.Get("X-Copied-From-Version-Id") != want {
				t.Errorf("version: got %q, want %q", res.Header.Get("X-Copied-From-Version-Id"), want)
			}
		})
	}
}

func TestStateOfTheSubrequests(t *testing.T) {
	app := middlewaretest.NewApp().On("GET "+src, middlewaretest.Answer{Body: "x"}).On("PUT "+dst, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		state := request.From(r.Context())
		state.Log.AddInfo("x-delete-at:1")
		if state.Log.Source != "SSC" || state.Method != "COPY" || state.User != "u" || state.AuthOverride || state.Authorize == nil {
			t.Errorf("PUT has state %+v", state)
		}
	}})
	h := middlewaretest.Build(t, Filter, "", app)
	outer := &request.State{User: "u", Infos: &request.Infos{}, Authorize: func(*http.Request) error { return nil }}
	r := httptest.NewRequest("COPY", src, nil)
	r.Header.Set("Destination", "d/p")
	r.Header.Set("X-Auth-Token", "token")
	h.ServeHTTP(httptest.NewRecorder(), request.With(r, outer))
	get := app.Calls()[0]
	if s := get.State; s.Log.Source != "SSC" || s.User != "u" || s.AuthOverride || s.Authorize == nil || get.Header.Get("X-Auth-Token") != "token" {
		t.Errorf("GET has state %+v and headers %v", s, get.Header)
	}
	if outer.Method != "COPY" || outer.Log.Source != "" || len(outer.Log.Info) != 1 || r.Method != "COPY" {
		t.Errorf("the client's request has state %+v", outer)
	}
}

func TestTooLargeOrOfUnknownLength(t *testing.T) {
	for name, header := range map[string]map[string]string{
		"unknown length": {"Content-Length": "-"}, "too large": {"Content-Length": "5368709123"},
	} {
		res, _, put := run(t, middlewaretest.Answer{Body: "x", Header: header}, "")
		if res.Code != http.StatusRequestEntityTooLarge || put.Method != "" || res.Body != reply.Status(413).Body {
			t.Errorf("%s: got %d %q, PUT %v", name, res.Code, res.Body, put.Method)
		}
	}
}

func TestASourceThatBreaksOffIsABrokenBody(t *testing.T) {
	for name, end := range map[string]func(){
		"short": func() {}, "aborted": func() { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			_, _, put := run(t, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, "half")
				end()
			}}, "")
			if put.Body != "half" || !errors.Is(put.BodyErr, io.ErrUnexpectedEOF) {
				t.Errorf("the PUT read %q and ended with %v", put.Body, put.BodyErr)
			}
		})
	}
}

func TestAnErrorPageOfTheSourceThatBreaksOffIsCut(t *testing.T) {
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("got %v, want the connection to be cut", v)
		}
	}()
	run(t, middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "half")
	}}, "")
}

func TestAClientThatGoesAwayEndsTheCopy(t *testing.T) {
	for _, query := range []string{"", "?heartbeat=on"} {
		sourceEnded := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				defer close(sourceEnded)
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, "half")
				<-r.Context().Done() // as a storage node that hangs
				panic(http.ErrAbortHandler)
			}
			if _, err := io.ReadFull(r.Body, make([]byte, 4)); err != nil {
				t.Error(err)
			}
			cancel()
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("the PUT's body ended cleanly")
			}
			reply.Write(w, r, reply.Status(reply.StatusClientDisconnect))
		})
		h := middlewaretest.Build(t, Filter, "", app)
		r := httptest.NewRequestWithContext(ctx, "COPY", src+query, nil)
		r.Header.Set("Destination", "d/p")
		h.ServeHTTP(httptest.NewRecorder(), r)
		select {
		case <-sourceEnded:
		default:
			t.Errorf("%q: the source is still being read", query)
		}
	}
}

// Between nodes that are never waited for, only the body itself can end the copy.
func TestACopyThatNeverWaitsEndsToo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "1000000")
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
			return
		}
		var err error
		for p := make([]byte, 1000); err == nil; read++ {
			if read == 5 {
				cancel()
			}
			_, err = r.Body.Read(p)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the PUT's body ended with %v", err)
		}
	})
	r := httptest.NewRequestWithContext(ctx, "COPY", src, nil)
	r.Header.Set("Destination", "d/p")
	middlewaretest.Build(t, Filter, "", app).ServeHTTP(httptest.NewRecorder(), r)
	if read != 6 {
		t.Errorf("%d reads, want 6", read)
	}
}

func TestAReaderThatOutlivesThePUTHarmsNobody(t *testing.T) {
	late := make(chan error, 1)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "1000000")
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
			return
		}
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			late <- err
		}()
		reply.Write(w, r, reply.Status(http.StatusServiceUnavailable))
	})
	h := middlewaretest.Build(t, Filter, "", app)
	if got := middlewaretest.Do(t, h, "COPY", src, middlewaretest.Header("Destination", "d/p")).Code; got != 503 {
		t.Errorf("got %d, want 503", got)
	}
	<-late
}

func TestMemoryDoesNotGrow(t *testing.T) {
	const size = 256 << 20
	chunk := make([]byte, 64<<10)
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "268435456")
			for range size / len(chunk) {
				w.Write(chunk)
			}
			return
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 64<<10))
		if n != size || err != nil {
			t.Errorf("PUT of %d bytes, %v", n, err)
		}
	})
	h := middlewaretest.Build(t, Filter, "", app)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	middlewaretest.Do(t, h, "COPY", src, middlewaretest.Header("Destination", "d/p"))
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("a copy of %d bytes allocated %d", size, grown)
	}
}

func TestHeartbeat(t *testing.T) {
	for _, test := range []struct {
		name, accept string
		takes        time.Duration
		put          middlewaretest.Answer
		kind, want   string
	}{
		{
			name: "fast", kind: "text/plain",
			put: middlewaretest.Answer{Code: 201, Header: map[string]string{"Etag": "e", "Content-Length": "-", "X-Object-Sysmeta-Secret": "s"}},
			want: " \r\n\r\nEtag: e\nResponse Body: \nResponse Status: 201 Created\nX-Copied-From: c/o\nX-Copied-From-Account: AUTH_test\n" +
				"X-Object-Meta-Color: blue\nErrors:\n",
		},
		{
			name: "slow", kind: "text/plain", takes: 35 * time.Second, put: middlewaretest.Answer{Code: 201, Header: map[string]string{"Content-Length": "-"}},
			want: "    \r\n\r\nResponse Body: \nResponse Status: 201 Created\nX-Copied-From: c/o\nX-Copied-From-Account: AUTH_test\nX-Object-Meta-Color: blue\nErrors:\n",
		},
		{
			name: "refused, as JSON", accept: "application/json", kind: "application/json",
			put:  middlewaretest.Answer{Code: 422, Body: "no \"é\"", Header: map[string]string{"Content-Length": "-"}},
			want: ` ` + "\r\n\r\n" + `{"Errors": [], "Response Body": "no \"\u00e9\"", "Response Status": "422 Unprocessable Entity"}`,
		},
		{
			name: "panic", kind: "text/plain", put: middlewaretest.Answer{Do: func(http.ResponseWriter, *http.Request) { panic("fault") }},
			want: " \r\n\r\nResponse Body: " + reply.Status(500).Body + "\nResponse Status: 500 Internal Error\nErrors:\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := middlewaretest.NewApp().On("PUT "+dst, test.put)
				h := middlewaretest.Build(t, Filter, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet {
						w.Header().Set("Content-Length", "1")
						w.Header().Set("X-Object-Meta-Color", "blue")
						w.Header().Set("X-Object-Sysmeta-Secret", "s")
						io.WriteString(w, "x")
						return
					}
					time.Sleep(test.takes)
					app.ServeHTTP(w, r)
				}))
				res := middlewaretest.Do(t, h, "COPY", src+"?heartbeat=on", middlewaretest.Header("Destination", "d/p"), middlewaretest.Header("Accept", test.accept))
				if res.Code != http.StatusAccepted || res.Header.Get("Content-Type") != test.kind || res.Body != test.want {
					t.Errorf("got %d %v\n%s", res.Code, res.Header, cmp.Diff(test.want, res.Body))
				}
				if strings.Contains(app.Last().URI, "heartbeat") {
					t.Errorf("asked for %s", app.Last().URI)
				}
			})
		})
	}
}

func TestErrorsBeforeAHeartbeatAreOrdinary(t *testing.T) {
	res, _, _ := run(t, middlewaretest.Answer{Code: 404, Body: "none"}, "?heartbeat=on")
	if res.Code != 404 || res.Body != "none" {
		t.Errorf("got %d %q", res.Code, res.Body)
	}
}

func TestOptions(t *testing.T) {
	app := middlewaretest.NewApp().Otherwise(middlewaretest.Answer{Header: map[string]string{"Allow": "GET", "Access-Control-Allow-Methods": "GET, PUT"}}).
		On("OPTIONS /v1/a/c/denied", middlewaretest.Answer{Code: 401, Header: map[string]string{"Allow": "GET"}})
	h := middlewaretest.Build(t, Filter, "", app)
	for path, want := range map[string][2]string{
		"/v1/a/c/o": {"GET, COPY", "GET, PUT, COPY"}, "/v1/a/c": {"GET", "GET, PUT"}, "/v1/a/c/denied": {"GET", ""},
	} {
		res := middlewaretest.Do(t, h, "OPTIONS", path)
		if got := [2]string{res.Header.Get("Allow"), res.Header.Get("Access-Control-Allow-Methods")}; got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	for toml, want := range map[string]string{
		"yield_frequency = 0": "test.toml:6: filter.copy.yield_frequency: must be above 0",
		"max_file_size = 1":   "filter.copy.max_file_size: unknown key",
	} {
		if _, err := middlewaretest.TryBuild(middlewaretest.Host(t), Filter, toml, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", toml, err, want)
		}
	}
}

func FuzzOrder(f *testing.F) {
	f.Add(true, "c/o", "AUTH_b", "", "multipart-manifest=get")
	f.Add(false, "%2Fc%2Fo%00", "", "a/b", "heartbeat=on&heartbeat=off;x")
	f.Add(true, "//", "%2F", "%", "%zz")
	f.Fuzz(func(t *testing.T, isCopy bool, object, account, from, query string) {
		r := &http.Request{Method: http.MethodPut, URL: &url.URL{RawQuery: query}, Header: http.Header{
			"X-Copy-From": {object}, "X-Copy-From-Account": {from},
		}}
		if isCopy {
			r.Method = "COPY"
			r.Header["Destination"], r.Header["Destination-Account"] = []string{object}, []string{account}
		}
		o, err := parse(r, apipath.Path{Version: "v1", Account: "a", Container: "c", Object: "o"})
		if err != nil {
			if reply.As(err).Code != http.StatusPreconditionFailed {
				t.Errorf("%q: %v", r.Header, err)
			}
			return
		}
		for _, p := range []apipath.Path{o.source, o.destination} {
			again, err := apipath.Parse(p.String())
			if err != nil || again != p || p.Object == "" || p.Version != "v1" {
				t.Errorf("%q: %+v is not an object's path: %+v, %v", r.Header, p, again, err)
			}
		}
		o.sinkQuery(&http.Response{Header: http.Header{"X-Object-Manifest": {"m"}}})
	})
}

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, "", nil) }
