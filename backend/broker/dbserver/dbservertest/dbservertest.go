// Package dbservertest is what tests of the account and the container server have in common: what a server is given, how
// it is asked, and the suites that both pass alike.
//
//	func TestServer(t *testing.T) {
//		config := DefaultConfig()
//		config.Devices = dbservertest.Devices(t)
//		s, err := New(config, dbservertest.Deps(t))
//		...
//		dbservertest.Cases(t, s)
//	}
//
// The suites play files of the package under test: testdata/cases.json, requests and what Swift's server answered, and
// testdata/conversations.json, what Swift's own proxies and servers sent, byte for byte. Status, headers and bodies are
// compared; times of the machine are not.
package dbservertest

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apus-storage/apus/backend/broker"
	"github.com/apus-storage/apus/backend/broker/dbserver"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/constraint"
	"github.com/apus-storage/apus/internal/hashpath"
	"github.com/apus-storage/apus/internal/policy"
)

// A RoundTripper is a function that is one.
type RoundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f RoundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Devices is a folder with one device, sdb1.
func Devices(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	AddDevices(t, dir, "sdb1")
	return dir
}

// AddDevices adds devices to a folder.
func AddDevices(t testing.TB, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Deps is what a server of the fixtures is given: their hash path and policies, and no other node that it may ask.
func Deps(t testing.TB) dbserver.Deps {
	t.Helper()
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
	return dbserver.Deps{
		Logger: logger, Clock: clock.System, Hasher: hasher, Policies: policies, Limits: constraint.Default(), Brokers: pool,
		Transport: RoundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("unexpected request: %s %s", r.Method, r.URL)
			return nil, io.EOF
		}),
	}
}

// Do sends a request with headers given as "Name: value".
func Do(t testing.TB, h http.Handler, method, path, body string, headers ...string) *http.Response {
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

// Read reads a body to its end.
func Read(t testing.TB, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
