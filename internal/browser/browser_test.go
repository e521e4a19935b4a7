package browser

import (
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const form = `<!doctype html><title>Form</title><h1>A form</h1><ul><li>one<li>two</ul>
<form action=/done method=post enctype=multipart/form-data>
<input name=word><input name=file type=file><input type=submit></form><script>console.log("hello")</script>`

func site(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"})
		fmt.Fprint(w, form)
	})
	mux.HandleFunc("POST /done", func(w http.ResponseWriter, r *http.Request) {
		f, head, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer func() { _ = f.Close() }()
		http.Redirect(w, r, fmt.Sprintf("/result?%s+%s+%d", r.FormValue("word"), head.Filename, head.Size), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /result", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Told", "this")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, r.URL.RawQuery)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestBrowserPage(t *testing.T) {
	b := Start(t)
	url := site(t)
	p := b.Page(t)
	if a := p.Open(url + "/form"); a.Status != 200 || p.Title() != "Form" || p.URL() != url+"/form" {
		t.Errorf("opened %+v, title %q, at %q", a, p.Title(), p.URL())
	}
	if got := p.Texts("li"); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the list's items are %q", got)
	}
	if got := p.Texts("table"); len(got) != 0 {
		t.Errorf("there is no table, but it has the texts %q", got)
	}
	file := filepath.Join(t.TempDir(), "name.txt")
	if err := os.WriteFile(file, []byte("seven.."), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Fill("input[name=word]", "w")
	p.Attach("input[type=file]", file)
	a := p.Click("input[type=submit]")
	if a.Status != http.StatusAccepted || a.URL != url+"/result?w+name.txt+7" || a.Header["x-told"] != "this" {
		t.Errorf("the form led to %+v", a)
	}
	if got := p.Text("body"); got != "w+name.txt+7" {
		t.Errorf("the result says %q", got)
	}
	if got := Eval[int](p, "fetch('/nothing').then(r => r.status)"); got != 404 {
		t.Errorf("a script's request gets %d", got)
	}
	console := strings.Join(p.Console(), "\n")
	if !strings.Contains(console, `log: "hello"`) || !strings.Contains(console, "404") {
		t.Errorf("the console says %q", console)
	}
	shot := p.Screenshot("result")
	f, err := os.Open(shot)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 500 {
		t.Errorf("the screenshot is %v: %v", img, err)
	}
}

func TestBrowserPagesShareNothing(t *testing.T) {
	b := Start(t)
	url := site(t)
	p, other := b.Page(t), b.Page(t)
	p.Open(url + "/form")
	other.Open(url + "/result")
	if got := Eval[string](p, "document.cookie"); got != "seen=yes" {
		t.Errorf("the page has the cookies %q", got)
	}
	if got := Eval[string](other, "document.cookie"); got != "" {
		t.Errorf("the other page has the cookies %q", got)
	}
}

// verdict records how a test that looks for a browser ends.
type verdict struct {
	testing.TB
	skipped, failed string
}

func (v *verdict) Helper()                        {}
func (v *verdict) Skipf(format string, a ...any)  { v.skipped = fmt.Sprintf(format, a...) }
func (v *verdict) Fatalf(format string, a ...any) { v.failed = fmt.Sprintf(format, a...); panic(v) }

func TestBrowserMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv(mandatory, "")
	may := &verdict{TB: t}
	find(may)
	if !strings.Contains(may.skipped, "no browser is installed") {
		t.Errorf("where there may be none, the test says %q", may.skipped)
	}
	t.Setenv(mandatory, "1")
	must := &verdict{TB: t}
	func() {
		defer func() { _ = recover() }()
		find(must)
	}()
	if !strings.Contains(must.failed, "APUS_TEST_BROWSER=1 says that there must be one") {
		t.Errorf("where there must be one, the test says %q", must.failed)
	}
}
