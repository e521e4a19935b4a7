package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/sigv4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey    = "AKSTORE"
	testSecret = "store-secret-0123456789"
)

// base is a configuration for a store at a URL, without checks.
func base(endpoint string) Config {
	var c Config
	c.SetDefaults()
	c.Endpoint, c.AccessKey, c.Secret, c.HealthPath = endpoint, testKey, testSecret, ""
	c.ExpectTimeout = config.Seconds(60) // tests need no quiet
	return c
}

// open opens an upstream that is closed with the test.
func open(t testing.TB, c Config, deps Deps) *Upstream {
	t.Helper()
	u, err := New("store", c, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

// seen is a request as a store got it.
type seen struct {
	*http.Request
	body []byte
	err  error // of its body
}

// store is an HTTP server that checks signatures, notes what it gets, and answers with a function.
type store struct {
	*httptest.Server
	got chan seen
}

func newStore(t testing.TB, answer http.HandlerFunc) *store {
	t.Helper()
	s := &store{got: make(chan seen, 100)}
	s.Server = httptest.NewServer(s.handler(t, answer))
	t.Cleanup(s.Close)
	return s
}

func (s *store) handler(t testing.TB, answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := verify(r); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.RequestURI, err)
		}
		if answer != nil {
			answer(w, r)
		}
		b, err := io.ReadAll(r.Body)
		s.got <- seen{r, b, err}
	})
}

// verify checks the signature with the package that checks clients'.
func verify(r *http.Request) error {
	sig, err := sigv4.Parse(r, sigv4.Rules{Now: time.Now()})
	if err != nil {
		return err
	}
	if sig.AccessKey != testKey {
		return errors.New("signed by " + sig.AccessKey)
	}
	return sig.Verify(sigv4.Derive(testSecret, sig.Scope))
}

func get(key string) Call { return Call{Method: "GET", Bucket: "bucket", Key: key} }

func put(key, body string) Call {
	return Call{Method: "PUT", Bucket: "bucket", Key: key, Body: strings.NewReader(body), Length: int64(len(body))}
}

// send sends a call that must be answered, and returns the answer and its body.
func send(t testing.TB, u *Upstream, c Call) (*http.Response, string) {
	t.Helper()
	resp, err := u.Send(context.Background(), c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.Method, c.Key, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: body: %v", c.Method, c.Key, err)
	}
	return resp, string(b)
}

// logged is a logger that writes to a buffer.
func logged() (*slog.Logger, *bytes.Buffer) {
	b := &bytes.Buffer{}
	return slog.New(slog.NewTextHandler(b, nil)), b
}

func TestSend(t *testing.T) {
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			io.WriteString(w, "hello")
		}
	})
	c := base(s.URL)
	c.Payload = payloadUnsigned
	u := open(t, c, Deps{})
	if resp, body := send(t, u, get("a/b")); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if got := <-s.got; got.RequestURI != "/bucket/a/b" {
		t.Errorf("got %s", got.RequestURI)
	}
	send(t, u, put("k", "some bytes"))
	if got := <-s.got; string(got.body) != "some bytes" || got.ContentLength != 10 {
		t.Errorf("got %q, length %d", got.body, got.ContentLength)
	}
}
