package interop

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// other is the other make.
func other(make impl) impl {
	if make == swift {
		return apus
	}
	return swift
}

// some is both makes if all is asked for, else the one.
func some(one impl) []impl {
	if *full {
		return []impl{one, other(one)}
	}
	return []impl{one}
}

// daemon makes one pass of a daemon, over all devices.
func (c *chronicle) daemon(t *testing.T, make impl, kind, name string) string {
	t.Helper()
	var out string
	if make == apus {
		out = c.rig.apusTool(t, name, "-c", c.rig.path("etc", kind+"-first.toml"), "--once")
	} else {
		out = c.rig.swiftTool(t, "swift-"+name, c.rig.path("etc", kind+"-first.conf"), "once", "--verbose")
	}
	return c.sound(t, string(make)+"'s "+name, out)
}

// sound reports what a daemon has complained about, and returns all that it said.
func (c *chronicle) sound(t *testing.T, name, out string) string {
	t.Helper()
	for line := range strings.Lines(out) {
		line = noneBad.ReplaceAllString(line, "")
		if strings.Contains(line, "ERROR") || strings.Contains(line, "Traceback") || strings.Contains(line, "uarantin") {
			t.Errorf("%s: %s", name, strings.TrimSpace(line))
		}
	}
	return out
}

// noneBad matches what daemons say of good passes.
var noneBad = regexp.MustCompile(`\b0 quarantine[sd]|quarantined: 0\b`)

// updateAccounts tells accounts of their containers, by the daemon of the other make than that which wrote.
func (c *chronicle) updateAccounts(t *testing.T, wrote impl) {
	t.Helper()
	c.daemon(t, other(wrote), "container", "container-updater")
}

// undelivered writes an object while no container server runs, and has its row delivered by an updater of the make that
// did not write the pending update.
func (c *chronicle) undelivered(t *testing.T, one, two impl) {
	for _, make := range some(one) {
		k := c.newTalker(t, make)
		k.must(request{method: "PUT", path: "/late"})
		k.must(request{method: "PUT", path: "/late-silver", head: "X-Storage-Policy: silver"})
		k.must(request{method: "PUT", path: "/late/gone", body: "x"})
		for _, p := range []string{"/late", "/late-silver"} {
			k.must(request{method: "HEAD", path: p})
		}
		for _, h := range halves {
			c.rig.stop(t, "container-"+h)
		}
		k.must(request{method: "PUT", path: "/late/" + q("\u00fc"), body: "late", head: "Content-Type: text/late"})
		k.must(request{method: "PUT", path: "/late-silver/o", body: "late"})
		k.must(request{method: "DELETE", path: "/late/gone"})
		if n := c.count(t, "async_pending*"); n == 0 {
			t.Errorf("nothing waits to be delivered")
		}
		c.rig.serve(t, one, "container-"+first)
		c.rig.serve(t, two, "container-"+second)
		c.daemon(t, other(one), "object", "object-updater")
		if n := c.count(t, "async_pending*"); n != 0 {
			t.Errorf("%d updates still wait to be delivered", n)
		}
		for path, want := range map[string]string{"/late": "\u00fc\n", "/late-silver": "o\n"} {
			if a := k.send(request{method: "GET", path: path, head: "X-Newest: true"}); a.body != want {
				t.Errorf("%s proxy: listing of %s: %d %q, want %q", make, path, a.status, a.body, want)
			}
		}
	}
}

// count counts files below a directory of all devices.
func (c *chronicle) count(t *testing.T, dir string) int { return len(c.files(t, dir, "*")) }

// files lists what is below a directory of all devices.
func (c *chronicle) files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	var out []string
	roots, err := filepath.Glob(c.rig.path("dev", "*", dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roots {
		err := filepath.WalkDir(r, func(path string, d fs.DirEntry, err error) error {
			if ok, _ := filepath.Match(pattern, d.Name()); ok && d.Type().IsRegular() {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// expire has objects deleted by the expirers of both makes.
func (c *chronicle) expire(t *testing.T, nodes impl) {
	for _, make := range some(other(nodes)) {
		k := c.newTalker(t, make)
		k.must(request{method: "PUT", path: "/exp"})
		k.must(request{method: "PUT", path: "/exp-silver", head: "X-Storage-Policy: silver"})
		soon := fmt.Sprintf("X-Delete-At: %d", time.Now().Unix()+2)
		k.must(request{method: "PUT", path: "/exp/" + q("\u00fc x"), body: "x", head: soon})
		k.must(request{method: "PUT", path: "/exp-silver/o", body: "x", head: soon})
		k.must(request{method: "PUT", path: "/exp/posted", body: "x"})
		k.must(request{method: "POST", path: "/exp/posted", head: soon})
		k.must(request{method: "PUT", path: "/exp/moved", body: "x", head: soon})
		k.must(request{method: "POST", path: "/exp/moved", head: "X-Delete-At: 4102444800"})
		for a := (answer{}); a.status != 404; a = k.send(request{method: "HEAD", path: "/exp/posted"}) {
			time.Sleep(200 * time.Millisecond) // the clock is the real one
		}
		c.updateAccounts(t, make) // with the queue's containers
		if make == apus {
			c.rig.apusTool(t, "object-expirer", "-c", c.rig.path("etc", "object-expirer.toml"), "--once")
		} else {
			c.rig.swiftTool(t, "swift-object-expirer", c.rig.path("etc", "object-expirer.conf"), "once", "--verbose")
		}
		for path, want := range map[string]string{"/exp": "moved\n", "/exp-silver": ""} {
			if a := k.send(request{method: "GET", path: path, head: "X-Newest: true"}); a.body != want {
				t.Errorf("%s expirer: listing of %s: %d %q, want %q", make, path, a.status, a.body, want)
			}
		}
	}
}

// inspect has Swift's auditors and tools look at the disks.
func (c *chronicle) inspect(t *testing.T) {
	for _, kind := range kinds {
		c.daemon(t, swift, kind, kind+"-auditor")
	}
	if found := c.files(t, "quarantined", "*"); len(found) > 0 {
		t.Errorf("quarantined: %q", found)
	}
	newest := func(files []string, n int) []string { return files[max(0, len(files)-n):] }
	data := newest(c.files(t, "objects*", "*.data"), 400)
	took := stopwatch(t)
	script := fmt.Sprintf(infoScript, c.rig.path("etc"), list(data), list(newest(c.files(t, "containers", "*.db"), 100)), list(newest(c.files(t, "accounts", "*.db"), 100)))
	out := c.rig.run(t, python, "-c", script)
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "BAD") {
			t.Error(line)
		}
	}
	if !strings.Contains(out, "DONE") {
		t.Errorf("Swift's info tools: %s", tail(out, 20))
	}
	took("info tools")
	for _, r := range []string{"account", "container", "object", "object-1"} {
		c.rig.run(t, "swift-ring-builder", c.rig.path("etc", r+".builder"), "validate")
	}
}

// list writes strings as Python does.
func list(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}

// infoScript runs swift-object-info and its like over many files in one process.
const infoScript = `import contextlib, io, sys
from swift.common import utils
etc = %q
utils.set_swift_dir(etc)
from swift.cli import info
def show(what, f, *a, **k):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            f(*a, **k)
    except BaseException as e:
        print('BAD', what, repr(e), out.getvalue().replace('\n', ' / '))
        return
    text = out.getvalue()
    for word in ('not match', 'mismatch', 'Invalid', 'invalid', 'Warning', 'Error'):
        if word in text:
            print('BAD', what, text.replace('\n', ' / '))
            return
for path in [%s]:
    show(path, info.print_obj, path, swift_dir=etc, check_etag=True)
for path in [%s]:
    show(path, info.print_info, 'container', path, swift_dir=etc)
for path in [%s]:
    show(path, info.print_info, 'account', path, swift_dir=etc)
print('DONE')
`

// replicate has Swift's replicators, and its servers on the replication network, work beside whoever serves clients on
// the same disks: they bring rows to where they are missing, and find no other difference.
func (c *chronicle) replicate(t *testing.T, one impl) {
	k := c.newTalker(t, swift)
	k.must(request{method: "PUT", path: "/torn"})
	k.must(request{method: "HEAD", path: "/torn"})
	c.rig.stop(t, "container-"+first)
	k.must(request{method: "PUT", path: "/torn/o", body: "x"})
	c.rig.serve(t, one, "container-"+first)
	c.rig.serve(t, swift, each(replication)...)
	for _, kind := range kinds {
		out := c.sound(t, "Swift's "+kind+"-replicator", c.rig.swiftTool(t, "swift-"+kind+"-replicator", c.rig.path("etc", kind+"-"+replication+".conf"), "once", "--verbose"))
		for line := range strings.Lines(out) {
			if strings.Contains(line, "success") && !strings.Contains(line, " 0 failures") {
				t.Error(line)
			}
		}
	}
	for _, kind := range kinds {
		c.rig.stop(t, kind+"-"+replication)
	}
	for range 12 { // each replica is asked now and then
		if a := k.send(request{method: "GET", path: "/torn"}); a.body != "o\n" {
			t.Errorf("a listing lacks the row that replication has brought: %d %q", a.status, a.body)
		}
	}
	c.daemon(t, other(one), "object", "object-updater")
}

// sideBySide has two proxies share tokens and what they know.
func (c *chronicle) sideBySide(t *testing.T) {
	for _, make := range []impl{swift, apus} {
		k := c.newTalker(t, make)
		there := *k
		there.base = c.rig.proxy(other(make)) // with the tokens of here
		k.must(request{method: "PUT", path: "/shared"})
		there.must(request{method: "PUT", path: "/shared/o", body: "x"})
		expect := func(who *talker, want int, r request) {
			t.Helper()
			if a := who.send(r); a.status != want {
				t.Errorf("%s %s at %s after what was done at the other: %d, want %d", r.method, r.path, who.base, a.status, want)
			}
		}
		expect(k, 403, request{method: "GET", path: "/shared/o", guest: true})
		expect(&there, 403, request{method: "GET", path: "/shared/o", guest: true})
		k.must(request{method: "POST", path: "/shared", head: "X-Container-Read: {a}:guest"})
		expect(&there, 401, request{method: "GET", path: "/shared/o", bare: true})
		there.must(request{method: "GET", path: "/shared/o", guest: true})
		there.must(request{method: "POST", path: "/shared", head: "X-Remove-Container-Read: x"})
		expect(k, 403, request{method: "GET", path: "/shared/o", guest: true})
		k.must(request{method: "DELETE", path: "/shared/o"})
		expect(&there, 404, request{method: "GET", path: "/shared/o"})
		there.must(request{method: "DELETE", path: "/shared"})
		expect(k, 404, request{method: "PUT", path: "/shared/o", body: "x"})
		expect(k, 404, request{method: "GET", path: "/shared"})
		there.must(request{method: "PUT", path: "/shared"})
		k.must(request{method: "PUT", path: "/shared/o", body: "x"})
		there.must(request{method: "GET", path: "/shared/o"})
	}
}
