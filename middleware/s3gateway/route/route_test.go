package route_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/s3err"
	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// routes reads routes as a file has them.
func routes(t testing.TB, toml string) []route.Config {
	t.Helper()
	f, err := config.Parse("test.toml", []byte(toml))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Route []route.Config `toml:"route"`
	}
	section, _ := f.Section("s3gateway")
	if _, err := section.Decode(&c, config.Section{}); err != nil {
		t.Fatal(err)
	}
	return c.Route
}

func table(t testing.TB, configs []route.Config) (*route.Table, string) {
	t.Helper()
	var log strings.Builder
	tb, err := route.New(configs, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return tb, log.String()
}

const example = `
[[s3gateway.route]]
name = "recent"
bucket = ["photos-*", "pictures"]
prefix = "2026/"
upstreams = ["cos", "ceph"]
policy = "round_robin"
[[s3gateway.route]]
name = "writes"
bucket = "photos-*"
methods = ["PUT", "POST", "DELETE"]
identities = ["alice"]
upstreams = "cos"
[[s3gateway.route]]
name = "archive"
bucket = "archive"
upstreams = "aws"
upstream_bucket = "acme-archive"
allow_v2 = true
[[s3gateway.route]]
name = "bobs"
bucket = ["*"]
identities = ["bob"]
upstreams = "ceph"
`

func TestFind(t *testing.T) {
	tb, log := table(t, routes(t, example))
	if log != "" {
		t.Errorf("logged %s", log)
	}
	for _, test := range []struct{ bucket, key, method, identity, want string }{
		{"photos-1", "2026/a", "GET", "alice", "recent"},
		{"pictures", "2026/a", "GET", "alice", "recent"},
		{"photos-1", "2026", "GET", "alice", ""},
		{"photos-1", "2025/a", "PUT", "alice", "writes"},
		{"photos-1", "2025/a", "PUT", "bob", "bobs"},
		{"photos-1", "2025/a", "put", "alice", ""},
		{"photos-1", "", "PUT", "alice", "writes"},
		{"photos-1", "", "GET", "alice", ""},
		{"photos-1", "", "GET", "bob", "bobs"},
		{"photos", "2026/a", "GET", "alice", ""},
		{"Photos-1", "2026/a", "GET", "alice", ""},
		{"archive", "a", "GET", "", "archive"},
		{"", "", "GET", "bob", "bobs"},
		{"", "", "GET", "alice", ""},
		// One that is a key of the route both ways, and some that are so only one way.
		{"photos-1", "2026/./a", "PUT", "alice", "recent"},
		{"photos-1", "2026/../2026/a", "PUT", "alice", "recent"},
		{"photos-1", "2026/../2025/a", "PUT", "alice", ""},
		{"photos-1", "x/../2026/a", "PUT", "alice", ""},
		{"photos-1", "x/%2e%2e/2026/a", "PUT", "alice", ""},
		{"photos-1", "x/%2E%2e%5c2026/%zz", "PUT", "alice", ""},
		{"photos-1", `x\..\2026/a`, "PUT", "alice", ""},
		{"photos-1", "x/../2025/a", "PUT", "alice", "writes"},
	} {
		got := ""
		if r := tb.Find(route.Target{Bucket: test.bucket, Key: test.key}, test.method, test.identity); r != nil {
			got = r.Name
		}
		if got != test.want {
			t.Errorf("%s %s/%s by %s takes %q, want %q", test.method, test.bucket, test.key, test.identity, got, test.want)
		}
	}
	r := tb.Find(route.Target{Bucket: "archive", Key: "a"}, "GET", "alice")
	if r.Bucket("archive") != "acme-archive" || !r.AllowV2 || r.Skip || r.Policy != route.Failover {
		t.Errorf("got %+v", r)
	}
	if r := tb.Find(route.Target{Bucket: "photos-1", Key: "2026/a"}, "GET", "alice"); r.Bucket("photos-1") != "photos-1" || r.Policy != route.RoundRobin || len(r.Upstreams) != 2 {
		t.Errorf("got %+v", r)
	}
	if n := len(tb.Routes()); n != 4 {
		t.Errorf("there are %d routes", n)
	}
}

func TestNames(t *testing.T) {
	tb, _ := table(t, []route.Config{{Bucket: []string{"photos-*", "a?c", "[x-z]"}, Upstreams: []string{"cos"}}})
	for _, name := range []string{"photos-", "photos-1", "abc", "y"} {
		if !tb.Names(name) {
			t.Errorf("%s is not named", name)
		}
	}
	for _, name := range []string{"", "photos", "xphotos-1", "ac", "abbc", "w", "yy", "PHOTOS-1"} {
		if tb.Names(name) {
			t.Errorf("%s is named", name)
		}
	}
	if tb, _ := table(t, []route.Config{{Bucket: []string{"*"}, Upstreams: []string{"cos"}}}); !tb.Names("") || !tb.Names("x") {
		t.Error("a route for everything leaves something out")
	}
}

func TestNewRefuses(t *testing.T) {
	good := route.Config{Name: "r", Bucket: []string{"b"}, Upstreams: []string{"cos"}}
	with := func(change func(*route.Config)) []route.Config {
		c := good
		change(&c)
		return []route.Config{c}
	}
	for _, test := range []struct {
		name    string
		configs []route.Config
		wants   []string
	}{
		{"no bucket", with(func(c *route.Config) { c.Bucket = nil }), []string{"route 1 (r)", "bucket"}},
		{"a bad glob", with(func(c *route.Config) { c.Bucket = []string{"a", "b["} }), []string{"bucket", `"b["`}},
		{"an empty glob", with(func(c *route.Config) { c.Bucket = []string{""} }), []string{"bucket"}},
		{"a glob of keys", with(func(c *route.Config) { c.Bucket = []string{"a/b"} }), []string{"bucket", `"a/b"`}},
		{"no upstream", with(func(c *route.Config) { c.Upstreams = nil }), []string{"upstreams"}},
		{"an upstream twice", with(func(c *route.Config) { c.Upstreams = []string{"cos", "cos"} }), []string{"upstreams", "twice"}},
		{"a method in lower case", with(func(c *route.Config) { c.Methods = []string{"get"} }), []string{"methods", `"get"`}},
		{"an unknown policy", with(func(c *route.Config) { c.Policy = "random" }), []string{"policy", "random", "failover"}},
		{"a mirror of one", with(func(c *route.Config) { c.Policy = "mirror" }), []string{"policy", "two"}},
		{"a prefix of dots", with(func(c *route.Config) { c.Prefix = "../" }), []string{"prefix"}},
		{"another name for many buckets", with(func(c *route.Config) { c.Bucket, c.UpstreamBucket = []string{"a*"}, "x" }), []string{"upstream_bucket"}},
		{"another name for two buckets", with(func(c *route.Config) { c.Bucket, c.UpstreamBucket = []string{"a", "b"}, "x" }), []string{"upstream_bucket"}},
		{"another name that is none", with(func(c *route.Config) { c.UpstreamBucket = "a/b" }), []string{"upstream_bucket", `"a/b"`}},
	} {
		_, err := route.New(test.configs, nil)
		if err == nil {
			t.Errorf("%s: is accepted", test.name)
			continue
		}
		for _, want := range test.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %s", test.name, err, want)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	all := func(c route.Config, name string) route.Config {
		c.Name, c.Upstreams = name, []string{"cos"}
		return c
	}
	type c = route.Config
	for _, test := range []struct {
		name          string
		first, second c
		covered       bool
	}{
		{"the same", c{Bucket: []string{"a"}}, c{Bucket: []string{"a"}}, true},
		{"everything first", c{Bucket: []string{"*"}}, c{Bucket: []string{"a-*", "b"}}, true},
		{"a glob before a name", c{Bucket: []string{"a-*"}}, c{Bucket: []string{"a-1"}}, true},
		{"a glob before a narrower one", c{Bucket: []string{"a-*"}}, c{Bucket: []string{"a-b-*"}}, true},
		{"a glob before a wider one", c{Bucket: []string{"a-b-*"}}, c{Bucket: []string{"a-*"}}, false},
		{"everything last", c{Bucket: []string{"a"}}, c{Bucket: []string{"*"}}, false},
		{"a name before more", c{Bucket: []string{"a"}}, c{Bucket: []string{"a", "b"}}, false},
		{"a shorter prefix", c{Bucket: []string{"a"}, Prefix: "x"}, c{Bucket: []string{"a"}, Prefix: "xy"}, true},
		{"a longer prefix", c{Bucket: []string{"a"}, Prefix: "xy"}, c{Bucket: []string{"a"}, Prefix: "x"}, false},
		{"fewer methods", c{Bucket: []string{"a"}, Methods: []string{"GET"}}, c{Bucket: []string{"a"}}, false},
		{"more methods", c{Bucket: []string{"a"}, Methods: []string{"GET", "PUT"}}, c{Bucket: []string{"a"}, Methods: []string{"GET"}}, true},
		{"other identities", c{Bucket: []string{"a"}, Identities: []string{"alice"}}, c{Bucket: []string{"a"}, Identities: []string{"bob"}}, false},
		{"all identities", c{Bucket: []string{"a"}}, c{Bucket: []string{"a"}, Identities: []string{"bob"}}, true},
	} {
		_, log := table(t, []route.Config{all(test.first, "first"), all(test.second, "second")})
		if got := strings.Contains(log, "route=second") && strings.Contains(log, "earlier=first"); got != test.covered {
			t.Errorf("%s: warned %v, want %v", test.name, got, test.covered)
		}
	}
	if _, log := table(t, []route.Config{all(c{Bucket: []string{"a"}, SkipSignatureValidation: true}, "loose")}); !strings.Contains(log, "route=loose") || !strings.Contains(log, "WARN") {
		t.Errorf("a route without signatures logs %q", log)
	}
}

func TestAddress(t *testing.T) {
	domains := route.NewDomains([]string{"example.net", ".S3.Example.net.", "", "s3.example.net"})
	for _, test := range []struct{ host, path, bucket, key, code string }{
		{"example.org", "/", "", "", ""},
		{"example.org", "/b", "b", "", ""},
		{"example.org", "/b/", "b", "", ""},
		{"example.org", "/b/k", "b", "k", ""},
		{"example.org", "/b//k/", "b", "/k/", ""},
		{"example.org", "/b%2Fk%2Fl", "b", "k/l", ""},
		{"example.org", "/b/%252F", "b", "%2F", ""},
		{"example.org", "/b/a+b%20c%2B", "b", "a+b c+", ""},
		{"example.org", "/b/a/../c", "b", "a/../c", ""},
		{"example.org", "/tenant:b/k", "tenant:b", "k", ""},
		{"s3.example.net", "/b/k", "b", "k", ""},
		{"S3.EXAMPLE.NET.:80", "/b/k", "b", "k", ""},
		{"b.s3.example.net", "/k", "b", "k", ""},
		{"b.s3.example.net", "/", "b", "", ""},
		{"B.S3.Example.Net:443", "/K", "b", "K", ""},
		{"b.s3.example.net.", "/k", "b", "k", ""},
		{"b.s3.example.net.:8080", "/k", "b", "k", ""},
		{"b.c.s3.example.net", "/k", "b.c", "k", ""},
		{"b.example.net", "/k/l", "b", "k/l", ""},
		{"b.s3.example.net", "//k", "b", "/k", ""},
		{"xs3.example.net", "/b/k", "xs3", "b/k", ""},
		{"example.net.evil.org", "/b/k", "b", "k", ""},
		{"[::1]:8080", "/b/k", "b", "k", ""},
		{"::1", "/b/k", "b", "k", ""},
		{".s3.example.net", "/b/k", "b", "k", ""},
		{"", "/b/k", "b", "k", ""},
		{"example.org", "//k", "", "", "InvalidURI"},
		{"example.org", "/b/..", "", "", "InvalidURI"},
		{"example.org", "/b/a/../../c", "", "", "InvalidURI"},
		{"example.org", "/b/%ff", "", "", "InvalidURI"},
		{"example.org", "/../b", "", "", "InvalidBucketName"},
		{"example.org", "/./b", "", "", "InvalidBucketName"},
		{"example.org", "/a%00b/k", "", "", "InvalidBucketName"},
		{"example.org", "/a%3Fb/k", "", "", "InvalidBucketName"},
		{"example.org", "/" + strings.Repeat("b", 256), "", "", "InvalidBucketName"},
		{"b.s3.example.net", "/../c/k", "", "", "InvalidURI"},
		{"..s3.example.net", "/k", "", "", "InvalidBucketName"},
		{"a/b.s3.example.net", "/k", "", "", "InvalidBucketName"},
	} {
		r := httptest.NewRequest("GET", "http://x"+test.path, nil)
		r.Host = test.host
		got, err := route.Address(r, domains)
		if test.code != "" {
			if err == nil || string(s3err.From(err).Code) != test.code {
				t.Errorf("%s%s: got %+v, %v, want %s", test.host, test.path, got, err, test.code)
			}
			continue
		}
		if err != nil || got.Bucket != test.bucket || got.Key != test.key {
			t.Errorf("%s%s: got %+v, %v, want %s and %s", test.host, test.path, got, err, test.bucket, test.key)
		}
	}
	r := httptest.NewRequest("GET", "/b/k", nil)
	r.URL.Path = "*"
	if _, err := route.Address(r, nil); err == nil {
		t.Error("* is an address")
	}
}
