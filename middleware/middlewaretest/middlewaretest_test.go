package middlewaretest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/respw"
	"github.com/apus-storage/apus/middleware"
)

type options struct {
	// A greeting.
	Greeting string `toml:"greeting"`
}

var greeter = middleware.Define("greeter", options{Greeting: "hello"}, func(_ middleware.Host, c options) (middleware.Instance, error) {
	return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			request.From(r.Context()).TransID = c.Greeting
			r.Header.Set("X-Greeting", c.Greeting)
			next.ServeHTTP(w, r)
		})
	}}, nil
})

func TestConformPassesAFilterThatDoesNothingWrong(t *testing.T) {
	Conform(t, greeter, MaxAllocs(4))
}

func TestAppAnswersAsToldAndKeepsWhatItWasAsked(t *testing.T) {
	app := NewApp().
		On("GET /v1/a/c?b=2&a=1", Answer{Body: "by query"}).
		On("GET /v1/a/c", Answer{Code: 503}, Answer{Body: "second"}).
		On("PUT /v1/a/c/o", Answer{Code: 201, Header: map[string]string{"Etag": "x"}})
	h := Build(t, greeter, `greeting = "hi"`, app)
	for _, tc := range []struct {
		name, method, target string
		code                 int
		body                 string
	}{
		{"a query in another order", "GET", "/v1/a/c?a=1&b=2", 200, "by query"},
		{"the first of several answers", "GET", "/v1/a/c?c=3", 503, ""},
		{"the last of several answers", "GET", "/v1/a/c", 200, "second"},
		{"the last answer again", "GET", "/v1/a/c", 200, "second"},
		{"HEAD has no answer of its own", "HEAD", "/v1/a/c", 404, ""},
		{"a path not known", "GET", "/v1/a", 404, "not known to the fake app"},
	} {
		got := Do(t, h, tc.method, tc.target)
		if got.Code != tc.code || got.Body != tc.body {
			t.Errorf("%s: %s %s: %d %q, want %d %q", tc.name, tc.method, tc.target, got.Code, got.Body, tc.code, tc.body)
		}
	}
	app.Forget()
	got := Do(t, h, "PUT", "/v1/a/c/o%20o?x=y", Body("content"), Header("X-Foo", "bar"))
	if got.Code != 404 {
		t.Errorf("PUT of an object not known: %d, want 404", got.Code)
	}
	Do(t, h, "PUT", "/v1/a/c/o", Body("content"), Header("X-Foo", "bar"))
	if want := []string{"PUT /v1/a/c/o o?x=y", "PUT /v1/a/c/o"}; !slices.Equal(app.URIs(), want) {
		t.Errorf("URIs %q, want %q", app.URIs(), want)
	}
	if c := app.Last(); c.Body != "content" || c.Header.Get("X-Foo") != "bar" || c.Header.Get("X-Greeting") != "hi" || c.State.TransID != "hi" {
		t.Errorf("call %+v", c)
	}
}

func TestCaptureKeepsTheLog(t *testing.T) {
	host := Host(t)
	log := Capture(&host)
	h := BuildOn(t, host, middleware.Define("talker", struct{}{}, func(h middleware.Host, _ struct{}) (middleware.Instance, error) {
		return middleware.Instance{Wrap: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.Log.Info("a request came") })
		}}, nil
	}), "", NewApp())
	Get(t, h, "/")
	if want := `level=INFO msg="a request came" filter=talker`; len(log.Lines()) != 1 || log.Lines()[0] != want {
		t.Errorf("log %q, want %q", log.Lines(), want)
	}
}

// faults are filters that are wrong in one way each, and the case that must say so.
var faults = map[string]struct {
	found string
	wrap  func(next http.Handler) http.Handler
}{
	"buffers the body": {"a_flush_reaches", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			w.Write(rec.Body.Bytes())
		})
	}},
	"hides ReadFrom": {"a_file_reaches", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}},
	"swallows panics": {"an_aborted_answer", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recover() }()
			next.ServeHTTP(w, r)
		})
	}},
	"mends lengths": {"a_short_answer", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			w.Write(rec.Body.Bytes())
		})
	}},
	"reads bodies without looking at errors": {"a_request_whose_body", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}},
	"loses the context": {"a_cancelled_request", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
		})
	}},
	"leaves a goroutine": {"no_goroutine_is_left", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			go func() { select {} }()
			next.ServeHTTP(w, r)
		})
	}},
	"changes headers": {"answers_go_through", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(respw.OnHeader(w, func(code int, h http.Header) int {
				h.Set("Content-Type", "text/plain")
				return code
			}), r)
		})
	}},
	"allocates": {"a_passing_GET", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.Clone(r.Context()))
		})
	}},
}

const faultEnv = "MIDDLEWARETEST_FAULT"

// TestFault runs the suite on one wrong filter, in a process of its own.
func TestFault(t *testing.T) {
	fault, ok := faults[os.Getenv(faultEnv)]
	if !ok {
		t.Skip("runs only for TestTheSuiteFindsFaults")
	}
	s := newSuite(Host(t), middleware.Define("fault", struct{}{}, func(middleware.Host, struct{}) (middleware.Instance, error) {
		return middleware.Instance{Wrap: fault.wrap}, nil
	}))
	s.patience, s.allocs = 200*time.Millisecond, 1
	s.run(t)
}

func TestTheSuiteFindsFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			if name == "allocates" && raceDetector {
				t.Skip("allocations are not bounded under the race detector")
			}
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFault$", "-test.v")
			cmd.Env = append(os.Environ(), faultEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFault/"+fault.found) {
				t.Errorf("a filter that %s: %v; want a failure of %q\n%s", name, err, fault.found, out)
			}
		})
	}
}
