package domainremap

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

func TestConform(t *testing.T) { mt.Conform(t, Filter, mt.MaxAllocs(0)) }

func BenchmarkPass(b *testing.B) { mt.Benchmark(b, Filter, "", nil) }

func host(name string) mt.Option { return func(r *http.Request) { r.Host = name } }

func TestPaths(t *testing.T) {
	for _, tc := range []struct {
		name, config, host, target string
		want                       string // "" is 400
	}{
		{"an account", "", "auth-a.example.com", "/c/o", "/v1/AUTH_a/c/o"},
		{"a container", "", "c.auth-a.example.com", "/o", "/v1/AUTH_a/c/o"},
		{"no path", "", "auth-a.example.com", "/", "/v1/AUTH_a/"},
		{"a query", "", "auth-a.example.com", "/c?prefix=x%20y", "/v1/AUTH_a/c?prefix=x%20y"},
		{"a hyphen beside an underscore", "", "auth-a_b.example.com", "/v1/a", "/v1/a"},
		{"only the first hyphen", "", "auth-a-b.example.com", "/c", "/v1/AUTH_a-b/c"},
		{"a port", "", "auth-a.example.com:8080", "/c", "/v1/AUTH_a/c"},
		{"three labels", "", "x.c.auth-a.example.com", "/o", ""},
		{"an address", "", "[::1]:8080", "/v1/a", "/v1/a"},
		{"another domain", "", "auth-a.example.org", "/v1/a", "/v1/a"},
		{"another prefix", "", "x-a.example.com", "/v1/a", "/v1/a"},
		{"a default prefix", `default_reseller_prefix = "AUTH"`, "x-a.example.com", "/c", "/v1/AUTH_x_a/c"},
		{"a default prefix for nothing", `default_reseller_prefix = "AUTH"`, ".example.com", "/c", "/v1/AUTH_/c"},
		{"several prefixes", `reseller_prefixes = "AUTH, Service"`, "service-a.example.com", "/c", "/v1/Service_a/c"},
		{"no prefixes", `reseller_prefixes = ""`, "x-a.example.com", "/c", "/v1/x-a/c"},
		{"several domains", `storage_domain = ["a.org", ".b.org"]`, "auth-x.b.org", "/c", "/v1/AUTH_x/c"},
		{"domains of which one ends the other", `storage_domain = [".x.org", "c.x.org"]`, "auth-x.c.x.org", "/o", "/v1/AUTH_x/o"},
		{"no domain", `storage_domain = ""`, "auth-a.example.com", "/v1/a", "/v1/a"},
		{"another root", `path_root = "/v1.0/"`, "auth-a.example.com", "/c", "/v1.0/AUTH_a/c"},
		{"a version in the path", "", "auth-a.example.com", "/v1/c", "/v1/AUTH_a/v1/c"},
		{"a version that is taken for one", "mangle_client_paths = true", "auth-a.example.com", "/v1/c", "/v1/AUTH_a/c"},
		{"a version alone", "mangle_client_paths = true", "auth-a.example.com", "/v1", "/v1/AUTH_a/"},
		{"what only begins like a version", "mangle_client_paths = true", "auth-a.example.com", "/v1c", "/v1/AUTH_a/v1c"},
		{"odd characters", "", "auth-a.example.com", "/c/%2F%3F%00..//", "/v1/AUTH_a/c//?\x00..//"},
	} {
		app := mt.NewApp().Otherwise(mt.Answer{})
		got := mt.Do(t, mt.Build(t, Filter, tc.config, app), "GET", tc.target, host(tc.host))
		switch {
		case tc.want == "":
			if got.Code != 400 || got.Body != "Bad domain in host header" || got.Header.Get("Content-Type") != "text/plain" || len(app.Calls()) > 0 {
				t.Errorf("%s: %s: got %d %q, want 400", tc.name, tc.host, got.Code, got.Body)
			}
		case app.Last().URI != tc.want || got.Code != 200:
			t.Errorf("%s: %s%s became %q, want %q", tc.name, tc.host, tc.target, app.Last().URI, tc.want)
		}
	}
}

func TestLocations(t *testing.T) {
	for _, tc := range []struct{ name, target, location, want string }{
		{"of what was asked for", "/c/o", "http://auth-a.example.com/v1/AUTH_a/c/o/", "http://auth-a.example.com/c/o/"},
		{"with a port and a query", "/c", "https://h:8/v1/AUTH_a/c/?x=y#z", "https://h:8/c/?x=y#z"},
		{"of something else", "/c/o", "http://h/v1/AUTH_a/c/p", "http://h/v1/AUTH_a/c/p"},
		{"without a host", "/c", "/v1/AUTH_a/c/", "/v1/AUTH_a/c/"},
		{"of another scheme", "/c", "ftp://h/v1/AUTH_a/c", "ftp://h/v1/AUTH_a/c"},
		{"without a path", "/", "http://h", "http://h"},
		{"quoted", "/c/%20%C3%A9", "http://h/v1/AUTH_a/c/%20%C3%A9/", "http://h/c/%20%C3%A9/"},
		{"that mentions the path further on", "/c", "http://h/x/v1/AUTH_a/c", "http://h/x/v1/AUTH_a/c"},
	} {
		app := mt.NewApp().Otherwise(mt.Answer{Code: 301, Header: map[string]string{"Location": tc.location, "Content-Location": tc.location}})
		got := mt.Do(t, mt.Build(t, Filter, "", app), "GET", tc.target, host("auth-a.example.com")).Header
		if got.Get("Location") != tc.want || got.Get("Content-Location") != tc.want {
			t.Errorf("a location %s: %q became %q and %q, want %q", tc.name, tc.location, got.Get("Location"), got.Get("Content-Location"), tc.want)
		}
	}
}

func TestTheClientsRequestStaysAsItIs(t *testing.T) {
	r := httptest.NewRequest("GET", "http://auth-a.example.com/c", nil)
	mt.Build(t, Filter, "", mt.NewApp()).ServeHTTP(httptest.NewRecorder(), r)
	if r.URL.Path != "/c" || r.Host != "auth-a.example.com" {
		t.Errorf("after the request: %s on %s", r.URL.Path, r.Host)
	}
}

func TestARootIsNeeded(t *testing.T) {
	p, err := mt.TryBuild(mt.Host(t), Filter, `path_root = "/"`, mt.NewApp())
	if err == nil {
		p.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "test.toml:6") {
		t.Errorf("got %v, want an error of line 6", err)
	}
}

func FuzzHosts(f *testing.F) {
	for _, h := range []string{"auth-a.example.com", "c.auth-a.example.com:80", "[::1]:1", "..", "_.example.com", "-.example.com"} {
		f.Add(h, "/c/o")
	}
	i, err := build(mt.Host(f), Filter.Defaults().(Config))
	if err != nil {
		f.Fatal(err)
	}
	remap := i.Wrap(nil).(*filter)
	f.Fuzz(func(t *testing.T, name, path string) {
		labels, ok := remap.labels(name)
		if !ok {
			return
		}
		if account, ok := remap.account(labels); ok {
			if !strings.HasPrefix(account, "AUTH") {
				t.Errorf("%q: account %q", name, account)
			}
			if got := remap.path(account, "", path); !strings.HasPrefix(got, "/v1/AUTH") {
				t.Errorf("%q %q: path %q", name, path, got)
			}
		}
	})
}
