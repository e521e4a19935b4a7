package object_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apus-storage/apus/backend/object"
	"github.com/apus-storage/apus/internal/config"
	"github.com/apus-storage/apus/internal/nodes"
)

// writer is a conditional write that a node has been asked for.
type writer struct {
	reserved string // what the node promised; "" if it has answered instead
	body     *io.PipeWriter
	cancel   context.CancelFunc
	done     chan answer
}

const emptyTime, objectURL = "0000000000.00000", "/sdb1/0/a/c/o"

// begin asks for a write and waits until the node has reserved the object, or answered. Headers come in pairs.
func begin(t *testing.T, rt http.RoundTripper, host, method string, at string, pairs ...string) *writer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	promised := make(chan string, 1)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			promised <- h.Get("X-Backend-Reserved")
			return nil
		},
	})
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+objectURL, r)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Set(pairs[i], pairs[i+1])
	}
	for name, v := range map[string]string{
		"X-Timestamp": at, "Content-Type": "text/plain", "Expect": "100-continue", "X-Backend-Storage-Policy-Index": "0",
	} {
		req.Header.Set(name, v)
	}
	c := &writer{body: w, cancel: cancel, done: make(chan answer, 1)}
	go func() {
		resp, err := rt.RoundTrip(req)
		if err != nil {
			c.done <- answer{body: err.Error()}
			return
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		c.done <- answer{resp.StatusCode, resp.Header, string(b)}
	}()
	select {
	case c.reserved = <-promised:
	case a := <-c.done:
		c.done <- a
	case <-time.After(time.Minute):
		t.Fatal("the node says nothing")
	}
	return c
}

// commit sends the body and its end.
func (w *writer) commit(body string) answer {
	if body != "" && w.reserved != "" {
		io.WriteString(w.body, body)
	}
	w.body.Close()
	return <-w.done
}

// abort breaks off before the end of the body, and waits until that is known here.
func (w *writer) abort() {
	w.body.CloseWithError(errors.New("aborted"))
	w.cancel()
	<-w.done
}

func at(n int) string { return fmt.Sprintf("%d.%05d", now.Unix()+int64(n), 0) }

// both runs a test over a connection and without one.
func overBoth(t *testing.T, test func(t *testing.T, n *node, rt http.RoundTripper, host string)) {
	for _, kind := range []string{"direct", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			n := newNode(t, func(c *object.Config, d *object.Deps) { c.ClientTimeout = config.Seconds(20) })
			if kind == "direct" {
				d := nodes.NewDirect(nil)
				d.Handle("node:1", n)
				test(t, n, d, "node:1")
				return
			}
			tr := nodes.NewTCP(nodes.TCPOptions{})
			defer tr.CloseIdleConnections()
			test(t, n, tr, strings.TrimPrefix(listen(t, n), "http://"))
		})
	}
}

func get(t *testing.T, n *node) answer {
	return do(t, n, "GET", objectURL, "", "X-Backend-Storage-Policy-Index", "0")
}

func TestReservations(t *testing.T) {
	create := []string{"X-Backend-If-None-Match", "*"}
	overBoth(t, func(t *testing.T, n *node, rt http.RoundTripper, host string) {
		first := begin(t, rt, host, "PUT", at(10), create...)
		if first.reserved != emptyTime {
			t.Fatalf("promised %q for nothing", first.reserved)
		}
		for _, when := range []int{5, 10, 20} {
			begin(t, rt, host, "PUT", at(when), create...).commit("").expect(t, 409)
			begin(t, rt, host, "DELETE", at(when), "X-Backend-If-Match", "*").commit("").expect(t, 409)
		}
		get(t, n).expect(t, 404)
		first.commit("first").expect(t, 201)
		if got := get(t, n).expect(t, 200); got.body != "first" || got.header.Get("X-Timestamp") != at(10) {
			t.Errorf("stored %v", got)
		}
		refused := begin(t, rt, host, "PUT", at(30), create...).commit("").expect(t, 412)
		if got := refused.header.Get("X-Backend-Timestamp"); got != at(10) {
			t.Errorf("refused because of %q, want %s", got, at(10))
		}
		// What was refused had no reservation, and left no trace.
		second := begin(t, rt, host, "PUT", at(25), "X-Backend-If-Match", "*")
		if second.reserved != at(10) {
			t.Fatalf("promised %q", second.reserved)
		}
		second.commit("second").expect(t, 201)
	})
}

func TestAnAbortedWriteLeavesNothingButItsTime(t *testing.T) {
	overBoth(t, func(t *testing.T, n *node, rt http.RoundTripper, host string) {
		w := begin(t, rt, host, "PUT", at(10), "X-Backend-If-None-Match", "*")
		io.WriteString(w.body, "half of it")
		w.abort()
		// Over a connection the node learns of that a little later.
		for deadline := time.Now().Add(time.Minute); ; {
			next := begin(t, rt, host, "PUT", at(11), "X-Backend-If-None-Match", "*")
			if next.reserved != "" {
				next.abort()
				break
			}
			if a := <-next.done; a.status != 409 || time.Now().After(deadline) {
				t.Fatalf("after an abort: %v", a)
			}
		}
		get(t, n).expect(t, 404)
		// The first one may have succeeded elsewhere: what is older must not follow it.
		begin(t, rt, host, "PUT", at(9), "X-Backend-If-None-Match", "*").commit("").expect(t, 409)
	})
}

// TestANodeThatIsBehind is about a node which is told that another has a newer version, of which the condition holds.
func TestANodeThatIsBehind(t *testing.T) {
	overBoth(t, func(t *testing.T, n *node, rt http.RoundTripper, host string) {
		match := []string{"X-Backend-If-Match", `"other"`}
		newer := append(match[:2:2], "X-Backend-If-Behind", at(2))
		begin(t, rt, host, "PUT", at(5), match...).commit("").expect(t, 412)
		w := begin(t, rt, host, "PUT", at(5), newer...)
		if w.reserved != emptyTime {
			t.Fatalf("promised %q", w.reserved)
		}
		w.commit("five").expect(t, 201)
		// Now it is not behind any more.
		begin(t, rt, host, "PUT", at(6), newer...).commit("").expect(t, 412)
		newer[3] = at(5)
		begin(t, rt, host, "PUT", at(6), newer...).commit("").expect(t, 412)
		newer[3] = at(6)
		w = begin(t, rt, host, "PUT", at(7), newer...)
		// What comes between is no older.
		do(t, n, "PUT", objectURL, "six", "X-Timestamp", at(6), "Content-Type", "text/plain", "X-Backend-Storage-Policy-Index", "0").expect(t, 201)
		w.commit("seven").expect(t, 412)
		newer[3] = at(7)
		begin(t, rt, host, "DELETE", at(8), newer...).commit("").expect(t, 204)
		newer[3] = at(9)
		begin(t, rt, host, "DELETE", at(10), newer...).commit("").expect(t, 204) // of what is elsewhere
		get(t, n).expect(t, 404)
		begin(t, rt, host, "PUT", at(11), "X-Backend-If-None-Match", "*", "X-Backend-If-Behind", "x").commit("").expect(t, 400)
	})
}

func TestTheConditionIsCheckedAgainAtTheEnd(t *testing.T) {
	put := func(t *testing.T, n *node, when int, body string) {
		do(t, n, "PUT", objectURL, body, "X-Timestamp", at(when), "Content-Type", "text/plain", "X-Backend-Storage-Policy-Index", "0").expect(t, 201)
	}
	remove := func(t *testing.T, n *node, when, status int) {
		do(t, n, "DELETE", objectURL, "", "X-Timestamp", at(when), "X-Backend-Storage-Policy-Index", "0").expect(t, status)
	}
	for _, c := range []struct {
		name    string
		before  func(*testing.T, *node)
		method  string
		header  []string
		between func(*testing.T, *node)
		status  int
		left    string // "" for nothing
	}{
		{"nothing comes between a creation and its end", nil, "PUT", []string{"X-Backend-If-None-Match", "*"}, nil, 201, "new"},
		{"an older creation comes between", nil, "PUT", []string{"X-Backend-If-None-Match", "*"},
			func(t *testing.T, n *node) { put(t, n, 2, "other") }, 412, "other"},
		{"a newer creation comes between", nil, "PUT", []string{"X-Backend-If-None-Match", "*"},
			func(t *testing.T, n *node) { put(t, n, 20, "other") }, 412, "other"},
		{"a newer deletion comes between", nil, "PUT", []string{"X-Backend-If-None-Match", "*"},
			func(t *testing.T, n *node) { remove(t, n, 20, 404) }, 409, ""},
		{"a replacement comes between", func(t *testing.T, n *node) { put(t, n, 1, "old") }, "PUT", []string{"X-Backend-If-Data-Timestamp", at(1)},
			func(t *testing.T, n *node) { put(t, n, 2, "other") }, 412, "other"},
		{"a deletion comes between", func(t *testing.T, n *node) { put(t, n, 1, "old") }, "PUT", []string{"X-Backend-If-Match", "*"},
			func(t *testing.T, n *node) { remove(t, n, 2, 204) }, 412, ""},
		{"a replacement comes before a deletion", func(t *testing.T, n *node) { put(t, n, 1, "old") }, "DELETE", []string{"X-Backend-If-Data-Timestamp", at(1)},
			func(t *testing.T, n *node) { put(t, n, 2, "other") }, 412, "other"},
		{"nothing comes before a deletion", func(t *testing.T, n *node) { put(t, n, 1, "old") }, "DELETE",
			[]string{"X-Backend-If-Match", `"149603e6c03516362a8da23f624db945"`}, nil, 204, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			overBoth(t, func(t *testing.T, n *node, rt http.RoundTripper, host string) {
				if c.before != nil {
					c.before(t, n)
				}
				w := begin(t, rt, host, c.method, at(10), c.header...)
				if w.reserved == "" {
					t.Fatalf("refused: %v", <-w.done)
				}
				if c.between != nil {
					c.between(t, n)
				}
				body := "new"
				if c.method == "DELETE" {
					body = ""
				}
				w.commit(body).expect(t, c.status)
				if got := get(t, n); c.left == "" && got.status != 404 || c.left != "" && got.body != c.left {
					t.Errorf("left %v, want %q", got, c.left)
				}
			})
		})
	}
}

func TestConditionsOfWrites(t *testing.T) {
	n := newNode(t, nil)
	write := func(method string, when int, pairs ...string) answer {
		return do(t, n, method, objectURL, map[string]string{"PUT": "body"}[method], append([]string{"X-Timestamp", at(when), "Content-Type", "text/plain",
			"X-Backend-Storage-Policy-Index", "0", "X-Object-Sysmeta-Other-Etag", "other"}, pairs...)...)
	}
	write("PUT", 1).expect(t, 201)
	for i, c := range []struct {
		method string
		pairs  []string
		status int
	}{
		{"PUT", []string{"X-Backend-If-Match", `"841a2d689ad86bd1611447453c22c6fc"`}, 201}, // of "body"
		{"PUT", []string{"X-Backend-If-Match", `"x"`}, 412},
		{"PUT", []string{"X-Backend-If-Match", `"other"`}, 412},
		{"PUT", []string{"X-Backend-If-Match", `"other"`, "X-Backend-Etag-Is-At", "X-Object-Sysmeta-None, X-Object-Sysmeta-Other-Etag"}, 201},
		{"DELETE", []string{"X-Backend-If-Match", `"x"`}, 412},
		{"PUT", []string{"X-Backend-If-None-Match", `"x"`}, 400},
		{"DELETE", []string{"X-Backend-If-Match", "*", "X-Backend-If-None-Match", "*"}, 400},
		{"DELETE", []string{"X-Backend-If-Match", "*"}, 204},
		{"DELETE", []string{"X-Backend-If-Match", "*"}, 412},
		{"PUT", []string{"X-Backend-If-Match", "*"}, 412},
		{"PUT", []string{"X-Backend-If-None-Match", "*", "X-Delete-At", fmt.Sprint(now.Unix() + 100)}, 201},
		{"DELETE", []string{"X-Backend-If-None-Match", "*"}, 412},
	} {
		if got := write(c.method, 2+i, c.pairs...); got.status != c.status {
			t.Errorf("%d: %s %v: %d, want %d", i, c.method, c.pairs, got.status, c.status)
		}
	}
	// What has expired is not there.
	write("DELETE", 200, "X-Backend-If-Match", "*").expect(t, 412)
	write("PUT", 201, "X-Backend-If-Match", "*").expect(t, 412)
	write("PUT", 202, "X-Backend-If-None-Match", "*").expect(t, 201)
	do(t, n, "DELETE", objectURL, "body", "X-Timestamp", at(203), "X-Backend-Storage-Policy-Index", "0", "X-Backend-If-Match", "*").expect(t, 400)
}

// TestANewLifeKnowsNothing: what was reserved before a restart has been forgotten, so what is older than the restart is refused.
func TestANewLifeKnowsNothing(t *testing.T) {
	n := newNode(t, nil)
	create := func(when int) answer {
		return do(t, n, "PUT", objectURL, "", "X-Timestamp", at(when), "Content-Type", "text/plain", "X-Backend-Storage-Policy-Index", "0", "X-Backend-If-None-Match", "*")
	}
	create(-1).expect(t, 409)
	create(0).expect(t, 409)
	create(1).expect(t, 201)
}

// TestUploadsWithFootersTakeNoLonger has a sender whose bytes come one by one, and never fill what is written to the disk at once.
func TestUploadsWithFootersTakeNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, func(c *object.Config, d *object.Deps) { c.MaxUploadTime = config.Seconds(100) })
		d := nodes.NewDirect(nil)
		d.Handle("node:1", n)
		w := begin(t, d, "node:1", "PUT", at(10), "X-Backend-Obj-Metadata-Footer", "yes", "X-Backend-Obj-Multipart-Mime-Boundary", "b")
		io.WriteString(w.body, "--b\r\n\r\n")
		for range 5 {
			io.WriteString(w.body, "x")
			time.Sleep(30 * time.Second)
		}
		w.commit("").expect(t, 408)
	})
}

func TestAReservationEndsWithItsUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, func(c *object.Config, d *object.Deps) { c.MaxUploadTime = config.Seconds(100) })
		d := nodes.NewDirect(nil)
		d.Handle("node:1", n)
		w := begin(t, d, "node:1", "PUT", at(10), "X-Backend-If-None-Match", "*")
		for range 4 { // a sender that is alive, but slow
			io.WriteString(w.body, "x")
			time.Sleep(30 * time.Second)
		}
		w.commit("x").expect(t, 408)
		begin(t, d, "node:1", "PUT", at(11), "X-Backend-If-None-Match", "*").commit("").expect(t, 201)
	})
}
