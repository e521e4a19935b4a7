package containersync

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/realms"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.ConformWith(t, host(t), Filter, "", nil, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

// host has the realms that the recording was made with.
func host(t testing.TB) middleware.Host {
	t.Helper()
	h := mt.Host(t)
	text, err := os.ReadFile("testdata/realms.conf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.Dir, realms.FileName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// app has a container c with a key.
func app() *mt.App {
	return mt.NewApp().Otherwise(mt.Answer{}).
		On("HEAD /v1/a/c", mt.Answer{Code: 204, Header: map[string]string{"X-Container-Sync-Key": "userkey"}}).
		On("HEAD /v1/a/versioned", mt.Answer{Code: 204, Header: map[string]string{"X-Container-Sysmeta-Versions-Container": "x"}})
}

func signed(method, path, timestamp string) mt.Option {
	sig := hex.EncodeToString(realms.Signature("realmkey", "userkey", method, apipath.Quote(path), timestamp, "nonce"))
	return mt.Header("X-Container-Sync-Auth", "local nonce "+sig)
}

func TestSignedRequestIsStoredAsItComes(t *testing.T) {
	for _, tc := range []struct{ name, header, sent string }{
		{"the time that gatekeeper has set aside", "X-Backend-Inbound-X-Timestamp", "1700000000.00000"},
		{"a time without gatekeeper", "X-Timestamp", "1700000000.00000"},
	} {
		a := app()
		var state request.State
		got := mt.Do(t, mt.BuildOn(t, host(t), Filter, "", a), "PUT", "/v1/a/c/o", mt.Header(tc.header, tc.sent),
			signed("PUT", "/v1/a/c/o", tc.sent), func(r *http.Request) {
				state.Infos = &request.Infos{}
				*r = *request.With(r, &state)
			})
		call := a.Last()
		if got.Code != 200 || call.Method != "PUT" || call.Header.Get("X-Timestamp") != tc.sent || call.Header.Get("X-Backend-Inbound-X-Timestamp") != "" {
			t.Errorf("%s: got %d, sent on %s %v", tc.name, got.Code, call.Method, call.Header)
		}
		if s := call.State; !s.AuthOverride || !s.AsStored || s.Authorize == nil {
			t.Errorf("%s: not let in: %+v", tc.name, s)
		}
		if diff := cmp.Diff([]string{"cs:valid"}, state.Log.Info); diff != "" {
			t.Errorf("%s: log info, -want +got\n%s", tc.name, diff)
		}
	}
}

func TestSignatureIsGoodForItsContainerOnly(t *testing.T) {
	a := app()
	mt.Do(t, mt.BuildOn(t, host(t), Filter, "", a), "PUT", "/v1/a/c/o", signed("PUT", "/v1/a/c/o", "0"))
	authorize := a.Last().State.Authorize
	if authorize == nil {
		t.Fatal("nobody is asked")
	}
	for path, want := range map[string]bool{
		"/v1/a/c/o": true, "/v1/a/c/other": true, "/v1/a/c": true,
		"/v1/a/d/o": false, "/v1/b/c/o": false, "/v1/a": false, "/v1/a/": false, "/v1/a/cc": false, "/info": false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := authorize(r); (err == nil) != want {
			t.Errorf("%s: got %v, allowed %v is wanted", path, err, want)
		}
	}
}

func TestWhatIsRefusedIsNotPassedOn(t *testing.T) {
	for _, tc := range []struct{ name, auth, fact string }{
		{"two words", "local nonce", "cs:not-3-args"},
		{"an unknown realm", "us nonce 00", "cs:no-local-realm-key"},
		{"a realm without a key", "keyless nonce 00", "cs:no-local-realm-key"},
		{"another signature", "local nonce 0000000000000000000000000000000000000000", "cs:invalid-sig"},
		{"no signature", "local nonce x", "cs:invalid-sig"},
	} {
		a := app()
		state := request.State{Infos: &request.Infos{}}
		got := mt.Do(t, mt.BuildOn(t, host(t), Filter, "", a), "PUT", "/v1/a/c/o", mt.Header("X-Container-Sync-Auth", tc.auth), mt.Body("x"),
			mt.Header("X-Backend-Inbound-X-Timestamp", "1"), func(r *http.Request) { *r = *request.With(r, &state) })
		if got.Code != 401 || got.Header.Get("Www-Authenticate") != `SwiftContainerSync realm="a"` {
			t.Errorf("%s: got %d %v", tc.name, got.Code, got.Header)
		}
		for _, c := range a.Calls() {
			if c.Method != "HEAD" {
				t.Errorf("%s: passed on as %s %s", tc.name, c.Method, c.URI)
			}
		}
		if diff := cmp.Diff([]string{tc.fact}, state.Log.Info); diff != "" || state.AuthOverride || state.AsStored {
			t.Errorf("%s: let in, or log info -want +got\n%s", tc.name, diff)
		}
	}
}

func TestContainersWithoutAKeyTakeNothing(t *testing.T) {
	state := request.State{Infos: &request.Infos{}}
	got := mt.Do(t, mt.BuildOn(t, host(t), Filter, "", app()), "PUT", "/v1/a/keyless/o", signed("PUT", "/v1/a/keyless/o", "0"),
		func(r *http.Request) { *r = *request.With(r, &state) })
	if got.Code != 401 || len(state.Log.Info) != 1 || state.Log.Info[0] != "cs:no-local-user-key" {
		t.Errorf("got %d %v", got.Code, state.Log.Info)
	}
}

func TestVersionedContainersAreNoSource(t *testing.T) {
	const text = "<html><h1>Bad Request</h1><p>Cannot configure container sync on a container with object versioning configured.</p></html>"
	for _, tc := range []struct {
		method, path, to string
		want             int
	}{
		{"POST", "/v1/a/versioned", "//local/here/a/c", 400},
		{"PUT", "/v1/a/versioned", "//local/here/a/c", 400},
		{"POST", "/v1/a/versioned/", "http://127.0.0.1/v1/a/c", 400},
		{"POST", "/v1/a/versioned", "", 200},
		{"DELETE", "/v1/a/versioned", "//local/here/a/c", 200},
		{"POST", "/v1/a/versioned/o", "//local/here/a/c", 200},
		{"POST", "/v1/a/c", "//local/here/a/c", 200},
	} {
		got := mt.Do(t, mt.BuildOn(t, host(t), Filter, "", app()), tc.method, tc.path, mt.Header("X-Container-Sync-To", tc.to))
		if got.Code != tc.want || tc.want == 400 && got.Body != text {
			t.Errorf("%s %s to %q: got %d %q, want %d", tc.method, tc.path, tc.to, got.Code, got.Body, tc.want)
		}
	}
}

func TestLookupsAreTheFiltersOwn(t *testing.T) {
	a := app()
	mt.Do(t, mt.BuildOn(t, host(t), Filter, "", a), "GET", "/v1/a/c/o", signed("GET", "/v1/a/c/o", "0"))
	if calls := a.Calls(); len(calls) != 2 || calls[0].State.Log.Source != "CS" || calls[0].State.AsStored {
		t.Errorf("got %v, want a lookup by CS and the request", a.URIs())
	}
	a.Forget()
	mt.Do(t, mt.BuildOn(t, host(t), Filter, "", a), "GET", "/v1/a/c/o")
	if uris := a.URIs(); len(uris) != 1 {
		t.Errorf("a request that has nothing to do with it: got %v, want no lookup", uris)
	}
}

func TestInfoShowsTheRealms(t *testing.T) {
	const realms = `{"realms":{"KEYLESS":{"clusters":{"THERE":{}}},"LOCAL":{"clusters":{"FAR":{},"HERE":%s}}}}`
	for config, here := range map[string]string{
		"": "{}", `current = "//local/here"`: `{"current":true}`, `current = "Local/HERE/"`: `{"current":true}`, `current = "//local/nowhere"`: "{}",
	} {
		p := mt.BuildOn(t, host(t), Filter, config, mt.NewApp())
		shown := p.Info().Public["container_sync"]
		if f, ok := shown.(func() any); ok {
			shown = f()
		}
		got, err := json.Marshal(shown)
		if want := fmt.Sprintf(realms, here); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", config, got, err, want)
		}
	}
}

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, config := range []string{`current = "local"`, `current = "//local/"`, `current = "//a/b/c"`, `current = "//"`, "allow_full_urls = 1.5"} {
		if p, err := mt.TryBuild(host(t), Filter, config, mt.NewApp()); err == nil {
			p.Close()
			t.Errorf("%s: accepted", config)
		}
	}
	h := mt.Host(t)
	if err := os.WriteFile(filepath.Join(h.Dir, realms.FileName), []byte("[us\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := mt.TryBuild(h, Filter, "", mt.NewApp()); err == nil {
		p.Close()
		t.Error("a realms file with a fault: accepted")
	}
}

// FuzzAuth sends what clients may send.
func FuzzAuth(f *testing.F) {
	f.Add("/v1/a/c/o", "local nonce 00", "1", "//local/here/a/c")
	f.Add("/v1/a/c", "local  n  691749d87313e796bf661a91731315e3e5711ce1", "", "http://x")
	h := mt.BuildOn(f, host(f), Filter, "allow_full_urls = false", app())
	f.Fuzz(func(t *testing.T, path, auth, timestamp, to string) {
		got := mt.Do(t, h, "PUT", "/", func(r *http.Request) {
			r.URL.Path = path
			r.Header = http.Header{headerAuth: {auth}, headerInbound: {timestamp}, headerTo: {to}}
		})
		if got.Code != 200 && got.Code != 400 && got.Code != 401 {
			t.Errorf("%q %q %q %q: got %d", path, auth, timestamp, to, got.Code)
		}
	})
}
