package assembly

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/browser"
	"github.com/apus-storage/apus/internal/digest"
)

// What a browser makes of the server: forms that are posted to it, and scripts of other origins that ask it.

// shop is a cluster, and a user of it who owns what pages and scripts work with.
type shop struct {
	t          *testing.T
	url, token string
}

const shopKey = "a key of the shop"

func newShop(t *testing.T) *shop {
	t.Helper()
	_, url := start(t, EmbeddedOptions{Config: "../../etc/functional-test.toml"})
	s := &shop{t: t, url: url}
	s.token = s.ask("GET", "/auth/v1.0", "", "X-Auth-User", "test:tester", "X-Auth-Key", "testing").header.Get("X-Auth-Token")
	return s
}

type told struct {
	code   int
	header http.Header
	body   string
}

// ask sends the owner's request.
func (s *shop) ask(method, path, body string, header ...string) told {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if s.token != "" {
		r.Header.Set("X-Auth-Token", s.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return told{resp.StatusCode, resp.Header, b.String()}
}

// must is ask for what has to succeed.
func (s *shop) must(method, path, body string, header ...string) told {
	s.t.Helper()
	got := s.ask(method, path, body, header...)
	if got.code >= 300 {
		s.t.Fatalf("%s %s: %d %s", method, path, got.code, got.body)
	}
	return got
}

// upload is a form of formpost.
type upload struct {
	URL, Redirect, Signature string
	Size, Count, Expires     int
}

func (s *shop) form(path, redirect string, size int) upload {
	u := upload{URL: s.url + path, Redirect: redirect, Size: size, Count: 3, Expires: 4102444800}
	text := fmt.Sprintf("%s\n%s\n%d\n%d\n%d", path, redirect, u.Size, u.Count, u.Expires)
	u.Signature = hex.EncodeToString(digest.HMAC(digest.SHA512, shopKey, text))
	return u
}

var formPage = template.Must(template.New("form").Parse(`<!doctype html><meta charset=utf-8><title>Send us your photos</title>
<style>body { font: 16px sans-serif; margin: 3em } label { display: block; margin: 1em 0 }</style>
<h1>Send us your photos</h1>
<form action="{{.URL}}" method="post" enctype="multipart/form-data">
{{with .Redirect}}<input type="hidden" name="redirect" value="{{.}}">{{end}}
<input type="hidden" name="max_file_size" value="{{.Size}}"><input type="hidden" name="max_file_count" value="{{.Count}}">
<input type="hidden" name="expires" value="{{.Expires}}"><input type="hidden" name="signature" value="{{.Signature}}">
<label>Your name <input name="customer" value="Zo&euml;"></label>
<label>Photos <input type="file" name="photos" multiple></label>
<input type="submit" value="Send">
</form>`))

var thanksPage = template.Must(template.New("thanks").Parse(`<!doctype html><meta charset=utf-8><title>Result</title>
<h1>{{if eq .status "201"}}Thank you{{else}}That did not work{{end}}</h1>
<p id="status">{{.status}}</p><p id="message">{{.message}}</p>`))

// storefront is a web site of another origin: its form, its thanks, and an empty page for scripts.
func storefront(t *testing.T, form *upload) *httptest.Server {
	show := func(w http.ResponseWriter, page *template.Template, data any) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(w, data); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, _ *http.Request) { show(w, formPage, form) })
	mux.HandleFunc("GET /thanks", func(w http.ResponseWriter, r *http.Request) {
		show(w, thanksPage, map[string]string{"status": r.FormValue("status"), "message": r.FormValue("message")})
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Scripts</title><h1>A page with scripts</h1>")
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site
}

// plantFiles makes files in a folder of its own and returns their paths.
func plantFiles(t *testing.T, contents map[string]string) map[string]string {
	t.Helper()
	dir, paths := t.TempDir(), map[string]string{}
	for name, content := range contents {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestBrowserPostsAForm(t *testing.T) {
	b := browser.Start(t)
	s := newShop(t)
	s.must("PUT", "/v1/AUTH_test/photos", "", "X-Container-Meta-Temp-URL-Key", shopKey)
	const path = "/v1/AUTH_test/photos/from-zo\u00eb/"
	var form upload
	site := storefront(t, &form)
	files := plantFiles(t, map[string]string{
		"gr\u00fc\u00dfe & co.txt": "hello", "na\u00efve \"quoted\".html": "<p>\r\n--hello", "large.bin": strings.Repeat("0123456789abcdef", 1<<16), "empty": "",
	})
	send := func(name string, u upload, attach ...string) (*browser.Page, browser.Answer) {
		t.Helper()
		form = u
		p := b.Page(t)
		p.Open(site.URL + "/form")
		if len(attach) > 0 {
			p.Attach("input[type=file]", attach...)
		}
		a := p.Click("input[type=submit]")
		p.Screenshot(name)
		return p, a
	}

	p, a := send("thanks", s.form(path, site.URL+"/thanks", 1<<20), files["gr\u00fc\u00dfe & co.txt"], files["na\u00efve \"quoted\".html"], files["large.bin"])
	if a.Status != 200 || p.URL() != site.URL+"/thanks?status=201&message=" || p.Text("h1") != "Thank you" {
		t.Errorf("the form led to %d at %s, which says %q", a.Status, p.URL(), p.Text("body"))
	}
	for name, want := range map[string]struct{ content, kind string }{
		"gr%C3%BC%C3%9Fe%20&%20co.txt": {"hello", "text/plain"},
		// Browsers send quotes in a name as %22, and Swift keeps them so.
		"na%C3%AFve%20%2522quoted%2522.html": {"<p>\r\n--hello", "text/html"},
		"large.bin":                          {strings.Repeat("0123456789abcdef", 1<<16), "application/octet-stream"},
	} {
		got := s.ask("GET", "/v1/AUTH_test/photos/from-zo%C3%AB/"+name, "")
		if got.code != 200 || got.body != want.content || got.header.Get("Content-Type") != want.kind {
			t.Errorf("%s: %d, %d bytes of %s", name, got.code, len(got.body), got.header.Get("Content-Type"))
		}
	}

	p, a = send("without-redirect", s.form(path, "", 10), files["empty"])
	if a.Status != 201 || !strings.EqualFold(a.URL, s.url+"/v1/AUTH_test/photos/from-zo%C3%AB/") || p.Text("body") != "201 Created" {
		t.Errorf("without a redirect: %d at %s, which says %q", a.Status, a.URL, p.Text("body"))
	}
	forged := s.form(path, site.URL+"/thanks", 1<<20)
	forged.Size++
	p, a = send("forged", forged, files["empty"])
	if a.Status != 401 || p.Text("body") != "FormPost: Invalid Signature" {
		t.Errorf("a forged form: %d, which says %q", a.Status, p.Text("body"))
	}
	p, a = send("too-large", s.form(path, site.URL+"/thanks", 1<<20-1), files["large.bin"])
	if a.Status != 400 || p.Text("body") != "FormPost: max_file_size exceeded" {
		t.Errorf("a file that is too large: %d, which says %q", a.Status, p.Text("body"))
	}
	p, _ = send("no-file", s.form(path, site.URL+"/thanks", 10))
	if p.Text("#status") != "400" || p.Text("#message") != "no files to process" || p.Text("h1") != "That did not work" {
		t.Errorf("without a file: %s says %q", p.URL(), p.Text("body"))
	}
}
