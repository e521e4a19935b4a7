package proxyserver_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apus-storage/apus/internal/cache/memory"
	"github.com/apus-storage/apus/internal/reply"
	"github.com/apus-storage/apus/internal/request"
	"github.com/apus-storage/apus/proxyserver"
)

// ok are the answers of nodes that have everything.
func (f *fakeCluster) ok() {
	for _, what := range []string{"account POST /a", "account DELETE /a", "container POST /a/c", "container DELETE /a/c", "object DELETE /a/c/o"} {
		f.say(what, nodeAnswer{code: 204})
	}
	for _, what := range []string{"account PUT /a", "container PUT /a/c", "object PUT /a/c/o"} {
		f.say(what, nodeAnswer{code: 201, header: map[string]string{"Etag": `"tag"`}})
	}
	f.say("object POST /a/c/o", nodeAnswer{code: 202})
	f.say("object GET /a/c/o", nodeAnswer{code: 200, body: "hello", header: map[string]string{"Etag": `"tag"`, "Content-Type": "text/x"}})
	f.say("container GET /a/c", nodeAnswer{code: 200, body: "[]", header: map[string]string{"Content-Type": "application/json; charset=utf-8"}})
}

func TestRouting(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), func(c *proxyserver.Config) { c.DenyHostHeaders = []string{"evil"} })
	f.ok()
	for _, c := range []struct {
		method, target string
		headers        string
		code           int
		body, allow    string
	}{
		{"GET", "/v1", "", 412, "Bad URL", ""},
		{"GET", "/v1/", "", 412, "Bad URL", ""},
		{"GET", "//", "", 404, "<html><h1>Not Found</h1><p>The resource could not be found.</p></html>", ""},
		{"GET", "/v2/a", "", 400, "<html><h1>Bad Request</h1><p>The server could not comply with the request since it is either malformed or otherwise incorrect.</p></html>", ""},
		{"GET", "/v1/a/c/o", "Host: evil:80", 403, "Invalid host header", ""},
		{"GET", "/v1/a/c%00", "", 412, "Invalid UTF8 or contains NULL", ""},
		{"GET", "/v1/a/%FF", "", 412, "Invalid UTF8 or contains NULL", ""},
		{"GET", "/v1/a/c%00", "X-Backend-Allow-Reserved-Names: true", 400, "Invalid reserved-namespace container", ""},
		{"BLAH", "/v1/a", "", 405, "", "GET, HEAD, POST, OPTIONS"},
		{"PUT", "/v1/a", "", 405, "", "GET, HEAD, POST, OPTIONS"},
		{"COPY", "/v1/a/c/o", "", 405, "", "GET, HEAD, PUT, POST, DELETE, OPTIONS"},
		{"UPDATE", "/v1/a/c", "", 405, "", "GET, HEAD, PUT, POST, DELETE, OPTIONS"},
		{"OPTIONS", "/v1/a", "", 200, "", "GET, HEAD, POST, OPTIONS"},
		{"OPTIONS", "/v1/a/c/o", "", 200, "", "GET, HEAD, PUT, POST, DELETE, OPTIONS"},
		{"PUT", "/info", "", 405, "", "HEAD, GET, OPTIONS"},
		{"GET", "/v1/a/c/o", "", 200, "hello", ""},
	} {
		w := f.do(c.method, c.target, "-", headerList(c.headers)...)
		if w.Code != c.code || c.body != "" && w.Body.String() != c.body || c.allow != w.Header().Get("Allow") {
			t.Errorf("%s %s %s: got %d %q Allow %q, want %d %q %q", c.method, c.target, c.headers, w.Code, w.Body, w.Header().Get("Allow"), c.code, c.body, c.allow)
		}
	}
}

func headerList(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "|")
}

// auth allows a request when its ACL contains the user's name, or at once when the user is the owner.
func auth(user string) func() *request.State {
	return func() *request.State {
		s := &request.State{Infos: &request.Infos{}}
		s.Authorize = func(*http.Request) error {
			if user == "owner" {
				s.Owner = true
				return nil
			}
			if user != "" && strings.Contains(s.ACL, user) {
				return nil
			}
			return reply.Status(http.StatusForbidden)
		}
		return s
	}
}

func TestAuthorization(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.ok()
	acls := map[string]string{"X-Container-Read": "reader", "X-Container-Write": "writer", "X-Container-Sync-Key": "secret", "X-Backend-Storage-Policy-Index": "0"}
	f.say("container HEAD /a/c", nodeAnswer{code: 204, header: acls})
	f.say("container GET /a/c", nodeAnswer{code: 200, body: "[]", header: acls})
	for _, c := range []struct {
		user, method, target string
		code                 int
	}{
		{"reader", "GET", "/v1/a/c/o", 200}, {"reader", "PUT", "/v1/a/c/o", 403}, {"reader", "GET", "/v1/a/c", 200}, {"reader", "PUT", "/v1/a/c", 403},
		{"reader", "GET", "/v1/a", 403}, {"reader", "GET", "/v1/a/none", 403}, {"reader", "GET", "/v1/a/none/o", 403}, {"reader", "PUT", "/v1/a/none/o", 403},
		{"writer", "PUT", "/v1/a/c/o", 201}, {"writer", "DELETE", "/v1/a/c/o", 204}, {"writer", "POST", "/v1/a/c/o", 202}, {"writer", "GET", "/v1/a/c/o", 403},
		{"writer", "POST", "/v1/a/c", 403}, {"writer", "DELETE", "/v1/a/c", 403},
		{"owner", "GET", "/v1/a/c", 200}, {"owner", "PUT", "/v1/a/c", 201}, {"owner", "GET", "/v1/a/none", 404}, {"owner", "PUT", "/v1/a/none/o", 404},
		{"", "GET", "/v1/a/c/o", 403}, {"", "HEAD", "/v1/a/c", 403}, {"", "OPTIONS", "/v1/a/c/o", 200}, {"", "GET", "/info", 200},
	} {
		f.state = auth(c.user)
		w := f.do(c.method, c.target, "")
		if w.Code != c.code {
			t.Errorf("%q %s %s: got %d, want %d", c.user, c.method, c.target, w.Code, c.code)
		}
		if shown := w.Header().Get("X-Container-Sync-Key") != ""; shown != (c.user == "owner" && c.method == "GET" && c.target == "/v1/a/c") {
			t.Errorf("%q %s %s: sync key shown: %v", c.user, c.method, c.target, shown)
		}
	}
}

func TestOwnersHeadersAreDroppedFromOthersWrites(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), nil)
	f.ok()
	for _, owner := range []bool{true, false} {
		f.forget()
		f.state = func() *request.State { return &request.State{Infos: &request.Infos{}, Owner: owner} }
		f.do("POST", "/v1/a/c", "", "X-Container-Read: x", "X-Remove-Container-Write: x", "X-Container-Meta-A: b", "X-Container-Sharding: on")
		h := f.sent("container POST /a/c")[0].Header
		_, read := h["X-Container-Read"]
		_, write := h["X-Container-Write"]
		if read != owner || write != owner || h.Get("X-Container-Meta-A") != "b" || h.Get("X-Container-Sysmeta-Sharding") != "" {
			t.Errorf("owner %v: sent %v", owner, h)
		}
	}
}

func TestACLsAreCleaned(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), nil)
	f.ok()
	f.state = func() *request.State {
		return &request.State{Infos: &request.Infos{}, Owner: true, CleanACL: func(name, v string) (string, error) {
			if v == "bad" {
				return "", errors.New("bad ACL in " + name)
			}
			return "clean " + v, nil
		}}
	}
	if w := f.do("PUT", "/v1/a/c", "", "X-Container-Write: bad"); w.Code != 400 || w.Body.String() != "bad ACL in x-container-write" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	f.do("PUT", "/v1/a/c", "", "X-Container-Read: x")
	if got := f.sent("container PUT /a/c")[0].Header.Get("X-Container-Read"); got != "clean x" {
		t.Errorf("sent %q", got)
	}
}

func TestContainerLimits(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), func(c *proxyserver.Config) {
		c.MaxContainersPerAccount, c.MaxContainersWhitelist = 3, []string{"free"}
	})
	f.ok()
	f.say("account HEAD /free", nodeAnswer{code: 204, header: map[string]string{"X-Account-Container-Count": "9"}})
	f.say("container PUT /free/new", nodeAnswer{code: 201})
	for _, c := range []struct {
		target, headers string
		code            int
		body            string
	}{
		{"/v1/a/new", "", 403, "Reached container limit of 3"},
		{"/v1/a/c", "", 201, ""},
		{"/v1/free/new", "", 201, ""},
		{"/v1/a/c", "X-Storage-Policy: nope", 400, "Invalid X-Storage-Policy 'nope'"},
		{"/v1/a/" + strings.Repeat("c", 257), "", 400, "Container name length of 257 longer than 256"},
		{"/v1/nobody/c", "", 404, ""},
	} {
		w := f.do("PUT", c.target, "", headerList(c.headers)...)
		if w.Code != c.code || c.body != "" && w.Body.String() != c.body {
			t.Errorf("PUT %.30s %s: got %d %s, want %d %s", c.target, c.headers, w.Code, w.Body, c.code, c.body)
		}
	}
}

func TestShardedContainersAreRefused(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.ok()
	for _, state := range []string{"sharding", "sharded"} {
		h := map[string]string{"X-Backend-Sharding-State": state, "X-Backend-Record-Type": "shard"}
		f.say("container HEAD /a/c", nodeAnswer{code: 204, header: h})
		f.say("container GET /a/c", nodeAnswer{code: 200, body: "[]", header: h})
		for _, c := range []struct {
			method, target string
			code           int
		}{
			{"GET", "/v1/a/c", 501}, {"HEAD", "/v1/a/c", 204}, {"PUT", "/v1/a/c/o", 501}, {"POST", "/v1/a/c/o", 501}, {"DELETE", "/v1/a/c/o", 501},
			{"GET", "/v1/a/c/o", 200}, {"POST", "/v1/a/c", 204},
		} {
			if w := f.do(c.method, c.target, ""); w.Code != c.code {
				t.Errorf("%s: %s %s: got %d, want %d", state, c.method, c.target, w.Code, c.code)
			}
		}
	}
}

func TestUpdate(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.say("container UPDATE /a/c", nodeAnswer{code: 202})
	w := f.do("UPDATE", "/v1/a/c", "[]", "X-Backend-Allow-Private-Methods: true", "X-Backend-Storage-Policy-Index: 1")
	f.in.Close()
	got := f.sent("container UPDATE /a/c")
	if w.Code != 202 || len(got) != 3 || got[0].body != "[]" || got[0].Header.Get("X-Backend-Storage-Policy-Index") != "1" {
		t.Errorf("got %d, sent %v", w.Code, got)
	}
	if w := f.do("UPDATE", "/v1/a/c", "[]", "X-Backend-Allow-Private-Methods: true"); w.Code != 400 {
		t.Errorf("without a policy: got %d", w.Code)
	}
}

func TestObjectHeaders(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), func(c *proxyserver.Config) { c.AllowOpenExpired = true })
	f.ok()
	f.say("object GET /a/c/o", nodeAnswer{code: 200, body: "hello", header: map[string]string{
		"Etag": `"tag"`, "Content-Type": "text/x; charset=utf-8;swift_bytes=5", "X-Timestamp": "1700000000.00000", "X-Delete-After": "5", "Connection": "close",
		"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT", "X-Backend-Timestamp": "1700000000.00000", "X-Object-Meta-A": "b",
	}})
	w := f.do("GET", "/v1/a/c/o?q=1", "-", "X-Open-Expired: true", "X_Object-Sysmeta-Evil: 1", "X_Foo: bar", "Te: x", "X-Storage-Token: tk")
	want := http.Header{
		"Etag": {"tag"}, "Content-Type": {"text/x; charset=utf-8"}, "X-Timestamp": {"1700000000.00000"}, "Content-Length": {"5"}, "Accept-Ranges": {"bytes"},
		"Last-Modified": {"Tue, 14 Nov 2023 22:13:20 GMT"}, "X-Backend-Timestamp": {"1700000000.00000"}, "X-Object-Meta-A": {"b"},
		"X-Backend-Storage-Policy-Index": {"0"},
	}
	if got := w.Header(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
	r := f.sent("object GET /a/c/o")[0]
	if r.URL.RawQuery != "q=1" || r.Header.Get("X-Backend-Open-Expired") != "true" || r.Header.Get("X-Foo") != "bar" || r.Header.Get("X-Auth-Token") != "tk" {
		t.Errorf("sent %s %v", r.URL, r.Header)
	}
	for _, name := range []string{"X-Open-Expired", "Te", "X-Object-Sysmeta-Evil", "X_object-Sysmeta-Evil", "X_Object-Sysmeta-Evil"} {
		if _, ok := r.Header[name]; ok {
			t.Errorf("sent %s", name)
		}
	}
}

// TestFiltersLearnThePolicy wants it from every answer that an object's container had a say in: the log counts by it.
func TestFiltersLearnThePolicy(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.ok()
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/v1/a/c/o", "0"}, {"HEAD", "/v1/a/c/o", "0"}, {"PUT", "/v1/a/c/o", "0"}, {"POST", "/v1/a/c/o", "0"},
		{"DELETE", "/v1/a/c/o", "0"}, {"GET", "/v1/a/c/none", "0"}, {"GET", "/v1/a/none/o", "0"}, {"PUT", "/v1/a/c", ""}, {"POST", "/v1/a", ""},
	} {
		if got := f.do(c.method, c.target, "").Header().Get("X-Backend-Storage-Policy-Index"); got != c.want {
			t.Errorf("%s %s: policy %q, want %q", c.method, c.target, got, c.want)
		}
	}
}

func TestPutChecks(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.ok()
	f.say("container HEAD /a/down", nodeAnswer{code: 503})
	f.say("container HEAD /a/strange", nodeAnswer{code: 204, header: map[string]string{"X-Backend-Storage-Policy-Index": "7"}})
	for _, c := range []struct {
		target, body, headers string
		code                  int
		text                  string
	}{
		{"/v1/a/c/o", "x", "", 201, ""},
		{"/v1/a/c/o", "-", "", 411, "Missing Content-Length header."},
		{"/v1/a/down/o", "x", "", 503, ""},
		{"/v1/a/strange/o", "x", "", 503, "Unknown Storage Policy"},
		{"/v1/a/none/o", "x", "", 404, ""},
		{"/v1/a/c/o", "x", "If-None-Match: abc", 400, "If-None-Match only supports *"},
		{"/v1/a/c/o", "x", "X-Timestamp: junk", 400, "X-Timestamp should be a UNIX timestamp float value; was 'junk'"},
		{"/v1/a/c/o", "x", "Content-Type: a/b; swift_x=1", 400, "Invalid Content-Type, swift_* is not a valid parameter name."},
		{"/v1/a/c/o", "x", "Content-Type: a\xff/b", 400, "Invalid Content-Type"},
		{"/v1/a/c/o", "x", "X-Delete-At: x", 400, "Non-integer X-Delete-At"},
		{"/v1/a/c/o", "x", "X-Delete-At: 5", 400, "X-Delete-At in past"},
		{"/v1/a/c/" + strings.Repeat("o", 1025), "x", "", 400, "Object name length of 1025 longer than 1024"},
		{"/v1/a/c/o", "x", "X-Object-Meta-: x", 400, "Metadata name cannot be empty"},
	} {
		w := f.do("PUT", c.target, c.body, headerList(c.headers)...)
		if w.Code != c.code || c.text != "" && w.Body.String() != c.text {
			t.Errorf("PUT %.30s %q: got %d %q, want %d %q", c.target, c.headers, w.Code, w.Body, c.code, c.text)
		}
	}
}

func TestPutAnswers(t *testing.T) {
	for _, c := range []struct {
		nodes []int
		code  int
	}{
		{[]int{201}, 201}, {[]int{409}, 202}, {[]int{422}, 422}, {[]int{507}, 503},
	} {
		f := newFakeCluster(t, 3, testCluster(t), nil)
		var answers []nodeAnswer
		for _, n := range c.nodes {
			answers = append(answers, nodeAnswer{code: n})
		}
		f.say("object PUT /a/c/o", answers...)
		if w := f.do("PUT", "/v1/a/c/o", "x"); w.Code != c.code {
			t.Errorf("nodes %v: got %d, want %d", c.nodes, w.Code, c.code)
		}
	}
}

func TestMixedPost(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.say("object POST /a/c/o", nodeAnswer{code: 404}, nodeAnswer{code: 404}, nodeAnswer{code: 202}, nodeAnswer{code: 404})
	if w := f.do("POST", "/v1/a/c/o", ""); w.Code != 503 {
		t.Errorf("got %d: one node has changed the object, so saying that there is none is wrong", w.Code)
	}
}

func TestFooters(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), nil)
	f.ok()
	f.state = func() *request.State {
		return &request.State{Infos: &request.Infos{}, Owner: true, Footers: []func(http.Header){
			func(h http.Header) { h.Set("Etag", "one") },
			func(h http.Header) { h.Set("X-Object-Sysmeta-B", h.Get("Etag")+" two") },
		}}
	}
	f.do("PUT", "/v1/a/c/o", "x")
	body := f.sent("object PUT /a/c/o")[0].body
	if !strings.Contains(body, `{"Etag":"one","X-Object-Sysmeta-B":"one two"}`) {
		t.Errorf("sent %q", body)
	}
}

func TestInfosAreCachedAndForgotten(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), nil)
	f.ok()
	shared := memory.New(memory.Options{})
	f.state = func() *request.State { return &request.State{Infos: &request.Infos{}, Owner: true, Cache: shared} }
	looks := func() int { return len(f.sent("container HEAD /a/c")) }
	f.do("PUT", "/v1/a/c/o", "x")
	f.do("PUT", "/v1/a/c/o", "x")
	if got := looks(); got != 1 {
		t.Errorf("container was looked up %d times, want once", got)
	}
	f.do("POST", "/v1/a/c", "")
	f.do("PUT", "/v1/a/c/o", "x")
	if got := looks(); got != 2 {
		t.Errorf("after a change it was looked up %d times in all, want 2", got)
	}
}

func TestSkippingTheCache(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), func(c *proxyserver.Config) { c.ContainerSkipCachePct = 100 })
	f.ok()
	shared := memory.New(memory.Options{})
	f.state = func() *request.State { return &request.State{Infos: &request.Infos{}, Owner: true, Cache: shared} }
	f.do("PUT", "/v1/a/c/o", "x")
	f.do("PUT", "/v1/a/c/o", "x")
	if got := len(f.sent("container HEAD /a/c")); got != 2 {
		t.Errorf("container was looked up %d times, want 2", got)
	}
}

func TestAccountACL(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), nil)
	f.say("account HEAD /a", nodeAnswer{code: 204, header: map[string]string{
		"X-Account-Sysmeta-Core-Access-Control": `{"read-only":["b","é"],"admin":["a"]}`, "X-Account-Meta-Temp-Url-Key": "k",
	}})
	w := f.do("HEAD", "/v1/a", "-")
	if got := w.Header().Get("X-Account-Access-Control"); got != `{"admin":["a"],"read-only":["b","\u00c3\u00a9"]}` || w.Header().Get("X-Account-Meta-Temp-Url-Key") != "k" {
		t.Errorf("owner got %v", w.Header())
	}
	f.state = func() *request.State { return &request.State{Infos: &request.Infos{}} }
	w = f.do("HEAD", "/v1/a", "-")
	if w.Header().Get("X-Account-Access-Control") != "" || w.Header().Get("X-Account-Meta-Temp-Url-Key") != "" {
		t.Errorf("somebody else got %v", w.Header())
	}
}

func TestAccounts(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), func(c *proxyserver.Config) { c.AllowAccountManagement, c.AccountAutocreate = true, true })
	f.ok()
	f.say("account HEAD /gone", nodeAnswer{code: 404, header: map[string]string{"X-Account-Status": "Deleted"}})
	f.say("account PUT /gone", nodeAnswer{code: 403, body: "Recently deleted"})
	f.say("account POST /new", nodeAnswer{code: 404}, nodeAnswer{code: 404}, nodeAnswer{code: 404}, nodeAnswer{code: 204})
	f.say("account PUT /new", nodeAnswer{code: 201})
	f.say("account POST /stuck", nodeAnswer{code: 404})
	f.say("account PUT /stuck", nodeAnswer{code: 500})
	for _, c := range []struct {
		method, target string
		code           int
		body           string
	}{
		{"PUT", "/v1/a", 201, ""}, {"DELETE", "/v1/a", 204, ""}, {"DELETE", "/v1/a?x", 400, ""}, {"HEAD", "/v1/gone", 410, ""}, {"PUT", "/v1/gone", 403, "Recently deleted"},
		{"GET", "/v1/missing", 200, "[]"}, {"POST", "/v1/new", 204, ""}, {"POST", "/v1/stuck", 503, ""},
		{"PUT", "/v1/" + strings.Repeat("a", 257), 400, "Account name length of 257 longer than 256"},
	} {
		w := f.do(c.method, c.target, "")
		if w.Code != c.code || c.body != "" && w.Body.String() != c.body {
			t.Errorf("%s %.30s: got %d %s, want %d %s", c.method, c.target, w.Code, w.Body, c.code, c.body)
		}
	}
}

func TestInfo(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), func(c *proxyserver.Config) { c.AdminKey = "key" })
	var got map[string]map[string]any
	w := f.do("GET", "/info", "-", "Origin: http://x")
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "http://x" {
		t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	swift := got["swift"]
	if swift["version"] != "2.38" || swift["max_file_size"] != 5368709122.0 || swift["valid_api_versions"] != nil || got["admin"] != nil ||
		fmt.Sprint(swift["policies"]) != "[map[aliases:gold default:true name:gold] map[aliases:silver name:silver]]" {
		t.Errorf("got %v", got)
	}
	sign := func(method string, expires int64) string {
		mac := hmac.New(sha1.New, []byte("key"))
		fmt.Fprintf(mac, "%s\n%d\n/info", method, expires)
		return fmt.Sprintf("/info?swiftinfo_sig=%s&swiftinfo_expires=%d", hex.EncodeToString(mac.Sum(nil)), expires)
	}
	later, past := time.Now().Unix()+100, time.Now().Unix()-100
	for _, c := range []struct {
		method, target string
		code           int
	}{
		{"GET", sign("GET", later), 200}, {"HEAD", sign("GET", later), 200}, {"HEAD", sign("HEAD", later), 200}, {"GET", sign("HEAD", later), 401},
		{"GET", sign("GET", past), 401}, {"GET", "/info?swiftinfo_sig=x", 401}, {"GET", "/info?swiftinfo_sig=x&swiftinfo_expires=z", 401},
	} {
		w := f.do(c.method, c.target, "-")
		if w.Code != c.code || c.method == "GET" && w.Code == 200 && !strings.Contains(w.Body.String(), `"admin":{"disallowed_sections":["swift.valid_api_versions","swift.auto_create_account_prefix"],"secret":1}`) {
			t.Errorf("%s %s: got %d %s, want %d", c.method, c.target, w.Code, w.Body, c.code)
		}
	}
	hidden := newFakeCluster(t, 1, testCluster(t), func(c *proxyserver.Config) { c.ExposeInfo = false })
	if w := hidden.do("GET", "/info", "-"); w.Code != 403 {
		t.Errorf("not exposed: got %d", w.Code)
	}
	if w := newFakeCluster(t, 1, testCluster(t), nil).do("GET", sign("GET", later), "-"); w.Code != 403 {
		t.Errorf("without a key: got %d", w.Code)
	}
}

func TestCORS(t *testing.T) {
	f := newFakeCluster(t, 3, testCluster(t), func(c *proxyserver.Config) {
		c.CORSAllowOrigin, c.CORSExposeHeaders = []string{"http://everywhere"}, []string{"x-more"}
	})
	f.ok()
	f.say("container HEAD /a/c", nodeAnswer{code: 204, header: map[string]string{
		"X-Container-Meta-Access-Control-Allow-Origin": "http://ok http://fine", "X-Container-Meta-Access-Control-Max-Age": "5",
		"X-Container-Meta-Access-Control-Expose-Headers": "X-Foo",
	}})
	f.say("container HEAD /a/star", nodeAnswer{code: 204, header: map[string]string{"X-Container-Meta-Access-Control-Allow-Origin": "*"}})
	for _, c := range []struct {
		method, target, headers string
		code                    int
		origin, vary            string
	}{
		{"GET", "/v1/a/c/o", "Origin: http://ok", 200, "http://ok", "Origin"},
		{"GET", "/v1/a/c/o", "Origin: http://everywhere", 200, "http://everywhere", "Origin"},
		{"GET", "/v1/a/c/o", "Origin: http://bad", 200, "", ""},
		{"GET", "/v1/a/c/missing", "Origin: http://fine", 404, "http://fine", "Origin"},
		{"HEAD", "/v1/a/star", "Origin: http://any", 204, "*", ""},
		{"OPTIONS", "/v1/a/c/o", "Origin: http://ok|Access-Control-Request-Method: PUT|Access-Control-Request-Headers: x-a, x-b", 200, "http://ok", "Origin, Access-Control-Request-Headers"},
		{"OPTIONS", "/v1/a/c/o", "Origin: http://bad|Access-Control-Request-Method: PUT", 401, "", ""},
		{"OPTIONS", "/v1/a/c/o", "Origin: http://ok|Access-Control-Request-Method: COPY", 401, "", ""},
		{"OPTIONS", "/v1/a", "Origin: http://ok|Access-Control-Request-Method: GET", 200, "", ""},
	} {
		w := f.do(c.method, c.target, "-", headerList(c.headers)...)
		h := w.Header()
		if w.Code != c.code || h.Get("Access-Control-Allow-Origin") != c.origin || h.Get("Vary") != c.vary {
			t.Errorf("%s %s %s: got %d %v", c.method, c.target, c.headers, w.Code, h)
		}
		if exposed := h.Get("Access-Control-Expose-Headers"); c.method == "GET" && c.origin != "" && (!strings.Contains(exposed, "x-foo") || !strings.Contains(exposed, "x-more")) {
			t.Errorf("%s %s: exposed %q", c.method, c.target, exposed)
		}
	}
}

// raw sends bytes to a server in front of the app and returns the answer.
func raw(t *testing.T, f *fakeCluster, text string, then func(net.Conn)) *http.Response {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.app.ServeHTTP(w, request.With(r, f.state()))
	}))
	t.Cleanup(s.Close)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	fatal(t, err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, text)
	if then != nil {
		then(c)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	fatal(t, err)
	return resp
}

func TestBodiesFromClients(t *testing.T) {
	cluster := testCluster(t)
	cluster.Limits.MaxFileSize = 10
	f := newFakeCluster(t, 3, cluster, func(c *proxyserver.Config) { c.ClientTimeout.Duration = 50 * time.Millisecond })
	f.ok()
	const put = "PUT /v1/a/c/o HTTP/1.1\r\nHost: x\r\n"
	for _, c := range []struct {
		name, text string
		then       func(net.Conn)
		code       int
	}{
		{"whole", put + "Content-Length: 5\r\n\r\nhello", nil, 201},
		{"chunked", put + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", nil, 201},
		{"empty", put + "Content-Length: 0\r\n\r\n", nil, 201},
		{"too large at once", put + "Content-Length: 11\r\n\r\n", nil, 413},
		{"too large in chunks", put + "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n", nil, 413},
		{"slow", put + "Content-Length: 5\r\n\r\nhel", nil, 408},
		{"broken off", put + "Content-Length: 5\r\n\r\nhel", func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }, 499},
		{"without a length", put + "\r\n", nil, 411},
		{"refused before it is sent", put + "Content-Length: 5\r\nExpect: 100-continue\r\nX-Delete-At: 1\r\n\r\n", nil, 400},
		{"asked for when nodes want it", put + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", func(c net.Conn) {
			line, err := bufio.NewReader(io.LimitReader(c, 25)).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				t.Errorf("got %q, %v", line, err)
			}
			io.WriteString(c, "hello")
		}, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			if resp := raw(t, f, c.text, c.then); resp.StatusCode != c.code {
				t.Errorf("got %d, want %d", resp.StatusCode, c.code)
			}
		})
	}
}

func TestBrokenBodiesCutTheConnection(t *testing.T) {
	f := newFakeCluster(t, 1, testCluster(t), nil)
	f.ok()
	f.say("object GET /a/c/o", nodeAnswer{code: brokenOff})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.app.ServeHTTP(w, request.With(r, f.state()))
	}))
	defer s.Close()
	resp, err := http.Get(s.URL + "/v1/a/c/o")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a body that broke off ended cleanly")
	}
}
