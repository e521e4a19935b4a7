package container

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/policy"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// newServer makes a server with one device, sdb1, and the policies of the fixtures.
func newServer(t testing.TB, change func(*Config, *Deps)) *Server {
	t.Helper()
	devices := t.TempDir()
	if err := os.Mkdir(filepath.Join(devices, "sdb1"), 0o755); err != nil {
		t.Fatal(err)
	}
	hasher, err := hashpath.New([]byte("goldpre"), []byte("goldsuf"))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := policy.NewSet(policy.Policy{Name: "gold", Default: true}, policy.Policy{Index: 1, Name: "silver"}, policy.Policy{Index: 2, Name: "ec21"})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	pool := broker.NewPool(broker.Options{Logger: logger})
	t.Cleanup(func() { pool.Close() })
	c := DefaultConfig()
	c.Devices, c.MountCheck = devices, false
	d := Deps{Deps: dbserver.Deps{
		Logger: logger, Clock: clock.System, Hasher: hasher, Policies: policies, Limits: constraint.Default(), Brokers: pool,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("unexpected request: %s %s", r.Method, r.URL)
			return nil, io.EOF
		}),
	}}
	if change != nil {
		change(&c, &d)
	}
	s, err := New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// do sends a request with headers given as "Name: value".
func do(t testing.TB, h http.Handler, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t testing.TB, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestCasesOfSwift replays what Swift's container server answered.
func TestCasesOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Method, Path, Note string
		Headers            map[string]string
		RequestBody        string      `json:"request_body"`
		Status             int         `json:"status"`
		ResponseHeaders    [][2]string `json:"response_headers"`
		ResponseBody       string      `json:"response_body"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, nil)
	for _, c := range cases {
		var headers []string
		for k, v := range c.Headers {
			headers = append(headers, k+": "+v)
		}
		r := do(t, s, c.Method, c.Path, c.RequestBody, headers...)
		what := c.Method + " " + c.Path + " (" + c.Note + ")"
		if r.StatusCode != c.Status {
			t.Errorf("%s: got status %d, want %d", what, r.StatusCode, c.Status)
		}
		want, got := http.Header{}, r.Header.Clone()
		for _, h := range c.ResponseHeaders {
			want.Set(h[0], h[1])
		}
		normalize(want, r.StatusCode)
		normalize(got, r.StatusCode)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", what, diff)
		}
		if got, want := now.ReplaceAllString(read(t, r), "NOW"), now.ReplaceAllString(c.ResponseBody, "NOW"); got != want {
			t.Errorf("%s: body\ngot  %s\nwant %s", what, got, want)
		}
	}
}

// now matches the times of the machine in the fixtures and in this run: all other times in them are of 2023.
var now = regexp.MustCompile(`"?(1[78]\d{8}\.\d{5}|20(2[4-9]|[3-9]\d)-\d\d-\d\dT[\d:.]+)"?`)

func normalize(h http.Header, status int) {
	h.Del("Date")
	delete(h, "content-length") // of HEAD; see TestHeadTellsItsLength
	for _, name := range []string{"X-Backend-Timestamp", "X-Timestamp"} {
		if v := h.Get(name); v != "" && v != "0000000000.00000" {
			h.Set(name, "NOW")
		}
	}
	// Go's server leaves it out or adds it by itself.
	if h.Get("Content-Length") == "0" || status == http.StatusNoContent || strings.Contains(h.Get("Content-Type"), "json") {
		h.Del("Content-Length")
	}
}

// TestHeadTellsItsLength holds the server to what proxies' listing filters need: one that gets 204 without a length takes it
// for something else than a listing, and leaves the type that it has asked for itself in place of the client's.
func TestHeadTellsItsLength(t *testing.T) {
	srv := httptest.NewServer(newServer(t, nil))
	defer srv.Close()
	const path = "/sdb1/1/AUTH_test/c?format=json"
	put, err := http.NewRequest("PUT", srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	put.Header.Set("X-Timestamp", "1700000000.00000")
	resp, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp, err = http.Head(srv.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 204 || resp.Header.Get("Content-Length") != "0" || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("HEAD: %s %v, want 204, a length of 0 and JSON", resp.Status, resp.Header)
	}
}
