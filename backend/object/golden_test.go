package object_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// goldenCase is a request to Swift's object server and its answer.
type goldenCase struct {
	Method, Path, Note string
	Headers            map[string]string
	RequestBody        string     `json:"request_body"`
	Status             int        `json:"status"`
	ResponseBody       string     `json:"response_body"`
	ResponseHeaders    [][]string `json:"response_headers"`
}

// different are the cases in which this server answers otherwise on purpose.
var different = map[string]string{
	"(2.34+) X-Backend-Open-Expired; 2.30 ignores it": "the fixtures are of release 2.30, this is the behaviour of 2.38",
}

var boundary = regexp.MustCompile(`[0-9a-f]{32}`)

// TestAnswersAsSwift sends requests that Swift's object server has answered, in order, over a real connection.
func TestAnswersAsSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/object_server_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	url := listen(t, newNode(t, nil))
	for _, tc := range cases {
		t.Run(tc.Note, func(t *testing.T) {
			if why, ok := different[tc.Note]; ok {
				t.Skip(why)
			}
			r, err := http.NewRequest(tc.Method, url+tc.Path, strings.NewReader(tc.RequestBody))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tc.Headers {
				r.Header.Set(k, v)
			}
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tc.Status {
				t.Fatalf("status %d %q, want %d", resp.StatusCode, body, tc.Status)
			}
			compare(t, tc, resp.Header, string(body))
		})
	}
}

func compare(t *testing.T, tc goldenCase, got http.Header, body string) {
	t.Helper()
	mask := func(s string) string { return s }
	if strings.HasPrefix(got.Get("Content-Type"), "multipart/") {
		mask = func(s string) string { return boundary.ReplaceAllString(s, "BOUNDARY") }
	}
	if mask(body) != mask(tc.ResponseBody) {
		t.Errorf("body %q\nwant %q", body, tc.ResponseBody)
	}
	want := http.Header{}
	for _, kv := range tc.ResponseHeaders {
		want.Add(kv[0], kv[1])
	}
	want.Del("Date")
	got.Del("Date")
	if tc.Status == http.StatusNotModified || tc.Status == http.StatusNoContent {
		// net/http sends none of these with answers that cannot have a body.
		want.Del("Content-Length")
		if tc.Status == http.StatusNotModified {
			want.Del("Content-Type")
		}
	}
	if tc.Method == http.MethodOptions {
		want.Set("Server", "object-server/devel")
		// Verbs that are not implemented are not offered.
		want.Set("Allow", strings.TrimSuffix(want.Get("Allow"), ", REPLICATE, SSYNC"))
	}
	for name := range want {
		if mask(strings.Join(got[name], "|")) != mask(strings.Join(want[name], "|")) {
			t.Errorf("header %s: %q, want %q", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("header %s: %q, want none", name, got[name])
		}
	}
}
