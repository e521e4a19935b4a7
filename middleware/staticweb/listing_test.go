package staticweb

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/apipath"
	"github.com/apus-storage/apus/internal/listing"
	"github.com/apus-storage/apus/internal/pull"
	"github.com/apus-storage/apus/internal/request"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `javascript:alert(1)`, `JavaScript&colon;alert(1)`,
	`data:text/html,<script>alert(1)</script>`, `&lt;b&gt;`, `a?b#c`, `..`, "line\nend\r\ttab\x01", `</a></td></table><script>`, "\u202egpj.exe",
	`é中😀`, `a%2Fb`, `a\b`, `<!--`, `]]>`, "\u2028", `${7*7}{{7*7}}`, ` space `, "//evil.example",
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		checkPage(t, name, name, name, name)
	}
}

func FuzzPage(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, s, s, s)
	}
	f.Fuzz(checkPage)
}

var tag = regexp.MustCompile(`<[^>]*>`)

// checkPage checks that text in any place makes a page of the same elements as harmless text does, that the text is shown
// as it is, and that links to names lead into the container.
func checkPage(t *testing.T, name, label, css, kind string) {
	make := func(name, label, css, kind string) (string, string) {
		object := listing.AppendObject([]byte{'['}, listing.Object{Name: "d/" + name, ContentType: kind, LastModified: kind})
		object = append(listing.AppendSubdir(append(object, listing.Separator...), "d/"+name+"/"), ']')
		entries, err := listing.Decode(object)
		if err != nil {
			t.Skip() // no listing has it
		}
		p := page{path: apipath.Path{Version: "v1", Account: "a", Container: "c", Object: "d/"}, label: label, look: look{css: css, index: name}, entries: entries}
		var shown, disabled strings.Builder
		p.listing(func(b []byte) bool { shown.Write(b); return true })
		p.disabled(func(b []byte) bool { disabled.Write(b); return true })
		return shown.String(), disabled.String()
	}
	names := func(s string) (out []string) {
		for _, t := range tag.FindAllString(s, -1) {
			name, rest, _ := strings.Cut(t, " ")
			out = append(out, name+strings.Repeat(` "`, strings.Count(rest, `"`)))
		}
		return out
	}
	if name == "" || css == "" || label == "" {
		t.Skip() // another page
	}
	name = strings.ToValidUTF8(name, "\ufffd")
	plain, plainOff := make("x", "x", "x", "x")
	got, gotOff := make(name, label, css, kind)
	for _, both := range [][2]string{{plain, got}, {plainOff, gotOff}} {
		if want, have := fmt.Sprint(names(both[0])), fmt.Sprint(names(both[1])); want != have {
			t.Errorf("elements %s, want %s, in\n%s", have, want, both[1])
		}
	}
	base, _ := url.Parse("http://h/v1/a/c/d/")
	links := regexp.MustCompile(`(?s)<tr class="item [^>]*><td class="colname"><a href="(.*?)">(.*?)</a>`).FindAllStringSubmatch(got, -1)
	if len(links) != 2 {
		t.Fatalf("%d links, want 2, in\n%s", len(links), got)
	}
	for i, want := range []string{name + "/", name} {
		if text := html.UnescapeString(links[i][2]); text != want {
			t.Errorf("shown as %q, want %q", text, want)
		}
		u, err := base.Parse(html.UnescapeString(links[i][1]))
		if err != nil || u.Scheme != "http" || u.Host != "h" || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("link %s of %q leads to %v, %v", links[i][1], want, u, err)
		} else if !strings.Contains("/"+want+"/", "/../") && !strings.Contains("/"+want+"/", "/./") && u.Path != "/v1/a/c/d/"+want {
			t.Errorf("link %s of %q leads to %s", links[i][1], want, u.Path)
		}
	}
}

func TestStyleSheets(t *testing.T) {
	for _, tc := range []struct{ css, object, want string }{
		{"a.css", "", "a.css"},
		{"css/a b.css", "d/e/", "../../css/a%20b.css"},
		{"/v1/a/c/a.css", "d/", "/v1/a/c/a.css"},
		{"//host:81/a.css", "d/", "//host:81/a.css"},
		{"https://host:81/a.css?x=\"", "d/", "https://host:81/a.css%3Fx%3D%22"},
		{"HTTPS://host/a.css", "", "HTTPS%3A//host/a.css"},
		{"javascript:alert(1)", "", "javascript%3Aalert%281%29"},
		{"a%3Ab", "", "a%253Ab"},
	} {
		p := page{path: apipath.Path{Object: tc.object}, look: look{css: tc.css}}
		if got := p.css(); got != tc.want {
			t.Errorf("style sheet %q seen from %q: got %q, want %q", tc.css, tc.object, got, tc.want)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 1023: "1023", 1024: "1Ki", 1535: "1Ki", 1536: "2Ki", 2560: "2Ki", 2561: "3Ki", 3584: "4Ki", 1<<20 - 1: "1Mi", 1 << 20: "1Mi",
		5 << 30: "5Gi", 3 << 40: "3Ti", 1 << 50: "1Pi", 1<<63 - 1: "8Ei",
	} {
		if got := humanSize(n); got != want {
			t.Errorf("%d bytes: got %s, want %s", n, got, want)
		}
	}
}

func TestReservedNamesAreNotShown(t *testing.T) {
	app := site("Listings", "true").On("GET /v1/a/c", mt.Answer{Body: `[{"name": "\u0000secret", "bytes": 1}, {"subdir": "\u0000sub/"}, {"name": "shown", "bytes": 1}]`})
	got := mt.Get(t, mt.Build(t, Filter, "", app), "/v1/a/c/", anonymous)
	if got.Code != 200 || strings.Contains(got.Body, "secret") || strings.Contains(got.Body, "sub/") || !strings.Contains(got.Body, `<a href="shown">shown</a>`) {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}

func TestPagesAreNotSniffed(t *testing.T) {
	app := site("Index", "index").On("GET /v1/a/c/index", mt.Answer{Code: 503, Body: "<html><script>"})
	if got := mt.Get(t, mt.Build(t, Filter, "", app), "/v1/a/c/", anonymous); got.Code != 503 || got.Header.Get("Content-Type") != "text/plain; charset=UTF-8" {
		t.Errorf("an error without a type: %d %v", got.Code, got.Header)
	}
	for _, listings := range []string{"true", "false"} {
		got := mt.Get(t, mt.Build(t, Filter, "", site("Listings", listings)), "/v1/a/c/", anonymous)
		if got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Content-Type") != "text/html; charset=UTF-8" {
			t.Errorf("listings %s: %v", listings, got.Header)
		}
	}
}

// TestALargeContainer checks that a listing of a container with more objects than a page has is one page, and what it costs.
func TestALargeContainer(t *testing.T) {
	const page = 10000
	body := []byte{'['}
	for i := range page {
		if i > 0 {
			body = append(body, listing.Separator...)
		}
		body = listing.AppendObject(body, listing.Object{Name: fmt.Sprintf("%0200d", i), Hash: strings.Repeat("0", 32), ContentType: "text/plain", Bytes: 1})
	}
	body = append(body, ']')
	app := site("Listings", "true").On("GET /v1/a/c", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) { w.Write(body) }})
	h := mt.Build(t, Filter, "", app)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/a/c/", nil)
	anonymous(r)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	res, err := pull.Do(h, r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	runtime.ReadMemStats(&after)
	if err != nil || res.StatusCode != 200 || n != res.ContentLength || n < page*400 {
		t.Errorf("got %d, %d bytes of %d, %v", res.StatusCode, n, res.ContentLength, err)
	}
	if app.URIs()[len(app.URIs())-1] != "GET /v1/a/c?delimiter=%2F" || len(app.Calls()) > 3 {
		t.Errorf("the app was asked for %q", app.URIs())
	}
	// The page is read, which takes what appending takes, and decoded; it is not made as a whole.
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(8*len(body)); used > most {
		t.Errorf("a listing of %d bytes took %d bytes of memory, want at most %d", len(body), used, most)
	}
}

func TestAListingWithoutEndIsCutOff(t *testing.T) {
	written := 0
	app := site("Listings", "true").On("GET /v1/a/c", mt.Answer{Do: func(w http.ResponseWriter, r *http.Request) {
		for written < 1<<30 {
			n, err := w.Write(make([]byte, 64<<10))
			if written += n; err != nil {
				return
			}
		}
	}})
	host := mt.Host(t)
	host.Cluster.Limits.ContainerListingLimit = 10
	if got := mt.Get(t, mt.BuildOn(t, host, Filter, "", app), "/v1/a/c/", anonymous); got.Code != 500 || written > 1<<20 {
		t.Errorf("got %d after %d bytes", got.Code, written)
	}
}

// signed is a request that tempurl has let pass, with the query that it leaves.
func signed(prefix string) mt.Option {
	return func(r *http.Request) {
		by(request.TempURL)(r)
		r.URL.RawQuery = "temp_url_sig=abc&temp_url_expires=4102444800&temp_url_prefix=" + apipath.QuotePlus(prefix) + "&temp_url_ip_range=10.0.0.0%2F8&filename=f&inline="
	}
}

func TestLinksOfSignedListings(t *testing.T) {
	const rest = "&amp;temp_url_expires=4102444800&amp;temp_url_sig=abc&amp;temp_url_ip_range=10.0.0.0%2F8&amp;inline"
	app := site("Listings", "true", "Listings-Css", "d/a.css")
	app.On("GET /v1/a/c", mt.Answer{Body: `[{"subdir": "d/e/f/"}, {"name": "d/e/g", "bytes": 1}]`})
	h := mt.Build(t, Filter, "", app)
	for _, tc := range []struct {
		prefix     string
		there, not []string
	}{
		{"", []string{`"../?temp_url_prefix=` + rest, `"f/?temp_url_prefix=` + rest, `"g?temp_url_prefix=` + rest, `"../../d/a.css?temp_url_prefix=` + rest}, nil},
		{"d/", []string{`"../?temp_url_prefix=d%2F` + rest, `"f/?temp_url_prefix=d%2F`, `a.css?temp_url_prefix=d%2F`}, nil},
		{"d/e", []string{`"f/?temp_url_prefix=d%2Fe`, `a.css"`}, []string{`"../`}},
		{"d/e/", []string{`"f/?temp_url_prefix=d%2Fe%2F`, `a.css"`}, []string{`"../"`, `"../?`}},
		{`d/e/`, nil, []string{"filename"}},
	} {
		got := mt.Get(t, h, "/v1/a/c/d/e/", signed(tc.prefix))
		if got.Code != 200 || got.Header.Get("X-Backend-Content-Generator") != "staticweb" {
			t.Fatalf("prefix %q: got %d %v", tc.prefix, got.Code, got.Header)
		}
		for _, s := range tc.there {
			if !strings.Contains(got.Body, s) {
				t.Errorf("prefix %q: no %s in\n%s", tc.prefix, s, got.Body)
			}
		}
		for _, s := range tc.not {
			if strings.Contains(strings.ReplaceAll(got.Body, `"../../d/a.css"`, ""), s) {
				t.Errorf("prefix %q: %s in\n%s", tc.prefix, s, got.Body)
			}
		}
	}
}

func TestRedirectsOfSignedURLs(t *testing.T) {
	h := mt.Build(t, Filter, "", site("Listings", "true"))
	const want = "http://example.com/v1/a/c/?temp_url_prefix=&temp_url_expires=4102444800&temp_url_sig=abc&temp_url_ip_range=10.0.0.0%2F8&inline"
	if got := mt.Get(t, h, "/v1/a/c", signed("")).Header.Get("Location"); got != want {
		t.Errorf("with a prefix: got %s, want %s", got, want)
	}
	// Parameters that nobody has checked are not passed on.
	for name, option := range map[string]mt.Option{
		"nobody": anonymous, "without a prefix": by(request.TempURL),
	} {
		target := "/v1/a/c?temp_url_sig=abc&temp_url_expires=4102444800"
		if name == "nobody" {
			target += "&temp_url_prefix="
		}
		if got := mt.Get(t, h, target, option).Header.Get("Location"); got != "http://example.com/v1/a/c/" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestIndexesAreMarkedAsPages(t *testing.T) {
	app := site("Index", "index").On("GET /v1/a/c/index", stored("top")).On("GET /v1/a/c/d/index", stored("dir")).On("GET /v1/a/c/o", stored("object"))
	h := mt.Build(t, Filter, "", app)
	for target, want := range map[string]string{"/v1/a/c/": "staticweb", "/v1/a/c/d/": "staticweb", "/v1/a/c/o": ""} {
		if got := mt.Get(t, h, target, signed("")); got.Code != 200 || got.Header.Get(headerGenerator) != want {
			t.Errorf("%s: got %d, made by %q, want %q", target, got.Code, got.Header.Get(headerGenerator), want)
		}
	}
}
