package object_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/disk"
	"github.com/apus-storage/apus/internal/nodes"
)

// conversation is what was said on one connection between Swift's proxy (C) and its object server (S).
type conversation struct {
	Messages [][2]string
}

func conversations(t *testing.T) map[string][]conversation {
	data, err := os.ReadFile("testdata/proxy_conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string][]conversation
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTalksToSwiftsProxy says what Swift's proxy has said, byte for byte, and compares the answers with those of Swift's
// object server.
func TestTalksToSwiftsProxy(t *testing.T) {
	n := newTelling(t, &containers{})
	for _, device := range []string{"sdb2", "sdb3"} {
		if err := n.memory.Mkdir("/srv/node/" + device); err != nil {
			t.Fatal(err)
		}
	}
	url := listen(t, n)
	all := conversations(t)
	for _, what := range []string{"putobj", "getobj", "postobj", "headobj", "delobj", "putobj_delat"} {
		if len(all[what]) == 0 {
			t.Errorf("no conversation %s", what)
		}
		for _, c := range all[what] {
			w := dial(t, url)
			var said string
			for _, m := range c.Messages {
				if m[0] == "C" {
					said = m[1]
					w.say(t, said)
					continue
				}
				method, _, _ := strings.Cut(c.Messages[0][1], " ")
				compareAnswers(t, what, method, w, m[1])
			}
		}
	}
}

func compareAnswers(t *testing.T, what, method string, w *wire, said string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(said)), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := w.hear(t, method)
	if got.status != resp.StatusCode || got.body != string(body) {
		t.Errorf("%s: %d %q, want %d %q", what, got.status, got.body, resp.StatusCode, body)
	}
	for _, h := range []http.Header{got.header, resp.Header} {
		h.Del("Date")
		h.Del("Connection")
		if resp.StatusCode == http.StatusNoContent {
			h.Del("Content-Length") // net/http has none where there cannot be a body
		}
	}
	for name := range resp.Header {
		if got.header.Get(name) != resp.Header.Get(name) {
			t.Errorf("%s: header %s: %q, want %q", what, name, got.header[name], resp.Header[name])
		}
	}
	for name := range got.header {
		if resp.Header[name] == nil {
			t.Errorf("%s: header %s: %q, want none", what, name, got.header[name])
		}
	}
}

// TestRefusesErasureCodedPut shows the proxy, before it sends anything, that this server is of no use to it.
func TestRefusesErasureCodedPut(t *testing.T) {
	w := dial(t, listen(t, newNode(t, nil)))
	w.say(t, conversations(t)["putec"][0].Messages[0][1])
	w.hear(t, "PUT").expect(t, 501)
}

// TestWithoutANetwork reaches the server as a proxy in the same process does.
func TestWithoutANetwork(t *testing.T) {
	n := newNode(t, nil)
	direct := nodes.NewDirect(nil)
	direct.Handle("10.0.0.1:6200", n)
	do := func(method, body string, pairs ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(context.Background(), method, "http://10.0.0.1:6200"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body == "" {
			r.Body = nil
		}
		for i := 0; i < len(pairs); i += 2 {
			r.Header.Set(pairs[i], pairs[i+1])
		}
		resp, err := direct.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	if resp := do("PUT", "hello", "X-Timestamp", "1795000000", "Content-Type", "a/b", "Expect", "100-continue"); resp.StatusCode != 201 {
		t.Fatalf("PUT: %s", resp.Status)
	}
	resp := do("GET", "")
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "hello" || err != nil {
		t.Errorf("GET: %s %q, %v", resp.Status, body, err)
	}
	if resp := do("PUT", "", "X-Timestamp", "1795000001", "Content-Type", "a/b"); resp.StatusCode != 201 {
		t.Errorf("PUT of nothing: %s, want 201", resp.Status)
	}
	if resp := do("PUT", "x", "X-Timestamp", "1795000002", "Content-Type", "a/b"); resp.StatusCode != 201 {
		t.Errorf("PUT: %s, want 201", resp.Status)
	}
	// A disk that fails in the middle of a body must not look like the end of it.
	n.faults.SetHook(func(op disk.Op) error {
		if op.Kind == "read" && strings.HasSuffix(op.Path, ".data") {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	resp = do("GET", "")
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || err == nil {
		t.Errorf("GET of an unreadable body: %s %q, %v; want an error", resp.Status, body, err)
	}
}
