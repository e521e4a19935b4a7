package xprofile

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/apus-storage/apus/internal/browser"
	mt "github.com/apus-storage/apus/middleware/middlewaretest"
)

// busy is what a storage proxy might be doing, and a function with an evil name.
func busy() *profile.Profile {
	const in = "net/http.(*conn).serve pipeline.(*Pipeline).ServeHTTP "
	samples := []sampled{
		{in + "proxyserver.(*App).ServeHTTP fanout.(*Nodes).Write syscall.Syscall6", 110, 1100e6, nil},
		{in + "proxyserver.(*App).ServeHTTP fanout.(*Nodes).Write crypto/md5.block", 47, 470e6, nil},
		{in + "proxyserver.(*App).ServeHTTP runtime.mallocgc", 12, 120e6, nil},
		{in + "middleware/tempauth.(*auth).ServeHTTP crypto/hmac.Sum", 8, 80e6, nil},
		{in + "<script>alert(1)</script>", 3, 30e6, nil},
		{"runtime.gcBgMarkWorker runtime.scanobject", 20, 200e6, nil},
	}
	for i := range 60 {
		samples = append(samples, sampled{fmt.Sprintf("%sbroker.step%02d", in, i), 1, int64(60-i) * 1e5, nil})
	}
	return made("samples", "cpu", samples...)
}

// TestBrowserPage goes through the page as a developer does.
func TestBrowserPage(t *testing.T) {
	b := browser.Start(t)
	h := profiled(t, busy)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	p := b.Page(t)
	if a := p.Open(server.URL + "/__profile__"); a.Status != 200 || p.Title() != "CPU · proxy profile" {
		t.Fatalf("opened %+v, title %q", a, p.Title())
	}
	first := func(n int) []string {
		names := p.Texts("td.name")
		return names[:min(n, len(names))]
	}
	if got := first(2); !slices.Equal(got, []string{"syscall.Syscall6", "md5.block"}) {
		t.Errorf("the first functions are %q", got)
	}
	if n := len(p.Texts("tbody tr")); n != pageLimit {
		t.Errorf("%d functions are shown, want %d", n, pageLimit)
	}
	// The style is the page's own and is applied; every picture has a size.
	if got := browser.Eval[string](p, `getComputedStyle(document.querySelector("nav a[aria-current]")).color`); got != "rgb(27, 36, 48)" {
		t.Errorf("the chosen tab's color is %s: is the style applied?", got)
	}
	if n := browser.Eval[int](p, `[...document.querySelectorAll(".picture svg")].filter(s => s.getBoundingClientRect().height > 80).length`); n != 2 {
		t.Errorf("%d pictures are drawn, want 2", n)
	}
	if n := browser.Eval[int](p, `document.scripts.length`); n != 0 {
		t.Errorf("the page has %d scripts", n)
	}
	if n := browser.Eval[int](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); n > 0 {
		t.Errorf("the page is %d pixels too wide", n)
	}
	p.Screenshot("cpu")

	p.Click(`th a[href*="sort=cumulative"]`)
	if got := first(1); !slices.Equal(got, []string{"http.(*conn).serve"}) {
		t.Errorf("sorted by cumulative time: the first is %q", got)
	}
	if got := p.Text("th[aria-sort=descending]"); !strings.HasPrefix(got, "cumulative") {
		t.Errorf("the sorted column is %q", got)
	}
	p.Fill("input[name=nfl_filter]", "script>")
	p.Click("button[name=query]")
	if got := first(2); len(got) != 1 || !strings.Contains(got[0], "script>") {
		t.Errorf("filtered: %q", got)
	}
	if got := browser.Eval[string](p, `document.querySelector("input[name=nfl_filter]").value`); got != "script>" {
		t.Errorf("the filter's field says %q", got)
	}
	p.Screenshot("filtered")

	p.Open(server.URL + "/__profile__?kind=heap&plottype=pie&mode=callers&limit=10")
	if got := p.Text("nav a[aria-current]"); got != "Memory in use" {
		t.Errorf("the tab is %q", got)
	}
	if n := browser.Eval[int](p, `document.querySelectorAll(".picture circle").length`); n == 0 {
		t.Error("there is no ring")
	}
	p.Screenshot("heap")
	for _, line := range p.Console() {
		t.Errorf("the browser's console: %s", line)
	}
}

// TestBrowserClears uses the one button that changes something, from the page and from another site.
func TestBrowserClears(t *testing.T) {
	b := browser.Start(t)
	filter, _ := faked(t, busy)
	section := options(t)
	app := mt.NewApp()
	stretch(t, filter, section, app)
	server := httptest.NewServer(mt.Build(t, filter, section, app))
	t.Cleanup(server.Close)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method=post action="%s/__profile__"><input name=clear value=clear><input type=submit></form>`, server.URL)
	}))
	t.Cleanup(other.Close)
	p := b.Page(t)
	// localhost is another site than 127.0.0.1.
	p.Open(strings.Replace(other.URL, "127.0.0.1", "localhost", 1))
	if a := p.Click("input[type=submit]"); a.Status != 403 {
		t.Errorf("another site's form led to %d", a.Status)
	}
	p.Open(server.URL + "/__profile__")
	if n := len(p.Texts("tbody tr")); n != pageLimit {
		t.Fatalf("%d functions are shown, want %d", n, pageLimit)
	}
	if a := p.Click("button.danger"); a.Status != 200 || a.URL != server.URL+"/__profile__" {
		t.Errorf("Clear led to %+v", a)
	}
	if got := p.Text("section.empty p"); !strings.HasPrefix(got, "Nothing has been profiled yet. It takes a request and then 5s.") {
		t.Errorf("the cleared page says %q", got)
	}
	p.Screenshot("empty")
}
