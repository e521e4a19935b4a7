package route_test

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/apus-storage/apus/middleware/s3gateway/route"
)

// FuzzGlob compares globs with path.Match, and a warned-of route with what it says.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][3]string{{"*", "a*", "ab"}, {"a-*", "a-b-*", "a-b-c"}, {"[a-", "b", "c"}, {"a?c", "a*", "abc"}, {`\*`, "*", "*"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, one, other, name string) {
		if len(one) > 40 || len(other) > 40 || len(name) > 100 || strings.Contains(name, "/") {
			return
		}
		g, err := route.CompileGlob(one)
		if err != nil {
			return
		}
		if want, _ := path.Match(one, name); name != "" && g.Match(name) != want {
			t.Errorf("%q fits %q: %v, want %v", name, one, g.Match(name), want)
		}
		h, err := route.CompileGlob(other)
		if err != nil {
			return
		}
		if g.Covers(h) && h.Match(name) && !g.Match(name) {
			t.Errorf("%q covers %q, and not %q", one, other, name)
		}
	})
}

// FuzzAddress finds targets that lead elsewhere than they say, and routes that their keys should not take.
func FuzzAddress(f *testing.F) {
	for _, seed := range [][2]string{
		{"x", "/b/%252e%252e/%25zz"}, {"example.org", "/b/k"}, {"b.s3.example.net:80", "/k"}, {"B.S3.EXAMPLE.NET.", "/a/../b"}, {"", "/%2e%2e/a"}, {"x", "/b/..%2fa"}, {"x", `/b/a\..\..\c`},
		{"x", "/b/%252e%252e%252fc"}, {"[::1]:80", "//"}, {"..s3.example.net", "/"},
	} {
		f.Add(seed[0], seed[1])
	}
	domains := route.NewDomains([]string{"s3.example.net"})
	tb, _ := table(f, []route.Config{
		{Name: "in", Bucket: []string{"*"}, Prefix: "in/", Upstreams: []string{"cos"}},
		{Name: "out", Bucket: []string{"*"}, Upstreams: []string{"ceph"}},
	})
	f.Fuzz(func(t *testing.T, host, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" {
			return
		}
		to, err := route.Address(&http.Request{Method: "GET", Host: host, URL: u, Header: http.Header{}}, domains)
		if err != nil {
			return
		}
		if to.Bucket == "" && to.Key != "" || to.Bucket == "." || to.Bucket == ".." || strings.ContainsAny(to.Bucket, "/\\?#%\x00") {
			t.Errorf("%q: %+v", target, to)
		}
		// However a server resolves it, it stays in its bucket.
		flat := to.Key
		for _, code := range []string{"%2e.", "%2E.", "%2f/", "%2F/", "%5c/", "%5C/", `\/`} {
			flat = strings.ReplaceAll(flat, code[:len(code)-1], code[len(code)-1:])
		}
		if to.Bucket != "" {
			for _, key := range []string{to.Key, flat} {
				if whole := path.Clean("/r/" + to.Bucket + "/" + key); whole != "/r/"+to.Bucket && !strings.HasPrefix(whole, "/r/"+to.Bucket+"/") {
					t.Errorf("%q leaves its bucket: %s", target, whole)
				}
			}
		}
		way := tb.Find(to, "GET", "")
		in := strings.HasPrefix(to.Key, "in/")
		if way != nil && (way.Name == "in") != in {
			t.Errorf("%q takes the route %s", target, way.Name)
		}
		if resolved := strings.HasPrefix(path.Clean("/"+flat)+"/", "/in/") && path.Clean("/"+flat) != "/in"; way != nil && route.Dots(to.Key) && resolved != in {
			t.Errorf("%q takes the route %s, and a server that resolves it may take it elsewhere", target, way.Name)
		}
	})
}
