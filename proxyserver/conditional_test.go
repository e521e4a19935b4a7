package proxyserver_test

import (
	"slices"
	"testing"
)

// TestConditions asks nodes that do not know conditions, as those of Swift, and others.
func TestConditions(t *testing.T) {
	const create, strict, match = "If-None-Match: *", "X-Backend-If-None-Match: *", `X-Backend-If-Match: "abc"`
	for _, c := range []struct {
		name    string
		method  string
		headers []string
		nodes   int // what all of them answer
		code    int
		bodies  int // nodes that got the body
	}{
		{"Swift's nodes take what a client creates", "PUT", []string{create}, 201, 201, 3},
		{"and refuse it", "PUT", []string{create}, 412, 412, 0},
		{"a client is not told 202 for a conflict", "PUT", []string{create}, 409, 409, 0},
		{"nodes are unwell", "PUT", []string{create}, 503, 503, 0},
		{"a filter is told that Swift's nodes promise nothing", "PUT", []string{strict}, 201, 501, 0},
		{"a filter's condition goes before the client's", "PUT", []string{create, strict}, 201, 501, 0},
		{"no replacement on a condition", "PUT", []string{match}, 201, 501, 0},
		{"no deletion on a condition", "DELETE", []string{match}, 204, 501, 0},
		{"a replacement is refused", "PUT", []string{match}, 412, 412, 0},
		{"a deletion is refused", "DELETE", []string{match}, 409, 409, 0},
		{"If-Match of a client says nothing", "PUT", []string{`If-Match: "abc"`}, 201, 201, 3},
		{"nor does it on DELETE", "DELETE", []string{`If-Match: "abc"`, "If-None-Match: x"}, 204, 204, 3},
		{"a contradiction", "PUT", []string{create, match}, 201, 400, 0},
		{"another one", "DELETE", []string{strict, match}, 204, 400, 0},
		{"a tag to be absent", "PUT", []string{`X-Backend-If-None-Match: "abc"`}, 201, 400, 0},
		{"no time", "PUT", []string{"X-Backend-If-Data-Timestamp: now"}, 201, 400, 0},
		{"POST knows no conditions", "POST", []string{match}, 202, 501, 0},
	} {
		f := newFakeCluster(t, 3, testCluster(t), nil)
		what := "object " + c.method + " /a/c/o"
		f.say(what, nodeAnswer{code: c.nodes})
		if w := f.do(c.method, "/v1/a/c/o", "x", c.headers...); w.Code != c.code {
			t.Errorf("%s: got %d %q, want %d", c.name, w.Code, w.Body, c.code)
		}
		took := slices.DeleteFunc(f.sent(what), func(s sent) bool { return c.nodes >= 300 })
		if len(took) != c.bodies {
			t.Errorf("%s: %d nodes took it, want %d", c.name, len(took), c.bodies)
		}
		for _, s := range took {
			if s.Header.Get("X-Backend-If-None-Match") != "" {
				t.Errorf("%s: the node's header remains although nothing is promised", c.name)
			}
		}
	}
}
