package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/middleware/s3gateway/callable"
)

// bearerStore is a store and a token endpoint in one, in memory. Tokens live for an hour.
type bearerStore struct {
	t         *testing.T
	exchanges atomic.Int32
	failing   atomic.Bool
	hanging   atomic.Bool
	revoked   atomic.Int32 // tokens up to this one
}

func (b *bearerStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/identity/token" {
		var n int32
		fmt.Sscanf(r.Header.Get("Authorization"), "Bearer token-%d", &n)
		if n <= b.revoked.Load() {
			w.WriteHeader(401)
		}
		io.WriteString(w, r.Header.Get("Authorization"))
		return
	}
	if r.Method != "POST" || r.FormValue("grant_type") != "urn:ibm:params:oauth:grant-type:apikey" || r.FormValue("apikey") != "the-key" {
		b.t.Errorf("asked for a token with %s %v", r.Method, r.Form)
	}
	if b.hanging.Load() {
		<-r.Context().Done()
		return
	}
	n := b.exchanges.Add(1)
	if b.failing.Load() {
		w.WriteHeader(503)
		return
	}
	time.Sleep(time.Second) // it takes its time
	fmt.Fprintf(w, `{"access_token": "token-%d", "token_type": "Bearer", "expires_in": 3600, "expiration": 1}`, n)
}

func bearerConfig() Config {
	c := base("http://store.test")
	c.KeyPair, c.Credentials, c.APIKey, c.TokenEndpoint = KeyPair{}, fromAPIKey, "the-key", "http://iam.test/identity/token"
	return c
}

func TestBearerTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bearerStore{t: t}
		u, _ := inMemory(t, bearerConfig(), Deps{}, b.ServeHTTP)
		want := func(token string) {
			t.Helper()
			if _, got := send(t, u, get("k")); got != "Bearer "+token {
				t.Errorf("asked with %q, want %s", got, token)
			}
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { want("token-1") })
		}
		all.Wait()
		time.Sleep(55*time.Minute - 2*time.Second)
		want("token-1")
		if n := b.exchanges.Load(); n != 1 {
			t.Errorf("%d exchanges", n)
		}
		time.Sleep(2 * time.Second)
		begin := time.Now()
		want("token-1") // which is renewed meanwhile
		if took := time.Since(begin); took > 0 {
			t.Errorf("a request waited %v for a token that is good still", took)
		}
		time.Sleep(2 * time.Second)
		want("token-2")

		// An exchange that fails is tried again; the token is used to its end, and not beyond.
		b.failing.Store(true)
		time.Sleep(56 * time.Minute)
		want("token-2")
		time.Sleep(time.Second)
		want("token-2")
		if n := b.exchanges.Load(); n != 3 {
			t.Errorf("%d exchanges, want no other one at once", n)
		}
		time.Sleep(10 * time.Second)
		want("token-2")
		time.Sleep(5 * time.Minute)
		_, err := u.Send(t.Context(), get("k"))
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Credentials || e.Sent {
			t.Errorf("without a token: %v", err)
		}
		b.failing.Store(false)
		_, got := send(t, u, get("k"))
		if got == "Bearer token-2" {
			t.Error("an old token was used")
		}

		// A token that the store does not take is not used again.
		n := b.exchanges.Load()
		b.revoked.Store(n)
		if resp, _ := send(t, u, get("k")); resp.StatusCode != 401 {
			t.Errorf("got %d", resp.StatusCode)
		}
		want(fmt.Sprintf("token-%d", n+1))
	})
}

func TestTokenEndpointHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bearerStore{t: t}
		b.hanging.Store(true)
		u, _ := inMemory(t, bearerConfig(), Deps{}, b.ServeHTTP)
		begin := time.Now()
		_, err := u.Send(t.Context(), get("k"))
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Credentials || time.Since(begin) != tokenTime {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); stop() }()
		_, err = u.Send(ctx, get("k"))
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != Canceled {
			t.Errorf("canceled: %v", err)
		}
		// The exchange goes on for others, until the upstream is closed.
		begin = time.Now()
		u.Close()
		if took := time.Since(begin); took > 0 {
			t.Errorf("closing took %v", took)
		}
		if _, err = u.Send(t.Context(), get("k")); !errors.Is(err, errClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

// TestAPIKeysOfCallables has a callable give API keys, more than are remembered.
func TestAPIKeysOfCallables(t *testing.T) {
	var exchanges atomic.Int32
	s := newStore(t, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			exchanges.Add(1)
			fmt.Fprintf(w, `{"access_token": "for-%s", "expires_in": 3600}`, r.FormValue("apikey"))
			return
		}
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	c := base(s.URL)
	c.KeyPair, c.Credentials, c.Callable, c.TokenEndpoint = KeyPair{}, fromCallable, "f", s.URL+"/token"
	u := open(t, c, Deps{Functions: map[string]callable.Functions{"f": {
		Credentials: func(_ context.Context, token, _ string) (callable.Credentials, error) {
			return callable.Credentials{APIKey: token}, nil
		},
	}}})
	for range 2 {
		for _, token := range []string{"a", "b"} {
			call := get("k")
			call.Token = token
			if _, got := send(t, u, call); got != "Bearer for-"+token {
				t.Errorf("%s: %s", token, got)
			}
		}
	}
	if exchanges.Load() != 2 {
		t.Errorf("%d exchanges", exchanges.Load())
	}
	for i := range maxTokens + 10 {
		u.bearers.mu.Lock()
		u.bearers.add(fmt.Sprint("key", i), time.Now())
		if len(u.bearers.all) > maxTokens {
			t.Fatalf("%d tokens are kept", len(u.bearers.all))
		}
		u.bearers.mu.Unlock()
	}
}

func TestParseToken(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for body, want := range map[string]string{
		`{"access_token": "a", "expires_in": 60}`:              "a 1m0s",
		`{"access_token": "a", "expiration": 1800000100}`:      "a 1m40s",
		`{"access_token": "a", "expires_in": 1e300}`:           "a 8760h0m0s",
		`{"access_token": "a", "expiration": 1e300}`:           "a 8760h0m0s",
		`{"access_token": "a"}`:                                "",
		`{"access_token": "a", "expires_in": -1}`:              "",
		`{"access_token": "a", "expiration": 1800000000}`:      "",
		`{"access_token": "", "expires_in": 60}`:               "",
		`{"access_token": "a b", "expires_in": 60}`:            "",
		"{\"access_token\": \"a\\r\\nb\", \"expires_in\": 60}": "",
		`{"access_token": 1, "expires_in": 60}`:                "",
		`[]`:                                                   "",
		``:                                                     "",
		`{"access_token": "a", "expires_in": 60}` + strings.Repeat(" ", maxAnswer): "",
	} {
		token, until, err := parseToken([]byte(body), now)
		got := ""
		if err == nil {
			got = fmt.Sprint(token, " ", until.Sub(now))
		}
		if got != want {
			t.Errorf("%.60s: got %q, want %q", body, got, want)
		}
	}
}
