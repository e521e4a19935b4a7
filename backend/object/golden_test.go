package object_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/pickle"
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

// TestStoresTheBytesOfHeaders compares what is stored for header names and values that are not ASCII with what Swift's
// object server has stored for the same.
func TestStoresTheBytesOfHeaders(t *testing.T) {
	data, err := os.ReadFile("testdata/server_written_utf8_metadata.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Path  string
		Xattr string `json:"xattr_hex"`
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, nil)
	do(t, n, "PUT", "/sdb1/13/AUTH_test/c/caf%C3%A9", "hi", "X-Timestamp", "1795000000.00000", "Content-Type", "text/plain",
		"x-object-meta-na\xc3\xafve", "caf\xc3\xa9 \xe2\x98\x83", "X-Object-Meta-Bad", "\xff\xfe", "X-Object-Meta-Empty", "",
		"X-Object-Meta-Lower-Case", "MiXed", "X-Robots-Tag", "no", "X-Foo", "dropped").expect(t, 201)
	f, err := n.memory.Open("/srv/node/sdb1/"+want.Path, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 65536)
	size, err := f.Xattr("user.swift.metadata", buf)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := hex.DecodeString(want.Xattr)
	if err != nil {
		t.Fatal(err)
	}
	// The order differs: Go does not keep that of headers.
	items := func(data []byte) map[string]string {
		kvs, err := pickle.DecodeMetadata(data)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		for _, kv := range kvs {
			m[kv.Key] = kv.Value
		}
		return m
	}
	if got, want := items(buf[:size]), items(theirs); !maps.Equal(got, want) {
		t.Errorf("stored %q\nwant %q", got, want)
	}
}
