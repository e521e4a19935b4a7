// Package browser lets tests look at Apus as people do: through a real Chromium, headless, on a profile that is thrown
// away. It is for what only a browser knows: which form fields it sends and how, where a redirect leads, what another
// origin's script may see, how a page looks.
//
// Invariants:
//   - A test that needs a browser is skipped where there is none, and says so. Where the environment has
//     APUS_TEST_BROWSER=1 a missing browser is a failure, so that the place that runs the tests for all (make browser)
//     cannot leave them out unseen.
//   - The names of tests that need a browser begin with TestBrowser: make browser runs those, in the packages whose tests
//     import this one.
//   - Every page has cookies, cache and storage of its own, and everything ends with the test.
//   - Nothing waits longer than [Patience]; a test that fails leaves a screenshot of each of its pages.
//   - Only this package knows chromedp.
//
// Non-goals: other browsers, and windows that somebody can see.
//
// Example:
//
//	func TestBrowserForm(t *testing.T) {
//		page := browser.Start(t).Page(t)
//		page.Open(server.URL + "/form.html")
//		page.Attach("input[name=file1]", "/some/file")
//		if a := page.Click("input[type=submit]"); a.Status != 200 {
//			t.Errorf("after the form: %d at %s", a.Status, a.URL)
//		}
//		page.Screenshot("uploaded") // kept by go test -artifacts
//	}
//
// Screenshots are written to t.ArtifactDir: go test -artifacts -outputdir DIR keeps them.
package browser

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Patience is how long one action may take. On a machine that is busy with other tests a browser needs many seconds for
// what else takes none.
const Patience = 2 * time.Minute

// mandatory is the environment variable that makes a missing browser a failure.
const mandatory = "APUS_TEST_BROWSER"

// programs are the names under which Chromium is installed.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// flags keep the browser from doing anything that it is not told to do, above all from calling home.
var flags = []string{
	"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
	"disable-component-update", "disable-sync",
}

// Browser is a running Chromium.
type Browser struct {
	ctx context.Context
}

// Start starts a browser that ends with the test. It skips the test if there is no browser, and fails it if there must
// be one.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := find(t)
	profile, err := os.MkdirTemp("", "apus-browser")
	if err != nil {
		t.Fatal(err)
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.WindowSize(1000, 750),
		// What it keeps outside of its profile, such as crash reports, goes away with it too.
		chromedp.Env("HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile),
	}
	for _, f := range flags {
		options = append(options, chromedp.Flag(f, true))
	}
	var said output
	options = append(options, chromedp.CombinedOutput(&said))
	// Not t.Context(), which ends before the clean-up functions run, and so before the screenshots of a failure.
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		// Cancel lets the browser close in order and waits for it, release waits for the process.
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("close the browser: %v", err)
		}
		stop()
		release()
		if err := os.RemoveAll(profile); err != nil {
			t.Logf("remove the browser's profile: %v", err)
		}
	})
	// The first Run decides how long the browser lives, so it has no time-out of its own; the timer ends a browser that
	// never comes up.
	late := time.AfterFunc(Patience, stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v\n%s", program, err, said.String())
	}
	late.Stop()
	return &Browser{ctx: ctx}
}

// find gives the browser's program.
func find(t testing.TB) string {
	t.Helper()
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	const missing = "no browser is installed (looked for %s; Debian's package is chromium)"
	if os.Getenv(mandatory) == "1" {
		t.Fatalf(missing+", and "+mandatory+"=1 says that there must be one", strings.Join(programs, ", "))
	}
	t.Skipf(missing, strings.Join(programs, ", "))
	return ""
}

// output keeps what the browser says about itself, up to a limit. It is written by another goroutine.
type output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := 1<<16 - o.buf.Len(); room > 0 {
		o.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
