package tempauth

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/acl"
	"github.com/apus-storage/apus/internal/cache"
	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/lookup"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/internal/statsd"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { middlewaretest.Conform(t, Filter, middlewaretest.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, "", nil) }

func TestTokenRequestsAreAnsweredAsBySwift(t *testing.T) {
	h := serve(t, section+`user_other_o = "k .admin https://elsewhere.example.com:8443/v1/AUTH_shared"`, &proxy{})
	const unauthorized = "<html><h1>Unauthorized</h1><p>This server could not verify that you are authorized to access the document you requested.</p></html>"
	tests := []struct {
		name, method, target string
		header               []string // name, value, ...
		code                 int
		realm, body          string
		url                  string
	}{
		{name: "v1.0", target: "/auth/v1.0", header: []string{"X-Auth-User", "test:tester", "X-Auth-Key", "testing"}, code: 200, url: "http://example.com/v1/AUTH_test"},
		{name: "auth, old names of headers", target: "/auth/auth/whatever", header: []string{"X-Storage-User", "test:tester", "X-Storage-Pass", "testing"}, code: 200, url: "http://example.com/v1/AUTH_test"},
		{name: "account in the path", target: "/auth/v1/test/auth", header: []string{"X-Storage-User", "tester", "X-Storage-Pass", "testing"}, code: 200, url: "http://example.com/v1/AUTH_test"},
		{name: "account in the path and the header", target: "/auth/v1/test/auth", header: []string{"X-Auth-User", "test:tester", "X-Auth-Key", "testing"}, code: 200, url: "http://example.com/v1/AUTH_test"},
		{name: "storage URL of the user", target: "/auth/v1.0", header: []string{"X-Auth-User", "other:o", "X-Auth-Key", "k"}, code: 200, url: "https://elsewhere.example.com:8443/v1/AUTH_shared"},
		{name: "nobody", target: "/auth/v1.0", code: 401, realm: "unknown", body: unauthorized},
		{name: "no colon", target: "/auth/v1.0", header: []string{"X-Auth-User", "test", "X-Auth-Key", "x"}, code: 401, realm: "unknown", body: unauthorized},
		{name: "no account", target: "/auth/v1.0", header: []string{"X-Auth-User", ":x", "X-Auth-Key", "x"}, code: 401, realm: "unknown", body: unauthorized},
		{name: "no user", target: "/auth/v1.0", header: []string{"X-Auth-User", "test:", "X-Auth-Key", "x"}, code: 401, realm: "test", body: unauthorized},
		{name: "no key", target: "/auth/v1.0", header: []string{"X-Auth-User", "test:tester"}, code: 401, realm: "test", body: unauthorized},
		{name: "unknown user", target: "/auth/v1.0", header: []string{"X-Auth-User", "test:nobody", "X-Auth-Key", "x"}, code: 401, realm: "test", body: unauthorized},
		{name: "wrong key", target: "/auth/v1.0", header: []string{"X-Auth-User", "test:tester", "X-Auth-Key", "x"}, code: 401, realm: "test", body: unauthorized},
		{name: "account in the path, nobody", target: "/auth/v1/test/auth", code: 401, realm: "test", body: unauthorized},
		{name: "two accounts", target: "/auth/v1/test/auth", header: []string{"X-Auth-User", "test2:tester2", "X-Auth-Key", "testing2"}, code: 401, realm: "test", body: unauthorized},
		{name: "a quote in the realm", target: "/auth/v1/a%22b/auth", code: 401, realm: "a%22b", body: unauthorized},
		{name: "a name that is not ASCII", target: "/auth/v1.0", header: []string{"X-Auth-User", "\u00fc<%0D>:x"}, code: 401, realm: "\u00fc<%0D>", body: unauthorized},
		{name: "a quote in the name", target: "/auth/v1.0", header: []string{"X-Auth-User", `a"\:x`}, code: 401, realm: "a%22%5C", body: unauthorized},
		{name: "POST", method: "POST", target: "/auth/v1.0", code: 405, body: "<html><h1>Method Not Allowed</h1><p>The method is not allowed for this resource.</p></html>"},
		{name: "HEAD", method: "HEAD", target: "/auth/v1.0", code: 405},
		{name: "no version", target: "/auth/", code: 404, body: "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>"},
		{name: "unknown version", target: "/auth/v9/x", code: 400, body: "<html><h1>Bad Request</h1><p>The server could not comply with the request since it is either malformed or otherwise incorrect.</p></html>"},
		{name: "v1 without auth", target: "/auth/v1/test", code: 400, body: "<html><h1>Bad Request</h1><p>The server could not comply with the request since it is either malformed or otherwise incorrect.</p></html>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var options []middlewaretest.Option
			for pair := range slices.Chunk(test.header, 2) {
				options = append(options, middlewaretest.Header(pair[0], pair[1]))
			}
			if test.method == "" {
				test.method = "GET"
			}
			res := middlewaretest.Do(t, h, test.method, test.target, options...)
			challenge := ""
			if test.realm != "" {
				challenge = `Swift realm="` + test.realm + `"`
			}
			if res.Code != test.code || res.Body != test.body || res.Header.Get("Www-Authenticate") != challenge ||
				res.Header.Get("Content-Type") != reply.TypeHTML || res.Header.Get("X-Storage-Url") != test.url {
				t.Errorf("got %d %v %q, want %d, challenge %q, storage URL %q, %q", res.Code, res.Header, res.Body, test.code, challenge, test.url, test.body)
			}
			token := res.Header.Get("X-Auth-Token")
			if good := regexp.MustCompile(`^AUTH_tk[0-9a-f]{32}$`).MatchString(token); good != (test.code == 200) || token != res.Header.Get("X-Storage-Token") {
				t.Errorf("token %q", token)
			}
		})
	}
}

func TestStorageURLs(t *testing.T) {
	for _, test := range []struct{ name, toml, url, want string }{
		{"scheme of the request", "", "http://h:8080/auth/v1.0", "http://h:8080/v1/AUTH_a"},
		{"default port is left out", "", "http://h:80/auth/v1.0", "http://h/v1/AUTH_a"},
		{"TLS", "", "https://h:443/auth/v1.0", "https://h/v1/AUTH_a"},
		{"TLS on a port of its own", "", "https://h:80/auth/v1.0", "https://h:80/v1/AUTH_a"},
		{"a scheme for all", `storage_url_scheme = "https"`, "http://h:8080/auth/v1.0", "https://h:8080/v1/AUTH_a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := serve(t, test.toml+"\n"+`user_a_u = "k"`, &proxy{})
			r := httptest.NewRequest("GET", test.url, nil)
			r.Header.Set("X-Auth-User", "a:u")
			r.Header.Set("X-Auth-Key", "k")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if got := rec.Header().Get("X-Storage-Url"); got != test.want {
				t.Errorf("%s: got %s, want %s", test.url, got, test.want)
			}
		})
	}
}

// clockAt is a clock that a test moves.
type clockAt struct{ now time.Time }

func (c *clockAt) Now() time.Time { return c.now }

func TestTokensLiveAndAreReused(t *testing.T) {
	now := &clockAt{time.Unix(1_700_000_000, 0)}
	shared := memory.New(memory.Options{Clock: now})
	start := func(toml string) http.Handler {
		host := middlewaretest.Host(t)
		host.Clock = now
		p := middlewaretest.BuildOn(t, host, Filter, toml, &proxy{})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.ServeHTTP(w, request.With(r, &request.State{Infos: &request.Infos{}, Cache: shared}))
		})
	}
	allowed := func(h http.Handler, token string) bool {
		return middlewaretest.Get(t, h, "/v1/AUTH_test/c/o", middlewaretest.Header("X-Auth-Token", token)).Code == http.StatusNoContent
	}
	h := start("token_life = 100\n" + `user_test_tester = "testing .admin"`)
	first := login(t, h, "test:tester", "testing")
	if !allowed(h, first) {
		t.Fatal("a fresh token was refused")
	}
	now.now = now.now.Add(60*time.Second + 500*time.Millisecond)
	res := middlewaretest.Get(t, h, "/auth/v1.0", middlewaretest.Header("X-Auth-User", "test:tester"), middlewaretest.Header("X-Auth-Key", "testing"))
	if again, left := res.Header.Get("X-Auth-Token"), res.Header.Get("X-Auth-Token-Expires"); again != first || left != "39" {
		t.Errorf("second request: got token %s, %s s left; want the same and 39", again, left)
	}
	more := start("token_life = 100\n" + `user_test_tester = "testing .admin extra"`)
	second := login(t, more, "test:tester", "testing")
	if second == first {
		t.Error("a token was reused although the user's groups have changed")
	}
	now.now = now.now.Add(50 * time.Second)
	if allowed(h, first) || !allowed(h, second) {
		t.Errorf("after the first token's life: first allowed %v, second %v", allowed(h, first), allowed(h, second))
	}
}

func TestWhatIsCachedIsWhatSwiftCaches(t *testing.T) {
	c := memory.New(memory.Options{})
	host := middlewaretest.Host(t)
	host.Clock = clock.Func(func() time.Time { return time.Unix(1795292775, 957490000) })
	p := middlewaretest.BuildOn(t, host, Filter, section, &proxy{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, request.With(r, &request.State{Infos: &request.Infos{}, Cache: c}))
	})
	token := login(t, h, "test:tester", "testing")
	for key, want := range map[string]string{
		"AUTH_/token/" + token:   `[1795379175.95749, "test,test:tester,AUTH_test,SERVICE_test"]`,
		"AUTH_/user/test:tester": `"` + token + `"`,
	} {
		if got, err := c.Get(t.Context(), key); err != nil || string(got.Data) != want || !got.JSON {
			t.Errorf("%s: got %s (JSON: %v), %v; want %s", key, got.Data, got.JSON, err, want)
		}
	}
}

// broken is a cache whose writes fail.
type broken struct{ cache.Cache }

func (broken) Set(context.Context, string, cache.Value, time.Duration) error {
	return cache.ErrUnavailable
}

func TestWithoutACache(t *testing.T) {
	for _, test := range []struct {
		name   string
		cache  cache.Cache
		target string
		code   int
		body   string
	}{
		{"no token is handed out that nobody would find", broken{memory.New(memory.Options{})}, "/auth/v1.0", 503, "<html><h1>Service Unavailable</h1><p>The server is currently unavailable. Please try again at a later time.</p></html>"},
		{"no token without a cache", nil, "/auth/v1.0", 500, "Internal server error.\n"},
		{"no token is accepted without a cache", nil, "/v1/AUTH_test", 500, reply.Status(500).Body},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := middlewaretest.Build(t, Filter, section, &proxy{})
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p.ServeHTTP(w, request.With(r, &request.State{Infos: &request.Infos{}, Cache: test.cache}))
			})
			res := middlewaretest.Get(t, h, test.target, middlewaretest.Header("X-Auth-User", "test:tester"),
				middlewaretest.Header("X-Auth-Key", "testing"), middlewaretest.Header("X-Auth-Token", "AUTH_tkx"))
			if res.Code != test.code || res.Body != test.body {
				t.Errorf("got %d %q, want %d %q", res.Code, res.Body, test.code, test.body)
			}
		})
	}
}

func TestSpoiltCacheItemsAreNoTokens(t *testing.T) {
	for _, item := range []string{`[]`, `[9e12]`, `["x", "test"]`, `[9e12, ["test"]]`, `[9e12, ""]`, `{"a": 1}`, `"test"`, `[9e12, "a", 1]`, `x`} {
		c := memory.New(memory.Options{})
		c.Set(t.Context(), "AUTH_/token/AUTH_tk1", cache.Value{Data: []byte(item), JSON: true}, time.Hour)
		p := middlewaretest.Build(t, Filter, section, &proxy{})
		r := httptest.NewRequest("GET", "/v1/AUTH_test", nil)
		r.Header.Set("X-Auth-Token", "AUTH_tk1")
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, request.With(r, &request.State{Infos: &request.Infos{}, Cache: c}))
		if rec.Code != 401 {
			t.Errorf("cached %s: got %d, want 401", item, rec.Code)
		}
	}
}

func TestOverridesAndOtherAuthFilters(t *testing.T) {
	other := func(*http.Request) error { return reply.Status(http.StatusTeapot) }
	for _, test := range []struct {
		name, toml, path, token string
		authorize               func(*http.Request) error
		override                bool
		code                    int
	}{
		{name: "a filter to the left has decided", override: true, path: "/v1/AUTH_test", code: 204},
		{name: "such decisions are not wanted", toml: "allow_overrides = false", override: true, path: "/v1/AUTH_test", code: 401},
		{name: "somebody else's account", authorize: other, path: "/v1/OTHER_x", code: http.StatusTeapot},
		{name: "somebody else's account and nobody else", path: "/v1/OTHER_x", code: 401},
		{name: "our account, whoever else there is", authorize: other, path: "/v1/AUTH_test", code: 401},
		{name: "somebody else's token", authorize: other, token: "gAAA", path: "/v1/OTHER_x", code: http.StatusTeapot},
		{name: "no prefix, unknown token, somebody else decides", toml: `reseller_prefix = "''"`, token: "t", authorize: other, path: "/v1/x", code: http.StatusTeapot},
		{name: "no prefix, unknown token", toml: `reseller_prefix = ""`, token: "t", path: "/v1/x", code: 401},
		{name: "no prefix, anonymous, somebody else decides", toml: `reseller_prefix = ""`, authorize: other, path: "/v1/x", code: http.StatusTeapot},
		{name: "no prefix, anonymous", toml: `reseller_prefix = ""`, path: "/v1/x", code: 401},
		{name: "empty prefix second", toml: `reseller_prefix = "AUTH, ''"`, path: "/v1/x", code: 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := middlewaretest.Build(t, Filter, test.toml, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if authorize := request.From(r.Context()).Authorize; authorize != nil {
					if err := authorize(r); err != nil {
						reply.Write(w, r, err)
						return
					}
				}
				w.WriteHeader(http.StatusNoContent)
			}))
			r := httptest.NewRequest("GET", test.path, nil)
			if test.token != "" {
				r.Header.Set("X-Auth-Token", test.token)
			}
			rec := httptest.NewRecorder()
			p.ServeHTTP(rec, request.With(r, &request.State{
				Infos: &request.Infos{}, Cache: memory.New(memory.Options{}), Authorize: test.authorize, AuthOverride: test.override,
			}))
			if rec.Code != test.code {
				t.Errorf("got %d, want %d", rec.Code, test.code)
			}
		})
	}
}

func TestEmptyPrefixKnowsItsUsers(t *testing.T) {
	h := serve(t, `reseller_prefix = ""`+"\n"+`user_a_u = "k .admin"`, &proxy{})
	token := login(t, h, "a:u", "k")
	if !strings.HasPrefix(token, "tk") {
		t.Errorf("token %s", token)
	}
	for path, want := range map[string]int{"/v1/a/c": 204, "/v1/b/c": 403} {
		if got := middlewaretest.Get(t, h, path, middlewaretest.Header("X-Auth-Token", token)).Code; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
}

func TestOwnersSetAccountLists(t *testing.T) {
	app := middlewaretest.NewApp().Otherwise(middlewaretest.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		if err := request.From(r.Context()).Authorize(r); err != nil {
			reply.Write(w, r, err)
			return
		}
		w.Header()["Stored"] = r.Header[acl.SysmetaHeader]
		w.Header()["Left"] = r.Header[acl.Header]
	}})
	h := serve(t, section, app)
	token := login(t, h, "test:tester", "testing")
	for _, test := range []struct{ value, stored, body string }{
		{value: `{"read-only": ["test:tester3"]}`, stored: `{"read-only": ["test:tester3"]}`},
		{value: "", stored: ""},
		{value: `{"other": []}`, body: "X-Account-Access-Control invalid: Key \"other\" not recognized\n\nInput: {\"other\": []}\n"},
		{value: `{"admin": "x"}`, body: "X-Account-Access-Control invalid: Value for key \"admin\" must be a list\n\nInput: {\"admin\": \"x\"}\n"},
		{value: `{"admin": [1]}`, body: "X-Account-Access-Control invalid: Elements of \"admin\" list must be strings\n\nInput: {\"admin\": [1]}\n"},
		{value: `{`, body: "X-Account-Access-Control invalid: Syntax error in input ('{')\n\nInput: {\n"},
	} {
		res := middlewaretest.Do(t, h, "POST", "/v1/AUTH_test", middlewaretest.Header("X-Auth-Token", token), middlewaretest.Header(acl.Header, test.value))
		if test.body != "" {
			if res.Code != 400 || res.Body != test.body || res.Header.Get("Content-Type") != reply.TypeText {
				t.Errorf("%s: got %d %q, want 400 %q", test.value, res.Code, res.Body, test.body)
			}
			continue
		}
		if stored, ok := res.Header["Stored"]; res.Code != 200 || !ok || stored[0] != test.stored || res.Header["Left"] != nil {
			t.Errorf("%s: got %d, stored %q, left %q", test.value, res.Code, stored, res.Header["Left"])
		}
	}
}

func TestContainerSyncKey(t *testing.T) {
	const key = "s3cret"
	for _, test := range []struct {
		name, method, path, key, timestamp string
		code                               int
	}{
		{"PUT with the key", "PUT", "/v1/AUTH_test/c/o", key, "1700000000.00000", 204},
		{"DELETE with the key", "DELETE", "/v1/AUTH_test/c/o", key, "1700000000.00000", 204},
		{"no time", "PUT", "/v1/AUTH_test/c/o", key, "", 401},
		{"wrong key", "PUT", "/v1/AUTH_test/c/o", "other", "1700000000.00000", 401},
		{"empty key", "PUT", "/v1/AUTH_test/c/o", "", "1700000000.00000", 401},
		{"empty key of a container without one", "PUT", "/v1/AUTH_test/none/o", "", "1700000000.00000", 401},
		{"reading", "GET", "/v1/AUTH_test/c/o", key, "1700000000.00000", 401},
		{"metadata", "POST", "/v1/AUTH_test/c/o", key, "1700000000.00000", 401},
		{"the container", "DELETE", "/v1/AUTH_test/c", key, "1700000000.00000", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			infos := &request.Infos{}
			infos.Put(lookup.ContainerKey("AUTH_test", "c"), &lookup.Container{Status: 204, SyncKey: key})
			infos.Put(lookup.ContainerKey("AUTH_test", "none"), &lookup.Container{Status: 204})
			p := middlewaretest.Build(t, Filter, section, &proxy{})
			r := httptest.NewRequest(test.method, test.path, nil)
			r.Header.Set("X-Container-Sync-Key", test.key)
			if test.timestamp != "" {
				r.Header.Set("X-Timestamp", test.timestamp)
			}
			rec := httptest.NewRecorder()
			p.ServeHTTP(rec, request.With(r, &request.State{Infos: infos}))
			if rec.Code != test.code {
				t.Errorf("got %d, want %d", rec.Code, test.code)
			}
		})
	}
}

func TestOwnershipIsNotInherited(t *testing.T) {
	h := serve(t, section, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := request.From(r.Context())
		state.Owner, state.ACL = true, "test:tester3" // as if left over from another request
		if err := state.Authorize(r); err != nil {
			t.Error(err)
		}
		if state.Owner {
			t.Error("a user whom a list lets in is taken for the owner")
		}
	}))
	middlewaretest.Get(t, h, "/v1/AUTH_test/c/o", middlewaretest.Header("X-Auth-Token", login(t, h, "test:tester3", "testing3")))
}

func TestWhoIsWho(t *testing.T) {
	var user string
	var reseller bool
	h := serve(t, section, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := request.From(r.Context())
		user, reseller = state.User, state.Reseller
	}))
	service := login(t, h, "test5:tester5", "testing5")
	for _, test := range []struct {
		who, key, service, user string
		reseller                bool
	}{
		{"test:tester", "testing", "", "test,test:tester,AUTH_test,SERVICE_test", false},
		{"test:tester3", "testing3", service, "test,test:tester3,test5,test5:tester5,service", false},
		{"test:tester3", "testing3", "AUTH_tkbogus", "test,test:tester3", false},
		{"admin:admin", "admin", "", "admin,admin:admin,.reseller_admin,AUTH_admin,SERVICE_admin", true},
	} {
		middlewaretest.Get(t, h, "/v1/AUTH_test", middlewaretest.Header("X-Auth-Token", login(t, h, test.who, test.key)), middlewaretest.Header("X-Service-Token", test.service))
		if user != test.user || reseller != test.reseller {
			t.Errorf("%s: got %q, reseller %v; want %q, %v", test.who, user, reseller, test.user, test.reseller)
		}
	}
}

func TestCleanACLGivesTheClientsText(t *testing.T) {
	_, err := cleanACL("X-Container-Write", ".r:*")
	answer, ok := errors.AsType[*reply.Error](err)
	const want = "Referrers not allowed in write ACL: '.r:*'"
	if !ok || answer.Code != 400 || answer.Body != want || err.Error() != want {
		t.Errorf("got %v, %+v, want 400 %s", err, answer, want)
	}
	if got, err := cleanACL("X-Container-Read", " .ref:* , a:b"); err != nil || got != ".r:*,a:b" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMetricsAndLog(t *testing.T) {
	var sent []string
	host := middlewaretest.Host(t)
	log := middlewaretest.Capture(&host)
	host.Stats = statsd.ToFunc(statsd.Defaults(), func(packet string) { sent = append(sent, packet) })
	h := serveOn(t, host, section, &proxy{})
	token := login(t, h, "test:tester3", "testing3")
	middlewaretest.Get(t, h, "/v1/AUTH_test", middlewaretest.Header("X-Auth-Token", token))
	middlewaretest.Get(t, h, "/v1/AUTH_test", middlewaretest.Header("X-Auth-Token", "AUTH_tkbogus"))
	middlewaretest.Get(t, h, "/v1/AUTH_test")
	middlewaretest.Get(t, h, "/auth/v1.0", middlewaretest.Header("X-Auth-User", "test:tester"), middlewaretest.Header("X-Auth-Key", "wr0ng"))
	middlewaretest.Get(t, h, "/auth/")
	want := []string{"forbidden", "unauthorized", "unauthorized", "token_denied", "errors"}
	for i := range want {
		want[i] = "tempauth.AUTH_." + want[i] + ":1|c"
	}
	if !slices.Equal(sent, want) {
		t.Errorf("metrics: got %q, want %q", sent, want)
	}
	for _, secret := range []string{token, "AUTH_tkbogus", "testing", "wr0ng"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
	if !strings.Contains(log.String(), "user=test:tester3") {
		t.Errorf("the log does not say who asked:\n%s", log)
	}
}

func TestInfo(t *testing.T) {
	p := middlewaretest.BuildOn(t, middlewaretest.Host(t), Filter, section, &proxy{})
	got, _ := p.Info().Public["tempauth"].(map[string]any)
	if got["account_acls"] != true {
		t.Errorf("info: got %v", p.Info().Public)
	}
}
