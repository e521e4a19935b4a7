package interop

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/apus-storage/apus/internal/policy"
	"github.com/apus-storage/apus/internal/swiftconf"
	"github.com/apus-storage/apus/ring"
)

// memory is an account with all that is odd in it, written through one proxy onto one set of nodes, and what was
// answered about it then.
type memory struct {
	name    string // who wrote it
	account string
	talk    []request
	answers []string
}

var oddNames = []string{"\u00fc/\u00e9 \u20ac", "a b%20c", "q?x=1&y=2", "line\nbreak", "dir/", "//x", "..", strings.Repeat("l", 1000), "<&>\"'", "\U0001f426"}

// remember writes an account full of odd things and notes how they are read.
func (c *chronicle) remember(t *testing.T, name string, make impl) {
	k := c.newTalker(t, make)
	m := &memory{name: name, account: strings.TrimPrefix(k.account, "AUTH_")}
	put := func(path, head, body string) { k.must(request{method: "PUT", path: path, head: head, body: body}) }
	post := func(path, head string) { k.must(request{method: "POST", path: path, head: head}) }
	read := func(path, head string) {
		for _, method := range []string{"GET", "HEAD"} {
			m.talk = append(m.talk, request{method: method, path: path, head: head})
		}
	}
	post("", "X-Account-Meta-Colour: bl\u00fce\nX-Account-Meta-Gone: x")
	post("", "X-Account-Meta-Gone: ")
	for _, p := range []string{"gold", "silver"} {
		fill(p, put, post, read)
		k.must(request{method: "DELETE", path: "/" + p + "/deleted"})
		k.must(request{method: "DELETE", path: "/" + p + "/again"})
		put("/"+p+"/again", "", "written, deleted, written")
		put("/"+p+"/chunked", "", "")
		k.must(request{method: "PUT", path: "/" + p + "/chunked", body: strings.Repeat("chunk", 20000), chunked: true})
		read("/"+p+"/again", "")
		read("/"+p+"/chunked", "")
		read("/"+p+"/deleted", "")
	}
	put("/"+q("\u00fcber \u20ac"), "X-Container-Read: .r:*,.rlistings,-bad.test\nX-Container-Write: {a}:guest\nX-Container-Meta-A: \u00e9", "")
	post("/"+q("\u00fcber \u20ac"), "X-Remove-Container-Meta-A: x\nX-Container-Meta-Web-Index: i.html")
	put("/emptied", "", "")
	put("/emptied/o", "", "x")
	k.must(request{method: "DELETE", path: "/emptied/o"})
	put("/deleted", "", "")
	k.must(request{method: "DELETE", path: "/deleted"})
	// One that is really large by each make, on nodes of its own.
	size := 1 << 20
	if name == "nodes of Swift through swift" || name == "nodes of Apus through apus" {
		size = *big << 20
	}
	put("/gold/big", "X-Object-Meta-Big: yes", strings.Repeat("0123456789abcdef", size/16))
	read("/gold/big", "")
	for _, p := range []string{"/emptied", "/deleted", "/gold", "/silver", "/" + q("\u00fcber \u20ac"), ""} {
		read(p, "")
		read(p+"?format=json&limit=1000", "X-Newest: true")
		read(p+"?prefix=many/&delimiter=/&reverse=1", "")
	}
	m.talk = append(m.talk, request{method: "GET", path: "/" + q("\u00fcber \u20ac"), bare: true}, request{method: "GET", path: "/silver", bare: true})
	c.updateAccounts(t, make)
	for _, r := range m.talk {
		m.answers = append(m.answers, known(make, r, exact(k.send(r))))
	}
	c.memories = append(c.memories, m)
}

// fill makes a container with objects of all sorts.
func fill(policy string, put func(path, head, body string), post func(path, head string), read func(path, head string)) {
	p := "/" + policy
	put(p, "X-Storage-Policy: "+policy, "")
	for _, n := range oddNames {
		put(p+"/odd/"+q(n), "X-Object-Meta-Name: odd", n)
		read(p+"/odd/"+q(n), "")
	}
	for i := range 20 {
		put(fmt.Sprintf("%s/many/%02d", p, i), "", strings.Repeat("x", i))
	}
	var many strings.Builder
	for i := range 9 {
		fmt.Fprintf(&many, "X-Object-Meta-N%02d: %s\n", i, strings.Repeat("v", 250))
	}
	put(p+"/meta", many.String()+"X-Object-Meta-Utf8: \u20ac \u00fc\nContent-Encoding: gzip\nContent-Disposition: attachment; filename=\"\u00fc\"\nCache-Control: no-cache\nContent-Type: text/x; a=\"b\"", "meta")
	put(p+"/empty", "", "")
	put(p+"/posted", "X-Object-Meta-Old: 1\nContent-Type: text/old", "posted")
	post(p+"/posted", "X-Object-Meta-New: 1\nContent-Type: text/new")
	post(p+"/posted", "X-Object-Meta-Newer: \u00e9\nContent-Disposition: inline")
	put(p+"/overwritten", "X-Object-Meta-Old: 1", "old")
	put(p+"/overwritten", "X-Object-Meta-New: 1", "newer")
	put(p+"/later", "X-Delete-At: 4102444800", "expires some day")
	put(p+"/unexpired", "X-Delete-At: 4102444800", "does not expire any more")
	post(p+"/unexpired", "X-Remove-Delete-At: x")
	for _, n := range []string{"deleted", "again"} {
		put(p+"/"+n, "", "about to be deleted")
	}
	for _, n := range []string{"meta", "empty", "posted", "overwritten", "later", "unexpired", "many/19"} {
		read(p+"/"+n, "")
	}
	read(p+"/posted", "Range: bytes=1-2,4-")
	read(p+"/overwritten", "If-None-Match: *")
}

// recall reads all that was ever written through a proxy and compares it with what was answered then.
func (c *chronicle) recall(t *testing.T, make impl) {
	for _, m := range c.memories {
		k := newTalker(t, c.rig.proxy(make), m.account)
		for i, r := range m.talk {
			if got := known(make, r, exact(k.send(r))); got != m.answers[i] {
				t.Errorf("written by %s: %s %.100s [%s]:\n%s", m.name, r.method, r.path, r.head, diff(m.answers[i], got))
			}
		}
	}
}

// direct asks each device for everything remembered and returns the answers by what was asked.
func (c *chronicle) direct(t *testing.T) map[string]string {
	t.Helper()
	cluster, err := swiftconf.Load(c.rig.path("etc"))
	if err != nil {
		t.Fatal(err)
	}
	rings := map[string]*ring.Ring{}
	for _, n := range []string{"account", "container", "object", "object-1"} {
		if rings[n], err = ring.Load(c.rig.path("etc", n+".ring.gz")); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]string{}
	k := &talker{t: t, client: &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}}
	for _, m := range c.memories {
		for _, r := range m.talk {
			if r.bare {
				continue
			}
			path, query, _ := strings.Cut(r.path, "?")
			name, index := "account", policy.Index(0)
			switch strings.Count(path, "/") {
			case 0:
			case 1:
				name = "container"
			default:
				name = "object"
				if strings.HasPrefix(path, "/silver/") {
					name, index = "object-1", 1
				}
			}
			full, err := url.PathUnescape(path)
			if err != nil {
				t.Fatal(err)
			}
			sum := cluster.Hasher.SumPath("/AUTH_" + m.account + full)
			part := rings[name].Partition(sum)
			for _, node := range rings[name].AppendPrimaries(nil, part) {
				target := fmt.Sprintf("http://%s:%d/%s/%d/AUTH_%s%s", node.IP, node.Port, node.Name, part, m.account, path)
				if query != "" {
					target += "?" + query
				}
				req, err := http.NewRequest(r.method, target, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-Backend-Storage-Policy-Index", fmt.Sprint(index))
				for line := range strings.SplitSeq(r.head, "\n") {
					if name, value, ok := strings.Cut(line, ": "); ok {
						req.Header.Set(name, value)
					}
				}
				out[r.method+" "+node.Name+" AUTH_"+m.account+r.path+" ["+r.head+"] written by "+m.name] = known(swift, r, exact(k.do(req)))
			}
		}
	}
	return out
}

// sameDirectly compares what devices answer under one make with what they answered under the other.
func sameDirectly(t *testing.T, before, now map[string]string) {
	t.Helper()
	for what, want := range before {
		if got := now[what]; got != want {
			t.Errorf("%.300s:\n%s", what, diff(want, got))
		}
	}
}
