package interop

import (
	"fmt"
	"net/url"
	"strings"
)

// q quotes a name for a path.
func q(name string) string { return strings.ReplaceAll(url.PathEscape(name), "%2F", "/") }

// conversation is what is asked of each combination of proxy and nodes, on an account without anything in it. The
// answers, without times, must be those of Swift. It keeps to what every proxy does; what filters do is in filtered.
func conversation() []request {
	var c []request
	add := func(method, path, head, body string) {
		c = append(c, request{method: method, path: path, head: head, body: body})
	}
	// The account.
	add("HEAD", "", "", "")
	add("GET", "", "", "")
	add("GET", "?format=json", "", "")
	add("POST", "", "X-Account-Meta-Colour: blue\nX-Account-Meta-Size: gro\u00df", "")
	add("HEAD", "", "", "")
	add("POST", "", "X-Remove-Account-Meta-Size: x", "")
	add("HEAD", "", "", "")
	add("POST", "", "X-Account-Meta-"+strings.Repeat("n", 129)+": v", "")
	add("POST", "", "X-Account-Meta-N: "+strings.Repeat("v", 257), "")
	add("PUT", "", "", "")
	add("OPTIONS", "", "", "")
	add("PATCH", "", "", "")
	// Containers.
	add("HEAD", "/c", "", "")
	add("POST", "/c", "X-Container-Meta-A: 1", "")
	add("PUT", "/c", "X-Container-Meta-A: 1\nX-Container-Read: .r:*,.rlistings\nX-Container-Meta-Quota-Bytes: 1000000000", "")
	add("PUT", "/c", "X-Container-Meta-B: 2", "")
	add("HEAD", "/c", "", "")
	add("GET", "/c", "", "")
	add("GET", "/c?format=json", "", "")
	add("GET", "/c?format=xml", "", "")
	add("POST", "/c", "X-Remove-Container-Meta-A: x\nX-Container-Meta-C: \u00e9t\u00e9\nX-Container-Write: {a}:guest", "")
	add("HEAD", "/c", "", "")
	add("PUT", "/silver", "X-Storage-Policy: silver", "")
	add("HEAD", "/silver", "", "")
	add("PUT", "/silver", "X-Storage-Policy: gold", "")
	add("PUT", "/none", "X-Storage-Policy: bronze", "")
	add("PUT", "/"+q("\u00fcber/x"), "", "")
	add("PUT", "/"+q("\u00fc b%c?"), "", "")
	add("PUT", "/"+strings.Repeat("n", 257), "", "")
	add("GET", "", "", "")
	add("GET", "?format=json", "", "")
	add("GET", "?format=xml", "", "")
	for _, p := range []string{"limit=1", "marker=c", "end_marker=s", "prefix=s", "reverse=on", "marker=silver&reverse=on", "limit=0", "limit=10001", "limit=x",
		"delimiter=l", "prefix=%C3%BC", "marker=%ff", "format=html", "format=plain"} {
		add("GET", "?"+p, "", "")
	}
	add("GET", "", "Accept: application/json", "")
	add("GET", "", "Accept: text/xml;q=0.5, application/json;q=0.2", "")
	add("GET", "", "Accept: image/png", "")
	objects(add)
	listings(add)
	access(&c)
	deletions(add)
	return c
}

func objects(add func(method, path, head, body string)) {
	add("PUT", "/c/o", "Content-Type: text/plain\nX-Object-Meta-Colour: bl\u00fce\nContent-Encoding: gzip\nContent-Disposition: attachment", "0123456789")
	add("HEAD", "/c/o", "", "")
	add("PUT", "/c/o", "Content-Type: text/plain\nX-Object-Meta-Colour: bl\u00fce\nContent-Encoding: gzip\nContent-Disposition: attachment\nCache-Control: no-cache\nExpires: never\nX-Robots-Tag: none\nContent-Language: de", "0123456789")
	add("GET", "/c/o", "", "")
	add("GET", "/c/o", "X-Newest: true", "")
	add("PUT", "/c/o2", "", "no type")
	add("PUT", "/c/o3.txt", "", "a type by its name")
	add("PUT", "/c/o4.html", "X-Detect-Content-Type: true\nContent-Type: text/plain", "a type by its name")
	add("HEAD", "/c/o4.html", "", "")
	for _, n := range []string{"o2", "o3.txt", "nothing"} {
		add("HEAD", "/c/"+n, "", "")
	}
	for _, r := range []string{"0-0", "5-", "-3", "5-100", "100-", "0-1,3-4", "0-1,100-", "3-1", "-0", "x", "0-1,3-4,-1", "0-,0-,0-"} {
		add("GET", "/c/o", "Range: bytes="+r, "")
	}
	add("HEAD", "/c/o", "Range: bytes=0-1", "")
	for _, m := range []string{"GET", "HEAD"} {
		for _, h := range []string{"If-Match: 781e5e245d69b566979b86e28d23f2c7", "If-Match: x", "If-None-Match: 781e5e245d69b566979b86e28d23f2c7", "If-None-Match: x", "If-None-Match: *",
			"If-Match: *", "If-Modified-Since: Wed, 21 Oct 2015 07:28:00 GMT", "If-Modified-Since: Wed, 21 Oct 2099 07:28:00 GMT",
			"If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT", "If-Unmodified-Since: Wed, 21 Oct 2099 07:28:00 GMT", "If-Modified-Since: x",
			"If-Match: \"781e5e245d69b566979b86e28d23f2c7\"\nRange: bytes=2-3", "If-Range: x\nRange: bytes=2-3", "If-Range: \"781e5e245d69b566979b86e28d23f2c7\"\nRange: bytes=2-3"} {
			add(m, "/c/o", h, "")
		}
	}
	add("GET", "/c/nothing", "If-Match: *", "")
	add("GET", "/c/nothing", "If-None-Match: *", "")
	add("PUT", "/c/o", "If-None-Match: *", "again")
	add("PUT", "/c/o", "If-None-Match: x", "again")
	add("PUT", "/c/fresh", "If-None-Match: *", "fresh")
	add("PUT", "/c/sum", "ETag: 781e5e245d69b566979b86e28d23f2c7", "0123456789")
	add("PUT", "/c/sum", "ETag: 00000000000000000000000000000000", "0123456789")
	add("PUT", "/c/sum", "ETag: \"781e5e245d69b566979b86e28d23f2c7\"", "0123456789")
	add("PUT", "/c/sum", "ETag: no sum", "0123456789")
	add("PUT", "/c/continue", "Expect: 100-continue", strings.Repeat("y", 100000))
	add("GET", "/c/continue", "Range: bytes=99990-", "")
	add("PUT", "/c/empty", "", "")
	add("GET", "/c/empty", "", "")
	add("GET", "/c/empty", "Range: bytes=0-", "")
	for _, n := range []string{"\u00fc/\u00e9 \u20ac", "a b%20c", "q?x=1&y=2", "line\nbreak", "plus+semi;hash#", "dir/", "//x", ".", "..", "a/../b", strings.Repeat("l", 1024), strings.Repeat("l", 1025), "<&>\"'", "\U0001f426"} {
		add("PUT", "/c/odd/"+q(n), "X-Object-Meta-Name: odd", n)
		add("GET", "/c/odd/"+q(n), "", "")
	}
	add("PUT", "/c/bad%ff", "", "")
	add("POST", "/c/o2", "X-Object-Meta-New: 1\nContent-Type: text/x-new", "")
	add("HEAD", "/c/o2", "", "")
	add("POST", "/c/o2", "X-Object-Meta-Newer: 1", "")
	add("HEAD", "/c/o2", "", "")
	add("POST", "/c/nothing", "X-Object-Meta-New: 1", "")
	add("POST", "/c/o", "", "")
	add("GET", "/c/o", "", "")
	add("PUT", "/c/expires", "X-Delete-At: 4102444800", "later")
	add("HEAD", "/c/expires", "", "")
	add("POST", "/c/expires", "X-Delete-At: 4102444900\nX-Object-Meta-A: 1", "")
	add("HEAD", "/c/expires", "", "")
	add("POST", "/c/expires", "X-Remove-Delete-At: x", "")
	add("HEAD", "/c/expires", "", "")
	add("PUT", "/c/past", "X-Delete-At: 1000", "x")
	add("PUT", "/c/past", "X-Delete-At: soon", "x")
	add("PUT", "/c/past", "X-Delete-After: x", "x")
	add("PUT", "/c/m", "X-Object-Meta-"+strings.Repeat("n", 128)+": v", "x")
	add("PUT", "/c/m", "X-Object-Meta-"+strings.Repeat("n", 129)+": v", "x")
	add("PUT", "/c/m", "X-Object-Meta-N: "+strings.Repeat("v", 257), "x")
	var many strings.Builder
	for i := range 9 {
		fmt.Fprintf(&many, "X-Object-Meta-N%02d: %s\n", i, strings.Repeat("v", 250))
	}
	add("PUT", "/c/large", many.String(), "x")
	add("HEAD", "/c/large", "", "")
	add("PUT", "/c/large", many.String()+many.String(), "x")
	for i := range 30 {
		fmt.Fprintf(&many, "X-Object-Meta-O%02d: %s\n", i, strings.Repeat("v", 250))
	}
	add("PUT", "/c/large", many.String(), "x")
	add("PUT", "/silver/o", "", "silver")
	add("GET", "/silver/o", "", "")
	add("POST", "/silver/o", "X-Object-Meta-A: 1", "")
	add("GET", "/silver/o", "", "")
	add("PUT", "/silver/gone", "", "silver")
	add("DELETE", "/silver/gone", "", "")
	add("GET", "/silver/gone", "", "")
	add("PUT", "/missing/o", "", "x")
	add("GET", "/missing/o", "", "")
	add("DELETE", "/c/nothing", "", "")
	add("OPTIONS", "/c/o", "", "")
	add("OPTIONS", "/c/o", "Origin: http://a.test\nAccess-Control-Request-Method: GET", "")
	add("PATCH", "/c/o", "", "")
	add("LOCK", "/c/o", "", "")
}

func listings(add func(method, path, head, body string)) {
	add("PUT", "/l", "", "")
	for _, n := range []string{"a", "b/1", "b/2", "b/c/3", "b--x", "b--y", "\u00fc", "z%", "<&>", "z z"} {
		add("PUT", "/l/"+q(n), "Content-Type: text/plain", n)
	}
	for _, f := range []string{"", "&format=json", "&format=xml"} {
		for _, p := range []string{"limit=3", "marker=b/1", "marker=b/1&limit=2", "end_marker=b/2", "prefix=b", "prefix=b/", "delimiter=/", "prefix=b/&delimiter=/", "prefix=b&delimiter=--",
			"reverse=true", "reverse=true&marker=b/c/3&end_marker=a", "path=b", "path=", "prefix=none", "delimiter=/&limit=2", "delimiter=/&reverse=1", "marker=zzz"} {
			add("GET", "/l?"+p+f, "", "")
		}
	}
	add("HEAD", "/l", "", "")
	add("GET", "/l?limit=10001", "", "")
	add("GET", "/l?states=listing", "", "")
	add("GET", "/l", "Accept: application/xml", "")
}

func access(c *[]request) {
	add := func(r request) { *c = append(*c, r) }
	for _, r := range []request{{bare: true}, {guest: true}} {
		for _, p := range []string{"", "/c", "/c/o", "/silver", "/silver/o", "/l/a"} {
			for _, m := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
				if m == "DELETE" && p == "/c/o" {
					continue // the guest may, and it is wanted later on
				}
				r.method, r.path = m, p
				add(r)
			}
		}
	}
	add(request{method: "POST", path: "/silver", head: "X-Container-Read: {a}:guest,.r:-bad.test\nX-Container-Write: .r:*"})
	add(request{method: "POST", path: "/silver", head: "X-Container-Read: .r:good.test,.rlistings"})
	add(request{method: "GET", path: "/silver/o", bare: true, head: "Referer: http://good.test/x"})
	add(request{method: "GET", path: "/silver/o", bare: true, head: "Referer: http://bad.test/x"})
	add(request{method: "PUT", path: "/c/chunked", body: strings.Repeat("chunk", 50000), chunked: true})
	add(request{method: "GET", path: "/c/chunked"})
	add(request{method: "PUT", path: "/c/chunkless", chunked: true})
}

func deletions(add func(method, path, head, body string)) {
	add("GET", "/c?format=json", "", "")
	add("DELETE", "/c", "", "")
	add("DELETE", "/c/o", "", "")
	add("GET", "/c/o", "", "")
	add("DELETE", "/c/o", "", "")
	add("GET", "/c?limit=2", "", "")
	add("PUT", "/short", "", "")
	add("PUT", "/short/o", "", "x")
	add("DELETE", "/short/o", "", "")
	add("DELETE", "/short", "", "")
	add("DELETE", "/short", "", "")
	add("HEAD", "/short", "", "")
	add("GET", "/short/o", "", "")
	add("PUT", "/short", "", "")
	add("GET", "/short?format=json", "", "")
	add("DELETE", "", "", "")
	add("HEAD", "", "", "")
}

// filtered is what needs a filter in the proxy's pipeline, by the filter. Each is asked of an account of its own.
func filtered() map[string][]request {
	all := map[string][]request{}
	for name, ask := range map[string]func(add func(method, path, head, body string)){
		"copy": copies, "dlo": dynamic, "slo": static, "symlink": links, "versioned_writes": versions,
	} {
		add := func(method, path, head, body string) {
			all[name] = append(all[name], request{method: method, path: path, head: head, body: body})
		}
		add("PUT", "/s", "", "")
		add("PUT", "/d", "X-Storage-Policy: silver", "")
		add("PUT", "/s/o", "X-Object-Meta-A: 1\nContent-Type: text/x-a", "source")
		for i, text := range []string{"one", "two", "three"} {
			add("PUT", fmt.Sprintf("/s/seg/%d", i), "", text)
		}
		ask(add)
		add("GET", "/s?format=json", "", "")
	}
	return all
}

func copies(add func(method, path, head, body string)) {
	add("COPY", "/s/o", "Destination: d/o", "")
	add("HEAD", "/d/o", "", "")
	add("PUT", "/d/o2", "X-Copy-From: s/o\nX-Object-Meta-B: 2\nContent-Length: 0", "")
	add("GET", "/d/o2", "", "")
	add("COPY", "/s/o", "Destination: d/o3\nX-Fresh-Metadata: true", "")
	add("HEAD", "/d/o3", "", "")
	add("COPY", "/s/none", "Destination: d/o3", "")
}

func dynamic(add func(method, path, head, body string)) {
	add("PUT", "/s/dlo", "X-Object-Manifest: s/seg/", "")
	add("GET", "/s/dlo", "", "")
	add("GET", "/s/dlo", "Range: bytes=2-5", "")
	add("HEAD", "/s/dlo", "", "")
}

func static(add func(method, path, head, body string)) {
	add("PUT", "/s/slo?multipart-manifest=put", "Content-Type: text/slo", `[{"path":"/s/seg/0"},{"path":"/s/seg/1","range":"1-"},{"path":"/s/seg/2"}]`)
	add("GET", "/s/slo", "", "")
	add("GET", "/s/slo", "Range: bytes=1-4,6-", "")
	add("GET", "/s/slo?multipart-manifest=get", "", "")
	add("HEAD", "/s/slo", "", "")
	add("PUT", "/s/bad?multipart-manifest=put", "", `[{"path":"/s/none"}]`)
	add("DELETE", "/s/slo?multipart-manifest=delete", "Accept: application/json", "")
	add("GET", "/s", "", "")
}

func links(add func(method, path, head, body string)) {
	add("PUT", "/s/link", "X-Symlink-Target: s/o\nContent-Length: 0", "")
	add("GET", "/s/link", "", "")
	add("GET", "/s/link?symlink=get", "", "")
	add("PUT", "/s/static", "X-Symlink-Target: s/o\nX-Symlink-Target-Etag: 36cd38f49b9afa08222c0dc9ebfe35eb\nContent-Length: 0", "")
	add("HEAD", "/s/static", "", "")
}

func versions(add func(method, path, head, body string)) {
	add("PUT", "/old", "", "")
	add("PUT", "/v", "X-Versions-Location: old", "")
	for _, text := range []string{"1", "2", "3"} {
		add("PUT", "/v/o", "", text)
	}
	add("DELETE", "/v/o", "", "")
	add("GET", "/v/o", "", "")
	add("HEAD", "/old", "", "")
	add("PUT", "/ov", "", "")
	add("POST", "/ov", "X-Versions-Enabled: true", "")
	for _, text := range []string{"1", "2", "3"} {
		add("PUT", "/ov/o", "", text)
	}
	add("DELETE", "/ov/o", "", "")
	add("GET", "/ov/o", "", "")
	add("HEAD", "/ov", "", "")
	add("GET", "/ov", "", "")
}
