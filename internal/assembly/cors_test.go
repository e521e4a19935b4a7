package assembly

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/browser"
)

// scripted is what a script got of a request to another origin.
type scripted struct {
	Error   string
	Status  int
	Text    string
	Headers map[string]string
}

// script makes a page's script ask.
func script(t *testing.T, p *browser.Page, method, url, body string, header ...string) scripted {
	t.Helper()
	headers := map[string]string{}
	for i := 0; i < len(header); i += 2 {
		headers[header[i]] = header[i+1]
	}
	options := map[string]any{"method": method, "headers": headers}
	if body != "" {
		options["body"] = body
	}
	o, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	return browser.Eval[scripted](p, fmt.Sprintf(
		`fetch(%q, %s).then(async r => ({status: r.status, text: await r.text(), headers: Object.fromEntries(r.headers)}), e => ({error: String(e)}))`, url, o))
}

// refused says whether the browser kept an answer from a script.
func (s scripted) refused() bool { return s.Error == "TypeError: Failed to fetch" && s.Status == 0 }

// blocked looks for what the browser says of it.
func blocked(p *browser.Page, why string) bool {
	for _, line := range p.Console() {
		if strings.Contains(line, "has been blocked by CORS policy") && strings.Contains(line, why) {
			return true
		}
	}
	return false
}

// TestBrowserAsksFromAnotherOrigin lets scripts of two sites work with a container that one of them is allowed to.
func TestBrowserAsksFromAnotherOrigin(t *testing.T) {
	b := browser.Start(t)
	s := newShop(t)
	friend, stranger := storefront(t, nil), storefront(t, nil)
	s.must("PUT", "/v1/AUTH_test/shared", "", "X-Container-Meta-Access-Control-Allow-Origin", "http://elsewhere.example "+friend.URL,
		"X-Container-Meta-Access-Control-Expose-Headers", "Accept-Ranges X-Robots-Tag", "X-Container-Meta-Access-Control-Max-Age", "60",
		"X-Container-Meta-Temp-URL-Key", shopKey, "X-Container-Read", ".r:*")
	s.must("PUT", "/v1/AUTH_test/open", "", "X-Container-Meta-Access-Control-Allow-Origin", "*", "X-Container-Read", ".r:*")
	s.must("PUT", "/v1/AUTH_test/closed", "", "X-Container-Read", ".r:*")
	for _, c := range []string{"open", "closed"} {
		s.must("PUT", "/v1/AUTH_test/"+c+"/o", "content of "+c)
	}
	container := s.url + "/v1/AUTH_test/shared"

	p := b.Page(t)
	p.Open(friend.URL)
	// A token makes the browser ask first. So does any method but GET, HEAD and POST.
	got := script(t, p, "PUT", container+"/o", "hello", "X-Auth-Token", s.token, "X-Object-Meta-Colour", "blue", "Content-Type", "text/x-hello")
	if got.Status != 201 || got.Headers["etag"] != "5d41402abc4b2a76b9719d911017c592" {
		t.Errorf("PUT: %+v", got)
	}
	got = script(t, p, "GET", container+"/o", "", "X-Auth-Token", s.token)
	if got.Status != 200 || got.Text != "hello" {
		t.Errorf("GET: %+v", got)
	}
	for name, want := range map[string]string{
		"content-type": "text/x-hello", "etag": "5d41402abc4b2a76b9719d911017c592", "x-object-meta-colour": "blue", "accept-ranges": "bytes",
		"x-trans-id": "*", "x-timestamp": "*", "last-modified": "*", "access-control-expose-headers": "", "date": "",
	} {
		if v, ok := got.Headers[name]; v != want && (want != "*" || !ok) {
			t.Errorf("the script sees %s: %q, want %q", name, v, want)
		}
	}
	if got := script(t, p, "GET", container+"/o", "", "Range", "bytes=1-2"); got.Status != 206 || got.Text != "el" {
		t.Errorf("a range without a token: %+v", got)
	}
	if got := script(t, p, "POST", container+"/o", "", "X-Auth-Token", s.token, "X-Object-Meta-Colour", "green"); got.Status != 202 {
		t.Errorf("POST: %+v", got)
	}
	if got := script(t, p, "HEAD", container+"/o", "", "X-Auth-Token", s.token); got.Headers["x-object-meta-colour"] != "green" {
		t.Errorf("HEAD: %+v", got)
	}
	if got := script(t, p, "GET", container+"/none", ""); got.Status != 404 {
		t.Errorf("what is missing: %+v", got)
	}
	if got := script(t, p, "GET", s.url+"/v1/AUTH_test/open/o", ""); got.Text != "content of open" || got.Headers["accept-ranges"] != "" {
		t.Errorf("of the container that is open to all, with a header that it does not expose: %+v", got)
	}
	if got := script(t, p, "GET", s.url+"/v1/AUTH_test/closed/o", ""); !got.refused() || !blocked(p, "No 'Access-Control-Allow-Origin' header") {
		t.Errorf("of the container that is open to none: %+v; %q", got, p.Console())
	}

	q := b.Page(t)
	q.Open(stranger.URL)
	if got := script(t, q, "PUT", container+"/evil", "evil", "X-Auth-Token", s.token); !got.refused() || !blocked(q, "Response to preflight request doesn't pass") {
		t.Errorf("a stranger's PUT: %+v; %q", got, q.Console())
	}
	if got := s.ask("HEAD", "/v1/AUTH_test/shared/evil", ""); got.code != 404 {
		t.Errorf("what the stranger's PUT left: %d", got.code)
	}
	if got := script(t, q, "DELETE", container+"/o", "", "X-Auth-Token", s.token); !got.refused() || s.ask("HEAD", "/v1/AUTH_test/shared/o", "").code != 200 {
		t.Errorf("a stranger's DELETE: %+v", got)
	}
	// Everybody may read this, but a stranger's script must not see it.
	if got := script(t, q, "GET", container+"/o", ""); !got.refused() || !blocked(q, "No 'Access-Control-Allow-Origin' header") {
		t.Errorf("a stranger's GET: %+v; %q", got, q.Console())
	}
	if got := script(t, q, "GET", s.url+"/v1/AUTH_test/open/o", ""); got.Text != "content of open" {
		t.Errorf("a stranger's GET of what is open to all: %+v", got)
	}
	if got := script(t, p, "DELETE", container+"/o", "", "X-Auth-Token", s.token); got.Status != 204 || s.ask("HEAD", "/v1/AUTH_test/shared/o", "").code != 404 {
		t.Errorf("DELETE: %+v", got)
	}
}

// TestBrowserUploadsFormsByScript posts forms with fetch: then there is no redirect, and the script reads the answer if it
// may.
func TestBrowserUploadsFormsByScript(t *testing.T) {
	b := browser.Start(t)
	s := newShop(t)
	friend, stranger := storefront(t, nil), storefront(t, nil)
	s.must("PUT", "/v1/AUTH_test/photos", "", "X-Container-Meta-Access-Control-Allow-Origin", friend.URL, "X-Container-Meta-Temp-URL-Key", shopKey)
	const upload = `(async () => {
		const form = new FormData()
		for (const [name, value] of Object.entries(%s)) form.append(name, value)
		form.append("file", new File(["from a script"], %q, {type: "text/x-script"}))
		try {
			const r = await fetch(%q, {method: "POST", body: form})
			return {status: r.status, text: await r.text()}
		} catch (e) {
			return {error: String(e)}
		}
	})()`
	send := func(p *browser.Page, name string, fields map[string]any) scripted {
		u := s.form("/v1/AUTH_test/photos/by-script/", "", 100)
		all := map[string]any{"max_file_size": u.Size, "max_file_count": u.Count, "expires": u.Expires, "signature": u.Signature}
		for k, v := range fields {
			all[k] = v
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return browser.Eval[scripted](p, fmt.Sprintf(upload, text, name, u.URL))
	}
	stored := func(name string) told { return s.ask("GET", "/v1/AUTH_test/photos/by-script/"+name, "") }

	p := b.Page(t)
	p.Open(friend.URL)
	if got := send(p, "a.txt", map[string]any{"x_delete_after": 3600}); got.Status != 201 || got.Text != "201 Created" {
		t.Errorf("a friend's form: %+v", got)
	}
	if got := stored("a.txt"); got.body != "from a script" || got.header.Get("Content-Type") != "text/x-script" || got.header.Get("X-Delete-At") == "" {
		t.Errorf("what it stored: %+v", got)
	}
	// An answer of the filter's own has no CORS headers, as in Swift: the script learns only that something was wrong.
	if got := send(p, "b.txt", map[string]any{"max_file_size": 1000}); !got.refused() || stored("b.txt").code != 404 {
		t.Errorf("a friend's forged form: %+v", got)
	}
	q := b.Page(t)
	q.Open(stranger.URL)
	// The signature is good wherever the form comes from; the answer is for friends.
	if got := send(q, "c.txt", nil); !got.refused() || stored("c.txt").code != 200 {
		t.Errorf("a stranger's form: %+v", got)
	}
}
