package tempauth

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/acl"
	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

// The configuration under which testdata/decisions.json was recorded.
const section = `
reseller_prefix = "AUTH, SERVICE"
SERVICE_require_group = "service"
user_admin_admin = "admin .admin .reseller_admin"
user_admin_auditor = "admin_ro .reseller_reader"
user_test_tester = "testing .admin"
user_test_tester3 = "testing3"
user_test2_tester2 = "testing2 .admin"
user_test5_tester5 = "testing5 service"
`

// withCache gives each request a state with the cache, as the cache filter does.
func withCache(next http.Handler) http.Handler {
	c := memory.New(memory.Options{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, request.With(r, &request.State{TransID: "tx1", Infos: &request.Infos{}, Cache: c}))
	})
}

func serve(t testing.TB, toml string, app http.Handler) http.Handler {
	t.Helper()
	return withCache(middlewaretest.Build(t, Filter, toml, app))
}

func serveOn(t testing.TB, host middleware.Host, toml string, app http.Handler) http.Handler {
	t.Helper()
	return withCache(middlewaretest.BuildOn(t, host, Filter, toml, app))
}

// proxy asks for authorization as the proxy does: once without an access list, and for an object or for reading a
// container again with the container's list.
type proxy struct {
	lists      map[string][2]string // of containers, by path: read, write
	accountACL map[string]string    // by path
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	state := request.From(r.Context())
	if a, ok := p.accountACL[r.URL.Path]; ok && r.Method == http.MethodHead {
		w.Header().Set(acl.SysmetaHeader, a)
	}
	if state.Authorize == nil || state.AuthOverride {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	path, err := apipath.Parse(r.URL.Path)
	if err != nil {
		reply.Write(w, r, reply.Status(http.StatusPreconditionFailed))
		return
	}
	err = state.Authorize(r)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	if err != nil && (path.Object != "" || path.Container != "" && reads) {
		lists := p.lists[path.ContainerPath().String()]
		if state.ACL = lists[1]; reads {
			state.ACL = lists[0]
		}
		err = state.Authorize(r)
	}
	if err != nil {
		reply.Write(w, r, err)
		return
	}
	w.Header().Set("X-Owner", strconv.FormatBool(state.Owner))
	w.WriteHeader(http.StatusNoContent)
}

func login(t testing.TB, h http.Handler, user, key string) string {
	t.Helper()
	res := middlewaretest.Get(t, h, "/auth/v1.0", middlewaretest.Header("X-Auth-User", user), middlewaretest.Header("X-Auth-Key", key))
	if res.Code != http.StatusOK {
		t.Fatalf("login of %s: %d", user, res.Code)
	}
	return res.Header.Get("X-Auth-Token")
}

// TestDecisionsAreThoseOfSwift replays what testdata/record.py recorded of OpenStack Swift: thousands of requests by all
// kinds of users, with all kinds of access lists, and whether each was allowed, or else the status.
func TestDecisionsAreThoseOfSwift(t *testing.T) {
	data, err := os.ReadFile("testdata/decisions.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Keys  map[string]string `json:"keys"`
		Lists [][2]string       `json:"lists"`
		ACL   string            `json:"account_acl"`
		Rows  [][]any           `json:"rows"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	app := &proxy{lists: map[string][2]string{}, accountACL: map[string]string{"/v1/AUTH_authacl": golden.ACL}}
	for i, lists := range golden.Lists {
		for j, header := range []string{"X-Container-Read", "X-Container-Write"} {
			if lists[j], err = cleanACL(header, lists[j]); err != nil {
				t.Fatal(err)
			}
		}
		app.lists["/v1/AUTH_test/auth-"+strconv.Itoa(i)] = lists
	}
	host := middlewaretest.Host(t)
	host.Log = slog.New(slog.DiscardHandler)
	h := serveOn(t, host, section, app)
	tokens := map[string]string{"": "", "AUTH_tkbogus": "AUTH_tkbogus", "elsewhere": "elsewhere"}
	for user, key := range golden.Keys {
		tokens[user] = login(t, h, user, key)
	}
	for _, row := range golden.Rows {
		who, service, method, path, referer := row[0].(string), row[1].(string), row[2].(string), row[3].(string), row[4].(string)
		want := int(row[5].(float64))
		var options []middlewaretest.Option
		for k, v := range map[string]string{"X-Auth-Token": tokens[who], "X-Service-Token": tokens[service], "Referer": referer} {
			if v != "" {
				options = append(options, middlewaretest.Header(k, v))
			}
		}
		res := middlewaretest.Do(t, h, method, path, options...)
		got := res.Code
		if got == http.StatusNoContent {
			got = 0
		}
		if got != want {
			t.Errorf("%s with service token of %q: %s %s, referer %q: got %d, want %d (0: allowed)", who, service, method, path, referer, got, want)
		}
		if challenge := res.Header.Get("Www-Authenticate"); (got == 401) != strings.HasPrefix(challenge, `Swift realm="`) {
			t.Errorf("%s %s: %d with challenge %q", method, path, got, challenge)
		}
	}
	if len(golden.Rows) < 3000 {
		t.Errorf("only %d decisions were recorded", len(golden.Rows))
	}
}

// FuzzNobodyGetsInWithoutAList sends anonymous and ordinary users everywhere; without a list they own nothing and may
// read nothing but what is theirs.
func FuzzNobodyGetsInWithoutAList(f *testing.F) {
	f.Add("GET", "/v1/AUTH_test/c/o", "", "")
	f.Add("PUT", "/v1/SERVICE_test/c/o", "AUTH_tk0", "http://example.com")
	f.Add("HEAD", "/v1//AUTH_test5//", "AUTH_", ".r:*")
	f.Add("DELETE", "/v1/AUTH_", "elsewhere", "\x00")
	host := middlewaretest.Host(f)
	host.Log = slog.New(slog.DiscardHandler)
	h := serveOn(f, host, section, &proxy{})
	f.Fuzz(func(t *testing.T, method, path, token, referer string) {
		r, err := http.NewRequest("GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Method, r.URL.Path = method, path
		r.Header["X-Auth-Token"], r.Header["Referer"] = []string{token}, []string{referer}
		rec := &recorder{header: http.Header{}}
		h.ServeHTTP(rec, r)
		if rec.code < 400 && method != http.MethodOptions && !strings.HasPrefix(path, "/auth/") {
			t.Errorf("%s %q with token %q, referer %q: got %d", method, path, token, referer, rec.code)
		}
	})
}

// recorder is an http.ResponseWriter for requests that httptest would not make.
type recorder struct {
	header http.Header
	code   int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// FuzzAccessList gives a container any list: it may let in whom it names, but must never make an owner.
func FuzzAccessList(f *testing.F) {
	f.Add(".r:*,.rlistings", "http://a.example.com/", "GET")
	f.Add("test:tester3,.r:-x", "", "PUT")
	f.Add(",,.r:,%,", "://", "HEAD")
	a := &auth{prefixes: []string{"AUTH_"}, log: slog.New(slog.DiscardHandler), next: &proxy{}}
	f.Fuzz(func(t *testing.T, list, referer, method string) {
		state := &request.State{User: "test,test:tester3", ACL: list, Infos: &request.Infos{}}
		for _, path := range []string{"/v1/AUTH_other/c/o", "/v1/AUTH_other/c"} {
			r, _ := http.NewRequest("GET", path, nil)
			r.Method = method
			r.Header["Referer"] = []string{referer}
			err := a.authorize(request.With(r, state))
			if state.Owner {
				t.Errorf("list %q made an owner of %s", list, path)
			}
			if list == "" && err == nil && method != http.MethodOptions {
				t.Errorf("%s %s without a list was allowed", method, path)
			}
		}
	})
}

// FuzzCredentials asks for tokens with any headers: only the users that there are get one, and only with their key.
func FuzzCredentials(f *testing.F) {
	host := middlewaretest.Host(f)
	host.Log = slog.New(slog.DiscardHandler)
	h := serveOn(f, host, section, &proxy{})
	f.Add("v1.0", "test:tester", "testing", "", "")
	f.Add("v1/test/auth", "", "", "tester", "testing")
	f.Add("auth", "test:tester", "", ":", "testing")
	f.Add("v1//auth", "a:b:c", "\xff", "", " ")
	f.Fuzz(func(t *testing.T, path, user, key, storageUser, storageKey string) {
		r, err := http.NewRequest("GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = "/auth/" + path
		r.Header["X-Auth-User"], r.Header["X-Auth-Key"] = []string{user}, []string{key}
		r.Header["X-Storage-User"], r.Header["X-Storage-Pass"] = []string{storageUser}, []string{storageKey}
		rec := &recorder{header: http.Header{}}
		h.ServeHTTP(rec, r)
		if rec.code != http.StatusOK {
			return
		}
		for _, k := range []string{"admin", "admin_ro", "testing", "testing2", "testing3", "testing5"} {
			if key == k || storageKey == k {
				return
			}
		}
		t.Errorf("/auth/%s with %q %q %q %q gave a token", path, user, key, storageUser, storageKey)
	})
}

// BenchmarkMember is a member's request for an object: token, groups and decision.
func BenchmarkMember(b *testing.B) {
	host := middlewaretest.Host(b)
	host.Log = slog.New(slog.DiscardHandler)
	h := serveOn(b, host, section, &proxy{})
	token := login(b, h, "test:tester", "testing")
	r, _ := http.NewRequest("GET", "/v1/AUTH_test/c/o", nil)
	r.Header.Set("X-Auth-Token", token)
	rec := &recorder{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		if h.ServeHTTP(rec, r); rec.code != http.StatusNoContent {
			b.Fatal(rec.code)
		}
	}
}
