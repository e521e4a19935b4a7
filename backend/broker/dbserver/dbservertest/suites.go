package dbservertest

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Cases replays what Swift's server answered.
func Cases(t *testing.T, h http.Handler) {
	t.Helper()
	var cases []struct {
		Method, Path, Note string
		Headers            map[string]string
		RequestBody        string      `json:"request_body"`
		Status             int         `json:"status"`
		ResponseHeaders    [][2]string `json:"response_headers"`
		ResponseBody       string      `json:"response_body"`
	}
	load(t, "testdata/cases.json", &cases)
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		var headers []string
		for k, v := range c.Headers {
			headers = append(headers, k+": "+v)
		}
		got := Do(t, h, c.Method, c.Path, c.RequestBody, headers...)
		want := http.Header{}
		for _, h := range c.ResponseHeaders {
			want.Set(h[0], h[1])
		}
		compare(t, c.Method+" "+c.Path+" ("+c.Note+")",
			answer{c.Status, want, timeless(c.ResponseBody)}, answer{got.StatusCode, got.Header.Clone(), timeless(Read(t, got))})
	}
}

// Conversations replays what Swift's proxies and other servers sent for a client's requests, byte for byte, and compares
// with what its servers answered. The handler plays those of three nodes, with the devices sdb1, sdb2 and sdb3.
func Conversations(t *testing.T, h http.Handler) {
	t.Helper()
	var conversations []struct{ Operation, Request, Answer string }
	load(t, "testdata/conversations.json", &conversations)
	if len(conversations) == 0 {
		t.Fatal("no conversations")
	}
	for _, c := range conversations {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(bytesOf(c.Request))))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(bytesOf(c.Answer))), r)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		ours := w.Result()
		want := answer{theirs.StatusCode, theirs.Header, Read(t, theirs)}
		got := answer{ours.StatusCode, ours.Header, Read(t, ours)}
		want.header.Del("Connection")
		compare(t, c.Operation+": "+r.Method+" "+r.URL.String(), want, got)
	}
}

// Same compares the answer of a running server of Swift with ours.
func Same(t *testing.T, what string, theirs, ours *http.Response) {
	t.Helper()
	want := answer{theirs.StatusCode, theirs.Header.Clone(), timeless(Read(t, theirs))}
	got := answer{ours.StatusCode, ours.Header.Clone(), timeless(Read(t, ours))}
	for _, h := range []http.Header{want.header, got.header} {
		for _, name := range []string{"X-Trans-Id", "X-Openstack-Request-Id", "Connection", "Server"} {
			h.Del(name)
		}
		for _, name := range slices.Collect(maps.Keys(h)) {
			if v := h[name]; name != http.CanonicalHeaderKey(name) {
				delete(h, name)
				h[http.CanonicalHeaderKey(name)] = v
			}
		}
		if strings.HasPrefix(what, "HEAD") {
			h.Del("Content-Length") // of a body that is not sent
		}
	}
	compare(t, what, want, got)
}

// HeadTellsItsLength holds a server to what proxies' listing filters need: one that gets 204 without a length takes it
// for something else than a listing, and leaves the type that it has asked for itself in place of the client's. The path is
// made first.
func HeadTellsItsLength(t *testing.T, h http.Handler, path string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	put.Header.Set("X-Timestamp", "1700000000.00000")
	resp, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp, err = http.Head(srv.URL + path + "?format=json")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || resp.Header.Get("Content-Length") != "0" || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("HEAD: %s %v, want 204, a length of 0 and JSON", resp.Status, resp.Header)
	}
}

func load(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

// An answer is what is compared.
type answer struct {
	status int
	header http.Header
	body   string
}

var (
	// policies are what releases before 2.38, one of which made the fixtures, do not have in listings of accounts.
	policies = regexp.MustCompile(`, "storage_policy": "\w+"|<storage_policy>\w+</storage_policy>`)
	// now matches the times of the machine in the fixtures and in this run: all other times in them are of 2023.
	now = regexp.MustCompile(`"?(1[78]\d{8}\.\d{5}|20(2[4-9]|[3-9]\d)-\d\d-\d\dT[\d:.]+)"?`)
)

// timeless takes the times of the machine out of a body.
func timeless(body string) string { return now.ReplaceAllString(body, "NOW") }

func compare(t *testing.T, what string, want, got answer) {
	t.Helper()
	if got.status != want.status {
		t.Errorf("%s: got status %d, want %d", what, got.status, want.status)
	}
	// A server of a release that lists policies has been asked if theirs has them too.
	ours := got.body
	if !policies.MatchString(want.body) {
		ours = policies.ReplaceAllString(ours, "")
	}
	for _, a := range []answer{want, got} {
		normalize(a.header, a.status)
		if ours != got.body {
			a.header.Del("Content-Length")
		}
	}
	if diff := cmp.Diff(want.header, got.header); diff != "" {
		t.Errorf("%s: headers (-want +got):\n%s", what, diff)
	}
	if ours != want.body {
		t.Errorf("%s: body\ngot  %s\nwant %s", what, ours, want.body)
	}
}

// normalize takes out of headers what says nothing of the answer.
func normalize(h http.Header, status int) {
	h.Del("Date")
	delete(h, "content-length") // of HEAD; see HeadTellsItsLength
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

// bytesOf undoes the fixtures' form of one character per byte.
func bytesOf(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}
