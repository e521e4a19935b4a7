package symlink

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { middlewaretest.Conform(t, Filter, middlewaretest.MaxAllocs(3)) }

const path = "/v1/AUTH_test/c/link"

func to(target string, pairs ...string) middlewaretest.Answer {
	h := map[string]string{sysTarget: target, "Etag": md5Empty}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1]
	}
	return middlewaretest.Answer{Header: h}
}

func object(body, etag string) middlewaretest.Answer {
	return middlewaretest.Answer{Body: body, Header: map[string]string{"Etag": etag}}
}

func TestWhatIsStored(t *testing.T) {
	app := middlewaretest.NewApp().On("PUT "+path, middlewaretest.Answer{Code: 201}).
		On("HEAD /v1/AUTH_x/t/ö", middlewaretest.Answer{Header: map[string]string{"Etag": "e", "Content-Type": "text/t", "Content-Length": "12"}}).
		On("HEAD /v1/AUTH_test/t/slo", middlewaretest.Answer{Header: map[string]string{"Etag": "e", "X-Object-Sysmeta-Slo-Etag": "s", "X-Object-Sysmeta-Slo-Size": "99"}}).
		On("HEAD /v1/AUTH_test/t/row", middlewaretest.Answer{Header: map[string]string{"Etag": "e", overrideName: "h; a=b"}})
	for _, test := range []struct {
		name   string
		header []string
		want   map[string]string
	}{
		{"a link", []string{headerTarget, "t/a%C3%B6 b"}, map[string]string{
			sysTarget: "t/a%C3%B6%20b", overrideName: md5Empty + "; symlink_target=t/a%C3%B6%20b", "Content-Type": "application/symlink", sysAccount: "", sysETag: "", headerTarget: ""}},
		{"with a type", []string{headerTarget, "t/o", "Content-Type", "x"}, map[string]string{"Content-Type": "x"}},
		{"to another account", []string{headerTarget, "t/o", headerAccount, "AUTH_%78"}, map[string]string{
			sysAccount: "AUTH_x", overrideName: md5Empty + "; symlink_target=t/o; symlink_target_account=AUTH_x", headerAccount: ""}},
		{"static", []string{headerTarget, "t/%C3%B6", headerAccount, "AUTH_x", headerETag, `"e"`}, map[string]string{
			sysETag: "e", sysBytes: "12", "Content-Type": "text/t", headerETag: "",
			overrideName: md5Empty + "; symlink_target=t/%C3%B6; symlink_target_account=AUTH_x; symlink_target_etag=e; symlink_target_bytes=12"}},
		{"static to a large object", []string{headerTarget, "t/slo", headerETag, "e"}, map[string]string{
			sysBytes: "99", overrideName: md5Empty + "; slo_etag=s; symlink_target=t/slo; symlink_target_etag=e; symlink_target_bytes=99"}},
		{"static to what has a row of its own", []string{headerTarget, "t/row", headerETag, "e"}, map[string]string{
			overrideName: md5Empty + "; a=b; symlink_target=t/row; symlink_target_etag=e; symlink_target_bytes=0"}},
	} {
		res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "", app), "PUT", path, func(r *http.Request) {
			for i := 0; i < len(test.header); i += 2 {
				r.Header.Set(test.header[i], test.header[i+1])
			}
		})
		if res.Code != 201 {
			t.Errorf("%s: %d %s", test.name, res.Code, res.Body)
		}
		for k, v := range test.want {
			if got := app.Last().Header.Get(k); got != v {
				t.Errorf("%s: %s is %q, want %q", test.name, k, got, v)
			}
		}
	}
}

const overrideName = "X-Object-Sysmeta-Container-Update-Override-Etag"

func TestChains(t *testing.T) {
	for _, test := range []struct {
		name string
		toml string
		app  *middlewaretest.App
		code int
		body string
		at   string
	}{
		{"one", "", middlewaretest.NewApp().On("GET "+path, to("t/o")).On("GET /v1/AUTH_test/t/o", object("x", "e")), 200, "x", "/v1/AUTH_test/t/o"},
		{"to nothing", "", middlewaretest.NewApp().On("GET "+path, to("t/o")), 404, "not known to the fake app", "/v1/AUTH_test/t/o"},
		{"too many", "symloop_max = 1", middlewaretest.NewApp().On("GET "+path, to("t/2")).On("GET /v1/AUTH_test/t/2", to("t/o")), 409,
			"Too many levels of symbolic links, maximum allowed is 1", ""},
		{"a circle", "symloop_max = 50", middlewaretest.NewApp().On("GET "+path, to("c/link")), 409, "Too many levels of symbolic links, maximum allowed is 50", ""},
		{"one that does not count", "symloop_max = 1", middlewaretest.NewApp().On("GET "+path, to("t/2", sysExtend, "true")).On("GET /v1/AUTH_test/t/2", to("t/o")).
			On("GET /v1/AUTH_test/t/o", object("x", "e")), 200, "x", "/v1/AUTH_test/t/o"},
		{"the account of the link before", "", middlewaretest.NewApp().On("GET "+path, to("t/2", sysAccount, "AUTH_%C3%B6")).On("GET /v1/AUTH_ö/t/2", to("t/o")).
			On("GET /v1/AUTH_ö/t/o", object("x", "e")), 200, "x", "/v1/AUTH_%C3%B6/t/o"},
		{"an ETag that fits", "", middlewaretest.NewApp().On("GET "+path, to("t/o", sysETag, "e")).On("GET /v1/AUTH_test/t/o", object("x", `"e"`)), 200, "x", "/v1/AUTH_test/t/o"},
		{"an ETag that does not", "", middlewaretest.NewApp().On("GET "+path, to("t/o", sysETag, "e")).On("GET /v1/AUTH_test/t/o", object(strings.Repeat("x", 1<<20), "f")), 409,
			"Object Etag 'f' does not match X-Symlink-Target-Etag header 'e'", "/v1/AUTH_test/t/o"},
		{"ETags that differ", "", middlewaretest.NewApp().On("GET "+path, to("t/2", sysETag, "e")).On("GET /v1/AUTH_test/t/2", to("t/o", sysETag, "f")), 409,
			"X-Symlink-Target-Etag headers do not match", "/v1/AUTH_test/t/2"},
	} {
		res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, test.toml, test.app), path)
		if res.Code != test.code || res.Body != test.body || res.Header.Get("Content-Location") != test.at {
			t.Errorf("%s: %d %q at %q, want %d %q at %q", test.name, res.Code, res.Body, res.Header.Get("Content-Location"), test.code, test.body, test.at)
		}
	}
}

func TestTheTargetIsAskedForAsTheClient(t *testing.T) {
	app := middlewaretest.NewApp().On("GET "+path, to("t/o")).On("GET /v1/AUTH_test/t/o", object("x", "e"))
	middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", app), path+"?a=b", middlewaretest.Header("Range", "bytes=1-2"), middlewaretest.Header("If-Match", "e"),
		middlewaretest.Header("X-Auth-Token", "t"), middlewaretest.Header("X-Backend-Storage-Policy-Index", "1"), middlewaretest.Header("X-Backend-Etag-Is-At", "X-A"))
	c := app.Last()
	if c.URI != "/v1/AUTH_test/t/o" || c.Header.Get("Range") != "bytes=1-2" || c.Header.Get("If-Match") != "e" || c.Header.Get("X-Auth-Token") != "t" ||
		c.Header.Get("X-Backend-Storage-Policy-Index") != "" || c.Header.Get("X-Backend-Etag-Is-At") != "X-A" || c.State.Log.Source != "SYM" || c.State.AuthOverride {
		t.Errorf("%s %v %+v", c.URI, c.Header, c.State)
	}
	if got := app.Calls()[0].Header.Get("X-Backend-Ignore-Range-If-Metadata-Present"); got != sysTarget {
		t.Errorf("the link's node is told to ignore ranges with %q", got)
	}
}

func TestLinksOfTheClusterMayGoToReservedNames(t *testing.T) {
	app := middlewaretest.NewApp().On("GET "+path, to("%00t/%00o", sysReserved, "true")).On("GET /v1/AUTH_test/\x00t/\x00o", object("x", "e"))
	if res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", app), path); res.Body != "x" || !app.Last().State.AuthOverride ||
		app.Last().Header.Get("X-Backend-Allow-Reserved-Names") != "true" {
		t.Errorf("%d %q %v", res.Code, res.Body, app.Last().Header)
	}
}

// The owner of an account may read its links. That must not open other accounts.
func TestRightsOnTheLinkAreNotThoseOnTheTarget(t *testing.T) {
	var unguarded []string
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := request.From(r.Context())
		if s.Authorize == nil || s.Owner {
			unguarded = append(unguarded, r.URL.Path)
		} else if err := s.Authorize(r); err != nil {
			reply.Write(w, r, err)
			return
		}
		again := s.Authorize
		s.Authorize, s.Owner = nil, true // as the proxy does while it serves an owner
		defer func() { s.Authorize = again }()
		w.Header().Set(sysTarget, "t/o")
		w.Header().Set(sysAccount, "AUTH_victim")
		io.WriteString(w, "")
	})
	r := request.With(httptest.NewRequestWithContext(t.Context(), "GET", path, nil), &request.State{Infos: &request.Infos{}, Authorize: func(r *http.Request) error {
		if !strings.HasPrefix(r.URL.Path, "/v1/AUTH_test/") {
			return reply.Status(http.StatusForbidden)
		}
		return nil
	}})
	rec := httptest.NewRecorder()
	middlewaretest.Build(t, Filter, "", app).ServeHTTP(rec, r)
	if rec.Code != http.StatusForbidden || len(unguarded) > 0 {
		t.Errorf("%d; not guarded: %q", rec.Code, unguarded)
	}
}

// A filter to the left that has made the target knows it, and need not be asked to prove it.
func TestStaticLinksOfTheCluster(t *testing.T) {
	app := middlewaretest.NewApp().On("PUT "+path, middlewaretest.Answer{Code: 201})
	res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "", app), "PUT", path,
		middlewaretest.Header(headerTarget, "%00t/%00o"), middlewaretest.Header(sysETag, "e"), middlewaretest.Header(sysBytes, "5"))
	const want = md5Empty + "; symlink_target=%00t/%00o; symlink_target_etag=e; symlink_target_bytes=5"
	put := app.Last()
	if got := put.Header.Get("X-Object-Sysmeta-Container-Update-Override-Etag"); res.Code != 201 || got != want || put.Header.Get(sysETag) != "e" {
		t.Errorf("%d: listed with %q, want %q; stored with %v", res.Code, got, want, put.Header)
	}
}

func TestPostSaysWhereTheTargetIs(t *testing.T) {
	app := middlewaretest.NewApp().On("POST "+path, middlewaretest.Answer{Code: 202, Header: map[string]string{sysTarget: "t/o", sysAccount: "AUTH_x", sysETag: "e"}})
	res := middlewaretest.Do(t, middlewaretest.Build(t, Filter, "", app), "POST", path)
	if res.Code != 307 || res.Header.Get("Location") != "/v1/AUTH_x/t/o" || res.Header.Get(headerETag) != "e" || res.Header.Get(sysTarget) != "t/o" {
		t.Errorf("%d %v", res.Code, res.Header)
	}
}

func TestListings(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"a link", `[{"hash": "h; symlink_target=t/o", "name": "n"}]`, `[{"hash": "h", "name": "n", "symlink_path": "/v1/AUTH_test/t/o"}]`},
		{"a static link elsewhere, to a large object", `[{"hash": "h; slo_etag=s; symlink_target=t/o; symlink_target_account=x; symlink_target_etag=e; symlink_target_bytes=5"}]`,
			`[{"hash": "h; slo_etag=s", "symlink_etag": "e", "symlink_bytes": 5, "symlink_path": "/v1/x/t/o"}]`},
		{"none", `[{"hash":"h"},{"subdir":"symlink_target/"}]`, `[{"hash": "h"}, {"subdir": "symlink_target/"}]`},
		{"no listing", `{"symlink_target"`, `{"symlink_target"`},
	} {
		app := middlewaretest.NewApp().On("GET /v1/AUTH_test/c", middlewaretest.Answer{Body: test.body, Header: map[string]string{"Content-Type": "application/json; charset=utf-8"}})
		res := middlewaretest.Get(t, middlewaretest.Build(t, Filter, "", app), "/v1/AUTH_test/c")
		if res.Body != test.want || res.Header.Get("Content-Length") != fmt.Sprint(len(test.want)) {
			t.Errorf("%s: %s, want %s", test.name, res.Body, test.want)
		}
	}
}

func TestABodyIsNotReadBeyondItsFirstByte(t *testing.T) {
	body := strings.NewReader("a long body")
	r := httptest.NewRequestWithContext(t.Context(), "PUT", path, body)
	r.ContentLength = -1
	r.Header.Set(headerTarget, "t/o")
	rec := httptest.NewRecorder()
	app := middlewaretest.NewApp()
	middlewaretest.Build(t, Filter, "", app).ServeHTTP(rec, r)
	if rec.Code != 400 || body.Len() != 10 || len(app.Calls()) > 0 {
		t.Errorf("%d, %d bytes unread, %q", rec.Code, body.Len(), app.URIs())
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"", "/", "c/o", "c//o", "/c/o", "c/%2F", "%2Fc/o", "c/%00", "c/%", "\xff/\xff"} {
		f.Add(s, "a", "e")
	}
	p := apipath.Path{Version: "v1", Account: "a", Container: "c", Object: "o"}
	f.Fuzz(func(t *testing.T, value, account, etag string) {
		got, err := parse(http.Header{headerTarget: {value}, headerAccount: {account}, headerETag: {etag}}, p)
		if err != nil {
			if e := reply.As(err); !slices.Contains([]int{400, 412}, e.Code) {
				t.Error(err)
			}
			return
		}
		// What is stored must lead where the client was checked for.
		stored := apipath.Quote(got.path.Container + "/" + got.path.Object)
		back, err := apipath.Parse(apipath.Unquote("/v1/" + apipath.Quote(got.path.Account) + "/" + stored))
		if err != nil || back != got.path || strings.ContainsAny(stored+got.etag, `;"\`) {
			t.Errorf("%q, %q: %+v is stored as %q, which is %+v, %v", value, account, got, stored, back, err)
		}
	})
}

func BenchmarkPass(b *testing.B) { middlewaretest.Benchmark(b, Filter, "", nil) }
