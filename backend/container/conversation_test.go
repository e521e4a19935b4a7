package container

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConversationsOfSwift replays what Swift's proxies and object servers sent for a client's requests, byte for byte,
// and compares with what Swift's container servers answered. One server here plays those of three nodes.
func TestConversationsOfSwift(t *testing.T) {
	told := &accounts{status: map[string]int{}}
	s := newServer(t, func(_ *Config, d *Deps) { d.Transport = told })
	for _, device := range []string{"sdb2", "sdb3"} {
		if err := os.Mkdir(filepath.Join(s.config.Devices, device), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	replay(t, s)
	if len(told.seen) != 9 {
		t.Errorf("accounts were told %d times, want 9: three containers on three nodes\n%s", len(told.seen), strings.Join(told.seen, "\n"))
	}
}

func replay(t *testing.T, h http.Handler) {
	t.Helper()
	data, err := os.ReadFile("testdata/conversations.json")
	if err != nil {
		t.Fatal(err)
	}
	var conversations []struct{ Operation, Request, Answer string }
	if err := json.Unmarshal(data, &conversations); err != nil {
		t.Fatal(err)
	}
	for _, c := range conversations {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(bytesOf(c.Request))))
		if err != nil {
			t.Fatal(err)
		}
		want, err := http.ReadResponse(bufio.NewReader(strings.NewReader(bytesOf(c.Answer))), r)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := w.Result()
		what := c.Operation + ": " + r.Method + " " + r.URL.String()
		if got.StatusCode != want.StatusCode {
			t.Errorf("%s: got %d, want %d", what, got.StatusCode, want.StatusCode)
		}
		for _, header := range []http.Header{got.Header, want.Header} {
			normalize(header, got.StatusCode)
			header.Del("Connection")
		}
		if diff := cmp.Diff(want.Header, got.Header); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", what, diff)
		}
		if got, want := read(t, got), read(t, want); got != want {
			t.Errorf("%s: body\ngot  %s\nwant %s", what, got, want)
		}
	}
}

// bytesOf undoes the fixture's form of one character per byte.
func bytesOf(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}
