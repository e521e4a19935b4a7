package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Page is a tab. Its methods fail the test at once if the browser cannot do what they say; selectors are CSS.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu      sync.Mutex // guards console
	console []string
}

// Answer is what the server answered when the tab went to a page, after any redirects.
type Answer struct {
	URL    string
	Status int
	Header map[string]string // names in lower case
}

// Page opens a tab, with cookies, cache and storage of its own. It ends with the test.
func (b *Browser) Page(t testing.TB) *Page {
	t.Helper()
	p := &Page{t: t}
	ctx, stop := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			for _, line := range p.Console() {
				t.Logf("the browser's console: %s", line)
			}
			p.Screenshot("failed")
		}
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return p
}

// listen collects what a developer would see in the console. It is called by the browser's goroutine.
func (p *Page) listen(event any) {
	var line string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		line = fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		line = string(e.Type) + ":"
		for _, a := range e.Args {
			line += " " + string(a.Value)
		}
	case *runtime.EventExceptionThrown:
		line = (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console = append(p.console, line)
}

// Console gives the lines of the tab's console so far: messages of scripts, failed requests, refusals.
func (p *Page) Console() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.console...)
}

// run does an action for at most Patience.
func run[T any](p *Page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// navigate does actions that lead to another page, and waits until that is loaded.
func (p *Page) navigate(what string, steps ...chromedp.Action[chromedp.Void]) Answer {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	r, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return answer(r)
}

func answer(r *network.Response) Answer {
	if r == nil { // a page that no server answered, such as about:blank
		return Answer{}
	}
	a := Answer{URL: r.URL, Status: int(r.Status), Header: map[string]string{}}
	for name, v := range r.Headers {
		a.Header[strings.ToLower(name)] = fmt.Sprint(v)
	}
	return a
}

// Open goes to a page.
func (p *Page) Open(url string) Answer {
	p.t.Helper()
	return p.navigate("open "+url, chromedp.Navigate(url))
}

// Click clicks on what leads to another page: a link, or a form's button.
func (p *Page) Click(selector string) Answer {
	p.t.Helper()
	return p.navigate("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Press clicks on what leads nowhere, such as a button with a script.
func (p *Page) Press(selector string) {
	p.t.Helper()
	run(p, "press "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Fill gives a form's field its value.
func (p *Page) Fill(selector, value string) {
	p.t.Helper()
	run(p, "fill "+selector, chromedp.SetValue(chromedp.CSS(selector), value))
}

// Attach chooses files for a form's file field.
func (p *Page) Attach(selector string, files ...string) {
	p.t.Helper()
	for i, f := range files {
		abs, err := filepath.Abs(f)
		if err != nil {
			p.t.Fatal(err)
		}
		files[i] = abs
	}
	run(p, "attach files to "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), files))
}

// Text gives the text, as people see it, of the first element that the selector finds, which is waited for.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		p.t.Fatal(err)
	}
	// By a script and not by an element's id: another page may come in between, and know nothing of that.
	return Eval[string](p, fmt.Sprintf(`new Promise(done => {
		const look = () => { const e = document.querySelector(%s); e ? done(e.innerText) : setTimeout(look, 20); };
		look();
	})`, quoted))
}

// Texts gives the text of every element that the selector finds now: none is an empty list.
func (p *Page) Texts(selector string) []string {
	p.t.Helper()
	quoted, err := json.Marshal(selector)
	if err != nil {
		p.t.Fatal(err)
	}
	return Eval[[]string](p, fmt.Sprintf("Array.from(document.querySelectorAll(%s), e => e.innerText)", quoted))
}

// URL is where the tab is.
func (p *Page) URL() string {
	p.t.Helper()
	return run(p, "the tab's URL", chromedp.Location())
}

// Title is the page's.
func (p *Page) Title() string {
	p.t.Helper()
	return run(p, "the page's title", chromedp.Title())
}

// Eval evaluates a JavaScript expression in the page; if that gives a promise, it waits for it. The value comes back by
// way of JSON.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return run(p, "evaluate "+expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Screenshot saves the whole page as a PNG file in the test's ArtifactDir and returns its path.
func (p *Page) Screenshot(name string) string {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.ctx, Patience)
	defer stop()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		// It is only evidence, and is taken when a test has failed too.
		p.t.Errorf("screenshot %s: %v", name, err)
		return ""
	}
	file, err := os.CreateTemp(p.t.ArtifactDir(), name+"-*.png")
	if err != nil {
		p.t.Errorf("screenshot %s: %v", name, err)
		return ""
	}
	_, err = file.Write(png)
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		p.t.Errorf("screenshot %s: %v", name, err)
	}
	p.t.Logf("screenshot %s", file.Name())
	return file.Name()
}
