package staticweb_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/assembly"
	"github.com/apus-storage/apus/internal/browser"
	"github.com/apus-storage/apus/internal/clock"
	"github.com/apus-storage/apus/internal/disk"
)

// serve runs a whole Apus and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	e, err := assembly.OpenEmbedded(assembly.EmbeddedOptions{
		Data: t.TempDir(), Config: filepath.Join("..", "..", "etc", "functional-test.toml"), Policies: []string{"gold", "silver"},
		Log: slog.New(slog.DiscardHandler), Clock: clock.System, FS: disk.OS{}, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Setup.Server.BindIP, e.Setup.Server.BindPort = "127.0.0.1", 0
	l, err := e.Setup.Server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// An owner makes sites.
type owner struct {
	t           *testing.T
	base, token string
}

func (o *owner) do(method, path, body string, header ...string) *http.Response {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), method, o.base+path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	if o.token != "" {
		r.Header.Set("X-Auth-Token", o.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode > 299 {
		o.t.Fatalf("%s %s: %d", method, path, res.StatusCode)
	}
	return res
}

const (
	account = "/v1/AUTH_test"
	// These change the title of a page that they get to run in.
	attack      = `<script>document.title="broken into"</script>`
	hostileName = `"><img src=x onerror='document.title="broken into"'>`
)

// fill makes a container with hostile names.
func fill(t *testing.T, base string) *owner {
	o := &owner{t: t, base: base}
	o.token = o.do("GET", "/auth/v1.0", "", "X-Auth-User", "test:tester", "X-Auth-Key", "testing").Header.Get("X-Auth-Token")
	o.do("PUT", account+"/site", "", "X-Container-Read", ".r:*,.rlistings", "X-Container-Meta-Web-Listings", "true", "X-Container-Meta-Web-Error", "error.html")
	for name, kind := range map[string]string{
		"a file.txt": "text/plain", "photos/two/d\u00e9j\u00e0 vu #1.txt": "text/plain; charset=UTF-8", "photos/one.txt": "text/plain", "photos/": "application/directory",
		"/lead": "text/plain", "404error.html": "text/html", attack: "text/plain", hostileName: "text/plain",
		`javascript:document.title="broken into"`: `text/plain"><script>document.title="broken into"</script>`, "\u202etxt.exe": "text/plain", "\u4e2d\u6587 \U0001f600": "image/png",
	} {
		body := "content of " + name
		if kind == "application/directory" {
			body = ""
		}
		o.do("PUT", account+"/site/"+url.PathEscape(name), body, "Content-Type", kind)
	}
	o.do("PUT", account+"/site/list.css", "body { background: #eef; font-family: sans-serif } .subdir a { color: green } .type-text { font-style: italic }", "Content-Type", "text/css")
	return o
}

func TestBrowserVisit(t *testing.T) {
	b, base := browser.Start(t), serve(t)
	o := fill(t, base)
	site := base + account + "/site"
	for _, css := range []string{"", "list.css"} {
		o.do("POST", account+"/site", "", "X-Container-Meta-Web-Listings-Css", css)
		p := b.Page(t)
		// The redirect to the slash is followed.
		if a := p.Open(site); a.Status != 200 || a.URL != site+"/" || p.Title() != "Listing of "+account+"/site/" {
			t.Fatalf("the top: %+v, title %q", a, p.Title())
		}
		p.Screenshot("listing" + css)
		styled := browser.Eval[string](p, "getComputedStyle(document.body).backgroundColor") == "rgb(238, 238, 255)"
		if styled != (css != "") {
			t.Errorf("with style sheet %q the page looks like one: %v", css, styled)
		}
		names := p.Texts("#listing .item a")
		for _, want := range []string{"photos/", "a file.txt", attack[:strings.Index(attack, "/")+1], hostileName, `javascript:document.title="broken into"`, "/", "\u4e2d\u6587 \U0001f600"} {
			if !slices.Contains(names, want) {
				t.Errorf("%q is not listed: %q", want, names)
			}
		}
		if n := browser.Eval[int](p, "document.querySelectorAll('script, img').length"); n != 0 {
			t.Errorf("the page has %d elements of others' making", n)
		}
		if a := p.Click(`a[href="photos/"]`); a.Status != 200 || a.URL != site+"/photos/" {
			t.Errorf("a directory: %+v", a)
		}
		p.Screenshot("directory" + css)
		if got := p.Texts("#listing .item a"); !slices.Equal(got, []string{"../", "two/", "one.txt"}) {
			t.Errorf("the directory lists %q", got)
		}
		p.Click(`a[href="two/"]`)
		if a := p.Click(".type-text a"); a.Status != 200 || p.Text("body") != "content of photos/two/d\u00e9j\u00e0 vu #1.txt" {
			t.Errorf("an object: %+v %q", a, p.Text("body"))
		}
		p.Open(site + "/photos/two/")
		if a := p.Click("#parent a"); a.URL != site+"/photos/" {
			t.Errorf("the directory above: %+v", a)
		}
		p.Open(site + "/")
		if a := p.Click(`a[href=".//"]`); a.URL != site+"//" || !slices.Contains(p.Texts(".item a"), "lead") {
			t.Errorf("a name that begins with a slash: %+v", a)
		}
		// A name is only a name, also when somebody clicks on it.
		p.Open(site + "/")
		if a := p.Click(`a[href^="javascript"]`); a.Status != 200 || !strings.HasPrefix(a.URL, site+"/javascript%3A") || p.Title() == "broken into" {
			t.Errorf("a hostile name: %+v, title %q", a, p.Title())
		}
		if a := p.Open(site + "/nothing/"); a.Status != 404 || p.Text("body") != "content of 404error.html" {
			t.Errorf("an error page: %+v", a)
		}
	}
}

// TestBrowserSignedVisit visits a container that nobody may read, by a signed URL.
func TestBrowserSignedVisit(t *testing.T) {
	b, base := browser.Start(t), serve(t)
	o := fill(t, base)
	o.do("POST", account, "", "X-Account-Meta-Temp-URL-Key", "key")
	o.do("POST", account+"/site", "", "X-Container-Read", "", "X-Container-Meta-Web-Listings-Css", "list.css")
	site := base + account + "/site"
	signed := func(path, prefix string) string {
		mac := hmac.New(sha256.New, []byte("key"))
		fmt.Fprintf(mac, "GET\n4102444800\nprefix:%s/site/%s", account, prefix)
		return site + path + "?temp_url_sig=" + hex.EncodeToString(mac.Sum(nil)) + "&temp_url_expires=4102444800&temp_url_prefix=" + url.QueryEscape(prefix)
	}
	p := b.Page(t)
	if a := p.Open(site + "/"); a.Status != 401 {
		t.Errorf("without a signature: %+v", a)
	}
	if a := p.Open(signed("", "")); a.Status != 200 || p.Title() != "Listing of "+account+"/site/" {
		t.Fatalf("the top: %+v, title %q", a, p.Title())
	}
	p.Screenshot("signed")
	if browser.Eval[string](p, "getComputedStyle(document.body).backgroundColor") != "rgb(238, 238, 255)" {
		t.Error("the style sheet is not there")
	}
	if a := p.Click(`a[href^="photos/"]`); a.Status != 200 {
		t.Errorf("a directory: %+v", a)
	}
	if a := p.Click("#parent a"); a.Status != 200 || !slices.Contains(p.Texts(".item a"), "a file.txt") {
		t.Errorf("the directory above: %+v", a)
	}
	// Of a directory alone there is no way up.
	if a := p.Open(signed("/photos", "photos/")); a.Status != 401 {
		t.Errorf("beside the prefix: %+v", a)
	}
	if a := p.Open(signed("/photos", "photos")); a.Status != 200 || len(p.Texts("#parent")) != 0 {
		t.Errorf("a directory without a slash: %+v, parents %q", a, p.Texts("#parent"))
	}
	if a := p.Click(`a[href^="two/"]`); a.Status != 200 || len(p.Texts("#parent")) != 1 {
		t.Errorf("a directory below: %+v", a)
	}
}
